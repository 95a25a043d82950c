/* held.c - a hash table of lists, and all of them in one ring. */
#include "held.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct held {
    run_t *buckets[BUCKETS];
    run_t *first;
    size_t count;
    spent_t *spent;
};

/* FNV-1a: children's ids often differ in their last digits only, and it mixes those. */
static size_t bucket_of(const char *child)
{
    uint64_t hash = 14695981039346656037ull;
    for (; *child != '\0'; child++)
        hash = (hash ^ (unsigned char)*child) * 1099511628211ull;
    return (hash ^ (hash >> 32)) % BUCKETS;
}

held_t *held_create(void)
{
    held_t *held = rz_alloc(sizeof *held);
    held->spent = spent_create();
    return held;
}

void held_destroy(held_t **held)
{
    if (*held == NULL)
        return;
    run_t *run;
    while ((run = (*held)->first) != NULL)
        held_drop(*held, &run);
    spent_destroy(&(*held)->spent);
    rz_free(*held);
    *held = NULL;
}

void held_add(held_t *held, run_t *run)
{
    run_place_t *place = run_place(run);
    run_t **bucket = &held->buckets[bucket_of(run_child(run))];
    place->bucket_next = *bucket;
    *bucket = run;
    place->next = held->first;
    place->prev = NULL;
    if (held->first != NULL)
        run_place(held->first)->prev = run;
    held->first = run;
    held->count++;
}

void held_drop(held_t *held, run_t **run_ref)
{
    run_t *run = *run_ref;
    run_place_t *place = run_place(run);
    run_t **at = &held->buckets[bucket_of(run_child(run))];
    while (*at != run)
        at = &run_place(*at)->bucket_next;
    *at = place->bucket_next;
    if (place->next != NULL)
        run_place(place->next)->prev = place->prev;
    if (place->prev != NULL)
        run_place(place->prev)->next = place->next;
    else
        held->first = place->next;
    held->count--;
    spent_add(held->spent, run_child(run), run_token(run), run_outcome(run));
    run_close(run_ref);
}

const outcome_t *held_outcome(const held_t *held, const char *child, const char *token)
{
    return spent_find(held->spent, child, token);
}

run_t *held_find(const held_t *held, const char *child)
{
    run_t *run = held->buckets[bucket_of(child)];
    while (run != NULL && strcmp(run_child(run), child) != 0)
        run = run_place(run)->bucket_next;
    return run;
}

run_t *held_first(const held_t *held)
{
    return held->first;
}

run_t *held_next(const held_t *held, run_t *run)
{
    (void)held;
    return run_place(run)->next;
}

size_t held_count(const held_t *held)
{
    return held->count;
}

size_t held_open(const held_t *held)
{
    size_t n = 0;
    for (run_t *run = held->first; run != NULL; run = run_place(run)->next)
        n += run_is_open(run);
    return n;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

cJSON *held_list(const held_t *held, char digest[41])
{
    char **lines = rz_alloc((held->count + 1) * sizeof *lines);
    cJSON *list = cJSON_CreateArray();
    size_t n = 0;
    for (run_t *run = held->first; run != NULL; run = run_place(run)->next) {
        rz_buf_t line = { 0 };
        rz_buf_printf(&line, "%s %" PRIu64, run_child(run), run_epoch(run));
        lines[n++] = rz_buf_take(&line, NULL);
        cJSON_AddItemToArray(list, cJSON_CreateString(run_child(run)));
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    rz_held_digest((const char *const *)lines, n, digest);
    for (size_t i = 0; i < n; i++)
        rz_free(lines[i]);
    rz_free(lines);
    return list;
}
