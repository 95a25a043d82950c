/* heard.c - a bounded list of ids. */
#include "heard.h"

#include "base/mem.h"

#include <string.h>

#define FIRST 4

void heard_fini(heard_t *heard)
{
    for (size_t i = 0; i < heard->count; i++)
        rz_free(heard->ids[i]);
    rz_free(heard->ids);
    *heard = (heard_t){ 0 };
}

bool heard_has(const heard_t *heard, const char *id)
{
    for (size_t i = 0; i < heard->count; i++)
        if (strcmp(heard->ids[i], id) == 0)
            return true;
    return false;
}

static void replace_oldest(heard_t *heard, const char *id)
{
    rz_free(heard->ids[heard->oldest]);
    heard->ids[heard->oldest] = rz_strdup(id);
    heard->oldest = (heard->oldest + 1) % HEARD_MAX;
}

void heard_add(heard_t *heard, const char *id)
{
    if (heard->count == HEARD_MAX) {
        replace_oldest(heard, id);
        return;
    }
    if (heard->count == heard->cap) {
        heard->cap = heard->cap == 0 ? FIRST : heard->cap * 2;
        heard->ids = rz_realloc(heard->ids, heard->cap * sizeof *heard->ids);
    }
    heard->ids[heard->count++] = rz_strdup(id);
}
