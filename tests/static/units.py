#!/usr/bin/python3
"""The units in ops/systemd: systemd takes them (where it is installed) and finds them no more exposed than is said, what they start
exists, and the lines on which our promises rest stand in them: who may speak to the manager, who gets its signals, when it starts again."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RZ_BIN_DIR", TOP / "build" / "asan" / "bin"))
INSTALLED = "/usr/local/bin/"
SECTIONS = ("Unit", "Service", "Install")
REPEATED = ("Environment", "After", "Wants", "SystemCallFilter")
BOTH = {"Type": "notify", "NotifyAccess": "main", "Restart": "always", "RestartPreventExitStatus": "2 78", "LimitCORE": "0",
        "NoNewPrivileges": "yes", "TimeoutStartSec": "infinity"}
EXPECTED = {
    "rhizome-broker.service": {**BOTH, "ProtectSystem": "strict", "SystemCallFilter": "@system-service ~@privileged", "MemoryMax": "4G"},
    "rhizome-runner.service": {**BOTH, "KillMode": "mixed", "Delegate": "yes", "ReadWritePaths": "-/sys/fs/cgroup/system.slice/%n", "OOMPolicy": "continue", "Restart": "on-failure", "TimeoutStopSec": "infinity"},
}
EXPOSED = {"rhizome-broker.service": 2.0, "rhizome-runner.service": 3.0}  # at most, of 10


def parse(path):
    """{section: {key: value}}; a line that is nothing of a unit is an error."""
    unit, section = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        head = re.fullmatch(r"\[(\w+)\]", line)
        if head and head[1] in SECTIONS and head[1] not in unit:
            section = unit.setdefault(head[1], {})
            continue
        pair = re.fullmatch(r"([A-Z]\w*)=(.*)", line)
        if not pair or section is None or (pair[1] in section and pair[1] not in REPEATED):
            raise ValueError(f"{path.name}:{number}: {line}")
        section[pair[1]] = f"{section[pair[1]]} {pair[2]}" if pair[1] in section else pair[2]
    return unit


def seconds(text):
    return int(re.fullmatch(r"(\d+)s?", text)[1])


def check_lines(name, unit):
    service = unit["Service"]
    for key, value in EXPECTED[name].items():
        assert service.get(key) == value, f"{name}: {key} is {service.get(key)}, not {value}"
    assert seconds(service["WatchdogSec"]) >= 2, f"{name}: we feed once a second"
    if service["TimeoutStopSec"] != "infinity":
        assert seconds(service["TimeoutStopSec"]) >= 15, f"{name}: no time to end"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0", f"{name}: it would give up"
    assert unit["Install"]["WantedBy"] == "multi-user.target", name


def check_program(name, unit, folder):
    """It exists, and knows its flags and the settings of the environment."""
    program, *arguments = unit["Service"]["ExecStart"].split()
    assert program.startswith(INSTALLED) and arguments == ["--config", f"/etc/rhizome/{program.rsplit('-', 1)[1]}.json"], program
    config = pathlib.Path(folder, "config.json")
    config.write_text("{}")
    environment = dict(os.environ)
    for variable in unit["Service"].get("Environment", "").split():
        key, value = variable.split("=", 1)
        environment[key] = value.replace("%t", folder)
    command = [BIN / program.removeprefix(INSTALLED), "--config", config, "--check-config"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{name}: {done.stdout}"


def check_by_systemd(paths, folder):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        print("systemd is not installed: its own check is left out")
        return
    copies = []
    for path in paths:
        copy = pathlib.Path(folder, path.name)
        copy.write_text(path.read_text().replace(INSTALLED, f"{BIN}/"))
        copies.append(copy)
    done = subprocess.run([verify, "verify", "--man=no", *copies], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    ours = [line for line in done.stdout.splitlines() if "rhizome" in line]
    assert done.returncode == 0 and not ours, done.stdout


def check_exposure(path):
    """The unit says how exposed systemd finds it, and that is no more than we allow ourselves."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    said = re.search(r"`systemd-analyze security`: ([0-9.]+)\.", path.read_text())[1]
    done = subprocess.run([analyze, "security", "--offline=true", "--no-pager", path], stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1]
    assert float(found) <= float(said) <= EXPOSED[path.name], f"{path.name}: {found}; it says {said}, and {EXPOSED[path.name]} is the most"


def main():
    paths = sorted((TOP / "ops" / "systemd").iterdir())
    assert [path.name for path in paths] == sorted(EXPECTED), paths
    with tempfile.TemporaryDirectory(prefix="rhizome-units-") as folder:
        for path in paths:
            unit = parse(path)
            check_lines(path.name, unit)
            check_program(path.name, unit, folder)
            check_exposure(path)
            print(f"holds   {path.name}")
        check_by_systemd(paths, folder)


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, ValueError, KeyError) as failure:
        sys.exit(f"BROKEN  {failure}")
