/* pool.h - the parked workers of one runner (DESIGN.md 8).
 *
 * Plain data: a worker is a pointer that the pool keeps and never looks into; time arrives as `now`. Within a
 * pool key the last one parked is taken first (its memory is warmest, and the others may grow old and go);
 * when there are too many in all, the least recently used goes at once. The surplus of one key goes only
 * after a moment: between two runs of a busy key every worker is idle for as long as the broker needs to send
 * the next, and whoever retired it in that moment would spawn it again in the next. Whatever leaves by a
 * limit is handed back to the caller, who retires it. A few dozen entries live here, so a list and a walk are
 * all it takes. */
#pragma once

#include "base/id.h"
#include "base/limits.h"

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

/* Parks a worker. Keys are copied. Returns the worker that must be retired for it: NULL, the least recently
 * used one, or `worker` itself when none may be kept. */
void *pool_park(pool_t *pool, const char *pool_key, const char *affinity, void *worker, uint64_t now_ms);
void *pool_take(pool_t *pool, const char *pool_key); /* NULL: none parked under this key */
bool pool_remove(pool_t *pool, const void *worker);  /* it died; false if it was not parked */
void *pool_expire(pool_t *pool,
                  uint64_t now_ms); /* one that is too old or too many, or NULL; call until NULL */
void *pool_pop(pool_t *pool);       /* any one, or NULL: for the end */
size_t pool_count(const pool_t *pool);
/* {"<affinity>": parked, ...} as `credit` tells the broker. Gives: cJSON_Delete(). */
cJSON *pool_idle(const pool_t *pool);
