"""What upstream's runner does to a worker, written to the protocol's description: spawn with a spec on stdin, find the
record in the directory fabric, one WebSocket connection per run, Close without waiting for the answer.

The WebSocket side is the `websockets` package, not ours, so it judges our server."""
import asyncio
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import websockets

PATIENCE = 20.0  # seconds until a wait is given up


def until(what, probe, patience=PATIENCE):
    """Asks until probe() is true; its value."""
    deadline = time.monotonic() + patience
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up waiting for {what}")
        time.sleep(0.005)


def alive(pid):
    """A zombie has ended: whoever should reap it may be late."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


class Worker:
    """One worker process with a private fabric folder."""

    def __init__(self, binary, executor=None, child="ch-41", role="explorer", reusable=True, idle=None, env=None,
                 **members):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="rz-interop-"))
        self.child = child
        self.record_path = self.home / "fabric" / f"{child}.json"
        self.spec = {"version": 1, "identity": {"child_id": child, "parent_id": "root-7", "role": role},
                     "executor": executor or {"kind": "echo"}, "fabric_dir": str(self.home / "fabric"),
                     "limits": {} if idle is None else {"idle_timeout_secs": idle},
                     "secrets": {"provider_credentials": []}, "reusable": reusable, **members}
        self.errors = self.home / "stderr"
        (self.home / "fabric").mkdir()
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors,
                                            env=env)

    def provision(self, text=None):
        try:
            self.process.stdin.write(text if text is not None else json.dumps(self.spec).encode())
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        return self

    def record(self):
        """Waits for the registration, as a runner does, or for the exit."""
        def probe():
            if self.record_path.exists():
                return json.loads(self.record_path.read_text())
            assert self.process.poll() is None, f"exited before registering: {self.process.returncode}"
            return None
        return until("the record", probe)

    def endpoint(self):
        record = self.record()
        assert record["pid"] == self.process.pid, record
        return record["endpoint"]

    def exit_code(self, patience=PATIENCE):
        return self.process.wait(patience)

    def stderr(self):
        return self.errors.read_bytes()

    def __enter__(self):
        return self.provision()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


class Link:
    """One connection, used as upstream's parent uses it."""

    def __init__(self, socket):
        self.socket = socket

    @classmethod
    async def open(cls, endpoint, path="/", **options):
        options.setdefault("compression", None)
        socket = await asyncio.wait_for(
            websockets.connect(endpoint + path, ping_interval=None, max_size=1 << 24, **options), PATIENCE)
        return cls(socket)

    async def send(self, **frame):
        await self.socket.send(json.dumps(frame))

    async def run(self, assignment, **members):
        await self.send(kind="run", assignment=assignment, **members)

    async def frame(self):
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))

    async def frames(self):
        """All frames up to and with the terminal."""
        got = []
        while not got or got[-1]["kind"] != "terminal":
            got.append(await self.frame())
        return got

    async def quiet(self, seconds=0.2):
        """True if nothing more comes within `seconds`: the only way to see that something does not happen."""
        try:
            extra = await asyncio.wait_for(self.socket.recv(), seconds)
        except asyncio.TimeoutError:
            return True
        raise AssertionError(f"unexpected frame {extra}")

    async def close(self):
        """Close and drop, without waiting for the worker's Close."""
        if self.socket.open:  # the worker may have closed first
            await self.socket.write_frame(True, 8, b"\x03\xe8")
        self.socket.transport.close()
        await asyncio.sleep(0)  # asyncio closes in its next turn

    async def vanish(self):
        """The TCP connection ends without a Close frame."""
        self.socket.transport.abort()
        await asyncio.sleep(0)


async def one_run(endpoint, assignment, cancel_when=None, **members):
    """Connection, run, frames, Close. With cancel_when: a `cancel` once that many frames have come."""
    link = await Link.open(endpoint)
    await link.run(assignment, **members)
    if cancel_when is None:
        got = await link.frames()
    else:
        got = [await link.frame() for _ in range(cancel_when)]
        await link.send(kind="cancel")
        got += await link.frames()
    await link.close()
    return got


def token(text):
    return {"kind": "event", "event": {"type": "token", "content": text}}


COMPLETE = {"kind": "event", "event": {"type": "complete"}}
CANCELLED = {"kind": "terminal", "status": "cancelled"}


def completed(result):
    return {"kind": "terminal", "status": "completed", "result": result}


def failed(error):
    return {"kind": "terminal", "status": "error", "error": error}


def echoed(*words):
    """Every frame that an echo of these words makes."""
    return [token(word + " ") for word in words] + [COMPLETE, completed("echo: " + " ".join(words))]


def same(got, want):
    assert got == want, f"\n   got: {got}\n  want: {want}"


def stop(worker, number=signal.SIGTERM):
    worker.process.send_signal(number)
    return worker.exit_code()


def cases_of(namespace):
    """The test cases of a module: its coroutine functions that say what must hold."""
    return {name[5:]: case for name, case in namespace.items() if name.startswith("case_")}


def run_cases(cases, names):
    """Runs the named cases, or all; prints a line each and "N passed, M failed"; the exit code."""
    unknown = [name for name in names if name not in cases]
    if unknown:
        print(f"no such case: {', '.join(unknown)}; there are: {', '.join(cases)}")
        return 2
    passed = broken = 0
    for name in names or cases:
        started = time.monotonic()
        try:
            asyncio.run(asyncio.wait_for(cases[name](), 60))
            passed += 1
            print(f"ok      {name}  ({time.monotonic() - started:.2f} s)", flush=True)
        except Exception as problem:  # every failure is a line, whatever it is
            broken += 1
            print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)
    print(f"{passed} passed, {broken} failed")
    return 1 if broken else 0


def our_worker():
    folder = os.environ.get("RZ_BIN_DIR")
    if not folder:
        raise SystemExit("RZ_BIN_DIR must name the folder of rhizome-worker")
    return os.path.join(folder, "rhizome-worker")
