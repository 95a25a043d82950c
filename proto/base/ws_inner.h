/* ws_inner.h - what ws.c (a connection) and ws_context.c (libwebsockets, servers, the loop) and http.c share, and nobody
 * else.
 *
 * How libwebsockets' connection (struct lws, "wsi") and ours (rz_ws_t) live and die:
 *
 *   opening --> open --> closing --> ended        any state may go straight to ended
 *
 * The wsi carries ours as its opaque user data until one of two things happens.  libwebsockets lets go of the
 * connection (CLOSED, CONNECTION_ERROR): then ours ends.  Or we let go (drop): ours ends and the wsi is told to
 * die.  Either way the last callbacks of the wsi, which come when the loop has closed its handle, find no user
 * data.  What ended is reported and freed from the next turn of the loop, so on_close never runs inside a
 * caller's rz_ws_ call, and memory is never freed under libwebsockets' feet.
 *
 * A server's connection waits in its porch (porch.h) until its request is whole, and begins when libwebsockets is given it;
 * both have our deadline and our bound. Its owner hears of it when it is open, and of no end of one that never was.
 *
 * Why it ended is whatever was blamed first; a connection that goes without blame was lost. */
#pragma once

#include "base/porch.h"
#include "base/timer.h"
#include "base/ws.h"

#include <libwebsockets.h>
#include <sys/queue.h>

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
    bool known;       /* to the owner: he connected, or had on_open */
    char *bearer;     /* of a client, until the handshake is over; secret */
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
    unsigned max, count; /* open ones */
    porch_t porch;       /* accepted, and libwebsockets has not seen them yet */
    unsigned opening;    /* it has, and they are not open yet */
    rz_ws_door_fn door;  /* NULL: open to all */
    void *door_arg;
    uint64_t refused;
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
    SLIST_HEAD(, rz_http_server) http; /* of http.c, freed as servers are */
    LIST_HEAD(, rz_ws_server) servers; /* kept until the context goes: libwebsockets may still look them up */
};

/* ---- ws.c ---- */
rz_ws_limits_t ws_complete_limits(const rz_ws_limits_t *limits); /* zeros replaced by their defaults */
rz_ws_t *ws_create(rz_ws_context_t *context, const rz_ws_limits_t *limits, const rz_ws_events_t *events,
                   void *arg);
void ws_blame(rz_ws_t *ws, rz_ws_end_t end, const char *fmt, ...) RZ_PRINTF(3, 4); /* the first blame stays */
void ws_finish(rz_ws_t *ws);                                                       /* libwebsockets let go */
void ws_drop(rz_ws_t *ws);                                                         /* we let go            */
void ws_report_end(rz_ws_t *ws);                                                   /* on_close, then frees */
/* What libwebsockets' callback does with a live connection; the result is the callback's. */
void ws_drop_bearer(rz_ws_t *ws);
int ws_on_open(rz_ws_t *ws, struct lws *wsi);
int ws_on_piece(rz_ws_t *ws, const char *bytes, size_t len);
int ws_on_writable(rz_ws_t *ws);
int ws_on_peer_close(rz_ws_t *ws, const unsigned char *payload, size_t len);

/* ---- ws_context.c ---- */
/* LWS_CALLBACK_FILTER_NETWORK_CONNECTION: the connection waits in the porch. The result is the callback's. */
int ws_to_porch(porch_t *porch, const void *fd);
void ws_server_count_end(rz_ws_t *ws);          /* one of its connections is about to end */
void ws_context_wake(rz_ws_context_t *context); /* something ended: report it in the next turn of the loop */
struct lws_context_creation_info ws_vhost_info(void);
bool ws_listens_on(const rz_ws_context_t *context, uint16_t port); /* port 0: no */

/* ---- http.c ---- */
bool http_listens_on(const rz_ws_context_t *context, uint16_t port);
void http_close_all(rz_ws_context_t *context);
void http_free_all(rz_ws_context_t *context);
