#!/usr/bin/env python3
"""The checker itself: a sound history passes, and each way to break a promise is seen by the check that is there for it. Needs no rights."""
import copy
import os
import unittest

import check
import hosts
import mutants
import plan

TOKEN = "a" * 32


def history():
    """One child that ran and completed, as the recorders write it."""
    log = [{"epoch": 1, "seq": 2, "prev_durable": 0, "type": "sub_agent_started", "status": None},
           {"epoch": 1, "seq": 4, "prev_durable": 2, "type": "sub_agent_completed", "status": "completed"}]
    heard = [[1, 1, 0, False, "sub_agent_heartbeat", None, 5.0], [1, 2, 0, True, "sub_agent_started", None, 5.0],
             [1, 3, 2, False, "sub_agent_event.token", None, 5.0], [1, 4, 2, True, "sub_agent_completed", "completed", 5.1]]
    job = {"child": "c-1", "kind": "echo", "words": "hello", "attempts": 1, "label": None, "code": "OK", "at": 4.1, "asked_at": 4.0,
           "durability": "strict"}
    act = {"state": "terminal", "activation": "1", "epoch": "1", "token": TOKEN, "owner": "i-1", "cancelled": "0", "status": "completed"}
    stored = {"a": act, "error": "", "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "echo: hello"}],
              "notes": ["1 1 0 queued b1 - ", "2 1 1 assigned b1 r1 ", "3 1 1 running b1 - ", "4 1 1 completed b1 - "], "log": log}
    return {"load": {"jobs": {"c-1": job}, "cancels": {}, "steers": {}, "pushed": [], "heard": {"b1": {"c-1": heard}, "b2": {"c-1": list(heard)}},
                     "forged": [["c-1", 1, "made-up-token", "finish", "FENCED"]], "replays": {}, "codes": {"OK": 1}},
            "store": {"children": {"c-1": stored}, "completions": [{"child": "c-1", "epoch": "1", "status": "completed"}], "queued": 0,
                      "classes": [], "places": {"wrong": [], "counts": {"terminal": 1}, "live": [], "most": 0}},
            "looks": [{"at": 1.0, "counts": {"running": 1}, "wrong": [], "most": 1}], "losses": [], "trees": [], "samples": [], "timeline": [],
            "deaths": [], "stubborn": [], "leftovers": [], "verdicts": [], "slots": 8,
            "watched": [{"child": "c-1", "at": 1.0, "code": 0, "shown": [[1, 2], [1, 4]], "gaps": [], "said": []}]}


def broken(facts):
    return {one.__name__ for one in check.CHECKS if not one(facts).held}


class Checker(unittest.TestCase):
    def setUp(self):
        self.facts = history()
        self.child = self.facts["store"]["children"]["c-1"]
        self.load, self.store = self.facts["load"], self.facts["store"]
        self.heard = self.load["heard"]["b1"]["c-1"]

    def sees(self, *names):
        self.assertLessEqual(set(names), broken(self.facts), "not seen")

    def test_a_sound_history_passes(self):
        self.assertEqual(broken(self.facts), set())

    def test_a_lost_child_is_seen(self):
        del self.store["children"]["c-1"]
        self.sees("nothing_lost", "one_terminal")

    def test_a_child_that_never_ends_is_seen(self):
        self.child["a"].update(state="running", status="running")
        self.sees("nothing_lost", "drained")

    def test_a_child_in_two_places_is_seen(self):
        self.facts["looks"][0]["wrong"] = ["c-1: queued, but in 2 queues"]
        self.sees("one_place")

    def test_two_completions_are_seen(self):
        self.store["completions"] *= 2
        self.sees("one_terminal")

    def test_a_completion_of_nobody_is_seen(self):
        self.store["completions"].append({"child": "c-9", "epoch": "1", "status": "completed"})
        self.sees("one_terminal")

    def test_a_completion_that_says_otherwise_is_seen(self):
        self.store["completions"][0]["status"] = "error"
        self.sees("one_terminal")

    def test_a_watcher_that_misses_repeats_or_ends_otherwise_is_seen(self):
        watch = self.facts["watched"][0]
        for change in ({"code": 1}, {"shown": [[1, 4]]}, {"shown": [[1, 2], [1, 2], [1, 4]]}, {"shown": [[1, 4], [1, 2]]},
                       {"shown": [[1, 2]], "gaps": [[[1, 2], [1, 5]]]}, {"gaps": [[[1, 1], [1, 3]]]}, {"code": None}):
            self.facts["watched"] = [{**watch, **change}]
            self.sees("watched")

    def test_a_watcher_that_is_told_of_what_was_never_logged_is_fine(self):
        self.facts["watched"][0]["gaps"] = [[[1, 2], [1, 4]]]
        self.assertEqual(broken(self.facts), set())

    def test_two_answers_are_seen(self):
        self.child["messages"].append(self.child["messages"][-1])
        self.sees("right_result")

    def test_an_answer_of_a_run_that_failed_is_seen(self):
        self.child["a"]["status"] = "error"
        self.sees("right_result")

    def test_a_forged_write_that_is_taken_is_seen(self):
        self.load["forged"].append(["c-1", 1, "old-epoch", "finish", "OK"])
        self.sees("fenced")

    def test_a_cancel_that_is_not_stored_is_seen(self):
        self.load["cancels"]["c-1"] = {"code": "OK", "delivery": "forwarded"}
        self.sees("cancels")

    def test_a_steering_message_that_is_missing_or_doubled_is_seen(self):
        self.load["steers"]["c-1"] = {"code": "OK", "text": "left", "delivery": "queued"}
        self.sees("steering")
        self.child["messages"] += [{"role": "user", "content": "left"}] * 2
        self.sees("steering")

    def test_a_run_too_many_is_seen_in_the_store(self):
        self.child["notes"].append("5 1 2 running b1 - ")
        self.sees("no_rerun")

    def test_a_run_too_many_is_heard(self):
        self.heard.append([1, 2, 0, True, "sub_agent_started", None, 6.0])
        self.sees("no_rerun", "order")

    def test_an_event_out_of_order_is_seen(self):
        self.heard[1], self.heard[2] = self.heard[2], self.heard[1]
        self.sees("order")

    def test_an_event_after_the_end_is_seen_and_the_repeated_end_is_not(self):
        self.heard.append(list(self.heard[-1]))
        self.assertEqual(broken(self.facts), set())
        self.heard.append([1, 5, 4, True, "sub_agent_event.tool", None, 6.0])
        self.sees("order")

    def test_the_repeated_end_of_a_lost_runner_may_overtake_what_it_said_but_nothing_comes_twice(self):
        self.heard.insert(2, self.heard[-1])
        self.sees("order")
        self.facts["losses"] = [{"runner": "r1", "at": 5.0, "incarnation": "i-1", "open": [], "settled": {}}]
        self.assertNotIn("order", broken(self.facts))
        self.heard.append(list(self.heard[1]))
        self.sees("order")

    def test_events_of_a_lower_epoch_are_dropped_as_a_subscriber_does(self):
        self.heard.insert(0, [2, 1, 0, False, "sub_agent_heartbeat", None, 4.0])
        self.assertNotIn("order", broken(self.facts))

    def test_an_end_that_was_never_committed_is_seen(self):
        self.heard[-1][5] = "error"
        self.sees("committed")

    def test_a_hole_in_the_log_is_seen(self):
        self.child["log"][1]["prev_durable"] = 3
        self.sees("logged")

    def test_a_log_without_its_end_is_seen(self):
        self.child["log"].pop()
        self.sees("logged")

    def test_a_replay_that_leaves_something_out_is_seen(self):
        self.load["replays"]["c-1"] = {"code": "OK", "events": [[1, 2, "sub_agent_started", None]]}
        self.sees("replayed")

    def test_an_error_without_a_fault_is_seen(self):
        self.child.update(error="runner lost: r1")
        self.child["a"]["status"] = "error"
        self.sees("causes")

    def test_an_orphan_is_seen(self):
        self.facts["trees"] = [{"runner": "r1", "at": 1.0, "due": 6.0, "marks": [[1, "1"]], "left": ["1 sleep 600"]}]
        self.sees("no_orphans")
        self.facts["trees"], self.facts["leftovers"] = [], ["process 1: sleep"]
        self.sees("no_orphans")

    def test_a_loss_that_is_settled_late_or_never_is_seen(self):
        self.facts["losses"] = [{"runner": "r1", "at": 5.0, "incarnation": "i-9", "open": [], "settled": {"c-1 1": 21.0}}]
        self.sees("settled")
        self.facts["losses"] = [{"runner": "r1", "at": 5.0, "incarnation": "i-9", "open": ["c-1 1"], "settled": {}}]
        self.sees("settled")

    def test_a_loss_while_the_store_was_away_counts_apart(self):
        self.facts["losses"] = [{"runner": "r1", "at": 5.0, "incarnation": "i-9", "open": [], "settled": {"c-1 1": 33.0}}]
        self.facts["timeline"] = [{"at": 7.0, "fault": "stop_store", "target": "redis", "healed": 17.0}]
        self.assertNotIn("settled", broken(self.facts))

    def test_a_runner_that_lives_and_does_nothing_is_seen(self):
        self.load["jobs"]["c-2"] = {**self.load["jobs"]["c-1"], "child": "c-2", "kind": "rollcall", "label": "r1"}
        self.store["children"]["c-2"] = copy.deepcopy(self.child)
        self.store["children"]["c-2"]["a"].update(state="queued", status="pending")
        self.sees("consuming")

    def test_memory_and_descriptors_without_bound_are_seen(self):
        self.facts["samples"] = [{"at": 1.0, "name": "b1", "rss": check.RSS_MAX + 1, "fds": 10}]
        self.sees("bounded")

    def test_more_than_its_credit_is_seen(self):
        self.facts["looks"][0]["most"] = check.OWNED_PER_SLOT * 8 + 1
        self.sees("credit")

    def test_a_late_verdict_that_kills_is_seen(self):
        self.facts["verdicts"] = [{"at": 1.0, "runner": "r1", "answer": ["OK", 0], "state": "dead"}]
        self.sees("late_verdicts")

    def test_a_daemon_that_falls_over_is_seen(self):
        self.facts["deaths"] = ["1.0 s: b1 ended by itself with -6"]
        self.sees("alive")

    def test_a_submit_that_is_refused_or_never_answered_is_seen(self):
        self.load["jobs"]["c-1"]["code"] = None
        self.sees("answered")

    def test_a_receipt_that_is_not_strict_is_seen(self):
        self.load["jobs"]["c-1"]["durability"] = "relaxed"
        self.sees("strict")

    def test_every_check_can_fail(self):
        """Whoever adds a check adds the history that it is there for."""
        with open(__file__) as file:
            text = file.read()
        self.assertEqual([one.__name__ for one in check.CHECKS if f'"{one.__name__}"' not in text], [])


class Mutants(unittest.TestCase):
    def test_each_has_its_one_place_in_the_code(self):
        for mutant in mutants.MUTANTS:
            with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..", mutant.file)) as source:
                self.assertEqual(source.read().count(mutant.old), 1, f"{mutant.name}: {mutant.old}")

    def test_each_is_aimed_at_a_promise(self):
        promises = [one(history()).promise for one in check.CHECKS]
        for mutant in mutants.MUTANTS:
            self.assertIn(mutant.scenario, mutants.SCENARIOS)
            for start in mutant.promise.split("|"):
                self.assertTrue(any(promise.startswith(start) for promise in promises), f"{mutant.name}: {start}")


class Plan(unittest.TestCase):
    def test_a_seed_is_a_plan(self):
        self.assertEqual(plan.make(7, 300), plan.make(7, 300))
        self.assertNotEqual(plan.make(7, 300), plan.make(8, 300))

    def test_one_target_has_one_fault_at_a_time(self):
        ends = {}
        for step in plan.make(3, 2000):
            group = plan.GROUP.get(step["target"], step["target"])
            self.assertLessEqual(ends.get(group, 0), step["at"])
            ends[group] = step["at"] + step["lasts"]

    def test_every_fault_of_the_plan_can_be_done(self):
        import faults
        self.assertEqual(set(plan.FAULTS) | set(plan.REPLICATED), set(faults.HOW))
        self.assertEqual(set(plan.FAULTS) | set(plan.REPLICATED), set(plan.TOLD))
        self.assertEqual({step["fault"] for step in plan.make(1, 20000)}, set(plan.FAULTS))


class Packets(unittest.TestCase):
    def run_program(self, text, source, target, dice):
        """A BPF machine as small as the programs: what becomes of a packet."""
        lines = [tuple(map(int, line.split())) for line in text.split(",")[1:]]
        self.assertEqual(int(text.split(",")[0]), len(lines))
        at, register = 0, 0
        while True:
            code, yes, no, k = lines[at]
            if code == 0x06:
                return k
            if code in (0x28, 0x20):
                register = {12: 0x0800, 26: hosts.word(source), 30: hosts.word(target), hosts.RANDOM: dice}[k]
                at += 1
            else:
                at += 1 + (yes if (register == k if code == 0x15 else register >= k) else no)

    def test_only_packets_of_the_peers_are_lost_and_as_often_as_asked(self):
        for peers in (["10.77.0.2"], ["10.77.0.2", "10.77.0.3", "10.77.0.4"]):
            program = hosts.drop_program(peers, 0.25, outgoing=True)
            for peer in peers:
                self.assertEqual(self.run_program(program, "10.77.0.1", peer, 0), hosts.SHOT)
                self.assertEqual(self.run_program(program, "10.77.0.1", peer, 2**31), 0)
                self.assertEqual(self.run_program(program, peer, "10.77.0.1", 0), 0)
            self.assertEqual(self.run_program(program, "10.77.0.1", "10.77.0.9", 0), 0)


if __name__ == "__main__":
    unittest.main()
