/* test_freeze.c - every state meets every event; and what the table must not forget. */
#include "facts.h"
#include "freeze.h"

/* One row a state, one column an event, in the order of freeze.h, written down once more, by hand, so that a change of the
 * table must be meant. "-" nothing. */
static const char *const table[FREEZE_STATES][FREEZE_EVENTS] = {
    /* LINK        LOSE            CONFIRM      CONDEMN      DEADLINE */
    { "-", "WATCH ALONE", "-", "-", "-" },
    { "CALM FREE", "-", "-", "CALM FREE", "FREEZE FROZEN" },
    { "CALM HELD", "-", "-", "THAW FREE", "GIVE_UP SPENT" },
    { "-", "HOLD FROZEN", "THAW FREE", "THAW FREE", "-" },
    { "-", "-", "THAW FREE", "THAW FREE", "-" },
};

static void every_state_answers_every_event_as_written_down(void **state)
{
    (void)state;
    for (int s = 0; s < FREEZE_STATES; s++)
        for (int e = 0; e < FREEZE_EVENTS; e++) {
            freeze_state_t at = (freeze_state_t)s;
            freeze_action_t action = freeze_feed(&at, (freeze_event_t)e);
            char seen[64] = "-";
            if (action != FREEZE_DO_NOTHING)
                snprintf(seen, sizeof seen, "%s %s", freeze_action_name(action), freeze_state_name(at));
            else
                assert_int_equal(at, s);
            if (strcmp(seen, table[s][e]) != 0)
                print_error("%s + %s\n", freeze_state_name((freeze_state_t)s),
                            freeze_event_name((freeze_event_t)e));
            assert_string_equal(seen, table[s][e]);
        }
}

/* Workers stand still exactly from FREEZE to THAW, and each comes only after the other. */
static void freezing_and_thawing_take_turns_whatever_happens(void **state)
{
    (void)state;
    unsigned seed = 7;
    bool frozen = false;
    size_t freezes = 0;
    freeze_state_t at = FREEZE_FREE;
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1664525u + 1013904223u;
        freeze_action_t action = freeze_feed(&at, (freeze_event_t)((seed >> 16) % FREEZE_EVENTS));
        assert_false(action == FREEZE_DO_FREEZE && frozen);
        assert_false(action == FREEZE_DO_THAW && !frozen);
        frozen = action == FREEZE_DO_FREEZE || (frozen && action != FREEZE_DO_THAW);
        freezes += action == FREEZE_DO_FREEZE;
        assert_int_equal(freeze_is_on(at), frozen);
    }
    assert_true(freezes > 100);
}

static void a_broker_alone_thaws_nobody(void **state)
{
    (void)state;
    freeze_state_t at = FREEZE_FROZEN;
    assert_int_equal(freeze_feed(&at, FREEZE_EV_LINK), FREEZE_DO_CALM);
    assert_true(freeze_is_on(at));
    assert_int_equal(freeze_feed(&at, FREEZE_EV_DEADLINE), FREEZE_DO_NOTHING);
    assert_int_equal(freeze_feed(&at, FREEZE_EV_CONFIRM), FREEZE_DO_THAW);
    assert_false(freeze_is_on(at));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_state_answers_every_event_as_written_down),
    cmocka_unit_test(freezing_and_thawing_take_turns_whatever_happens),
    cmocka_unit_test(a_broker_alone_thaws_nobody),
};
RZ_FACTS(tests)
