/* admin.c - `rhizome store init|upgrade|check|accept`, synchronously; see store.h. */
#include "base/clock.h"
#include "base/id.h"
#include "state/channel.h"
#include "state/probe.h"
#include "state/sentinel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define TIMED_LIBRARY "1.1" /* the first that knows when something ended */

/* ---- one blocking connection ---- */
static rz_rc_t fail_redis(rz_err_t *err, redisContext *redis, const redisReply *reply, const char *doing)
{
    const char *why = reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str
                      : redis != NULL && redis->err != 0                ? redis->errstr
                                                                        : "unexpected reply";
    return rz_fail(err, RZ_UNAVAILABLE, "%s: %s", doing, why);
}

/* A reply of the given type, or NULL and err. The caller frees it. */
static redisReply *ask(redisContext *redis, int type, rz_err_t *err, int argc, const char **argv)
{
    redisReply *reply = redisCommandArgv(redis, argc, argv, NULL);
    if (reply != NULL && reply->type == type)
        return reply;
    fail_redis(err, redis, reply, argv[0]);
    if (reply != NULL)
        freeReplyObject(reply);
    return NULL;
}

static bool tell(redisContext *redis, int type, rz_err_t *err, int argc, const char **argv)
{
    redisReply *reply = ask(redis, type, err, argc, argv);
    if (reply == NULL)
        return false;
    freeReplyObject(reply);
    return true;
}

static bool greet(redisContext *redis, const rz_address_t *address, rz_err_t *err)
{
    char db[16];
    (void)snprintf(db, sizeof(db), "%u", address->db);
    const char *with_user[] = { "AUTH", address->user, address->password };
    const char *alone[] = { "AUTH", address->password };
    if (address->password != NULL && !tell(redis, REDIS_REPLY_STATUS, err, address->user != NULL ? 3 : 2,
                                           address->user != NULL ? with_user : alone))
        return false;
    return address->db == 0 || tell(redis, REDIS_REPLY_STATUS, err, 2, (const char *[]){ "SELECT", db });
}

static redisContext *dial(const rz_address_t *address, const rz_place_t *at, uint64_t ms)
{
    struct timeval limit = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000) };
    redisContext *redis = address->path != NULL ? redisConnectUnixWithTimeout(address->path, limit)
                                                : redisConnectWithTimeout(at->host, at->port, limit);
    if (redis != NULL && redis->err == 0)
        redisSetTimeout(redis, limit);
    return redis;
}

static bool ask_primary(redisContext *redis, const char *name, rz_primary_t *out, rz_err_t *err)
{
    bool known = true;
    *out = (rz_primary_t){ 0 };
    for (size_t i = 0; known && i < RZ_SENTINEL_ASKS; i++) {
        char why[128];
        const char *ask_for[] = { rz_sentinel_ask[i][0], rz_sentinel_ask[i][1], name };
        redisReply *reply = redisCommandArgv(redis, 3, ask_for, NULL);
        known = reply != NULL && rz_primary_take(out, i, reply, why);
        if (!known)
            rz_fail(err, RZ_UNAVAILABLE, "%s", reply != NULL ? why : redis->errstr);
        if (reply != NULL)
            freeReplyObject(reply);
    }
    return known;
}

/* What one sentinel says; false, with err, if it does not. */
static bool ask_sentinel(const rz_address_t *address, size_t i, rz_primary_t *out, rz_err_t *err)
{
    char url[RZ_SENTINEL_URL_MAX];
    rz_address_t sentinel;
    rz_err_t why = { 0 };
    const rz_store_options_t options = rz_sentinel_options(address, i, url);
    if (rz_address_parse(&options, &sentinel, err) != RZ_OK)
        return false;
    redisContext *redis = dial(&sentinel, &sentinel.at, RZ_SENTINEL_MS);
    bool known = false;
    if (redis == NULL || redis->err != 0)
        fail_redis(&why, redis, NULL, "connect");
    else
        known = greet(redis, &sentinel, &why) && ask_primary(redis, address->primary, out, &why);
    if (!known)
        rz_fail(err, RZ_UNAVAILABLE, "%s: %.150s", url, why.text);
    redisFree(redis);
    rz_address_fini(&sentinel);
    return known;
}

/* Of all sentinels that answer, what the one with the latest configuration says. */
static rz_rc_t find_primary(const rz_store_options_t *options, rz_address_t *address, rz_err_t *err)
{
    rz_primary_t best = { 0 };
    rz_err_t why = { 0 };
    for (size_t i = 0; i < address->sentinels; i++) {
        rz_primary_t one;
        if (ask_sentinel(address, i, &one, &why) && (best.port == 0 || one.epoch > best.epoch))
            best = one;
    }
    if (best.port == 0)
        return rz_fail(err, RZ_UNAVAILABLE, "no sentinel knows where %.64s is: %.150s", address->primary,
                       why.text);
    address->at = (rz_place_t){ rz_strdup(best.host), best.port };
    return rz_address_check_host(options, best.host, err);
}

static rz_rc_t connect_to(const rz_store_options_t *options, redisContext **out, rz_err_t *err)
{
    rz_address_t address;
    redisContext *redis = NULL;
    rz_rc_t rc = rz_address_parse(options, &address, err);
    if (rc != RZ_OK)
        return rc;
    if (address.sentinels > 0)
        rc = find_primary(options, &address, err);
    if (rc == RZ_OK) {
        redis = dial(&address, &address.at,
                     options->call_timeout_ms != 0 ? options->call_timeout_ms : RZ_STORE_TIMEOUT_MS);
        if (redis == NULL || redis->err != 0)
            rc = fail_redis(err, redis, NULL, address.path != NULL ? address.path : address.at.host);
        else if (!greet(redis, &address, err))
            rc = RZ_UNAVAILABLE;
    }
    rz_address_fini(&address);
    if (rc != RZ_OK)
        redisFree(redis);
    else
        *out = redis;
    return rc;
}

/* ---- what is there ---- */
static rz_rc_t probe(redisContext *redis, const rz_store_options_t *options, rz_probe_t *out, rz_err_t *err)
{
    rz_probe_init(out, options->replicas);
    for (size_t i = 0; i < RZ_PROBES; i++) {
        rz_probe_command_t command = rz_probe_command[i];
        redisReply *reply = redisCommandArgv(redis, command.argc, command.argv, NULL);
        if (reply == NULL)
            return fail_redis(err, redis, NULL, command.argv[0]);
        rz_probe_take(out, i, reply);
        freeReplyObject(reply);
    }
    return RZ_OK;
}

static uint64_t count_at(const redisReply *reply, size_t i)
{
    return i < reply->elements && reply->element[i]->type == REDIS_REPLY_STRING
               ? strtoull(reply->element[i]->str, NULL, 10)
               : 0;
}

/* "rz1 1.2" of one library; false if it is none of ours, or does not tell. */
static bool library_version(redisContext *redis, const char *name, char out[24])
{
    char function[32];
    if (strncmp(name, "rz", 2) != 0 || strspn(name + 2, "0123456789") != strlen(name + 2) || strlen(name) > 8)
        return false;
    (void)snprintf(function, sizeof(function), "%s_version", name);
    const char *argv[] = { "FCALL_RO", function, "1", RZ_STORE_PREFIX };
    redisReply *reply = ask(redis, REDIS_REPLY_ARRAY, NULL, 4, argv);
    bool told = reply != NULL && reply->elements > 0 && reply->element[0]->type == REDIS_REPLY_STRING;
    if (told)
        (void)snprintf(out, 24, "%s %.12s", name, reply->element[0]->str);
    if (reply != NULL)
        freeReplyObject(reply);
    return told;
}

/* Every version of our functions that is loaded: majors stand side by side. Not permitted to look: none is told. */
static void list_libraries(redisContext *redis, char out[96])
{
    redisReply *list =
        ask(redis, REDIS_REPLY_ARRAY, NULL, 4, (const char *[]){ "FUNCTION", "LIST", "LIBRARYNAME", "rz*" });
    for (size_t i = 0; list != NULL && i < list->elements; i++) {
        const redisReply *of = list->element[i];
        char one[24];
        if (of->type != REDIS_REPLY_ARRAY || of->elements < 2 || of->element[1]->type != REDIS_REPLY_STRING ||
            !library_version(redis, of->element[1]->str, one))
            continue;
        size_t used = strlen(out);
        (void)snprintf(out + used, 96 - used, "%s%s", used > 0 ? ", " : "", one);
    }
    if (list != NULL)
        freeReplyObject(list);
}

static void tell_facts(const rz_probe_t *seen, rz_store_info_t *out)
{
    const rz_store_facts_t *facts = &seen->facts;
    *out = (rz_store_info_t){ .shards = seen->shards, .term = facts->term, .tick_ms = facts->tick };
    memcpy(out->id, facts->id, sizeof(out->id));
    memcpy(out->library, seen->library, sizeof(out->library));
    memcpy(out->durability, seen->durability, sizeof(out->durability));
    memcpy(out->redis_version, seen->redis_version, sizeof(out->redis_version));
    out->accepted = facts->accepted[0] != '\0' && strcmp(facts->accepted, facts->replid) == 0;
}

static rz_rc_t count(redisContext *redis, rz_store_info_t *out, rz_err_t *err)
{
    const char *stats[] = { "FCALL", "rz1_stats", "1", RZ_STORE_PREFIX };
    redisReply *reply = ask(redis, REDIS_REPLY_ARRAY, err, 4, stats);
    if (reply == NULL)
        return err != NULL ? err->rc : RZ_UNAVAILABLE;
    out->queued = count_at(reply, 2); /* behind the code and the number of fields */
    out->live = count_at(reply, 3);
    out->sessions = count_at(reply, 4);
    freeReplyObject(reply);
    return RZ_OK;
}

/* What is there, judged as by one who knows nothing of it; a term that is due is a broker's to raise. */
static rz_rc_t describe(redisContext *redis, const rz_store_options_t *options, rz_probe_t *seen,
                        rz_store_info_t *out, rz_err_t *err)
{
    static const rz_store_mark_t unknown;
    rz_rc_t rc = probe(redis, options, seen, err);
    if (rc != RZ_OK)
        return rc;
    rc = rz_probe_verdict(seen, &unknown);
    tell_facts(seen, out);
    list_libraries(redis, out->libraries);
    if (rc != RZ_OK && rc != RZ_STATE)
        return rz_fail(err, rc, "%s", seen->problem);
    return count(redis, out, err);
}

/* ---- the record and the library ---- */
/* The version in the record, "" if there is none. */
static rz_rc_t recorded_version(redisContext *redis, char out[24], rz_err_t *err)
{
    const char *argv[] = { "HGET", RZ_STORE_RECORD, "version" };
    redisReply *reply = redisCommandArgv(redis, 3, argv, NULL);
    if (reply == NULL || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL)) {
        rz_rc_t rc = fail_redis(err, redis, reply, RZ_STORE_RECORD);
        if (reply != NULL)
            freeReplyObject(reply);
        return rc;
    }
    (void)snprintf(out, 24, "%s", reply->type == REDIS_REPLY_STRING ? reply->str : "");
    freeReplyObject(reply);
    return RZ_OK;
}

static bool load_library(redisContext *redis, rz_err_t *err)
{
    const char *load[] = { "FUNCTION", "LOAD", "REPLACE", rz_store_library };
    const char *note[] = { "HSET", RZ_STORE_RECORD, "version", rz_store_library_version };
    return tell(redis, REDIS_REPLY_STRING, err, 4, load) && tell(redis, REDIS_REPLY_INTEGER, err, 4, note);
}

/* A store of library 1.0 kept no time of what ended: step by step everything in it gets its place. */
static bool adopt_all(redisContext *redis, rz_err_t *err)
{
    long long from = 0, n = 0;
    do {
        char at[24];
        (void)snprintf(at, sizeof(at), "%lld", from);
        const char *argv[] = { "FCALL", "rz1_adopt", "1", RZ_STORE_PREFIX, at };
        redisReply *reply = redisCommandArgv(redis, 5, argv, NULL);
        bool good = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
        n = good ? reply->integer : 0;
        if (!good)
            (void)fail_redis(err, redis, reply, "adopting what ended before");
        if (reply != NULL)
            freeReplyObject(reply);
        if (!good)
            return false;
        from += n;
    } while (n > 0);
    return true;
}

static bool load_over(redisContext *redis, const char *recorded, rz_err_t *err)
{
    bool old = recorded[0] != '\0' && rz_library_number(recorded) < rz_library_number(TIMED_LIBRARY);
    return load_library(redis, err) && (!old || adopt_all(redis, err));
}

/* Each member only if absent: a second init, also one at the same time, changes nothing. */
static bool write_record(redisContext *redis, unsigned shards, rz_err_t *err)
{
    char id[RZ_UUID_LEN + 1], count[12], created[24];
    rz_uuid_new(id);
    (void)snprintf(count, sizeof(count), "%u", shards);
    (void)snprintf(created, sizeof(created), "%" PRId64, rz_wall_us() / 1000);
    const char *member[][2] = { { "shards", count }, { "created_ms", created }, { "id", id } };
    for (size_t i = 0; i < 3; i++) {
        const char *argv[] = { "HSETNX", RZ_STORE_RECORD, member[i][0], member[i][1] };
        if (!tell(redis, REDIS_REPLY_INTEGER, err, 4, argv))
            return false;
    }
    return true;
}

static rz_rc_t refuse_newer(const char *version, rz_err_t *err)
{
    if (rz_library_number(version) <= rz_library_number(rz_store_library_version))
        return RZ_OK;
    return rz_fail(err, RZ_CONFLICT, "the store has library %s, newer than this program's %s", version,
                   rz_store_library_version);
}

/* What is loaded counts as well as what is recorded: whoever restores a snapshot gets the library that was in it. */
static rz_rc_t refuse_older_over_newer(redisContext *redis, const char *recorded, rz_err_t *err)
{
    char loaded[24] = "";
    if (refuse_newer(recorded, err) != RZ_OK)
        return RZ_CONFLICT;
    return library_version(redis, "rz1", loaded) ? refuse_newer(loaded + sizeof("rz1"), err) : RZ_OK;
}

/* Connects, and tells the version in the record; a store of a newer library is left alone. */
static rz_rc_t open_known(const rz_store_options_t *options, redisContext **out, char recorded[24],
                          rz_err_t *err)
{
    rz_rc_t rc = connect_to(options, out, err);
    if (rc != RZ_OK)
        return rc;
    rc = recorded_version(*out, recorded, err);
    if (rc == RZ_OK)
        rc = refuse_older_over_newer(*out, recorded, err);
    if (rc != RZ_OK)
        redisFree(*out);
    return rc;
}

rz_rc_t rz_store_init(const rz_store_options_t *options, unsigned shards, rz_store_info_t *out, rz_err_t *err)
{
    *out = (rz_store_info_t){ 0 };
    if (shards != 1)
        return rz_fail_field(err, RZ_NOT_SERVED, "shards", "%u shards are not served yet; allowed: 1",
                             shards);
    redisContext *redis = NULL;
    rz_probe_t seen;
    char recorded[24] = "";
    rz_rc_t rc = open_known(options, &redis, recorded, err);
    if (rc != RZ_OK)
        return rc;
    bool done = load_over(redis, recorded, err) && write_record(redis, shards, err);
    rc = done ? describe(redis, options, &seen, out, err) : RZ_UNAVAILABLE;
    redisFree(redis);
    return rc;
}

rz_rc_t rz_store_upgrade(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err)
{
    *out = (rz_store_info_t){ 0 };
    redisContext *redis = NULL;
    rz_probe_t seen;
    char recorded[24] = "";
    rz_rc_t rc = open_known(options, &redis, recorded, err);
    if (rc != RZ_OK)
        return rc;
    if (recorded[0] == '\0')
        rc = rz_fail(err, RZ_NOT_FOUND, "the store is not initialised: run `rhizome store init`");
    else
        rc = load_over(redis, recorded, err) ? describe(redis, options, &seen, out, err) : RZ_UNAVAILABLE;
    redisFree(redis);
    return rc;
}

/* The write that shows that writes work leaves the time of the check. */
rz_rc_t rz_store_check(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err)
{
    *out = (rz_store_info_t){ 0 };
    redisContext *redis = NULL;
    rz_probe_t seen;
    rz_rc_t rc = connect_to(options, &redis, err);
    if (rc != RZ_OK)
        return rc;
    char now[24];
    (void)snprintf(now, sizeof(now), "%" PRId64, rz_wall_us() / 1000);
    const char *write[] = { "HSET", RZ_STORE_RECORD, "checked_ms", now };
    rc = describe(redis, options, &seen, out, err);
    if (rc == RZ_OK && !tell(redis, REDIS_REPLY_INTEGER, err, 4, write))
        rc = RZ_UNAVAILABLE;
    redisFree(redis);
    return rc;
}

/* Compares nothing: whether it is the right one is what the operator says. */
rz_rc_t rz_store_accept(const rz_store_options_t *options, rz_store_info_t *out, rz_err_t *err)
{
    *out = (rz_store_info_t){ 0 };
    redisContext *redis = NULL;
    rz_probe_t seen;
    rz_rc_t rc = connect_to(options, &redis, err);
    if (rc != RZ_OK)
        return rc;
    rc = describe(redis, options, &seen, out, err);
    if (rc == RZ_BAD_STORE && seen.facts.refused[0] != '\0') { /* that is what is accepted */
        rc = RZ_OK;
        if (err != NULL)
            *err = (rz_err_t){ 0 };
    }
    const char *accept[] = { "FCALL", "rz1_accept", "1", RZ_STORE_PREFIX, seen.facts.replid };
    if (rc == RZ_OK && !tell(redis, REDIS_REPLY_INTEGER, err, 5, accept))
        rc = RZ_UNAVAILABLE;
    if (rc == RZ_OK)
        rc = describe(redis, options, &seen, out, err);
    redisFree(redis);
    return rc;
}
