"""Asking brokers as a careful client does: the same request again, at another broker, until there is an answer that is one."""
import itertools
import json
import time

import zmq

TRY_S = 2.0           # without an answer for so long, the next broker is asked
PAUSE_S = 0.3
NO_ANSWER = {"UNAVAILABLE", "UNKNOWN", "FULL", "INTERNAL", "BAD_STORE"}  # the last: until an operator has mended it


class Asker:
    """One DEALER to each broker. ask() calls back once, with the reply, or with None when `patience` is over."""

    def __init__(self, context, endpoints):
        self.sockets = {}
        for name, endpoint in endpoints.items():
            socket = context.socket(zmq.DEALER)
            socket.linger = 0
            socket.sndhwm = socket.rcvhwm = 0
            socket.reconnect_ivl, socket.reconnect_ivl_max, socket.handshake_ivl = 50, 1000, 3000
            socket.connect(endpoint)
            self.sockets[name] = socket
        self.names = list(endpoints)
        self.ids = itertools.count(1)
        self.open = {}     # id -> question
        self.counts = {}   # code -> how often

    def ask(self, op, then, patience=60.0, at=None, retry=True, **members):
        question = {"request": {"v": 1, "op": op, **members}, "then": then, "until": time.monotonic() + patience,
                    "at": at or self.names[0], "retry": retry, "tries": 0, "asked": []}
        self._send(question)

    def _send(self, question):
        number = next(self.ids)
        question["tries"] += 1
        question["due"] = time.monotonic() + TRY_S
        question["asked"].append(number)
        self.open[number] = question
        frame = json.dumps({**question["request"], "id": number}, separators=(",", ":")).encode()
        try:
            self.sockets[question["at"]].send_multipart([b"", frame], zmq.DONTWAIT)
        except zmq.Again:
            pass  # no connection yet: the next try says it again

    def receive(self):
        """Takes what has come."""
        for name, socket in self.sockets.items():
            for _ in range(500):
                try:
                    reply = json.loads(socket.recv_multipart(zmq.DONTWAIT)[-1])
                except zmq.Again:
                    break
                question = self.open.get(reply.get("id"))
                if question is not None:
                    self._answered(question, name, reply)

    def _answered(self, question, name, reply):
        code = reply.get("code")
        self.counts[code] = self.counts.get(code, 0) + 1
        if code in NO_ANSWER and question["retry"]:
            question["due"] = min(question["due"], time.monotonic() + max(PAUSE_S, reply.get("retry_after_ms", 0) / 1000))
            return
        self._close(question)
        question["then"](reply, name)

    def _close(self, question):
        for number in question["asked"]:
            self.open.pop(number, None)

    def tick(self):
        """Repeats what had no answer; call it some times a second."""
        now = time.monotonic()
        for question in {id(q): q for q in self.open.values() if q["due"] <= now}.values():
            if now >= question["until"] or not question["retry"]:
                self._close(question)
                question["then"](None, None)
                continue
            question["at"] = self.names[(self.names.index(question["at"]) + 1) % len(self.names)]
            self._send(question)

    def waiting(self):
        return len({id(question) for question in self.open.values()})
