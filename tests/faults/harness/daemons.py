"""The real programs on their hosts: started, killed, stopped and started again. Nothing here decides when."""
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import hosts
from resp import Down, Redis
from truth import P

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 20.0
DISK_TRIES = 50
# An agent that leaves a process behind: of another session, child of nobody, deaf to TERM.
STUBBORN = {"agent_id": "stubborn", "protocol": "actor", "permission_profile": "any", "executor": "command", "command": "/bin/sh", "args": [
    "-c", "trap '' TERM; (setsid /bin/sh -c 'trap \"\" TERM; sleep 600' </dev/null >/dev/null 2>&1 &); sleep 1; echo done"]}
FDS = 4096  # descriptors that each daemon may have


STAND = ("role", "loading", "master_host", "master_link_status", "master_repl_offset", "connected_slaves", "sync_full", "used_memory_human",
         "aof_current_size", "aof_rewrite_in_progress", "aof_last_write_status", "rejected_connections")


def stand_of(redis):
    """One line of how a Redis is, or why it cannot be said."""
    try:
        info = dict(line.split(":", 1) for line in redis("INFO").splitlines() if ":" in line)
        return " ".join(f"{name} {info[name]}" for name in STAND if name in info)
    except Down as down:
        return f"nothing: {down}"


class Daemon:
    """One program on one host. It keeps its pid through STOP and CONT, and gets a new one by start()."""

    def __init__(self, fleet, name, host, argv, env=None):
        self.fleet, self.name, self.host, self.argv, self.env = fleet, name, host, argv, env
        self.process, self.starts, self.log = None, 0, f"{fleet.dir}/{name}.log"

    def start(self):
        self.starts += 1
        with open(self.log, "ab") as log:
            log.write(f"--- start {self.starts} of {self.name}\n".encode())
            log.flush()
            self.process = self.fleet.hosts.popen(
                self.host, self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(self.env or {})},
                start_new_session=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FDS, FDS)))

    @property
    def pid(self):
        return self.process.pid

    def main_pid(self):
        """The process that does the work (a runner's keeper does not)."""
        return self.pid

    def up(self):
        return self.process is not None and self.process.poll() is None

    def tell(self, number):
        if self.up():
            hosts.tell(self.main_pid(), number)

    def kill(self):
        self.tell(signal.SIGKILL)
        self.process.wait()

    def end(self, patience=PATIENCE):
        """Asks it to end. False if it had to be killed."""
        if not self.up():
            return True
        hosts.tell(self.pid, signal.SIGTERM)
        try:
            self.process.wait(patience)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False


class Runner(Daemon):
    """The process that was started is the keeper; the runner is its first child."""

    def start(self):
        super().start()
        deadline = time.monotonic() + PATIENCE
        while not hosts.children(self.pid) and self.up() and time.monotonic() < deadline:
            time.sleep(0.005)  # its keeper forks it at once

    def main_pid(self):
        below = hosts.children(self.pid)
        return below[0] if below else self.pid

    def workers(self):
        below = hosts.children(self.pid)
        return hosts.children(below[0]) if below else []

    def tree(self):
        return hosts.marked(hosts.descendants(self.pid))

    def kill(self):
        """The runner, not its keeper, which then has work to do."""
        hosts.tell(self.main_pid(), signal.SIGKILL)
        self.process.wait(PATIENCE)


class Store(Daemon):
    """Redis on a disk of its own (tmpfs), as strict as a receipt can say."""

    def __init__(self, fleet):
        self.disk, self.socket = f"{fleet.dir}/disk", f"{fleet.dir}/redis.sock"
        super().__init__(fleet, "redis", "store", [
            "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--port", "6379", "--unixsocket", self.socket, "--dir", self.disk,
            "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--save", "",
            "--maxmemory-policy", "noeviction", "--aof-load-truncated", "yes"], env=fleet.clock("redis"))
        os.mkdir(self.disk)
        hosts.command("mount", "-t", "tmpfs", "-o", "size=4g", "rhizome-faults", self.disk)
        self.raw = Redis(self.socket, timeout=3.0)

    def broker_flags(self, i):
        """b2 reaches it through the proxy."""
        address = self.fleet.hosts.address("store") if i == 1 else self.fleet.hosts.addresses["middle"][2]
        return ["--redis-url", f"redis://{address}:6379"]

    def admin_url(self):
        return f"unix:{self.socket}"

    def start(self):
        super().start()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.up():
            try:
                if self.raw("PING") == "PONG":
                    return
            except Down:
                pass
            time.sleep(0.02)
        raise hosts.Failed("redis does not answer; see redis.log")

    def is_whole(self):
        return True

    def stand(self):
        return [stand_of(self.raw)]

    def fill_disk(self):
        """No byte more: the limit goes down to what is used. Below that it cannot go, so what is written meanwhile makes us look again."""
        for left in reversed(range(DISK_TRIES)):
            state = os.statvfs(self.disk)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            try:
                hosts.command("mount", "-o", f"remount,size={used + 4096}", self.disk)
                return
            except hosts.Failed:
                if left == 0:
                    raise

    def free_disk(self):
        hosts.command("mount", "-o", "remount,size=4g", self.disk)


class Fleet:
    """Redis, brokers b1.., runners r1.. as `shape` says, and the process that plays producers, clients and subscribers.

    b1+r1 live on h1, b2+r2 on h2, r3 on h3. r3 reaches the brokers, and b2 the store, through the TCP proxy on host `middle`."""

    durability = "strict"
    HOSTS = {"store": [10], "h1": [1], "h2": [2], "h3": [3], "middle": [31, 32, 33], "client": [20]}

    def __init__(self, bin_dir, brokers=2, runners=3, slots=8):
        self.bin, self.slots = os.path.abspath(bin_dir), slots
        self.hosts = hosts.Hosts(self.HOSTS)
        self.dir = self.hosts.dir
        self.clock_library = self._build_clock()
        self.config = f"{self.dir}/rhizome.json"
        with open(self.config, "w") as file:
            json.dump({"externalAgents": {"stubborn": STUBBORN}}, file)
        self.store = self.make_store()
        self.brokers = [self._broker(i + 1) for i in range(brokers)]
        self.runners = [self._runner(i + 1, brokers, slots) for i in range(runners)]
        self.proxy = None

    def make_store(self):
        return Store(self)

    def _build_clock(self):
        """The library that moves wall clocks; None where there is no compiler."""
        if shutil.which("cc") is None:
            return None
        library = f"{self.dir}/wall_clock.so"
        hosts.command("cc", "-O2", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "wall_clock.c"))
        return library

    def clock(self, name):
        """Environment of a daemon whose wall clock can be moved: by the number that stands in its file."""
        if self.clock_library is None:
            return {}
        self.move_clock(name, 0)
        return {"LD_PRELOAD": self.clock_library, "WALL_CLOCK_FILE": f"{self.dir}/{name}.clock"}

    def move_clock(self, name, seconds):
        path = f"{self.dir}/{name}.clock"
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:  # the same file: it is mapped
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def _broker(self, i):
        ports = {"jobs": 7410, "control": 7411, "events": 7412, "runners": 7413, "publish": 7415}
        flags = [word for name, port in ports.items() for word in (f"--broker-{name}", f"tcp://0.0.0.0:{port}")]
        return Daemon(self, f"b{i}", f"h{i}", [f"{self.bin}/rhizome-broker", "--config", self.config, "--broker-name", f"b{i}",
                                               *self.store.broker_flags(i), "--redis-plaintext", "--security-insecure", *flags], env=self.clock(f"b{i}"))

    def _runner(self, i, brokers, slots):
        near = [self.hosts.address(f"h{k + 1}") for k in range(brokers)]
        far = self.hosts.addresses["middle"][:brokers]
        links = ",".join(f"tcp://{address}:7413" for address in (far if i == 3 else near))
        state = f"{self.dir}/r{i}"
        os.mkdir(state, 0o700)
        return Runner(self, f"r{i}", f"h{i}", [f"{self.bin}/rhizome-runner", "--config", self.config, "--runner-name", f"r{i}",
                                               "--runner-brokers", links, "--runner-state-dir", state, "--runner-slots", slots,
                                               "--runner-labels", f"r{i}"])

    def daemons(self):
        return [self.store, *self.brokers, *self.runners]

    def named(self, name):
        return next(daemon for daemon in self.daemons() if daemon.name == name)

    def start(self):
        self.proxy = self._start_proxy()
        self.store.start()
        hosts.command(f"{self.bin}/rhizome", "store", "init", "--redis-url", self.store.admin_url())
        self.store.raw("XGROUP", "CREATE", P + "completions", "checker", "0", "MKSTREAM")  # who has not read holds every end
        for daemon in self.daemons()[1:]:
            daemon.start()

    def _start_proxy(self):
        first, second, third = self.hosts.addresses["middle"]
        one, two, store = (self.hosts.address(name) for name in ("h1", "h2", "store"))
        routes = [(first, 7413, one), (first, 7415, one), (second, 7413, two), (second, 7415, two), (third, 6379, store)]
        words = [f"{here}:{port}={there}:{port}" for here, port, there in routes]
        log = open(f"{self.dir}/proxy.log", "wb")
        script = os.path.join(HERE, "proxy.py")
        return self.hosts.popen("middle", [sys.executable, script, *words], stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)

    def say_to_proxy(self, line):
        self.proxy.stdin.write(line + "\n")
        self.proxy.stdin.flush()

    def close(self):
        """The end of everything, clean or not; gives the names of those who did not end when asked."""
        stubborn = [daemon.name for daemon in reversed(self.daemons()) if not daemon.end()]
        if self.proxy is not None:
            self.proxy.kill()
            self.proxy.wait()
        return stubborn
