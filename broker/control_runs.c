/* control_runs.c - activations: submit, retry, get, list, explain, replay. */
#include "control_ops.h"

#include "act.h"
#include "base/clock.h"

#define FULL_RETRY_MS 1000

/* ---- submit ---- */

/* The codes that submit and retry share. */
static void put_receipt(const control_t *control, rz_rc_t rc, rz_buf_t *out)
{
    if (rc == RZ_OK || rc == RZ_DUPLICATE)
        rz_json_put_str(out, "durability", rz_store_durability(control->part.store));
    if (rc == RZ_FULL)
        rz_json_put_u64(out, "retry_after_ms", FULL_RETRY_MS);
}

static void on_submitted(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc == RZ_NOT_FOUND) {
        call_refuse(&call, rc, CHILD_NOT_FOUND);
        return;
    }
    rz_buf_t *out = reply_with(control, call, rc, &result->act);
    put_receipt(control, rc, out);
    if (rc == RZ_OK)
        act_put_waiting(control->part.roster, &result->act, out);
    call_send(&call);
}

void op_submit(control_t *control, call_t *call, const rz_control_request_t *request)
{
    intake_t intake;
    intake_who_t who;
    rz_err_t err = { 0 };
    if (intake_decode(control->part.rules, request->job, true, &intake, &who, &err) != RZ_OK) {
        call_refuse_err(&call, &err);
        return;
    }
    const rz_allowed_t *asks = control_who(control, call);
    intake.submit.own = is_limited(asks);
    if (may_reach(asks, intake.job.parent, intake.job.child, intake.job.tenant, &err) != RZ_OK)
        control_forbid(control, &call, &err);
    else
        placement_submit(control->part.placement, &intake, on_submitted, asking_open(control, call));
    intake_fini(&intake);
}

/* ---- retry ---- */

static void on_retried(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    rz_err_t err = { 0 };
    if (rc == RZ_NOT_FOUND) {
        fail_never_run(call, &err);
        call_refuse_err(&call, &err);
        return;
    }
    rz_buf_t *out = reply_with(control, call, rc, act);
    put_receipt(control, rc, out);
    if (rc == RZ_OK)
        act_put_waiting(control->part.roster, act, out);
    call_send(&call);
    if (rc != RZ_OK)
        return;
    dispatch_waiting(control->part.dispatch, act->profile, act->labels);
    placement_pump(control->part.placement);
}

void op_retry(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_retry(control->part.store, request->child, control->part.queue_max, on_retried,
                asking_open(control, call));
}

/* ---- get, list ---- */

static void on_act(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    reply_with(control, call, rc, act);
    call_send(&call);
}

void op_get(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_get(control->part.store, request->child, request->job_id, on_act, asking_open(control, call));
}

/* All else of a list was judged when it was decoded. */
static void refuse_list(call_t *call, rz_rc_t rc)
{
    rz_err_t err = { 0 };
    if (rc == RZ_BAD_FIELD)
        rz_fail_field(&err, rc, "before", "must be the `next` of another page");
    else
        rz_fail(&err, rc, "%s", rz_rc_text(rc));
    call_refuse_err(&call, &err);
}

static void on_list(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        refuse_list(call, rc);
        return;
    }
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_open_key(out, "activations", '[');
    for (size_t i = 0; i < n; i++)
        act_encode(control->part.roster, NULL, &acts[i], out);
    rz_json_close(out, ']');
    if (*next != '\0')
        rz_json_put_str(out, "next", next);
    call_send(&call);
}

void op_list(control_t *control, call_t *call, const rz_control_request_t *request)
{
    const rz_list_t list = { .parent = request->parent,
                             .tenant = control_tenant(control, call),
                             .status = request->status,
                             .since_ms = request->since_ms,
                             .before = request->before,
                             .limit = (unsigned)request->limit };
    rz_op_list(control->part.store, &list, on_list, asking_open(control, call));
}

/* ---- explain ---- */

static void put_transition(const rz_transition_t *transition, rz_buf_t *out)
{
    char at[RZ_RFC3339_LEN + 1];
    rz_rfc3339((int64_t)transition->at_ms * 1000, at);
    rz_json_open(out, '{');
    rz_json_put_str(out, "at", at);
    rz_json_put_u64(out, "activation", transition->activation);
    rz_json_put_u64(out, "epoch", transition->epoch);
    rz_json_put_str(out, "what", transition->what);
    rz_json_opt_str(out, "broker", rz_or_null(transition->broker));
    rz_json_opt_str(out, "runner", rz_or_null(transition->runner));
    rz_json_opt_str(out, "detail", rz_or_null(transition->detail));
    rz_json_close(out, '}');
}

static void on_explain(rz_rc_t rc, const rz_act_t *act, const rz_transition_t *list, size_t n, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
        return;
    }
    rz_buf_t *out = reply_with(control, call, RZ_OK, act);
    act_put_waiting(control->part.roster, act, out);
    rz_json_open_key(out, "transitions", '[');
    for (size_t i = 0; i < n; i++)
        put_transition(&list[i], out);
    rz_json_close(out, ']');
    call_send(&call);
}

void op_explain(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_explain(control->part.store, request->child, on_explain, asking_open(control, call));
}

/* ---- replay ---- */

static void on_replay(rz_rc_t rc, const rz_replay_t *replay, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
        return;
    }
    rz_buf_t *out = reply_with(control, call, RZ_OK, &replay->act);
    rz_json_open_key(out, "events", '[');
    for (size_t i = 0; i < replay->count; i++) {
        rz_json_open(out, '{');
        rz_json_put_raw(out, "header", replay->items[i].header);
        rz_json_put_raw(out, "event", replay->items[i].event);
        rz_json_close(out, '}');
    }
    rz_json_close(out, ']');
    rz_json_put_str(out, "first_available", replay->first_available);
    rz_json_put_str(out, "logged_to", replay->logged_to);
    rz_json_put_u64(out, "trimmed", replay->trimmed);
    call_send(&call);
}

void op_replay(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_replay(control->part.store, request->child, request->from_epoch, request->from_seq,
                 (unsigned)request->limit, on_replay, asking_open(control, call));
}
