/* topics.h - topics, and how often each is held: a counting set of byte strings. Pure. */
#pragma once

#include "base/buf.h"

typedef struct topics topics_t;

topics_t *topics_create(void);
void topics_destroy(topics_t **topics);
void topics_add(topics_t *topics, rz_str_t topic);  /* copies */
bool topics_take(topics_t *topics, rz_str_t topic); /* one less; false: it is not held */
/* Takes one that is held into *out (appends), once for each time it is held; false: none is. */
bool topics_pop(topics_t *topics, rz_buf_t *out);
size_t topics_count(const topics_t *topics); /* distinct ones */
