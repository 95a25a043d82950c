/* freeze.h - whether workers may go on while nobody says that they are still ours.
 *
 * Whoever is silent for a lease is condemned, and what it ran begins elsewhere. A runner that no broker answers cannot know
 * whether that happened, so it makes its workers stand still before it could, and lets them go on when the store says that
 * this incarnation lives: nothing is done twice, and nothing is lost by an outage that all share. A broker that answers
 * while its store is away is no reason to stand still: then nobody can condemn. The 12 s begin at the last renewal, not at
 * such an answer: one that came then and is gone now says nothing of what others see. Where brokers have a lease that is no
 * longer than what we were told to wait, it is four fifths of theirs.
 *
 *     FREE ──LOSE──► ALONE ──12 s──► FROZEN ──LINK──► HELD ──CONFIRM──► FREE
 *
 * Pure: freeze_feed() changes the state and answers which action follows. What a cell leaves empty means nothing there.
 * The picture is in ARCHITECTURE.md, "State machines"; a test holds it to this table. */
#pragma once

#include <stdbool.h>

#define FREEZE_STATES_MAP(X)                                                                                 \
    X(FREE)   /* a broker is home, or nothing could be at stake                             */               \
    X(ALONE)  /* no broker is there; workers go on for now                                  */               \
    X(FROZEN) /* and now they stand still                                                   */               \
    X(HELD)   /* a broker is there again, but nobody has confirmed us yet                   */               \
    X(SPENT)  /* it took too long: what ran is ended; the rest waits to be confirmed        */
#define X(name) FREEZE_##name,
typedef enum { FREEZE_STATES_MAP(X) FREEZE_STATES } freeze_state_t;
#undef X

#define FREEZE_EVENTS_MAP(X)                                                                                 \
    X(LINK)    /* a broker is home                                                          */               \
    X(LOSE)    /* none is                                                                   */               \
    X(CONFIRM) /* the store renewed this incarnation: it lives                              */               \
    X(CONDEMN) /* it was declared dead: what it held is let go of already                   */               \
    X(DEADLINE)
#define X(name) FREEZE_EV_##name,
typedef enum { FREEZE_EVENTS_MAP(X) FREEZE_EVENTS } freeze_event_t;
#undef X

#define FREEZE_ACTIONS_MAP(X)                                                                                \
    X(NOTHING)                                                                                               \
    X(WATCH)   /* DEADLINE when workers must stand still                                    */               \
    X(CALM)    /* no deadline any more                                                      */               \
    X(FREEZE)  /* and DEADLINE when that has lasted too long                                */               \
    X(HOLD)    /* that deadline anew                                                        */               \
    X(THAW)    /* no deadline either                                                        */               \
    X(GIVE_UP) /* end what runs                                                             */
#define X(name) FREEZE_DO_##name,
typedef enum { FREEZE_ACTIONS_MAP(X) FREEZE_ACTIONS } freeze_action_t;
#undef X

freeze_action_t freeze_feed(freeze_state_t *state, freeze_event_t event);
bool freeze_is_on(freeze_state_t state); /* workers stand still, and none is started or given a run */
const char *freeze_state_name(freeze_state_t state); /* "FROZEN" */
const char *freeze_event_name(freeze_event_t event);
const char *freeze_action_name(freeze_action_t action);
