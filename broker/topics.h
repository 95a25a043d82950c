/* topics.h - topics, and how often each is held: a counting set of byte strings, which a stranger chooses. */
#pragma once

#include "base/buf.h"

typedef struct topics topics_t;

topics_t *topics_create(size_t max); /* distinct ones */
void topics_destroy(topics_t **topics);
bool topics_add(topics_t *topics, rz_str_t topic);  /* copies; false: it would be one too many */
bool topics_take(topics_t *topics, rz_str_t topic); /* one less; false: it is not held */
/* Takes one that is held into *out (appends), once for each time it is held; false: none is. To empty the set so costs one
 * walk over it. */
bool topics_pop(topics_t *topics, rz_buf_t *out);
size_t topics_count(const topics_t *topics); /* distinct ones */
