"""How each fault of plan.py is done and undone. A fault is a function of (scene, target, dice) that answers how to heal it, or None."""
import os
import resource
import signal
import subprocess
import sys
import threading

import hosts
import replicas
import truth
from daemons import FDS, PATIENCE
from resp import Down, Error

FAR = {"h3": ("10.77.0.31", "10.77.0.32"), "b2-store": ("10.77.0.33",)}  # addresses of the proxy
KEEPER_S = 12.0      # after so much silence a keeper kills
LEASE_S = 15.0
KBIT, DELAY_MS, LOSS = 400, 120, 0.1
FLOOD = 1200
CLOCK_S = (3600, -3600, 86400)

SLEEPER = """
import sys, zmq
s = zmq.Context().socket(zmq.SUB)
s.rcvhwm = 10
s.subscribe(b"")
for endpoint in sys.argv[1:]: s.connect(endpoint)
while True: s.recv_multipart()
"""


class Scene:
    """What faults act upon."""

    def __init__(self, fleet, observer, order):
        self.fleet, self.observer, self.order = fleet, observer, order
        self.sleeper = None
        self.verdicts = []  # what late_condemn was answered, and what became of the runner
        self.restarts = []  # (name, did it end when asked)

    def start_sleeper(self):
        words = [f"tcp://{self.fleet.hosts.address(host)}:7412" for host in ("h1", "h2")]
        self.sleeper = self.fleet.hosts.popen("client", [sys.executable, "-c", SLEEPER, *words])

    def others(self, host):
        return [name for name in self.fleet.HOSTS if name != host]


# ---- processes ----

def kill_worker(scene, target, dice):
    workers = scene.fleet.named(target).workers()
    if workers:
        hosts.tell(workers[int(dice * len(workers))], signal.SIGKILL)


def stop_worker(scene, target, dice):
    workers = scene.fleet.named(target).workers()
    if not workers:
        return None
    marks = hosts.marked([workers[int(dice * len(workers))]])
    hosts.tell(marks[0][0], signal.SIGSTOP)
    return lambda: [hosts.tell(pid, signal.SIGCONT) for pid in hosts.still_alive(marks)]


def kill_runner(scene, target, _):
    runner = scene.fleet.named(target)
    scene.observer.lose(target)
    scene.observer.expect_gone(target, runner.tree())
    runner.kill()
    return runner.start


def kill_keeper(scene, target, _):
    runner = scene.fleet.named(target)
    scene.observer.lose(target)
    scene.observer.expect_gone(target, runner.tree())
    runner.process.kill()
    runner.process.wait()
    return runner.start


def stop(scene, target, _):
    daemon = scene.fleet.named(target)
    pid = daemon.main_pid()
    hosts.tell(pid, signal.SIGSTOP)

    def go_on():
        hosts.tell(pid, signal.SIGCONT)
        if not daemon.up():
            daemon.start()
    return go_on


def hang_runner(scene, target, dice):
    """Longer than its keeper waits: that one ends the runner and all below it."""
    runner = scene.fleet.named(target)
    scene.observer.lose(target)
    scene.observer.expect_gone(target, runner.tree(), after=KEEPER_S + 5)
    stop(scene, target, dice)

    def again():
        if runner.up():
            try:
                runner.process.wait(PATIENCE)  # its keeper ends it; on a busy machine it sees less time pass
            except subprocess.TimeoutExpired:
                runner.process.kill()
                runner.process.wait()
        runner.start()
    return again


def restart(scene, target, _):
    """As an upgrade does it: asked to end, and started anew."""
    daemon = scene.fleet.named(target)
    hosts.tell(daemon.pid, signal.SIGTERM)

    def again():
        scene.restarts.append((target, daemon.end()))
        daemon.start()
    return again


def kill_broker(scene, target, _):
    broker = scene.fleet.named(target)
    broker.kill()
    return broker.start


def no_descriptors(scene, target, _):
    """Not one descriptor more than it has."""
    daemon = scene.fleet.named(target)
    pid = daemon.main_pid()
    limit(pid, max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1)
    return lambda: limit(pid, FDS)


def limit(pid, n):
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, FDS))
    except ProcessLookupError:
        pass


# ---- network ----

def partition(scene, host, _, **ways):
    scene.fleet.hosts.lose(host, scene.others(host), **ways)
    return lambda: scene.fleet.hosts.mend(host)


def long_partition(scene, host, dice):
    scene.observer.lose(f"r{host[1:]}")
    return partition(scene, host, dice)


def deaf(scene, host, dice):
    return partition(scene, host, dice, outgoing=False)


def mute(scene, host, dice):
    return partition(scene, host, dice, incoming=False)


def cut_from_store(scene, host, _):
    scene.fleet.hosts.lose(host, ["store"])
    return lambda: scene.fleet.hosts.mend(host)


def loss(scene, host, dice):
    return partition(scene, host, dice, loss=LOSS)


def slow_link(scene, host, _):
    scene.fleet.hosts.slow(host, KBIT)
    return lambda: scene.fleet.hosts.mend(host)


def delay(scene, target, _):
    for address in FAR[target]:
        scene.fleet.say_to_proxy(f"delay {DELAY_MS} {address}")
    return lambda: [scene.fleet.say_to_proxy(f"delay 0 {address}") for address in FAR[target]]


def stall(scene, target, _):
    for address in FAR[target]:
        scene.fleet.say_to_proxy(f"stall {address} on")
    return lambda: [scene.fleet.say_to_proxy(f"stall {address} off") for address in FAR[target]]


def reset(scene, target, _):
    for address in FAR[target]:
        scene.fleet.say_to_proxy(f"cut {address}")


# ---- the store ----

def kill_store(scene, _, __):
    scene.fleet.store.kill()
    return scene.fleet.store.start


def stop_store(scene, _, __):
    scene.fleet.store.tell(signal.SIGSTOP)
    return lambda: scene.fleet.store.tell(signal.SIGCONT)


def stutter_store(scene, _, __):
    """A slow disk as its callers feel it: nothing for 150 ms, four times a second."""
    over = threading.Event()

    def stutter():
        while not over.is_set():
            scene.fleet.store.tell(signal.SIGSTOP)
            over.wait(0.15)
            scene.fleet.store.tell(signal.SIGCONT)
            over.wait(0.1)
    thread = threading.Thread(target=stutter, daemon=True)
    thread.start()

    def end():
        over.set()
        thread.join()
    return end


def disk_full(scene, _, __):
    """With appendfsync always Redis ends itself at the first write that fails."""
    store = scene.fleet.store
    store.fill_disk()

    def again():
        store.free_disk()
        if not store.up():
            store.start()
    return again


def maxmemory(scene, _, __):
    set_config(scene, "maxmemory", "1mb")
    return lambda: set_config(scene, "maxmemory", "0")


def set_config(scene, name, value):
    try:
        scene.fleet.store.raw("CONFIG", "SET", name, value)
    except Down:
        pass


def function_flush(scene, _, __):
    """Somebody removes our functions; later an operator puts them back."""
    try:
        scene.fleet.store.raw("FUNCTION", "FLUSH")
    except Down:
        return None
    return lambda: hosts.command(f"{scene.fleet.bin}/rhizome", "store", "upgrade", "--redis-url", scene.fleet.store.admin_url())


def late_condemn(scene, target, _):
    """A verdict of a broker that was stopped for long between its look and its call: of a counter that has moved since. It must do nothing."""
    redis = scene.fleet.store.raw
    try:
        incarnation = truth.incarnation_of(redis, target)
        counter = redis("HGET", f"{truth.P}i:{incarnation}", "c") if incarnation else None
        if counter and int(counter) > 0:
            answer = redis("FCALL", "rz1_condemn", 1, truth.P[:-1], incarnation, int(counter) - 1, 0)
            if isinstance(answer, Error):
                return  # no verdict: this Redis takes no writes now
            scene.verdicts.append({"at": scene.observer.now(), "runner": target, "answer": answer,
                                   "state": redis("HGET", f"{truth.P}i:{incarnation}", "s")})
    except Down:
        pass


def condemn(scene, target, _):
    """A verdict that counts although the runner lives, as of a broker that did not see it for a while: it must hear of it, and begin anew."""
    redis = scene.fleet.store.raw
    scene.observer.lose(target)
    try:
        incarnation = truth.incarnation_of(redis, target)
        counter = redis("HGET", f"{truth.P}i:{incarnation}", "c") if incarnation else None
        if counter:
            redis("FCALL", "rz1_condemn", 1, truth.P[:-1], incarnation, counter, 0)
    except Down:
        pass


# ---- clients and clocks ----

def clock(scene, target, dice):
    if scene.fleet.clock_library is None:
        return None
    scene.fleet.move_clock(target, CLOCK_S[int(dice * len(CLOCK_S))])
    return lambda: scene.fleet.move_clock(target, 0)


def sleeping_subscriber(scene, _, __):
    scene.sleeper.send_signal(signal.SIGSTOP)
    return lambda: scene.sleeper.send_signal(signal.SIGCONT)


def flood(scene, _, __):
    scene.order(f"flood {FLOOD}")


HOW = {
    "kill_worker": kill_worker, "stop_worker": stop_worker, "kill_runner": kill_runner, "lose_runner": kill_runner, "kill_keeper": kill_keeper,
    "stop_runner": stop, "hang_runner": hang_runner, "kill_broker": kill_broker, "restart_runner": restart, "restart_broker": restart,
    "stop_broker": stop, "hang_broker": stop, "partition": partition, "long_partition": long_partition, "deaf": deaf, "mute": mute,
    "cut_from_store": cut_from_store, "loss": loss, "slow_link": slow_link, "delay": delay, "stall": stall, "reset": reset,
    "kill_store": kill_store, "stop_store": stop_store, "long_outage": stop_store, "stutter_store": stutter_store, "disk_full": disk_full,
    "maxmemory": maxmemory, "function_flush": function_flush, "condemn": condemn, "late_condemn": late_condemn, "clock": clock,
    "sleeping_subscriber": sleeping_subscriber, "flood": flood, "no_descriptors": no_descriptors,
    **replicas.HOW,
}
