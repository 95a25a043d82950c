/* worker_life.h - what can happen to one worker, and what is then to be done.
 *
 * The states say what is left of it, so that no flag has to: its process is there in SPAWNING, CONNECTING, IDLE,
 * BUSY, RETIRING and REAPING; its connection in CONNECTING, IDLE, BUSY, DYING, RETIRING and CLOSING. The two end in
 * either order, and by themselves or because somebody wants it. Pure: worker_life_feed() changes the state and
 * answers which action follows; worker.c acts. What a cell leaves empty cannot matter any more and is ignored.
 * The picture is in ARCHITECTURE.md, "State machines"; a test holds it to this table. */
#pragma once

#define WORKER_STATES_MAP(X)                                                                                 \
    X(SPAWNING)   /* its process runs, its record is awaited                                */               \
    X(CONNECTING) /* it has registered                                                      */               \
    X(IDLE)       /* connected, without a run                                               */               \
    X(BUSY)                                                                                                  \
    X(DYING)    /* it ended in mid-run: what it wrote last is read first                    */               \
    X(RETIRING) /* it must go: process and connection are still there                       */               \
    X(REAPING)  /* only the process                                                         */               \
    X(CLOSING)  /* only the connection                                                      */               \
    X(ENDED)    /* nothing is left; callers up the stack may still hold the pointer         */               \
    X(GONE)
#define X(name) WORKER_##name,
typedef enum { WORKER_STATES_MAP(X) WORKER_STATES } worker_state_t;
#undef X

#define WORKER_EVENTS_MAP(X)                                                                                 \
    X(RECORD)     /* it registered an endpoint of this host                                 */               \
    X(BAD_RECORD) /* it registered another                                                  */               \
    X(OPEN)                                                                                                  \
    X(TAKE)      /* a run gets it                                                           */               \
    X(GIVE_BACK) /* the run ended cleanly                                                   */               \
    X(FRAME)                                                                                                 \
    X(EXIT)      /* of its process                                                          */               \
    X(CLOSE)     /* of its connection                                                       */               \
    X(DEADLINE)  /* of the present state                                                    */               \
    X(TERMINATE) /* it shall go                                                             */               \
    X(KILL)      /* at once                                                                 */
#define X(name) WORKER_EV_##name,
typedef enum { WORKER_EVENTS_MAP(X) WORKER_EVENTS } worker_event_t;
#undef X

#define WORKER_ACTIONS_MAP(X)                                                                                \
    X(NOTHING)                                                                                               \
    X(CONNECT)                                                                                               \
    X(TELL_READY)                                                                                            \
    X(SERVE)        /* count the run                                                        */               \
    X(REST)         /* it is nobody's now                                                   */               \
    X(DELIVER)      /* the frame, to its run                                                */               \
    X(REFUSE)       /* a frame without a run: tell, then kill                               */               \
    X(DRAIN)        /* a moment for its last frames                                         */               \
    X(FAIL_START)   /* tell that it never registered, then kill                             */               \
    X(FAIL_CONNECT) /* tell that it could not be reached, then kill                         */               \
    X(LOSE)         /* tell that it is lost, then kill                                      */               \
    X(ASK)          /* Close, SIGTERM, a deadline                                           */               \
    X(KILL)         /* its branch, the connection cut                                       */               \
    X(WAIT)         /* for the other of the two                                             */               \
    X(LINGER)       /* until the loop turns                                                 */               \
    X(FREE)
#define X(name) WORKER_DO_##name,
typedef enum { WORKER_ACTIONS_MAP(X) WORKER_ACTIONS } worker_action_t;
#undef X

worker_action_t worker_life_feed(worker_state_t *state, worker_event_t event);
const char *worker_state_name(worker_state_t state); /* "IDLE" */
const char *worker_event_name(worker_event_t event);
const char *worker_action_name(worker_action_t action);
