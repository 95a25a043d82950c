/* pace.h - how fast one peer may ask: a bucket for each that fills with time. Pure.
 *
 * A peer may ask `per_sec` times at once after a pause, and so many a second in the long run. PACE_PEERS are remembered; who
 * has not asked for longest is forgotten first, which can only be kind to him. */
#pragma once

#include "base/mem.h"

#include <stdint.h>

#define PACE_PEERS 4096

typedef struct pace pace_t;

pace_t *pace_create(uint64_t per_sec); /* 0: everybody may always */
void pace_destroy(pace_t **pace);
/* 0: go on. Else so many ms until the peer may ask again. */
uint64_t pace_ask(pace_t *pace, rz_str_t peer, uint64_t now_ms);
