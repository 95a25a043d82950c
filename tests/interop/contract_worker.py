#!/usr/bin/python3
"""A worker written to proto/README.md, section 8: reads its ProvisionSpec, registers, serves runs over WebSocket.

Its executor takes the assignment word by word; a word that names one of ACTS does that, any other becomes a token."""
import asyncio
import datetime
import json
import os
import pathlib
import signal
import sys

import websockets

LEASE_SECS, RENEW_SECS = 60, 20
ACCEPT_SECS, IDLE_SECS = 120, 300


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Record:
    """Our entry in the fabric folder: written aside, renamed into place, taken away at the end."""

    def __init__(self, spec, endpoint):
        self.path = pathlib.Path(spec["fabric_dir"], spec["identity"]["child_id"] + ".json")
        self.fields = {"agent_id": spec["identity"]["child_id"], "role": spec["identity"].get("role", ""), "labels": [],
                       "endpoint": endpoint, "pid": os.getpid(), "version": "python", "started_at": stamp(now())}

    def publish(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lease = stamp(now() + datetime.timedelta(seconds=LEASE_SECS))
        aside = self.path.with_name(f".{self.path.name}.tmp.{os.getpid()}")
        with open(aside, "w", encoding="utf-8") as file:
            json.dump({**self.fields, "lease_expires_at": lease}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self.path)

    async def keep(self):
        while True:
            await asyncio.sleep(RENEW_SECS)
            self.publish()

    def withdraw(self):
        self.path.unlink(missing_ok=True)


class Run:
    """One assignment. All its events go out before its one terminal."""

    def __init__(self, spec, frame, socket):
        self.spec, self.frame, self.socket = spec, frame, socket
        self.inbox = asyncio.Queue()  # steering texts and approval replies
        self.task = asyncio.create_task(self.work())

    async def say(self, **frame):
        await self.socket.send(json.dumps(frame))

    async def event(self, kind, **members):
        await self.say(kind="event", event={"type": kind, **members})

    async def work(self):
        try:
            await self.say(kind="terminal", **await self.execute())
        except asyncio.CancelledError:
            await self.say(kind="terminal", status="cancelled")

    async def execute(self):
        words = self.frame["assignment"].split()
        for word in words:
            if word in ACTS:
                await ACTS[word](self)
            elif word in ENDS:
                return ENDS[word]
            else:
                await self.event("token", content=word + " ")
        await self.event("complete")
        return {"status": "completed", "result": f"{len(words)} words, {len(self.frame.get('messages', []))} messages"}

    async def tell_spec(self):
        await self.event("provisioned", pid=os.getpid(), args=sys.argv[1:], spec={**self.spec, "secrets": None})

    async def await_steering(self):
        await self.event("token", content=f"steered: {await self.inbox.get()}")

    async def ask_approval(self):
        await self.say(kind="approval_request", id="sa-0", body={"tool_name": "Bash"})
        await self.event("answered", approved=await self.inbox.get())

    async def grumble(self):
        print("grumble", file=sys.stderr, flush=True)

    async def vanish(self):
        os._exit(9)

    async def send_nonsense(self):
        await self.say(kind="later_kind", id="x")
        await self.say(kind="event", event=None)
        await self.say(kind="event_batch", batch={"first_seq": 1, "last_seq": 2, "qos": "durable",
                                                  "events": [{"type": "token", "content": "b"}, {"type": "note"}]})
        for kind in ("Odd Type!", "runner_progress"):
            await self.event(kind)
        await self.event("sub_agent_event", event={"type": "token", "content": "c"})


ACTS = {"spec?": Run.tell_spec, "steering?": Run.await_steering, "approval?": Run.ask_approval, "grumble!": Run.grumble,
        "vanish!": Run.vanish, "nonsense!": Run.send_nonsense}


ENDS = {"fail": {"status": "error", "error": "no luck"}, "suspend": {"status": "suspended"}}


class Server:
    """One connection at a time; a new `run` ends the active one first."""

    def __init__(self, spec):
        self.spec = spec
        self.turn = asyncio.Lock()
        self.connected = 0
        self.changed = asyncio.Event()

    async def serve(self, socket):
        self.connected += 1
        self.changed.set()
        try:
            async with self.turn:
                await self.converse(socket)
        finally:
            self.connected -= 1
            self.changed.set()

    async def converse(self, socket):
        run = None
        try:
            async for text in socket:
                if isinstance(text, bytes):
                    continue
                frame = json.loads(text)
                if frame["kind"] == "run":
                    await self.stop(run)
                    run = Run(self.spec, frame, socket)
                elif run is not None and not run.task.done():
                    self.pass_on(run, frame)
        finally:
            await self.stop(run)

    @staticmethod
    def pass_on(run, frame):
        if frame["kind"] == "cancel":
            run.task.cancel()
        elif frame["kind"] == "message":
            run.inbox.put_nowait(frame["text"])
        elif frame["kind"] == "approval_reply":
            run.inbox.put_nowait(frame["approved"])

    @staticmethod
    async def stop(run):
        if run is not None and not run.task.done():
            run.task.cancel()
            await asyncio.wait([run.task])

    async def nothing_more(self):
        """Returns when this worker has served: how long that is depends on `reusable`."""
        reusable = self.spec.get("reusable", False)
        limit = (self.spec.get("limits", {}).get("idle_timeout_secs") or IDLE_SECS) if reusable else ACCEPT_SECS
        served = False
        while True:
            self.changed.clear()
            if served and not reusable and not self.connected:
                return 0
            try:
                await asyncio.wait_for(self.changed.wait(), None if self.connected else limit)
            except asyncio.TimeoutError:
                return 0 if reusable else 1
            served = True


async def main():
    spec = json.loads(sys.stdin.buffer.read())
    server = Server(spec)
    ended = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: ended.done() or ended.set_result(0))
    async with websockets.serve(server.serve, "127.0.0.1", 0, ping_interval=None, compression=None, max_size=1 << 24) as listener:
        record = Record(spec, f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        record.publish()
        lease = asyncio.create_task(record.keep())
        served = asyncio.create_task(server.nothing_more())
        await asyncio.wait([served, ended], return_when=asyncio.FIRST_COMPLETED)
        record.withdraw()
        lease.cancel()
    return served.result() if served.done() else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
