"""robber.py FOLDER SUID - the program of a worker, and an enemy: it tries to get at the worker, the runner and its keeper, at the files in FOLDER
and at Redis there, and to become root by SUID. Its result is a JSON object of what came of each try: an errno's name, or what it found.
Standard library only."""
import ctypes
import errno
import json
import os
import resource
import socket
import subprocess
import sys

folder, suid = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def name(number):
    return errno.errorcode.get(number, str(number))


def attempt(act):
    try:
        return act()
    except OSError as problem:
        return name(problem.errno)


def ancestors():
    """Of us: the worker, the runner, its keeper."""
    pid, found = os.getppid(), []
    while pid > 1 and len(found) < 3:
        found.append(pid)
        with open(f"/proc/{pid}/stat") as file:
            pid = int(file.read().rsplit(")", 1)[1].split()[1])
    return found


def read_some(path):
    with open(path, "rb") as file:
        file.read(1)
    return "READ"


def trace(pid):
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        return name(ctypes.get_errno())
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return "TRACED"


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def reach_into(pid):
    """The first page of libc is at the same place in nobody's memory: EFAULT would say that we may look."""
    here = ctypes.create_string_buffer(8)
    ours, theirs = Vector(ctypes.addressof(here), 8), Vector(0x10000, 8)
    if libc.process_vm_readv(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) >= 0:
        return "READ"
    return name(ctypes.get_errno())


def ask_redis():
    """What an unknown visitor is told."""
    with socket.socket(socket.AF_UNIX) as redis:
        redis.settimeout(5)
        redis.connect(f"{folder}/redis.sock")
        redis.sendall(b"GET secret\r\n")
        return redis.recv(200).decode().split()[0]


def status():
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return {key: lines[key].strip() for key in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapEff", "CapInh", "CapAmb")}


def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False


def descriptors():
    """But for the one that the look itself takes."""
    return sorted(number for number in map(int, os.listdir("/proc/self/fd")) if is_open(number))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip()


def limits():
    names = {"core": resource.RLIMIT_CORE, "open_files": resource.RLIMIT_NOFILE, "processes": resource.RLIMIT_NPROC,
             "file": resource.RLIMIT_FSIZE, "memory": resource.RLIMIT_AS}
    return {key: list(resource.getrlimit(number)) for key, number in names.items()}


def grow():
    """More descriptors than our hard limit allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
        return "RAISED"
    except ValueError:
        return "EPERM"


found = {"fds": descriptors()}
sys.stdin.readline()
for title, pid in zip(("worker", "runner", "keeper"), ancestors()):
    found[title] = {what: attempt(lambda what=what: read_some(f"/proc/{pid}/{what}")) for what in ("mem", "environ", "maps", "auxv")}
    found[title]["fd"] = attempt(lambda: os.listdir(f"/proc/{pid}/fd") and "READ")
    found[title]["trace"] = trace(pid)
    found[title]["reach"] = reach_into(pid)
    found[title]["kill"] = attempt(lambda: os.kill(pid, 0) or "MAY")
found["key"] = attempt(lambda: read_some(f"{folder}/keys.json"))
found["config"] = attempt(lambda: read_some(f"{folder}/config.json"))
found["redis"] = attempt(ask_redis)
found["suid"] = run([suid, "-u"])
found["status"] = status()
found["limits"] = limits()
found["grow"] = grow()
found["environment"] = sorted(os.environ)
found["home"] = os.environ.get("HOME", "")
found["group"] = [os.getpid() == os.getpgrp(), os.getsid(0) == os.getppid()]
print(json.dumps({"type": "result", "text": json.dumps(found)}), flush=True)
