/* counters.h - what the broker counts of its own doing, shown by `status`. Loop thread only. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

#define COUNTERS(X)                                                                                          \
    X(jobs_received)                                                                                         \
    X(jobs_accepted)                                                                                         \
    X(jobs_duplicate)                                                                                        \
    X(jobs_rejected)                                                                                         \
    X(jobs_malformed)                                                                                        \
    X(jobs_retried)                                                                                          \
    X(calls)                                                                                                 \
    X(calls_refused)                                                                                         \
    X(calls_malformed)                                                                                       \
    X(replies_dropped)                                                                                       \
    X(submitted)                                                                                             \
    X(claimed_with_submit)                                                                                   \
    X(doomed)                                                                                                \
    X(claimed)                                                                                               \
    X(assigned)                                                                                              \
    X(reassigned)                                                                                            \
    X(unassignable)                                                                                          \
    X(starts)                                                                                                \
    X(appends)                                                                                               \
    X(finishes)                                                                                              \
    X(releases)                                                                                              \
    X(resteered)                                                                                             \
    X(states_left_out)                                                                                       \
    X(fenced)                                                                                                \
    X(link_messages)                                                                                         \
    X(link_malformed)                                                                                        \
    X(link_unknown_peer)                                                                                     \
    X(link_send_failed)                                                                                      \
    X(joins)                                                                                                 \
    X(byes)                                                                                                  \
    X(events_made)                                                                                           \
    X(events_unsent)                                                                                         \
    X(condemned)                                                                                             \
    X(reaped)                                                                                                \
    X(ticks)                                                                                                 \
    X(queue_expired)                                                                                         \
    X(waits_expired)                                                                                         \
    X(sessions_retired)                                                                                      \
    X(tombstones_forgotten)                                                                                  \
    X(store_gaps)

typedef struct {
#define X(name) uint64_t name;
    COUNTERS(X)
#undef X
} counters_t;

/* Adds the member "counters": {name: number}. */
void counters_encode(const counters_t *counters, rz_buf_t *out);
