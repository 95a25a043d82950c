/* test_duty.c - every state of a session's program meets every event; and what the table must not forget. */
#include "duty.h"
#include "facts.h"

/* One row a state, one column an event, in the order of duty.h, written down once more by hand. */
static const char *const table[DUTY_STATE_COUNT][DUTY_EVENT_COUNT] = {
    /*             RUN          TERMINAL    CANCEL           GRACE_OVER       END            */
    /* FRESH    */ { "tell BUSY", "-", "-", "-", "await FAILED" },
    /* IDLE     */ { "tell BUSY", "-", "-", "-", "leave GONE" },
    /* BUSY     */ { "-", "told IDLE", "ask STOPPING", "-", "failed GONE" },
    /* STOPPING */ { "-", "told IDLE", "-", "stop STOPPING", "stopped GONE" },
    /* FAILED   */ { "failed GONE", "-", "-", "-", "-" },
    /* GONE     */ { "failed GONE", "-", "-", "-", "-" },
};

static const char *const action_names[] = {
    [DUTY_TELL_RUN] = "tell",       [DUTY_TELL_CANCEL] = "ask",      [DUTY_STOP] = "stop",
    [DUTY_FINISH_AS_TOLD] = "told", [DUTY_FINISH_FAILED] = "failed", [DUTY_FINISH_STOPPED] = "stopped",
    [DUTY_AWAIT_RUN] = "await",     [DUTY_LEAVE] = "leave",
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

/* Runs come one at a time and a program ends once; all else may come whenever it likes. */
static void every_run_has_one_end_and_the_last_word_is_leave(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int life = 0; life < 20000; life++) {
        duty_t duty = { 0 };
        int active = 0, ended = 0;
        for (int i = 0; i < 30; i++) {
            duty_event_t event = (duty_event_t)(next_random(&seed) % DUTY_EVENT_COUNT);
            if ((event == DUTY_ON_RUN && active) || (event == DUTY_ON_END && ended))
                continue;
            active |= event == DUTY_ON_RUN;
            ended |= event == DUTY_ON_END;
            duty_action_t action = duty_feed(&duty, event);
            assert_true(!is_finish(action) || active);
            active &= !is_finish(action);
        }
        assert_int_equal(active, duty.state == DUTY_BUSY || duty.state == DUTY_STOPPING);
        assert_int_equal(ended, duty.state == DUTY_FAILED || duty.state == DUTY_GONE);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_state_answers_every_event_as_written_down),
    cmocka_unit_test(every_run_has_one_end_and_the_last_word_is_leave),
};

RZ_FACTS(tests)
