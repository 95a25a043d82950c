"""Producers, clients and subscribers, all in one process on a host of their own. Orders on stdin, one line each:

    stop               no new jobs                             flood N              N jobs at once, pushed without a receipt
    rollcall L...      one job that only label L may take      forge CHILD EPOCH TOKEN WHAT
    state              one line of JSON: how far it is         finish PATH          replays what was missed, writes all it saw, ends

Everything that varies comes from the seed. Nothing is judged here: what was asked, answered and heard goes to the checker.
"""
import json
import random
import select
import sys
import time

import zmq

from ask import Asker
from forge import Forger
from listen import Ears

PARENTS = 12
REPLAYS = 400    # children whose events are fetched again at most
ENDLESS_MS = 90000  # longer than outages of everything that a plan puts end to end


def mix(rng, rate):
    """(kind, delay in ms, attempts) of the next job. What a stubborn one leaves behind stays for minutes: one every two seconds."""
    dice = rng.random()
    attempts = 2 if rng.random() < 0.3 else 1
    if dice < 0.72:
        return "echo", 0, attempts
    if dice < 0.92:
        return "slow", rng.randint(50, 1500), attempts
    if dice < 0.95:
        return "steered", rng.randint(1000, 3000), attempts
    if dice < 0.95 + min(0.02, 0.5 / rate):
        return "stubborn", 0, attempts
    if dice < 0.975:
        return "long", rng.randint(3000, 8000), attempts
    return "endless", ENDLESS_MS, attempts


class Load:
    def __init__(self, options):
        context = zmq.Context()
        brokers = options["brokers"]
        self.rng = random.Random(options["seed"])
        self.rate, self.names = options["rate"], list(brokers)
        self.asker = Asker(context, {name: f"tcp://{host}:7411" for name, host in brokers.items()})
        self.ears = Ears(context, {name: f"tcp://{host}:7412" for name, host in brokers.items()})
        self.forgers = [Forger(context, f"forger-{name}", f"tcp://{host}:7413") for name, host in brokers.items()]
        self.pushes = []
        for host in brokers.values():
            push = context.socket(zmq.PUSH)
            push.linger, push.sndhwm = 2000, 100000
            push.connect(f"tcp://{host}:7410")
            self.pushes.append(push)
        self.jobs, self.cancels, self.steers, self.later = {}, {}, {}, []
        self.made, self.pushed, self.began, self.producing = 0, [], time.monotonic(), True
        self.replays, self.replaying, self.forge_due = {}, 0, 0.0
        self.poller = zmq.Poller()
        for socket in [*self.asker.sockets.values(), *self.ears.sockets.values(), *(f.socket for f in self.forgers)]:
            self.poller.register(socket, zmq.POLLIN)
        self.poller.register(sys.stdin, zmq.POLLIN)

    # ---- jobs ----

    def submit(self, kind, delay_ms, attempts, label=None):
        self.made += 1
        child = f"c-{self.made}"
        words = f"words of {child}"
        text = f"__sleep_ms:{delay_ms} {words}" if delay_ms else words
        job = {"parent_session_id": f"p-{self.made % PARENTS}", "child_session_id": child, "job_id": f"j-{self.made}",
               "max_attempts": attempts, "session": {"id": child, "kind": "child", "messages": [{"role": "user", "content": text}]}}
        if kind == "stubborn":
            job["require"] = {"profile": "stubborn"}
        if label is not None:
            job["require"] = {"labels": [label]}
        record = {"child": child, "kind": kind, "delay_ms": delay_ms, "attempts": attempts, "words": words, "asked_at": time.time(),
                  "code": None, "label": label}
        self.jobs[child] = record
        self.asker.ask("submit", lambda reply, name: self._received(record, reply), at=self.rng.choice(self.names), job=job,
                       patience=120.0)

    def _received(self, record, reply):
        if reply is None:
            return
        record["code"], record["at"], record["durability"] = reply["code"], time.time(), reply.get("durability")
        if reply["code"] not in ("OK", "DUPLICATE"):
            record["reply"] = reply
            return
        if record["kind"] == "endless":
            self._after(self.rng.uniform(0.2, 4.0), self.cancel, record["child"])
        elif record["kind"] == "steered":
            self._after(self.rng.uniform(0.1, 1.0), self.steer, record["child"])
        elif self.rng.random() < 0.03:
            self._after(self.rng.uniform(0.0, 0.5), self.cancel, record["child"])

    def _after(self, seconds, what, *arguments):
        self.later.append((time.monotonic() + seconds, what, arguments))

    def cancel(self, child):
        record = self.cancels.setdefault(child, {"asked_at": time.time(), "code": None})
        self.asker.ask("cancel", lambda reply, name: self._cancelled(record, reply), at=self.rng.choice(self.names), child=child,
                       patience=120.0)

    @staticmethod
    def _cancelled(record, reply):
        if reply is not None:
            record.update(code=reply["code"], at=time.time(), delivery=reply.get("delivery"))

    def steer(self, child):
        identity = f"m-{child}"
        record = self.steers.setdefault(child, {"id": identity, "text": f"steering of {child}", "code": None})
        self.asker.ask("send", lambda reply, name: self._steered(record, reply), at=self.rng.choice(self.names), child=child,
                       text=record["text"], message_id=identity, patience=120.0)

    @staticmethod
    def _steered(record, reply):
        if reply is not None:
            record.update(code=reply["code"], delivery=reply.get("delivery"))

    def flood(self, n):
        for i in range(n):
            child = f"f-{len(self.pushed)}"
            job = {"parent_session_id": "flood", "child_session_id": child,
                   "session": {"id": child, "kind": "child", "messages": [{"role": "user", "content": "__sleep_ms:100 flood"}]}}
            try:
                self.pushes[i % len(self.pushes)].send(json.dumps(job).encode(), zmq.DONTWAIT)
                self.pushed.append(child)
            except zmq.Again:
                return

    def forge(self, child, epoch, token, what):
        for forger in self.forgers:
            forger.forge(child, int(epoch), token, what)

    def _guess(self):
        """Somebody tries to finish what runs, with a token made up."""
        if time.monotonic() < self.forge_due or not self.ears.running:
            return
        self.forge_due = time.monotonic() + 0.5
        child = self.rng.choice(list(self.ears.running)[-20:])
        self.forge(child, self.ears.running[child], f"{self.rng.getrandbits(128):032x}", "made-up-token")

    # ---- what was missed ----

    def missed(self):
        """Children of whose last epoch the ears of one broker missed something durable, as seq and prev_durable tell."""
        for child in self.jobs:
            lists = [heard[child] for heard in self.ears.heard.values() if child in heard]
            if len(lists) < len(self.names) or not all(is_whole(entries) for entries in lists):
                yield child

    def replay(self, child, epoch=0, seq=0):
        self.replaying += 1
        self.asker.ask("replay", lambda reply, name: self._replayed(child, reply), at=self.rng.choice(self.names), child=child,
                       from_epoch=epoch, from_seq=seq, limit=1000, patience=30.0)

    def _replayed(self, child, reply):
        self.replaying -= 1
        if reply is None:
            self.replays[child] = None
            return
        self.replays[child] = {"code": reply["code"], "first": reply.get("first_available"), "logged_to": reply.get("logged_to"), "events": [
            (e["header"]["epoch"], e["header"]["seq"], e["event"]["type"], e["event"].get("status")) for e in reply.get("events", [])]}

    # ---- the loop ----

    def turn(self):
        if self.producing:
            due = int((time.monotonic() - self.began) * self.rate) - self.made
            for _ in range(min(due, 50)):
                self.submit(*mix(self.rng, self.rate))
            if due > 500:  # we were held up ourselves: no burst afterwards
                self.began = time.monotonic() - self.made / self.rate
        self._do_later()
        self.asker.tick()
        for forger in self.forgers:
            forger.tick()
        self._guess()
        ready = dict(self.poller.poll(10))
        self.asker.receive()
        self.ears.receive()
        for forger in self.forgers:
            forger.receive()
        return sys.stdin.fileno() in ready

    def _do_later(self):
        now = time.monotonic()
        due = [entry for entry in self.later if entry[0] <= now]
        self.later = [entry for entry in self.later if entry[0] > now]
        for _, what, arguments in due:
            what(*arguments)

    def state(self):
        answered = sum(record["code"] is not None for record in self.jobs.values())
        return {"made": self.made, "receipts": answered, "open": self.asker.waiting() + len(self.later), "heard": self.ears.count,
                "codes": self.asker.counts}

    def finish(self, path):
        for child in list(self.missed())[:REPLAYS]:
            self.replay(child)
        deadline = time.monotonic() + 40
        while self.replaying > 0 and time.monotonic() < deadline:
            self.turn()
        forged = [answer for forger in self.forgers for answer in forger.answers]
        with open(path, "w") as file:
            json.dump({"jobs": self.jobs, "cancels": self.cancels, "steers": self.steers, "pushed": self.pushed, "heard": self.ears.heard,
                       "forged": forged, "replays": self.replays, "codes": self.asker.counts}, file)


def is_whole(entries):
    """True if nothing durable of the last epoch is missing, its end included."""
    epoch = max(entry[0] for entry in entries)
    durable = {0} | {entry[1] for entry in entries if entry[0] == epoch and entry[3]}
    linked = all(entry[2] in durable for entry in entries if entry[0] == epoch)
    return linked and any(entry[0] == epoch and entry[4] == "sub_agent_completed" for entry in entries)


def obey(load, words):
    """False when it was the last order."""
    if words[0] == "stop":
        load.producing = False
    elif words[0] == "flood":
        load.flood(int(words[1]))
    elif words[0] == "forge":
        load.forge(*words[1:])
    elif words[0] == "rollcall":
        for label in words[1:]:
            load.submit("rollcall", 0, 1, label)
    elif words[0] == "state":
        print(json.dumps(load.state()), flush=True)
    elif words[0] == "finish":
        load.finish(words[1])
        print("{}", flush=True)
        return False
    return True


def read_orders(buffered):
    """Whole lines that have come; None at the end of stdin."""
    chunk = sys.stdin.buffer.raw.read(65536)
    if not chunk:
        return None
    buffered.extend(chunk)
    *lines, rest = bytes(buffered).split(b"\n")
    buffered[:] = rest
    return [line.decode().split() for line in lines if line.strip()]


def main():
    load, buffered = Load(json.loads(sys.argv[1])), bytearray()
    while True:
        if not load.turn() and not select.select([sys.stdin], [], [], 0)[0]:
            continue
        orders = read_orders(buffered)
        if orders is None or not all(obey(load, words) for words in orders):
            return


if __name__ == "__main__":
    main()
