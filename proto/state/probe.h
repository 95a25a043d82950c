/* probe.h - what must be known of a Redis before its store is used: the commands that ask, and the verdict.
 * Knows nothing of connections: store.c sends the commands one way, admin.c another. */
#pragma once

#include "state/store.h"

#include <hiredis/hiredis.h>

#define RZ_STORE_PREFIX "rz:{0}" /* the one shard */

typedef struct {
    char id[40], library[24], durability[12], redis_version[24];
    unsigned shards;
    char problem[160]; /* the first thing that was wrong, or "" */
} rz_probe_t;

typedef struct {
    int argc;
    const char *argv[8];
} rz_probe_command_t;

#define RZ_PROBES 4
extern const rz_probe_command_t rz_probe_command[RZ_PROBES];
void rz_probe_init(rz_probe_t *probe);
/* Takes the reply to rz_probe_command[which] into the probe. */
void rz_probe_take(rz_probe_t *probe, size_t which, const redisReply *reply);
/* After the last reply: RZ_OK; RZ_NOT_FOUND: no store record; RZ_BAD_STORE: other library, shards or id;
 * RZ_UNAVAILABLE: not usable now. probe->problem says it in words. expected_id NULL or "": any. */
rz_rc_t rz_probe_verdict(rz_probe_t *probe, const char *expected_id);
