#!/usr/bin/python3
"""The commands and programs that README.md and ops/README.md show, run as they stand there. Usage: test_readme.py [CASE...]"""
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import secured  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["RZ_BIN_DIR"])
README = (TOP / "README.md").read_text()
OPS = (TOP / "ops" / "README.md").read_text()
PATIENCE = 60


def blocks(language, page=README):
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def line_with(text, page=README):
    """The first line of a shell block that contains `text`, without its comment."""
    found = [line for block in blocks("sh", page) for line in block.splitlines() if text in line]
    assert found, f"no command with {text} is shown"
    return re.sub(r"\s+#.*", "", found[0])


class Up:
    """`rhizome up` as README starts it, with a state folder and free ports of its own; with keys where everything is on."""

    def __init__(self, *arguments):
        arguments = [*arguments, *(["--secure"] if secured.WANTED else [])]
        self.folder = tempfile.TemporaryDirectory(prefix="rhizome-readme-")
        self.environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}", RHIZOME_UP_STATE_DIR=self.folder.name)
        for name in ("jobs", "control", "events", "runners", "publish", "http"):
            self.environment[f"RHIZOME_BROKER_{name.upper()}"] = "tcp://127.0.0.1:*"
        self.process = subprocess.Popen(["rhizome", "up", *arguments], env=self.environment, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        context = pathlib.Path(self.folder.name) / "context.json"
        for line in self.process.stdout:
            if context.exists():
                self.context = json.loads(context.read_text())
                return self
        raise AssertionError("rhizome up ended early")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        self.folder.cleanup()

    def surroundings(self):
        return {k: v for k, v in self.environment.items() if not k.startswith("RHIZOME_BROKER_")}

    def shell(self, command):
        return subprocess.run(command, shell=True, env=self.surroundings(), cwd=TOP, timeout=PATIENCE, stdout=subprocess.PIPE, text=True)

    def endpoint(self, name):
        socket = zmq.Context.instance().socket(zmq.REQ)
        if secured.WANTED:
            secured.give_key(socket, self.context["key"])
        socket.connect(self.context["control"])
        socket.send_json({"op": "hello"})
        try:
            return socket.recv_json()["endpoints"][name]
        finally:
            socket.close(0)


def the_first_run_prints_its_tokens_and_its_result():
    with Up() as up:
        done = up.shell(line_with("--executor echo"))
        assert done.returncode == 0, done
        assert "hello world" in done.stdout and done.stdout.rstrip().endswith("echo: hello world"), done.stdout


def ten_lines_of_python_push_a_job_and_receive_its_events():
    (program,) = blocks("python")
    with Up() as up:
        if secured.WANTED:  # the one line more that each socket takes
            program = re.sub(r"(\w+) = (ctx\.socket\(zmq\.\w+\));", rf"\1 = \2; secured.give_key(\1, '{up.context['key']}');", program)
            program = f"import sys; sys.path.append('{pathlib.Path(secured.__file__).parent}'); import secured\n{program}"
        program = program.replace("tcp://127.0.0.1:7412", up.endpoint("events")).replace("tcp://127.0.0.1:7410", up.endpoint("jobs"))
        done = subprocess.run(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        assert done.returncode == 0
        assert "root-1/child-1/sub_agent_completed" in done.stdout.splitlines()[-1], done.stdout
        assert '"completed"' in done.stdout.splitlines()[-1], done.stdout


def an_agent_of_your_own_runs_by_profile():
    (config,) = [b for b in blocks("json") if "externalAgents" in b]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(config.replace("/srv/agents", str(TOP / "ops" / "agents")))
        file.flush()
        with Up("--config", file.name) as up:
            done = up.shell(line_with("--profile survey"))
            assert done.returncode == 0, done
            assert done.stdout.strip(), "the survey says nothing"


class Resident:
    """The runner that ops/README.md configures, linked to the broker of an Up."""

    def __init__(self, up):
        (config,) = [b for b in blocks("json", OPS) if "reviewer" in b]
        config = config.replace("/srv/agents", str(TOP / "ops" / "agents")).replace("tcp://127.0.0.1:7413", up.endpoint("runners"))
        path = pathlib.Path(up.folder.name, "reviewer.json")
        path.write_text(config)
        command = shlex.split(line_with("rhizome-runner", OPS).replace("reviewer.json", str(path)))
        environment = dict(up.surroundings(), RHIZOME_RUNNER_STATE_DIR=str(path.with_suffix(".state")))
        if secured.WANTED:
            environment["RHIZOME_SECURITY_KEY"] = key = f"{up.folder.name}/reviewer.key"
            assert up.shell(f"rhizome key new reviewer --role runner --out {key}").returncode == 0
        self.ready, theirs = os.pipe()
        self.process = subprocess.Popen([*command, "--ready-fd", str(theirs)], env=environment, pass_fds=[theirs])
        os.close(theirs)

    def __enter__(self):
        with open(self.ready, encoding="utf-8") as ready:
            assert ready.readline(), "it was never welcomed"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0


def a_resident_agent_serves_its_label_with_one_interpreter():
    with Up() as up, Resident(up):
        listed = up.shell(line_with("runner list", OPS)).stdout
        assert "reviewer-1" in listed, listed
        first, second = [up.shell(line_with("rhizome run ", OPS)) for _ in range(2)]
        process = re.search(r"\(process (\d+), run 1\)", first.stdout)
        assert process, first
        assert f"(process {process[1]}, run 2)" in second.stdout, (first, second)


CASES = [
    the_first_run_prints_its_tokens_and_its_result,
    ten_lines_of_python_push_a_job_and_receive_its_events,
    an_agent_of_your_own_runs_by_profile,
    a_resident_agent_serves_its_label_with_one_interpreter,
]


def main():
    failed = 0
    wanted = [c for c in CASES if len(sys.argv) == 1 or c.__name__ in sys.argv[1:]]
    for case in wanted:
        try:
            case()
            print("ok     ", case.__name__)
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print("FAILED ", case.__name__, "-", problem)
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
