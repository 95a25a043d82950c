/* guard.c - see guard.h. */
#include "guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/private_file.h"
#include "base/timer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define LOOK_MS      250
#define LOG_PAUSE_MS 1000 /* between two lines about refusals; what comes in between is counted in the next */
#define KEY_BYTES    32
#define SHOWN_MAX    160

typedef struct {
    uint64_t last_ms, unlogged; /* when one was written, and refusals since then */
} lines_t;

struct guard {
    guard_parts_t part;
    rz_sock_t *zap;
    rz_timer_t *look;
    rz_private_file_state_t seen;
    bool broken; /* what was seen last could not be read */
    int spare;   /* a descriptor, for reading the list when there is no other */

    pthread_mutex_t lock; /* around allow, which the event proxy reads and only the loop changes */
    rz_allow_t *allow;
    bool *came; /* of each key, in the order of the list: it came in where all hear events */
    bool stale; /* and of one that did, the list says something else by now */

    char stranger[RZ_KEY_LEN + 1]; /* of intruder.h */
    lines_t outside, inside;       /* about strangers, and about keys that may come in but not so far */
};

/* ---- the list ---- */

static rz_allow_t *load(guard_t *guard, rz_err_t *err)
{
    rz_err_t why = { 0 };
    char *bytes;
    size_t len;
    rz_allow_t *allow = NULL;
    if (guard->spare >= 0)
        close(guard->spare);
    if (rz_trusted_file_read(guard->part.path, RZ_ALLOW_BYTES_MAX, &bytes, &len, &why) == RZ_OK)
        allow = rz_allow_decode(bytes, len, &why);
    rz_private_file_free(&bytes, len);
    guard->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (allow == NULL)
        rz_fail_field(err, why.rc, "security.allow", "%.100s: %.120s", guard->part.path, why.text);
    return allow;
}

/* Whoever shares the socket of events cannot be sent away alone: libzmq has no call for it. It is noted. */
static void replace(guard_t *guard, rz_allow_t *fresh)
{
    bool *came = rz_alloc(rz_allow_count(fresh) + 1);
    for (size_t i = 0; guard->allow != NULL && i < rz_allow_count(guard->allow); i++) {
        const rz_allowed_t *before = rz_allow_at(guard->allow, i),
                           *now = rz_allow_by_name(fresh, before->name);
        if (now != NULL && rz_allowed_same(before, now))
            came[now - rz_allow_at(fresh, 0)] = guard->came[i];
        else
            guard->stale = guard->stale || guard->came[i];
    }
    rz_allow_t *old = guard->allow;
    pthread_mutex_lock(&guard->lock);
    guard->allow = fresh;
    pthread_mutex_unlock(&guard->lock);
    rz_allow_destroy(&old);
    rz_free(guard->came);
    guard->came = came;
}

static bool same_list(const rz_allow_t *a, const rz_allow_t *b)
{
    bool same = rz_allow_count(a) == rz_allow_count(b);
    for (size_t i = 0; same && i < rz_allow_count(a); i++)
        same = rz_allowed_same(rz_allow_at(a, i), rz_allow_at(b, i));
    return same;
}

/* True if another list holds now. */
static bool refresh(guard_t *guard)
{
    rz_private_file_state_t now = rz_private_file_look(guard->part.path);
    bool same_file = rz_private_file_same(&now, &guard->seen);
    if (same_file && !guard->seen.young && !guard->broken)
        return false;
    rz_err_t err = { 0 };
    guard->seen = now;
    rz_allow_t *fresh = load(guard, &err);
    if (fresh == NULL) {
        if (!guard->broken || !same_file)
            rz_log_error("guard.list", "nobody new gets in: %s", err.text);
        guard->broken = true;
        return false;
    }
    guard->broken = false;
    if (same_list(guard->allow, fresh)) {
        rz_allow_destroy(&fresh);
        return false;
    }
    replace(guard, fresh);
    rz_log_info("guard.list", "keys=%zu", rz_allow_count(fresh));
    return true;
}

static void on_look(void *arg)
{
    guard_t *guard = arg;
    if (refresh(guard))
        guard->part.on_changed(guard->part.arg);
}

/* ---- telling ---- */

/* A stranger can be refused a thousand times a second; the log shall not be what he fills. */
static void log_refusal(lines_t *lines, const char *event, const char *gate, const char *who, const char *why)
{
    uint64_t now = rz_now_ms();
    if (lines->last_ms != 0 && now - lines->last_ms < LOG_PAUSE_MS) {
        lines->unlogged++;
        return;
    }
    rz_log_warn(event, "socket=%s peer=%s why=\"%s\" unlogged=%" PRIu64, gate, who, why, lines->unlogged);
    lines->last_ms = now;
    lines->unlogged = 0;
}

void guard_tells(guard_t *guard, const char *event, const char *socket, const char *why)
{
    log_refusal(&guard->outside, event, socket, "-", why);
}

void guard_refused(guard_t *guard, gate_t gate, const char *user, const char *why)
{
    guard->part.counters->not_allowed++;
    log_refusal(&guard->inside, "guard.refused", gate_name(gate), guard_name(user), why);
}

/* ---- ZAP (rfc.zeromq.org/spec/27) ---- */

enum { ZAP_VERSION, ZAP_REQUEST, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_ROUTING_ID, ZAP_MECHANISM, ZAP_KEY, ZAP_PARTS };

/* Which socket a domain is; a socket of events that is one key's own is told with its name. */
static bool read_domain(rz_str_t domain, gate_t *gate, rz_str_t *own)
{
    const char *slash = memchr(domain.p, '/', domain.n);
    *own = slash != NULL ? (rz_str_t){ slash + 1, domain.n - (size_t)(slash + 1 - domain.p) }
                         : (rz_str_t){ NULL, 0 };
    rz_str_t name = slash != NULL ? (rz_str_t){ domain.p, (size_t)(slash - domain.p) } : domain;
    return gate_parse(name, gate) && (slash == NULL || *gate == GATE_EVENTS);
}

/* Events within a scope are heard at the socket that is for this scope alone, all others at the one for all. */
static bool fits_socket(const rz_allowed_t *who, gate_t gate, rz_str_t own)
{
    if (!role_enters(who->role, gate))
        return false;
    if (gate != GATE_EVENTS)
        return true;
    return who->topics != NULL ? rz_str_eq(own, who->name) : own.n == 0;
}

/* NULL, and why not. The key as text goes to key[], for the log: it is no secret, and what an operator needs to allow it.
 */
static const rz_allowed_t *judge(const guard_t *guard, const rz_msg_t *msg, char key[RZ_KEY_LEN + 1],
                                 const char **why)
{
    gate_t gate;
    rz_str_t own;
    const rz_allowed_t *who = NULL;
    *why = NULL;
    if (msg->n != ZAP_PARTS || !rz_str_eq(msg->part[ZAP_VERSION], "1.0") ||
        !rz_str_eq(msg->part[ZAP_MECHANISM], "CURVE") || msg->part[ZAP_KEY].n != KEY_BYTES)
        *why = "no CURVE handshake";
    else if (!read_domain(msg->part[ZAP_DOMAIN], &gate, &own))
        *why = "unknown socket";
    else if (zmq_z85_encode(key, (const uint8_t *)msg->part[ZAP_KEY].p, KEY_BYTES) == NULL)
        *why = "no CURVE key";
    else if (guard->broken)
        *why = "the allow list cannot be read";
    else if ((who = rz_allow_by_key(guard->allow, key)) == NULL)
        *why = "unknown key";
    else if (!fits_socket(who, gate, own))
        *why = "the key is for other sockets";
    if (*why == NULL && gate == GATE_EVENTS && own.n == 0)
        guard->came[who - rz_allow_at(guard->allow, 0)] = true;
    return *why == NULL ? who : NULL;
}

static void answer(guard_t *guard, const rz_msg_t *msg, const rz_allowed_t *who, const char *no)
{
    const rz_str_t none = { "", 0 };
    char user[GUARD_USER_MAX] = "";
    if (who != NULL)
        snprintf(user, sizeof user, "%s %s", who->public_key, who->name);
    rz_str_t request = msg->n > ZAP_REQUEST ? msg->part[ZAP_REQUEST] : none;
    const rz_str_t reply[] = { RZ_STR("1.0"), request,      who != NULL ? RZ_STR("200") : rz_str(no),
                               none,          rz_str(user), none };
    if (rz_sock_send(guard->zap, reply, sizeof reply / sizeof *reply) != RZ_OK)
        rz_log_warn("guard.unanswered", "a handshake was given up before it was answered");
}

static rz_str_t shown(const rz_msg_t *msg, size_t part)
{
    if (msg->n <= part)
        return RZ_STR("-");
    return (rz_str_t){ msg->part[part].p, msg->part[part].n < SHOWN_MAX ? msg->part[part].n : SHOWN_MAX };
}

static void on_handshake(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    guard_t *guard = arg;
    char key[RZ_KEY_LEN + 1] = "-", peer[RZ_KEY_LEN + SHOWN_MAX + 2], socket[SHOWN_MAX + 1];
    const char *why;
    (void)sock;
    bool changed = refresh(guard);
    const rz_allowed_t *who = judge(guard, msg, key, &why);
    bool ours = strcmp(key, guard->stranger) == 0;
    if (who != NULL) {
        guard->part.counters->peers_admitted++;
    } else if (ours) {
        guard->part.counters->tries_refused++;
    } else {
        rz_str_t address = shown(msg, ZAP_ADDRESS), domain = shown(msg, ZAP_DOMAIN);
        guard->part.counters->peers_denied++;
        snprintf(peer, sizeof peer, "%.*s/%s", (int)address.n, address.p, key);
        snprintf(socket, sizeof socket, "%.*s", (int)domain.n, domain.p);
        log_refusal(&guard->outside, "guard.denied", socket, peer, why);
    }
    answer(guard, msg, who, ours ? "400" : "300");
    if (changed)
        guard->part.on_changed(guard->part.arg);
}

/* ---- life ---- */

guard_t *guard_open(const guard_parts_t *parts, rz_err_t *err)
{
    guard_t *guard = rz_alloc(sizeof *guard);
    const rz_sock_options_t zap = { .type = ZMQ_REP, .on_msg = on_handshake, .arg = guard };
    guard->part = *parts;
    guard->spare = -1;
    pthread_mutex_init(&guard->lock, NULL);
    guard->seen = rz_private_file_look(parts->path);
    rz_allow_t *allow = load(guard, err);
    if (allow != NULL)
        replace(guard, allow);
    if (allow == NULL || (guard->zap = rz_sock_open(parts->loop, parts->zctx, &zap, err)) == NULL ||
        rz_sock_bind(guard->zap, ZAP_ENDPOINT, err) != RZ_OK) {
        guard_close(&guard);
        return NULL;
    }
    guard->look = rz_timer_open(parts->loop, on_look, guard);
    rz_timer_start(guard->look, LOOK_MS, LOOK_MS);
    return guard;
}

void guard_close(guard_t **guard_ref)
{
    guard_t *guard = *guard_ref;
    if (guard == NULL)
        return;
    *guard_ref = NULL;
    rz_timer_close(&guard->look);
    rz_sock_close(&guard->zap);
    rz_allow_destroy(&guard->allow);
    rz_free(guard->came);
    if (guard->spare >= 0)
        close(guard->spare);
    pthread_mutex_destroy(&guard->lock);
    rz_free(guard);
}

/* ---- asking ---- */

const char *guard_name(const char *user)
{
    const char *space = user != NULL ? strchr(user, ' ') : NULL; /* Z85 has none */
    return space != NULL ? space + 1 : "-";
}

const rz_allowed_t *guard_who(const guard_t *guard, const char *user, gate_t gate)
{
    const rz_allowed_t *who = user != NULL ? rz_allow_by_name(guard->allow, guard_name(user)) : NULL;
    bool same_key = who != NULL && strncmp(who->public_key, user, RZ_KEY_LEN) == 0;
    return same_key && role_enters(who->role, gate) ? who : NULL;
}

void guard_knows_stranger(guard_t *guard, const char *public_key)
{
    snprintf(guard->stranger, sizeof guard->stranger, "%s", public_key);
}

rz_rc_t guard_runs(const guard_t *guard, const rz_allowed_t *who, const char *runner, rz_err_t *err)
{
    return may_run(guard->allow, who, runner, err);
}

bool guard_publishes(guard_t *guard, const char *user, rz_str_t topic)
{
    pthread_mutex_lock(&guard->lock);
    const rz_allowed_t *who = guard_who(guard, user, GATE_PUBLISH);
    bool may = who != NULL && may_publish(guard->allow, who, topic);
    pthread_mutex_unlock(&guard->lock);
    return may;
}

size_t guard_scoped(const guard_t *guard, const rz_allowed_t **out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < rz_allow_count(guard->allow) && n < max; i++) {
        const rz_allowed_t *who = rz_allow_at(guard->allow, i);
        if (who->topics != NULL && role_enters(who->role, GATE_EVENTS))
            out[n++] = who;
    }
    return n;
}

bool guard_events_stale(guard_t *guard)
{
    bool stale = guard->stale;
    guard->stale = false;
    return stale;
}
