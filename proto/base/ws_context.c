/* ws_context.c - see ws.h: libwebsockets on the loop, its callback, servers, and taking it all down again. */
#include "base/ws_inner.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define READ_BYTES       ((size_t)64 << 10) /* one read(2), and what libwebsockets hands over at a time  */
#define WRITE_BYTES      ((size_t)1 << 20)  /* offered to one send(2)                                    */
#define HEADER_MAX       256                /* bytes of an Authorization header */
#define LIBRARY_LINE_MAX 256
#define LIBRARY_WAIT_S   30 /* libwebsockets' own limit on a handshake: ours is always shorter           */

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

void ws_context_wake(rz_ws_context_t *context)
{
    uv_idle_start(&context->turn, on_turn);
}

/* ---- the beginning of a connection ---- */

static void count_refusal(rz_ws_server_t *server, const char *why, unsigned status)
{
    server->refused++;
    if (rz_log_worth(server->refused - 1, server->refused))
        rz_log_warn("ws.refused", "why=%s status=%u count=%" PRIu64, why, status, server->refused);
}

int ws_to_porch(porch_t *porch, const void *fd)
{
    porch_enter(porch, (int)(intptr_t)fd);
    return 1; /* libwebsockets forgets it, until its head has been judged */
}

static void on_admitted(int fd, void *arg)
{
    const rz_ws_server_t *server = arg;
    (void)lws_adopt_socket_vhost(server->vhost, fd);
}

static void on_porch_refused(const char *why, unsigned status, void *server)
{
    count_refusal(server, why, status);
}

static void drop_oldest_opening(rz_ws_server_t *server)
{
    rz_ws_t *ws, *oldest = NULL;
    LIST_FOREACH(ws, &server->context->live, live)
    if (ws->server == server && ws->state == WS_OPENING)
        oldest = ws; /* the list begins with the newest */
    count_refusal(server, "too_many_handshakes", 0);
    ws_drop(oldest);
}

static void adopt(struct lws *wsi)
{
    rz_ws_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    if (server == NULL) /* it says so of our own clients as well */
        return;
    if (server->opening == RZ_WS_OPENING_MAX)
        drop_oldest_opening(server);
    rz_ws_t *ws = ws_create(server->context, &server->limits, &server->events, server->arg);
    ws->server = server;
    ws->wsi = wsi;
    server->opening++;
    rz_timer_start(ws->deadline, ws->limits.open_timeout_ms, 0);
    lws_set_opaque_user_data(wsi, ws);
}

void ws_server_count_end(rz_ws_t *ws)
{
    if (ws->state == WS_OPENING)
        ws->server->opening--;
    else
        ws->server->count--;
}

static void count_open(rz_ws_server_t *server)
{
    server->opening--;
    server->count++;
}

/* What stands behind "Bearer"; empty when there is nothing, or too much for a token. */
static rz_str_t read_bearer(struct lws *wsi, char *out, size_t size)
{
    static const char scheme[] = "Bearer ";
    int n = lws_hdr_copy(wsi, out, (int)size, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (n < (int)sizeof scheme - 1 || strncasecmp(out, scheme, sizeof scheme - 1) != 0)
        return (rz_str_t){ "", 0 };
    return (rz_str_t){ out + sizeof scheme - 1, (size_t)n - (sizeof scheme - 1) };
}

static unsigned ask_door(const rz_ws_server_t *server, struct lws *wsi)
{
    char header[HEADER_MAX];
    if (server->door == NULL)
        return 0;
    unsigned status = server->door(read_bearer(wsi, header, sizeof header), server->door_arg);
    rz_wipe(header, sizeof header);
    return status;
}

/* After its request line and headers, before the upgrade: the last moment for an HTTP answer, and the one place where
 * libwebsockets 4.1 lets us ask for a password. */
static int on_request(struct lws *wsi)
{
    rz_ws_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    unsigned status = 0;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0) /* any page could send a browser here */
        status = HTTP_STATUS_FORBIDDEN;
    else if (server->closing || (server->max != 0 && server->count >= server->max))
        status = HTTP_STATUS_SERVICE_UNAVAILABLE;
    else
        status = ask_door(server, wsi);
    if (status == 0)
        return 0;
    count_refusal(server, "answered", status);
    lws_return_http_status(wsi, status, NULL);
    return 1;
}

/* Of a client's request. */
static int put_bearer(const rz_ws_t *ws, struct lws *wsi, unsigned char **at, size_t room)
{
    char header[HEADER_MAX];
    if (ws->bearer == NULL)
        return 0;
    int n = snprintf(header, sizeof header, "Bearer %s", ws->bearer);
    int rc = lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (const unsigned char *)header, n,
                                          at, *at + room);
    rz_wipe(header, sizeof header);
    return rc;
}

/* A connect that fails at once leaves libwebsockets 4.1's poll handle in the loop, stopped and owned by
 * nobody: connect3.c closes the descriptor itself, and the closing code then takes the wsi for
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
    ws_blame(ws, RZ_WS_REFUSED, "%.*s", why != NULL ? (int)len : 16, why != NULL ? why : "cannot connect");
    ws_finish(ws);
    lws_set_opaque_user_data(wsi, NULL);
}

rz_ws_t *rz_ws_connect(rz_ws_context_t *context, const rz_ws_peer_t *peer, const rz_ws_limits_t *limits,
                       const rz_ws_events_t *events, void *arg)
{
    rz_ws_t *ws = ws_create(context, limits, events, arg);
    ws->known = true;
    ws->bearer = rz_strdup(peer->bearer);
    rz_timer_start(ws->deadline, ws->limits.open_timeout_ms, 0);
    struct lws_client_connect_info info = {
        .context = context->lws,
        .vhost = context->client_vhost,
        .address = peer->host,
        .host = peer->host,
        .port = peer->port,
        .path = peer->path,
        .local_protocol_name = protocols[0].name,
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .opaque_user_data = ws,
    };
    struct lws *wsi = lws_client_connect_via_info(&info);
    if (ws->state == WS_ENDED) /* it failed in there and said why */
        return ws;
    if (wsi == NULL) {
        ws_blame(ws, RZ_WS_REFUSED, "cannot connect to %s", peer->host);
        ws_finish(ws);
    }
    ws->wsi = wsi;
    return ws;
}

/* ---- libwebsockets' one callback ---- */

static int dispatch(rz_ws_t *ws, struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        count_open(ws->server);
        return ws_on_open(ws, wsi);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return ws_on_open(ws, wsi);
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return put_bearer(ws, wsi, in, len);
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return ws_on_piece(ws, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return ws_on_writable(ws);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return ws_on_peer_close(ws, in, len);
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP: /* during the handshake; the next two are a client's */
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_WSI_DESTROY: /* the last there is: nothing may refer to the wsi after it */
        if (ws->state == WS_OPENING)
            ws_blame(ws, RZ_WS_REFUSED, "the peer ended the connection during the handshake");
        ws_finish(ws);
        return 0;
    default: /* of a request that is none for an upgrade, the library knows what to say */
        return ws->server != NULL && ws->state == WS_OPENING
                   ? lws_callback_http_dummy(wsi, reason, user, in, len)
                   : 0;
    }
}

static int on_library_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t len)
{
    rz_ws_t *ws = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
    if (reason == LWS_CALLBACK_FILTER_NETWORK_CONNECTION) {
        rz_ws_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
        return server->closing ? 1 : ws_to_porch(&server->porch, in);
    }
    if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION)
        return on_request(wsi);
    if (reason ==
        LWS_CALLBACK_HTTP) { /* it saw no upgrade, and would read a second head that nobody has judged */
        lws_return_http_status(wsi, HTTP_STATUS_FORBIDDEN, NULL);
        return -1;
    }
    if (reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED) {
        adopt(wsi);
        return 0;
    }
    if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR) {
        on_connect_failed(ws, wsi, in, len);
        return 0;
    }
    if (ws == NULL || ws->state == WS_ENDED)
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    ws->in_callback = true;
    int rc = dispatch(ws, wsi, reason, user, in, len);
    ws->in_callback = false;
    if (ws->state != WS_ENDED)
        return rc;
    lws_set_opaque_user_data(wsi, NULL);
    return -1;
}

/* ---- servers ---- */

struct lws_context_creation_info ws_vhost_info(void)
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
bool ws_listens_on(const rz_ws_context_t *context, uint16_t port)
{
    const rz_ws_server_t *server;
    LIST_FOREACH(server, &context->servers, link)
    if (server->vhost != NULL && lws_get_vhost_listen_port(server->vhost) == port)
        return true;
    return port != 0 && http_listens_on(context, port);
}

rz_ws_server_t *rz_ws_listen(rz_ws_context_t *context, const char *host, uint16_t port,
                             const rz_ws_limits_t *limits, const rz_ws_events_t *events, void *arg,
                             rz_err_t *err)
{
    rz_ws_server_t *server = rz_alloc(sizeof(*server));
    server->context = context;
    server->limits = ws_complete_limits(limits);
    server->events = *events;
    server->arg = arg;
    struct lws_context_creation_info info = ws_vhost_info();
    info.vhost_name = "rhizome-server";
    info.port = port;
    info.iface = host;
    info.user = server;
    server->vhost = ws_listens_on(context, port) ? NULL : lws_create_vhost(context->lws, &info);
    if (server->vhost == NULL) {
        rz_fail(err, RZ_SYS, "cannot listen on %s:%u", host, port);
        rz_free(server);
        return NULL;
    }
    porch_init(&server->porch, &(porch_rules_t){ .loop = context->loop,
                                                 .kind = RZ_HEAD_WEBSOCKET,
                                                 .max = RZ_WS_OPENING_MAX,
                                                 .timeout_ms = server->limits.open_timeout_ms,
                                                 .admit = on_admitted,
                                                 .refused = on_porch_refused,
                                                 .arg = server });
    LIST_INSERT_HEAD(&context->servers, server, link);
    return server;
}

uint16_t rz_ws_server_port(const rz_ws_server_t *server)
{
    return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}

void rz_ws_server_guard(rz_ws_server_t *server, rz_ws_door_fn fn, void *arg)
{
    server->door = fn;
    server->door_arg = arg;
}

uint64_t rz_ws_server_refused(const rz_ws_server_t *server)
{
    return server->refused;
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
        ws_blame(ws, RZ_WS_CLOSED, "%s", why);
        ws_drop(ws);
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
    porch_clear(&server->porch);
    drop_all(server->context, server, "the server was closed");
    ws_context_wake(server->context);
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

/* It says the same without end when no descriptor is left for a connection that waits. One line is kept for the process, as
 * the library has one log. */
static void on_library_log(int level, const char *line)
{
    static char last[LIBRARY_LINE_MAX];
    static uint64_t count;
    char text[LIBRARY_LINE_MAX];
    (void)level;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
    count = strcmp(text, last) == 0 ? count + 1 : 1;
    memcpy(last, text, sizeof last);
    if (rz_log_worth(count - 1, count))
        rz_log_error("ws.library", "text=\"%s\" count=%" PRIu64, text, count);
}

rz_ws_context_t *rz_ws_context_open(uv_loop_t *loop, rz_err_t *err)
{
    lws_set_log_level(LLL_ERR, on_library_log);
    rz_ws_context_t *context = rz_alloc(sizeof(*context));
    context->loop = loop;
    LIST_INIT(&context->live);
    LIST_INIT(&context->servers);
    SLIST_INIT(&context->http);
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
    info = ws_vhost_info();
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
    {
        server->closing = true;
        porch_clear(&server->porch);
    }
    http_close_all(context);
    drop_all(context, NULL, "the context was closed");
    ws_context_wake(context);
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
        ws_report_end(ws);
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
    http_free_all(context);
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
