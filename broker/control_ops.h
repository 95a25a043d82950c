/* control_ops.h - the operations of control, one function each; private to control*.c.
 *
 * A handler owns its call: it answers now, or hands the call to whatever will. Request texts are lent. */
#pragma once

#include "control.h"

#include "live.h"

struct control {
    control_parts_t part;
    live_t *live;        /* calls that wait for a runner's answer */
    uint64_t started_ms; /* monotonic */
};

/* A call on its way through the store. */
typedef struct {
    control_t *control;
    call_t *call;
} asking_t;
asking_t *asking_open(control_t *control, call_t *call);
/* Frees the asking and returns its call. */
call_t *asking_end(asking_t *asking);

typedef void (*op_handler_t)(control_t *control, call_t *call, const rz_control_request_t *request);

/* control_info.c */
void op_hello(control_t *control, call_t *call, const rz_control_request_t *request);
void op_runners(control_t *control, call_t *call, const rz_control_request_t *request);
void op_status(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_runs.c */
void op_submit(control_t *control, call_t *call, const rz_control_request_t *request);
void op_get(control_t *control, call_t *call, const rz_control_request_t *request);
void op_list(control_t *control, call_t *call, const rz_control_request_t *request);
void op_wait(control_t *control, call_t *call, const rz_control_request_t *request);
void op_cancel(control_t *control, call_t *call, const rz_control_request_t *request);
void op_replay(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_live.c */
void op_send(control_t *control, call_t *call, const rz_control_request_t *request);
void op_sync(control_t *control, call_t *call, const rz_control_request_t *request);
void op_logs(control_t *control, call_t *call, const rz_control_request_t *request);
/* control_sessions.c */
void op_session_get(control_t *control, call_t *call, const rz_control_request_t *request);
void op_session_put(control_t *control, call_t *call, const rz_control_request_t *request);
void op_session_list(control_t *control, call_t *call, const rz_control_request_t *request);
