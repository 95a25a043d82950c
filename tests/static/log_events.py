#!/usr/bin/python3
"""Whoever greps ops/README.md for the word in the log finds it: each event that a program logs as warn or error stands in that
program's table of "What the log says", and each that stands there is logged."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCES = {
    "a broker": ("broker", "proto/state"),
    "a runner": ("runner",),
    "a worker": ("worker-shim",),
    "any program": ("proto/base", "proto/wire", "ops/cli"),
}
THROUGH = ("log_refusal", "guard_tells")  # broker/guard.c: they pass an event on to rz_log_warn()
EVENT = r"([a-z_]+\.[a-z_]+)"


def logged(folders):
    """Events of all calls in these folders; those that name none must be one of THROUGH."""
    events, nameless = set(), []
    calls = re.compile(r"^[ \t].*?\b(?:rz_log_warn|rz_log_error|" + "|".join(THROUGH) + r")\(([^;]*);", re.M)
    for path in sorted(path for folder in folders for path in (TOP / folder).glob("*.c")):
        for arguments in calls.findall(path.read_text()):
            event = re.search(rf'"{EVENT}"', arguments)
            if event:
                events.add(event[1])
            else:
                nameless.append(f"{path.relative_to(TOP)}: {arguments}")
    return events, nameless


def told(program):
    page = (TOP / "ops/README.md").read_text()
    table = re.search(rf"^\| Log of {program} \|.*\n\|---.*\n((?:\|.*\n)+)", page, re.M)
    assert table, f'"What the log says" has no table of {program}'
    events = re.findall(rf"`{EVENT}`", "\n".join(row.split("|")[1] for row in table[1].splitlines()))
    assert len(events) == len(set(events)), f"{program}: told twice"
    return set(events)


def main():
    problems, count, nameless = [], 0, []
    for program, folders in SOURCES.items():
        (real, without), page = logged(folders), told(program)
        nameless += without
        count += len(real)
        problems += [f"{program} logs {event}, and no page says what it means" for event in sorted(real - page)]
        problems += [f"the page tells {event}, which {program} does not log" for event in sorted(page - real)]
    assert count > 80, "the patterns find nothing any more"
    assert len(nameless) == len(THROUGH), "calls whose event cannot be read: " + "; ".join(nameless)
    print("\n".join(problems) or f"{count} events, each told")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as failure:
        sys.exit(f"BROKEN  {failure}")
