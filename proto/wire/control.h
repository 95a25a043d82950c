/* control.h - requests and replies on the control socket (ROUTER; a plain REQ client works).
 *
 * A request is one JSON object {"v":1,"op":...,"id":..., ...}; the reply one JSON object that repeats `id`
 * (any JSON value of at most 1024 bytes) when it was given:
 *   {"v":1,"op":"submit","id":7,"code":"OK", ...}     success: code OK, or DUPLICATE with the state
 *   {"v":1,"op":"submit","id":7,"code":"BAD_ID","field":"child_session_id","message":"..."}     refusal
 * Members that an operation does not take are ignored. Operations, their members and their replies:
 * proto/README.md, "Control". */
#pragma once

#include "base/json.h"
#include "base/limits.h"
#include "wire/job.h"

#define RZ_CONTROL_OPS(X)                                                                                    \
    X(HELLO, "hello")                                                                                        \
    X(SUBMIT, "submit")                                                                                      \
    X(GET, "get")                                                                                            \
    X(LIST, "list")                                                                                          \
    X(WAIT, "wait")                                                                                          \
    X(CANCEL, "cancel")                                                                                      \
    X(SEND, "send")                                                                                          \
    X(SYNC, "sync")                                                                                          \
    X(LOGS, "logs")                                                                                          \
    X(RUNNERS, "runners")                                                                                    \
    X(SESSION_GET, "session_get")                                                                            \
    X(SESSION_PUT, "session_put")                                                                            \
    X(SESSION_LIST, "session_list")                                                                          \
    X(REPLAY, "replay")                                                                                      \
    X(STATUS, "status")                                                                                      \
    X(WAIT_REGISTER, "wait_register")                                                                        \
    X(WAIT_GET, "wait_get")                                                                                  \
    X(APPROVE, "approve")                                                                                    \
    X(RETRY, "retry")                                                                                        \
    X(EXPLAIN, "explain")                                                                                    \
    X(RUNNER_CORDON, "runner_cordon")                                                                        \
    X(RUNNER_DRAIN, "runner_drain")

#define X(name, text) RZ_OP_##name,
typedef enum { RZ_CONTROL_OPS(X) RZ_CONTROL_OP_COUNT } rz_control_op_t;
#undef X
const char *rz_control_op_name(rz_control_op_t op);

/* When a wait on several children is satisfied (rule 8.8). */
typedef enum { RZ_WAIT_ALL, RZ_WAIT_ANY, RZ_WAIT_FIRST_ERROR } rz_wait_for_t;
const char *rz_wait_for_name(rz_wait_for_t wait_for); /* "all" "any" "first_error" */

typedef struct {
    uint64_t version,
        version_max; /* from, to, as sent: of hello a client's range; 0: RZ_PROTOCOL_MIN, as from */
    rz_str_t id;     /* raw JSON value, empty span when absent */
    rz_control_op_t op;
    rz_wait_for_t wait_for;        /* wait, wait_register: default RZ_WAIT_ALL */
    const char *child;             /* required by those about one child; wait takes children instead */
    const cJSON *children;         /* wait, wait_register: 1..RZ_LIST_MAX distinct ids; NULL when absent */
    const char *parent;            /* list: filter, NULL = all; wait_register wait_get: required */
    const char *wait_id;           /* wait_register: NULL = made here; wait_get: required */
    const char *request;           /* approve: id of the worker's approval_request */
    const char *nonce;             /* sync: required, id rule */
    const char *text;              /* send: required, at most RZ_TEXT_MAX */
    const char *message_id;        /* send: id of the steering message, NULL = made here */
    const char *job_id;            /* wait get: only this job's activation; NULL = the latest */
    const char *status;            /* list: only activations with this status or state, NULL = all */
    uint64_t since_ms;             /* list: submitted at or after, wall clock in ms since 1970; 0 = all */
    const char *before;            /* list: `next` of the page before, NULL = from the newest */
    uint64_t rev;                  /* session_put: expected rev, 0 = must not exist */
    uint64_t limit;                /* list session_list replay: default 100, 1..1000 */
    uint64_t from_epoch, from_seq; /* replay: first wanted, default 0 */
    const char *runner;            /* runner_cordon runner_drain: required */
    const char *policy;            /* runner_drain: of rz_drain_policies, NULL = the runner's own */
    uint64_t deadline_ms;          /* runner_drain: 0 = the runner's own, 1..RZ_DRAIN_MAX_MS */
    uint64_t timeout_ms;           /* wait: 0 = none; wait_register: 0 = six hours; 1..86400000 */
    rz_str_t job;                  /* submit: raw job object */
    rz_str_t session;              /* session_put: raw session */
    rz_object_t object;
    bool approved; /* approve: required */
    bool now;      /* cancel: skip the grace */
    bool tree;     /* cancel: every descendant too */
    bool has_rev;  /* session_put without rev: as rev 0 */
    bool off;      /* runner_cordon: `on` false, it takes work again */
} rz_control_request_t;

/* RZ_BAD_KIND names the unknown op and lists the known ones; RZ_BAD_VERSION for a range from v (absent: 1) to
 * v_max (absent: v) that has no version of ours. The `id` is filled in even on failure whenever it could be read, so that
 * the refusal can repeat it.
 */
rz_rc_t rz_control_decode(const char *bytes, size_t len, rz_control_request_t *out, rz_err_t *err);
void rz_control_fini(rz_control_request_t *request);
void rz_control_encode(const rz_control_request_t *request, rz_buf_t *out);

/* Opens a reply, in the given version of the protocol, and leaves its object open: add members with rz_json_put_*, end
 * with rz_json_close(out,'}').
 * `message` is added for codes other than OK and DUPLICATE: err->text, or the sentence of the code. */
void rz_control_reply(rz_buf_t *out, uint32_t version, const char *op, rz_str_t id, rz_rc_t code,
                      const rz_err_t *err);
