/* test_http.c - what probes and scrapers get, over raw TCP. */
#include "ws_stage.h"

#include "base/http.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE ((size_t)300 << 10)

typedef struct {
    fixture_t *f;
    rz_http_server_t *server;
    char query[64];
    int asked;
} site_t;

static void on_get(const char *path, const char *query, rz_http_answer_t *out, void *arg)
{
    site_t *site = arg;
    site->asked++;
    snprintf(site->query, sizeof site->query, "%s", query);
    if (strcmp(path, "/large") == 0) {
        fill(&out->body, LARGE);
    } else if (strcmp(path, "/metrics") == 0) {
        out->type = RZ_HTTP_METRICS;
        rz_buf_puts(&out->body, "up 1\n");
    } else {
        out->status = 404;
        rz_buf_puts(&out->body, "nothing here\n");
    }
}

static site_t open_site(void **state)
{
    site_t site = { .f = *state };
    return site;
}

static void listen_site(site_t *site)
{
    rz_err_t err = { 0 };
    site->server = rz_http_listen(site->f->context, "127.0.0.1", 0, on_get, site, &err);
    if (site->server == NULL)
        fail_msg("%s", err.text);
    uint16_t port = rz_http_port(site->server);
    site->f->raw = tcp_socket(&port, false);
}

static void ask(site_t *site, const char *request)
{
    raw_send(site->f, request, strlen(request));
}

/* Reads one answer: its head into `head`, its body, whose length the head tells, into `body`. */
static size_t read_answer(site_t *site, char head[1024], char *body, size_t cap)
{
    raw_answer(site->f, head, 1024);
    const char *length = strstr(head, "content-length: ");
    assert_non_null(length);
    size_t n = strtoul(length + strlen("content-length: "), NULL, 10);
    assert_true(n < cap);
    assert_int_equal(raw_read(site->f, body, n), n);
    body[n] = '\0';
    return n;
}

static void a_get_is_answered_with_status_type_and_body(void **state)
{
    site_t site = open_site(state);
    char head[1024], body[64];
    listen_site(&site);
    ask(&site, "GET /metrics?verbose HTTP/1.1\r\nHost: x\r\n\r\n");
    read_answer(&site, head, body, sizeof body);
    assert_memory_equal(head, "HTTP/1.1 200", 12);
    assert_non_null(strstr(head, "content-type: " RZ_HTTP_METRICS "\r\n"));
    assert_non_null(strstr(head, "cache-control: no-store\r\n"));
    assert_string_equal(body, "up 1\n");
    assert_string_equal(site.query, "verbose");
}

static void the_status_is_the_handlers(void **state)
{
    site_t site = open_site(state);
    char head[1024], body[64];
    listen_site(&site);
    ask(&site, "GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n");
    read_answer(&site, head, body, sizeof body);
    assert_memory_equal(head, "HTTP/1.1 404", 12);
    assert_string_equal(body, "nothing here\n");
}

/* What comes behind a request would come past its judge. */
static void a_connection_is_for_one_request(void **state)
{
    site_t site = open_site(state);
    char head[1024], body[64];
    listen_site(&site);
    ask(&site, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
               "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    read_answer(&site, head, body, sizeof body);
    assert_non_null(strstr(head, "connection: close\r\n"));
    assert_int_equal(raw_read(site.f, body, 1), 0);
    assert_int_equal(site.asked, 1);
}

static void a_large_answer_arrives_whole(void **state)
{
    site_t site = open_site(state);
    char head[1024], *body = malloc(LARGE + 1);
    rz_buf_t expected = { 0 };
    fill(&expected, LARGE);
    listen_site(&site);
    ask(&site, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(read_answer(&site, head, body, LARGE + 1), LARGE);
    assert_memory_equal(body, expected.data, LARGE);
    rz_buf_fini(&expected);
    free(body);
}

static void another_method_than_get_is_not_allowed(void **state)
{
    site_t site = open_site(state);
    char head[1024];
    listen_site(&site);
    ask(&site, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    raw_answer(site.f, head, sizeof head);
    assert_memory_equal(head, "HTTP/1.1 405", 12);
    assert_int_equal(site.asked, 0);
}

static void an_upgrade_to_websocket_is_refused(void **state)
{
    site_t site = open_site(state);
    char head[1024] = "";
    listen_site(&site);
    ask(&site, "GET /metrics HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    raw_answer(site.f, head, sizeof head);
    assert_null(strstr(head, " 101"));
    assert_int_equal(site.asked, 0);
}

static void what_libwebsockets_would_take_for_something_else_is_refused(void **state)
{
    static const char *const odd[][2] = {
        { "GET /metrics HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
          "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
          " 403 " },
        { "GET /metrics HTTP/1.1\r\nUpgrade: TLS/1.0\r\n\r\n", " 403 " },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", " 505 " },
        { "GET /metrics HTTP/1.1\nUpgrade: h2c\n\n", " 400 " },
        { "GET /metrics\r\n\r\n", " 400 " },
        { "GET /metrics HTTP/1.1\r\nHost: x\r\nUp: x\r\n\r\ny: z\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
          "Connection: Upgrade, HTTP2-Settings\r\n\r\n",
          " 400 " },
    };
    site_t site = open_site(state);
    char head[1024];
    listen_site(&site);
    uint16_t port = rz_http_port(site.server);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        close(site.f->raw);
        site.f->raw = tcp_socket(&port, false);
        ask(&site, odd[i][0]);
        raw_answer(site.f, head, sizeof head);
        assert_non_null(strstr(head, odd[i][1]));
        assert_int_equal(raw_read(site.f, head, 1), 0);
    }
    assert_int_equal(site.asked, 0);
}

/* Its bytes may come one by one: the loop is not kept awake by those that are there. */
static void a_request_that_comes_byte_by_byte_is_answered(void **state)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    site_t site = open_site(state);
    char head[1024], body[64];
    listen_site(&site);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        raw_send(site.f, request + i, 1);
        for (int turn = 0; turn < 3; turn++)
            uv_run(&site.f->loop, UV_RUN_NOWAIT);
        assert_int_equal(site.asked, i + 2 == sizeof request ? site.asked : 0);
    }
    read_answer(&site, head, body, sizeof body);
    assert_string_equal(body, "up 1\n");
}

static void half_a_request_whose_sender_goes_is_forgotten(void **state)
{
    site_t site = open_site(state);
    char byte;
    listen_site(&site);
    ask(&site, "GET /metrics HTTP/1.1\r\n");
    assert_int_equal(shutdown(site.f->raw, SHUT_WR), 0);
    assert_int_equal(raw_read(site.f, &byte, 1), 0);
    assert_int_equal(site.asked, 0);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
    site_t site = open_site(state);
    listen_site(&site);
    rz_err_t err = { 0 };
    uint16_t port = rz_http_port(site.server);
    assert_null(rz_http_listen(site.f->context, "127.0.0.1", port, on_get, &site, &err));
    assert_int_equal(err.rc, RZ_SYS);
    rz_ws_limits_t none = { 0 };
    assert_null(rz_ws_listen(site.f->context, "127.0.0.1", port, &none, &events, &site.f->there, &err));
}

static void a_closed_server_asks_its_handler_no_more(void **state)
{
    site_t site = open_site(state);
    char head[1024], body[64];
    listen_site(&site);
    rz_http_close(&site.server);
    assert_null(site.server);
    ask(&site, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    read_answer(&site, head, body, sizeof body);
    assert_memory_equal(head, "HTTP/1.1 503", 12);
    assert_int_equal(site.asked, 0);
}

/* clang-format off */
static void connections_that_say_nothing_shut_nobody_out(void **state)
{
    int silent[RZ_HTTP_CONNECTIONS_MAX + 8];
    size_t n = sizeof silent / sizeof silent[0];
    char head[1024], body[64];
    site_t site = open_site(state);
    listen_site(&site);
    uint16_t port = rz_http_port(site.server);
    close(site.f->raw);
    for (size_t i = 0; i < n; i++) {
        silent[i] = tcp_socket(&port, false);
        uv_run(&site.f->loop, UV_RUN_NOWAIT);
    }
    site.f->raw = tcp_socket(&port, false);
    ask(&site, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    read_answer(&site, head, body, sizeof body);
    assert_string_equal(body, "up 1\n");
    site.f->raw = (close(site.f->raw), silent[0]); /* the first of them was ended for the others */
    assert_int_equal(raw_read(site.f, body, 1), 0);
    for (size_t i = 1; i < n; i++)
        close(silent[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_get_is_answered_with_status_type_and_body, setup, teardown),
    cmocka_unit_test_setup_teardown(the_status_is_the_handlers, setup, teardown),
    cmocka_unit_test_setup_teardown(a_connection_is_for_one_request, setup, teardown),
    cmocka_unit_test_setup_teardown(a_large_answer_arrives_whole, setup, teardown),
    cmocka_unit_test_setup_teardown(another_method_than_get_is_not_allowed, setup, teardown),
    cmocka_unit_test_setup_teardown(an_upgrade_to_websocket_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(what_libwebsockets_would_take_for_something_else_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_request_that_comes_byte_by_byte_is_answered, setup, teardown),
    cmocka_unit_test_setup_teardown(half_a_request_whose_sender_goes_is_forgotten, setup, teardown),
    cmocka_unit_test_setup_teardown(a_port_that_is_taken_is_an_error, setup, teardown),
    cmocka_unit_test_setup_teardown(a_closed_server_asks_its_handler_no_more, setup, teardown),
    cmocka_unit_test_setup_teardown(connections_that_say_nothing_shut_nobody_out, setup, teardown),
};
/* clang-format on */

RZ_FACTS(tests)
