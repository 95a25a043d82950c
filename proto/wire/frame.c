/* frame.c - what parent and worker say over WebSocket (rule 4). */
#include "wire/frame.h"

#include <string.h>

static const char *const parent_kinds[] = { "run", "cancel", "message", "approval_reply", "subagent_reply" };
static const char *const child_kinds[] = { "event", "terminal", "approval_request", "subagent_request",
                                           "event_batch" };
static const char *const statuses[] = { "completed", "error", "cancelled", "suspended", NULL };

const char *rz_worker_status_name(rz_worker_status_t status)
{
    return (unsigned)status <= RZ_WORKER_SUSPENDED ? statuses[status] : "unknown";
}

/* The index of the kind's name, or n for one we do not know. */
static size_t kind_index(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return n;
}

/* A member kept as bytes: `kind` is what it must begin with, 0 for any value. Absent and null are told apart
 * by serde, so by us: null is a value of "any", and refused for an array that has a default (rule 0.3). */
static rz_str_t raw_member(rz_str_t raw, const char *key, char kind, rz_need_t need, rz_err_t *err)
{
    static const rz_str_t none = { NULL, 0 };
    char found = rz_json_kind(raw);
    bool null_is_absent = kind != 0 && need != RZ_DEFAULTED;
    if (found == 0 || (found == 'n' && null_is_absent)) {
        if (need == RZ_REQUIRED)
            rz_fail_field(err, RZ_MISSING_FIELD, key, "required, but missing");
        return none;
    }
    if (kind != 0 && found != kind) {
        const char *want = kind == '"' ? "a string" : kind == '[' ? "an array" : "an object";
        rz_fail_field(err, RZ_BAD_FIELD, key, "allowed: %s", want);
        return none;
    }
    return raw;
}

#define ATTEMPT_MAX 1000000

/* ---- parent -> worker ---- */

enum { PARENT_ASSIGNMENT, PARENT_MESSAGES, PARENT_BODY, PARENT_INITIAL };
static const char *const parent_raw[] = { "assignment", "messages", "body", "initial_session_messages",
                                          NULL };

static void read_parent_kind(rz_parent_frame_t *out, rz_fields_t *f)
{
    const rz_str_t *raw = out->object.raw;
    switch (out->kind) {
    case RZ_PARENT_RUN:
        out->assignment = raw_member(raw[PARENT_ASSIGNMENT], "assignment", '"', RZ_REQUIRED, f->err);
        out->reasoning_effort = rz_field_str(f, "reasoning_effort", RZ_OPTIONAL, RZ_NAME_MAX);
        out->messages = raw_member(raw[PARENT_MESSAGES], "messages", '[', RZ_DEFAULTED, f->err);
        out->attempt = rz_field_u64(f, "attempt", RZ_OPTIONAL, 0, 0, ATTEMPT_MAX);
        out->previous_error = rz_field_str(f, "previous_error", RZ_OPTIONAL, RZ_TEXT_MAX);
        break;
    case RZ_PARENT_MESSAGE:
        out->text = rz_field_str(f, "text", RZ_REQUIRED, RZ_TEXT_MAX);
        break;
    case RZ_PARENT_APPROVAL_REPLY:
        out->id = rz_field_str(f, "id", RZ_REQUIRED, RZ_NAME_MAX);
        out->approved = rz_field_bool(f, "approved", RZ_REQUIRED, false);
        break;
    case RZ_PARENT_SUBAGENT_REPLY:
        out->id = rz_field_str(f, "id", RZ_REQUIRED, RZ_NAME_MAX);
        out->body = raw_member(raw[PARENT_BODY], "body", 0, RZ_OPTIONAL, f->err);
        break;
    case RZ_PARENT_CANCEL:
    case RZ_PARENT_OTHER:
        break;
    }
}

rz_rc_t rz_parent_frame_decode(const char *bytes, size_t len, rz_parent_frame_t *out, rz_err_t *err)
{
    rz_err_t local = { 0 };
    if (err == NULL)
        err = &local;
    *out = (rz_parent_frame_t){ .kind = RZ_PARENT_OTHER };
    if (rz_object_decode(bytes, len, RZ_FRAME_MAX, parent_raw, &out->object, err) != RZ_OK)
        return err->rc;
    rz_fields_t f = { .obj = out->object.tree, .where = "", .err = err };
    out->kind_name = rz_field_str(&f, "kind", RZ_REQUIRED, RZ_NAME_MAX);
    if (out->kind_name != NULL) {
        out->kind = (rz_parent_kind_t)kind_index(out->kind_name, parent_kinds, RZ_PARENT_OTHER);
        read_parent_kind(out, &f);
    }
    if (err->rc != RZ_OK)
        rz_parent_frame_fini(out);
    return err->rc;
}

void rz_parent_frame_fini(rz_parent_frame_t *frame)
{
    rz_object_fini(&frame->object);
    *frame = (rz_parent_frame_t){ .kind = RZ_PARENT_OTHER };
}

static bool array_is_empty(rz_str_t array)
{
    rz_json_iter_t it = rz_json_iter(array);
    rz_str_t first;
    return !rz_json_next_element(&it, &first);
}

void rz_parent_frame_encode(const rz_parent_frame_t *frame, rz_buf_t *out)
{
    bool other = frame->kind == RZ_PARENT_OTHER;
    rz_json_open(out, '{');
    rz_json_put_str(out, "kind", other ? frame->kind_name : parent_kinds[frame->kind]);
    if (frame->kind == RZ_PARENT_RUN) {
        rz_json_put_raw(out, "assignment", frame->assignment);
        rz_json_opt_str(out, "reasoning_effort", frame->reasoning_effort);
        if (!array_is_empty(frame->messages))
            rz_json_put_raw(out, "messages", frame->messages);
        if (frame->attempt > 0)
            rz_json_put_u64(out, "attempt", frame->attempt);
        rz_json_opt_str(out, "previous_error", frame->previous_error);
    }
    if (frame->kind == RZ_PARENT_MESSAGE)
        rz_json_put_str(out, "text", frame->text);
    if (frame->kind == RZ_PARENT_APPROVAL_REPLY || frame->kind == RZ_PARENT_SUBAGENT_REPLY)
        rz_json_put_str(out, "id", frame->id);
    if (frame->kind == RZ_PARENT_APPROVAL_REPLY)
        rz_json_put_bool(out, "approved", frame->approved);
    if (frame->kind == RZ_PARENT_SUBAGENT_REPLY && frame->body.n > 0)
        rz_json_put_raw(out, "body", frame->body);
    rz_json_close(out, '}');
}

/* ---- worker -> parent ---- */

enum { CHILD_EVENT, CHILD_RESULT, CHILD_BODY, CHILD_BATCH, CHILD_TRANSCRIPT };
/* A transcript (J22) is kept as bytes only so that nobody builds a tree of it: no worker sends one. */
static const char *const child_raw[] = { "event", "result", "body", "batch", "transcript", NULL };

static void read_child_kind(rz_child_frame_t *out, rz_fields_t *f)
{
    const rz_str_t *raw = out->object.raw;
    switch (out->kind) {
    case RZ_CHILD_EVENT:
        out->event = raw_member(raw[CHILD_EVENT], "event", 0, RZ_REQUIRED, f->err);
        break;
    case RZ_CHILD_TERMINAL:
        out->status = (rz_worker_status_t)rz_field_enum(f, "status", RZ_REQUIRED, statuses, RZ_WORKER_ERROR);
        out->result = raw_member(raw[CHILD_RESULT], "result", '"', RZ_OPTIONAL, f->err);
        out->error = rz_field_str(f, "error", RZ_OPTIONAL, RZ_FRAME_MAX);
        break;
    case RZ_CHILD_APPROVAL_REQUEST:
    case RZ_CHILD_SUBAGENT_REQUEST:
        out->id = rz_field_str(f, "id", RZ_REQUIRED, RZ_NAME_MAX);
        out->body = raw_member(raw[CHILD_BODY], "body", 0, RZ_OPTIONAL, f->err);
        break;
    case RZ_CHILD_EVENT_BATCH:
        out->batch = raw_member(raw[CHILD_BATCH], "batch", '{', RZ_REQUIRED, f->err);
        break;
    case RZ_CHILD_OTHER:
        break;
    }
}

rz_rc_t rz_child_frame_decode(const char *bytes, size_t len, rz_child_frame_t *out, rz_err_t *err)
{
    rz_err_t local = { 0 };
    if (err == NULL)
        err = &local;
    *out = (rz_child_frame_t){ .kind = RZ_CHILD_OTHER };
    if (rz_object_decode(bytes, len, RZ_FRAME_MAX, child_raw, &out->object, err) != RZ_OK)
        return err->rc;
    rz_fields_t f = { .obj = out->object.tree, .where = "", .err = err };
    out->kind_name = rz_field_str(&f, "kind", RZ_REQUIRED, RZ_NAME_MAX);
    if (out->kind_name != NULL) {
        out->kind = (rz_child_kind_t)kind_index(out->kind_name, child_kinds, RZ_CHILD_OTHER);
        read_child_kind(out, &f);
    }
    if (err->rc != RZ_OK)
        rz_child_frame_fini(out);
    return err->rc;
}

void rz_child_frame_fini(rz_child_frame_t *frame)
{
    rz_object_fini(&frame->object);
    *frame = (rz_child_frame_t){ .kind = RZ_CHILD_OTHER };
}

void rz_child_frame_encode(const rz_child_frame_t *frame, rz_buf_t *out)
{
    bool other = frame->kind == RZ_CHILD_OTHER;
    rz_json_open(out, '{');
    rz_json_put_str(out, "kind", other ? frame->kind_name : child_kinds[frame->kind]);
    if (frame->kind == RZ_CHILD_EVENT)
        rz_json_put_raw(out, "event", frame->event);
    if (frame->kind == RZ_CHILD_TERMINAL) {
        rz_json_put_str(out, "status", rz_worker_status_name(frame->status));
        if (frame->result.n > 0)
            rz_json_put_raw(out, "result", frame->result);
        rz_json_opt_str(out, "error", frame->error);
    }
    if (frame->kind == RZ_CHILD_APPROVAL_REQUEST || frame->kind == RZ_CHILD_SUBAGENT_REQUEST) {
        rz_json_put_str(out, "id", frame->id);
        if (frame->body.n > 0)
            rz_json_put_raw(out, "body", frame->body);
    }
    if (frame->kind == RZ_CHILD_EVENT_BATCH)
        rz_json_put_raw(out, "batch", frame->batch);
    rz_json_close(out, '}');
}

void rz_child_event_encode(rz_str_t event, rz_buf_t *out)
{
    static const rz_str_t head = { "{\"kind\":\"event\",\"event\":", 24 };
    rz_buf_reserve(out, head.n + event.n + 1);
    rz_buf_put_str(out, head);
    rz_buf_put_str(out, event);
    rz_buf_putc(out, '}');
}
