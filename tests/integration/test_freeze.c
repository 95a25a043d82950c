/* test_freeze.c - workers while no broker answers: the stand-in falls silent, and the runner's processes are looked at. */
#include "facts.h"
#include "stand_in.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_MS 10
#define PING_MS 100 /* so that silence shows soon */

static stand_in_t s;
static const char *const quick[] = { "--runner-freeze-ms", "500", NULL };

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

/* Nobody is answered meanwhile. state 0: gone. */
static void become(const pid_t *pids, size_t n, char state)
{
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    for (size_t i = 0; i < n;) {
        if (stand_in_state(pids[i]) == state) {
            i++;
        } else if (process_now_ms() > deadline_ms) {
            process_show_log(s.runner.log);
            fail_msg("process %d never became %c but is %c", (int)pids[i], state, stand_in_state(pids[i]));
        } else {
            poll(NULL, 0, LOOK_MS);
        }
    }
}

static void stay_silent(int ms)
{
    poll(NULL, 0, ms);
}

/* The runner is heard again until its workers go on. */
static void pump_until(pid_t pid, bool stopped)
{
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while ((stand_in_state(pid) == 'T') != stopped) {
        if (process_now_ms() > deadline_ms)
            fail_msg("process %d is %c", (int)pid, stand_in_state(pid));
        stand_in_pump(&s, LOOK_MS);
    }
}

/* ch-1 of this profile runs; returns its worker. */
static pid_t run_one(const char *members, const char *const *flags, const char *profile, const char *text,
                     const char *metadata)
{
    pid_t worker[8];
    stand_in_ping_ms = PING_MS;
    stand_in_up(&s, members, flags);
    stand_in_assign(&s, "ch-1", profile, 1, text, metadata);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    assert_true(stand_in_workers(&s, worker, 8) >= 1);
    return worker[0];
}

/* ---- standing still, going on ---- */

static void workers_stand_still_while_no_broker_answers_and_go_on_when_one_confirms(void **state)
{
    (void)state;
    pid_t worker = run_one("", quick, "echo", "__sleep_ms:1500 x", NULL);
    become(&worker, 1, 'T');
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    assert_int_equal(seen->starts + seen->appends > 0, 1);
    assert_int_equal(seen->finishes, 1);
    assert_false(seen->gap);
    down();
}

static void workers_stand_still_before_the_lease_of_their_broker_is_over(void **state)
{
    (void)state;
    static const char *const late[] = { "--runner-freeze-ms", "600000", NULL };
    char command[700];
    stand_in_lease_ms = 1000;
    pid_t worker = run_one("", late, "echo", "__sleep_ms:1500 x", NULL);
    stand_in_lease_ms = 0;
    become(&worker, 1, 'T');
    snprintf(
        command, sizeof command,
        "grep -q 'runner.freeze_ms.*set=600000 used=800 .*must be less than broker.lease_ms, which is 1000' %s",
        s.runner.log);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void an_idle_worker_stands_still_too_and_is_warm_afterwards(void **state)
{
    (void)state;
    pid_t worker[8], after[8];
    stand_in_ping_ms = PING_MS;
    stand_in_up(&s, "", quick);
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_workers(&s, worker, 8), 1);
    become(worker, 1, 'T');
    pump_until(worker[0], false);
    stand_in_assign(&s, "ch-2", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    assert_int_equal(stand_in_workers(&s, after, 8), 1);
    assert_int_equal(after[0], worker[0]);
    down();
}

static void whatever_a_worker_started_stands_still_with_it(void **state)
{
    (void)state;
    char file[64];
    snprintf(file, sizeof file, "/tmp/rz-family-%d", (int)getpid());
    run_one(stand_in_family(file), quick, "family", "x", NULL);
    pid_t left = stand_in_left_behind(&s, file), family[16];
    stand_in_wait_workers(&s, 3); /* what wrote the file ends a moment after it */
    size_t n = stand_in_workers(&s, family, 16);
    bool is_below = false;
    for (size_t i = 0; i < n; i++)
        is_below = is_below || family[i] == left;
    assert_true(is_below);
    become(family, n, 'T');
    pump_until(left, false);
    kill(stand_in_runner(&s), SIGQUIT);
    assert_int_equal(stand_in_end(&s, 0), 131);
    become(family, n, 0);
}

static void a_broker_whose_store_is_away_is_no_reason_to_stand_still(void **state)
{
    (void)state;
    pid_t worker = run_one("", quick, "echo", "__sleep_ms:2500 x", NULL);
    uint64_t until_ms = process_now_ms() + 2000;
    while (process_now_ms() < until_ms) {
        s.sync_code = RZ_UNAVAILABLE;
        stand_in_pump(&s, LOOK_MS);
        assert_int_not_equal(stand_in_state(worker), 'T');
    }
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

/* Others may have seen its counter stand still since the last renewal, whatever it was told meanwhile. */
static void answers_that_renewed_nothing_do_not_put_off_standing_still(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-freeze-ms", "4000", NULL };
    pid_t worker = run_one("", flags, "echo", "__sleep_ms:6000 x", NULL);
    uint64_t until_ms = process_now_ms() + 4200;
    while (process_now_ms() < until_ms) {
        s.sync_code = RZ_UNAVAILABLE;
        stand_in_pump(&s, LOOK_MS);
        assert_int_not_equal(stand_in_state(worker), 'T');
    }
    become(&worker, 1, 'T');
    assert_in_range(process_now_ms() - until_ms, 0, 3000);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

/* The store saw the runner live when it took the sync, however long the answer is on its way. */
static void an_answer_that_comes_late_puts_standing_still_off_from_when_its_sync_was_sent(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-freeze-ms", "4000", NULL };
    pid_t worker = run_one("", flags, "echo", "__sleep_ms:6000 x", NULL);
    rz_link_t late = { .kind = RZ_LINK_SYNCED, .code = RZ_OK, .counter = s.syncs };
    uint64_t until_ms = process_now_ms() + 3500;
    s.sync_code = RZ_AGAIN;
    while (process_now_ms() < until_ms)
        stand_in_pump(&s, LOOK_MS);
    stand_in_send(&s, &late, NULL);
    become(&worker, 1, 'T');
    assert_in_range(process_now_ms() - until_ms, 0, 3000);
    s.sync_code = RZ_OK;
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void frozen_workers_are_held_while_the_store_is_away_and_thawed_by_its_ok(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-freeze-ms", "500", "--runner-hold-max-secs", "1", NULL };
    pid_t worker = run_one("", flags, "echo", "__sleep_ms:1500 x", NULL);
    become(&worker, 1, 'T');
    uint64_t syncs = s.syncs, until_ms = process_now_ms() + 2500;
    while (process_now_ms() < until_ms) { /* longer than it would be held without any broker */
        s.sync_code = RZ_UNAVAILABLE;
        stand_in_pump(&s, LOOK_MS);
        assert_int_equal(stand_in_state(worker), 'T');
    }
    assert_true(s.syncs > syncs);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void nothing_is_given_to_a_runner_whose_workers_stand_still(void **state)
{
    (void)state;
    pid_t worker = run_one("", quick, "echo", "__sleep_ms:1500 x", NULL);
    become(&worker, 1, 'T');
    int hellos = s.hellos;
    s.sync_code = RZ_AGAIN;
    s.granted = 99;
    while (s.hellos == hellos || s.granted == 99)
        stand_in_pump(&s, LOOK_MS);
    assert_int_equal(s.granted, 0);
    s.sync_code = RZ_OK;
    while (s.granted != 7)
        stand_in_pump(&s, LOOK_MS);
    stand_in_wait(&s, "ch-1");
    down();
}

/* ---- time ---- */

static void a_watchdog_does_not_count_while_its_worker_stands_still(void **state)
{
    (void)state;
    pid_t worker =
        run_one("", quick, "echo", "__sleep_ms:1000 x",
                "{\"child_watchdog.max_total_secs\":\"4\",\"child_watchdog.check_interval_secs\":\"1\"}");
    become(&worker, 1, 'T');
    stay_silent(5000);
    assert_int_equal(stand_in_state(worker), 'T');
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void a_question_waits_as_long_as_its_worker_stands_still(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-freeze-ms", "500", "--runner-approval-secs", "3", NULL };
    static const char steps[] =
        "[{\"kind\":\"approval_request\",\"id\":\"sa-0\",\"body\":{}},\"hear\",\"tell\"]";
    pid_t worker = run_one(stand_in_actor(NULL, NULL, ",\"approvals\":\"ask\""), flags, "actor", steps, NULL);
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    become(&worker, 1, 'T');
    stay_silent(4000);
    pump_until(worker, false);
    rz_link_t decide = {
        .kind = RZ_LINK_DECIDE, .child = "ch-1", .epoch = 1, .id = "sa-0", .approved = true
    };
    stand_in_send(&s, &decide, NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_int_equal(seen->decided_live, 1);
    assert_non_null(strstr(seen->reply, "\\\"approved\\\": true"));
    down();
}

static void a_worker_that_is_on_its_way_is_started_anew_afterwards(void **state)
{
    (void)state;
    char file[64];
    pid_t before[8], after[8];
    snprintf(file, sizeof file, "/tmp/rz-late-%d", (int)getpid());
    stand_in_ping_ms = PING_MS;
    stand_in_up(&s, stand_in_actor("late", file, ""), quick);
    stand_in_assign(&s, "ch-1", "actor", 1, "[{\"kind\":\"terminal\",\"status\":\"completed\"}]", NULL);
    stand_in_wait_workers(&s, 1);
    become(before, stand_in_workers(&s, before, 8), 0); /* it would have registered a second later */
    assert_int_equal(stand_in_workers(&s, after, 8), 0);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    down();
}

/* ---- the end ---- */

static void a_runner_condemned_while_its_workers_stand_still_kills_them(void **state)
{
    (void)state;
    pid_t worker = run_one("", quick, "echo", "__sleep_ms:60000 x", NULL);
    char before[sizeof s.incarnation];
    become(&worker, 1, 'T');
    snprintf(before, sizeof before, "%s", s.incarnation);
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (strcmp(before, s.incarnation) == 0) { /* heartbeats of before are still in the queue */
        s.sync_code = RZ_DEAD;
        stand_in_pump(&s, LOOK_MS);
        assert_true(process_now_ms() < deadline_ms);
    }
    s.sync_code = RZ_OK;
    become(&worker, 1, 0);
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 0);
    stand_in_assign(&s, "ch-1", "echo", 2, "x", NULL); /* as another incarnation it works */
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void what_is_held_for_too_long_is_killed_and_ends_with_the_reason(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-freeze-ms", "500", "--runner-hold-max-secs", "1", NULL };
    pid_t worker = run_one("", flags, "echo", "__sleep_ms:60000 x", NULL);
    become(&worker, 1, 'T');
    become(&worker, 1, 0);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_non_null(strstr(seen->error, "no broker could be reached for "));
    stand_in_assign(&s, "ch-2", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    down();
}

static void a_frozen_runner_that_is_told_to_end_leaves_nothing(void **state)
{
    (void)state;
    pid_t worker = run_one("", quick, "echo", "__sleep_ms:60000 x", NULL);
    become(&worker, 1, 'T');
    kill(stand_in_runner(&s), SIGQUIT);
    become(&worker, 1, 0);
    assert_int_equal(stand_in_end(&s, 0), 131);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(workers_stand_still_while_no_broker_answers_and_go_on_when_one_confirms),
    cmocka_unit_test(workers_stand_still_before_the_lease_of_their_broker_is_over),
    cmocka_unit_test(an_idle_worker_stands_still_too_and_is_warm_afterwards),
    cmocka_unit_test(whatever_a_worker_started_stands_still_with_it),
    cmocka_unit_test(a_broker_whose_store_is_away_is_no_reason_to_stand_still),
    cmocka_unit_test(answers_that_renewed_nothing_do_not_put_off_standing_still),
    cmocka_unit_test(an_answer_that_comes_late_puts_standing_still_off_from_when_its_sync_was_sent),
    cmocka_unit_test(frozen_workers_are_held_while_the_store_is_away_and_thawed_by_its_ok),
    cmocka_unit_test(nothing_is_given_to_a_runner_whose_workers_stand_still),
    cmocka_unit_test(a_watchdog_does_not_count_while_its_worker_stands_still),
    cmocka_unit_test(a_question_waits_as_long_as_its_worker_stands_still),
    cmocka_unit_test(a_worker_that_is_on_its_way_is_started_anew_afterwards),
    cmocka_unit_test(a_runner_condemned_while_its_workers_stand_still_kills_them),
    cmocka_unit_test(what_is_held_for_too_long_is_killed_and_ends_with_the_reason),
    cmocka_unit_test(a_frozen_runner_that_is_told_to_end_leaves_nothing),
};
/* clang-format on */

RZ_FACTS(tests)
