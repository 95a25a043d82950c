
-- rhizome_fleet.lua - incarnations, sessions, reading, and the frame around all operations. Ends the library.

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
    alive[incarnation] = true
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
    P, clock, alive = keys[1] .. ':', nil, {}
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

local names = { 'submit', 'claim', 'reassign', 'start', 'append', 'finish', 'release', 'cancel', 'steer', 'join',
    'sync', 'condemn', 'reap', 'incarnations', 'session_put', 'session_get', 'get', 'list', 'replay', 'classes', 'broadcast',
    'stats' }
for i = 1, #names do
    alone(names[i])
end

-- Library version, id and shards of the store ("" when it was not initialised).
redis.register_function{ function_name = 'rz1_version', flags = { 'no-writes' }, callback = function(keys)
    local record = redis.call('HMGET', keys[1] .. ':store', 'id', 'shards')
    return { VERSION, record[1] or '', record[2] or '' }
end }
