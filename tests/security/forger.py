"""forger.py MODE PORT WORKER - a worker that registers with a forged record, and then, where the mode leaves it a life, is an honest one.
Standard library only."""
import json
import os
import sys
from datetime import datetime, timedelta, timezone

mode, port, worker = sys.argv[1:]
document = sys.stdin.buffer.read()
spec = json.loads(document)
path = os.path.join(spec["fabric_dir"], spec["identity"]["child_id"] + ".json")


def stamp(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


record = {"agent_id": spec["identity"]["child_id"], "role": "worker", "labels": [], "endpoint": f"ws://127.0.0.1:{port}", "pid": os.getpid(),
          "version": "", "started_at": stamp(0), "lease_expires_at": stamp(60)}
if mode == "stranger":
    record["pid"] = os.getppid()
elif mode == "elsewhere":
    record["endpoint"] = f"ws://192.0.2.9:{port}"
elif mode == "name":
    record["endpoint"] = f"ws://127.example.org:{port}"
elif mode == "huge":
    record["version"] = "x" * 70000
text = json.dumps(record)
if mode == "tail":
    text += " " * 70000
real = os.path.join(spec["fabric_dir"], "elsewhere") if mode == "link" else path + ".tmp"
with open(real, "w") as file:
    file.write(text)
if mode == "link":
    os.symlink(real, path)
else:
    os.rename(real, path)
if mode == "stranger":
    source, sink = os.pipe()
    os.write(sink, document)
    os.close(sink)
    os.dup2(source, 0)
    os.execv(worker, [worker])
sys.stdin.close()
os.read(os.pipe()[0], 1)  # until it is killed
