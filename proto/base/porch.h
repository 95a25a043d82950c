/* porch.h - where a connection to a server of libwebsockets waits until the head of its request is whole and has been judged
 * (head.h). The bytes are looked at and left where they are; libwebsockets then reads them as if nobody had.
 *
 * libwebsockets accepts and asks (LWS_CALLBACK_FILTER_NETWORK_CONNECTION); it is told no and closes its descriptor, and
 * goes on with a duplicate when that is handed to it. Who is refused gets a status and is closed; who does not come to
 * the end of his head in time is closed, and so is the oldest for one more than may wait. Loop thread only. */
#pragma once

#include "base/head.h"
#include "base/rc.h"

#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

typedef struct porch_guest porch_guest_t;

typedef struct {
    uv_loop_t *loop;
    rz_head_kind_t kind;
    unsigned max;
    uint64_t timeout_ms;
    void (*admit)(int fd, void *arg); /* takes the descriptor */
    /* Told of each that is not let in; the status of its answer, 0: it had none. The connection is being closed. */
    void (*refused)(const char *why, unsigned status, void *arg);
    void *arg;
} porch_rules_t;

typedef struct {
    porch_rules_t rules;
    TAILQ_HEAD(, porch_guest) guests; /* the oldest first */
    unsigned count;
} porch_t;

void porch_init(porch_t *porch, const porch_rules_t *rules);
/* A connection that was just accepted; its descriptor stays the caller's. */
void porch_enter(porch_t *porch, int fd);
/* Ends all that wait; the rest of it goes with the loop's handles. */
void porch_clear(porch_t *porch);
