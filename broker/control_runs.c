/* control_runs.c - activations: submit, get, list, wait, cancel, replay. */
#include "control_ops.h"

#include "act.h"

#define FULL_RETRY_MS 1000
#define WAITERS_MAX   65536

/* Refusals of the store that come with the state of the child. */
static bool tells_state(rz_rc_t rc)
{
    return rc == RZ_OK || rc == RZ_DUPLICATE || rc == RZ_CONFLICT || rc == RZ_ALREADY_RUNNING ||
           rc == RZ_EXPIRED || rc == RZ_ENDED;
}

static rz_buf_t *reply_with(const control_t *control, call_t *call, rz_rc_t rc, const rz_act_t *act)
{
    rz_buf_t *out = call_reply(call, rc, NULL);
    if (act != NULL && act->child[0] != '\0' && tells_state(rc))
        act_encode(control->part.roster, "activation", act, out);
    return out;
}

/* ---- submit ---- */

static void put_waiting(const control_t *control, const rz_act_t *act, rz_buf_t *out)
{
    char why[256];
    if (!roster_offers(control->part.roster, act->profile, act->labels, why, sizeof why))
        rz_json_put_str(out, "waiting", why);
}

static void on_submitted(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    rz_buf_t *out = reply_with(control, call, rc, &result->act);
    if (rc == RZ_OK || rc == RZ_DUPLICATE)
        rz_json_put_str(out, "durability", rz_store_durability(control->part.store));
    if (rc == RZ_OK && !result->claimed)
        put_waiting(control, &result->act, out);
    if (rc == RZ_FULL)
        rz_json_put_u64(out, "retry_after_ms", FULL_RETRY_MS);
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
    call_about(call, intake.job.child);
    placement_submit(control->part.placement, &intake, on_submitted, asking_open(control, call));
    intake_fini(&intake);
}

/* ---- get, list, wait ---- */

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

void op_wait(control_t *control, call_t *call, const rz_control_request_t *request)
{
    if (waiters_count(control->part.waiters) >= WAITERS_MAX) {
        call_refuse(&call, RZ_FULL, "as many wait here as may");
        return;
    }
    waiters_add(control->part.waiters, request->child, request->job_id, request->timeout_ms, on_act,
                asking_open(control, call));
}

static void on_list(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
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
                             .status = request->status,
                             .since_ms = request->since_ms,
                             .before = request->before,
                             .limit = (unsigned)request->limit };
    rz_op_list(control->part.store, &list, on_list, asking_open(control, call));
}

/* ---- cancel ---- */

typedef struct {
    asking_t asking;
    bool now;
} cancelling_t;

/* The store has the cancel; telling the runner only makes it faster. */
static const char *deliver_cancel(const control_t *control, const rz_cancel_result_t *result, bool now)
{
    if (result->ended)
        return "ended";
    runner_t *runner = roster_by_incarnation(control->part.roster, result->act.owner);
    if (runner != NULL &&
        sender_cancel(control->part.sender, runner, result->act.child, result->act.epoch, now))
        return "forwarded";
    return "stored";
}

static void on_cancelled(rz_rc_t rc, const rz_cancel_result_t *result, void *arg)
{
    cancelling_t *cancelling = arg;
    const control_t *control = cancelling->asking.control;
    call_t *call = cancelling->asking.call;
    bool told = rc == RZ_OK || rc == RZ_ENDED;
    const char *delivery = rc == RZ_OK ? deliver_cancel(control, result, cancelling->now) : NULL;
    rz_buf_t *out = reply_with(control, call, rc, told ? &result->act : NULL);
    if (delivery != NULL)
        rz_json_put_str(out, "delivery", delivery);
    call_send(&call);
    rz_free(cancelling);
}

void op_cancel(control_t *control, call_t *call, const rz_control_request_t *request)
{
    cancelling_t *cancelling = rz_alloc(sizeof *cancelling);
    *cancelling = (cancelling_t){ .asking = { control, call }, .now = request->now };
    rz_op_cancel(control->part.store, request->child, NULL, request->now, on_cancelled, cancelling);
}

/* ---- replay ---- */

static void on_replay(rz_rc_t rc, const rz_act_t *act, const rz_log_item_t *items, size_t n,
                      const char *first_available, const char *logged_to, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
        return;
    }
    rz_buf_t *out = reply_with(control, call, RZ_OK, act);
    rz_json_open_key(out, "events", '[');
    for (size_t i = 0; i < n; i++) {
        rz_json_open(out, '{');
        rz_json_put_raw(out, "header", items[i].header);
        rz_json_put_raw(out, "event", items[i].event);
        rz_json_close(out, '}');
    }
    rz_json_close(out, ']');
    rz_json_put_str(out, "first_available", first_available);
    rz_json_put_str(out, "logged_to", logged_to);
    call_send(&call);
}

void op_replay(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_replay(control->part.store, request->child, request->from_epoch, request->from_seq,
                 (unsigned)request->limit, on_replay, asking_open(control, call));
}
