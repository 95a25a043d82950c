
-- rhizome_store.lua - what the store knows of itself: version, term, acceptance. Ends the library.
--
-- Members of the hash `store`
--   id        random, for ever
--   lineage   the replication id of the Redis that this term belongs to. Redis takes a new one at every start and every
--             promotion: whenever what was acknowledged last may be missing
--   term      raised when the lineage changed, by the first broker that sees it and before anything else is done. Epochs of
--             term n are above n * 2^32, so they stay whole numbers below 2^53 for two million terms and never repeat one
--             that was given and lost
--   accepted  the lineage that an operator took as it is, whatever brokers remember of another (`rhizome store accept`)
--   refused   why a broker refused it: it remembers that this store was further on. All others do so too, until it is accepted
--   floor     the term that began with that: what was assigned before it may have run, whatever the store says

-- lineage-seen lineage least; answers the term. Compares, so that of several brokers one raises it; at least to `least`,
-- which is above whatever term the caller remembers.
redis.register_function{ function_name = 'rz1_term', flags = { 'allow-oom' }, callback = function(keys, A)
    begin(keys)
    local r = call('HMGET', P .. 'store', 'id', 'lineage', 'term')
    local term, least = tonumber(r[3] or 0), tonumber(A[3])
    if not r[1] or not least then
        return redis.error_reply(r[1] and 'ERR least is no number' or 'NOSTORE the store has no record')
    end
    if (r[2] or '') == A[1] and (A[1] ~= A[2] or term < least) then
        term = math.max(r[2] and term + 1 or term, least) -- the first lineage raises nothing
        call('HSET', P .. 'store', 'term', format('%.0f', term), 'lineage', A[2])
    end
    return term
end }

-- id why; answers whether it is written: the first reason stays.
redis.register_function{ function_name = 'rz1_refuse', flags = { 'allow-oom' }, callback = function(keys, A)
    begin(keys)
    if call('HGET', P .. 'store', 'id') ~= A[1] then
        return 0
    end
    return call('HSETNX', P .. 'store', 'refused', A[2])
end }

-- lineage; answers the term that begins.
redis.register_function{ function_name = 'rz1_accept', flags = { 'allow-oom' }, callback = function(keys, A)
    begin(keys)
    local r = call('HMGET', P .. 'store', 'id', 'term')
    if not r[1] then
        return redis.error_reply('NOSTORE the store has no record')
    end
    local term = tonumber(r[2] or 0) + 1
    local text = format('%.0f', term)
    call('HSET', P .. 'store', 'term', text, 'floor', text, 'lineage', A[1], 'accepted', A[1])
    call('HDEL', P .. 'store', 'refused')
    return term
end }

-- Library version, id and shards of the store ("" when it was not initialised).
redis.register_function{ function_name = 'rz1_version', flags = { 'no-writes' }, callback = function(keys)
    local record = redis.call('HMGET', keys[1] .. ':store', 'id', 'shards')
    return { VERSION, record[1] or '', record[2] or '' }
end }
