/* test_runner_rooms.c - max_concurrent of a profile: what comes beyond it waits, and brokers are told. */
#include "facts.h"
#include "stand_in.h"

#include <signal.h>

#define WAITS "[\"hear\",\"tell\"]"

static stand_in_t s;

static void up(int most)
{
    char more[64];
    snprintf(more, sizeof more, ",\"max_concurrent\":%d", most);
    stand_in_up(&s, stand_in_actor(NULL, NULL, more), NULL);
}

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

static void begin(const char *child)
{
    stand_in_assign(&s, child, "actor", 1, WAITS, NULL);
    stand_in_wait_event(&s, child, "sub_agent_started");
}

static void let_end(const char *child)
{
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = child, .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &steer, "\"go on\"");
    assert_string_equal(stand_in_wait(&s, child)->status, "completed");
}

static void queue(const char *child)
{
    stand_in_assign(&s, child, "actor", 1, WAITS, NULL);
    stand_in_wait_event(&s, child, "sub_agent_heartbeat"); /* it lives */
}

static bool has_begun(const char *child)
{
    return strstr(stand_in_seen(&s, child)->events, "sub_agent_started") != NULL;
}

static void wait_full(const char *list)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (strcmp(s.full, list) != 0 && process_now_ms() < deadline)
        stand_in_pump(&s, 100);
    assert_string_equal(s.full, list);
}

static void what_a_profile_has_no_room_for_waits_its_turn(void **state)
{
    (void)state;
    up(2);
    begin("ch-1");
    begin("ch-2");
    queue("ch-3");
    queue("ch-4");
    stand_in_pump_for(&s, 200);
    assert_false(has_begun("ch-3"));
    let_end("ch-2");
    stand_in_wait_event(&s, "ch-3", "sub_agent_started");
    assert_false(has_begun("ch-4"));
    let_end("ch-1");
    stand_in_wait_event(&s, "ch-4", "sub_agent_started");
    let_end("ch-3");
    let_end("ch-4");
    down();
}

static void who_waits_takes_the_worker_that_becomes_free(void **state)
{
    (void)state;
    pid_t first[8], second[8];
    up(1);
    begin("ch-1");
    queue("ch-2");
    assert_int_equal(stand_in_workers(&s, first, 8), 1);
    let_end("ch-1");
    stand_in_wait_event(&s, "ch-2", "sub_agent_started");
    assert_int_equal(stand_in_workers(&s, second, 8), 1);
    assert_int_equal(first[0], second[0]);
    let_end("ch-2");
    down();
}

static void a_full_profile_holds_up_no_other(void **state)
{
    (void)state;
    up(1);
    begin("ch-1");
    queue("ch-2");
    stand_in_assign(&s, "ch-3", "echo", 1, "past them", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-3")->status, "completed");
    assert_false(has_begun("ch-2"));
    let_end("ch-1");
    let_end("ch-2");
    down();
}

static void credit_names_the_profiles_without_room(void **state)
{
    (void)state;
    up(1);
    assert_string_equal(s.full, "");
    begin("ch-1");
    wait_full("[\"actor\"]");
    stand_in_assign(&s, "ch-2", "echo", 1, "x", NULL);
    stand_in_wait(&s, "ch-2");
    wait_full("[\"actor\"]");
    let_end("ch-1");
    wait_full("");
    down();
}

static void a_run_that_is_lost_leaves_its_room(void **state)
{
    (void)state;
    pid_t workers[8];
    up(1);
    begin("ch-1");
    queue("ch-2");
    assert_int_equal(stand_in_workers(&s, workers, 8), 1);
    kill(workers[0], SIGKILL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "error");
    stand_in_wait_event(&s, "ch-2", "sub_agent_started");
    let_end("ch-2");
    down();
}

static void room_is_free_when_the_outcome_is_known_though_nobody_has_taken_it_yet(void **state)
{
    (void)state;
    up(1);
    begin("ch-1");
    queue("ch-2");
    s.write_code = RZ_UNAVAILABLE;
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait_event(&s, "ch-2", "sub_agent_started");
    wait_full("[\"actor\"]");
    assert_false(stand_in_seen(&s, "ch-1")->completed);
    s.write_code = RZ_OK;
    let_end("ch-2");
    stand_in_wait(&s, "ch-1");
    down();
}

/* The same token again is a repeat; another one takes the child over, and its place at the door goes. */
static void a_new_epoch_of_a_child_that_waits_takes_its_place_at_the_end(void **state)
{
    (void)state;
    up(1);
    begin("ch-1");
    queue("ch-2");
    queue("ch-3");
    stand_in_assign(&s, "ch-2", "actor", 2, "[\"tell\"]", NULL);
    stand_in_pump_for(&s, 200);
    let_end("ch-1");
    stand_in_wait_event(&s, "ch-3", "sub_agent_started");
    assert_false(has_begun("ch-2"));
    let_end("ch-3");
    const seen_t *seen = stand_in_wait(&s, "ch-2");
    assert_int_equal(seen->finishes, 1);
    down();
}

static void subagents_may_have_a_limit_too(void **state)
{
    (void)state;
    stand_in_up(&s, "\"subagents\":{\"max_concurrent\":1}", NULL);
    stand_in_assign(&s, "ch-1", "local-actor", 1, "__sleep_ms:500 x", NULL);
    stand_in_assign(&s, "ch-2", "local-actor", 1, "y", NULL);
    wait_full("[\"local-actor\"]");
    uint64_t first_ms = stand_in_wait(&s, "ch-1")->done_ms;
    assert_true(stand_in_wait(&s, "ch-2")->done_ms >= first_ms);
    down();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_a_profile_has_no_room_for_waits_its_turn),
    cmocka_unit_test(who_waits_takes_the_worker_that_becomes_free),
    cmocka_unit_test(a_full_profile_holds_up_no_other),
    cmocka_unit_test(credit_names_the_profiles_without_room),
    cmocka_unit_test(a_run_that_is_lost_leaves_its_room),
    cmocka_unit_test(room_is_free_when_the_outcome_is_known_though_nobody_has_taken_it_yet),
    cmocka_unit_test(a_new_epoch_of_a_child_that_waits_takes_its_place_at_the_end),
    cmocka_unit_test(subagents_may_have_a_limit_too),
};
RZ_FACTS(tests)
