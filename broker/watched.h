/* watched.h - how long this broker has watched the store since the tick that it last saw.
 *
 * Pure. The store's own time is what brokers with a healthy link have watched; what nobody watched did not
 * pass. So a broker says only what it can vouch for: nothing after a gap of its link, and never more than
 * WATCHED_MAX_MS at once, for then it was itself stopped or the store did not answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WATCHED_MAX_MS 3000

typedef struct {
    uint64_t tick;  /* the latest of the store that was seen     */
    uint64_t at_ms; /* when it was asked for, monotonic          */
    bool unbroken;  /* the link has been healthy since then      */
} watched_t;

/* The tick that may be told to the store as seen: none after a gap, for the store may have lost it since. */
uint64_t watched_tick(const watched_t *watched);
/* What may be said at now_ms to have passed since watched->tick, ms. */
uint64_t watched_ms(const watched_t *watched, uint64_t now_ms);
/* The store answered `tick` to what was asked at asked_ms. */
void watched_saw(watched_t *watched, uint64_t tick, uint64_t asked_ms);
/* The link broke, or an answer was lost: what passes from here on nobody vouches for. */
void watched_gap(watched_t *watched);
