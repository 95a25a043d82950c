/* test_bounds.c - what a peer may make the broker hold: connections that never speak, messages that are too large or have too
 * many parts, requests without end. Those who behave are served meanwhile. */
#include "facts.h"

#include "keyring.h"
#include "knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HALF_OPEN 10000
#define OURS      512  /* files that this program needs besides */
#define FEW_FILES 2048 /* fewer than that, so that the broker has none left */

/* ---- strangers ---- */

static void what_never_comes_as_far_as_the_list_is_counted_and_logged(void **state)
{
    (void)state;
    rz_key_t admin, other;
    uint64_t before = counted("greetings_failed");
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, NULL, NULL), KNOCK_OUT);
    assert_int_equal(knock(ZMQ_SUB, stage.events_at, NULL, NULL), KNOCK_OUT);
    assert_int_equal(rz_key_load(keyring_path("admin"), "key", &admin, NULL), RZ_OK);
    rz_key_new(&other, "other", RZ_KEY_BROKER, NULL);
    memcpy(admin.server_key, other.public_key, sizeof admin.server_key);
    assert_int_equal(knock_with(ZMQ_PUSH, stage.jobs_at, &admin), KNOCK_OUT);
    await_count("greetings_failed", before + 3);
    assert_true(logged("guard.no_greeting socket="));
}

static int silent_connection(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static uint16_t port_of(const char *endpoint)
{
    return (uint16_t)strtoul(strrchr(endpoint, ':') + 1, NULL, 10);
}

/* Ten thousand, and the broker may not even open so many: who is in is served all the time, and when they have timed out,
 * others get in again. */
static void ten_thousand_connections_that_never_speak_keep_nobody_from_being_served(void **state)
{
    (void)state;
    int n = HALF_OPEN;
    struct rlimit ours, few = { FEW_FILES, FEW_FILES };
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &ours), 0);
    ours.rlim_cur = ours.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &ours), 0);
    if (ours.rlim_cur < HALF_OPEN + OURS) {
        n = (int)ours.rlim_cur - OURS;
        few.rlim_cur = few.rlim_max = (rlim_t)n / 2;
        print_message("SCALED DOWN to %d connections: the hard limit of open files is %lu\n", n,
                      (unsigned long)ours.rlim_cur);
        assert_true(n >= OURS);
    }
    assert_int_equal(prlimit(stage.broker.pid, RLIMIT_NOFILE, &few, NULL), 0);
    int *fd = malloc((size_t)n * sizeof *fd);
    assert_non_null(fd);
    answers(submit("c0", ""), "OK");
    for (int i = 0; i < n; i++) {
        fd[i] = silent_connection(port_of(stage.control_at));
        if (i % 500 == 0)
            answers(ask("{\"op\":\"get\",\"child\":\"c0\"}"), "OK");
    }
    for (int i = 0; i < 100; i++)
        answers(ask("{\"op\":\"get\",\"child\":\"c0\"}"), "OK");
    for (int i = 0; i < n; i++)
        if (fd[i] >= 0)
            close(fd[i]);
    free(fd);
    uint64_t deadline = process_now_ms() + 4 * PATIENCE_MS;
    while (knock(ZMQ_DEALER, stage.control_at, "client", NULL) != KNOCK_IN)
        assert_true(process_now_ms() < deadline);
    answers(submit("c1", ""), "OK");
    assert_true(counted("greetings_failed") > 0);
}

/* ---- those who are in ---- */

static void a_message_that_is_too_large_is_refused_by_name_and_hurts_nobody(void **state)
{
    (void)state;
    size_t size = RZ_FRAME_MAX + 1;
    char *bytes = calloc(1, size), reply[1024] = "";
    int wait_ms = PATIENCE_MS;
    assert_non_null(bytes);
    void *client = connected_as(ZMQ_REQ, stage.control_at, "client");
    zmq_setsockopt(client, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    assert_true(zmq_send(client, bytes, size, 0) > 0);
    assert_true(zmq_recv(client, reply, sizeof reply - 1, 0) > 0);
    assert_non_null(strstr(reply, "\"TOO_LARGE\""));
    await_count("frames_too_large", 1);
    assert_true(logged("sock.frame_too_large endpoint="));
    assert_true(logged(" client\" bytes=16777217 max=16777216"));
    free(bytes);
    answers(ask("{\"op\":\"hello\"}"), "OK");
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "client", NULL), KNOCK_IN);
}

static void a_message_of_ten_thousand_parts_is_thrown_away_and_logged(void **state)
{
    (void)state;
    void *client = connected_as(ZMQ_DEALER, stage.control_at, "client");
    for (int i = 0; i < 10000; i++)
        assert_int_equal(zmq_send(client, "x", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(client, "x", 1, 0), 1);
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!logged("sock.too_many_parts"))
        assert_true(process_now_ms() < deadline);
    answers(ask("{\"op\":\"hello\"}"), "OK");
}

static int few_calls_up(void **state)
{
    static const char *const flags[] = { "--limits-calls-per-sec", "200", NULL };
    (void)state;
    stage.secure = true;
    return stage_open(NULL, flags);
}

static void who_asks_without_end_is_told_when_to_come_back_and_others_are_served(void **state)
{
    (void)state;
    void *own = stage.control;
    double retry_ms = 0;
    stage.control = connected_as(ZMQ_REQ, stage.control_at, "client");
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (retry_ms == 0) {
        assert_true(process_now_ms() < deadline);
        cJSON *reply = ask("{\"op\":\"hello\",\"id\":7}");
        if (strcmp(text_at(reply, "code"), "FULL") == 0)
            retry_ms = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "retry_after_ms"));
        assert_true(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "id")) == 7);
        cJSON_Delete(reply);
    }
    assert_true(retry_ms >= 1 && retry_ms <= 1000);
    stage.control = own;
    assert_true(counted("calls_limited") > 0); /* another key is not limited by it */
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(what_never_comes_as_far_as_the_list_is_counted_and_logged, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(ten_thousand_connections_that_never_speak_keep_nobody_from_being_served, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_message_that_is_too_large_is_refused_by_name_and_hurts_nobody, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_message_of_ten_thousand_parts_is_thrown_away_and_logged, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(who_asks_without_end_is_told_when_to_come_back_and_others_are_served, few_calls_up, stage_down),
    /* clang-format on */
};
RZ_FACTS(tests)
