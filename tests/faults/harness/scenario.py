"""One run: up, load with faults, mend, drain, roll call, down. Gives the facts that check.py judges."""
import heapq
import itertools
import json
import os
import subprocess
import sys
import time
import traceback
from collections import Counter

import check
import faults
import hosts
import truth
from daemons import Fleet
from replicas import ReplicatedFleet
from observe import Observer
from resp import Down
from watch import Watchers

HERE = os.path.dirname(os.path.abspath(__file__))
DRAIN_LOOK_S = 0.3
DRAIN_S = 150.0     # longest job, lease and time to re-link, generously
ROLLCALL_S = 25.0
FORGE_S = 1.0
TURN_S = 0.05
SLOTS, SLOTS_PER_RATE = 8, 0.2  # the mix of load.py keeps 0.4 slots busy for each job a second, on three runners
BRIEF_S = 0.3       # a fault that needs no healing is looked at as one for so long
GONE_S = 5.0
READ_S = 60.0       # what a busy machine may take to give one part of all that there is
GLANCE_S, AWAY_S = 0.3, 2.0  # the plan does not wait for a store that says nothing: it is looked at so long, and again after
TELL_S = 20.0       # a store that does not answer while it drains is described so often


class Scenario:
    def __init__(self, bin_dir, seed, steps, seconds, rate, tell=print, drain_s=DRAIN_S, replicated=False):
        self.seed, self.steps, self.seconds, self.tell = seed, steps, seconds, tell
        self.fleet = (ReplicatedFleet if replicated else Fleet)(bin_dir, slots=max(SLOTS, int(rate * SLOTS_PER_RATE)))
        self.drain_s, self.rate, self.timeline, self.deaths = drain_s, rate, [], []
        self.numbers, self.healing = itertools.count(), []
        self.faulty = Counter()  # name of a daemon -> how many faults have it in hand
        self.forge_due, self.away_until = 0.0, 0.0
        self.facts = {"timeline": self.timeline, "deaths": self.deaths, "durability": self.fleet.durability, "slots": self.fleet.slots}

    # ---- up ----

    def start(self):
        self.fleet.start()
        options = {"seed": self.seed, "rate": self.rate,
                   "brokers": {broker.name: self.fleet.hosts.address(broker.host) for broker in self.fleet.brokers}}
        self.load = self.fleet.hosts.popen("client", [sys.executable, f"{HERE}/load.py", json.dumps(options)], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=open(f"{self.fleet.dir}/load.log", "wb"), text=True)
        self.began = time.monotonic()
        self.observer = Observer(self.fleet, self.began)
        self.observer.start()
        self.scene = faults.Scene(self.fleet, self.observer, self.order)
        self.facts |= {"looks": self.observer.looks, "losses": self.observer.losses, "trees": self.observer.trees,
                       "samples": self.observer.samples, "verdicts": self.scene.verdicts}
        self.scene.start_sleeper()
        self.watchers = Watchers(self.fleet)
        self.glance = type(self.fleet.store.raw)(self.fleet.store.socket, timeout=GLANCE_S)

    def now(self):
        return time.monotonic() - self.began

    def order(self, line):
        self.load.stdin.write(line + "\n")
        self.load.stdin.flush()

    def ask(self, line):
        self.order(line)
        answer = self.load.stdout.readline()
        if not answer:
            raise hosts.Failed("the load generator ended: " + open(f"{self.fleet.dir}/load.log").read()[-2000:])
        return json.loads(answer)

    # ---- faults ----

    def inject(self, step):
        self.faulty[step["target"]] += 1
        heal = faults.HOW[step["fault"]](self.scene, step["target"], step["dice"])
        entry = {**step, "at": round(self.now(), 2), "planned": step["at"], "healed": None}
        self.timeline.append(entry)
        self.tell(f"{entry['at']:7.2f}  {step['fault']:<20} {step['target']:<9} {step['lasts'] or ''}")
        # by the plan's time, however long injecting took: what comes next to this target relies on it
        due = max(step["at"] + step["lasts"], self.now()) if heal else self.now() + BRIEF_S
        heapq.heappush(self.healing, (due, next(self.numbers), entry, heal))

    def heal_due(self, everything=False):
        while self.healing and (everything or self.healing[0][0] <= self.now()):
            _, _, entry, heal = heapq.heappop(self.healing)
            if heal is not None:
                heal()
            entry["healed"] = round(self.now(), 2)
            self.faulty[entry["target"]] -= 1

    def look_for_deaths(self):
        """Who is down although no fault took it down: noted, and started again so that the run goes on."""
        for daemon in self.fleet.daemons():
            if daemon.up() or self.faulty[daemon.name] > 0:
                continue
            self.deaths.append(f"{self.now():.1f} s: {daemon.name} ended by itself with {daemon.process.returncode}: {last_line(daemon.log)}")
            self.tell(self.deaths[-1])
            daemon.start()

    def look_at_load(self):
        if self.load.poll() is not None:
            raise hosts.Failed(f"the load ended by itself: {last_line(f'{self.fleet.dir}/load.log')}")

    def forge_stale(self):
        """The right token with the epoch before: what a runner that slept through its own loss would say."""
        if self.now() < self.forge_due:
            return
        self.forge_due = self.now() + FORGE_S
        for child, epoch, token in truth.running_tokens(self.glance, 2):
            self.order(f"forge {child} {epoch - 1} {token} old-epoch")

    def look_at_store(self):
        """What goes on in it decides what is forged and watched."""
        if self.now() < self.away_until:
            return
        try:
            self.forge_stale()
            self.watchers.turn(self.now(), self.glance)
        except Down:
            self.away_until = self.now() + AWAY_S

    def run_faults(self):
        todo = list(self.steps)  # by time
        while self.now() < self.seconds:
            self.heal_due()
            step = self.next_due(todo)
            if step is not None:
                todo.remove(step)
                self.inject(step)
            self.look_for_deaths()
            self.look_at_load()
            self.look_at_store()
            time.sleep(TURN_S)
        self.heal_due(everything=True)
        if todo:
            self.tell(f"{len(todo)} faults were left out, the store was not whole in time: {' '.join(step['fault'] for step in todo)}")

    def next_due(self, todo):
        """Faults of a primary wait for one that has its replicas, one after the other; all else keeps its time."""
        may_hurt_primary = self.faulty["primary"] == 0 and self.fleet.store.is_whole()
        return next((step for step in todo if step["at"] <= self.now() and (may_hurt_primary or step["target"] != "primary")), None)

    # ---- the end ----

    def drain(self, patience):
        """Until nothing is open, at the clients and in the store. False: it never came to that."""
        began, found = time.monotonic(), {"counts": "the store does not answer", "live": []}
        told = began
        while time.monotonic() < began + patience:
            self.look_for_deaths()
            try:
                still_open = self.ask("state")["open"]  # first: what clients have an answer to is in the store
                few = truth.can_look(self.fleet.store.raw)
                found = truth.places(self.fleet.store.raw) if few else {"counts": f"more than {truth.LOOK_MAX} wait", "live": ["not looked at"]}
                told = time.monotonic()
                if still_open == 0 and not found["live"]:
                    return True
            except Down as down:
                if time.monotonic() > told + TELL_S:
                    told = time.monotonic()
                    self.tell_stand(down)
            time.sleep(DRAIN_LOOK_S)
        self.tell(f"not drained after {patience:.0f} s: {found['counts']} {found['live'][:5]}")
        return False

    def tell_stand(self, why):
        self.tell("\n  ".join([f"{self.now():7.2f}  the store: {why}", *self.fleet.store.stand()]))

    def finish(self):
        """Adds to the facts as they come: what fails half-way leaves those before."""
        self.order("stop")
        began = self.now()
        self.drain(self.drain_s)
        self.tell(f"{self.now():7.2f}  drained in {self.now() - began:.1f} s; roll call")
        self.order("rollcall " + " ".join(runner.name for runner in self.fleet.runners))
        self.drain(ROLLCALL_S)
        self.facts["watched"] = self.watchers.finish()
        path = f"{self.fleet.dir}/load.json"
        self.ask(f"finish {path}")
        self.load.wait()
        with open(path) as file:
            self.facts["load"] = json.load(file)
        self.facts["store"] = truth.read_all(type(self.fleet.store.raw)(self.fleet.store.socket, timeout=READ_S))
        self.scene.sleeper.kill()
        self.scene.sleeper.wait()
        trees = [(runner.name, hosts.marked([runner.pid]) + runner.tree()) for runner in self.fleet.runners if runner.up()]
        stubborn = self.fleet.close()
        for name, marks in trees:
            self.observer.expect_gone(name, marks, after=0)
        self.observer.finish()
        self.facts["stubborn"] = stubborn + [name for name, ended in self.scene.restarts if not ended]
        self.facts["leftovers"] = self.leftovers()

    def leftovers(self):
        """Processes that still run on any host; they get a moment."""
        names = [name for name in hosts.namespaces() if name.startswith(self.fleet.hosts.prefix)]
        deadline = time.monotonic() + GONE_S
        while True:
            left = [pid for name in names for pid in hosts.pids_in(name) if hosts.start_time(pid) is not None]
            if not left or time.monotonic() > deadline:
                return [f"process {pid}: {open(f'/proc/{pid}/cmdline').read().replace(chr(0), ' ')[:80]}" for pid in left]
            time.sleep(0.1)

    def run(self):
        """facts and verdicts. A run that cannot be judged gives the facts that there are, and one verdict: that it cannot."""
        try:
            self.start()
            self.run_faults()
            self.finish()
            verdicts = check.judge(self.facts)
        except Exception as failure:  # whatever it was: without its logs nobody finds out
            self.tell(traceback.format_exc())
            verdicts = [check.Verdict("A run comes to an end that can be judged", False, [str(failure), *self.fleet.store.stand()])]
        finally:
            self.keep_logs()
            self.fleet.hosts.close()
        return self.facts, verdicts

    def keep_logs(self):
        self.logs = {}
        for name in sorted(os.listdir(self.fleet.dir)):
            if name.endswith(".log"):
                with open(f"{self.fleet.dir}/{name}", errors="replace") as file:
                    self.logs[name] = file.read()


def last_line(path):
    with open(path, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1][-200:] if lines else ""
