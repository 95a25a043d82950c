/* topics.h - topics, and by whom each is held: sets of connections under byte strings, both of which strangers choose.
 *
 * What is not held cannot be given back: whoever takes back what he never asked for takes it from nobody else. */
#pragma once

#include "base/buf.h"

/* A connection: its descriptor, and what the kernel calls it, since a number is given again. fd -1: it is not known whose. */
typedef struct {
    int fd;
    uint64_t id;
} holder_t;

typedef struct topics topics_t;

#define TOPICS_HELD 16 /* how often a topic may be held, on the average of as many as are kept */

/* max: distinct ones. gone: whether a holder is no more. */
topics_t *topics_create(size_t max, bool (*gone)(const holder_t *holder));
void topics_destroy(topics_t **topics);
/* Copies. False: it would be one too many. *first: nobody held it. Holding it twice is holding it. */
bool topics_add(topics_t *topics, rz_str_t topic, holder_t holder, bool *first);
/* It is held no more by this one; fd -1: by one who is gone. True: that was the last. */
bool topics_take(topics_t *topics, rz_str_t topic, holder_t holder);
/* Takes one that is held, from all, into *out (appends); false: none is. To empty the set so costs one walk over it. */
bool topics_pop(topics_t *topics, rz_buf_t *out);
size_t topics_count(const topics_t *topics); /* distinct ones */
