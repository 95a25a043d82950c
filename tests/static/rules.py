#!/usr/bin/python3
"""The tables of proto/README.md, section 10, cannot rot: every rule says whether we keep it, where, and which facts
would fail; every file and every fact that is named exists. And what sources cite is in the tree: a rule by its number there,
and nothing that lies elsewhere."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
TESTS = TOP / "tests"
VERDICTS = ("same", "stricter", "wider", "other", "none")
SECTION = re.compile(r"^## 10\. .*?(?=^## |\Z)", re.M | re.S)


def c_facts():
    """As tests/CMakeLists.txt takes them: <area>.<name>.<fact>."""
    for source in TESTS.glob("*/test_*.c"):
        for fact in re.findall(r"cmocka_unit_test[a-z_]*\(([a-z0-9_]+)", source.read_text()):
            yield f"{source.parent.name}.{source.stem[len('test_'):]}.{fact}"


def script_cases():
    """Cases of the programs in tests/interop: interop.contract.<case>."""
    for source in (TESTS / "interop").glob("test_*.py"):
        for case in re.findall(r"^(?:async )?def (?:case_)?([a-z0-9_]+)\(", source.read_text(), re.M):
            yield f"interop.{source.stem[len('test_'):]}.{case}"


def entries():
    """What is registered by a name of its own: rz_script(static.house ...), add_test(NAME ...)."""
    text = (TESTS / "CMakeLists.txt").read_text()
    several = re.findall(r"foreach\(entry ([a-z ]+)\)\n  rz_script\(([a-z.]+)\$\{entry\}", text)
    return re.findall(r"(?:rz_script\(|NAME )([a-z0-9_.]+)", text) + [first + entry for names, first in several for entry in names.split()]


def rows():
    """(line number, cells) of every table row of the section."""
    text = (TOP / "proto" / "README.md").read_text()
    section = SECTION.search(text)
    if section is None:
        return
    first = text.count("\n", 0, section.start()) + 1
    for number, line in enumerate(section.group().splitlines(), first):
        if line.startswith("|") and not re.match(r"\|( Rule |-)", line):
            yield number, [cell.strip() for cell in line.strip("|").split(" | ")]


def faults(cells, facts):
    if len(cells) != 4:
        yield f"has {len(cells)} cells, not rule, here, where, facts"
        return
    _, here, where, named = cells
    if not here.startswith(VERDICTS):
        yield f"begins with none of {', '.join(VERDICTS)}: {here}"
    for path in re.findall(r"`([^`]+)`", where) or [""]:
        if not (TOP / path).is_file():
            yield f"names no file: {path or where}"
    for fact in re.findall(r"`([^`]+)`", named) or [""]:
        if fact not in facts:
            yield f"names no fact: {fact or named}"


NUMBERS = r"\d+(?:\.\d+)*"
CITED = re.compile(rf"\brules? ({NUMBERS}(?:(?:, | to |-|\n \* to ){NUMBERS})*)")
ELSEWHERE = re.compile(r"\bspec \d|\bPITFALLS\b|\bDESIGN(?:\.md| \d)|\bSTYLE\.md")


def index():
    """Numbers of the list at the head of the section, and of what its tables have in brackets."""
    section = SECTION.search((TOP / "proto" / "README.md").read_text()).group()
    return set(re.findall(rf"(?:^\* \*\*|, |: |and |  )({NUMBERS})(?=\*\*|\s)", section.split("\n### ")[0], re.M))


def citations():
    """(place, numbers, what is not in the tree) of every source."""
    names = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.py", "*.lua", "*.sh", "*.md"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    for name in names.split():
        text = (TOP / name).read_text()
        if name.endswith((".c", ".h", ".lua")):
            yield name, [number for cited in CITED.findall(text) for number in re.findall(NUMBERS, cited)], []
        if name != "tests/static/rules.py":
            yield name, [], ELSEWHERE.findall(text)


def bad_citations():
    known, count = index(), 0
    for name, numbers, elsewhere in citations():
        count += len(numbers)
        yield from (f"{name} cites rule {number}, which proto/README.md, section 10, does not have" for number in numbers if number not in known)
        yield from (f"{name} cites \"{text}\": it is not in the tree" for text in elsewhere)
    if count < 50:
        yield "the pattern of citations finds nothing any more"


def main():
    facts = {*c_facts(), *script_cases(), *entries()}
    table = list(rows())
    problems = [f"proto/README.md:{number}: {problem}" for number, cells in table for problem in faults(cells, facts)]
    problems += bad_citations()
    if not table:
        problems.append("proto/README.md has no section 10 with a table")
    seen = {}
    for number, cells in table:
        if seen.setdefault(cells[0], number) != number:
            problems.append(f"proto/README.md:{number}: the rule stands in line {seen[cells[0]]} already")
    print("\n".join(problems) or f"{len(table)} rules, each with its facts")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
