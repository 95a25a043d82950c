#!/usr/bin/python3
"""SECURITY.md promises nothing that nobody would notice: every fact that it names exists, and every control has one. What is left
out when everything is on (tests/plain.txt) exists and has a reason."""
import re
import sys

from rules import TOP, c_facts, entries, script_cases

PAGE = TOP / "SECURITY.md"
FACT = r"`((?:unit|integration|security|faults|interop)\.\w+\.[a-z0-9_.]+|(?:static|fuzz)\.[a-z_-]+|security\.limits)`"


def fuzz_targets():
    names = re.search(r"set\(targets (.*?)\)", (TOP / "tests/fuzz/CMakeLists.txt").read_text(), re.S)[1]
    return [f"fuzz.{name}" for name in names.split()]


def rows():
    """(line number, cells) of every table row whose table ends with a column of facts."""
    told = False
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if not line.startswith("|"):
            told = False
        elif line.endswith("| Facts |"):
            told = True
        elif told and not line.startswith("|-"):
            yield number, [cell.strip() for cell in line.strip("|").split(" | ")]


def main():
    facts = {*c_facts(), *script_cases(), *entries(), *fuzz_targets()}
    named = re.findall(FACT, PAGE.read_text())
    problems = [f"SECURITY.md names no fact: {fact}" for fact in named if fact not in facts]
    table = list(rows())
    problems += [f"SECURITY.md:{number}: no fact fails without it: {cells[0]}" for number, cells in table
                 if not set(re.findall(r"`([^`]+)`", cells[-1])) & facts]
    problems += [f"SECURITY.md does not name {fact}" for fact in sorted(facts)
                 if re.match(r"(?:security\.input|fuzz)\.\w", fact) and fact not in named]
    left_out = [line.split(maxsplit=1) for line in (TOP / "tests/plain.txt").read_text().splitlines() if line and not line.startswith("#")]
    problems += [f"tests/plain.txt: no such fact, or no reason: {words[0]}" for words in left_out if len(words) < 2 or words[0] not in facts]
    if len(table) < 20:
        problems.append("the pattern of tables finds nothing any more")
    print("\n".join(problems) or f"{len(table)} controls, {len(set(named))} facts")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
