/* proxy.h - events from all runners to all subscribers, in a thread of its own.
 *
 *   runners' XPUB ─► XSUB (publish) ──┬─► XPUB (events) ──► subscribers' SUB
 *   this broker ───► inproc ──┘       └─► XPUB of one key, limited to its topics ──► its SUB
 *
 * Subscriptions travel the other way, up to the runners, so what nobody reads is not sent. A runner that links up gets all
 * of them at once, sorted, and behind them the mark, which is in the welcome: whoever sees it knows that he is heard.
 *
 * For a subscriber that does not read, at most `kept` events are kept; it loses the others and sees the gap in `seq`.
 * libzmq counts messages, not bytes: such a subscriber costs up to kept x (size of an event + 0.3 KiB), and nobody else
 * anything.
 *
 * An event is three parts with a topic; whatever else is published goes nowhere, counted and logged.
 *
 * With keys, what a runner publishes is looked at by its key: nothing passes of one that is off the list, nor what a
 * runner has no business to say ($sys/...). Each key that is limited to topics has a socket of its own (face.h). A change
 * of the list sends those away who may not be there any more: a key's own socket is closed; at the one for all, everybody
 * is sent away once and comes back who may. */
#pragma once

#include "greetings.h"
#include "hoard.h"

#define PROXY_HWM          100000 /* messages from each runner that wait here */
#define PROXY_LINGER_MS    200
#define PROXY_HANDSHAKE_MS 5000 /* a peer that has not greeted by then is disconnected */
#define PROXY_OWN_MAX      256  /* keys with a socket of their own */

typedef struct proxy proxy_t;

typedef struct {
    void *zctx;
    const char *publish, *events; /* where to bind; ":*" or ":0" for a free port */
    const char *
        own; /* where the sockets of single keys begin, a port for each; "": beside `events`, at free ports */
    int kept;               /* see above */
    const rz_key_t *key;    /* zero: in the clear */
    guard_t *guard;         /* NULL: keys are not in use */
    greetings_t *greetings; /* the same */
    hoard_t *hoard;         /* is told, from the thread, what came in */
} proxy_parts_t;

/* Binds all endpoints and starts the thread. Texts and key are lent for its life. NULL and err on failure. */
proxy_t *proxy_open(const proxy_parts_t *parts, rz_err_t *err);
/* Stops the thread; what subscribers have not taken within PROXY_LINGER_MS is dropped. */
void proxy_close(proxy_t **proxy);
const char *proxy_publish_endpoint(const proxy_t *proxy); /* as bound; lent */
const char *proxy_events_endpoint(const proxy_t *proxy);
/* A subscription that sorts behind all topics there are, of this life of the broker alone. */
const char *proxy_mark(const proxy_t *proxy);
/* Where this key hears events: at its own socket, or at the one for all. Lent until the next proxy_allow_changed(). */
const char *proxy_events_of(const proxy_t *proxy, const rz_allowed_t *who);

/* Another allow list holds. Loop thread. */
void proxy_allow_changed(proxy_t *proxy);

/* Asks the thread whether all that is whole now has been read; proxy_is_quiet() is true when it has said so. Loop thread. */
void proxy_ask_quiet(proxy_t *proxy);
bool proxy_is_quiet(const proxy_t *proxy);
/* Whether events are heard by this connection, by all or by one key. Loop thread. */
bool proxy_hears_by(const proxy_t *proxy, int fd);

/* Publishes a message of this broker. Main thread only. RZ_AGAIN: the proxy does not keep up, dropped. */
rz_rc_t proxy_send(proxy_t *proxy, rz_str_t topic, rz_str_t header, rz_str_t event);

/* Since the start; what each counts says counters.h. Any thread. */
typedef struct {
    uint64_t topics_denied, topics_unkept, topics_malformed, events_refused, events_malformed;
} proxy_counts_t;
proxy_counts_t proxy_counts(const proxy_t *proxy);
