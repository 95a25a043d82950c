/* control_sessions.c - sessions: get, put, list. */
#include "control_ops.h"

#include "wire/routing.h"

#include <inttypes.h>

/* Who ran the child, or would run it. What a session says of that itself stays; a root is run by nobody here. */
static void join_routing(const control_t *control, const rz_session_result_t *result, rz_buf_t *out)
{
    rz_str_t own = rz_json_member(rz_json_member(result->header, "metadata"), "external.agent_id");
    bool ran = result->act.state != RZ_ACT_NONE && own.n == 0;
    if (rz_json_is(rz_json_member(result->header, "kind"), "child"))
        rz_routing_join(control->part.rules->agents, ran ? result->act.profile : NULL, result->header, out);
    else
        rz_buf_put_str(out, result->header);
}

static void send_session(const control_t *control, call_t *call, const rz_session_result_t *result)
{
    const rz_session_state_t state = { .last_run_status = rz_or_null(result->act.status),
                                       .last_run_error = rz_or_null(result->act.error),
                                       .model = rz_or_null(result->model),
                                       .rev = result->rev };
    rz_buf_t header = { 0 }, session = { 0 };
    join_routing(control, result, &header);
    rz_session_join(rz_buf_str(&header), result->messages, &state, &session);
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_put_raw(out, "session", rz_buf_str(&session));
    rz_json_put_u64(out, "rev", result->rev);
    call_send(&call);
    rz_buf_fini(&header);
    rz_buf_fini(&session);
}

/* What is read from the store is joined as bytes, so it has to be JSON. */
static bool is_whole(const rz_session_result_t *result, rz_err_t *err)
{
    return rz_json_check(result->header.p, result->header.n, RZ_SESSION_MAX, err) == RZ_OK &&
           rz_json_check(result->messages.p, result->messages.n, RZ_SESSION_MAX, err) == RZ_OK;
}

static void on_session(rz_rc_t rc, const rz_session_result_t *result, void *arg)
{
    const control_t *control = ((asking_t *)arg)->control;
    call_t *call = asking_end(arg);
    rz_err_t damage = { 0 }, err = { 0 };
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
    } else if (!is_whole(result, &damage)) {
        rz_fail(&err, RZ_INTERNAL, "the stored session is damaged: %s", damage.text);
        call_refuse_err(&call, &err);
    } else {
        send_session(control, call, result);
    }
}

void op_session_get(control_t *control, call_t *call, const rz_control_request_t *request)
{
    rz_op_session_get(control->part.store, request->child, on_session, asking_open(control, call));
}

/* ---- put ---- */

static void on_put(rz_rc_t rc, const rz_session_result_t *result, void *arg)
{
    call_t *call = asking_end(arg);
    rz_err_t err = { 0 };
    if (rc == RZ_CONFLICT)
        rz_fail_field(&err, rc, "rev",
                      "the stored session is at rev %" PRIu64 ", or belongs to another parent", result->rev);
    rz_buf_t *out = call_reply(call, rc, &err);
    if (rc == RZ_OK || rc == RZ_CONFLICT)
        rz_json_put_u64(out, "rev", result->rev);
    call_send(&call);
}

void op_session_put(control_t *control, call_t *call, const rz_control_request_t *request)
{
    intake_session_t session;
    rz_err_t err = { 0 };
    if (intake_session_decode(control->part.rules, request->session, "session.", false, &session, &err) !=
        RZ_OK) {
        call_refuse_err(&call, &err);
        return;
    }
    rz_session_put_t put = { .child = session.id,
                             .parent = rz_or_null(session.parent),
                             .session_affinity = session.affinity,
                             .session_profile = session.profile,
                             .header = rz_buf_str(&session.header),
                             .messages = session.messages,
                             .message_count = session.message_count,
                             .rev = request->rev };
    rz_op_session_put(control->part.store, &put, on_put, asking_open(control, call));
    intake_session_fini(&session);
}

/* ---- list ---- */

static void put_session(const rz_act_t *act, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "child", act->child);
    rz_json_put_str(out, "parent", act->parent);
    rz_json_put_str(out, "state", rz_act_state_name(act->state));
    rz_json_opt_str(out, "status", rz_or_null(act->status));
    rz_json_close(out, '}');
}

static void on_list(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    (void)next;
    call_t *call = asking_end(arg);
    if (rc != RZ_OK) {
        call_refuse(&call, rc, NULL);
        return;
    }
    rz_buf_t *out = call_reply(call, RZ_OK, NULL);
    rz_json_open_key(out, "sessions", '[');
    for (size_t i = 0; i < n; i++)
        put_session(&acts[i], out);
    rz_json_close(out, ']');
    call_send(&call);
}

void op_session_list(control_t *control, call_t *call, const rz_control_request_t *request)
{
    const rz_list_t list = { .limit = (unsigned)request->limit };
    rz_op_list(control->part.store, &list, on_list, asking_open(control, call));
}
