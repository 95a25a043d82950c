"""An agent behind the `command` executor that says much: its assignment is how many events, and how many ms between two."""
import json
import sys
import time

events, pause = map(int, json.loads(sys.stdin.readline())["assignment"].split())
for i in range(events):
    if i % 3 == 2:
        print(json.dumps({"type": "token", "content": f"{i} "}), flush=True)
    else:
        print(json.dumps({"type": "tool_start", "tool_call_id": f"t-{i}", "tool_name": "count", "arguments": {"i": i}}), flush=True)
    time.sleep(pause / 1000)
print(json.dumps({"type": "result", "text": f"said {events}"}), flush=True)
