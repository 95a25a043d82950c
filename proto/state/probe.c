/* probe.c - see probe.h. */
#include "state/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ROLE, ASK_VERSION, ASK_CONFIG, ASK_INFO };

const rz_probe_command_t rz_probe_command[RZ_PROBES] = {
    [ASK_ROLE] = { 1, { "ROLE" } },
    [ASK_VERSION] = { 4, { "FCALL", "rz1_version", "1", RZ_STORE_PREFIX } },
    [ASK_CONFIG] = { 6,
                     { "CONFIG", "GET", "appendonly", "appendfsync", "no-appendfsync-on-rewrite",
                       "maxmemory-policy" } },
    [ASK_INFO] = { 3, { "INFO", "server", "persistence" } },
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

void rz_probe_init(rz_probe_t *probe)
{
    *probe = (rz_probe_t){ .durability = "strict" };
}

static void take_role(rz_probe_t *probe, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        strcmp(reply->element[0]->str, "master") != 0)
        problem(probe, "redis is not a master");
}

/* An unknown function is no problem yet: the verdict tells a store that was never initialised. */
static void take_version(rz_probe_t *probe, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "Function not found") == NULL)
        problem(probe, reply->str);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    copy(probe->library, sizeof(probe->library), reply->element[0]);
    copy(probe->id, sizeof(probe->id), reply->element[1]);
    probe->shards = (unsigned)strtoul(reply->element[2]->str, NULL, 10);
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
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 8) {
        weaken(probe);
        return;
    }
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (!strict_setting(reply->element[i]->str, reply->element[i + 1]->str))
            weaken(probe);
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
}

void rz_probe_take(rz_probe_t *probe, size_t which, const redisReply *reply)
{
    if (which == ASK_ROLE)
        take_role(probe, reply);
    else if (which == ASK_VERSION)
        take_version(probe, reply);
    else if (which == ASK_CONFIG)
        take_config(probe, reply);
    else
        take_info(probe, reply);
}

rz_rc_t rz_probe_verdict(rz_probe_t *probe, const char *expected_id)
{
    char text[sizeof(probe->problem)];
    if (probe->problem[0] != '\0')
        return RZ_UNAVAILABLE;
    if (probe->id[0] == '\0') {
        problem(probe, "the store is not initialised: run `rhizome store init`");
        return RZ_NOT_FOUND;
    }
    if (strcmp(probe->library, RZ_STORE_LIBRARY_VERSION) != 0) {
        (void)snprintf(text, sizeof(text), "the store's library is %s, this program needs %s", probe->library,
                       RZ_STORE_LIBRARY_VERSION);
        problem(probe, text);
        return RZ_BAD_STORE;
    }
    if (probe->shards != 1) {
        (void)snprintf(text, sizeof(text), "the store has %u shards, this program serves 1", probe->shards);
        problem(probe, text);
        return RZ_BAD_STORE;
    }
    if (expected_id != NULL && expected_id[0] != '\0' && strcmp(expected_id, probe->id) != 0) {
        (void)snprintf(text, sizeof(text), "this is store %s, expected %s", probe->id, expected_id);
        problem(probe, text);
        return RZ_BAD_STORE;
    }
    return RZ_OK;
}
