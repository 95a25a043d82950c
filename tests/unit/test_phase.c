/* test_phase.c - every phase of the runner meets every event; what others are told of it, and which orders it obeys. */
#include "facts.h"
#include "phase.h"

/* One row a phase, one column an event, in the order of phase.h; written down once more, by hand, so that a change of the table
 * must be meant. "-" nothing; else the action and the phase after it. */
static const char *const table[PHASES][PHASE_EVENTS] = {
    /* CORDON UNCORDON DRAIN EMPTY REQUEUE CANCEL OVER STOP REAPED */
    { "CLOSE_DOOR CORDONED", "-", "DRAIN DRAINING", "-", "-", "-", "-", "KILL LEAVING", "-" },
    { "-", "OPEN_DOOR UP", "DRAIN DRAINING", "-", "-", "-", "-", "KILL LEAVING", "-" },
    { "-", "-", "DRAIN_ANEW DRAINING", "LEAVE LEAVING", "REQUEUE ENDING", "CANCEL ENDING", "-",
      "KILL LEAVING", "-" },
    { "-", "-", "-", "LEAVE LEAVING", "-", "-", "LEAVE LEAVING", "KILL LEAVING", "-" },
    { "-", "-", "-", "-", "-", "-", "-", "-", "CLOSE CLOSED" },
    { "-", "-", "-", "-", "-", "-", "-", "-", "-" },
};

static void every_phase_answers_every_event_as_written_down(void **state)
{
    (void)state;
    for (int p = 0; p < PHASES; p++)
        for (int e = 0; e < PHASE_EVENTS; e++) {
            phase_t phase = (phase_t)p;
            phase_action_t action = phase_feed(&phase, (phase_event_t)e);
            char seen[64] = "-";
            if (action != PHASE_DO_NOTHING)
                snprintf(seen, sizeof seen, "%s %s", phase_action_name(action), phase_name(phase));
            else
                assert_int_equal(phase, p);
            if (strcmp(seen, table[p][e]) != 0)
                print_error("%s + %s\n", phase_name((phase_t)p), phase_event_name((phase_event_t)e));
            assert_string_equal(seen, table[p][e]);
        }
}

static void whatever_happens_it_never_takes_work_again_once_it_drains(void **state)
{
    (void)state;
    for (int p = PHASE_DRAINING; p < PHASES; p++)
        for (int e = 0; e < PHASE_EVENTS; e++) {
            phase_t phase = (phase_t)p;
            phase_feed(&phase, (phase_event_t)e);
            assert_true((int)phase >= p);
            assert_int_equal(phase_shown(phase), RZ_PHASE_DRAINING);
        }
}

static void others_are_told_three_phases(void **state)
{
    (void)state;
    assert_int_equal(phase_shown(PHASE_UP), RZ_PHASE_UP);
    assert_int_equal(phase_shown(PHASE_CORDONED), RZ_PHASE_CORDONED);
    assert_int_equal(phase_shown(PHASE_DRAINING), RZ_PHASE_DRAINING);
}

static void an_order_is_obeyed_by_who_is_that_or_more(void **state)
{
    (void)state;
    assert_true(phase_obeys(PHASE_UP, RZ_PHASE_UP));
    assert_false(phase_obeys(PHASE_CORDONED, RZ_PHASE_UP));
    assert_false(phase_obeys(PHASE_DRAINING, RZ_PHASE_UP)); /* for good */
    assert_true(phase_obeys(PHASE_CORDONED, RZ_PHASE_CORDONED));
    assert_true(phase_obeys(PHASE_DRAINING, RZ_PHASE_CORDONED));
    assert_true(phase_obeys(PHASE_ENDING, RZ_PHASE_DRAINING));
    assert_false(phase_obeys(PHASE_CORDONED, RZ_PHASE_DRAINING));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_phase_answers_every_event_as_written_down),
    cmocka_unit_test(whatever_happens_it_never_takes_work_again_once_it_drains),
    cmocka_unit_test(others_are_told_three_phases),
    cmocka_unit_test(an_order_is_obeyed_by_who_is_that_or_more),
};
RZ_FACTS(tests)
