/* held.h - the activations this incarnation holds, by child; at most one each. */
#pragma once

#include "run.h"
#include "spent.h"

typedef struct held held_t;

held_t *held_create(void);
void held_destroy(held_t **held); /* closes what is left */
void held_add(held_t *held, run_t *run);
void held_drop(held_t *held, run_t **run); /* takes out and closes */
run_t *held_find(const held_t *held, const char *child);
/* It was held and has been dropped lately: how it ended (spent.h). Lends; NULL: not known. */
const outcome_t *held_outcome(const held_t *held, const char *child, const char *token);
run_t *held_first(const held_t *held); /* in no useful order; NULL at the end */
run_t *held_next(const held_t *held, run_t *run);
size_t held_count(const held_t *held);
size_t held_open(const held_t *held); /* of them, those that count against the slots */
/* What `sync` tells: the digest, and the list of children. Gives: cJSON_Delete(). */
cJSON *held_list(const held_t *held, char digest[41]);
