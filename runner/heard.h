/* heard.h - which steering messages the worker of one run was told.
 *
 * A broker sends again what it has no answer for, and another broker may send what the first one did. So that a worker
 * is told everything once, its run remembers the ids; the oldest is forgotten when there are too many. Plain data; a
 * zeroed one remembers nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HEARD_MAX 1024 /* the store repeats none of what lies more than 1000 messages back */

typedef struct {
    char **ids; /* a ring once it is full */
    size_t count, cap, oldest;
} heard_t;

void heard_fini(heard_t *heard);
bool heard_has(const heard_t *heard, const char *id);
void heard_add(heard_t *heard, const char *id);
