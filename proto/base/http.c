/* http.c - see http.h. */
#include "base/http.h"

#include "base/ws_inner.h"

#include <string.h>

#define HEADERS_MAX 512
#define QUERY_MAX   256
#define HEAD_MS     5000 /* a request must be whole by then */

/* A connection, from the moment it is accepted; the wsi's opaque user data. */
typedef struct visitor {
    rz_http_server_t *server;
    struct lws *wsi;
    TAILQ_ENTRY(visitor) link;
} visitor_t;

struct rz_http_server {
    struct lws_vhost *vhost;
    porch_t porch;
    TAILQ_HEAD(, visitor) visitors; /* whose request is whole, the oldest first */
    unsigned count;
    bool closing;
    rz_http_fn fn; /* NULL once closed */
    void *arg;
    SLIST_ENTRY(rz_http_server) link;
};

static int write_head(struct lws *wsi, const rz_http_answer_t *answer)
{
    unsigned char head[LWS_PRE + HEADERS_MAX], *start = head + LWS_PRE, *at = start,
                                               *end = head + sizeof head - 1;
    static const char no_store[] = "no-store", end_of_it[] = "close";
    if (lws_add_http_common_headers(wsi, answer->status, answer->type, answer->body.len, &at, end) != 0 ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CACHE_CONTROL, (const unsigned char *)no_store,
                                     (int)sizeof no_store - 1, &at, end) != 0 ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)end_of_it,
                                     (int)sizeof end_of_it - 1, &at, end) != 0 ||
        lws_finalize_write_http_header(wsi, start, &at, end) != 0)
        return -1;
    return 0;
}

static void make_answer(struct lws *wsi, const char *path, rz_http_answer_t *out)
{
    const rz_http_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    char query[QUERY_MAX] = "";
    if (lws_hdr_copy(wsi, query, sizeof query, WSI_TOKEN_HTTP_URI_ARGS) < 0)
        query[0] = '\0';
    if (server->fn != NULL)
        server->fn(path, query, out, server->arg);
    else
        out->status = HTTP_STATUS_SERVICE_UNAVAILABLE;
}

static int write_body(struct lws *wsi, const rz_buf_t *body)
{
    unsigned char *bytes = rz_alloc(LWS_PRE + body->len + 1);
    if (body->len > 0)
        memcpy(bytes + LWS_PRE, body->data, body->len);
    int sent = lws_write(wsi, bytes + LWS_PRE, body->len, LWS_WRITE_HTTP_FINAL);
    rz_free(bytes); /* what the kernel did not take, libwebsockets copied */
    return sent;
}

/* One request, one answer: the next would come past the porch. The result ends the connection, when all of it is sent. */
static int on_request(struct lws *wsi, const char *path)
{
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <=
        0) { /* and its body, if it has one, is not waited for */
        lws_return_http_status(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED, NULL);
        return -1;
    }
    rz_http_answer_t answer = { .status = HTTP_STATUS_OK, .type = RZ_HTTP_TEXT };
    make_answer(wsi, path, &answer);
    if (write_head(wsi, &answer) == 0)
        (void)write_body(wsi, &answer.body);
    rz_buf_fini(&answer.body);
    return -1;
}

static void dismiss(struct lws *wsi)
{
    visitor_t *visitor = lws_get_opaque_user_data(wsi);
    if (visitor == NULL)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    TAILQ_REMOVE(&visitor->server->visitors, visitor, link);
    visitor->server->count--;
    rz_free(visitor);
}

static void admit(struct lws *wsi)
{
    rz_http_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    if (server->count == RZ_HTTP_CONNECTIONS_MAX) {
        struct lws *oldest = TAILQ_FIRST(&server->visitors)->wsi;
        dismiss(oldest);
        lws_set_timeout(oldest, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    }
    visitor_t *visitor = rz_alloc(sizeof *visitor);
    *visitor = (visitor_t){ .server = server, .wsi = wsi };
    TAILQ_INSERT_TAIL(&server->visitors, visitor, link);
    server->count++;
    lws_set_opaque_user_data(wsi, visitor);
}

static int receive(struct lws *wsi, const void *fd)
{
    rz_http_server_t *server = lws_vhost_user(lws_get_vhost(wsi));
    return server->closing ? 1 : ws_to_porch(&server->porch, fd);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return receive(wsi, in);
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        admit(wsi);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        dismiss(wsi);
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_request(wsi, in);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return -1; /* no upgrade to anything */
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

static const struct lws_protocols protocols[] = {
    { .name = "http", .callback = on_event },
    { .name = NULL },
};

static void on_admitted(int fd, void *arg)
{
    const rz_http_server_t *server = arg;
    (void)lws_adopt_socket_vhost(server->vhost, fd);
}

/* Whoever asks for something strange here was told so. */
static void on_refused(const char *why, unsigned status, void *server)
{
    (void)why;
    (void)status;
    (void)server;
}

rz_http_server_t *rz_http_listen(rz_ws_context_t *context, const char *host, uint16_t port, rz_http_fn fn,
                                 void *arg, rz_err_t *err)
{
    rz_http_server_t *server = rz_alloc(sizeof *server);
    server->fn = fn;
    server->arg = arg;
    TAILQ_INIT(&server->visitors);
    porch_init(&server->porch, &(porch_rules_t){ .loop = context->loop,
                                                 .kind = RZ_HEAD_PAGE,
                                                 .max = RZ_HTTP_CONNECTIONS_MAX,
                                                 .timeout_ms = HEAD_MS,
                                                 .admit = on_admitted,
                                                 .refused = on_refused,
                                                 .arg = server });
    struct lws_context_creation_info info = ws_vhost_info();
    info.protocols = protocols;
    info.vhost_name = "rhizome-http";
    info.port = port;
    info.iface = host;
    info.user = server;
    server->vhost = ws_listens_on(context, port) ? NULL : lws_create_vhost(context->lws, &info);
    if (server->vhost == NULL) {
        rz_fail(err, RZ_SYS, "cannot listen on %s:%u", host, port);
        rz_free(server);
        return NULL;
    }
    SLIST_INSERT_HEAD(&context->http, server, link);
    return server;
}

uint16_t rz_http_port(const rz_http_server_t *server)
{
    return (uint16_t)lws_get_vhost_listen_port(server->vhost);
}

void rz_http_close(rz_http_server_t **server)
{
    if (*server == NULL)
        return;
    (*server)->fn = NULL;
    *server = NULL;
}

bool http_listens_on(const rz_ws_context_t *context, uint16_t port)
{
    const rz_http_server_t *server;
    SLIST_FOREACH(server, &context->http, link)
    if (rz_http_port(server) == port)
        return true;
    return false;
}

void http_close_all(rz_ws_context_t *context)
{
    rz_http_server_t *server;
    SLIST_FOREACH(server, &context->http, link)
    {
        server->closing = true;
        porch_clear(&server->porch);
    }
}

void http_free_all(rz_ws_context_t *context)
{
    rz_http_server_t *server;
    while ((server = SLIST_FIRST(&context->http)) != NULL) {
        SLIST_REMOVE_HEAD(&context->http, link);
        rz_free(server);
    }
}
