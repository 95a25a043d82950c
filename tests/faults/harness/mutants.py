#!/usr/bin/env python3
"""Breaks Rhizome on purpose, one line at a time, and asks the checker what it sees. A mutant that passes as well is a hole in the proof.

The copy that is broken is the committed tree, in a folder of its own. Each scenario is first run with the sound programs, where all must hold.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from collections import namedtuple

import hosts
import plan
from scenario import Scenario

Mutant = namedtuple("Mutant", "name file old new scenario promise")
TARGETS = ("rhizome", "rhizome-broker", "rhizome-runner", "rhizome-worker")
RUN, FLEET, BASE = "proto/state/rhizome_run.lua", "proto/state/rhizome_fleet.lua", "proto/state/rhizome.lua"
SKIPPED, DRAIN_S, RATE = 77, 25.0, 40

# name: (seconds, plan)
SCENARIOS = {
    "quiet": (9, plan.script((6.0, "late_condemn", "r1", 0), (6.5, "late_condemn", "r2", 0))),
    "kills": (22, plan.script((3.0, "kill_runner", "r1", 0.5), (4.0, "kill_worker", "r2", 0), (5.5, "kill_broker", "b1", 1.0),
                              (8.0, "kill_runner", "r2", 1.0), (9.0, "kill_store", "redis", 0.7), (11.5, "kill_runner", "r3", 0.5),
                              (13.0, "kill_store", "redis", 0.5), (14.5, "kill_runner", "r1", 0.5))),
    "condemned": (12, plan.script((4.0, "condemn", "r2", 0))),
    "flooded": (12, plan.script((3.0, "flood", "jobs", 0))),
    "cut": (30, plan.script((4.0, "long_partition", "h3", 21.0))),
    "frozen": (17, plan.script((3.0, "stop_store", "redis", 3.5), (9.0, "stop_broker", "b1", 4.0))),
}

MUTANTS = (
    Mutant("the token is not compared", RUN, "#token ~= 32 or t[TOKEN] ~= token or t[EPOCH] ~= epoch",
           "#token ~= 32 or t[EPOCH] ~= epoch", "quiet", "Stale and forged"),
    Mutant("the epoch is not compared", RUN, "t[TOKEN] ~= token or t[EPOCH] ~= epoch", "t[TOKEN] ~= token", "quiet", "Stale and forged"),
    Mutant("condemn does not compare the counter", FLEET, "if A[i + 2] ~= '1' and seen[2] ~= A[i + 1] then", "if false then", "quiet",
           "A verdict from the past"),
    Mutant("a cancel of what runs is not stored", RUN, "    if t[CANCELLED] < level then", "    if false then", "quiet", "A cancel"),
    Mutant("steering is not merged into the session", BASE, "    push_messages(child, waiting, 1, #waiting)\n", "", "quiet", "Every steering"),
    Mutant("nothing is said in completions", BASE, "    call('XADD', P .. 'completions', '*', 'kind', 'completion'",
           "    local _ = #child % 2 == 0 and call('XADD', P .. 'completions', '*', 'kind', 'completion'", "quiet", "Exactly one terminal"),
    Mutant("a repeated submit is not recognised", RUN, "if job ~= '' and tombstone then", "if false then", "frozen",
           "Exactly one terminal|Every submit"),
    Mutant("a lost run is started again whatever max_attempts says", BASE, "    elseif may_rerun(t) then", "    elseif true then", "kills",
           "Nothing is started more often"),
    Mutant("a rerun that waits for its time is forgotten", BASE,
           "    call('ZADD', P .. 't', format('%.0f', tick() + ms), concat({ 'r', child, t[ACTIVATION] }, ' '))\n", "", "kills",
           "Nothing with a receipt|Every activation"),
    Mutant("settling forgets what was not started", BASE, "        give_back(child, t, 'requeued', 'runner lost: ' .. runner)\n    elseif may",
           "        call('ZREM', P .. 'o:' .. incarnation, child .. ' ' .. epoch)\n    elseif may", "cut",
           "Nothing with a receipt|Every activation"),
    Mutant("the keeper kills nobody", "runner/keeper.c", "    sweep(tree);", "    if (keeper.beats < -1)\n        sweep(tree);", "kills",
           "No process outlives"),
    Mutant("a broker counts no credit as used", "broker/roster.c", "uint64_t used = runner->sent + runner->reserved;", "uint64_t used = 0;",
           "flooded", "No runner owns more"),
    Mutant("a dead incarnation may renew", FLEET, "if seen[1] ~= 'alive' then", "if seen[1] == 'none' then", "condemned", "Ready means consuming"),
    Mutant("a fenced end is published all the same", "runner/course.c", "[ACT_ENDED][EV_FENCED] = { ACT_DONE, DO_ABANDON }",
           "[ACT_ENDED][EV_FENCED] = { ACT_DONE, DO_COMPLETE }", "cut", "An end is published"),
    Mutant("nobody is ever condemned", "broker/lease.c", "return now_ms - lease->since_ms >= table->lease_ms;",
           "return now_ms - lease->since_ms >= 4 * table->lease_ms;", "cut", "What a lost runner had"),
    Mutant("a finish that comes twice is written twice", RUN,
           "    if t[STATE] == 'terminal' then\n        return nil, 'ENDED'\n    end\n    if not is_alive", "    if not is_alive", "frozen",
           "Exactly one terminal|Each session|Every activation"),
)


def run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise hosts.Failed(f"{' '.join(words)}: {(done.stdout + done.stderr)[-1500:]}")


class Tree:
    """The scratch copy, and its build."""

    def __init__(self, folder, jobs):
        self.folder, self.jobs = folder, jobs
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
        run("sh", "-c", f"git -C '{source}' archive HEAD | tar -x -C '{folder}'")
        self.env = {**os.environ, "CCACHE_BASEDIR": folder, "CCACHE_NOHASHDIR": "1"}
        launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if subprocess.run(["which", "ccache"], capture_output=True).returncode == 0 else []
        run("cmake", "--preset", "release", "-B", "build/m", *launcher, cwd=folder, env=self.env)
        self.build()
        self.bin = os.path.join(folder, "build/m/bin")

    def build(self):
        run("ninja", "-C", "build/m", f"-j{self.jobs}", *TARGETS, cwd=self.folder, env=self.env)

    def swap(self, file, old, new):
        path = os.path.join(self.folder, file)
        with open(path) as source:
            text = source.read()
        if text.count(old) != 1:
            raise hosts.Failed(f"{file}: {text.count(old)} places for: {old}")
        with open(path, "w") as source:
            source.write(text.replace(old, new))


def play(bin_dir, name):
    """Verdicts of one scenario."""
    seconds, steps = SCENARIOS[name]
    _, verdicts = Scenario(bin_dir, 7, steps, seconds, RATE, tell=lambda line: None, drain_s=DRAIN_S).run()
    return verdicts


def broken(verdicts):
    return [verdict for verdict in verdicts if not verdict.held]


def catch(tree, mutant):
    """True if a promise that it was aimed at is reported broken."""
    with open(os.path.join(tree.folder, mutant.file)) as source:
        sound = source.read()
    tree.swap(mutant.file, mutant.old, mutant.new)
    try:
        tree.build()
        found = broken(play(tree.bin, mutant.scenario))
    finally:
        with open(os.path.join(tree.folder, mutant.file), "w") as source:
            source.write(sound)
    aimed = [v for v in found if any(v.promise.startswith(start) for start in mutant.promise.split("|"))]
    print(f"{'caught ' if aimed else 'ESCAPED'}  {mutant.name}", flush=True)
    for v in aimed or found:
        print(f"           {v.promise}: {v.evidence[0]}", flush=True)
    return bool(aimed)


def sound(tree, names):
    fine = True
    for name in names:
        found = broken(play(tree.bin, name))
        fine = fine and not found
        print(f"{'BROKEN ' if found else 'held   '}  the sound programs, scenario {name}", flush=True)
        for v in found:
            print(f"           {v.promise}: {v.evidence[:3]}", flush=True)
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="mutants whose name contains one of these words, comma separated")
    parser.add_argument("--jobs", default=str(os.cpu_count()))
    parser.add_argument("--trust", action="store_true", help="do not run the sound programs first")
    options = parser.parse_args()
    reason = hosts.why_not()
    if reason is not None:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    hosts.remove_leftovers()
    chosen = [mutant for mutant in MUTANTS if options.only is None or any(word in mutant.name for word in options.only.split(","))]
    with tempfile.TemporaryDirectory(prefix="rzm-") as folder:
        tree = Tree(folder, options.jobs)
        fine = options.trust or sound(tree, sorted({mutant.scenario for mutant in chosen}))
        caught = [catch(tree, mutant) for mutant in chosen]
    print(f"{sum(caught)} of {len(chosen)} mutants caught")
    return 0 if fine and all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
