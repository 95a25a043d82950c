/* intruder.h - tries to get in where nobody may: with a key that nobody knows, and with none. At the start and once a
 * minute; the day a handshake of it succeeds, CURVE or the allow list does not hold, and the broker must not stay up.
 *
 * Each try is a real connection to our own socket, of the kind that socket takes, and ends by what ZeroMQ's monitor tells
 * of its handshake. One that nobody answers (no descriptor is left, say) proves nothing, and the next round tries again. */
#pragma once

#include "guard.h"

#define INTRUDER_MS 60000 /* between two rounds */

typedef struct intruder intruder_t;

typedef struct {
    uv_loop_t *loop;
    void *zctx;
    guard_t *guard;              /* NULL: nobody is told that the stranger is ours */
    const char *server_key;      /* public; lent */
    const char *endpoint[GATES]; /* where each socket is bound; NULL: it is not tried. Lent. */
    uint64_t pause_ms;           /* INTRUDER_MS */
    void (*on_begin)(void *arg);
    void (*on_round)(void *arg); /* every try of a round was refused, or not answered */
    void (*on_accepted)(const char *gate, bool with_key, void *arg); /* once; no more rounds then */
    void *arg;
} intruder_parts_t;

/* Begins the first round at once. */
intruder_t *intruder_open(const intruder_parts_t *parts);
void intruder_close(intruder_t **intruder);
