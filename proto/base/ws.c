/* ws.c - see ws.h.  How libwebsockets' connection (struct lws, "wsi") and ours (rz_ws_t) live and die:
 *
 *   opening --> open --> closing --> ended        any state may go straight to ended
 *
 * The wsi carries ours as its opaque user data until one of two things happens.  libwebsockets lets go of the
 * connection (CLOSED, CONNECTION_ERROR): then ours ends.  Or we let go (drop): ours ends, the wsi is told to
 * die and its last callbacks find no user data.  What ended is reported and freed from the next turn of the
 * loop, so on_close never runs inside a caller's rz_ws_ call, and memory is never freed under libwebsockets'
 * feet.
 *
 * Why it ended is whatever was blamed first; a connection that goes without blame was lost. */
#include "base/ws.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/timer.h"
#include "base/utf8.h"

#include <assert.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/queue.h>

#define READ_BYTES       ((size_t)64 << 10)  /* one read(2), and what libwebsockets hands over at a time  */
#define WRITE_BYTES      ((size_t)1 << 20)   /* offered to one send(2)                                    */
#define KEPT_BYTES       ((size_t)256 << 10) /* reassembly memory an idle connection may keep             */
#define OPEN_TIMEOUT_MS  5000
#define CLOSE_TIMEOUT_MS 2000
#define LIBRARY_WAIT_S   30 /* libwebsockets' own limit on a handshake: ours is always shorter           */
#define CODE_TOO_LARGE   1009
#define CODE_BAD_UTF8    1007

typedef enum { WS_OPENING, WS_OPEN, WS_CLOSING, WS_ENDED } ws_state_t;

/* One queued message.  libwebsockets writes the frame header into the LWS_PRE bytes before the text. */
typedef struct message {
    STAILQ_ENTRY(message) link;
    size_t len;
    unsigned char bytes[];
} message_t;

struct rz_ws {
    rz_ws_context_t *context;
    rz_ws_server_t *server; /* NULL: we are the client */
    struct lws *wsi;        /* NULL: not yet, or let go */
    ws_state_t state;
    bool in_callback; /* libwebsockets is below us on the stack, working on this connection */
    LIST_ENTRY(rz_ws) live;
    STAILQ_ENTRY(rz_ws) ended;

    rz_ws_events_t events;
    void *arg;
    rz_ws_limits_t limits;
    rz_timer_t *deadline; /* of opening, later of closing */

    rz_buf_t incoming; /* fragments of the message being received */
    uint64_t binaries; /* ignored messages                        */

    STAILQ_HEAD(, message) queue;
    size_t unsent;       /* bytes of the queue and of in_flight                               */
    size_t in_flight;    /* bytes of the message whose rest libwebsockets holds back, or 0    */
    uint16_t close_code; /* to be sent after the queue; 0 = none                              */
    bool close_due;      /* the queue is empty: Close goes next                               */

    bool blamed;
    rz_ws_end_t end;
    char detail[160];
};

struct rz_ws_server {
    rz_ws_context_t *context;
    struct lws_vhost *vhost; /* NULL once destroyed */
    LIST_ENTRY(rz_ws_server) link;
    rz_ws_limits_t limits;
    rz_ws_events_t events;
    void *arg;
    unsigned max, count;
    bool closing;
};

typedef enum { CONTEXT_OPEN, CONTEXT_CLOSING, CONTEXT_DRAINING } context_phase_t;

struct rz_ws_context {
    uv_loop_t *loop;
    struct lws_context *lws;
    struct lws_vhost *client_vhost;
    uv_idle_t turn; /* active while something waits for the next turn of the loop */
    context_phase_t phase;
    LIST_HEAD(, rz_ws) live;
    STAILQ_HEAD(, rz_ws) ended;
    LIST_HEAD(, rz_ws_server) servers; /* kept until the context goes: libwebsockets may still look them up */
};

static int on_library_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t len);
static void on_turn(uv_idle_t *turn);

static const struct lws_protocols protocols[] = {
    { .name = "rhizome",
      .callback = on_library_event,
      .rx_buffer_size = READ_BYTES,
      .tx_packet_size = WRITE_BYTES },
    { .name = NULL },
};

const char *rz_ws_end_name(rz_ws_end_t end)
{
    static const char *const names[] = {
        [RZ_WS_CLOSED] = "closed",   [RZ_WS_LOST] = "lost",           [RZ_WS_REFUSED] = "refused",
        [RZ_WS_TIMEOUT] = "timeout", [RZ_WS_TOO_LARGE] = "too_large", [RZ_WS_BAD_UTF8] = "bad_utf8",
        [RZ_WS_BACKLOG] = "backlog",
    };
    return names[end];
}

/* ---- the end of a connection ---- */

static void blame(rz_ws_t *ws, rz_ws_end_t end, const char *fmt, ...) RZ_PRINTF(3, 4);

static void blame(rz_ws_t *ws, rz_ws_end_t end, const char *fmt, ...)
{
    if (ws->blamed)
        return;
    ws->blamed = true;
    ws->end = end;
    va_list args;
    va_start(args, fmt);
    vsnprintf(ws->detail, sizeof(ws->detail), fmt, args);
    va_end(args);
}

static void forget_queue(rz_ws_t *ws)
{
    message_t *message;
    while ((message = STAILQ_FIRST(&ws->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&ws->queue, link);
        rz_free(message);
    }
    ws->unsent = ws->in_flight = 0;
}

/* The connection is over, on whichever side of libwebsockets: on_close follows from the next turn. */
static void finish(rz_ws_t *ws)
{
    if (ws->state == WS_ENDED)
        return;
    blame(ws, RZ_WS_LOST, "the connection ended without a Close frame");
    ws->state = WS_ENDED;
    ws->wsi = NULL;
    forget_queue(ws);
    rz_timer_close(&ws->deadline);
    LIST_REMOVE(ws, live);
    if (ws->server != NULL)
        ws->server->count--;
    STAILQ_INSERT_TAIL(&ws->context->ended, ws, ended);
    uv_idle_start(&ws->context->turn, on_turn);
}

/* Lets go of the wsi and makes it die.  Inside a callback of its own, libwebsockets does that when it is told
 * -1. */
static void drop(rz_ws_t *ws)
{
    struct lws *wsi = ws->wsi;
    finish(ws);
    if (wsi == NULL)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    if (!ws->in_callback)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* A close reason and -1 is libwebsockets' way to close, but not from a writable callback: there -1 means that
 * the write failed, and the connection is cut without a Close (seen).  So it is done from the timer. */
static void close_outside(rz_ws_t *ws)
{
    ws->close_due = true;
    rz_timer_start(ws->deadline, 0, 0);
}

/* With a close reason set, "kill" is: send Close, wait for the answer. */
static void send_close(rz_ws_t *ws)
{
    blame(ws, RZ_WS_CLOSED, "closed by us with %d", ws->close_code);
    lws_close_reason(ws->wsi, (enum lws_close_status)ws->close_code, NULL, 0);
    ws->close_code = 0;
    ws->close_due = false;
    rz_timer_start(ws->deadline, CLOSE_TIMEOUT_MS, 0);
    lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void on_deadline(void *arg)
{
    rz_ws_t *ws = arg;
    if (ws->close_due) {
        send_close(ws);
        return;
    }
    if (ws->state == WS_OPENING)
        blame(ws, RZ_WS_TIMEOUT, "not open after %" PRIu64 " ms", ws->limits.open_timeout_ms);
    else
        blame(ws, RZ_WS_CLOSED, "the peer did not take what was queued within %d ms", CLOSE_TIMEOUT_MS);
    drop(ws);
}

/* From here nothing is handed over any more; the peer has CLOSE_TIMEOUT_MS to let the connection go. */
static void begin_closing(rz_ws_t *ws)
{
    ws->state = WS_CLOSING;
    rz_timer_start(ws->deadline, CLOSE_TIMEOUT_MS, 0);
}

static void report_end(rz_ws_t *ws)
{
    ws->events.on_close(ws, ws->end, ws->detail, ws->arg);
    rz_buf_fini(&ws->incoming);
    rz_free(ws);
}

/* ---- receiving ---- */

static bool utf8_valid(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint64_t eight;
        if (len - at >= sizeof(eight)) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, bytes + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t n = (unsigned char)bytes[at] < 0x80 ? 1 : rz_utf8_char(bytes + at, len - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

/* Answers what breaks our rules with a Close frame; libwebsockets sends it when its callback returns -1. */
static int refuse(rz_ws_t *ws, uint16_t code)
{
    begin_closing(ws);
    forget_queue(ws);
    lws_close_reason(ws->wsi, (enum lws_close_status)code, NULL, 0);
    return -1;
}

static int hand_over(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (!utf8_valid(bytes, len)) {
        blame(ws, RZ_WS_BAD_UTF8, "a text message of %zu bytes is not UTF-8", len);
        return refuse(ws, CODE_BAD_UTF8);
    }
    ws->events.on_text(ws, bytes, len, ws->arg);
    return 0;
}

static void forget_incoming(rz_ws_t *ws)
{
    if (ws->incoming.cap > KEPT_BYTES)
        rz_buf_fini(&ws->incoming);
    else
        rz_buf_clear(&ws->incoming);
}

static void ignore_binary(rz_ws_t *ws)
{
    if (ws->binaries++ == 0)
        rz_log_warn("ws.binary_ignored", "role=%s only_the_first_is_logged=1",
                    ws->server != NULL ? "server" : "client");
}

/* One piece of a message: a whole frame, or what of it fitted one read.  libwebsockets knows how much of the
 * frame is still to come, so a message that will be too large is refused before it is collected. */
static int on_piece(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (ws->state != WS_OPEN)
        return 0;
    bool last = lws_is_final_fragment(ws->wsi) != 0;
    if (lws_frame_is_binary(ws->wsi)) {
        if (last)
            ignore_binary(ws);
        return 0;
    }
    size_t known = ws->incoming.len + len + lws_remaining_packet_payload(ws->wsi);
    if (known > ws->limits.max_bytes || known < len) {
        blame(ws, RZ_WS_TOO_LARGE, "a message of at least %zu bytes; the limit is %zu", known,
              ws->limits.max_bytes);
        return refuse(ws, CODE_TOO_LARGE);
    }
    if (last && ws->incoming.len == 0)
        return hand_over(ws, len > 0 ? bytes : "", len);
    rz_buf_put(&ws->incoming, bytes, len);
    if (!last)
        return 0;
    int rc = hand_over(ws, ws->incoming.data, ws->incoming.len);
    forget_incoming(ws);
    return rc;
}

/* The peer's Close; libwebsockets answers it by itself.  (The answer to ours never comes here.) */
static int on_peer_close(rz_ws_t *ws, const unsigned char *payload, size_t len)
{
    if (len >= 2)
        blame(ws, RZ_WS_CLOSED, "the peer closed with %d %.*s", payload[0] << 8 | payload[1], (int)len - 2,
              (const char *)payload + 2);
    else
        blame(ws, RZ_WS_CLOSED, "the peer closed without a code");
    forget_queue(ws);
    ws->close_code = 0;
    ws->close_due = false;
    begin_closing(ws);
    return 0;
}

/* ---- sending ---- */

static message_t *message_create(const char *bytes, size_t len)
{
    message_t *message = rz_realloc(NULL, sizeof(*message) + LWS_PRE + len);
    message->len = len;
    if (len > 0)
        memcpy(message->bytes + LWS_PRE, bytes, len);
    return message;
}

static int write_one(rz_ws_t *ws, message_t *message)
{
    STAILQ_REMOVE_HEAD(&ws->queue, link);
    size_t len = message->len;
    int written = lws_write(ws->wsi, message->bytes + LWS_PRE, len, LWS_WRITE_TEXT);
    rz_free(message); /* what the kernel did not take, libwebsockets copied */
    if (written < 0)
        return -1;
    if (lws_partial_buffered(ws->wsi))
        ws->in_flight = len;
    else
        ws->unsent -= len;
    return 0;
}

/* One write per callback (PITFALLS 13); libwebsockets calls back only after it got rid of what it held back.
 */
static int on_writable(rz_ws_t *ws)
{
    ws->unsent -= ws->in_flight;
    ws->in_flight = 0;
    message_t *message = STAILQ_FIRST(&ws->queue);
    if (message == NULL) {
        if (ws->close_code != 0)
            close_outside(ws);
        return 0;
    }
    if (write_one(ws, message) != 0)
        return -1;
    if (ws->in_flight > 0 || !STAILQ_EMPTY(&ws->queue) || ws->close_code != 0)
        lws_callback_on_writable(ws->wsi);
    return 0;
}

rz_rc_t rz_ws_send(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (ws->state > WS_OPEN)
        return RZ_CLOSED;
    if (len > ws->limits.max_unsent - ws->unsent) {
        blame(ws, RZ_WS_BACKLOG, "%zu bytes wait for the peer to read; the limit is %zu", ws->unsent + len,
              ws->limits.max_unsent);
        drop(ws);
        return RZ_FULL;
    }
    message_t *message = message_create(bytes, len);
    STAILQ_INSERT_TAIL(&ws->queue, message, link);
    ws->unsent += len;
    if (ws->state == WS_OPEN)
        lws_callback_on_writable(ws->wsi);
    return RZ_OK;
}

void rz_ws_close(rz_ws_t *ws, uint16_t code)
{
    if (ws->state == WS_OPENING) {
        blame(ws, RZ_WS_CLOSED, "closed by us before it was open");
        drop(ws);
    }
    if (ws->state != WS_OPEN)
        return;
    ws->close_code = code;
    begin_closing(ws);
    lws_callback_on_writable(ws->wsi);
}

void rz_ws_abort(rz_ws_t *ws)
{
    blame(ws, RZ_WS_LOST, "aborted by us");
    drop(ws);
}

void rz_ws_set_arg(rz_ws_t *ws, void *arg)
{
    ws->arg = arg;
}

size_t rz_ws_unsent(const rz_ws_t *ws)
{
    return ws->unsent;
}

/* ---- the beginning of a connection ---- */

static rz_ws_limits_t complete_limits(const rz_ws_limits_t *limits)
{
    rz_ws_limits_t full = limits != NULL ? *limits : (rz_ws_limits_t){ 0 };
    if (full.max_bytes == 0)
        full.max_bytes = RZ_FRAME_MAX;
    if (full.max_unsent == 0)
        full.max_unsent = 2 * RZ_FRAME_MAX;
    if (full.open_timeout_ms == 0)
        full.open_timeout_ms = OPEN_TIMEOUT_MS;
    return full;
}

static rz_ws_t *ws_create(rz_ws_context_t *context, const rz_ws_limits_t *limits,
                          const rz_ws_events_t *events, void *arg)
{
    rz_ws_t *ws = rz_alloc(sizeof(*ws));
    ws->context = context;
    ws->state = WS_OPENING;
    ws->limits = complete_limits(limits);
    ws->events = *events;
    ws->arg = arg;
    ws->deadline = rz_timer_open(context->loop, on_deadline, ws);
    STAILQ_INIT(&ws->queue);
    LIST_INSERT_HEAD(&context->live, ws, live);
    return ws;
}

static int on_open(rz_ws_t *ws, struct lws *wsi)
{
    int on = 1;
    setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ws->wsi = wsi;
    ws->state = WS_OPEN;
    rz_timer_stop(ws->deadline);
    if (!STAILQ_EMPTY(&ws->queue))
        lws_callback_on_writable(wsi);
    ws->events.on_open(ws, ws->arg);
    return 0;
}

static rz_ws_t *adopt(struct lws *wsi)
{
    rz_ws_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    rz_ws_t *ws = ws_create(server->context, &server->limits, &server->events, server->arg);
    ws->server = server;
    server->count++;
    lws_set_opaque_user_data(wsi, ws);
    return ws;
}

/* After its request line and headers, before the upgrade: the last moment for an HTTP answer. */
static int on_request(struct lws *wsi)
{
    const rz_ws_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    if (!server->closing && (server->max == 0 || server->count < server->max))
        return 0;
    lws_return_http_status(wsi, HTTP_STATUS_SERVICE_UNAVAILABLE, NULL);
    return 1;
}

/* A connect that fails at once leaves libwebsockets 4.1's poll handle in the loop, stopped and owned by
 * nobody (PITFALLS 12): connect3.c closes the descriptor itself, and the closing code then takes the wsi for
 * one that never had a handle.  Such a handle still points to the wsi, which is how it is found. */
static void free_orphan(uv_handle_t *handle)
{
    rz_free(handle); /* from malloc, as is all of libwebsockets' memory */
}

static void close_orphan(uv_handle_t *handle, void *wsi)
{
    if (handle->type == UV_POLL && handle->data == wsi && !uv_is_active(handle) && !uv_is_closing(handle))
        uv_close(handle, free_orphan);
}

static void on_connect_failed(rz_ws_t *ws, struct lws *wsi, const char *why, size_t len)
{
    const rz_ws_context_t *context = lws_context_user(lws_get_context(wsi));
    if (lws_get_socket_fd(wsi) < 0)
        uv_walk(context->loop, close_orphan, wsi);
    if (ws == NULL)
        return;
    blame(ws, RZ_WS_REFUSED, "%.*s", why != NULL ? (int)len : 16, why != NULL ? why : "cannot connect");
    finish(ws);
}

rz_ws_t *rz_ws_connect(rz_ws_context_t *context, const char *host, uint16_t port, const char *path,
                       const rz_ws_limits_t *limits, const rz_ws_events_t *events, void *arg)
{
    rz_ws_t *ws = ws_create(context, limits, events, arg);
    rz_timer_start(ws->deadline, ws->limits.open_timeout_ms, 0);
    struct lws_client_connect_info info = {
        .context = context->lws,
        .vhost = context->client_vhost,
        .address = host,
        .host = host,
        .port = port,
        .path = path,
        .local_protocol_name = protocols[0].name,
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .opaque_user_data = ws,
    };
    struct lws *wsi = lws_client_connect_via_info(&info);
    if (ws->state == WS_ENDED) /* it failed in there and said why */
        return ws;
    if (wsi == NULL) {
        blame(ws, RZ_WS_REFUSED, "cannot connect to %s", host);
        finish(ws);
    }
    ws->wsi = wsi;
    return ws;
}

/* ---- libwebsockets' one callback ---- */

static int dispatch(rz_ws_t *ws, struct lws *wsi, enum lws_callback_reasons reason, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return on_open(ws, wsi);
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_piece(ws, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(ws);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return on_peer_close(ws, in, len);
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP: /* during the handshake */
    case LWS_CALLBACK_WSI_DESTROY:        /* the last there is: nothing may refer to the wsi after it */
        if (ws->state == WS_OPENING)
            blame(ws, RZ_WS_REFUSED, "the peer ended the connection during the handshake");
        finish(ws);
        return 0;
    default:
        return 0;
    }
}

static int on_library_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t len)
{
    rz_ws_t *ws = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
    if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION)
        return on_request(wsi);
    if (reason == LWS_CALLBACK_ESTABLISHED)
        ws = adopt(wsi);
    if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR) {
        on_connect_failed(ws, wsi, in, len);
        return 0;
    }
    if (ws == NULL || ws->state == WS_ENDED)
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    ws->in_callback = true;
    int rc = dispatch(ws, wsi, reason, in, len);
    ws->in_callback = false;
    return ws->state == WS_ENDED ? -1 : rc;
}

/* ---- servers ---- */

static struct lws_context_creation_info vhost_info(void)
{
    return (struct lws_context_creation_info){
        .protocols = protocols,
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_DISABLE_IPV6 | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
        .http_proxy_address = ":0", /* none: else $http_proxy would carry our connections away */
        .connect_timeout_secs = LIBRARY_WAIT_S,
    };
}

/* libwebsockets lets a second server share the port of the first, and gives it no connection. */
static bool listens_on(const rz_ws_context_t *context, uint16_t port)
{
    const rz_ws_server_t *server;
    LIST_FOREACH(server, &context->servers, link)
    if (server->vhost != NULL && lws_get_vhost_listen_port(server->vhost) == port)
        return true;
    return false;
}

rz_ws_server_t *rz_ws_listen(rz_ws_context_t *context, const char *host, uint16_t port,
                             const rz_ws_limits_t *limits, const rz_ws_events_t *events, void *arg,
                             rz_err_t *err)
{
    rz_ws_server_t *server = rz_alloc(sizeof(*server));
    server->context = context;
    server->limits = complete_limits(limits);
    server->events = *events;
    server->arg = arg;
    struct lws_context_creation_info info = vhost_info();
    info.vhost_name = "rhizome-server";
    info.port = port;
    info.iface = host;
    info.user = server;
    server->vhost = listens_on(context, port) ? NULL : lws_create_vhost(context->lws, &info);
    if (server->vhost == NULL) {
        rz_fail(err, RZ_SYS, "cannot listen on %s:%u", host, port);
        rz_free(server);
        return NULL;
    }
    LIST_INSERT_HEAD(&context->servers, server, link);
    return server;
}

uint16_t rz_ws_server_port(const rz_ws_server_t *server)
{
    return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}

void rz_ws_server_max(rz_ws_server_t *server, unsigned n)
{
    server->max = n;
}

/* Only servers' connections, or all when server is NULL. */
static void drop_all(rz_ws_context_t *context, const rz_ws_server_t *server, const char *why)
{
    rz_ws_t *next;
    for (rz_ws_t *ws = LIST_FIRST(&context->live); ws != NULL; ws = next) {
        next = LIST_NEXT(ws, live);
        if (server != NULL && ws->server != server)
            continue;
        blame(ws, RZ_WS_CLOSED, "%s", why);
        drop(ws);
    }
}

/* The listening socket goes in the next turn: we may be inside one of its connections' callbacks. */
void rz_ws_server_close(rz_ws_server_t **server_ref)
{
    rz_ws_server_t *server = *server_ref;
    if (server == NULL)
        return;
    *server_ref = NULL;
    server->closing = true;
    drop_all(server->context, server, "the server was closed");
    uv_idle_start(&server->context->turn, on_turn);
}

static void destroy_closed_servers(rz_ws_context_t *context)
{
    rz_ws_server_t *server;
    LIST_FOREACH(server, &context->servers, link)
    if (server->closing && server->vhost != NULL) {
        lws_vhost_destroy(server->vhost);
        server->vhost = NULL;
    }
}

/* ---- the context ---- */

static void on_library_log(int level, const char *line)
{
    (void)level;
    rz_log_error("ws.library", "text=\"%.*s\"", (int)strcspn(line, "\n"), line);
}

rz_ws_context_t *rz_ws_context_open(uv_loop_t *loop, rz_err_t *err)
{
    lws_set_log_level(LLL_ERR, on_library_log);
    rz_ws_context_t *context = rz_alloc(sizeof(*context));
    context->loop = loop;
    LIST_INIT(&context->live);
    LIST_INIT(&context->servers);
    STAILQ_INIT(&context->ended);
    void *loops[1] = { loop };
    struct lws_context_creation_info info = {
        .options =
            LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6,
        .foreign_loops = loops,
        .pt_serv_buf_size = READ_BYTES,
        .timeout_secs = LIBRARY_WAIT_S,
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = context,
    };
    context->lws = lws_create_context(&info);
    if (context->lws == NULL)
        goto undo_context;
    info = vhost_info();
    info.vhost_name = "rhizome-client";
    context->client_vhost = lws_create_vhost(context->lws, &info);
    if (context->client_vhost == NULL)
        goto undo_lws;
    uv_idle_init(loop, &context->turn);
    context->turn.data = context;
    return context;
undo_lws:
    lws_context_destroy(context->lws);
undo_context:
    rz_fail(err, RZ_SYS, "libwebsockets does not start on this loop");
    rz_free(context);
    return NULL;
}

void rz_ws_context_close(rz_ws_context_t **context_ref)
{
    rz_ws_context_t *context = *context_ref;
    if (context == NULL)
        return;
    *context_ref = NULL;
    context->phase = CONTEXT_CLOSING;
    rz_ws_server_t *server;
    LIST_FOREACH(server, &context->servers, link)
    server->closing = true;
    drop_all(context, NULL, "the context was closed");
    uv_idle_start(&context->turn, on_turn);
}

static void report_ends(rz_ws_context_t *context)
{
    STAILQ_HEAD(, rz_ws) now = STAILQ_HEAD_INITIALIZER(now); /* what ends meanwhile waits for the next turn */
    rz_ws_t *ws;
    while ((ws = STAILQ_FIRST(&context->ended)) != NULL) {
        STAILQ_REMOVE_HEAD(&context->ended, ended);
        STAILQ_INSERT_TAIL(&now, ws, ended);
    }
    while ((ws = STAILQ_FIRST(&now)) != NULL) {
        STAILQ_REMOVE_HEAD(&now, ended);
        report_end(ws);
    }
}

static void count_closing(uv_handle_t *handle, void *closing)
{
    *(bool *)closing |= uv_is_closing(handle) != 0;
}

static void on_turn_closed(uv_handle_t *handle)
{
    rz_ws_context_t *context = handle->data;
    rz_ws_server_t *server;
    while ((server = LIST_FIRST(&context->servers)) != NULL) {
        LIST_REMOVE(server, link);
        rz_free(server);
    }
    rz_free(context);
}

/* libwebsockets takes itself off a foreign loop in two calls, and between them the loop must have closed
 * every handle of the first.  Which ones are its own cannot be told; none closing at all is enough. */
static void close_further(rz_ws_context_t *context)
{
    bool closing = false;
    if (context->phase == CONTEXT_CLOSING) {
        context->phase = CONTEXT_DRAINING;
        lws_context_destroy(context->lws);
        return;
    }
    uv_walk(context->loop, count_closing, &closing);
    if (closing)
        return;
    lws_context_destroy(context->lws);
    uv_close((uv_handle_t *)&context->turn, on_turn_closed);
}

static void on_turn(uv_idle_t *turn)
{
    rz_ws_context_t *context = turn->data;
    report_ends(context);
    if (context->phase == CONTEXT_OPEN)
        destroy_closed_servers(context);
    if (!STAILQ_EMPTY(&context->ended))
        return;
    if (context->phase != CONTEXT_OPEN)
        close_further(context);
    else
        uv_idle_stop(turn);
}
