/* test_worker_life.c - the sentences that a worker's table must not forget; every edge of it stands in ARCHITECTURE.md
 * (test_pictures.c). */
#include "facts.h"
#include "worker_life.h"

#include <stdbool.h>

/* What there is of a worker, kept beside the table. */
typedef struct {
    worker_state_t state;
    bool process, connection, freed;
    int runs, given, failed,
        lost; /* how often it was taken, given back, told to have failed, told to be lost */
} life_t;

static const life_t born = { .state = WORKER_SPAWNING, .process = true };

static bool has_process(worker_state_t state)
{
    return state <= WORKER_BUSY || state == WORKER_RETIRING || state == WORKER_REAPING;
}

static bool has_connection(worker_state_t state)
{
    return state >= WORKER_CONNECTING && state <= WORKER_CLOSING && state != WORKER_REAPING;
}

/* Only what the world can do: an end comes once, and nothing is heard of what is not there. */
static bool can_happen(const life_t *life, worker_event_t event)
{
    switch (event) {
    case WORKER_EV_RECORD:
    case WORKER_EV_BAD_RECORD:
        return life->state == WORKER_SPAWNING;
    case WORKER_EV_OPEN:
        return life->state == WORKER_CONNECTING;
    case WORKER_EV_EXIT:
        return life->process;
    case WORKER_EV_CLOSE:
        return life->connection;
    case WORKER_EV_FRAME:
        return life->connection && life->state != WORKER_CONNECTING;
    default:
        return true;
    }
}

static worker_action_t feed(life_t *life, worker_event_t event)
{
    worker_action_t action = worker_life_feed(&life->state, event);
    life->process &= event != WORKER_EV_EXIT;
    life->connection = (life->connection || action == WORKER_DO_CONNECT) && event != WORKER_EV_CLOSE;
    life->failed += action == WORKER_DO_FAIL_START || action == WORKER_DO_FAIL_CONNECT;
    life->lost += action == WORKER_DO_LOSE;
    assert_false(life->freed);
    life->freed = action == WORKER_DO_FREE;
    return action;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void the_state_says_what_is_left_of_a_worker(void **state)
{
    (void)state;
    unsigned seed = 3;
    for (int n = 0; n < 20000; n++) {
        life_t life = born;
        for (int i = 0; i < 60 && !life.freed; i++) {
            worker_event_t event = (worker_event_t)(next_random(&seed) % WORKER_EVENTS);
            if (can_happen(&life, event))
                feed(&life, event);
            assert_int_equal(life.process, has_process(life.state));
            assert_int_equal(life.connection, has_connection(life.state));
        }
        assert_in_range(life.failed + life.lost, 0, 1);
    }
}

static void a_worker_is_freed_when_nothing_is_left_of_it_and_not_before(void **state)
{
    (void)state;
    unsigned seed = 5;
    for (int n = 0; n < 20000; n++) {
        life_t life = born;
        for (int i = 0; i < 400 && !life.freed; i++) {
            worker_event_t event = (worker_event_t)(next_random(&seed) % WORKER_EVENTS);
            if (can_happen(&life, event) && feed(&life, event) == WORKER_DO_FREE)
                assert_false(life.process || life.connection);
        }
        assert_true(life.freed); /* 400 events leave nobody alive */
    }
}

static void process_and_connection_may_end_in_either_order(void **state)
{
    (void)state;
    static const worker_state_t both[] = { WORKER_CONNECTING, WORKER_IDLE, WORKER_BUSY, WORKER_RETIRING };
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++)
        for (int exit_first = 0; exit_first < 2; exit_first++) {
            worker_state_t life = both[i];
            worker_life_feed(&life, exit_first ? WORKER_EV_EXIT : WORKER_EV_CLOSE);
            assert_int_not_equal(life, WORKER_ENDED);
            worker_life_feed(&life, exit_first ? WORKER_EV_CLOSE : WORKER_EV_EXIT);
            assert_int_equal(life, WORKER_ENDED);
        }
}

static void a_kill_is_heard_as_long_as_anything_is_left(void **state)
{
    (void)state;
    for (int s = 0; s < WORKER_ENDED; s++) {
        worker_state_t life = (worker_state_t)s;
        assert_int_equal(worker_life_feed(&life, WORKER_EV_KILL), WORKER_DO_KILL);
        assert_true(life == WORKER_RETIRING || life == WORKER_REAPING || life == WORKER_CLOSING);
    }
}

static void who_is_asked_to_go_is_killed_when_its_time_is_over(void **state)
{
    (void)state;
    for (int s = 0; s <= WORKER_BUSY; s++) {
        worker_state_t life = (worker_state_t)s;
        assert_int_equal(worker_life_feed(&life, WORKER_EV_TERMINATE), WORKER_DO_ASK);
        assert_int_equal(worker_life_feed(&life, WORKER_EV_TERMINATE), WORKER_DO_NOTHING);
        assert_int_equal(worker_life_feed(&life, WORKER_EV_DEADLINE), WORKER_DO_KILL);
    }
}

static void the_last_frames_of_a_run_are_read_after_the_process_ended(void **state)
{
    (void)state;
    worker_state_t life = WORKER_BUSY;
    assert_int_equal(worker_life_feed(&life, WORKER_EV_EXIT), WORKER_DO_DRAIN);
    assert_int_equal(worker_life_feed(&life, WORKER_EV_FRAME), WORKER_DO_DELIVER);
    assert_int_equal(worker_life_feed(&life, WORKER_EV_CLOSE), WORKER_DO_LOSE);
}

static void a_worker_whose_process_ended_takes_no_further_run(void **state)
{
    (void)state;
    worker_state_t life = WORKER_BUSY;
    worker_life_feed(&life, WORKER_EV_EXIT);
    assert_int_equal(worker_life_feed(&life, WORKER_EV_GIVE_BACK), WORKER_DO_KILL);
    assert_int_equal(worker_life_feed(&life, WORKER_EV_TAKE), WORKER_DO_NOTHING);
    assert_int_equal(life, WORKER_CLOSING);
}

static void a_frame_without_a_run_is_delivered_to_nobody(void **state)
{
    (void)state;
    for (int s = 0; s < WORKER_STATES; s++) {
        worker_state_t life = (worker_state_t)s;
        bool delivered = worker_life_feed(&life, WORKER_EV_FRAME) == WORKER_DO_DELIVER;
        assert_int_equal(delivered, s == WORKER_BUSY || s == WORKER_DYING);
    }
}

static void every_name_is_that_of_the_enumeration(void **state)
{
    (void)state;
    assert_string_equal(worker_state_name(WORKER_GONE), "GONE");
    assert_string_equal(worker_event_name(WORKER_EV_KILL), "KILL");
    assert_string_equal(worker_action_name(WORKER_DO_FREE), "FREE");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_state_says_what_is_left_of_a_worker),
    cmocka_unit_test(a_worker_is_freed_when_nothing_is_left_of_it_and_not_before),
    cmocka_unit_test(process_and_connection_may_end_in_either_order),
    cmocka_unit_test(a_kill_is_heard_as_long_as_anything_is_left),
    cmocka_unit_test(who_is_asked_to_go_is_killed_when_its_time_is_over),
    cmocka_unit_test(the_last_frames_of_a_run_are_read_after_the_process_ended),
    cmocka_unit_test(a_worker_whose_process_ended_takes_no_further_run),
    cmocka_unit_test(a_frame_without_a_run_is_delivered_to_nobody),
    cmocka_unit_test(every_name_is_that_of_the_enumeration),
};
RZ_FACTS(tests)
