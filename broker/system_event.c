/* system_event.c - see system_event.h. */
#include "system_event.h"

#include "base/clock.h"
#include "wire/event.h"

void system_header(bool kept, rz_buf_t *out)
{
    char now[RZ_RFC3339_LEN + 1], id[RZ_TOKEN_LEN + 1];
    rz_rfc3339_now(now);
    rz_json_open(out, '{');
    rz_json_put_u64(out, "v", RZ_EVENT_VERSION);
    if (kept) {
        rz_token_new(id);
        rz_json_put_str(out, "id", id);
    }
    rz_json_put_str(out, "ts", now);
    rz_json_put_str(out, "class", rz_event_class_name(kept ? RZ_CLASS_DURABLE : RZ_CLASS_EPHEMERAL));
    rz_json_close(out, '}');
}

void system_sync_topic(const char *nonce, const char *name, rz_buf_t *out)
{
    rz_buf_printf(out, "$sys/sync/%s/%s", nonce, name);
}

void system_sync_event(const char *nonce, const char *name, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "type", "sync");
    rz_json_put_str(out, "nonce", nonce);
    rz_json_put_str(out, "name", name);
    rz_json_close(out, '}');
}

void system_rejected_event(const rz_err_t *err, rz_rc_t code, const char *parent, const char *child,
                           rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "type", "job_rejected");
    rz_json_put_str(out, "code", rz_rc_name(code));
    if (err->field[0] != '\0')
        rz_json_put_str(out, "field", err->field);
    rz_json_put_str(out, "message", err->text[0] != '\0' ? err->text : rz_rc_text(code));
    rz_json_put_str(out, "parent_session_id", *parent != '\0' ? parent : NULL);
    rz_json_put_str(out, "child_session_id", *child != '\0' ? child : NULL);
    rz_json_close(out, '}');
}

void system_never_taken(const intake_who_t *who, const char *error, rz_buf_t *topic, rz_buf_t *header,
                        rz_buf_t *event)
{
    char now[RZ_RFC3339_LEN + 1], id[RZ_TOKEN_LEN + 1];
    rz_rfc3339_now(now);
    rz_token_new(id);
    const rz_event_header_t values = { .parent = who->parent,
                                       .child = who->child,
                                       .job = who->job[0] != '\0' ? who->job : NULL,
                                       .seq = 1,
                                       .ts = now,
                                       .class_ = RZ_CLASS_DURABLE,
                                       .id = id };
    rz_topic(who->parent, who->child, "sub_agent_completed", NULL, topic);
    rz_event_header_encode(&values, header);
    rz_event_completed(who->parent, who->child, "error", error, event);
}
