"""An agent behind the `command` executor whose assignment says what it does: "wait for a word", "dig", "fail", "spin", "deaf"."""
import json
import signal
import sys

run = json.loads(sys.stdin.readline())
task = run["assignment"]
if task == "fail":
    print("out of ideas", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"type": "token", "content": "listening "}), flush=True)
if task == "dig":
    print(json.dumps({"type": "tool_start", "tool_call_id": "t-1", "tool_name": "spade", "arguments": {}}), flush=True)
if task == "spin":
    while True:
        pass
if task == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf now", file=sys.stderr, flush=True)
    while True:
        signal.pause()
for line in sys.stdin:
    word = json.loads(line)["text"]
    print(json.dumps({"type": "result", "text": "the word is " + word}), flush=True)
    break
