"""The entry point behind a worker: what its program says on its stdout, with both executors that start one. A run for each
case; the program says the case's line and then, if it is one that serves many runs, that the run is done. Whatever the line
was, the next case is the next run of the same worker."""
import codecs
import json
import re
import sys

from at_worker import Served
from hostile import ACCEPTED, GOOD, OF_THE_TEXT, STORE, Case, cases, pack
from stages import field_of

codecs.register_error("question", lambda problem: ("?" * (problem.end - problem.start), problem.end))
LINE_MAX = STORE["program-output.schema.json"]["x-max-bytes"]
TERMINAL = {"kind": "terminal", "status": "completed"}
EVENTS = ({"type": "x"}, {"type": "result", "text": "x"})
SAYS = """
import json, sys
for line in sys.stdin.buffer:
    run = json.loads(line)
    if run["kind"] == "run":
        said = bytes.fromhex(run["assignment"])
        if "run" in run:  # it serves many
            end = {"kind": "terminal", "status": "completed", "result": "said", "run": run["run"]}
            said += b"\\n" + json.dumps(end).encode()
        sys.stdout.buffer.write(said + b"\\n")
        sys.stdout.buffer.flush()
    if "run" not in run:
        break
"""
A_TOKEN = "any other line is a token"
AN_EVENT = "any object with a string type is an event"
EXCEPTIONS = [
    ("program-output type: unknown", GOOD, AN_EVENT),
    ("program-output type: empty", GOOD, AN_EVENT),
    ("program-output type: *", GOOD, A_TOKEN),
    ("terminal kind: *", GOOD, A_TOKEN),
]


class Program(Served):
    """The `session` executor: one program serves all runs."""
    kind, lines = "session", (*EVENTS, TERMINAL)

    @property
    def executor(self):
        return {"kind": self.kind, "command": sys.executable, "args": ["-I", "-S", "-c", SAYS]}

    @property
    def lasting(self):
        return self.kind == "session"

    def cases(self):
        for line in self.lines:
            for case in cases("program-output", line, EXCEPTIONS):
                begins = case.body.lstrip(b" \t\r")[:1]
                yield case if begins == b"{" or case.code == "TOO_LARGE" else case._replace(code=ACCEPTED, says=())
        room = LINE_MAX - len(pack({"type": ""}))
        yield Case("event : at the limit", pack({"type": "x" * room}), ACCEPTED, None, ())
        yield Case("terminal : whole", pack(TERMINAL), ACCEPTED, None, ())
        yield Case("token : at the limit", b"x" * LINE_MAX, ACCEPTED, None, ())
        yield Case("token : larger than it may be", b"x" * (LINE_MAX + 1), "TOO_LARGE", None, (str(LINE_MAX),))

    def begin(self):
        super().begin()
        self.runs = 0

    def run(self, assignment):
        self.runs += 1
        return super().run(assignment)

    def of_this_run(self, case):
        """What is said of run 1 is said of the run that comes."""
        return case._replace(body=re.sub(rb'"run":1(?=[,}])', b'"run":%d' % (self.runs + 1), case.body))

    def answers(self, batch):
        for case in map(self.of_this_run, batch):
            self.log.seek(0, 2)
            *events, end = self.run(case.body.hex())
            yield case, self.refusal(end) or self.unexpected(case, [*map(plain, events)], end) or self.doubt() or (None, None, "")
            if case.code == "TOO_LARGE" and self.lasting:
                assert self.connection.closed_with() == 1001
                self.hang_up()
                self.ends(1)
                self.begin()

    def refusal(self, end):
        """(code, field, message) with which the run ended, if it did not end well."""
        told = re.fullmatch(r"\S+ (?:ended its run with a bad terminal: )?(.*) \(([A-Z_]+)\)", end.get("error") or "", re.S)
        return told and (told[2], field_of(told[1]), told[1])

    def doubt(self):
        """The same of a line that is said to be malformed, and was taken for what it is nevertheless."""
        told = re.search(r" output\.malformed command=\S+ rc=([A-Z_]+) text=\"(.*)\"\n", self.log.read())
        return told and (told[1], field_of(told[2]), told[2])

    def unexpected(self, case, events, end):
        """An answer that no case can have, if a line was taken for something else than it is."""
        if events and all(map(is_token, events)):
            events = [{"type": "token", "content": "".join(event["content"] for event in events)}]
        want = self.meaning(case)
        return None if (events, end) == want else ("OTHERWISE", None, f"heard {events!r:.300} and {end}, not {want!r:.300}")

    def meaning(self, case):
        """(events, terminal) of a run whose program says this line."""
        text = case.body.replace(b"\0", b"?").decode(errors="question") + "\n"
        line = object_of(case)
        if isinstance(line.get("type"), str):
            result = line.get("text") if line["type"] == "result" else None
            given = isinstance(result, str)
            return [] if given else [line], self.done(result if given else "")
        if self.lasting and line.get("kind") == "terminal":
            if line.get("run") in (None, self.runs):
                end = {name: line[name] for name in ("kind", "status", "result", "error") if line.get(name) is not None}
                return [], {**({"result": ""} if end["status"] == "completed" else {}), **end}
            return [], self.done("")
        return [{"type": "token", "content": text}], self.done(text)

    def done(self, result):
        return {**TERMINAL, "result": "said" if self.lasting else result}

    def untouched(self):
        return {"said": self.run(b"plain".hex())}

    def serves(self):
        assert self.run(b"last".hex())[-1] == self.done("last\n")


class Command(Program):
    """The `command` executor: a program for each run, which ends it by its exit: a terminal is a line like any other."""
    kind, lines = "cli_adapter", EVENTS


def plain(frame):
    assert frame["kind"] == "event", frame
    return frame["event"]


def is_token(event):
    return event.get("type") == "token" and set(event) == {"type", "content"}


def object_of(case):
    """The object that a line is; none if it is a line of text."""
    return json.loads(case.body) if case.body.startswith(b"{") and case.code not in OF_THE_TEXT else {}


ENTRIES = {"session": Program, "command": Command}
