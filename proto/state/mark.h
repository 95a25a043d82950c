/* mark.h - may the store that we meet be the one we knew?
 *
 * Pure. A broker remembers of its store who it was and how far it had come (rz_store_mark_t); a store that says otherwise
 * has lost what was acknowledged, or is another. That stops the service until an operator has looked, and has said so in
 * the store itself (`rhizome store accept`): for this very life of Redis, so that it says nothing of a later one. */
#pragma once

#include "state/store.h"

#define RZ_TICK_BACK_MAX_MS                                                                                  \
    5000 /* more than the second or two that Redis may lose with `everysec`, or in a failover */
#define RZ_MARK_WHY_MAX 224

/* What the store says of itself, and the replication id of the Redis that holds it. "" where there is none. */
typedef struct {
    char id[40], lineage[48], accepted[48], replid[48];
    char refused[RZ_MARK_WHY_MAX]; /* why a broker that knew better refused it */
    uint64_t term, tick;
} rz_store_facts_t;

typedef enum {
    RZ_MARK_GOES_ON,
    RZ_MARK_NEW_TERM, /* the term must be raised first, to rz_mark_least() at least */
    RZ_MARK_REFUSED   /* `why` says it in a sentence, and what to do */
} rz_mark_verdict_t;

/* A mark with an empty id knows nothing, and takes any store that nobody refused. */
rz_mark_verdict_t rz_mark_judge(const rz_store_mark_t *mark, const rz_store_facts_t *facts,
                                char why[RZ_MARK_WHY_MAX]);
/* The store went back, and only who remembers it sees that: the refusal is to be written into the store itself, or brokers
 * that remember nothing would serve it, and in time bring it to where it was. */
bool rz_mark_tells_others(const rz_store_mark_t *mark, const rz_store_facts_t *facts);
uint64_t rz_mark_least(const rz_store_mark_t *mark);
/* The store goes on: what it says is what we know from now on. */
void rz_mark_take(rz_store_mark_t *mark, const rz_store_facts_t *facts);
