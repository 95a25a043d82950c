/* probe.c - see probe.h. */
#include "state/probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ROLE, ASK_RECORD, ASK_TICK, ASK_VERSION, ASK_CONFIG, ASK_INFO };

const rz_probe_command_t rz_probe_command[RZ_PROBES] = {
    [ASK_ROLE] = { 1, { "ROLE" } },
    [ASK_RECORD] = { 8,
                     { "HMGET", RZ_STORE_RECORD, "id", "shards", "term", "lineage", "accepted", "refused" } },
    [ASK_TICK] = { 2, { "GET", RZ_STORE_PREFIX ":tick" } },
    [ASK_VERSION] = { 4, { "FCALL", "rz1_version", "1", RZ_STORE_PREFIX } },
    [ASK_CONFIG] = { 7,
                     { "CONFIG", "GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite",
                       "maxmemory-policy", "min-replicas-to-write" } },
    [ASK_INFO] = { 4, { "INFO", "server", "persistence", "replication" } },
};

static void problem(rz_probe_t *probe, const char *text)
{
    if (probe->problem[0] == '\0')
        (void)snprintf(probe->problem, sizeof(probe->problem), "%s", text);
}

static void copy(char *out, size_t size, const redisReply *from)
{
    (void)snprintf(out, size, "%.*s", (int)from->len, from->str);
}

static void weaken(rz_probe_t *probe)
{
    (void)snprintf(probe->durability, sizeof(probe->durability), "relaxed");
}

void rz_probe_init(rz_probe_t *probe, unsigned replicas)
{
    *probe = (rz_probe_t){ .durability = "strict", .replicas = replicas };
}

bool rz_role_is_primary(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
           reply->element[0]->type == REDIS_REPLY_STRING && strcmp(reply->element[0]->str, "master") == 0;
}

static void take_role(rz_probe_t *probe, const redisReply *reply)
{
    if (!rz_role_is_primary(reply))
        problem(probe, reply->type == REDIS_REPLY_ERROR ? reply->str : "redis is not a master");
}

static uint64_t number(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

static void copy_any(char *out, size_t size, const redisReply *from)
{
    if (from->type == REDIS_REPLY_STRING)
        copy(out, size, from);
}

/* Read as it is, without our functions: a store that lost them is not one that was never made. */
static void take_record(rz_probe_t *probe, const redisReply *reply)
{
    rz_store_facts_t *facts = &probe->facts;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 6) {
        problem(probe, reply->type == REDIS_REPLY_ERROR ? reply->str : "the store's record cannot be read");
        return;
    }
    copy_any(facts->id, sizeof(facts->id), reply->element[0]);
    probe->shards = (unsigned)number(reply->element[1]);
    facts->term = number(reply->element[2]);
    copy_any(facts->lineage, sizeof(facts->lineage), reply->element[3]);
    copy_any(facts->accepted, sizeof(facts->accepted), reply->element[4]);
    copy_any(facts->refused, sizeof(facts->refused), reply->element[5]);
}

static void take_tick(rz_probe_t *probe, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        problem(probe, reply->str);
    probe->facts.tick = number(reply);
}

/* An unknown function is no problem yet: the verdict tells a store that was never initialised. */
static void take_version(rz_probe_t *probe, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "Function not found") == NULL)
        problem(probe, reply->str);
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        copy_any(probe->library, sizeof(probe->library), reply->element[0]);
}

static bool strict_setting(const char *name, const char *value)
{
    static const char *const wanted[][2] = { { "appendonly", "yes" },
                                             { "appendfsync", "always" },
                                             { "no-appendfsync-on-rewrite", "no" },
                                             { "maxmemory-policy", "noeviction" } };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strcmp(name, wanted[i][0]) == 0)
            return strcmp(value, wanted[i][1]) == 0;
    return true;
}

/* Not permitted to look: then no promise either. */
static void take_config(rz_probe_t *probe, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 10) {
        weaken(probe);
        return;
    }
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (strcmp(reply->element[i]->str, "min-replicas-to-write") == 0)
            probe->least = (unsigned)number(reply->element[i + 1]);
        else if (!strict_setting(reply->element[i]->str, reply->element[i + 1]->str))
            weaken(probe);
}

/* "slave0:ip=10.0.0.2,port=6379,state=online,..." */
static unsigned count_online(const char *info)
{
    static const char word[] = ",state=online";
    unsigned n = 0;
    for (const char *at = info; (at = strstr(at, word)) != NULL; at += sizeof(word) - 1)
        n++;
    return n;
}

static void take_info(rz_probe_t *probe, const redisReply *reply)
{
    const char *version = NULL;
    if (reply->type != REDIS_REPLY_STRING || strstr(reply->str, "aof_last_write_status:ok") == NULL)
        weaken(probe);
    if (reply->type == REDIS_REPLY_STRING)
        version = strstr(reply->str, "redis_version:");
    if (version != NULL)
        (void)sscanf(version, "redis_version:%23[0-9.]", probe->redis_version);
    const char *replid = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, "master_replid:") : NULL;
    if (replid != NULL)
        (void)sscanf(replid, "master_replid:%47[0-9a-f]", probe->facts.replid);
    if (reply->type == REDIS_REPLY_STRING)
        probe->online = count_online(reply->str);
}

void rz_probe_take(rz_probe_t *probe, size_t which, const redisReply *reply)
{
    static void (*const take[RZ_PROBES])(rz_probe_t *, const redisReply *) = {
        [ASK_ROLE] = take_role,       [ASK_RECORD] = take_record, [ASK_TICK] = take_tick,
        [ASK_VERSION] = take_version, [ASK_CONFIG] = take_config, [ASK_INFO] = take_info,
    };
    take[which](probe, reply);
}

unsigned rz_library_number(const char *version)
{
    char *rest = NULL;
    unsigned long major = strtoul(version, &rest, 10);
    unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
    return (unsigned)(major * 1000 + minor);
}

bool rz_library_serves(const char *theirs, const char *mine)
{
    unsigned there = rz_library_number(theirs), here = rz_library_number(mine);
    return there / 1000 == here / 1000 && there >= here;
}

static rz_rc_t refuse(rz_probe_t *probe, rz_rc_t rc, const char *text)
{
    problem(probe, text);
    return rc;
}

static rz_rc_t check_library(rz_probe_t *probe)
{
    char text[sizeof(probe->problem)];
    if (rz_library_serves(probe->library, rz_store_library_version))
        return RZ_OK;
    if (probe->library[0] == '\0')
        return refuse(probe, RZ_BAD_STORE,
                      "the store's functions are not loaded: run `rhizome store upgrade`");
    (void)snprintf(text, sizeof(text),
                   "the store's library is %s, this program needs %s or a later minor of it%s",
                   probe->library, rz_store_library_version,
                   rz_library_number(probe->library) < rz_library_number(rz_store_library_version)
                       ? ": run `rhizome store upgrade`"
                       : "");
    return refuse(probe, RZ_BAD_STORE, text);
}

/* Strict, and replicas that confirm. What Redis itself asks for counts too: else a primary that is cut off takes what
 * other clients write, and what we write until the first confirmation fails to come. */
static rz_rc_t check_replicas(rz_probe_t *probe)
{
    char text[sizeof(probe->problem)];
    if (probe->replicas == 0)
        return RZ_OK;
    if (probe->online < probe->replicas) {
        (void)snprintf(text, sizeof(text),
                       "%u of %u replicas (redis.replicas) are in step: nothing can be confirmed",
                       probe->online, probe->replicas);
        return refuse(probe, RZ_UNAVAILABLE, text);
    }
    if (strcmp(probe->durability, "strict") != 0)
        (void)snprintf(
            probe->weakness, sizeof(probe->weakness),
            "redis.replicas asks for replicated, and Redis is not strict: appendonly yes, appendfsync "
            "always, maxmemory-policy noeviction");
    else if (probe->least < probe->replicas)
        (void)snprintf(probe->weakness, sizeof(probe->weakness),
                       "redis.replicas is %u, and Redis' min-replicas-to-write only %u", probe->replicas,
                       probe->least);
    else
        (void)snprintf(probe->durability, sizeof(probe->durability), "replicated");
    return RZ_OK;
}

/* What it is comes before what it can do: a Redis that holds another store, or none, is told as that. */
rz_rc_t rz_probe_verdict(rz_probe_t *probe, const rz_store_mark_t *mark)
{
    char text[sizeof(probe->problem)], why[RZ_MARK_WHY_MAX];
    if (probe->problem[0] != '\0')
        return RZ_UNAVAILABLE;
    rz_mark_verdict_t verdict = rz_mark_judge(mark, &probe->facts, why);
    if (verdict == RZ_MARK_REFUSED)
        return refuse(probe, RZ_BAD_STORE, why);
    if (probe->facts.id[0] == '\0')
        return refuse(probe, RZ_NOT_FOUND, "the store is not initialised: run `rhizome store init`");
    if (check_library(probe) != RZ_OK)
        return RZ_BAD_STORE;
    if (probe->shards != 1) {
        (void)snprintf(text, sizeof(text), "the store has %u shards, this program serves 1", probe->shards);
        return refuse(probe, RZ_BAD_STORE, text);
    }
    if (check_replicas(probe) != RZ_OK)
        return RZ_UNAVAILABLE;
    return verdict == RZ_MARK_NEW_TERM ? RZ_STATE : RZ_OK;
}

void rz_term_command(const rz_store_mark_t *mark, const rz_store_facts_t *facts, rz_term_command_t *out)
{
    (void)snprintf(out->least, sizeof(out->least), "%" PRIu64, rz_mark_least(mark));
    const char *const argv[RZ_TERM_ARGC] = { "FCALL",        "rz1_term",    "1",       RZ_STORE_PREFIX,
                                             facts->lineage, facts->replid, out->least };
    memcpy(out->argv, argv, sizeof(argv));
}
