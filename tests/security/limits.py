#!/usr/bin/python3
"""Messages of too many parts and frames of too many bytes at the sockets of a broker, and what is no event or no subscription:
dropped or refused by name, counted, logged, and nobody else is kept waiting; and a broker that may open no more files. Usage: limits.py"""
import os
import resource
import select
import socket
import sys
import time
import urllib.request

import zmq

from hostile import pack
from stages import NOTICES, PATIENCE, Broker, receive

PARTS_MAX = 144        # RZ_PARTS_MAX
FRAME_MAX = 16 << 20   # RZ_FRAME_MAX
WALL = 4               # RZ_FRAME_WALL
EVENT_MAX = 2 << 18    # of one frame at the event proxy: 2 * RZ_EVENT_MAX
TOPIC_MAX = 4096       # FACE_TOPIC_MAX
DOORS = {"jobs": zmq.PUSH, "control": zmq.DEALER, "runners": zmq.DEALER}
SECRET = b"sk-too-large-to-be-told"
FLOOD = 50             # messages of each kind
GOOD = [b"root/victim/x", b"{}", b"{}"]
NO_EVENTS = ([b"root/victim/x"], GOOD[:2], GOOD + [b"{}"], GOOD * PARTS_MAX, [b"", *GOOD[1:]], [b"x" * (TOPIC_MAX + 1), *GOOD[1:]])
NO_SUBSCRIPTIONS = ([b""], [b"\2root/"], [b"root/"], [b"\1root/", b"root/"])


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
    """A frame that is too large is refused by name; one that says it will be far too large ends its sender's connection."""
    door, around = stage.socket_to(DOORS[name], name), [b""] if name == "control" else []
    before = stage.ask("status")["counters"]
    door.send_multipart([*around, SECRET.ljust(FRAME_MAX + 1, b"x")])
    if name != "jobs":
        answer = receive(door)[-1]
        assert b'"TOO_LARGE"' in answer and str(FRAME_MAX).encode() in answer, answer
    counts(stage, "frames_too_large", before["frames_too_large"] + 1)
    counts(stage, "jobs_rejected", before["jobs_rejected"] + (name == "jobs"))
    assert logged(stage, "sock.frame_too_large") == before["frames_too_large"] + 1
    disconnects(door, [*around, b"x" * (WALL * FRAME_MAX + 1)], f"{name}: a frame of {WALL} times {FRAME_MAX} bytes")
    assert stage.ask("hello")["code"] == "OK"


def counts(stage, counter, least):
    deadline = time.monotonic() + PATIENCE
    while stage.ask("status")["counters"][counter] < least:
        assert time.monotonic() < deadline, f"{counter} stays below {least}: {stage.ask('status')['counters']}"


def subscriber(stage, topic):
    """Hears what begins so; and a publisher that knows it."""
    heard, published = stage.socket_to(zmq.SUB, "events", subscribe=topic), stage.socket_to(zmq.XPUB, "publish")
    comes(published, b"\1" + topic)
    return heard, published


def comes(published, asked, never=None):
    """What a publisher is asked for sooner or later, among what others ask for, and what may not come before it."""
    while (frames := receive(published)) != [asked]:
        assert frames and frames != [never], f"{frames}, not {asked}"


def disconnects(socket, message, what):
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.send_multipart(message)
    assert monitor.poll(20000), f"{what} is taken"
    socket.disable_monitor()
    socket.close()


def overfills_events(stage):
    """What is too large for an event is dropped and counted; who publishes or subscribes far too much at a time is cut off; who is modest
    hears on."""
    modest, publisher = subscriber(stage, b"x/")
    before = stage.ask("status")["counters"]["events_malformed"]
    for message in ([b"x/", b"x" * (EVENT_MAX + 1), b"{}"], [b"x/", b"{}", b"x" * (EVENT_MAX + 1)]):
        publisher.send_multipart(message)
    publisher.send_multipart([b"x/", b"{}", b"fits".ljust(EVENT_MAX, b"x")])
    assert receive(modest)[-1].startswith(b"fits")
    counts(stage, "events_malformed", before + 2)
    disconnects(publisher, [b"x/", b"x" * (WALL * EVENT_MAX + 1)], f"an event of {WALL} times {EVENT_MAX} bytes")
    disconnects(stage.socket_to(zmq.XSUB, "events"), [b"\1" + b"x" * (TOPIC_MAX + 1)], f"a topic of {TOPIC_MAX + 1} bytes")
    publisher = stage.socket_to(zmq.XPUB, "publish")
    comes(publisher, b"\1x/")
    publisher.send_multipart([b"x/", b"{}", b"last"])
    assert receive(modest) == [b"x/", b"{}", b"last"]
    publisher.close()
    modest.close()
    assert stage.ask("hello")["code"] == "OK"


def misfits(stage):
    """What is no event reaches nobody, and what is no subscription takes nothing from anybody."""
    heard, published = subscriber(stage, b"")
    for message in NO_EVENTS:
        published.send_multipart(message)
    published.send_multipart(GOOD)
    assert receive(heard) == GOOD
    counts(stage, "events_malformed", len(NO_EVENTS))
    assert logged(stage, "events.malformed")
    asks = stage.socket_to(zmq.XSUB, "events")
    for message in NO_SUBSCRIPTIONS:
        asks.send_multipart(message)
    counts(stage, "topics_malformed", len(NO_SUBSCRIPTIONS))
    assert logged(stage, "events.no_subscription")
    published.send_multipart(GOOD)
    assert receive(heard) == GOOD
    for each in (heard, published, asks):
        each.close()


def raw_subscriber(stage):
    """Greeted, by hand: what it sends from here on are frames."""
    raw = socket.create_connection(("127.0.0.1", int(stage.endpoints["events"].rpartition(":")[2])))
    raw.sendall(b"\xff" + bytes(8) + b"\x7f\x03\0NULL" + bytes(48))
    raw.recv(64, socket.MSG_WAITALL)
    raw.sendall(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB")
    return raw


def silencer(stage):
    """Who takes back what others have asked for, and he never did, takes it from nobody. By hand: libzmq's own subscribers do not."""
    if stage.keys.at_broker:
        print("who takes back what he never asked for is not tried: with keys, who has none is not heard at all")
        return
    heard, published = subscriber(stage, b"root/vic")
    with raw_subscriber(stage) as raw:
        raw.sendall(b"\0\x09\0root/vic" + b"\0\x02\x01x")
        comes(published, b"\1x", never=b"\0root/vic")
        published.send_multipart(GOOD)
        assert receive(heard) == GOOD
    comes(published, b"\0x")
    heard.close()
    comes(published, b"\0root/vic")
    published.close()


def exhausts(stage):
    """With no descriptor left nobody new gets in, and a health probe waits; who is in is served, the log stays short, and it passes."""
    process, log = stage.folder.running[-1][0], stage.folder.path / "broker.log"
    port = int(stage.endpoints["control"].rpartition(":")[2])
    livez = stage.endpoints["http"] + "/livez"
    limit, lines = resource.prlimit(process.pid, resource.RLIMIT_NOFILE), len(log.read_text().splitlines())
    few = len(os.listdir(f"/proc/{process.pid}/fd")) + 10
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (few, limit[1]))
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    deadline = time.monotonic() + PATIENCE
    while len(os.listdir(f"/proc/{process.pid}/fd")) < few:
        assert stage.ask("hello")["code"] == "OK" and time.monotonic() < deadline
    with socket.create_connection(("127.0.0.1", int(stage.endpoints["http"].rpartition(":")[2]))) as probe:
        probe.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        while "ws.library" not in log.read_text() and not select.select([probe], [], [], 0)[0]:  # some of the crowd are sent away in time
            assert stage.ask("hello")["code"] == "OK" and time.monotonic() < deadline + PATIENCE
        for _ in range(500):
            assert stage.ask("hello")["code"] == "OK"
        for connection in crowd:
            connection.close()
        try:
            assert probe.recv(12) == b"HTTP/1.1 200"
        except ConnectionResetError:
            pass  # it was accepted with the last descriptor, and there was none to let it wait by
    with urllib.request.urlopen(livez, timeout=PATIENCE) as answer:
        assert answer.status == 200
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
    assert len(log.read_text().splitlines()) < lines + 50, log.read_text()[-4000:]


def main():
    with Broker() as stage:
        before = stage.untouched(*NOTICES)
        dropped = {name: floods(stage, name) for name in ("control", "runners", "jobs")}
        assert dropped["control"] == dropped["runners"] == 2 * FLOOD, dropped
        counts(stage, "too_many_parts", sum(dropped.values()))
        for name in ("jobs", "control", "runners"):
            outgrows(stage, name)
        misfits(stage)
        overfills_events(stage)
        silencer(stage)
        exhausts(stage)
        assert stage.untouched(*NOTICES) == before
        assert SECRET not in (stage.folder.path / "broker.log").read_bytes()
        print(f"dropped for their parts: {dropped}")


if __name__ == "__main__":
    sys.exit(main())
