/* test_ws_door.c - what a WebSocket server does before a connection is open: whom it asks, whom it refuses, how long it waits. */
#include "ws_stage.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define UPGRADE                                                                                              \
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                             \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

static struct {
    unsigned answer;
    int asked;
    char shown[300];
} door;

static unsigned on_knock(rz_str_t bearer, void *arg)
{
    (void)arg;
    door.asked++;
    snprintf(door.shown, sizeof door.shown, "%.*s", (int)bearer.n, bearer.p);
    return door.answer;
}

static void listen_guarded(fixture_t *f, unsigned answer)
{
    memset(&door, 0, sizeof door);
    door.answer = answer;
    listen_with(f, (rz_ws_limits_t){ 0 });
    rz_ws_server_guard(f->server, on_knock, NULL);
}

/* The status of the answer to an upgrade with these header lines; 0 when the connection ends without one. */
static int status_of(fixture_t *f, const char *lines)
{
    char answer[1024];
    uint16_t port = rz_ws_server_port(f->server);
    if (f->raw >= 0)
        close(f->raw);
    f->raw = tcp_socket(&port, false);
    raw_send(f, UPGRADE, strlen(UPGRADE));
    raw_send(f, lines, strlen(lines));
    raw_send(f, "\r\n", 2);
    raw_answer(f, answer, sizeof answer);
    int status = 0;
    (void)sscanf(answer, "HTTP/1.%*d %d", &status); /* NOLINT(cert-err34-c) */
    return status;
}

/* Whether the server has let go of a peer. */
static bool is_ended(int fd)
{
    char byte;
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, 0) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static void the_door_is_shown_what_the_client_bears(void **state)
{
    fixture_t *f = *state;
    listen_guarded(f, 0);
    f->bearer = "a-token";
    connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
    run_until(f, &f->here.opened, 1);
    assert_int_equal(door.asked, 1);
    assert_string_equal(door.shown, "a-token");
    assert_int_equal(rz_ws_server_refused(f->server), 0);
}

static void whom_the_door_refuses_is_answered_and_counted_and_never_opens(void **state)
{
    fixture_t *f = *state;
    listen_guarded(f, 401);
    connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
    run_until(f, &f->here.closed, 1);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);
    assert_int_equal(f->there.opened, 0);
    assert_int_equal(f->there.closed, 0);
    assert_int_equal(status_of(f, ""), 401);
    assert_int_equal(rz_ws_server_refused(f->server), 2);
    door.answer = 0;
    assert_int_equal(status_of(f, ""), 101);
}

static void only_a_bearer_is_shown(void **state)
{
    fixture_t *f = *state;
    char lines[512], much[301];
    static const char *const sent[][2] = {
        { "", "" },
        { "Authorization: Bearer abc\r\n", "abc" },
        { "authorization: bearer abc\r\n", "abc" },
        { "Authorization: Basic abc\r\n", "" },
        { "Authorization: Bearer\r\n", "" },
        { "X-Authorization: Bearer abc\r\n", "" },
    };
    listen_guarded(f, 401);
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        assert_int_equal(status_of(f, sent[i][0]), 401);
        assert_string_equal(door.shown, sent[i][1]);
    }
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    snprintf(lines, sizeof lines, "Authorization: Bearer %s\r\n", much);
    assert_int_equal(status_of(f, lines), 401);
    assert_string_equal(door.shown, "");
}

static void a_browser_is_refused_before_the_door_is_asked(void **state)
{
    fixture_t *f = *state;
    listen_guarded(f, 0);
    assert_int_equal(status_of(f, "Origin: http://127.0.0.1\r\n"), 403);
    assert_int_equal(status_of(f, "oRIGIN: null\r\n"), 403);
    assert_int_equal(door.asked, 0);
    assert_int_equal(rz_ws_server_refused(f->server), 2);
}

/* libwebsockets would serve some of these itself. */
static void a_request_for_anything_but_a_websocket_is_refused_and_counted(void **state)
{
    static const char *const odd[][2] = {
        { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", " 426 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
          "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
          " 403 " },
        { UPGRADE "Upgrade: h2c\r\n\r\n", " 403 " },
        { UPGRADE "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", " 403 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: IRC/6.9\r\n\r\n", " 403 " },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " 505 " },
        { UPGRADE "Up:\r\nUpgrade: websocket\r\n\r\n", " 400 " },
    };
    fixture_t *f = *state;
    char answer[1024];
    size_t n = sizeof odd / sizeof *odd;
    listen_guarded(f, 0);
    uint16_t port = rz_ws_server_port(f->server);
    for (size_t i = 0; i < n; i++) {
        f->raw = tcp_socket(&port, false);
        raw_send(f, odd[i][0], strlen(odd[i][0]));
        raw_answer(f, answer, sizeof answer);
        assert_non_null(strstr(answer, odd[i][1]));
        assert_int_equal(raw_read(f, answer, 1), 0);
        close(f->raw);
    }
    f->raw = -1;
    assert_int_equal(door.asked, 0);
    assert_int_equal(f->there.opened, 0);
    assert_int_equal(rz_ws_server_refused(f->server), n);
    assert_int_equal(status_of(f, ""), 101);
}

static void a_request_that_is_too_large_ends_and_the_next_is_served(void **state)
{
    fixture_t *f = *state;
    char lines[20001] = "X: ";
    memset(lines + 3, 'x', sizeof lines - 6);
    memcpy(lines + sizeof lines - 3, "\r\n", 3);
    listen_guarded(f, 0);
    assert_int_not_equal(status_of(f, lines), 101);
    assert_int_equal(door.asked, 0);
    assert_int_equal(status_of(f, ""), 101);
}

static void a_handshake_that_stays_half_is_ended_in_time(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ .open_timeout_ms = 50 });
    uint16_t port = rz_ws_server_port(f->server);
    int silent = tcp_socket(&port, false);
    f->raw = tcp_socket(&port, false);
    raw_send(f, UPGRADE, strlen(UPGRADE));
    while (!is_ended(silent) || !is_ended(f->raw))
        uv_run(&f->loop, UV_RUN_ONCE);
    close(silent);
    assert_int_equal(f->there.opened, 0);
    assert_int_equal(f->there.closed, 0);
}

/* They keep what they have: the oldest is dropped, so the one that speaks is served at once. */
static void half_handshakes_shut_nobody_out(void **state)
{
    fixture_t *f = *state;
    int silent[RZ_WS_OPENING_MAX + 8];
    size_t n = sizeof silent / sizeof silent[0], ended = 0;
    listen_guarded(f, 0);
    uint16_t port = rz_ws_server_port(f->server);
    for (size_t i = 0; i < n; i++) {
        silent[i] = tcp_socket(&port, false);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(status_of(f, ""), 101);
    for (size_t i = 0; i < n; i++)
        ended += is_ended(silent[i]);
    assert_int_equal(ended, 9); /* eight, and one for the one that was served */
    assert_true(is_ended(silent[0]));
    assert_false(is_ended(silent[n - 1]));
    assert_int_equal(rz_ws_server_refused(f->server), 9);
    for (size_t i = 0; i < n; i++)
        close(silent[i]);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(the_door_is_shown_what_the_client_bears, setup, teardown),
    cmocka_unit_test_setup_teardown(whom_the_door_refuses_is_answered_and_counted_and_never_opens, setup, teardown),
    cmocka_unit_test_setup_teardown(only_a_bearer_is_shown, setup, teardown),
    cmocka_unit_test_setup_teardown(a_browser_is_refused_before_the_door_is_asked, setup, teardown),
    cmocka_unit_test_setup_teardown(a_request_for_anything_but_a_websocket_is_refused_and_counted, setup, teardown),
    cmocka_unit_test_setup_teardown(a_request_that_is_too_large_ends_and_the_next_is_served, setup, teardown),
    cmocka_unit_test_setup_teardown(a_handshake_that_stays_half_is_ended_in_time, setup, teardown),
    cmocka_unit_test_setup_teardown(half_handshakes_shut_nobody_out, setup, teardown),
    /* clang-format on */
};

RZ_FACTS(tests)
