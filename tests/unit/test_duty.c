/* test_duty.c - every state of a session's program meets every event; and what the table must not forget. */
#include "duty.h"
#include "facts.h"

/* One row a state, one column an event, in the order of duty.h, written down once more by hand. */
static const char *const table[DUTY_STATE_COUNT][DUTY_EVENT_COUNT] = {
    /*             RUN             TERMINAL     CANCEL          GRACE_OVER       END             LOST */
    /* IDLE     */ { "tell BUSY", "-", "-", "-", "await AWAY", "-" },
    /* AWAY     */ { "start AGAIN", "-", "-", "-", "-", "-" },
    /* BUSY     */ { "-", "told IDLE", "ask STOPPING", "-", "failed GONE", "start AGAIN" },
    /* AGAIN    */ { "-", "told IDLE", "ask STOPPING", "-", "failed GONE", "failed GONE" },
    /* STOPPING */ { "-", "told IDLE", "-", "stop STOPPING", "stopped GONE", "stopped GONE" },
    /* GONE     */ { "failed GONE", "-", "-", "-", "-", "-" },
};

static const char *const action_names[] = {
    [DUTY_TELL_RUN] = "tell",          [DUTY_START] = "start",
    [DUTY_TELL_CANCEL] = "ask",        [DUTY_STOP] = "stop",
    [DUTY_FINISH_AS_TOLD] = "told",    [DUTY_FINISH_FAILED] = "failed",
    [DUTY_FINISH_STOPPED] = "stopped", [DUTY_AWAIT_RUN] = "await",
};

static void every_state_answers_every_event_as_written_down(void **state)
{
    (void)state;
    for (int s = 0; s < DUTY_STATE_COUNT; s++)
        for (int e = 0; e < DUTY_EVENT_COUNT; e++) {
            duty_t duty = { .state = (duty_state_t)s };
            duty_action_t action = duty_feed(&duty, (duty_event_t)e);
            char seen[64] = "-";
            if (action != DUTY_NOTHING)
                snprintf(seen, sizeof seen, "%s %s", action_names[action], duty_state_name(duty.state));
            else
                assert_int_equal(duty.state, s);
            if (strcmp(seen, table[s][e]) != 0)
                print_error("%s + %s\n", duty_state_name((duty_state_t)s), duty_event_name((duty_event_t)e));
            assert_string_equal(seen, table[s][e]);
        }
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static int is_finish(duty_action_t action)
{
    return action == DUTY_FINISH_AS_TOLD || action == DUTY_FINISH_FAILED || action == DUTY_FINISH_STOPPED;
}

/* Runs come one at a time, and only a program that is there can end; all else may come whenever it likes. */
static void every_run_has_one_end_and_two_programs_at_most(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int life = 0; life < 20000; life++) {
        duty_t duty = { 0 };
        int active = 0, there = 1, starts = 0;
        for (int i = 0; i < 30; i++) {
            duty_event_t event = (duty_event_t)(next_random(&seed) % DUTY_EVENT_COUNT);
            int ends = event == DUTY_ON_END || event == DUTY_ON_LOST;
            if ((event == DUTY_ON_RUN && active) || (ends && !there) || (event == DUTY_ON_LOST && !active))
                continue;
            if (event == DUTY_ON_RUN)
                starts = 0;
            active |= event == DUTY_ON_RUN;
            there &= !ends;
            duty_action_t action = duty_feed(&duty, event);
            assert_true(!is_finish(action) || active);
            active &= !is_finish(action);
            there |= action == DUTY_START;
            starts += action == DUTY_START;
            assert_in_range(starts, 0, 1);
        }
        assert_int_equal(active, duty_serves(&duty) || duty.state == DUTY_STOPPING);
        assert_int_equal(!there, duty.state == DUTY_AWAY || duty.state == DUTY_GONE);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_state_answers_every_event_as_written_down),
    cmocka_unit_test(every_run_has_one_end_and_two_programs_at_most),
};

RZ_FACTS(tests)
