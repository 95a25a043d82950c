/* channel.c - see channel.h. hiredis calls back from four places; what may happen in each is written there.
 *
 * We join libuv ourselves rather than by adapters/libuv.h: libuv reports a refused connect as an error
 * status, which that adapter ignores, so that a refusal would be noticed by time-out only. */
#include "state/channel.h"

#include "base/timer.h"
#include "state/sentinel.h"

#include <arpa/inet.h>
#include <hiredis/async.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000
#define SEEK_MS      2000 /* between two looks whether the primary is another now */

typedef enum {
    PAUSING,    /* no context; the timer starts the next attempt           */
    SEEKING,    /* the same, while sentinels are asked where to            */
    CONNECTING, /* the timer is the deadline                               */
    CONNECTED,  /* the timer, due at once, will call on_open               */
    OPEN,       /* the owner verifies; the timer is the deadline           */
    SETTLED,    /* with sentinels the timer asks them again, else none     */
    ENDING      /* redisAsyncFree was asked for; on_gone follows           */
} channel_state_t;

struct rz_channel {
    uv_loop_t *loop;
    rz_address_t address;
    rz_channel_events_t events;
    uint64_t timeout_ms, pause_ms;
    channel_state_t state;
    redisAsyncContext *context; /* NULL while pausing */
    rz_timer_t *timer;
    rz_seeker_t *seeker; /* NULL: it is known where to */
    bool closed;
    char detail[256]; /* why the connection ends; the first reason stays */
};

/* ---- libuv ---- */
typedef struct {
    uv_poll_t handle;
    redisAsyncContext *context; /* NULL once hiredis let go */
    int events;
} watch_t;

/* An error status stops the poll; hiredis finds out what it was when it reads. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
    watch_t *watch = handle->data;
    if (status < 0)
        events = UV_READABLE;
    if (watch->context != NULL && (events & UV_READABLE) != 0)
        redisAsyncHandleRead(watch->context);
    if (watch->context != NULL && (events & UV_WRITABLE) != 0)
        redisAsyncHandleWrite(watch->context);
}

static void watch_set(watch_t *watch, int events)
{
    watch->events = events;
    if (events != 0)
        uv_poll_start(&watch->handle, events, on_poll);
    else
        uv_poll_stop(&watch->handle);
}

static void add_read(void *arg)
{
    watch_set(arg, ((watch_t *)arg)->events | UV_READABLE);
}

static void del_read(void *arg)
{
    watch_set(arg, ((watch_t *)arg)->events & ~UV_READABLE);
}

static void add_write(void *arg)
{
    watch_set(arg, ((watch_t *)arg)->events | UV_WRITABLE);
}

static void del_write(void *arg)
{
    watch_set(arg, ((watch_t *)arg)->events & ~UV_WRITABLE);
}

static void on_watch_closed(uv_handle_t *handle)
{
    rz_free(handle->data);
}

static void unwatch(void *arg)
{
    watch_t *watch = arg;
    watch->context = NULL;
    uv_close((uv_handle_t *)&watch->handle, on_watch_closed);
}

static bool attach(redisAsyncContext *context, uv_loop_t *loop)
{
    watch_t *watch = rz_alloc(sizeof(*watch));
    if (uv_poll_init(loop, &watch->handle, context->c.fd) != 0) {
        rz_free(watch);
        return false;
    }
    watch->handle.data = watch;
    watch->context = context;
    context->ev.data = watch;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = unwatch;
    return true;
}

/* ---- life ---- */
static void because(rz_channel_t *channel, const char *detail)
{
    if (channel->detail[0] == '\0' && detail != NULL)
        (void)snprintf(channel->detail, sizeof(channel->detail), "%s", detail);
}

static void channel_free(rz_channel_t *channel)
{
    rz_seeker_destroy(&channel->seeker);
    rz_address_fini(&channel->address);
    rz_free(channel);
}

/* The context is gone or about to be freed by hiredis: nothing here may touch it. */
static void lost(rz_channel_t *channel)
{
    channel->context = NULL;
    if (channel->closed) {
        channel_free(channel);
        return;
    }
    char detail[sizeof(channel->detail)];
    (void)snprintf(detail, sizeof(detail), "%s",
                   channel->detail[0] != '\0' ? channel->detail : "connection closed by redis");
    channel->detail[0] = '\0';
    channel->state = PAUSING;
    rz_timer_start(channel->timer, channel->pause_ms, 0);
    channel->pause_ms = channel->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : channel->pause_ms * 2;
    channel->events.on_lost(detail, channel->events.arg); /* last: it may close the channel */
}

/* From hiredis, inside its connect handling: the API must not be called here, so the timer goes
 * on. After an error hiredis frees the context itself. */
static void on_connect(const redisAsyncContext *context, int status)
{
    rz_channel_t *channel = context->data;
    if (status != REDIS_OK) {
        because(channel, context->errstr);
        lost(channel);
        return;
    }
    channel->state = CONNECTED;
    rz_timer_start(channel->timer, 0, 0);
}

/* From hiredis when a context that was connected ends, after every waiting command got its NULL. */
static void on_gone(const redisAsyncContext *context, int status)
{
    rz_channel_t *channel = context->data;
    if (status != REDIS_OK && context->errstr != NULL)
        because(channel, context->errstr);
    lost(channel);
}

/* Not from inside on_connect. A context that never connected ends without on_gone. */
static void end_connection(rz_channel_t *channel)
{
    bool connected = channel->state > CONNECTING;
    redisAsyncContext *context = channel->context;
    channel->state = ENDING;
    rz_timer_stop(channel->timer);
    redisAsyncFree(context);
    if (!connected)
        lost(channel);
}

static void attempt(rz_channel_t *channel)
{
    const rz_address_t *address = &channel->address;
    redisAsyncContext *context = address->path != NULL
                                     ? redisAsyncConnectUnix(address->path)
                                     : redisAsyncConnect(address->at.host, address->at.port);
    if (context == NULL || context->err != 0 || !attach(context, channel->loop)) {
        because(channel, context != NULL && context->err != 0 ? context->errstr : "cannot open a socket");
        if (context != NULL)
            redisAsyncFree(context);
        lost(channel);
        return;
    }
    context->data = channel;
    channel->context = context;
    channel->state = CONNECTING;
    rz_timer_start(channel->timer, channel->timeout_ms, 0);
    redisAsyncSetConnectCallback(context, on_connect); /* asks for write events */
    redisAsyncSetDisconnectCallback(context, on_gone);
}

/* A refused AUTH or SELECT ends the connection; the owner's own commands would fail less clearly. */
static void on_greeting(const redisReply *reply, void *arg)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        rz_channel_drop(arg, reply->str);
}

static void greet(rz_channel_t *channel)
{
    const rz_address_t *address = &channel->address;
    if (address->path == NULL)
        redisEnableKeepAlive(&channel->context->c);
    if (address->password != NULL) {
        const char *auth[] = { "AUTH", address->user, address->password };
        if (address->user == NULL)
            auth[1] = address->password;
        rz_channel_send(channel, address->user != NULL ? 3 : 2, auth, NULL, on_greeting, channel);
    }
    if (address->db != 0) {
        char db[16];
        (void)snprintf(db, sizeof(db), "%u", address->db);
        rz_channel_send(channel, 2, (const char *[]){ "SELECT", db }, NULL, on_greeting, channel);
    }
}

/* ---- where the primary is ---- */
static void go_to(rz_channel_t *channel, const char *host, int port)
{
    rz_err_t err = { 0 };
    const rz_store_options_t options = { .plaintext = channel->address.plaintext };
    if (rz_address_check_host(&options, host, &err) != RZ_OK) {
        because(channel, err.text);
        lost(channel);
        return;
    }
    rz_free(channel->address.at.host);
    channel->address.at = (rz_place_t){ rz_strdup(host), port };
    attempt(channel);
}

static bool is_there(const rz_channel_t *channel, const char *host, int port)
{
    const rz_place_t *at = &channel->address.at;
    return at->port == port && strcmp(at->host, host) == 0;
}

/* While it is connected: what answers as a primary may be one that a failover left behind, cut off from the others. */
static void on_found(const char *host, int port, const char *why, void *arg)
{
    rz_channel_t *channel = arg;
    if (channel->state == SEEKING && host != NULL) {
        go_to(channel, host, port);
    } else if (channel->state == SEEKING) {
        because(channel, why);
        lost(channel);
    } else if (channel->state == SETTLED && host != NULL && !is_there(channel, host, port)) {
        rz_channel_drop(channel, "the sentinels name another primary");
    } else if (channel->state == SETTLED) {
        rz_timer_start(channel->timer, SEEK_MS, 0);
    }
}

static void on_timer(void *arg)
{
    rz_channel_t *channel = arg;
    switch (channel->state) {
    case PAUSING:
        if (channel->seeker == NULL) {
            attempt(channel);
            break;
        }
        channel->state = SEEKING;
        rz_seeker_ask(channel->seeker);
        break;
    case SETTLED:
        rz_seeker_ask(channel->seeker);
        break;
    case CONNECTED:
        channel->state = OPEN;
        rz_timer_start(channel->timer, channel->timeout_ms, 0);
        greet(channel);
        channel->events.on_open(channel->events.arg);
        break;
    case CONNECTING:
    case OPEN:
        because(channel, "no answer from redis in time");
        end_connection(channel);
        break;
    case SEEKING:
    case ENDING:
        break;
    }
}

rz_channel_t *rz_channel_open(uv_loop_t *loop, const rz_store_options_t *options,
                              const rz_channel_events_t *events, rz_err_t *err)
{
    rz_address_t address;
    if (rz_address_parse(options, &address, err) != RZ_OK)
        return NULL;
    rz_channel_t *channel = rz_alloc(sizeof(*channel));
    channel->loop = loop;
    channel->address = address;
    channel->events = *events;
    channel->timeout_ms = options->call_timeout_ms != 0 ? options->call_timeout_ms : RZ_STORE_TIMEOUT_MS;
    channel->pause_ms = PAUSE_MIN_MS;
    channel->timer = rz_timer_open(loop, on_timer, channel);
    if (address.sentinels > 0)
        channel->seeker = rz_seeker_create(loop, &channel->address, on_found, channel);
    rz_timer_start(channel->timer, 0, 0);
    return channel;
}

void rz_channel_settled(rz_channel_t *channel)
{
    if (channel->state != OPEN)
        return;
    channel->state = SETTLED;
    channel->pause_ms = PAUSE_MIN_MS;
    rz_timer_stop(channel->timer);
    if (channel->seeker != NULL)
        rz_timer_start(channel->timer, SEEK_MS, 0);
}

void rz_channel_drop(rz_channel_t *channel, const char *detail)
{
    if (channel->context == NULL || channel->state == ENDING)
        return;
    because(channel, detail);
    end_connection(channel);
}

void rz_channel_close(rz_channel_t **handle)
{
    rz_channel_t *channel = *handle;
    if (channel == NULL)
        return;
    *handle = NULL;
    channel->closed = true;
    rz_timer_close(&channel->timer);
    if (channel->context == NULL) {
        channel_free(channel);
        return;
    }
    bool connected = channel->state > CONNECTING;
    channel->state = ENDING;
    redisAsyncFree(
        channel->context); /* on_gone frees the channel, perhaps after the reply we are inside of */
    if (!connected)
        channel_free(channel);
}

bool rz_channel_replicas(const rz_channel_t *channel, unsigned *known)
{
    if (channel->seeker != NULL)
        *known = rz_seeker_replicas(channel->seeker);
    return channel->seeker != NULL;
}

/* ---- from where ---- */
static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

bool rz_channel_local_host(const rz_channel_t *channel, char out[RZ_HOST_TEXT_MAX])
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    if ((channel->state != OPEN && channel->state != SETTLED) ||
        getsockname(channel->context->c.fd, (struct sockaddr *)&address, &size) != 0 ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6) || is_loopback(&address))
        return false;
    const void *in = address.ss_family == AF_INET
                         ? (const void *)&((const struct sockaddr_in *)&address)->sin_addr
                         : (const void *)&((const struct sockaddr_in6 *)&address)->sin6_addr;
    char text[INET6_ADDRSTRLEN];
    bool six = address.ss_family == AF_INET6;
    if (inet_ntop(address.ss_family, in, text, sizeof text) == NULL)
        return false;
    (void)snprintf(out, RZ_HOST_TEXT_MAX, "%s%s%s", six ? "[" : "", text, six ? "]" : "");
    return true;
}

/* ---- commands ---- */
typedef struct {
    rz_channel_t *channel;
    rz_channel_fn fn;
    void *arg;
} command_t;

/* hiredis gives NULL to every waiting command while it ends a context: no new one may enter it then. */
static void on_reply(redisAsyncContext *context, void *reply, void *arg)
{
    (void)context;
    command_t command = *(command_t *)arg;
    rz_free(arg);
    if (reply == NULL)
        command.channel->state = ENDING;
    command.fn(reply, command.arg); /* last: it may close the channel */
}

bool rz_channel_send(rz_channel_t *channel, int argc, const char **argv, const size_t *lengths,
                     rz_channel_fn fn, void *arg)
{
    if (channel->state != OPEN && channel->state != SETTLED)
        return false;
    command_t *command = rz_alloc(sizeof(*command));
    *command = (command_t){ channel, fn, arg };
    if (redisAsyncCommandArgv(channel->context, on_reply, command, argc, argv, lengths) == REDIS_OK)
        return true;
    rz_free(command);
    return false;
}

/* hiredis frees the reply when we return to it: it keeps the shell, we the content. */
redisReply *rz_reply_keep(const redisReply *reply)
{
    redisReply *kept = rz_alloc(sizeof(*kept)), *shell = (redisReply *)(uintptr_t)reply;
    *kept = *reply;
    *shell = (redisReply){ .type = REDIS_REPLY_NIL };
    return kept;
}
