/* guard.h - who may come in: answers ZAP for every CURVE socket of the broker, from the allow list, and knows afterwards
 * who is behind a message.
 *
 *   socket ── handshake ──► inproc://zeromq.zap.01 ──► guard ──► 200 with "<public key> <name>" as User-Id, or 300
 *
 * The key decides who somebody is. A name can be given to another key, and then whoever came in with the one that had it
 * before is nobody any more; it stands in the User-Id for the log.
 *
 * Any doubt is a no: a mechanism other than CURVE, a domain that is no socket of ours, a key that is not listed or listed
 * for another socket, a list that cannot be read. The no is 300, temporary: libzmq closes the connection without a word and
 * the peer tries again, so a key that is allowed later gets in by itself (after a 400 it never would).
 *
 * The list is looked at for changes with every handshake and a few times a second. A new list holds for those who are in
 * as well: whoever is gone from it is nobody any more (guard_who() gives NULL). While the list cannot be read or
 * understood nobody new gets in, those who are in stay under the last one that could, and it is tried again and again. A
 * descriptor is kept back for that: having none left may not put a revocation off. */
#pragma once

#include "base/sock.h"
#include "counters.h"
#include "rights.h"

typedef struct guard guard_t;

typedef struct {
    uv_loop_t *loop;
    void *zctx;
    const char *path; /* of the allow list; lent */
    counters_t *counters;
    void (*on_changed)(void *arg); /* a new list holds; from the loop */
    void *arg;
} guard_parts_t;

/* Before the first CURVE socket is bound. NULL and err: the list cannot be read, or another holds ZAP in this context. */
guard_t *guard_open(const guard_parts_t *parts, rz_err_t *err);
/* After the last of them was closed: without a handler libzmq lets everybody in. */
void guard_close(guard_t **guard);

#define GUARD_USER_MAX (RZ_KEY_LEN + 1 + RZ_ID_MAX + 1) /* of a User-Id, with its NUL */
/* The name within a User-Id; "-" for NULL. Lends from it. */
const char *guard_name(const char *user);

/* Who is behind a message that came in at this gate, by its User-Id; NULL: nobody who may be there (any more). Lent until
 * the next turn of the loop. */
const rz_allowed_t *guard_who(const guard_t *guard, const char *user, gate_t gate);
/* Counts and logs a message that was refused. */
void guard_refused(guard_t *guard, gate_t gate, const char *user, const char *why);

/* The key with which we try our own sockets (intruder.h). It is judged like any other; the no is final, so that the try ends
 * at once, and counts apart. Copied. */
void guard_knows_stranger(guard_t *guard, const char *public_key);

/* A line of the log about somebody who stays outside; a line a second at most, the others are counted in the next. */
void guard_tells(guard_t *guard, const char *event, const char *socket, const char *why);

/* Whether this key may run under this name (rights.h). */
rz_rc_t guard_runs(const guard_t *guard, const rz_allowed_t *who, const char *runner, rz_err_t *err);

/* From any thread: whether this key may publish under this topic. */
bool guard_publishes(guard_t *guard, const char *user, rz_str_t topic);

/* The keys that hear events within a scope, each at a socket of its own (its ZAP domain: "events/<name>"); the others
 * share one. Lent until the next turn of the loop. */
size_t guard_scoped(const guard_t *guard, const rz_allowed_t **out, size_t max);
/* Whether somebody came in at the shared socket of events who may not be there any more; asking forgets it. */
bool guard_events_stale(guard_t *guard);
