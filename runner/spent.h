/* spent.h - the assignments (child and token) that this incarnation has let go of, the latest some thousands of them, and how
 * the latest of those ended.
 *
 * A broker that was told late what we hold may give us what we have ended meanwhile, through another link than the one that
 * brought the acknowledgement; and a Redis that crashed may have lost what it had acknowledged. Either way it is the same
 * assignment, and must not be run again: what was said of its end is said once more. No token is given twice. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

#define SPENT_MAX       4096              /* the latest so many are known                */
#define SPENT_BYTES_MAX ((size_t)8 << 20) /* and what the latest of them said, this much */

/* What its finish said. */
typedef struct {
    const char *status;     /* static                                         */
    rz_buf_t error, reply;  /* empty: none                                    */
    rz_buf_t header, event; /* sub_agent_completed, and its seq               */
    uint64_t seq;
} words_t;

typedef struct {
    bool released,
        rerun; /* it was given back; else it ended                                                     */
    words_t
        *words; /* NULL: it was given back, or what it said is not known, as it was not, or not any more */
} outcome_t;

typedef struct spent spent_t;

spent_t *spent_create(void);
void spent_destroy(spent_t **spent);
/* Takes outcome.words, which is rz_alloc'ed. */
void spent_add(spent_t *spent, const char *child, const char *token, outcome_t outcome);
/* Lends, until the next spent_add(); NULL: not known. */
const outcome_t *spent_find(const spent_t *spent, const char *child, const char *token);
