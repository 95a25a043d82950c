/* pace.c - see pace.h. */
#include "pace.h"

#define WAYS 8 /* places that one peer may have */

typedef struct {
    uint64_t hash;    /* of the peer; 0: nobody */
    uint64_t full_us; /* when the bucket is full again; each question moves it away */
} bucket_t;

struct pace {
    uint64_t per_sec;
    bucket_t bucket[PACE_PEERS];
};

pace_t *pace_create(uint64_t per_sec)
{
    pace_t *pace = rz_alloc(sizeof *pace);
    pace->per_sec = per_sec;
    return pace;
}

void pace_destroy(pace_t **pace)
{
    rz_free(*pace);
    *pace = NULL;
}

/* FNV-1a */
static uint64_t hash_of(rz_str_t peer)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < peer.n; i++)
        hash = (hash ^ (unsigned char)peer.p[i]) * 1099511628211u;
    return hash != 0 ? hash : 1;
}

/* His own, or that of who needs it least: the one that has been full for longest. */
static bucket_t *bucket_of(pace_t *pace, uint64_t hash)
{
    bucket_t *first = &pace->bucket[hash % (PACE_PEERS / WAYS) * WAYS], *least = first;
    for (bucket_t *bucket = first; bucket < first + WAYS; bucket++) {
        if (bucket->hash == hash)
            return bucket;
        if (bucket->full_us < least->full_us)
            least = bucket;
    }
    *least = (bucket_t){ .hash = hash };
    return least;
}

/* Times are kept in thousandths of a ms, so that a question at 10,000 a second has a length. */
uint64_t pace_ask(pace_t *pace, rz_str_t peer, uint64_t now_ms)
{
    if (pace->per_sec == 0)
        return 0;
    uint64_t now = now_ms * 1000, second = 1000000, each = second / pace->per_sec;
    bucket_t *bucket = bucket_of(pace, hash_of(peer));
    uint64_t from = bucket->full_us > now ? bucket->full_us : now;
    if (from + each > now + second)
        return (from + each - now - second) / 1000 + 1;
    bucket->full_us = from + each;
    return 0;
}
