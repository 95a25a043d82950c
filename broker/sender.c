/* sender.c - see sender.h. */
#include "sender.h"

#include "base/log.h"
#include "wire/routing.h"

void sender_fini(sender_t *sender)
{
    rz_buf_fini(&sender->header);
    rz_buf_fini(&sender->session);
}

static rz_str_t encode(sender_t *sender, const rz_link_t *link)
{
    rz_buf_clear(&sender->header);
    rz_link_encode(link, &sender->header);
    return rz_buf_str(&sender->header);
}

static void strike_off(sender_t *sender, runner_t *runner, rz_link_kind_t kind, rz_rc_t rc)
{
    sender->counters->link_send_failed++;
    rz_log_warn("link.unreachable", "runner=%s incarnation=%s kind=%s rc=%s", runner->name,
                runner->incarnation, rz_link_kind_name(kind), rz_rc_name(rc));
    roster_remove(sender->roster, runner);
}

/* payload: at most two frames */
static bool send_frames(sender_t *sender, runner_t *runner, const rz_link_t *link, const rz_str_t *payload,
                        size_t n)
{
    rz_str_t part[4] = { { runner->peer, runner->peer_len }, encode(sender, link) };
    for (size_t i = 0; i < n; i++)
        part[2 + i] = payload[i];
    rz_rc_t rc = rz_sock_send(sender->sock, part, 2 + n);
    if (rc == RZ_OK)
        return true;
    strike_off(sender, runner, link->kind, rc);
    return false;
}

bool sender_assign(sender_t *sender, runner_t *runner, const rz_assignment_t *a)
{
    cJSON *tools = rz_or_null(a->disabled_tools) != NULL ? cJSON_Parse(a->disabled_tools) : NULL;
    rz_link_t link = {
        .kind = RZ_LINK_ASSIGN,
        .child = a->child,
        .parent = a->parent,
        .job = rz_or_null(a->job),
        .epoch = a->epoch,
        .token = a->token,
        .attempt = a->attempt,
        .max_attempts = a->max_attempts,
        .previous_error = rz_or_null(a->previous_error),
        .profile = a->profile,
        .affinity = a->affinity,
        .model = a->model,
        .disabled_tools = tools,
        .tenant = rz_or_null(a->tenant),
        .traceparent = rz_or_null(a->traceparent),
        .cancelled = a->cancelled,
        .live = a->live,
    };
    rz_buf_clear(&sender->session);
    rz_routing_join(sender->agents, a->profile, a->header, &sender->session);
    const rz_str_t payload[] = { rz_buf_str(&sender->session), a->messages };
    bool sent = send_frames(sender, runner, &link, payload, 2);
    cJSON_Delete(tools);
    return sent;
}

bool sender_cancel(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, bool now)
{
    rz_link_t link = { .kind = RZ_LINK_CANCEL, .child = child, .epoch = epoch, .now = now };
    return send_frames(sender, runner, &link, NULL, 0);
}

bool sender_steer(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, const char *id,
                  rz_str_t text_json)
{
    rz_link_t link = { .kind = RZ_LINK_STEER, .child = child, .epoch = epoch, .id = id };
    return send_frames(sender, runner, &link, &text_json, 1);
}

bool sender_decide(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, const char *id,
                   bool approved)
{
    rz_link_t link = {
        .kind = RZ_LINK_DECIDE, .child = child, .epoch = epoch, .id = id, .approved = approved
    };
    return send_frames(sender, runner, &link, NULL, 0);
}

bool sender_logs(sender_t *sender, runner_t *runner, const char *id, const char *child)
{
    rz_link_t link = { .kind = RZ_LINK_LOGS, .id = id, .child = child };
    return send_frames(sender, runner, &link, NULL, 0);
}

bool sender_order(sender_t *sender, runner_t *runner, const char *id, rz_phase_t phase, const char *policy,
                  uint64_t deadline_ms)
{
    rz_link_t link = { .kind = RZ_LINK_ORDER,
                       .id = id,
                       .phase = rz_phase_names[phase],
                       .policy = policy,
                       .deadline_ms = deadline_ms };
    return send_frames(sender, runner, &link, NULL, 0);
}

bool sender_emit(sender_t *sender, runner_t *runner, const char *nonce)
{
    rz_link_t link = { .kind = RZ_LINK_EMIT, .nonce = nonce };
    return send_frames(sender, runner, &link, NULL, 0);
}

bool sender_tell(sender_t *sender, runner_t *runner, const rz_link_t *link)
{
    return send_frames(sender, runner, link, NULL, 0);
}

void sender_refuse(sender_t *sender, rz_str_t peer, rz_rc_t code, const char *message)
{
    rz_link_t link = { .kind = RZ_LINK_REFUSED,
                       .code = code,
                       .message = message != NULL ? message : rz_rc_text(code) };
    if (rz_sock_send(sender->sock, (rz_str_t[]){ peer, encode(sender, &link) }, 2) != RZ_OK)
        sender->counters->link_send_failed++;
}
