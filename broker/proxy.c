/* proxy.c - see proxy.h. */
#include "proxy.h"

#include "base/limits.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <zmq.h>

#define ENDPOINT_MAX  256
#define OWN_ENDPOINT  "inproc://broker-events"
#define STOP_ENDPOINT "inproc://proxy-stop"

struct proxy {
    void *xsub, *xpub; /* the thread's, while it runs */
    void *orders;      /* the thread's end of the PAIR */
    void *stop;        /* ours */
    void *pub;         /* ours, into xsub */
    pthread_t thread;
    char publish[ENDPOINT_MAX], events[ENDPOINT_MAX];
};

static void *proxy_run(void *arg)
{
    proxy_t *proxy = arg;
    zmq_proxy_steerable(proxy->xsub, proxy->xpub, NULL, proxy->orders);
    return NULL;
}

static bool set_int(void *sock, int option, int value)
{
    return zmq_setsockopt(sock, option, &value, sizeof value) == 0;
}

static void *open_one(void *zctx, int type, rz_err_t *err)
{
    void *sock = zmq_socket(zctx, type);
    int64_t max = 2 * (int64_t)RZ_EVENT_MAX;
    if (sock != NULL && set_int(sock, ZMQ_LINGER, PROXY_LINGER_MS) && set_int(sock, ZMQ_SNDHWM, PROXY_HWM) &&
        set_int(sock, ZMQ_RCVHWM, PROXY_HWM) && set_int(sock, ZMQ_TCP_KEEPALIVE, 1) &&
        zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &max, sizeof max) == 0)
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

static bool open_all(proxy_t *proxy, void *zctx, const char *publish, const char *events, int kept,
                     rz_err_t *err)
{
    char unused[ENDPOINT_MAX];
    return (proxy->xsub = open_one(zctx, ZMQ_XSUB, err)) != NULL &&
           (proxy->xpub = open_one(zctx, ZMQ_XPUB, err)) != NULL && set_int(proxy->xpub, ZMQ_SNDHWM, kept) &&
           (proxy->orders = open_one(zctx, ZMQ_PAIR, err)) != NULL &&
           (proxy->stop = open_one(zctx, ZMQ_PAIR, err)) != NULL &&
           (proxy->pub = open_one(zctx, ZMQ_PUB, err)) != NULL &&
           bind_one(proxy->xsub, publish, proxy->publish, err) &&
           bind_one(proxy->xpub, events, proxy->events, err) &&
           bind_one(proxy->xsub, OWN_ENDPOINT, unused, err) &&
           bind_one(proxy->orders, STOP_ENDPOINT, unused, err) &&
           zmq_connect(proxy->stop, STOP_ENDPOINT) == 0 && zmq_connect(proxy->pub, OWN_ENDPOINT) == 0;
}

static void close_all(proxy_t *proxy)
{
    void *socks[] = { proxy->pub, proxy->stop, proxy->orders, proxy->xpub, proxy->xsub };
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

proxy_t *proxy_open(void *zctx, const char *publish, const char *events, int kept, rz_err_t *err)
{
    proxy_t *proxy = rz_alloc(sizeof *proxy);
    if (!open_all(proxy, zctx, publish, events, kept, err))
        goto undo;
    int rc = start_thread(proxy);
    if (rc == 0)
        return proxy;
    rz_fail_sys(err, rc, "starting the event proxy");
undo:
    close_all(proxy);
    rz_free(proxy);
    return NULL;
}

void proxy_close(proxy_t **proxy_ref)
{
    proxy_t *proxy = *proxy_ref;
    if (proxy == NULL)
        return;
    *proxy_ref = NULL;
    zmq_send(proxy->stop, "TERMINATE", strlen("TERMINATE"), 0);
    pthread_join(proxy->thread, NULL);
    close_all(proxy);
    rz_free(proxy);
}

const char *proxy_publish_endpoint(const proxy_t *proxy)
{
    return proxy->publish;
}

const char *proxy_events_endpoint(const proxy_t *proxy)
{
    return proxy->events;
}

rz_rc_t proxy_send(proxy_t *proxy, rz_str_t topic, rz_str_t header, rz_str_t event)
{
    rz_str_t part[] = { topic, header, event };
    for (size_t i = 0; i < 3; i++)
        if (zmq_send(proxy->pub, part[i].p, part[i].n, ZMQ_DONTWAIT | (i < 2 ? ZMQ_SNDMORE : 0)) < 0)
            return RZ_AGAIN;
    return RZ_OK;
}
