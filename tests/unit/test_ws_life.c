/* test_ws_life.c - how WebSocket connections begin and end, one or many, by us, by the peer, or by silence. */
#include "ws_stage.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* We refuse the text, libwebsockets the frame behind it, and its last word about the connection comes after our
 * on_close. */
static void a_peer_that_breaks_two_rules_at_once_ends_once(void **state)
{
    fixture_t *f = *state;
    listen_with(f, (rz_ws_limits_t){ 0 });
    raw_open(f);
    raw_send(f, "\x81\x81\0\0\0\0\xff" /* not UTF-8 */ "\xf1\x80\0\0\0\0" /* reserved bits */, 13);
    run_until(f, &f->there.closed, 1);
    assert_int_equal(f->there.end, RZ_WS_BAD_UTF8);
    assert_int_equal(f->there.closed, 1);
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
    cmocka_unit_test_setup_teardown(close_sends_what_is_queued_and_both_sides_hear_it, setup, teardown),
    cmocka_unit_test_setup_teardown(a_close_frame_is_answered_and_told_from_a_lost_connection, setup, teardown),
    cmocka_unit_test_setup_teardown(the_end_of_the_stream_without_a_close_is_lost, setup, teardown),
    cmocka_unit_test_setup_teardown(a_reset_is_lost, setup, teardown),
    cmocka_unit_test_setup_teardown(a_peer_that_breaks_two_rules_at_once_ends_once, setup, teardown),
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
