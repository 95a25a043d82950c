"""Judges a run: what was promised against what clients heard and what the store holds. Pure functions over recorded facts.

facts: {load, store, looks, losses, trees, samples, timeline, watched, leftovers, stubborn}; load is what load.py wrote, store what truth.read_all() read.
Each check answers a Verdict; a broken promise comes with evidence that names children, epochs and times.
"""
from collections import Counter, namedtuple

Verdict = namedtuple("Verdict", "promise held evidence")
EVIDENCE_MAX = 12
SETTLED_S = 20.0
RSS_MAX = 400 << 20
FDS_MAX = 600
OWNED_PER_SLOT = 5
OUTAGES = {"kill_store", "stop_store", "long_outage", "stutter_store", "disk_full", "function_flush",
           "kill_primary", "stop_primary", "cut_primary", "isolate_primary", "stop_replica", "kill_replica"}  # for every broker: then nobody can settle
HARM = {"kill_worker", "kill_runner", "lose_runner", "kill_keeper", "hang_runner", "restart_runner", "long_partition", "condemn",
        "no_descriptors"}  # may fail children of their runner
LATE_S = 5.0  # after an outage its consequences may still be felt


def verdict(promise, wrong, good):
    """Held with a sentence of how much was looked at, or broken with what was found."""
    shown = wrong[:EVIDENCE_MAX]
    if len(wrong) > len(shown):
        shown = shown + [f"... and {len(wrong) - len(shown)} more"]
    return Verdict(promise, not wrong, shown or [good])


def receipted(load):
    return {child: job for child, job in load["jobs"].items() if job["code"] in ("OK", "DUPLICATE")}


def one_place(facts):
    wrong = [f"{look['at']:.1f} s: {why}" for look in facts["looks"] for why in look["wrong"]]
    wrong += [f"at the end: {why}" for why in facts["store"]["places"]["wrong"]]
    return verdict("Every activation is in exactly one place, at every moment", wrong,
                   f"{len(facts['looks'])} atomic looks at the whole store, under faults")


def nothing_lost(facts):
    children, jobs = facts["store"]["children"], receipted(facts["load"])
    wrong = []
    for child, job in jobs.items():
        stored = children.get(child)
        if stored is None:
            wrong.append(f"{child}: had a receipt ({job['code']}), and the store does not know it")
        elif stored["a"]["state"] != "terminal":
            wrong.append(f"{child}: is {stored['a']['state']} of {stored['a']['owner']} long after the last fault")
    return verdict("Nothing with a receipt is lost", wrong, f"{len(jobs)} jobs with receipts, all terminal")


def strict(facts):
    told = facts.get("durability", "strict")
    wrong = [f"{child}: {job['durability']}" for child, job in receipted(facts["load"]).items() if job["durability"] not in (told, None)]
    return verdict(f"Receipts say {told}, as Redis was set", wrong, "all did")


def drained(facts):
    store = facts["store"]
    wrong = [f"{child}: {fields['a']['state']}" for child, fields in store["children"].items() if fields["a"]["state"] not in ("terminal", "none")]
    if store["queued"] != 0 or store["classes"]:
        wrong.append(f"the queues still count {store['queued']} entries, classes {store['classes']}")
    return verdict("Work goes on by itself: all that was accepted came to an end", wrong, f"{len(store['children'])} activations, all terminal")


def one_terminal(facts):
    ends = Counter(entry["child"] for entry in facts["store"]["completions"])
    children = facts["store"]["children"]
    wrong = [f"{child}: {n} completions" for child, n in ends.items() if n != 1]
    wrong += [f"{child}: a completion of a child that does not exist" for child in ends if child not in children]
    wrong += [f"{child}: terminal, but never in completions" for child, stored in children.items()
              if stored["a"]["state"] == "terminal" and child not in ends]
    for entry in facts["store"]["completions"]:
        stored = children.get(entry["child"])
        if stored and (entry["status"], entry["epoch"]) != (stored["a"]["status"], stored["a"]["epoch"]):
            wrong.append(f"{entry['child']}: completed as {entry['status']} in epoch {entry['epoch']}, stored {stored['a']['status']} in "
                         f"{stored['a']['epoch']}")
    return verdict("Exactly one terminal per activation, and none for what nobody asked", wrong, f"{len(ends)} completions")


def right_result(facts):
    """A completed echo has its answer once; one that did not complete has none."""
    wrong, children = [], facts["store"]["children"]
    for child, job in facts["load"]["jobs"].items():
        if child not in children or job["kind"] == "stubborn":
            continue
        stored = children[child]
        answers = [m["content"] for m in stored["messages"] if m["role"] == "assistant"]
        # steering that came while it was queued is part of the conversation, and its last user message the assignment
        heard = [job["words"]] + [steer["text"] for steer in [facts["load"]["steers"].get(child)] if steer]
        fine = len(answers) == 1 and answers[0] in [f"echo: {text}" for text in heard]
        if not fine if stored["a"]["status"] == "completed" else answers:
            wrong.append(f"{child}: {stored['a']['status']} with the answers {answers}")
    return verdict("Each session holds the answer of its one run, once", wrong, f"{len(children)} sessions")


def fenced(facts):
    forged = facts["load"]["forged"]
    wrong = [f"{child} epoch {epoch}: forged {op} ({what}) was answered {code}" for child, epoch, what, op, code in forged
             if code in ("OK", "DUPLICATE")]
    wrong += [f"{child}: holds a forged answer" for child, stored in facts["store"]["children"].items()
              if any(m.get("content") == "forged" for m in stored["messages"])]
    kinds = Counter((what, code) for _, _, what, _, code in forged)
    return verdict("Stale and forged writes are refused", wrong, ", ".join(f"{what}: {n} x {code}" for (what, code), n in sorted(kinds.items())))


def cancels(facts):
    """A cancel that was taken ends the child; it may lose against an end, never be forgotten."""
    wrong, n, children = [], 0, facts["store"]["children"]
    for child, cancel in facts["load"]["cancels"].items():
        job, stored = facts["load"]["jobs"][child], children.get(child)
        if cancel["code"] != "OK" or stored is None:
            continue
        n += 1
        if job["kind"] == "endless" and stored["a"]["status"] not in ("cancelled", "error"):
            wrong.append(f"{child}: cancel answered {cancel['code']} {cancel['delivery']}, but it ended {stored['a']['status']}")
        elif stored["a"]["cancelled"] == "0" and stored["a"]["state"] == "terminal":
            wrong.append(f"{child}: cancel answered {cancel['code']} {cancel['delivery']}, but it is not stored")
    return verdict("A cancel that was answered OK is not forgotten", wrong, f"{n} cancels")


def steering(facts):
    wrong, n, children = [], 0, facts["store"]["children"]
    for child, steer in facts["load"]["steers"].items():
        if steer["code"] not in ("OK", "DUPLICATE") or child not in children:
            continue
        n += 1
        times = sum(m.get("content") == steer["text"] for m in children[child]["messages"])
        if times != 1:
            wrong.append(f"{child}: steering answered {steer['code']} {steer.get('delivery')} is {times} times in the session")
    return verdict("Every steering message is in the session exactly once", wrong, f"{n} messages")


def no_rerun(facts):
    """Started runs of max_attempts 1 are not started again."""
    wrong = []
    for child, job in facts["load"]["jobs"].items():
        stored = facts["store"]["children"].get(child)
        runs = sum(note.split(" ")[3] == "running" for note in stored["notes"]) if stored else 0
        if runs > job["attempts"]:
            wrong.append(f"{child}: started {runs} times, max_attempts {job['attempts']}")
    for broker, children in facts["load"]["heard"].items():
        for child, entries in children.items():
            starts = Counter(epoch for epoch, _, _, _, kind, _, _ in entries if kind == "sub_agent_started")
            wrong += [f"{broker} {child}: heard to start {n} times in epoch {epoch}" for epoch, n in starts.items() if n > 1]
    return verdict("Nothing is started more often than its job allows", wrong, f"{len(facts['load']['jobs'])} jobs")


def causes(facts):
    """Errors need a fault of their runner that explains them: no outage, no broker and no clock fails a child."""
    known = ("runner lost", "actor child closed", "actor transport", "actor connect failed", "runner stopped", "exited", "stopped", "registered",
             "Too many open files")
    failed = ("error", "timeout", "skipped")
    errors = {child: stored["error"] for child, stored in facts["store"]["children"].items() if stored["a"]["status"] in failed}
    wrong = [f"{child}: {error}" for child, error in errors.items() if not any(word in error for word in known)]
    harmed = {"r" + step["target"][1:] for step in facts["timeline"] if step["fault"] in HARM and step["target"][0] in "rh"}
    for child, error in errors.items():
        assigned = [note.split(" ")[5] for note in facts["store"]["children"][child]["notes"] if note.split(" ")[3] == "assigned"]
        if not harmed.intersection(assigned):
            wrong.append(f"{child}: {error}, but nothing was done to {assigned}")
    kinds = Counter("".join(c for c in error if not c.isdigit()).strip()[:70] for error in errors.values())
    return verdict("Only faults fail children", wrong, "; ".join(f"{n} x {kind}" for kind, n in kinds.most_common(5)) or "no child failed")


def order(facts):
    """Per broker and child as README 9.5 has it: lower epochs are dropped, seq rises, nothing follows the end but its repeat.

    The end of a lost runner is repeated by every broker (README 6): that repeat may overtake what the runner had said before and a slow link
    still carries. A subscriber drops it, and prev_durable of the end tells what to replay."""
    wrong, n, lost = [], 0, {loss["incarnation"] for loss in facts["losses"]}
    children = facts["store"]["children"]
    for broker, heard in facts["load"]["heard"].items():
        for child, entries in heard.items():
            high, seq, ended, known = 0, 0, None, set()
            overtaken = child in children and children[child]["a"]["owner"] in lost
            for epoch, number, _, _, kind, status, _ in entries:
                n += 1
                if epoch > high:
                    high, seq, ended, known = epoch, 0, None, set()
                late = ended is not None and overtaken and number < ended[0] and number not in known
                if epoch == high:
                    known.add(number)
                if epoch < high or ended == (number, status) or late:
                    continue
                if ended is not None:
                    wrong.append(f"{broker} {child}: {kind} {epoch}-{number} after the end {ended}")
                elif number <= seq:
                    wrong.append(f"{broker} {child}: {kind} {epoch}-{number} after {epoch}-{seq}")
                seq = number
                if kind == "sub_agent_completed":
                    ended = (number, status)
    return verdict("Events of an epoch come in order, and none after its end", wrong, f"{n} events heard")


def committed(facts):
    """An end that was published is the one the store committed."""
    wrong, n, children = [], 0, facts["store"]["children"]
    for broker, heard in facts["load"]["heard"].items():
        for child, entries in heard.items():
            logged = {(e["epoch"], e["seq"], e["status"]) for e in children[child]["log"] if e["type"] == "sub_agent_completed"} \
                if child in children else set()
            for epoch, seq, _, _, kind, status, _ in entries:
                n += kind == "sub_agent_completed"
                if kind == "sub_agent_completed" and (epoch, seq, status) not in logged:
                    wrong.append(f"{broker} {child}: heard {status} at {epoch}-{seq}, the log has {sorted(logged)}")
    return verdict("An end is published only after it was committed", wrong, f"{n} ends heard")


def logged(facts):
    """The log of the last epoch has its end last, and no hole: each entry's prev_durable is the entry before."""
    wrong = []
    for child, stored in facts["store"]["children"].items():
        if stored["a"]["state"] != "terminal":
            continue
        epoch = int(stored["a"]["epoch"])
        entries = [entry for entry in stored["log"] if entry["epoch"] == epoch]
        if not entries or entries[-1]["type"] != "sub_agent_completed" or entries[-1]["status"] != stored["a"]["status"]:
            wrong.append(f"{child}: its log of epoch {epoch} ends with {entries[-1] if entries else 'nothing'}, stored {stored['a']['status']}")
            continue
        before = [0] + [entry["seq"] for entry in entries]
        wrong += [f"{child}: {epoch}-{entry['seq']} names {entry['prev_durable']} before it, the log has {last}"
                  for last, entry in zip(before, entries) if entry["prev_durable"] != last]
    return verdict("The log has every durable event of the last epoch, its end last", wrong, f"{len(facts['store']['children'])} logs")


def credit(facts):
    """Slots are free at a run's terminal frame, its finish may be on its way: hence a multiple."""
    wrong = [f"{look['at']:.1f} s: one runner owns {look['most']}" for look in facts["looks"] if look["most"] > OWNED_PER_SLOT * facts["slots"]]
    most = max((look["most"] for look in facts["looks"]), default=0)
    return verdict("No runner owns more than its credit allows", wrong, f"at most {most}")


def late_verdicts(facts):
    """A broker that slept between its look and its call condemns nobody who has moved since."""
    wrong = [f"{v['at']:.1f} s: {v['runner']} was condemned by a counter of the past: {v['answer']}, {v['state']}" for v in facts["verdicts"]
             if v["state"] != "alive" or "STATE" not in v["answer"]]
    return verdict("A verdict from the past condemns nobody", wrong, f"{len(facts['verdicts'])} late verdicts, all refused")


def replayed(facts):
    """What a subscriber missed, it gets by replay: all that the log has."""
    wrong, whole = [], 0
    for child, answer in facts["load"]["replays"].items():
        stored = facts["store"]["children"].get(child)
        if stored is None or not stored["log"]:
            continue
        if answer is None or answer["code"] != "OK":
            wrong.append(f"{child}: replay was answered {answer and answer['code']}")
            continue
        want = [(e["epoch"], e["seq"], e["type"], e["status"]) for e in stored["log"]]
        if [tuple(e) for e in answer["events"]] != want:
            wrong.append(f"{child}: replay gave {len(answer['events'])} events, the log has {len(want)}")
        whole += 1
    return verdict("Gaps are visible, and replay fills them", wrong, f"{whole} children with missed events, all filled by replay")


ENDS_UNREACHED = 69
ENDS = {"completed": 0, "error": 1, "cancelled": 4, "timeout": 5, "skipped": 6}


def in_a_gap(place, gaps):
    return any(after < place < before for after, before in gaps)


def watched(facts):
    """Whoever joins late sees each logged event once and in order, and ends as the child did."""
    wrong, n = [], 0
    for watch in facts["watched"]:
        child, stored = watch["child"], facts["store"]["children"].get(watch["child"])
        if stored is None or watch["code"] == ENDS_UNREACHED and not watch["shown"]:
            continue  # when it began, it reached no broker: it has said so
        n += 1
        shown, log = watch["shown"], [[e["epoch"], e["seq"]] for e in stored["log"]]
        who = f"{child}, watched from {watch['at']:.1f} s"
        if watch["code"] != ENDS.get(stored["a"]["status"]):
            wrong.append(f"{who}: exit code {watch['code']}, the child is {stored['a']['status']}; {watch['said'][-1:]}")
        elif sorted(shown) != shown or any(one == next_one for one, next_one in zip(shown, shown[1:])):
            wrong.append(f"{who}: repeated or out of order: {shown}")
        else:
            wrong += [f"{who}: {epoch}-{seq} is missing" for epoch, seq in log if [epoch, seq] not in shown and not in_a_gap([epoch, seq], watch["gaps"])]
            wrong += [f"{who}: {epoch}-{seq} is shown, and in a gap" for epoch, seq in shown if in_a_gap([epoch, seq], watch["gaps"])]
            wrong += [f"{who}: {epoch}-{seq} is in the log, and called a gap" for epoch, seq in log if in_a_gap([epoch, seq], watch["gaps"])]
    return verdict("Whoever joins late misses nothing and sees nothing twice", wrong, f"{n} late watchers, "
                   f"{sum(len(watch['shown']) for watch in facts['watched'])} durable events, through every restart")


def no_orphans(facts):
    wrong = [f"{tree['at']:.1f} s: of {tree['runner']} still there: {', '.join(tree['left'])}" for tree in facts["trees"] if tree["left"]]
    wrong += [f"after everything ended: {what}" for what in facts["leftovers"]]
    return verdict("No process outlives its runner by 5 s", wrong, f"{sum(len(t['marks']) for t in facts['trees'])} processes of "
                   f"{len(facts['trees'])} lost runners, and all at the end")


def settle_times(facts):
    """Seconds from loss to settled: (those without an outage of the store meanwhile, the others)."""
    disturbing = [(step["at"], step["healed"] + LATE_S) for step in facts["timeline"] if step["fault"] in OUTAGES]
    calm, disturbed = [], []
    for loss in facts["losses"]:
        touched = any(began <= loss["at"] + SETTLED_S and loss["at"] <= ended for began, ended in disturbing)
        (disturbed if touched else calm).extend(loss["settled"].values())
    return sorted(calm), sorted(disturbed)


def percentile(values, p):
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else None


def settled(facts):
    calm, disturbed = settle_times(facts)
    wrong = [f"{loss['runner']} lost at {loss['at']:.1f} s: {sorted(loss['open'])[:5]} never settled" for loss in facts["losses"] if loss["open"]]
    p99 = percentile(calm, 99)
    if p99 is not None and p99 > SETTLED_S:
        wrong.append(f"p99 of {len(calm)} is {p99:.1f} s, worst {calm[-1]:.1f} s")
    good = f"{len(calm)} activations, p50 {percentile(calm, 50) or 0:.1f} s, p99 {p99 or 0:.1f} s; {len(disturbed)} more while the store was away"
    return verdict("What a lost runner had is settled within 20 s (p99)", wrong, good)


def bounded(facts):
    most = {}
    for sample in facts["samples"]:
        if sample["name"] != "redis":
            rss, fds = most.get(sample["name"], (0, 0))
            most[sample["name"]] = (max(rss, sample["rss"]), max(fds, sample["fds"]))
    wrong = [f"{name}: {rss >> 20} MiB, {fds} descriptors" for name, (rss, fds) in most.items() if rss > RSS_MAX or fds > FDS_MAX]
    return verdict("Memory and descriptors stay bounded", wrong,
                   ", ".join(f"{name} {rss >> 20} MiB {fds} fds" for name, (rss, fds) in sorted(most.items())))


def consuming(facts):
    """At the end each runner takes and completes a job that only it may take."""
    calls = {job["label"]: child for child, job in facts["load"]["jobs"].items() if job["kind"] == "rollcall"}
    wrong = []
    for label, child in calls.items():
        stored = facts["store"]["children"].get(child)
        if stored is None or stored["a"]["status"] != "completed":
            wrong.append(f"{label}: its job {child} is {stored['a']['state'] + ' ' + stored['a']['status'] if stored else 'unknown'}")
    return verdict("Ready means consuming: after the faults every runner works", wrong, f"{', '.join(calls)} did")


def answered(facts):
    wrong = [f"{child}: {job['reply']['code']} {job['reply'].get('message', '')}" for child, job in facts["load"]["jobs"].items() if "reply" in job]
    wrong += [f"{child}: no answer to its submit, with retries for two minutes" for child, job in facts["load"]["jobs"].items()
              if job["code"] is None]
    return verdict("Every submit is answered in the end, by OK", wrong, f"{len(facts['load']['jobs'])} submits, "
                   + ", ".join(f"{n} x {code}" for code, n in sorted(facts["load"]["codes"].items())))


def alive(facts):
    """No daemon ended but by a fault, and all end when asked."""
    wrong = list(facts["deaths"]) + [f"{name} did not end within 20 s of SIGTERM" for name in facts["stubborn"]]
    return verdict("No daemon falls over, and each ends when asked", wrong, "none fell, all ended")


CHECKS = (nothing_lost, one_place, one_terminal, right_result, drained, strict, answered, fenced, no_rerun, causes, cancels, steering, order,
          committed, logged, replayed, watched, late_verdicts, credit, no_orphans, settled, consuming, bounded, alive)


def judge(facts):
    return [check(facts) for check in CHECKS]
