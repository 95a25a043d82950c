/* call.c - see call.h. */
#include "call.h"

#include "base/log.h"
#include "guard.h"

#include <stdio.h>
#include <string.h>

struct call {
    desk_t *desk;
    uint32_t version;
    const char *op; /* static, NULL: it could not be read */
    rz_buf_t reply;
    rz_str_t part[ENVELOPE_FRAMES + 1]; /* in bytes: the envelope; behind it room for the reply */
    size_t frames;                      /* of the envelope */
    rz_str_t id;                        /* in bytes */
    char child[RZ_ID_MAX + 1];          /* whom it is about, "" for none */
    char user[GUARD_USER_MAX];          /* who asks, "": not known */
    char bytes[];
};

bool envelope_read(const rz_msg_t *msg, envelope_t *out)
{
    size_t n = 1, bytes = 0;
    while (n < msg->n && msg->part[n].n > 0)
        bytes += msg->part[n++].n;
    *out = (envelope_t){ .frame = msg->part, .n = n + 1 };
    return out->n + 1 == msg->n && out->n <= ENVELOPE_FRAMES && bytes <= ENVELOPE_BYTES;
}

/* Copies to *at and moves it behind the copy. */
static rz_str_t copy(rz_str_t text, char **at)
{
    rz_str_t copied = { *at, text.n };
    if (text.n > 0)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return copied;
}

call_t *call_create(desk_t *desk, const envelope_t *envelope, rz_str_t id, uint32_t version, const char *op)
{
    size_t bytes = id.n;
    for (size_t i = 0; i < envelope->n; i++)
        bytes += envelope->frame[i].n;
    call_t *call = rz_alloc(sizeof *call + bytes);
    char *at = call->bytes;
    call->desk = desk;
    call->version = version;
    call->op = op;
    call->frames = envelope->n;
    for (size_t i = 0; i < envelope->n; i++)
        call->part[i] = copy(envelope->frame[i], &at);
    call->id = copy(id, &at);
    desk->in_hand++;
    return call;
}

void call_from(call_t *call, const char *user)
{
    (void)snprintf(call->user, sizeof call->user, "%s", user != NULL ? user : "");
}

const char *call_user(const call_t *call)
{
    return rz_or_null(call->user);
}

void call_about(call_t *call, const char *child)
{
    (void)snprintf(call->child, sizeof call->child, "%s", child != NULL ? child : "");
}

const char *call_child(const call_t *call)
{
    return call->child;
}

rz_buf_t *call_reply(call_t *call, rz_rc_t code, const rz_err_t *err)
{
    rz_err_t named = { 0 };
    if (code == RZ_NOT_FOUND && err == NULL && call->child[0] != '\0') {
        rz_fail(&named, code, "no session of child %s is stored", call->child);
        err = &named;
    }
    if (code != RZ_OK && code != RZ_DUPLICATE)
        call->desk->counters->calls_refused++;
    rz_control_reply(&call->reply, call->version, call->op, call->id, code, err);
    return &call->reply;
}

void call_send(call_t **call_ref)
{
    call_t *call = *call_ref;
    *call_ref = NULL;
    rz_json_close(&call->reply, '}');
    call->part[call->frames] = rz_buf_str(&call->reply);
    if (rz_sock_send(call->desk->sock, call->part, call->frames + 1) != RZ_OK) {
        call->desk->counters->replies_dropped++;
        rz_log_debug("call.reply_dropped", "op=%s", call->op != NULL ? call->op : "");
    }
    call->desk->in_hand--;
    rz_buf_fini(&call->reply);
    rz_free(call);
}

void call_refuse(call_t **call, rz_rc_t code, const char *text)
{
    rz_err_t err = { 0 };
    if (text != NULL)
        rz_fail(&err, code, "%s", text);
    call_reply(*call, code, text != NULL ? &err : NULL);
    call_send(call);
}

void call_refuse_err(call_t **call, const rz_err_t *err)
{
    call_reply(*call, err->rc, err);
    call_send(call);
}
