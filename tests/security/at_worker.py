"""The entry points of rhizome-worker: the ProvisionSpec on its stdin, and the frames of whoever connects to it."""
import base64
import concurrent.futures
import json
import os
import re
import socket
import struct
import subprocess
import time

from hostile import cases, pack
from stages import BIN, PATIENCE, Folder, field_of, is_text

SECRET = "CANARY-4711"
SPEC = {"version": 1, "executor": {"kind": "cli_adapter"}, "fabric_dir": "/dev/null/fabric",
        "secrets": {"provider_credentials": [{"provider": "x", "api_key": SECRET, "base_url": "x", "provider_type": "x"}]}}
PROCESSES = 3  # at a time

FRAME_MAX = 16 << 20


class Provision(Folder):
    """A process for each case. What it accepts it cannot publish, for its folder cannot be: no case leaves a worker."""

    def cases(self):
        return cases("provision", SPEC)

    def answers(self, batch):
        with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
            yield from zip(batch, pool.map(self.answer, batch))

    def answer(self, case):
        done = subprocess.run([BIN / "rhizome-worker"], input=case.body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                              cwd=self.path, check=False)
        assert done.returncode == 1 and done.stdout == b"", (case.name, done)
        said = done.stderr.decode()
        assert SECRET not in said, f"{case.name}: it tells the secret: {said}"
        assert said.startswith("rhizome-worker failed: ") and said.count("\n") == 1, (case.name, said)
        refused = re.fullmatch(r"rhizome-worker failed: read ProvisionSpec from stdin: decode <provision>: (.*) \(([A-Z_]+)\)\n", said)
        if refused is None:
            assert said.startswith("rhizome-worker failed: publish discovery record: "), (case.name, said)
            return None, None, said
        return refused[2], field_of(refused[1]), refused[1]

    def untouched(self):
        return {"files": sorted(path.name for path in self.path.iterdir())}

    def serves(self):
        assert self.untouched() == {"files": []}


class Connection:
    """Just enough of a WebSocket client: text messages of any bytes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        head = [line.strip() for line in iter(self.file.readline, b"\r\n")]
        assert head[0].startswith(b"HTTP/1.1 101"), head

    def send(self, body):
        size = bytes([128 | len(body)]) if len(body) < 126 else b"\xfe" + struct.pack(">H", len(body)) if len(body) < 65536 else \
            b"\xff" + struct.pack(">Q", len(body))
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + body)  # a mask of zeros

    def frame(self):
        first, size = self.file.read(2)
        if size > 125:
            size = struct.unpack(">H" if size == 126 else ">Q", self.file.read(2 if size == 126 else 8))[0]
        return first, self.file.read(size)

    def next(self):
        first, body = self.frame()
        assert first == 0x81, f"no text message: {first:#x}"
        return json.loads(body)

    def closed_with(self):
        """The code of the Close that comes, whatever comes before it."""
        first, body = self.frame()
        while first != 0x88:
            first, body = self.frame()
        return struct.unpack(">H", body[:2])[0]

    def close(self):
        self.socket.close()


class Served(Folder):
    """One worker, one connection."""
    executor = {"kind": "echo"}

    def __enter__(self):
        super().__enter__()
        self.begin()
        return self

    def begin(self):
        spec = {"version": 1, "identity": {"child_id": "me"}, "executor": self.executor, "fabric_dir": str(self.path), "reusable": True}
        self.start("worker", BIN / "rhizome-worker", ready=False, stdin=pack(spec))
        self.log = open(self.path / "worker.log", encoding="utf-8")
        record = self.path / "me.json"
        deadline = time.monotonic() + PATIENCE
        while not record.exists():
            assert time.monotonic() < deadline, "the worker does not register"
            time.sleep(0.01)  # until it has
        self.port = int(json.loads(record.read_text())["endpoint"].rsplit(":", 1)[1])
        self.connection = Connection(self.port)

    def hang_up(self):
        self.connection.close()
        self.log.close()

    def __exit__(self, *problem):
        self.hang_up()
        super().__exit__(*problem)

    def run(self, assignment):
        """All that is said of a run, its terminal last."""
        self.connection.send(pack({"kind": "run", "assignment": assignment}))
        said = [self.connection.next()]
        while said[-1]["kind"] != "terminal":
            said.append(self.connection.next())
        return said


class Frames(Served):
    """It ignores what is wrong, as upstream's does, and says so in its log; behind each case goes a frame whose refusal
    names it."""

    def cases(self):
        for kind in ("cancel", "message", "approval_reply", "subagent_reply", "run"):
            yield from cases("parent-frame", {"kind": kind})

    def answers(self, batch):
        for number, case in enumerate(batch):
            if not is_text(case.body) or len(case.body) > FRAME_MAX:
                yield case, self.closing(case)
                continue
            self.connection.send(case.body)
            self.connection.send(pack({"kind": "approval_reply", "id": "mark", "approved": f"m-{number}"}))
            heard = self.refusal()
            answer = (None, None, "")
            while f'found "m-{number}"' not in heard[2]:
                answer, heard = heard, self.refusal()
            yield case, answer

    def closing(self, case):
        """What is no message at all ends the connection (RFC 6455), before anybody reads it as JSON."""
        self.connection.send(case.body)
        code = self.connection.closed_with()
        self.connection.close()
        self.connection = Connection(self.port)
        return {1007: "BAD_JSON", 1009: "TOO_LARGE"}[code], None, f"at most {FRAME_MAX} bytes"

    def refusal(self):
        """(code, field, message) of the next line of the log."""
        deadline = time.monotonic() + PATIENCE
        line = ""
        while not line.endswith("\n"):
            more = self.log.readline()
            line += more
            time.sleep(0 if more else 0.001)  # until it says more
            assert time.monotonic() < deadline, f"the worker says no more than {line!r}"
        told = re.search(r' frame\.refused rc=([A-Z_]+) text="(.*)"\n', line)
        return (told[1], field_of(told[2]), told[2]) if told else self.refusal()

    def untouched(self):
        """It works on nothing: a run's answer is the first thing that it says."""
        return {"said": self.run("hello")}

    def serves(self):
        self.connection.send(pack({"kind": "cancel"}))
        self.connection.send(pack({"kind": "run", "assignment": "last"}))
        while self.connection.next().get("result") != "echo: last":
            pass


ENTRIES = {"provision": Provision, "frames": Frames}
