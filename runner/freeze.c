/* freeze.c - the table of freeze.h. */
#include "freeze.h"

typedef struct {
    freeze_state_t next;
    freeze_action_t action;
} edge_t;

static const edge_t edges[FREEZE_STATES][FREEZE_EVENTS] = {
    [FREEZE_FREE][FREEZE_EV_LOSE] = { FREEZE_ALONE, FREEZE_DO_WATCH },

    [FREEZE_ALONE][FREEZE_EV_LINK] = { FREEZE_FREE, FREEZE_DO_CALM },
    [FREEZE_ALONE][FREEZE_EV_CONDEMN] = { FREEZE_FREE, FREEZE_DO_CALM },
    [FREEZE_ALONE][FREEZE_EV_DEADLINE] = { FREEZE_FROZEN, FREEZE_DO_FREEZE },

    [FREEZE_FROZEN][FREEZE_EV_LINK] = { FREEZE_HELD, FREEZE_DO_CALM },
    [FREEZE_FROZEN][FREEZE_EV_CONDEMN] = { FREEZE_FREE, FREEZE_DO_THAW },
    [FREEZE_FROZEN][FREEZE_EV_DEADLINE] = { FREEZE_SPENT, FREEZE_DO_GIVE_UP },

    /* its store may be away: that may last as long as it does */
    [FREEZE_HELD][FREEZE_EV_LOSE] = { FREEZE_FROZEN, FREEZE_DO_HOLD },
    [FREEZE_HELD][FREEZE_EV_CONFIRM] = { FREEZE_FREE, FREEZE_DO_THAW },
    [FREEZE_HELD][FREEZE_EV_CONDEMN] = { FREEZE_FREE, FREEZE_DO_THAW },

    [FREEZE_SPENT][FREEZE_EV_CONFIRM] = { FREEZE_FREE, FREEZE_DO_THAW },
    [FREEZE_SPENT][FREEZE_EV_CONDEMN] = { FREEZE_FREE, FREEZE_DO_THAW },
};

freeze_action_t freeze_feed(freeze_state_t *state, freeze_event_t event)
{
    const edge_t *edge = &edges[*state][event];
    if (edge->action != FREEZE_DO_NOTHING)
        *state = edge->next;
    return edge->action;
}

bool freeze_is_on(freeze_state_t state)
{
    return state >= FREEZE_FROZEN;
}

#define X(name) #name,
const char *freeze_state_name(freeze_state_t state)
{
    static const char *const names[] = { FREEZE_STATES_MAP(X) };
    return names[state];
}

const char *freeze_event_name(freeze_event_t event)
{
    static const char *const names[] = { FREEZE_EVENTS_MAP(X) };
    return names[event];
}

const char *freeze_action_name(freeze_action_t action)
{
    static const char *const names[] = { FREEZE_ACTIONS_MAP(X) };
    return names[action];
}
#undef X
