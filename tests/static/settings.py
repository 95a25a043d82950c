#!/usr/bin/python3
"""The --help of each daemon tells every setting that the daemon reads, and how it ends."""
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["RZ_BIN_DIR"])
READ_BY = {"rhizome-broker": ("broker", "proto/state"), "rhizome-runner": ("runner",)}
NOT_TOLD = {"redis.url", "redis.password"}  # a runner reads them to forget them


def settings():
    return set(re.findall(r'^    (?:\w+\(|\{ )"([a-z._]+)",', (TOP / "proto/base/setting.c").read_text(), re.M))


def read_in(folders):
    """Keys of settings that stand in the sources of these folders as texts of their own."""
    sources = [path.read_text() for folder in folders for path in sorted((TOP / folder).glob("*.c"))]
    return settings() & set(re.findall(r'"([a-z_]+\.[a-z._]+)"', "".join(sources)))


def names_of(key):
    """Its flag, and its variable: no flag takes a password."""
    return {"--" + re.sub("[._]", "-", key), "RHIZOME_" + key.replace(".", "_").upper()}


def main():
    problems = []
    for program, folders in READ_BY.items():
        page = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=True).stdout
        keys = read_in(folders) - (NOT_TOLD if program == "rhizome-runner" else set())
        assert len(keys) > 20, "the patterns find nothing any more"
        told = set(re.findall(r"^  (--[a-z-]+|RHIZOME_[A-Z_]+) ", page, re.M))
        problems += [f"{program} --help does not tell {key}" for key in sorted(keys) if not names_of(key) & told]
        problems += [f"{program} --help does not tell exit code {code}" for code in (0, 2, 69, 70, 78)
                     if not re.search(rf"Exit codes:.*\b{code} ", page, re.S) and not re.search(rf"^{code} ", page, re.M)]
    print("\n".join(problems) or "each setting is told")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
