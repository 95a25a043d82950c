/* live.h - calls that wait for a running worker to answer, each with its own time limit.
 *
 * A call waits under a key that comes back in the answer. Answered, given up or expired: its function is
 * called exactly once. */
#pragma once

#include "base/mem.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct live live_t;

/* rc: RZ_OK with what live_answer() brought, or RZ_EXPIRED, RZ_NOT_FOUND (nobody had an answer),
 * RZ_UNAVAILABLE (live_stop). */
typedef struct {
    rz_rc_t rc;
    bool yes;           /* of an answer */
    const char *runner; /* of an answer, else NULL */
    rz_str_t text;
} live_answer_t;
typedef void (*live_fn)(const live_answer_t *answer, void *arg);

live_t *live_create(uv_loop_t *loop);
void live_destroy(live_t **live); /* after live_stop() */

/* from: the serial of the one runner that may answer; LIVE_ANY: any of `asked`. False, and fn is not called: the key is in
 * use. */
#define LIVE_ANY 0
bool live_wait(live_t *live, const char *key, uint64_t from, size_t asked, uint64_t timeout_ms, live_fn fn,
               void *arg);
/* Unknown keys, and answers of others than who was asked, are ignored. from: a serial, LIVE_ANY: we ourselves. */
void live_answer(live_t *live, const char *key, uint64_t from, const live_answer_t *answer);
/* One of those asked has nothing; the last one ends the wait with RZ_NOT_FOUND. */
void live_nothing(live_t *live, const char *key, uint64_t from);
void live_stop(live_t *live);
