/* proxy.h - events from all runners to all subscribers, in a thread of its own.
 *
 *   runners' PUB ──► XSUB (publish) ──► XPUB (events) ──► subscribers' SUB
 *   this broker ───► inproc ──┘
 *
 * Subscriptions travel the other way, up to the runners, so what nobody reads is not sent. For a subscriber that does not
 * read, at most `kept` events are kept; it loses the others and sees the gap in `seq`. libzmq counts messages, not bytes:
 * such a subscriber costs up to kept x (size of an event + 0.3 KiB), and nobody else anything. */
#pragma once

#include "base/mem.h"
#include "base/rc.h"

#define PROXY_HWM       100000 /* messages from each runner that wait here */
#define PROXY_LINGER_MS 200

typedef struct proxy proxy_t;

/* Binds both endpoints (":*" or ":0" for a free port) and starts the thread. kept: see above. NULL and err on failure. */
proxy_t *proxy_open(void *zctx, const char *publish, const char *events, int kept, rz_err_t *err);
/* Stops the thread; what subscribers have not taken within PROXY_LINGER_MS is dropped. */
void proxy_close(proxy_t **proxy);
const char *proxy_publish_endpoint(const proxy_t *proxy); /* as bound; lent */
const char *proxy_events_endpoint(const proxy_t *proxy);

/* Publishes a message of this broker. Main thread only. RZ_AGAIN: the proxy does not keep up, dropped. */
rz_rc_t proxy_send(proxy_t *proxy, rz_str_t topic, rz_str_t header, rz_str_t event);
