/* greetings.c - see greetings.h. */
#include "greetings.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define FAILURES (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)

typedef struct {
    greetings_t *greetings;
    gate_t gate;
    rz_sock_t *monitor;
} watched_t;

struct greetings {
    uv_loop_t *loop;
    void *zctx;
    guard_t *guard;
    counters_t *counters;
    bool ignored;
    watched_t watched[GATES];
};

greetings_t *greetings_open(uv_loop_t *loop, void *zctx, guard_t *guard, counters_t *counters)
{
    greetings_t *greetings = rz_alloc(sizeof *greetings);
    *greetings = (greetings_t){ .loop = loop, .zctx = zctx, .guard = guard, .counters = counters };
    return greetings;
}

void greetings_close(greetings_t **greetings)
{
    for (int i = 0; *greetings != NULL && i < GATES; i++)
        rz_sock_close(&(*greetings)->watched[i].monitor);
    rz_free(*greetings);
    *greetings = NULL;
}

void greetings_ignore(greetings_t *greetings, bool ignored)
{
    greetings->ignored = ignored;
}

/* Two frames; the first is the number of the event, as the machine has it, and a value. */
static void on_event(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    const watched_t *watched = arg;
    greetings_t *greetings = watched->greetings;
    uint16_t event = 0;
    (void)sock;
    if (greetings->ignored || msg->part[0].n < sizeof event)
        return;
    memcpy(&event, msg->part[0].p, sizeof event);
    greetings->counters->greetings_failed++;
    guard_tells(greetings->guard, "guard.no_greeting", gate_name(watched->gate),
                event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                    ? "another protocol, or no key"
                    : "it ended or stayed silent before it had greeted");
}

/* libzmq blocks its own thread when the monitor's queue is full: it has no bound. */
rz_rc_t greetings_watch(greetings_t *greetings, gate_t gate, void *raw, rz_err_t *err)
{
    watched_t *watched = &greetings->watched[gate];
    const rz_sock_options_t options = { .type = ZMQ_PAIR, .on_msg = on_event, .arg = watched };
    char name[64];
    int unlimited = 0;
    snprintf(name, sizeof name, "inproc://greetings-%s", gate_name(gate));
    *watched = (watched_t){ .greetings = greetings, .gate = gate };
    if (zmq_socket_monitor(raw, name, FAILURES) != 0)
        return rz_fail_sys(err, zmq_errno(), "a monitor of %s", gate_name(gate));
    watched->monitor = rz_sock_open(greetings->loop, greetings->zctx, &options, err);
    if (watched->monitor == NULL)
        return err->rc;
    zmq_setsockopt(rz_sock_raw(watched->monitor), ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    return rz_sock_connect(watched->monitor, name, err);
}
