/* pool_entry.c - the table of pool_entry.h. */
#include "pool_entry.h"

typedef struct {
    entry_state_t next;
    entry_action_t action;
} edge_t;

static const edge_t edges[ENTRY_STATES][ENTRY_EVENTS] = {
    [ENTRY_COOLING][ENTRY_EV_WANTED] = { ENTRY_TAKEN, ENTRY_DO_HAND_OUT },
    [ENTRY_COOLING][ENTRY_EV_UNWANTED] = { ENTRY_PARKED, ENTRY_DO_PARK },
    [ENTRY_COOLING][ENTRY_EV_DIED] = { ENTRY_RETIRED, ENTRY_DO_KILL },
    [ENTRY_COOLING][ENTRY_EV_SPOKE] = { ENTRY_RETIRED, ENTRY_DO_KILL },
    [ENTRY_COOLING][ENTRY_EV_WORN] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_COOLING][ENTRY_EV_STALE] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_COOLING][ENTRY_EV_STOP] = { ENTRY_RETIRED, ENTRY_DO_FORGET },

    [ENTRY_PARKED][ENTRY_EV_WANTED] = { ENTRY_TAKEN, ENTRY_DO_HAND_OUT },
    [ENTRY_PARKED][ENTRY_EV_DIED] = { ENTRY_RETIRED, ENTRY_DO_KILL },
    [ENTRY_PARKED][ENTRY_EV_SPOKE] = { ENTRY_RETIRED, ENTRY_DO_KILL },
    [ENTRY_PARKED][ENTRY_EV_WORN] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_PARKED][ENTRY_EV_STALE] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_PARKED][ENTRY_EV_OLD] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_PARKED][ENTRY_EV_SURPLUS] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_PARKED][ENTRY_EV_CROWDED] = { ENTRY_RETIRED, ENTRY_DO_TERMINATE },
    [ENTRY_PARKED][ENTRY_EV_STOP] = { ENTRY_RETIRED, ENTRY_DO_FORGET },
};

entry_action_t pool_entry_feed(entry_state_t *state, entry_event_t event)
{
    const edge_t *edge = &edges[*state][event];
    if (edge->action != ENTRY_DO_NOTHING)
        *state = edge->next;
    return edge->action;
}

#define X(name) #name,
const char *entry_state_name(entry_state_t state)
{
    static const char *const names[] = { ENTRY_STATES_MAP(X) };
    return names[state];
}

const char *entry_event_name(entry_event_t event)
{
    static const char *const names[] = { ENTRY_EVENTS_MAP(X) };
    return names[event];
}

const char *entry_action_name(entry_action_t action)
{
    static const char *const names[] = { ENTRY_ACTIONS_MAP(X) };
    return names[action];
}
#undef X
