/* broker.h - the whole broker on one loop: owns sockets, store, tables and timers, and wires them together.
 *
 *   jobs PULL ──► jobs ──┐                                ┌──► sender ──► runners ROUTER
 *                        ├─► intake ─► placement ◄─ links ┤◄── runners ROUTER
 *   control ROUTER ─► control ──┘       │  ▲              └──► acks
 *                        ▲              ▼  │
 *                     waiters ◄──── store, tail ────► proxy (a thread): publish XSUB ─► events XPUB */
#pragma once

#include "control.h"
#include "setup.h"

typedef struct broker broker_t;

/* Called once, when the store was met for the first time: from then on the broker takes work. */
typedef void (*broker_ready_fn)(const endpoints_t *endpoints, void *arg);

/* Binds every socket and starts connecting to the store. setup must outlive the broker. NULL and err:
 * RZ_SYS cannot bind, RZ_BAD_FIELD the store's url cannot be read. */
broker_t *broker_open(uv_loop_t *loop, const setup_t *setup, broker_ready_fn ready, void *arg, rz_err_t *err);
/* Takes nothing new, answers what is in hand (at most 2 s), then closes everything; the loop runs empty. */
void broker_stop(broker_t *broker);
/* It stopped by itself: a stranger got in (intruder.h). */
bool broker_failed(const broker_t *broker);
/* After the loop ran empty. */
void broker_destroy(broker_t **broker);
