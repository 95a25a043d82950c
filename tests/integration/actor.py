#!/usr/bin/env python3
"""actor.py HOW FILE - a worker that plays what its assignment says. Standard library only.

The assignment is a JSON array of steps: an object is a frame and goes out as it stands, a text that begins with ">"
goes out verbatim behind it; "hear" waits for the next frame; "tell" ends the run with what was heard as its result; a
number is seconds of work; "fork" starts a process that stays; "hang" listens to nothing any more; "close" says Close;
"die" ends the process.
HOW says how it lives: "plain"; "late" registers after a second; "mute" never answers the handshake; "refuses" is not
there when it is called, and the next process of the kind (FILE tells) exits at once; "heeds-term" and "ignores-term" go
or stay when SIGTERM comes. That it was called, or SIGTERM came, is written to FILE if that exists."""
import base64
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

HOW, FILE = sys.argv[1:3]


def stamp(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def register(spec, port):
    record = {"agent_id": spec["identity"]["child_id"], "role": spec["identity"]["role"], "labels": [],
              "endpoint": f"ws://127.0.0.1:{port}", "pid": os.getpid(), "version": "actor",
              "started_at": stamp(0), "lease_expires_at": stamp(600)}
    path = os.path.join(spec["fabric_dir"], record["agent_id"] + ".json")
    with open(path + ".tmp", "w") as file:
        json.dump(record, file)
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
    """The next text; an EOFError when the other side closes."""
    first, second = read_exactly(conn, 2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", read_exactly(conn, 2))[0]
    elif size == 127:
        size = struct.unpack(">Q", read_exactly(conn, 8))[0]
    mask = read_exactly(conn, 4)
    body = bytes(b ^ mask[i % 4] for i, b in enumerate(read_exactly(conn, size)))
    if first & 15 == 8:
        raise EOFError
    return json.loads(body)


def send(conn, body, opcode=1):
    head = bytes([128 | opcode])
    if len(body) < 126:
        head += bytes([len(body)])
    elif len(body) < 65536:
        head += bytes([126]) + struct.pack(">H", len(body))
    else:
        head += bytes([127]) + struct.pack(">Q", len(body))
    conn.sendall(head + body)


def shake_hands(conn):
    head = b""
    while b"\r\n\r\n" not in head:
        head += conn.recv(4096)
    key = [line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    accept = base64.b64encode(hashlib.sha1(key[0] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    conn.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def hang():
    while True:
        signal.pause()


def play(conn, run, spec):
    heard = [run["messages"][-1]["role"], spec.get("capabilities")]
    heard += [run[key] for key in ("attempt", "previous_error") if key in run]
    for step in json.loads(run["assignment"]):
        if isinstance(step, dict):
            send(conn, json.dumps(step).encode())
        elif isinstance(step, float):
            time.sleep(step)
        elif step.startswith(">"):
            send(conn, step[1:].encode())
        elif step == "hear":
            heard.append(read_frame(conn))
        elif step == "tell":
            told = json.dumps(heard[2:] or heard)
            send(conn, json.dumps({"kind": "terminal", "status": "completed", "result": told}).encode())
        elif step == "fork":
            subprocess.Popen(["sleep", "60"])
        elif step == "hang":
            hang()
        elif step == "close":
            send(conn, struct.pack(">H", 1000), opcode=8)
        elif step == "die":
            os._exit(9)
        else:
            raise SystemExit("no such step: " + step)


def note(line):
    try:
        file = os.open(FILE, os.O_WRONLY | os.O_APPEND)
        os.write(file, line)
        os.close(file)
    except FileNotFoundError:
        pass


def on_term(*_):
    note(b"terminated\n")
    if HOW == "heeds-term":
        os._exit(0)


def is_second():
    try:
        os.close(os.open(FILE, os.O_CREAT | os.O_EXCL))
        return False
    except FileExistsError:
        return True


def main():
    spec = json.load(sys.stdin)
    if HOW in ("heeds-term", "ignores-term"):
        signal.signal(signal.SIGTERM, on_term)
    if HOW == "late":
        time.sleep(1)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if HOW == "refuses":
        if is_second():
            sys.exit(4)
        listener.close()
    register(spec, port)
    if HOW == "refuses":
        hang()
    while True:
        conn, _ = listener.accept()
        if HOW == "mute":
            note(b"called\n")
            hang()
        try:
            shake_hands(conn)
            while True:
                frame = read_frame(conn)
                if frame["kind"] == "run":
                    play(conn, frame, spec)
        except (EOFError, OSError):
            pass


main()
