"""Hosts for a fault run: network namespaces on one bridge, processes in them, and what the network does to their packets.

Everything has a name that begins with `rzf<pid of the harness>-`, so that what an earlier run left behind can be found. Packets are lost by
tiny classic BPF programs (tc, clsact): exact in direction, peer and probability, and part of iproute2, so neither nft nor netem is needed.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

PREFIX = "rzf"
NET = "10.77.0."
RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: a random word instead of one of the packet
SHOT = 2                  # TC_ACT_SHOT
RUN_DIR = "/run/netns/"


class Failed(Exception):
    """A command of the operating system that the harness needs did not work."""


def command(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def why_not():
    """None when hosts can be made here, else the reason."""
    for program in ("ip", "tc", "nsenter", "redis-server"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    name = f"{PREFIX}{os.getpid()}-probe"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if done.returncode != 0:
        return f"no network namespaces here (needs root or CAP_NET_ADMIN and CAP_SYS_ADMIN): {done.stderr.strip()}"
    try:
        command("ip", "-n", name, "link", "add", "probe", "type", "veth", "peer", "name", "other")
        command("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "probe", "clsact")
        command("ip", "netns", "exec", name, "tc", "filter", "add", "dev", "probe", "egress", "bpf", "da", "bytecode", "1,6 0 0 0")
    except Failed as failure:
        return f"the kernel lacks what hosts need: {failure}"
    finally:
        command("ip", "netns", "del", name, check=False)
    return None


# ---- processes, seen through /proc ----

def start_time(pid):
    """Tells a process from a later one with its number. None: gone, or a zombie, which is as good as gone."""
    try:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def children(pid):
    try:
        return [int(word) for word in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def descendants(pid):
    found, todo = [], children(pid)
    while todo:
        found += todo
        todo = [child for parent in todo for child in children(parent)]
    return found


def marked(pids):
    """[(pid, start time)] of those that live."""
    return [(pid, began) for pid in pids if (began := start_time(pid)) is not None]


def still_alive(marks):
    return [pid for pid, began in marks if start_time(pid) == began]


def tell(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# ---- what earlier runs left ----

def namespaces():
    return [line.split()[0] for line in command("ip", "netns", "list").splitlines() if line.strip()]


def pids_in(namespace):
    return [int(word) for word in command("ip", "netns", "pids", namespace, check=False).split()]


def remove(prefix):
    """Ends and removes everything whose name begins so: processes, namespaces (and with them links and bridge), mounts, folder."""
    for namespace in [name for name in namespaces() if name.startswith(prefix)]:
        deadline = time.monotonic() + 5
        while (pids := pids_in(namespace)) and time.monotonic() < deadline:
            for pid in pids:
                tell(pid, signal.SIGKILL)
            time.sleep(0.02)
        command("ip", "netns", "del", namespace, check=False)
    for line in open("/proc/mounts").read().splitlines():
        if f"/{prefix}" in line.split()[1] and line.split()[2] == "tmpfs":
            command("umount", "-l", line.split()[1], check=False)
    for name in os.listdir("/tmp"):
        if name.startswith(prefix):
            shutil.rmtree(f"/tmp/{name}", ignore_errors=True)


def remove_leftovers():
    """Of harnesses that are no more."""
    owners = {found.group(1) for name in namespaces() + os.listdir("/tmp") if (found := re.match(PREFIX + r"(\d+)-", name))}
    for owner in owners:
        if start_time(int(owner)) is None:
            remove(f"{PREFIX}{owner}-")


class Janitor:
    """A small process that outlives the harness by as long as it takes to clean up, however the harness ended."""

    def __init__(self, prefix):
        end, self.pipe = os.pipe()
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), prefix], stdin=end, start_new_session=True)
        os.close(end)

    def finish(self):
        os.close(self.pipe)
        self.process.wait()


# ---- the hosts of one run ----

def word(address):
    a, b, c, d = map(int, address.split("."))
    return a << 24 | b << 16 | c << 8 | d


def drop_program(peers, loss, outgoing):
    """Classic BPF as `tc ... bpf bytecode` takes it: drops IPv4 to (or from) one of the peers with this probability."""
    body = [(0x28, 0, 0, 12), (0x15, 0, len(peers) + 3, 0x0800), (0x20, 0, 0, 30 if outgoing else 26)]
    for i, peer in enumerate(peers):
        last = i == len(peers) - 1
        body.append((0x15, len(peers) - 1 - i, 3 if last else 0, word(peer)))
    body += [(0x20, 0, 0, RANDOM), (0x35, 1, 0, min(int(loss * 2**32), 2**32 - 1)), (0x06, 0, 0, SHOT), (0x06, 0, 0, 0)]
    body[1] = (0x15, 0, len(body) - 3, 0x0800)  # not IPv4: to the last line
    return f"{len(body)}," + ",".join(f"{code} {yes} {no} {k}" for code, yes, no, k in body)


class Hosts:
    """names: {host: [last octets of its addresses]}"""

    def __init__(self, names):
        self.prefix = f"{PREFIX}{os.getpid()}-"
        self.dir = f"/tmp/{self.prefix}files"
        self.addresses = {name: [NET + str(octet) for octet in octets] for name, octets in names.items()}
        os.mkdir(self.dir, 0o700)
        self.janitor = Janitor(self.prefix)
        switch = self.namespace("switch")
        command("ip", "netns", "add", switch)
        command("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        command("ip", "-n", switch, "link", "set", "bridge", "up")
        for name in names:
            self._plug(name, switch)

    def _plug(self, name, switch):
        namespace = self.namespace(name)
        command("ip", "netns", "add", namespace)
        command("ip", "-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"to-{name}", "netns", switch)
        command("ip", "-n", switch, "link", "set", "dev", f"to-{name}", "master", "bridge", "up")
        for address in self.addresses[name]:
            command("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            command("ip", "-n", namespace, "link", "set", link, "up")
        command("ip", "netns", "exec", namespace, "tc", "qdisc", "add", "dev", "eth0", "clsact")

    def namespace(self, name):
        return self.prefix + name

    def address(self, name):
        return self.addresses[name][0]

    def popen(self, name, words, **options):
        """A process on this host. nsenter becomes the program: its pid is the program's."""
        return subprocess.Popen(["nsenter", f"--net={RUN_DIR}{self.namespace(name)}", "--", *map(str, words)], **options)

    def _tc(self, name, *words, check=True):
        return command("ip", "netns", "exec", self.namespace(name), "tc", *words, check=check)

    def lose(self, name, peers, loss=1.0, incoming=True, outgoing=True):
        """From now on packets between this host and the peers are lost with this probability."""
        addresses = [address for peer in peers for address in self.addresses[peer]]
        for hook, wanted in (("ingress", incoming), ("egress", outgoing)):
            if wanted:
                self._tc(name, "filter", "add", "dev", "eth0", hook, "bpf", "da", "bytecode",
                         drop_program(addresses, loss, hook == "egress"))

    def slow(self, name, kbit):
        """What leaves this host leaves at this rate, queued for at most a second."""
        self._tc(name, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{kbit}kbit", "burst", "5000", "latency", "1000ms")

    def mend(self, name):
        """Undoes lose and slow."""
        for hook in ("ingress", "egress"):
            self._tc(name, "filter", "del", "dev", "eth0", hook, check=False)
        self._tc(name, "qdisc", "del", "dev", "eth0", "root", check=False)

    def close(self):
        self.janitor.finish()


if __name__ == "__main__":  # the janitor: until the harness is gone, then clean
    sys.stdin.read()
    remove(sys.argv[1])
