#!/usr/bin/python3
"""ops/redis/users.acl gives a broker the commands that it uses, neither less nor more: those that the function library calls
and those that the code of the store's link sends. The admin has no more than that and the library."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
STATE = TOP / "proto" / "state"
LINK = ("channel.c", "probe.c", "store.c", "tail.c")  # admin.c is the admin's, sentinel.c speaks to sentinels
CONTAINERS = {"XINFO", "CONFIG", "FUNCTION"}
UNASKED = {"auth"}  # needs no permission
COMMANDS = {"fcall", "fcall_ro", "role", "info", "config|get", "select", "hmget", "get", "xread", "xrevrange", "ping", "wait", "client"}
ADMINS = {"fcall_ro", "function|list", "function|load"}


def command(first, second):
    return f"{first}|{second}".lower() if first in CONTAINERS else first.lower()


def of_the_library():
    """call('HGET', ...), and names that stand in a variable: call(push, ...)"""
    text = "\n".join(re.sub(r"--.*", "", path.read_text()) for path in sorted(STATE.glob("*.lua")))
    calls = re.findall(r"\bp?call\(\s*'([A-Z]+)'(?:,\s*'([A-Z]+)')?", text)
    return {command(*pair) for pair in calls} | {name.lower() for name in re.findall(r"'([LR]PUSH)'", text)}


def of_the_link():
    """{ "ROLE" }, { "CONFIG", "GET", ... }: the beginnings of command lines. Codes of errors look alike, so only what can be a command."""
    text = "\n".join((STATE / name).read_text() for name in LINK)
    return {command(*pair) for pair in re.findall(r'\{\s*"([A-Z]+)"(?:,\s*"([A-Z]+)")?', text)} & COMMANDS


def rules():
    lines = [line.split() for line in (TOP / "ops/redis/users.acl").read_text().splitlines() if line.startswith("user ")]
    return {line[1]: line[2:] for line in lines}


def allowed(words):
    return {word[1:] for word in words if word.startswith("+")}


def main():
    users, problems = rules(), []
    used, given = (of_the_library() | of_the_link()) - UNASKED, allowed(users["broker"])
    problems += [f"a broker uses {name} and may not" for name in sorted(used - given)]
    problems += [f"a broker may {name} and does not use it" for name in sorted(given - used)]
    if allowed(users["admin"]) != ADMINS or "BROKER_RULES" not in users["admin"]:
        problems.append(f"admin may {sorted(allowed(users['admin']))}")
    if users["default"] != ["off", "resetchannels", "~*", "+@all"]:
        problems.append(f"default is {users['default']}")
    for name in ("broker", "admin"):
        if "~rz:*" not in users[name] or "-@all" not in users[name] or "resetchannels" not in users[name]:
            problems.append(f"{name} is not held to its keys")
    for name, few in {"replica": 3, "sentinel": 12}.items():
        if "-@all" not in users[name] or "resetchannels" not in users[name] or any("~" in word for word in users[name]) or \
                len(allowed(users[name])) > few:
            problems.append(f"{name} may more than copy and watch: {users[name]}")
    print("\n".join(problems) or f"{len(used)} commands, each used and each allowed")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
