/* course.h - what can happen to one activation while this runner owns it, and what is then to be done.
 *
 *                 CONNECT_FAILED
 *      WAITING ─────────────────► RETRYING         waiting for room and a worker; the second try is the last
 *        │  │ DRAIN, STOP           │  │
 *        │  └──────► RELEASING ◄────┘  │           given back, nothing ran
 *        │ READY                 READY │
 *        └────────► RUNNING ◄──────────┘           `run` was sent: the slot is held, the watchdog counts
 *                   │  │  │ YIELD: to RELEASING
 *            CANCEL │  │  │ LIMIT
 *        CANCELLING ◄  │  ► EXPIRING               asked to stop; the grace runs
 *                   │  │  │
 *                   ▼  ▼  ▼   TERMINAL, LOST, GRACE_OVER, CANCEL_NOW, STOP
 *                    ENDED                         the outcome is known; start, append, finish wait for acks
 *                      │ SETTLED
 *                      ▼
 *                    DONE                          forgotten; FENCED leads here from everywhere
 *
 * A cancel, a failed spawn or nothing to do ends a WAITING one directly. Pure: course_feed() changes the state and
 * answers which action follows; run.c acts. What a cell leaves empty cannot matter any more and is ignored: a
 * limit reached while the grace runs, a second cancel, news of a worker that was already let go. */
#pragma once

#define COURSE_STATES(X)                                                                                     \
    X(WAITING) X(RETRYING) X(RUNNING) X(CANCELLING) X(EXPIRING) X(ENDED) X(RELEASING) X(DONE)
#define X(name) ACT_##name,
typedef enum { COURSE_STATES(X) ACT_STATES } course_state_t;
#undef X

#define COURSE_EVENTS(X)                                                                                     \
    X(READY)          /* a worker of its pool key is there                                   */              \
    X(CONNECT_FAILED) /* its worker registered but could not be connected to                  */             \
    X(FAILED)         /* no worker can be had: spawn or registration failed, unknown profile  */             \
    X(SKIP)           /* its conversation asks for nothing: there is nothing to run           */             \
    X(TERMINAL)       /* the worker said how it ended                                          */            \
    X(LOST)           /* the worker died, broke the protocol or closed before the terminal     */            \
    X(CANCEL)                                                                                                \
    X(CANCEL_NOW) /* without grace                                                             */            \
    X(LIMIT)      /* the watchdog's                                                            */            \
    X(GRACE_OVER)                                                                                            \
    X(FENCED)  /* somebody else owns it: FENCED, ENDED, DEAD, or not in the list of what we own */           \
    X(DRAIN)   /* the runner takes no new work                                                 */            \
    X(YIELD)   /* the runner ends, and an attempt is left: it begins anew elsewhere            */            \
    X(STOP)    /* the runner ends                                                              */            \
    X(SETTLED) /* finish or release was acknowledged                                           */
#define X(name) EV_##name,
typedef enum { COURSE_EVENTS(X) ACT_EVENTS } course_event_t;
#undef X

#define COURSE_ACTIONS(X)                                                                                    \
    X(NOTHING)                                                                                               \
    X(RUN)           /* send start and run, begin heartbeats and watchdog          */                        \
    X(RESPAWN)       /* spawn afresh, once                                         */                        \
    X(ASK_TO_STOP)   /* cancel frame, grace                                        */                        \
    X(END_AS_TOLD)   /* outcome = what the worker said                             */                        \
    X(END_ASKED)     /* the same after a cancel: completed stays, all else is cancelled */                   \
    X(END_FAILED)    /* error, with the reason the event came with                 */                        \
    X(END_CANCELLED) /* cancelled; a worker that had it is killed                  */                        \
    X(END_TIMED_OUT) /* timeout, with the watchdog's reason                        */                        \
    X(END_STOPPED)   /* error "runner stopped"                                     */                        \
    X(END_SKIPPED)   /* skipped, before anything began                             */                        \
    X(RELEASE)       /* back to the queue                                          */                        \
    X(GIVE_UP)       /* the same for one that has begun: this attempt is over      */                        \
    X(ABANDON)       /* kill its worker, publish nothing more, forget it           */                        \
    X(COMPLETE)      /* publish sub_agent_completed, forget it                     */                        \
    X(FORGET)
#define X(name) DO_##name,
typedef enum { COURSE_ACTIONS(X) ACT_ACTIONS } course_action_t;
#undef X

typedef struct {
    course_state_t state;
} course_t; /* zero is WAITING */

course_action_t course_feed(course_t *course, course_event_t event);
const char *course_state_name(course_state_t state); /* "RUNNING" */
const char *course_event_name(course_event_t event);
const char *course_action_name(course_action_t action);
/* Counts against the slots: assigned, and how it ends is not known yet. */
int course_is_open(const course_t *course);
