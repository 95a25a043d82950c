/* test_reruns.c - an activation that lost its runner and has an attempt left: how long it waits, and how it is given
 * back. Against a real Redis; the test is the broker that watches. */
#include "calls.h"

#include "../facts.h"

static void status_is(calls_t *calls, const char *child, const char *status)
{
    assert_int_equal(call_get(calls, child, NULL), RZ_OK);
    assert_string_equal(calls->answer.status, status);
}

/* Its runner r<n> begins it and is gone. */
static void lose_an_attempt(calls_t *calls, const char *child, unsigned n)
{
    char incarnation[16], runner[16];
    snprintf(incarnation, sizeof incarnation, "i-%u", n);
    snprintf(runner, sizeof runner, "r%u", n);
    assert_int_equal(call_join(calls, incarnation, runner), RZ_OK);
    assert_int_equal(call_claim(calls, incarnation, 1), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    assert_int_equal(calls->answer.assigned[0].attempt, n);
    assert_int_equal(call_start(calls, child, n, token(0)), RZ_OK);
    assert_int_equal(call_condemn(calls, incarnation, 0, true), RZ_OK);
    assert_int_equal(call_reap(calls, incarnation), RZ_OK);
}

static void submit_for_attempts(calls_t *calls, const char *child, unsigned max_attempts)
{
    rz_submit_t request = plain_submit(child);
    request.max_attempts = max_attempts;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
}

static size_t waiting_in_queues(calls_t *calls)
{
    assert_int_equal(call_classes(calls), RZ_OK);
    return calls->answer.n;
}

static void a_rerun_waits_a_second_then_twice_as_long_each_time_up_to_a_minute(void **state)
{
    calls_t *calls = *state;
    static const unsigned pauses_s[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
    submit_for_attempts(calls, "c1", 9);
    for (unsigned n = 0; n < sizeof pauses_s / sizeof *pauses_s; n++) {
        char note[64];
        lose_an_attempt(calls, "c1", n + 1);
        snprintf(note, sizeof note, "backoff runner lost: r%u; rerun in %u s", n + 1, pauses_s[n]);
        assert_int_equal(call_explain(calls, "c1"), RZ_OK);
        assert_string_equal(calls->answer.text[calls->answer.n - 1], note);
        assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
        call_tick(calls, pauses_s[n] * UINT64_C(1000) - 1);
        assert_int_equal(waiting_in_queues(calls), 0);
        call_tick(calls, 1);
        assert_int_equal(waiting_in_queues(calls), 1);
    }
    lose_an_attempt(calls, "c1", 9);
    status_is(calls, "c1", "error");
    assert_string_equal(redis_do(&calls->redis, "ZCARD rz:{0}:t"), "0");
}

static void a_cancel_during_the_pause_of_a_rerun_ends_it_at_once(void **state)
{
    calls_t *calls = *state;
    submit_for_attempts(calls, "c1", 3);
    lose_an_attempt(calls, "c1", 1);
    submit_for_attempts(calls, "c2", 1); /* of the same class: its place in the queue is its own */
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_true(calls->answer.ended);
    status_is(calls, "c1", "cancelled");
    call_tick(calls, 100000);
    status_is(calls, "c1", "cancelled");
    assert_int_equal(waiting_in_queues(calls), 1);
    assert_string_equal(redis_do(&calls->redis, "GET rz:{0}:n"), "1");
    assert_string_equal(redis_do(&calls->redis, "ZCARD rz:{0}:t"), "0");
}

static void what_runs_is_released_for_a_rerun_while_an_attempt_is_left(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.max_attempts = 2;
    request.owner = "i1";
    request.token = token(0);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_start(calls, "c1", 1, token(0)), RZ_OK);
    assert_int_equal(call_release_for_rerun(calls, "c1", 1, token(0)), RZ_OK);
    assert_int_equal(call_release_for_rerun(calls, "c1", 1, token(0)), RZ_FENCED);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK); /* at once: nothing went wrong */
    assert_int_equal(calls->answer.assigned[0].attempt, 2);
    assert_string_equal(calls->answer.assigned[0].previous_error, "by the test");
    assert_int_equal(call_release_for_rerun(calls, "c1", 2, token(0)), RZ_STATE);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_rerun_waits_a_second_then_twice_as_long_each_time_up_to_a_minute, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_cancel_during_the_pause_of_a_rerun_ends_it_at_once, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_runs_is_released_for_a_rerun_while_an_attempt_is_left, calls_setup, calls_teardown),
};
/* clang-format on */

RZ_FACTS(tests)
