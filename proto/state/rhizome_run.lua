
-- rhizome_run.lua - the life of one activation. Part of the library that rhizome.lua begins.

-- ---- operations: fn(A, i, n, R) with arguments A[i] .. A[i + n - 1]; `n` in the table is how many at least ----
local ops = {}

-- ---- submit ----
-- parent child job digest | tenant model tools traceparent | profile labels job_affinity priority attempts |
-- queue_max owner token append | session_affinity session_profile header | max_queue_ms doom | message...
-- Answers the activation (4 fields), or the assignment (6) if it was claimed at once. doom: it is stored and ends
-- `error` with this text, for nobody could ever run it.

local function bad_submit(A, i)
    return find(A[i + 8] .. A[i + 9] .. A[i + 18], '[%s/]') or not find(A[i + 11], '^[012]$') or
        not find(A[i + 12], '^%d+$') or not find(A[i + 13], '^%d+$') or not find(A[i + 20], '^%d+$')
end

-- Why a known child takes no new job now: a code, or nil. The parent and the tenant that it has it keeps. own: one that has
-- none is not taken over either, and nothing is shown of it.
local function submit_refusal(A, i, R, t, c, own)
    local child, job, a, err, tombstone, tenant = A[i + 1], A[i + 2], c[1], c[2], c[4], tenant_of(c[5])
    if own and (t[PARENT] ~= A[i] or tenant ~= A[i + 4]) then
        return 'CONFLICT'
    end
    if t[PARENT] ~= A[i] and t[PARENT] ~= '-' or tenant ~= A[i + 4] and tenant ~= '' then
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
local function job_facts(A, i, profile, session_affinity)
    local j = concat({ redis.sha1hex(profile .. ' ' .. session_affinity .. A[i + 10]), A[i + 5], A[i + 6], A[i + 4], A[i + 7] }, '\n')
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
    call('HDEL', key, 'e', 'x', 'p', 'l', 'k')
end

-- A child that is activated for years does not remember every job of them.
local function forget_old_jobs(key, t)
    local fields = call('HGETALL', key)
    for k = 1, #fields, 2 do
        local activation = find(fields[k], '^j:') and match(fields[k + 1], '^%S+ (%d+)')
        if activation and tonumber(activation) <= t[ACTIVATION] - JOBS_MAX / 2 then
            call('HDEL', key, fields[k])
        end
    end
end

-- The messages of this submit: replaced, appended to, or as stored. Gives them as JSON if they are at hand.
local function store_messages(child, t, A, i, n, known)
    local replaces, append = A[i + 19] ~= '', A[i + 16]
    if replaces then
        if known then
            call('DEL', P .. 'm:' .. child)
        end
        push_messages(child, A, i + 22, i + n - 1)
    end
    if append ~= '' then
        call('RPUSH', P .. 'm:' .. child, append)
    end
    if replaces or append ~= '' then
        add(t, REV, 1)
    end
    if replaces and append == '' then
        return '[' .. concat(A, ',', i + 22, i + n - 1) .. ']'
    end
end

-- Everything in `a` that a new activation begins with; profile and labels are set already.
local function renew(t, A, i, size)
    add(t, ACTIVATION, 1)
    t[STATE], t[TOKEN], t[OWNER], t[STATUS], t[CANCELLED], t[ATTEMPT] = 'queued', '-', '-', 'pending', '0', '1'
    t[PRIORITY], t[PARENT], t[ATTEMPTS] = A[i + 11], A[i], A[i + 12]
    t[JOB], t[SUBMITTED], t[SIZE], t[QUEUE] = or_dash(A[i + 2]), now_ms(), format('%.0f', size), A[i + 20]
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
    if A[i + 2] ~= '' and call('HLEN', key) > JOBS_MAX then
        forget_old_jobs(key, t)
    end
    return fields[2]
end

-- Its parent was cancelled with its tree and has not been run since: what that begot in its grace, or comes late, finds this
-- mark. Every descendant that the cancel reached has one, so nobody need look further up.
local function is_orphan(child, parent, tenant)
    local mark = parent ~= child and call('HGET', P .. 'c:' .. parent, 'k')
    return mark and (mark == '' or mark == tenant)
end

local function mark_tree(child, tenant)
    call(tenant == '' and 'HSET' or 'HSETNX', P .. 'c:' .. child, 'k', tenant)
end

-- The end it would have had if the cancel had found it in a queue.
local function end_with_tree(child, t, R)
    local parent = t[PARENT]
    local why = concat({ 'Its parent ', parent, ' was cancelled with its tree; run ', parent, ' anew first' })
    t[CANCELLED] = '1'
    mark_tree(child, call('HGET', P .. 'c:' .. parent, 'k'))
    end_cancelled(child, t, why)
    return with_act('OK', R, child, concat(t, ' '), why)
end

local function queue_is_full(max)
    return tonumber(call('GET', P .. 'n') or 0) >= tonumber(max)
end

local function submit(A, i, n, R, own)
    local child, header, append, owner, doom = A[i + 1], A[i + 19], A[i + 16], A[i + 14], A[i + 21]
    if bad_submit(A, i) then
        return 'BAD_FIELD'
    end
    local key = P .. 'c:' .. child
    local c = call('HMGET', key, 'a', 'e', 'r', 'j:' .. A[i + 2], 'j')
    local known = c[1]
    local t = known and unpack_act(known) or no_activation()
    local refusal = known and submit_refusal(A, i, R, t, c, own)
    if refusal then
        return refusal
    end
    if header == '' and not c[3] then
        return 'NOT_FOUND'
    end

    local session = header ~= '' and or_dash(A[i + 18]) .. ' ' .. or_dash(A[i + 17])
    local session_profile, affinity = match(session or c[3], '^(%S+) (%S+)$')
    local profile = A[i + 8] ~= '' and A[i + 8] or session_profile
    local j = job_facts(A, i, profile, affinity)
    if not j then
        return 'BAD_FIELD'
    end
    local size = (session and #header + bytes_of(A, i + 22, i + n - 1) or t[SIZE]) + #append
    if size > SESSION_MAX then
        return 'TOO_LARGE'
    end
    t[PROFILE], t[LABELS] = profile, or_dash(A[i + 9])
    local orphan = is_orphan(child, A[i], A[i + 4])
    local runs = doom == '' and not orphan
    local claims = owner ~= '' and runs and call('HEXISTS', P .. 'classes', class_of(t)) == 0 and is_alive(owner)
    if tight() or not claims and queue_is_full(A[i + 13]) then
        return 'FULL'
    end

    if known then
        supersede(key, t, c[2])
        if not c[3] then
            call('ZREM', P .. 'zt', child)
        end
    end
    renew(t, A, i, size)
    local messages = store_messages(child, t, A, i, n, known)
    if claims then
        assign(child, t, owner, A[i + 15])
    elseif runs then
        note(child, t, 'queued')
        enqueue(child, t, false)
    end
    local a = store_child(key, t, A, i, j, session)
    index(child, t)
    if orphan then
        return end_with_tree(child, t, R)
    end
    if doom ~= '' then
        end_by_store(child, t, 'error', doom)
        return with_act('OK', R, child, concat(t, ' '), doom)
    end
    if not claims then
        return with_act('OK', R, child, a)
    end
    put_assignment(R, child, a, j, '', session and header or call('HGET', key, 'h'), messages or messages_json(child))
    return 'OK'
end

ops.submit = { n = 22, fn = function(A, i, n, R)
    return submit(A, i, n, R, false)
end }

-- As submit, for who may speak for some parents or a tenant only: a known child must be this parent's and this tenant's already.
ops.submit_own = { n = 22, fn = function(A, i, n, R)
    return submit(A, i, n, R, true)
end }

-- child activation text; answers the activation. It is queued, and whoever asks knows that it can never run.
ops.doom = { n = 3, fn = function(A, i, n, R)
    local child, text = A[i], A[i + 2]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    local t = c[1] and unpack_act(c[1])
    if not t then
        return 'NOT_FOUND'
    end
    if t[STATE] ~= 'queued' or t[ACTIVATION] ~= A[i + 1] then
        return with_act('STATE', R, child, c[1], c[2])
    end
    unqueue(child, t)
    end_by_store(child, t, 'error', text)
    return with_act('OK', R, child, concat(t, ' '), text)
end }

-- child queue_max; answers the activation. Once more, as its latest job was.
ops.retry = { n = 2, fn = function(A, i, n, R)
    local child, key = A[i], P .. 'c:' .. A[i]
    local c = call('HMGET', key, 'a', 'e', 'r', 'j')
    local t = c[1] and unpack_act(c[1])
    if not t or not c[3] or not c[4] or t[STATE] == 'none' then
        return 'NOT_FOUND'
    end
    if lives(t) then
        return with_act('ALREADY_RUNNING', R, child, c[1], c[2])
    end
    if tight() or queue_is_full(A[i + 1]) then
        return 'FULL'
    end
    supersede(key, t, c[2])
    add(t, ACTIVATION, 1)
    t[STATE], t[TOKEN], t[OWNER], t[STATUS], t[CANCELLED], t[ATTEMPT] = 'queued', '-', '-', 'pending', '0', '1'
    t[JOB], t[SUBMITTED] = '-', now_ms()
    if is_orphan(child, t[PARENT], tenant_of(c[4])) then
        index(child, t)
        return end_with_tree(child, t, R)
    end
    note(child, t, 'queued', nil, 'retry')
    enqueue(child, t, false)
    local a = concat(t, ' ')
    call('HSET', key, 'a', a)
    index(child, t)
    return with_act('OK', R, child, a)
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

-- What came while it was queued, or for an attempt that was lost, this run hears as part of its session.
local function hear_steering(child, t)
    if t[STEERS] ~= '0' then
        merge_steering(child, t)
        add(t, REV, 1)
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
                forget_deadline(child, t)
                hear_steering(child, t)
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

-- Its owner does not hold it, and nobody knows what became of it: as if the runner was lost in mid run.
local function settle_unknown(child, t)
    local why = 'lost with an earlier state of the store'
    if t[CANCELLED] ~= '0' then
        end_cancelled(child, t, call('HGET', P .. 'c:' .. child, 'x'))
    elseif may_rerun(t) then
        rerun_later(child, t, why)
    else
        end_by_store(child, t, 'error', why)
    end
end

-- child owner; answers as claim
ops.reassign = { n = 2, fn = function(A, i, n, R)
    local child = A[i]
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'j', 'p', 'h')
    local t = c[1] and unpack_act(c[1])
    if not t or t[OWNER] ~= A[i + 1] or not lives(t) then
        return 'FENCED'
    end
    if is_from_before(t) then
        settle_unknown(child, t)
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
    if not is_alive(t[OWNER]) then -- condemned, and about to be settled
        return nil, 'FENCED'
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
        note(child, t, state)
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

-- Did it end just so? Then this finish was committed before, and only its answer was lost.
local function same_end(child, status, err)
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    return unpack_act(c[1])[STATUS] == status and (c[2] or '') == err
end

-- child epoch token status error reply seq header event...
ops.finish = { n = 6, fn = function(A, i, n)
    local child, reply = A[i], A[i + 5]
    if not well_formed_events(A, i + 6, i + n - 1) or not find(A[i + 3], '^%l+$') then
        return 'BAD_FIELD'
    end
    local t, code = owned(child, A[i + 1], A[i + 2])
    if code == 'ENDED' then
        return same_end(child, A[i + 3], A[i + 4]) and 'DUPLICATE' or 'FENCED'
    end
    if not t then
        return code
    end
    log_events(child, t, A, i + 6, i + n - 1)
    if reply ~= '' then
        call('RPUSH', P .. 'm:' .. child, reply)
        add(t, SIZE, #reply)
    end
    disown(child, t)
    merge_steering(child, t)
    call('SADD', P .. 'f:' .. t[OWNER], child .. ' ' .. t[EPOCH])
    complete(child, t, A[i + 3], A[i + 4])
    return 'OK'
end }

-- child epoch token reason (rerun); rerun 1: it has begun, and begins anew if an attempt is left
ops.release = { n = 4, fn = function(A, i, n)
    local child, rerun = A[i], n > 4 and A[i + 4] == '1'
    local t, code = owned(child, A[i + 1], A[i + 2])
    if not t then
        return code
    end
    if t[STATE] ~= 'assigned' and not rerun or rerun and not may_rerun(t) then
        return 'STATE'
    end
    if t[CANCELLED] ~= '0' then
        end_cancelled(child, t, call('HGET', P .. 'c:' .. child, 'x'))
    elseif rerun then
        use_attempt(child, t, A[i + 3])
        give_back(child, t, 'requeued', A[i + 3])
    else
        give_back(child, t, 'released', A[i + 3])
    end
    return 'OK'
end }

-- ---- cancel, steer ----
-- child reason now [tree [tenant]]; answers ended (0 or 1), then the activation. tree 1: who names it as parent before it
-- runs again ends with it; tenant: those of its jobs.
ops.cancel = { n = 3, fn = function(A, i, n, R)
    local child, reason, level = A[i], A[i + 1], A[i + 2] == '1' and '2' or '1'
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e')
    local t = c[1] and unpack_act(c[1])
    if not t or t[STATE] == 'none' then
        return 'NOT_FOUND'
    end
    if n > 3 and A[i + 3] == '1' then
        mark_tree(child, n > 4 and A[i + 4] or '')
    end
    if t[STATE] == 'terminal' then
        R[#R + 1] = '0'
        return with_act('ENDED', R, child, c[1], c[2])
    end
    if t[STATE] == 'queued' then
        t[CANCELLED] = level
        unqueue(child, t)
        end_cancelled(child, t, reason)
        R[#R + 1] = '1'
        put_act(R, child, concat(t, ' '), call('HGET', P .. 'c:' .. child, 'e'))
        return 'OK'
    end
    if t[CANCELLED] < level then
        t[CANCELLED] = level
        note(child, t, 'cancel', nil, level == '2' and 'now' or '')
        call('SREM', P .. 'oc:' .. t[OWNER], child)
        call('SADD', P .. 'oc:' .. t[OWNER], level == '2' and child .. ' now' or child)
        call('HSET', P .. 'c:' .. child, 'a', concat(t, ' '), 'x', reason)
    end
    R[#R + 1] = '0'
    return with_act('OK', R, child, concat(t, ' '), c[2])
end }

local function remember_steer(child, id)
    local key = P .. 's:' .. child
    call('ZADD', key, now_ms(), id)
    if call('ZCARD', key) > STEER_IDS_MAX then
        call('ZREMRANGEBYRANK', key, 0, 0)
    end
end

-- child id message; answers the activation
ops.steer = { n = 3, fn = function(A, i, n, R)
    local child, id, message = A[i], A[i + 1], A[i + 2]
    if not find(id, '^%S+$') then
        return 'BAD_FIELD'
    end
    local c = call('HMGET', P .. 'c:' .. child, 'a', 'e', 'r')
    local t = c[1] and unpack_act(c[1])
    if not t or not c[3] then
        return 'NOT_FOUND'
    end
    if call('ZSCORE', P .. 's:' .. child, id) then
        return with_act('DUPLICATE', R, child, c[1], c[2])
    end
    if t[SIZE] + #message > SESSION_MAX then
        return with_act('TOO_LARGE', R, child, c[1], c[2])
    end
    if tight() then
        return with_act('FULL', R, child, c[1], c[2])
    end
    remember_steer(child, id)
    add(t, SIZE, #message)
    if lives(t) then
        if tonumber(t[STEERS]) < NOTED_STEERS_MAX then
            note(child, t, 'steer', nil, id)
        end
        call('RPUSH', P .. 'p:' .. child, id .. ' ' .. message)
        add(t, STEERS, 1)
        if t[OWNER] ~= '-' then
            call('SADD', P .. 'u:' .. child, id)
            call('SADD', P .. 'os:' .. t[OWNER], child)
        end
    else
        call('RPUSH', P .. 'm:' .. child, message)
        call('ZADD', P .. 'z', tick(), child) -- its session changed: it is kept as long again
        add(t, REV, 1)
    end
    local a = concat(t, ' ')
    call('HSET', P .. 'c:' .. child, 'a', a)
    return with_act('OK', R, child, a, c[2])
end }

-- child id [owner]
ops.steered = { n = 2, fn = function(A, i, n)
    local child = A[i]
    local a = call('HGET', P .. 'c:' .. child, 'a')
    local t = a and unpack_act(a)
    if n > 2 and not (t and t[OWNER] == A[i + 2]) then
        return 'FENCED'
    end
    if call('SREM', P .. 'u:' .. child, A[i + 1]) == 1 and t and call('EXISTS', P .. 'u:' .. child) == 0 then
        call('SREM', P .. 'os:' .. t[OWNER], child)
    end
    return 'OK'
end }
