/* ws.c - see ws.h: one connection, from its first byte to the reason of its end. */
#include "base/ws_inner.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/utf8.h"

#include <netinet/tcp.h>
#include <string.h>

#define KEPT_BYTES       ((size_t)256 << 10) /* reassembly memory an idle connection may keep             */
#define WRITE_BATCH      64                  /* messages a connection may write in one turn               */
#define OPEN_TIMEOUT_MS  5000
#define CLOSE_TIMEOUT_MS 2000
#define CODE_TOO_LARGE   1009
#define CODE_BAD_UTF8    1007

const char *rz_ws_end_name(rz_ws_end_t end)
{
    static const char *const names[] = {
        [RZ_WS_CLOSED] = "closed",   [RZ_WS_LOST] = "lost",           [RZ_WS_REFUSED] = "refused",
        [RZ_WS_TIMEOUT] = "timeout", [RZ_WS_TOO_LARGE] = "too_large", [RZ_WS_BAD_UTF8] = "bad_utf8",
        [RZ_WS_BACKLOG] = "backlog",
    };
    return names[end];
}

/* ---- the end of a connection ---- */

void ws_blame(rz_ws_t *ws, rz_ws_end_t end, const char *fmt, ...)
{
    if (ws->blamed)
        return;
    ws->blamed = true;
    ws->end = end;
    va_list args;
    va_start(args, fmt);
    vsnprintf(ws->detail, sizeof(ws->detail), fmt, args);
    va_end(args);
}

static void forget_queue(rz_ws_t *ws)
{
    message_t *message;
    while ((message = STAILQ_FIRST(&ws->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&ws->queue, link);
        rz_free(message);
    }
    ws->unsent = ws->in_flight = 0;
}

/* The connection is over, on whichever side of libwebsockets: on_close follows from the next turn. */
void ws_finish(rz_ws_t *ws)
{
    if (ws->state == WS_ENDED)
        return;
    ws_blame(ws, RZ_WS_LOST, "the connection ended without a Close frame");
    if (ws->server != NULL)
        ws_server_count_end(ws);
    ws->state = WS_ENDED;
    ws->wsi = NULL;
    forget_queue(ws);
    ws_drop_bearer(ws);
    rz_timer_close(&ws->deadline);
    LIST_REMOVE(ws, live);
    STAILQ_INSERT_TAIL(&ws->context->ended, ws, ended);
    ws_context_wake(ws->context);
}

/* Lets go of the wsi and makes it die.  Inside a callback of its own, libwebsockets does that when it is told
 * -1. */
void ws_drop(rz_ws_t *ws)
{
    struct lws *wsi = ws->wsi;
    ws_finish(ws);
    if (wsi == NULL)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    if (!ws->in_callback)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* A close reason and -1 is libwebsockets' way to close, but not from a writable callback: there -1 means that
 * the write failed, and the connection is cut without a Close (seen).  So it is done from the timer. */
static void close_outside(rz_ws_t *ws)
{
    ws->close_due = true;
    rz_timer_start(ws->deadline, 0, 0);
}

/* With a close reason set, "kill" is: send Close, wait for the answer. */
static void send_close(rz_ws_t *ws)
{
    ws_blame(ws, RZ_WS_CLOSED, "closed by us with %d", ws->close_code);
    lws_close_reason(ws->wsi, (enum lws_close_status)ws->close_code, NULL, 0);
    ws->close_code = 0;
    ws->close_due = false;
    rz_timer_start(ws->deadline, CLOSE_TIMEOUT_MS, 0);
    lws_set_timeout(ws->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void on_deadline(void *arg)
{
    rz_ws_t *ws = arg;
    if (ws->close_due) {
        send_close(ws);
        return;
    }
    if (ws->state == WS_OPENING)
        ws_blame(ws, RZ_WS_TIMEOUT, "not open after %" PRIu64 " ms", ws->limits.open_timeout_ms);
    else
        ws_blame(ws, RZ_WS_CLOSED, "the peer did not take what was queued within %d ms", CLOSE_TIMEOUT_MS);
    ws_drop(ws);
}

/* From here nothing is handed over any more; the peer has CLOSE_TIMEOUT_MS to let the connection go. */
static void begin_closing(rz_ws_t *ws)
{
    ws->state = WS_CLOSING;
    rz_timer_start(ws->deadline, CLOSE_TIMEOUT_MS, 0);
}

void ws_report_end(rz_ws_t *ws)
{
    if (ws->known)
        ws->events.on_close(ws, ws->end, ws->detail, ws->arg);
    rz_buf_fini(&ws->incoming);
    rz_free(ws);
}

/* ---- receiving ---- */

static bool utf8_valid(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint64_t eight;
        if (len - at >= sizeof(eight)) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, bytes + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t n = (unsigned char)bytes[at] < 0x80 ? 1 : rz_utf8_char(bytes + at, len - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

/* Answers what breaks our rules with a Close frame, but not by returning -1 from the callback: while
 * libwebsockets then waits for the peer's answer, what is left of the frame is parsed on with a receive
 * buffer that was not reset, and written past its end (seen: heap overflow by a client's 64 MiB frame). */
static int refuse(rz_ws_t *ws, uint16_t code)
{
    begin_closing(ws);
    forget_queue(ws);
    ws->close_code = code;
    close_outside(ws);
    return 0;
}

static int hand_over(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (!utf8_valid(bytes, len)) {
        ws_blame(ws, RZ_WS_BAD_UTF8, "a text message of %zu bytes is not UTF-8", len);
        return refuse(ws, CODE_BAD_UTF8);
    }
    ws->events.on_text(ws, bytes, len, ws->arg);
    return 0;
}

static void forget_incoming(rz_ws_t *ws)
{
    if (ws->incoming.cap > KEPT_BYTES)
        rz_buf_fini(&ws->incoming);
    else
        rz_buf_clear(&ws->incoming);
}

static void ignore_binary(rz_ws_t *ws)
{
    if (ws->binaries++ == 0)
        rz_log_warn("ws.binary_ignored", "role=%s only_the_first_is_logged=1",
                    ws->server != NULL ? "server" : "client");
}

/* One piece of a message: a whole frame, or what of it fitted one read.  libwebsockets knows how much of the
 * frame is still to come, so a message that will be too large is refused before it is collected. */
int ws_on_piece(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (ws->state != WS_OPEN)
        return 0;
    bool last = lws_is_final_fragment(ws->wsi) != 0;
    if (lws_frame_is_binary(ws->wsi)) {
        if (last)
            ignore_binary(ws);
        return 0;
    }
    size_t known = ws->incoming.len + len + lws_remaining_packet_payload(ws->wsi);
    if (known > ws->limits.max_bytes || known < len) {
        ws_blame(ws, RZ_WS_TOO_LARGE, "a message of at least %zu bytes; the limit is %zu", known,
                 ws->limits.max_bytes);
        return refuse(ws, CODE_TOO_LARGE);
    }
    if (last && ws->incoming.len == 0)
        return hand_over(ws, len > 0 ? bytes : "", len);
    rz_buf_put(&ws->incoming, bytes, len);
    if (!last)
        return 0;
    int rc = hand_over(ws, ws->incoming.data, ws->incoming.len);
    forget_incoming(ws);
    return rc;
}

/* The peer's Close; libwebsockets answers it by itself.  (The answer to ours never comes here.) */
int ws_on_peer_close(rz_ws_t *ws, const unsigned char *payload, size_t len)
{
    if (len >= 2)
        ws_blame(ws, RZ_WS_CLOSED, "the peer closed with %d %.*s", payload[0] << 8 | payload[1], (int)len - 2,
                 (const char *)payload + 2);
    else
        ws_blame(ws, RZ_WS_CLOSED, "the peer closed without a code");
    forget_queue(ws);
    ws->close_code = 0;
    ws->close_due = false;
    begin_closing(ws);
    return 0;
}

/* ---- sending ---- */

static void set_tcp(struct lws *wsi, int option, int value)
{
    setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, option, &value, sizeof(value));
}

static message_t *message_create(const char *bytes, size_t len)
{
    message_t *message = rz_realloc(NULL, sizeof(*message) + LWS_PRE + len);
    message->len = len;
    if (len > 0)
        memcpy(message->bytes + LWS_PRE, bytes, len);
    return message;
}

static int write_one(rz_ws_t *ws, message_t *message)
{
    STAILQ_REMOVE_HEAD(&ws->queue, link);
    size_t len = message->len;
    int written = lws_write(ws->wsi, message->bytes + LWS_PRE, len, LWS_WRITE_TEXT);
    rz_free(message); /* what the kernel did not take, libwebsockets copied */
    if (written < 0)
        return -1;
    if (lws_partial_buffered(ws->wsi))
        ws->in_flight = len;
    else
        ws->unsent -= len;
    return 0;
}

/* Writes while the kernel takes everything: once libwebsockets holds something back, it calls again when that
 * is gone (a write without asking is allowed only as long as nothing is held back).  A callback
 * for each message would cost two epoll_ctl and a turn of the loop; a bound on their number keeps the loop
 * fair. */
static int write_batch(rz_ws_t *ws)
{
    for (int n = 0; n < WRITE_BATCH && ws->in_flight == 0; n++) {
        message_t *message = STAILQ_FIRST(&ws->queue);
        if (message == NULL)
            return 0;
        if (write_one(ws, message) != 0)
            return -1;
    }
    return 0;
}

int ws_on_writable(rz_ws_t *ws)
{
    ws->unsent -= ws->in_flight;
    ws->in_flight = 0;
    bool several = !STAILQ_EMPTY(&ws->queue) && STAILQ_NEXT(STAILQ_FIRST(&ws->queue), link) != NULL;
    if (several)
        set_tcp(ws->wsi, TCP_CORK, 1); /* full segments instead of one for each message */
    int rc = write_batch(ws);
    if (several)
        set_tcp(ws->wsi, TCP_CORK, 0);
    if (rc != 0)
        return rc;
    if (ws->in_flight > 0 || !STAILQ_EMPTY(&ws->queue))
        lws_callback_on_writable(ws->wsi);
    else if (ws->close_code != 0)
        close_outside(ws);
    return 0;
}

rz_rc_t rz_ws_send(rz_ws_t *ws, const char *bytes, size_t len)
{
    if (ws->state > WS_OPEN)
        return RZ_CLOSED;
    if (len > ws->limits.max_unsent - ws->unsent) {
        ws_blame(ws, RZ_WS_BACKLOG, "%zu bytes wait for the peer to read; the limit is %zu", ws->unsent + len,
                 ws->limits.max_unsent);
        ws_drop(ws);
        return RZ_FULL;
    }
    message_t *message = message_create(bytes, len);
    STAILQ_INSERT_TAIL(&ws->queue, message, link);
    ws->unsent += len;
    if (ws->state == WS_OPEN)
        lws_callback_on_writable(ws->wsi);
    return RZ_OK;
}

void rz_ws_close(rz_ws_t *ws, uint16_t code)
{
    if (ws->state == WS_OPENING) {
        ws_blame(ws, RZ_WS_CLOSED, "closed by us before it was open");
        ws_drop(ws);
    }
    if (ws->state != WS_OPEN)
        return;
    ws->close_code = code;
    begin_closing(ws);
    lws_callback_on_writable(ws->wsi);
}

void rz_ws_abort(rz_ws_t *ws)
{
    ws_blame(ws, RZ_WS_LOST, "aborted by us");
    ws_drop(ws);
}

void rz_ws_set_arg(rz_ws_t *ws, void *arg)
{
    ws->arg = arg;
}

size_t rz_ws_unsent(const rz_ws_t *ws)
{
    return ws->unsent;
}

/* ---- the beginning of a connection ---- */

rz_ws_limits_t ws_complete_limits(const rz_ws_limits_t *limits)
{
    rz_ws_limits_t full = limits != NULL ? *limits : (rz_ws_limits_t){ 0 };
    if (full.max_bytes == 0)
        full.max_bytes = RZ_FRAME_MAX;
    if (full.max_unsent == 0)
        full.max_unsent = 2 * RZ_FRAME_MAX;
    if (full.open_timeout_ms == 0)
        full.open_timeout_ms = OPEN_TIMEOUT_MS;
    return full;
}

rz_ws_t *ws_create(rz_ws_context_t *context, const rz_ws_limits_t *limits, const rz_ws_events_t *events,
                   void *arg)
{
    rz_ws_t *ws = rz_alloc(sizeof(*ws));
    ws->context = context;
    ws->state = WS_OPENING;
    ws->limits = ws_complete_limits(limits);
    ws->events = *events;
    ws->arg = arg;
    ws->deadline = rz_timer_open(context->loop, on_deadline, ws);
    STAILQ_INIT(&ws->queue);
    LIST_INSERT_HEAD(&context->live, ws, live);
    return ws;
}

void ws_drop_bearer(rz_ws_t *ws)
{
    if (ws->bearer != NULL)
        rz_wipe(ws->bearer, strlen(ws->bearer));
    rz_free(ws->bearer);
    ws->bearer = NULL;
}

int ws_on_open(rz_ws_t *ws, struct lws *wsi)
{
    ws_drop_bearer(ws);
    set_tcp(wsi, TCP_NODELAY, 1);
    ws->wsi = wsi;
    ws->state = WS_OPEN;
    ws->known = true;
    rz_timer_stop(ws->deadline);
    if (!STAILQ_EMPTY(&ws->queue))
        lws_callback_on_writable(wsi);
    ws->events.on_open(ws, ws->arg);
    return 0;
}
