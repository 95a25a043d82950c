/* sock.c - see sock.h.  One turn of the loop, for one socket:
 *
 *   prepare   if the socket was touched since it last did, reads ZMQ_EVENTS, the only thing that can be trusted
 *             before the loop sleeps: every call into libzmq may eat the edge that announced a message.  If
 *             messages wait, an idle handle keeps the loop from sleeping.
 *   poll      an edge on ZMQ_FD: libzmq has news.  That too is a touch: only ZMQ_EVENTS takes the edge back.
 *   check     hands over at most SOCK_BATCH messages, if prepare or poll found reason to look.
 *
 * So a turn costs a quiet socket nothing.  The remaining hole is a uv_prepare callback of somebody else that
 * sends after ours ran: sock.h forbids it. */
#include "base/sock.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define SOCK_BATCH           64  /* messages handed over per turn                             */
#define SOCK_ENDPOINT_MAX    256 /* bytes; libzmq's own bound on an ipc path is 113            */
#define KEEPALIVE_IDLE_S     10  /* a peer whose host vanished is noticed after 10 + 3 x 5 s   */
#define KEEPALIVE_COUNT      3
#define KEEPALIVE_PAUSE_S    5
#define UNACKED_MAX_MS       25000 /* and one that stops acknowledging what we sent, as soon     */
#define HANDSHAKE_MS         5000  /* a peer that does not finish its greeting is disconnected  */
#define BACKLOG              1024  /* connections that wait to be accepted                      */
#define CONNECT_RETRY_MAX_MS 1000  /* reconnection backs off from 100 ms to this                 */
#define CONNECT_MAX_MS       2000  /* for one try: the kernel's own repeats come ever more rarely */

struct rz_sock {
    void *raw; /* the libzmq socket; NULL once closed */
    int type;
    rz_sock_fn on_msg;
    void *arg;
    rz_sock_source_fn on_source;
    void *source_arg;
    bool paused;
    bool knows_users;
    bool look;            /* prepare or poll saw something: check should receive */
    bool touched;         /* libzmq was called, or has news, since prepare asked  */
    size_t refused_above; /* bytes of one frame */
    uint64_t discarded, refused;
    char endpoint[SOCK_ENDPOINT_MAX];

    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    int handles; /* not yet closed; the last one frees */
};

static int events_of(void *raw)
{
    int events = 0;
    size_t size = sizeof(events);
    zmq_getsockopt(raw, ZMQ_EVENTS, &events, &size);
    return events;
}

/* ---- receiving ---- */

/* The frames of one message.  Not zeroed: it is 9 KiB and lives for one message. */
typedef struct {
    zmq_msg_t frame[RZ_PARTS_MAX];
    size_t kept;
    size_t seen; /* more than kept: the message is too long */
    size_t bytes;
} frames_t;

static void frames_fini(frames_t *frames)
{
    for (size_t i = 0; i < frames->kept; i++)
        zmq_msg_close(&frames->frame[i]);
}

static int recv_frame(void *raw, zmq_msg_t *frame)
{
    int rc;
    do
        rc = zmq_msg_recv(frame, raw, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* Reads one message to its end, also past what is kept: what is left unread would be taken for the next one.
 * False: there is none.  libzmq shows a message only when all its frames have arrived. */
static bool frames_read(frames_t *frames, void *raw)
{
    frames->kept = frames->seen = frames->bytes = 0;
    for (;;) {
        zmq_msg_t surplus;
        bool keep = frames->kept < RZ_PARTS_MAX;
        zmq_msg_t *frame = keep ? &frames->frame[frames->kept] : &surplus;
        zmq_msg_init(frame);
        if (recv_frame(raw, frame) < 0) {
            zmq_msg_close(frame);
            return false;
        }
        bool more = zmq_msg_more(frame) != 0;
        frames->seen++;
        frames->bytes += zmq_msg_size(frame);
        if (keep)
            frames->kept++;
        else
            zmq_msg_close(frame);
        if (!more)
            return true;
    }
}

/* RZ_TOO_LARGE, or RZ_OK. */
static rz_rc_t check_sizes(rz_sock_t *sock, const frames_t *frames, const char *user, rz_err_t *err)
{
    size_t i = 0, size = 0, max = sock->refused_above;
    while (i < frames->kept && (size = zmq_msg_size(&frames->frame[i])) <= max)
        i++;
    if (i == frames->kept)
        return RZ_OK;
    sock->refused++;
    rz_log_warn("sock.frame_too_large", "endpoint=%s user=\"%s\" bytes=%zu max=%zu refused=%" PRIu64,
                sock->endpoint, user != NULL ? user : "-", size, max, sock->refused);
    return rz_fail(err, RZ_TOO_LARGE, "a frame has at most %zu bytes, this one has %zu", max, size);
}

static void deliver(rz_sock_t *sock, frames_t *frames)
{
    rz_err_t err = { 0 };
    rz_msg_t msg;
    msg.n = frames->kept;
    /* of the last part: a ROUTER's first is its own, and does not always have the properties of the others */
    msg.user = sock->knows_users ? zmq_msg_gets(&frames->frame[frames->kept - 1], "User-Id") : NULL;
    for (size_t i = 0; i < frames->kept; i++)
        msg.part[i] = (rz_str_t){ zmq_msg_data(&frames->frame[i]), zmq_msg_size(&frames->frame[i]) };
    msg.refused = check_sizes(sock, frames, msg.user, &err) != RZ_OK ? &err : NULL;
    sock->on_msg(sock, &msg, sock->arg);
}

static void discard(rz_sock_t *sock, const frames_t *frames)
{
    sock->discarded++;
    rz_log_warn("sock.too_many_parts", "endpoint=%s parts=%zu max=%d discarded=%" PRIu64, sock->endpoint,
                frames->seen, RZ_PARTS_MAX, sock->discarded);
}

/* on_msg may pause or close its socket: both are looked at before every message. */
static bool hears(const rz_sock_t *sock)
{
    return sock->raw != NULL && sock->on_msg != NULL && !sock->paused;
}

static bool pump_one(rz_sock_t *sock)
{
    frames_t frames;
    bool whole = frames_read(&frames, sock->raw);
    if (whole && sock->on_source != NULL)
        sock->on_source(zmq_msg_get(&frames.frame[frames.kept - 1], ZMQ_SRCFD), frames.bytes, frames.seen,
                        sock->source_arg);
    if (whole && frames.seen == frames.kept)
        deliver(sock, &frames);
    else if (whole)
        discard(sock, &frames);
    frames_fini(&frames);
    return whole;
}

/* ---- the loop's side ---- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is what matters: the loop does not sleep */
}

static void on_prepare(uv_prepare_t *prepare)
{
    rz_sock_t *sock = prepare->data;
    if (!sock->touched)
        return;
    sock->touched = false;
    int events = events_of(sock->raw);
    sock->look = hears(sock) && (events & ZMQ_POLLIN) != 0;
    if (sock->look)
        uv_idle_start(&sock->idle, on_idle);
    else
        uv_idle_stop(&sock->idle);
}

static void on_edge(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    rz_sock_t *sock = poll->data;
    sock->look = sock->touched = true;
}

static void on_check(uv_check_t *check)
{
    rz_sock_t *sock = check->data;
    if (!sock->look)
        return;
    sock->look = false;
    sock->touched = true;
    for (int n = 0; n < SOCK_BATCH && hears(sock); n++)
        if (!pump_one(sock))
            return;
}

static void on_handle_closed(uv_handle_t *handle)
{
    rz_sock_t *sock = handle->data;
    if (--sock->handles == 0)
        rz_free(sock);
}

static void close_handle(rz_sock_t *sock, uv_handle_t *handle)
{
    handle->data = sock;
    uv_close(handle, on_handle_closed);
}

/* ---- opening ---- */

static bool set_int(void *raw, int option, int value)
{
    return zmq_setsockopt(raw, option, &value, sizeof(value)) == 0;
}

static int64_t frame_max(const rz_sock_options_t *options)
{
    return options->max_bytes > 0 ? options->max_bytes : (int64_t)RZ_FRAME_MAX;
}

static bool set_limits(void *raw, const rz_sock_options_t *options)
{
    int64_t wall = frame_max(options) * (options->refuses ? RZ_FRAME_WALL : 1);
    return zmq_setsockopt(raw, ZMQ_MAXMSGSIZE, &wall, sizeof(wall)) == 0 &&
           set_int(raw, ZMQ_LINGER, options->linger_ms) &&
           (options->sndhwm == 0 || set_int(raw, ZMQ_SNDHWM, options->sndhwm)) &&
           (options->rcvhwm == 0 || set_int(raw, ZMQ_RCVHWM, options->rcvhwm));
}

static bool set_liveness(void *raw)
{
    return set_int(raw, ZMQ_TCP_KEEPALIVE, 1) && set_int(raw, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S) &&
           set_int(raw, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT) &&
           set_int(raw, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_PAUSE_S) &&
           set_int(raw, ZMQ_TCP_MAXRT, UNACKED_MAX_MS) &&
           set_int(raw, ZMQ_RECONNECT_IVL_MAX, CONNECT_RETRY_MAX_MS) &&
           set_int(raw, ZMQ_CONNECT_TIMEOUT, CONNECT_MAX_MS) &&
           set_int(raw, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) && set_int(raw, ZMQ_BACKLOG, BACKLOG);
}

/* IMMEDIATE: without it a connecting socket queues for a peer that may never come. */
static bool set_kind(void *raw, const rz_sock_options_t *options)
{
    const char *id = options->routing_id;
    if (id != NULL && zmq_setsockopt(raw, ZMQ_ROUTING_ID, id, rz_str(id).n) != 0)
        return false;
    switch (options->type) {
    case ZMQ_ROUTER:
        return set_int(raw, ZMQ_ROUTER_MANDATORY, 1);
    case ZMQ_DEALER:
    case ZMQ_PUSH:
        return set_int(raw, ZMQ_IMMEDIATE, 1);
    default:
        return true;
    }
}

static int watch(rz_sock_t *sock, uv_loop_t *loop)
{
    int fd = -1;
    size_t size = sizeof(fd);
    if (zmq_getsockopt(sock->raw, ZMQ_FD, &fd, &size) != 0)
        return errno;
    int rc = uv_poll_init(loop, &sock->poll, fd);
    if (rc != 0)
        return -rc;
    uv_prepare_init(loop, &sock->prepare);
    uv_check_init(loop, &sock->check);
    uv_idle_init(loop, &sock->idle);
    sock->handles = 4;
    sock->poll.data = sock->prepare.data = sock->check.data = sock->idle.data = sock;
    uv_poll_start(&sock->poll, UV_READABLE, on_edge);
    uv_prepare_start(&sock->prepare, on_prepare);
    uv_check_start(&sock->check, on_check);
    return 0;
}

rz_sock_t *rz_sock_open(uv_loop_t *loop, void *zctx, const rz_sock_options_t *options, rz_err_t *err)
{
    void *raw = zmq_socket(zctx, options->type);
    if (raw == NULL) {
        rz_fail_sys(err, errno, "zmq_socket of type %d", options->type);
        return NULL;
    }
    rz_sock_t *sock = rz_alloc(sizeof(*sock));
    sock->raw = raw;
    sock->type = options->type;
    sock->on_msg = options->on_msg;
    sock->arg = options->arg;
    sock->refused_above = options->refuses ? (size_t)frame_max(options) : SIZE_MAX;
    sock->touched = true;
    /* in the clear the peer could name itself: properties of its own greeting are shown the same way */
    sock->knows_users = rz_key_is_set(options->key) && options->key->role == RZ_KEY_BROKER;
    if (rz_key_apply(options->key, options->domain, raw, err) != RZ_OK)
        goto undo_socket;
    if (!set_limits(raw, options) || !set_liveness(raw) || !set_kind(raw, options)) {
        rz_fail_sys(err, errno, "options of a ZeroMQ socket of type %d", options->type);
        goto undo_socket;
    }
    int sys = watch(sock, loop);
    if (sys != 0) {
        rz_fail_sys(err, sys, "watching a ZeroMQ socket of type %d", options->type);
        goto undo_socket;
    }
    return sock;
undo_socket:
    zmq_close(raw);
    rz_free(sock);
    return NULL;
}

/* libuv forgets the descriptor inside uv_close(), so libzmq may close it right after: an address is free
 * again, and zmq_ctx_term() possible, without another turn of the loop. */
void rz_sock_close(rz_sock_t **sock_ref)
{
    rz_sock_t *sock = *sock_ref;
    if (sock == NULL)
        return;
    *sock_ref = NULL;
    close_handle(sock, (uv_handle_t *)&sock->poll);
    close_handle(sock, (uv_handle_t *)&sock->prepare);
    close_handle(sock, (uv_handle_t *)&sock->check);
    close_handle(sock, (uv_handle_t *)&sock->idle);
    zmq_close(sock->raw);
    sock->raw = NULL;
}

/* ---- verbs ---- */

rz_rc_t rz_sock_bind(rz_sock_t *sock, const char *endpoint, rz_err_t *err)
{
    sock->touched = true;
    if (zmq_bind(sock->raw, endpoint) != 0)
        return rz_fail_sys(err, errno, "bind %s", endpoint);
    size_t size = sizeof(sock->endpoint);
    if (zmq_getsockopt(sock->raw, ZMQ_LAST_ENDPOINT, sock->endpoint, &size) != 0)
        return rz_fail_sys(err, errno, "bound address of %s", endpoint);
    return RZ_OK;
}

rz_rc_t rz_sock_connect(rz_sock_t *sock, const char *endpoint, rz_err_t *err)
{
    sock->touched = true;
    if (zmq_connect(sock->raw, endpoint) != 0)
        return rz_fail_sys(err, errno, "connect %s", endpoint);
    return RZ_OK;
}

void rz_sock_unbind(rz_sock_t *sock)
{
    sock->touched = true;
    (void)zmq_unbind(sock->raw, rz_sock_endpoint(sock));
}

rz_rc_t rz_sock_disconnect(rz_sock_t *sock, const char *endpoint)
{
    sock->touched = true;
    if (zmq_disconnect(sock->raw, endpoint) == 0)
        return RZ_OK;
    return errno == ENOENT ? RZ_NOT_FOUND : RZ_SYS;
}

/* SUB has an option for it; on XSUB a subscription is a message: 1 or 0, then the prefix. */
rz_rc_t rz_sock_subscribe(rz_sock_t *sock, const char *prefix, bool on)
{
    rz_str_t topic = rz_str(prefix);
    sock->touched = true;
    if (sock->type == ZMQ_SUB) {
        int option = on ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE;
        return zmq_setsockopt(sock->raw, option, topic.p, topic.n) == 0 ? RZ_OK : RZ_SYS;
    }
    if (sock->type != ZMQ_XSUB)
        return RZ_STATE;
    char *frame = rz_alloc(topic.n + 1);
    frame[0] = on ? 1 : 0;
    for (size_t i = 0; i < topic.n; i++)
        frame[i + 1] = topic.p[i];
    rz_str_t part = { frame, topic.n + 1 };
    rz_rc_t rc = rz_sock_send(sock, &part, 1);
    rz_free(frame);
    return rc;
}

static rz_rc_t send_failure(int sys)
{
    switch (sys) {
    case EAGAIN:
        return RZ_AGAIN;
    case EHOSTUNREACH:
    case ETERM:
        return RZ_CLOSED;
    case EFSM:
        return RZ_STATE;
    default:
        return RZ_SYS;
    }
}

static rz_rc_t send_frame(void *raw, rz_str_t part, int flags)
{
    int rc;
    do
        rc = zmq_send(raw, part.p, part.n, ZMQ_DONTWAIT | flags);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? send_failure(errno) : RZ_OK;
}

/* While sending, libzmq looks for news (a peer came, a queue drained) only about once a millisecond; so its
 * first "full" may be old.  ZMQ_EVENTS always looks. */
static rz_rc_t send_first_frame(void *raw, rz_str_t part, int flags)
{
    rz_rc_t rc = send_frame(raw, part, flags);
    if (rc != RZ_AGAIN || (events_of(raw) & ZMQ_POLLOUT) == 0)
        return rc;
    return send_frame(raw, part, flags);
}

/* A full queue shows at the first frame; there nothing has happened.  A later frame fails only when the
 * peer's pipe goes away in between: libzmq takes the earlier frames back by itself, but then swallows frames
 * up to the end of a message (lb.cpp, _dropping).  The rest is therefore offered too, or the next message
 * would vanish. */
rz_rc_t rz_sock_send(rz_sock_t *sock, const rz_str_t *parts, size_t n)
{
    assert(n > 0);
    sock->touched = true;
    rz_rc_t result = send_first_frame(sock->raw, parts[0], n > 1 ? ZMQ_SNDMORE : 0);
    if (result != RZ_OK)
        return result;
    for (size_t i = 1; i < n; i++) {
        rz_rc_t rc = send_frame(sock->raw, parts[i], i + 1 < n ? ZMQ_SNDMORE : 0);
        if (result == RZ_OK)
            result = rc;
    }
    return result;
}

/* The idle handle gives a resumed socket a turn: prepare then sees what waited and stops it if that is
 * nothing. */
void rz_sock_pause(rz_sock_t *sock, bool paused)
{
    sock->paused = paused;
    sock->touched = true;
    if (!paused)
        uv_idle_start(&sock->idle, on_idle);
}

const char *rz_sock_endpoint(const rz_sock_t *sock)
{
    return sock->endpoint;
}

uint64_t rz_sock_discarded(const rz_sock_t *sock)
{
    return sock->discarded;
}

uint64_t rz_sock_refused(const rz_sock_t *sock)
{
    return sock->refused;
}

void rz_sock_tell_sources(rz_sock_t *sock, rz_sock_source_fn fn, void *arg)
{
    sock->on_source = fn;
    sock->source_arg = arg;
}

bool rz_sock_is_quiet(rz_sock_t *sock)
{
    sock->touched = true;
    return (events_of(sock->raw) & ZMQ_POLLIN) == 0;
}

void *rz_sock_raw(rz_sock_t *sock)
{
    return sock->raw;
}
