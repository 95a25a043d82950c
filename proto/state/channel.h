/* channel.h - one asynchronous connection to Redis that comes back by itself; store.c and tail.c stand on it.
 *
 * Where to is told by the url, or by sentinels, asked before each attempt and every 2 s after (sentinel.h).
 *
 * A life:  connect -> on_open -> (the owner verifies, then rz_channel_settled) ... -> on_lost -> pause -> ...
 * The pause grows from 50 ms to 1 s and begins again after a settled connection. An attempt that is not
 * settled within the call time-out is lost too. Loop thread only. */
#pragma once

#include "state/store.h"

#include <hiredis/hiredis.h>

typedef struct rz_channel rz_channel_t;

typedef struct {
    void (*on_open)(void *arg);                     /* connected and authenticated as far as we asked */
    void (*on_lost)(const char *detail, void *arg); /* after every attempt that failed or broke       */
    void *arg;
} rz_channel_events_t;

/* Called exactly once per command. reply NULL: lost, the outcome is unknown. Lent until it returns. */
typedef void (*rz_channel_fn)(const redisReply *reply, void *arg);

/* Starts connecting. NULL and err only for a url that cannot be read. */
rz_channel_t *rz_channel_open(uv_loop_t *loop, const rz_store_options_t *options,
                              const rz_channel_events_t *events, rz_err_t *err);
/* False: not connected, nothing was sent and fn will not be called. */
bool rz_channel_send(rz_channel_t *channel, int argc, const char **argv, const size_t *lengths,
                     rz_channel_fn fn, void *arg);
/* Takes the content of a reply out of a rz_channel_fn, before it returns; the caller ends it with freeReplyObject(). */
redisReply *rz_reply_keep(const redisReply *reply);
void rz_channel_settled(rz_channel_t *channel);
/* Breaks the connection (on_lost follows, perhaps within this call) and comes back after the pause. */
void rz_channel_drop(rz_channel_t *channel, const char *detail);
/* With sentinels: true, and how many replicas they know of. */
bool rz_channel_replicas(const rz_channel_t *channel, unsigned *known);
/* The address from which it is connected, as text. False: it is not, or not by TCP, or from within this machine. */
bool rz_channel_local_host(const rz_channel_t *channel, char out[RZ_HOST_TEXT_MAX]);
/* Takes. Commands without a reply get their NULL, before this returns or, from inside a reply, right after
 * that reply; on_open and on_lost are not called again. */
void rz_channel_close(rz_channel_t **channel);

#define RZ_STORE_TIMEOUT_MS 5000 /* call_timeout_ms when 0 */
