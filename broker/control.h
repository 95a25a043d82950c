/* control.h - requests on the control socket -> operations -> replies (proto/README.md, 4). */
#pragma once

#include "call.h"
#include "guard.h"
#include "links.h"
#include "proxy.h"
#include "waiters.h"

typedef struct control control_t;

typedef struct {
    uv_loop_t *loop;
    const char *broker; /* our name */
    const intake_rules_t *rules;
    uint64_t queue_max; /* activations that may wait */
    const endpoints_t *endpoints;
    const brokers_t *brokers;
    rz_store_t *store;
    const char *store_detail; /* why the store is down, kept by the owner */
    roster_t *roster;
    dispatch_t *dispatch;
    placement_t *placement;
    sender_t *sender;
    waiters_t *waiters;
    proxy_t *proxy;
    counters_t *counters;
    desk_t *desk;
    guard_t *guard;         /* NULL: keys are not in use */
    uint64_t calls_per_sec; /* of one peer; 0: any number */
} control_parts_t;

control_t *control_open(const control_parts_t *parts);
/* The broker ends: answers what still waits for a runner with UNAVAILABLE, and from here on whatever comes; before the store
 * is closed. */
void control_stop(control_t *control);
void control_close(control_t **control); /* after the store was closed */

void control_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg);
/* From the links: a steering message reached its worker or not; so did an approval; a runner's answer to
 * `logs`. Each counts only from the runner that was asked. */
void control_on_steered(control_t *control, const runner_t *from, const char *child, const char *id,
                        bool live);
void control_on_decided(control_t *control, const runner_t *from, const char *child, const char *id,
                        bool live);
void control_on_phase(control_t *control, const runner_t *from, const rz_link_t *phase);
void control_on_output(control_t *control, const runner_t *from, const char *id, rz_rc_t code, rz_str_t text);
