/* test_bad_worker.c - workers that misbehave, under the real runner: each ends as one clear error within its
 * limit and hurts no other child. bad_worker.py plays them; a good one runs beside each. */
#include "facts.h"
#include "integration/stand_in.h"

#include "base/limits.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

static stand_in_t s;

static const char *const fast[] = { "--runner-register-secs", "3", "--runner-cancel-grace-ms", "300", NULL };

static void up(const char *mode)
{
    char members[2048];
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{"
        "\"bad\":{\"agent_id\":\"bad\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"/usr/bin/python3\",\"worker_args\":[\"" RZ_SOURCE_DIR
        "/tests/faults/bad_worker.py\",\"%s\"]},"
        "\"good\":{\"agent_id\":\"good\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"/usr/bin/python3\",\"worker_args\":[\"" RZ_SOURCE_DIR
        "/tests/faults/bad_worker.py\",\"good\"]}}",
        mode);
    bool patient = strcmp(mode, "good") == 0 || strcmp(mode, "flood") == 0;
    stand_in_up(&s, members, patient ? NULL : fast);
}

/* Runs a bad child and, beside it, a good one that must not notice. */
static const seen_t *run_beside_a_good_one(const char *mode, const char *metadata)
{
    up(mode);
    stand_in_assign(&s, "bad-1", "bad", 1, "x", metadata);
    stand_in_assign(&s, "good-1", "echo", 1, "undisturbed", NULL);
    assert_string_equal(stand_in_wait(&s, "good-1")->status, "completed");
    const seen_t *seen = stand_in_wait(&s, "bad-1");
    return seen;
}

/* One outcome, no worker of it left, slot free, the next child runs, and the runner ends in order. */
static void done(bool worker_stays)
{
    pid_t pids[64];
    size_t expected = worker_stays ? 2 : 1;
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    stand_in_assign(&s, "next", "echo", 1, "goes on", NULL);
    assert_string_equal(stand_in_wait(&s, "next")->status, "completed");
    while (stand_in_workers(&s, pids, 64) != expected && process_now_ms() < deadline)
        stand_in_pump(&s, 20);
    assert_int_equal(stand_in_workers(&s, pids, 64), expected);
    assert_int_equal(stand_in_seen(&s, "bad-1")->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void expect_error(const char *mode, const char *error)
{
    const seen_t *seen = run_beside_a_good_one(mode, NULL);
    assert_string_equal(seen->status, "error");
    if (strstr(seen->error, error) == NULL)
        assert_string_equal(seen->error, error);
    done(false);
}

static void expect_completed(const char *mode, const char *result, bool worker_stays)
{
    const seen_t *seen = run_beside_a_good_one(mode, NULL);
    assert_string_equal(seen->error, "");
    assert_string_equal(seen->status, "completed");
    assert_non_null(strstr(seen->reply, result));
    done(worker_stays);
}

static void a_good_worker_in_another_language_is_served_and_kept(void **state)
{
    (void)state;
    expect_completed("good", "\"content\":\"good\"", true);
}

static void a_quarter_mebibyte_of_stderr_before_stdin_is_read_harms_nothing_and_is_kept(void **state)
{
    (void)state;
    const seen_t *seen = run_beside_a_good_one("stderr-first", NULL);
    assert_string_equal(seen->status, "completed");
    rz_link_t logs = { .kind = RZ_LINK_LOGS, .id = "q-1", .child = "bad-1" };
    stand_in_send(&s, &logs, NULL);
    while (!s.has_output)
        stand_in_pump(&s, 100);
    assert_non_null(strstr(s.output, "noise\nnoise\n"));
    done(true);
}

static void a_worker_that_never_registers(void **state)
{
    (void)state;
    expect_error("never-registers",
                 "LLM error: actor spawn/register failed: worker 'bad-1' did not register within 3s");
}

static void a_worker_that_never_reads_its_stdin(void **state)
{
    (void)state;
    expect_error("never-reads-stdin", "worker 'bad-1' did not register within 3s");
}

static void a_worker_that_exits_early(void **state)
{
    (void)state;
    expect_error("exits-early",
                 "LLM error: actor spawn/register failed: worker exited before registering: exit status: 3");
}

static void a_record_that_is_no_json(void **state)
{
    (void)state;
    expect_error("garbage-record", "did not register within 3s");
}

static void a_record_that_is_a_pipe_nobody_writes_to(void **state)
{
    (void)state;
    expect_error("fifo-record", "did not register within 3s");
}

static void a_record_of_another_process(void **state)
{
    (void)state;
    expect_error("foreign-record", "did not register within 3s");
}

static void a_record_that_points_to_another_host(void **state)
{
    (void)state;
    expect_error("elsewhere", "LLM error: actor spawn/register failed: worker registered an endpoint");
}

static void a_worker_that_cannot_be_connected_to_is_tried_twice(void **state)
{
    (void)state;
    expect_error("refuses", "LLM error: actor connect failed: ");
}

static void garbage_instead_of_a_frame(void **state)
{
    (void)state;
    expect_error("garbage", "LLM error: actor transport error: ");
}

static void a_frame_cut_in_its_middle(void **state)
{
    (void)state;
    expect_error("truncated-json", "LLM error: actor transport error: ");
}

static void a_frame_that_is_no_utf8(void **state)
{
    (void)state;
    expect_error("bad-utf8", "LLM error: actor transport error: ");
}

static void a_frame_above_the_limit(void **state)
{
    (void)state;
    expect_error("huge", "LLM error: actor transport error: ");
}

static void a_frame_in_many_fragments_is_one_frame(void **state)
{
    (void)state;
    expect_completed("fragmented", "in pieces", true);
}

static void an_event_above_its_limit_is_dropped_and_the_run_goes_on(void **state)
{
    (void)state;
    expect_completed("huge-event", "good", true);
    assert_string_equal(stand_in_seen(&s, "bad-1")->events,
                        "sub_agent_heartbeat sub_agent_started token sub_agent_completed");
}

static void events_that_are_no_objects_with_a_type_are_dropped(void **state)
{
    (void)state;
    expect_completed("odd-events", "good", true);
    assert_string_equal(stand_in_seen(&s, "bad-1")->events,
                        "sub_agent_heartbeat sub_agent_started token sub_agent_completed");
}

static void a_frame_of_an_unknown_kind_is_passed_over(void **state)
{
    (void)state;
    expect_completed("unknown-kind", "good", true);
}

static void who_asks_for_approval_is_refused_and_does_not_hang(void **state)
{
    (void)state;
    expect_completed("asks", "approval_reply False", true);
}

static void of_two_terminals_the_first_counts_and_the_worker_goes(void **state)
{
    (void)state;
    expect_completed("two-terminals", "first", false);
}

static void events_after_the_terminal_are_dropped_and_the_worker_goes(void **state)
{
    (void)state;
    expect_completed("late-events", "first", false);
    assert_string_equal(stand_in_seen(&s, "bad-1")->events,
                        "sub_agent_heartbeat sub_agent_started sub_agent_completed");
}

static void a_worker_that_dies_in_mid_run(void **state)
{
    (void)state;
    expect_error("dies", "LLM error: actor child closed before terminal");
}

static void an_error_as_long_as_a_frame_is_cut(void **state)
{
    (void)state;
    expect_error("long-error", "LLM error: \xc3\xa9\x01");
}

static void a_result_that_no_session_can_hold_is_an_error(void **state)
{
    (void)state;
    expect_error("long-result", "LLM error: the result has 15728642 bytes, at most 4194304 are kept");
}

static void a_batch_is_read_as_far_as_a_batch_may_go(void **state)
{
    (void)state;
    expect_completed("long-batch", "good", true);
    assert_int_equal(stand_in_seen(&s, "bad-1")->last_seq, 2 + 64 + 1 + 1);
}

static void a_worker_that_closes_before_its_terminal(void **state)
{
    (void)state;
    expect_error("closes", "LLM error: actor child closed before terminal");
}

static void expect_timeout(const char *mode)
{
    const seen_t *seen = run_beside_a_good_one(
        mode, "{\"child_watchdog.max_total_secs\":\"1\",\"child_watchdog.check_interval_secs\":\"1\"}");
    assert_string_equal(seen->status, "timeout");
    assert_string_equal(seen->error, "Child session timed out after 1 seconds (max_total_secs=1)");
    done(false);
}

static void a_worker_that_stops_answering_meets_its_watchdog(void **state)
{
    (void)state;
    expect_timeout("deaf");
}

static void a_worker_that_ignores_cancel_is_killed_after_the_grace(void **state)
{
    (void)state;
    up("ignores-cancel");
    stand_in_assign(&s, "bad-1", "bad", 1, "x", NULL);
    stand_in_wait_event(&s, "bad-1", "sub_agent_started");
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = "bad-1", .epoch = 1 };
    uint64_t asked_ms = process_now_ms();
    stand_in_send(&s, &cancel, NULL);
    const seen_t *seen = stand_in_wait(&s, "bad-1");
    assert_string_equal(seen->status, "cancelled");
    assert_in_range(seen->done_ms - asked_ms, 250, 2000);
    done(false);
}

static void what_a_worker_forked_away_ends_with_the_runner(void **state)
{
    (void)state;
    pid_t pids[64];
    up("forks-away");
    stand_in_assign(&s, "bad-1", "bad", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "bad-1")->status, "completed");
    size_t n = stand_in_workers(&s, pids, 64);
    assert_int_equal(n, 2);
    assert_int_equal(stand_in_down(&s), 0); /* checks every descendant that was there */
}

static void twenty_thousand_events_at_once_are_logged_in_order_and_end(void **state)
{
    (void)state;
    const seen_t *seen = run_beside_a_good_one("flood", NULL);
    assert_string_equal(seen->status, "completed");
    assert_false(seen->disordered);
    assert_int_equal(seen->logged_seq, 20003); /* the completion is always logged */
    assert_in_range(seen->appends, RZ_LOGGED_EVENTS_MAX / RZ_BATCH_ITEMS_MAX,
                    20000); /* as many as a log keeps */
    done(true);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_good_worker_in_another_language_is_served_and_kept),
    cmocka_unit_test(a_quarter_mebibyte_of_stderr_before_stdin_is_read_harms_nothing_and_is_kept),
    cmocka_unit_test(a_worker_that_never_registers),
    cmocka_unit_test(a_worker_that_never_reads_its_stdin),
    cmocka_unit_test(a_worker_that_exits_early),
    cmocka_unit_test(a_record_that_is_no_json),
    cmocka_unit_test(a_record_that_is_a_pipe_nobody_writes_to),
    cmocka_unit_test(a_record_of_another_process),
    cmocka_unit_test(a_record_that_points_to_another_host),
    cmocka_unit_test(a_worker_that_cannot_be_connected_to_is_tried_twice),
    cmocka_unit_test(garbage_instead_of_a_frame),
    cmocka_unit_test(a_frame_cut_in_its_middle),
    cmocka_unit_test(a_frame_that_is_no_utf8),
    cmocka_unit_test(a_frame_above_the_limit),
    cmocka_unit_test(a_frame_in_many_fragments_is_one_frame),
    cmocka_unit_test(an_event_above_its_limit_is_dropped_and_the_run_goes_on),
    cmocka_unit_test(events_that_are_no_objects_with_a_type_are_dropped),
    cmocka_unit_test(a_frame_of_an_unknown_kind_is_passed_over),
    cmocka_unit_test(who_asks_for_approval_is_refused_and_does_not_hang),
    cmocka_unit_test(of_two_terminals_the_first_counts_and_the_worker_goes),
    cmocka_unit_test(events_after_the_terminal_are_dropped_and_the_worker_goes),
    cmocka_unit_test(a_worker_that_dies_in_mid_run),
    cmocka_unit_test(an_error_as_long_as_a_frame_is_cut),
    cmocka_unit_test(a_result_that_no_session_can_hold_is_an_error),
    cmocka_unit_test(a_batch_is_read_as_far_as_a_batch_may_go),
    cmocka_unit_test(a_worker_that_closes_before_its_terminal),
    cmocka_unit_test(a_worker_that_stops_answering_meets_its_watchdog),
    cmocka_unit_test(a_worker_that_ignores_cancel_is_killed_after_the_grace),
    cmocka_unit_test(what_a_worker_forked_away_ends_with_the_runner),
    cmocka_unit_test(twenty_thousand_events_at_once_are_logged_in_order_and_end),
};
RZ_FACTS(tests)
