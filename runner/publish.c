/* publish.c - numbers, encodes, sends. */
#include "publish.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/sock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SEND_QUEUE 8192 /* events that wait for a slow broker; what comes then is dropped, as XPUB does */
#define MARKS      64   /* at least as many as there may be links                                         */
/* Without backing off: until a broker that is back hears us it gets no credit. */
#define RECONNECT_MS 100

typedef struct endpoint endpoint_t;
struct endpoint {
    endpoint_t *next;
    char *text;
};

struct publisher {
    rz_sock_t *sock;
    endpoint_t *connected;
    char mark[MARKS][RZ_NAME_MAX + 1]; /* of the brokers that hear us; "" none              */
    size_t next_mark;                  /* where the next one goes, the oldest is forgotten */
    rz_buf_t topic, header, event;     /* scratch, kept between events */
    uint64_t unlogged;
};

/* ---- who hears us ---- */

static size_t find_mark(const publisher_t *publisher, rz_str_t mark)
{
    size_t i = 0;
    while (i < MARKS && !rz_str_eq(mark, publisher->mark[i]))
        i++;
    return i;
}

bool publisher_is_heard(const publisher_t *publisher, const char *mark)
{
    return *mark != '\0' && find_mark(publisher, rz_str(mark)) < MARKS;
}

/* A subscription: 1, or 0 when nobody wants it any more, then the topic. Only marks are of interest, libzmq keeps the others. */
static void on_subscription(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    publisher_t *publisher = arg;
    rz_str_t text = msg->part[0];
    (void)sock;
    if (text.n < 3 || text.n > 1 + RZ_NAME_MAX || text.p[1] != '~')
        return;
    rz_str_t mark = { text.p + 1, text.n - 1 };
    size_t i = find_mark(publisher, mark);
    if (text.p[0] == 0 && i < MARKS)
        publisher->mark[i][0] = '\0';
    else if (text.p[0] == 1 && i == MARKS)
        snprintf(publisher->mark[publisher->next_mark++ % MARKS], sizeof publisher->mark[0], "%.*s",
                 (int)mark.n, mark.p);
}

/* ---- opening, connecting ---- */

publisher_t *publisher_open(uv_loop_t *loop, void *zctx, const rz_key_t *key, rz_err_t *err)
{
    int reconnect_ms = RECONNECT_MS;
    publisher_t *publisher = rz_alloc(sizeof *publisher);
    rz_sock_options_t options = { .type = ZMQ_XPUB,
                                  .sndhwm = SEND_QUEUE,
                                  .linger_ms = 500,
                                  .key = key,
                                  .on_msg = on_subscription,
                                  .arg = publisher };
    publisher->sock = rz_sock_open(loop, zctx, &options, err);
    if (publisher->sock == NULL) {
        rz_free(publisher);
        return NULL;
    }
    zmq_setsockopt(rz_sock_raw(publisher->sock), ZMQ_RECONNECT_IVL_MAX, &reconnect_ms, sizeof reconnect_ms);
    return publisher;
}

void publisher_close(publisher_t **publisher_ref)
{
    publisher_t *publisher = *publisher_ref;
    if (publisher == NULL)
        return;
    rz_sock_close(&publisher->sock);
    while (publisher->connected != NULL) {
        endpoint_t *endpoint = publisher->connected;
        publisher->connected = endpoint->next;
        rz_free(endpoint->text);
        rz_free(endpoint);
    }
    rz_buf_fini(&publisher->topic);
    rz_buf_fini(&publisher->header);
    rz_buf_fini(&publisher->event);
    rz_free(publisher);
    *publisher_ref = NULL;
}

void publisher_connect(publisher_t *publisher, const char *text)
{
    for (const endpoint_t *e = publisher->connected; e != NULL; e = e->next)
        if (strcmp(e->text, text) == 0)
            return;
    rz_err_t err = { 0 };
    if (rz_sock_connect(publisher->sock, text, &err) != RZ_OK) {
        rz_log_warn("publish.connect", "endpoint=%s error=%s", text, err.text);
        return;
    }
    endpoint_t *endpoint = rz_alloc(sizeof *endpoint);
    endpoint->text = rz_strdup(text);
    endpoint->next = publisher->connected;
    publisher->connected = endpoint;
}

void publisher_disconnect(publisher_t *publisher, const char *text)
{
    for (endpoint_t **at = &publisher->connected; *at != NULL; at = &(*at)->next) {
        endpoint_t *endpoint = *at;
        if (strcmp(endpoint->text, text) != 0)
            continue;
        rz_sock_disconnect(publisher->sock, text);
        *at = endpoint->next;
        rz_free(endpoint->text);
        rz_free(endpoint);
        return;
    }
}

uint64_t publisher_unlogged(const publisher_t *publisher)
{
    return publisher->unlogged;
}

/* ---- one event ---- */

static void encode_header(const stream_t *stream, rz_event_class_t class_, rz_buf_t *out)
{
    char ts[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(ts);
    rz_event_header_t header = { .parent = stream->parent,
                                 .child = stream->child,
                                 .job = stream->job,
                                 .epoch = stream->epoch,
                                 .seq = stream->seq,
                                 .prev_durable = stream->prev_durable,
                                 .ts = ts,
                                 .class_ = class_,
                                 .traceparent = stream->traceparent };
    rz_event_header_encode(&header, out);
}

static void send_event(publisher_t *publisher, rz_str_t header, rz_str_t event)
{
    rz_str_t parts[] = { rz_buf_str(&publisher->topic), header, event };
    rz_sock_send(publisher->sock, parts, 3); /* XPUB never refuses: without a reader it drops */
}

/* A durable event that finds the journal full goes out as what it then is: live only. Its class says so, and
 * the chain of prev_durable stays whole. */
static void log_event(publisher_t *publisher, stream_t *stream, journal_t *journal, bool always)
{
    rz_str_t event = rz_buf_str(&publisher->event);
    if (journal_add(journal, stream->seq, rz_buf_str(&publisher->header), event, always)) {
        stream->prev_durable = stream->seq;
        return;
    }
    if (publisher->unlogged++ % 1000 == 0)
        rz_log_warn("publish.unlogged", "child=%s seq=%" PRIu64 " count=%" PRIu64, stream->child, stream->seq,
                    publisher->unlogged);
    rz_buf_clear(&publisher->header);
    encode_header(stream, RZ_CLASS_EPHEMERAL, &publisher->header);
}

/* publisher->event holds the event. journal NULL: not logged. */
static void emit(publisher_t *publisher, stream_t *stream, journal_t *journal, const char *type,
                 const char *inner, rz_event_class_t class_)
{
    stream->seq++;
    rz_buf_clear(&publisher->topic);
    rz_buf_clear(&publisher->header);
    rz_topic(stream->parent, stream->child, type, inner, &publisher->topic);
    encode_header(stream, class_, &publisher->header);
    if (class_ == RZ_CLASS_DURABLE)
        log_event(publisher, stream, journal, inner == NULL);
    send_event(publisher, rz_buf_str(&publisher->header), rz_buf_str(&publisher->event));
}

void publish_started(publisher_t *publisher, stream_t *stream, journal_t *journal, const char *title)
{
    rz_buf_clear(&publisher->event);
    rz_event_started(stream->parent, stream->child, title, &publisher->event);
    emit(publisher, stream, journal, "sub_agent_started", NULL, RZ_CLASS_DURABLE);
}

void publish_heartbeat(publisher_t *publisher, stream_t *stream, const progress_t *progress)
{
    char ts[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(ts);
    rz_buf_clear(&publisher->event);
    rz_event_heartbeat(stream->parent, stream->child, ts, &publisher->event);
    progress_put(progress, &publisher->event);
    rz_json_close(&publisher->event, '}');
    emit(publisher, stream, NULL, "sub_agent_heartbeat", NULL, RZ_CLASS_EPHEMERAL);
}

void publish_worker_event(publisher_t *publisher, stream_t *stream, journal_t *journal, const char *type,
                          rz_str_t event)
{
    rz_buf_clear(&publisher->event);
    rz_event_wrap(stream->parent, stream->child, event, &publisher->event);
    emit(publisher, stream, journal, "sub_agent_event", type, rz_event_classify(type, event));
}

/* ---- the last one ---- */

void publish_prepare_completed(stream_t *stream, journal_t *journal, const char *status, const char *error,
                               rz_buf_t *header, rz_buf_t *event)
{
    stream->seq++;
    encode_header(stream, RZ_CLASS_DURABLE, header);
    rz_event_completed(stream->parent, stream->child, status, error, event);
    journal_add(journal, stream->seq, rz_buf_str(header), rz_buf_str(event), true);
    stream->prev_durable = stream->seq;
}

void publish_completed(publisher_t *publisher, const stream_t *stream, rz_str_t header, rz_str_t event)
{
    rz_buf_clear(&publisher->topic);
    rz_topic(stream->parent, stream->child, "sub_agent_completed", NULL, &publisher->topic);
    send_event(publisher, header, event);
}

/* ---- the system's ---- */

void publish_sync(publisher_t *publisher, const char *nonce, const char *name)
{
    char ts[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(ts);
    rz_buf_clear(&publisher->topic);
    rz_buf_clear(&publisher->header);
    rz_buf_clear(&publisher->event);
    rz_buf_printf(&publisher->topic, "$sys/sync/%s/%s", nonce, name);
    rz_buf_printf(&publisher->header, "{\"v\":%d,\"ts\":\"%s\",\"class\":\"ephemeral\"}", RZ_EVENT_VERSION,
                  ts);
    rz_buf_printf(&publisher->event, "{\"type\":\"sync\",\"nonce\":\"%s\",\"name\":\"%s\"}", nonce, name);
    send_event(publisher, rz_buf_str(&publisher->header), rz_buf_str(&publisher->event));
}
