/* WebSocket text over a loop, with itself and with a peer that speaks raw TCP, because a well-behaved one
 * cannot show what happens to bad frames, half frames and silence. */
#include "base/ws.h"

#include "base/limits.h"
#include "base/timer.h"

#include "facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 20000

typedef struct {
    int opened, texts, closed;
    rz_ws_t *ws; /* the last one opened; NULL when it closed */
    char last[64];
    size_t last_len;
    rz_ws_end_t end;
    char detail[160];
    bool echo, close_on_text, abort_on_text;
    rz_buf_t expect; /* compared with each text unless empty */
} side_t;

typedef struct {
    uv_loop_t loop;
    rz_ws_context_t *context;
    rz_ws_server_t *server;
    rz_timer_t *deadline;
    side_t here, there; /* client's side, server's side */
    int raw;            /* TCP socket of a raw peer, or -1 */
} fixture_t;

static void on_deadline(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for too long");
}

/* ---- what both sides do ---- */

static void on_open(rz_ws_t *ws, void *arg)
{
    side_t *side = arg;
    side->opened++;
    side->ws = ws;
}

static void on_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    side_t *side = arg;
    side->texts++;
    side->last_len = len;
    snprintf(side->last, sizeof(side->last), "%.*s", (int)(len < 63 ? len : 63), bytes);
    if (side->expect.len > 0) {
        assert_int_equal(len, side->expect.len);
        assert_memory_equal(bytes, side->expect.data, len);
    }
    if (side->echo)
        assert_int_equal(rz_ws_send(ws, bytes, len), RZ_OK);
    if (side->close_on_text)
        rz_ws_close(ws, 1000);
    if (side->abort_on_text)
        rz_ws_abort(ws);
}

static void on_close(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg)
{
    side_t *side = arg;
    side->closed++;
    side->end = end;
    snprintf(side->detail, sizeof(side->detail), "%s", detail);
    if (side->ws == ws)
        side->ws = NULL;
}

static const rz_ws_events_t events = { on_open, on_text, on_close };

/* ---- fixture ---- */

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture_t *f = *state = &fixture;
    f->raw = -1;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->deadline = rz_timer_open(&f->loop, on_deadline, f);
    rz_timer_start(f->deadline, DEADLINE_MS, 0);
    rz_err_t err = { 0 };
    f->context = rz_ws_context_open(&f->loop, &err);
    if (f->context == NULL)
        fail_msg("%s", err.text);
    return 0;
}

/* The loop can be closed only if every handle was, libwebsockets' own ones included. */
static int teardown(void **state)
{
    fixture_t *f = *state;
    if (f->raw >= 0)
        close(f->raw);
    rz_ws_context_close(&f->context);
    rz_timer_close(&f->deadline);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    rz_buf_fini(&f->here.expect);
    rz_buf_fini(&f->there.expect);
    return uv_loop_close(&f->loop);
}

static void listen_with(fixture_t *f, rz_ws_limits_t limits)
{
    rz_err_t err = { 0 };
    f->server = rz_ws_listen(f->context, "127.0.0.1", 0, &limits, &events, &f->there, &err);
    if (f->server == NULL)
        fail_msg("%s", err.text);
}

static rz_ws_t *connect_to(fixture_t *f, uint16_t port, rz_ws_limits_t limits)
{
    return rz_ws_connect(f->context, "127.0.0.1", port, "/any/path", &limits, &events, &f->here);
}

static void run_until(fixture_t *f, const int *counter, int goal)
{
    while (*counter < goal)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void open_pair_with(fixture_t *f, rz_ws_limits_t client, rz_ws_limits_t server)
{
    listen_with(f, server);
    connect_to(f, rz_ws_server_port(f->server), client);
    run_until(f, &f->here.opened, 1);
    run_until(f, &f->there.opened, 1);
}

static void open_pair(fixture_t *f)
{
    open_pair_with(f, (rz_ws_limits_t){ 0 }, (rz_ws_limits_t){ 0 });
}

/* ---- a raw peer ---- */

static int tcp_socket(uint16_t *port, bool listening)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(addr);
    if (!listening) {
        addr.sin_port = htons(*port);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
    }
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    assert_int_equal(listen(fd, 4), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void raw_send(fixture_t *f, const void *bytes, size_t n)
{
    assert_int_equal(send(f->raw, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Reads until n bytes are there, or the end of the stream; returns how many. */
static size_t raw_read(fixture_t *f, char *out, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t rc = recv(f->raw, out + got, n - got, MSG_DONTWAIT);
        if (rc > 0)
            got += (size_t)rc;
        else if (rc == 0 || errno != EAGAIN)
            break;
        else
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    return got;
}

static void raw_request(fixture_t *f)
{
    uint16_t port = rz_ws_server_port(f->server);
    f->raw = tcp_socket(&port, false);
    static const char request[] =
        "GET /any HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    raw_send(f, request, sizeof(request) - 1);
}

/* The answer up to its empty line. */
static void raw_answer(fixture_t *f, char *out, size_t cap)
{
    size_t n = 0;
    while (n + 1 < cap && raw_read(f, out + n, 1) == 1)
        if (out[n++] == '\n' && n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0)
            break;
    out[n] = '\0';
}

static void raw_open(fixture_t *f)
{
    char answer[1024];
    raw_request(f);
    raw_answer(f, answer, sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 101", 12);
    run_until(f, &f->there.opened, 1);
}

/* One client frame of at most 125 bytes, masked with zeros. */
static void raw_frame(fixture_t *f, unsigned char first, const char *payload, size_t n)
{
    unsigned char frame[6 + 125] = { first, (unsigned char)(0x80 | n) };
    memcpy(frame + 6, payload, n);
    raw_send(f, frame, 6 + n);
}

/* ---- talking ---- */

static void a_text_is_echoed_and_comes_back(void **state)
{
    fixture_t *f = *state;
    f->there.echo = true;
    open_pair(f);
    assert_int_equal(rz_ws_send(f->here.ws, "h\xc3\xa9llo", 6), RZ_OK);
    run_until(f, &f->here.texts, 1);
    assert_string_equal(f->here.last, "h\xc3\xa9llo");
    assert_int_equal(rz_ws_unsent(f->here.ws), 0);
}

static void the_server_may_speak_first(void **state)
{
    fixture_t *f = *state;
    f->here.echo = true;
    open_pair(f);
    assert_int_equal(rz_ws_send(f->there.ws, "ping", 4), RZ_OK);
    run_until(f, &f->there.texts, 1);
    assert_string_equal(f->there.last, "ping");
}

static void what_is_sent_before_the_connection_opens_follows_it(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    rz_ws_t *ws = connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
    assert_int_equal(rz_ws_send(ws, "early", 5), RZ_OK);
    run_until(f, &f->there.texts, 1);
    assert_string_equal(f->there.last, "early");
}

static void an_empty_text_is_a_message(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    assert_int_equal(rz_ws_send(f->here.ws, "", 0), RZ_OK);
    assert_int_equal(rz_ws_send(f->here.ws, "after", 5), RZ_OK);
    run_until(f, &f->there.texts, 2);
    assert_string_equal(f->there.last, "after");
}

static void ten_thousand_texts_keep_their_order(void **state)
{
    fixture_t *f = *state;
    f->there.echo = true;
    open_pair(f);
    char text[16];
    for (int i = 0; i < 10000; i++) {
        int n = snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(rz_ws_send(f->here.ws, text, (size_t)n), RZ_OK);
    }
    for (int i = 0; i < 10000; i++) {
        run_until(f, &f->here.texts, i + 1);
        if (f->here.texts == i + 1)
            assert_int_equal(atoi(f->here.last), i);
    }
    assert_string_equal(f->here.last, "9999");
}

static void fill(rz_buf_t *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rz_buf_putc(buf, (char)('a' + i * 7 % 26));
}

static void sixteen_mebibytes_pass_in_both_directions(void **state)
{
    fixture_t *f = *state;
    f->there.echo = true;
    fill(&f->here.expect, RZ_FRAME_MAX);
    fill(&f->there.expect, RZ_FRAME_MAX);
    open_pair(f);
    assert_int_equal(rz_ws_send(f->here.ws, f->here.expect.data, f->here.expect.len), RZ_OK);
    assert_int_equal(rz_ws_unsent(f->here.ws), RZ_FRAME_MAX);
    run_until(f, &f->here.texts, 1);
    assert_int_equal(f->here.last_len, RZ_FRAME_MAX);
    assert_int_equal(rz_ws_unsent(f->here.ws), 0);
}

/* ---- pieces ---- */

static void fragments_become_one_text(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    raw_frame(f, 0x01, "\xe2\x82", 2); /* a character cut in two */
    raw_frame(f, 0x00, "\xac", 1);
    raw_frame(f, 0x89, "ping", 4); /* a control frame may stand between */
    raw_frame(f, 0x80, " 5", 2);
    run_until(f, &f->there.texts, 1);
    assert_string_equal(f->there.last, "\xe2\x82\xac 5");
    char pong[6];
    assert_int_equal(raw_read(f, pong, sizeof(pong)), 6);
    assert_memory_equal(pong, "\x8a\x04ping", 6);
}

static void a_peer_that_sends_byte_by_byte_is_understood(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    const char frame[] = "\x81\x85\x01\x02\x03\x04"
                         "igoho"; /* "hello" under the mask 1 2 3 4 */
    char masked[11];
    memcpy(masked, frame, 11);
    for (int i = 0; i < 5; i++)
        masked[6 + i] = (char)("hello"[i] ^ (1 + i % 4));
    for (int i = 0; i < 11; i++) {
        assert_int_equal(f->there.texts, 0);
        raw_send(f, &masked[i], 1);
        for (int turn = 0; turn < 3; turn++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    run_until(f, &f->there.texts, 1);
    assert_string_equal(f->there.last, "hello");
}

static void a_binary_message_is_ignored(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    raw_frame(f, 0x82, "\xff\xfe", 2);
    raw_frame(f, 0x02, "\xff", 1);
    raw_frame(f, 0x80, "\xff", 1);
    raw_frame(f, 0x81, "text", 4);
    run_until(f, &f->there.texts, 1);
    assert_string_equal(f->there.last, "text");
}

static void expect_close_frame(fixture_t *f, int code)
{
    unsigned char frame[4];
    assert_int_equal(raw_read(f, (char *)frame, sizeof(frame)), 4);
    assert_int_equal(frame[0], 0x88);
    assert_int_equal(frame[2] << 8 | frame[3], code);
}

static void a_text_that_is_not_utf8_closes_with_1007(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    raw_frame(f, 0x81, "0123456789\xed\xa0\x80", 13); /* a surrogate */
    expect_close_frame(f, 1007);
    raw_frame(f, 0x88, "\x03\xef", 2);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_BAD_UTF8);
    assert_int_equal(f->there.texts, 0);
}

static void a_text_above_the_limit_closes_with_1009_before_it_is_collected(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ .max_bytes = 1000 });
    raw_open(f);
    raw_send(f, "\x81\xfe\x03\xe9\0\0\0\0x", 9); /* announces 1001 bytes, brings one */
    expect_close_frame(f, 1009);
    raw_frame(f, 0x88, "\x03\xf1", 2);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_TOO_LARGE);
}

static void fragments_above_the_limit_close_with_1009(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ .max_bytes = 8 });
    raw_open(f);
    raw_frame(f, 0x01, "12345", 5);
    raw_frame(f, 0x00, "6789", 4);
    expect_close_frame(f, 1009);
    close(f->raw);
    f->raw = -1;
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_TOO_LARGE);
}

static void a_client_also_refuses_what_is_too_large(void **state)
{
    fixture_t *f = *state;
    open_pair_with(f, (rz_ws_limits_t){ .max_bytes = 100 }, (rz_ws_limits_t){ 0 });
    char text[101];
    memset(text, 'x', sizeof(text));
    assert_int_equal(rz_ws_send(f->there.ws, text, 100), RZ_OK);
    run_until(f, &f->here.texts, 1);
    assert_int_equal(rz_ws_send(f->there.ws, text, 101), RZ_OK);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->here.end, RZ_WS_TOO_LARGE);
    assert_int_equal(f->there.end, RZ_WS_CLOSED);
    assert_non_null(strstr(f->there.detail, "1009"));
}

/* ---- ends ---- */

static void close_sends_what_is_queued_and_both_sides_hear_it(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rz_ws_send(f->here.ws, "x", 1), RZ_OK);
    rz_ws_t *ws = f->here.ws;
    rz_ws_close(ws, 1001);
    assert_int_equal(rz_ws_send(ws, "late", 4), RZ_CLOSED);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.texts, 100);
    assert_int_equal(f->here.end, RZ_WS_CLOSED);
    assert_int_equal(f->there.end, RZ_WS_CLOSED);
    assert_non_null(strstr(f->there.detail, "1001"));
}

static void a_close_frame_is_answered_and_told_from_a_lost_connection(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    raw_frame(f, 0x88,
              "\x03\xe8"
              "done",
              6);
    expect_close_frame(f, 1000);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_CLOSED);
    assert_string_equal(f->there.detail, "the peer closed with 1000 done");
}

static void the_end_of_the_stream_without_a_close_is_lost(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    close(f->raw);
    f->raw = -1;
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_LOST);
}

static void a_reset_is_lost(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    struct linger reset = { 1, 0 };
    setsockopt(f->raw, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(f->raw);
    f->raw = -1;
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_LOST);
}

/* The peer is a process of its own, idle on an open connection when it dies. */
static void a_killed_peer_is_noticed_within_milliseconds(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pause(); /* the connection is open here, too */
        _exit(0);
    }
    close(f->raw);
    f->raw = -1;
    for (int turn = 0; turn < 10; turn++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->there.closed, 0);
    uint64_t killed = uv_hrtime();
    kill(pid, SIGKILL);
    run_until(f, &f->there.closed, 1);
    uint64_t took_ms = (uv_hrtime() - killed) / 1000000;
    waitpid(pid, NULL, 0);
    assert_int_equal(f->there.end, RZ_WS_LOST);
    assert_true(took_ms < 500);
}

static void a_peer_that_never_answers_close_is_dropped_after_two_seconds(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    uint64_t begin = uv_hrtime();
    rz_ws_close(f->there.ws, 1000);
    run_until(f, &f->there.closed, 1);
    uint64_t took_ms = (uv_hrtime() - begin) / 1000000;
    assert_in_range(took_ms, 1900, 4000);
    assert_int_equal(f->there.end, RZ_WS_CLOSED);
}

static void abort_reports_later_and_sends_no_close(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    rz_ws_abort(f->here.ws);
    assert_int_equal(f->here.closed, 0);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_LOST);
}

static void on_text_may_close_its_connection(void **state)
{
    fixture_t *f = *state;
    f->there.close_on_text = true;
    open_pair(f);
    assert_int_equal(rz_ws_send(f->here.ws, "one", 3), RZ_OK);
    assert_int_equal(rz_ws_send(f->here.ws, "two", 3), RZ_OK);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.texts, 1);
    assert_int_equal(f->here.end, RZ_WS_CLOSED);
}

static void on_text_may_abort_its_connection(void **state)
{
    fixture_t *f = *state;
    f->there.abort_on_text = true;
    open_pair(f);
    assert_int_equal(rz_ws_send(f->here.ws, "one", 3), RZ_OK);
    assert_int_equal(rz_ws_send(f->here.ws, "two", 3), RZ_OK);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.texts, 1);
    assert_int_equal(f->here.end, RZ_WS_LOST);
}

static void a_peer_that_does_not_read_ends_as_backlog(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ .max_unsent = 4 << 20 });
    raw_open(f);
    rz_buf_t text = { 0 };
    fill(&text, 1 << 20);
    rz_rc_t rc = RZ_OK;
    int sent = 0;
    for (; rc == RZ_OK && sent < 100; sent++) {
        rc = rz_ws_send(f->there.ws, text.data, text.len);
        for (int turn = 0; turn < 50; turn++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    rz_buf_fini(&text);
    assert_int_equal(rc, RZ_FULL);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_BACKLOG);
}

/* ---- beginnings ---- */

static void a_refused_connection_is_reported_at_once_but_not_from_inside(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    close(tcp_socket(&port, true)); /* nobody listens here now */
    uint64_t begin = uv_hrtime();
    connect_to(f, port, (rz_ws_limits_t){ 0 });
    assert_int_equal(f->here.closed, 0);
    run_until(f, &f->here.closed, 1);
    assert_true(uv_hrtime() - begin < 500000000u);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);
    assert_true(strlen(f->here.detail) > 0);
}

static void fifty_refused_connections_leave_no_handle(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    close(tcp_socket(&port, true));
    for (int i = 0; i < 50; i++)
        connect_to(f, port, (rz_ws_limits_t){ 0 });
    run_until(f, &f->here.closed, 50); /* teardown fails if one is left */
    assert_int_equal(f->here.closed, 50);
}

static void a_listener_that_never_answers_is_a_timeout(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    f->raw = tcp_socket(&port, true);
    uint64_t begin = uv_hrtime();
    connect_to(f, port, (rz_ws_limits_t){ .open_timeout_ms = 200 });
    run_until(f, &f->here.closed, 1);
    assert_in_range((uv_hrtime() - begin) / 1000000, 190, 2000);
    assert_int_equal(f->here.end, RZ_WS_TIMEOUT);
}

static void an_answer_that_is_no_upgrade_is_refused(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    int listener = tcp_socket(&port, true);
    connect_to(f, port, (rz_ws_limits_t){ 0 });
    f->raw = accept(listener, NULL, NULL);
    close(listener);
    char request[1024];
    raw_answer(f, request, sizeof(request));
    assert_non_null(strstr(request, "GET /any/path HTTP/1.1"));
    assert_null(strcasestr(request, "Sec-WebSocket-Protocol"));
    assert_null(strcasestr(request, "Sec-WebSocket-Extensions"));
    static const char no[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    raw_send(f, no, sizeof(no) - 1);
    run_until(f, &f->here.closed, 1);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);
}

static void a_peer_that_hangs_up_during_the_handshake_is_refused(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    int listener = tcp_socket(&port, true);
    connect_to(f, port, (rz_ws_limits_t){ 0 });
    close(accept(listener, NULL, NULL));
    close(listener);
    run_until(f, &f->here.closed, 1);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);
}

static void a_connection_may_be_closed_before_it_is_open(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    rz_ws_close(connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 }), 1000);
    assert_int_equal(f->here.closed, 0);
    run_until(f, &f->here.closed, 1);
    assert_int_equal(f->here.opened, 0);
    assert_int_equal(f->here.end, RZ_WS_CLOSED);
}

static void the_upgrade_is_answered_without_protocol_or_extension(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_request(f);
    char answer[1024];
    raw_answer(f, answer, sizeof(answer));
    assert_non_null(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_null(strcasestr(answer, "Sec-WebSocket-Protocol"));
    assert_null(strcasestr(answer, "Sec-WebSocket-Extensions"));
}

static void one_connection_too_many_is_answered_503(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    rz_ws_server_max(f->server, 1);
    raw_request(f);
    char answer[1024];
    raw_answer(f, answer, sizeof(answer));
    assert_memory_equal(answer + strlen("HTTP/1.x"), " 503 ", 5);
    connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
    run_until(f, &f->here.closed, 1);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);

    rz_ws_close(f->here.ws, 1000); /* the place is free again when its holder went */
    run_until(f, &f->there.closed, 1);
    connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
    run_until(f, &f->there.opened, 2);
}

static void refuse_to_listen(fixture_t *f, uint16_t port)
{
    rz_err_t err = { 0 };
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    assert_null(rz_ws_listen(f->context, "127.0.0.1", port, NULL, &events, &f->there, &err));
    assert_int_equal(err.rc, RZ_SYS);
    assert_non_null(strstr(err.text, address));
}

static void a_taken_port_is_refused_by_name(void **state)
{
    fixture_t *f = *state;
    uint16_t port;
    f->raw = tcp_socket(&port, true);
    refuse_to_listen(f, port);
    listen_with(f, (rz_ws_limits_t){ 0 });
    refuse_to_listen(f, rz_ws_server_port(f->server));
}

/* ---- many, and the end of all ---- */

static void two_hundred_connections_come_and_go(void **state)
{
    fixture_t *f = *state;
    f->there.echo = true;
    listen_with(f, (rz_ws_limits_t){ 0 });
    for (int i = 0; i < 200; i++) {
        rz_ws_t *ws = connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 });
        assert_int_equal(rz_ws_send(ws, "hello", 5), RZ_OK);
    }
    f->here.close_on_text = true;
    run_until(f, &f->here.closed, 200);
    run_until(f, &f->there.closed, 200);
    assert_int_equal(f->here.texts, 200);
    assert_int_equal(f->there.texts, 200);
    assert_int_equal(f->here.end, RZ_WS_CLOSED);
}

static void closing_a_server_ends_its_connections_and_frees_its_port(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    uint16_t port = rz_ws_server_port(f->server);
    rz_ws_server_close(&f->server);
    run_until(f, &f->here.closed, 1);
    run_until(f, &f->there.closed, 1);
    connect_to(f, port, (rz_ws_limits_t){ 0 });
    run_until(f, &f->here.closed, 2);
    assert_int_equal(f->here.end, RZ_WS_REFUSED);
}

static void closing_the_context_reports_every_connection_once(void **state)
{
    fixture_t *f = *state;
    open_pair(f);
    connect_to(f, rz_ws_server_port(f->server), (rz_ws_limits_t){ 0 }); /* still opening */
    rz_ws_send(f->here.ws, "on its way", 10);
    rz_ws_context_close(&f->context);
    rz_timer_close(&f->deadline);
    assert_int_equal(f->here.closed, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->here.closed, 2);
    assert_int_equal(f->there.closed, 1);
}

static void a_context_that_did_nothing_closes(void **state)
{
    fixture_t *f = *state;
    rz_ws_context_close(&f->context);
    rz_timer_close(&f->deadline);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_text_is_echoed_and_comes_back, setup, teardown),
    cmocka_unit_test_setup_teardown(the_server_may_speak_first, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_sent_before_the_connection_opens_follows_it, setup, teardown),
    cmocka_unit_test_setup_teardown(an_empty_text_is_a_message, setup, teardown),
    cmocka_unit_test_setup_teardown(ten_thousand_texts_keep_their_order, setup, teardown),
    cmocka_unit_test_setup_teardown(sixteen_mebibytes_pass_in_both_directions, setup, teardown),
    cmocka_unit_test_setup_teardown(fragments_become_one_text, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_sends_byte_by_byte_is_understood, setup, teardown),
    cmocka_unit_test_setup_teardown(a_binary_message_is_ignored, setup, teardown),
    cmocka_unit_test_setup_teardown(a_text_that_is_not_utf8_closes_with_1007, setup, teardown),
    cmocka_unit_test_setup_teardown(a_text_above_the_limit_closes_with_1009_before_it_is_collected, setup, teardown),
    cmocka_unit_test_setup_teardown(fragments_above_the_limit_close_with_1009, setup, teardown),
    cmocka_unit_test_setup_teardown(a_client_also_refuses_what_is_too_large, setup, teardown),
    cmocka_unit_test_setup_teardown(close_sends_what_is_queued_and_both_sides_hear_it, setup, teardown),
    cmocka_unit_test_setup_teardown(a_close_frame_is_answered_and_told_from_a_lost_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(the_end_of_the_stream_without_a_close_is_lost, setup, teardown),
    cmocka_unit_test_setup_teardown(a_reset_is_lost, setup, teardown),
    cmocka_unit_test_setup_teardown(a_killed_peer_is_noticed_within_milliseconds, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_never_answers_close_is_dropped_after_two_seconds, setup, teardown),
    cmocka_unit_test_setup_teardown(abort_reports_later_and_sends_no_close, setup, teardown),
    cmocka_unit_test_setup_teardown(on_text_may_close_its_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(on_text_may_abort_its_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_ends_as_backlog, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refused_connection_is_reported_at_once_but_not_from_inside, setup, teardown),
    cmocka_unit_test_setup_teardown(fifty_refused_connections_leave_no_handle, setup, teardown),
    cmocka_unit_test_setup_teardown(a_listener_that_never_answers_is_a_timeout, setup, teardown),
    cmocka_unit_test_setup_teardown(an_answer_that_is_no_upgrade_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_hangs_up_during_the_handshake_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_connection_may_be_closed_before_it_is_open, setup, teardown),
    cmocka_unit_test_setup_teardown(the_upgrade_is_answered_without_protocol_or_extension, setup, teardown),
    cmocka_unit_test_setup_teardown(one_connection_too_many_is_answered_503, setup, teardown),
    cmocka_unit_test_setup_teardown(a_taken_port_is_refused_by_name, setup, teardown),
    cmocka_unit_test_setup_teardown(two_hundred_connections_come_and_go, setup, teardown),
    cmocka_unit_test_setup_teardown(closing_a_server_ends_its_connections_and_frees_its_port, setup, teardown),
    cmocka_unit_test_setup_teardown(closing_the_context_reports_every_connection_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_context_that_did_nothing_closes, setup, teardown),
    /* clang-format on */
};

RZ_FACTS(tests)
