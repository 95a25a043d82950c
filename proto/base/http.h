/* http.h - small answers over HTTP/1.1 (RFC 9112) for people, probes and scrapers: health and metrics.
 *
 * A server of the process's libwebsockets context (ws.h). GET only: another method is answered 405, an upgrade to anything
 * 403 (head.h). An answer is made at once and whole, and then the connection ends. Of RZ_HTTP_CONNECTIONS_MAX connections
 * the oldest is ended for the next: whoever opens many and says nothing shuts nobody out. Loop thread only. */
#pragma once

#include "base/ws.h"

#define RZ_HTTP_CONNECTIONS_MAX 256

#define RZ_HTTP_TEXT    "text/plain; charset=utf-8"
#define RZ_HTTP_METRICS "text/plain; version=0.0.4; charset=utf-8" /* Prometheus text format */

typedef struct rz_http_server rz_http_server_t;

typedef struct {
    unsigned status;  /* 200 when not set                       */
    const char *type; /* static; RZ_HTTP_TEXT when not set      */
    rz_buf_t body;
} rz_http_answer_t;

/* path: "/livez"; query: what follows '?', "" when nothing does. Lent. */
typedef void (*rz_http_fn)(const char *path, const char *query, rz_http_answer_t *out, void *arg);

/* host "127.0.0.1", port 0 = any free one. NULL and err when the port is taken. */
rz_http_server_t *rz_http_listen(rz_ws_context_t *context, const char *host, uint16_t port, rz_http_fn fn,
                                 void *arg, rz_err_t *err);
uint16_t rz_http_port(const rz_http_server_t *server);
/* No more answers; it goes with its context. */
void rz_http_close(rz_http_server_t **server);
