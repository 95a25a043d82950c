"""The store as three strict redises with a sentinel beside each, on hosts of their own; and what can be done to its primary.

A drop-in for daemons.Store: `raw` follows the primary, by the highest term among those that say they are one."""
import os
import signal
import subprocess
import time

import hosts
from daemons import PATIENCE, Daemon, Fleet
from resp import Down, Redis

NAME, REDIS, SENTINEL = "rz", 6379, 26379
DOWN_AFTER_MS, FAILOVER_MS = 1000, 5000
LOOK_S = 0.5
HOSTS = ("store", "s2", "s3")


class Following(Redis):
    """A client of whichever of these sockets is the primary's."""

    def __init__(self, path, timeout=10.0):
        super().__init__(path, timeout)
        self.current, self.looked = None, 0.0

    def connect(self):
        self.current = self.find()
        plain = Redis(self.current, self.timeout)
        plain.connect()
        self.socket, self.file = plain.socket, plain.file

    def find(self):
        found = []
        for path in self.path:
            one = Redis(path, timeout=0.5)
            try:
                role, term = one.many([("ROLE",), ("HGET", "rz:{0}:store", "term")])
                if isinstance(role, list) and role[0] == "master":
                    found.append((int(term or 0), path))
            except Down:
                pass
            finally:
                one.close()
        if not found:
            raise OSError("no primary")
        return max(found)[1]

    def many(self, commands):
        if self.socket is not None and time.monotonic() - self.looked > LOOK_S:
            self.looked = time.monotonic()
            try:
                if self.find() != self.current:
                    self.close()
            except OSError as error:
                self.close()
                raise Down(str(error)) from error
        return super().many(commands)


class Node:
    """One host of the store: Redis and its sentinel."""

    def __init__(self, fleet, host):
        self.host, self.dir, self.down = host, f"{fleet.dir}/{host}", False  # down: a fault has it
        self.socket = f"{self.dir}/redis.sock"
        os.mkdir(self.dir)
        primary = [] if host == HOSTS[0] else ["--replicaof", fleet.hosts.address(HOSTS[0]), REDIS]
        self.redis = Daemon(fleet, f"redis-{host}", host, [
            "redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--port", REDIS, "--unixsocket", self.socket, "--dir", self.dir,
            "--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--save", "", "--maxmemory-policy", "noeviction",
            "--min-replicas-to-write", "1", "--min-replicas-max-lag", "3", "--repl-ping-replica-period", "1", "--repl-timeout", "5",
            "--repl-diskless-sync-delay", "0", *primary])
        conf = f"{self.dir}/sentinel.conf"
        with open(conf, "w") as file:
            file.write(f"port {SENTINEL}\nbind 0.0.0.0\nprotected-mode no\ndir {self.dir}\nsentinel monitor {NAME} {fleet.hosts.address(HOSTS[0])} {REDIS} 2\n"
                       f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\nsentinel failover-timeout {NAME} {FAILOVER_MS}\n")
        self.sentinel = Daemon(fleet, f"sentinel-{host}", host, ["redis-server", conf, "--sentinel"])

    def start_redis(self):
        """Again: what it was when it began, its sentinels know better, so it begins as it is configured and is told."""
        self.redis.start()
        self.down = False


class Ensemble:
    name = "redis"

    def __init__(self, fleet):
        self.fleet = fleet
        self.nodes = [Node(fleet, host) for host in HOSTS]
        self.socket = tuple(node.socket for node in self.nodes)
        self.raw = Following(self.socket, timeout=3.0)
        self.log = self.nodes[0].redis.log

    def broker_flags(self, _):
        places = ",".join(f"{self.fleet.hosts.address(node.host)}:{SENTINEL}" for node in self.nodes)
        return ["--redis-url", f"redis+sentinel://{places}/{NAME}", "--redis-replicas", 1]

    def admin_url(self):
        return f"unix:{self.raw.find()}"

    def primary(self):
        path = self.raw.find()
        return next(node for node in self.nodes if node.socket == path)

    def start(self):
        for node in self.nodes:
            node.redis.start()
        self._await(lambda: self.raw("INFO", "replication").count("state=online") == len(self.nodes) - 1, "replicas are in step")
        for node in self.nodes:
            node.sentinel.start()
        time.sleep(0)

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
        try:
            return self.primary().redis.pid
        except OSError:
            return self.nodes[0].redis.pid

    def end(self):
        self.raw.close()
        return all([daemon.end() for node in self.nodes for daemon in (node.sentinel, node.redis)])


class ReplicatedFleet(Fleet):
    HOSTS = {**Fleet.HOSTS, "s2": [11], "s3": [12]}
    durability = "replicated"

    def make_store(self):
        return Ensemble(self)


# ---- faults of its primary: as those of faults.py ----

def find(scene):
    try:
        return scene.fleet.store.primary()
    except OSError:
        return None


def kill_primary(scene, _, __):
    node = find(scene)
    if node is None:
        return None
    node.down = True
    node.redis.kill()
    return node.start_redis


def stop_primary(scene, _, __):
    """It wakes up as one that slept through its replacement."""
    node = find(scene)
    if node is None:
        return None
    hosts.tell(node.redis.pid, signal.SIGSTOP)
    return lambda: hosts.tell(node.redis.pid, signal.SIGCONT)


def cut_primary(scene, _, __):
    """From everybody."""
    node = find(scene)
    if node is None:
        return None
    scene.fleet.hosts.lose(node.host, scene.others(node.host))
    return lambda: scene.fleet.hosts.mend(node.host)


def isolate_primary(scene, _, __):
    """From replicas and sentinels alone: brokers reach it, and it takes itself for the primary."""
    node = find(scene)
    if node is None:
        return None
    scene.fleet.hosts.lose(node.host, [host for host in HOSTS if host != node.host])
    return lambda: scene.fleet.hosts.mend(node.host)


def stop_replica(scene, _, dice):
    node = find(scene)
    others = [other for other in scene.fleet.store.nodes if other is not node and not other.down]
    if node is None or not others:
        return None
    pid = others[int(dice * len(others))].redis.pid
    hosts.tell(pid, signal.SIGSTOP)
    return lambda: hosts.tell(pid, signal.SIGCONT)


def kill_replica(scene, _, dice):
    node = find(scene)
    others = [other for other in scene.fleet.store.nodes if other is not node and not other.down]
    if node is None or not others:
        return None
    other = others[int(dice * len(others))]
    other.down = True
    other.redis.kill()
    return other.start_redis


HOW = {"kill_primary": kill_primary, "stop_primary": stop_primary, "cut_primary": cut_primary, "isolate_primary": isolate_primary,
       "stop_replica": stop_replica, "kill_replica": kill_replica}
