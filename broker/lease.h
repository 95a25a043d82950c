/* lease.h - how long each incarnation's counter has stood still, as this broker saw it.
 *
 * Pure. No wall clock decides and no key expires: a broker looks at the counters the runners raise, on its
 * own monotonic clock. Whoever stands still for the whole lease, seen without a gap, is to be condemned, with
 * the counter that was seen, so that the store can compare. After a gap in looking (the store was away, this
 * process was stopped) everybody's observation begins anew: nobody dies of our own blindness. */
#pragma once

#include "state/ops.h"

typedef struct lease_table lease_table_t;

typedef enum {
    LEASE_CONDEMN, /* stood still for the lease: rz_op_condemn(incarnation, counter)  */
    LEASE_REAP     /* dead, and still owns something: rz_op_reap(incarnation)         */
} lease_verdict_t;

/* incarnation is lent. Must not call the table. */
typedef void (*lease_fn)(lease_verdict_t verdict, const char *incarnation, uint64_t counter, void *arg);

/* lease_ms: how long a counter may stand still. gap_ms: looks further apart than this are a gap. */
lease_table_t *lease_create(uint64_t lease_ms, uint64_t gap_ms);
void lease_destroy(lease_table_t **table);
/* One look at all incarnations of the store; who is not listed is forgotten. */
void lease_observe(lease_table_t *table, uint64_t now_ms, const rz_incarnation_t *list, size_t n, lease_fn fn,
                   void *arg);
/* The store was away: observation restarts. */
void lease_gap(lease_table_t *table);
