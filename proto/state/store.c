/* store.c - see store.h. Operations wait in a queue, travel in batches, and are answered from the batch's
 * reply.
 *
 *     rz_store_call -> waiting -> batch in flight -> fn
 *
 * An operation leaves each of these lists before its fn is called, so fn may queue more or close the store.
 */
#include "state/store.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timer.h"
#include "state/audit.h"
#include "state/guard.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLYING_MAX      2
#define QUEUE_MAX       100000
#define QUEUE_BYTES_MAX ((size_t)256 << 20)
#define VERIFY_EVERY_MS 1000
#define LOG_MAX         10000
#define WAITS_PER_CALL  2 /* replicas have this part of the call time-out to confirm */
#define FIXED_ARGUMENTS 5 /* FCALL rz1_batch 1 <prefix> <who> */

/* One allocation: the struct, argc lengths, then the bytes of op name, argument count and arguments. */
typedef struct op {
    struct op *next;
    rz_store_fn fn;
    void *arg;
    uint64_t queued_ms;
    size_t argc, bytes;
    size_t length[];
} op_t;

typedef struct {
    op_t *head, **tail;
    size_t count, bytes;
} op_list_t;

typedef struct {
    rz_store_t *store;
    op_list_t ops;
    uint64_t sent_us;
    unsigned confirms;  /* of replicas that it needs; 0: none */
    redisReply *answer; /* kept until it is confirmed, or NULL */
} batch_t;

struct rz_store {
    rz_channel_t *channel;
    rz_timer_t *tick;    /* time-outs, and the next probe */
    rz_timer_t *refusal; /* answers `refused` from the loop */
    op_list_t waiting, refused;
    batch_t *flying[FLYING_MAX]; /* oldest first */
    size_t flying_count;
    uint64_t timeout_ms, verify_due_ms;
    unsigned replicas; /* that must confirm, at least */
    size_t queue_max, queue_bytes_max;
    bool up;
    rz_rc_t verdict; /* of the guard, RZ_OK: not; why the connection that ends now does */
    rz_rc_t state;
    char detail[256]; /* what on_state was told last */
    bool closed;
    unsigned depth; /* commands in flight and callbacks of ours on the stack: memory stays until they end */
    rz_guard_t *guard;
    rz_ledger_t *ledger;
    rz_audit_t *audit;
    uint64_t term;            /* of the last verification */
    bool verified;            /* there was one */
    char who[RZ_ID_MAX + 24]; /* "name log_max" */
    char durability[12];
    void (*on_mark)(const rz_store_mark_t *mark, void *arg);
    void (*on_state)(bool up, const char *detail, void *arg);
    void *arg;
    rz_store_stats_t stats;
};

/* ---- lists of operations ---- */
static void list_push(op_list_t *list, op_t *op)
{
    if (list->head == NULL)
        list->tail = &list->head;
    op->next = NULL;
    *list->tail = op;
    list->tail = &op->next;
    list->count++;
    list->bytes += op->bytes;
}

static op_t *list_pop(op_list_t *list)
{
    op_t *op = list->head;
    if (op != NULL) {
        list->head = op->next;
        list->count--;
        list->bytes -= op->bytes;
    }
    return op;
}

static char *op_bytes(op_t *op)
{
    return (char *)&op->length[op->argc];
}

static op_t *op_create(const char *name, const rz_str_t *args, size_t n, rz_store_fn fn, void *arg)
{
    char count[24];
    int count_length = snprintf(count, sizeof(count), "%zu", n);
    size_t bytes = strlen(name) + (size_t)count_length;
    for (size_t i = 0; i < n; i++)
        bytes += args[i].n;
    op_t *op = rz_alloc(sizeof(*op) + (n + 2) * sizeof(size_t) + bytes);
    *op = (op_t){ .fn = fn, .arg = arg, .queued_ms = rz_now_ms(), .argc = n + 2, .bytes = bytes };
    op->length[0] = strlen(name);
    op->length[1] = (size_t)count_length;
    char *at = op_bytes(op);
    memcpy(at, name, op->length[0]);
    memcpy(at + op->length[0], count, op->length[1]);
    at += op->length[0] + op->length[1];
    for (size_t i = 0; i < n; i++) {
        op->length[i + 2] = args[i].n;
        if (args[i].n != 0)
            memcpy(at, args[i].p, args[i].n);
        at += args[i].n;
    }
    return op;
}

/* Takes the op. */
static void op_answer(op_t *op, rz_rc_t rc, const rz_reply_t *reply)
{
    static const rz_reply_t nothing = { NULL, 0 };
    if (op->fn != NULL)
        op->fn(rc, reply != NULL ? reply : &nothing, op->arg);
    rz_free(op);
}

static void list_answer(op_list_t *list, rz_rc_t rc)
{
    for (op_t *op = list_pop(list); op != NULL; op = list_pop(list))
        op_answer(op, rc, NULL);
}

/* ---- memory that outlives whatever still points here ---- */
static void store_enter(rz_store_t *store)
{
    store->depth++;
}

static void store_leave(rz_store_t *store)
{
    if (--store->depth > 0 || !store->closed)
        return;
    rz_audit_destroy(&store->audit);
    rz_ledger_destroy(&store->ledger);
    rz_free(store);
}

/* ---- replies ---- */
static rz_str_t text_of(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
        return (rz_str_t){ reply->str, reply->len };
    return (rz_str_t){ "", 0 };
}

/* Remembers what was acknowledged, by the first arguments. */
static void note_acked(rz_store_t *store, op_t *op, const rz_str_t *fields, size_t field_count)
{
    const char *at = op_bytes(op);
    rz_str_t args[2];
    size_t n = op->argc - 2 < 2 ? op->argc - 2 : 2;
    const rz_str_t name = { at, op->length[0] };
    at += op->length[0] + op->length[1];
    for (size_t i = 0; i < n; at += op->length[i + 2], i++)
        args[i] = (rz_str_t){ at, op->length[i + 2] };
    rz_ledger_note(store->ledger, name, args, n, fields, field_count);
}

static rz_rc_t answer_element(rz_store_t *store, op_t *op, const redisReply *code, redisReply *const *fields,
                              size_t n)
{
    rz_str_t few[64];
    rz_str_t *field = n <= 64 ? few : rz_alloc(n * sizeof(*field));
    for (size_t i = 0; i < n; i++)
        field[i] = text_of(fields[i]);
    rz_rc_t rc = code->type == REDIS_REPLY_STRING ? rz_rc_parse(code->str) : RZ_INTERNAL;
    if (rc == RZ_INTERNAL)
        rz_log_error("store.operation_failed", "op=%.*s text=%.*s", (int)op->length[0], op_bytes(op),
                     n > 0 ? (int)field[0].n : 0, n > 0 ? field[0].p : "");
    if (rc == RZ_OK)
        note_acked(store, op, field, n);
    op_answer(op, rc, &(rz_reply_t){ field, n });
    if (field != few)
        rz_free(field);
    return rc;
}

/* code, number of fields, fields... for each operation; what a short reply leaves over was done or not. */
static void answer_batch(batch_t *batch, const redisReply *reply)
{
    size_t at = 0;
    while (batch->ops.head != NULL && at + 2 <= reply->elements) {
        redisReply *const *element = &reply->element[at];
        long long n = element[1]->type == REDIS_REPLY_INTEGER ? element[1]->integer : -1;
        if (n < 0 || (size_t)n > reply->elements - at - 2)
            break;
        at += 2 + (size_t)n;
        answer_element(batch->store, list_pop(&batch->ops), element[0], element + 2, (size_t)n);
    }
    if (batch->ops.head != NULL)
        rz_log_error("store.reply_short", "unanswered=%zu", batch->ops.count);
    list_answer(&batch->ops, RZ_INTERNAL);
}

/* Refusals that Redis gives before it runs anything; none of them lets this connection be used further. */
static bool refused_whole(const char *error)
{
    static const char *const before[] = { "MISCONF",    "READONLY",   "LOADING",      "NOAUTH",
                                          "NOPERM",     "OOM",        "ERR Function", "BUSY",
                                          "MASTERDOWN", "NOREPLICAS", "NOSTORE" };
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        if (strncmp(error, before[i], strlen(before[i])) == 0)
            return true;
    return false;
}

static void answer_error(batch_t *batch, const char *error)
{
    rz_store_t *store = batch->store;
    bool refused = refused_whole(error);
    rz_log_error("store.batch_failed", "operations=%zu text=%s", batch->ops.count, error);
    list_answer(&batch->ops, refused ? RZ_UNAVAILABLE : RZ_UNKNOWN);
    if (refused && !store->closed)
        rz_channel_drop(store->channel, error);
}

/* ---- batches ---- */
static void forget_flying(rz_store_t *store, const batch_t *batch)
{
    for (size_t i = 0; i < store->flying_count; i++)
        if (store->flying[i] == batch) {
            store->flying_count--;
            memmove(&store->flying[i], &store->flying[i + 1],
                    (store->flying_count - i) * sizeof(store->flying[0]));
            return;
        }
}

static void store_flush(rz_store_t *store);

/* answer NULL: it was lost. The batch stays among the flying until its last fn returned: then rz_store_close() finds what
 * is unanswered, and what the callbacks queue leaves together. */
static void end_batch(batch_t *batch, const redisReply *answer)
{
    rz_store_t *store = batch->store;
    store->stats.last_latency_us = rz_now_us() - batch->sent_us;
    store->stats.total_latency_us += store->stats.last_latency_us;
    if (answer == NULL) {
        store->stats.lost += batch->ops.count;
        list_answer(&batch->ops, RZ_UNKNOWN);
    } else if (answer->type == REDIS_REPLY_ARRAY) {
        answer_batch(batch, answer);
    } else {
        answer_error(batch, answer->type == REDIS_REPLY_ERROR ? answer->str : "not an array");
    }
    forget_flying(store, batch);
    rz_free(batch);
    store_flush(store);
    store_leave(store); /* entered by store_flush */
}

static void on_batch(const redisReply *reply, void *arg)
{
    batch_t *batch = arg;
    if (batch->confirms == 0)
        end_batch(batch, reply);
    else if (reply != NULL)
        batch->answer = rz_reply_keep(reply); /* on_confirmed follows, also when the connection ends */
}

/* Done here and nowhere else: a failover would take it back, so nobody is told that it is done. */
static void give_up_unconfirmed(batch_t *batch, const redisReply *reply)
{
    rz_store_t *store = batch->store;
    char why[128];
    (void)snprintf(why, sizeof why, "%lld of %u replicas confirmed a write in time",
                   reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0, batch->confirms);
    rz_log_error("store.unconfirmed", "operations=%zu detail=%s", batch->ops.count, why);
    store->stats.unconfirmed += batch->ops.count;
    if (!store->closed)
        rz_channel_drop(store->channel, why);
}

static void on_confirmed(const redisReply *reply, void *arg)
{
    batch_t *batch = arg;
    redisReply *answer = batch->answer;
    bool done = answer != NULL && answer->type == REDIS_REPLY_ARRAY;
    bool confirmed = reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= batch->confirms;
    rz_store_t *store = batch->store;
    store_enter(store);
    if (done && reply != NULL && !confirmed)
        give_up_unconfirmed(batch, reply);
    end_batch(batch, done && !confirmed ? NULL : answer);
    if (answer != NULL)
        freeReplyObject(answer);
    store_leave(store);
}

unsigned rz_store_confirms(const rz_store_t *store)
{
    unsigned online = rz_guard_seen(store->guard)->online;
    return store->replicas == 0 || online < store->replicas ? store->replicas : online;
}

/* As many as fit; one that is larger than a batch goes alone. */
static batch_t *batch_take(rz_store_t *store, size_t *argc, size_t *bytes)
{
    batch_t *batch = rz_alloc(sizeof(*batch));
    batch->store = store;
    batch->confirms = rz_store_confirms(store);
    *argc = FIXED_ARGUMENTS;
    *bytes = 0;
    while (store->waiting.head != NULL && batch->ops.count < RZ_BATCH_ITEMS_MAX &&
           (batch->ops.count == 0 || *bytes + store->waiting.head->bytes <= RZ_BATCH_BYTES_MAX)) {
        op_t *op = list_pop(&store->waiting);
        *argc += op->argc;
        *bytes += op->bytes;
        list_push(&batch->ops, op);
    }
    return batch;
}

/* Right behind the batch: no command of ours is between them, so it waits for this batch and for what it saw. */
static void ask_confirmation(rz_store_t *store, batch_t *batch)
{
    char count[16], ms[24];
    (void)snprintf(count, sizeof count, "%u", batch->confirms);
    (void)snprintf(ms, sizeof ms, "%" PRIu64, store->timeout_ms / WAITS_PER_CALL + 1);
    const char *wait[] = { "WAIT", count, ms };
    bool sent = rz_channel_send(store->channel, 3, wait, NULL, on_confirmed, batch);
    assert(sent); /* as the batch was */
    (void)sent;
}

static bool batch_send(rz_store_t *store, batch_t *batch, size_t argc)
{
    const char *const fixed[FIXED_ARGUMENTS] = { "FCALL", "rz1_batch", "1", RZ_STORE_PREFIX, store->who };
    const char **argv = rz_alloc(argc * sizeof(*argv));
    size_t *lengths = rz_alloc(argc * sizeof(*lengths)), n = 0;
    for (; n < FIXED_ARGUMENTS; n++) {
        argv[n] = fixed[n];
        lengths[n] = strlen(fixed[n]);
    }
    for (op_t *op = batch->ops.head; op != NULL; op = op->next) {
        const char *at = op_bytes(op);
        for (size_t i = 0; i < op->argc; i++, n++) {
            argv[n] = at;
            lengths[n] = op->length[i];
            at += op->length[i];
        }
    }
    batch->sent_us = rz_now_us();
    bool sent = rz_channel_send(store->channel, (int)argc, argv, lengths, on_batch, batch);
    if (sent && batch->confirms > 0)
        ask_confirmation(store, batch);
    rz_free(argv);
    rz_free(lengths);
    return sent;
}

/* Puts an unsent batch back in front, in order. */
static void batch_return(rz_store_t *store, batch_t *batch)
{
    op_list_t rest = store->waiting;
    store->waiting = (op_list_t){ 0 };
    for (op_t *op = list_pop(&batch->ops); op != NULL; op = list_pop(&batch->ops))
        list_push(&store->waiting, op);
    for (op_t *op = list_pop(&rest); op != NULL; op = list_pop(&rest))
        list_push(&store->waiting, op);
    rz_free(batch);
}

static void store_flush(rz_store_t *store)
{
    while (!store->closed && store->up && store->flying_count < FLYING_MAX && store->waiting.head != NULL) {
        size_t argc, bytes;
        batch_t *batch = batch_take(store, &argc, &bytes);
        size_t count = batch->ops.count;
        if (!batch_send(store, batch, argc)) { /* the connection is ending; on_lost will follow */
            batch_return(store, batch);
            return;
        }
        store->flying[store->flying_count++] = batch;
        store_enter(store);
        store->stats.batches++;
        store->stats.operations += count;
        store->stats.bytes_sent += bytes;
    }
}

static void on_refusal(void *arg)
{
    rz_store_t *store = arg;
    store_enter(store);
    list_answer(&store->refused, RZ_UNAVAILABLE);
    store_leave(store);
}

void rz_store_call(rz_store_t *store, const char *op, const rz_str_t *args, size_t n, rz_store_fn fn,
                   void *arg)
{
    op_t *new_op = op_create(op, args, n, fn, arg);
    if (store->waiting.count >= store->queue_max ||
        (store->waiting.count > 0 && store->waiting.bytes + new_op->bytes > store->queue_bytes_max)) {
        list_push(&store->refused, new_op);
        rz_timer_start(store->refusal, 0, 0);
        return;
    }
    list_push(&store->waiting, new_op);
    store_flush(store);
}

/* ---- state ---- */
static void tell(rz_store_t *store, rz_rc_t state, const char *detail)
{
    bool up = state == RZ_OK;
    if (up == store->up && strncmp(store->detail, detail, sizeof(store->detail) - 1) == 0)
        return;
    store->up = up;
    store->state = state;
    (void)snprintf(store->detail, sizeof(store->detail), "%s", detail);
    const rz_store_mark_t *mark = rz_guard_mark(store->guard);
    if (up)
        rz_log_info("store.up", "id=%s term=%" PRIu64 " durability=%s redis=%s", mark->id, mark->term,
                    store->durability, rz_guard_seen(store->guard)->redis_version);
    else if (state == RZ_BAD_STORE)
        rz_log_error("store.refused", "detail=%s", detail);
    else
        rz_log_warn("store.down", "detail=%s", detail);
    if (store->on_state != NULL)
        store->on_state(up, detail, store->arg);
}

/* Another term: what was acknowledged in those before may be missing. */
static void look_for_losses(rz_store_t *store)
{
    uint64_t term = rz_guard_mark(store->guard)->term;
    if (store->verified && term != store->term)
        rz_audit_begin(store->audit, term);
    store->verified = true;
    store->term = term;
}

static void on_verdict(rz_rc_t rc, const char *why, void *arg)
{
    rz_store_t *store = arg;
    if (rc != RZ_OK) {
        store->verdict = rc;
        rz_channel_drop(store->channel, why);
        return;
    }
    memcpy(store->durability, rz_guard_seen(store->guard)->durability, sizeof(store->durability));
    store->verify_due_ms = rz_now_ms() + VERIFY_EVERY_MS;
    rz_channel_settled(store->channel);
    store_enter(store);
    if (store->on_mark != NULL)
        store->on_mark(rz_guard_mark(store->guard), store->arg);
    if (!store->closed)
        tell(store, RZ_OK, "");
    if (!store->closed)
        look_for_losses(store);
    store_flush(store);
    store_leave(store);
}

static void on_open(void *arg)
{
    rz_guard_ask(((rz_store_t *)arg)->guard);
}

static void on_lost(const char *detail, void *arg)
{
    rz_store_t *store = arg;
    rz_guard_lost(store->guard);
    store->stats.reconnects += store->up;
    rz_rc_t state = store->verdict == RZ_BAD_STORE ? RZ_BAD_STORE : RZ_UNAVAILABLE;
    store->verdict = RZ_OK;
    tell(store, state, detail);
}

/* What waits too long was never sent. While the link is up this happens only when Redis is far behind. */
static void expire_waiting(rz_store_t *store, uint64_t now_ms)
{
    while (!store->closed && store->waiting.head != NULL &&
           now_ms - store->waiting.head->queued_ms > store->timeout_ms)
        op_answer(list_pop(&store->waiting), RZ_UNAVAILABLE, NULL);
}

static void on_tick(void *arg)
{
    rz_store_t *store = arg;
    uint64_t now_ms = rz_now_ms();
    store_enter(store);
    uint64_t asking_ms = rz_guard_asking_ms(store->guard);
    if (store->flying_count > 0 && rz_now_us() - store->flying[0]->sent_us > store->timeout_ms * 1000)
        rz_channel_drop(store->channel, "redis did not answer in time");
    else if (store->up && asking_ms != 0 && now_ms - asking_ms > store->timeout_ms)
        rz_channel_drop(store->channel, "redis did not answer in time");
    else if (store->up && asking_ms == 0 && now_ms >= store->verify_due_ms)
        rz_guard_ask(store->guard);
    expire_waiting(store, now_ms);
    store_leave(store);
}

rz_store_t *rz_store_open(uv_loop_t *loop, const rz_store_options_t *options, rz_err_t *err)
{
    rz_store_t *store = rz_alloc(sizeof(*store));
    const rz_channel_events_t events = { on_open, on_lost, store };
    store->channel = rz_channel_open(loop, options, &events, err);
    if (store->channel == NULL) {
        rz_free(store);
        return NULL;
    }
    (void)snprintf(store->who, sizeof(store->who), "%s %" PRIu64, options->who != NULL ? options->who : "-",
                   options->log_max != 0 ? options->log_max : LOG_MAX);
    store->timeout_ms = options->call_timeout_ms != 0 ? options->call_timeout_ms : RZ_STORE_TIMEOUT_MS;
    store->queue_max = options->queue_max != 0 ? options->queue_max : QUEUE_MAX;
    store->queue_bytes_max = options->queue_bytes_max != 0 ? options->queue_bytes_max : QUEUE_BYTES_MAX;
    (void)snprintf(store->durability, sizeof(store->durability), "relaxed");
    store->on_state = options->on_state;
    store->on_mark = options->on_mark;
    store->state = RZ_UNAVAILABLE;
    store->replicas = options->replicas;
    store->guard = rz_guard_create(store->channel, options, on_verdict, store);
    store->arg = options->arg;
    store->ledger = rz_ledger_create();
    store->audit = rz_audit_create(store, store->ledger, &store->stats.vanished);
    store->refusal = rz_timer_open(loop, on_refusal, store);
    store->tick = rz_timer_open(loop, on_tick, store);
    uint64_t every_ms = store->timeout_ms / 10 < 250 ? store->timeout_ms / 10 + 1 : 250;
    rz_timer_start(store->tick, every_ms, every_ms);
    return store;
}

void rz_store_close(rz_store_t **handle)
{
    rz_store_t *store = *handle;
    if (store == NULL)
        return;
    *handle = NULL;
    store_enter(store);
    store->closed = true;
    store->up = false;
    store->state = RZ_UNAVAILABLE;
    rz_timer_close(&store->tick);
    rz_timer_close(&store->refusal);
    for (size_t i = 0; i < store->flying_count; i++) /* their batches end when hiredis lets go */
        list_answer(&store->flying[i]->ops, RZ_UNKNOWN);
    list_answer(&store->waiting, RZ_UNAVAILABLE);
    list_answer(&store->refused, RZ_UNAVAILABLE);
    rz_guard_destroy(&store->guard);
    rz_channel_close(&store->channel);
    store_leave(store);
}

bool rz_store_up(const rz_store_t *store)
{
    return store->up;
}

rz_rc_t rz_store_state(const rz_store_t *store)
{
    return store->state;
}

const char *rz_store_id(const rz_store_t *store)
{
    return rz_guard_mark(store->guard)->id;
}

const rz_store_mark_t *rz_store_mark(const rz_store_t *store)
{
    return rz_guard_mark(store->guard);
}

const char *rz_store_durability(const rz_store_t *store)
{
    return store->durability;
}

bool rz_store_local_host(const rz_store_t *store, char out[RZ_HOST_TEXT_MAX])
{
    return rz_channel_local_host(store->channel, out);
}

const char *rz_store_weakness(const rz_store_t *store)
{
    return rz_guard_seen(store->guard)->weakness;
}

void rz_store_stats(const rz_store_t *store, rz_store_stats_t *out)
{
    *out = store->stats;
    out->queued = store->waiting.count;
    for (size_t i = 0; i < store->flying_count; i++)
        out->in_flight += store->flying[i]->ops.count;
}
