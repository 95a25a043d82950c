/* home.c - see home.h. */
#include "home.h"

static bool beats(const home_broker_t *a, const home_broker_t *b)
{
    return a->able != b->able ? a->able : a->load < b->load;
}

size_t home_pick(const home_broker_t *brokers, size_t n, uint64_t chance)
{
    size_t best = HOME_NONE;
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)((chance + i) % n);
        if (brokers[at].up && (best == HOME_NONE || beats(&brokers[at], &brokers[best])))
            best = at;
    }
    return best;
}

size_t home_better(const home_broker_t *brokers, size_t n, size_t home, uint64_t slots, uint64_t chance)
{
    size_t best = home_pick(brokers, n, chance);
    if (best == HOME_NONE || best == home || !brokers[best].able)
        return HOME_NONE;
    if (!brokers[home].able)
        return best;
    uint64_t here = brokers[home].load, there = brokers[best].load;
    return there + slots < here && chance / n % here < here - there ? best : HOME_NONE;
}

uint64_t home_look_ms(uint64_t chance)
{
    return HOME_LOOK_MIN_MS + chance % (HOME_LOOK_MAX_MS - HOME_LOOK_MIN_MS + 1);
}
