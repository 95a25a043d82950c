/* act.h - an activation as control replies show it (proto/README.md, 4). */
#pragma once

#include "roster.h"

/* Adds the member `key` (NULL: an array element). The runner's name is known only of linked runners; what
 * waits says so when none of them offers its class. */
void act_encode(const roster_t *roster, const char *key, const rz_act_t *act, rz_buf_t *out);
/* Adds the member `waiting`, the reason, if it is queued and no linked runner offers its class. */
void act_put_waiting(const roster_t *roster, const rz_act_t *act, rz_buf_t *out);
