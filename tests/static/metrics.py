#!/usr/bin/python3
"""What ops/README.md says of metrics cannot rot: each one that a daemon writes stands there, and each that stands there is
written."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("broker/health.c", "runner/health.c", "proto/base/health.c")


def written():
    """Names of all metrics, and those of them that the page sums up as rhizome_broker_<counter>_total."""
    text = "".join((TOP / source).read_text() for source in SOURCES)
    counters = re.findall(r"^    X\((\w+), \"", (TOP / "broker/counters.h").read_text(), re.M)
    summed = {f"rhizome_broker_{name}_total" for name in counters}
    return set(re.findall(r'"((?:rhizome|process)_\w+)"', text)) | summed, summed


def told():
    """Names on the page; in a table `_name` behind a whole one has the same daemon's prefix."""
    page = (TOP / "ops/README.md").read_text()
    names = set(re.findall(r"`((?:rhizome_(?:broker|runner|build)|process)_\w+)(?=[`{ ])", page))
    for row in re.findall(r"^\| `rhizome_.*?\|", page, re.M):
        prefix = re.match(r"\| `(rhizome_[a-z]+)", row)[1]
        names |= {prefix + short for short in re.findall(r" `(_\w+)`", row)}
    return names


def main():
    real, summed = written()
    page = told()
    assert len(real) > 40 and len(page) > 40, "the patterns find nothing any more"
    assert page <= real, f"told and not written: {sorted(page - real)}"
    assert real - summed <= page, f"written and not told: {sorted(real - summed - page)}"
    print(f"{len(real)} metrics, each told")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failure:
        sys.exit(f"BROKEN  {failure}")
