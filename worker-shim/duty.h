/* duty.h - one program, one run after the other: what can happen to it, and what is then to be done.
 *
 *      FRESH ──── RUN ────► BUSY ◄──── RUN ──── IDLE
 *        │ END               │ │ ── TERMINAL ──►│ ▲
 *        │            CANCEL │ │                │ │ TERMINAL
 *        ▼                   ▼ │                │ │
 *      FAILED           STOPPING ───────────────┼─┘   asked to end; the grace runs, then TERM and KILL
 *        │ RUN           END │ │ END            │ END
 *        ▼                   ▼ ▼                │
 *      GONE ◄────────────────┴─┴────────────────┘     no run can be served any more: the worker leaves
 *
 * A program that fails before its first run (no such file, an import that is missing) waits for that run as
 * FAILED: the run then says why, however fast the one or the other was. Pure: duty_feed() changes the state and
 * answers which action follows; session.c acts. What a cell leaves empty does not matter there. */
#pragma once

#define DUTY_STATES(X) X(FRESH) X(IDLE) X(BUSY) X(STOPPING) X(FAILED) X(GONE)
#define X(name)        DUTY_##name,
typedef enum { DUTY_STATES(X) DUTY_STATE_COUNT } duty_state_t;
#undef X

#define DUTY_EVENTS(X)                                                                                       \
    X(RUN)        /* a run is to begin; the desk gives one at a time                     */                  \
    X(TERMINAL)   /* it said how the active run ended                                    */                  \
    X(CANCEL)     /* the active run is to end                                            */                  \
    X(GRACE_OVER) /* CANCEL_GRACE_MS later it had not ended it                           */                  \
    X(END)        /* the program has ended                                               */
#define X(name) DUTY_ON_##name,
typedef enum { DUTY_EVENTS(X) DUTY_EVENT_COUNT } duty_event_t;
#undef X

typedef enum {
    DUTY_NOTHING,
    DUTY_TELL_RUN,
    DUTY_TELL_CANCEL,    /* and begin the grace                                         */
    DUTY_STOP,           /* TERM, then KILL                                             */
    DUTY_FINISH_AS_TOLD, /* the run's outcome is what the program said                  */
    DUTY_FINISH_FAILED,  /* error: why the program ended; then leave                    */
    DUTY_FINISH_STOPPED, /* cancelled; then leave                                       */
    DUTY_AWAIT_RUN,      /* there is somebody to tell it to soon                        */
    DUTY_LEAVE,          /* no run can be served any more                               */
} duty_action_t;

typedef struct {
    duty_state_t state;
} duty_t; /* zero is FRESH */

duty_action_t duty_feed(duty_t *duty, duty_event_t event);
const char *duty_state_name(duty_state_t state); /* "FRESH" */
const char *duty_event_name(duty_event_t event); /* "RUN"   */
