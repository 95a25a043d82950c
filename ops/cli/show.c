/* show.c - what each kind of event says. */
#include "show.h"

#include "pick.h"

#include <inttypes.h>
#include <string.h>

#define DETAIL_MAX 400 /* bytes of arguments or of a result worth a line */

static const cJSON *inner(const event_t *event)
{
    const cJSON *wrapped = pick(event->event, "event");
    return cJSON_IsObject(wrapped) ? wrapped : event->event;
}

const char *event_name(const event_t *event)
{
    const char *type = pick_text(inner(event), "type");
    return strncmp(type, "sub_agent_", 10) == 0 ? type + 10 : type;
}

const char *event_child(const event_t *event)
{
    return pick_text(event->header, "child");
}

const char *event_token(const event_t *event)
{
    return strcmp(event_name(event), "token") == 0 ? pick_text(inner(event), "content") : NULL;
}

/* Appends text on one line: runs of white space become one space. */
static void put_flat(rz_buf_t *out, const char *text, size_t max)
{
    bool space = false;
    size_t end = out->len + max;
    for (; *text != '\0' && out->len < end; text++) {
        bool white = *text == ' ' || *text == '\n' || *text == '\t' || *text == '\r';
        if (white && !space)
            rz_buf_putc(out, ' ');
        else if (!white)
            rz_buf_putc(out, *text);
        space = white;
    }
}

static void put_value(rz_buf_t *out, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        put_flat(out, value->valuestring, DETAIL_MAX);
    } else if (value != NULL) {
        char *text = cJSON_PrintUnformatted(value);
        put_flat(out, text, DETAIL_MAX);
        cJSON_free(text);
    }
}

static void tool_start(const cJSON *event, rz_buf_t *out)
{
    rz_buf_printf(out, "%s ", pick_text(event, "tool_name"));
    put_value(out, pick(event, "arguments"));
}

static void tool_complete(const cJSON *event, rz_buf_t *out)
{
    rz_buf_puts(out, pick_true(event, "result.success") ? "ok: " : "failed: ");
    put_value(out, pick(event, "result.result"));
}

static void completed(const cJSON *event, rz_buf_t *out)
{
    const char *error = pick_text(event, "error");
    rz_buf_puts(out, pick_text(event, "status"));
    if (*error != '\0') {
        rz_buf_puts(out, ": ");
        put_flat(out, error, DETAIL_MAX);
    }
}

static void rejected(const cJSON *event, rz_buf_t *out)
{
    rz_buf_printf(out, "%s %s %s", pick_text(event, "child_session_id"), pick_text(event, "code"),
                  pick_text(event, "field"));
    rz_buf_printf(out, " %s", pick_text(event, "message"));
}

static void approval_requested(const cJSON *event, rz_buf_t *out)
{
    static const char *const members[][2] = { { ", ", "permission" }, { ": ", "resource" } };
    rz_buf_printf(out, "%s: %s", pick_text(event, "request_id"), pick_text(event, "tool_name"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *text = pick_text(event, members[i][1]);
        rz_buf_puts(out, *text != '\0' ? members[i][0] : "");
        put_flat(out, text, DETAIL_MAX);
    }
}

static void approval_changed(const cJSON *event, rz_buf_t *out)
{
    rz_buf_printf(out, "%s: %s by %s", pick_text(event, "request_id"),
                  pick_true(event, "approved") ? "approved" : "denied", pick_text(event, "by"));
}

static void wait_ended(const cJSON *event, rz_buf_t *out)
{
    const char *by = pick_text(event, "by");
    rz_buf_printf(out, "%s (%s)%s%s", pick_text(event, "wait_id"), pick_text(event, "wait_for"),
                  *by != '\0' ? " by " : "", by);
}

static void nothing(const cJSON *event, rz_buf_t *out)
{
    (void)event;
    (void)out;
}

/* Kinds with one telling member, and those that need a function. */
static const struct {
    const char *name;
    const char *member;
    void (*put)(const cJSON *event, rz_buf_t *out);
} kinds[] = {
    { "started", "title", NULL },
    { "completed", NULL, completed },
    { "heartbeat", NULL, nothing },
    { "token", "content", NULL },
    { "reasoning_token", "content", NULL },
    { "tool_token", "content", NULL },
    { "tool_start", NULL, tool_start },
    { "tool_complete", NULL, tool_complete },
    { "tool_error", "error", NULL },
    { "runner_progress", "round_count", NULL },
    { "error", "message", NULL },
    { "cancelled", "message", NULL },
    { "complete", NULL, nothing },
    { "job_rejected", NULL, rejected },
    { "wait_satisfied", NULL, wait_ended },
    { "wait_expired", NULL, wait_ended },
    { "child_approval_requested", NULL, approval_requested },
    { "child_approval_changed", NULL, approval_changed },
};

void event_detail(const event_t *event, rz_buf_t *out)
{
    const char *name = event_name(event);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        if (kinds[i].put != NULL)
            kinds[i].put(inner(event), out);
        else
            put_value(out, pick(inner(event), kinds[i].member));
        return;
    }
    const cJSON *member;
    cJSON_ArrayForEach(member, inner(event))
    {
        if (member->string == NULL || strcmp(member->string, "type") == 0)
            continue;
        rz_buf_printf(out, "%s=", member->string);
        put_value(out, member);
        rz_buf_putc(out, ' ');
    }
}

void event_json(const event_t *event, const char *type, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_opt_str(out, "type", type);
    rz_json_put_strn(out, "topic", event->topic.data, event->topic.len);
    rz_json_put_raw(out, "header", rz_buf_str(&event->header_bytes));
    rz_json_put_raw(out, "event", rz_buf_str(&event->event_bytes));
    rz_json_close(out, '}');
}
