/* duty.h - one run after the other, one program for all of them if it lives: what can happen, and what is then to be done.
 *
 *      ┌──── END ──── IDLE ◄─── TERMINAL of BUSY, AGAIN, STOPPING
 *      ▼               │ RUN
 *    AWAY              ▼
 *      │             BUSY ────── CANCEL ──────┐
 *      │ RUN           │ LOST                 ▼
 *      └──────────► AGAIN ───── CANCEL ──► STOPPING    asked to end; the grace runs, then TERM and KILL
 *                      │ END, LOST            │ END, LOST
 *                      ▼                      │
 *      BUSY ── END ──► GONE ◄─────────────────┘        no run can be served any more: the worker leaves
 *
 * A run never pays for the one before, nor for a start that failed once. A program that ends between runs is away, and the
 * next run has one of its own; one that ends before it has begun a run (session.c knows) loses it to a new one (AGAIN).
 * Whoever ends in a run that it has begun has failed it. Pure: duty_feed() changes the state and answers
 * which action follows; session.c acts. What a cell leaves empty does not matter there.
 * The picture with every edge is in ARCHITECTURE.md, "State machines"; a test holds it to this table. */
#pragma once

#include <stdbool.h>

#define DUTY_STATES(X) X(IDLE) X(AWAY) X(BUSY) X(AGAIN) X(STOPPING) X(GONE)
#define X(name)        DUTY_##name,
typedef enum { DUTY_STATES(X) DUTY_STATE_COUNT } duty_state_t;
#undef X

#define DUTY_EVENTS(X)                                                                                       \
    X(RUN)        /* a run is to begin; the desk gives one at a time                     */                  \
    X(TERMINAL)   /* it said how the active run ended                                    */                  \
    X(CANCEL)     /* the active run is to end                                            */                  \
    X(GRACE_OVER) /* CANCEL_GRACE_MS later it had not ended it                           */                  \
    X(END)        /* the program has ended                                               */                  \
    X(LOST)       /* the same, and it had not begun the active run                       */
#define X(name) DUTY_ON_##name,
typedef enum { DUTY_EVENTS(X) DUTY_EVENT_COUNT } duty_event_t;
#undef X

#define DUTY_ACTIONS(X)                                                                                      \
    X(NOTHING)                                                                                               \
    X(TELL_RUN)                                                                                              \
    X(START)          /* another program, and tell it the run                           */                   \
    X(TELL_CANCEL)    /* and begin the grace                                            */                   \
    X(STOP)           /* TERM, then KILL                                                */                   \
    X(FINISH_AS_TOLD) /* the run's outcome is what the program said                     */                   \
    X(FINISH_FAILED)  /* error: why the program ended; then leave                       */                   \
    X(FINISH_STOPPED) /* cancelled; then leave                                          */                   \
    X(AWAIT_RUN)      /* there is none that could be hurt                               */
#define X(name) DUTY_##name,
typedef enum { DUTY_ACTIONS(X) } duty_action_t;
#undef X

typedef struct {
    duty_state_t state;
} duty_t; /* zero is IDLE */

duty_action_t duty_feed(duty_t *duty, duty_event_t event);
bool duty_serves(const duty_t *duty);            /* a run is active, and nobody has asked it to end */
const char *duty_state_name(duty_state_t state); /* "IDLE" */
const char *duty_event_name(duty_event_t event); /* "RUN"  */
const char *duty_action_name(duty_action_t action);
