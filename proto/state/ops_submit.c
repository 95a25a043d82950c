/* ops_submit.c - into the store and out to a runner: submit, claim, reassign. */
#include "state/ops_codec.h"

static void on_submit(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_assigned_t assigned;
    rz_submit_result_t result = { .claimed = rz_assigned_read(&assigned, reply->field, reply->n) };
    if (!result.claimed) {
        rz_assigned_fini(&assigned);
        (void)rz_packed_read(&assigned.packed, reply->field, reply->n);
    }
    result.act = assigned.packed.act;
    result.assignment = assigned.assignment;
    if (waiter.fn.submit != NULL)
        waiter.fn.submit(rc, &result, waiter.arg);
    rz_assigned_fini(&assigned);
}

void rz_op_submit(rz_store_t *store, const rz_submit_t *request, rz_submit_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 22 + request->message_count);
    rz_args_text(&args, request->parent);
    rz_args_text(&args, request->child);
    rz_args_text(&args, request->job);
    rz_args_text(&args, request->digest);
    rz_args_text(&args, request->tenant);
    rz_args_text(&args, request->model);
    rz_args_text(&args, request->disabled_tools);
    rz_args_text(&args, request->traceparent);
    rz_args_text(&args, request->profile);
    rz_args_text(&args, request->labels);
    rz_args_text(&args, request->job_affinity);
    rz_args_u64(&args, request->priority);
    rz_args_u64(&args, request->max_attempts != 0 ? request->max_attempts : 1);
    rz_args_u64(&args, request->queue_max);
    rz_args_text(&args, request->owner);
    rz_args_text(&args, request->token);
    rz_args_str(&args, request->append);
    rz_args_text(&args, request->session_affinity);
    rz_args_text(&args, request->session_profile);
    rz_args_str(&args, request->header);
    rz_args_u64(&args, request->max_queue_ms);
    rz_args_text(&args, request->doom);
    for (size_t i = 0; i < request->message_count; i++)
        rz_args_str(&args, request->messages[i]);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.submit = fn;
    rz_args_call(&args, store, request->own ? "submit_own" : "submit", on_submit, waiter);
}

void rz_op_doom(rz_store_t *store, const char *child, uint64_t activation, const char *text, rz_act_fn fn,
                void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 3);
    rz_args_text(&args, child);
    rz_args_u64(&args, activation);
    rz_args_text(&args, text);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.act = fn;
    rz_args_call(&args, store, "doom", rz_on_act, waiter);
}

void rz_op_retry(rz_store_t *store, const char *child, uint64_t queue_max, rz_act_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 2);
    rz_args_text(&args, child);
    rz_args_u64(&args, queue_max);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.act = fn;
    rz_args_call(&args, store, "retry", rz_on_act, waiter);
}

/* left, then assignments */
static void on_claim(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    size_t n = reply->n > 0 ? (reply->n - 1) / RZ_ASSIGNMENT_FIELDS : 0;
    rz_assigned_t *assigned = n > 0 ? rz_alloc(n * sizeof(*assigned)) : NULL;
    rz_assignment_t *list = n > 0 ? rz_alloc(n * sizeof(*list)) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (!rz_assigned_read(&assigned[i], &reply->field[1 + i * RZ_ASSIGNMENT_FIELDS],
                              RZ_ASSIGNMENT_FIELDS))
            rc = RZ_INTERNAL;
        list[i] = assigned[i].assignment;
    }
    if (waiter.fn.claim != NULL)
        waiter.fn.claim(rc, list, rc == RZ_OK ? n : 0, rz_field_number(reply, 0), waiter.arg);
    for (size_t i = 0; i < n; i++)
        rz_assigned_fini(&assigned[i]);
    rz_free(assigned);
    rz_free(list);
}

void rz_op_claim(rz_store_t *store, const rz_claim_t *request, rz_claim_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 4 + 3 * request->candidate_count + request->max);
    rz_args_text(&args, request->profile);
    rz_args_text(&args, request->labels);
    rz_args_u64(&args, request->max);
    rz_args_u64(&args, request->candidate_count);
    for (size_t i = 0; i < request->candidate_count; i++) {
        rz_args_text(&args, request->candidates[i].owner);
        rz_args_u64(&args, request->candidates[i].room);
        rz_args_text(&args, request->candidates[i].idle);
    }
    for (unsigned i = 0; i < request->max; i++)
        rz_args_text(&args, request->tokens[i]);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.claim = fn;
    rz_args_call(&args, store, "claim", on_claim, waiter);
}

void rz_op_reassign(rz_store_t *store, const char *child, const char *owner, rz_claim_fn fn, void *arg)
{
    rz_args_t args;
    rz_args_init(&args, 2);
    rz_args_text(&args, child);
    rz_args_text(&args, owner);
    rz_waiter_t *waiter = rz_waiter(arg);
    waiter->fn.claim = fn;
    rz_args_call(&args, store, "reassign", on_claim, waiter);
}
