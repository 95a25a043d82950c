"""What the store holds, read raw. The layout is that of the first page of proto/state/rhizome.lua; no code of Rhizome is used."""
import json

from resp import Error

P = "rz:{0}:"
FIELDS = ("state", "activation", "epoch", "token", "owner", "profile", "labels", "priority", "parent", "attempt", "attempts", "job", "cancelled",
          "submitted", "logged", "status", "rev", "size", "steers", "queue")
CHUNK = 300

# Every activation's place, in one atomic look. Answers JSON: how many per state, and who is nowhere or in two places.
PLACES = r"""
local P = 'rz:{0}:'
local queued, owned = {}, {}
local function note(t, key, value) t[key] = t[key] or {}; table.insert(t[key], value) end
for _, key in ipairs(redis.call('KEYS', P .. 'q:*')) do
    local _, slashes = string.gsub(string.sub(key, #P + 1), '/', '')
    if slashes == 3 then
        for _, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do note(queued, entry, key) end
    end
end
for _, entry in ipairs(redis.call('ZRANGE', P .. 't', 0, -1)) do
    local rerun = string.match(entry, '^r (.*)$')
    if rerun then note(queued, rerun, 't') end
end
for _, key in ipairs(redis.call('KEYS', P .. 'o:*')) do
    for _, entry in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        note(owned, string.match(entry, '^%S+'), { entry, string.sub(key, #P + 3) })
    end
end
local counts, wrong, live, most = {}, {}, {}, 0
for _, key in ipairs(redis.call('KEYS', P .. 'o:*')) do most = math.max(most, redis.call('ZCARD', key)) end
local function bad(child, why) if #wrong < 20 then wrong[#wrong + 1] = child .. ': ' .. why end end
for _, key in ipairs(redis.call('KEYS', P .. 'c:*')) do
    local child, a = string.sub(key, #P + 3), redis.call('HGET', key, 'a')
    local f = {}
    for word in string.gmatch(a or 'none 0 0 - -', '%S+') do f[#f + 1] = word end
    local state, entry, mine = f[1], child .. ' ' .. f[2], owned[child] or {}
    counts[state] = (counts[state] or 0) + 1
    local lists = #(queued[entry] or {})
    if state == 'queued' and (lists ~= 1 or #mine ~= 0) then
        bad(child, 'queued, but in ' .. lists .. ' queues and owned ' .. #mine .. ' times')
    elseif state == 'assigned' or state == 'running' then
        if lists ~= 0 or #mine ~= 1 then
            bad(child, state .. ', but in ' .. lists .. ' queues and owned ' .. #mine .. ' times')
        elseif mine[1][1] ~= child .. ' ' .. f[3] or mine[1][2] ~= f[5] then
            bad(child, state .. ' with epoch ' .. f[3] .. ' at ' .. f[5] .. ', but ' .. mine[1][2] .. ' owns "' .. mine[1][1] .. '"')
        end
    elseif state == 'terminal' and #mine ~= 0 then
        bad(child, 'terminal, but still owned by ' .. mine[1][2])
    end
    if state ~= 'terminal' and state ~= 'none' and #live < 20 then live[#live + 1] = child .. ' ' .. state .. ' at ' .. f[5] end
    owned[child] = nil
end
for child in pairs(owned) do bad(child, 'owned, but it does not exist') end
return cjson.encode({ counts = counts, wrong = wrong, live = live, most = most })
"""


def places(redis):
    answer = redis("EVAL", PLACES, 0)
    if isinstance(answer, Error):
        raise ValueError(answer)
    found = json.loads(answer)
    return {name: value or {"counts": {}, "most": 0}.get(name, []) for name, value in found.items()}  # cjson: an empty list is {}


def activation(packed):
    return dict(zip(FIELDS, packed.split()))


def in_chunks(redis, children, command):
    """{child: answer} of one command for each child."""
    answers = {}
    for i in range(0, len(children), CHUNK):
        part = children[i:i + CHUNK]
        answers.update(zip(part, redis.many([command(child) for child in part])))
    return answers


def incarnation_of(redis, runner):
    return redis("HGET", P + "runners", runner)


def owned_by(redis, incarnation):
    return redis("ZRANGE", f"{P}o:{incarnation}", 0, -1)


def running_tokens(redis, at_most):
    """[(child, epoch, token)] of some that run."""
    found = []
    for incarnation in redis("SMEMBERS", P + "is"):
        for entry in owned_by(redis, incarnation)[:at_most]:
            packed = redis("HGET", f"{P}c:{entry.split()[0]}", "a")
            facts = activation(packed) if packed else {}
            if facts.get("state") == "running":
                found.append((entry.split()[0], int(facts["epoch"]), facts["token"]))
    return found[:at_most]


def running(redis, but):
    """[(parent, child)] of those that run, without these."""
    found = []
    for incarnation in redis("SMEMBERS", P + "is"):
        for entry in owned_by(redis, incarnation):
            child = entry.split()[0]
            packed = None if child in but else redis("HGET", f"{P}c:{child}", "a")
            facts = activation(packed) if packed else {}
            if facts.get("state") == "running":
                found.append((facts["parent"], child))
    return found


def read_all(redis):
    """Everything the checker needs, when nothing moves any more."""
    children = [key[len(P) + 2:] for key in redis("KEYS", P + "c:*")]
    hashes = in_chunks(redis, children, lambda child: ("HGETALL", f"{P}c:{child}"))
    messages = in_chunks(redis, children, lambda child: ("LRANGE", f"{P}m:{child}", 0, -1))
    notes = in_chunks(redis, children, lambda child: ("LRANGE", f"{P}l:{child}", 0, -1))
    streams = in_chunks(redis, children, lambda child: ("XRANGE", f"{P}e:{child}", "-", "+"))
    found = {}
    for child in children:
        fields = dict(zip(hashes[child][::2], hashes[child][1::2]))
        found[child] = {"a": activation(fields["a"]), "error": fields.get("e", ""), "messages": [json.loads(m) for m in messages[child]],
                        "notes": notes[child], "log": [read_entry(entry) for entry in streams[child]]}
    completions = [dict(zip(fields[::2], fields[1::2])) for _, fields in redis("XRANGE", P + "completions", "-", "+")]
    return {"children": found, "completions": [c for c in completions if c.get("kind") == "completion"],
            "queued": int(redis("GET", P + "n") or 0), "classes": redis("HGETALL", P + "classes"), "places": places(redis)}


def read_entry(entry):
    identity, fields = entry
    epoch, seq = map(int, identity.split("-"))
    body = dict(zip(fields[::2], fields[1::2]))
    event, header = json.loads(body["e"]), json.loads(body["h"])
    return {"epoch": epoch, "seq": seq, "prev_durable": header.get("prev_durable"), "type": event["type"], "status": event.get("status")}
