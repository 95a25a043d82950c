#!/usr/bin/python3
"""Messages of too many parts and frames of too many bytes at the sockets of a broker: dropped or refused by name, logged, and
nobody else is kept waiting. Usage: limits.py"""
import sys

import zmq

from hostile import pack
from stages import Broker, receive

PARTS_MAX = 144        # RZ_PARTS_MAX
FRAME_MAX = 16 << 20   # RZ_FRAME_MAX
EVENT_MAX = 2 << 18    # of one frame at the event proxy: 2 * RZ_EVENT_MAX
TOPIC_MAX = 4096       # FACE_TOPIC_MAX
DOORS = {"jobs": zmq.PUSH, "control": zmq.DEALER, "runners": zmq.DEALER}
FLOOD = 50             # messages of each kind


def logged(stage, event):
    return (stage.folder.path / "broker.log").read_text().count(f" {event} ")


def floods(stage, name):
    """Long messages do not pile up: behind them the same peer is still heard, and so is everybody else."""
    socket = stage.socket_to(DOORS[name], name)
    before = logged(stage, "sock.too_many_parts")
    for parts in (PARTS_MAX + 1, 10 * PARTS_MAX):
        for _ in range(FLOOD):
            socket.send_multipart([b"x"] * parts)
    if name == "control":
        socket.send_multipart([b"", pack({"op": "hello", "id": 7})])
        assert b'"id":7' in receive(socket)[-1]
    if name == "runners":
        socket.send_multipart([pack({"kind": "m"})])
        assert b"BAD_KIND" in receive(socket)[0]
    assert stage.ask("hello")["code"] == "OK"
    socket.close()
    return logged(stage, "sock.too_many_parts") - before


def outgrows(stage, name):
    """A frame beyond the limit ends its sender's connection; others are served on."""
    socket = stage.socket_to(DOORS[name], name)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.send_multipart([b"", b"x" * (FRAME_MAX + 1)] if name == "control" else [b"x" * (FRAME_MAX + 1)])
    assert monitor.poll(20000), f"{name}: a frame of {FRAME_MAX + 1} bytes is taken"
    socket.disable_monitor()
    socket.close()
    assert stage.ask("hello")["code"] == "OK"


def disconnects(socket, message, what):
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.send_multipart(message)
    assert monitor.poll(20000), f"{what} is taken"
    socket.disable_monitor()
    socket.close()


def overfills_events(stage):
    """Who publishes or subscribes too much at a time is cut off; who is modest hears on."""
    modest = stage.socket_to(zmq.SUB, "events", subscribe=b"x/")
    publisher = stage.socket_to(zmq.XPUB, "publish")
    assert receive(publisher)  # the subscription has arrived
    disconnects(publisher, [b"x/", b"x" * (EVENT_MAX + 1)], f"an event of {EVENT_MAX + 1} bytes")
    disconnects(stage.socket_to(zmq.XSUB, "events"), [b"\1" + b"x" * (TOPIC_MAX + 1)], f"a topic of {TOPIC_MAX + 1} bytes")
    publisher = stage.socket_to(zmq.XPUB, "publish")
    assert receive(publisher)
    publisher.send_multipart([b"x/"] * PARTS_MAX * 10)  # parts are passed on one by one, and held by nobody
    publisher.send_multipart([b"x/", b"last"])
    while receive(modest) != [b"x/", b"last"]:
        pass
    publisher.close()
    modest.close()
    assert stage.ask("hello")["code"] == "OK"


def main():
    with Broker() as stage:
        before = stage.untouched()
        dropped = {name: floods(stage, name) for name in ("control", "runners", "jobs")}
        assert dropped["control"] == dropped["runners"] == 2 * FLOOD, dropped
        for name in ("jobs", "control", "runners"):
            outgrows(stage, name)
        overfills_events(stage)
        assert stage.untouched() == before
        print(f"dropped for their parts: {dropped}")


if __name__ == "__main__":
    sys.exit(main())
