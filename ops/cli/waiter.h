/* waiter.h - the outcome of one activation, or of the one among several that settles a wait, from control `wait`.
 *
 * A broker forgets who waits when it restarts, and a DEALER does not notice. So we ask in slices: each `wait`
 * is answered within seconds, by the outcome or by EXPIRED, and asked again. Silence beyond a slice means
 * that the broker is away: another one is asked, if we know one; after a minute of silence we give up. */
#pragma once

#include "client.h"

#include <stdbool.h>

typedef enum { WAITER_WAITING, WAITER_ENDED, WAITER_REFUSED, WAITER_CUT } waiter_state_t;

typedef struct {
    const char *child;
    const char *job;       /* NULL: the child's latest activation */
    const cJSON *children; /* instead of child: several, lent    */
    rz_wait_for_t wait_for;
    waiter_state_t state;
    reply_t reply;     /* ENDED, REFUSED: the answer; owned */
    uint64_t request;  /* under way, 0 = none */
    unsigned moves;    /* of the client, when it was sent */
    uint64_t ask_at;   /* moment to ask (again) */
    uint64_t heard_at; /* when anything was last answered */
    bool is_silent;    /* the last request was not answered at all */
    bool told;         /* waiter_trouble() did, of this silence    */
    char away[256];    /* why the store is, by the broker's last answer; "": it is not */
} waiter_t;

void waiter_init(waiter_t *waiter, const char *child, const char *job);
/* children: an array of ids, which must outlive the waiter. */
void waiter_init_several(waiter_t *waiter, const cJSON *children, rz_wait_for_t wait_for);
void waiter_fini(waiter_t *waiter);
/* Asks when it is time to. Call it before every client_next(). */
void waiter_tick(waiter_t *waiter, client_t *client, uint64_t now);
/* Gives it a reply; true if it was this waiter's (then *reply is taken). */
bool waiter_feed(waiter_t *waiter, reply_t *reply, uint64_t now);
/* Once for each time that nothing is heard for 3 s: what is waited for. False: nothing to tell. */
bool waiter_trouble(waiter_t *waiter, const char *endpoint, uint64_t now, char out[512]);
/* The activation that ended it: of several, the one that satisfied the wait. NULL until it has ended. Lent. */
const cJSON *waiter_activation(const waiter_t *waiter);
/* "completed", "error", ... of that one. Lent. */
const char *waiter_status(const waiter_t *waiter);
/* The exit code it ends with, saying on stderr what stdout does not show. */
outcome_t waiter_outcome(const waiter_t *waiter);
