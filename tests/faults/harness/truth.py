"""What the store holds, read raw. The layout is that of the first page of proto/state/rhizome.lua; no code of Rhizome is used."""
import json

from resp import Error

P = "rz:{0}:"
FIELDS = ("state", "activation", "epoch", "token", "owner", "profile", "labels", "priority", "parent", "attempt", "attempts", "job", "cancelled",
          "submitted", "logged", "status", "rev", "size", "steers", "queue")
CHUNK = 300

# Every place an activation can be in, and who is there, in one atomic look whose cost grows with what is live and not with what has ended.
# ARGV: children that are live as far as somebody saw, who must be in a place as well. Answers JSON: how many per state, who is nowhere or in
# two places, some that are live, and how many one runner owns at most.
PLACES = r"""
local P = 'rz:{0}:'
local queued, owned, look, seen, most = {}, {}, {}, {}, 0
local function note(t, key, value) t[key] = t[key] or {}; table.insert(t[key], value) end
local function want(child) if not seen[child] then seen[child] = true; look[#look + 1] = child end end
for _, class in ipairs(redis.call('HKEYS', P .. 'classes')) do
    for priority = 0, 2 do
        local ring, lists = P .. 'q:' .. priority .. '/' .. class, {}
        for _, parent in ipairs(redis.call('LRANGE', ring, 0, -1)) do
            if not lists[parent] then
                lists[parent] = true
                for _, entry in ipairs(redis.call('LRANGE', ring .. '/' .. parent, 0, -1)) do
                    note(queued, entry, ring)
                    want(string.match(entry, '^%S+'))
                end
            end
        end
    end
end
for _, entry in ipairs(redis.call('ZRANGE', P .. 't', 0, -1)) do
    local rerun = string.match(entry, '^r (.*)$')
    if rerun then note(queued, rerun, 't'); want(string.match(rerun, '^%S+')) end
end
local incarnations = {}
for _, incarnation in ipairs(redis.call('SMEMBERS', P .. 'is')) do incarnations[incarnation] = true end
for _, incarnation in ipairs(redis.call('HVALS', P .. 'runners')) do incarnations[incarnation] = true end
for incarnation in pairs(incarnations) do
    local entries = redis.call('ZRANGE', P .. 'o:' .. incarnation, 0, -1)
    most = math.max(most, #entries)
    for _, entry in ipairs(entries) do
        note(owned, string.match(entry, '^%S+'), { entry, incarnation })
        want(string.match(entry, '^%S+'))
    end
end
for _, child in ipairs(ARGV) do want(child) end
local counts, wrong, live = {}, {}, {}
local function bad(child, why) if #wrong < 20 then wrong[#wrong + 1] = child .. ': ' .. why end end
for _, child in ipairs(look) do
    local f, mine = {}, owned[child] or {}
    for word in string.gmatch(redis.call('HGET', P .. 'c:' .. child, 'a') or 'none 0 0 - -', '%S+') do f[#f + 1] = word end
    local state, lists = f[1], #(queued[child .. ' ' .. f[2]] or {})
    counts[state] = (counts[state] or 0) + 1
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
    elseif state == 'none' and #mine ~= 0 then
        bad(child, 'owned, but it does not exist')
    end
    if state ~= 'terminal' and state ~= 'none' and #live < 20 then live[#live + 1] = child .. ' ' .. state .. ' at ' .. f[5] end
end
return cjson.encode({ counts = counts, wrong = wrong, live = live, most = most })
"""


LOOK_MAX = 5000  # a look at more than so many that wait would hold up the store for longer than a sentinel waits


def can_look(redis):
    return int(redis("GET", P + "n") or 0) <= LOOK_MAX


def places(redis, children=()):
    answer = redis("EVAL", PLACES, 0, *children)
    if isinstance(answer, Error):
        raise ValueError(answer)
    found = json.loads(answer)
    return {name: value or {"counts": {}, "most": 0}.get(name, []) for name, value in found.items()}  # cjson: an empty list is {}


class Roll:
    """Goes round all children, a few at a time, for those that live: a lost one would be in no place that a look begins at."""

    STEP = 2000  # keys that one step may pass

    def __init__(self, redis):
        self.redis, self.cursor, self.rounds, self.living = redis, "0", 0, set()

    def step(self):
        self.cursor, keys = self.redis("SCAN", self.cursor, "MATCH", f"{P}c:*", "COUNT", self.STEP)
        self.rounds += self.cursor == "0"
        children = [key[len(P) + 2:] for key in keys]
        for child, packed in zip(children, self.redis.many([("HGET", f"{P}c:{child}", "a") for child in children]) if children else []):
            if packed is not None and activation(packed)["state"] not in ("terminal", "none"):
                self.living.add(child)

    def take(self):
        """Those found since the last take; whoever has ended meanwhile does no harm in a look."""
        living, self.living = self.living, set()
        return living


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


def all_running(redis, at_most=-1):
    """{child: its activation} of those that run, of each runner at most so many."""
    entries = [entry for incarnation in redis("SMEMBERS", P + "is") for entry in redis("ZRANGE", f"{P}o:{incarnation}", 0, at_most)]
    found = in_chunks(redis, [entry.split()[0] for entry in entries], lambda child: ("HGET", f"{P}c:{child}", "a"))
    facts = {child: activation(packed) for child, packed in found.items() if packed}
    return {child: fact for child, fact in facts.items() if fact["state"] == "running"}


def running_tokens(redis, at_most):
    """[(child, epoch, token)] of some that run."""
    return [(child, int(fact["epoch"]), fact["token"]) for child, fact in all_running(redis, at_most - 1).items()][:at_most]


def running(redis, but):
    """[(parent, child)] of those that run, without these."""
    return [(fact["parent"], child) for child, fact in all_running(redis).items() if child not in but]


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
            "queued": int(redis("GET", P + "n") or 0), "classes": redis("HGETALL", P + "classes"),
            "places": places(redis, [child for child, stored in found.items() if stored["a"]["state"] not in ("terminal", "none")])}


def read_entry(entry):
    identity, fields = entry
    epoch, seq = map(int, identity.split("-"))
    body = dict(zip(fields[::2], fields[1::2]))
    event, header = json.loads(body["e"]), json.loads(body["h"])
    return {"epoch": epoch, "seq": seq, "prev_durable": header.get("prev_durable"), "type": event["type"], "status": event.get("status")}
