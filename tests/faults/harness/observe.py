"""Looks on while faults happen, through its own connection to Redis and /proc, and writes down what it sees. It judges nothing."""
import os
import threading
import time

import hosts
import truth
from resp import Down

LOOK_S = 0.2
SAMPLE_S = 1.0
PLACES_S = 2.0
ORPHAN_S = 5.0   # a dead runner's processes have so long


class Observer(threading.Thread):
    def __init__(self, fleet, began):
        super().__init__(daemon=True)
        self.fleet, self.began = fleet, began
        self.redis = type(fleet.store.raw)(fleet.store.socket, timeout=2.0)
        self.roll = truth.Roll(self.redis)
        self.ending, self.lock = threading.Event(), threading.Lock()
        self.losses = []    # of runners: {runner, at, incarnation, open: {entry}, settled: {entry: s}}
        self.trees = []     # of what must be gone: {runner, at, due, marks, left}
        self.looks = []     # {at, counts, wrong}
        self.samples = []   # {at, name, rss, fds}
        self.due = {"sample": 0.0, "places": 0.0}

    def now(self):
        return time.monotonic() - self.began

    # ---- what the injector tells ----

    def lose(self, name, at=None):
        """This runner is being lost now: who owned what is followed until it is settled."""
        try:
            redis = type(self.redis)(self.redis.path, timeout=1.0)
            incarnation = truth.incarnation_of(redis, name)
            owned = truth.owned_by(redis, incarnation) if incarnation else []
            redis.close()
        except Down:
            return
        with self.lock:
            self.losses.append({"runner": name, "at": self.now() if at is None else at, "incarnation": incarnation, "open": set(owned),
                                "settled": {}})

    def expect_gone(self, name, marks, after=ORPHAN_S):
        with self.lock:
            self.trees.append({"runner": name, "at": self.now(), "due": self.now() + after, "marks": marks, "left": None})

    # ---- the thread ----

    def run(self):
        while not self.ending.wait(LOOK_S):
            self._look_at_trees()
            if self.now() >= self.due["sample"]:
                self.due["sample"] = self.now() + SAMPLE_S
                self._sample()
            try:
                self._follow()
                self.roll.step()
                if self.now() >= self.due["places"]:
                    self._look_at_places()
            except Down:
                pass

    def _look_at_places(self):
        """The dearer a look is, or was until nobody waited for it any more, the later comes the next."""
        began = self.now()
        try:
            if truth.can_look(self.redis):
                found = truth.places(self.redis, self.roll.take())
                self.looks.append({"at": began, "counts": found["counts"], "wrong": found["wrong"], "most": found["most"]})
        finally:
            self.due["places"] = self.now() + max(PLACES_S, 30 * (self.now() - began))

    def _follow(self):
        with self.lock:
            open_losses = [loss for loss in self.losses if loss["open"]]
        for loss in open_losses:
            left = set(truth.owned_by(self.redis, loss["incarnation"]))
            for entry in loss["open"] - left:
                loss["settled"][entry] = self.now() - loss["at"]
            loss["open"] &= left

    def _look_at_trees(self):
        with self.lock:
            due = [tree for tree in self.trees if tree["left"] is None and tree["due"] <= self.now()]
        for tree in due:
            tree["left"] = [describe(pid) for pid in hosts.still_alive(tree["marks"])]

    def _sample(self):
        for daemon in self.fleet.daemons():
            if not daemon.up():
                continue
            pid = daemon.main_pid()
            try:
                pages = int(open(f"/proc/{pid}/statm").read().split()[1])
                fds = len(os.listdir(f"/proc/{pid}/fd"))
            except (OSError, IndexError):
                continue
            self.samples.append({"at": self.now(), "name": daemon.name, "rss": pages * 4096, "fds": fds})

    def finish(self):
        self.ending.set()
        self.join()
        self._look_at_trees()


def describe(pid):
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        return f"{pid} {b' '.join(words).decode(errors='replace').strip()[:80]}"
    except OSError:
        return str(pid)
