/* guard.h - verifies the store behind a channel, and remembers it: at each connect, and every second while it is used.
 *
 * A round sends the commands of probe.h, raises the term where that is due (and then looks again), and ends in one verdict:
 * that of the probe, and of quorum.h where sentinels may replace the primary.
 * Loop thread only. */
#pragma once

#include "state/channel.h"
#include "state/probe.h"

typedef struct rz_guard rz_guard_t;

/* The end of a round. RZ_OK: the store may be used, and the mark says so; else what rz_probe_verdict() says, with why. May
 * close everything. */
typedef void (*rz_guard_fn)(rz_rc_t rc, const char *why, void *arg);

/* channel is lent and must be closed after rz_guard_destroy(); of options what is
 * known of the store counts, and how many replicas must confirm. */
rz_guard_t *rz_guard_create(rz_channel_t *channel, const rz_store_options_t *options, rz_guard_fn fn,
                            void *arg);
void rz_guard_destroy(rz_guard_t **guard); /* fn is not called again */
void rz_guard_ask(rz_guard_t *guard);      /* begins a round; one that is under way is forgotten */
void rz_guard_lost(rz_guard_t *guard);     /* the channel was lost, and the round with it */
/* Since when the round that is under way waits for an answer; 0: none is. Monotonic. */
uint64_t rz_guard_asking_ms(const rz_guard_t *guard);
const rz_probe_t *rz_guard_seen(const rz_guard_t *guard); /* of the last round that ended */
const rz_store_mark_t *rz_guard_mark(const rz_guard_t *guard);
