"""A client, a subscriber and a runner written to proto/README.md, each a page of Python: nothing here was translated from the
C sources. Everything they send and receive is also held against proto/schema."""
import collections
import hashlib
import json
import os
import re
import time

import zmq

from check_schemas import load_validators

PATIENCE = 20.0  # seconds until a wait is given up
SCHEMAS = load_validators()
context = zmq.Context.instance()


def conforms(schema, document):
    """The document, if it satisfies the schema."""
    errors = list(SCHEMAS[schema].iter_errors(document))
    assert not errors, f"{schema}: {errors[0].json_path}: {errors[0].message}: {json.dumps(document)[:300]}"
    return document


def same(got, want):
    assert got == want, f"\n   got: {got}\n  want: {want}"


def holds(document, **members):
    """The document, if it has these members with these values."""
    same({name: document.get(name) for name in members}, members)
    return document


def pack(document):
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


KEYS = {}  # "client", "runner": what is in their key files (1.1); empty: brokers have no keys


def socket_to(kind, endpoint, who="client"):
    socket = context.socket(kind)
    socket.linger = 0
    if KEYS:
        key = KEYS[who]
        socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (
            key[name].encode() for name in ("server_key", "public_key", "secret_key"))
    socket.connect(endpoint)
    return socket


def receive(socket, patience=PATIENCE):
    """The next message's frames, or None when the time is over."""
    return socket.recv_multipart() if socket.poll(int(max(patience, 0) * 1000)) else None


def child_session(child, text, **members):
    return {"id": child, "kind": "child", "messages": [{"role": "user", "content": text}], **members}


class Client:
    """Control (section 4), asked as REQ or as DEALER."""

    def __init__(self, endpoint, kind=zmq.REQ):
        self.dealer = kind == zmq.DEALER
        self.socket = socket_to(kind, endpoint)
        self.asked = 0

    def send(self, op, **members):
        self.asked += 1
        request = {"v": 1, "op": op, "id": self.asked, **members}
        self.socket.send_multipart([b"", pack(request)] if self.dealer else [pack(request)])
        return request["id"]

    def reply(self, patience=PATIENCE):
        frames = receive(self.socket, patience)
        assert frames is not None, "control does not answer"
        if self.dealer:
            same(frames.pop(0), b"")
        (frame,) = frames
        return conforms("control-reply", json.loads(frame))

    def ask(self, op, **members):
        identity = self.send(op, **members)
        return holds(self.reply(), op=op, id=identity)

    def ok(self, op, **members):
        return holds(self.ask(op, **members), code="OK")

    def close(self):
        self.socket.close()


class Subscriber:
    """Events (section 6). `sync` is the handshake after which nothing is missed."""

    def __init__(self, events, *topics):
        self.socket = socket_to(zmq.SUB, events)
        for topic in topics:
            self.socket.subscribe(topic.encode())

    def next(self, patience=PATIENCE):
        """(topic, header, event) or None. Echoes of an earlier round may still come: they are left out."""
        frames = receive(self.socket, patience)
        while frames is not None and frames[0].startswith(b"$sys/sync/"):
            frames = receive(self.socket, patience)
        if frames is None:
            return None
        topic, header, event = frames
        return topic.decode(), json.loads(header or b"{}"), json.loads(event or b"{}")

    def sync(self, client, nonce, runner=None):
        """Asks for rounds of echoes until every emitter of a round was seen; `runner` is one of ours that must answer too."""
        prefix = f"$sys/sync/{nonce}/"
        self.socket.subscribe(prefix.encode())
        seen = set()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            emitters = set(client.ok("sync", nonce=nonce)["emitters"])
            if runner is not None:
                runner.echo(nonce)
            until = time.monotonic() + 0.1
            while emitters - seen and time.monotonic() < until:
                frames = receive(self.socket, until - time.monotonic())
                if frames is not None:
                    seen.add(frames[0].decode().removeprefix(prefix))
            if not emitters - seen:
                return self
        raise AssertionError(f"no echo of {emitters - seen}")

    def until_completed(self, child):
        """All events of the child up to its end, each checked against its schema and its topic."""
        got = []
        while not got or got[-1][2]["type"] != "sub_agent_completed":
            message = self.next()
            assert message is not None, f"no more events after {got}"
            topic, header, event = message
            if header.get("child") != child:
                continue
            conforms("event-header", header)
            conforms("event", event)
            same(topic, topic_of(event))
            got.append(message)
        return got


def topic_of(event):
    kind = event["type"]
    if kind == "sub_agent_event":
        inner = event["event"]["type"]
        kind += "." + (inner if re.fullmatch("[a-z0-9_.]{1,64}", inner) else "other")
    return f"{event['parent_session_id']}/{event['child_session_id']}/{kind}"


class Activation:
    """What a runner holds of one assignment, from `assign` to the `ack` of its `finish` or `release`."""

    def __init__(self, assign, session, messages):
        self.assign, self.session, self.messages = assign, session, messages
        self.child, self.parent, self.epoch, self.token = (assign[k] for k in ("child", "parent", "epoch", "token"))
        self.seq = self.durable = 0

    def event(self, kind, **members):
        return {"type": kind, "parent_session_id": self.parent, "child_session_id": self.child, **members}

    def header(self, grade):
        """The header of the next event: counts it, and remembers it as the last durable one if it is."""
        self.seq += 1
        header = {"v": 1, "parent": self.parent, "child": self.child, "epoch": self.epoch, "seq": self.seq,
                  "prev_durable": self.durable, "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "class": grade}
        for name, source in (("job", "job"), ("traceparent", "traceparent")):
            if self.assign.get(source):
                header[name] = self.assign[source]
        if grade == "durable":
            self.durable = self.seq
        return header


class Runner:
    """The link (section 5), for one broker. Nothing runs behind the test's back: `expect` receives and keeps the heartbeat."""

    def __init__(self, endpoint, name, profiles, slots=4, labels=(), incarnation=None):
        self.endpoint, self.name, self.profiles, self.slots, self.labels = endpoint, name, list(profiles), slots, list(labels)
        self.incarnation = incarnation or os.urandom(16).hex()
        self.held, self.inbox, self.seen = {}, collections.deque(), []
        self.granted = self.counter = 0
        self.link = self.publisher = self.heartbeat = None

    # ---- joining and leaving ----

    def join(self):
        self.link = socket_to(zmq.DEALER, self.endpoint, "runner")
        self.hello()
        welcome, _ = self.expect("welcome")
        self.sync_ms = welcome["sync_ms"]
        self.publisher = socket_to(zmq.PUB, welcome["publish"], "runner")
        self.beat_at = time.monotonic() + self.sync_ms / 1000
        self.credit(self.slots)
        return self

    def hello(self):
        self.send({"kind": "hello", "v": 1, "runner": self.name, "incarnation": self.incarnation, "host": os.uname().nodename,
                   "pid": os.getpid(), "slots": self.slots, "version": "python", "labels": self.labels,
                   "profiles": self.profiles})

    def bye(self):
        self.send({"kind": "bye", "incarnation": self.incarnation})
        self.close(linger=1000)

    def close(self, linger=0):
        for socket in (self.link, self.publisher):
            if socket is not None:
                socket.close(linger)
        self.link = self.publisher = None

    def __enter__(self):
        return self.join()

    def __exit__(self, *_):
        if self.link is not None:
            self.bye()

    # ---- frames ----

    def send(self, header, *payload):
        self.link.send_multipart([pack(conforms("link", header)), *payload])

    def expect(self, kind, patience=PATIENCE, **members):
        """The next message of this kind and with these members: (header, payload). Others wait in the inbox."""
        deadline = time.monotonic() + patience
        for message in list(self.inbox):
            if self.matches(message, kind, members):
                self.inbox.remove(message)
                return message
        while time.monotonic() < deadline:
            message = self.turn(deadline)
            if message is not None and self.matches(message, kind, members):
                return message
            if message is not None:
                self.inbox.append(message)
        raise AssertionError(f"no {kind} {members}; got {self.seen[-6:]}")

    @staticmethod
    def matches(message, kind, members):
        return message[0]["kind"] == kind and all(message[0].get(name) == value for name, value in members.items())

    def turn(self, deadline):
        """One message, or None; says `sync` when it is due."""
        if self.publisher is not None and time.monotonic() >= self.beat_at:
            self.sync()
        wake = min(deadline, self.beat_at) if self.publisher is not None else deadline
        frames = receive(self.link, wake - time.monotonic())
        if frames is None:
            return None
        header = conforms("link", json.loads(frames[0]))
        self.seen.append(header)
        return header, frames[1:]

    # ---- what a runner says ----

    def credit(self, more, idle=None):
        self.granted += more
        self.send({"kind": "credit", "granted": self.granted, "idle": idle or {}})

    def sync(self):
        self.counter += 1
        self.beat_at = time.monotonic() + self.sync_ms / 1000
        lines = sorted(f"{child} {held.epoch}\n" for child, held in self.held.items())
        self.send({"kind": "sync", "incarnation": self.incarnation, "counter": self.counter, "count": len(lines),
                   "digest": hashlib.sha1("".join(lines).encode()).hexdigest(), "held": [line[:-1] for line in lines]})
        return self.counter

    def synced(self):
        """The answer to a heartbeat sent now."""
        return self.expect("synced", counter=self.sync())[0]

    def take(self, child):
        """Waits for the child's assignment and holds it."""
        assign, (session, messages) = self.expect("assign", child=child)
        held = self.held[child] = Activation(assign, json.loads(session), json.loads(messages))
        conforms("session", {**held.session, "messages": held.messages})
        return held

    def echo(self, nonce):
        """Answers `emit`: the subscriber that sees the echo has its subscription here."""
        self.expect("emit", nonce=nonce)
        self.publisher.send_multipart([f"$sys/sync/{nonce}/{self.name}".encode(), b"{}", b"{}"])

    def publish(self, header, event):
        self.publisher.send_multipart([topic_of(event).encode(), pack(header), pack(event)])

    def write(self, op, held, events, *payload, **members):
        """Sends start, append or finish with durable (header, event) pairs."""
        self.send({"kind": op, "child": held.child, "epoch": held.epoch, "token": held.token,
                   "seqs": [header["seq"] for header, _ in events], **members},
                  *payload, *(pack(part) for pair in events for part in pair))

    def log(self, op, held, *what, **members):
        """The same, and the code of its `ack`."""
        self.write(op, held, *what, **members)
        ack, _ = self.expect("ack", op=op, child=held.child, epoch=held.epoch)
        return ack["code"]

    def start(self, held):
        """Says that the work begins, and publishes that it has begun."""
        event = held.event("sub_agent_started", title=held.session.get("title") or None)
        header = held.header("durable")
        self.publish(header, event)
        return self.log("start", held, [(header, event)])

    def tell(self, held, inner, grade="ephemeral"):
        """Publishes one event of the worker; a durable one is returned, to be logged."""
        event = held.event("sub_agent_event", event=inner)
        header = held.header(grade)
        self.publish(header, event)
        return header, event

    def finish(self, held, status, text=None, error=None, code=None, events=()):
        """Ends the activation, gives its slot back and publishes the end, if the store took it."""
        reply = pack({"role": "assistant", "content": text}) if text is not None else b""
        end = {"status": status, **({"error": error} if error else {})}
        event = held.event("sub_agent_completed", **end)
        header = held.header("durable")
        answer = self.log("finish", held, [*events, (header, event)], reply, **end, **({"code": code} if code else {}))
        if answer in ("OK", "DUPLICATE"):
            self.publish(header, event)
        del self.held[held.child]
        self.credit(1)
        return answer

    def release(self, held, reason):
        self.send({"kind": "release", "child": held.child, "epoch": held.epoch, "token": held.token, "reason": reason})
        ack, _ = self.expect("ack", op="release", child=held.child)
        del self.held[held.child]
        self.credit(1)
        return ack["code"]
