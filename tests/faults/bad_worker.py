#!/usr/bin/env python3
"""bad_worker.py MODE - a worker that misbehaves in one way. Standard library only.

It reads the ProvisionSpec, registers in the fabric folder and speaks just enough WebSocket; MODE says what goes wrong.
`good` is what a worker should do."""
import base64
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import time
from datetime import datetime, timedelta, timezone

MODE = sys.argv[1]
HOARD = []


def stamp(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def register(spec, port):
    record = {"agent_id": spec["identity"]["child_id"], "role": spec["identity"]["role"], "labels": [],
              "endpoint": f"ws://127.0.0.1:{port}", "pid": os.getpid(), "version": "bad",
              "started_at": stamp(0), "lease_expires_at": stamp(60)}
    if MODE == "elsewhere":
        record["endpoint"] = f"ws://192.0.2.1:{port}"
    if MODE == "foreign-record":
        record["pid"] = 1
    path = os.path.join(spec["fabric_dir"], record["agent_id"] + ".json")
    if MODE == "fifo-record":
        os.mkfifo(path)
        return
    with open(path + ".tmp", "w") as file:
        file.write("{]" if MODE == "garbage-record" else json.dumps(record))
    os.rename(path + ".tmp", path)


def read_exactly(conn, n):
    data = b""
    while len(data) < n:
        chunk = conn.recv(n - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def read_frame(conn):
    first, second = read_exactly(conn, 2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", read_exactly(conn, 2))[0]
    elif size == 127:
        size = struct.unpack(">Q", read_exactly(conn, 8))[0]
    mask = read_exactly(conn, 4)
    body = read_exactly(conn, size)
    return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(body))


def frame(body, opcode=1, fin=True):
    head = bytes([(128 if fin else 0) | opcode])
    if len(body) < 126:
        head += bytes([len(body)])
    elif len(body) < 65536:
        head += bytes([126]) + struct.pack(">H", len(body))
    else:
        head += bytes([127]) + struct.pack(">Q", len(body))
    return head + body


def text(value):
    return frame(json.dumps(value).encode())


def event(value):
    return text({"kind": "event", "event": value})


def terminal(status="completed", **more):
    return text({"kind": "terminal", "status": status, **more})


def shake_hands(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        head += conn.recv(4096)
    key = [line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    accept = base64.b64encode(hashlib.sha1(key[0] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def misbehave(conn, run):
    """Answers one run. True: go on with the next."""
    good = event({"type": "token", "content": "a "}) + terminal(result="good")
    if MODE in ("good", "stderr-first"):
        conn.sendall(good)
    elif MODE == "says":
        conn.sendall(frame(bytes.fromhex(run["assignment"])) + terminal(result="said"))
    elif MODE == "garbage":
        conn.sendall(frame(b"this is not json"))
    elif MODE == "truncated-json":
        conn.sendall(frame(b'{"kind":"terminal","status":'))
    elif MODE == "bad-utf8":
        conn.sendall(frame(b'{"kind":"terminal","status":"completed","result":"\xff\xfe"}'))
    elif MODE == "huge":
        chunk = b"x" * (1 << 20)
        conn.sendall(bytes([129, 127]) + struct.pack(">Q", 64 << 20))
        for _ in range(64):
            conn.sendall(chunk)
    elif MODE == "huge-event":
        conn.sendall(event({"type": "token", "content": "x" * (1 << 20)}) + good)
    elif MODE == "fragmented":
        body = json.dumps({"kind": "terminal", "status": "completed", "result": "in pieces"}).encode()
        for i, byte in enumerate(body):
            conn.sendall(frame(bytes([byte]), opcode=0 if i else 1, fin=i == len(body) - 1))
    elif MODE == "odd-events":
        for value in (7, "text", [1], {}, {"type": 3}, None):
            conn.sendall(event(value))
        conn.sendall(good)
    elif MODE == "unknown-kind":
        conn.sendall(text({"kind": "from_the_future", "x": 1}) + good)
    elif MODE == "asks":
        conn.sendall(text({"kind": "approval_request", "id": "sa-0", "body": {"tool_name": "Bash"}}))
        _, reply = read_frame(conn)
        conn.sendall(terminal(result=json.loads(reply)["kind"] + " " + str(json.loads(reply)["approved"])))
    elif MODE == "two-terminals":
        conn.sendall(terminal(result="first") + terminal("error", error="second"))
    elif MODE == "late-events":
        conn.sendall(terminal(result="first") + event({"type": "token", "content": "late"}))
    elif MODE == "long-error":
        conn.sendall(terminal("error", error="\u00e9\u0001" * (1 << 20)))
    elif MODE == "long-result":
        conn.sendall(terminal(result="x" * (15 << 20)))
    elif MODE == "long-batch":
        conn.sendall(text({"kind": "event_batch", "batch": {"first_seq": 1, "last_seq": 65, "qos": "ephemeral",
                                                            "events": [{"type": "token", "content": "a"}] * 65}}) + good)
    elif MODE == "dies":
        os._exit(3)
    elif MODE == "grows":
        if run["assignment"] == "grow":
            HOARD.append(b"x" * (96 << 20))
        conn.sendall(terminal(result=str(os.getpid())))
    elif MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        conn.sendall(terminal(result=str(os.getpid())))
    elif MODE == "ends-with-its-run":
        def end(*_):
            conn.sendall(terminal(result=str(os.getpid())))
            if os.fork() == 0:
                time.sleep(3600)  # a grandchild holds the connection open
            os._exit(0)
        signal.signal(signal.SIGUSR1, end)
        conn.sendall(event({"type": "token", "content": "waiting "}))
        if run["assignment"] != "wait":
            end()
    elif MODE == "closes":
        conn.sendall(frame(struct.pack(">H", 1000), opcode=8))
    elif MODE == "deaf":
        time.sleep(3600)
    elif MODE == "ignores-cancel":
        while True:
            read_frame(conn)
    elif MODE == "forks-away":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
        os.wait()
        conn.sendall(good)
    elif MODE == "flood":
        for i in range(20000):
            conn.sendall(event({"type": "tool_start", "tool_call_id": str(i), "tool_name": "t", "arguments": {}}))
        conn.sendall(terminal(result="done"))
    else:
        raise SystemExit("no such mode: " + MODE)


def serve(listener):
    conn, _ = listener.accept()
    if MODE == "no-handshake":
        time.sleep(3600)
    shake_hands(conn)
    while True:
        opcode, body = read_frame(conn)
        if opcode == 8:
            return
        if opcode == 1 and json.loads(body)["kind"] == "run":
            misbehave(conn, json.loads(body))


def main():
    if MODE == "stderr-first":
        sys.stderr.write("noise\n" * 44000)
        sys.stderr.write("last words\n")
        sys.stderr.flush()
    if MODE == "never-reads-stdin":
        time.sleep(3600)
    spec = json.load(sys.stdin)
    if MODE == "exits-early":
        sys.stderr.write("cannot go on\n")
        sys.exit(3)
    if MODE == "never-registers":
        time.sleep(3600)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if MODE == "refuses":
        listener.close()
    register(spec, port)
    if MODE in ("refuses", "foreign-record", "garbage-record", "fifo-record", "elsewhere"):
        time.sleep(3600)
    while True:
        try:
            serve(listener)
        except (EOFError, OSError):
            pass


main()
