/* face.c - see face.h. */
#include "face.h"

#include "base/clock.h"
#include "base/log.h"
#include "conn.h"
#include "proxy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define BURST        256 /* subscriptions that are read before anything else is looked at */
#define BACKLOG      1024
#define LOG_PAUSE_MS 60000

struct face {
    const face_base_t *base;
    void *xpub;
    char name[RZ_ID_MAX + 1];
    char public_key[RZ_KEY_LEN + 1];
    char endpoint[FACE_ENDPOINT_MAX];
    cJSON *topics;   /* as the list has them, NULL: all     */
    cJSON *scope;    /* those, and what is open to everybody */
    topics_t *held;  /* what its subscribers ask for, each once */
    bool everything; /* they ask for more than that holds: all of the scope is asked for until it is shut */
    uint64_t logged_ms; /* what is outside its topics: when it was told, and how often since */
    size_t unlogged;
    uint64_t malformed; /* what came and was no subscription */
};

static bool set_int(void *sock, int option, int value)
{
    return zmq_setsockopt(sock, option, &value, sizeof value) == 0;
}

static void domain_of(const face_t *face, char out[RZ_ID_MAX + 16])
{
    snprintf(out, RZ_ID_MAX + 16, "%s%s%s", gate_name(GATE_EVENTS), face->name[0] != '\0' ? "/" : "",
             face->name);
}

static bool set_options(const face_t *face, rz_err_t *err)
{
    char domain[RZ_ID_MAX + 16];
    int64_t max = FACE_TOPIC_MAX + 1;
    domain_of(face, domain);
    /* all that comes is shown, also what others ask for: a message that is whole and shown to nobody would look like one
     * that never ends (hoard.h) */
    if (!set_int(face->xpub, ZMQ_XPUB_VERBOSER, 1) || !set_int(face->xpub, ZMQ_LINGER, PROXY_LINGER_MS) ||
        !set_int(face->xpub, ZMQ_SNDHWM, face->base->kept) || !set_int(face->xpub, ZMQ_TCP_KEEPALIVE, 1) ||
        !set_int(face->xpub, ZMQ_BACKLOG, BACKLOG) ||
        !set_int(face->xpub, ZMQ_HANDSHAKE_IVL, PROXY_HANDSHAKE_MS) ||
        zmq_setsockopt(face->xpub, ZMQ_MAXMSGSIZE, &max, sizeof max) != 0) {
        rz_fail_sys(err, errno, "options of a socket for events");
        return false;
    }
    return rz_key_apply(face->base->key, domain, face->xpub, err) == RZ_OK;
}

rz_rc_t face_reopen(face_t *face, rz_err_t *err)
{
    char wanted[FACE_ENDPOINT_MAX];
    size_t size = sizeof face->endpoint;
    snprintf(wanted, sizeof wanted, "%s", face->endpoint);
    face->xpub = zmq_socket(face->base->zctx, ZMQ_XPUB);
    if (face->xpub == NULL)
        return rz_fail_sys(err, errno, "a socket for events");
    if (set_options(face, err) && (zmq_bind(face->xpub, wanted) != 0 ||
                                   zmq_getsockopt(face->xpub, ZMQ_LAST_ENDPOINT, face->endpoint, &size) != 0))
        rz_fail_sys(err, errno, "bind %s", wanted);
    if (err->rc == RZ_OK)
        return RZ_OK;
    zmq_close(face->xpub);
    face->xpub = NULL;
    return err->rc;
}

static bool is_gone(const holder_t *holder)
{
    uint64_t now = 0;
    return !conn_id(holder->fd, &now) || now != holder->id;
}

static holder_t holder_of(zmq_msg_t *message)
{
    holder_t holder = { .fd = zmq_msg_get(message, ZMQ_SRCFD) };
    if (holder.fd >= 0)
        (void)conn_id(holder.fd, &holder.id);
    return holder;
}

face_t *face_open(const face_base_t *base, const char *endpoint, const rz_allowed_t *who, rz_err_t *err)
{
    face_t *face = rz_alloc(sizeof *face);
    face->base = base;
    snprintf(face->name, sizeof face->name, "%s", who != NULL ? who->name : "");
    snprintf(face->public_key, sizeof face->public_key, "%s", who != NULL ? who->public_key : "");
    snprintf(face->endpoint, sizeof face->endpoint, "%s", endpoint);
    face->topics = who != NULL ? cJSON_Duplicate(who->topics, true) : NULL;
    face->scope = cJSON_Duplicate(face->topics, true);
    if (face->scope != NULL)
        cJSON_AddItemToArray(face->scope, cJSON_CreateString(SYNC_TOPIC));
    face->held = topics_create(FACE_TOPICS_MAX, is_gone);
    if (face_reopen(face, err) != RZ_OK)
        face_destroy(&face);
    return face;
}

static void close_socket(face_t *face)
{
    zmq_socket_monitor(face->xpub, NULL, 0); /* if it has one */
    zmq_close(face->xpub);
    face->xpub = NULL;
}

void face_destroy(face_t **face)
{
    if (*face == NULL)
        return;
    if ((*face)->xpub != NULL)
        close_socket(*face);
    topics_destroy(&(*face)->held);
    cJSON_Delete((*face)->topics);
    cJSON_Delete((*face)->scope);
    rz_free(*face);
    *face = NULL;
}

/* ---- subscriptions ---- */

/* To XSUB a subscription is a message: 1 or 0, then the prefix. It counts them. */
static void ask(void *xsub, bool on, rz_str_t topic)
{
    zmq_msg_t message;
    zmq_msg_init_size(&message, topic.n + 1);
    char *bytes = zmq_msg_data(&message);
    bytes[0] = on ? 1 : 0;
    if (topic.n > 0)
        memcpy(bytes + 1, topic.p, topic.n);
    if (zmq_msg_send(&message, xsub, ZMQ_DONTWAIT) < 0)
        zmq_msg_close(&message);
}

static bool begins_with(rz_str_t text, rz_str_t prefix)
{
    return text.n >= prefix.n && (prefix.n == 0 || memcmp(text.p, prefix.p, prefix.n) == 0);
}

/* Of what was asked for, as much as the scope has: who asks for everything gets all that is his. False: nothing. */
static bool ask_within(const face_t *face, void *xsub, bool on, rz_str_t topic)
{
    const cJSON *prefix;
    bool any = false;
    if (topic.n > 0 && topic.p[0] == FACE_MARK)
        return false; /* no event has such a topic; those who publish look for marks there */
    if (face->scope == NULL) {
        ask(xsub, on, topic);
        return true;
    }
    cJSON_ArrayForEach(prefix, face->scope)
    {
        rz_str_t mine = rz_str(prefix->valuestring);
        if (!begins_with(topic, mine) && !begins_with(mine, topic))
            continue;
        ask(xsub, on, topic.n > mine.n ? topic : mine);
        any = true;
    }
    return any;
}

void face_shut(face_t *face, void *xsub, int linger_ms)
{
    rz_buf_t topic = { 0 };
    for (; topics_pop(face->held, &topic); rz_buf_clear(&topic))
        ask_within(face, xsub, false, rz_buf_str(&topic));
    rz_buf_fini(&topic);
    if (face->everything)
        ask_within(face, xsub, false, RZ_STR(""));
    face->everything = false;
    set_int(face->xpub, ZMQ_LINGER, linger_ms);
    close_socket(face);
}

/* One more than is kept. So that its subscriber hears it, all that may be heard here is asked for from now on. */
static void ask_for_everything(face_t *face, void *xsub)
{
    if (face->everything)
        return;
    face->everything = true;
    ask_within(face, xsub, true, RZ_STR(""));
    rz_log_warn("events.too_many_topics", "key=%s kept=%d; from now on everything is asked for", face->name,
                FACE_TOPICS_MAX);
}

/* libzmq shows each subscription and the end of each, also when its subscriber goes: then without saying who he was. What a
 * subscriber takes back that he never had it shows as well (seen), and passed on that would silence all who have it. */
static void take(face_t *face, void *xsub, zmq_msg_t *message, face_heard_t *heard)
{
    const char *bytes = zmq_msg_data(message);
    rz_str_t topic = { bytes + 1, zmq_msg_size(message) - 1 };
    bool on = bytes[0] == 1, first;
    if (on && !topics_add(face->held, topic, holder_of(message), &first)) {
        heard->beyond++;
        ask_for_everything(face, xsub);
        return;
    }
    if (on ? !first : !topics_take(face->held, topic, holder_of(message)))
        return;
    if (!ask_within(face, xsub, on, topic) && on)
        heard->outside++;
}

static void tell_outside(face_t *face, size_t outside)
{
    uint64_t now = rz_now_ms();
    face->unlogged += outside;
    if (face->unlogged == 0 || (face->logged_ms != 0 && now - face->logged_ms < LOG_PAUSE_MS))
        return;
    rz_log_warn("events.denied", "key=%s subscriptions=%zu outside its topics", face->name, face->unlogged);
    face->logged_ms = now;
    face->unlogged = 0;
}

static void tell_malformed(face_t *face, size_t n)
{
    uint64_t before = face->malformed;
    face->malformed += n;
    if (rz_log_worth(before, face->malformed))
        rz_log_warn("events.no_subscription",
                    "key=%s count=%" PRIu64 " why=\"a subscription is 1 or 0 and a topic\"", face->name,
                    face->malformed);
}

/* To libzmq a part is a subscription by its first byte, wherever in a message it stands: it is in its tree, and asked for by
 * nobody if we pass it over. What else a peer may send goes nowhere. */
face_heard_t face_read(face_t *face, void *xsub)
{
    face_heard_t heard = { 0 };
    zmq_msg_t message;
    zmq_msg_init(&message);
    for (int k = 0; k < BURST && (heard.more = zmq_msg_recv(&message, face->xpub, ZMQ_DONTWAIT) >= 0); k++) {
        const char *bytes = zmq_msg_data(&message);
        size_t n = zmq_msg_size(&message);
        hoard_heard(face->base->hoard, GATE_EVENTS, zmq_msg_get(&message, ZMQ_SRCFD), n, 1);
        if (n > 0 && (bytes[0] == 0 || bytes[0] == 1))
            take(face, xsub, &message, &heard);
        else
            heard.malformed++;
    }
    zmq_msg_close(&message);
    tell_outside(face, heard.outside);
    tell_malformed(face, heard.malformed);
    return heard;
}

/* ---- the rest ---- */

bool face_shows(const face_t *face, rz_str_t topic)
{
    return rz_scope_covers(face->scope, topic);
}

bool face_fits(const face_t *face, const rz_allowed_t *who)
{
    return strcmp(face->name, who->name) == 0 && strcmp(face->public_key, who->public_key) == 0 &&
           rz_scope_same(face->topics, who->topics);
}

const char *face_name(const face_t *face)
{
    return face->name;
}

const char *face_endpoint(const face_t *face)
{
    return face->endpoint;
}

void *face_socket(const face_t *face)
{
    return face->xpub;
}
