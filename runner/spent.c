/* spent.c - two sets of which the older one is thrown away when the newer one is full. */
#include "spent.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#define SLOTS ((size_t)2 * SPENT_LEAST)

struct spent {
    uint64_t newer[SLOTS], older[SLOTS]; /* 0: free */
    size_t count;                        /* in newer */
};

spent_t *spent_create(void)
{
    return rz_alloc(sizeof(spent_t));
}

void spent_destroy(spent_t **spent)
{
    rz_free(*spent);
    *spent = NULL;
}

static uint64_t mix(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* FNV-1a. Tokens are random, so two of them having one key is as unlikely as it looks. */
static uint64_t key_of(const char *child, const char *token)
{
    uint64_t key = mix(mix(mix(UINT64_C(14695981039346656037), child), " "), token);
    return key != 0 ? key : 1;
}

/* Where the key is, or would be. */
static size_t slot_of(const uint64_t set[SLOTS], uint64_t key)
{
    size_t i = key % SLOTS;
    while (set[i] != 0 && set[i] != key)
        i = (i + 1) % SLOTS;
    return i;
}

void spent_add(spent_t *spent, const char *child, const char *token)
{
    uint64_t key = key_of(child, token);
    if (spent->count == SPENT_LEAST) {
        memcpy(spent->older, spent->newer, sizeof spent->older);
        memset(spent->newer, 0, sizeof spent->newer);
        spent->count = 0;
    }
    size_t i = slot_of(spent->newer, key);
    spent->count += spent->newer[i] == 0;
    spent->newer[i] = key;
}

bool spent_has(const spent_t *spent, const char *child, const char *token)
{
    uint64_t key = key_of(child, token);
    return spent->newer[slot_of(spent->newer, key)] == key || spent->older[slot_of(spent->older, key)] == key;
}
