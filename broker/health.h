/* health.h - how the broker is: /readyz and /metrics over HTTP, and what the service manager is told.
 *
 * Ready means consuming: the store is up, it answered a tick within seconds, the sockets take what comes. The
 * watchdog is fed by progress only: while ticks are answered, or while the store is known to be away, for a reason that is
 * told. That is no fault of the broker, and to start it again would mend nothing; a tick that hangs while the store counts
 * as up is. Loop thread only. */
#pragma once

#include "counters.h"
#include "roster.h"
#include "timekeeper.h"
#include "waiters.h"

typedef struct broker_health broker_health_t;

typedef struct {
    uv_loop_t *loop;
    const char *endpoint; /* "tcp://127.0.0.1:7414"; "": HTTP is not served */
    const char *broker;   /* our name                                       */
    rz_store_t *store;
    const char *store_detail; /* why the store is down, kept by the owner   */
    const timekeeper_t *timekeeper;
    const roster_t *roster;
    const waiters_t *waiters;
    const counters_t *counters;
} broker_health_parts_t;

/* NULL and err: the endpoint cannot be listened on (RZ_SYS). */
broker_health_t *broker_health_open(const broker_health_parts_t *parts, rz_err_t *err);
const char *broker_health_url(const broker_health_t *health); /* "http://127.0.0.1:7414"; NULL: not served */
/* An entry of `completions`: the end of an activation, written by `broker`. Each broker counts its own, so that the sum
 * over all brokers is right. */
void broker_health_ended(broker_health_t *health, rz_str_t broker, rz_str_t status);
void broker_health_stopping(broker_health_t *health); /* not ready from here on */
void broker_health_close(broker_health_t **health); /* after the store was closed; the loop then runs empty */
