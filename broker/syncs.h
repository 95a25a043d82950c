/* syncs.h - the heartbeat of a runner: what it says it holds goes to the store, and what it should know comes
 * back. A sync heals whatever was lost on the way: assigns, cancels, steering. */
#pragma once

#include "brokers.h"
#include "placement.h"

typedef struct syncs syncs_t;

typedef struct {
    rz_store_t *store;
    roster_t *roster;
    placement_t *placement;
    sender_t *sender;
    counters_t *counters;
    const brokers_t *brokers;
    const char *broker; /* our name */
    uint64_t sync_ms;
} syncs_parts_t;

syncs_t *syncs_create(const syncs_parts_t *parts);
void syncs_destroy(syncs_t **syncs); /* after the store was closed */

/* A `sync` of this runner under its own incarnation. */
void syncs_take(syncs_t *syncs, runner_t *runner, const rz_link_t *sync);
