/* waiters.h - clients that wait for a child's activation to end.
 *
 * The answer always comes from the store: a waiter asks when it begins, and again each time something says
 * that the child may have ended (a finish seen here, an entry in `completions`, the store coming back). */
#pragma once

#include "state/ops.h"

typedef struct waiters waiters_t;
typedef struct waiter waiter_t; /* one that waits; gone as soon as its function was called */

/* Called exactly once per waiter, from the loop. RZ_OK: terminal. RZ_EXPIRED: the time is over; act tells how
 * far it is, or is NULL. Else what the store refused with, or RZ_UNAVAILABLE from waiters_stop(). */
typedef void (*waiter_fn)(rz_rc_t rc, const rz_act_t *act, void *arg);

waiters_t *waiters_create(uv_loop_t *loop, rz_store_t *store);
void waiters_destroy(waiters_t **waiters); /* after waiters_stop() and after the store was closed */

/* job NULL: the latest activation. timeout_ms 0: no limit. fn is never called from inside this. Lends. */
waiter_t *waiters_add(waiters_t *waiters, const char *child, const char *job, uint64_t timeout_ms,
                      waiter_fn fn, void *arg);
/* Waits no more: its function is not called. */
void waiters_leave(waiter_t *waiter);
void waiters_poke(waiters_t *waiters, const char *child);
void waiters_poke_all(waiters_t *waiters);
void waiters_stop(waiters_t *waiters); /* answers everybody RZ_UNAVAILABLE */
size_t waiters_count(const waiters_t *waiters);
