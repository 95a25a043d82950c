/* test_ws.c - WebSocket text over a loop: what is said, whole and in pieces, and what is refused. */
#include "ws_stage.h"

#include "base/limits.h"

#include <stdlib.h>
#include <unistd.h>

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
    char masked[11] = "\x81\x85\x01\x02\x03\x04"; /* the mask is 1 2 3 4 */
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
    /* clang-format on */
};

RZ_FACTS(tests)
