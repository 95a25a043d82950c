/* pool.c - parked workers, newest first. */
#include "pool.h"

#include <string.h>

typedef struct entry entry_t;
struct entry {
    entry_t *next, *prev; /* next is older */
    char pool_key[RZ_DIGEST_LEN + 1];
    char affinity[RZ_ID_MAX + 1];
    void *worker;
    uint64_t parked_ms;
};

struct pool {
    pool_limits_t limits;
    entry_t ends; /* ring: ends.next is the newest, ends.prev the oldest */
    size_t count;
};

pool_t *pool_create(const pool_limits_t *limits)
{
    pool_t *pool = rz_alloc(sizeof *pool);
    pool->limits = *limits;
    pool->ends.next = pool->ends.prev = &pool->ends;
    return pool;
}

/* Unlinks and frees the entry; lends what it held. */
static void *entry_out(pool_t *pool, entry_t *entry)
{
    void *worker = entry->worker;
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
    pool->count--;
    rz_free(entry);
    return worker;
}

void pool_destroy(pool_t **pool)
{
    if (*pool == NULL)
        return;
    while (pool_pop(*pool) != NULL) {}
    rz_free(*pool);
    *pool = NULL;
}

static void copy_key(char *out, size_t size, const char *key)
{
    size_t n = strnlen(key, size - 1);
    memcpy(out, key, n);
    out[n] = '\0';
}

/* Is it one of more than per_key, counted from the newest? */
static bool is_surplus(const pool_t *pool, const entry_t *entry)
{
    size_t newer = 0;
    for (const entry_t *e = entry->prev; e != &pool->ends; e = e->prev)
        newer += strcmp(e->pool_key, entry->pool_key) == 0;
    return newer >= pool->limits.per_key;
}

void *pool_park(pool_t *pool, const char *pool_key, const char *affinity, void *worker, uint64_t now_ms)
{
    if (pool->limits.total == 0 || pool->limits.per_key == 0)
        return worker;
    entry_t *entry = rz_alloc(sizeof *entry);
    copy_key(entry->pool_key, sizeof entry->pool_key, pool_key);
    copy_key(entry->affinity, sizeof entry->affinity, affinity);
    entry->worker = worker;
    entry->parked_ms = now_ms;
    entry->next = pool->ends.next;
    entry->prev = &pool->ends;
    entry->next->prev = entry->prev->next = entry;
    pool->count++;
    return pool->count > pool->limits.total ? entry_out(pool, pool->ends.prev) : NULL;
}

void *pool_take(pool_t *pool, const char *pool_key)
{
    for (entry_t *e = pool->ends.next; e != &pool->ends; e = e->next)
        if (strcmp(e->pool_key, pool_key) == 0)
            return entry_out(pool, e);
    return NULL;
}

bool pool_remove(pool_t *pool, const void *worker)
{
    for (entry_t *e = pool->ends.next; e != &pool->ends; e = e->next)
        if (e->worker == worker)
            return entry_out(pool, e) != NULL;
    return false;
}

void *pool_expire(pool_t *pool, uint64_t now_ms)
{
    for (entry_t *e = pool->ends.prev; e != &pool->ends; e = e->prev) { /* oldest first */
        uint64_t age_ms = now_ms - e->parked_ms;
        if (age_ms < pool->limits.linger_ms && age_ms < pool->limits.idle_ms)
            return NULL;
        if (age_ms >= pool->limits.idle_ms || is_surplus(pool, e))
            return entry_out(pool, e);
    }
    return NULL;
}

void *pool_pop(pool_t *pool)
{
    return pool->ends.prev == &pool->ends ? NULL : entry_out(pool, pool->ends.prev);
}

size_t pool_count(const pool_t *pool)
{
    return pool->count;
}

cJSON *pool_idle(const pool_t *pool)
{
    cJSON *idle = cJSON_CreateObject();
    for (const entry_t *e = pool->ends.next; e != &pool->ends; e = e->next) {
        cJSON *n = cJSON_GetObjectItemCaseSensitive(idle, e->affinity);
        if (n == NULL)
            cJSON_AddNumberToObject(idle, e->affinity, 1);
        else
            cJSON_SetNumberValue(n, cJSON_GetNumberValue(n) + 1);
    }
    return idle;
}
