#!/usr/bin/env python3
"""An agent for the `session` executor: one process serves run after run. Copy it and replace work().

stdin   {"kind":"run","run":1,"assignment":"...","messages":[...]}; while it works perhaps {"kind":"message","run":1,"text":"..."}
        and {"kind":"cancel","run":1}; after its end the next run
stdout  the run's events, each an object with a "type"; at its end {"kind":"terminal","run":1,"status":"completed","result":"..."}

It says the words of its assignment again. At the word "listen" it waits until somebody speaks.
"""
import json
import os
import queue
import sys
import threading

frames = queue.Queue()  # what came on stdin; None at its end


class Cancelled(Exception):
    pass


def say(**line):
    print(json.dumps(line), flush=True)


def listen(wait=False):
    """What the run was told since it began or listened last; with `wait` at least one text. A cancel ends the run."""
    heard = []
    while not frames.empty() or (wait and not heard):
        frame = frames.get()
        if frame is None or frame["kind"] == "cancel":
            raise Cancelled
        heard.append(frame["text"])
    return heard


def work(run):
    said = []
    for word in run["assignment"].split():
        for text in listen(wait=True) if word == "listen" else [*listen(), word]:
            say(type="token", content=text + " ")
            said.append(text)
    return f"echo: {' '.join(said)} (process {os.getpid()}, run {run['run']})"


def read_frames():
    for line in sys.stdin.buffer:  # bytes: JSON is UTF-8 whatever the locale says
        frames.put(json.loads(line))
    frames.put(None)


threading.Thread(target=read_frames, daemon=True).start()
while frame := frames.get():
    if frame["kind"] != "run":  # it came too late for its run
        continue
    try:
        end = {"status": "completed", "result": work(frame)}
    except Cancelled:
        end = {"status": "cancelled"}
    except Exception as problem:
        end = {"status": "error", "error": f"{type(problem).__name__}: {problem}"}
    say(kind="terminal", run=frame["run"], **end)
