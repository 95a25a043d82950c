"""People who look on: `rhizome watch PARENT/CHILD --from 0` of children that run already, begun every second, each to its child's end."""
import json
import subprocess

import truth

EVERY_S = 1.0
AT_A_TIME = 6
PATIENCE_S = 75.0  # more than a watch waits for a broker


class Watchers:
    def __init__(self, fleet):
        self.fleet, self.due, self.open, self.done, self.count = fleet, 0.0, [], [], 0
        endpoints = [f"tcp://{fleet.hosts.address(broker.host)}:7411" for broker in fleet.brokers]
        self.command = [f"{fleet.bin}/rhizome", "watch", "--json", "--from", "0", "--control", ",".join(endpoints)]

    def turn(self, now, redis):
        self.open = [watch for watch in self.open if not self._ended(watch)]
        if now < self.due or len(self.open) >= AT_A_TIME:
            return
        self.due = now + EVERY_S
        for parent, child in truth.running(redis, {watch["child"] for watch in self.open + self.done})[:1]:
            self._begin(parent, child, now)

    def _begin(self, parent, child, now):
        self.count += 1
        path = f"{self.fleet.dir}/watch-{self.count}"
        with open(path, "wb") as out:
            process = self.fleet.hosts.popen("client", [*self.command, f"{parent}/{child}"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.open.append({"child": child, "at": round(now, 2), "path": path, "process": process})

    def _ended(self, watch):
        code = watch["process"].poll()
        if code is None:
            return False
        self.done.append({"child": watch["child"], "at": watch["at"], "code": code, **read(watch["path"])})
        return True

    def finish(self):
        """What each saw, when all have ended; who does not is ended, with code None."""
        for watch in self.open:
            try:
                watch["process"].wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                watch["process"].kill()
                watch["process"].wait()
            self._ended(watch)
        self.open = []
        return self.done


def place(text):
    return [int(number) for number in text.split("-")]


def read(path):
    """{shown: [[epoch, seq]] of durable events, gaps: [[after, before]], said: other lines}."""
    shown, gaps, said = [], [], []
    with open(path, errors="replace") as file:
        for line in file:
            entry = json.loads(line) if line.startswith("{") else None
            if entry is None:
                said.append(line.strip()[:200])
            elif "gap" in entry:
                gaps.append([place(entry["gap"]["after"]), place(entry["gap"]["before"])])
            elif entry["header"]["class"] == "durable":
                shown.append([entry["header"]["epoch"], entry["header"]["seq"]])
    return {"shown": shown, "gaps": gaps, "said": said}
