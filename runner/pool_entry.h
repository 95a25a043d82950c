/* pool_entry.h - a place in the warm pool: what can happen to a worker that is free, and what is then to be done.
 *
 * COOLING lasts until the turn of the loop ends, PARKED until somebody wants the worker or a rule sends it away;
 * behind TAKEN and RETIRED the entry is forgotten. Pure: pool_entry_feed() changes the state and answers which
 * action follows; pool.c keeps the entries and knows the limits, crew.c asks the questions and acts.
 * The picture is in ARCHITECTURE.md, "State machines"; a test holds it to this table. */
#pragma once

#define ENTRY_STATES_MAP(X)                                                                                  \
    X(COOLING) /* free since this turn: was its last run really over?                       */               \
    X(PARKED)                                                                                                \
    X(TAKEN)                                                                                                 \
    X(RETIRED)
#define X(name) ENTRY_##name,
typedef enum { ENTRY_STATES_MAP(X) ENTRY_STATES } entry_state_t;
#undef X

#define ENTRY_EVENTS_MAP(X)                                                                                  \
    X(WANTED)   /* by a run of its pool key                                                 */               \
    X(UNWANTED) /* the turn is over, and nobody came                                        */               \
    X(DIED)     /* process or connection ended: heard, or found at checkout                 */               \
    X(SPOKE)    /* it said something without a run                                          */               \
    X(WORN)     /* it served recycle_runs runs, or holds more than recycle_mb               */               \
    X(STALE)    /* its program or its credential is not that of a new worker any more       */               \
    X(OLD)      /* parked for idle_secs                                                     */               \
    X(SURPLUS)  /* one of more than idle_per_key, for longer than a moment                  */               \
    X(CROWDED)  /* the least recently used of more than idle_max_total                      */               \
    X(STOP)     /* the runner ends                                                          */
#define X(name) ENTRY_EV_##name,
typedef enum { ENTRY_EVENTS_MAP(X) ENTRY_EVENTS } entry_event_t;
#undef X

#define ENTRY_ACTIONS_MAP(X)                                                                                 \
    X(NOTHING)                                                                                               \
    X(PARK)      /* keep it                                                                 */               \
    X(HAND_OUT)  /* give it to the run                                                      */               \
    X(TERMINATE) /* Close and SIGTERM                                                       */               \
    X(KILL)      /* SIGKILL: nothing good is to be expected of it                           */               \
    X(FORGET)    /* who stops the pool ends all workers                                     */
#define X(name) ENTRY_DO_##name,
typedef enum { ENTRY_ACTIONS_MAP(X) ENTRY_ACTIONS } entry_action_t;
#undef X

entry_action_t pool_entry_feed(entry_state_t *state, entry_event_t event);
const char *entry_state_name(entry_state_t state); /* "PARKED" */
const char *entry_event_name(entry_event_t event);
const char *entry_action_name(entry_action_t action);
