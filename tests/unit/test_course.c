/* test_course.c - every state meets every event; and the few sentences that the table must not forget. */
#include "course.h"
#include "facts.h"

/* One row a state, one column an event, in the order of course.h; written down once more, by hand, so that a
 * change of the table must be meant. "-" nothing; else the action's letter, and the state after it. */
static const char *const table[ACT_STATES][ACT_EVENTS] = {
    /* READY CONNECT_FAILED FAILED SKIP TERMINAL LOST CANCEL CANCEL_NOW LIMIT GRACE_OVER FENCED DRAIN YIELD
     * STOP SETTLED */
    { "run RUNNING", "respawn RETRYING", "failed ENDED", "skipped ENDED", "-", "-", "cancelled ENDED",
      "cancelled ENDED", "-", "-", "abandon DONE", "release RELEASING", "-", "release RELEASING", "-" },
    { "run RUNNING", "failed ENDED", "failed ENDED", "-", "-", "-", "cancelled ENDED", "cancelled ENDED", "-",
      "-", "abandon DONE", "release RELEASING", "-", "release RELEASING", "-" },
    { "-", "-", "-", "-", "told ENDED", "failed ENDED", "ask CANCELLING", "cancelled ENDED", "ask EXPIRING",
      "-", "abandon DONE", "-", "give up RELEASING", "stopped ENDED", "-" },
    { "-", "-", "-", "-", "asked ENDED", "cancelled ENDED", "-", "cancelled ENDED", "-", "cancelled ENDED",
      "abandon DONE", "-", "cancelled ENDED", "cancelled ENDED", "-" },
    { "-", "-", "-", "-", "timeout ENDED", "timeout ENDED", "-", "timeout ENDED", "-", "timeout ENDED",
      "abandon DONE", "-", "timeout ENDED", "timeout ENDED", "-" },
    { "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "abandon DONE", "-", "-", "-", "complete DONE" },
    { "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "abandon DONE", "-", "-", "-", "forget DONE" },
    { "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-" },
};

static const char *const action_names[] = {
    [DO_RUN] = "run",
    [DO_RESPAWN] = "respawn",
    [DO_ASK_TO_STOP] = "ask",
    [DO_END_AS_TOLD] = "told",
    [DO_END_ASKED] = "asked",
    [DO_END_FAILED] = "failed",
    [DO_END_CANCELLED] = "cancelled",
    [DO_END_TIMED_OUT] = "timeout",
    [DO_END_STOPPED] = "stopped",
    [DO_END_SKIPPED] = "skipped",
    [DO_RELEASE] = "release",
    [DO_GIVE_UP] = "give up",
    [DO_ABANDON] = "abandon",
    [DO_COMPLETE] = "complete",
    [DO_FORGET] = "forget",
};

static void every_state_answers_every_event_as_written_down(void **state)
{
    (void)state;
    for (int s = 0; s < ACT_STATES; s++)
        for (int e = 0; e < ACT_EVENTS; e++) {
            course_t course = { .state = (course_state_t)s };
            course_action_t action = course_feed(&course, (course_event_t)e);
            char seen[64] = "-";
            if (action != DO_NOTHING)
                snprintf(seen, sizeof seen, "%s %s", action_names[action], course_state_name(course.state));
            else
                assert_int_equal(course.state, s);
            if (strcmp(seen, table[s][e]) != 0)
                print_error("%s + %s\n", course_state_name((course_state_t)s),
                            course_event_name((course_event_t)e));
            assert_string_equal(seen, table[s][e]);
        }
}

static int is_end(course_action_t action)
{
    return action >= DO_END_AS_TOLD && action <= DO_END_SKIPPED;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void whatever_happens_an_activation_ends_at_most_once(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int life = 0; life < 20000; life++) {
        course_t course = { 0 };
        int ends = 0;
        for (int i = 0; i < 40; i++)
            ends += is_end(course_feed(&course, (course_event_t)(next_random(&seed) % ACT_EVENTS)));
        assert_in_range(ends, 0, 1);
    }
}

static void a_fence_ends_every_living_state_in_silence(void **state)
{
    (void)state;
    for (int s = 0; s < ACT_DONE; s++) {
        course_t course = { .state = (course_state_t)s };
        assert_int_equal(course_feed(&course, EV_FENCED), DO_ABANDON);
        assert_int_equal(course.state, ACT_DONE);
    }
}

static void the_slot_is_free_once_the_outcome_is_known(void **state)
{
    (void)state;
    course_t course = { 0 };
    assert_true(course_is_open(&course));
    course_feed(&course, EV_READY);
    assert_true(course_is_open(&course));
    course_feed(&course, EV_TERMINAL);
    assert_false(course_is_open(&course));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_state_answers_every_event_as_written_down),
    cmocka_unit_test(whatever_happens_an_activation_ends_at_most_once),
    cmocka_unit_test(a_fence_ends_every_living_state_in_silence),
    cmocka_unit_test(the_slot_is_free_once_the_outcome_is_known),
};
RZ_FACTS(tests)
