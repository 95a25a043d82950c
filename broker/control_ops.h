/* control_ops.h - the operations of control, one function each; private to control*.c.
 *
 * A handler owns its call: it answers now, or hands the call to whatever will. Request texts are lent. */
#pragma once

#include "control.h"

#include "live.h"
#include "pace.h"

struct control {
    control_parts_t part;
    pace_t *pace;        /* how fast each peer may ask */
    live_t *live;        /* calls that wait for a runner's answer */
    uint64_t started_ms; /* monotonic */
    size_t trees;        /* being cancelled now */
    bool stopped;
};

/* A call on its way through the store. */
typedef struct {
    control_t *control;
    call_t *call;
} asking_t;
asking_t *asking_open(control_t *control, call_t *call);
/* Frees the asking and returns its call. */
call_t *asking_end(asking_t *asking);

/* To those who name a child to be cancelled or run once more: RZ_NOT_FOUND. */
rz_rc_t fail_never_run(const call_t *call, rz_err_t *err);

/* Opens a reply that shows the activation, when the store told one and the code speaks of its state. act may be NULL. */
rz_buf_t *reply_with(const control_t *control, call_t *call, rz_rc_t rc, const rz_act_t *act);

/* Who asks, by the list as it is now; NULL: nobody any more. */
const rz_allowed_t *control_who(const control_t *control, const call_t *call);
/* Before the answer of a call that has waited: whether who asked is still somebody. False: it was refused. Takes then. */
bool control_still(control_t *control, call_t **call);
/* Refuses with NOT_ALLOWED, counts and logs it. Takes. */
void control_forbid(control_t *control, call_t **call, const rz_err_t *err);
/* The tenant that who asks is limited to; NULL: to none. */
const char *control_tenant(const control_t *control, const call_t *call);
typedef void (*op_handler_t)(control_t *control, call_t *call, const rz_control_request_t *request);
/* Lets the operation be done, or refuses it: what is left when the caller was looked at. handle: by this; NULL: as usual. */
void control_serve(control_t *control, call_t *call, const rz_control_request_t *request,
                   op_handler_t handle);

/* control_reach.c */
/* Looks whether the children that a request names are the caller's to ask about, which only the store
 * knows, and then serves or refuses it. body: the request. Takes. */
void reach_check(control_t *control, call_t *call, const rz_control_request_t *request, rz_str_t body);

/* control_info.c */
void op_hello(control_t *control, call_t *call, const rz_control_request_t *request);
void op_status(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_runners.c */
void op_runners(control_t *control, call_t *call, const rz_control_request_t *request);
void op_runner_cordon(control_t *control, call_t *call, const rz_control_request_t *request);
void op_runner_drain(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_runs.c */
void op_submit(control_t *control, call_t *call, const rz_control_request_t *request);
void op_retry(control_t *control, call_t *call, const rz_control_request_t *request);
void op_get(control_t *control, call_t *call, const rz_control_request_t *request);
void op_list(control_t *control, call_t *call, const rz_control_request_t *request);
void op_explain(control_t *control, call_t *call, const rz_control_request_t *request);
void op_replay(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_waits.c */
void op_wait(control_t *control, call_t *call, const rz_control_request_t *request);
void op_wait_register(control_t *control, call_t *call, const rz_control_request_t *request);
void op_wait_get(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_cancel.c */
void op_cancel(control_t *control, call_t *call, const rz_control_request_t *request);
/* A tree without its root, which is not the caller's, or nobody's yet: as if it was not known. */
void op_cancel_below(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_live.c */
void op_send(control_t *control, call_t *call, const rz_control_request_t *request);
void op_approve(control_t *control, call_t *call, const rz_control_request_t *request);
void op_sync(control_t *control, call_t *call, const rz_control_request_t *request);
void op_logs(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_sessions.c */
void op_session_get(control_t *control, call_t *call, const rz_control_request_t *request);
void op_session_put(control_t *control, call_t *call, const rz_control_request_t *request);
void op_session_list(control_t *control, call_t *call, const rz_control_request_t *request);
