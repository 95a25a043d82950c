/* test_backlog.c - what waits in the store, and for how long: what the broker's metrics say of it. Against a real
 * Redis. */
#include "calls.h"

#include "../facts.h"

#include "base/clock.h"

typedef struct {
    rz_rc_t rc;
    uint64_t waiting, oldest_ms;
    bool answered;
} backlog_t;

static void on_backlog(rz_rc_t rc, uint64_t waiting, uint64_t oldest_ms, void *arg)
{
    *(backlog_t *)arg = (backlog_t){ rc, waiting, oldest_ms, true };
}

static backlog_t backlog(calls_t *calls)
{
    backlog_t backlog = { 0 };
    rz_op_backlog(calls->store, on_backlog, &backlog);
    calls_until(calls, &backlog.answered);
    assert_int_equal(backlog.rc, RZ_OK);
    return backlog;
}

/* Asks until the oldest has waited for so long. */
static backlog_t backlog_of_age(calls_t *calls, uint64_t ms)
{
    backlog_t seen;
    do
        seen = backlog(calls);
    while (seen.oldest_ms < ms);
    return seen;
}

static void queue(calls_t *calls, const char *parent, const char *child, uint64_t max_queue_ms)
{
    rz_submit_t request = plain_submit(child);
    request.parent = parent;
    request.max_queue_ms = max_queue_ms;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
}

static void an_empty_queue_has_no_oldest(void **state)
{
    backlog_t seen = backlog(*state);
    assert_int_equal(seen.waiting, 0);
    assert_int_equal(seen.oldest_ms, 0);
}

static void the_oldest_counts_until_it_is_taken(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    queue(calls, "p1", "first", 0);
    backlog_t first = backlog_of_age(calls, 100);
    uint64_t since_ms = rz_now_ms();
    queue(calls, "p2", "second", 0);
    assert_int_equal(backlog(calls).waiting, 2);
    assert_true(backlog(calls).oldest_ms >= first.oldest_ms);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(calls->answer.assigned[0].child, "first");
    backlog_t second = backlog(calls);
    assert_int_equal(second.waiting, 1);
    assert_true(second.oldest_ms <= rz_now_ms() - since_ms + 1);
}

/* More parents than one look takes: served last, the one with the oldest job is at the end of the ring, where only
 * the deadlines tell of it. */
static void among_many_parents_the_deadlines_tell_the_oldest(void **state)
{
    calls_t *calls = *state;
    char parent[16], child[16];
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    queue(calls, "old", "taken", 3600000);
    queue(calls, "old", "oldest", 3600000);
    backlog_of_age(calls, 100);
    assert_int_equal(call_tick(calls, 1000),
                     RZ_OK); /* deadlines are as fine as the ticks of the store's time */
    for (int i = 0; i < 200; i++) {
        snprintf(parent, sizeof parent, "p%d", i);
        snprintf(child, sizeof child, "c%d", i);
        queue(calls, parent, child, 3600000);
    }
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(calls->answer.assigned[0].child, "taken");
    backlog_t seen = backlog(calls);
    assert_int_equal(seen.waiting, 201);
    assert_true(seen.oldest_ms >= 100);
}

static void who_has_no_deadline_is_found_in_line(void **state)
{
    calls_t *calls = *state;
    queue(calls, "p1", "for-ever", 0);
    backlog_of_age(calls, 50);
    queue(calls, "p2", "for-an-hour", 3600000);
    assert_true(backlog(calls).oldest_ms >= 50);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_empty_queue_has_no_oldest, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_oldest_counts_until_it_is_taken, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(among_many_parents_the_deadlines_tell_the_oldest, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(who_has_no_deadline_is_found_in_line, calls_setup, calls_teardown),
};
/* clang-format on */

RZ_FACTS(tests)
