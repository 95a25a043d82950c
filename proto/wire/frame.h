/* frame.h - what parent and worker say over WebSocket: one JSON object a text message (rule 4).
 *
 * Upstream fails a run on an unknown kind from the worker and ignores one from the parent. We decode every
 * kind of J16 and J22 plus event_batch; any other is RZ_FRAME_OTHER, which the receiver logs and counts (spec
 * 11). */
#pragma once

#include "base/json.h"
#include "base/limits.h"

/* ---- parent -> worker ---- */
typedef enum {
    RZ_PARENT_RUN,
    RZ_PARENT_CANCEL,
    RZ_PARENT_MESSAGE,
    RZ_PARENT_APPROVAL_REPLY,
    RZ_PARENT_SUBAGENT_REPLY,
    RZ_PARENT_OTHER,
} rz_parent_kind_t;

typedef struct {
    rz_parent_kind_t kind;
    const char *kind_name;        /* as written */
    rz_str_t assignment;          /* run: raw JSON string, required                     */
    const char *reasoning_effort; /* run: NULL when absent                              */
    rz_str_t messages;            /* run: raw array, empty span when absent             */
    uint64_t attempt;             /* run: which start this is, when it is a rerun; else 0 (ours)   */
    const char *previous_error;   /* run: why the attempt before was lost, NULL when absent (ours) */
    const char *text;             /* message: required                                  */
    const char *id;               /* replies: required                                  */
    bool approved;                /* approval_reply: required                           */
    rz_str_t body;                /* subagent_reply: raw                                */
    rz_object_t object;
} rz_parent_frame_t;

rz_rc_t rz_parent_frame_decode(const char *bytes, size_t len, rz_parent_frame_t *out, rz_err_t *err);
void rz_parent_frame_fini(rz_parent_frame_t *frame);
void rz_parent_frame_encode(const rz_parent_frame_t *frame, rz_buf_t *out); /* appends */

/* ---- worker -> parent ---- */
typedef enum {
    RZ_CHILD_EVENT,
    RZ_CHILD_TERMINAL,
    RZ_CHILD_APPROVAL_REQUEST,
    RZ_CHILD_SUBAGENT_REQUEST,
    RZ_CHILD_EVENT_BATCH,
    RZ_CHILD_OTHER,
} rz_child_kind_t;

typedef enum {
    RZ_WORKER_COMPLETED,
    RZ_WORKER_ERROR,
    RZ_WORKER_CANCELLED,
    RZ_WORKER_SUSPENDED, /* J22 */
} rz_worker_status_t;
const char *rz_worker_status_name(rz_worker_status_t status);

typedef struct {
    rz_child_kind_t kind;
    const char *kind_name;
    rz_str_t event;            /* event: raw value, required                                   */
    rz_worker_status_t status; /* terminal: required                                           */
    rz_str_t result;           /* terminal: raw JSON string, empty span when absent or null    */
    const char *error;         /* terminal: NULL when absent                                   */
    const char *id;            /* requests: required                                           */
    rz_str_t body;             /* requests: raw, empty when absent                             */
    rz_str_t batch;            /* event_batch: raw object; walk its `events` with rz_json_iter */
    rz_object_t object;
} rz_child_frame_t;

rz_rc_t rz_child_frame_decode(const char *bytes, size_t len, rz_child_frame_t *out, rz_err_t *err);
void rz_child_frame_fini(rz_child_frame_t *frame);
void rz_child_frame_encode(const rz_child_frame_t *frame, rz_buf_t *out);

/* `{"kind":"event","event":<event>}` without building a struct: the hot path of a worker. Appends. */
void rz_child_event_encode(rz_str_t event, rz_buf_t *out);
