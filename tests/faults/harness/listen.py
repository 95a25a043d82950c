"""A subscriber of everything at each broker: what was heard, in the order it came, per broker and child."""
import json
import time

import zmq


class Ears:
    def __init__(self, context, endpoints):
        self.sockets, self.heard, self.count = {}, {}, 0
        self.running = {}  # child -> epoch, of those that were heard to start and not to end
        for name, endpoint in endpoints.items():
            socket = context.socket(zmq.SUB)
            socket.linger, socket.rcvhwm = 0, 200000
            socket.reconnect_ivl, socket.reconnect_ivl_max, socket.handshake_ivl = 50, 1000, 3000
            socket.subscribe(b"")
            socket.connect(endpoint)
            self.sockets[name] = socket
            self.heard[name] = {}

    def receive(self):
        for name, socket in self.sockets.items():
            for _ in range(2000):
                try:
                    frames = socket.recv_multipart(zmq.DONTWAIT)
                except zmq.Again:
                    break
                self._hear(name, frames)

    def _hear(self, broker, frames):
        topic, header, event = frames
        if topic.startswith(b"$sys/") or b"/$wait/" in topic:
            return
        self.count += 1
        head = json.loads(header)
        kind = topic.rsplit(b"/", 1)[1].decode()
        child, epoch = head["child"], head["epoch"]
        status = json.loads(event)["status"] if kind == "sub_agent_completed" else None
        if kind == "sub_agent_started":
            self.running[child] = epoch
        elif status is not None and self.running.get(child, 0) <= epoch:
            self.running.pop(child, None)
        self.heard[broker].setdefault(child, []).append(
            (epoch, head["seq"], head["prev_durable"], head["class"] == "durable", kind, status, round(time.time(), 3)))
