
-- rhizome_fleet.lua - incarnations, sessions, reading, and the frame around all operations. Part of the library that
-- rhizome.lua begins.

local UNHEARD_MAX = 64
local UNHEARD_BYTES = 262144
local LOOK_MAX = 2000 -- entries one list looks at
local LIST_STEP = 100

-- ---- incarnations ----
-- incarnation runner facts
ops.join = { n = 3, fn = function(A, i)
    local incarnation, runner = A[i], A[i + 1]
    if call('HGET', P .. 'i:' .. incarnation, 's') == 'dead' then
        return 'DEAD'
    end
    local named = call('HGET', P .. 'i:' .. incarnation, 'n')
    if named and named ~= runner then
        return 'CONFLICT' -- it is the life of another: nobody takes it over under a name of his own
    end
    local older = call('HGET', P .. 'runners', runner)
    if older and older ~= incarnation then
        declare_dead(older, runner)
        settle_some(older, runner)
    end
    call('HSET', P .. 'i:' .. incarnation, 'n', runner, 's', 'alive', 'f', A[i + 2])
    call('HSETNX', P .. 'i:' .. incarnation, 'c', '0')
    known_incarnations[incarnation] = { alive = true, runner = runner }
    call('HSET', P .. 'runners', runner, incarnation)
    call('SADD', P .. 'is', incarnation)
    return 'OK'
end }

-- Whoever says two more syncs after a finish has published it.
local function age_finished(incarnation)
    local newer, older = P .. 'f:' .. incarnation, P .. 'g:' .. incarnation
    if call('EXISTS', newer) == 1 then
        call('RENAME', newer, older)
    else
        call('DEL', older)
    end
end

-- What the runner says of its runs, kept for those that are its own.
local function keep_progress(incarnation, A, first, last)
    for k = first, last, 3 do
        local child, epoch = A[k], A[k + 1]
        if call('ZSCORE', P .. 'o:' .. incarnation, child .. ' ' .. epoch) then
            call('HSET', P .. 'c:' .. child, 'l', epoch .. ' ' .. A[k + 2])
        end
    end
end

-- Appends child epoch id message of the steering that no worker of this child was told of, the first at least and others
-- while there is room; answers its bytes.
local function put_unheard(R, child, room)
    local a, ids, bytes = call('HGET', P .. 'c:' .. child, 'a'), {}, 0
    local t = a and unpack_act(a)
    for _, id in ipairs(call('SMEMBERS', P .. 'u:' .. child)) do
        ids[id] = true
    end
    for _, entry in ipairs(t and call('LRANGE', P .. 'p:' .. child, 0, -1) or {}) do
        local id, message = match(entry, '^(%S+) (.*)$')
        if ids[id] and bytes < room then
            local at = #R
            R[at + 1], R[at + 2], R[at + 3], R[at + 4] = child, t[EPOCH], id, message
            bytes = bytes + #message
        end
    end
    return bytes
end

-- incarnation counter digest facts (child epoch progress)...
-- answers differs (0 or 1), number of cancels, cancels..., number of unheard, (child epoch id message)..., owned...
ops.sync = { n = 4, fn = function(A, i, n, R)
    local incarnation, counter = A[i], tonumber(A[i + 1])
    if not counter or (n - 4) % 3 ~= 0 then
        return 'BAD_FIELD'
    end
    local key = P .. 'i:' .. incarnation
    local seen = call('HMGET', key, 's', 'c')
    if seen[1] ~= 'alive' then
        return 'DEAD'
    end
    keep_progress(incarnation, A, i + 4, i + n - 1)
    if counter > tonumber(seen[2]) then
        call('HSET', key, 'c', A[i + 1], 'f', A[i + 3])
        age_finished(incarnation)
    end
    local mine = call('ZRANGE', P .. 'o:' .. incarnation, 0, -1)
    local cancels = call('SMEMBERS', P .. 'oc:' .. incarnation)
    local differs = redis.sha1hex(#mine > 0 and concat(mine, '\n') .. '\n' or '') ~= A[i + 2]
    R[#R + 1] = differs and '1' or '0'
    R[#R + 1] = tostring(#cancels)
    for k = 1, #cancels do
        R[#R + 1] = cancels[k]
    end
    local count, bytes = #R + 1, 0
    R[count] = '0'
    for _, child in ipairs(call('SRANDMEMBER', P .. 'os:' .. incarnation, UNHEARD_MAX)) do
        if bytes < UNHEARD_BYTES then
            bytes = bytes + put_unheard(R, child, UNHEARD_BYTES - bytes)
        end
    end
    R[count] = tostring((#R - count) / 4)
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
    if A[i + 2] == '1' then -- it said bye after its last publication
        call('DEL', P .. 'f:' .. incarnation, P .. 'g:' .. incarnation)
    end
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
        local owned = v[3] == 'alive' and call('ZCARD', P .. 'o:' .. all[k]) or owes(all[k])
        R[at + 5], R[at + 6] = tostring(owned), v[4] or ''
    end
    return 'OK'
end }

-- ---- sessions and reading ----
-- child parent affinity profile rev header message...; answers the activation
ops.session_put = { n = 6, fn = function(A, i, n, R)
    local child, parent, header = A[i], A[i + 1], A[i + 5]
    if find(A[i + 2] .. A[i + 3], '[%s/]') or not find(A[i + 4], '^%d+$') then
        return 'BAD_FIELD'
    end
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'h')
    local t = c[1] and unpack_act(c[1]) or no_activation()
    if lives(t) then
        return with_act('BUSY', R, child, c[1], c[2])
    end
    local rev = c[3] and t[REV] or '0' -- of a tombstone there is no session
    if rev ~= A[i + 4] or parent ~= '' and t[PARENT] ~= '-' and t[PARENT] ~= parent then
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
    call('ZADD', P .. 'z', tick(), child)
    call('ZREM', P .. 'zt', child)
    index(child, t)
    return with_act('OK', R, child, a, c[2])
end }

-- child; answers the activation, header, messages, model of the latest job
ops.session_get = { n = 1, reads = true, fn = function(A, i, n, R)
    local child = A[i]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'h', 'j')
    if not c[3] then
        return 'NOT_FOUND'
    end
    put_act(R, child, c[1], c[2])
    R[#R + 1] = c[3]
    R[#R + 1] = messages_json(child)
    R[#R + 1] = match(c[4] or '', '^[^\n]*\n([^\n]*)') or ''
    return 'OK'
end }

-- child job; answers the activation
ops.get = { n = 2, reads = true, fn = function(A, i, n, R)
    local child, job = A[i], A[i + 1]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'j:' .. job, 'l')
    if not c[1] or job ~= '' and not c[3] then
        return 'NOT_FOUND'
    end
    if job == '' then
        put_act(R, child, c[1], c[2], c[4])
    else
        put_job(R, child, unpack_act(c[1]), c[1], c[2], job, c[3])
    end
    return 'OK'
end }

-- child; answers its parent and its tenant, '' for none
ops.whose = { n = 1, reads = true, fn = function(A, i, n, R)
    local c = call('HMGET', P .. 'c:' .. A[i], 'a', 'j')
    if not c[1] then
        return 'NOT_FOUND'
    end
    local parent = unpack_act(c[1])[PARENT]
    R[#R + 1], R[#R + 2] = parent ~= '-' and parent or '', tenant_of(c[2])
    return 'OK'
end }

local function is_listed(a, wanted)
    if wanted == '' then
        return true
    end
    local t = unpack_act(a)
    return t[STATE] == wanted or t[STATUS] == wanted
end

-- parent status since_ms before limit [tenant]; answers next, then activations. A place in the index is "score:skip": so many of
-- that score were seen. next: '' at the end.
ops.list = { n = 5, reads = true, fn = function(A, i, n, R)
    local limit, since, wanted, tenant = tonumber(A[i + 4]), tonumber(A[i + 2]), A[i + 1], n > 5 and A[i + 5] or ''
    local score, skip = match(A[i + 3], '^(%d+):(%d+)$')
    if not limit or not since or A[i + 3] ~= '' and (not score or #score > 15 or #skip > 9) then
        return 'BAD_FIELD'
    end
    local key, slot, found, looked = P .. (A[i] == '' and 'x' or 'k:' .. A[i]), #R + 1, 0, 0
    local least = since > 0 and format('%.0f', since) or '-inf'
    score, skip, R[slot] = score or '+inf', tonumber(skip or 0), ''
    while found < limit and looked < LOOK_MAX do
        local page = call('ZREVRANGEBYSCORE', key, score, least, 'WITHSCORES', 'LIMIT', skip, LIST_STEP)
        for k = 1, #page, 2 do
            if found == limit then
                R[slot] = score .. ':' .. format('%.0f', skip)
                return 'OK'
            end
            skip = page[k + 1] == score and skip + 1 or 1
            score, looked = page[k + 1], looked + 1
            local c = call('HMGET', P .. 'c:' .. page[k], 'a', 'e', 'l', 'j')
            if c[1] and is_listed(c[1], wanted) and (tenant == '' or tenant_of(c[4]) == tenant) then
                put_act(R, page[k], c[1], c[2], c[3])
                found = found + 1
            end
        end
        if #page < 2 * LIST_STEP then
            return 'OK'
        end
    end
    R[slot] = score .. ':' .. format('%.0f', skip)
    return 'OK'
end }

-- Logged events of a child that are not there any more.
local function trimmed(key)
    if call('EXISTS', key) == 0 then
        return '0'
    end
    local stream = pairs_of(call('XINFO', 'STREAM', key))
    return format('%.0f', stream['entries-added'] - stream.length)
end

-- child epoch seq limit [count]; answers the activation, first_available, logged_to, how many were trimmed if `count` is 1,
-- then seq header event each
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
    if n > 4 and A[i + 4] == '1' then
        R[#R + 1] = trimmed(key)
    end
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
    P, clock, ticked, base, who, log_max, known_incarnations = keys[1] .. ':', nil, nil, nil, '-', LOG_MAX, {}
    if not call then
        call, match, find, format = redis.call, string.match, string.find, string.format
        concat, floor = table.concat, math.floor
        PACKED = '^' .. string.rep('(%S+) ', 19) .. '(%S+)$'
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

-- "broker" or "broker log_max", then op n arg... op n arg...
local function batch(keys, A)
    begin(keys)
    if call('EXISTS', P .. 'store') == 0 then -- emptied under us: nothing is done to what is no store
        return redis.error_reply('NOSTORE the store has no record')
    end
    local name, most = match(A[1], '^(%S+) (%d+)$')
    who, log_max = name or A[1], most or LOG_MAX
    local R, i, last = {}, 2, #A
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

local names = { 'submit', 'submit_own', 'doom', 'retry', 'claim', 'reassign', 'start', 'append', 'finish', 'release', 'cancel', 'steer', 'steered', 'join',
    'sync', 'condemn', 'reap', 'incarnations', 'session_put', 'session_get', 'get', 'whose', 'list', 'replay', 'classes', 'broadcast',
    'stats', 'explain', 'wait_register', 'wait_get', 'tick', 'groups', 'backlog' }
for i = 1, #names do
    alone(names[i])
end

-- from; answers how many it looked at. What ended before the store kept time is retired like everything else.
redis.register_function{ function_name = 'rz1_adopt', flags = { 'allow-oom' }, callback = function(keys, A)
    begin(keys)
    local from = tonumber(A[1]) or 0
    local children = call('ZRANGE', P .. 'x', from, from + 499)
    for k = 1, #children do
        local a = call('HGET', P .. 'c:' .. children[k], 'a')
        if a and not lives(unpack_act(a)) then
            call('ZADD', P .. 'z', 'NX', tick(), children[k])
        end
    end
    return #children
end }
