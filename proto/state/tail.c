/* tail.c - follows streams; see store.h. One XREAD is always outstanding once the ends of the streams are
 * known. */
#include "base/log.h"
#include "base/timer.h"
#include "state/channel.h"
#include "state/probe.h"

#include <stdio.h>
#include <string.h>

#define BLOCK_MS    "5000"
#define BLOCK_LIMIT 5000
#define COUNT       "256"
#define CONFIRM_MS  "1000"
#define STREAMS_MAX 8

typedef struct {
    char *name, *key;
    char last[48]; /* id of the last entry seen, "" before the end is known */
} stream_t;

struct rz_tail {
    rz_channel_t *channel;
    rz_timer_t *watchdog; /* a read that outlasts its block and the call time-out */
    uint64_t timeout_ms;
    stream_t stream[STREAMS_MAX];
    size_t count, unknown; /* unknown: ends that are being asked for */
    unsigned replicas;     /* that must have what is told; 0: none   */
    unsigned asked;        /* the same for what is held              */
    redisReply *held;      /* what is told when they have it         */
    rz_tail_fn fn;
    void *arg;
    bool closed;
    unsigned depth; /* commands in flight: memory stays until the last came back */
};

static void tail_free(rz_tail_t *tail)
{
    for (size_t i = 0; i < tail->count; i++) {
        rz_free(tail->stream[i].name);
        rz_free(tail->stream[i].key);
    }
    rz_free(tail);
}

static void tail_leave(rz_tail_t *tail)
{
    if (--tail->depth == 0 && tail->closed)
        tail_free(tail);
}

static void tail_send(rz_tail_t *tail, int argc, const char **argv, rz_channel_fn fn)
{
    if (rz_channel_send(tail->channel, argc, argv, NULL, fn, tail))
        tail->depth++;
}

/* ---- replies ---- */
static stream_t *find_stream(rz_tail_t *tail, const redisReply *key)
{
    for (size_t i = 0; i < tail->count; i++)
        if (key->type == REDIS_REPLY_STRING && strcmp(tail->stream[i].key, key->str) == 0)
            return &tail->stream[i];
    return NULL;
}

static bool is_entry(const redisReply *entry)
{
    return entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
           entry->element[0]->type == REDIS_REPLY_STRING && entry->element[1]->type == REDIS_REPLY_ARRAY;
}

static void deliver(rz_tail_t *tail, stream_t *stream, const redisReply *entry)
{
    const redisReply *pairs = entry->element[1];
    rz_str_t field[64];
    size_t n = 0;
    for (; n < pairs->elements && n < 64; n++)
        field[n] = (rz_str_t){ pairs->element[n]->str, pairs->element[n]->len };
    (void)snprintf(stream->last, sizeof(stream->last), "%s", entry->element[0]->str);
    tail->fn(stream->name, entry->element[0]->str, &(rz_reply_t){ field, n }, tail->arg);
}

static void deliver_all(rz_tail_t *tail, const redisReply *reply)
{
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *of = reply->element[i];
        if (of->type != REDIS_REPLY_ARRAY || of->elements != 2)
            continue;
        stream_t *stream = find_stream(tail, of->element[0]);
        const redisReply *entries = of->element[1];
        for (size_t k = 0; stream != NULL && k < entries->elements && !tail->closed; k++)
            if (is_entry(entries->element[k]))
                deliver(tail, stream, entries->element[k]);
    }
}

static void read_on(rz_tail_t *tail);

static void on_pong(const redisReply *reply, void *arg)
{
    (void)reply;
    tail_leave(arg);
}

static void on_confirmed(const redisReply *reply, void *arg)
{
    rz_tail_t *tail = arg;
    redisReply *held = tail->held;
    bool confirmed = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= tail->asked;
    tail->held = NULL;
    if (confirmed && !tail->closed)
        deliver_all(tail, held);
    if (confirmed && !tail->closed)
        read_on(tail);
    else if (reply != NULL && !tail->closed)
        rz_channel_drop(tail->channel, "too few replicas have what is told"); /* it is read again */
    freeReplyObject(held);
    tail_leave(tail);
}

/* WAIT is for what Redis had when the last command of this connection began; a read that blocked began too early. */
static void await_confirmation(rz_tail_t *tail, const redisReply *reply)
{
    char count[16];
    tail->asked = tail->replicas;
    (void)snprintf(count, sizeof count, "%u", tail->asked);
    tail->held = rz_reply_keep(reply);
    tail_send(tail, 1, (const char *[]){ "PING" }, on_pong);
    tail_send(tail, 3, (const char *[]){ "WAIT", count, CONFIRM_MS }, on_confirmed);
}

static void on_read(const redisReply *reply, void *arg)
{
    rz_tail_t *tail = arg;
    bool news = reply != NULL && reply->type == REDIS_REPLY_ARRAY; /* nil: the block ended without any */
    if (reply != NULL && !tail->closed) {
        rz_channel_settled(tail->channel);
        if (reply->type == REDIS_REPLY_ERROR)
            rz_channel_drop(tail->channel, reply->str);
        else if (news && tail->replicas > 0)
            await_confirmation(tail, reply);
        else if (news)
            deliver_all(tail, reply);
        if (!tail->closed && tail->held == NULL)
            read_on(tail);
    }
    tail_leave(tail);
}

/* ---- commands ---- */
static void read_on(rz_tail_t *tail)
{
    const char *argv[6 + 2 * STREAMS_MAX] = { "XREAD", "BLOCK", BLOCK_MS, "COUNT", COUNT, "STREAMS" };
    size_t n = 6;
    for (size_t i = 0; i < tail->count; i++)
        argv[n++] = tail->stream[i].key;
    for (size_t i = 0; i < tail->count; i++)
        argv[n++] = tail->stream[i].last;
    rz_timer_start(tail->watchdog, BLOCK_LIMIT + tail->timeout_ms, 0);
    tail_send(tail, (int)n, argv, on_read);
}

/* The ends arrive in the order of the streams that were asked. "0-0": the stream is still empty. */
static void on_end(const redisReply *reply, void *arg)
{
    rz_tail_t *tail = arg;
    if (reply != NULL && !tail->closed && reply->type == REDIS_REPLY_ARRAY) {
        rz_channel_settled(tail->channel);
        stream_t *stream = &tail->stream[tail->count - tail->unknown--];
        bool has_entry = reply->elements == 1 && is_entry(reply->element[0]);
        (void)snprintf(stream->last, sizeof(stream->last), "%s",
                       has_entry ? reply->element[0]->element[0]->str : "0-0");
        if (tail->unknown == 0)
            read_on(tail);
    } else if (reply != NULL && !tail->closed) {
        rz_channel_drop(tail->channel, reply->type == REDIS_REPLY_ERROR ? reply->str : "not an array");
    }
    tail_leave(tail);
}

static void begin(rz_tail_t *tail)
{
    if (tail->stream[tail->count - 1].last[0] != '\0') {
        read_on(tail);
        return;
    }
    tail->unknown = tail->count;
    for (size_t i = 0; i < tail->count; i++)
        tail_send(tail, 6, (const char *[]){ "XREVRANGE", tail->stream[i].key, "+", "-", "COUNT", "1" },
                  on_end);
}

/* What a replica tells may be old, and stays so when it is cut off. One that becomes a replica ends blocked reads itself. */
static void on_role(const redisReply *reply, void *arg)
{
    rz_tail_t *tail = arg;
    if (reply != NULL && !tail->closed) {
        if (rz_role_is_primary(reply))
            begin(tail);
        else
            rz_channel_drop(tail->channel,
                            reply->type == REDIS_REPLY_ERROR ? reply->str : "redis is not a master");
    }
    tail_leave(tail);
}

static void on_open(void *arg)
{
    tail_send(arg, 1, (const char *[]){ "ROLE" }, on_role);
}

void rz_tail_again(rz_tail_t *tail)
{
    rz_channel_drop(tail->channel, "the store is looked for anew");
}

void rz_tail_needs(rz_tail_t *tail, unsigned replicas)
{
    if (tail->replicas > 0)
        tail->replicas = replicas;
}

static void on_lost(const char *detail, void *arg)
{
    rz_tail_t *tail = arg;
    rz_timer_stop(tail->watchdog);
    rz_log_debug("tail.lost", "detail=%s", detail);
}

static void on_silence(void *arg)
{
    rz_tail_t *tail = arg;
    rz_channel_drop(tail->channel, "redis did not answer in time");
}

rz_tail_t *rz_tail_open(uv_loop_t *loop, const rz_store_options_t *options, const char *const *streams,
                        size_t n, rz_tail_fn fn, void *arg, rz_err_t *err)
{
    if (n == 0 || n > STREAMS_MAX) {
        rz_fail(err, RZ_INTERNAL, "a tail follows 1 to %d streams", STREAMS_MAX);
        return NULL;
    }
    rz_tail_t *tail = rz_alloc(sizeof(*tail));
    const rz_channel_events_t events = { on_open, on_lost, tail };
    tail->channel = rz_channel_open(loop, options, &events, err);
    if (tail->channel == NULL) {
        rz_free(tail);
        return NULL;
    }
    tail->timeout_ms = options->call_timeout_ms != 0 ? options->call_timeout_ms : RZ_STORE_TIMEOUT_MS;
    tail->watchdog = rz_timer_open(loop, on_silence, tail);
    tail->replicas = options->replicas;
    tail->fn = fn;
    tail->arg = arg;
    tail->count = n;
    for (size_t i = 0; i < n; i++) {
        size_t size = sizeof(RZ_STORE_PREFIX) + 1 + strlen(streams[i]);
        tail->stream[i].name = rz_strdup(streams[i]);
        tail->stream[i].key = rz_alloc(size);
        (void)snprintf(tail->stream[i].key, size, RZ_STORE_PREFIX ":%s", streams[i]);
    }
    return tail;
}

void rz_tail_close(rz_tail_t **handle)
{
    rz_tail_t *tail = *handle;
    if (tail == NULL)
        return;
    *handle = NULL;
    tail->closed = true;
    tail->depth++;
    rz_timer_close(&tail->watchdog);
    rz_channel_close(&tail->channel);
    tail_leave(tail);
}
