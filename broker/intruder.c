/* intruder.c - see intruder.h. */
#include "intruder.h"

#include "base/log.h"
#include "base/timer.h"

#include <stdio.h>
#include <string.h>

#define TRIES        ((size_t)2 * GATES)
#define HANDSHAKE_MS 2000
#define ROUND_MS     5000 /* then what is not answered is given up */
#define SUCCESSES    ZMQ_EVENT_HANDSHAKE_SUCCEEDED
#define FAILURES                                                                                             \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                            \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED)

/* One connection under way; `raw` NULL: none. */
typedef struct {
    intruder_t *intruder;
    gate_t gate;
    bool with_key;
    void *raw;
    rz_sock_t *monitor;
} try_t;

struct intruder {
    intruder_parts_t part;
    rz_timer_t *timer;
    bool trying; /* a round is on */
    size_t open;
    unsigned serial; /* of monitors' names */
    try_t tries[TRIES];
};

/* The kind of peer that each socket of a broker takes: another would be refused for its kind alone. */
static const int peer_type[GATES] = { [GATE_JOBS] = ZMQ_PUSH,
                                      [GATE_CONTROL] = ZMQ_DEALER,
                                      [GATE_EVENTS] = ZMQ_SUB,
                                      [GATE_RUNNERS] = ZMQ_DEALER,
                                      [GATE_PUBLISH] = ZMQ_PUB };

static void try_end(try_t *try)
{
    if (try->raw == NULL)
        return;
    zmq_socket_monitor(try->raw, NULL, 0);
    rz_sock_close(&try->monitor);
    zmq_close(try->raw);
    try->raw = NULL;
    try->intruder->open--;
}

static void round_end(intruder_t *intruder)
{
    for (size_t i = 0; i < TRIES; i++)
        try_end(&intruder->tries[i]);
    intruder->trying = false;
    rz_timer_start(intruder->timer, intruder->part.pause_ms, 0);
    intruder->part.on_round(intruder->part.arg);
}

static void accepted(const try_t *try)
{
    intruder_t *intruder = try->intruder;
    gate_t gate = try->gate;
    bool with_key = try->with_key;
    for (size_t i = 0; i < TRIES; i++)
        try_end(&intruder->tries[i]);
    rz_timer_stop(intruder->timer);
    intruder->part.on_accepted(gate_name(gate), with_key, intruder->part.arg);
}

/* Two frames; the first is the number of the event, as the machine has it, and a value. */
static void on_event(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    try_t *try = arg;
    intruder_t *intruder = try->intruder;
    uint16_t event = 0;
    (void)sock;
    if (msg->part[0].n >= sizeof event)
        memcpy(&event, msg->part[0].p, sizeof event);
    if ((event & SUCCESSES) != 0) {
        accepted(try);
    } else if ((event & FAILURES) != 0) {
        try_end(try);
        if (intruder->open == 0)
            round_end(intruder);
    }
}

static bool set_int(void *raw, int option, int value)
{
    return zmq_setsockopt(raw, option, &value, sizeof value) == 0;
}

static rz_rc_t try_open(try_t *try, const rz_key_t *key, rz_err_t *err)
{
    intruder_t *intruder = try->intruder;
    const rz_sock_options_t monitor = { .type = ZMQ_PAIR, .on_msg = on_event, .arg = try };
    char name[64];
    snprintf(name, sizeof name, "inproc://intruder-%u", intruder->serial++);
    try->raw = zmq_socket(intruder->part.zctx, peer_type[try->gate]);
    if (try->raw == NULL)
        return rz_fail_sys(err, zmq_errno(), "a socket");
    intruder->open++;
    if (!set_int(try->raw, ZMQ_LINGER, 0) || !set_int(try->raw, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) ||
        rz_key_apply(try->with_key ? key : NULL, NULL, try->raw, err) != RZ_OK ||
        zmq_socket_monitor(try->raw, name, SUCCESSES | FAILURES) != 0 ||
        (try->monitor = rz_sock_open(intruder->part.loop, intruder->part.zctx, &monitor, err)) == NULL ||
        rz_sock_connect(try->monitor, name, err) != RZ_OK ||
        zmq_connect(try->raw, intruder->part.endpoint[try->gate]) != 0)
        return rz_fail_sys(err, zmq_errno(), "a try at %s", gate_name(try->gate));
    return RZ_OK;
}

static void begin_round(intruder_t *intruder)
{
    rz_key_t stranger;
    rz_key_new(&stranger, "stranger", RZ_KEY_CLIENT, intruder->part.server_key);
    if (intruder->part.guard != NULL)
        guard_knows_stranger(intruder->part.guard, stranger.public_key);
    intruder->trying = true;
    intruder->part.on_begin(intruder->part.arg);
    rz_timer_start(intruder->timer, ROUND_MS, 0);
    for (size_t i = 0; i < TRIES; i++) {
        rz_err_t err = { 0 };
        try_t *try = &intruder->tries[i];
        *try = (try_t){ .intruder = intruder, .gate = (gate_t)(i / 2), .with_key = i % 2 == 0 };
        if (intruder->part.endpoint[try->gate] == NULL || try_open(try, &stranger, &err) == RZ_OK)
            continue;
        rz_log_warn("intruder.untried", "%s", err.text);
        try_end(try);
    }
    rz_key_wipe(&stranger);
}

static void on_timer(void *arg)
{
    intruder_t *intruder = arg;
    if (!intruder->trying) {
        begin_round(intruder);
        return;
    }
    rz_log_warn("intruder.unanswered", "tries=%zu", intruder->open);
    round_end(intruder);
}

intruder_t *intruder_open(const intruder_parts_t *parts)
{
    intruder_t *intruder = rz_alloc(sizeof *intruder);
    intruder->part = *parts;
    intruder->timer = rz_timer_open(parts->loop, on_timer, intruder);
    begin_round(intruder);
    return intruder;
}

void intruder_close(intruder_t **intruder_ref)
{
    intruder_t *intruder = *intruder_ref;
    if (intruder == NULL)
        return;
    *intruder_ref = NULL;
    for (size_t i = 0; i < TRIES; i++)
        try_end(&intruder->tries[i]);
    rz_timer_close(&intruder->timer);
    rz_free(intruder);
}
