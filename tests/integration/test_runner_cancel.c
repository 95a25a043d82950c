/* test_runner_cancel.c - a cancel, a deadline and the runner's own end find a run in every state it can be in: waiting
 * for room, while its worker registers, while it is connected to, and while it runs. */
#include "facts.h"
#include "stand_in.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ONE_ROOM   ",\"max_concurrent\":1"
#define TOKEN      "{\"kind\":\"event\",\"event\":{\"type\":\"token\",\"content\":\"x\"}}"
#define HANGS      "[" TOKEN ",\"hang\"]"
#define AT_ONCE_MS 1000

static stand_in_t s;

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- the states before `run` ---- */

/* ch-1 runs and fills its profile, ch-2 waits for room. */
static void up_to_the_door(const char *const *flags)
{
    stand_in_up(&s, stand_in_actor(NULL, NULL, ONE_ROOM), flags);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"hear\",\"tell\"]", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    stand_in_assign(&s, "ch-2", "actor", 1, "[\"tell\"]", NULL);
    stand_in_wait_event(&s, "ch-2", "sub_agent_heartbeat");
}

/* ch-2's worker is there and says nothing. */
static void up_to_registering(const char *const *flags)
{
    stand_in_up(
        &s,
        "\"externalAgents\":{\"actor\":{\"agent_id\":\"actor\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"sleep\",\"worker_args\":[\"60\"]}}",
        flags);
    stand_in_assign(&s, "ch-2", "actor", 1, "x", NULL);
    stand_in_wait_workers(&s, 1);
}

/* ch-2's worker has said where it is, and does not answer there. */
static void up_to_connecting(const char *const *flags)
{
    char mark[] = "/tmp/rz-actor-XXXXXX";
    close(mkstemp(mark));
    stand_in_up(&s, stand_in_actor("mute", mark, ""), flags);
    stand_in_assign(&s, "ch-2", "actor", 1, "[\"tell\"]", NULL);
    stand_in_wait_file(&s, mark);
    unlink(mark);
}

static void expect_cancelled_at_once(bool now)
{
    uint64_t asked_ms = process_now_ms();
    stand_in_cancel(&s, "ch-2", now);
    const seen_t *seen = stand_in_wait(&s, "ch-2");
    assert_string_equal(seen->status, "cancelled");
    assert_string_equal(seen->error, "Cancelled");
    assert_in_range(seen->done_ms - asked_ms, 0, AT_ONCE_MS);
    assert_int_equal(seen->finishes, 1);
}

static void a_cancel_while_it_waits_for_room_ends_a_run_at_once(void **state)
{
    (void)state;
    up_to_the_door(NULL);
    expect_cancelled_at_once(false);
    stand_in_wait_workers(&s, 1); /* none was started for it */
    stand_in_assign(&s, "ch-3", "actor", 1, "[\"tell\"]", NULL);
    stand_in_cancel(&s, "ch-1", false);
    assert_string_equal(stand_in_wait(&s, "ch-3")->status, "completed"); /* it left no gap at the door */
    down();
}

static void a_cancel_while_the_worker_registers_ends_a_run_at_once(void **state)
{
    (void)state;
    up_to_registering(NULL);
    expect_cancelled_at_once(false);
    down();
}

static void a_cancel_while_the_worker_is_connected_to_ends_a_run_at_once(void **state)
{
    (void)state;
    up_to_connecting(NULL);
    expect_cancelled_at_once(false);
    down();
}

static void a_cancel_now_needs_no_running_worker(void **state)
{
    (void)state;
    up_to_registering(NULL);
    expect_cancelled_at_once(true);
    down();
}

/* ---- the same by way of sync ---- */

static void a_cancel_that_only_sync_tells_is_heeded(void **state)
{
    (void)state;
    up_to_the_door(NULL);
    s.cancel = "ch-1";
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed"); /* it was asked, and answered with what it had heard */
    assert_non_null(strstr(seen->reply, "[{\\\"kind\\\": \\\"cancel\\\"}]"));
    stand_in_wait(&s, "ch-2");
    down();
}

static const char *const patient[] = { "--runner-cancel-grace-ms", "60000", NULL };

static void a_cancel_now_that_only_sync_tells_knows_no_grace(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), patient);
    stand_in_assign(&s, "ch-1", "actor", 1, HANGS, NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    s.cancel_now = "ch-1";
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "cancelled");
    stand_in_wait_workers(&s, 0);
    down();
}

static void a_second_cancel_with_now_cuts_the_grace_short(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), patient);
    stand_in_assign(&s, "ch-1", "actor", 1, HANGS, NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    stand_in_cancel(&s, "ch-1", false);
    stand_in_pump_for(&s, 300);
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes, 0);
    stand_in_cancel(&s, "ch-1", true);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "cancelled");
    down();
}

/* ---- the ladder: frame, grace, SIGTERM, a second, SIGKILL ---- */

static const char *const quick[] = { "--runner-cancel-grace-ms", "400", NULL };

static bool was_terminated(const char *mark)
{
    char text[64] = "";
    FILE *file = fopen(mark, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    assert_true(n == 0 || strcmp(text, "terminated\n") == 0);
    return n > 0;
}

/* Milliseconds from the cancel to the end of the last process of the worker's group, of which there are two. */
static uint64_t climb(const char *how, char *mark, bool now)
{
    close(mkstemp(mark));
    stand_in_up(&s, stand_in_actor(how, mark, ""), quick);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"fork\"," TOKEN ",\"hang\"]", NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    stand_in_wait_workers(&s, 2);
    uint64_t asked_ms = process_now_ms();
    stand_in_cancel(&s, "ch-1", now);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "cancelled");
    assert_in_range(seen->done_ms - asked_ms, now ? 0 : 350, now ? 300 : 1300);
    stand_in_wait_workers(&s, 0);
    return process_now_ms() - asked_ms;
}

static void a_worker_that_does_not_heed_a_cancel_is_terminated_after_the_grace(void **state)
{
    (void)state;
    char mark[] = "/tmp/rz-actor-XXXXXX";
    uint64_t took_ms = climb("heeds-term", mark, false);
    assert_true(was_terminated(mark));
    assert_in_range(took_ms, 400, 1300);
    unlink(mark);
    down();
}

static void a_group_that_ignores_sigterm_is_killed_a_second_later(void **state)
{
    (void)state;
    char mark[] = "/tmp/rz-actor-XXXXXX";
    uint64_t took_ms = climb("ignores-term", mark, false);
    assert_true(was_terminated(mark));
    assert_in_range(took_ms, 1350, 2800);
    unlink(mark);
    down();
}

static void a_cancel_now_kills_the_group_without_a_signal_before(void **state)
{
    (void)state;
    char mark[] = "/tmp/rz-actor-XXXXXX";
    uint64_t took_ms = climb("ignores-term", mark, true);
    assert_false(was_terminated(mark));
    assert_in_range(took_ms, 0, 1000);
    unlink(mark);
    down();
}

static void who_is_asked_to_stop_and_completes_has_completed(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[" TOKEN ",\"hear\",\"tell\"]", NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    stand_in_cancel(&s, "ch-1", false);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    assert_true(stand_in_replied(seen, "[{\\\"kind\\\": \\\"cancel\\\"}]"));
    down();
}

static void who_is_asked_to_stop_and_fails_was_cancelled(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1,
                    "[" TOKEN ",\"hear\",{\"kind\":\"terminal\",\"status\":\"error\",\"error\":\"x\"}]",
                    NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    stand_in_cancel(&s, "ch-1", false);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "cancelled");
    assert_string_equal(seen->error, "Cancelled");
    down();
}

/* ---- the runner's own end ---- */

static void expect_released_by_a_drain(void)
{
    uint64_t asked_ms = process_now_ms();
    kill(s.runner.pid, SIGTERM);
    const seen_t *seen = stand_in_wait(&s, "ch-2");
    assert_int_equal(seen->releases, 1);
    assert_in_range(seen->done_ms - asked_ms, 0, AT_ONCE_MS);
    assert_int_equal(seen->starts + seen->finishes, 0);
    assert_null(strstr(seen->events, "sub_agent_started"));
}

static void a_drain_gives_back_what_waits_for_room(void **state)
{
    (void)state;
    up_to_the_door(NULL);
    expect_released_by_a_drain();
    stand_in_cancel(&s, "ch-1", true);
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_drain_gives_back_what_waits_for_its_worker_to_register(void **state)
{
    (void)state;
    up_to_registering(NULL);
    expect_released_by_a_drain();
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_drain_gives_back_what_waits_for_its_connection(void **state)
{
    (void)state;
    up_to_connecting(NULL);
    expect_released_by_a_drain();
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void what_runs_when_the_runner_stops_is_an_error(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, HANGS, NULL);
    stand_in_wait_event(&s, "ch-1", "token");
    kill(stand_in_runner(&s), SIGQUIT);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error, "runner stopped");
    assert_int_equal(stand_in_end(&s, 0), 131);
}

static void what_waits_for_room_and_belongs_to_others_is_dropped(void **state)
{
    (void)state;
    up_to_the_door(NULL);
    uint64_t syncs = s.syncs;
    while (s.syncs < syncs + 2)
        stand_in_pump(&s, 100);
    s.disown = true;
    stand_in_wait_workers(&s, 0);
    stand_in_assign(&s, "ch-3", "actor", 1, "[\"tell\"]", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-3")->status, "completed");
    assert_int_equal(stand_in_seen(&s, "ch-1")->finishes + stand_in_seen(&s, "ch-2")->finishes, 0);
    down();
}

/* ---- deadlines ---- */

static const char *const second[] = { "--runner-register-secs", "1", NULL };

static void a_worker_has_so_long_to_register_from_its_spawn(void **state)
{
    (void)state;
    uint64_t began_ms = process_now_ms();
    up_to_registering(second);
    const seen_t *seen = stand_in_wait(&s, "ch-2");
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error,
                        "LLM error: actor spawn/register failed: worker 'ch-2' did not register within 1s");
    assert_in_range(seen->done_ms - began_ms, 1000, 4000);
    down();
}

static void waiting_for_room_is_no_part_of_the_time_to_register(void **state)
{
    (void)state;
    up_to_the_door(second);
    stand_in_pump_for(&s, 1500);
    assert_int_equal(stand_in_seen(&s, "ch-2")->finishes, 0);
    stand_in_cancel(&s, "ch-1", true); /* so that ch-2 needs a worker of its own */
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    down();
}

static void a_worker_that_does_not_answer_is_replaced_once_and_then_an_error(void **state)
{
    (void)state;
    uint64_t began_ms = process_now_ms();
    up_to_connecting(NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-2");
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error, "LLM error: actor connect failed: timeout: not open after 5000 ms");
    assert_in_range(seen->done_ms - began_ms, 9000, 15000); /* five seconds each */
    stand_in_wait_workers(&s, 0);
    down();
}

#define ONE_SECOND                                                                                           \
    "{\"child_watchdog.max_total_secs\":\"1\",\"child_watchdog.max_idle_secs\":\"1\",\"child_watchdog.check_interval_secs\":\"1\"}"

/* Works for less than a second, and is looked at at once if a second has passed before. */
#define WORKS "[0.4,\"tell\"]"

static void the_watchdog_does_not_count_while_the_worker_registers(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor("late", NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, WORKS, ONE_SECOND);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    down();
}

static void the_watchdog_does_not_count_while_a_run_waits_for_room(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor(NULL, NULL, ONE_ROOM), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"hear\",\"tell\"]", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    stand_in_assign(&s, "ch-2", "actor", 1, WORKS, ONE_SECOND);
    stand_in_pump_for(&s, 2200);
    assert_int_equal(stand_in_seen(&s, "ch-2")->finishes, 0);
    stand_in_cancel(&s, "ch-1", false);
    assert_string_equal(stand_in_wait(&s, "ch-2")->status, "completed");
    down();
}

static void the_watchdog_counts_from_run(void **state)
{
    (void)state;
    stand_in_up(&s, stand_in_actor("late", NULL, ""), quick);
    stand_in_assign(&s, "ch-1", "actor", 1, HANGS, ONE_SECOND);
    stand_in_wait_event(&s, "ch-1", "token");
    uint64_t ran_ms = process_now_ms();
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "timeout");
    assert_string_equal(seen->error, "Child session timed out after 1 seconds (max_total_secs=1)");
    assert_in_range(seen->done_ms - ran_ms, 1200, 3000); /* and the grace */
    down();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_cancel_while_it_waits_for_room_ends_a_run_at_once),
    cmocka_unit_test(a_cancel_while_the_worker_registers_ends_a_run_at_once),
    cmocka_unit_test(a_cancel_while_the_worker_is_connected_to_ends_a_run_at_once),
    cmocka_unit_test(a_cancel_now_needs_no_running_worker),
    cmocka_unit_test(a_cancel_that_only_sync_tells_is_heeded),
    cmocka_unit_test(a_cancel_now_that_only_sync_tells_knows_no_grace),
    cmocka_unit_test(a_second_cancel_with_now_cuts_the_grace_short),
    cmocka_unit_test(a_worker_that_does_not_heed_a_cancel_is_terminated_after_the_grace),
    cmocka_unit_test(a_group_that_ignores_sigterm_is_killed_a_second_later),
    cmocka_unit_test(a_cancel_now_kills_the_group_without_a_signal_before),
    cmocka_unit_test(who_is_asked_to_stop_and_completes_has_completed),
    cmocka_unit_test(who_is_asked_to_stop_and_fails_was_cancelled),
    cmocka_unit_test(a_drain_gives_back_what_waits_for_room),
    cmocka_unit_test(a_drain_gives_back_what_waits_for_its_worker_to_register),
    cmocka_unit_test(a_drain_gives_back_what_waits_for_its_connection),
    cmocka_unit_test(what_runs_when_the_runner_stops_is_an_error),
    cmocka_unit_test(what_waits_for_room_and_belongs_to_others_is_dropped),
    cmocka_unit_test(a_worker_has_so_long_to_register_from_its_spawn),
    cmocka_unit_test(waiting_for_room_is_no_part_of_the_time_to_register),
    cmocka_unit_test(a_worker_that_does_not_answer_is_replaced_once_and_then_an_error),
    cmocka_unit_test(the_watchdog_does_not_count_while_the_worker_registers),
    cmocka_unit_test(the_watchdog_does_not_count_while_a_run_waits_for_room),
    cmocka_unit_test(the_watchdog_counts_from_run),
};
RZ_FACTS(tests)
