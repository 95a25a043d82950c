#!/usr/bin/python3
"""The `session` executor of rhizome-worker: one program serves all runs of a worker. Driven as test_worker.py drives the
others. Cases can be named as arguments; RZ_BIN_DIR names the folder of the binary."""
import asyncio
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import websockets

from bamboo_client import (CANCELLED, Link, Worker, alive, cases_of, completed, failed, one_run, our_worker, run_cases,
                           same, stop, token, until)

BINARY = our_worker()
PYTHON = "/usr/bin/python3"
AGENTS = pathlib.Path(__file__).resolve().parents[2] / "ops" / "agents"

PRELUDE = """
import json, os, signal, sys, time
def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else os._exit(0)
def say(**line):
    print(json.dumps(line), flush=True)
def done(run, result=None, status="completed", **more):
    say(kind="terminal", run=run["run"], status=status, **({} if result is None else {"result": result}), **more)
"""


def session(source, **options):
    """A worker whose program runs this Python text."""
    return command(PYTHON, "-u", "-c", PRELUDE + source, **options)


def command(program, *args, **options):
    return Worker(BINARY, executor={"kind": "session", "command": program, "args": list(args)}, **options)


def children(worker):
    return [int(pid) for pid in pathlib.Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
            .read_text().split()]


def the_program(worker):
    """Its pid. While the program is being started its process may still be a copy of the worker."""
    return until("the program", lambda: [pid for pid in children(worker) if alive(pid)])[0]


def left(worker, *words):
    """The worker left by itself because its program was of no more use, and said so in its last line."""
    same(worker.exit_code(), 1)
    assert not worker.record_path.exists()
    last = worker.stderr().decode().splitlines()[-1]
    assert last.startswith("rhizome-worker failed: serve: "), last
    for word in words:
        assert word in last, last


async def ended(link):
    """The connection is closed by the worker."""
    try:
        raise AssertionError(f"unexpected frame {await asyncio.wait_for(link.socket.recv(), 20)}")
    except websockets.ConnectionClosed as closed:
        same(closed.code, 1001)


# ---- secrets ----

async def case_the_program_alone_gets_its_credential():
    w = session("while True:\n    run = hear()\n    done(run, os.environ['KEY'] + ' ' + os.environ.get('URL', 'none'))",
                secrets={"provider_credentials": [{"provider": "p", "api_key": "sk-canary"}]},
                env={"PATH": "/usr/bin:/bin", "URL": "from outside"})
    w.spec["executor"]["credential_env"] = {"KEY": "api_key", "URL": "base_url"}
    with w:
        endpoint = w.endpoint()
        for _ in range(2):
            same(await one_run(endpoint, "x"), [completed("sk-canary none")])
        assert b"sk-canary" in pathlib.Path(f"/proc/{the_program(w)}/environ").read_bytes()
        for name in ("environ", "cmdline"):
            assert b"sk-canary" not in pathlib.Path(f"/proc/{w.process.pid}/{name}").read_bytes()


# ---- many runs ----

PIDS = "while True:\n    run = hear()\n    done(run, f\"{run['run']} {os.getpid()}\")"


async def case_one_program_serves_run_after_run():
    with session(PIDS) as w:
        pid = the_program(w)
        link = await Link.open(w.endpoint())
        for n in range(1, 101):
            await link.run("x")
            same(await link.frames(), [completed(f"{n} {pid}")])
        await link.close()


async def case_the_next_connection_finds_the_same_program():
    with session(PIDS) as w:
        endpoint, pid = w.endpoint(), the_program(w)
        for n in range(1, 20):
            same(await one_run(endpoint, "x"), [completed(f"{n} {pid}")])


async def case_the_program_starts_before_the_first_run():
    w = session("open('here', 'w').close()\n" + PIDS)
    w.spec["workspace"] = str(w.home)
    here = w.home / "here"
    with w:
        w.record()
        until("the program's first line", here.exists)


async def case_a_run_comes_as_it_was_with_its_number():
    source = "run = hear()\ndone(run, json.dumps(run))\nrun = hear()\ndone(run, json.dumps(run))"
    with session(source) as w:
        link = await Link.open(w.endpoint())
        messages = [{"role": "user", "content": "line\none \u2028"}]
        await link.run("a", messages=messages, extra={"n": 1.5})
        same(json.loads((await link.frames())[0]["result"]),
             {"kind": "run", "assignment": "a", "messages": messages, "extra": {"n": 1.5}, "run": 1})
        await link.socket.send('{\n "r\\u0075n": "theirs",\r\n "kind": "run", "assignment": "b" }')
        same(json.loads((await link.frames())[0]["result"]), {"kind": "run", "assignment": "b", "run": 2})
        await link.close()


async def case_events_stream_and_other_lines_are_tokens():
    source = """
run = hear()
say(type="tool_start", tool_call_id="1", kind="terminal")
print("plain")
say(kind="other")
done(run, "r")
hear()
"""
    with session(source) as w:
        same(await one_run(w.endpoint(), "x"),
             [{"kind": "event", "event": {"type": "tool_start", "tool_call_id": "1", "kind": "terminal"}},
              token("plain\n"), token('{"kind": "other"}\n'), completed("r")])


async def case_without_a_result_it_is_what_the_command_executor_would_give():
    source = """
run = hear(); print("one"); say(type="token", content="two"); done(run)
run = hear(); print("three"); say(type="result", text="given"); done(run)
run = hear(); print("four"); done(run, "")
run = hear(); done(run)
hear()
"""
    with session(source) as w:
        link, results = await Link.open(w.endpoint()), []
        for _ in range(4):
            await link.run("x")
            results.append((await link.frames())[-1]["result"])
        same(results, ["one\ntwo", "given", "", ""])
        await link.close()


async def case_a_terminal_need_not_name_its_run():
    with session("while True:\n    hear()\n    say(kind='terminal', status='completed', result='r')") as w:
        endpoint = w.endpoint()
        same([await one_run(endpoint, "x") for _ in range(2)], [[completed("r")]] * 2)


async def case_a_run_that_fails_costs_the_program_nothing():
    source = """
run = hear(); done(run, status="error", error="529 overloaded")
run = hear(); done(run, status="error")
run = hear(); done(run, "still here")
hear()
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        for want in (failed("529 overloaded"), {"kind": "terminal", "status": "error"}, completed("still here")):
            await link.run("x")
            same(await link.frames(), [want])
        await link.close()


async def case_a_bad_terminal_is_an_error_that_names_the_member():
    source = """
run = hear(); done(run, status="fine")
run = hear(); done(run, status="suspended")
run = hear(); done(run, 7)
run = hear(); say(kind="terminal", run="4", status="completed")
run = hear(); say(kind="terminal", run=5)
run = hear(); done(run, "good")
hear()
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        for member in ("status", "status", "result", "run", "status"):
            await link.run("x")
            error = (await link.frames())[0]["error"]
            assert error.startswith(f"{PYTHON} ended its run with a bad terminal: {member}: "), error
        await link.run("x")
        same(await link.frames(), [completed("good")])
        await link.close()


# ---- what belongs to no run ----

async def case_what_follows_the_terminal_is_dropped_and_said_once():
    source = """
run = hear()
end = json.dumps({"kind": "terminal", "run": run["run"], "status": "completed", "result": "r"})
os.write(1, (end + "\\n" + end + '\\n{"type":"late"}\\nlate\\n' * 100).encode())
run = hear()
done(run, "next")
hear()
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [completed("r")])
        until("the report", lambda: b"output.dropped" in w.stderr())
        await link.run("x")
        same(await link.frames(), [completed("next")])
        await link.close()
        same(w.stderr().count(b"output.dropped"), 1)


async def case_late_words_of_a_run_are_not_those_of_the_one_that_waits():
    source = """
run = hear()
say(type="ready")
hear()
late = b'late\\n{"type":"late"}\\n{"type":"result","text":"late"}\\n'
os.write(1, b'{"kind":"terminal","status":"cancelled"}\\n' + late * 100 + b'late ')
run = hear()
print('late')
print('second')
done(run)
hear()
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("one")
        same((await link.frame())["event"], {"type": "ready"})
        await link.run("two")
        same(await link.frames(), [CANCELLED])
        same(await link.frames(), [token("second\n"), completed("second\n")])
        await link.close()


async def case_what_stands_in_the_pipe_when_a_run_begins_is_not_its_own():
    source = """
signal.signal(signal.SIGUSR1, lambda *_: (say(type="late"), open(sys.argv[1], "w").close()))
run = hear(); done(run, "first")
run = hear(); done(run, "second")
hear()
"""
    w = session(source)
    written = w.home / "written"
    w.spec["executor"]["args"].append(str(written))
    with w:
        link = await Link.open(w.endpoint())
        await link.run("one")
        same(await link.frames(), [completed("first")])
        pid = the_program(w)
        os.kill(w.process.pid, signal.SIGSTOP)
        await link.run("two")  # the worker will find both: this, and what its program says meanwhile
        os.kill(pid, signal.SIGUSR1)
        until("the late word", written.exists)
        os.kill(w.process.pid, signal.SIGCONT)
        same(await link.frames(), [completed("second")])
        await link.close()


async def case_a_terminal_of_another_run_ends_nothing():
    source = """
run = hear()
for n in range(100):
    say(kind="terminal", run=n + 7, status="error", error="not mine")
say(type="still_at_it")
done(run, "mine")
hear()
"""
    with session(source) as w:
        same(await one_run(w.endpoint(), "x"),
             [{"kind": "event", "event": {"type": "still_at_it"}}, completed("mine")])
        same(w.stderr().count(b"a terminal of run 7 in run 1"), 1)
        same(w.stderr().count(b"output.dropped"), 1)


# ---- steering and cancel ----

LISTENER = """
while True:
    run = hear()
    say(type="ready")
    frame = hear()
    done(run, json.dumps(frame), status="cancelled" if frame["kind"] == "cancel" else "completed")
"""


async def case_steering_names_its_run():
    with session(LISTENER) as w:
        link = await Link.open(w.endpoint())
        for n in (1, 2):
            await link.run("x")
            same((await link.frame())["event"], {"type": "ready"})
            await link.send(kind="message", text="two\nlines")
            same(json.loads((await link.frames())[0]["result"]), {"kind": "message", "text": "two\nlines", "run": n})
        await link.close()


async def case_a_program_that_answers_a_cancel_lives_on():
    with session(LISTENER) as w:
        pid = the_program(w)
        link = await Link.open(w.endpoint())
        for n in (1, 2):
            await link.run("x")
            await link.frame()
            await link.send(kind="cancel")
            end = (await link.frames())[0]
            same((end["status"], json.loads(end["result"])), ("cancelled", {"kind": "cancel", "run": n}))
        await link.run("x")
        await link.frame()
        await link.send(kind="message", text="t")
        same((await link.frames())[0]["status"], "completed")
        same(the_program(w), pid)
        await link.close()


async def case_a_run_may_complete_in_spite_of_its_cancel():
    with session("run = hear(); say(type='ready'); hear(); print('on'); done(run, 'whole'); hear()") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        await link.frame()
        await link.send(kind="cancel")
        same(await link.frames(), [token("on\n"), completed("whole")])
        await link.close()


async def case_a_second_run_cancels_the_first_and_both_are_served():
    with session(LISTENER) as w:
        link = await Link.open(w.endpoint())
        await link.run("one")
        await link.frame()
        await link.run("two")
        same((await link.frames())[0]["status"], "cancelled")
        same((await link.frame())["event"], {"type": "ready"})
        await link.send(kind="message", text="t")
        same((await link.frames())[0]["status"], "completed")
        await link.close()


async def case_a_lost_connection_cancels_its_run_and_keeps_the_program():
    with session(LISTENER) as w:
        endpoint, pid = w.endpoint(), the_program(w)
        link = await Link.open(endpoint)
        await link.run("x")
        await link.frame()
        await link.vanish()
        link = await Link.open(endpoint)
        await link.run("y")
        same((await link.frame())["event"], {"type": "ready"})
        await link.send(kind="message", text="t")
        same((await link.frames())[0]["status"], "completed")
        same(the_program(w), pid)
        await link.close()


async def cancelled_unheard(source, least, most, *words):
    with session(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same((await link.frame())["event"], {"type": "ready"})
        pid, started = the_program(w), time.monotonic()
        await link.send(kind="cancel")
        same(await link.frames(), [CANCELLED])
        assert least < time.monotonic() - started < most
        await ended(link)
        left(w, *words)
        assert not alive(pid)


async def case_a_cancel_that_is_not_heard_becomes_a_term_after_two_seconds():
    await cancelled_unheard("hear(); say(type='ready'); time.sleep(1000)", 1.8, 2.8, "was killed by signal 15")


async def case_a_term_that_is_not_heard_becomes_a_kill_a_second_later():
    source = "signal.signal(signal.SIGTERM, signal.SIG_IGN); hear(); say(type='ready'); time.sleep(1000)"
    await cancelled_unheard(source, 2.8, 6, "was killed by signal 9")


# ---- its death ----

async def case_a_death_in_a_run_is_an_error_with_its_last_words_and_the_worker_leaves():
    with session("run = hear(); print('why\\nbecause', file=sys.stderr); os._exit(3)") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [failed(f"{PYTHON} exited with status 3: why\nbecause")])
        await ended(link)
        left(w, "exited with status 3: why")


async def case_an_exit_without_a_terminal_is_an_error_too():
    with session("run = hear(); print('half'); sys.stdout.flush(); os.kill(os.getpid(), 11)") as w:
        same(await one_run(w.endpoint(), "x"), [token("half\n"), failed(f"{PYTHON} was killed by signal 11")])
    with session("run = hear(); os._exit(0)") as w:
        same(await one_run(w.endpoint(), "x"), [failed(f"{PYTHON} exited with status 0")])
        left(w, "exited with status 0")


async def case_a_last_line_may_be_the_terminal():
    with session("run = hear(); os.write(1, b'{\"kind\":\"terminal\",\"status\":\"completed\",\"result\":\"r\"}')") as w:
        link = await Link.open(w.endpoint())
        for _ in range(2):
            await link.run("x")
            same(await link.frames(), [completed("r")])


async def case_of_earlier_runs_nothing_stands_in_the_last_words():
    with session("run = hear(); print('old', file=sys.stderr); done(run, 'r'); hear(); os._exit(4)") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [completed("r")])
        until("what it said", lambda: b"old" in w.stderr())
        await link.run("x")
        same(await link.frames(), [failed(f"{PYTHON} exited with status 4")])


async def case_after_a_death_between_runs_the_next_run_has_another_program():
    with session(PIDS) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        await link.frames()
        pid = the_program(w)
        os.kill(pid, signal.SIGKILL)
        until("its end", lambda: not alive(pid))
        await link.run("x")
        same((await link.frames())[-1]["status"], "completed")
        assert the_program(w) != pid


async def case_a_program_that_exits_behind_its_terminal_costs_the_next_run_nothing():
    with session("run = hear(); done(run, str(run['run'])); os._exit(0)") as w:
        link = await Link.open(w.endpoint())
        for n in range(1, 41):
            await link.run("x")
            same(await link.frames(), [completed(str(n))])


async def case_nor_does_one_whose_thread_reads_on_while_it_exits():
    source = """
import queue, threading
lines = queue.Queue()
threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin], daemon=True).start()
run = json.loads(lines.get())
done(run, str(run["run"]))
time.sleep(0.02)
sys.exit(0)
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        for n in range(1, 21):
            await link.run("x")
            same(await link.frames(), [completed(str(n))])


async def case_nor_does_one_that_closes_an_end_first_and_is_killed_for_it_or_exits_later():
    for end, then in ((0, "time.sleep(1000)"), (1, "time.sleep(1000)"), (0, "time.sleep(2); os._exit(0)"), (1, "time.sleep(2); os._exit(0)")):
        with session(f"run = hear(); done(run, str(run['run'])); os.close({end}); {then}") as w:
            link = await Link.open(w.endpoint())
            for n in range(1, 4):
                await link.run("x")
                same(await link.frames(), [completed(str(n))])


async def case_nor_does_one_that_is_killed_for_a_line_without_end():
    source = """
run = hear()
end = json.dumps({"kind": "terminal", "run": run["run"], "status": "completed", "result": str(run["run"])})
os.write(1, end.encode() + b"\\n" + b"x" * 60000)
os.write(1, b"x" * (256 * 1024))
time.sleep(1000)
"""
    with session(source) as w:
        link = await Link.open(w.endpoint())
        for n in range(1, 6):
            await link.run("x")
            same(await link.frames(), [completed(str(n))])


async def case_steering_comes_along_to_the_other_program():
    source = "run = hear(); done(run, str(run['run'])) if run['run'] == 1 else done(run, hear()['text'])\nif run['run'] == 1: time.sleep(0.5); os._exit(0)"
    with session(source) as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [completed("1")])
        await link.run("x")
        await link.send(kind="message", text="and this")
        same(await link.frames(), [completed("and this")])


async def case_a_run_that_was_read_is_given_to_no_other_program():
    with session("run = hear(); done(run, 'r') if run['run'] == 1 else os._exit(6); hear(); os._exit(7)") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [completed("r")])
        await link.run("x")
        same(await link.frames(), [failed(f"{PYTHON} exited with status 7")])
        await ended(link)
        left(w, "exited with status 7")


async def case_a_program_that_cannot_be_executed_is_told_to_the_first_run():
    with command("/none/such") as w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        same(await link.frames(), [failed("cannot execute /none/such: No such file or directory")])
        await ended(link)
        left(w, "cannot execute /none/such")
    with command(PYTHON, workspace="/none/such") as w:
        same(await one_run(w.endpoint(), "x"),
             [failed("workspace /none/such cannot be used: No such file or directory")])


async def case_a_program_that_fails_early_is_told_to_the_first_run_however_late():
    with session("import nothing_of_this_name") as w:
        until("its last words", lambda: b"nothing_of_this_name" in w.stderr())
        until("its end", lambda: not any(map(alive, children(w))))
        end = (await one_run(w.endpoint(), "x"))[0]
        assert end["error"].startswith(f"{PYTHON} exited with status 1: Traceback"), end
        assert end["error"].endswith("No module named 'nothing_of_this_name'"), end
        left(w, "exited with status 1")


async def case_the_run_that_waits_behind_a_death_is_told_too():
    with session("hear(); say(type='ready'); hear(); os._exit(5)") as w:
        link = await Link.open(w.endpoint())
        await link.run("one")
        await link.frame()
        await link.run("two")
        same(await link.frames(), [CANCELLED])
        same(await link.frames(), [failed(f"{PYTHON} exited with status 5")])
        await ended(link)
        left(w, "exited with status 5")


# ---- what it must not do ----

async def case_a_line_without_end_is_an_error():
    with session("hear(); print('x' * (256 * 1024 + 1)); time.sleep(1000)") as w:
        same(await one_run(w.endpoint(), "x"), [failed(f"{PYTHON} wrote a line longer than 262144 bytes (TOO_LARGE)")])
        left(w, "wrote a line longer than 262144 bytes")


async def case_a_line_without_end_between_runs_ends_the_program():
    with session("run = hear(); done(run, 'r'); os.write(1, b'x' * (256 * 1024 + 1)); time.sleep(1000)") as w:
        link = await Link.open(w.endpoint())
        pid = the_program(w)
        for _ in range(2):
            await link.run("x")
            same(await link.frames(), [completed("r")])
            until("its end", lambda: not alive(pid))
        assert b"wrote a line longer than 262144 bytes" in w.stderr()


async def case_a_closed_stdout_is_an_error():
    with session("hear(); sys.stdout.flush(); os.close(1); time.sleep(1000)") as w:
        started = time.monotonic()
        same(await one_run(w.endpoint(), "x"), [failed(f"{PYTHON} closed its stdout")])
        assert 0.8 < time.monotonic() - started < 6
        left(w, "closed its stdout")


async def case_a_closed_stdin_is_an_error():
    with session("os.close(0); say(type='closed'); time.sleep(1000)") as w:
        until("the dropped event", lambda: b"output.dropped" in w.stderr())
        same(await one_run(w.endpoint(), "x"), [failed(f"{PYTHON} closed its stdin")])
        left(w, "closed its stdin")


async def case_a_program_that_does_not_read_is_an_error_before_memory_fills():
    source = "while True:\n    say(kind='terminal', status='completed', result='unread'); time.sleep(0.02)"
    with session(source) as w:
        link = await Link.open(w.endpoint())
        for _ in range(2):
            await link.run("x" * (15 << 20))
            same(await link.frames(), [completed("unread")])
        await link.run("x" * (15 << 20))
        same(await link.frames(), [failed(f"{PYTHON} does not read its stdin")])
        await ended(link)
        left(w, "does not read its stdin")


async def case_a_slow_reader_slows_the_program_down():
    lines, line = 15000, "y" * 4000
    source = f"""
run = hear()
for i in range({lines}):
    print({line!r})
done(run, "all")
run = hear()
done(run, "next")
hear()
"""
    with session(source) as w:
        link = await Link.open(w.endpoint(), max_queue=4)
        await link.run("x")
        same(await link.frame(), token(line + "\n"))
        await asyncio.sleep(1)  # the program would be done by now
        got = await link.frames()
        same((len(got), got[-1]), (lines, completed("all")))
        await link.run("x")
        same(await link.frames(), [completed("next")])
        await link.close()


# ---- with the worker ----

async def case_the_program_ends_with_its_worker_and_may_clean_up():
    source = """
def leave(*_):
    open(sys.argv[1], "w").close()
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
hear(); say(type="ready"); time.sleep(1000)
"""
    w = session(source)
    cleaned = w.home / "cleaned"
    w.spec["executor"]["args"].append(str(cleaned))
    with w:
        link = await Link.open(w.endpoint())
        await link.run("x")
        await link.frame()
        pid = the_program(w)
        same(stop(w), 0)
        assert cleaned.exists() and not alive(pid) and not w.record_path.exists()


async def case_a_program_that_ignores_the_end_is_killed_with_its_children():
    source = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    time.sleep(1000)
run = hear(); done(run, str(child)); time.sleep(1000)
"""
    with session(source) as w:
        child = int((await one_run(w.endpoint(), "x"))[0]["result"])
        pid, started = the_program(w), time.monotonic()
        same(stop(w), 0)
        assert time.monotonic() - started < 0.95  # the runner gives the worker a second
        until("the end of both", lambda: not alive(pid) and not alive(child))


async def case_the_program_dies_with_a_killed_worker():
    with session(PIDS) as w:
        await one_run(w.endpoint(), "x")
        pid = the_program(w)
        w.process.kill()
        until("the program's end", lambda: not alive(pid), 5)


async def case_an_idle_worker_leaves_with_its_program():
    with session(PIDS, idle=1) as w:
        await one_run(w.endpoint(), "x")
        pid = the_program(w)
        same(w.exit_code(), 0)
        assert not alive(pid)
        same(w.stderr(), b"")


async def case_a_one_shot_worker_ends_with_its_connection():
    with session(PIDS, reusable=False) as w:
        same(len(await one_run(w.endpoint(), "x")), 1)
        same(w.exit_code(), 0)


async def case_many_runs_leave_no_descriptor_and_no_memory():
    with session("while True:\n    run = hear()\n    print('x')\n    done(run)") as w:
        link = await Link.open(w.endpoint())

        def used():
            return len(os.listdir(f"/proc/{w.process.pid}/fd"))
        await link.run("x")
        await link.frames()
        before = used()
        for _ in range(2000):
            await link.run("x")
            same(await link.frames(), [token("x\n"), completed("x\n")])
        same(used(), before)
        await link.close()
        same(stop(w), 0)  # with a sanitizer a leak is an exit code and a report
        same(w.stderr(), b"")


# ---- the examples ----

async def example(program, script):
    assert shutil.which(program), f"{program} is not installed: ops/setup does that"
    with command(program, str(AGENTS / script)) as w:
        link, pid = await Link.open(w.endpoint()), the_program(w)
        await link.run("h\u00e9llo  world\u2028")
        same(await link.frames(), [token("h\u00e9llo "), token("world "),
                                   completed(f"echo: h\u00e9llo world (process {pid}, run 1)")])
        await link.run("one listen two")
        same(await link.frame(), token("one "))
        await link.send(kind="message", text="steered")
        same(await link.frames(), [token("steered "), token("two "),
                                   completed(f"echo: one steered two (process {pid}, run 2)")])
        await link.run("listen listen")
        await link.send(kind="message", text="one")
        same(await link.frame(), token("one "))
        await link.send(kind="cancel")
        same(await link.frames(), [CANCELLED])
        await link.run("large", messages=[{"role": "user", "content": "x" * 3_000_000}])
        same((await link.frames())[-1], completed(f"echo: large (process {pid}, run 4)"))
        await link.close()
        same(stop(w), 0)


async def case_the_python_example_serves_many_runs():
    await example("python3", "session.py")


async def case_the_node_example_serves_many_runs():
    await example("node", "session.js")


if __name__ == "__main__":
    sys.exit(run_cases(cases_of(globals()), sys.argv[1:]))
