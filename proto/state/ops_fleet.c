/* ops_fleet.c - incarnations: join, sync, condemn, reap, and the list of them. */
#include "state/ops_codec.h"

void rz_op_join(rz_store_t *store, const char *incarnation, const char *runner, const char *facts,
                rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, incarnation);
    rz_args_text(&args, runner);
    rz_args_text(&args, facts);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(&args, store, "join", rz_on_done, waiter);
}

/* differs, number of cancels, cancels..., owned... */
static void on_sync(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > 2 ? reply->n - 2 : 0;
    size_t cancels = (size_t)rz_field_number(reply, 1);
    char **text = n > 0 ? rz_alloc(n * sizeof(*text)) : NULL;
    for (size_t i = 0; i < n; i++)
        text[i] = rz_field_text(reply, i + 2);
    if (cancels > n)
        cancels = n;
    const rz_sync_result_t result = {
        .cancels = (const char *const *)text,
        .cancel_count = cancels,
        .differs = rz_field_number(reply, 0) == 1,
        .owned = n > cancels ? (const char *const *)text + cancels : NULL,
        .owned_count = n - cancels,
    };
    if (waiter.fn.sync != NULL)
        waiter.fn.sync(rc, &result, waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_free(text[i]);
    rz_free(text);
}

void rz_op_sync(rz_store_t *store, const char *incarnation, uint64_t counter, const char *digest,
                const char *facts, rz_sync_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 4);
    rz_args_text(&args, incarnation);
    rz_args_u64(&args, counter);
    rz_args_text(&args, digest);
    rz_args_text(&args, facts);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.sync = fn;
    rz_args_call(&args, store, "sync", on_sync, waiter);
}

void rz_op_condemn(rz_store_t *store, const char *incarnation, uint64_t counter_seen, bool leave,
                   rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, incarnation);
    rz_args_u64(&args, counter_seen);
    rz_args_u64(&args, leave ? 1 : 0);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(&args, store, "condemn", rz_on_done, waiter);
}

static void on_reap(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    if (waiter.fn.reap != NULL)
        waiter.fn.reap(rc, rz_field_number(reply, 0), waiter.arg);
}

void rz_op_reap(rz_store_t *store, const char *incarnation, void (*fn)(rz_rc_t rc, uint64_t left, void *arg),
                void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 1);
    rz_args_text(&args, incarnation);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.reap = fn;
    rz_args_call(&args, store, "reap", on_reap, waiter);
}

/* incarnation runner counter state owned facts, each */
static void on_incarnations(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    enum { INCARNATION, RUNNER, COUNTER, STATE, OWNED, FACTS, FIELDS };
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n / FIELDS;
    rz_incarnation_t *list = n > 0 ? rz_alloc(n * sizeof(*list)) : NULL;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * FIELDS;
        list[i] = (rz_incarnation_t){
            .incarnation = rz_field_text(reply, at + INCARNATION),
            .runner = rz_field_text(reply, at + RUNNER),
            .facts = rz_field_text(reply, at + FACTS),
            .counter = rz_field_number(reply, at + COUNTER),
            .owned = rz_field_number(reply, at + OWNED),
            .dead = !rz_str_eq(reply->field[at + STATE], "alive"),
        };
    }
    if (waiter.fn.incarnations != NULL)
        waiter.fn.incarnations(rc, list, n, waiter.arg);
    for (size_t i = 0; i < n; i++) {
        rz_free((void *)list[i].incarnation);
        rz_free((void *)list[i].runner);
        rz_free((void *)list[i].facts);
    }
    rz_free(list);
}

void rz_op_incarnations(rz_store_t *store, rz_incarnations_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.incarnations = fn;
    rz_store_call(store, "incarnations", NULL, 0, on_incarnations, waiter);
}
