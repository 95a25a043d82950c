"""The entry points of a runner: what a broker says, what a worker says, and the records that workers leave. The broker is a
stand-in: it welcomes the runner, assigns to it, and hears how that ended."""
import json
import pathlib
import re
import sys
import time
import urllib.request

import zmq

from at_broker import LINK
from hostile import ACCEPTED, STORE, cases, pack
from secured import Keys
from stages import BIN, PATIENCE, Folder, context, field_of, is_text

BAD_WORKER = pathlib.Path(__file__).resolve().parents[1] / "faults" / "bad_worker.py"
KINDS = STORE["link.schema.json"]["properties"]["kind"]["enum"]
SLOTS = 8
WINDOW = 64
FRAME_MAX = 16 << 20


def profile(mode):
    return {"agent_id": mode, "protocol": "actor", "permission_profile": "any", "executor": "echo", "worker_bin": sys.executable,
            "worker_args": [str(BAD_WORKER), mode]}


class Runner(Folder):
    def __enter__(self):
        super().__enter__()
        self.held = set()
        self.router, self.events = context.socket(zmq.ROUTER), context.socket(zmq.SUB)
        keys = Keys(BIN, self.path)
        for socket in (self.router, self.events):
            socket.linger = 0
            keys.apply(socket, "broker")
            socket.bind("tcp://127.0.0.1:*")
        config = self.write("rhizome.json", json.dumps({"externalAgents": {mode: profile(mode) for mode in ("says", "never-registers")}}))
        self.start("runner", BIN / "rhizome-runner", "--config", config, "--runner-name", "r", "--runner-slots", SLOTS,
                   "--runner-brokers", self.router.last_endpoint.decode(), "--runner-state-dir", self.path / "state",
                   *keys.at_runner(), "--runner-register-secs", 3600, "--runner-drain-secs", 1, "--runner-drain-policy", "cancel", ready=False)
        self.log = open(self.path / "runner.log", encoding="utf-8")
        self.metrics = self.expect("sync")[0]["facts"]["http"] + "/metrics"
        return self

    def __exit__(self, *problem):
        if problem[0] is None and Runner.untouched(self)["rhizome_runner_held"] != "0":  # or its end would wait for us
            for child in self.held:
                self.send({"kind": "cancel", "child": child, "epoch": 1, "now": True})
            while self.held:
                self.expect("finish")
        super().__exit__(*problem)
        self.router.close()  # only now: with it goes what is on its way
        self.events.close()
        self.log.close()

    # ---- what a broker does ----

    def send(self, header, *payload):
        self.router.send_multipart([self.peer, header if isinstance(header, bytes) else pack(header), *payload])

    def expect(self, *kinds):
        """The next message of one of these kinds; what a runner must have for that is given to it."""
        deadline = time.monotonic() + PATIENCE
        while self.router.poll(int(max(deadline - time.monotonic(), 0) * 1000)):
            self.peer, header, *payload = self.router.recv_multipart()
            header = json.loads(header)
            if header["kind"] == "hello":
                self.send({"kind": "welcome", "v": 1, "broker": "b", "publish": self.events.last_endpoint.decode(), "sync_ms": 60000})
            if header["kind"] == "sync":
                self.send({"kind": "synced", "code": "OK", "counter": header["counter"]})
            if header["kind"] in ("start", "append", "finish"):
                self.send({"kind": "ack", "op": header["kind"], "child": header["child"], "epoch": header["epoch"], "code": "OK",
                           "seq": max(header["seqs"], default=0)})
            if header["kind"] == "finish":
                self.held.discard(header["child"])
            if header["kind"] in kinds:
                return header, payload
        raise AssertionError(f"the runner does not say {kinds}")

    def assign(self, child, agent, text):
        self.held.add(child)
        session = {"id": child, "kind": "child", "metadata": {}}
        self.send({"kind": "assign", "child": child, "parent": "root", "epoch": 1, "token": "0" * 32, "attempt": 1, "profile": agent,
                   "affinity": "a", "model": ""}, pack(session), pack([{"role": "user", "content": text}]))

    # ---- what its log says ----

    def line(self, event):
        """What its next line about this event says."""
        deadline, line = time.monotonic() + PATIENCE, ""
        while f" {event} " not in line or not line.endswith("\n"):
            line = "" if line.endswith("\n") else line
            more = self.log.readline()
            line += more
            time.sleep(0 if more else 0.001)  # until it says more
            assert time.monotonic() < deadline, f"the runner's log does not say {event}"
        return line.split(f" {event} ", 1)[1][:-1]

    def untouched(self):
        """How many runs and workers it has."""
        with urllib.request.urlopen(self.metrics, timeout=PATIENCE) as page:
            found = dict(re.findall(r"^(rhizome_runner_(?:held|busy_slots|workers|ended_total|fenced_total)) (\S+)$", page.read().decode(), re.M))
        assert len(found) == 5, found
        return found

    def serves(self):
        self.send({"kind": "logs", "id": "q", "child": "nobody"})
        assert self.expect("output")[0]["code"] == "NOT_FOUND"


def coded(text):
    """(code, field, message) of `code=BAD_ID child: found ...`"""
    told = re.search(r"\bcode=([A-Z_]+) (.*)", text)
    return told[1], field_of(told[2]), told[2]


class Brokers(Runner):
    """What a broker says. Nobody is answered, so the log is; behind each case goes a mark. A run is on meanwhile."""

    def __enter__(self):
        super().__enter__()
        self.assign("victim", "never-registers", "hello")
        while self.untouched()["rhizome_runner_workers"] != "1":
            time.sleep(0.01)  # until its worker is there
        return self

    def cases(self):
        for kind in KINDS:
            for case in cases("link", {"kind": kind}, LINK):
                if (kind, case.code) != ("refused", ACCEPTED):  # that one it takes to heart, and leaves us
                    yield case

    def answers(self, batch):
        for first in range(0, len(batch), WINDOW):
            window = batch[first:first + WINDOW]
            for number, case in enumerate(window):
                self.send(case.body)
                self.send({"kind": f"m-{number}"})
            for number, case in enumerate(window):
                answer, heard = (None, None, ""), coded(self.line("link.bad_message"))
                while not heard[2].startswith(f'kind: unknown kind "m-{number}"'):
                    answer, heard = heard, coded(self.line("link.bad_message"))
                yield case, answer


class Worker(Runner):
    """What a worker says to its run: a worker for each case, which says it and then, if it still may, that it is done."""

    def __enter__(self):
        self.bad_frames = {}
        return super().__enter__()

    def cases(self):
        for kind in ("event", "terminal", "approval_request", "subagent_request", "event_batch"):
            for case in cases("child-frame", {"kind": kind}):
                if len(case.body) <= FRAME_MAX:  # faults.bad_worker.a_frame_above_the_limit
                    yield case

    def answers(self, batch):
        waiting, coming = {}, [(f"{batch[0].code.lower()[:3]}-{number}", case) for number, case in enumerate(batch)][::-1]
        while waiting or coming:
            while coming and len(waiting) < SLOTS:
                child, case = coming.pop()  # each its own: what was settled once is not run again
                waiting[child] = case
                self.assign(child, "says", case.body.hex())
            end = self.expect("finish")[0]
            yield self.judged(waiting.pop(end["child"]), end)

    def judged(self, case, end):
        told = re.fullmatch(r"LLM error: actor transport error: (.*)", end.get("error") or "", re.S)
        if told is None:
            return case, (None, None, f"{end['status']}: {end.get('error')}")
        if not is_text(case.body):  # it was no message of WebSocket's, so nobody read it as JSON
            return case, ("BAD_JSON" if "UTF-8" in told[1] else None, None, told[1])
        while end["child"] not in self.bad_frames:
            child, text = self.line("run.bad_frame").removeprefix("child=").split(" ", 1)
            self.bad_frames[child] = coded(text)
        return case, self.bad_frames.pop(end["child"])

    def untouched(self):
        return {}

    def serves(self):
        super().serves()
        assert Runner.untouched(self)["rhizome_runner_held"] == "0"


class Record(Runner):
    """Records written into the folders of workers that wait to be found; of one worker's, a hundred are told."""

    def __enter__(self):
        super().__enter__()
        for number in range(SLOTS):
            self.assign(f"c-{number}", "never-registers", "hello")
        self.folders = []
        while len(self.folders) < SLOTS:
            self.folders = sorted(self.path.glob("state/run.*/[0-9]*"), key=lambda path: int(path.name))
            time.sleep(0.01)  # until they are all there
        return self

    def cases(self):
        for case in cases("agent-record", {"agent_id": "c-0"}):
            if case.code != ACCEPTED and case.body:  # a good one ends the waiting, an empty one is not written yet
                yield case

    def answers(self, batch):
        for number, case in enumerate(batch):
            child = number * SLOTS // len(batch)
            new = self.folders[child] / ".new"
            new.write_bytes(case.body)
            new.rename(self.folders[child] / f"c-{child}.json")
            yield case, coded(self.line("fabric.bad_record"))


ENTRIES = {"brokers": Brokers, "worker": Worker, "record": Record}
