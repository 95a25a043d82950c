"""A runner that lies: it says finish, start and release for what it does not own. Every answer must refuse it."""
import json
import os
import time

import zmq

SYNC_S = 2.0
EMPTY_DIGEST = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


class Forger:
    def __init__(self, context, name, endpoint):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl, self.socket.reconnect_ivl_max = 50, 1000
        self.socket.connect(endpoint)
        self.name, self.incarnation = name, os.urandom(16).hex()
        self.welcome, self.due, self.counter = False, 0.0, 0
        self.tried, self.answers = {}, []  # (child, epoch) -> what was forged; [(child, epoch, what, op, code)]

    def _say(self, header, *payload):
        try:
            self.socket.send_multipart([json.dumps(header, separators=(",", ":")).encode(), *payload], zmq.DONTWAIT)
        except zmq.Again:
            self.welcome = False

    def tick(self):
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + SYNC_S
        if self.welcome:
            self.counter += 1
            self._say({"kind": "sync", "incarnation": self.incarnation, "counter": self.counter, "count": 0, "digest": EMPTY_DIGEST,
                       "held": []})
        else:
            self._say({"kind": "hello", "v": 1, "runner": self.name, "incarnation": self.incarnation, "host": "forger", "pid": os.getpid(),
                       "slots": 1, "version": "forger", "labels": [], "profiles": ["nobody"]})

    def forge(self, child, epoch, token, what):
        """finish in the name of somebody else; what: for the report."""
        if not self.welcome:
            return
        self.tried[(child, epoch)] = what
        self._say({"kind": "finish", "child": child, "epoch": epoch, "token": token, "seqs": [], "status": "completed"},
                  b'{"role":"assistant","content":"forged"}')

    def receive(self):
        while True:
            try:
                message = json.loads(self.socket.recv_multipart(zmq.DONTWAIT)[0])
            except zmq.Again:
                return
            if message["kind"] == "welcome":
                self.welcome = True
            elif message["kind"] == "refused":
                self.welcome = False
                if message.get("code") == "DEAD":
                    self.incarnation, self.counter = os.urandom(16).hex(), 0
            elif message["kind"] == "synced" and message.get("code") == "DEAD":
                self.welcome, self.incarnation, self.counter = False, os.urandom(16).hex(), 0
            elif message["kind"] == "ack":
                what = self.tried.get((message["child"], message["epoch"]), "?")
                self.answers.append((message["child"], message["epoch"], what, message["op"], message["code"]))
