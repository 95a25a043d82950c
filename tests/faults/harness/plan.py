"""Which fault, when, to whom, for how long: all from one seed, before anything runs, so that a run can be repeated."""
import random

RUNNERS, BROKERS, HOSTS = ("r1", "r2", "r3"), ("b1", "b2"), ("h1", "h2", "h3")
SETTLE_S = 6.0  # after the last fault the load goes on for so long

# name: (weight, targets, shortest, longest). How each is done stands in faults.py.
FAULTS = {
    "kill_worker": (6, RUNNERS, 0, 0),
    "stop_worker": (2, RUNNERS, 1, 5),
    "kill_runner": (4, RUNNERS, 0.3, 4),
    "lose_runner": (2, RUNNERS, 22, 25),
    "kill_keeper": (1, RUNNERS, 0.5, 3),
    "stop_runner": (3, RUNNERS, 1, 7),
    "hang_runner": (2, RUNNERS, 13, 15),
    "restart_runner": (2, RUNNERS, 12, 12.5),
    "restart_broker": (2, BROKERS, 1, 2),
    "kill_broker": (4, BROKERS, 0.2, 5),
    "stop_broker": (3, BROKERS, 1, 7),
    "hang_broker": (1, BROKERS, 12, 16),
    "partition": (3, HOSTS, 1, 8),
    "long_partition": (2, ("h3",), 18, 22),
    "deaf": (2, HOSTS, 1, 8),
    "mute": (2, HOSTS, 1, 8),
    "cut_from_store": (2, ("h1",), 1, 8),
    "loss": (3, HOSTS, 3, 10),
    "slow_link": (2, HOSTS, 3, 8),
    "delay": (2, ("h3", "b2-store"), 3, 8),
    "stall": (2, ("h3", "b2-store"), 1, 8),
    "reset": (2, ("h3", "b2-store"), 0, 0),
    "kill_store": (3, ("redis",), 0.1, 4),
    "stop_store": (3, ("redis",), 1, 10),
    "long_outage": (1, ("redis",), 20, 30),
    "stutter_store": (2, ("redis",), 3, 6),
    "disk_full": (1, ("redis",), 1, 3),
    "maxmemory": (2, ("redis",), 2, 5),
    "function_flush": (1, ("redis",), 1, 3),
    "clock": (2, ("redis", "b1", "b2"), 3, 8),
    "sleeping_subscriber": (1, ("sleeper",), 4, 10),
    "flood": (1, ("jobs",), 0, 0),
    "no_descriptors": (2, BROKERS + RUNNERS, 1, 4),
    "condemn": (1, RUNNERS, 0, 0),
    "late_condemn": (3, RUNNERS, 0, 0),
}

# With a primary, replicas and sentinels: these instead of the ones that are for a Redis alone.
PRIMARY = {
    "kill_primary": (6, ("primary",), 0.5, 8),
    "stop_primary": (4, ("primary",), 1, 10),
    "cut_primary": (4, ("primary",), 2, 10),
    "isolate_primary": (4, ("primary",), 2, 10),
    "stop_replica": (2, ("primary",), 1, 6),
    "kill_replica": (2, ("primary",), 0.5, 4),
}
ALONE = ("kill_store", "stop_store", "long_outage", "stutter_store", "disk_full", "maxmemory", "function_flush", "clock", "cut_from_store", "delay",
         "stall", "reset")
REPLICATED = {**{name: how for name, how in FAULTS.items() if name not in ALONE}, **PRIMARY}
REST_S = 12.0  # between two faults of the store, at least; the scenario waits until its replicas are in step again: two at once may lose

# (what kind of thing is hurt, what is done to it), for whoever reads the report
KINDS = ("process", "network", "store", "client")
TOLD = {
    "kill_worker": ("process", "a worker is killed in mid run"),
    "stop_worker": ("process", "a worker is stopped for a while"),
    "kill_runner": ("process", "a runner is killed and started again"),
    "lose_runner": ("process", "a runner is killed and stays away"),
    "kill_keeper": ("process", "a runner's keeper is killed"),
    "stop_runner": ("process", "a runner is stopped, shorter than its keeper waits"),
    "hang_runner": ("process", "a runner hangs until its keeper ends it"),
    "restart_runner": ("process", "a runner is asked to end, and started again"),
    "restart_broker": ("process", "a broker is asked to end, and started again"),
    "kill_broker": ("process", "a broker is killed and started again"),
    "stop_broker": ("process", "a broker is stopped for a while"),
    "hang_broker": ("process", "a broker is stopped, longer than a lease"),
    "no_descriptors": ("process", "a daemon gets not one descriptor more"),
    "condemn": ("process", "a runner that lives is declared dead"),
    "late_condemn": ("process", "a verdict comes that is from the past"),
    "clock": ("process", "a wall clock jumps by an hour or a day"),
    "partition": ("network", "a host is cut off, both ways"),
    "long_partition": ("network", "a host is cut off for longer than a lease"),
    "deaf": ("network", "a host hears nobody, and is heard"),
    "mute": ("network", "a host is not heard, and hears"),
    "cut_from_store": ("network", "a host does not reach Redis"),
    "loss": ("network", "a tenth of a host's packets is lost"),
    "slow_link": ("network", "a host's link carries 400 kbit/s"),
    "delay": ("network", "120 ms more each way"),
    "stall": ("network", "bytes stop, connections stay"),
    "reset": ("network", "connections are reset"),
    "kill_store": ("store", "Redis is killed and started again"),
    "stop_store": ("store", "Redis is stopped for a while"),
    "long_outage": ("store", "Redis is stopped for half a minute"),
    "stutter_store": ("store", "the disk under Redis is slow"),
    "disk_full": ("store", "the disk under Redis is full"),
    "maxmemory": ("store", "Redis is at its maxmemory"),
    "function_flush": ("store", "somebody removes our functions from Redis"),
    "kill_primary": ("store", "the primary is killed, and comes back"),
    "stop_primary": ("store", "the primary is stopped, and wakes up"),
    "cut_primary": ("store", "the primary's host is cut off"),
    "isolate_primary": ("store", "the primary is cut off from replicas and sentinels, not from brokers"),
    "stop_replica": ("store", "a replica is stopped for a while"),
    "kill_replica": ("store", "a replica is killed and started again"),
    "sleeping_subscriber": ("client", "a subscriber does not read"),
    "flood": ("client", "a producer pushes 1,200 jobs at once"),
}

# Two faults of one thing at a time would only say what one of them says.
GROUP = {"r1": "h1", "b1": "h1", "r2": "h2", "b2": "h2", "r3": "h3", "b2-store": "h2"}
INSTANT = 0.5


def script(*steps):
    """A plan written by hand: (at, fault, target, lasts)."""
    return [{"at": at, "fault": fault, "target": target, "lasts": lasts, "dice": 0.5} for at, fault, target, lasts in steps]


def make(seed, seconds, only=None, pause=(0.8, 3.0), table=None):
    """[{at, fault, target, lasts, dice}], by time."""
    rng, table = random.Random(seed), table or FAULTS
    names = [name for name in table if only is None or name in only]
    weights = [table[name][0] for name in names]
    busy, steps, at = {}, [], 3.0
    while True:
        at += rng.uniform(*pause)
        name = rng.choices(names, weights)[0]
        target = rng.choice(table[name][1])
        lasts = round(rng.uniform(*table[name][2:]), 2)
        dice = rng.random()
        if at + lasts > seconds - SETTLE_S:
            if at > seconds - SETTLE_S:
                return steps
            continue
        group = GROUP.get(target, target)
        if busy.get(group, 0) > at:
            continue
        busy[group] = at + max(lasts, INSTANT) + (REST_S if name in PRIMARY else 0.5)
        steps.append({"at": round(at, 2), "fault": name, "target": target, "lasts": lasts, "dice": round(dice, 4)})


# What a gate has time for: one of each kind that has ever broken something.
SHORT_S = 42.0
SHORT = script((2.0, "kill_worker", "r1", 0), (2.5, "late_condemn", "r2", 0), (3.0, "kill_runner", "r2", 1.0), (5.0, "deaf", "h3", 4.0),
               (6.0, "kill_broker", "b1", 1.0), (9.5, "kill_store", "redis", 0.5), (11.5, "hang_runner", "r3", 13.5), (12.5, "partition", "h2", 3.0),
               (17.0, "stop_store", "redis", 2.0), (20.0, "reset", "b2-store", 0), (21.0, "function_flush", "redis", 1.0),
               (23.0, "maxmemory", "redis", 2.0),
               (25.5, "clock", "redis", 3.0), (26.0, "loss", "h1", 4.0), (27.0, "restart_runner", "r2", 12.0), (30.0, "disk_full", "redis", 1.0),
               (32.5, "no_descriptors", "b2", 2.0), (33.0, "restart_broker", "b1", 1.0))
