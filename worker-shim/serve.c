/* serve.c - the worker's WebSocket server.
 *
 * Upstream serves strictly one connection after the other, and a parent that comes early just waits. A parent
 * that closes and at once connects again may well reach us before the end of its old connection does, so a
 * newcomer is not refused: it is accepted, and what it says is kept until those before it are gone. Where a token is in
 * force the door decides, and nobody waits. */
#include "serve.h"

#include "door.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/timer.h"

#include <string.h>

#define CLOSE_GOING_AWAY 1001 /* RFC 6455, 7.4.1 */
#define GUESTS_MAX       4    /* the served one and those who wait */

typedef struct guest guest_t;
struct guest {
    serve_t *serve;
    rz_ws_t *ws;
    guest_t *next;
    rz_buf_t held; /* what it said while it waited: u64 length and bytes of each message */
};

struct serve {
    serve_options_t options;
    rz_ws_context_t *context;
    rz_ws_server_t *server;
    desk_t *desk;
    door_t door;
    guest_t *line;     /* in order of arrival; the first is served */
    rz_timer_t *alone; /* runs while nobody is connected           */
    bool done;
    bool leaving; /* nothing can be served any more                             */
    bool closing; /* connections end because we do: nothing more to decide */
};

static void finish(serve_t *serve, served_t how)
{
    if (serve->done || serve->closing)
        return;
    serve->done = true;
    rz_timer_stop(serve->alone);
    serve->options.on_done(serve->options.arg, how);
}

static void on_alone_too_long(void *arg)
{
    serve_t *serve = arg;
    finish(serve, serve->options.reusable || serve->leaving ? SERVED_DONE : SERVED_NOBODY);
}

static void wait_for_guest(serve_t *serve)
{
    uint64_t patience_ms = serve->options.reusable ? serve->options.idle_ms : ACCEPT_LIMIT_MS;
    rz_timer_start(serve->alone, serve->leaving ? 0 : patience_ms, 0);
}

/* ---- the line of guests ---- */

static void line_append(serve_t *serve, guest_t *guest)
{
    guest_t **end = &serve->line;
    while (*end != NULL)
        end = &(*end)->next;
    *end = guest;
}

static void line_remove(serve_t *serve, guest_t *guest)
{
    guest_t **at = &serve->line;
    while (*at != guest)
        at = &(*at)->next;
    *at = guest->next;
}

static void hold_message(guest_t *guest, const char *bytes, size_t len)
{
    if (guest->held.len + len > RZ_FRAME_MAX + RZ_TEXT_MAX) {
        rz_log_warn("guest.too_much", "held=%zu", guest->held.len);
        rz_ws_close(guest->ws, 1008);
        return;
    }
    uint64_t n = len;
    rz_buf_put(&guest->held, &n, sizeof(n));
    rz_buf_put(&guest->held, bytes, len);
}

/* The first in line is served now: first of all what it said while it waited. */
static void serve_first(serve_t *serve)
{
    rz_buf_t held = serve->line->held;
    serve->line->held = (rz_buf_t){ 0 };
    for (size_t at = 0; at < held.len;) {
        uint64_t n;
        memcpy(&n, held.data + at, sizeof(n));
        desk_frame(serve->desk, held.data + at + sizeof(n), (size_t)n);
        at += sizeof(n) + (size_t)n;
    }
    rz_buf_fini(&held);
}

/* ---- what the connections tell ---- */

static void on_open(rz_ws_t *ws, void *arg)
{
    serve_t *serve = arg;
    guest_t *guest = rz_alloc(sizeof(*guest));
    guest->serve = serve;
    guest->ws = ws;
    rz_ws_set_arg(ws, guest);
    line_append(serve, guest);
    rz_timer_stop(serve->alone);
    if (serve->leaving)
        rz_ws_close(ws, CLOSE_GOING_AWAY);
}

static void on_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    (void)ws;
    guest_t *guest = arg;
    if (guest->serve->closing || guest->serve->leaving)
        return;
    if (guest->serve->line == guest)
        desk_frame(guest->serve->desk, bytes, len);
    else
        hold_message(guest, bytes, len);
}

static void on_close(rz_ws_t *ws, rz_ws_end_t how, const char *detail, void *arg)
{
    (void)ws;
    guest_t *guest = arg;
    serve_t *serve = guest->serve;
    bool was_served = serve->line == guest;
    rz_log_debug("guest.gone", "end=%s detail=\"%s\"", rz_ws_end_name(how), detail != NULL ? detail : "");
    line_remove(serve, guest);
    rz_buf_fini(&guest->held);
    rz_free(guest);
    if (serve->closing)
        return;
    if (was_served)
        desk_disconnected(serve->desk);
    bool over = !serve->options.reusable || door_is_guarded(&serve->door);
    if (over && was_served && !serve->leaving)
        finish(serve, SERVED_DONE);
    else if (serve->line == NULL)
        wait_for_guest(serve);
    else if (was_served && !serve->leaving)
        serve_first(serve);
}

static const rz_ws_events_t ws_events = { .on_open = on_open, .on_text = on_text, .on_close = on_close };

static unsigned on_knock(rz_str_t bearer, void *arg)
{
    serve_t *serve = arg;
    return door_knock(&serve->door, bearer, serve->line != NULL);
}

/* ---- what the desk says ---- */

static void on_send(void *arg, rz_str_t frame)
{
    serve_t *serve = arg;
    if (serve->line != NULL)
        rz_ws_send(serve->line->ws, frame.p, frame.n);
}

static size_t on_backlog(void *arg)
{
    serve_t *serve = arg;
    return serve->line != NULL ? rz_ws_unsent(serve->line->ws) : 0;
}

/* ---- life ---- */

serve_t *serve_open(const serve_options_t *options, rz_err_t *err)
{
    uv_loop_t *loop = options->setting->loop;
    rz_ws_context_t *context = rz_ws_context_open(loop, err);
    if (context == NULL)
        return NULL;
    serve_t *serve = rz_alloc(sizeof(*serve));
    serve->options = *options;
    serve->context = context;
    door_init(&serve->door, options->token);
    rz_ws_limits_t limits = { .max_bytes = RZ_FRAME_MAX };
    serve->server = rz_ws_listen(context, "127.0.0.1", 0, &limits, &ws_events, serve, err);
    if (serve->server == NULL) {
        rz_ws_context_close(&serve->context);
        rz_free(serve);
        return NULL;
    }
    rz_ws_server_max(serve->server, GUESTS_MAX);
    rz_ws_server_guard(serve->server, on_knock, serve);
    desk_port_t port = { .send = on_send, .backlog = on_backlog, .arg = serve };
    serve->desk = desk_create(options->executor, options->setting, &port);
    serve->alone = rz_timer_open(loop, on_alone_too_long, serve);
    wait_for_guest(serve);
    return serve;
}

uint16_t serve_port(const serve_t *serve)
{
    return rz_ws_server_port(serve->server);
}

void serve_leave(serve_t *serve)
{
    serve->leaving = true;
    for (guest_t *guest = serve->line; guest != NULL; guest = guest->next)
        rz_ws_close(guest->ws, CLOSE_GOING_AWAY);
    if (serve->line == NULL)
        wait_for_guest(serve);
}

void serve_stop(serve_t *serve)
{
    serve->closing = true;
    rz_timer_close(&serve->alone);
    desk_destroy(&serve->desk);
    rz_ws_server_close(&serve->server);
    rz_ws_context_close(&serve->context);
}

void serve_destroy(serve_t **serve)
{
    rz_free(*serve);
    *serve = NULL;
}
