/* face: where events are heard. What subscribers ask for is read in turns, so that nobody keeps the thread. */
#include "facts.h"

#include "face.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { SUBSCRIPTIONS = 20000, TURN = 256 };

static void *open_socket(void *zctx, int type)
{
    int none = 0;
    void *sock = zmq_socket(zctx, type);
    zmq_setsockopt(sock, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    return sock;
}

static void ask(void *sock, int i)
{
    char topic[32];
    int n = snprintf(topic, sizeof topic, "\001p/c%d/", i);
    assert_int_equal(zmq_send(sock, topic, (size_t)n, 0), n);
}

static void who_subscribes_without_a_pause_is_read_in_turns(void **state)
{
    (void)state;
    static const uint64_t one[GATES] = { 0 };
    static const rz_key_t in_the_clear = { 0 };
    rz_err_t err = { 0 };
    void *zctx = zmq_ctx_new(), *upstream = open_socket(zctx, ZMQ_XSUB), *eager = open_socket(zctx, ZMQ_XSUB);
    hoard_t *hoard = hoard_create(one, 1024);
    face_base_t base = { .zctx = zctx, .kept = 1000, .key = &in_the_clear, .hoard = hoard };
    face_t *face = face_open(&base, "tcp://127.0.0.1:*", NULL, &err);
    if (face == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(zmq_connect(eager, face_endpoint(face)), 0);
    for (int i = 0; i < SUBSCRIPTIONS; i++)
        ask(eager, i);

    zmq_pollitem_t item = { .socket = face_socket(face), .events = ZMQ_POLLIN };
    size_t turns = 0;
    for (size_t left = 0; zmq_poll(&item, 1, left == 0 && turns > 0 ? 500 : 30000) > 0; turns++)
        left = face_read(face, upstream).more;
    assert_true(turns >= SUBSCRIPTIONS / TURN);

    face_shut(face, upstream, 0);
    face_destroy(&face);
    hoard_destroy(&hoard);
    zmq_close(eager);
    zmq_close(upstream);
    zmq_ctx_term(zctx);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_subscribes_without_a_pause_is_read_in_turns),
};

RZ_FACTS(tests)
