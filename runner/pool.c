/* pool.c - two rings of entries: cooling and parked, newest first. */
#include "pool.h"

#include <string.h>

typedef struct entry entry_t;
struct entry {
    entry_t *next, *prev; /* next is older */
    entry_state_t state;
    char pool_key[RZ_DIGEST_LEN + 1];
    char affinity[RZ_ID_MAX + 1];
    void *worker;
    uint64_t parked_ms;
};

struct pool {
    pool_limits_t limits;
    entry_t cooling, parked; /* ends of the rings: next is the newest, prev the oldest */
    size_t count;            /* parked */
};

/* ---- rings ---- */

static void ring_init(entry_t *ends)
{
    ends->next = ends->prev = ends;
}

static void ring_add(entry_t *ends, entry_t *entry)
{
    entry->next = ends->next;
    entry->prev = ends;
    entry->next->prev = entry->prev->next = entry;
}

static void ring_remove(entry_t *entry)
{
    entry->prev->next = entry->next;
    entry->next->prev = entry->prev;
}

static entry_t *ring_find(entry_t *ends, const void *worker)
{
    for (entry_t *e = ends->next; e != ends; e = e->next)
        if (e->worker == worker)
            return e;
    return NULL;
}

static entry_t *find(pool_t *pool, const void *worker)
{
    entry_t *entry = ring_find(&pool->cooling, worker);
    return entry != NULL ? entry : ring_find(&pool->parked, worker);
}

static void ring_free(entry_t *ends)
{
    for (entry_t *e = ends->next, *next; e != ends; e = next) {
        next = e->next;
        rz_free(e);
    }
}

/* ---- life ---- */

pool_t *pool_create(const pool_limits_t *limits)
{
    pool_t *pool = rz_alloc(sizeof *pool);
    pool->limits = *limits;
    ring_init(&pool->cooling);
    ring_init(&pool->parked);
    return pool;
}

void pool_destroy(pool_t **pool)
{
    if (*pool == NULL)
        return;
    ring_free(&(*pool)->cooling);
    ring_free(&(*pool)->parked);
    rz_free(*pool);
    *pool = NULL;
}

static void copy_key(char *out, size_t size, const char *key)
{
    size_t n = strnlen(key, size - 1);
    memcpy(out, key, n);
    out[n] = '\0';
}

void pool_admit(pool_t *pool, const char *pool_key, const char *affinity, void *worker)
{
    entry_t *entry = rz_alloc(sizeof *entry);
    copy_key(entry->pool_key, sizeof entry->pool_key, pool_key);
    copy_key(entry->affinity, sizeof entry->affinity, affinity);
    entry->worker = worker;
    ring_add(&pool->cooling, entry);
}

/* ---- what happens to an entry ---- */

static void move(pool_t *pool, entry_t *entry, entry_state_t before, uint64_t now_ms)
{
    ring_remove(entry);
    pool->count -= before == ENTRY_PARKED;
    if (entry->state != ENTRY_PARKED) {
        rz_free(entry);
        return;
    }
    entry->parked_ms = now_ms;
    ring_add(&pool->parked, entry);
    pool->count++;
}

entry_action_t pool_feed(pool_t *pool, const void *worker, entry_event_t event, uint64_t now_ms)
{
    entry_t *entry = find(pool, worker);
    if (entry == NULL)
        return ENTRY_DO_NOTHING;
    entry_state_t before = entry->state;
    entry_action_t action = pool_entry_feed(&entry->state, event);
    if (action != ENTRY_DO_NOTHING)
        move(pool, entry, before, now_ms);
    return action;
}

/* ---- whom a rule concerns ---- */

static void *oldest(const entry_t *ends)
{
    return ends->prev == ends ? NULL : ends->prev->worker;
}

void *pool_cooling(const pool_t *pool)
{
    return pool->cooling.next == &pool->cooling ? NULL : pool->cooling.next->worker;
}

void *pool_parked(const pool_t *pool, const char *pool_key)
{
    for (const entry_t *e = pool->parked.next; e != &pool->parked; e = e->next)
        if (strcmp(e->pool_key, pool_key) == 0)
            return e->worker;
    return NULL;
}

void *pool_excess(const pool_t *pool, entry_event_t *why)
{
    *why = pool->limits.per_key == 0 ? ENTRY_EV_SURPLUS : ENTRY_EV_CROWDED;
    size_t room = pool->limits.per_key == 0 ? 0 : pool->limits.total;
    return pool->count > room ? oldest(&pool->parked) : NULL;
}

/* Is it one of more than per_key, counted from the newest? */
static bool is_surplus(const pool_t *pool, const entry_t *entry)
{
    size_t newer = 0;
    for (const entry_t *e = entry->prev; e != &pool->parked; e = e->prev)
        newer += strcmp(e->pool_key, entry->pool_key) == 0;
    return newer >= pool->limits.per_key;
}

void *pool_overdue(const pool_t *pool, uint64_t now_ms, entry_event_t *why)
{
    for (const entry_t *e = pool->parked.prev; e != &pool->parked; e = e->prev) { /* oldest first */
        uint64_t age_ms = now_ms - e->parked_ms;
        if (age_ms < pool->limits.linger_ms && age_ms < pool->limits.idle_ms)
            return NULL;
        bool old = age_ms >= pool->limits.idle_ms;
        *why = old ? ENTRY_EV_OLD : ENTRY_EV_SURPLUS;
        if (old || is_surplus(pool, e))
            return e->worker;
    }
    return NULL;
}

void *pool_any(const pool_t *pool)
{
    void *worker = pool_cooling(pool);
    return worker != NULL ? worker : oldest(&pool->parked);
}

/* ---- counts ---- */

size_t pool_count(const pool_t *pool)
{
    return pool->count;
}

cJSON *pool_idle(const pool_t *pool)
{
    cJSON *idle = cJSON_CreateObject();
    for (const entry_t *e = pool->parked.next; e != &pool->parked; e = e->next) {
        cJSON *n = cJSON_GetObjectItemCaseSensitive(idle, e->affinity);
        if (n == NULL)
            cJSON_AddNumberToObject(idle, e->affinity, 1);
        else
            cJSON_SetNumberValue(n, cJSON_GetNumberValue(n) + 1);
    }
    return idle;
}
