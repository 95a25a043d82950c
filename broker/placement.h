/* placement.h - brings waiting work and free runners together: dispatch's plans turned into store calls and
 * assigns.
 *
 * A submit that finds a free runner, and nothing queued before it, claims in the same call; everything else
 * is queued and claimed in batches. Credit is reserved when a call leaves and given back when it is answered,
 * so no runner is ever given more than it asked for. */
#pragma once

#include "dispatch.h"
#include "intake.h"
#include "sender.h"

typedef struct placement placement_t;

typedef struct {
    rz_store_t *store;
    roster_t *roster;
    dispatch_t *dispatch;
    sender_t *sender;
    counters_t *counters;
    const rz_agents_t *agents;
    uint64_t queue_max;
} placement_parts_t;

placement_t *placement_create(const placement_parts_t *parts);
void placement_destroy(placement_t **placement); /* after the store was closed */

/* Stores, queues or claims; an activation that was claimed has been sent to its runner when fn is called. One
 * that is routed to nobody is stored and has ended then. */
void placement_submit(placement_t *placement, const intake_t *intake, rz_submit_fn fn, void *arg);
/* Credit or work appeared: claims what can be claimed now. */
void placement_pump(placement_t *placement);
/* Claims nothing any more: the broker ends. */
void placement_stop(placement_t *placement);
size_t placement_claiming(const placement_t *placement); /* claims that are not answered yet */
/* Asks the store which classes wait, then pumps. At most one such question is under way. */
void placement_recheck(placement_t *placement);
/* Sends an activation to its owner, or gives it back to the queue if its owner is not linked here. */
void placement_give(placement_t *placement, const rz_assignment_t *assignment);
