/* call.h - one request on the control socket that waits for its reply. */
#pragma once

#include "base/sock.h"
#include "counters.h"
#include "wire/control.h"

typedef struct {
    rz_sock_t *sock; /* control ROUTER */
    counters_t *counters;
    size_t in_hand; /* calls that were not answered yet */
} desk_t;

typedef struct call call_t;

/* What stands before a request and comes back before its reply, as REP does it: the peer's routing id, whatever
 * the client put in front, and the first empty frame. Lent. */
#define ENVELOPE_FRAMES 8
#define ENVELOPE_BYTES  256 /* behind the routing id */
typedef struct {
    const rz_str_t *frame;
    size_t n; /* 2..ENVELOPE_FRAMES */
} envelope_t;
/* The envelope of msg, with exactly one frame behind it. False: it has none such, or a longer one. */
bool envelope_read(const rz_msg_t *msg, envelope_t *out);

/* Remembers who asked and what; both are copied. version: the request's, and so the reply's. Each call ends in exactly one
 * call_send() or call_refuse(). */
call_t *call_create(desk_t *desk, const envelope_t *envelope, rz_str_t id, uint32_t version, const char *op);

/* Who asked, as the guard names him (guard.h); NULL: not known. Copied. */
void call_from(call_t *call, const char *user);
const char *call_user(const call_t *call); /* lends; NULL: not known */

/* The child it is about, named when the answer is that there is none. */
void call_about(call_t *call, const char *child);
const char *call_child(const call_t *call); /* lends; "" for none */

/* Opens the reply; add members, then call_send(). err NULL: the sentence of the code. */
rz_buf_t *call_reply(call_t *call, rz_rc_t code, const rz_err_t *err);
void call_send(call_t **call); /* closes the reply's object and sends it; takes */
/* A whole reply with nothing but the code, and text instead of its sentence unless NULL. Takes. */
void call_refuse(call_t **call, rz_rc_t code, const char *text);
void call_refuse_err(call_t **call, const rz_err_t *err);
