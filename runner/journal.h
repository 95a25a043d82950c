/* journal.h - what one activation still has to have written by the broker, in order and exactly as often as
 * needed.
 *
 *     start → append* → finish    or    release    or    start → append* → release
 *
 * One write is in flight at a time and is kept until its ack came; it is repeated after a refusal that means
 * "not now", after silence, and when the link changed (the store tells repeats by token and seq). Only finish
 * overtakes what is in flight, and carries it again. Durable events queue up here: they travel with the next
 * write whatever it is, so a short run needs only start and finish.
 *
 * Pure: no socket, no clock. journal_due() says what to send now, journal_parts() lends its frames. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"

/* Events waiting beyond this are not logged: journal_add() says so, and the caller publishes them as live
 * only. The log keeps no more of a child than this either. */
#define JOURNAL_EVENTS_MAX RZ_LOGGED_EVENTS_MAX
#define JOURNAL_BYTES_MAX  ((size_t)16 << 20)

#define JOURNAL_RETRY_MIN_MS 200
#define JOURNAL_RETRY_MAX_MS 2000
#define JOURNAL_SILENCE_MS   5000 /* no ack for this long: ask again */

typedef enum { WRITE_NONE, WRITE_START, WRITE_APPEND, WRITE_FINISH, WRITE_RELEASE } write_t;

typedef struct {
    uint64_t seq;
    size_t at, header_len, event_len; /* in bytes */
} journal_item_t;

typedef struct {
    rz_buf_t bytes;        /* headers and events, one behind the other                     */
    journal_item_t *items; /* not yet acknowledged, ascending seq                          */
    size_t head, count, cap;
    size_t carried;       /* of them, with the write in flight                            */
    write_t in_flight;    /* what waits for an ack or for its next try                    */
    uint64_t last_seq;    /* of the write in flight; 0 when it carries none               */
    uint64_t due_ms;      /* when it is (re)sent                                          */
    uint64_t pause_ms;    /* before the next try                                          */
    bool wanted, started; /* start: asked for, acknowledged                               */
    bool ended, released; /* finish, release: asked for                                   */
    bool settled;         /* one of the two is acknowledged: nothing more is written      */
} journal_t;              /* zero is an empty one */

void journal_fini(journal_t *journal);

/* Queues one durable event; bytes are copied. False: the bounds above are reached, nothing was queued.
 * `always` for the two events without which an activation cannot begin or end. */
bool journal_add(journal_t *journal, uint64_t seq, rz_str_t header, rz_str_t event, bool always);
void journal_start(journal_t *journal);   /* `start` may go out with what is queued           */
void journal_end(journal_t *journal);     /* the last event is queued: `finish` closes it     */
void journal_release(journal_t *journal); /* instead of finish, after what is queued          */

/* What must be sent now, or WRITE_NONE; the caller sends it and tells journal_sent(). */
write_t journal_due(journal_t *journal, uint64_t now_ms);
size_t journal_carried(const journal_t *journal);
/* The i-th event of the write: lent until the journal changes. */
uint64_t journal_seq(const journal_t *journal, size_t i);
rz_str_t journal_header(const journal_t *journal, size_t i);
rz_str_t journal_event(const journal_t *journal, size_t i);
void journal_sent(journal_t *journal, uint64_t now_ms, bool taken); /* taken: the socket accepted it */

typedef enum {
    ACK_STALE,   /* answers something else: ignore                                  */
    ACK_MORE,    /* taken; look at journal_due() again                              */
    ACK_SETTLED, /* finish or release is done                                       */
    ACK_AGAIN,   /* will be repeated                                                */
    ACK_LOST,    /* not ours any more                                               */
} ack_t;
ack_t journal_ack(journal_t *journal, write_t op, uint64_t seq, rz_rc_t code, uint64_t now_ms);
/* Another link took over: what was in flight is due at once. */
void journal_relink(journal_t *journal, uint64_t now_ms);

bool journal_is_released(const journal_t *journal); /* release is acknowledged */

const char *write_name(write_t op); /* "start", as `ack.op` spells it */
write_t write_parse(const char *op);
