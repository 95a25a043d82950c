/* test_head.c - which heads of requests libwebsockets may see. */
#include "base/head.h"

#include "facts.h"

#include <stdio.h>
#include <string.h>

#define LINE "GET /x?y HTTP/1.1\r\n"
#define WS   "Upgrade: websocket\r\n"

static unsigned judge(const char *text, rz_head_kind_t kind)
{
    return rz_head_judge(text, strlen(text), kind);
}

static void expect_both(const char *text, unsigned verdict)
{
    assert_int_equal(judge(text, RZ_HEAD_PAGE), verdict);
    assert_int_equal(judge(text, RZ_HEAD_WEBSOCKET), verdict);
}

static void a_plain_request_may_pass(void **state)
{
    (void)state;
    assert_int_equal(judge(LINE "\r\n", RZ_HEAD_PAGE), RZ_HEAD_WHOLE);
    assert_int_equal(judge("POST * HTTP/1.0\r\nQ: b\r\n\r\n", RZ_HEAD_PAGE), RZ_HEAD_WHOLE);
    assert_int_equal(judge(LINE "Host: x\r\nEmpty:\r\nTab:\ta\tb\r\nName: \xc3\xa9\r\n\r\n", RZ_HEAD_PAGE),
                     RZ_HEAD_WHOLE);
    assert_int_equal(judge(LINE WS "\r\n", RZ_HEAD_WEBSOCKET), RZ_HEAD_WHOLE);
    assert_int_equal(judge(LINE "uPGRADE:  WebSocket\r\n\r\n", RZ_HEAD_WEBSOCKET), RZ_HEAD_WHOLE);
}

static void what_stands_behind_the_head_is_not_looked_at(void **state)
{
    (void)state;
    assert_int_equal(judge(LINE "\r\nUpgrade: h2c\r\n\n\n\x01", RZ_HEAD_PAGE), RZ_HEAD_WHOLE);
}

static void a_head_is_judged_when_it_is_whole(void **state)
{
    static const char head[] = LINE "Host: x\r\n" WS "\r\n";
    (void)state;
    for (size_t n = 0; n + 1 < sizeof head; n++)
        assert_int_equal(rz_head_judge(head, n, RZ_HEAD_WEBSOCKET), RZ_HEAD_PART);
    assert_int_equal(judge(head, RZ_HEAD_WEBSOCKET), RZ_HEAD_WHOLE);
}

static void an_upgrade_is_to_a_websocket_once_where_that_is_spoken(void **state)
{
    (void)state;
    assert_int_equal(judge(LINE "\r\n", RZ_HEAD_WEBSOCKET), 426);
    assert_int_equal(judge(LINE WS "\r\n", RZ_HEAD_PAGE), 403);
    assert_int_equal(judge(LINE WS WS "\r\n", RZ_HEAD_WEBSOCKET), 403);
    static const char *const others[] = { "h2c",          "",           "websocket, h2c", "h2c, websocket",
                                          "websocket/13", "websockets", "TLS/1.0" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char head[128];
        snprintf(head, sizeof head, LINE "Upgrade: %s\r\n\r\n", others[i]);
        expect_both(head, 403);
        snprintf(head, sizeof head, LINE WS "upgrade:%s\r\n\r\n", others[i]);
        expect_both(head, 403);
    }
    expect_both(LINE "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 403);
}

/* Whatever one parser takes for a line, a name or an end, and another does not. */
static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "\r\n\r\n",
        "\n\n",
        LINE "\n",
        "GET / HTTP/1.1\nA: b\r\n\r\n",
        LINE "A: b\n\r\n",
        LINE "A: b\rUpgrade: h2c\r\n\r\n",
        LINE "A: b\r\r\n\r\n",
        LINE "A: b\r\n Upgrade: h2c\r\n\r\n",
        LINE "A: b\r\n\tc\r\n\r\n",
        LINE "Upgrade : h2c\r\n\r\n",
        LINE " Upgrade: h2c\r\n\r\n",
        LINE "Upgrade\r\n\r\n",
        LINE ": h2c\r\n\r\n",
        LINE "A: \x01\r\n\r\n",
        LINE "A: \x7f\r\n\r\n",
        LINE "\xc3\xa9: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        " / HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET /\ta HTTP/1.1\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        expect_both(heads[i], 400);
    static const char nul[] = LINE "A: a\0b\r\n\r\n";
    assert_int_equal(rz_head_judge(nul, sizeof nul - 1, RZ_HEAD_PAGE), 400);
}

static void another_version_is_refused(void **state)
{
    (void)state;
    static const char *const versions[] = { "HTTP/2.0",  "HTTP/1.2", "HTTP/1.", "HTTP/1.11",
                                            "HTTP/1.1 ", "http",     "" };
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char head[64];
        snprintf(head, sizeof head, "GET / %s\r\n\r\n", versions[i]);
        expect_both(head, 505);
    }
    expect_both("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
}

/* libwebsockets 4.1 takes the colon behind half a name that it knows for one more letter of it. */
static void half_a_name_that_libwebsockets_knows_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "Up", "a", "Ho", "x-a", "UPGRAD", "sec-websocket-ke" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char head[96];
        snprintf(head, sizeof head, LINE "%s: x\r\n\r\n", names[i]);
        expect_both(head, 400);
    }
    assert_int_equal(judge(LINE "Upgrade:\twebsocket\r\n\r\n", RZ_HEAD_WEBSOCKET), 403);
    assert_int_equal(judge(LINE "Upgrade: websocket \r\n\r\n", RZ_HEAD_WEBSOCKET), 403);
}

static void a_head_has_at_most_so_many_bytes(void **state)
{
    char head[RZ_HEAD_MAX + 2];
    (void)state;
    memset(head, 'x', sizeof head);
    memcpy(head, LINE "Q: ", sizeof LINE + 2);
    assert_int_equal(rz_head_judge(head, RZ_HEAD_MAX - 1, RZ_HEAD_PAGE), RZ_HEAD_PART);
    assert_int_equal(rz_head_judge(head, RZ_HEAD_MAX, RZ_HEAD_PAGE), 431);
    memcpy(head + RZ_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(rz_head_judge(head, RZ_HEAD_MAX, RZ_HEAD_PAGE), RZ_HEAD_WHOLE);
    memcpy(head + RZ_HEAD_MAX - 4, "xx\r\n\r\n", 6);
    assert_int_equal(rz_head_judge(head, RZ_HEAD_MAX + 2, RZ_HEAD_PAGE), 431);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_plain_request_may_pass),
    cmocka_unit_test(what_stands_behind_the_head_is_not_looked_at),
    cmocka_unit_test(a_head_is_judged_when_it_is_whole),
    cmocka_unit_test(an_upgrade_is_to_a_websocket_once_where_that_is_spoken),
    cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
    cmocka_unit_test(another_version_is_refused),
    cmocka_unit_test(half_a_name_that_libwebsockets_knows_is_refused),
    cmocka_unit_test(a_head_has_at_most_so_many_bytes),
};
RZ_FACTS(tests)
