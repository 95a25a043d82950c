/* ws_stage.c - see ws_stage.h. */
#include "ws_stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_MS 20000

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

const rz_ws_events_t events = { on_open, on_text, on_close };

/* ---- fixture ---- */

int setup(void **state)
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

int teardown(void **state)
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

void listen_with(fixture_t *f, rz_ws_limits_t limits)
{
    rz_err_t err = { 0 };
    f->server = rz_ws_listen(f->context, "127.0.0.1", 0, &limits, &events, &f->there, &err);
    if (f->server == NULL)
        fail_msg("%s", err.text);
}

rz_ws_t *connect_to(fixture_t *f, uint16_t port, rz_ws_limits_t limits)
{
    rz_ws_peer_t peer = { .host = "127.0.0.1", .port = port, .path = "/any/path", .bearer = f->bearer };
    return rz_ws_connect(f->context, &peer, &limits, &events, &f->here);
}

void run_until(fixture_t *f, const int *counter, int goal)
{
    while (*counter < goal)
        uv_run(&f->loop, UV_RUN_ONCE);
}

void open_pair_with(fixture_t *f, rz_ws_limits_t client, rz_ws_limits_t server)
{
    listen_with(f, server);
    connect_to(f, rz_ws_server_port(f->server), client);
    run_until(f, &f->here.opened, 1);
    run_until(f, &f->there.opened, 1);
}

void open_pair(fixture_t *f)
{
    open_pair_with(f, (rz_ws_limits_t){ 0 }, (rz_ws_limits_t){ 0 });
}

/* ---- a raw peer ---- */

int tcp_socket(uint16_t *port, bool listening)
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

void raw_send(fixture_t *f, const void *bytes, size_t n)
{
    assert_int_equal(send(f->raw, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

size_t raw_read(fixture_t *f, char *out, size_t n)
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

void raw_request(fixture_t *f)
{
    uint16_t port = rz_ws_server_port(f->server);
    f->raw = tcp_socket(&port, false);
    static const char request[] =
        "GET /any HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    raw_send(f, request, sizeof(request) - 1);
}

void raw_answer(fixture_t *f, char *out, size_t cap)
{
    size_t n = 0;
    while (n + 1 < cap && raw_read(f, out + n, 1) == 1)
        if (out[n++] == '\n' && n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0)
            break;
    out[n] = '\0';
}

void raw_open(fixture_t *f)
{
    char answer[1024];
    raw_request(f);
    raw_answer(f, answer, sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 101", 12);
    run_until(f, &f->there.opened, 1);
}

void raw_frame(fixture_t *f, unsigned char first, const char *payload, size_t n)
{
    unsigned char frame[6 + 125] = { first, (unsigned char)(0x80 | n) };
    memcpy(frame + 6, payload, n);
    raw_send(f, frame, 6 + n);
}

void fill(rz_buf_t *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rz_buf_putc(buf, (char)('a' + i * 7 % 26));
}

void expect_close_frame(fixture_t *f, int code)
{
    unsigned char frame[4];
    assert_int_equal(raw_read(f, (char *)frame, sizeof(frame)), 4);
    assert_int_equal(frame[0], 0x88);
    assert_int_equal(frame[2] << 8 | frame[3], code);
}
