/* phase.c - the table of phase.h. */
#include "phase.h"

typedef struct {
    phase_t next;
    phase_action_t action;
} edge_t;

static const edge_t edges[PHASES][PHASE_EVENTS] = {
    [PHASE_UP][PHASE_EV_CORDON] = { PHASE_CORDONED, PHASE_DO_CLOSE_DOOR },
    [PHASE_UP][PHASE_EV_DRAIN] = { PHASE_DRAINING, PHASE_DO_DRAIN },
    [PHASE_UP][PHASE_EV_STOP] = { PHASE_LEAVING, PHASE_DO_KILL },

    [PHASE_CORDONED][PHASE_EV_UNCORDON] = { PHASE_UP, PHASE_DO_OPEN_DOOR },
    [PHASE_CORDONED][PHASE_EV_DRAIN] = { PHASE_DRAINING, PHASE_DO_DRAIN },
    [PHASE_CORDONED][PHASE_EV_STOP] = { PHASE_LEAVING, PHASE_DO_KILL },

    [PHASE_DRAINING][PHASE_EV_DRAIN] = { PHASE_DRAINING, PHASE_DO_DRAIN_ANEW },
    [PHASE_DRAINING][PHASE_EV_EMPTY] = { PHASE_LEAVING, PHASE_DO_LEAVE },
    [PHASE_DRAINING][PHASE_EV_REQUEUE] = { PHASE_ENDING, PHASE_DO_REQUEUE },
    [PHASE_DRAINING][PHASE_EV_CANCEL] = { PHASE_ENDING, PHASE_DO_CANCEL },
    [PHASE_DRAINING][PHASE_EV_STOP] = { PHASE_LEAVING, PHASE_DO_KILL },

    [PHASE_ENDING][PHASE_EV_EMPTY] = { PHASE_LEAVING, PHASE_DO_LEAVE },
    [PHASE_ENDING][PHASE_EV_OVER] = { PHASE_LEAVING, PHASE_DO_LEAVE },
    [PHASE_ENDING][PHASE_EV_STOP] = { PHASE_LEAVING, PHASE_DO_KILL },

    [PHASE_LEAVING][PHASE_EV_REAPED] = { PHASE_CLOSED, PHASE_DO_CLOSE },
};

phase_action_t phase_feed(phase_t *phase, phase_event_t event)
{
    const edge_t *edge = &edges[*phase][event];
    if (edge->action != PHASE_DO_NOTHING)
        *phase = edge->next;
    return edge->action;
}

rz_phase_t phase_shown(phase_t phase)
{
    return phase == PHASE_UP ? RZ_PHASE_UP : phase == PHASE_CORDONED ? RZ_PHASE_CORDONED : RZ_PHASE_DRAINING;
}

/* Who drains takes no new work either. */
int phase_obeys(phase_t phase, rz_phase_t wanted)
{
    return wanted == RZ_PHASE_UP ? phase == PHASE_UP : phase_shown(phase) >= wanted;
}

#define X(name) #name,
const char *phase_name(phase_t phase)
{
    static const char *const names[] = { PHASES_MAP(X) };
    return names[phase];
}

const char *phase_event_name(phase_event_t event)
{
    static const char *const names[] = { PHASE_EVENTS_MAP(X) };
    return names[event];
}

const char *phase_action_name(phase_action_t action)
{
    static const char *const names[] = { PHASE_ACTIONS_MAP(X) };
    return names[action];
}
#undef X
