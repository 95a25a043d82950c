/* journal.c - the writes of one activation. */
#include "journal.h"

#include <string.h>

void journal_fini(journal_t *journal)
{
    rz_buf_fini(&journal->bytes);
    rz_free(journal->items);
    *journal = (journal_t){ 0 };
}

/* ---- the queue ---- */

static const journal_item_t *item_at(const journal_t *journal, size_t i)
{
    return &journal->items[journal->head + i];
}

/* Moves what is left to the front once acknowledged events take more room than waiting ones. */
static void compact(journal_t *journal)
{
    if (journal->count == 0) {
        journal->head = 0;
        rz_buf_clear(&journal->bytes);
        return;
    }
    if (journal->head < journal->count)
        return;
    size_t gone = item_at(journal, 0)->at;
    memmove(journal->items, journal->items + journal->head, journal->count * sizeof *journal->items);
    journal->head = 0;
    rz_buf_drop(&journal->bytes, gone);
    for (size_t i = 0; i < journal->count; i++)
        journal->items[i].at -= gone;
}

static void reserve_item(journal_t *journal)
{
    if (journal->head + journal->count < journal->cap)
        return;
    journal->cap = journal->cap == 0 ? 4 : journal->cap * 2;
    journal->items = rz_realloc(journal->items, journal->cap * sizeof *journal->items);
}

bool journal_add(journal_t *journal, uint64_t seq, rz_str_t header, rz_str_t event, bool always)
{
    size_t bytes = journal->bytes.len + header.n + event.n;
    if (!always && (journal->count >= JOURNAL_EVENTS_MAX || bytes > JOURNAL_BYTES_MAX))
        return false;
    reserve_item(journal);
    journal->items[journal->head + journal->count++] = (journal_item_t){
        .seq = seq, .at = journal->bytes.len, .header_len = header.n, .event_len = event.n
    };
    rz_buf_put_str(&journal->bytes, header);
    rz_buf_put_str(&journal->bytes, event);
    return true;
}

static void drop_carried(journal_t *journal)
{
    journal->head += journal->carried;
    journal->count -= journal->carried;
    journal->carried = 0;
    compact(journal);
}

void journal_start(journal_t *journal)
{
    journal->wanted = true;
}

void journal_end(journal_t *journal)
{
    journal->ended = true;
}

void journal_release(journal_t *journal)
{
    journal->released = true;
}

/* ---- choosing the next write ---- */

/* How many of the waiting events fit one message: at least one, however large. */
static size_t fitting(const journal_t *journal)
{
    size_t n = 0, bytes = 0;
    for (; n < journal->count && n < RZ_BATCH_ITEMS_MAX; n++) {
        const journal_item_t *item = item_at(journal, n);
        bytes += item->header_len + item->event_len;
        if (n > 0 && bytes > RZ_BATCH_BYTES_MAX)
            break;
    }
    return n;
}

/* finish as soon as everything not acknowledged fits into it, even where start was never sent; until then
 * append makes room. */
static write_t choose(const journal_t *journal, size_t fits)
{
    if (journal->settled)
        return WRITE_NONE;
    if (journal->released && (!journal->wanted || journal->count == 0))
        return WRITE_RELEASE; /* of what has begun: after its events */
    if (!journal->wanted)
        return WRITE_NONE;
    if (journal->ended && fits == journal->count)
        return WRITE_FINISH;
    if (!journal->started)
        return WRITE_START;
    return fits > 0 ? WRITE_APPEND : WRITE_NONE;
}

/* finish does not wait for the acks of start and append: link and store keep the order of what we send, and
 * finish carries again whatever is not acknowledged, which the log skips where it has it. A short run ends
 * one round trip sooner. */
static bool overtakes(write_t op, write_t in_flight)
{
    return op == WRITE_FINISH && (in_flight == WRITE_START || in_flight == WRITE_APPEND);
}

write_t journal_due(journal_t *journal, uint64_t now_ms)
{
    size_t fits = fitting(journal);
    write_t op = choose(journal, fits);
    if (journal->in_flight != WRITE_NONE && !overtakes(op, journal->in_flight))
        return now_ms >= journal->due_ms ? journal->in_flight : WRITE_NONE;
    if (op == WRITE_NONE)
        return op;
    journal->in_flight = op;
    journal->carried = op == WRITE_RELEASE ? 0 : fits;
    journal->last_seq = journal->carried > 0 ? journal_seq(journal, journal->carried - 1) : 0;
    journal->due_ms = now_ms;
    journal->pause_ms = JOURNAL_RETRY_MIN_MS;
    return op;
}

static void wait_longer(journal_t *journal, uint64_t now_ms)
{
    journal->due_ms = now_ms + journal->pause_ms;
    journal->pause_ms *= 2;
    if (journal->pause_ms > JOURNAL_RETRY_MAX_MS)
        journal->pause_ms = JOURNAL_RETRY_MAX_MS;
}

void journal_sent(journal_t *journal, uint64_t now_ms, bool taken)
{
    if (taken)
        journal->due_ms = now_ms + JOURNAL_SILENCE_MS;
    else
        wait_longer(journal, now_ms);
}

void journal_relink(journal_t *journal, uint64_t now_ms)
{
    journal->due_ms = now_ms;
    journal->pause_ms = JOURNAL_RETRY_MIN_MS;
}

/* ---- acks ---- */

static ack_t take(journal_t *journal, write_t op)
{
    drop_carried(journal);
    journal->in_flight = WRITE_NONE;
    if (op == WRITE_START)
        journal->started = true;
    journal->settled = op == WRITE_FINISH || op == WRITE_RELEASE;
    return journal->settled ? ACK_SETTLED : ACK_MORE;
}

ack_t journal_ack(journal_t *journal, write_t op, uint64_t seq, rz_rc_t code, uint64_t now_ms)
{
    if (op != journal->in_flight || op == WRITE_NONE)
        return ACK_STALE;
    /* an old ack of an append that was sent twice must not pass for the ack of the next append */
    if (op == WRITE_APPEND && seq != 0 && seq != journal->last_seq)
        return ACK_STALE;
    switch (code) {
    case RZ_OK:
    case RZ_DUPLICATE:
        return take(journal, op);
    case RZ_FENCED:
    case RZ_ENDED:
    case RZ_DEAD:
    case RZ_NOT_FOUND:
    case RZ_STATE:
        return ACK_LOST;
    default:
        wait_longer(journal, now_ms);
        return ACK_AGAIN;
    }
}

bool journal_is_released(const journal_t *journal)
{
    return journal->settled && journal->released;
}

/* ---- what the write in flight carries ---- */

size_t journal_carried(const journal_t *journal)
{
    return journal->carried;
}

uint64_t journal_seq(const journal_t *journal, size_t i)
{
    return item_at(journal, i)->seq;
}

rz_str_t journal_header(const journal_t *journal, size_t i)
{
    const journal_item_t *item = item_at(journal, i);
    return (rz_str_t){ journal->bytes.data + item->at, item->header_len };
}

rz_str_t journal_event(const journal_t *journal, size_t i)
{
    const journal_item_t *item = item_at(journal, i);
    return (rz_str_t){ journal->bytes.data + item->at + item->header_len, item->event_len };
}

static const char *const names[] = { "", "start", "append", "finish", "release" };

const char *write_name(write_t op)
{
    return names[op];
}

write_t write_parse(const char *op)
{
    for (write_t w = WRITE_START; op != NULL && w <= WRITE_RELEASE; w++)
        if (strcmp(names[w], op) == 0)
            return w;
    return WRITE_NONE;
}
