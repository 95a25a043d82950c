/* proxy.c - see proxy.h. The loop makes sockets and gives them away by orders; from then on they are the thread's. */
#include "proxy.h"

#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "conn.h"
#include "face.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define ENDPOINT_MAX    256
#define OWN_ENDPOINT    "inproc://broker-events"
#define ORDERS_ENDPOINT "inproc://proxy-orders"
#define BURST           1000 /* events forwarded before anything else is looked at */
#define REOPEN_MS       10
#define EVENT_PARTS     3 /* topic, header, event */
#define PART_MAX        (2 * RZ_EVENT_MAX)
#define BACKLOG         1024

/* CHANGED: another list holds. RENEW: everybody at the socket for all is sent away. ANSWER: whether all was read. */
typedef enum { ORDER_STOP, ORDER_CHANGED, ORDER_ANSWER, ORDER_RENEW, ORDER_ADD, ORDER_DROP } order_kind_t;
typedef struct {
    order_kind_t kind;
    face_t *face; /* of ADD and DROP; gives */
} order_t;

struct proxy {
    proxy_parts_t part;
    face_base_t base;
    face_t *all;

    /* the thread's, while it runs */
    void *xsub, *orders;
    face_t *shown[1 + PROXY_OWN_MAX]; /* [0] is `all` */
    size_t faces;
    bool stopping, reopening, behind; /* behind: more may wait than one turn takes */
    char publisher[GUARD_USER_MAX];   /* the key whose event was last let through, under this list */

    /* the loop's */
    void *orderer;
    void *pub; /* into xsub */
    face_t *own[PROXY_OWN_MAX];
    size_t owns;
    pthread_t thread;
    char publish[ENDPOINT_MAX], events[ENDPOINT_MAX];
    char mark[2 + RZ_UUID_LEN + 1]; /* as XSUB is told it: 1, then the topic */

    atomic_uint_fast64_t topics_denied, topics_unkept, topics_malformed, events_refused, events_malformed;
    atomic_uint_fast64_t asked, answered; /* proxy_ask_quiet() */
};

/* ---- the thread: events ---- */

/* Our own come without an address. All others have a name: without one they would not be here. */
static bool is_published_by(proxy_t *proxy, zmq_msg_t *topic)
{
    const char *user = zmq_msg_gets(topic, "User-Id");
    rz_str_t text = { zmq_msg_data(topic), zmq_msg_size(topic) };
    bool special = text.n > 0 && text.p[0] == '$';
    if (user == NULL)
        return zmq_msg_gets(topic, "Peer-Address") == NULL;
    if (!special && strcmp(user, proxy->publisher) == 0)
        return true;
    if (!guard_publishes(proxy->part.guard, user, text))
        return false;
    if (!special)
        snprintf(proxy->publisher, sizeof proxy->publisher, "%s", user);
    return true;
}

/* Takes the message. A subscriber that does not keep up loses it; libzmq never blocks here. */
static void show(void *xpub, zmq_msg_t *message, bool more)
{
    if (zmq_msg_send(message, xpub, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0)
        zmq_msg_close(message);
}

static void show_copy(void *xpub, zmq_msg_t *message, bool more)
{
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, message);
    show(xpub, &copy, more);
}

/* The sockets that an event of this topic goes to, but the one for all. */
static size_t pick_own(const proxy_t *proxy, zmq_msg_t *topic, void **out)
{
    size_t n = 0;
    rz_str_t text = { zmq_msg_data(topic), zmq_msg_size(topic) };
    for (size_t i = 1; i < proxy->faces; i++)
        if (face_shows(proxy->shown[i], text))
            out[n++] = face_socket(proxy->shown[i]);
    return n;
}

typedef struct {
    zmq_msg_t part[EVENT_PARTS];
    size_t kept, parts; /* more parts than kept: it is none */
    size_t bytes;
} event_t;

/* Reads one message to its end. False: there is none. */
static bool read_event(void *xsub, event_t *event)
{
    bool more = true;
    for (event->kept = event->parts = event->bytes = 0; more; event->parts++) {
        zmq_msg_t surplus;
        zmq_msg_t *part = event->kept < EVENT_PARTS ? &event->part[event->kept] : &surplus;
        zmq_msg_init(part);
        if (zmq_msg_recv(part, xsub, ZMQ_DONTWAIT) < 0)
            return false; /* of a part that follows it cannot be: they come together */
        more = zmq_msg_more(part) != 0;
        event->bytes += zmq_msg_size(part);
        if (part == &surplus)
            zmq_msg_close(part);
        else
            event->kept++;
    }
    return true;
}

static bool is_event(const event_t *event)
{
    size_t topic = zmq_msg_size(&event->part[0]);
    return event->parts == EVENT_PARTS && topic > 0 && topic <= FACE_TOPIC_MAX &&
           zmq_msg_size(&event->part[1]) <= PART_MAX && zmq_msg_size(&event->part[2]) <= PART_MAX;
}

static void tell_malformed(proxy_t *proxy, const event_t *event)
{
    uint64_t n = atomic_fetch_add(&proxy->events_malformed, 1) + 1;
    if (rz_log_worth(n - 1, n))
        rz_log_warn("events.malformed",
                    "parts=%zu topic_bytes=%zu count=%" PRIu64
                    " why=\"an event is %d parts, its topic 1 to %d bytes, the others at most %zu\"",
                    event->parts, zmq_msg_size(&event->part[0]), n, EVENT_PARTS, FACE_TOPIC_MAX, PART_MAX);
}

/* True: it may be shown. */
static bool judge(proxy_t *proxy, event_t *event)
{
    zmq_msg_t *topic = &event->part[0];
    hoard_heard(proxy->part.hoard, GATE_PUBLISH, zmq_msg_get(topic, ZMQ_SRCFD), event->bytes, event->parts);
    if (!is_event(event)) {
        tell_malformed(proxy, event);
        return false;
    }
    if (proxy->part.guard == NULL || is_published_by(proxy, topic))
        return true;
    atomic_fetch_add(&proxy->events_refused, 1);
    return false;
}

/* False: there is none. */
static bool forward_one(proxy_t *proxy)
{
    void *own[PROXY_OWN_MAX], *all = face_socket(proxy->all);
    event_t event;
    if (!read_event(proxy->xsub, &event))
        return false;
    bool shown = judge(proxy, &event);
    size_t owns = shown && proxy->faces > 1 ? pick_own(proxy, &event.part[0], own) : 0;
    for (size_t k = 0; k < event.kept; k++) {
        bool more = k + 1 < EVENT_PARTS;
        for (size_t i = 0; i < owns; i++)
            show_copy(own[i], &event.part[k], more);
        if (shown && all != NULL)
            show(all, &event.part[k], more);
        else
            zmq_msg_close(&event.part[k]);
    }
    return true;
}

/* A burst of them. True: more may wait. */
static bool forward(proxy_t *proxy, bool any)
{
    for (int k = 0; any && k < BURST; k++)
        any = forward_one(proxy);
    return any;
}

/* ---- the thread: subscriptions, orders ---- */

/* True: more may wait. */
static bool read_face(proxy_t *proxy, face_t *face)
{
    face_heard_t heard = face_read(face, proxy->xsub);
    atomic_fetch_add(&proxy->topics_denied, heard.outside);
    atomic_fetch_add(&proxy->topics_unkept, heard.beyond);
    atomic_fetch_add(&proxy->topics_malformed, heard.malformed);
    return heard.more;
}

static void reopen(proxy_t *proxy)
{
    rz_err_t err = { 0 };
    proxy->reopening = face_reopen(proxy->all, &err) != RZ_OK;
}

static void drop(proxy_t *proxy, face_t *face)
{
    for (size_t i = 1; i < proxy->faces; i++)
        if (proxy->shown[i] == face)
            proxy->shown[i--] = proxy->shown[--proxy->faces];
    face_shut(face, proxy->xsub, 0);
    face_destroy(&face);
}

static void obey(proxy_t *proxy, const order_t *order)
{
    switch (order->kind) {
    case ORDER_STOP:
        proxy->stopping = true;
        break;
    case ORDER_CHANGED:
        proxy->publisher[0] = '\0';
        break;
    case ORDER_ANSWER: /* subscriptions and events were looked at before orders */
        if (!proxy->behind)
            atomic_store(&proxy->answered, atomic_load(&proxy->asked));
        break;
    case ORDER_RENEW:
        if (face_socket(proxy->all) != NULL)
            face_shut(proxy->all, proxy->xsub, 0);
        reopen(proxy);
        break;
    case ORDER_ADD:
        proxy->shown[proxy->faces++] = order->face;
        break;
    case ORDER_DROP:
        drop(proxy, order->face);
        break;
    }
}

static void take_orders(proxy_t *proxy)
{
    order_t order;
    while (zmq_recv(proxy->orders, &order, sizeof order, ZMQ_DONTWAIT) == (int)sizeof order)
        obey(proxy, &order);
}

static void turn(proxy_t *proxy)
{
    zmq_pollitem_t items[2 + 1 + PROXY_OWN_MAX];
    face_t *polled[1 + PROXY_OWN_MAX];
    int n = 0;
    items[n++] = (zmq_pollitem_t){ proxy->orders, 0, ZMQ_POLLIN, 0 };
    items[n++] = (zmq_pollitem_t){ proxy->xsub, 0, ZMQ_POLLIN, 0 };
    for (size_t i = 0; i < proxy->faces; i++)
        if (face_socket(proxy->shown[i]) != NULL) {
            polled[n - 2] = proxy->shown[i];
            items[n++] = (zmq_pollitem_t){ face_socket(proxy->shown[i]), 0, ZMQ_POLLIN, 0 };
        }
    zmq_poll(items, n, proxy->reopening ? REOPEN_MS : -1);
    proxy->behind = false;
    for (int i = 2; i < n; i++)
        if (items[i].revents != 0)
            proxy->behind |= read_face(proxy, polled[i - 2]);
    proxy->behind |= forward(proxy, items[1].revents != 0);
    if (items[0].revents != 0)
        take_orders(proxy);
    if (proxy->reopening)
        reopen(proxy);
}

static void *proxy_run(void *arg)
{
    proxy_t *proxy = arg;
    while (!proxy->stopping)
        turn(proxy);
    return NULL;
}

/* ---- opening ---- */

static bool set_int(void *sock, int option, int value)
{
    return zmq_setsockopt(sock, option, &value, sizeof value) == 0;
}

static void *open_one(const proxy_t *proxy, int type, const rz_key_t *key, rz_err_t *err)
{
    void *sock = zmq_socket(proxy->part.zctx, type);
    int64_t max = RZ_FRAME_WALL * (int64_t)PART_MAX;
    if (sock != NULL && set_int(sock, ZMQ_LINGER, PROXY_LINGER_MS) && set_int(sock, ZMQ_SNDHWM, PROXY_HWM) &&
        set_int(sock, ZMQ_RCVHWM, PROXY_HWM) && set_int(sock, ZMQ_TCP_KEEPALIVE, 1) &&
        set_int(sock, ZMQ_BACKLOG, BACKLOG) && set_int(sock, ZMQ_HANDSHAKE_IVL, PROXY_HANDSHAKE_MS) &&
        zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &max, sizeof max) == 0 &&
        rz_key_apply(key, gate_name(GATE_PUBLISH), sock, err) == RZ_OK)
        return sock;
    rz_fail_sys(err, errno, "opening a socket of the event proxy");
    if (sock != NULL)
        zmq_close(sock);
    return NULL;
}

static bool bind_one(void *sock, const char *endpoint, char bound[ENDPOINT_MAX], rz_err_t *err)
{
    size_t size = ENDPOINT_MAX;
    if (zmq_bind(sock, endpoint) == 0 && zmq_getsockopt(sock, ZMQ_LAST_ENDPOINT, bound, &size) == 0)
        return true;
    rz_fail_sys(err, errno, "bind %s", endpoint);
    return false;
}

/* Before anybody connects: to each new peer libzmq sends what is asked for, in the order of its tree (xsub.cpp, trie.cpp).
 * Topics are of ids or begin with '$', so all that can be heard sorts before '~'. */
static bool ask_for_mark(proxy_t *proxy)
{
    char id[RZ_UUID_LEN + 1];
    rz_uuid_new(id);
    snprintf(proxy->mark, sizeof proxy->mark, "\001%c%s", FACE_MARK, id);
    return zmq_send(proxy->xsub, proxy->mark, strlen(proxy->mark), ZMQ_DONTWAIT) >= 0;
}

/* What is not TCP takes no key. */
static bool open_all(proxy_t *proxy, rz_err_t *err)
{
    char unused[ENDPOINT_MAX];
    const proxy_parts_t *part = &proxy->part;
    return (proxy->xsub = open_one(proxy, ZMQ_XSUB, part->key, err)) != NULL &&
           (proxy->orders = open_one(proxy, ZMQ_PAIR, NULL, err)) != NULL &&
           (proxy->orderer = open_one(proxy, ZMQ_PAIR, NULL, err)) != NULL &&
           (proxy->pub = open_one(proxy, ZMQ_PUB, NULL, err)) != NULL && ask_for_mark(proxy) &&
           bind_one(proxy->xsub, part->publish, proxy->publish, err) &&
           (proxy->all = face_open(&proxy->base, part->events, NULL, err)) != NULL &&
           bind_one(proxy->xsub, OWN_ENDPOINT, unused, err) &&
           bind_one(proxy->orders, ORDERS_ENDPOINT, unused, err) &&
           zmq_connect(proxy->orderer, ORDERS_ENDPOINT) == 0 && zmq_connect(proxy->pub, OWN_ENDPOINT) == 0;
}

static void close_all(proxy_t *proxy)
{
    for (size_t i = 0; i < proxy->owns; i++)
        face_destroy(&proxy->own[i]);
    face_destroy(&proxy->all);
    if (proxy->xsub != NULL)
        zmq_socket_monitor(proxy->xsub, NULL, 0);
    void *socks[] = { proxy->pub, proxy->orderer, proxy->orders, proxy->xsub };
    for (size_t i = 0; i < sizeof socks / sizeof *socks; i++)
        if (socks[i] != NULL)
            zmq_close(socks[i]);
}

/* Signals are the main thread's. */
static int start_thread(proxy_t *proxy)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&proxy->thread, NULL, proxy_run, proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

proxy_t *proxy_open(const proxy_parts_t *parts, rz_err_t *err)
{
    proxy_t *proxy = rz_alloc(sizeof *proxy);
    proxy->part = *parts;
    proxy->base =
        (face_base_t){ .zctx = parts->zctx, .kept = parts->kept, .key = parts->key, .hoard = parts->hoard };
    if (!open_all(proxy, err))
        goto undo;
    if (parts->greetings != NULL &&
        (greetings_watch(parts->greetings, GATE_PUBLISH, proxy->xsub, err) != RZ_OK ||
         greetings_watch(parts->greetings, GATE_EVENTS, face_socket(proxy->all), err) != RZ_OK))
        goto undo;
    proxy->shown[proxy->faces++] = proxy->all;
    snprintf(proxy->events, sizeof proxy->events, "%s", face_endpoint(proxy->all));
    int rc = start_thread(proxy);
    if (rc == 0) {
        if (parts->guard != NULL)
            proxy_allow_changed(proxy);
        return proxy;
    }
    rz_fail_sys(err, rc, "starting the event proxy");
undo:
    close_all(proxy);
    rz_free(proxy);
    return NULL;
}

static void give_order(proxy_t *proxy, order_kind_t kind, face_t *face)
{
    const order_t order = { kind, face };
    zmq_send(proxy->orderer, &order, sizeof order, 0);
}

void proxy_close(proxy_t **proxy_ref)
{
    proxy_t *proxy = *proxy_ref;
    if (proxy == NULL)
        return;
    *proxy_ref = NULL;
    give_order(proxy, ORDER_STOP, NULL);
    pthread_join(proxy->thread, NULL);
    close_all(proxy);
    rz_free(proxy);
}

/* ---- sockets of single keys ---- */

/* "tcp://host:7420" and 3 -> "tcp://host:7423"; beside `events`: the same host, any port, or a path with the name. */
static void own_endpoint(const proxy_t *proxy, const rz_allowed_t *who, unsigned step, char out[ENDPOINT_MAX])
{
    const char *base = *proxy->part.own != '\0' ? proxy->part.own : proxy->events;
    const char *colon = strrchr(base, ':');
    if (strncmp(base, "tcp://", 6) != 0)
        snprintf(out, ENDPOINT_MAX, "%.120s.%s", base, who->name);
    else if (base == proxy->events || strcmp(colon, ":*") == 0)
        snprintf(out, ENDPOINT_MAX, "%.*s:*", (int)(colon - base), base);
    else
        snprintf(out, ENDPOINT_MAX, "%.*s:%lu", (int)(colon - base), base,
                 strtoul(colon + 1, NULL, 10) + step);
}

static void add_own(proxy_t *proxy, const rz_allowed_t *who)
{
    char endpoint[ENDPOINT_MAX];
    rz_err_t err = { 0 };
    face_t *face = NULL;
    unsigned steps = *proxy->part.own != '\0' ? PROXY_OWN_MAX : 1;
    for (unsigned step = 0; face == NULL && step < steps; step++) {
        err = (rz_err_t){ 0 };
        own_endpoint(proxy, who, step, endpoint);
        face = face_open(&proxy->base, endpoint, who, &err);
    }
    if (face == NULL) {
        rz_log_error("events.own", "key=%s hears nothing: %s", who->name, err.text);
        return;
    }
    rz_log_info("events.own", "key=%s endpoint=%s", who->name, face_endpoint(face));
    proxy->own[proxy->owns++] = face;
    give_order(proxy, ORDER_ADD, face);
}

static face_t *find_own(const proxy_t *proxy, const char *name)
{
    for (size_t i = 0; i < proxy->owns; i++)
        if (strcmp(face_name(proxy->own[i]), name) == 0)
            return proxy->own[i];
    return NULL;
}

/* Those go whose key is not what it was. */
static void drop_own(proxy_t *proxy, const rz_allowed_t **scoped, size_t n)
{
    for (size_t i = proxy->owns; i-- > 0;) {
        bool stays = false;
        for (size_t k = 0; k < n && !stays; k++)
            stays = face_fits(proxy->own[i], scoped[k]);
        if (stays)
            continue;
        give_order(proxy, ORDER_DROP, proxy->own[i]);
        proxy->own[i] = proxy->own[--proxy->owns];
    }
}

void proxy_allow_changed(proxy_t *proxy)
{
    const rz_allowed_t *scoped[PROXY_OWN_MAX];
    size_t n = guard_scoped(proxy->part.guard, scoped, PROXY_OWN_MAX);
    give_order(proxy, ORDER_CHANGED, NULL);
    drop_own(proxy, scoped, n);
    for (size_t i = 0; i < n; i++)
        if (find_own(proxy, scoped[i]->name) == NULL && proxy->owns < PROXY_OWN_MAX)
            add_own(proxy, scoped[i]);
    if (guard_events_stale(proxy->part.guard)) {
        rz_log_info("events.renewed", "a key that could hear events is revoked: everybody connects anew");
        give_order(proxy, ORDER_RENEW, NULL);
    }
}

/* ---- the rest ---- */

const char *proxy_publish_endpoint(const proxy_t *proxy)
{
    return proxy->publish;
}

const char *proxy_events_endpoint(const proxy_t *proxy)
{
    return proxy->events;
}

const char *proxy_mark(const proxy_t *proxy)
{
    return proxy->mark + 1;
}

const char *proxy_events_of(const proxy_t *proxy, const rz_allowed_t *who)
{
    const face_t *face = who != NULL && who->topics != NULL ? find_own(proxy, who->name) : NULL;
    return face != NULL ? face_endpoint(face) : proxy->events;
}

void proxy_ask_quiet(proxy_t *proxy)
{
    atomic_fetch_add(&proxy->asked, 1);
    give_order(proxy, ORDER_ANSWER, NULL);
}

bool proxy_is_quiet(const proxy_t *proxy)
{
    return atomic_load(&proxy->answered) == atomic_load(&proxy->asked);
}

bool proxy_hears_by(const proxy_t *proxy, int fd)
{
    bool hears = conn_came_to(fd, proxy->events);
    for (size_t i = 0; i < proxy->owns && !hears; i++)
        hears = conn_came_to(fd, face_endpoint(proxy->own[i]));
    return hears;
}

rz_rc_t proxy_send(proxy_t *proxy, rz_str_t topic, rz_str_t header, rz_str_t event)
{
    rz_str_t part[] = { topic, header, event };
    for (size_t i = 0; i < 3; i++)
        if (zmq_send(proxy->pub, part[i].p, part[i].n, ZMQ_DONTWAIT | (i < 2 ? ZMQ_SNDMORE : 0)) < 0)
            return RZ_AGAIN;
    return RZ_OK;
}

proxy_counts_t proxy_counts(const proxy_t *proxy)
{
    return (proxy_counts_t){ .topics_denied = atomic_load(&proxy->topics_denied),
                             .topics_unkept = atomic_load(&proxy->topics_unkept),
                             .topics_malformed = atomic_load(&proxy->topics_malformed),
                             .events_refused = atomic_load(&proxy->events_refused),
                             .events_malformed = atomic_load(&proxy->events_malformed) };
}
