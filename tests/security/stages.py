"""What the cases of bad input are sent to: real programs, each with a store or a stand-in of its own, and their logs."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults" / "harness"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from resp import Down, Redis  # noqa: E402
from secured import Keys, Users  # noqa: E402

BIN = pathlib.Path(os.environ["RZ_BIN_DIR"])
PATIENCE = 30.0
MOVING = ("tick", "brokers", "i:", "is", "runners")  # keys of the store that change by themselves
NOTICES = ("rejected", "broadcast")       # what a broker writes to tell of a refusal
context = zmq.Context.instance()


def socket_to(kind, endpoint, before, **options):
    """before: what else is done to it before it connects."""
    socket = context.socket(kind)
    socket.linger = 0
    before(socket)
    for name, value in options.items():
        setattr(socket, name, value)
    socket.connect(endpoint)
    return socket


def receive(socket, patience=PATIENCE):
    return socket.recv_multipart() if socket.poll(int(patience * 1000)) else None


def field_of(text):
    """A failure names its field as the first word."""
    name = text.split(": ", 1)[0]
    return name if ": " in text and " " not in name else None


def is_text(body):
    """Whether bytes may be a text message of WebSocket's."""
    try:
        return body.decode() is not None
    except UnicodeDecodeError:
        return False


class Folder:
    """A folder of the test's own, and the programs that run in it; all of them end with it."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="rhizome-input-")
        self.path, self.running = pathlib.Path(self.place.name), []

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        for process, log in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE)
            text = log.read_text(errors="replace")
            if problem[0] is None:
                assert code in (0, -signal.SIGTERM), f"{log.name}: ended with {code}\n{text[-2000:]}"
                check_log(log)
            else:
                sys.stderr.write(f"--- {log.name}, its end\n{text[-2000:]}\n")
        self.place.cleanup()

    def start(self, name, *argv, ready=True, env=None, stdin=None):
        """Starts a program, with these bytes on its stdin; returns the line that it says when it is ready, as JSON."""
        log = self.path / f"{name}.log"
        inner, outer = os.pipe()
        flags = ["--ready-fd", str(outer)] if ready else []
        with open(log, "wb") as file:
            process = subprocess.Popen([*map(str, argv), *flags], stdin=subprocess.PIPE, stdout=file, stderr=file, pass_fds=[outer],
                                       cwd=self.path, env={**os.environ, **(env or {})})
        os.close(outer)
        process.stdin.write(stdin or b"")
        process.stdin.close()
        self.running.append((process, log))
        with open(inner, encoding="utf-8") as line:
            told = line.readline() if ready else "{}"
        assert told, f"{name} did not start:\n{log.read_text()}"
        return json.loads(told)

    def ends(self, code):
        """The program that was started last ends by itself."""
        process, log = self.running.pop()
        assert process.wait(PATIENCE) == code, f"{log.name}: ended with {process.returncode}\n{log.read_text(errors='replace')[-2000:]}"
        check_log(log)

    def write(self, name, text):
        path = self.path / name
        path.write_text(text)
        return path


def check_log(path):
    """Whatever strangers sent, a log holds whole lines of visible text, and no sanitizer's."""
    for line in path.read_bytes().splitlines():
        text = line.decode()  # raises if it is not UTF-8
        odd = [char for char in text if ord(char) < 32 or 127 <= ord(char) < 160]
        assert not odd, f"{path.name}: control characters {odd} in {text!r}"
        assert "Sanitizer" not in text, f"{path.name}: {path.read_text(errors='replace')[-4000:]}"


class Store:
    def __init__(self, folder):
        self.folder, self.socket, self.users = folder, folder.path / "redis.sock", Users(folder.path)
        self.url = f"unix:{self.socket}"

    def __enter__(self):
        self.folder.start("redis", "redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
                          "--dir", self.folder.path, *self.users.redis, ready=False)
        self.redis = Redis(str(self.socket), login=self.users.login)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if self.redis("PING") == "PONG":
                    subprocess.run([BIN / "rhizome", "store", "init", "--redis-url", self.url, *self.users.flags("admin")], check=True, stdout=subprocess.DEVNULL)
                    return self
            except Down:
                time.sleep(0.01)  # until it listens
        raise AssertionError("redis does not answer")

    def __exit__(self, *_):
        pass

    def state(self, *besides):
        """name of a key -> digest of what it holds, without those that move by themselves."""
        keys = self.redis("KEYS", "*")
        keys = [key for key in keys if not key.split(":", 2)[2].startswith((*MOVING, *besides))]
        dumps = self.redis.many([("DUMP", key) for key in keys]) if keys else []
        return {key: hashlib.sha256(dump.encode()).hexdigest() for key, dump in zip(keys, dumps)}


class Broker:
    """A store and a broker. One child waits there from the beginning, and must wait unchanged at the end."""

    def __init__(self):
        self.folder = Folder()
        self.keys = Keys(BIN, self.folder.path)
        self.store = Store(self.folder)

    def __enter__(self):
        self.folder.__enter__()
        self.store.__enter__()
        sockets = [f"--broker-{name}=tcp://127.0.0.1:*" for name in ("jobs", "control", "events", "runners", "publish", "http")]
        self.endpoints = self.folder.start("broker", BIN / "rhizome-broker", f"--redis-url={self.store.url}", *sockets,
                                           *self.store.users.flags("broker"), *self.keys.at_broker)
        self.endpoints = self.endpoints.get("endpoints", self.endpoints)
        self.client = self.socket_to(zmq.REQ, "control")
        session = {"id": "victim", "kind": "child", "messages": [{"role": "user", "content": "hello"}]}
        job = {"parent_session_id": "root", "child_session_id": "victim", "session": session, "require": {"profile": "nobody"}}
        assert self.ask("submit", job=job)["code"] == "OK"
        return self

    def __exit__(self, *problem):
        self.client.close()
        self.folder.__exit__(*problem)

    def socket_to(self, kind, name, **options):
        """At the socket of that name, with the key that belongs there."""
        return socket_to(kind, self.endpoints[name], lambda socket: self.keys.apply(socket, "runner" if name in ("runners", "publish") else "admin"), **options)

    def ask(self, op, **members):
        self.client.send_json({"op": op, **members})
        assert self.client.poll(int(PATIENCE * 1000)), f"control does not answer {op}"
        return self.client.recv_json()

    def untouched(self, *besides):
        """What no refused message may change; compared before and after."""
        victim = self.ask("get", child="victim")
        assert victim["code"] == "OK", victim
        return {**self.store.state(*besides), "victim": victim["activation"]}
