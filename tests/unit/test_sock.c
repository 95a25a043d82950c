/* The ZeroMQ socket on a loop: no message is forgotten, no send blocks, no half message leaves. */
#include "base/sock.h"

#include "base/timer.h"

#include "facts.h"

#include <pthread.h>

#define DEADLINE_MS 20000

typedef struct {
    uv_loop_t loop;
    void *zctx;
    rz_timer_t *deadline;
    rz_sock_t *a, *b, *c;
    int got_a, got_b; /* messages heard */
    int goal;
    size_t last_parts;
    char last[64];
    char refused[320]; /* why the last one that was refused is */
} fixture_t;

static void on_deadline(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for too long");
}

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture_t *f = *state = &fixture;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->zctx = zmq_ctx_new();
    f->deadline = rz_timer_open(&f->loop, on_deadline, f);
    rz_timer_start(f->deadline, DEADLINE_MS, 0);
    return 0;
}

/* The loop ends by itself only if no handle was forgotten; the context only if no socket was. */
static int teardown(void **state)
{
    fixture_t *f = *state;
    rz_sock_close(&f->a);
    rz_sock_close(&f->b);
    rz_sock_close(&f->c);
    rz_timer_close(&f->deadline);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    zmq_ctx_term(f->zctx);
    return uv_loop_close(&f->loop);
}

static rz_sock_t *open_sock(fixture_t *f, rz_sock_options_t options)
{
    rz_err_t err = { 0 };
    options.arg = f;
    rz_sock_t *sock = rz_sock_open(&f->loop, f->zctx, &options, &err);
    if (sock == NULL)
        fail_msg("%s", err.text);
    return sock;
}

static rz_sock_t *open_bound(fixture_t *f, rz_sock_options_t options)
{
    rz_sock_t *sock = open_sock(f, options);
    assert_int_equal(rz_sock_bind(sock, "tcp://127.0.0.1:*", NULL), RZ_OK);
    return sock;
}

static rz_sock_t *open_linked(fixture_t *f, rz_sock_options_t options, const rz_sock_t *to)
{
    rz_sock_t *sock = open_sock(f, options);
    assert_int_equal(rz_sock_connect(sock, rz_sock_endpoint(to), NULL), RZ_OK);
    return sock;
}

/* Until it is linked a connecting DEALER or PUSH answers AGAIN, and nothing says when to try again: hence
 * NOWAIT. */
static void send_when_linked(fixture_t *f, rz_sock_t *sock, const rz_str_t *parts, size_t n)
{
    rz_rc_t rc;
    while ((rc = rz_sock_send(sock, parts, n)) == RZ_AGAIN)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(rc, RZ_OK);
}

static void run_until(fixture_t *f, const int *counter, int goal)
{
    while (*counter < goal)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void heard_a(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)sock;
    fixture_t *f = arg;
    f->got_a++;
    f->last_parts = msg->n;
    rz_str_t tail = msg->part[msg->n - 1];
    snprintf(f->last, sizeof(f->last), "%.*s", (int)tail.n, tail.p);
    if (msg->refused != NULL)
        snprintf(f->refused, sizeof(f->refused), "%s %s", rz_rc_name(msg->refused->rc), msg->refused->text);
}

static void heard_b(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)sock;
    (void)msg;
    ((fixture_t *)arg)->got_b++;
}

/* ---- echo ---- */

static void echo(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)arg;
    assert_int_equal(rz_sock_send(sock, msg->part, msg->n), RZ_OK);
}

/* A client outside of the loop, as any ZeroMQ program would be. */
static void *ask_many_times(void *arg)
{
    fixture_t *f = arg;
    void *req = zmq_socket(f->zctx, ZMQ_REQ);
    int timeout_ms = DEADLINE_MS;
    zmq_setsockopt(req, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
    intptr_t answered = 0;
    if (zmq_connect(req, rz_sock_endpoint(f->a)) == 0)
        for (int i = 0; i < 10000; i++) {
            int answer = -1;
            if (zmq_send(req, &i, sizeof(i), 0) < 0 || zmq_recv(req, &answer, sizeof(answer), 0) < 0 ||
                answer != i)
                break;
            answered++;
        }
    zmq_close(req);
    return (void *)answered;
}

static void stop_when_asked(uv_async_t *async)
{
    uv_stop(async->loop);
}

typedef struct {
    fixture_t *f;
    uv_async_t done;
    void *answered;
} client_t;

static void *client_main(void *arg)
{
    client_t *client = arg;
    client->answered = ask_many_times(client->f);
    uv_async_send(&client->done);
    return NULL;
}

static void ten_thousand_requests_are_echoed_without_a_stall(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = echo });
    client_t client = { .f = f };
    uv_async_init(&f->loop, &client.done, stop_when_asked);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    uv_close((uv_handle_t *)&client.done, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal((intptr_t)client.answered, 10000);
}

static void bounce(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    fixture_t *f = arg;
    if (++f->got_a < f->goal)
        assert_int_equal(rz_sock_send(sock, msg->part, msg->n), RZ_OK);
}

static void two_sockets_of_one_loop_play_ping_pong(void **state)
{
    fixture_t *f = *state;
    f->goal = 10000;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = bounce });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_DEALER, .on_msg = bounce }, f->a);
    send_when_linked(f, f->b, &RZ_STR("ball"), 1);
    run_until(f, &f->got_a, f->goal);
    assert_int_equal(f->got_a, 10000);
}

/* ---- the edge ---- */

/* b's messages reach a while the loop stands still; a send on a then makes libzmq take in the news, and with
 * it the edge.  A loop that only polls the descriptor would now sleep for ever. */
static void a_send_that_swallows_the_edge_loses_no_message(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_DEALER, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_DEALER, .on_msg = heard_b }, f->a);
    send_when_linked(f, f->b, &RZ_STR("first"), 1);
    run_until(f, &f->got_a, 1);

    for (int i = 0; i < 200; i++)
        assert_int_equal(rz_sock_send(f->b, &RZ_STR("more"), 1), RZ_OK);
    zmq_pollitem_t item = { .socket = rz_sock_raw(f->a), .events = ZMQ_POLLIN };
    assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1); /* takes the edge, as a send may */
    assert_int_equal(rz_sock_send(f->a, &RZ_STR("back"), 1), RZ_OK);

    run_until(f, &f->got_a, 201);
    run_until(f, &f->got_b, 1);
    assert_int_equal(f->got_a, 201);
}

static void more_messages_than_one_batch_arrive_without_a_new_edge(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    send_when_linked(f, f->b, &RZ_STR("0"), 1);
    for (int i = 1; i < 1000; i++)
        assert_int_equal(rz_sock_send(f->b, &RZ_STR("n"), 1), RZ_OK);
    run_until(f, &f->got_a, 1000);
    assert_int_equal(f->got_a, 1000);
}

static void count_turn(uv_check_t *check)
{
    (*(int *)check->data)++;
}

static void a_full_queue_is_handed_over_in_turns(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    rz_sock_pause(f->a, true);
    send_when_linked(f, f->b, &RZ_STR("0"), 1);
    for (int i = 1; i < 640; i++)
        assert_int_equal(rz_sock_send(f->b, &RZ_STR("n"), 1), RZ_OK);
    int turns = 0;
    uv_check_t check;
    uv_check_init(&f->loop, &check);
    check.data = &turns;
    uv_check_start(&check, count_turn);
    rz_sock_pause(f->a, false);
    run_until(f, &f->got_a, 640);
    uv_close((uv_handle_t *)&check, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_true(turns >= 10);
}

static void ring(void *loop)
{
    uv_stop(loop);
}

static void a_quiet_loop_sleeps(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    send_when_linked(f, f->b, &RZ_STR("x"), 1);
    run_until(f, &f->got_a, 1);
    int turns = 0;
    uv_check_t check;
    uv_check_init(&f->loop, &check);
    check.data = &turns;
    uv_check_start(&check, count_turn);
    uint64_t begin = uv_now(&f->loop);
    rz_timer_t *bell = rz_timer_open(&f->loop, ring, &f->loop);
    rz_timer_start(bell, 50, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(uv_now(&f->loop) - begin >= 50);
    assert_true(turns < 20);
    rz_timer_close(&bell);
    uv_close((uv_handle_t *)&check, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* ---- bounds and failures ---- */

static void send_parts(rz_sock_t *sock, size_t n, const char *last)
{
    rz_str_t parts[2 * RZ_PARTS_MAX];
    for (size_t i = 0; i < n; i++)
        parts[i] = RZ_STR("p");
    parts[n - 1] = rz_str(last);
    assert_int_equal(rz_sock_send(sock, parts, n), RZ_OK);
}

static void a_message_of_too_many_parts_is_dropped_whole_and_counted(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    send_when_linked(f, f->b, &RZ_STR("before"), 1);
    send_parts(f->b, RZ_PARTS_MAX + 1, "too long");
    send_parts(f->b, 2 * RZ_PARTS_MAX, "far too long");
    send_parts(f->b, RZ_PARTS_MAX, "just fits");
    run_until(f, &f->got_a, 2);
    assert_int_equal(rz_sock_discarded(f->a), 2);
    assert_int_equal(f->last_parts, RZ_PARTS_MAX);
    assert_string_equal(f->last, "just fits");
}

static void a_frame_that_is_too_large_is_refused_by_name_and_counted(void **state)
{
    enum { MAX = 1000 };
    fixture_t *f = *state;
    static char bytes[RZ_FRAME_WALL * MAX];
    const rz_str_t just[2] = { RZ_STR("topic"), { bytes, MAX } };
    const rz_str_t beyond[2] = { RZ_STR("topic"), { bytes, MAX + 1 } };
    const rz_str_t most[2] = { { bytes, sizeof bytes }, RZ_STR("last") };
    f->a = open_bound(
        f, (rz_sock_options_t){ .type = ZMQ_PULL, .max_bytes = MAX, .refuses = true, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    send_when_linked(f, f->b, just, 2);
    run_until(f, &f->got_a, 1);
    assert_string_equal(f->refused, "");
    send_when_linked(f, f->b, beyond, 2);
    run_until(f, &f->got_a, 2);
    assert_string_equal(f->refused, "TOO_LARGE a frame has at most 1000 bytes, this one has 1001");
    send_when_linked(f, f->b, most, 2);
    run_until(f, &f->got_a, 3);
    assert_string_equal(f->refused, "TOO_LARGE a frame has at most 1000 bytes, this one has 4000");
    assert_int_equal(rz_sock_refused(f->a), 2);
}

static void a_router_says_when_it_does_not_know_the_peer(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = heard_a });
    rz_str_t parts[2] = { RZ_STR("nobody"), RZ_STR("hello") };
    assert_int_equal(rz_sock_send(f->a, parts, 2), RZ_CLOSED);

    /* and the refused message left nothing behind that would lead the next one */
    f->b = open_linked(
        f, (rz_sock_options_t){ .type = ZMQ_DEALER, .routing_id = "somebody", .on_msg = heard_b }, f->a);
    send_when_linked(f, f->b, &RZ_STR("hi"), 1);
    run_until(f, &f->got_a, 1);
    parts[0] = RZ_STR("somebody");
    assert_int_equal(rz_sock_send(f->a, parts, 2), RZ_OK);
    run_until(f, &f->got_b, 1);
}

static void a_fixed_routing_id_is_what_the_router_sees(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = echo });
    f->b = open_linked(
        f, (rz_sock_options_t){ .type = ZMQ_DEALER, .routing_id = "runner-1", .on_msg = heard_a }, f->a);
    send_when_linked(f, f->b, &RZ_STR("hi"), 1);
    run_until(f, &f->got_a, 1);
    assert_int_equal(f->last_parts, 1);
    rz_str_t parts[2] = { RZ_STR("runner-1"), RZ_STR("by name") };
    assert_int_equal(rz_sock_send(f->a, parts, 2), RZ_OK);
    run_until(f, &f->got_a, 2);
    assert_string_equal(f->last, "by name");
}

static void a_socket_without_a_peer_answers_again_at_once(void **state)
{
    fixture_t *f = *state;
    f->a = open_sock(f, (rz_sock_options_t){ .type = ZMQ_PUSH });
    assert_int_equal(rz_sock_connect(f->a, "tcp://127.0.0.1:1", NULL), RZ_OK);
    rz_str_t parts[2] = { RZ_STR("a"), RZ_STR("b") };
    assert_int_equal(rz_sock_send(f->a, parts, 2), RZ_AGAIN);
}

/* Fills the queues of a peer that does not read: messages large enough that kernel buffers do not hide it. */
static void a_full_queue_answers_again_and_keeps_messages_whole(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .rcvhwm = 4, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH, .sndhwm = 4 }, f->a);
    static char block[1 << 20];
    rz_str_t parts[3] = { RZ_STR("head"), { block, sizeof(block) }, RZ_STR("tail") };
    rz_sock_pause(f->a, true);
    send_when_linked(f, f->b, parts, 3);
    int sent = 1;
    for (; sent < 1000; sent++) {
        rz_rc_t rc = rz_sock_send(f->b, parts, 3);
        if (rc == RZ_AGAIN)
            break;
        assert_int_equal(rc, RZ_OK);
    }
    assert_in_range(sent, 4, 999);
    rz_sock_pause(f->a, false);
    run_until(f, &f->got_a, sent);
    send_when_linked(f, f->b, &RZ_STR("next"), 1);
    run_until(f, &f->got_a, sent + 1);
    assert_int_equal(f->got_a, sent + 1);
    assert_int_equal(f->last_parts, 1); /* nothing of the refused message leads it */
}

static void a_taken_address_is_refused_by_name(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_sock(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_b });
    rz_err_t err = { 0 };
    assert_int_equal(rz_sock_bind(f->b, rz_sock_endpoint(f->a), &err), RZ_SYS);
    assert_int_equal(err.sys, EADDRINUSE);
    assert_non_null(strstr(err.text, rz_sock_endpoint(f->a)));
}

/* ---- pausing and closing ---- */

static void a_paused_socket_is_silent_until_resumed(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_b });
    f->c = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    rz_sock_pause(f->a, true);
    send_when_linked(f, f->c, &RZ_STR("held back"), 1);

    rz_sock_close(&f->c); /* a second message on another way shows that the loop did run */
    f->c = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->b);
    send_when_linked(f, f->c, &RZ_STR("passes"), 1);
    run_until(f, &f->got_b, 1);
    assert_int_equal(f->got_a, 0);
}

static void a_resumed_socket_hears_what_waited(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    rz_sock_pause(f->a, true);
    send_when_linked(f, f->b, &RZ_STR("held back"), 1);
    zmq_pollitem_t item = { .socket = rz_sock_raw(f->a), .events = ZMQ_POLLIN };
    assert_int_equal(zmq_poll(&item, 1, DEADLINE_MS), 1);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->got_a, 0);
    rz_sock_pause(f->a, false);
    run_until(f, &f->got_a, 1);
    assert_string_equal(f->last, "held back");
}

static void close_self(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    fixture_t *f = arg;
    assert_ptr_equal(sock, f->a);
    f->got_a++;
    rz_sock_close(&f->a);
    assert_int_equal(msg->part[0].p[0], 'n'); /* the message outlives its socket */
}

static void on_msg_may_close_its_socket_with_messages_waiting(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = close_self });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    send_when_linked(f, f->b, &RZ_STR("n"), 1);
    for (int i = 0; i < 200; i++)
        assert_int_equal(rz_sock_send(f->b, &RZ_STR("n"), 1), RZ_OK);
    run_until(f, &f->got_a, 1);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->got_a, 1);
}

static void close_other(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    (void)msg;
    fixture_t *f = arg;
    f->got_a++;
    rz_sock_close(sock == f->a ? &f->b : &f->a);
}

static void on_msg_may_close_another_socket_that_has_messages(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = close_other });
    f->b = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = close_other });
    f->c = open_linked(f, (rz_sock_options_t){ .type = ZMQ_PUSH }, f->a);
    assert_int_equal(rz_sock_connect(f->c, rz_sock_endpoint(f->b), NULL), RZ_OK);
    rz_sock_pause(f->a, true);
    rz_sock_pause(f->b, true);
    zmq_pollitem_t items[2] = { { .socket = rz_sock_raw(f->a), .events = ZMQ_POLLIN },
                                { .socket = rz_sock_raw(f->b), .events = ZMQ_POLLIN } };
    do { /* PUSH deals its messages out: soon both have some */
        send_when_linked(f, f->c, &RZ_STR("n"), 1);
        zmq_poll(items, 2, 1);
    } while (items[0].revents == 0 || items[1].revents == 0);
    rz_sock_pause(f->a, false);
    rz_sock_pause(f->b, false);
    run_until(f, &f->got_a, 1);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_true((f->a == NULL) != (f->b == NULL));
}

static void an_address_is_free_again_right_after_close(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = echo });
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "%s", rz_sock_endpoint(f->a));
    rz_sock_close(&f->a);
    f->b = open_sock(f, (rz_sock_options_t){ .type = ZMQ_ROUTER, .on_msg = echo });
    while (rz_sock_bind(f->b, endpoint, NULL) != RZ_OK) /* libzmq closes in its own thread */
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_string_equal(rz_sock_endpoint(f->b), endpoint);
}

/* ---- publishing ---- */

/* A publisher is told of subscriptions through the same descriptor: without the loop's help a PUB that only
 * sends now and then would go on with the old ones. */
static void a_publisher_without_on_msg_learns_its_subscriptions(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PUB });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_SUB, .on_msg = heard_b }, f->a);
    assert_int_equal(rz_sock_subscribe(f->b, "p/c/", true), RZ_OK);
    rz_str_t wanted[2] = { RZ_STR("p/c/token"), RZ_STR("x") };
    rz_str_t unwanted[2] = { RZ_STR("p/d/token"), RZ_STR("x") };
    while (f->got_b == 0) {
        assert_int_equal(rz_sock_send(f->a, unwanted, 2), RZ_OK);
        assert_int_equal(rz_sock_send(f->a, wanted, 2), RZ_OK);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_true(f->got_b >= 1);
}

static void an_xsub_subscribes_by_message_and_an_xpub_hears_it(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_XPUB, .on_msg = heard_a });
    f->b = open_linked(f, (rz_sock_options_t){ .type = ZMQ_XSUB, .on_msg = heard_b }, f->a);
    assert_int_equal(rz_sock_subscribe(f->b, "p/", true), RZ_OK);
    run_until(f, &f->got_a, 1);
    assert_string_equal(f->last, "\x01p/");
    assert_int_equal(rz_sock_send(f->a, &RZ_STR("p/c/token"), 1), RZ_OK);
    run_until(f, &f->got_b, 1);
    assert_int_equal(rz_sock_subscribe(f->b, "p/", false), RZ_OK);
    run_until(f, &f->got_a, 2);
    assert_int_equal(f->last[0], '\0');
}

static void only_subscribers_can_subscribe(void **state)
{
    fixture_t *f = *state;
    f->a = open_bound(f, (rz_sock_options_t){ .type = ZMQ_PULL, .on_msg = heard_a });
    assert_int_equal(rz_sock_subscribe(f->a, "p/", true), RZ_STATE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(ten_thousand_requests_are_echoed_without_a_stall, setup, teardown),
    cmocka_unit_test_setup_teardown(two_sockets_of_one_loop_play_ping_pong, setup, teardown),
    cmocka_unit_test_setup_teardown(a_send_that_swallows_the_edge_loses_no_message, setup, teardown),
    cmocka_unit_test_setup_teardown(more_messages_than_one_batch_arrive_without_a_new_edge, setup, teardown),
    cmocka_unit_test_setup_teardown(a_full_queue_is_handed_over_in_turns, setup, teardown),
    cmocka_unit_test_setup_teardown(a_quiet_loop_sleeps, setup, teardown),
    cmocka_unit_test_setup_teardown(a_message_of_too_many_parts_is_dropped_whole_and_counted, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_frame_that_is_too_large_is_refused_by_name_and_counted, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(a_router_says_when_it_does_not_know_the_peer, setup, teardown),
    cmocka_unit_test_setup_teardown(a_fixed_routing_id_is_what_the_router_sees, setup, teardown),
    cmocka_unit_test_setup_teardown(a_socket_without_a_peer_answers_again_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_full_queue_answers_again_and_keeps_messages_whole, setup, teardown),
    cmocka_unit_test_setup_teardown(a_taken_address_is_refused_by_name, setup, teardown),
    cmocka_unit_test_setup_teardown(a_paused_socket_is_silent_until_resumed, setup, teardown),
    cmocka_unit_test_setup_teardown(a_resumed_socket_hears_what_waited, setup, teardown),
    cmocka_unit_test_setup_teardown(on_msg_may_close_its_socket_with_messages_waiting, setup, teardown),
    cmocka_unit_test_setup_teardown(on_msg_may_close_another_socket_that_has_messages, setup, teardown),
    cmocka_unit_test_setup_teardown(an_address_is_free_again_right_after_close, setup, teardown),
    cmocka_unit_test_setup_teardown(a_publisher_without_on_msg_learns_its_subscriptions, setup, teardown),
    cmocka_unit_test_setup_teardown(an_xsub_subscribes_by_message_and_an_xpub_hears_it, setup, teardown),
    cmocka_unit_test_setup_teardown(only_subscribers_can_subscribe, setup, teardown),
};

RZ_FACTS(tests)
