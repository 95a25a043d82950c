/* spent.h - the assignments (child and token) that this incarnation has let go of, the latest some thousands of them.
 *
 * A broker that was told late what we hold may give us what we have ended meanwhile, through another link than the one that
 * brought the acknowledgement: it is the same assignment, and must not be run again. No token is given twice. */
#pragma once

#include <stdbool.h>

#define SPENT_LEAST 8192 /* the latest so many are known, and up to as many before them */

typedef struct spent spent_t;

spent_t *spent_create(void);
void spent_destroy(spent_t **spent);
void spent_add(spent_t *spent, const char *child, const char *token);
bool spent_has(const spent_t *spent, const char *child, const char *token);
