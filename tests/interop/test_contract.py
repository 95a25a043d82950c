#!/usr/bin/python3
"""The contract of proto/README.md, kept by programs that are not Rhizome's: a client, a subscriber and a runner
(contract_peers.py) and a worker (contract_worker.py). Usage: test_contract.py [CASE...]"""
import itertools
import json
import os
import pathlib
import sys
import tempfile
import time

import zmq

from contract_peers import (KEYS, PATIENCE, Client, Runner, Subscriber, child_session, conforms, holds, pack, same, socket_to)
from test_readme import Up, secured

WORKER = pathlib.Path(__file__).with_name("contract_worker.py")
SYNC_MS, LEASE_MS = 300, 4000
PROFILES = {"externalAgents": {
    "python": {"agent_id": "python", "protocol": "actor", "permission_profile": "read", "worker_bin": str(WORKER),
               "worker_args": ["one", "two"], "executor": "echo"},
}}
numbers = itertools.count(1)


class Stage:
    """One broker, store and runner for all cases; every case uses ids of its own."""

    def __init__(self):
        self.config = tempfile.NamedTemporaryFile("w", suffix=".json")
        json.dump(PROFILES, self.config)
        self.config.flush()
        self.up = Up("--config", self.config.name, "--broker-sync-ms", str(SYNC_MS), "--broker-lease-ms", str(LEASE_MS))

    def __enter__(self):
        self.up.__enter__()
        if secured.WANTED:
            self.take_keys()
        self.client = Client(self.up.context["control"])
        self.endpoints = self.client.ok("hello")["endpoints"]
        return self

    def take_keys(self):
        """One for the Python runners, which are called py-<n>; the clients have that of `up`."""
        path = os.path.join(self.up.folder.name, "py.key")
        assert self.up.shell(f"rhizome key new py --role runner --out {path}").returncode == 0
        for who, file in (("client", self.up.context["key"]), ("runner", path)):
            with open(file) as text:
                KEYS[who] = json.load(text)

    def __exit__(self, *problem):
        self.up.__exit__(*problem)
        self.config.close()

    def family(self):
        """A parent and a child that no other case knows."""
        number = next(numbers)
        return f"root-{number}", f"ch-{number}"

    def subscribe(self, *topics, runner=None):
        """A subscriber that misses nothing from here on, neither of `runner`."""
        subscriber = Subscriber(self.endpoints["events"], *topics)
        return subscriber.sync(self.client, f"n-{next(numbers)}", runner)

    def runner(self, **options):
        """A Python runner with a profile of its own, so that only its jobs come to it."""
        name = f"py-{next(numbers)}"
        return Runner(self.endpoints["runners"], name, [name], **options)

    def submit(self, parent, child, profile, text="hello", **members):
        job = {"parent_session_id": parent, "child_session_id": child, "require": {"profile": profile},
               "session": child_session(child, text), **members}
        return self.client.ok("submit", job=conforms("spawn-job", job))

    def wait(self, child):
        return self.client.ok("wait", child=child, timeout_ms=int(PATIENCE * 1000))["activation"]

    def messages(self, child):
        session = self.client.ok("session_get", child=child)["session"]
        return [(message["role"], message["content"]) for message in conforms("session", session)["messages"]]


# ---- clients (sections 1 to 4) ----

def hello_names_every_other_socket(stage):
    reply = stage.client.ok("hello")
    holds(reply, protocol=2, protocol_min=1, store="up")
    assert reply["durability"] in ("strict", "relaxed") and reply["runners"] >= 1, reply
    same(sorted(reply["endpoints"]), ["control", "events", "http", "jobs", "publish", "runners"])


def a_pushed_job_sends_its_events_in_order(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/{child}/")
    jobs = socket_to(zmq.PUSH, stage.endpoints["jobs"])
    jobs.send(pack({"parent_session_id": parent, "child_session_id": child, "require": {"profile": "echo"}, "job_id": "j-1",
                    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    "session": child_session(child, "hello world")}))
    got = subscriber.until_completed(child)
    headers = [header for _, header, _ in got]
    kinds = [topic.rsplit("/", 1)[1] for topic, _, _ in got if not topic.endswith("heartbeat")]
    same(kinds, ["sub_agent_started", "sub_agent_event.token", "sub_agent_event.token", "sub_agent_event.complete",
                 "sub_agent_completed"])
    same([header["seq"] for header in headers], list(range(1, len(got) + 1)))
    durable = [0] + [header["seq"] for header in headers if header["class"] == "durable"]
    for header in headers:
        same(header["prev_durable"], max(seq for seq in durable if seq < header["seq"]))
        holds(header, job="j-1", epoch=1, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    same(got[-1][2]["status"], "completed")


def a_receipt_comes_by_req_and_by_dealer(stage):
    parent, child = stage.family()
    job = {"parent_session_id": parent, "child_session_id": child, "job_id": "j-1", "require": {"profile": "echo"},
           "session": child_session(child, "hello")}
    receipt = stage.client.ok("submit", job=job)
    assert receipt["durability"] in ("strict", "relaxed"), receipt
    holds(receipt["activation"], child=child, parent=parent, job="j-1", attempt=1, max_attempts=1, profile="echo")
    dealer = Client(stage.up.context["control"], zmq.DEALER)
    again = dealer.send("submit", job=job)
    other = dealer.send("submit", job={**job, "model": "another"})
    replies = {reply["id"]: reply for reply in (dealer.reply(), dealer.reply())}
    holds(replies[again], code="DUPLICATE")
    holds(replies[other], code="CONFLICT")
    holds(replies[again]["activation"], job="j-1", activation=1)


def any_id_comes_back_as_it_was_sent(stage):
    for identity in (None, 7, "x", [1, {"a": None}], {"any": 1.5}):
        stage.client.socket.send(pack({"v": 1, "op": "hello", "id": identity}))
        same(stage.client.reply().get("id"), identity)


def a_live_child_is_already_running(stage):
    parent, child = stage.family()
    stage.submit(parent, child, "nobody-offers-this")
    reply = stage.client.ask("submit", job={"parent_session_id": parent, "child_session_id": child})
    holds(reply, code="ALREADY_RUNNING")
    holds(reply["activation"], state="queued")
    stage.client.ok("cancel", child=child)


def a_receipt_says_what_the_job_waits_for(stage):
    parent, child = stage.family()
    receipt = stage.submit(parent, child, "echo", require={"profile": "echo", "labels": ["gpu"]})
    assert "gpu" in receipt["waiting"], receipt
    holds(receipt["activation"], state="queued", labels=["gpu"], epoch=0)
    stage.client.ok("cancel", child=child)


def refusals_name_code_and_field(stage):
    parent, child = stage.family()
    job = {"parent_session_id": parent, "child_session_id": child}
    root = {"id": child, "kind": "root", "messages": []}
    other = child_session("another", "x")
    table = [
        ({"op": "explode"}, "BAD_KIND", "op"),
        ({"v": 4, "op": "hello"}, "BAD_VERSION", "v"),
        ({"op": "get"}, "MISSING_FIELD", "child"),
        ({"op": "get", "child": "a b"}, "BAD_ID", "child"),
        ({"op": "wait", "child": child, "timeout_ms": 0}, "BAD_FIELD", "timeout_ms"),
        ({"op": "submit", "job": {"child_session_id": child}}, "MISSING_FIELD", "parent_session_id"),
        ({"op": "submit", "job": {**job, "priority": "urgent"}}, "BAD_FIELD", "priority"),
        ({"op": "submit", "job": {**job, "session": root}}, "BAD_FIELD", "session.kind"),
        ({"op": "submit", "job": {**job, "session": other}}, "BAD_FIELD", "session.id"),
        ({"op": "submit", "job": job}, "NOT_FOUND", None),
        ({"op": "get", "child": child}, "NOT_FOUND", None),
        ({"op": "cancel", "child": child}, "NOT_FOUND", None),
        ({"op": "send", "child": child, "text": "x" * 262145}, "TOO_LARGE", "text"),
    ]
    for request, code, field in table:
        stage.client.socket.send(pack(request))
        holds(stage.client.reply(), code=code, field=field)
    stage.client.socket.send(b'{"op":"hello","op":"hello"}')
    holds(stage.client.reply(), code="BAD_JSON", op=None)


def a_bad_pushed_job_is_published_as_rejected(stage):
    parent, _ = stage.family()
    subscriber = stage.subscribe("$sys/rejected")
    jobs = socket_to(zmq.PUSH, stage.endpoints["jobs"])
    jobs.send(pack({"parent_session_id": parent, "child_session_id": "a b"}))
    topic, _, event = subscriber.next()
    same(topic, "$sys/rejected")
    holds(event, type="job_rejected", code="BAD_ID", field="child_session_id", parent_session_id=parent)


def wait_tells_the_end_or_that_its_time_is_over(stage):
    parent, child = stage.family()
    stage.submit(parent, child, "echo", "__sleep_ms:400 late")
    early = stage.client.ask("wait", child=child, timeout_ms=1)
    holds(early, code="EXPIRED")
    assert early["activation"]["state"] in ("assigned", "running"), early
    holds(stage.wait(child), state="terminal", status="completed")


def list_and_get_show_activations_newest_first(stage):
    parent, child = stage.family()
    for number in range(3):
        stage.submit(parent, f"{child}-{number}", "echo", job_id=f"j-{number}")
        stage.wait(f"{child}-{number}")
    listed = stage.client.ok("list", parent=parent, limit=2)["activations"]
    same([one["child"] for one in listed], [f"{child}-2", f"{child}-1"])
    same(stage.client.ok("get", child=f"{child}-2", job_id="j-2")["activation"], listed[0])
    holds(stage.client.ask("get", child=f"{child}-2", job_id="another"), code="NOT_FOUND")


def a_session_is_put_got_listed_and_guarded_by_its_revision(stage):
    _, child = stage.family()
    session = child_session(child, "first", parent_session_id="root-x", title="A title", later_member=[1])
    rev = stage.client.ok("session_put", session=session)["rev"]
    got = stage.client.ok("session_get", child=child)
    holds(got["session"], id=child, title="A title", later_member=[1])
    same((got["rev"], got["session"]["rev"]), (rev, rev))
    holds(stage.client.ask("session_put", session=session), code="CONFLICT", rev=rev)
    newer = stage.client.ok("session_put", session={**session, "title": "Another"}, rev=rev)["rev"]
    assert newer > rev
    holds(stage.client.ask("session_put", session=session, rev=rev), code="CONFLICT", rev=newer)
    assert child in [one["child"] for one in stage.client.ok("session_list", limit=1000)["sessions"]]


def a_stored_session_runs_again_with_one_more_message(stage):
    parent, child = stage.family()
    stage.submit(parent, child, "echo", "first")
    stage.wait(child)
    stage.client.ok("submit", job={"parent_session_id": parent, "child_session_id": child, "require": {"profile": "echo"},
                                   "message": {"role": "user", "content": "second"}})
    holds(stage.wait(child), status="completed", activation=2, epoch=2)
    same(stage.messages(child), [("user", "first"), ("assistant", "echo: first"), ("user", "second"),
                                 ("assistant", "echo: second")])


def an_earlier_job_keeps_its_outcome(stage):
    parent, child = stage.family()
    for number in range(2):
        stage.submit(parent, child, "echo", job_id=f"j-{number}")
        stage.wait(child)
    holds(stage.client.ok("get", child=child, job_id="j-0")["activation"], state="terminal", status="completed", activation=1)
    holds(stage.client.ok("wait", child=child, job_id="j-0")["activation"], activation=1)
    holds(stage.client.ok("get", child=child)["activation"], job="j-1", activation=2)


def replay_gives_the_durable_events_from_a_place_on(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    stage.submit(parent, child, "echo", "a b c")
    durable = [(header, event) for _, header, event in subscriber.until_completed(child) if header["class"] == "durable"]
    whole = stage.client.ok("replay", child=child)
    same([(entry["header"], entry["event"]) for entry in whole["events"]], durable)
    holds(whole, first_available="1-1", logged_to=f"1-{durable[-1][0]['seq']}")
    seqs = [header["seq"] for header, _ in durable]
    for start, want in ((seqs[1], seqs[1:]), (seqs[0] + 1, seqs[1:]), (seqs[-1] + 1, [])):
        part = stage.client.ok("replay", child=child, from_epoch=1, from_seq=start)
        same([entry["header"]["seq"] for entry in part["events"]], want)
    same(len(stage.client.ok("replay", child=child, limit=1)["events"]), 1)


def a_queued_cancel_ends_at_once_and_is_published(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    stage.submit(parent, child, "nobody-offers-this")
    holds(stage.client.ok("cancel", child=child), delivery="ended")
    topic, header, event = subscriber.until_completed(child)[-1]
    holds(event, status="cancelled")
    holds(header, epoch=1, seq=1)
    holds(stage.wait(child), state="terminal", status="cancelled")
    holds(stage.client.ask("cancel", child=child), code="ENDED")


def a_message_to_a_child_that_does_not_run_is_queued_for_its_next(stage):
    parent, child = stage.family()
    stage.submit(parent, child, "echo", "first")
    stage.wait(child)
    holds(stage.client.ok("send", child=child, text="and then", message_id="m-9"), delivery="queued", message_id="m-9")
    holds(stage.client.ask("send", child=child, text="and then", message_id="m-9"), code="DUPLICATE")
    same(stage.messages(child), [("user", "first"), ("assistant", "echo: first"), ("user", "and then")])


def status_and_runners_describe_the_service(stage):
    with stage.runner(labels=["gpu"], slots=3) as runner:
        mine = [one for one in stage.client.ok("runners")["runners"] if one["runner"] == runner.name]
        same(len(mine), 1)
        holds(mine[0], incarnation=runner.incarnation, state="alive", linked=True, owned=0, free=3, idle={})
        holds(mine[0]["facts"], slots=3, labels=["gpu"], profiles=[runner.name], version="python")
        status = stage.client.ok("status")
        assert status["links"] >= 2 and status["store"]["state"] == "up" and status["counters"]["joins"] >= 2, status


# ---- a runner in Python (section 5) ----

def a_runner_in_python_runs_a_job_from_assign_to_completed(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        subscriber = stage.subscribe(f"{parent}/{child}/", runner=runner)
        stage.submit(parent, child, runner.name, "count", job_id="j-1", session=child_session(child, "count", title="Count"))
        held = runner.take(child)
        holds(held.assign, parent=parent, job="j-1", epoch=1, attempt=1, profile=runner.name, model="")
        same([(m["role"], m["content"]) for m in held.messages], [("user", "count")])
        same(runner.start(held), "OK")
        holds(stage.client.ok("get", child=child)["activation"], state="running", status="running", runner=runner.name)
        runner.tell(held, {"type": "token", "content": "one "})
        logged = [runner.tell(held, {"type": "tool_start", "tool_name": "wc"}, "durable")]
        same(runner.log("append", held, logged), "OK")
        same(runner.finish(held, "completed", "There are 12."), "OK")
        got = subscriber.until_completed(child)
        same([header["prev_durable"] for _, header, _ in got], [0, 1, 1, 3])
        holds(stage.wait(child), state="terminal", status="completed")
        same(stage.messages(child), [("user", "count"), ("assistant", "There are 12.")])
        same([entry["header"]["seq"] for entry in stage.client.ok("replay", child=child)["events"]], [1, 3, 4])


def what_is_sent_again_is_answered_again(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        same(runner.start(held), "OK")
        same(runner.log("start", held, []), "OK")
        event = runner.tell(held, {"type": "tool_start"}, "durable")
        same(runner.log("append", held, [event]), "OK")
        assert runner.log("append", held, [event]) in ("OK", "DUPLICATE")
        same(runner.finish(held, "completed", "done"), "OK")
        same(runner.log("finish", held, [], b"", status="completed"), "DUPLICATE")
        same(runner.log("finish", held, [], b"", status="error", error="the first end stands"), "FENCED")
        holds(stage.wait(child), status="completed")
        same(stage.messages(child), [("user", "hello"), ("assistant", "done")])
        same([entry["header"]["seq"] for entry in stage.client.ok("replay", child=child)["events"]], [1, 2, 3])


def finish_need_not_wait_for_earlier_acks(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        events = [runner.tell(held, {"type": "tool_start"}, "durable") for _ in range(4)]
        for op, carried in (("start", events[:1]), ("append", events[1:3])):
            runner.write(op, held, carried)
        same(runner.finish(held, "completed", events=events), "OK")
        holds(runner.expect("ack", op="start")[0], code="OK", seq=1)
        holds(runner.expect("ack", op="append")[0], code="OK", seq=3)
        same([entry["header"]["seq"] for entry in stage.client.ok("replay", child=child)["events"]], [1, 2, 3, 4, 5])


def a_wrong_token_is_fenced(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        token, held.token = held.token, "0" * 32
        same(runner.log("start", held, []), "FENCED")
        same(runner.log("append", held, [(held.header("durable"), held.event("sub_agent_event", event={"type": "x"}))]), "FENCED")
        held.token = token
        same(runner.start(held), "OK")
        same(runner.finish(held, "error", error="no luck"), "OK")
        holds(stage.wait(child), status="error", error="no luck")


def credit_is_the_number_of_assignments_that_may_come(stage):
    parent, child = stage.family()
    with stage.runner(slots=1) as runner:
        for number in range(2):
            stage.submit(parent, f"{child}-{number}", runner.name)
        held = runner.take(f"{child}-0")
        same(runner.start(held), "OK")
        holds(stage.client.ok("get", child=f"{child}-1")["activation"], state="queued")
        same([message for message in runner.inbox if message[0]["kind"] == "assign"], [])
        same(runner.finish(held, "completed"), "OK")
        same(runner.finish(runner.take(f"{child}-1"), "skipped"), "OK")
        holds(stage.wait(f"{child}-1"), status="skipped")


def an_unknown_peer_says_hello_again_and_keeps_what_it_holds(stage):
    parent, child = stage.family()
    with stage.runner(slots=1) as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        runner.link.close(0)
        runner.link = socket_to(zmq.DEALER, runner.endpoint, "runner")
        runner.credit(0)
        holds(runner.expect("refused")[0], code="NOT_FOUND")
        runner.hello()
        runner.expect("welcome")
        runner.granted = 0  # counts anew
        same(runner.start(held), "OK")
        same(runner.synced().get("owned"), None)
        same(runner.finish(held, "completed"), "OK")
        stage.submit(parent, f"{child}-next", runner.name)
        same(runner.finish(runner.take(f"{child}-next"), "completed"), "OK")


def a_hello_without_what_it_needs_is_refused_by_name(stage):
    runner = stage.runner()
    runner.link = socket_to(zmq.DEALER, runner.endpoint, "runner")
    runner.link.send(pack({"kind": "hello", "v": 1, "runner": "a b"}))
    refused, _ = runner.expect("refused")
    same(refused["code"], "BAD_ID")
    runner.link.send(pack({"kind": "hello", "v": 9}))
    same(runner.expect("refused")[0]["code"], "BAD_VERSION")
    runner.close()


def sync_brings_an_assignment_that_was_not_heard_of(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        lost = runner.take(child)
        del runner.held[child]
        same(runner.synced()["owned"], [f"{child} {lost.epoch}"])
        runner.granted += 1  # a repeated assignment uses credit too
        again = runner.take(child)
        same((again.epoch, again.token, again.messages), (lost.epoch, lost.token, lost.messages))
        same(runner.synced().get("owned"), None)
        same(runner.finish(again, "completed"), "OK")


def sync_shows_what_is_held_but_not_owned(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        same(runner.finish(held, "completed"), "OK")
        runner.held[child] = held
        holds(runner.synced(), code="OK", owned=[])
        same(runner.log("append", held, []), "ENDED")
        del runner.held[child]


def a_cancel_reaches_the_runner_and_stays_in_sync_until_the_end(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        runner.start(held)
        holds(stage.client.ok("cancel", child=child), delivery="forwarded")
        cancel, _ = runner.expect("cancel", child=child, epoch=held.epoch)
        assert not cancel.get("now"), cancel
        same(runner.synced()["cancels"], [child])
        holds(stage.client.ok("cancel", child=child, now=True), delivery="forwarded")
        runner.expect("cancel", child=child, now=True)
        same(runner.finish(held, "cancelled"), "OK")
        holds(stage.wait(child), status="cancelled", cancelled=True)


def a_cancelled_assignment_that_never_started_ends_without_a_run(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        delivery = stage.client.ok("cancel", child=child)["delivery"]
        same(delivery, "forwarded")
        runner.expect("cancel", child=child)
        same(runner.finish(held, "cancelled"), "OK")
        holds(stage.wait(child), status="cancelled")


def steering_is_live_when_it_was_written_and_stored_once_either_way(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        runner.start(held)
        for text, live in (("go \"left\"", True), ("no, right", False)):
            stage.client.send("send", child=child, text=text)
            steer, (payload,) = runner.expect("steer", child=child, epoch=held.epoch)
            same(json.loads(payload), text)
            runner.send({"kind": "steered", "child": child, "id": steer["id"], "live": live})
            holds(stage.client.reply(), code="OK", message_id=steer["id"], delivery="live" if live else "queued")
        runner.finish(held, "completed", "done")
        got = stage.messages(child)
        same(sorted(got), sorted([("user", "hello"), ("assistant", "done"), ("user", "go \"left\""), ("user", "no, right")]))


def a_released_activation_goes_back_to_the_queue(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        held = runner.take(child)
        same(runner.release(held, "no worker today"), "OK")
        again = runner.take(child)
        assert again.epoch > held.epoch and again.token != held.token, again.assign
        same(again.assign["attempt"], 1)
        same(runner.log("start", held, []), "FENCED")
        same(runner.finish(again, "completed"), "OK")


def logs_are_asked_of_the_runner(stage):
    parent, child = stage.family()
    with stage.runner() as runner:
        stage.submit(parent, child, runner.name)
        runner.finish(runner.take(child), "completed")
        stage.client.send("logs", child=child)
        asked, _ = runner.expect("logs", child=child)
        runner.send({"kind": "output", "id": asked["id"], "code": "OK"}, "läuft\n".encode())
        holds(stage.client.reply(), code="OK", runner=runner.name, text="läuft\n")
        stage.client.send("logs", child=child)
        runner.send({"kind": "output", "id": runner.expect("logs", child=child)[0]["id"], "code": "NOT_FOUND"})
        holds(stage.client.reply(), code="NOT_FOUND")


def a_new_incarnation_ends_the_older_one(stage):
    parent, child = stage.family()
    older = stage.runner().join()
    stage.submit(parent, child, older.name, max_attempts=2)
    held = older.take(child)
    older.start(held)
    with Runner(stage.endpoints["runners"], older.name, [older.name]) as newer:
        again = newer.take(child)
        holds(again.assign, attempt=2)
        assert again.epoch > held.epoch and again.assign["previous_error"], again.assign
        older.sync()
        holds(older.expect("refused")[0], code="NOT_FOUND")
        newer.start(again)
        same(newer.release(again, "too late"), "STATE")
        newer.held[child] = again
        same(newer.finish(again, "completed", "second try"), "OK")
        holds(stage.wait(child), status="completed", attempt=2)
    older.hello()
    holds(older.expect("refused", code="DEAD")[0])
    older.close()


def a_silent_runner_is_condemned_and_its_work_settled(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    silent = stage.runner().join()
    for number in range(2):
        stage.submit(parent, f"{child}-{number}", silent.name)
    started, waiting = silent.take(f"{child}-0"), silent.take(f"{child}-1")
    silent.start(started)
    silent.tell(started, {"type": "token", "content": "live only"})
    holds(stage.wait(started.child), status="error", state="terminal", error=f"runner lost: {silent.name}")
    _, header, event = subscriber.until_completed(started.child)[-1]
    holds(header, epoch=2, prev_durable=0, seq=1)
    holds(event, status="error", error=f"runner lost: {silent.name}")
    holds(stage.client.ok("get", child=waiting.child)["activation"], state="queued", attempt=1)
    holds(silent.expect("refused")[0], code="DEAD")
    silent.close()
    with Runner(stage.endpoints["runners"], silent.name, [silent.name]) as anew:
        anew.finish(anew.take(waiting.child), "completed")
        holds(stage.wait(waiting.child), status="completed", attempt=1, epoch=2)


def a_runner_that_says_bye_is_gone_and_what_it_did_not_start_waits(stage):
    parent, child = stage.family()
    runner = stage.runner().join()
    stage.submit(parent, child, runner.name)
    runner.take(child)
    runner.bye()
    deadline = time.monotonic() + PATIENCE
    while any(one["runner"] == runner.name and one["linked"] for one in stage.client.ok("runners")["runners"]):
        assert time.monotonic() < deadline, "still there"
    with Runner(stage.endpoints["runners"], runner.name, [runner.name]) as anew:
        anew.finish(anew.take(child), "completed")
    holds(stage.wait(child), status="completed", epoch=2)


# ---- a worker in Python (section 8) ----

def inner_events(got):
    """What the worker said, without the runner's own events."""
    return [event["event"] for _, _, event in got if event["type"] == "sub_agent_event"]


def run_worker(stage, text, **members):
    """A child of profile `python`: (child, its events from start to end)."""
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/{child}/")
    stage.submit(parent, child, "python", text, **members)
    return child, subscriber.until_completed(child)


def a_worker_in_python_serves_a_run(stage):
    child, got = run_worker(stage, "hello world")
    same(inner_events(got), [{"type": "token", "content": "hello "}, {"type": "token", "content": "world "}, {"type": "complete"}])
    holds(got[-1][2], status="completed")
    same(stage.messages(child), [("user", "hello world"), ("assistant", "2 words, 1 messages")])


def a_worker_is_provisioned_once_and_serves_again(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    session = child_session(child, "spec?", workspace="/tmp", metadata={"subagent_type": "explorer"},
                            model_ref={"provider": "p-1", "model": "m-1"})
    spawned = []
    for number in range(2):
        stage.submit(parent, f"{child}-{number}", "python", session={**session, "id": f"{child}-{number}"}, disabled_tools=["Bash"])
        spawned.append(inner_events(subscriber.until_completed(f"{child}-{number}"))[0])
    spec = conforms("provision", {**spawned[0]["spec"], "secrets": {}})
    holds(spec, version=1, workspace="/tmp", model={"provider": "p-1", "model": "m-1"}, disabled_tools=["Bash"], reusable=True)
    same(spec["identity"], {"child_id": f"{child}-0", "parent_id": parent, "role": "explorer"})
    same(spawned[0]["args"], ["one", "two"])
    same(spawned[1], spawned[0])  # the same process, still under the first child's id


def steering_reaches_the_worker_live(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    stage.submit(parent, child, "python", "begin steering? end")
    while "token" not in subscriber.next()[0]:
        pass  # until it has begun
    holds(stage.client.ok("send", child=child, text="to the \"left\""), delivery="live")
    texts = [event.get("content") for event in inner_events(subscriber.until_completed(child))]
    same(texts, ["steered: to the \"left\"", "end ", None])
    same(stage.messages(child)[-2:], [("assistant", "3 words, 1 messages"), ("user", "to the \"left\"")])


def a_cancel_frame_ends_the_run_of_the_worker(stage):
    parent, child = stage.family()
    subscriber = stage.subscribe(f"{parent}/")
    stage.submit(parent, child, "python", "begin steering?")
    while "token" not in subscriber.next()[0]:
        pass
    holds(stage.client.ok("cancel", child=child), delivery="forwarded")
    holds(subscriber.until_completed(child)[-1][2], status="cancelled")


def errors_of_a_worker_are_told(stage):
    for text, error in (("fail", "LLM error: no luck"), ("vanish!", "LLM error: actor child closed before terminal"),
                        ("suspend", "LLM error: actor child suspended, which is not served")):
        child, got = run_worker(stage, text)
        holds(got[-1][2], status="error", error=error)
        holds(stage.wait(child), status="error", error=error)


def an_approval_request_is_answered_no(stage):
    _, got = run_worker(stage, "approval?")
    changed, answered = inner_events(got)[:2]
    holds(changed, type="child_approval_changed", approved=False, by="policy")
    same(answered, {"type": "answered", "approved": False})


def unknown_frames_are_passed_over_and_batches_are_taken_apart(stage):
    _, got = run_worker(stage, "nonsense!")
    told = [(topic.rsplit("/", 1)[1].removeprefix("sub_agent_event."), header["class"]) for topic, header, event in got
            if event["type"] == "sub_agent_event"]
    same(told, [("token", "ephemeral"), ("note", "durable"), ("other", "durable"), ("runner_progress", "snapshot"),
                ("sub_agent_event", "ephemeral"), ("complete", "durable")])
    holds(got[-1][2], status="completed")


def what_a_worker_writes_to_stderr_is_in_its_logs(stage):
    child, _ = run_worker(stage, "grumble!")
    deadline = time.monotonic() + PATIENCE
    while "grumble" not in stage.client.ok("logs", child=child)["text"]:
        assert time.monotonic() < deadline, "nothing in the logs"


def cases():
    """The functions that take the stage and nothing else, by name."""
    return {name: case for name, case in globals().items()
            if callable(case) and getattr(case, "__module__", None) == __name__ and not isinstance(case, type)
            and case.__code__.co_varnames[:case.__code__.co_argcount] == ("stage",)}


def passes(stage, name, case):
    """Runs one case and prints its line."""
    started = time.monotonic()
    try:
        case(stage)
    except Exception as problem:  # every failure is a line, whatever it is
        print(f"FAILED  {name}: {type(problem).__name__}: {problem}", flush=True)
        stage.client.close()  # a REQ socket that awaits a reply takes no other request
        stage.client = Client(stage.up.context["control"])
        return False
    print(f"ok      {name}  ({time.monotonic() - started:.2f} s)", flush=True)
    return True


def main():
    known = cases()
    wanted = sys.argv[1:] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no such case: {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    with Stage() as stage:
        passed = sum(passes(stage, name, known[name]) for name in wanted)
    print(f"{passed} passed, {len(wanted) - passed} failed")
    return 0 if passed == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
