/* probe.h - what must be known of a Redis before its store is used: the commands that ask, and the verdict.
 * Knows nothing of connections: store.c sends the commands one way, admin.c another. */
#pragma once

#include "state/mark.h"

#include <hiredis/hiredis.h>

#define RZ_STORE_PREFIX "rz:{0}" /* the one shard */
#define RZ_STORE_RECORD                                                                                      \
    "rz:{0}:store" /* written out: long arrays of joined texts look like a missing comma */

typedef struct {
    rz_store_facts_t facts;
    char library[24]; /* "" if its functions are not there */
    char durability[12], redis_version[24];
    unsigned shards;
    unsigned replicas;      /* that must confirm, as it was asked for; 0: none */
    unsigned online, least; /* replicas that are in step; min-replicas-to-write */
    char weakness[160];     /* why it is less durable than was asked for, or "" */
    char problem[256];      /* the first thing that was wrong, or "" */
} rz_probe_t;

typedef struct {
    int argc;
    const char *argv[8];
} rz_probe_command_t;

#define RZ_PROBES 6
extern const rz_probe_command_t rz_probe_command[RZ_PROBES];
void rz_probe_init(rz_probe_t *probe, unsigned replicas);
/* Takes the reply to rz_probe_command[which] into the probe. */
void rz_probe_take(rz_probe_t *probe, size_t which, const redisReply *reply);
bool rz_role_is_primary(const redisReply *reply); /* to ROLE */
/* After the last reply: RZ_OK; RZ_NOT_FOUND: no store record, and none known before; RZ_BAD_STORE: other library or
 * shards, or not the store that mark knows; RZ_UNAVAILABLE: not usable now; probe->problem says it in words. RZ_STATE: all
 * is well, but its term must be raised first, as rz_mark_judge() says. */
rz_rc_t rz_probe_verdict(rz_probe_t *probe, const rz_store_mark_t *mark);

/* The command that raises the term; its texts live in out. */
typedef struct {
    char least[24];
    const char *argv[7];
} rz_term_command_t;
#define RZ_TERM_ARGC 7
void rz_term_command(const rz_store_mark_t *mark, const rz_store_facts_t *facts, rz_term_command_t *out);

/* Whether a program made for library `mine` can work with `theirs`: the same major, and a minor that is no smaller. */
bool rz_library_serves(const char *theirs, const char *mine);
/* "1.2" as a number that grows with the version; 0 for no version. */
unsigned rz_library_number(const char *version);
