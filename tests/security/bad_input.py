#!/usr/bin/python3
"""Every field of every message at every entry point, wrong in every way (hostile.py), sent to the real programs: each case
gets its one exact code, the field and the limit, and changes nothing. Usage: bad_input.py ENTRY... [--only PATTERN]"""
import argparse
import fnmatch
import sys
import time

import at_broker
import at_config
import at_program
import at_runner
import at_worker
from hostile import ACCEPTED, verdict

ENTRIES = {**at_broker.ENTRIES, **at_config.ENTRIES, **at_program.ENTRIES, **at_runner.ENTRIES, **at_worker.ENTRIES}


def run(name, entry, only):
    """True if every case was answered as it must be."""
    started, wrong, count = time.monotonic(), [], 0
    with entry() as stage:
        cases = [case for case in stage.cases() if fnmatch.fnmatchcase(case.name, only)]
        assert cases, f"no case of {name} matches {only}"
        refused = [case for case in cases if case.code != ACCEPTED]
        before = stage.untouched()
        for batch in (refused, [case for case in cases if case.code == ACCEPTED]):
            for case, answer in stage.answers(batch):
                count += 1
                problem = verdict(case, *answer)
                if problem:
                    wrong.append(f"{case.name}: {problem}\n      sent {case.body[:160]!r}")
            if batch is refused:
                changed = differences(before, stage.untouched())
                wrong += [f"refused messages changed {changed}"] if changed else []
        assert count == len(cases), f"{count} answers for {len(cases)} cases"
        stage.serves()
    for line in wrong:
        print(f"FAILED {name}: {line}")
    print(f"{name}: {count} cases, {len(refused)} of them refused, {len(wrong)} failed, {time.monotonic() - started:.1f} s")
    return not wrong


def differences(before, after):
    """Names of what is not as it was."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help=" ".join(ENTRIES))
    parser.add_argument("--only", default="*")
    asked = parser.parse_args()
    results = [run(name, ENTRIES[name], asked.only) for name in asked.entries or ENTRIES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
