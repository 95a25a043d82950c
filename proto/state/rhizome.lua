#!lua name=rz1
-- rhizome.lua - the store's operations: every change of truth happens in one of these, atomically.
--
-- A function gets one key, the shard prefix ("rz:{0}"), and builds all others from it; the tag in braces keeps
-- a shard on one node. Brokers call rz1_batch with many operations; each is also registered under its own name
-- (rz1_submit, ...) so that a person can try it in redis-cli.
--
-- Keys below the prefix
--   store               hash    id, shards, version, created_ms
--   c:<child>           hash    a  the activation, packed, see below       j  job facts, five lines, see below
--                               h  session header JSON                     r  "profile affinity" of the session
--                               e  last_run_error   x  reason of a stored cancel   p  previous_error of a rerun
--                               j:<job>  "digest activation", and "... epoch status error" once superseded
--   m:<child>           list    messages, raw JSON
--   p:<child>           list    steering that waits for the end of the run: "id message"
--   d:<child>           set     ids of every steering message seen
--   e:<child>           stream  durable events h, e; id <epoch>-<seq>
--   q:<prio>/<profile>/<labels>            list   ring of parents that have somebody waiting
--   q:<prio>/<profile>/<labels>/<parent>   list   "child activation"; leftovers of cancels are skipped
--   classes             hash    "profile/labels" -> how many wait (exact)
--   n                   string  entries in all queues, leftovers included: what queue_max bounds
--   i:<incarnation>     hash    n runner, c counter, s alive|dead, f facts
--   o:<incarnation>     zset    "child epoch" it owns, all with score 0: a set that is sorted by bytes
--   oc:<incarnation>    set     children it owns with a stored cancel
--   runners             hash    runner -> its latest incarnation
--   is                  set     incarnations that live, or are dead and still own something
--   x, k:<parent>       zset    children by the time of their latest submit, for `list`
--   completions, broadcast, rejected       streams
--
-- Wall time (TIME) is for showing and for the index only; no decision rests on it.

local VERSION = '1.0'

local SESSION_MAX = 8388608 -- RZ_SESSION_MAX
local REPLY_BYTES = 1048576 -- a claim or replay stops behind this many bytes; the caller asks again
local STALE_MAX = 512       -- leftovers one claim throws away at most
local TIDY_MAX = 512        -- queues up to this length are searched when somebody in them is cancelled
local REAP_MAX = 64

local P     -- the prefix with its colon; set at the start of each call
local clock -- {seconds, microseconds} of this call, asked for at the first need
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

local function unpack_act(a)
    return { match(a, PACKED) }
end

local function no_activation()
    return { 'none', '0', '0', '-', '-', '-', '-', '1', '-', '1', '1', '-', '0', '0', '0', '-', '0', '0', '0' }
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
    call('DEL', key)
    t[STEERS] = '0'
end

-- ---- queues -------------------------------------------------------------------------------------------------
-- A parent stands in the ring of its class and priority exactly as long as its own list is not empty.
local function class_of(t)
    return t[PROFILE] .. '/' .. t[LABELS]
end

local function class_shrink(class, n)
    local left = call('HINCRBY', P .. 'classes', class, -n)
    if left <= 0 then
        call('HDEL', P .. 'classes', class)
    end
    return left
end

-- In front: given back, it was first before.
local function enqueue(child, t, front)
    local class = class_of(t)
    local ring = P .. 'q:' .. t[PRIORITY] .. '/' .. class
    local push = front and 'LPUSH' or 'RPUSH'
    if call(push, ring .. '/' .. t[PARENT], child .. ' ' .. t[ACTIVATION]) == 1 then
        call(push, ring, t[PARENT])
    end
    call('HINCRBY', P .. 'classes', class, 1)
    call('INCR', P .. 'n')
end

-- The class count is exact at once; the entry itself goes now if that is cheap, else a claim will skip it.
local function unqueue(child, t)
    local class = class_of(t)
    local ring = P .. 'q:' .. t[PRIORITY] .. '/' .. class
    local list = ring .. '/' .. t[PARENT]
    class_shrink(class, 1)
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
local function is_alive(incarnation)
    return call('HGET', P .. 'i:' .. incarnation, 's') == 'alive'
end

local function assign(child, t, owner, token)
    add(t, EPOCH, 1)
    t[STATE], t[OWNER], t[TOKEN], t[LOGGED] = 'assigned', owner, token, '0'
    call('ZADD', P .. 'o:' .. owner, 0, child .. ' ' .. t[EPOCH])
end

local function disown(child, t)
    if t[OWNER] == '-' then
        return
    end
    call('ZREM', P .. 'o:' .. t[OWNER], child .. ' ' .. t[EPOCH])
    if t[CANCELLED] == '1' then
        call('SREM', P .. 'oc:' .. t[OWNER], child)
    end
end

-- ---- events -------------------------------------------------------------------------------------------------
-- The stream itself refuses an id that is not above its last one: then the event is there already.
local function log_event(child, epoch, seq, header, event)
    local answer = redis.pcall('XADD', P .. 'e:' .. child, 'MAXLEN', '~', 10000, epoch .. '-' .. seq, 'h', header, 'e',
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

-- ---- ends ---------------------------------------------------------------------------------------------------
local function complete(child, t, status, err)
    call('XADD', P .. 'completions', 'MAXLEN', '~', 100000, '*', 'parent', t[PARENT], 'child', child, 'job',
        t[JOB] == '-' and '' or t[JOB], 'epoch', t[EPOCH], 'status', status, 'error', err, 'at', now_ms())
    t[STATE], t[STATUS] = 'terminal', status
    add(t, REV, 1)
    if err == '' then
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '))
    else
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '), 'e', err)
    end
end

-- An end that no runner publishes: it is logged, and every broker finds it in the broadcast stream. What was
-- still queued gets an epoch of its own, because the one before may have had its terminal.
local function end_by_store(child, t, status, err)
    if t[STATE] == 'queued' then
        add(t, EPOCH, 1)
        t[LOGGED] = '0'
    end
    disown(child, t)
    local before = t[LOGGED]
    add(t, LOGGED, 1)
    t[TOKEN], t[OWNER] = '-', '-'
    local job = t[JOB] == '-' and '' or ',"job":"' .. t[JOB] .. '"'
    local header = concat({ '{"v":1,"parent":"', t[PARENT], '","child":"', child, '"', job, ',"epoch":', t[EPOCH],
        ',"seq":', t[LOGGED], ',"prev_durable":', before, ',"ts":"', now_rfc3339(), '","class":"durable"}' })
    local event = concat({ '{"type":"sub_agent_completed","parent_session_id":"', t[PARENT],
        '","child_session_id":"', child, '","status":"', status, '","error":', cjson.encode(err), '}' })
    log_event(child, t[EPOCH], t[LOGGED], header, event)
    merge_steering(child, t)
    complete(child, t, status, err)
    call('XADD', P .. 'broadcast', 'MAXLEN', '~', 10000, '*', 'topic',
        t[PARENT] .. '/' .. child .. '/sub_agent_completed', 'header', header, 'event', event)
end

local function end_cancelled(child, t, reason)
    end_by_store(child, t, 'cancelled', reason and reason ~= '' and reason or 'Cancelled by parent')
end

local function give_back(child, t)
    disown(child, t)
    t[STATE], t[OWNER], t[TOKEN], t[STATUS] = 'queued', '-', '-', 'pending'
    enqueue(child, t, true)
    call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '))
end

-- One activation of a dead incarnation (DESIGN.md 4, "States").
local function settle(child, epoch, incarnation, runner)
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'x')
    local t = c[1] and unpack_act(c[1])
    if not t or t[OWNER] ~= incarnation or t[EPOCH] ~= epoch or not lives(t) then
        call('ZREM', P .. 'o:' .. incarnation, child .. ' ' .. epoch)
    elseif t[CANCELLED] == '1' then
        end_cancelled(child, t, c[2])
    elseif t[STATE] == 'assigned' then
        give_back(child, t)
    elseif tonumber(t[ATTEMPT]) < tonumber(t[ATTEMPTS]) then
        add(t, ATTEMPT, 1)
        call('HSET', P .. 'c:' .. child, 'p', 'runner lost: ' .. runner)
        give_back(child, t)
    else
        end_by_store(child, t, 'error', 'runner lost: ' .. runner)
    end
end

-- A dead incarnation is remembered for a day after it owns nothing any more. Should it come back later still,
-- it holds no valid token.
local function settle_some(incarnation, runner)
    local owned = call('ZRANGE', P .. 'o:' .. incarnation, 0, REAP_MAX - 1)
    for i = 1, #owned do
        local child, epoch = match(owned[i], '^(%S+) (%S+)$')
        settle(child, epoch, incarnation, runner)
    end
    local left = call('ZCARD', P .. 'o:' .. incarnation)
    if left == 0 then
        call('SREM', P .. 'is', incarnation)
        call('DEL', P .. 'oc:' .. incarnation)
        call('EXPIRE', P .. 'i:' .. incarnation, 86400)
    end
    return left
end

local function declare_dead(incarnation, runner)
    call('HSET', P .. 'i:' .. incarnation, 's', 'dead')
    if call('HGET', P .. 'runners', runner) == incarnation then
        call('HDEL', P .. 'runners', runner)
    end
end

-- ---- replies ------------------------------------------------------------------------------------------------
-- Operations append flat fields to R and return their code. An activation is three fields: child, a, error.
local function put_act(R, child, a, err)
    local n = #R
    R[n + 1], R[n + 2], R[n + 3] = child, a, err or ''
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
        status, t[REV], '0', '0' }
    put_act(R, child, concat(past, ' '), err)
end

local function put_job(R, child, t, a, err, job, tombstone)
    if match(tombstone, '^%S+ (%S+)') == t[ACTIVATION] then
        put_act(R, child, a, err)
    else
        put_past(R, child, t, job, tombstone)
    end
end

-- ---- operations: fn(A, i, n, R) with arguments A[i] .. A[i + n - 1]; `n` in the table is how many at least ----
local ops = {}

-- ---- submit ----
-- parent child job digest | tenant model tools traceparent | profile labels job_affinity priority attempts |
-- queue_max owner token append | session_affinity session_profile header message...
-- Answers the activation (3 fields), or the assignment (6) if it was claimed at once.

local function bad_submit(A, i)
    return find(A[i + 8] .. A[i + 9] .. A[i + 18], '[%s/]') or not find(A[i + 11], '^[012]$') or
        not find(A[i + 12], '^%d+$') or not find(A[i + 13], '^%d+$')
end

-- Why a known child takes no new job now: a code, or nil.
local function submit_refusal(A, i, R, t, c)
    local child, job, a, err, tombstone = A[i + 1], A[i + 2], c[1], c[2], c[4]
    if t[PARENT] ~= '-' and t[PARENT] ~= A[i] then
        return with_act('CONFLICT', R, child, a, err)
    end
    if job ~= '' and tombstone then
        put_job(R, child, t, a, err, job, tombstone)
        return match(tombstone, '^%S+') == A[i + 3] and 'DUPLICATE' or 'CONFLICT'
    end
    if lives(t) then
        return with_act('ALREADY_RUNNING', R, child, a, err)
    end
end

-- j: affinity, model, disabled tools, tenant, traceparent, one a line. nil if one of them is no single line.
local function job_facts(A, i, session_affinity)
    local j = concat({ redis.sha1hex(session_affinity .. A[i + 10]), A[i + 5], A[i + 6], A[i + 4], A[i + 7] }, '\n')
    return match(j, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*$')
end

-- The superseded job keeps its outcome in its tombstone; what belonged to its run is removed.
local function supersede(key, t, err)
    if t[STATE] == 'none' then
        return
    end
    if t[JOB] ~= '-' then
        local digest = match(call('HGET', key, 'j:' .. t[JOB]) or '-', '^%S+')
        call('HSET', key, 'j:' .. t[JOB],
            concat({ digest, t[ACTIVATION], t[EPOCH], t[STATUS], err or '' }, ' '))
    end
    call('HDEL', key, 'e', 'x', 'p')
end

-- The messages of this submit: replaced, appended to, or as stored. Gives them as JSON if they are at hand.
local function store_messages(child, t, A, i, n, known)
    local replaces, append = A[i + 19] ~= '', A[i + 16]
    if replaces then
        if known then
            call('DEL', P .. 'm:' .. child)
        end
        push_messages(child, A, i + 20, i + n - 1)
    end
    if append ~= '' then
        call('RPUSH', P .. 'm:' .. child, append)
    end
    if replaces or append ~= '' then
        add(t, REV, 1)
    end
    if replaces and append == '' then
        return '[' .. concat(A, ',', i + 20, i + n - 1) .. ']'
    end
end

-- Everything in `a` that a new activation begins with; profile and labels are set already.
local function renew(t, A, i, size)
    add(t, ACTIVATION, 1)
    t[STATE], t[TOKEN], t[OWNER], t[STATUS], t[CANCELLED], t[ATTEMPT] = 'queued', '-', '-', 'pending', '0', '1'
    t[PRIORITY], t[PARENT], t[ATTEMPTS] = A[i + 11], A[i], A[i + 12]
    t[JOB], t[SUBMITTED], t[SIZE] = or_dash(A[i + 2]), now_ms(), format('%.0f', size)
end

local function store_child(key, t, A, i, j, session)
    local fields = { 'a', concat(t, ' '), 'j', j }
    if session then
        fields[5], fields[6], fields[7], fields[8] = 'h', A[i + 19], 'r', session
    end
    if A[i + 2] ~= '' then
        fields[#fields + 1] = 'j:' .. A[i + 2]
        fields[#fields + 1] = A[i + 3] .. ' ' .. t[ACTIVATION]
    end
    call('HSET', key, unpack(fields))
    return fields[2]
end

ops.submit = { n = 20, fn = function(A, i, n, R)
    local child, header, append, owner = A[i + 1], A[i + 19], A[i + 16], A[i + 14]
    if bad_submit(A, i) then
        return 'BAD_FIELD'
    end
    local key = P .. 'c:' .. child
    local c = call('HMGET', key, 'a', 'e', 'r', 'j:' .. A[i + 2])
    local known = c[1]
    local t = known and unpack_act(known) or no_activation()
    local refusal = known and submit_refusal(A, i, R, t, c)
    if refusal then
        return refusal
    end
    if not known and header == '' then
        return 'NOT_FOUND'
    end

    local session = header ~= '' and or_dash(A[i + 18]) .. ' ' .. or_dash(A[i + 17])
    local session_profile, affinity = match(session or c[3], '^(%S+) (%S+)$')
    local j = job_facts(A, i, affinity)
    if not j then
        return 'BAD_FIELD'
    end
    local size = (session and #header + bytes_of(A, i + 20, i + n - 1) or t[SIZE]) + #append
    if size > SESSION_MAX then
        return 'TOO_LARGE'
    end
    t[PROFILE], t[LABELS] = A[i + 8] ~= '' and A[i + 8] or session_profile, or_dash(A[i + 9])
    local claims = owner ~= '' and call('HEXISTS', P .. 'classes', class_of(t)) == 0 and is_alive(owner)
    if tight() or not claims and tonumber(call('GET', P .. 'n') or 0) >= tonumber(A[i + 13]) then
        return 'FULL'
    end

    if known then
        supersede(key, t, c[2])
    end
    renew(t, A, i, size)
    local messages = store_messages(child, t, A, i, n, known)
    if claims then
        assign(child, t, owner, A[i + 15])
    else
        enqueue(child, t, false)
    end
    local a = store_child(key, t, A, i, j, session)
    index(child, t)
    if not claims then
        return with_act('OK', R, child, a)
    end
    put_assignment(R, child, a, j, '', session and header or call('HGET', key, 'h'), messages or messages_json(child))
    return 'OK'
end }

-- ---- claim ----
-- profile labels max candidates (owner room idle)... token...; answers left, then assignments

local function read_candidates(A, i, count)
    local list = {}
    for k = 1, count do
        local owner, room, idle = A[i], tonumber(A[i + 1]), {}
        for key, n in string.gmatch(A[i + 2], '(%S+)=(%d+)') do
            idle[key] = tonumber(n)
        end
        list[k] = { owner = owner, room = is_alive(owner) and room or 0, idle = idle }
        i = i + 3
    end
    return list
end

-- The first with an idle worker of this key, else the first with room, else nil.
local function choose(candidates, affinity)
    local with_room
    for k = 1, #candidates do
        local c = candidates[k]
        if c.room > 0 then
            if (c.idle[affinity] or 0) > 0 then
                c.idle[affinity] = c.idle[affinity] - 1
                return c
            end
            with_room = with_room or c
        end
    end
    return with_room
end

local function total_room(candidates)
    local room = 0
    for k = 1, #candidates do
        room = room + candidates[k].room
    end
    return room
end

-- The activation behind a queue entry, or nil if the entry is a leftover.
local function waiting(entry)
    local child, activation = match(entry, '^(%S+) (%S+)$')
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'j', 'p', 'h')
    local t = c[1] and unpack_act(c[1])
    if t and t[STATE] == 'queued' and t[ACTIVATION] == activation then
        return child, t, c
    end
end

ops.claim = { n = 4, fn = function(A, i, n, R)
    local max, count = tonumber(A[i + 2]), tonumber(A[i + 3])
    if not max or not count or n < 4 + 3 * count + max then
        return 'BAD_FIELD'
    end
    local class = or_dash(A[i]) .. '/' .. or_dash(A[i + 1])
    local candidates = read_candidates(A, i + 4, count)
    local tokens = i + 3 + 3 * count
    local want = math.min(max, total_room(candidates))
    local taken, popped, bytes, slot = 0, 0, 0, #R + 1
    R[slot] = '0'
    for priority = 0, 2 do
        local ring = P .. 'q:' .. priority .. '/' .. class
        while taken < want and bytes < REPLY_BYTES and popped - taken < STALE_MAX do
            local entry = rotate(ring)
            if not entry then
                break
            end
            popped = popped + 1
            local child, t, c = waiting(entry)
            if child then
                local candidate = choose(candidates, match(c[2], '^[^\n]*'))
                taken = taken + 1
                candidate.room = candidate.room - 1
                assign(child, t, candidate.owner, A[tokens + taken])
                local a, messages = concat(t, ' '), messages_json(child)
                call('HSET', P .. 'c:' .. child, 'a', a)
                put_assignment(R, child, a, c[2], c[3], c[4], messages)
                bytes = bytes + #messages
            end
        end
    end
    if popped > 0 then
        call('DECRBY', P .. 'n', popped)
    end
    if taken > 0 then
        R[slot] = tostring(math.max(0, class_shrink(class, taken)))
    else
        R[slot] = call('HGET', P .. 'classes', class) or '0'
    end
    return 'OK'
end }

-- child owner; answers as claim
ops.reassign = { n = 2, reads = true, fn = function(A, i, n, R)
    local child = A[i]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'j', 'p', 'h')
    local t = c[1] and unpack_act(c[1])
    if not t or t[OWNER] ~= A[i + 1] or not lives(t) then
        return 'FENCED'
    end
    R[#R + 1] = '0'
    put_assignment(R, child, c[1], c[2], c[3], c[4], messages_json(child))
    return 'OK'
end }

-- ---- writes of the owner ----
-- child epoch token seq header event...

-- The activation if (epoch, token) may write it; else nil, code. A finished one keeps its token, so that its
-- owner is told the difference; a store-made end does not.
local function owned(child, epoch, token)
    local a = call('HGET', P .. 'c:' .. child, 'a')
    local t = a and unpack_act(a)
    if not t or #token ~= 32 or t[TOKEN] ~= token or t[EPOCH] ~= epoch then
        return nil, 'FENCED'
    end
    if t[STATE] == 'terminal' then
        return nil, 'ENDED'
    end
    return t
end

local function write_events(A, i, n, state)
    if not well_formed_events(A, i + 3, i + n - 1) then
        return 'BAD_FIELD'
    end
    local child = A[i]
    local t, code = owned(child, A[i + 1], A[i + 2])
    if not t then
        return code
    end
    if state and t[STATE] ~= state then
        t[STATE], t[STATUS] = state, state
    elseif n == 3 then
        return 'OK'
    end
    log_events(child, t, A, i + 3, i + n - 1)
    call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '))
    return 'OK'
end

ops.start = { n = 3, fn = function(A, i, n)
    return write_events(A, i, n, 'running')
end }

ops.append = { n = 3, fn = function(A, i, n)
    return write_events(A, i, n)
end }

-- child epoch token status error reply seq header event...
ops.finish = { n = 6, fn = function(A, i, n)
    local child, reply = A[i], A[i + 5]
    if not well_formed_events(A, i + 6, i + n - 1) or not find(A[i + 3], '^%l+$') then
        return 'BAD_FIELD'
    end
    local t, code = owned(child, A[i + 1], A[i + 2])
    if not t then
        return code == 'ENDED' and 'DUPLICATE' or code
    end
    log_events(child, t, A, i + 6, i + n - 1)
    if reply ~= '' then
        call('RPUSH', P .. 'm:' .. child, reply)
        add(t, SIZE, #reply)
    end
    merge_steering(child, t)
    disown(child, t)
    complete(child, t, A[i + 3], A[i + 4])
    return 'OK'
end }

-- child epoch token
ops.release = { n = 3, fn = function(A, i)
    local child = A[i]
    local t, code = owned(child, A[i + 1], A[i + 2])
    if not t then
        return code
    end
    if t[STATE] ~= 'assigned' then
        return 'STATE'
    end
    if t[CANCELLED] == '1' then
        end_cancelled(child, t, call('HGET', P .. 'c:' .. child, 'x'))
    else
        give_back(child, t)
    end
    return 'OK'
end }

-- ---- cancel, steer ----
-- child reason; answers ended (0 or 1), then the activation
ops.cancel = { n = 2, fn = function(A, i, n, R)
    local child, reason = A[i], A[i + 1]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    local t = c[1] and unpack_act(c[1])
    if not t or t[STATE] == 'none' then
        return 'NOT_FOUND'
    end
    if t[STATE] == 'terminal' then
        R[#R + 1] = '0'
        return with_act('ENDED', R, child, c[1], c[2])
    end
    if t[STATE] == 'queued' then
        t[CANCELLED] = '1'
        unqueue(child, t)
        end_cancelled(child, t, reason)
        R[#R + 1] = '1'
        put_act(R, child, concat(t, ' '), call('HGET', P .. 'c:' .. child, 'e'))
        return 'OK'
    end
    if t[CANCELLED] == '0' then
        t[CANCELLED] = '1'
        call('SADD', P .. 'oc:' .. t[OWNER], child)
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '), 'x', reason)
    end
    R[#R + 1] = '0'
    return with_act('OK', R, child, concat(t, ' '), c[2])
end }

-- child id message; answers the activation
ops.steer = { n = 3, fn = function(A, i, n, R)
    local child, id, message = A[i], A[i + 1], A[i + 2]
    if not find(id, '^%S+$') then
        return 'BAD_FIELD'
    end
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    local t = c[1] and unpack_act(c[1])
    if not t then
        return 'NOT_FOUND'
    end
    if call('SISMEMBER', P .. 'd:' .. child, id) == 1 then
        return with_act('DUPLICATE', R, child, c[1], c[2])
    end
    if t[SIZE] + #message > SESSION_MAX then
        return with_act('TOO_LARGE', R, child, c[1], c[2])
    end
    if tight() then
        return with_act('FULL', R, child, c[1], c[2])
    end
    call('SADD', P .. 'd:' .. child, id)
    add(t, SIZE, #message)
    if lives(t) then
        call('RPUSH', P .. 'p:' .. child, id .. ' ' .. message)
        add(t, STEERS, 1)
    else
        call('RPUSH', P .. 'm:' .. child, message)
        add(t, REV, 1)
    end
    local a = concat(t, ' ')
    call('HSET', P .. 'c:' .. child, 'a', a)
    return with_act('OK', R, child, a, c[2])
end }

-- ---- incarnations ----
-- incarnation runner facts
ops.join = { n = 3, fn = function(A, i)
    local incarnation, runner = A[i], A[i + 1]
    if call('HGET', P .. 'i:' .. incarnation, 's') == 'dead' then
        return 'DEAD'
    end
    local older = call('HGET', P .. 'runners', runner)
    if older and older ~= incarnation then
        declare_dead(older, runner)
        settle_some(older, runner)
    end
    call('HSET', P .. 'i:' .. incarnation, 'n', runner, 's', 'alive', 'f', A[i + 2])
    call('HSETNX', P .. 'i:' .. incarnation, 'c', '0')
    call('HSET', P .. 'runners', runner, incarnation)
    call('SADD', P .. 'is', incarnation)
    return 'OK'
end }

-- incarnation counter digest facts; answers differs (0 or 1), number of cancels, cancels..., owned...
ops.sync = { n = 4, fn = function(A, i, n, R)
    local incarnation, counter = A[i], tonumber(A[i + 1])
    if not counter then
        return 'BAD_FIELD'
    end
    local key = P .. 'i:' .. incarnation
    local seen = call('HMGET', key, 's', 'c')
    if seen[1] ~= 'alive' then
        return 'DEAD'
    end
    if counter > tonumber(seen[2]) then
        call('HSET', key, 'c', A[i + 1], 'f', A[i + 3])
    end
    local mine = call('ZRANGE', P .. 'o:' .. incarnation, 0, -1)
    local cancels = call('SMEMBERS', P .. 'oc:' .. incarnation)
    local differs = redis.sha1hex(#mine > 0 and concat(mine, '\n') .. '\n' or '') ~= A[i + 2]
    R[#R + 1] = differs and '1' or '0'
    R[#R + 1] = tostring(#cancels)
    for k = 1, #cancels do
        R[#R + 1] = cancels[k]
    end
    for k = 1, differs and #mine or 0 do
        R[#R + 1] = mine[k]
    end
    return 'OK'
end }

-- incarnation counter leave
ops.condemn = { n = 3, fn = function(A, i)
    local incarnation = A[i]
    local seen = call('HMGET', P .. 'i:' .. incarnation, 's', 'c', 'n')
    if not seen[1] then
        return 'NOT_FOUND'
    end
    if seen[1] == 'dead' then
        return 'OK'
    end
    if A[i + 2] ~= '1' and seen[2] ~= A[i + 1] then
        return 'STATE'
    end
    declare_dead(incarnation, seen[3])
    return 'OK'
end }

-- incarnation; answers left
ops.reap = { n = 1, fn = function(A, i, n, R)
    local incarnation = A[i]
    local seen = call('HMGET', P .. 'i:' .. incarnation, 's', 'n')
    if seen[1] == 'alive' then
        return 'STATE'
    end
    R[#R + 1] = tostring(settle_some(incarnation, seen[2] or incarnation))
    return 'OK'
end }

-- answers incarnation runner counter state owned facts, each
ops.incarnations = { n = 0, reads = true, fn = function(A, i, n, R)
    local all = call('SMEMBERS', P .. 'is')
    for k = 1, #all do
        local v = call('HMGET', P .. 'i:' .. all[k], 'n', 'c', 's', 'f')
        local at = #R
        R[at + 1], R[at + 2], R[at + 3], R[at + 4] = all[k], v[1] or '', v[2] or '0', v[3] or 'dead'
        R[at + 5], R[at + 6] = tostring(call('ZCARD', P .. 'o:' .. all[k])), v[4] or ''
    end
    return 'OK'
end }

-- ---- sessions and reading ----
-- child parent affinity profile rev header message...; answers the activation
ops.session_put = { n = 6, fn = function(A, i, n, R)
    local child, parent, header = A[i], A[i + 1], A[i + 5]
    if find(A[i + 2] .. A[i + 3], '%s') or not find(A[i + 4], '^%d+$') then
        return 'BAD_FIELD'
    end
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    local t = c[1] and unpack_act(c[1]) or no_activation()
    if lives(t) then
        return with_act('BUSY', R, child, c[1], c[2])
    end
    if t[REV] ~= A[i + 4] or parent ~= '' and t[PARENT] ~= '-' and t[PARENT] ~= parent then
        return with_act('CONFLICT', R, child, concat(t, ' '), c[2])
    end
    local size = #header + bytes_of(A, i + 6, i + n - 1)
    if size > SESSION_MAX then
        return 'TOO_LARGE'
    end
    if tight() then
        return 'FULL'
    end
    call('DEL', P .. 'm:' .. child)
    push_messages(child, A, i + 6, i + n - 1)
    add(t, REV, 1)
    t[SIZE] = format('%.0f', size)
    if parent ~= '' then
        t[PARENT] = parent
    end
    local a = concat(t, ' ')
    call('HSET', P .. 'c:' .. child, 'a', a, 'h', header, 'r', or_dash(A[i + 3]) .. ' ' .. or_dash(A[i + 2]))
    index(child, t)
    return with_act('OK', R, child, a, c[2])
end }

-- child; answers the activation, header, messages
ops.session_get = { n = 1, reads = true, fn = function(A, i, n, R)
    local child = A[i]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'h')
    if not c[1] then
        return 'NOT_FOUND'
    end
    put_act(R, child, c[1], c[2])
    R[#R + 1] = c[3] or '{}'
    R[#R + 1] = messages_json(child)
    return 'OK'
end }

-- child job; answers the activation
ops.get = { n = 2, reads = true, fn = function(A, i, n, R)
    local child, job = A[i], A[i + 1]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'j:' .. job)
    if not c[1] or job ~= '' and not c[3] then
        return 'NOT_FOUND'
    end
    if job == '' then
        put_act(R, child, c[1], c[2])
    else
        put_job(R, child, unpack_act(c[1]), c[1], c[2], job, c[3])
    end
    return 'OK'
end }

-- parent limit; answers activations
ops.list = { n = 2, reads = true, fn = function(A, i, n, R)
    local limit = tonumber(A[i + 1])
    if not limit then
        return 'BAD_FIELD'
    end
    local key = A[i] == '' and 'x' or 'k:' .. A[i]
    local children = call('ZREVRANGE', P .. key, 0, limit - 1)
    for k = 1, limit > 0 and #children or 0 do
        local c = call('HMGET', P .. 'c:' .. children[k], 'a', 'e')
        if c[1] then
            put_act(R, children[k], c[1], c[2])
        end
    end
    return 'OK'
end }

-- child epoch seq limit; answers the activation, first_available, logged_to, then seq header event each
ops.replay = { n = 4, reads = true, fn = function(A, i, n, R)
    local child, limit = A[i], tonumber(A[i + 3])
    if not limit or not find(A[i + 1] .. A[i + 2], '^%d+$') then
        return 'BAD_FIELD'
    end
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    if not c[1] then
        return 'NOT_FOUND'
    end
    local key = P .. 'e:' .. child
    local first, last = call('XRANGE', key, '-', '+', 'COUNT', 1), call('XREVRANGE', key, '+', '-', 'COUNT', 1)
    put_act(R, child, c[1], c[2])
    R[#R + 1] = first[1] and first[1][1] or ''
    R[#R + 1] = last[1] and last[1][1] or ''
    local from, bytes = A[i + 1] .. '-' .. A[i + 2], 0
    while limit > 0 and bytes < REPLY_BYTES do
        local entries = call('XRANGE', key, from, '+', 'COUNT', math.min(limit, 16))
        for k = 1, #entries do
            local v = entries[k][2]
            R[#R + 1], R[#R + 2], R[#R + 3] = match(entries[k][1], '%d+$'), v[2], v[4]
            bytes = bytes + #v[2] + #v[4]
        end
        if #entries == 0 then
            break
        end
        limit, from = limit - #entries, '(' .. entries[#entries][1]
    end
    return 'OK'
end }

-- answers "profile/labels", waiting, each
ops.classes = { n = 0, reads = true, fn = function(A, i, n, R)
    local all = call('HGETALL', P .. 'classes')
    for k = 1, #all do
        R[#R + 1] = all[k]
    end
    return 'OK'
end }

-- topic header event rejected
ops.broadcast = { n = 4, fn = function(A, i)
    if tight() then
        return 'FULL'
    end
    local streams = { 'broadcast', A[i + 3] == '1' and 'rejected' or nil }
    for k = 1, #streams do
        call('XADD', P .. streams[k], 'MAXLEN', '~', 10000, '*', 'topic', A[i], 'header', A[i + 1], 'event', A[i + 2])
    end
    return 'OK'
end }

-- answers queued, owned, sessions
ops.stats = { n = 0, reads = true, fn = function(A, i, n, R)
    local queued, live = 0, 0
    for _, waits in ipairs(call('HVALS', P .. 'classes')) do
        queued = queued + waits
    end
    for _, incarnation in ipairs(call('SMEMBERS', P .. 'is')) do
        live = live + call('ZCARD', P .. 'o:' .. incarnation)
    end
    R[#R + 1], R[#R + 2], R[#R + 3] = tostring(queued), tostring(live), tostring(call('ZCARD', P .. 'x'))
    return 'OK'
end }

-- ---- the frame ----------------------------------------------------------------------------------------------
local function begin(keys)
    P, clock = keys[1] .. ':', nil
    if not call then
        call, match, find, format = redis.call, string.match, string.find, string.format
        concat, floor = table.concat, math.floor
        PACKED = '^' .. string.rep('(%S+) ', 18) .. '(%S+)$'
    end
end

-- Runs one operation and appends code, number of fields, fields... A failure inside one never reaches its
-- neighbours; what it wrote before stays written (Redis has no rollback), hence the checks before first writes.
local function run(name, A, i, n, R)
    local op, at = ops[name], #R
    R[at + 1], R[at + 2] = 'BAD_KIND', 0
    if not op then
        return
    end
    if n < op.n then
        R[at + 1] = 'BAD_FIELD'
        return
    end
    local fine, code = pcall(op.fn, A, i, n, R)
    if not fine then
        for k = #R, at + 3, -1 do
            R[k] = nil
        end
        R[at + 3] = type(code) == 'table' and code.err or tostring(code)
        code = 'INTERNAL'
    end
    R[at + 1], R[at + 2] = code, #R - at - 2
end

-- op n arg... op n arg...
local function batch(keys, A)
    begin(keys)
    local R, i, last = {}, 1, #A
    while i < last do
        local n = tonumber(A[i + 1])
        if not n or n < 0 or i + 1 + n > last then
            return redis.error_reply('ERR malformed batch')
        end
        run(A[i], A, i + 2, n, R)
        i = i + 2 + n
    end
    return R
end

redis.register_function{ function_name = 'rz1_batch', callback = batch, flags = { 'allow-oom' } }

-- Each alone: rz1_submit, ...; what only reads may be called on a replica.
local function alone(name)
    redis.register_function{ function_name = 'rz1_' .. name,
        flags = { ops[name].reads and 'no-writes' or 'allow-oom' },
        callback = function(keys, A)
            begin(keys)
            local R = {}
            run(name, A, 1, #A, R)
            return R
        end }
end

local names = { 'submit', 'claim', 'reassign', 'start', 'append', 'finish', 'release', 'cancel', 'steer', 'join', 'sync',
    'condemn', 'reap', 'incarnations', 'session_put', 'session_get', 'get', 'list', 'replay', 'classes', 'broadcast',
    'stats' }
for i = 1, #names do
    alone(names[i])
end

-- Library version, id and shards of the store ("" when it was not initialised).
redis.register_function{ function_name = 'rz1_version', flags = { 'no-writes' }, callback = function(keys)
    local record = redis.call('HMGET', keys[1] .. ':store', 'id', 'shards')
    return { VERSION, record[1] or '', record[2] or '' }
end }
