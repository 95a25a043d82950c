/* call.c - see call.h. */
#include "call.h"

#include "base/log.h"

#include <string.h>

struct call {
    desk_t *desk;
    const char *op; /* static, NULL: it could not be read */
    rz_buf_t reply;
    size_t peer_len, id_len;
    char bytes[]; /* peer, then id */
};

call_t *call_create(desk_t *desk, rz_str_t peer, rz_str_t id, const char *op)
{
    call_t *call = rz_alloc(sizeof *call + peer.n + id.n);
    call->desk = desk;
    call->op = op;
    call->peer_len = peer.n;
    call->id_len = id.n;
    memcpy(call->bytes, peer.p, peer.n);
    if (id.n > 0)
        memcpy(call->bytes + peer.n, id.p, id.n);
    desk->in_hand++;
    return call;
}

rz_buf_t *call_reply(call_t *call, rz_rc_t code, const rz_err_t *err)
{
    rz_str_t id = { call->bytes + call->peer_len, call->id_len };
    if (code != RZ_OK && code != RZ_DUPLICATE)
        call->desk->counters->calls_refused++;
    rz_control_reply(&call->reply, call->op, id, code, err);
    return &call->reply;
}

void call_send(call_t **call_ref)
{
    call_t *call = *call_ref;
    *call_ref = NULL;
    rz_json_close(&call->reply, '}');
    rz_str_t parts[] = { { call->bytes, call->peer_len }, { "", 0 }, rz_buf_str(&call->reply) };
    if (rz_sock_send(call->desk->sock, parts, 3) != RZ_OK) {
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
    rz_fail(&err, code, "%s", text != NULL ? text : rz_rc_text(code));
    call_refuse_err(call, &err);
}

void call_refuse_err(call_t **call, const rz_err_t *err)
{
    call_reply(*call, err->rc, err);
    call_send(call);
}
