"""The entry points of a broker: `control`, `jobs` and the link of its runners."""
import json

import zmq

from hostile import ACCEPTED, GOOD, STORE, bad, cases, pack, sample
from stages import NOTICES, Broker, field_of, receive

OPS = STORE["control-request.schema.json"]["properties"]["op"]["enum"]
KINDS = STORE["link.schema.json"]["properties"]["kind"]["enum"]
WINDOW = 64  # messages on their way at a time
JOB = {"parent_session_id": "root", "child_session_id": "x-1", "session": {"id": "x-1", "parent_session_id": "root", "kind": "child"}}

# What the schema cannot say of a session in a job: it must be the child's, the parent's, and a child.
IN_A_JOB = [
    ("* *parent_session_id: at the limit", bad("BAD_FIELD", at="session.parent_session_id"), "must equal the job's"),
    ("* *child_session_id: at the limit", bad("BAD_FIELD", at="session.id"), "must equal the job's"),
    ("* *session.id: at the limit", bad("BAD_FIELD", "child_session_id"), "must equal the job's"),
    ("* *session.kind: missing", bad("BAD_FIELD", "kind=child"), "a root is no child"),
]
CONTROL = [
    *[(pattern.replace("* ", "submit ", 1), *row) for pattern, *row in IN_A_JOB],
    ("submit job: larger than it may be", bad("TOO_LARGE", "1048576", field=False), "many members make it so, none of them has a name"),
    ("wait child: missing", bad("MISSING_FIELD", "children"), "one of the two"),
    ("wait children: missing", bad("MISSING_FIELD", at="child"), "one of the two"),
    ("wait child: null", bad("MISSING_FIELD", "children"), "one of the two"),
    ("wait children: null", bad("MISSING_FIELD", at="child"), "one of the two"),
]
LEFT_OUT = "an entry that is wrong is left out, counted and logged (broker/states.c); the sync goes on"
LINK = [("sync states.*", GOOD, LEFT_OUT), ("sync states: a bad key", GOOD, LEFT_OUT)]


def said(reply):
    """(code, field, message) of an answer; no code: it is none that speaks of bad input."""
    code = reply["code"]
    bad = code.startswith(("BAD_", "TOO_")) or code == "MISSING_FIELD"
    return code if bad else None, reply.get("field"), reply.get("message", "")


class Control(Broker):
    """Each case in an envelope that names it: a reply comes back in the envelope of its request."""

    def __enter__(self):
        super().__enter__()
        self.socket = self.socket_to(zmq.DEALER, "control")
        return self

    def cases(self):
        for op in OPS:
            for given in [{"child": "x-1"}, {"children": ["x-1"]}] if op == "wait" else [{"job": JOB}] if op == "submit" else [{}]:
                yield from cases("control-request", {"op": op, **given}, CONTROL, below="job.")

    def answers(self, batch):
        waiting = {}
        for number, case in enumerate(batch):
            self.socket.send_multipart([b"%d" % number, b"", case.body])
            waiting[number] = case
            if len(waiting) >= WINDOW:
                yield self.take(waiting)
        while waiting:
            yield self.take(waiting)

    def take(self, waiting):
        frames = receive(self.socket)
        assert frames is not None, f"no answer to {[case.name for case in waiting.values()][:5]}"
        number, empty, reply = frames
        assert empty == b"", frames
        return waiting.pop(int(number)), said(json.loads(reply))

    def serves(self):
        assert self.ask("hello")["code"] == "OK"
        assert self.ask("cancel", child="victim")["code"] == "OK"


class Marked(Broker):
    """Where answers name no request: behind each case goes a mark, and what is answered before the mark's answer is the
    case's. A case without an answer was accepted."""

    def answers(self, batch):
        sent = list(batch)
        for first in range(0, len(sent), WINDOW):
            window = sent[first:first + WINDOW]
            for number, case in enumerate(window):
                self.send(case.body)
                self.send(self.mark(number))
            for number, case in enumerate(window):
                heard, answer = (None, None, ""), self.hear()
                while not self.is_mark(answer, number):
                    heard, answer = said(answer) if heard[0] is None else heard, self.hear()
                yield case, heard


class Jobs(Marked):
    def __enter__(self):
        super().__enter__()
        self.socket = self.socket_to(zmq.PUSH, "jobs")
        self.events = self.socket_to(zmq.SUB, "events", rcvhwm=0, subscribe=b"$sys/")
        heard = None
        while heard is None:  # until the subscription has arrived
            assert self.ask("sync", nonce="n-1")["code"] == "OK"
            heard = receive(self.events, 0.1)
        return self

    def cases(self):
        return cases("spawn-job", JOB, IN_A_JOB)

    def send(self, body):
        self.socket.send(body)

    def mark(self, number):
        return pack({"parent_session_id": "mark", "child_session_id": f"m-{number}", "model": 0})

    def is_mark(self, answer, number):
        return answer.get("parent_session_id") == "mark" and answer["child_session_id"] == f"m-{number}"

    def hear(self):
        while True:
            frames = receive(self.events)
            assert frames is not None, "no rejection is published"
            if frames[0] == b"$sys/rejected":
                return json.loads(frames[2])

    def untouched(self):
        return super().untouched(*NOTICES)

    def serves(self):
        assert self.ask("cancel", child="victim")["code"] == "OK"


class Link(Marked):
    """A runner that holds an activation sends what is bad; a stranger that never said hello what is good, for that does
    something: it is answered NOT_FOUND, and only a good hello joins."""

    def __enter__(self):
        super().__enter__()
        self.runner, self.stranger = [self.socket_to(zmq.DEALER, "runners") for _ in range(2)]
        self.runner.send(pack({"kind": "hello", "v": 1, "runner": "hostile", "incarnation": "i-1", "host": "h", "pid": 1, "slots": 1,
                               "version": "x", "labels": [], "profiles": ["nobody"]}))
        self.runner.send(pack({"kind": "credit", "granted": 1}))
        kinds = [json.loads(receive(self.runner)[0])["kind"] for _ in range(2)]
        assert kinds == ["welcome", "assign"], kinds  # the waiting child is ours
        self.socket = self.runner
        return self

    def __exit__(self, *problem):
        self.runner.close()
        self.stranger.close()
        super().__exit__(*problem)

    def cases(self):
        for kind in sorted(KINDS, key=lambda kind: kind == "hello"):  # the last ones join
            yield from cases("link", {"kind": kind}, LINK)

    def answers(self, batch):
        batch = list(batch)
        self.socket = self.stranger if batch and batch[0].code == ACCEPTED else self.runner
        return super().answers(batch)

    def send(self, body):
        self.socket.send_multipart([body])

    def mark(self, number):
        return pack({"kind": f"m-{number}"})

    def is_mark(self, answer, number):
        return answer.get("message", "").startswith(f'kind: unknown kind "m-{number}";')

    def hear(self):
        while True:
            frames = receive(self.socket)
            assert frames is not None, "the broker does not answer"
            answer = json.loads(frames[0])
            if answer["kind"] == "refused":
                return {**answer, "field": field_of(answer["message"])}

    def serves(self):
        self.socket = self.runner  # still linked, and still hears of its child
        assert self.ask("cancel", child="victim")["delivery"] == "forwarded"
        for kind in ("welcome", "assign", "ack"):  # a broker's own
            self.send(pack(sample(STORE["link.schema.json"], "link.schema.json", {"kind": kind})))
            answer = self.hear()
            assert (answer["code"], answer["field"]) == ("BAD_KIND", "kind"), answer
        self.boasts()

    def boasts(self):
        """What a runner says of itself is shown, but where it is at home and what room it has the broker says."""
        self.send(b'{"kind":"sync","incarnation":"i-1","counter":1,"count":0,"digest":"' + b"0" * 40 +
                  b'","facts":{"home":"elsewhere","host":"h","room":{"free":7e44,"idle":[7]}}}')
        while json.loads(receive(self.runner)[0])["kind"] != "synced":
            pass
        (shown,) = [runner for runner in self.ask("runners")["runners"] if runner["incarnation"] == "i-1"]
        assert (shown["home"], shown["facts"]) == (self.ask("hello")["broker"], {"host": "h"}) and shown["free"] <= 1, shown


ENTRIES = {"control": Control, "jobs": Jobs, "link": Link}
