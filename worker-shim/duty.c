/* duty.c - the table of duty.h. */
#include "duty.h"

typedef struct {
    duty_state_t next;
    duty_action_t action;
} edge_t;

static const edge_t edges[DUTY_STATE_COUNT][DUTY_EVENT_COUNT] = {
    [DUTY_IDLE][DUTY_ON_RUN] = { DUTY_BUSY, DUTY_TELL_RUN },
    [DUTY_IDLE][DUTY_ON_END] = { DUTY_AWAY, DUTY_AWAIT_RUN },

    [DUTY_AWAY][DUTY_ON_RUN] = { DUTY_AGAIN, DUTY_START },

    [DUTY_BUSY][DUTY_ON_TERMINAL] = { DUTY_IDLE, DUTY_FINISH_AS_TOLD },
    [DUTY_BUSY][DUTY_ON_CANCEL] = { DUTY_STOPPING, DUTY_TELL_CANCEL },
    [DUTY_BUSY][DUTY_ON_END] = { DUTY_GONE, DUTY_FINISH_FAILED },
    [DUTY_BUSY][DUTY_ON_LOST] = { DUTY_AGAIN, DUTY_START },

    [DUTY_AGAIN][DUTY_ON_TERMINAL] = { DUTY_IDLE, DUTY_FINISH_AS_TOLD },
    [DUTY_AGAIN][DUTY_ON_CANCEL] = { DUTY_STOPPING, DUTY_TELL_CANCEL },
    [DUTY_AGAIN][DUTY_ON_END] = { DUTY_GONE, DUTY_FINISH_FAILED },
    [DUTY_AGAIN][DUTY_ON_LOST] = { DUTY_GONE, DUTY_FINISH_FAILED },

    /* a run that completes nevertheless has completed: the parent judges that */
    [DUTY_STOPPING][DUTY_ON_TERMINAL] = { DUTY_IDLE, DUTY_FINISH_AS_TOLD },
    [DUTY_STOPPING][DUTY_ON_GRACE_OVER] = { DUTY_STOPPING, DUTY_STOP },
    [DUTY_STOPPING][DUTY_ON_END] = { DUTY_GONE, DUTY_FINISH_STOPPED },
    [DUTY_STOPPING][DUTY_ON_LOST] = { DUTY_GONE, DUTY_FINISH_STOPPED },

    /* the worker is on its way out, and one more run waited behind the last */
    [DUTY_GONE][DUTY_ON_RUN] = { DUTY_GONE, DUTY_FINISH_FAILED },
};

duty_action_t duty_feed(duty_t *duty, duty_event_t event)
{
    const edge_t *edge = &edges[duty->state][event];
    if (edge->action != DUTY_NOTHING)
        duty->state = edge->next;
    return edge->action;
}

bool duty_serves(const duty_t *duty)
{
    return duty->state == DUTY_BUSY || duty->state == DUTY_AGAIN;
}

#define X(name) #name,
const char *duty_state_name(duty_state_t state)
{
    static const char *const names[] = { DUTY_STATES(X) };
    return names[state];
}

const char *duty_event_name(duty_event_t event)
{
    static const char *const names[] = { DUTY_EVENTS(X) };
    return names[event];
}

const char *duty_action_name(duty_action_t action)
{
    static const char *const names[] = { DUTY_ACTIONS(X) };
    return names[action];
}
#undef X
