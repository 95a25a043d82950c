/* greetings.h - handshakes that never came as far as the allow list: no key, a name and a password, a key made for another
 * broker, a connection that says nothing. ZeroMQ's monitor tells of them; they are counted, and logged now and then. */
#pragma once

#include "guard.h"

typedef struct greetings greetings_t;

greetings_t *greetings_open(uv_loop_t *loop, void *zctx, guard_t *guard, counters_t *counters);
void greetings_close(
    greetings_t **greetings); /* after the sockets, whose monitors were stopped before they were closed */
/* Before the socket is given to another thread; one for each gate. It ends with the socket: of events until everybody there
 * was sent away once. */
rz_rc_t greetings_watch(greetings_t *greetings, gate_t gate, void *zmq_socket, rz_err_t *err);
/* While our own try to get in goes on (intruder.h), what fails is ours, and counts nowhere. */
void greetings_ignore(greetings_t *greetings, bool ignored);
