/* course.c - the table of course.h. */
#include "course.h"

typedef struct {
    course_state_t next;
    course_action_t action;
} edge_t;

static const edge_t edges[ACT_STATES][ACT_EVENTS] = {
    [ACT_WAITING][EV_READY] = { ACT_RUNNING, DO_RUN },
    [ACT_WAITING][EV_CONNECT_FAILED] = { ACT_RETRYING, DO_RESPAWN },
    [ACT_WAITING][EV_FAILED] = { ACT_ENDED, DO_END_FAILED },
    [ACT_WAITING][EV_SKIP] = { ACT_ENDED, DO_END_SKIPPED },
    [ACT_WAITING][EV_CANCEL] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_WAITING][EV_CANCEL_NOW] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_WAITING][EV_FENCED] = { ACT_DONE, DO_ABANDON },
    [ACT_WAITING][EV_DRAIN] = { ACT_RELEASING, DO_RELEASE },
    [ACT_WAITING][EV_STOP] = { ACT_RELEASING, DO_RELEASE },

    [ACT_RETRYING][EV_READY] = { ACT_RUNNING, DO_RUN },
    [ACT_RETRYING][EV_CONNECT_FAILED] = { ACT_ENDED, DO_END_FAILED },
    [ACT_RETRYING][EV_FAILED] = { ACT_ENDED, DO_END_FAILED },
    [ACT_RETRYING][EV_CANCEL] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_RETRYING][EV_CANCEL_NOW] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_RETRYING][EV_FENCED] = { ACT_DONE, DO_ABANDON },
    [ACT_RETRYING][EV_DRAIN] = { ACT_RELEASING, DO_RELEASE },
    [ACT_RETRYING][EV_STOP] = { ACT_RELEASING, DO_RELEASE },

    /* a drain lets it go on; only a stop ends it */
    [ACT_RUNNING][EV_TERMINAL] = { ACT_ENDED, DO_END_AS_TOLD },
    [ACT_RUNNING][EV_LOST] = { ACT_ENDED, DO_END_FAILED },
    [ACT_RUNNING][EV_CANCEL] = { ACT_CANCELLING, DO_ASK_TO_STOP },
    [ACT_RUNNING][EV_CANCEL_NOW] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_RUNNING][EV_LIMIT] = { ACT_EXPIRING, DO_ASK_TO_STOP },
    [ACT_RUNNING][EV_FENCED] = { ACT_DONE, DO_ABANDON },
    [ACT_RUNNING][EV_YIELD] = { ACT_RELEASING, DO_GIVE_UP },
    [ACT_RUNNING][EV_STOP] = { ACT_ENDED, DO_END_STOPPED },

    [ACT_CANCELLING][EV_TERMINAL] = { ACT_ENDED, DO_END_ASKED },
    [ACT_CANCELLING][EV_LOST] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_CANCELLING][EV_CANCEL_NOW] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_CANCELLING][EV_GRACE_OVER] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_CANCELLING][EV_YIELD] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_CANCELLING][EV_STOP] = { ACT_ENDED, DO_END_CANCELLED },
    [ACT_CANCELLING][EV_FENCED] = { ACT_DONE, DO_ABANDON },

    /* the limit was reached: whatever follows, it timed out (rule 8.5) */
    [ACT_EXPIRING][EV_TERMINAL] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_LOST] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_CANCEL_NOW] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_GRACE_OVER] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_YIELD] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_STOP] = { ACT_ENDED, DO_END_TIMED_OUT },
    [ACT_EXPIRING][EV_FENCED] = { ACT_DONE, DO_ABANDON },

    [ACT_ENDED][EV_SETTLED] = { ACT_DONE, DO_COMPLETE },
    [ACT_ENDED][EV_FENCED] = { ACT_DONE, DO_ABANDON },

    [ACT_RELEASING][EV_SETTLED] = { ACT_DONE, DO_FORGET },
    [ACT_RELEASING][EV_FENCED] = { ACT_DONE, DO_ABANDON },
};

course_action_t course_feed(course_t *course, course_event_t event)
{
    const edge_t *edge = &edges[course->state][event];
    if (edge->action != DO_NOTHING)
        course->state = edge->next;
    return edge->action;
}

#define X(name) #name,
const char *course_state_name(course_state_t state)
{
    static const char *const names[] = { COURSE_STATES(X) };
    return names[state];
}

const char *course_event_name(course_event_t event)
{
    static const char *const names[] = { COURSE_EVENTS(X) };
    return names[event];
}

const char *course_action_name(course_action_t action)
{
    static const char *const names[] = { COURSE_ACTIONS(X) };
    return names[action];
}
#undef X

int course_is_open(const course_t *course)
{
    return course->state < ACT_ENDED;
}
