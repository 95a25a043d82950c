/* act.h - an activation as control replies show it (proto/README.md, 4). */
#pragma once

#include "roster.h"

/* Adds the member `key` (NULL: an array element). The runner's name is known only of linked runners. */
void act_encode(const roster_t *roster, const char *key, const rz_act_t *act, rz_buf_t *out);
