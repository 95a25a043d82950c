/* sock.h - a ZeroMQ socket on a libuv loop.
 *
 * ZMQ_FD is edge-triggered and a send may swallow the edge: this module re-reads ZMQ_EVENTS from
 * a prepare/check pair, keeps the loop awake with an idle handle while messages remain, and hands at most a
 * batch of messages to on_msg per turn, so that one chatty peer cannot starve the timers.
 *
 * Every socket gets LINGER 0 unless set, TCP keepalive, ZMQ_MAXMSGSIZE, IMMEDIATE for connecting DEALER/PUSH,
 * and ROUTER_MANDATORY for ROUTER.  No ZMTP heartbeats: with a full receive queue they abort a connecting
 * SUB or DEALER of libzmq 4.3.4.  Loop thread only, and no sending from a
 * uv_prepare callback: the loop may then sleep on a message (sock.c says why). */
#pragma once

#include "base/key.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <zmq.h>

typedef struct rz_sock rz_sock_t;

/* One received message: spans into libzmq's memory, valid until the callback returns. For ROUTER part 0 is
 * the routing id. */
typedef struct {
    rz_str_t part[RZ_PARTS_MAX];
    size_t n;
    const char *user; /* who sent it, as ZAP named the key; NULL: not known, the socket is no CURVE server */
    const rz_err_t *refused; /* a frame of it is too large: RZ_TOO_LARGE, counted and logged; else NULL */
} rz_msg_t;

/* Called from the loop. May send on this or other sockets and may close this one. */
typedef void (*rz_sock_fn)(rz_sock_t *sock, const rz_msg_t *msg, void *arg);

typedef struct {
    int type;               /* ZMQ_ROUTER, ...                                                 */
    int sndhwm, rcvhwm;     /* messages; 0 = libzmq's default (1000)                            */
    int linger_ms;          /* what close waits for unsent messages                             */
    int64_t max_bytes;      /* of one frame; 0 = RZ_FRAME_MAX. Who says that his will be larger is
                               disconnected by libzmq, which tells nobody (ZMQ_MAXMSGSIZE)      */
    bool refuses;           /* but up to RZ_FRAME_WALL times that is taken, and `refused`       */
    const char *routing_id; /* DEALER: fixed id, or NULL for a random one chosen by libzmq   */
    const rz_key_t *key;    /* CURVE; NULL: in the clear. Copied by libzmq.                     */
    const char *domain;     /* of ZAP, for a broker's key                                       */
    rz_sock_fn on_msg;      /* NULL for a send-only socket (PUB, PUSH)                          */
    void *arg;
} rz_sock_options_t;

/* zctx: from zmq_ctx_new(), outlives the socket. NULL and err on failure. */
rz_sock_t *rz_sock_open(uv_loop_t *loop, void *zctx, const rz_sock_options_t *options, rz_err_t *err);
/* endpoint may end in ":*" or ":0" for a free port; rz_sock_endpoint() then tells which. */
rz_rc_t rz_sock_bind(rz_sock_t *sock, const char *endpoint, rz_err_t *err);
/* Takes no connection any more and ends those it has; what had come in is still read. */
void rz_sock_unbind(rz_sock_t *sock);
rz_rc_t rz_sock_connect(rz_sock_t *sock, const char *endpoint, rz_err_t *err);
rz_rc_t rz_sock_disconnect(rz_sock_t *sock, const char *endpoint);
const char *rz_sock_endpoint(const rz_sock_t *sock); /* of the last bind; lent */
rz_rc_t rz_sock_subscribe(rz_sock_t *sock, const char *prefix, bool on);

/* Sends n parts (at least one) as one message, never blocking; bytes are copied.  Whole or not at all:
 * RZ_AGAIN: the peer's queue is full, or there is no peer yet; nothing will call back, try again from a
 * timer. RZ_CLOSED: ROUTER, no such peer. */
rz_rc_t rz_sock_send(rz_sock_t *sock, const rz_str_t *parts, size_t n);
/* Stops calling on_msg until resumed: backpressure onto the peers. */
void rz_sock_pause(rz_sock_t *sock, bool paused);
uint64_t rz_sock_discarded(
    const rz_sock_t *sock); /* messages with more than RZ_PARTS_MAX parts, dropped and logged */
uint64_t rz_sock_refused(const rz_sock_t *sock); /* messages handed over as `refused` */
/* Calls fn with the descriptor of each message that came in (-1: it came by none), its bytes and parts, before it is handed
 * over or discarded. fn NULL: no more. */
typedef void (*rz_sock_source_fn)(int fd, size_t bytes, size_t parts, void *arg);
void rz_sock_tell_sources(rz_sock_t *sock, rz_sock_source_fn fn, void *arg);
bool rz_sock_is_quiet(rz_sock_t *sock); /* nothing that is whole waits to be read */
void *rz_sock_raw(rz_sock_t *sock);     /* the libzmq socket, for options not covered here */
void rz_sock_close(rz_sock_t **sock);   /* takes; memory goes when libuv closed its handles */
