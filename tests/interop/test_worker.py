#!/usr/bin/python3
"""rhizome-worker, driven as upstream's runner drives a worker. Cases can be named as arguments; RZ_BIN_DIR names the
folder of the binary."""
import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import websockets

from bamboo_client import (CANCELLED, COMPLETE, Link, Worker, alive, cases_of, completed, echoed, failed, one_run,
                           our_worker, run_cases, same, stop, token, until)

BINARY = our_worker()
PYTHON = "/usr/bin/python3"


def worker(**options):
    return Worker(BINARY, **options)


def program(source, **options):
    """A worker whose `command` executor runs this Python text."""
    return worker(executor={"kind": "cli_adapter", "command": PYTHON, "args": ["-u", "-c", source]}, **options)


def shell(source, **options):
    return worker(executor={"kind": "cli_adapter", "command": "/bin/sh", "args": ["-c", source]}, **options)


# ---- registering and leaving ----

async def case_the_record_says_where_and_who():
    with worker(role="implementer") as w:
        record = w.record()
        same({k: record[k] for k in ("agent_id", "role", "labels", "pid")},
             {"agent_id": "ch-41", "role": "implementer", "labels": [], "pid": w.process.pid})
        assert record["endpoint"].startswith("ws://127.0.0.1:"), record
        same(sorted(os.listdir(w.record_path.parent)), ["ch-41.json"])


async def case_sigterm_withdraws_and_exits_0():
    with worker() as w:
        w.record()
        same(stop(w), 0)
        assert not w.record_path.exists()
        same(w.stderr(), b"")


async def case_an_idle_worker_leaves_by_itself():
    with worker(idle=1) as w:
        w.record()
        same(w.exit_code(), 0)
        assert not w.record_path.exists()
        same(w.stderr(), b"")


async def case_idle_time_counts_only_while_nobody_is_connected():
    with worker(idle=1) as w:
        link = await Link.open(w.endpoint())
        await asyncio.sleep(1.5)
        await link.run("still here")
        same(await link.frames(), echoed("still", "here"))
        await link.close()
        same(w.exit_code(), 0)


async def case_a_one_shot_worker_ends_with_its_connection():
    with worker(reusable=False) as w:
        same(await one_run(w.endpoint(), "once"), echoed("once"))
        same(w.exit_code(), 0)
        assert not w.record_path.exists()


async def case_a_record_of_another_process_is_left_alone():
    with worker() as w:
        record = w.record()
        w.record_path.write_text(json.dumps({**record, "pid": record["pid"] + 1}))
        same(stop(w), 0)
        assert w.record_path.exists()


class Prepared(Worker):
    """A worker whose spec is written by the case itself."""

    def __enter__(self):
        return self


async def refuse(text, reason):
    w = Prepared(BINARY)
    w.provision(text)
    with w:
        same(w.exit_code(), 1)
        line = w.stderr().decode()
        assert line.startswith("rhizome-worker failed: ") and line.count("\n") == 1, line
        assert reason in line, line
        assert not w.record_path.exists()


async def case_a_bad_spec_is_refused_with_one_line():
    decode = "read ProvisionSpec from stdin: decode <provision>: "
    await refuse(b"", decode)
    await refuse(b"not json", decode)
    await refuse(b'{"version":1}', decode + "identity")
    await refuse(b'{"version":1,"identity":{"child_id":"../x"},"executor":{"kind":"echo"},"fabric_dir":"/tmp"}',
                 "identity.child_id")
    await refuse(b'{"version":1,"identity":{"child_id":"x"},"executor":{"kind":"rocket"},"fabric_dir":"/tmp"}',
                 "executor.kind")
    await refuse(b'{"version":1,"identity":{"child_id":"x"},"executor":{"kind":"echo"},"fabric_dir":"/tmp"} tail',
                 decode)
    await refuse(b" " * ((8 << 20) + 1), decode)


async def case_a_kind_we_do_not_serve_is_refused_by_name():
    await refuse(b'{"version":1,"identity":{"child_id":"x"},"executor":{"kind":"bamboo_runtime"},"fabric_dir":"/tmp"}',
                 "bamboo_runtime executor is not served by rhizome-worker")
    await refuse(b'{"version":1,"identity":{"child_id":"x"},"executor":{"kind":"codex"},"fabric_dir":"/tmp"}',
                 "codex executor is not served by rhizome-worker")


async def case_a_fabric_that_cannot_be_written_is_refused():
    await refuse(b'{"version":1,"identity":{"child_id":"x"},"executor":{"kind":"echo"},"fabric_dir":"/proc/none"}',
                 "publish discovery record: ")


async def case_arguments_answer_and_end():
    def ask(argument):
        return subprocess.run([BINARY, argument], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    help_text = ask("--help")
    assert help_text.returncode == 0 and "Usage: rhizome-worker" in help_text.stdout
    version = ask("--version")
    assert version.returncode == 0 and version.stdout.startswith("rhizome-worker ")
    wrong = ask("--what")
    assert wrong.returncode == 2 and "--what" in wrong.stderr and wrong.stdout == ""


# ---- the connection ----

async def case_any_path_is_served_and_nothing_is_negotiated():
    with worker() as w:
        link = await Link.open(w.endpoint(), path="/any/path?and=query", compression="deflate")
        same(link.socket.subprotocol, None)
        same(link.socket.extensions, [])
        assert "Sec-WebSocket-Protocol" not in link.socket.response_headers
        await link.run("x")
        same(await link.frames(), echoed("x"))
        await link.close()


async def case_connection_after_connection_is_served():
    with worker() as w:
        endpoint = w.endpoint()
        for i in range(200):
            same(await one_run(endpoint, f"run {i}"), echoed("run", str(i)))


async def case_run_after_run_on_one_connection_is_served():
    with worker() as w:
        link = await Link.open(w.endpoint())
        for i in range(200):
            await link.run(f"run {i}")
            same(await link.frames(), echoed("run", str(i)))
        await link.close()


async def case_an_early_newcomer_waits_for_its_turn():
    with worker() as w:
        endpoint = w.endpoint()
        first = await Link.open(endpoint)
        await first.run("__sleep_ms:60000 first")
        second = await Link.open(endpoint)
        await second.run("second")
        assert await second.quiet()
        await first.close()
        same(await second.frames(), echoed("second"))
        await second.close()


async def case_a_lost_connection_frees_the_worker_at_once():
    with worker() as w:
        endpoint = w.endpoint()
        link = await Link.open(endpoint)
        await link.run("__sleep_ms:60000 never")
        await link.vanish()
        same(await one_run(endpoint, "next"), echoed("next"))


async def case_a_handshake_never_finished_blocks_nobody():
    with worker() as w:
        endpoint = w.endpoint()
        host, _, port = endpoint[5:].rpartition(":")
        _, silent = await asyncio.open_connection(host, int(port))
        same(await one_run(endpoint, "served"), echoed("served"))
        silent.close()


async def case_pings_and_binary_messages_are_no_frames():
    with worker() as w:
        link = await Link.open(w.endpoint())
        await link.socket.send(b'{"kind":"run","assignment":"binary"}')
        await asyncio.wait_for(await link.socket.ping(), 10)
        await link.run("text")
        same(await link.frames(), echoed("text"))
        await link.close()


async def case_what_is_no_frame_is_ignored():
    with worker() as w:
        link = await Link.open(w.endpoint())
        for text in ("", "garbage", "{}", '{"kind":"run"}', '{"kind":"later"}', "[]", '{"kind":"message"}'):
            await link.socket.send(text)
        await link.run("after")
        same(await link.frames(), echoed("after"))
        await link.close()


async def case_a_fragmented_run_is_put_together():
    with worker() as w:
        link = await Link.open(w.endpoint())
        text = json.dumps({"kind": "run", "assignment": "one two"})
        await link.socket.send([text[:7], text[7:20], text[20:]])
        same(await link.frames(), echoed("one", "two"))
        await link.close()


async def case_a_message_above_16_mib_ends_only_its_connection():
    with worker() as w:
        endpoint = w.endpoint()
        link = await Link.open(endpoint)
        try:
            await link.socket.send(json.dumps({"kind": "run", "assignment": "x" * (17 << 20)}))
            await asyncio.wait_for(link.socket.recv(), 20)
            raise AssertionError("it was answered")
        except websockets.ConnectionClosed as closed:
            assert closed.code in (1009, 1006), closed
        same(await one_run(endpoint, "next"), echoed("next"))


# ---- echo ----

async def case_echo_splits_at_unicode_white_space():
    with worker() as w:
        text = " alpha\u2003beta\u00a0gamma\t\n\u3000delta\u200bstays "
        same(await one_run(w.endpoint(), text), echoed("alpha", "beta", "gamma", "delta\u200bstays"))


async def case_echo_keeps_every_character():
    with worker() as w:
        same(await one_run(w.endpoint(), 'a"b \\ \u00e9\U0001f331 \x01'), echoed('a"b', "\\", "\u00e9\U0001f331", "\x01"))


async def case_echo_of_nothing_completes():
    with worker() as w:
        same(await one_run(w.endpoint(), ""), [COMPLETE, completed("echo: ")])


async def case_the_first_delay_word_is_a_delay():
    with worker() as w:
        started = time.monotonic()
        got = await one_run(w.endpoint(), "alpha __sleep_ms:x __sleep_ms:200 only __sleep_ms:99999")
        assert time.monotonic() - started >= 0.2
        same(got, echoed("alpha", "__sleep_ms:x", "only", "__sleep_ms:99999"))


async def case_a_cancel_ends_a_delay_at_once():
    with worker() as w:
        started = time.monotonic()
        same(await one_run(w.endpoint(), "__sleep_ms:60000 alpha", cancel_when=0), [CANCELLED])
        assert time.monotonic() - started < 10


async def case_a_cancel_without_a_run_does_nothing():
    with worker() as w:
        link = await Link.open(w.endpoint())
        await link.send(kind="cancel")
        await link.run("alpha")
        same(await link.frames(), echoed("alpha"))
        await link.send(kind="cancel")
        assert await link.quiet()
        await link.close()


async def case_a_second_run_cancels_the_first():
    with worker() as w:
        link = await Link.open(w.endpoint())
        await link.run("__sleep_ms:60000 one")
        await link.run("two")
        same(await link.frames(), [CANCELLED])
        same(await link.frames(), echoed("two"))
        await link.close()


async def case_a_very_long_echo_is_whole():
    words = [f"w{i}" for i in range(100000)]
    with worker() as w:
        same(await one_run(w.endpoint(), " ".join(words)), echoed(*words))


# ---- command ----

async def case_a_program_gets_the_run_and_streams():
    source = """
import json, sys
run = json.loads(sys.stdin.readline())
print(json.dumps({"type": "tool_start", "tool_call_id": "1", "tool_name": run["kind"], "arguments": run}))
print("plain " + run["assignment"])
print(json.dumps({"type": "result", "text": "done"}))
"""
    with program(source) as w:
        messages = [{"role": "user", "content": "line\none"}]
        got = await one_run(w.endpoint(), "task", messages=messages)
        run = {"kind": "run", "assignment": "task", "messages": messages}
        same(got, [{"kind": "event", "event": {"type": "tool_start", "tool_call_id": "1", "tool_name": "run",
                                               "arguments": run}},
                   token("plain task\n"), completed("done")])


async def case_a_frame_laid_out_over_lines_is_one_line():
    source = "import sys, json; run = json.loads(sys.stdin.readline()); print(run['assignment'])"
    with program(source) as w:
        link = await Link.open(w.endpoint())
        await link.socket.send('{\n  "kind": "run",\r\n  "assignment": "a\\nb"\n}')
        same(await link.frames(), [token("a\n"), token("b\n"), completed("a\nb\n")])
        await link.close()


async def case_one_program_per_run():
    with shell("read line; echo $$") as w:
        endpoint = w.endpoint()
        first, second = [(await one_run(endpoint, "x"))[-1]["result"] for _ in range(2)]
        assert first != second, first


async def case_a_failing_program_is_an_error_with_its_last_words():
    with shell("read line; echo first; echo why >&2; echo because >&2; exit 3") as w:
        same((await one_run(w.endpoint(), "x"))[-1], failed("/bin/sh exited with status 3: why\nbecause"))
        assert b"why\nbecause\n" in w.stderr()


async def case_a_silent_failure_and_a_signal_are_named():
    with shell("read line; exit 4") as w:
        same((await one_run(w.endpoint(), "x"))[-1], failed("/bin/sh exited with status 4"))
    with shell("read line; kill -SEGV $$") as w:
        same((await one_run(w.endpoint(), "x"))[-1], failed("/bin/sh was killed by signal 11"))


async def case_a_program_that_cannot_be_executed_is_named():
    with worker(executor={"kind": "cli_adapter", "command": "/none/such", "args": []}) as w:
        endpoint = w.endpoint()
        for _ in range(2):
            same(await one_run(endpoint, "x"), [failed("cannot execute /none/such: No such file or directory")])
    with worker(executor={"kind": "cli_adapter", "command": "/etc/passwd", "args": []}) as w:
        same(await one_run(w.endpoint(), "x"), [failed("cannot execute /etc/passwd: Permission denied")])


async def case_a_program_works_in_its_workspace():
    with shell("pwd", workspace="/usr/share") as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("/usr/share\n"))
    with shell("pwd", workspace="/none/such") as w:
        same(await one_run(w.endpoint(), "x"),
             [failed("workspace /none/such cannot be used: No such file or directory")])
    with shell("pwd", workspace="/etc/passwd") as w:
        same(await one_run(w.endpoint(), "x"), [failed("workspace /etc/passwd cannot be used: Not a directory")])


async def case_a_program_gets_our_environment_without_our_settings():
    env = {"PATH": "/usr/bin:/bin", "COLOUR": "green", "RHIZOME_SECRET": "hush"}
    with shell("env", env=env) as w:
        lines = (await one_run(w.endpoint(), "x"))[-1]["result"].splitlines()
        names = sorted(line.partition("=")[0] for line in lines)
        same([name for name in names if name not in ("PWD", "_", "SHLVL", "OLDPWD")], ["COLOUR", "PATH"])


# ---- secrets ----

def keyed(source, names, credentials, **options):
    """A worker whose shell program gets variables from its credential."""
    return worker(executor={"kind": "cli_adapter", "command": "/bin/sh", "args": ["-c", source], "credential_env": names},
                  secrets={"provider_credentials": credentials}, **options)


ALL_PARTS = {"KEY": "api_key", "URL": "base_url", "TYPE": "provider_type", "WHO": "provider"}
TELL = "read line; echo ${KEY-none} ${URL-none} ${TYPE-none} ${WHO-none}"


async def case_a_program_gets_the_parts_of_its_credential():
    whole = {"provider": "mine", "api_key": "sk-1", "base_url": "http://x", "provider_type": "openai"}
    with keyed(TELL, ALL_PARTS, [whole]) as w:
        endpoint = w.endpoint()
        for _ in range(2):
            same((await one_run(endpoint, "x"))[-1], completed("sk-1 http://x openai mine\n"))


async def case_what_a_credential_lacks_is_not_taken_from_elsewhere():
    env = {"PATH": "/usr/bin:/bin", "URL": "from outside", "KEY": "from outside"}
    with keyed(TELL, ALL_PARTS, [{"provider": "mine", "api_key": "sk-1"}], env=env) as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("sk-1 none mine mine\n"))
    with keyed(TELL, ALL_PARTS, [], env=env) as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("none none none none\n"))


async def case_the_credential_is_that_of_the_models_provider():
    two = [{"provider": "a", "api_key": "sk-a"}, {"provider": "b", "api_key": "sk-b"}]
    with keyed("read line; echo $KEY", {"KEY": "api_key"}, two, model={"provider": "b", "model": "m"}) as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("sk-b\n"))


async def case_without_credential_env_a_program_gets_nothing_of_its_credential():
    with shell("env; cat /proc/self/cmdline", secrets={"provider_credentials": [{"provider": "p", "api_key": "sk-1"}]}) as w:
        assert "sk-1" not in (await one_run(w.endpoint(), "x"))[-1]["result"]


async def case_a_key_stands_in_the_environment_of_the_program_alone():
    credential = [{"provider": "p", "api_key": "sk-canary"}]
    with keyed("read line; echo $$; read more", {"KEY": "api_key"}, credential) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        pid = int((await link.frame())["event"]["content"])
        proc = pathlib.Path("/proc")
        assert b"KEY=sk-canary\0" in (proc / str(pid) / "environ").read_bytes()
        for where in (proc / str(w.process.pid) / "environ", proc / str(w.process.pid) / "cmdline",
                      proc / str(pid) / "cmdline"):
            assert b"sk-canary" not in where.read_bytes(), where
        await link.send(kind="message", text="go on")
        same((await link.frames())[-1]["status"], "completed")
        await link.close()
        same(w.stderr(), b"")


def ours_that_show(secret, w, stop_looking):
    """Looks at the worker and what it has just started, again and again. Returns how often a copy of the worker was met
    on its way to the program, and whatever of ours showed the secret."""
    binary = os.path.realpath(BINARY)
    met, found = 0, set()
    while not stop_looking.is_set():
        children = pathlib.Path(f"/proc/{w.process.pid}/task/{w.process.pid}/children").read_text().split()
        for pid in [w.process.pid, *children]:
            try:
                command_line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                met += b"\0--exec\0" in command_line
                shown = command_line + pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                # asked last: what is still ours now was ours when it was read
                if secret in shown and os.readlink(f"/proc/{pid}/exe") == binary:
                    found.add(command_line[:80])
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # it ended, or hides all this as it should
                continue
    return met, found


async def case_a_key_never_stands_in_an_environment_of_ours():
    # a PATH of so many folders that the copy of the worker is busy for a while with looking the program up
    env = {"PATH": ":" * 100000 + "/usr/bin:/bin"}
    w = keyed("read line; echo $$; read more", {"KEY": "api_key"}, [{"provider": "p", "api_key": "sk-canary"}],
              env=env, workspace="/usr/share")
    w.spec["executor"]["command"] = "sh"
    with w:
        endpoint, enough = w.endpoint(), threading.Event()
        looking = asyncio.create_task(asyncio.to_thread(ours_that_show, b"sk-canary", w, enough))
        try:
            for _ in range(30):
                link = await Link.open(endpoint)
                await link.run("x")
                pid = int((await link.frame())["event"]["content"])
                assert b"KEY=sk-canary\0" in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
                await link.send(kind="message", text="go on")
                same((await link.frames())[-1]["status"], "completed")
                await link.close()
        finally:
            enough.set()
        met, found = await looking
        assert met >= 30, met
        same(found, set())


async def case_a_key_of_any_allowed_size_arrives():
    names = {f"KEY_{n}": "api_key" for n in range(20)}
    with keyed("read line; echo ${#KEY_0} ${#KEY_19}", names, [{"provider": "p", "api_key": "k" * 65536}]) as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("65536 65536\n"))


async def case_a_program_inherits_no_descriptor_of_ours():
    with program("import os; print(sorted(set(os.listdir('/proc/self/fd')) - {'3'}))") as w:
        same((await one_run(w.endpoint(), "x"))[-1], completed("['0', '1', '2']\n"))


async def case_steering_arrives_as_lines():
    source = """
import json, sys
json.loads(sys.stdin.readline())
print("ready")
for line in sys.stdin:
    frame = json.loads(line)
    print(frame["kind"], frame["text"])
    if frame["text"] == "stop":
        break
"""
    with program(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frame(), token("ready\n"))
        await link.send(kind="message", text="two\nlines")
        same(await link.frame(), token("message two\n"))
        same(await link.frame(), token("lines\n"))
        await link.send(kind="message", text="stop")
        same(await link.frames(), [token("message stop\n"), completed("ready\nmessage two\nlines\nmessage stop\n")])
        await link.close()


async def case_a_cancel_stops_a_program_and_its_children():
    with shell("read line; sleep 1000 & echo $!; echo $$; wait") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        pids = [int((await link.frame())["event"]["content"]) for _ in range(2)]
        await link.send(kind="cancel")
        same(await link.frames(), [CANCELLED])
        until("the end of both", lambda: not any(map(alive, pids)))
        await link.close()


async def case_a_program_that_ignores_term_is_killed_after_its_grace():
    source = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(1000)"
    with program(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frame(), token("deaf\n"))
        started = time.monotonic()
        await link.send(kind="cancel")
        same(await link.frames(), [CANCELLED])
        assert 2.5 < time.monotonic() - started < 8
        await link.close()


async def case_a_grandchild_that_holds_the_output_delays_a_second_at_most():
    with shell("read line; sleep 1000 & echo $!; exit 0") as w:
        started = time.monotonic()
        got = await one_run(w.endpoint(), "x")
        assert time.monotonic() - started < 6
        same(got[-1]["status"], "completed")
        until("the grandchild's end", lambda: not alive(int(got[0]["event"]["content"])))


async def case_a_lost_connection_ends_the_program():
    with shell("read line; echo $$; exec sleep 1000") as w:
        endpoint = w.endpoint()
        link = await Link.open(endpoint)
        await link.run("x")
        pid = int((await link.frame())["event"]["content"])
        await link.vanish()
        until("the program's end", lambda: not alive(pid))
        link = await Link.open(endpoint)
        await link.run("y")
        assert int((await link.frame())["event"]["content"]) != pid
        await link.close()


async def case_the_program_dies_with_a_killed_worker():
    with shell("read line; echo $$; exec sleep 1000") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        pid = int((await link.frame())["event"]["content"])
        w.process.kill()
        until("the program's end", lambda: not alive(pid), 5)


async def case_sigterm_in_mid_run_leaves_nothing():
    with shell("trap '' TERM; read line; sleep 1000 & echo $!; echo $$; wait") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        pids = [int((await link.frame())["event"]["content"]) for _ in range(2)]
        same(stop(w, signal.SIGTERM), 0)
        until("the end of both", lambda: not any(map(alive, pids)))
        assert not w.record_path.exists()


async def case_much_stderr_before_reading_stdin_is_kept_and_blocks_nothing():
    source = """
import sys
for i in range(4096):
    print(f"{i:06d} " + "e" * 56, file=sys.stderr)
sys.stdin.readline()
print("done")
"""
    with program(source) as w:
        got = await one_run(w.endpoint(), "x" * 300000)
        same(got, [token("done\n"), completed("done\n")])
        same(w.stderr().count(b"\n"), 4096)


async def case_a_line_without_end_is_an_error():
    with program("print('x' * (256 * 1024 + 1)); import time; time.sleep(1000)") as w:
        same(await one_run(w.endpoint(), "x"), [failed(f"{PYTHON} wrote a line longer than 262144 bytes (TOO_LARGE)")])


async def case_a_slow_reader_slows_the_program_down():
    lines, line = 15000, "y" * 4000  # 60 MB: more than a connection may have unsent
    with program(f"import sys\nsys.stdin.readline()\nfor i in range({lines}): print({line!r})") as w:
        link = await Link.open(w.endpoint(), max_queue=4)
        await link.run("x")
        same(await link.frame(), token(line + "\n"))
        await asyncio.sleep(1)  # the program would be done by now
        got = await link.frames()
        same(len(got), lines)
        same(got[-1]["status"], "completed")
        assert "[cut here: " in got[-1]["result"]
        await link.close()


async def case_many_programs_leave_no_descriptor_and_no_memory():
    with shell("read line; echo x") as w:
        endpoint = w.endpoint()

        def descriptors():
            return len(os.listdir(f"/proc/{w.process.pid}/fd"))
        allowed = descriptors() + 1  # libuv keeps one in reserve from a loop's first pipe on
        for _ in range(120):
            same((await one_run(endpoint, "x"))[-1]["status"], "completed")
        until("the last connection's end", lambda: descriptors() <= allowed)
        same(stop(w), 0)  # with a sanitizer a leak is an exit code and a report
        same(w.stderr(), b"")


if __name__ == "__main__":
    sys.exit(run_cases(cases_of(globals()), sys.argv[1:]))
