/* pool.h - the free workers of one runner.
 *
 * pool_entry.h decides what follows on what; this module keeps the entries and knows the limits. Plain data: a worker
 * is a pointer that the pool keeps and never looks into; time arrives as `now`. The caller asks which entry a rule
 * concerns, tells what happened to it, and does what pool_feed() answers.
 *
 * Within a pool key the last one parked is taken first (its memory is warmest, and the others may grow old and go);
 * when there are too many in all, the least recently used goes at once. The surplus of one key goes only after a
 * moment: between two runs of a busy key every worker is idle for as long as the broker needs to send the next, and
 * whoever retired it in that moment would spawn it again in the next. A few dozen entries live here, so lists and walks
 * are all it takes. */
#pragma once

#include "base/id.h"
#include "base/limits.h"
#include "pool_entry.h"

#include <cjson/cJSON.h>

typedef struct pool pool_t;

typedef struct {
    size_t per_key;     /* idle workers kept for one key, once they are idle for linger_ms */
    size_t total;       /* idle workers kept in all                                         */
    uint64_t idle_ms;   /* how long one may wait for its next run                           */
    uint64_t linger_ms; /* how long the surplus of a key is kept                            */
} pool_limits_t;

pool_t *pool_create(const pool_limits_t *limits);
void pool_destroy(pool_t **pool); /* the workers are the caller's */

/* A new entry, COOLING. Keys are copied; a worker is in the pool once. */
void pool_admit(pool_t *pool, const char *pool_key, const char *affinity, void *worker);
/* It happened to this worker. DO_NOTHING also when it is not in the pool. */
entry_action_t pool_feed(pool_t *pool, const void *worker, entry_event_t event, uint64_t now_ms);

/* All lend a worker, or NULL. */
void *pool_cooling(const pool_t *pool);                      /* the last one admitted                      */
void *pool_parked(const pool_t *pool, const char *pool_key); /* the last one parked under this key         */
/* One that a limit sends away, and by which event: at once (a few comparisons), or by its age (a walk). */
void *pool_excess(const pool_t *pool, entry_event_t *why);
void *pool_overdue(const pool_t *pool, uint64_t now_ms, entry_event_t *why);
void *pool_any(const pool_t *pool);

size_t pool_count(const pool_t *pool); /* PARKED */
/* {"<affinity>": parked, ...} as `credit` tells the broker. Gives: cJSON_Delete(). */
cJSON *pool_idle(const pool_t *pool);
