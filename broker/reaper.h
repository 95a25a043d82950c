/* reaper.h - watches the leases of all incarnations and settles what the dead ones left behind.
 *
 * Drives lease.h with what the store says, several times within a lease (at most every 3 s). Any number of
 * brokers may do so at once: condemning compares, reaping is idempotent. */
#pragma once

#include "counters.h"
#include "state/ops.h"

typedef struct reaper reaper_t;

typedef struct {
    uv_loop_t *loop;
    rz_store_t *store;
    counters_t *counters;
    uint64_t lease_ms;
    /* An incarnation was found dead, or left: whoever is linked under it must be forgotten. */
    void (*on_dead)(const char *incarnation, void *arg);
    void *arg;
} reaper_parts_t;

reaper_t *reaper_open(const reaper_parts_t *parts);
void reaper_close(reaper_t **reaper); /* after the store was closed */
/* The store was away: nobody is judged by what was seen before. */
void reaper_gap(reaper_t *reaper);
/* The runner said bye: its incarnation ends now, by its own will. */
void reaper_leave(reaper_t *reaper, const char *incarnation);
