/* phase.h - the life of the runner as a whole: whether it takes work, and how it comes to its end.
 *
 *     UP ◄──► CORDONED          takes no new work, goes on with what it has
 *      │          │ DRAIN
 *      └──► DRAINING            gives back what has not begun, waits for what runs
 *               │  │ REQUEUE, CANCEL: its deadline, by its policy
 *               │  └──► ENDING  what was left is told to end
 *         EMPTY ▼          ▼ EMPTY, OVER
 *             LEAVING           nothing runs: workers are retired, the last acks waited for a moment
 *               │ REAPED
 *               ▼
 *             CLOSED            said bye; the program ends
 *
 * Pure: phase_feed() changes the phase and answers what is then to be done; runner_phase.c does it. What a cell leaves empty is
 * ignored: a drain cannot be taken back, for whoever ordered it may wait for the end of the program.
 * The picture is in ARCHITECTURE.md, "State machines"; a test holds it to this table. */
#pragma once

#include "wire/drain.h"

#define PHASES_MAP(X) X(UP) X(CORDONED) X(DRAINING) X(ENDING) X(LEAVING) X(CLOSED)
#define X(name)       PHASE_##name,
typedef enum { PHASES_MAP(X) PHASES } phase_t;
#undef X

#define PHASE_EVENTS_MAP(X)                                                                                  \
    X(CORDON)                                                                                                \
    X(UNCORDON)                                                                                              \
    X(DRAIN)   /* the first SIGTERM, or an order, which may come again with other terms     */               \
    X(EMPTY)   /* nothing is held any more                                                  */               \
    X(REQUEUE) /* the deadline of the drain, with that policy                               */               \
    X(CANCEL)  /* the same                                                                  */               \
    X(OVER)    /* what was told to end had its time                                         */               \
    X(STOP)    /* at once: a second signal, SIGQUIT, the keeper is gone                     */               \
    X(REAPED)  /* no worker is left, and the last acks came or had their time               */
#define X(name) PHASE_EV_##name,
typedef enum { PHASE_EVENTS_MAP(X) PHASE_EVENTS } phase_event_t;
#undef X

#define PHASE_ACTIONS_MAP(X)                                                                                 \
    X(NOTHING)                                                                                               \
    X(CLOSE_DOOR) /* no credit any more                                                     */               \
    X(OPEN_DOOR)                                                                                             \
    X(DRAIN)      /* give back what has not begun; the deadline counts from here            */               \
    X(DRAIN_ANEW) /* new terms                                                              */               \
    X(REQUEUE)    /* what has an attempt left is given back, the rest is stopped            */               \
    X(CANCEL)     /* what is left is cancelled                                              */               \
    X(LEAVE)      /* stop what is left, ask the workers to go                               */               \
    X(KILL)       /* the same, without asking                                               */               \
    X(CLOSE)      /* bye                                                                    */
#define X(name) PHASE_DO_##name,
typedef enum { PHASE_ACTIONS_MAP(X) PHASE_ACTIONS } phase_action_t;
#undef X

phase_action_t phase_feed(phase_t *phase, phase_event_t event);
const char *phase_name(phase_t phase); /* "CORDONED" */
const char *phase_event_name(phase_event_t event);
const char *phase_action_name(phase_action_t action);

/* What others are told of it. */
rz_phase_t phase_shown(phase_t phase);
/* Whether an order to be `wanted` is obeyed in this phase, after it was fed. */
int phase_obeys(phase_t phase, rz_phase_t wanted);
