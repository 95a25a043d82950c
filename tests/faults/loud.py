"""An agent behind the `command` executor: its assignment is how many tokens, and how many bytes each."""
import json
import sys

tokens, size = map(int, json.loads(sys.stdin.readline())["assignment"].split())
for i in range(tokens):
    print(json.dumps({"type": "token", "content": f"{i} ".ljust(size, ".")}), flush=True)
print(json.dumps({"type": "result", "text": "said"}), flush=True)
