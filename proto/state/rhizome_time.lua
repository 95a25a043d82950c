-- rhizome_time.lua - what waits and what becomes due: waits of parents, the store's own time, retention. Part of the
-- library that rhizome.lua begins.

local DUE_MAX = 64      -- deadlines one tick looks at
local RETIRE_MAX = 16   -- sessions one tick lets go of: each may be large
local TRIM_MAX = 10000  -- completions one tick drops
local WAITS_MAX = 64    -- open waits on one child: its end settles them all in one call
local WAIT_MS = 21600000 -- of a wait without a limit: upstream's lease of six hours
local BROKER_MS = 10000  -- a broker that did not reach the store for so long is not told of
local LAG_MAX = 10000   -- entries that are counted where Redis does not know a group's lag
local BACKLOG_MAX = 32  -- entries in line that one look at the backlog takes, and half as many by their deadline

-- ---- waits ----
local function put_wait(R, state, wait_for, by, waited)
    local n = #R
    R[n + 1], R[n + 2], R[n + 3] = state, wait_for, by
    for k = 1, #waited do
        R[n + 3 + k] = waited[k]
    end
end

local function put_known_wait(R, key, w)
    put_wait(R, w[1], w[2], w[4] or '', waited_children(key, w[3]))
end

-- Notes who of the waited has ended already; answers the status of the first that settles it, and that child.
local function register_children(key, member, A, first, last, wait_for)
    local by, status
    for k = first, last do
        local child = A[k]
        local a = call('HGET', P .. 'c:' .. child, 'a')
        local t = a and unpack_act(a)
        if t and t[STATE] == 'terminal' then
            call('HSET', P .. 'w:' .. key, 'c:' .. child, t[STATUS])
            if not by or not satisfies(wait_for, 1, status) then
                by, status = child, t[STATUS]
            end
        else
            call('SADD', P .. 'wl:' .. key, child)
            call('SADD', P .. 'wg:' .. child, member)
        end
    end
    return by, status
end

local function too_many_waits(A, first, last)
    for k = first, last do
        if call('SCARD', P .. 'wg:' .. A[k]) >= WAITS_MAX then
            return true
        end
    end
    return false
end

-- parent id wait_for timeout_ms child...; answers state wait_for by, then child status each
ops.wait_register = { n = 5, fn = function(A, i, n, R)
    local parent, id, wait_for, timeout = A[i], A[i + 1], A[i + 2], tonumber(A[i + 3])
    if not timeout or find(parent .. id, '[%s/]') or not find(wait_for, '^[%l_]+$') then
        return 'BAD_FIELD'
    end
    local key, member, children = parent .. '/' .. id, parent .. ' ' .. id, concat(A, ' ', i + 4, i + n - 1)
    local w = call('HMGET', P .. 'w:' .. key, 's', 'f', 'n', 'b')
    if w[1] then
        put_known_wait(R, key, w)
        return w[2] == wait_for and w[3] == children and 'DUPLICATE' or 'CONFLICT'
    end
    if tight() or too_many_waits(A, i + 4, i + n - 1) then
        return 'FULL'
    end
    call('HSET', P .. 'w:' .. key, 's', 'waiting', 'f', wait_for, 'n', children)
    local by, status = register_children(key, member, A, i + 4, i + n - 1, wait_for)
    if by and satisfies(wait_for, call('SCARD', P .. 'wl:' .. key), status) then
        wait_close(parent, id, 'satisfied', by)
    else
        call('ZADD', P .. 't', format('%.0f', tick() + (timeout > 0 and timeout or WAIT_MS)), 'w ' .. member)
    end
    put_known_wait(R, key, call('HMGET', P .. 'w:' .. key, 's', 'f', 'n', 'b'))
    return 'OK'
end }

local function are_all_of(children, tenant)
    for child in string.gmatch(children, '%S+') do
        if tenant_of(call('HGET', P .. 'c:' .. child, 'j')) ~= tenant then
            return false
        end
    end
    return true
end

-- parent id [tenant]; answers as wait_register. tenant: a wait on others than its own is not found.
ops.wait_get = { n = 2, reads = true, fn = function(A, i, n, R)
    local key, tenant = A[i] .. '/' .. A[i + 1], n > 2 and A[i + 2] or ''
    local w = call('HMGET', P .. 'w:' .. key, 's', 'f', 'n', 'b')
    if not w[1] or tenant ~= '' and not are_all_of(w[3], tenant) then
        return 'NOT_FOUND'
    end
    put_known_wait(R, key, w)
    return 'OK'
end }

-- ---- what becomes due ----
local function expire_queued(child, activation)
    local a = call('HGET', P .. 'c:' .. child, 'a')
    local t = a and unpack_act(a)
    if not t or t[STATE] ~= 'queued' or t[ACTIVATION] ~= activation then
        return 0
    end
    local secs = format('%.0f', floor(t[QUEUE] / 1000))
    unqueue(child, t)
    end_by_store(child, t, 'timeout',
        concat({ 'Child session was not started within ', secs, ' seconds (max_queue_secs=', secs, ')' }))
    return 1
end

local function expire_wait(parent, id)
    if call('HGET', P .. 'w:' .. parent .. '/' .. id, 's') ~= 'waiting' then
        return 0
    end
    wait_close(parent, id, 'expired', '')
    return 1
end

-- The pause of a rerun is over.
local function queue_rerun(child, activation)
    local a = call('HGET', P .. 'c:' .. child, 'a')
    local t = a and unpack_act(a)
    if t and t[STATE] == 'queued' and t[ACTIVATION] == activation then
        note(child, t, 'requeued')
        enqueue(child, t, true)
    end
end

local function expire_due()
    local due = call('ZRANGEBYSCORE', P .. 't', '-inf', format('%.0f', tick()), 'LIMIT', 0, DUE_MAX)
    local queued, waits = 0, 0
    for k = 1, #due do
        call('ZREM', P .. 't', due[k])
        local kind, first, second = match(due[k], '^(%S) (%S+) (%S+)$')
        if kind == 'q' then
            queued = queued + expire_queued(first, second)
        elseif kind == 'w' then
            waits = waits + expire_wait(first, second)
        elseif kind == 'r' then
            queue_rerun(first, second)
        end
    end
    return queued, waits, #due == DUE_MAX
end

-- ---- retention: what ended long ago becomes a tombstone (id, hash, status), and later nothing ----
local function retire(child)
    local key = P .. 'c:' .. child
    local c = call('HMGET', key, 'a', 'j')
    local t = c[1] and unpack_act(c[1])
    if not t or lives(t) then
        return 0 -- it comes again when it ends
    end
    call('UNLINK', P .. 'm:' .. child, P .. 'p:' .. child, P .. 'u:' .. child, P .. 's:' .. child, P .. 'e:' .. child,
        P .. 'l:' .. child, P .. 'd:' .. child) -- d: steering ids of library 1.0
    call('HDEL', key, 'h', 'r', 'e', 'x', 'p', 'l', 'k')
    if tenant_of(c[2]) == '' then -- else it tells whose the id is, as long as that is known
        call('HDEL', key, 'j')
    end
    call('ZREM', P .. 'x', child)
    call('ZREM', P .. 'k:' .. t[PARENT], child)
    t[SIZE], t[STEERS] = '0', '0'
    call('HSET', key, 'a', concat(t, ' '))
    call('ZADD', P .. 'zt', tick(), child)
    return 1
end

local function retire_old(age)
    local old = call('ZRANGEBYSCORE', P .. 'z', '-inf', format('%.0f', tick() - age), 'LIMIT', 0, RETIRE_MAX)
    local retired = 0
    for k = 1, #old do
        call('ZREM', P .. 'z', old[k])
        local parent, id = match(old[k], '^w (%S+) (%S+)$')
        if parent then
            call('UNLINK', P .. 'w:' .. parent .. '/' .. id)
        else
            retired = retired + retire(old[k])
        end
    end
    return retired, #old == RETIRE_MAX
end

local function forget_old(age)
    local old = call('ZRANGEBYSCORE', P .. 'zt', '-inf', format('%.0f', tick() - age), 'LIMIT', 0, DUE_MAX)
    for k = 1, #old do
        call('ZREM', P .. 'zt', old[k])
        call('UNLINK', P .. 'c:' .. old[k])
    end
    return #old, #old == DUE_MAX
end

-- ---- completions: trimmed only below what every registered group has acknowledged ----
local function is_below(a, b)
    local a_ms, a_n = match(a, '^(%d+)-(%d+)$')
    local b_ms, b_n = match(b, '^(%d+)-(%d+)$')
    a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
    return a_ms < b_ms or a_ms == b_ms and tonumber(a_n) < tonumber(b_n)
end

-- XINFO answers flat pairs
local function pairs_of(list)
    local map = {}
    for k = 1, #list, 2 do
        map[list[k]] = list[k + 1]
    end
    return map
end

local function completion_groups()
    if call('EXISTS', P .. 'completions') == 0 then
        return {}
    end
    local groups = call('XINFO', 'GROUPS', P .. 'completions')
    for k = 1, #groups do
        groups[k] = pairs_of(groups[k])
    end
    return groups
end

-- The oldest entry that somebody still needs; nil without groups.
local function needed_from(groups)
    local floor_id
    for k = 1, #groups do
        local id = groups[k]['last-delivered-id']
        if groups[k].pending > 0 then
            id = call('XPENDING', P .. 'completions', groups[k].name)[2] or id
        end
        if not floor_id or is_below(id, floor_id) then
            floor_id = id
        end
    end
    return floor_id
end

-- Answers whether there is more to drop now: not if what is left is still needed by a group.
local function trim_completions(max)
    local key = P .. 'completions'
    local excess = call('XLEN', key) - max
    if excess <= 0 then
        return false
    end
    local from, dropped = needed_from(completion_groups()), 0
    if from then
        dropped = call('XTRIM', key, 'MINID', '~', from, 'LIMIT', math.min(excess, TRIM_MAX))
    else
        dropped = call('XTRIM', key, 'MAXLEN', '~', format('%.0f', max), 'LIMIT', TRIM_MAX)
    end
    return excess > TRIM_MAX and dropped > TRIM_MAX / 2
end

-- Redis does not know the lag of a group that was made in the middle of the stream until it has caught up once.
local function lag_of(group)
    return tonumber(group.lag) or
        #call('XRANGE', P .. 'completions', '(' .. group['last-delivered-id'], '+', 'COUNT', LAG_MAX)
end

-- answers entries, then name consumers pending lag of each reader group
ops.groups = { n = 0, reads = true, fn = function(A, i, n, R)
    R[#R + 1] = tostring(call('XLEN', P .. 'completions'))
    for _, group in ipairs(completion_groups()) do
        local at = #R
        R[at + 1], R[at + 2], R[at + 3] = group.name, tostring(group.consumers), tostring(group.pending)
        R[at + 4] = tostring(lag_of(group))
    end
    return 'OK'
end }

-- ---- backlog ----
-- Of one queue entry: for how many ms since its submit; 0 for a leftover.
local function waits_for(entry)
    local child, activation = match(entry, '^(%S+) (%S+)$')
    local a = call('HGET', P .. 'c:' .. child, 'a')
    local t = a and unpack_act(a)
    return t and t[STATE] == 'queued' and t[ACTIVATION] == activation and now_ms() - t[SUBMITTED] or 0
end

-- The first of at most `max` parents of a ring; answers the longest wait among them, and how many were looked at.
local function ring_waits_for(ring, max)
    local parents, longest = call('LRANGE', ring, 0, max - 1), 0
    for k = 1, #parents do
        local entry = call('LINDEX', ring .. '/' .. parents[k], 0)
        longest = entry and math.max(longest, waits_for(entry)) or longest
    end
    return longest, #parents
end

-- answers how many wait, and how long the oldest of them has: the oldest of those looked at, which are the first whose time
-- in the queue ends (all have the same time, unless jobs say otherwise) and the next in line (of few parents, all)
ops.backlog = { n = 0, reads = true, fn = function(A, i, n, R)
    local waiting, longest, looks = 0, 0, BACKLOG_MAX
    for _, due in ipairs(call('ZRANGE', P .. 't', 0, BACKLOG_MAX / 2 - 1)) do
        local entry = match(due, '^q (.*)$')
        longest = entry and math.max(longest, waits_for(entry)) or longest
    end
    local classes = call('HGETALL', P .. 'classes')
    for k = 1, #classes, 2 do
        waiting = waiting + classes[k + 1]
        for priority = 0, 2 do
            if looks > 0 then
                local ring = concat({ P, 'q:', priority, '/', classes[k] })
                local ms, looked = ring_waits_for(ring, looks)
                longest, looks = math.max(longest, ms), looks - looked
            end
        end
    end
    R[#R + 1], R[#R + 2] = format('%.0f', waiting), format('%.0f', longest)
    return 'OK'
end }

-- ---- brokers ----
-- Who ticks lives; by the store's own time, so that none is forgotten while nobody could tick.
local function note_broker(places)
    if places ~= '' and who ~= '-' then
        call('HSET', P .. 'brokers', who, concat({ format('%.0f', tick()), places }, ' '))
    end
end

local function put_brokers(R)
    local all = call('HGETALL', P .. 'brokers')
    for k = 1, #all, 2 do
        local heard, places = match(all[k + 1], '^(%d+) (.*)$')
        if tick() - heard > BROKER_MS then
            call('HDEL', P .. 'brokers', all[k])
        else
            R[#R + 1], R[#R + 2] = all[k], places
        end
    end
end

-- ---- tick ----
-- seen elapsed retention_ms tombstone_ms completions_max [places]; answers tick queue_expired waits_expired retired forgotten
-- more, then name and places of each broker that lives
-- The store's time is the largest that a watching broker vouches for: what it saw, and how long it has watched since.
ops.tick = { n = 5, fn = function(A, i, n, R)
    local v = {}
    for k = 1, 5 do
        v[k] = tonumber(A[i + k - 1])
        if not v[k] then
            return 'BAD_FIELD'
        end
    end
    if v[1] + v[2] > tick() then
        ticked = v[1] + v[2]
        call('SET', P .. 'tick', format('%.0f', ticked))
    end
    local queued, waits, more_due = expire_due()
    local retired, more_old = retire_old(v[3])
    local forgotten, more_tombs = forget_old(v[4])
    local more_ends = trim_completions(v[5])
    local at = #R
    R[at + 1], R[at + 2], R[at + 3] = format('%.0f', tick()), tostring(queued), tostring(waits)
    R[at + 4], R[at + 5] = tostring(retired), tostring(forgotten)
    R[at + 6] = (more_due or more_old or more_tombs or more_ends) and '1' or '0'
    note_broker(n > 5 and A[i + 5] or '')
    put_brokers(R)
    return 'OK'
end }

-- ---- explain ----
-- child; answers the activation, then its transitions, one text each; the runner stands in those of its epoch
ops.explain = { n = 1, reads = true, fn = function(A, i, n, R)
    local child = A[i]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'l')
    if not c[1] then
        return 'NOT_FOUND'
    end
    put_act(R, child, c[1], c[2], c[3])
    local runner_of = {}
    for _, line in ipairs(call('LRANGE', P .. 'l:' .. child, 0, -1)) do
        local head, epoch, what, by, runner, detail = match(line, '^(%S+ %S+) (%S+) (%S+) (%S+) (%S+) ?(.*)$')
        if runner ~= '-' then
            runner_of[epoch] = runner
        end
        R[#R + 1] = concat({ head, epoch, what, by, runner_of[epoch] or '-', detail }, ' ')
    end
    return 'OK'
end }
