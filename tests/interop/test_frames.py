#!/usr/bin/python3
"""Upstream's own worker and ours, given the same jobs by the same client: every frame must be the same.

The order of an object's keys has no meaning in the protocol, so frames are compared as values; their order and number
count.  RZ_BIN_DIR names the folder of rhizome-worker; UPSTREAM_WORKER the upstream binary, else build_upstream.sh
builds it.  Cases can be named as arguments.  Exit code 77: skipped, and why."""
import asyncio
import os
import pathlib
import subprocess
import sys
import time

from bamboo_client import CANCELLED, Link, Worker, cases_of, one_run, our_worker, run_cases, same, until

HERE = pathlib.Path(__file__).parent


def upstream_worker():
    if os.environ.get("UPSTREAM_WORKER"):
        return os.environ["UPSTREAM_WORKER"]
    build = subprocess.run([HERE / "build_upstream.sh"], stdout=subprocess.PIPE, text=True, check=False)
    if build.returncode != 0:
        raise SystemExit(build.returncode)
    return build.stdout.strip()


OURS = our_worker()
UPSTREAM = None  # set in main: only a run of the cases may build it


async def both(job, **options):
    """job(endpoint, worker) with each worker, cold; both results must be equal and are returned once."""
    results = []
    for binary in (UPSTREAM, OURS):
        with Worker(binary, **options) as worker:
            results.append(await job(worker.endpoint(), worker))
    assert results[0] == results[1], f"\n  upstream: {results[0]}\n      ours: {results[1]}"
    return results[0]


async def case_cold_echo():
    got = await both(lambda endpoint, _: one_run(endpoint, "hello world"))
    same(len(got), 4)


async def case_the_same_worker_again_and_again():
    async def job(endpoint, _):
        return [await one_run(endpoint, f"run number {i}") for i in range(30)]
    same(len(await both(job)), 30)


async def case_odd_assignments():
    texts = ["", "   ", "one", " a  b\tc\n", "\u2003wide\u00a0space\u3000", "zero\u200bwidth", '"quoted" \\ back',
             "\u00e9\U0001f331 \x01\x1f", "a\x85b\x1cc", "__sleep_ms:", "__sleep_ms:1 x", "x __sleep_ms:2 y __sleep_ms:3",
             "__sleep_ms:-1 x", "__sleep_ms:+1 x", "__sleep_ms:1.0", "__sleep_ms:18446744073709551616 big",
             "__sleep_ms:007 bond", "word " * 500]

    async def job(endpoint, _):
        return [await one_run(endpoint, text) for text in texts]
    same(len(await both(job)), len(texts))


async def case_members_that_echo_ignores():
    async def job(endpoint, _):
        return await one_run(endpoint, "x y", reasoning_effort="high", later={"a": 1}, execution_epoch=0,
                             messages=[{"id": "m1", "role": "user", "content": "x y"}])
    await both(job)


async def case_cancel_during_a_delay():
    async def job(endpoint, _):
        first = await one_run(endpoint, "__sleep_ms:60000 alpha", cancel_when=0)
        return [first, await one_run(endpoint, "next")]
    same((await both(job))[0], [CANCELLED])


async def case_a_delay_is_kept():
    async def job(endpoint, _):
        started = time.monotonic()
        got = await one_run(endpoint, "alpha __sleep_ms:200 only")
        assert time.monotonic() - started >= 0.2
        return got
    await both(job)


async def case_frames_that_mean_nothing_now():
    async def job(endpoint, _):
        link = await Link.open(endpoint)
        await link.send(kind="cancel")
        await link.send(kind="message", text="to nobody")
        await link.send(kind="later_kind", x=1)
        await link.socket.send("no json")
        await link.socket.send(b"binary")
        await link.run("after all that")
        got = await link.frames()
        await link.send(kind="cancel")
        await link.close()
        return got
    await both(job)


async def case_runs_on_one_connection():
    async def job(endpoint, _):
        link = await Link.open(endpoint)
        got = []
        for text in ("one", "two words", "__sleep_ms:5 three"):
            await link.run(text)
            got.append(await link.frames())
        await link.close()
        return got
    await both(job)


async def case_a_second_run_cancels_the_first():
    async def job(endpoint, _):
        link = await Link.open(endpoint)
        await link.run("__sleep_ms:60000 one")
        await link.run("__sleep_ms:100 two")
        got = await link.frames() + await link.frames()
        await link.close()
        return got
    await both(job)


async def case_steering_is_ignored_by_echo():
    async def job(endpoint, _):
        link = await Link.open(endpoint)
        await link.run("__sleep_ms:100 steady")
        await link.send(kind="message", text="go left")
        got = await link.frames()
        await link.close()
        return got
    await both(job)


async def case_the_handshake():
    async def job(endpoint, _):
        link = await Link.open(endpoint, path="/some/path?x=1", compression="deflate")
        await link.close()
        headers = link.socket.response_headers
        return [link.socket.subprotocol, link.socket.extensions, headers.get("Sec-WebSocket-Protocol"),
                headers["Connection"].lower(), headers["Upgrade"].lower()]
    await both(job)


async def case_the_record():
    async def job(_, worker):
        record = worker.record()
        same(record["pid"], worker.process.pid)
        return [list(record), {key: record[key] for key in ("agent_id", "role", "labels")},
                record["endpoint"].rpartition(":")[0], worker.record_path.read_bytes().count(b"\n")]
    await both(job)


async def case_idling_out():
    async def job(endpoint, worker):
        got = await one_run(endpoint, "last")
        code = await asyncio.get_running_loop().run_in_executor(None, worker.exit_code)
        return [got, code, worker.record_path.exists()]
    same((await both(job, idle=1))[1:], [0, False])


async def case_one_shot():
    async def job(endpoint, worker):
        got = await one_run(endpoint, "only once")
        code = await asyncio.get_running_loop().run_in_executor(None, worker.exit_code)
        until("the record's end", lambda: not worker.record_path.exists())
        return [got, code]
    same((await both(job, reusable=False))[1], 0)


if __name__ == "__main__":
    UPSTREAM = upstream_worker()
    print(f"upstream: {os.path.basename(UPSTREAM)}, ours: {os.path.basename(OURS)}", flush=True)
    sys.exit(run_cases(cases_of(globals()), sys.argv[1:]))
