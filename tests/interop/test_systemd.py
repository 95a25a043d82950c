#!/usr/bin/python3
"""The units of ops/systemd under a systemd of their own: a container that sees this machine's files through an overlay, so that nothing
here changes. In it the commands of ops/README.md, "Under systemd", are run as they stand there. Needs root, systemd-nspawn, and the
release build; without them it says SKIPPED. Usage: test_systemd.py [--inside]"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
CONTROL = "tcp://127.0.0.1:7411"
PATIENCE_S = 60
BOOT_S = 240
REPORT = pathlib.Path("/root/report.txt")
CONFIGS = {"broker.json": {"broker": {"name": "b1"}, "redis": {"url": "unix:/run/store/redis.sock"}},
           "runner.json": {"runner": {"name": "r1", "freeze_ms": 1000}, "externalAgents": {"family": {
               "agent_id": "family", "protocol": "actor", "permission_profile": "p", "executor": "command",
               "command": "/usr/local/bin/family", "args": ["/run/rhizome-runner/left"]}}}}
GROUP = pathlib.Path("/sys/fs/cgroup/system.slice/rhizome-runner.service")
GONE_S = 5
UNITS = {
    "store.service": """[Service]
RuntimeDirectory=store
RuntimeDirectoryMode=0755
ExecStart=/usr/bin/redis-server --port 0 --unixsocket /run/store/redis.sock --unixsocketperm 777 --appendonly yes --dir /run/store
""",
    "proof.service": f"""[Unit]
Wants=store.service
After=store.service
[Service]
Type=oneshot
WorkingDirectory={TOP}
StandardOutput=file:{REPORT}
StandardError=inherit
ExecStart=/usr/bin/python3 {TOP}/tests/interop/test_systemd.py --inside
ExecStopPost=/usr/bin/systemctl exit --no-block
""",
    "proof.target": """[Unit]
Requires=basic.target
Wants=proof.service
AllowIsolate=yes
""",
    # what a hang costs is the same at 5 s as at 30
    "rhizome-broker.service.d/test.conf": "[Service]\nWatchdogSec=5\n",
}


# ---- inside: facts, in order, on one machine that was just set up ----

def sh(command, expected=0):
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S)
    assert expected is None or done.returncode == expected, f"{command}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


def show(unit, name):
    return sh(f"systemctl show {unit} -p {name} --value").strip()


def until(what, look, patience_s=PATIENCE_S):
    deadline = time.monotonic() + patience_s
    while not look():
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}\n{sh('journalctl -n 40 --no-pager', None)}"
        time.sleep(0.05)  # systemd tells nobody without a bus


def runs_a_child(text):
    said = sh(f"rhizome run --control {CONTROL} --executor echo '{text}'")
    assert f"echo: {text}" in said, said


def leave_behind(child):
    """Runs a child whose program leaves a process behind that was forked twice, has a session of its own and is deaf to TERM."""
    told = pathlib.Path("/run/rhizome-runner/left")
    told.unlink(missing_ok=True)
    shutil.copy(TOP / "tests" / "integration" / "family.sh", "/usr/local/bin/family")
    job = {"parent_session_id": "p", "child_session_id": child, "require": {"profile": "family"},
           "session": {"id": child, "kind": "child", "messages": [{"role": "user", "content": "x"}]}}
    sh(f"rhizome submit --control {CONTROL} '{json.dumps(job)}'")
    until("it is left behind", lambda: told.exists() and told.read_text())
    return int(told.read_text())


def is_there(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def group_of(pid):
    return pathlib.Path(f"/proc/{pid}/cgroup").read_text().rpartition("::")[2].strip().removeprefix("/system.slice/rhizome-runner.service")


def the_commands_of_the_page_install_and_start_both():
    page = (TOP / "ops" / "README.md").read_text().split("### Under systemd")[1]
    block = re.search(r"```sh\n(.*?)```", page, re.S)[1]
    for name, config in CONFIGS.items():  # the page leaves their content to its reader
        pathlib.Path("/tmp", name).write_text(json.dumps(config))
    give = "install -m 640 -g rhizome /tmp/broker.json /tmp/runner.json /etc/rhizome"
    commands = block.replace("rhizome store init", f"{give}\nrhizome store init")
    assert commands != block, "the page no longer says when the store is made"
    script = pathlib.Path("/tmp/page.sh")
    script.write_text("set -e\n" + commands)
    sh(f"bash {script}")


def both_are_ready_and_say_so():
    for unit in ("rhizome-broker", "rhizome-runner"):
        assert show(unit, "ActiveState") == "active", sh(f"systemctl status --no-pager {unit}", None)
    until("the broker has its runner", lambda: "runners linked: 1" in show("rhizome-broker", "StatusText"))
    assert "linked to b1" in show("rhizome-runner", "StatusText")


def a_child_is_run_by_a_worker_of_the_units_user():
    runs_a_child("hello")
    workers = sh("ps -o user= -C rhizome-worker").split()
    assert workers and set(workers) == {"rhizome"}, workers


def each_worker_has_a_control_group_of_its_own_and_who_left_its_session_dies_with_it():
    left = leave_behind("ch-1")
    assert group_of(show("rhizome-runner", "MainPID")) == "/daemon", sh("journalctl -u rhizome-runner -n 20 --no-pager")
    group = group_of(left)
    assert re.fullmatch(r"/workers/\d+", group), group
    sh(f"rhizome cancel --control {CONTROL} --now ch-1")
    until("its death", lambda: not is_there(left), GONE_S)
    until("the end of its group", lambda: not pathlib.Path(f"{GROUP}{group}").exists(), GONE_S)
    assert show("rhizome-runner", "NRestarts") == "0"


def while_no_broker_is_there_every_process_is_frozen():
    left = leave_behind("ch-2")
    events = GROUP / "workers" / "cgroup.events"
    sh("systemctl stop rhizome-broker")
    until("all stand still", lambda: "frozen 1" in events.read_text())
    assert group_of(left).startswith("/workers/") and is_there(left)
    sh("systemctl start rhizome-broker")
    until("they go on", lambda: "frozen 0" in events.read_text())
    sh(f"rhizome cancel --control {CONTROL} --now ch-2")
    until("its death", lambda: not is_there(left), GONE_S)


def a_broker_that_hangs_is_started_again_and_the_runner_finds_it():
    os.kill(int(show("rhizome-broker", "MainPID")), signal.SIGSTOP)
    until("the watchdog starts it again", lambda: show("rhizome-broker", "NRestarts") == "1")
    until("it is ready", lambda: show("rhizome-broker", "ActiveState") == "active")
    until("its runner is back", lambda: "runners linked: 1" in show("rhizome-broker", "StatusText"))
    until("it takes work", lambda: "linked to b1" in show("rhizome-runner", "StatusText"))
    assert show("rhizome-runner", "NRestarts") == "0"
    runs_a_child("hello again")


def a_killed_runner_is_started_again_and_leaves_nobody():
    left = leave_behind("ch-3")
    before = sh("pgrep -x rhizome-worker", None).split()
    assert before
    os.kill(int(show("rhizome-runner", "MainPID")), signal.SIGKILL)
    until("nobody is left", lambda: not is_there(left), GONE_S)
    until("it is started again", lambda: show("rhizome-runner", "NRestarts") == "1" and show("rhizome-runner", "ActiveState") == "active")
    assert not set(before) & set(sh("pgrep -x rhizome-worker", None).split())
    until("it is linked", lambda: "runners linked: 1" in show("rhizome-broker", "StatusText"))
    runs_a_child("and again")


def workers_can_have_a_user_of_their_own_as_the_unit_says():
    """The lines that stand in the unit for that, as they stand there."""
    text = pathlib.Path("/etc/systemd/system/rhizome-runner.service").read_text()
    lines = re.search(r"^#   \[Service\]\n(?:#   \S.*\n)+", text, re.M)[0]
    drop_in = pathlib.Path("/etc/systemd/system/rhizome-runner.service.d/user.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(re.sub(r"^#   ", "", lines, flags=re.M))
    pathlib.Path("/etc/rhizome/runner.json").write_text(json.dumps({"runner": {"name": "r1", "worker_user": "daemon"}}))
    sh("systemctl daemon-reload && systemctl restart rhizome-runner")
    until("it is linked", lambda: "runners linked: 1" in show("rhizome-broker", "StatusText"))
    runs_a_child("as somebody else")
    assert set(sh("ps -o user= -C rhizome-worker").split()) == {"daemon"}
    assert set(sh("ps -o user= -C rhizome-runner").split()) == {"root"}
    for worker in sh("pgrep -x rhizome-worker").split():
        assert group_of(worker).startswith("/workers/"), sh("journalctl -u rhizome-runner -n 20 --no-pager")


def a_stop_ends_both_cleanly_and_leaves_nobody():
    sh("systemctl stop rhizome-runner rhizome-broker")
    for unit in ("rhizome-runner", "rhizome-broker"):
        assert (show(unit, "Result"), show(unit, "ActiveState")) == ("success", "inactive"), sh(f"systemctl status --no-pager {unit}", None)
    assert sh("pgrep -f ^/usr/local/bin/rhizome", None) == ""


def a_wrong_configuration_is_told_once_and_not_tried_again():
    pathlib.Path("/etc/rhizome/broker.json").write_text('{"broker": {"nmae": "b1"}}')
    sh("systemctl start rhizome-broker", 1)
    assert (show("rhizome-broker", "ActiveState"), show("rhizome-broker", "ExecMainStatus")) == ("failed", "78")
    assert "broker.nmae" in sh("journalctl -u rhizome-broker -n 20 --no-pager")


FACTS = (the_commands_of_the_page_install_and_start_both, both_are_ready_and_say_so, a_child_is_run_by_a_worker_of_the_units_user,
         each_worker_has_a_control_group_of_its_own_and_who_left_its_session_dies_with_it, while_no_broker_is_there_every_process_is_frozen,
         a_broker_that_hangs_is_started_again_and_the_runner_finds_it, a_killed_runner_is_started_again_and_leaves_nobody,
         workers_can_have_a_user_of_their_own_as_the_unit_says, a_stop_ends_both_cleanly_and_leaves_nobody, a_wrong_configuration_is_told_once_and_not_tried_again)


def inside():
    passed = 0
    for fact in FACTS:  # each builds upon the one before
        try:
            fact()
        except Exception as error:
            print(f"FAILED  {fact.__name__}\n{error!r}"[:6000].replace("\\n", "\n"), flush=True)
            break
        print(f"ok      {fact.__name__}", flush=True)
        passed += 1
    print(f"{passed} passed, {len(FACTS) - passed} failed", flush=True)


# ---- outside: an overlay of this machine, and a systemd in it ----

def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


class Machine:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rhizome-systemd-")
        self.root = pathlib.Path(self.folder, "root")
        self.mounted = []

    def mount(self, kind, options, where):
        if subprocess.run(["mount", "-t", kind, kind, "-o", options, where], stderr=subprocess.DEVNULL).returncode != 0:
            self.close()
            skip(f"cannot mount {kind} here")
        self.mounted.insert(0, where)

    def make(self):
        self.mount("tmpfs", "mode=755", self.folder)
        for name in ("upper", "work", "root"):
            pathlib.Path(self.folder, name).mkdir()
        self.mount("overlay", f"lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work", str(self.root))
        for name, text in UNITS.items():
            path = self.root / "etc" / "systemd" / "system" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def boot(self):
        """The checkout is bound, for it may lie in a folder that the container has anew, such as /tmp. Control groups are of version 2
        alone, as Debian 12 has them, whatever this machine has."""
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", f"--bind-ro={TOP}", "-D", str(self.root), "-b",
                   "systemd.unit=proof.target"]
        unified = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        return subprocess.run(command, env=unified, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BOOT_S)

    def close(self):
        for where in self.mounted:
            subprocess.run(["umount", "-l", where], check=True)
        self.mounted = []
        os.rmdir(self.folder)


def outside():
    if os.geteuid() != 0:
        skip("needs root")
    if shutil.which("systemd-nspawn") is None:
        skip("systemd-nspawn is not installed (Debian: systemd-container)")
    if not (TOP / "build" / "release" / "bin" / "rhizome-broker").exists():
        skip("build first: cmake --preset release && cmake --build --preset release")
    machine = Machine()
    machine.make()
    try:
        booted = machine.boot()
        report = machine.root / str(REPORT)[1:]
        text = report.read_text() if report.exists() else f"no report: the container did not come so far\n{booted.stdout[-3000:]}\n"
    finally:
        machine.close()
    print(text, end="")
    return 0 if " 0 failed" in text else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        inside()
    else:
        sys.exit(outside())
