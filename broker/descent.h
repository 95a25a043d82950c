/* descent.h - a walk over the descendants of one child, nearest first: whom it has met, and who comes next.
 *
 * Pure. Children name their parents as they like, so what looks like a tree may hold a cycle, or the same child
 * twice: each is met once. */
#pragma once

#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct descent descent_t;

/* max: how many it may meet, the first one included. */
descent_t *descent_create(const char *child, size_t max);
void descent_destroy(descent_t **descent);

/* A child of somebody who was met. Copied. RZ_DUPLICATE: it was met before. RZ_FULL: one too many. */
rz_rc_t descent_meet(descent_t *descent, const char *child);
/* Who was met longest ago and not given out yet; NULL: nobody. Lends, as long as the descent lives. */
const char *descent_next(descent_t *descent);
bool descent_is_done(const descent_t *descent); /* descent_next() would give nobody */
