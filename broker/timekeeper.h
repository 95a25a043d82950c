/* timekeeper.h - keeps the store's own time going: once a second it tells the store how long this broker has
 * watched, and the store settles what is due by that: queue deadlines, waits with a limit, retention.
 *
 * Any number of brokers may do so at once; the larger word stands, and each learns of the others (brokers.h). While none has a healthy link the time
 * stands still, as nobody could have acted. */
#pragma once

#include "brokers.h"
#include "counters.h"
#include "state/ops.h"

typedef struct timekeeper timekeeper_t;

typedef struct {
    uv_loop_t *loop;
    rz_store_t *store;
    counters_t *counters;
    brokers_t *brokers;       /* told with each tick, and by its answer              */
    uint64_t session_ms;      /* how long an ended child keeps its session           */
    uint64_t tombstone_ms;    /* and how long after that its outcome is known        */
    uint64_t completions_max; /* entries of `completions` that are kept, at least    */
} timekeeper_parts_t;

timekeeper_t *timekeeper_open(const timekeeper_parts_t *parts);
void timekeeper_close(timekeeper_t **timekeeper); /* after the store was closed */
/* The store was away: what passed meanwhile did not pass for it. */
void timekeeper_gap(timekeeper_t *timekeeper);
/* The store is back: it is asked at once. */
void timekeeper_resume(timekeeper_t *timekeeper);
/* How long ago the store answered a tick; UINT64_MAX: it never did. */
uint64_t timekeeper_silent_ms(const timekeeper_t *timekeeper);
