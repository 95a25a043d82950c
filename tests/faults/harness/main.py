#!/usr/bin/env python3
"""Runs the real daemons on hosts made of network namespaces, breaks things by a plan that a seed decides, and says what held."""
import argparse
import json
import os
import sys
import time

import hosts
import plan
import report
from scenario import Scenario

SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.environ.get("RZ_BIN_DIR", "build/release/bin"), help="folder of the release programs")
    parser.add_argument("--seed", type=int, default=1, help="decides everything that varies")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults and load go on")
    parser.add_argument("--rate", type=float, default=40, help="jobs a second")
    parser.add_argument("--only", help="these faults only, comma separated: " + ", ".join(plan.FAULTS))
    parser.add_argument("--short", action="store_true", help=f"the {plan.SHORT_S:g} s that every gate runs, whatever the seed")
    parser.add_argument("--replicated", action="store_true", help="a primary, two replicas and three sentinels; receipts say replicated")
    parser.add_argument("--none", action="store_true", help="no faults: load alone")
    parser.add_argument("--out", default="build/faults", help="folder of the report")
    parser.add_argument("--list", action="store_true", help="print the plan and stop")
    return parser.parse_args()


def main():
    options = arguments()
    only = options.only.split(",") if options.only else None
    steps = [] if options.none else plan.make(options.seed, options.seconds, only, table=plan.REPLICATED if options.replicated else None)
    if options.short:
        options.seconds, steps = plan.SHORT_S, plan.SHORT
    if options.list:
        print("\n".join(f"{s['at']:7.2f}  {s['fault']:<20} {s['target']:<9} {s['lasts'] or ''}" for s in steps))
        return 0
    reason = hosts.why_not()
    if reason is not None:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    hosts.remove_leftovers()
    print(f"seed {options.seed}, {options.seconds:g} s, {options.rate:g} jobs/s, {len(steps)} faults planned", flush=True)
    began = time.time()
    scenario = Scenario(options.bin, options.seed, steps, options.seconds, options.rate, tell=lambda line: print(line, flush=True),
                        replicated=options.replicated)
    facts, verdicts = scenario.run()
    path = report.write(options.out, options, facts, verdicts, scenario.logs, time.time() - began)
    print(report.as_text(options, facts, verdicts))
    print(f"report: {path}")
    return 0 if all(v.held for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
