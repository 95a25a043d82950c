#!/usr/bin/python3
"""The schemas of proto/schema against the vectors of tests/vectors, judged by a validator that is not ours.

Every schema must be a good schema, every vector must satisfy the schema of its folder, and every spoilt copy of a
vector in SPOILT must be refused.  Prints each failure, then `N passed, M failed`; exits 1 if anything failed.

With the name of a message: standard input holds such messages, one a line, and each must satisfy its schema."""
import copy
import json
import pathlib
import sys

from jsonschema import Draft202012Validator, RefResolver

TOP = pathlib.Path(__file__).resolve().parents[2]
VECTORS = TOP / "tests" / "vectors"
NO_SCHEMA = {"agents"}  # part of the configuration, not a message
GONE = object()

# (message, vector, path to the member, what it becomes)
SPOILT = [
    ("spawn-job", "smallest", "parent_session_id", GONE),
    ("spawn-job", "smallest", "child_session_id", "a/b"),
    ("spawn-job", "smallest", "child_session_id", ""),
    ("spawn-job", "smallest", "child_session_id", "a" * 129),
    ("spawn-job", "full", "model", None),
    ("spawn-job", "full", "require.labels", "gpu"),
    ("spawn-job", "full", "require.profile", "a b"),
    ("spawn-job", "full", "disabled_tools", [""]),
    ("spawn-job", "full", "disabled_tools", ["x"] * 257),
    ("spawn-job", "full", "max_attempts", 0),
    ("spawn-job", "full", "max_attempts", 101),
    ("spawn-job", "queue-limit", "max_queue_secs", -1),
    ("spawn-job", "queue-limit", "max_queue_secs", 31536001),
    ("spawn-job", "full", "priority", "urgent"),
    ("spawn-job", "full", "session.metadata.title", 7),
    ("spawn-job", "full", "session.messages.0.role", "robot"),
    ("spawn-job", "full", "message.content", GONE),
    ("session", "smallest", "id", GONE),
    ("session", "smallest", "messages", GONE),
    ("session", "child", "kind", "uncle"),
    ("session", "child", "model_ref.model", GONE),
    ("session", "child", "messages.1.content", None),
    ("message", "smallest", "role", "User"),
    ("message", "user", "id", "a b"),
    ("message", "user", "content", ["x"]),
    ("provision", "smallest", "version", GONE),
    ("provision", "smallest", "identity.child_id", "../x"),
    ("provision", "smallest", "executor.kind", "smoke"),
    ("provision", "smallest", "fabric_dir", None),
    ("provision", "command", "executor.command", GONE),
    ("provision", "command", "executor.args", "-u"),
    ("provision", "session", "executor.command", GONE),
    ("program-input", "run", "run", GONE),
    ("program-input", "run", "assignment", GONE),
    ("program-input", "message", "run", 0),
    ("program-input", "cancel", "kind", "later"),
    ("program-output", "event", "type", 7),
    ("program-output", "result", "text", 7),
    ("program-output", "result", "text", GONE),
    ("program-output", "completed", "status", "suspended"),
    ("program-output", "completed", "run", "3"),
    ("program-output", "completed", "result", 12),
    ("program-output", "error", "error", ["x"]),
    ("provision", "full", "limits.idle_timeout_secs", -1),
    ("provision", "full", "secrets.provider_credentials.0.api_key", GONE),
    ("provision", "token", "secrets.connection_token", "0123"),
    ("provision", "asks-first", "capabilities.enforce_permissions", "yes"),
    ("parent-frame", "run", "kind", GONE),
    ("parent-frame", "run", "assignment", GONE),
    ("parent-frame", "run", "messages", {}),
    ("parent-frame", "run", "messages", None),
    ("parent-frame", "message", "text", None),
    ("parent-frame", "approval-reply", "approved", "yes"),
    ("child-frame", "event", "event", GONE),
    ("child-frame", "completed", "status", "done"),
    ("child-frame", "completed", "result", 12),
    ("child-frame", "approval-request", "id", GONE),
    ("child-frame", "event-batch", "batch", []),
    ("agent-record", "upstream", "endpoint", GONE),
    ("agent-record", "upstream", "pid", "28117"),
    ("agent-record", "upstream", "lease_expires_at", "tomorrow"),
    ("agent-record", "upstream", "labels", None),
    ("event-header", "durable", "v", 2),
    ("event-header", "durable", "v", GONE),
    ("event-header", "durable", "seq", 0),
    ("event-header", "durable", "seq", 1.5),
    ("event-header", "durable", "epoch", 9007199254740992),
    ("event-header", "durable", "class", "lossy"),
    ("event", "started", "type", "sub_session_started"),
    ("event", "started", "child_session_id", GONE),
    ("event", "token", "event", {"content": "x"}),
    ("event", "token", "event", []),
    ("event", "heartbeat", "timestamp", GONE),
    ("event", "heartbeat-busy", "last_event_at", "soon"),
    ("event", "heartbeat-busy", "round_count", -1),
    ("event", "approval-requested", "event.resource", GONE),
    ("event", "approval-changed", "event.approved", "yes"),
    ("event", "approval-changed", "event.by", "nobody"),
    ("event", "completed", "status", "running"),
    ("control-request", "hello", "op", "explode"),
    ("control-request", "hello", "op", GONE),
    ("control-request", "hello", "v", 3),
    ("control-request", "hello-range", "v_max", "2"),
    ("control-request", "get", "child", GONE),
    ("control-request", "send", "text", GONE),
    ("control-request", "sync", "nonce", "a b"),
    ("control-request", "wait", "timeout_ms", 0),
    ("control-request", "list", "limit", 1001),
    ("control-request", "submit", "job", GONE),
    ("control-request", "submit", "job.child_session_id", GONE),
    ("control-request", "session_put", "session.messages", GONE),
    ("control-request", "session_put", "rev", "4"),
    ("control-request", "wait", "child", GONE),
    ("control-request", "wait-several", "children", []),
    ("control-request", "wait-several", "children", ["ch-41", "ch-41"]),
    ("control-request", "wait-several", "children", ["a b"]),
    ("control-request", "wait-several", "wait_for", "some"),
    ("control-request", "wait_register", "parent", GONE),
    ("control-request", "wait_register", "children", None),
    ("control-request", "wait_get", "wait_id", GONE),
    ("control-request", "approve", "request", GONE),
    ("control-request", "approve", "approved", None),
    ("control-request", "retry", "child", GONE),
    ("control-request", "explain", "child", "../x"),
    ("control-request", "cancel-tree", "tree", "yes"),
    ("control-request", "list-filtered", "status", "ended"),
    ("control-request", "list-filtered", "since_ms", -1),
    ("control-request", "list-filtered", "before", "1" * 65),
    ("control-request", "runner_cordon", "runner", GONE),
    ("control-request", "runner_cordon-off", "on", "no"),
    ("control-request", "runner_drain", "policy", "hope"),
    ("control-request", "runner_drain", "deadline_ms", 0),
    ("control-reply", "runner_drain", "phase", GONE),
    ("control-reply", "ok", "code", GONE),
    ("control-reply", "ok", "code", "ok"),
    ("control-reply", "bad-id", "message", GONE),
    ("control-reply", "list", "activations", GONE),
    ("control-reply", "hello", "endpoints.events", GONE),
    ("control-reply", "replay", "logged_to", "3"),
    ("control-reply", "replay", "trimmed", -1),
    ("control-reply", "replay", "events.0.header.epoch", "3"),
    ("control-reply", "hello", "brokers.1.endpoints.control", 7411),
    ("link", "welcome-brokers", "brokers.b-1", 7413),
    ("link", "synced-brokers", "brokers", []),
    ("control-reply", "list", "activations.0.waiting", ""),
    ("control-reply", "list", "activations.1.last_event_at", "soon"),
    ("control-reply", "list", "next", ""),
    ("control-reply", "explain", "transitions", GONE),
    ("control-reply", "explain", "transitions.0.at", GONE),
    ("control-reply", "explain", "transitions.3.epoch", "2"),
    ("control-reply", "wait-several", "by", "a b"),
    ("control-reply", "wait_register", "wait.state", "done"),
    ("control-reply", "wait_register", "wait.children.1.status", "running"),
    ("control-reply", "approve", "delivery", GONE),
    ("control-reply", "cancel-tree", "tree.ended", GONE),
    ("control-reply", "cancel-tree-of-a-root", "tree", GONE),
    ("control-reply", "status", "completions.groups.0.lag", GONE),
    ("link", "hello", "kind", "explode"),
    ("link", "hello", "v", 3),
    ("link", "hello-range", "v_max", -1),
    ("link", "welcome-newest", "v", 3),
    ("link", "hello", "labels", None),
    ("link", "append", "token", "0123456789ABCDEF0123456789ABCDEF"),
    ("link", "append", "seqs", [0]),
    ("link", "append", "seqs", list(range(1, 73))),
    ("link", "finish", "status", "running"),
    ("link", "assign", "affinity", GONE),
    ("link", "sync", "digest", "8f6d"),
    ("link", "sync-full", "held", ["a b"]),
    ("link", "synced-differs", "cancels", [["ch-42"]]),
    ("link", "credit", "idle", {"a b": 1}),
    ("link", "credit", "idle", {"k": -1}),
    ("link", "credit-full", "full", ["a b"]),
    ("link", "sync-states", "states", []),
    ("link", "sync-states", "states.ch-41.epoch", GONE),
    ("link", "sync-states", "states.ch-41.round_count", "4"),
    ("link", "synced-now", "cancels_now", [["ch-43"]]),
    ("link", "decide", "approved", GONE),
    ("link", "decide", "epoch", GONE),
    ("link", "decided", "live", "yes"),
    ("link", "ack", "op", "explode"),
    ("link", "ping", "granted", GONE),
    ("link", "ping", "home", "yes"),
    ("link", "pong", "promised", -1),
    ("link", "welcome-pings", "load", "16"),
    ("link", "order", "policy", "hope"),
    ("link", "order", "id", GONE),
    ("link", "phase", "phase", "leaving"),
    ("link", "hello-cordoned", "phase", "off"),
    ("link", "release-rerun", "rerun", "yes"),
    ("link", "closing", "broker", GONE),
]


def load_validators():
    schemas = [json.loads(path.read_text()) for path in sorted((TOP / "proto" / "schema").glob("*.schema.json"))]
    store = {schema["$id"]: schema for schema in schemas}
    return {
        schema["$id"].rsplit("/", 1)[1].removesuffix(".schema.json"):
            Draft202012Validator(schema, resolver=RefResolver(schema["$id"], schema, store))
        for schema in schemas
    }


def spoil(document, path, value):
    """A copy of the document with one member changed or taken out; the member must have been there."""
    document = copy.deepcopy(document)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    owner = document
    for step in way:
        owner = owner[step]
    owner[last]  # raises if this table is out of date
    if value is GONE:
        del owner[last]
    else:
        owner[last] = value
    return document


def check_schema_itself(validator):
    validator.check_schema(validator.schema)
    return None


def check_vector(validators, path):
    errors = list(validators[path.parent.name].iter_errors(json.loads(path.read_text())))
    return f"{errors[0].json_path}: {errors[0].message}" if errors else None


def check_spoilt(validators, message, vector, path, value):
    document = spoil(json.loads((VECTORS / message / f"{vector}.json").read_text()), path, value)
    return "accepted" if validators[message].is_valid(document) else None


def checks(validators):
    """Yields (name, function that returns None or what is wrong)."""
    for name, validator in validators.items():
        yield f"schema {name}", lambda validator=validator: check_schema_itself(validator)
        if name != "common":
            seen = sorted((VECTORS / name).glob("*.json"))
            yield f"vectors of {name}", lambda seen=seen: None if seen else "there are none"
    for path in sorted(VECTORS.glob("*/*.json")):
        if path.parent.name not in NO_SCHEMA:
            yield f"vector {path.parent.name}/{path.name}", lambda path=path: check_vector(validators, path)
    for row in SPOILT:
        shown = "gone" if row[3] is GONE else json.dumps(row[3])[:40]
        yield f"spoilt {row[0]}/{row[1]} with {row[2]} {shown}", lambda row=row: check_spoilt(validators, *row)


def check_lines(message):
    validator = load_validators()[message]
    wrong = [error for line in sys.stdin for error in validator.iter_errors(json.loads(line))]
    for error in wrong:
        print(f"{error.json_path}: {error.message}")
    return 1 if wrong else 0


def main():
    passed = failed = 0
    for name, check in checks(load_validators()):
        try:
            wrong = check()
        except Exception as error:  # an unreadable vector or a bad schema is one failure, not the end
            wrong = f"{type(error).__name__}: {error}"
        if wrong is None:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {name}: {wrong}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(check_lines(sys.argv[1]) if len(sys.argv) > 1 else main())
