/* event.c - published events: header, class, topic, and the four outer events. */
#include "wire/event.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>

#define HEADER_MAX    ((size_t)4096)
#define TYPE_MAX      64
#define INTEGER_MAX   (((uint64_t)1 << 53) - 1) /* JSON numbers are doubles */
#define TIMESTAMP_MAX 64

static const char *const class_names[] = { "durable", "snapshot", "ephemeral", NULL };

const char *rz_event_class_name(rz_event_class_t class_)
{
    return class_names[class_];
}

/* ---- header ---- */

static void read_header(rz_fields_t *f, rz_event_header_t *out)
{
    uint64_t version = rz_field_u64(f, "v", RZ_REQUIRED, 0, 0, INTEGER_MAX);
    if (f->err->rc == RZ_OK && version != RZ_EVENT_VERSION)
        rz_fail_field(f->err, RZ_BAD_VERSION, "v", "version %llu is not spoken here, only %d",
                      (unsigned long long)version, RZ_EVENT_VERSION);
    out->parent = rz_field_id(f, "parent", RZ_REQUIRED);
    out->child = rz_field_id(f, "child", RZ_REQUIRED);
    out->job = rz_field_id(f, "job", RZ_OPTIONAL);
    out->epoch = rz_field_u64(f, "epoch", RZ_REQUIRED, 0, 0, INTEGER_MAX);
    out->seq = rz_field_u64(f, "seq", RZ_REQUIRED, 0, 1, INTEGER_MAX);
    out->prev_durable = rz_field_u64(f, "prev_durable", RZ_DEFAULTED, 0, 0, INTEGER_MAX);
    out->ts = rz_field_str(f, "ts", RZ_REQUIRED, TIMESTAMP_MAX);
    out->class_ = (rz_event_class_t)rz_field_enum(f, "class", RZ_REQUIRED, class_names, 0);
    out->traceparent = rz_field_str(f, "traceparent", RZ_OPTIONAL, RZ_NAME_MAX);
    out->id = rz_field_id(f, "id", RZ_OPTIONAL);
    if (f->err->rc == RZ_OK && out->prev_durable >= out->seq)
        rz_fail_field(f->err, RZ_BAD_FIELD, "prev_durable", "must be below seq");
}

rz_rc_t rz_event_header_decode(const char *bytes, size_t len, rz_event_header_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_event_header_t){ 0 };
    if (rz_object_decode(bytes, len, HEADER_MAX, NULL, &out->object, err) != RZ_OK)
        return err->rc;
    rz_fields_t f = { out->object.tree, "", err };
    read_header(&f, out);
    if (err->rc != RZ_OK)
        rz_event_header_fini(out);
    return err->rc;
}

void rz_event_header_fini(rz_event_header_t *header)
{
    rz_object_fini(&header->object);
    *header = (rz_event_header_t){ 0 };
}

void rz_event_header_encode(const rz_event_header_t *header, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_u64(out, "v", RZ_EVENT_VERSION);
    rz_json_put_str(out, "parent", header->parent);
    rz_json_put_str(out, "child", header->child);
    rz_json_opt_str(out, "job", header->job);
    rz_json_put_u64(out, "epoch", header->epoch);
    rz_json_put_u64(out, "seq", header->seq);
    rz_json_put_u64(out, "prev_durable", header->prev_durable);
    rz_json_put_str(out, "ts", header->ts);
    rz_json_put_str(out, "class", rz_event_class_name(header->class_));
    rz_json_opt_str(out, "traceparent", header->traceparent);
    rz_json_opt_str(out, "id", header->id);
    rz_json_close(out, '}');
}

/* ---- type and class ---- */

static bool name_is_safe(rz_str_t name)
{
    if (name.n == 0 || name.n > TYPE_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.')
            return false;
    }
    return true;
}

static void copy_name(rz_str_t name, char out[TYPE_MAX + 1])
{
    if (!name_is_safe(name))
        name = RZ_STR("other");
    memcpy(out, name.p, name.n);
    out[name.n] = '\0';
}

rz_rc_t rz_event_type(rz_str_t event, char out[65])
{
    rz_str_t type = rz_json_member(event, "type");
    if (rz_json_kind(type) != '"') {
        copy_name(RZ_STR("other"), out);
        return RZ_BAD_FIELD;
    }
    rz_str_t inside = { type.p + 1, type.n - 2 };
    if (memchr(inside.p, '\\', inside.n) == NULL) { /* nearly always: no copy on the hot path */
        copy_name(inside, out);
        return RZ_OK;
    }
    rz_buf_t text = { 0 };
    rz_json_unescape(type, &text);
    copy_name(rz_buf_str(&text), out);
    rz_buf_fini(&text);
    return RZ_OK;
}

static bool among(const char *type, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(type, *names) == 0)
            return true;
    return false;
}

rz_event_class_t rz_event_classify(const char *type, rz_str_t event)
{
    static const char *const ephemeral[] = { "token", "reasoning_token", "tool_token", "sub_agent_heartbeat",
                                             NULL };
    static const char *const snapshot[] = { "runner_progress", "token_budget_updated",
                                            "context_pressure_notification", NULL };
    char inner[TYPE_MAX + 1];
    while (strcmp(type, "sub_agent_event") == 0) { /* ends: nesting is bounded by RZ_JSON_DEPTH_MAX */
        event = rz_json_member(event, "event");
        if (rz_event_type(event, inner) != RZ_OK)
            return RZ_CLASS_DURABLE;
        type = inner;
    }
    if (among(type, ephemeral))
        return RZ_CLASS_EPHEMERAL;
    return among(type, snapshot) ? RZ_CLASS_SNAPSHOT : RZ_CLASS_DURABLE;
}

/* ---- whole events ---- */

static void open_event(const char *type, const char *parent, const char *child, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "type", type);
    rz_json_put_str(out, "parent_session_id", parent);
    rz_json_put_str(out, "child_session_id", child);
}

void rz_event_started(const char *parent, const char *child, const char *title, rz_buf_t *out)
{
    open_event("sub_agent_started", parent, child, out);
    rz_json_opt_str(out, "title", title);
    rz_json_close(out, '}');
}

void rz_event_wrap(const char *parent, const char *child, rz_str_t event, rz_buf_t *out)
{
    open_event("sub_agent_event", parent, child, out);
    rz_json_put_raw(out, "event", event);
    rz_json_close(out, '}');
}

void rz_event_heartbeat(const char *parent, const char *child, const char *ts, rz_buf_t *out)
{
    open_event("sub_agent_heartbeat", parent, child, out);
    rz_json_put_str(out, "timestamp", ts);
}

void rz_event_completed(const char *parent, const char *child, const char *status, const char *error,
                        rz_buf_t *out)
{
    open_event("sub_agent_completed", parent, child, out);
    rz_json_put_str(out, "status", status);
    rz_json_opt_str(out, "error", error);
    rz_json_close(out, '}');
}

/* ---- topics ---- */

void rz_topic(const char *parent, const char *child, const char *type, const char *inner, rz_buf_t *out)
{
    rz_buf_puts(out, parent);
    rz_buf_putc(out, '/');
    rz_buf_puts(out, child);
    rz_buf_putc(out, '/');
    rz_buf_puts(out, type);
    if (inner == NULL)
        return;
    rz_buf_putc(out, '.');
    rz_buf_puts(out, inner);
}

/* Takes what stands before the next '/' off the front; false if there is none. */
static bool take_segment(rz_str_t *rest, rz_str_t *segment)
{
    const char *slash = rest->n > 0 ? memchr(rest->p, '/', rest->n) : NULL;
    if (slash == NULL)
        return false;
    *segment = (rz_str_t){ rest->p, (size_t)(slash - rest->p) };
    *rest = (rz_str_t){ slash + 1, rest->n - segment->n - 1 };
    return true;
}

static bool type_is_safe(rz_str_t type)
{
    static const char wrapped[] = "sub_agent_event.";
    const size_t n = sizeof wrapped - 1;
    if (type.n > n && memcmp(type.p, wrapped, n) == 0)
        type = (rz_str_t){ type.p + n, type.n - n };
    return name_is_safe(type);
}

bool rz_topic_parse(rz_str_t topic, rz_str_t *parent, rz_str_t *child, rz_str_t *type)
{
    rz_str_t rest = topic;
    if (!take_segment(&rest, parent) || !take_segment(&rest, child))
        return false;
    *type = rest;
    return rz_id_valid(*parent) && rz_id_valid(*child) && type_is_safe(*type);
}
