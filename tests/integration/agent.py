"""An agent behind the `command` executor whose assignment says what it does: "wait for a word", "fail", "spin"."""
import json
import sys

run = json.loads(sys.stdin.readline())
task = run["assignment"]
if task == "fail":
    print("out of ideas", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"type": "token", "content": "listening "}), flush=True)
if task == "spin":
    while True:
        pass
for line in sys.stdin:
    word = json.loads(line)["text"]
    print(json.dumps({"type": "result", "text": "the word is " + word}), flush=True)
    break
