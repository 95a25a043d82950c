"""The store as three strict redises with a sentinel beside each, on hosts of their own; and what can be done to its primary.

A drop-in for daemons.Store: `raw` follows the primary, as the lookout knows it."""
import os
import signal
import threading
import time

import hosts
from daemons import PATIENCE, Daemon, Fleet, stand_of
from resp import Down, Redis

NAME, REDIS, SENTINEL = "rz", 6379, 26379
DOWN_AFTER_MS, FAILOVER_MS = 2000, 5000
LOOK_S = 0.25
GLANCE_S = 0.3  # whoever says nothing for so long is not looked at longer
NOTE_S = 5.0
WHOLE_S = 2.0   # it must have been whole for so long before its primary is hurt
HOSTS = ("store", "s2", "s3")


class Lookout(threading.Thread):
    """Asks the nodes what they are, again and again, so that nobody else waits for one that is stopped. The primary is whoever says that it is
    one, by the highest term of several. Every change is a line of stand.log, and every few seconds what grows."""

    def __init__(self, nodes, log):
        super().__init__(daemon=True)
        self.nodes, self.log, self.ending = nodes, log, threading.Event()
        self.eyes = [Redis(node.socket, timeout=GLANCE_S) for node in nodes]
        self.primary, self.whole_since = None, None  # a primary and all others in step with it

    def run(self):
        began, said, noted = time.monotonic(), None, 0.0
        with open(self.log, "w", buffering=1) as log:
            while not self.ending.wait(LOOK_S):
                before, said = said, [self._look(eye) for eye in self.eyes]
                leads = [(term, node.host, node) for node, (role, term) in zip(self.nodes, said) if role == "master"]
                self.primary = max(leads)[2] if leads else None
                now = time.monotonic()
                if sorted(role for role, _ in said) != ["in step"] * (len(said) - 1) + ["master"]:
                    self.whole_since = None
                elif self.whole_since is None:
                    self.whole_since = now
                if before != said or now - noted > NOTE_S:
                    noted = now
                    log.writelines(f"{now - began:7.1f} {node.host:<6} {role:<8} term {term} {stand_of(eye)}\n"
                                   for node, eye, (role, term) in zip(self.nodes, self.eyes, said))

    @staticmethod
    def _look(eye):
        """(what it is, its term)"""
        try:
            role, term = eye.many([("ROLE",), ("HGET", "rz:{0}:store", "term")])
            if role[0] == "master":
                return "master", int(term or 0)
            return "in step" if role[3] == "connected" else "behind", int(term or 0)
        except Down as down:
            return str(down).removeprefix("it is ") if str(down).startswith("it is ") else "silent", 0

    def finish(self):
        self.ending.set()
        self.join()


class Following(Redis):
    """A client of whichever node is the primary; `path` is the lookout that knows."""

    def connect(self):
        self.current = self.path.primary
        if self.current is None:
            raise OSError("no primary")
        plain = Redis(self.current.socket, self.timeout)
        plain.connect()
        self.socket, self.file = plain.socket, plain.file

    def many(self, commands):
        if self.socket is not None and self.path.primary is not self.current:
            self.close()
        return super().many(commands)


class Node:
    """One host of the store, with a disk of its own (tmpfs): Redis and its sentinel, each with a file that is its memory of who is whose replica: sentinels rewrite both."""

    def __init__(self, fleet, host):
        self.host, self.dir, self.down = host, f"{fleet.dir}/{host}", False  # down: a fault has it
        self.socket, self.sentinel_socket = f"{self.dir}/redis.sock", f"{self.dir}/sentinel.sock"
        os.mkdir(self.dir)
        hosts.command("mount", "-t", "tmpfs", "-o", "size=4g", "rhizome-faults", self.dir)
        first = fleet.hosts.address(HOSTS[0])
        self.redis = self._daemon(fleet, "redis", [
            f"port {REDIS}", f"unixsocket {self.socket}", "appendonly yes", "appendfsync always", "no-appendfsync-on-rewrite no", 'save ""',
            "maxmemory-policy noeviction", "min-replicas-to-write 1", "min-replicas-max-lag 3", "repl-ping-replica-period 1", "repl-timeout 5",
            "repl-diskless-sync-delay 0", "repl-backlog-size 64mb", *([] if host == HOSTS[0] else [f"replicaof {first} {REDIS}"])])
        self.sentinel = self._daemon(fleet, "sentinel", [
            f"port {SENTINEL}", f"unixsocket {self.sentinel_socket}", f"sentinel monitor {NAME} {first} {REDIS} 2",
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}", f"sentinel failover-timeout {NAME} {FAILOVER_MS}"], "--sentinel")

    def _daemon(self, fleet, program, settings, *flags):
        conf = f"{self.dir}/{program}.conf"
        with open(conf, "w") as file:
            file.write("\n".join(["bind 0.0.0.0", "protected-mode no", f"dir {self.dir}", *settings]) + "\n")
        return Daemon(fleet, f"{program}-{self.host}", self.host, ["redis-server", conf, *flags])

    def start_redis(self):
        self.redis.start()
        self.down = False

    def stand(self):
        """[line] of what it and its sentinel say of themselves."""
        try:
            facts = Redis(self.sentinel_socket, timeout=1.0)("SENTINEL", "MASTER", NAME)
            facts = dict(zip(facts[::2], facts[1::2]))
            view = " ".join(f"{name} {facts.get(name)}" for name in ("ip", "flags", "config-epoch", "num-slaves", "num-other-sentinels"))
        except Down as down:
            view = f"nothing: {down}"
        return [f"{self.host}: {stand_of(Redis(self.socket, timeout=1.0))}", f"{self.host}: its sentinel says {view}"]


class Ensemble:
    name = "redis"

    def __init__(self, fleet):
        self.fleet = fleet
        self.nodes = [Node(fleet, host) for host in HOSTS]
        self.socket = self.lookout = Lookout(self.nodes, f"{fleet.dir}/stand.log")
        self.raw = Following(self.lookout, timeout=3.0)
        self.log = self.nodes[0].redis.log

    def broker_flags(self, _):
        places = ",".join(f"{self.fleet.hosts.address(node.host)}:{SENTINEL}" for node in self.nodes)
        return ["--redis-url", f"redis+sentinel://{places}/{NAME}", "--redis-replicas", 1]

    def admin_url(self):
        return f"unix:{self.lookout.primary.socket}"

    def primary(self):
        """The node, or None."""
        return self.lookout.primary

    def is_whole(self):
        """For a while now: a fault of its primary is one, and not a second on top of the one before, which may lose what had a receipt."""
        since = self.lookout.whole_since
        return since is not None and time.monotonic() - since > WHOLE_S

    def stand(self):
        return [line for node in self.nodes for line in node.stand()]

    def start(self):
        """Whoever is down; the first time that is everybody."""
        again = self.lookout.is_alive()
        for daemon in [node.redis for node in self.nodes if not node.down] + [node.sentinel for node in self.nodes if again]:
            if not daemon.up():
                daemon.start()
        if again:
            return
        self.lookout.start()
        self._await(lambda: self.raw("INFO", "replication").count("state=online") == len(self.nodes) - 1, "replicas are in step")
        for node in self.nodes:
            node.sentinel.start()

    def _await(self, reached, what):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if reached():
                    return
            except Down:
                pass
            time.sleep(0.05)
        raise hosts.Failed(f"not within {PATIENCE:g} s: {what}")

    # ---- as one daemon, for who looks after daemons ----

    def up(self):
        return all(node.sentinel.up() and (node.down or node.redis.up()) for node in self.nodes)

    @property
    def process(self):
        return next((d.process for n in self.nodes for d in (n.sentinel, n.redis) if not d.up()), self.nodes[0].redis.process)

    @property
    def pid(self):
        return self.main_pid()

    def main_pid(self):
        return (self.primary() or self.nodes[0]).redis.pid

    def end(self):
        if self.lookout.is_alive():
            self.lookout.finish()
        return all([daemon.end() for node in self.nodes for daemon in (node.sentinel, node.redis)])


class ReplicatedFleet(Fleet):
    HOSTS = {**Fleet.HOSTS, "s2": [11], "s3": [12]}
    durability = "replicated"

    def make_store(self):
        return Ensemble(self)


# ---- faults of its primary: as those of faults.py ----

def kill_primary(scene, _, __):
    node = scene.fleet.store.primary()
    if node is None:
        return None
    node.down = True
    node.redis.kill()
    return node.start_redis


def stop_primary(scene, _, __):
    """It wakes up as one that slept through its replacement."""
    node = scene.fleet.store.primary()
    if node is None:
        return None
    hosts.tell(node.redis.pid, signal.SIGSTOP)
    return lambda: hosts.tell(node.redis.pid, signal.SIGCONT)


def cut_primary(scene, _, __):
    """From everybody."""
    node = scene.fleet.store.primary()
    if node is None:
        return None
    scene.fleet.hosts.lose(node.host, scene.others(node.host))
    return lambda: scene.fleet.hosts.mend(node.host)


def isolate_primary(scene, _, __):
    """From replicas and sentinels alone: brokers reach it, and it takes itself for the primary."""
    node = scene.fleet.store.primary()
    if node is None:
        return None
    scene.fleet.hosts.lose(node.host, [host for host in HOSTS if host != node.host])
    return lambda: scene.fleet.hosts.mend(node.host)


def stop_replica(scene, _, dice):
    node = scene.fleet.store.primary()
    others = [other for other in scene.fleet.store.nodes if other is not node and not other.down]
    if node is None or not others:
        return None
    pid = others[int(dice * len(others))].redis.pid
    hosts.tell(pid, signal.SIGSTOP)
    return lambda: hosts.tell(pid, signal.SIGCONT)


def kill_replica(scene, _, dice):
    node = scene.fleet.store.primary()
    others = [other for other in scene.fleet.store.nodes if other is not node and not other.down]
    if node is None or not others:
        return None
    other = others[int(dice * len(others))]
    other.down = True
    other.redis.kill()
    return other.start_redis


HOW = {"kill_primary": kill_primary, "stop_primary": stop_primary, "cut_primary": cut_primary, "isolate_primary": isolate_primary,
       "stop_replica": stop_replica, "kill_replica": kill_replica}
