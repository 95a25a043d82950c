#!lua name=rz1
-- rhizome.lua - the store's operations: every change of truth happens in one of these, atomically.
-- The library is five files in one: this one (keys, helpers), rhizome_run.lua, rhizome_time.lua, rhizome_fleet.lua and
-- rhizome_store.lua.
--
-- A function gets one key, the shard prefix ("rz:{0}"), and builds all others from it; the tag in braces keeps
-- a shard on one node. Brokers call rz1_batch with many operations; each is also registered under its own name
-- (rz1_submit, ...) so that a person can try it in redis-cli.
--
-- Keys below the prefix
--   store               hash    id, shards, version, created_ms; term, lineage, refused, accepted, floor: see rhizome_store.lua
--   c:<child>           hash    a  the activation, packed, see below       j  job facts, five lines, see job_facts
--                               h  session header JSON                     r  "profile affinity" of the session
--                               e  last_run_error   x  reason of a stored cancel   p  previous_error of a rerun
--                               l  "epoch json": what its runner last said of it (rule 6.6)
--                               k  its tree was cancelled, and it has not been run since; the tenant for whose jobs alone
--                                  that holds, '' for all: see is_orphan
--                               j:<job>  "digest activation", and "... epoch status error" once superseded
--   m:<child>           list    messages, raw JSON
--   p:<child>           list    steering that waits for the end of the run: "id message"
--   u:<child>           set     ids of those that no worker has been told of
--   s:<child>           zset    ids of the latest steering messages seen
--   l:<child>           list    its transitions: "ms activation epoch what broker runner detail"
--   e:<child>           stream  durable events h, e; id <epoch>-<seq>
--   q:<prio>/<profile>/<labels>            list   ring of parents that have somebody waiting
--   q:<prio>/<profile>/<labels>/<parent>   list   "child activation"; leftovers of cancels are skipped, or dropped with the class's last
--   classes             hash    "profile/labels" -> how many wait (exact)
--   n                   string  entries in all queues, leftovers included: what queue_max bounds
--   tick                string  the store's own time, ms: see `tick` in rhizome_time.lua
--   brokers             hash    broker -> "tick places": when it was last heard, and the JSON that tells where it is
--   t                   zset    what becomes due, by tick: "q child activation" (queue deadline), "w parent id" (wait),
--                               "r child activation" (a rerun: `queued`, and in no queue until then)
--   z                   zset    children that ended, and "w parent id" of waits that did, by the tick of that
--   zt                  zset    tombstones, by the tick they were made
--   w:<parent>/<id>     hash    a wait: s state, f wait_for, n children, b by, c:<child> status of its end
--   wl:<parent>/<id>    set     children it still waits for
--   wg:<child>          set     "parent id" of the waits on a child
--   i:<incarnation>     hash    n runner, c counter, s alive|dead, f facts
--   o:<incarnation>     zset    "child epoch" it owns, all with score 0: a set that is sorted by bytes
--   oc:<incarnation>    set     children it owns with a stored cancel: "child", or "child now"
--   os:<incarnation>    set     children it owns with steering in u:<child>
--   f:, g:<incarnation> set     "child epoch" it finished since its last sync, and between the two before: what it may
--                               have died over without publishing
--   runners             hash    runner -> its latest incarnation
--   is                  set     incarnations that live, or are dead and still own something
--   x, k:<parent>       zset    children by the time of their latest submit, for `list`
--   completions, broadcast, rejected, wake       streams; wake: classes that nobody waited in before, for brokers that have room
--
-- Wall time (TIME) is for showing and for the index only; no decision rests on it.

local VERSION = '1.4' -- major: the 1 of rz1, what breaks; minor: what is added. The one place; programs read it from here
local TERM = 4294967296 -- epochs of one term: those of the next begin above them

local SESSION_MAX = 8388608 -- RZ_SESSION_MAX
local REPLY_BYTES = 1048576 -- a claim or replay stops behind this many bytes; the caller asks again
local STALE_MAX = 512       -- leftovers one claim throws away at most
local TIDY_MAX = 512        -- queues up to this length are searched when somebody in them is cancelled
local REAP_MAX = 64
local NOTES_MAX = 200       -- transitions of a child, cut to half when there are so many
local NOTED_STEERS_MAX = 20 -- of one run: they must not push out what else happened
local STEER_IDS_MAX = 1000  -- a steering id is known for as long as so many did not follow it
local LOG_MAX = 10000       -- log_max of who does not say
local WAKES_MAX = 100       -- a broker that did not look for so long sees all queues when it asks
local JOBS_MAX = 256        -- fields of a child, jobs that are remembered by id most of them
local RERUN_MS, RERUN_MAX_MS = 1000, 60000 -- before the first rerun of an activation, doubled each time up to the second

local P     -- the prefix with its colon; set at the start of each call
local clock -- {seconds, microseconds} of this call, asked for at the first need
local ticked -- the store's time, as far as this call has asked
local base   -- the epoch that those of this term are above, as far as this call has asked
local who -- the broker that calls, "-" when it is somebody else
local log_max -- durable events of a child that it wants kept
local known_incarnations -- incarnation -> {alive, runner}, as far as this call has asked
-- While a library loads, Redis shows it nothing but redis.register_function: these are fetched by the first call.
local call, match, find, format, concat, floor
local PACKED -- the pattern of a packed activation

-- ---- the packed activation: texts separated by one space, "-" for none --------------------------------------
local STATE, ACTIVATION, EPOCH, TOKEN, OWNER, PROFILE, LABELS, PRIORITY = 1, 2, 3, 4, 5, 6, 7, 8
local PARENT, ATTEMPT, ATTEMPTS, JOB, CANCELLED, SUBMITTED = 9, 10, 11, 12, 13, 14
local LOGGED = 15 -- seq of the last durable event of this epoch
local STATUS = 16 -- last_run_status
local REV = 17    -- of the session
local SIZE = 18   -- bytes of the session: header, messages and waiting steering
local STEERS = 19 -- steering messages waiting in p:<child>
local QUEUE = 20  -- ms that it may wait in a queue, 0 for ever

local function unpack_act(a)
    local t = { match(a, PACKED) }
    if not t[1] then -- written by library 1.0
        t = { match(a .. ' 0', PACKED) }
    end
    return t
end

local function no_activation()
    return { 'none', '0', '0', '-', '-', '-', '-', '1', '-', '1', '1', '-', '0', '0', '0', '-', '0', '0', '0', '0' }
end

local function or_dash(text)
    if text == '' then
        return '-'
    end
    return text
end

local function lives(t)
    local state = t[STATE]
    return state == 'queued' or state == 'assigned' or state == 'running'
end

local function add(t, field, n)
    t[field] = format('%.0f', t[field] + n)
end

-- ---- time, shown only ---------------------------------------------------------------------------------------
local function time()
    clock = clock or call('TIME')
    return clock
end

local function now_ms()
    local t = time()
    return t[1] .. format('%03d', floor(t[2] / 1000))
end

-- RFC 3339. Days to civil date: years are counted from March, so that the leap day is the last of its year.
local function now_rfc3339()
    local t = time()
    local s = tonumber(t[1])
    local days = floor(s / 86400) + 719468
    local era = floor(days / 146097)
    local doe = days - era * 146097
    local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
    local mp = floor((5 * doy + 2) / 153)
    local day = doy - floor((153 * mp + 2) / 5) + 1
    local month = mp < 10 and mp + 3 or mp - 9
    local year = yoe + era * 400 + (month <= 2 and 1 or 0)
    return format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, day, floor(s / 3600) % 24,
        floor(s / 60) % 60, s % 60, t[2])
end

-- The store's time: ms during which a broker watched (rhizome_time.lua).
local function tick()
    ticked = ticked or tonumber(call('GET', P .. 'tick') or 0)
    return ticked
end

-- What happened to a child, for `explain`. One line; at least the latest NOTES_MAX / 2 are kept.
local function note(child, t, what, runner, detail)
    local key = P .. 'l:' .. child
    local line = concat({ now_ms(), t[ACTIVATION], t[EPOCH], what, who, runner or '-', detail or '' }, ' ')
    if call('RPUSH', key, line) > NOTES_MAX then
        call('LTRIM', key, -NOTES_MAX / 2, -1)
    end
end

local function index(child, t)
    call('ZADD', P .. 'x', now_ms(), child)
    if t[PARENT] ~= '-' then
        call('ZADD', P .. 'k:' .. t[PARENT], now_ms(), child)
    end
end

-- ---- memory -------------------------------------------------------------------------------------------------
-- Batches are allow-oom, so that what runs can end at maxmemory; what would add work asks here first. Redis
-- offers no cheap question, so the answer is kept for 100 ms.
local tight_asked, tight_answer = 0, false
local function tight()
    local t = time()
    local ms = t[1] * 1000 + t[2] / 1000
    if ms - tight_asked >= 100 or ms < tight_asked then
        local info = call('INFO', 'memory')
        local max = tonumber(match(info, 'maxmemory:(%d+)'))
        tight_answer = max > 0 and tonumber(match(info, 'used_memory:(%d+)')) >= max
        tight_asked = ms
    end
    return tight_answer
end

-- ---- messages -----------------------------------------------------------------------------------------------
-- unpack fails near 8000 values
local function push_messages(child, A, first, last)
    for i = first, last, 1000 do
        call('RPUSH', P .. 'm:' .. child, unpack(A, i, math.min(i + 999, last)))
    end
end

local function bytes_of(A, first, last)
    local n = 0
    for i = first, last do
        n = n + #A[i]
    end
    return n
end

local function messages_json(child)
    return '[' .. concat(call('LRANGE', P .. 'm:' .. child, 0, -1), ',') .. ']'
end

local function merge_steering(child, t)
    if t[STEERS] == '0' then
        return
    end
    local key = P .. 'p:' .. child
    local waiting = call('LRANGE', key, 0, -1)
    for i = 1, #waiting do
        waiting[i] = match(waiting[i], '^%S+ (.*)$')
    end
    push_messages(child, waiting, 1, #waiting)
    call('DEL', key, P .. 'u:' .. child)
    t[STEERS] = '0'
end

-- ---- queues -------------------------------------------------------------------------------------------------
-- A parent stands in the ring of its class and priority exactly as long as its own list is not empty.
local function class_of(t)
    return t[PROFILE] .. '/' .. t[LABELS]
end

-- Nobody waits in this class: what its queues still hold are leftovers, and no claim would come to skip them.
local function drop_leftovers(class)
    for priority = 0, 2 do
        local ring = P .. 'q:' .. priority .. '/' .. class
        local parent = call('LPOP', ring)
        while parent do
            local list = ring .. '/' .. parent
            call('DECRBY', P .. 'n', call('LLEN', list))
            call('UNLINK', list)
            parent = call('LPOP', ring)
        end
    end
end

local function class_shrink(class, n)
    local left = call('HINCRBY', P .. 'classes', class, -n)
    if left <= 0 then
        call('HDEL', P .. 'classes', class)
        drop_leftovers(class)
    end
    return left
end

-- Somebody waits where nobody did: brokers with room need not wait for their next look. by: the broker that knows, as it queued
-- him; it is told nothing, and alone nobody is. '-': none knows.
local function wake(class, by)
    if by == '-' or call('HLEN', P .. 'brokers') > 1 then
        call('XADD', P .. 'wake', 'MAXLEN', '~', WAKES_MAX, '*', 'class', class, 'broker', by)
    end
end

-- In front: given back, it was first before. It does not go round: who gives back has no credit left for it.
local function enqueue(child, t, front)
    local class = class_of(t)
    local ring = P .. 'q:' .. t[PRIORITY] .. '/' .. class
    local push = front and 'LPUSH' or 'RPUSH'
    if call(push, ring .. '/' .. t[PARENT], child .. ' ' .. t[ACTIVATION]) == 1 then
        call(push, ring, t[PARENT])
    end
    if call('HINCRBY', P .. 'classes', class, 1) == 1 then
        wake(class, front and '-' or who)
    end
    call('INCR', P .. 'n')
    if t[QUEUE] ~= '0' then
        call('ZADD', P .. 't', format('%.0f', tick() + t[QUEUE]), concat({ 'q', child, t[ACTIVATION] }, ' '))
    end
end

local function forget_deadline(child, t)
    if t[QUEUE] ~= '0' then
        call('ZREM', P .. 't', concat({ 'q', child, t[ACTIVATION] }, ' '))
    end
end

-- The class count is exact at once; the entry itself goes now if that is cheap, else a claim will skip it. A rerun that is
-- not due yet stands in no queue.
local function unqueue(child, t)
    if call('ZREM', P .. 't', concat({ 'r', child, t[ACTIVATION] }, ' ')) == 1 then
        return
    end
    local class = class_of(t)
    local ring = P .. 'q:' .. t[PRIORITY] .. '/' .. class
    local list = ring .. '/' .. t[PARENT]
    class_shrink(class, 1)
    forget_deadline(child, t)
    local length = call('LLEN', list)
    if length > TIDY_MAX or call('LREM', list, 1, child .. ' ' .. t[ACTIVATION]) == 0 then
        return
    end
    call('DECR', P .. 'n')
    if length == 1 then
        call('LREM', ring, 1, t[PARENT])
    end
end

-- The next entry of a ring; its parent goes to the end, so that parents share.
local function rotate(ring)
    local parent = call('LPOP', ring)
    if not parent then
        return nil
    end
    local list = ring .. '/' .. parent
    local entry = call('LPOP', list)
    if call('EXISTS', list) == 1 then
        call('RPUSH', ring, parent)
    end
    return entry
end

-- ---- owners -------------------------------------------------------------------------------------------------
local function incarnation_facts(incarnation)
    local facts = known_incarnations[incarnation]
    if not facts then
        local seen = call('HMGET', P .. 'i:' .. incarnation, 's', 'n')
        facts = { alive = seen[1] == 'alive', runner = seen[2] or '-' }
        known_incarnations[incarnation] = facts
    end
    return facts
end

local function is_alive(incarnation)
    return incarnation_facts(incarnation).alive
end

-- Above all of this child, and above all of earlier terms: what a failover lost gave epochs that nobody here knows of.
local function next_epoch(t)
    base = base or tonumber(call('HGET', P .. 'store', 'term') or 0) * TERM
    t[EPOCH] = format('%.0f', math.max(tonumber(t[EPOCH]), base) + 1)
end

local function assign(child, t, owner, token)
    next_epoch(t)
    t[STATE], t[OWNER], t[TOKEN], t[LOGGED] = 'assigned', owner, token, '0'
    call('ZADD', P .. 'o:' .. owner, 0, child .. ' ' .. t[EPOCH])
    note(child, t, 'assigned', incarnation_facts(owner).runner)
end

local function disown(child, t)
    if t[OWNER] == '-' then
        return
    end
    call('ZREM', P .. 'o:' .. t[OWNER], child .. ' ' .. t[EPOCH])
    if t[CANCELLED] ~= '0' then
        call('SREM', P .. 'oc:' .. t[OWNER], child, child .. ' now')
    end
    if t[STEERS] ~= '0' then
        call('SREM', P .. 'os:' .. t[OWNER], child)
    end
end

-- ---- events -------------------------------------------------------------------------------------------------
-- The stream itself refuses an id that is not above its last one: then the event is there already.
local function log_event(child, epoch, seq, header, event)
    local answer = redis.pcall('XADD', P .. 'e:' .. child, 'MAXLEN', '~', log_max, epoch .. '-' .. seq, 'h', header, 'e',
        event)
    if type(answer) == 'table' and answer.err and not find(answer.err, 'equal or smaller', 1, true) then
        error(answer.err)
    end
end

local function well_formed_events(A, first, last)
    if (last - first + 1) % 3 ~= 0 then
        return false
    end
    for i = first, last, 3 do
        if not find(A[i], '^%d+$') then
            return false
        end
    end
    return true
end

-- A[first..last] are triples seq, header, event
local function log_events(child, t, A, first, last)
    local logged = tonumber(t[LOGGED])
    for i = first, last, 3 do
        local seq = tonumber(A[i])
        if seq > logged then
            log_event(child, t[EPOCH], A[i], A[i + 1], A[i + 2])
            logged, t[LOGGED] = seq, A[i]
        end
    end
end

local function broadcast(topic, header, event)
    call('XADD', P .. 'broadcast', 'MAXLEN', '~', 10000, '*', 'topic', topic, 'header', header, 'event', event)
end

-- ---- waits of parents on children (rule 8.8) ----------------------------------------------------------------
local ERROR_LIKE = { error = true, timeout = true, cancelled = true }

-- n: its children, space separated. Answers child and status, each; '' for one that has not ended.
local function waited_children(key, n)
    local list = {}
    for child in string.gmatch(n, '%S+') do
        list[#list + 1] = child
        list[#list + 1] = call('HGET', P .. 'w:' .. key, 'c:' .. child) or ''
    end
    return list
end

local function wait_event(kind, parent, id, wait_for, by, children)
    local header = concat({ '{"v":1,"parent":"', parent, '","wait":"', id, '","ts":"', now_rfc3339(),
        '","class":"durable"}' })
    local event = concat({ '{"type":"', kind, '","parent_session_id":"', parent, '","wait_id":"', id,
        '","wait_for":"', wait_for, '"', by ~= '' and ',"by":"' .. by .. '"' or '', ',"children":', children, '}' })
    call('XADD', P .. 'completions', '*', 'kind', kind, 'parent', parent, 'wait', id, 'wait_for', wait_for, 'by', by,
        'children', children, 'at', now_ms())
    broadcast(parent .. '/$wait/' .. kind, header, event)
end

-- Its one end: whoever comes later finds it closed.
local function wait_close(parent, id, state, by)
    local key, member = parent .. '/' .. id, parent .. ' ' .. id
    for _, child in ipairs(call('SMEMBERS', P .. 'wl:' .. key)) do
        call('SREM', P .. 'wg:' .. child, member)
    end
    call('DEL', P .. 'wl:' .. key)
    call('ZREM', P .. 't', 'w ' .. member)
    call('ZADD', P .. 'z', tick(), 'w ' .. member)
    call('HSET', P .. 'w:' .. key, 's', state, 'b', by)
    local w = call('HMGET', P .. 'w:' .. key, 'f', 'n')
    local waited, parts = waited_children(key, w[2]), {}
    for k = 1, #waited, 2 do
        local status = waited[k + 1] ~= '' and '","status":"' .. waited[k + 1] or ''
        parts[#parts + 1] = '{"child_session_id":"' .. waited[k] .. status .. '"}'
    end
    wait_event('wait_' .. state, parent, id, w[1], by, '[' .. concat(parts, ',') .. ']')
end

local function satisfies(wait_for, left, status)
    return left == 0 or wait_for == 'any' or wait_for == 'first_error' and ERROR_LIKE[status]
end

-- A waited child ended. A second end of it finds it taken off the list already.
local function wait_hear(parent, id, child, status)
    local key = parent .. '/' .. id
    local w = call('HMGET', P .. 'w:' .. key, 's', 'f')
    if w[1] ~= 'waiting' or call('SREM', P .. 'wl:' .. key, child) == 0 then
        return
    end
    call('HSET', P .. 'w:' .. key, 'c:' .. child, status)
    if satisfies(w[2], call('SCARD', P .. 'wl:' .. key), status) then
        wait_close(parent, id, 'satisfied', child)
    end
end

local function tell_waits(child, status)
    local waits = call('SMEMBERS', P .. 'wg:' .. child)
    for i = 1, #waits do
        local parent, id = match(waits[i], '^(%S+) (%S+)$')
        wait_hear(parent, id, child, status)
    end
    if #waits > 0 then
        call('DEL', P .. 'wg:' .. child)
    end
end

-- ---- ends ---------------------------------------------------------------------------------------------------
local function complete(child, t, status, err)
    call('XADD', P .. 'completions', '*', 'kind', 'completion', 'parent', t[PARENT], 'child', child, 'job',
        t[JOB] == '-' and '' or t[JOB], 'epoch', t[EPOCH], 'status', status, 'error', err, 'at', now_ms(), 'broker', who)
    t[STATE], t[STATUS] = 'terminal', status
    note(child, t, status, nil, string.sub(err, 1, 300))
    call('ZADD', P .. 'z', tick(), child)
    tell_waits(child, status)
    add(t, REV, 1)
    if err == '' then
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '))
    else
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '), 'e', err)
    end
end

-- An end that no runner publishes: it is logged, and every broker finds it in the broadcast stream. It gets an epoch of
-- its own: the store does not know which live numbers a lost runner used up, and whatever that runner still says is now old.
local function end_by_store(child, t, status, err)
    disown(child, t)
    next_epoch(t)
    t[TOKEN], t[OWNER], t[LOGGED] = '-', '-', '1'
    local job = t[JOB] == '-' and '' or ',"job":"' .. t[JOB] .. '"'
    local header = concat({ '{"v":1,"parent":"', t[PARENT], '","child":"', child, '"', job, ',"epoch":', t[EPOCH],
        ',"seq":1,"prev_durable":0,"ts":"', now_rfc3339(), '","class":"durable"}' })
    local event = concat({ '{"type":"sub_agent_completed","parent_session_id":"', t[PARENT],
        '","child_session_id":"', child, '","status":"', status, '","error":', cjson.encode(err), '}' })
    log_event(child, t[EPOCH], t[LOGGED], header, event)
    merge_steering(child, t)
    complete(child, t, status, err)
    broadcast(t[PARENT] .. '/' .. child .. '/sub_agent_completed', header, event)
end

local function end_cancelled(child, t, reason)
    end_by_store(child, t, 'cancelled', reason and reason ~= '' and reason or 'Cancelled by parent')
end

local function let_go(child, t)
    disown(child, t)
    t[STATE], t[OWNER], t[TOKEN], t[STATUS] = 'queued', '-', '-', 'pending'
    call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '))
end

local function give_back(child, t, what, detail)
    note(child, t, what, nil, detail)
    let_go(child, t)
    enqueue(child, t, true)
end

local function may_rerun(t)
    return tonumber(t[ATTEMPT]) < tonumber(t[ATTEMPTS])
end

local function use_attempt(child, t, why)
    add(t, ATTEMPT, 1)
    call('HSET', P .. 'c:' .. child, 'p', why)
end

-- What cost it its runner may come again, so it waits before it is queued.
local function rerun_later(child, t, why)
    local ms = math.min(RERUN_MS * 2 ^ (t[ATTEMPT] - 1), RERUN_MAX_MS)
    use_attempt(child, t, why)
    note(child, t, 'backoff', nil, format('%s; rerun in %.0f s', why, ms / 1000))
    let_go(child, t)
    call('ZADD', P .. 't', format('%.0f', tick() + ms), concat({ 'r', child, t[ACTIVATION] }, ' '))
end

-- Assigned before an operator took the store as it is (rhizome_store.lua): it may have run since, and ended, whatever is
-- stored here.
local function is_from_before(t)
    return tonumber(t[EPOCH]) <= tonumber(call('HGET', P .. 'store', 'floor') or 0) * TERM
end

-- One activation of a dead incarnation.
local function settle(child, epoch, incarnation, runner)
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'x')
    local t = c[1] and unpack_act(c[1])
    if not t or t[OWNER] ~= incarnation or t[EPOCH] ~= epoch or not lives(t) then
        call('ZREM', P .. 'o:' .. incarnation, child .. ' ' .. epoch)
    elseif t[CANCELLED] ~= '0' then
        end_cancelled(child, t, c[2])
    elseif t[STATE] == 'assigned' and not is_from_before(t) then
        give_back(child, t, 'requeued', 'runner lost: ' .. runner)
    elseif may_rerun(t) then
        rerun_later(child, t, 'runner lost: ' .. runner)
    else
        end_by_store(child, t, 'error', 'runner lost: ' .. runner)
    end
end

-- Who died between the commit of a finish and its publication left subscribers without an end: it is broadcast as it was
-- logged. Most were published; a subscriber takes the second as a repeat. At most `max` of a set; what is newer than
-- the finished epoch has its own end.
local function tell_finished(set, max)
    local finished = call('SPOP', set, max)
    for i = 1, #finished do
        local child, epoch = match(finished[i], '^(%S+) (%S+)$')
        local a = call('HGET', P .. 'c:' .. child, 'a')
        local t = a and unpack_act(a)
        local last = t and t[STATE] == 'terminal' and t[EPOCH] == epoch and
            call('XREVRANGE', P .. 'e:' .. child, '+', '-', 'COUNT', 1)[1]
        if last and find(last[2][4], '"sub_agent_completed"', 1, true) then
            broadcast(t[PARENT] .. '/' .. child .. '/sub_agent_completed', last[2][2], last[2][4])
        end
    end
end

-- What an incarnation leaves to be settled if it is dead, or owns if it lives.
local function owes(incarnation)
    return call('ZCARD', P .. 'o:' .. incarnation) + call('SCARD', P .. 'f:' .. incarnation) +
        call('SCARD', P .. 'g:' .. incarnation)
end

-- A dead incarnation is remembered for a day after it owns nothing any more. Should it come back later still,
-- it holds no valid token.
local function settle_some(incarnation, runner)
    local owned = call('ZRANGE', P .. 'o:' .. incarnation, 0, REAP_MAX - 1)
    for i = 1, #owned do
        local child, epoch = match(owned[i], '^(%S+) (%S+)$')
        settle(child, epoch, incarnation, runner)
    end
    tell_finished(P .. 'g:' .. incarnation, REAP_MAX)
    tell_finished(P .. 'f:' .. incarnation, REAP_MAX)
    local left = owes(incarnation)
    if left == 0 then
        call('SREM', P .. 'is', incarnation)
        call('DEL', P .. 'oc:' .. incarnation, P .. 'os:' .. incarnation)
        call('EXPIRE', P .. 'i:' .. incarnation, 86400)
    end
    return left
end

local function declare_dead(incarnation, runner)
    call('HSET', P .. 'i:' .. incarnation, 's', 'dead')
    known_incarnations[incarnation] = { alive = false, runner = runner }
    if call('HGET', P .. 'runners', runner) == incarnation then
        call('HDEL', P .. 'runners', runner)
    end
end

-- ---- whose a child is ----------------------------------------------------------------------------------------
-- '' if its job named no tenant. j: its job facts.
local function tenant_of(j)
    return j and match(j, '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)') or ''
end

-- ---- replies ------------------------------------------------------------------------------------------------
-- Operations append flat fields to R and return their code. An activation is four fields: child, a, error, and what
-- its runner last said of this epoch ('' where nobody asked).
local function put_act(R, child, a, err, said)
    local n = #R
    local epoch, progress = match(said or '', '^(%d+) (.*)$')
    if epoch and epoch ~= match(a, '^%S+ %S+ (%S+)') then
        progress = nil
    end
    R[n + 1], R[n + 2], R[n + 3], R[n + 4] = child, a, err or '', progress or ''
end

local function with_act(code, R, child, a, err)
    put_act(R, child, a, err)
    return code
end

-- An assignment is six: child, a, j, previous_error, header, messages.
local function put_assignment(R, child, a, j, previous, header, messages)
    local n = #R
    R[n + 1], R[n + 2], R[n + 3], R[n + 4], R[n + 5], R[n + 6] = child, a, j or '', previous or '', header, messages
end

-- An earlier job of this child, told from its tombstone.
local function put_past(R, child, t, job, tombstone)
    local activation, epoch, status, err = match(tombstone, '^%S+ (%S+) (%S+) (%S+) ?(.*)$')
    local past = { 'terminal', activation, epoch, '-', '-', '-', '-', '1', t[PARENT], '1', '1', job, '0', '0', '0',
        status, t[REV], '0', '0', '0' }
    put_act(R, child, concat(past, ' '), err)
end

local function put_job(R, child, t, a, err, job, tombstone)
    if match(tombstone, '^%S+ (%S+)') == t[ACTIVATION] then
        put_act(R, child, a, err)
    else
        put_past(R, child, t, job, tombstone)
    end
end
