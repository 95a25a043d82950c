/* The broker's own try to get in: it notices sockets that let strangers in, and only those. */
#include "intruder.h"

#include "base/timer.h"

#include "facts.h"

#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_MS 20000

typedef struct {
    uv_loop_t loop;
    void *zctx, *sock;
    char endpoint[128];
    rz_key_t key;
    rz_timer_t *deadline;
    intruder_t *intruder;
    guard_t *guard;
    counters_t counters;
    int rounds, accepted;
    bool with_key;
} fixture_t;

static void on_deadline(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for too long");
}

static void on_begin(void *arg)
{
    (void)arg;
}

static void on_round(void *arg)
{
    fixture_t *f = arg;
    f->rounds++;
    uv_stop(&f->loop);
}

static void on_accepted(const char *gate, bool with_key, void *arg)
{
    fixture_t *f = arg;
    assert_string_equal(gate, "control");
    f->accepted++;
    f->with_key = with_key;
    uv_stop(&f->loop);
}

static void on_changed(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture_t *f = *state = &fixture;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->zctx = zmq_ctx_new();
    f->deadline = rz_timer_open(&f->loop, on_deadline, f);
    rz_timer_start(f->deadline, DEADLINE_MS, 0);
    rz_key_new(&f->key, "broker", RZ_KEY_BROKER, NULL);
    return 0;
}

static int teardown(void **state)
{
    fixture_t *f = *state;
    intruder_close(&f->intruder);
    zmq_close(f->sock);
    guard_close(&f->guard);
    rz_timer_close(&f->deadline);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    zmq_ctx_term(f->zctx);
    return uv_loop_close(&f->loop);
}

/* A ROUTER as a broker has it. key NULL: in the clear. */
static void serve(fixture_t *f, const rz_key_t *key)
{
    size_t size = sizeof f->endpoint;
    int none = 0;
    f->sock = zmq_socket(f->zctx, ZMQ_ROUTER);
    zmq_setsockopt(f->sock, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal(rz_key_apply(key, "control", f->sock, NULL), RZ_OK);
    assert_int_equal(zmq_bind(f->sock, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(f->sock, ZMQ_LAST_ENDPOINT, f->endpoint, &size), 0);
}

static void try_it(fixture_t *f)
{
    f->intruder = intruder_open(&(intruder_parts_t){ .loop = &f->loop,
                                                     .zctx = f->zctx,
                                                     .guard = f->guard,
                                                     .server_key = f->key.public_key,
                                                     .endpoint = { [GATE_CONTROL] = f->endpoint },
                                                     .pause_ms = 10,
                                                     .on_begin = on_begin,
                                                     .on_round = on_round,
                                                     .on_accepted = on_accepted,
                                                     .arg = f });
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* As libzmq has it by itself: without a ZAP handler any key will do. */
static void a_socket_with_curve_and_no_list_lets_it_in(void **state)
{
    fixture_t *f = *state;
    serve(f, &f->key);
    try_it(f);
    assert_int_equal(f->accepted, 1);
    assert_true(f->with_key);
}

static void a_socket_in_the_clear_lets_it_in(void **state)
{
    fixture_t *f = *state;
    serve(f, NULL);
    try_it(f);
    assert_int_equal(f->accepted, 1);
    assert_false(f->with_key);
}

static void a_socket_behind_the_list_refuses_it_again_and_again(void **state)
{
    fixture_t *f = *state;
    rz_err_t err = { 0 };
    char path[] = "/tmp/rhizome-allow-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "{\"keys\":[]}", 11), 11);
    close(fd);
    f->guard = guard_open(&(guard_parts_t){ &f->loop, f->zctx, path, &f->counters, on_changed, f }, &err);
    assert_non_null(f->guard);
    serve(f, &f->key);
    try_it(f);
    uv_run(&f->loop, UV_RUN_DEFAULT); /* the second round */
    assert_int_equal(f->accepted, 0);
    assert_int_equal(f->rounds, 2);
    assert_int_equal(f->counters.tries_refused, 2); /* by the list: who has no key does not come so far */
    assert_int_equal(f->counters.peers_denied, 0);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_socket_with_curve_and_no_list_lets_it_in, setup, teardown),
    cmocka_unit_test_setup_teardown(a_socket_in_the_clear_lets_it_in, setup, teardown),
    cmocka_unit_test_setup_teardown(a_socket_behind_the_list_refuses_it_again_and_again, setup, teardown),
};
RZ_FACTS(tests)
