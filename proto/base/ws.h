/* ws.h - WebSocket text messages on a libuv loop, client and server, over libwebsockets.
 *
 * What the house speaks: RFC 6455 over TCP, one protocol frame = one text message, no subprotocol, no
 * extension, any path (rules 3.2, 3.3).  A message is handed over whole; fragments are reassembled up to
 * max_bytes, UTF-8 is checked, a binary message is ignored and counted.  Loop thread only; callbacks come
 * from the loop and may close their connection. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct rz_ws_context rz_ws_context_t; /* one per process: libwebsockets on the loop */
typedef struct rz_ws_server rz_ws_server_t;
typedef struct rz_ws rz_ws_t; /* one connection */

/* Why a connection ended; on_close is called exactly once for each rz_ws_t that was handed out, then it is
 * gone. */
typedef enum {
    RZ_WS_CLOSED,    /* Close frame, ours or the peer's                    */
    RZ_WS_LOST,      /* EOF or reset without Close                         */
    RZ_WS_REFUSED,   /* could not connect or the handshake failed          */
    RZ_WS_TIMEOUT,   /* connect or handshake took too long                 */
    RZ_WS_TOO_LARGE, /* a message above max_bytes (closed with 1009)       */
    RZ_WS_BAD_UTF8,  /* closed with 1007                                   */
    RZ_WS_BACKLOG    /* the peer does not read: unsent bytes above the cap */
} rz_ws_end_t;
const char *rz_ws_end_name(rz_ws_end_t end); /* "lost" */

typedef struct {
    void (*on_open)(rz_ws_t *ws, void *arg);
    void (*on_text)(rz_ws_t *ws, const char *bytes, size_t len, void *arg); /* lent until it returns */
    void (*on_close)(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg);
} rz_ws_events_t;

typedef struct {
    size_t max_bytes;         /* of one received message; 0 = RZ_FRAME_MAX                        */
    size_t max_unsent;        /* bytes queued and not yet taken by the kernel; 0 = 2 x RZ_FRAME_MAX */
    uint64_t open_timeout_ms; /* connect + handshake; 0 = 5000, sensible up to 25000               */
} rz_ws_limits_t;

rz_ws_context_t *rz_ws_context_open(uv_loop_t *loop, rz_err_t *err);
/* Closes every connection (their on_close runs), then frees once libwebsockets has let go of the loop; the
 * loop must be run until it is empty. */
void rz_ws_context_close(rz_ws_context_t **context);

/* Whom to connect to; lent for the call. */
typedef struct {
    const char *host, *path;
    uint16_t port;
    const char *bearer; /* shown as `Authorization: Bearer ...`; NULL: nothing */
} rz_ws_peer_t;

/* Connects to ws://host:port/path over IPv4; a host that is a name is looked up while the loop waits. Never
 * fails at once: failure arrives as on_close. */
rz_ws_t *rz_ws_connect(rz_ws_context_t *context, const rz_ws_peer_t *peer, const rz_ws_limits_t *limits,
                       const rz_ws_events_t *events, void *arg);

/* Listens on host ("127.0.0.1") and port (0 = any). `arg` is given to on_open of each new connection;
 * rz_ws_set_arg() changes it for one.
 *
 * Before on_open nothing is heard of a connection. A browser, which says its Origin, is answered 403. A handshake may take
 * limits.open_timeout_ms; at most RZ_WS_OPENING_MAX may be under way, and then the oldest is dropped for the next: whoever
 * opens many and says nothing shuts nobody out. */
#define RZ_WS_OPENING_MAX 256
rz_ws_server_t *rz_ws_listen(rz_ws_context_t *context, const char *host, uint16_t port,
                             const rz_ws_limits_t *limits, const rz_ws_events_t *events, void *arg,
                             rz_err_t *err);
uint16_t rz_ws_server_port(const rz_ws_server_t *server);
/* At most n open connections at a time; a further one is answered 503 (0 = no limit). */
void rz_ws_server_max(rz_ws_server_t *server, unsigned n);
/* Asks about each connection before it opens: 0 lets it in, anything else is the HTTP status it is answered. bearer: the
 * token it shows, empty when it shows none; lent. */
typedef unsigned (*rz_ws_door_fn)(rz_str_t bearer, void *arg);
void rz_ws_server_guard(rz_ws_server_t *server, rz_ws_door_fn fn, void *arg);
uint64_t rz_ws_server_refused(
    const rz_ws_server_t *server);                /* answered with a status, or dropped before they opened */
void rz_ws_server_close(rz_ws_server_t **server); /* stops listening and closes its connections */

/* Queues one text message; bytes are copied. RZ_CLOSED after the end, RZ_FULL above max_unsent (the
 * connection then ends with RZ_WS_BACKLOG). */
rz_rc_t rz_ws_send(rz_ws_t *ws, const char *bytes, size_t len);
/* Sends what is queued, then Close with `code` (1000, 1001, ...); on_close follows when the peer answered or
 * after 2 s. From this call on nothing is handed over any more. */
void rz_ws_close(rz_ws_t *ws, uint16_t code);
/* Ends at once, no Close frame; on_close(RZ_WS_LOST) follows from the loop, never from inside this call. */
void rz_ws_abort(rz_ws_t *ws);
void rz_ws_set_arg(rz_ws_t *ws, void *arg);
size_t rz_ws_unsent(const rz_ws_t *ws); /* bytes of queued messages not yet written to the socket */
