/* lease.c - see lease.h. */
#include "lease.h"

#include <string.h>

typedef struct {
    char *incarnation;
    uint64_t counter;
    uint64_t since_ms; /* when this counter was first seen */
    bool listed;       /* in the look that is under way    */
} lease_t;

struct lease_table {
    uint64_t lease_ms, gap_ms;
    uint64_t last_look_ms; /* 0: none yet */
    lease_t *lease;
    size_t n, cap;
};

lease_table_t *lease_create(uint64_t lease_ms, uint64_t gap_ms)
{
    lease_table_t *table = rz_alloc(sizeof *table);
    table->lease_ms = lease_ms;
    table->gap_ms = gap_ms;
    return table;
}

void lease_gap(lease_table_t *table)
{
    for (size_t i = 0; i < table->n; i++)
        rz_free(table->lease[i].incarnation);
    table->n = 0;
}

void lease_destroy(lease_table_t **table)
{
    if (*table == NULL)
        return;
    lease_gap(*table);
    rz_free((*table)->lease);
    rz_free(*table);
    *table = NULL;
}

static lease_t *lease_find(lease_table_t *table, const char *incarnation)
{
    for (size_t i = 0; i < table->n; i++)
        if (strcmp(table->lease[i].incarnation, incarnation) == 0)
            return &table->lease[i];
    return NULL;
}

static lease_t *lease_add(lease_table_t *table, const char *incarnation)
{
    if (table->n == table->cap) {
        table->cap = table->cap == 0 ? 8 : 2 * table->cap;
        table->lease = rz_realloc(table->lease, table->cap * sizeof(lease_t));
    }
    lease_t *lease = &table->lease[table->n++];
    *lease = (lease_t){ .incarnation = rz_strdup(incarnation) };
    return lease;
}

/* True when the incarnation has now stood still for the whole lease. */
static bool lease_look(lease_table_t *table, uint64_t now_ms, const rz_incarnation_t *seen)
{
    lease_t *lease = lease_find(table, seen->incarnation);
    bool fresh = lease == NULL;
    if (fresh)
        lease = lease_add(table, seen->incarnation);
    lease->listed = true;
    if (fresh || lease->counter != seen->counter) {
        lease->counter = seen->counter;
        lease->since_ms = now_ms;
    }
    return now_ms - lease->since_ms >= table->lease_ms;
}

static void forget_unlisted(lease_table_t *table)
{
    for (size_t i = table->n; i-- > 0;) {
        bool listed = table->lease[i].listed;
        table->lease[i].listed = false;
        if (listed)
            continue;
        rz_free(table->lease[i].incarnation);
        table->lease[i] = table->lease[--table->n];
    }
}

void lease_observe(lease_table_t *table, uint64_t now_ms, const rz_incarnation_t *list, size_t n, lease_fn fn,
                   void *arg)
{
    if (now_ms - table->last_look_ms > table->gap_ms)
        lease_gap(table);
    table->last_look_ms = now_ms;
    for (size_t i = 0; i < n; i++) {
        const rz_incarnation_t *seen = &list[i];
        if (seen->dead && seen->owned > 0)
            fn(LEASE_REAP, seen->incarnation, seen->counter, arg);
        if (!seen->dead && lease_look(table, now_ms, seen))
            fn(LEASE_CONDEMN, seen->incarnation, seen->counter, arg);
    }
    forget_unlisted(table);
}
