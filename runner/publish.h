/* publish.h - events of activations, numbered and sent (proto/README.md 6).
 *
 * Every event gets the next seq of its stream and goes out at once; a durable one is also queued in the
 * activation's journal. The one exception is the last, sub_agent_completed: it is queued first and published only
 * when the finish that carries it was committed.
 *
 * What nobody is known to want is not sent, and what brokers want arrives a moment after the connection. The socket is
 * an XPUB, which shows it: a broker whose mark came hears from then on whatever it had asked for by then. Loop thread
 * only. */
#pragma once

#include "base/key.h"
#include "journal.h"
#include "progress.h"
#include "wire/event.h"

#include <uv.h>

typedef struct publisher publisher_t;

/* NULL and err on failure. zctx outlives it; key: of the socket. */
publisher_t *publisher_open(uv_loop_t *loop, void *zctx, const rz_key_t *key, rz_err_t *err);
void publisher_close(publisher_t **publisher);
/* Connects to a broker's publish endpoint; one that is connected already stays so. */
void publisher_connect(publisher_t *publisher, const char *endpoint);
void publisher_disconnect(publisher_t *publisher, const char *endpoint);
/* Whether the broker of this mark (of its welcome) is connected and has asked for all that it wants. */
bool publisher_is_heard(const publisher_t *publisher, const char *mark);

/* The numbering of one activation. Texts are borrowed. */
typedef struct {
    const char *parent, *child, *job, *traceparent; /* the last two NULL when none */
    uint64_t epoch, seq, prev_durable;
} stream_t;

/* title: of the session; NULL when none. */
void publish_started(publisher_t *publisher, stream_t *stream, journal_t *journal, const char *title);
void publish_heartbeat(publisher_t *publisher, stream_t *stream, const progress_t *progress);
/* type: as rz_event_type() gives it; event: checked JSON. */
void publish_worker_event(publisher_t *publisher, stream_t *stream, journal_t *journal, const char *type,
                          rz_str_t event);
/* Queues the last event; header and event are appended to the bufs for publish_completed(). */
void publish_prepare_completed(stream_t *stream, journal_t *journal, const char *status, const char *error,
                               rz_buf_t *header, rz_buf_t *event);
void publish_completed(publisher_t *publisher, const stream_t *stream, rz_str_t header, rz_str_t event);
uint64_t publisher_unlogged(
    const publisher_t *publisher); /* durable events that were not: the journal was full */
/* $sys/sync/<nonce>/<name> */
void publish_sync(publisher_t *publisher, const char *nonce, const char *name);
