#!/usr/bin/python3
"""Shows Rhizome at work on this repository: six agents survey its folders, cold and then warm; one is steered, one
cancelled, one loses its worker to kill -9. Ends with a table, and with exit code 0 only if all went as it should."""
import argparse
import contextlib
import ctypes
import glob
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
FOLDERS = ["broker", "runner", "worker-shim", "proto", "tests", "ops"]
PARENT = "demo"
WIDTH = 100
PATIENCE = 30  # seconds for any one step; all of them together take a few
NOT_ALLOWED = 77  # exit code
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """The demo cannot go on, or went on wrongly."""


# ---- the screen ----

COLOR = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
STYLES = {"dim": "2", "bold": "1", "good": "32", "bad": "31", "busy": "36", "warm": "33"}


def styled(text, style):
    return f"\033[{STYLES[style]}m{text}\033[0m" if COLOR and style else text


def heading(text):
    print("\n" + styled(text, "bold"), flush=True)


def columns(began, child, what, detail, style=None):
    room = WIDTH - 8 - 2 - 14 - 12
    detail = " ".join(detail.split())
    detail = detail if len(detail) <= room else detail[:room - 1] + "…"
    clock = styled(f"{time.monotonic() - began:7.3f}", "dim")
    print(f"{clock}  {child:<14} {what:<11} {styled(detail, style)}", flush=True)


# ---- processes ----


def processes():
    """pid -> parent pid of every process that is no zombie."""
    table = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if fields[0] not in "ZX":
            table[int(path.split("/")[2])] = int(fields[1])
    return table


def below(root):
    """All living descendants of a process."""
    table, found = processes(), [root]
    for pid in found:
        found += [child for child, parent in table.items() if parent == pid]
    return found[1:]


def adopt_orphans():
    """Whatever loses its parent below us becomes our child, so that nothing can hide from the final count."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class House:
    """A `rhizome up` of its own: private store, a broker, two runners."""

    def __init__(self, programs, folder, secure):
        self.rhizome, self.folder = os.path.join(programs, "rhizome"), folder
        self.state = os.path.join(folder, "up")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("RHIZOME_")}
        self.up, self.secure = None, secure

    def configure(self):
        path = os.path.join(self.folder, "demo.json")
        agent = os.path.join(ROOT, "ops/agents/survey.py")
        survey = {"agent_id": "survey", "protocol": "actor", "permission_profile": "read", "executor": "command",
                  "command": shutil.which("python3"), "args": [agent]}
        ports = {name: "tcp://127.0.0.1:*" for name in ("jobs", "control", "events", "runners", "publish", "http")}
        with open(path, "w") as file:
            json.dump({"broker": ports, "externalAgents": {"survey": survey}}, file, indent=2)
        return path

    def start(self, runners=2):
        command = [self.rhizome, "up", "--json", "--runners", str(runners), "--config", self.configure(),
                   "--up-state-dir", self.state, *(["--secure"] if self.secure else [])]
        self.up = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True, start_new_session=True)
        line = self.up.stdout.readline()
        if not line:
            raise Failure("`rhizome up` did not come up")
        return json.loads(line)

    def call(self, *arguments, stdin=None, allow=(0,)):
        """One verb of the CLI; its stdout."""
        done = subprocess.run([self.rhizome, *arguments, "--up-state-dir", self.state], env=self.env, input=stdin,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        if done.returncode not in allow:
            raise Failure(f"rhizome {' '.join(arguments)[:60]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def stop(self):
        if self.up and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
            self.up.wait(PATIENCE)

    def show_logs(self):
        for path in sorted(glob.glob(os.path.join(self.state, "logs/*.log"))):
            with open(path, errors="replace") as file:
                lines = file.read().splitlines()[-12:]
            print(f"--- {path}", *lines, sep="\n", file=sys.stderr)


class Watch:
    """`rhizome watch --json`, read by a thread into a queue."""

    def __init__(self, house):
        command = [house.rhizome, "watch", PARENT, "--json", "--up-state-dir", house.state]
        self.process = subprocess.Popen(command, env=house.env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = self.process.stderr.readline()
        if not first.startswith("watching"):
            raise Failure(f"rhizome watch: {first.strip()}")
        self.events = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def next(self, deadline, waiting_for):
        try:
            return self.events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Failure(f"nothing more was heard within {PATIENCE} s; still waiting for {', '.join(waiting_for)}")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


# ---- children ----


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Child:
    def __init__(self, wave, folder, linger=False, expect="completed"):
        self.id, self.wave, self.folder, self.expect = f"{folder}-{wave}", wave, folder, expect
        self.linger = linger
        self.worker = self.agent = None
        self.warm = None
        self.status = self.error = None
        self.submitted = self.ended = None
        self.lingering = False
        self.said = []
        self.tools = {}

    def job(self):
        path = os.path.join(ROOT, self.folder)
        task = f'Survey the folder "{path}"' + (" and linger." if self.linger else ".")
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        session = {"id": self.id, "title": f"Survey {self.folder}", "kind": "child", "parent_session_id": PARENT,
                   "root_session_id": PARENT, "spawn_depth": 1, "created_at": now, "updated_at": now,
                   "messages": [{"role": "user", "content": task, "created_at": now}],
                   "metadata": {"subagent_type": "explorer", "last_run_status": "pending"}, "workspace": path}
        return {"parent_session_id": PARENT, "child_session_id": self.id, "model": "", "session": session,
                "require": {"profile": "survey"}}

    @property
    def milliseconds(self):
        return (self.ended - self.submitted) * 1000 if self.ended and self.submitted else None


class Crowd:
    """All children of the demo, and what their events tell of them."""

    def __init__(self, house, watch, began):
        self.house, self.watch, self.began = house, watch, began
        self.children, self.workers = {}, set()

    def submit(self, children):
        self.children.update((child.id, child) for child in children)
        lines = "".join(json.dumps(child.job()) + "\n" for child in children)
        for line in self.house.call("submit", "--json", "-", stdin=lines).splitlines():
            activation = json.loads(line)["activation"]
            self.children[activation["child"]].submitted = moment(activation["submitted_at"])

    def follow(self, until, waiting_for, show):
        """Reads events until `until()`; `waiting_for()` names what is missing when patience ends."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            message = self.watch.next(deadline, waiting_for())
            child = self.children.get(message["header"]["child"])
            if child:
                self.take(child, message["header"], message["event"], show)

    def take(self, child, header, event, show):
        inner = event.get("event", event)
        handler = getattr(self, "on_" + inner["type"], None)
        if handler:
            handler(child, header, inner, show)

    def on_sub_agent_started(self, child, header, event, show):
        if show:
            columns(self.began, child.id, "started", f"surveys {child.folder}/", "dim")

    def on_agent_process(self, child, header, event, show):
        child.agent, child.worker = event["pid"], event["worker_pid"]
        child.warm = child.worker in self.workers
        self.workers.add(child.worker)

    def on_tool_start(self, child, header, event, show):
        child.tools[event["tool_call_id"]] = event["tool_name"]

    def on_tool_complete(self, child, header, event, show):
        if show:
            name = child.tools.get(event["tool_call_id"], "?")
            columns(self.began, child.id, "tool", f"{name}: {event['result']['result']}", "busy")

    def on_token(self, child, header, event, show):
        child.said.append(event["content"])
        child.lingering = child.lingering or event["content"].startswith("Lingering")
        if show:
            columns(self.began, child.id, "says", event["content"])

    def on_sub_agent_completed(self, child, header, event, show):
        child.status, child.error, child.ended = event["status"], event.get("error"), moment(header["ts"])
        detail = f"{child.milliseconds:.0f} ms, {'warm' if child.warm else 'cold'}"
        if child.error:
            detail += f": {child.error}"
        columns(self.began, child.id, child.status, detail, "good" if child.status == child.expect else "bad")

    def until_ended(self, children, show=True):
        self.follow(lambda: all(child.status for child in children),
                    lambda: [f"the end of {child.id}" for child in children if not child.status], show)


# ---- the three acts ----


def survey(crowd, wave, show):
    children = [Child(wave, folder) for folder in FOLDERS]
    crowd.submit(children)
    crowd.until_ended(children, show)


def trouble(crowd):
    steered = Child(3, "proto", linger=True)
    cancelled = Child(3, "tests", linger=True, expect="cancelled")
    killed = Child(3, "ops", linger=True, expect="error")
    children = [steered, cancelled, killed]
    crowd.submit(children)
    crowd.follow(lambda: all(child.lingering for child in children),
                 lambda: [f"{child.id} to linger" for child in children if not child.lingering], False)
    delivery = crowd.house.call("send", steered.id, "and greet the reader").split()[-1]
    columns(crowd.began, steered.id, "send", f"rhizome send {steered.id} \"and greet the reader\": {delivery}", "warm")
    crowd.house.call("cancel", cancelled.id)
    columns(crowd.began, cancelled.id, "cancel", f"rhizome cancel {cancelled.id}", "warm")
    os.kill(killed.worker, signal.SIGKILL)
    columns(crowd.began, killed.id, "kill -9", f"worker process {killed.worker}", "warm")
    crowd.until_ended(children)
    if not any("greet the reader" in sentence for sentence in steered.said):
        raise Failure(f"{steered.id} did not hear what it was told")


def explain(crowd):
    """What an operator asks at 3 a.m., about the one that went wrong."""
    killed = next(child for child in crowd.children.values() if child.expect == "error")
    heading(f"Why did {killed.id} end so? rhizome explain {killed.id}")
    print(crowd.house.call("explain", killed.id).rstrip())


def show_table(crowd):
    heading("What became of them")
    print(styled(f"{'child':<16} {'status':<11} {'expected':<11} {'worker':<8} {'start':<6} {'ms':>7}", "dim"))
    for child in crowd.children.values():
        good = child.status == child.expect
        milliseconds = f"{child.milliseconds:7.0f}" if child.milliseconds is not None else "      -"
        status = styled(f"{child.status or 'lost':<11}", "good" if good else "bad")
        start = styled(f"{'warm' if child.warm else 'cold':<6}", "warm" if child.warm else None)
        print(f"{child.id:<16} {status} {child.expect:<11} {child.worker or '-':<8} {start} {milliseconds}")
    print(styled(f"ms from the receipt to the last event; every run starts a python3 of its own, {len(FOLDERS)} at once "
                 f"on {os.cpu_count()} cores", "dim"))


def judge(crowd):
    """What is not as it should be, in sentences."""
    for child in crowd.children.values():
        outcome = json.loads(crowd.house.call("wait", "--json", child.id, allow=(0, 1, 4, 5, 6)))["activation"]
        if child.status != child.expect:
            yield f"{child.id} ended {child.status}, not {child.expect}"
        if outcome["status"] != child.status:
            yield f"{child.id}: the store says {outcome['status']}, its last event {child.status}"
        if child.wave == 1 and child.warm:
            yield f"{child.id} met a warm worker before there could be one"
        if child.wave == 2 and not child.warm:
            yield f"{child.id} started cold although its worker was waiting"


def show_keys(house, control):
    """Who may come in, and what becomes of somebody else."""
    heading("Every ZeroMQ socket asks for a key: rhizome key list")
    print(house.call("key", "list").rstrip())
    stranger = subprocess.run([house.rhizome, "status", "--control", control], env={**house.env, "RHIZOME_UP_STATE_DIR": house.folder},
                              text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE)
    if stranger.returncode != NOT_ALLOWED:
        raise Failure(f"who has no key is answered with {stranger.returncode}: {stranger.stderr.strip()}")
    print(styled("without one: " + stranger.stderr.strip().splitlines()[0], "warm"))


def perform(house):
    began = time.monotonic()
    heading("Starting a private store, a broker and two runners: rhizome up --runners 2" + (" --secure" if house.secure else ""))
    context = house.start()
    print(f"control {context['control']}   events {context['events']}   {context['redis']}")
    if house.secure:
        show_keys(house, context["control"])
    watch = Watch(house)
    try:
        crowd = Crowd(house, watch, began)
        heading("Six agents survey this repository, one a folder")
        survey(crowd, 1, show=True)
        heading("The same six again: their workers are still there")
        survey(crowd, 2, show=False)
        heading("Three that linger: one is steered, one cancelled, one loses its worker")
        trouble(crowd)
        explain(crowd)
        faults = list(judge(crowd))
    finally:
        watch.stop()
    show_table(crowd)
    return faults


def count_left(house):
    """Stops everything and counts what still runs below us."""
    running = len(below(os.getpid()))
    house.stop()
    left = below(os.getpid())
    print(f"\nprocesses before stopping: {running}, left over: {styled(str(len(left)), 'bad' if left else 'good')}")
    return [f"process {pid} is left over" for pid in left]


def end_rest(house):
    """After a failure: nothing of ours may survive it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        house.stop()
    for pid in below(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def say_kept(house):
    heading("It keeps running")
    print(f"use   {house.rhizome} run --up-state-dir {house.state} --executor echo \"hello world\"\n"
          f"      {house.rhizome} ps --up-state-dir {house.state}\n"
          f"stop  kill {house.up.pid}; rm -r {house.folder}")


def main():
    parser = argparse.ArgumentParser(prog="ops/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running at the end, and say how to use and stop it")
    parser.add_argument("--secure", action="store_true", help="with keys: CURVE on every ZeroMQ socket")
    parser.add_argument("--bin", metavar="DIR", required=True, help="where the programs are (ops/demo without it sets up and builds them)")
    arguments = parser.parse_args()
    folder, house = tempfile.mkdtemp(prefix="rhizome-demo-"), None
    adopt_orphans()
    faults = []
    try:
        house = House(os.path.realpath(arguments.bin), folder, arguments.secure)
        faults = perform(house)
        if not arguments.keep:
            faults += count_left(house)
    except (Failure, OSError, subprocess.TimeoutExpired, KeyboardInterrupt) as failure:
        faults = [str(failure) or "interrupted"]
    for fault in faults:
        print(styled("demo: " + fault, "bad"), file=sys.stderr)
    if faults and house:
        house.show_logs()
    if not faults:
        print(styled("All as it should be.", "good"))
    if arguments.keep and not faults:
        say_kept(house)
    else:
        if house:
            end_rest(house)
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
