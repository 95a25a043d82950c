/* ops_time.c - what waits and what becomes due: waits of parents, the backlog, the tick, reader groups. */
#include "state/ops_codec.h"

/* ---- waits ---- */

/* state, wait_for, by, then child status each */
static void on_wait(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { STATE, WAIT_FOR, BY, CHILDREN };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > CHILDREN ? (reply->n - CHILDREN) / 2 : 0;
    char *head[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++)
        head[i] = rz_field_text(reply, i);
    rz_waited_t *children = n > 0 ? rz_alloc(n * sizeof *children) : NULL;
    for (size_t i = 0; i < n; i++)
        children[i] = (rz_waited_t){ .child = rz_field_text(reply, CHILDREN + 2 * i),
                                     .status = rz_field_text(reply, CHILDREN + 2 * i + 1) };
    const rz_wait_result_t result = { .state = head[STATE],
                                      .wait_for = head[WAIT_FOR],
                                      .by = head[BY],
                                      .children = children,
                                      .child_count = n };
    if (waiter.fn.wait != NULL)
        waiter.fn.wait(rc, &result, waiter.arg);
    for (size_t i = 0; i < n; i++) {
        rz_free((void *)children[i].child);
        rz_free((void *)children[i].status);
    }
    rz_free(children);
    for (size_t i = 0; i < CHILDREN; i++)
        rz_free(head[i]);
}

void rz_op_wait_register(rz_store_t *store, const rz_wait_t *request, rz_wait_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 4 + request->child_count);
    rz_args_text(&args, request->parent);
    rz_args_text(&args, request->id);
    rz_args_text(&args, request->wait_for);
    rz_args_u64(&args, request->timeout_ms);
    for (size_t i = 0; i < request->child_count; i++)
        rz_args_text(&args, request->children[i]);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.wait = fn;
    rz_args_call(&args, store, "wait_register", on_wait, waiter);
}

void rz_op_wait_get(rz_store_t *store, const char *parent, const char *id, const char *tenant, rz_wait_fn fn,
                    void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, parent);
    rz_args_text(&args, id);
    rz_args_text(&args, tenant);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.wait = fn;
    rz_args_call(&args, store, "wait_get", on_wait, waiter);
}

/* ---- the backlog ---- */

static void on_backlog(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    if (waiter.fn.backlog != NULL)
        waiter.fn.backlog(rc, rz_field_number(reply, 0), rz_field_number(reply, 1), waiter.arg);
}

void rz_op_backlog(rz_store_t *store, rz_backlog_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.backlog = fn;
    rz_store_call(store, "backlog", NULL, 0, on_backlog, waiter);
}

/* ---- tick ---- */

/* six numbers, then name places of each broker that lives */
static void on_tick(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { TICK, QUEUE_EXPIRED, WAITS_EXPIRED, RETIRED, FORGOTTEN, MORE, BROKERS };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > BROKERS ? (reply->n - BROKERS) / 2 : 0;
    rz_broker_t *brokers = n > 0 ? rz_alloc(n * sizeof *brokers) : NULL;
    for (size_t i = 0; i < n; i++)
        brokers[i] = (rz_broker_t){ .name = rz_field_text(reply, BROKERS + 2 * i),
                                    .places = rz_field_text(reply, BROKERS + 2 * i + 1) };
    const rz_tick_result_t result = { .tick = rz_field_number(reply, TICK),
                                      .queue_expired = rz_field_number(reply, QUEUE_EXPIRED),
                                      .waits_expired = rz_field_number(reply, WAITS_EXPIRED),
                                      .retired = rz_field_number(reply, RETIRED),
                                      .forgotten = rz_field_number(reply, FORGOTTEN),
                                      .more = rz_field_number(reply, MORE) == 1,
                                      .brokers = brokers,
                                      .broker_count = n };
    if (waiter.fn.tick != NULL)
        waiter.fn.tick(rc, &result, waiter.arg);
    for (size_t i = 0; i < n; i++) {
        rz_free((void *)brokers[i].name);
        rz_free((void *)brokers[i].places);
    }
    rz_free(brokers);
}

void rz_op_tick(rz_store_t *store, const rz_tick_t *request, rz_tick_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 6);
    rz_args_u64(&args, request->seen);
    rz_args_u64(&args, request->elapsed_ms);
    rz_args_u64(&args, request->retention_ms);
    rz_args_u64(&args, request->tombstone_ms);
    rz_args_u64(&args, request->completions_max);
    rz_args_text(&args, request->places);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.tick = fn;
    rz_args_call(&args, store, "tick", on_tick, waiter);
}

/* ---- reader groups of completions ---- */

/* entries, then name consumers pending lag each */
static void on_groups(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { NAME, CONSUMERS, PENDING, LAG, FIELDS };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > 0 ? (reply->n - 1) / FIELDS : 0;
    rz_group_t *groups = n > 0 ? rz_alloc(n * sizeof *groups) : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = 1 + i * FIELDS;
        groups[i] = (rz_group_t){ .name = rz_field_text(reply, at + NAME),
                                  .consumers = rz_field_number(reply, at + CONSUMERS),
                                  .pending = rz_field_number(reply, at + PENDING),
                                  .lag = rz_field_number(reply, at + LAG) };
    }
    if (waiter.fn.groups != NULL)
        waiter.fn.groups(rc, rz_field_number(reply, 0), groups, n, waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_free((void *)groups[i].name);
    rz_free(groups);
}

void rz_op_groups(rz_store_t *store, rz_groups_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.groups = fn;
    rz_store_call(store, "groups", NULL, 0, on_groups, waiter);
}
