/* desk.h - one run at a time: what comes in over the connection, and what goes out (rules 3.4, 3.7).
 *
 * Exactly one terminal per run, after all its events. A `run` while another is active cancels that one and
 * waits for its end, so frames of two runs never mix. When the connection goes away its run is cancelled and
 * falls silent: nothing of it reaches the next connection. Knows no socket. */
#pragma once

#include "executor.h"

typedef struct desk desk_t;

typedef struct {
    void (*send)(void *arg, rz_str_t frame); /* one text message to whoever is connected */
    size_t (*backlog)(void *arg);            /* bytes not yet sent                       */
    void *arg;
} desk_port_t;

/* executor and setting outlive the desk; port is copied. */
desk_t *desk_create(const executor_t *executor, const setting_t *setting, const desk_port_t *port);
void desk_destroy(desk_t **desk); /* stops an active run the hard way, without a terminal */

void desk_frame(desk_t *desk, const char *bytes, size_t len); /* one message from the parent */
void desk_disconnected(desk_t *desk);                         /* the connection is gone      */
bool desk_idle(const desk_t *desk);                           /* no run active or waiting    */
