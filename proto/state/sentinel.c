/* sentinel.c - see sentinel.h. */
#include "state/sentinel.h"

#include "base/log.h"
#include "base/timer.h"
#include "state/channel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    rz_seeker_t *seeker;
    rz_channel_t *channel; /* NULL: it has answered, or cannot */
    rz_primary_t primary;
    size_t next; /* the answer that is expected next */
} try_t;

struct rz_seeker {
    uv_loop_t *loop;
    const rz_address_t *address;
    rz_found_fn fn;
    void *arg;
    rz_timer_t *limit;
    try_t try[RZ_SENTINELS_MAX];
    bool asking;
    size_t answered, settled;
    rz_primary_t best;
    uint64_t epoch;    /* of the last answer that counted, */
    unsigned replicas; /* and how many it knew             */
    char why[192];     /* the last sentinel that could not tell */
};

/* ---- the answer ---- */

static const redisReply *member(const redisReply *reply, const char *name)
{
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING && strcmp(reply->element[i]->str, name) == 0 &&
            reply->element[i + 1]->type == REDIS_REPLY_STRING)
            return reply->element[i + 1];
    return NULL;
}

const char *const rz_sentinel_ask[RZ_SENTINEL_ASKS][2] = { { "SENTINEL", "MASTER" },
                                                           { "SENTINEL", "GET-MASTER-ADDR-BY-NAME" } };

static bool take_epoch(rz_primary_t *primary, const redisReply *reply)
{
    const redisReply *epoch = reply->type == REDIS_REPLY_ARRAY ? member(reply, "config-epoch") : NULL;
    const redisReply *replicas = epoch != NULL ? member(reply, "num-slaves") : NULL;
    if (epoch != NULL)
        primary->epoch = strtoull(epoch->str, NULL, 10);
    if (replicas != NULL)
        primary->replicas = (unsigned)strtoul(replicas->str, NULL, 10);
    return epoch != NULL;
}

static bool take_place(rz_primary_t *primary, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_STRING ||
        reply->element[0]->len == 0 || reply->element[0]->len >= sizeof primary->host)
        return false;
    (void)snprintf(primary->host, sizeof primary->host, "%s", reply->element[0]->str);
    primary->port = (int)strtol(reply->element[1]->str, NULL, 10);
    return primary->port > 0 && primary->port <= 65535;
}

bool rz_primary_take(rz_primary_t *primary, size_t which, const redisReply *reply, char why[128])
{
    (void)snprintf(why, 128, "%.100s",
                   reply->type == REDIS_REPLY_ERROR ? reply->str : "it answers in another form");
    return which == 0 ? take_epoch(primary, reply) : take_place(primary, reply);
}

rz_store_options_t rz_sentinel_options(const rz_address_t *address, size_t i, char url[RZ_SENTINEL_URL_MAX])
{
    const rz_place_t *sentinel = &address->sentinel[i];
    bool six = strchr(sentinel->host, ':') != NULL;
    (void)snprintf(url, RZ_SENTINEL_URL_MAX, "redis://%s%.255s%s:%d", six ? "[" : "", sentinel->host,
                   six ? "]" : "", sentinel->port);
    return (rz_store_options_t){ .url = url,
                                 .user = address->sentinel_user,
                                 .password = address->sentinel_password,
                                 .plaintext = address->plaintext,
                                 .call_timeout_ms = RZ_SENTINEL_MS };
}

/* ---- asking ---- */

static bool is_old(const rz_seeker_t *seeker)
{
    return seeker->best.epoch < seeker->epoch;
}

static void finish(rz_seeker_t *seeker)
{
    for (size_t i = 0; i < seeker->address->sentinels; i++)
        rz_channel_close(&seeker->try[i].channel);
    rz_timer_stop(seeker->limit);
    seeker->asking = false;
    bool known = seeker->answered > 0 && (!is_old(seeker) || seeker->answered == seeker->address->sentinels);
    char why[288];
    (void)snprintf(why, sizeof why, "no sentinel knows where %.64s is: %s", seeker->address->primary,
                   seeker->answered > 0     ? "what is answered is older than what was before"
                   : seeker->why[0] != '\0' ? seeker->why
                                            : "none answers");
    if (known) {
        seeker->epoch = seeker->best.epoch;
        seeker->replicas = seeker->best.replicas;
    }
    rz_primary_t found = seeker->best; /* fn may destroy us */
    seeker->fn(known ? found.host : NULL, found.port, why, seeker->arg);
}

static void settle(try_t *try)
{
    rz_seeker_t *seeker = try->seeker;
    rz_channel_close(&try->channel);
    seeker->settled++;
    bool majority = 2 * seeker->answered > seeker->address->sentinels;
    if ((majority && !is_old(seeker)) || seeker->settled == seeker->address->sentinels)
        finish(seeker);
}

static void fail(try_t *try, const char *why)
{
    const rz_place_t *at = &try->seeker->address->sentinel[try - try->seeker->try];
    (void)snprintf(try->seeker->why, sizeof try->seeker->why, "%.64s:%d: %.100s", at->host, at->port, why);
    rz_log_debug("sentinel.silent", "sentinel=%s:%d detail=%s", at->host, at->port, why);
    settle(try);
}

/* Whoever is closed while it waits gets NULL here; that is none of its matter any more. */
static void on_answer(const redisReply *reply, void *arg)
{
    try_t *try = arg;
    char why[128];
    if (reply == NULL)
        return;
    if (!rz_primary_take(&try->primary, try->next++, reply, why)) {
        fail(try, why);
        return;
    }
    rz_seeker_t *seeker = try->seeker;
    if (try->next < RZ_SENTINEL_ASKS)
        return;
    if (seeker->answered++ == 0 || try->primary.epoch > seeker->best.epoch)
        seeker->best = try->primary;
    settle(try);
}

static void on_open(void *arg)
{
    try_t *try = arg;
    for (size_t i = 0; i < RZ_SENTINEL_ASKS; i++) {
        const char *ask[] = { rz_sentinel_ask[i][0], rz_sentinel_ask[i][1], try->seeker->address->primary };
        rz_channel_send(try->channel, 3, ask, NULL, on_answer, try);
    }
}

static void on_lost(const char *detail, void *arg)
{
    fail(arg, detail);
}

static void on_limit(void *arg)
{
    finish(arg);
}

void rz_seeker_ask(rz_seeker_t *seeker)
{
    if (seeker->asking)
        return;
    seeker->asking = true;
    seeker->answered = seeker->settled = 0;
    seeker->best = (rz_primary_t){ 0 };
    seeker->why[0] = '\0';
    for (size_t i = 0; i < seeker->address->sentinels; i++) {
        char url[RZ_SENTINEL_URL_MAX];
        try_t *try = &seeker->try[i];
        const rz_store_options_t options = rz_sentinel_options(seeker->address, i, url);
        const rz_channel_events_t events = { on_open, on_lost, try };
        *try = (try_t){ .seeker = seeker };
        try->channel =
            rz_channel_open(seeker->loop, &options, &events, NULL); /* its address was read before */
    }
    rz_timer_start(seeker->limit, RZ_SENTINEL_MS, 0);
}

rz_seeker_t *rz_seeker_create(uv_loop_t *loop, const rz_address_t *address, rz_found_fn fn, void *arg)
{
    rz_seeker_t *seeker = rz_alloc(sizeof *seeker);
    *seeker = (rz_seeker_t){ .loop = loop, .address = address, .fn = fn, .arg = arg };
    seeker->limit = rz_timer_open(loop, on_limit, seeker);
    return seeker;
}

unsigned rz_seeker_replicas(const rz_seeker_t *seeker)
{
    return seeker->replicas;
}

void rz_seeker_destroy(rz_seeker_t **seeker_ref)
{
    rz_seeker_t *seeker = *seeker_ref;
    if (seeker == NULL)
        return;
    *seeker_ref = NULL;
    for (size_t i = 0; i < RZ_SENTINELS_MAX; i++)
        rz_channel_close(&seeker->try[i].channel);
    rz_timer_close(&seeker->limit);
    rz_free(seeker);
}
