/* descent.c - see descent.h. */
#include "descent.h"

#include "base/mem.h"

#include <czmq.h>

struct descent {
    char **met; /* in this order */
    size_t n, cap, max;
    size_t next;    /* index of who is given out next */
    zhashx_t *seen; /* the same texts */
};

descent_t *descent_create(const char *child, size_t max)
{
    descent_t *descent = rz_alloc(sizeof *descent);
    descent->max = max;
    descent->seen = zhashx_new();
    zhashx_set_key_duplicator(descent->seen, NULL);
    zhashx_set_key_destructor(descent->seen, NULL);
    (void)descent_meet(descent, child);
    return descent;
}

void descent_destroy(descent_t **descent_ref)
{
    descent_t *descent = *descent_ref;
    if (descent == NULL)
        return;
    *descent_ref = NULL;
    zhashx_destroy(&descent->seen);
    for (size_t i = 0; i < descent->n; i++)
        rz_free(descent->met[i]);
    rz_free(descent->met);
    rz_free(descent);
}

rz_rc_t descent_meet(descent_t *descent, const char *child)
{
    if (zhashx_lookup(descent->seen, child) != NULL)
        return RZ_DUPLICATE;
    if (descent->n == descent->max)
        return RZ_FULL;
    if (descent->n == descent->cap) {
        descent->cap = descent->cap == 0 ? 16 : 2 * descent->cap;
        descent->met = rz_realloc(descent->met, descent->cap * sizeof *descent->met);
    }
    char *copy = rz_strdup(child);
    descent->met[descent->n++] = copy;
    zhashx_insert(descent->seen, copy, copy);
    return RZ_OK;
}

const char *descent_next(descent_t *descent)
{
    return descent_is_done(descent) ? NULL : descent->met[descent->next++];
}

bool descent_is_done(const descent_t *descent)
{
    return descent->next == descent->n;
}
