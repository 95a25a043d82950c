/* watched.c - see watched.h. */
#include "watched.h"

uint64_t watched_tick(const watched_t *watched)
{
    return watched->unbroken ? watched->tick : 0;
}

uint64_t watched_ms(const watched_t *watched, uint64_t now_ms)
{
    if (!watched->unbroken || now_ms < watched->at_ms)
        return 0;
    uint64_t passed = now_ms - watched->at_ms;
    return passed < WATCHED_MAX_MS ? passed : WATCHED_MAX_MS;
}

/* Counted from the question, not from the answer: else time would run slow by the latency of each. */
void watched_saw(watched_t *watched, uint64_t tick, uint64_t asked_ms)
{
    *watched = (watched_t){ .tick = tick, .at_ms = asked_ms, .unbroken = true };
}

void watched_gap(watched_t *watched)
{
    watched->unbroken = false;
}
