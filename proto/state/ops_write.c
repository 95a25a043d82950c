/* ops_write.c - what happens to an activation that runs: start, append, finish, release, cancel, steer, steered. */
#include "state/ops_codec.h"

static void put_owner(rz_args_t *args, const rz_write_t *request)
{
    rz_args_text(args, request->child);
    rz_args_u64(args, request->epoch);
    rz_args_text(args, request->token);
}

static void put_events(rz_args_t *args, const rz_write_t *request)
{
    for (size_t i = 0; i < request->event_count; i++) {
        rz_args_u64(args, request->events[i].seq);
        rz_args_str(args, request->events[i].header);
        rz_args_str(args, request->events[i].event);
    }
}

static void call_done(rz_args_t *args, rz_store_t *store, const char *op, rz_done_fn fn, void *arg)
{
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.done = fn;
    rz_args_call(args, store, op, rz_on_done, waiter);
}

static void write_events(rz_store_t *store, const char *op, const rz_write_t *request, rz_done_fn fn,
                         void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3 + 3 * request->event_count);
    put_owner(&args, request);
    put_events(&args, request);
    call_done(&args, store, op, fn, arg);
}

void rz_op_start(rz_store_t *store, const rz_write_t *request, rz_done_fn fn, void *arg)
{
    write_events(store, "start", request, fn, arg);
}

void rz_op_append(rz_store_t *store, const rz_write_t *request, rz_done_fn fn, void *arg)
{
    write_events(store, "append", request, fn, arg);
}

void rz_op_finish(rz_store_t *store, const rz_write_t *request, const char *status, const char *error,
                  rz_str_t reply, rz_done_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 6 + 3 * request->event_count);
    put_owner(&args, request);
    rz_args_text(&args, status);
    rz_args_text(&args, error);
    rz_args_str(&args, reply);
    put_events(&args, request);
    call_done(&args, store, "finish", fn, arg);
}

void rz_op_release(rz_store_t *store, const char *child, uint64_t epoch, const char *token,
                   const char *reason, bool rerun, rz_done_fn fn, void *arg)
{
    const rz_write_t owner = { .child = child, .epoch = epoch, .token = token };
    rz_args_t args;
    rz_args_init(&args, 5);
    put_owner(&args, &owner);
    rz_args_text(&args, reason);
    rz_args_u64(&args, rerun);
    call_done(&args, store, "release", fn, arg);
}

/* ended, then the activation */
static void on_cancel(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_packed_t packed;
    (void)rz_packed_read(&packed, reply->n > 0 ? reply->field + 1 : NULL, reply->n > 0 ? reply->n - 1 : 0);
    const rz_cancel_result_t result = { .act = packed.act, .ended = rz_field_number(reply, 0) == 1 };
    if (waiter.fn.cancel != NULL)
        waiter.fn.cancel(rc, &result, waiter.arg);
    rz_packed_fini(&packed);
}

void rz_op_cancel(rz_store_t *store, const char *child, const char *reason, rz_cancel_how_t how,
                  rz_cancel_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 5);
    rz_args_text(&args, child);
    rz_args_text(&args, reason);
    rz_args_u64(&args, how.now);
    rz_args_u64(&args, how.tree);
    rz_args_text(&args, how.tenant);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.cancel = fn;
    rz_args_call(&args, store, "cancel", on_cancel, waiter);
}

void rz_op_steer(rz_store_t *store, const char *child, const char *id, rz_str_t message, rz_act_fn fn,
                 void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, child);
    rz_args_text(&args, id);
    rz_args_str(&args, message);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.act = fn;
    rz_args_call(&args, store, "steer", rz_on_act, waiter);
}

void rz_op_steered(rz_store_t *store, const char *child, const char *id, const char *owner, rz_done_fn fn,
                   void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, child);
    rz_args_text(&args, id);
    rz_args_text(&args, owner);
    call_done(&args, store, "steered", fn, arg);
}
