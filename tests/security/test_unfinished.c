/* test_unfinished.c - messages without an end: libzmq keeps every part until the last one comes. Whoever sends one is cut,
 * counted and named; the broker stays small, and others are served meanwhile. */
#include "facts.h"

#include "keyring.h"
#include "knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PART       200 /* bytes: in the clear libzmq needs another 64 for each */
#define PARTS      300
#define HIGHEST_MB 600 /* what any of it may cost: some times the greatest message */
#define ENOUGH_MB  4000
#define LONG_PART  8192
#define LONG_PARTS 32000 /* 250 MiB: a sender of libzmq's sends nothing before it has the last part */

static size_t resident_mb(pid_t pid)
{
    char path[64];
    size_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu", &pages), 1); /* NOLINT(cert-err34-c) */
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

static void expect_cut(const char *socket_name, uint64_t before)
{
    char line[64];
    await_count("unfinished_cut", before + 1);
    snprintf(line, sizeof line, "peer.cut socket=%s peer=127.0.0.1:", socket_name);
    assert_true(logged(line));
    answers(ask("{\"op\":\"hello\"}"), "OK");
}

/* ---- in the clear, by hand (ZMTP 3.0, rfc.zeromq.org/spec/23) ---- */

static int dial(const char *endpoint)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void greet(int fd, const char *type)
{
    static const char property[] = "\5READY\13Socket-Type\0\0";
    char greeting[64] = { (char)0xff, [9] = 0x7f, [10] = 3, [12] = 'N', 'U', 'L', 'L' }, ready[64] = { 4 };
    size_t n = sizeof property, len = strlen(type); /* its last zero is the length's third byte */
    ready[1] = (char)(n + 1 + len);
    memcpy(ready + 2, property, n);
    ready[2 + n] = (char)len;
    memcpy(ready + 3 + n, type, len);
    assert_int_equal(send(fd, greeting, sizeof greeting, MSG_NOSIGNAL), sizeof greeting);
    assert_int_equal(recv(fd, greeting, sizeof greeting, MSG_WAITALL), sizeof greeting);
    assert_int_equal(send(fd, ready, 3 + n + len, MSG_NOSIGNAL), 3 + n + len);
}

/* Sends parts of one message until it is sent away. */
static void send_without_end(const char *endpoint, const char *type, const char *socket_name)
{
    static char parts[PARTS * (PART + 2)];
    for (size_t i = 0; i < PARTS; i++)
        memcpy(parts + i * (PART + 2), (char[]){ 1, (char)PART }, 2);
    uint64_t before = counted("unfinished_cut"), deadline = process_now_ms() + 2 * PATIENCE_MS;
    size_t sent = 0, start = resident_mb(stage.broker.pid), at = 0;
    int fd = dial(endpoint);
    greet(fd, type);
    for (;;) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
        assert_true(process_now_ms() < deadline && sent >> 20 < ENOUGH_MB);
        assert_true(resident_mb(stage.broker.pid) < start + HIGHEST_MB);
        poll(&poll_fd, 1, 100);
        ssize_t n = send(fd, parts + at, sizeof parts - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        at = n > 0 ? (at + (size_t)n) % sizeof parts : at;
    }
    close(fd);
    expect_cut(socket_name, before);
}

static void a_message_without_an_end_is_cut_at_every_socket(void **state)
{
    (void)state;
    send_without_end(stage.control_at, "DEALER", "control");
    send_without_end(stage.jobs_at, "PUSH", "jobs");
    send_without_end(stage.runners_at, "DEALER", "runners");
    send_without_end(stage.events_at, "SUB", "events");
    send_without_end(stage.publish_at, "PUB", "publish");
    answers(submit("c1", ""), "OK");
}

/* Many of them together are bounded as well. */
static void many_that_hold_back_less_than_a_message_are_cut_too(void **state)
{
    enum { PEERS = 40, EACH = 8 << 20 };
    static char bytes[1 << 20];
    int fd[PEERS];
    (void)state;
    for (size_t i = 0; i < sizeof bytes / (PART + 2); i++)
        memcpy(bytes + i * (PART + 2), (char[]){ 1, (char)PART }, 2);
    uint64_t before = counted("unfinished_cut");
    size_t usable = sizeof bytes / (PART + 2) * (PART + 2);
    for (int i = 0; i < PEERS; i++) {
        fd[i] = dial(stage.control_at);
        greet(fd[i], "DEALER");
        for (size_t sent = 0; sent < EACH; sent += usable)
            if (send(fd[i], bytes, usable, MSG_NOSIGNAL) < 0)
                break;
    }
    expect_cut("control", before);
    for (int i = 0; i < PEERS; i++)
        close(fd[i]);
}

/* ---- with keys ---- */

static void send_far_too_long(void *sock, const char *socket_name)
{
    static char part[LONG_PART];
    uint64_t before = counted("unfinished_cut");
    size_t start = resident_mb(stage.broker.pid);
    for (int i = 0; i < LONG_PARTS; i++)
        assert_int_equal(zmq_send(sock, part, sizeof part, ZMQ_SNDMORE), sizeof part);
    assert_int_equal(zmq_send(sock, part, 1, 0), 1);
    uint64_t deadline = process_now_ms() + 2 * PATIENCE_MS;
    while (counted("unfinished_cut") == before) {
        assert_true(process_now_ms() < deadline);
        assert_true(resident_mb(stage.broker.pid) < start + HIGHEST_MB);
    }
    disconnected(sock);
    expect_cut(socket_name, before);
}

static void a_known_key_is_cut_like_any_other(void **state)
{
    (void)state;
    send_far_too_long(connected_as(ZMQ_DEALER, stage.control_at, "client"), "control");
    send_far_too_long(connected_as(ZMQ_DEALER, stage.runners_at, "runner"), "runners");
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "client", NULL), KNOCK_IN);
    answers(submit("c1", ""), "OK");
}

/* ---- who does nothing wrong ---- */

/* More than any message may have, in many small ones, each of which is the whole set of what others have asked for. */
static void subscribers_that_ask_for_the_same_are_never_cut(void **state)
{
    enum { ROUNDS = 3000, LEN = 1000 };
    char topic[LEN];
    (void)state;
    memset(topic, 'x', sizeof topic);
    void *first = connected(ZMQ_XSUB, stage.events_at), *second = connected(ZMQ_XSUB, stage.events_at);
    for (int i = 0; i < ROUNDS; i++) {
        topic[0] = 1;
        snprintf(topic + LEN - 16, 16, "%d", i);
        assert_int_equal(zmq_send(first, topic, sizeof topic, 0), LEN);
        assert_int_equal(zmq_send(second, topic, sizeof topic, 0), LEN);
    }
    for (int i = 0; i < ROUNDS; i++) {
        topic[0] = 0;
        snprintf(topic + LEN - 16, 16, "%d", i);
        assert_int_equal(zmq_send(second, topic, sizeof topic, 0), LEN);
    }
    assert_int_equal(zmq_send(second, "\1$sys/sync/", 11, 0), 11);
    uint64_t until = process_now_ms() + 1000;
    while (process_now_ms() < until)
        answers(ask("{\"op\":\"hello\"}"), "OK");
    assert_int_equal(counted("unfinished_cut"), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_message_without_an_end_is_cut_at_every_socket, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(many_that_hold_back_less_than_a_message_are_cut_too, stage_up,
                                    stage_down),
    cmocka_unit_test_setup_teardown(a_known_key_is_cut_like_any_other, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(subscribers_that_ask_for_the_same_are_never_cut, stage_up, stage_down),
};
RZ_FACTS(tests)
