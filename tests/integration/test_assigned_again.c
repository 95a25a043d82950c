/* test_assigned_again.c - what a runner makes of an assignment that it was given before: a broker was late, or the store lost
 * what it had acknowledged. */
#include "facts.h"
#include "stand_in.h"

#define ECHO_EVENTS "sub_agent_heartbeat sub_agent_started token token complete sub_agent_completed"

static stand_in_t s;

static void up(const char *const *flags)
{
    stand_in_up(&s, "", flags);
}

static void echo(const char *child, const char *text)
{
    stand_in_assign(&s, child, "echo", 1, text, NULL);
}

static void a_repeated_assignment_runs_once(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:300 x");
    echo("ch-1", "__sleep_ms:300 x");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    stand_in_pump_for(&s, 200);
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(seen->starts, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void await_finishes(const seen_t *seen, int n)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (seen->finishes < n) {
        assert_true(process_now_ms() < deadline);
        stand_in_pump(&s, 100);
    }
}

/* Another broker may learn late that it was settled, or the store may have lost it. */
static void what_has_ended_is_not_run_again_and_its_end_is_said_again(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "x y");
    seen_t *seen = stand_in_wait(&s, "ch-1");
    uint64_t last = seen->logged_seq;
    seen->status[0] = seen->reply[0] = '\0';
    echo("ch-1", "x y");
    await_finishes(seen, 2);
    assert_string_equal(seen->status, "completed");
    assert_true(stand_in_replied(seen, "echo: x y"));
    assert_int_equal(seen->logged_seq, last);
    echo("ch-2", "y");
    stand_in_wait(&s, "ch-2");
    assert_int_equal(seen->starts, 1);
    assert_int_equal(seen->finishes, 2);
    assert_string_equal(seen->events, ECHO_EVENTS); /* it is not published again */
    assert_int_equal(stand_in_down(&s), 0);
}

static void what_was_given_back_is_given_back_again(void **state)
{
    (void)state;
    up(NULL);
    assert_int_equal(stand_in_order(&s, "cordoned", NULL, 0), RZ_OK);
    echo("ch-1", "x");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_int_equal(seen->releases, 1);
    assert_int_equal(stand_in_order(&s, "up", NULL, 0), RZ_OK);
    echo("ch-1", "x");
    echo("ch-2", "y");
    stand_in_wait(&s, "ch-2");
    assert_int_equal(seen->releases, 2);
    assert_int_equal(seen->reruns, 0);
    assert_int_equal(seen->starts + seen->finishes, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

static void nobody_knows_how_it_ended(const seen_t *seen)
{
    await_finishes(seen, 1);
    assert_string_equal(seen->status, "error");
    assert_string_equal(seen->error, "the store lost how it ended");
}

static void what_was_taken_in_mid_run_and_comes_again_ends_in_error(void **state)
{
    (void)state;
    up(NULL);
    echo("ch-1", "__sleep_ms:60000 x");
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    while (seen->starts == 0)
        stand_in_pump(&s, 100);
    pid_t workers[8];
    for (s.disown = true; stand_in_workers(&s, workers, 8) > 0; s.disown = true)
        stand_in_pump(&s, 20);
    s.disown = false;
    echo("ch-1", "__sleep_ms:60000 x");
    nobody_knows_how_it_ended(seen);
    assert_int_equal(seen->starts, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void what_began_as_the_store_says_and_nobody_remembers_ends_in_error(void **state)
{
    (void)state;
    up(NULL);
    const rz_link_t assign = { .kind = RZ_LINK_ASSIGN,
                               .child = "ch-1",
                               .parent = "root",
                               .epoch = 1,
                               .token = "00000000000000000000000000000001",
                               .attempt = 1,
                               .profile = "echo",
                               .affinity = "a",
                               .model = "",
                               .live = true };
    stand_in_send_parts(&s, &assign, (const char *const[]){ "{\"id\":\"ch-1\"}", "[]" }, 2);
    s.sent++;
    nobody_knows_how_it_ended(stand_in_seen(&s, "ch-1"));
    assert_int_equal(stand_in_seen(&s, "ch-1")->starts, 0);
    assert_int_equal(stand_in_down(&s), 0);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_repeated_assignment_runs_once),
    cmocka_unit_test(what_has_ended_is_not_run_again_and_its_end_is_said_again),
    cmocka_unit_test(what_was_given_back_is_given_back_again),
    cmocka_unit_test(what_was_taken_in_mid_run_and_comes_again_ends_in_error),
    cmocka_unit_test(what_began_as_the_store_says_and_nobody_remembers_ends_in_error),
};
/* clang-format on */

RZ_FACTS(tests)
