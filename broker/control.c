/* control.c - see control.h. Frames in, the table of operations, and what all of them share. */
#include "control_ops.h"

#include "act.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/version.h"

typedef struct {
    op_handler_t handle;
    bool needs_store;
} op_t;

static const op_t ops[RZ_CONTROL_OP_COUNT] = {
    [RZ_OP_HELLO] = { op_hello, false },
    [RZ_OP_SUBMIT] = { op_submit, true },
    [RZ_OP_GET] = { op_get, true },
    [RZ_OP_LIST] = { op_list, true },
    [RZ_OP_WAIT] = { op_wait, true },
    [RZ_OP_CANCEL] = { op_cancel, true },
    [RZ_OP_SEND] = { op_send, true },
    [RZ_OP_SYNC] = { op_sync, false },
    [RZ_OP_LOGS] = { op_logs, true },
    [RZ_OP_RUNNERS] = { op_runners, true },
    [RZ_OP_SESSION_GET] = { op_session_get, true },
    [RZ_OP_SESSION_PUT] = { op_session_put, true },
    [RZ_OP_SESSION_LIST] = { op_session_list, true },
    [RZ_OP_REPLAY] = { op_replay, true },
    [RZ_OP_STATUS] = { op_status, false },
    [RZ_OP_WAIT_REGISTER] = { op_wait_register, true },
    [RZ_OP_WAIT_GET] = { op_wait_get, true },
    [RZ_OP_APPROVE] = { op_approve, true },
    [RZ_OP_RETRY] = { op_retry, true },
    [RZ_OP_EXPLAIN] = { op_explain, true },
    [RZ_OP_RUNNER_CORDON] = { op_runner_cordon, false },
    [RZ_OP_RUNNER_DRAIN] = { op_runner_drain, false },
};

control_t *control_open(const control_parts_t *parts)
{
    control_t *control = rz_alloc(sizeof *control);
    control->part = *parts;
    control->pace = pace_create(parts->calls_per_sec);
    control->live = live_create(parts->loop);
    control->started_ms = rz_now_ms();
    return control;
}

void control_stop(control_t *control)
{
    control->stopped = true;
    live_stop(control->live);
}

void control_close(control_t **control)
{
    if (*control == NULL)
        return;
    pace_destroy(&(*control)->pace);
    live_destroy(&(*control)->live);
    rz_free(*control);
    *control = NULL;
}

asking_t *asking_open(control_t *control, call_t *call)
{
    asking_t *asking = rz_alloc(sizeof *asking);
    *asking = (asking_t){ .control = control, .call = call };
    return asking;
}

call_t *asking_end(asking_t *asking)
{
    call_t *call = asking->call;
    rz_free(asking);
    return call;
}

/* Refusals of the store that come with the state of the child. */
static bool tells_state(rz_rc_t rc)
{
    return rc == RZ_OK || rc == RZ_DUPLICATE || rc == RZ_CONFLICT || rc == RZ_ALREADY_RUNNING ||
           rc == RZ_EXPIRED || rc == RZ_ENDED;
}

rz_buf_t *reply_with(const control_t *control, call_t *call, rz_rc_t rc, const rz_act_t *act)
{
    rz_buf_t *out = call_reply(call, rc, NULL);
    if (act != NULL && act->child[0] != '\0' && tells_state(rc))
        act_encode(control->part.roster, "activation", act, out);
    return out;
}

rz_rc_t fail_never_run(const call_t *call, rz_err_t *err)
{
    return rz_fail(err, RZ_NOT_FOUND, "child %s is not known, or was never run", call_child(call));
}

static void refuse_without_store(control_t *control, call_t *call)
{
    rz_err_t err = { 0 };
    if (rz_store_state(control->part.store) == RZ_BAD_STORE)
        rz_fail(&err, RZ_BAD_STORE, "%s", control->part.store_detail);
    else
        rz_fail(&err, RZ_UNAVAILABLE, "the store cannot be reached: %s", control->part.store_detail);
    call_refuse_err(&call, &err);
}

/* ---- who may ---- */

const rz_allowed_t *control_who(const control_t *control, const call_t *call)
{
    const guard_t *guard = control->part.guard;
    return guard != NULL ? guard_who(guard, call_user(call), GATE_CONTROL) : &everybody;
}

void control_forbid(control_t *control, call_t **call, const rz_err_t *err)
{
    guard_refused(control->part.guard, GATE_CONTROL, call_user(*call), err->text);
    call_refuse_err(call, err);
}

bool control_still(control_t *control, call_t **call)
{
    rz_err_t err = { 0 };
    if (control_who(control, *call) != NULL)
        return true;
    rz_fail(&err, RZ_NOT_ALLOWED, "this key may not ask here any more");
    control_forbid(control, call, &err);
    return false;
}

const char *control_tenant(const control_t *control, const call_t *call)
{
    const rz_allowed_t *who = control_who(control, call);
    return who != NULL ? who->tenant : NULL;
}

void control_serve(control_t *control, call_t *call, const rz_control_request_t *request, op_handler_t handle)
{
    const op_t *op = &ops[request->op];
    if (control->stopped)
        call_refuse(&call, RZ_UNAVAILABLE, "this broker is ending: ask another one");
    else if (op->needs_store && !rz_store_up(control->part.store))
        refuse_without_store(control, call);
    else
        (handle != NULL ? handle : op->handle)(control, call, request);
}

/* By key, role and scope, never by routing id. */
static void authorise(control_t *control, call_t *call, const rz_control_request_t *request, rz_str_t body)
{
    rz_err_t err = { 0 };
    const rz_allowed_t *who = control_who(control, call);
    if (who == NULL)
        rz_fail(&err, RZ_NOT_ALLOWED, "this key may not ask here (any more)");
    if (who != NULL && may_call(who, request->op, &err) == RZ_OK)
        reach_check(control, call, request, body);
    else
        control_forbid(control, &call, &err);
}

/* A peer is a key, or a connection where keys are not in use. */
static void refuse_for_now(control_t *control, call_t *call, uint64_t wait_ms)
{
    rz_err_t err = { 0 };
    control->part.counters->calls_limited++;
    rz_fail(&err, RZ_FULL, "more than %llu requests a second (limits.calls_per_sec)",
            (unsigned long long)control->part.calls_per_sec);
    rz_json_put_u64(call_reply(call, RZ_FULL, &err), "retry_after_ms", wait_ms);
    call_send(&call);
}

/* What cannot be read, or nobody looks into. */
static void refuse_unread(control_t *control, const envelope_t *envelope, rz_str_t id, const rz_err_t *err)
{
    call_t *call = call_create(control->part.desk, envelope, id, RZ_PROTOCOL_MIN, NULL);
    call_refuse_err(&call, err);
}

static void serve(control_t *control, const envelope_t *envelope, rz_str_t body, const char *user)
{
    rz_control_request_t request;
    rz_err_t err = { 0 };
    if (rz_control_decode(body.p, body.n, &request, &err) != RZ_OK) {
        refuse_unread(control, envelope, request.id, &err);
        return;
    }
    call_t *call =
        call_create(control->part.desk, envelope, request.id,
                    rz_version_common(request.version, request.version_max), rz_control_op_name(request.op));
    call_about(call, request.child);
    call_from(call, user);
    uint64_t wait_ms = pace_ask(control->pace, user != NULL ? rz_str(user) : envelope->frame[0], rz_now_ms());
    if (wait_ms > 0)
        refuse_for_now(control, call, wait_ms);
    else if (control->part.guard != NULL)
        authorise(control, call, &request, body);
    else
        control_serve(control, call, &request, NULL);
    rz_control_fini(&request);
}

void control_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    control_t *control = arg;
    (void)sock;
    control->part.counters->calls++;
    envelope_t envelope;
    if (!envelope_read(msg, &envelope)) {
        control->part.counters->calls_malformed++;
        rz_log_warn("call.malformed",
                    "parts=%zu, a request is an envelope, an empty frame and one JSON frame", msg->n);
    } else if (msg->refused != NULL) {
        refuse_unread(control, &envelope, (rz_str_t){ NULL, 0 }, msg->refused);
    } else {
        serve(control, &envelope, msg->part[envelope.n], msg->user);
    }
}
