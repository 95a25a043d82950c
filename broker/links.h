/* links.h - what runners say: each message of the link becomes one store operation, its answer one message
 * back. Durable events go from frame to store as bytes (proto/README.md, 5). */
#pragma once

#include "brokers.h"
#include "guard.h"
#include "placement.h"
#include "reaper.h"

typedef struct links links_t;

typedef struct {
    rz_store_t *store;
    roster_t *roster;
    placement_t *placement;
    sender_t *sender;
    reaper_t *reaper;
    counters_t *counters;
    const brokers_t *brokers;
    guard_t *guard;      /* NULL: keys are not in use */
    const char *broker;  /* our name                                     */
    const char *publish; /* where runners publish events                 */
    const char *mark;    /* proxy_mark()                                 */
    uint64_t sync_ms, lease_ms;
    void (*on_steered)(const runner_t *from, const char *child, const char *id, bool live, void *arg);
    void (*on_decided)(const runner_t *from, const char *child, const char *id, bool live, void *arg);
    void (*on_phase)(const runner_t *from, const rz_link_t *phase, void *arg); /* the answer to an order */
    void (*on_output)(const runner_t *from, const char *id, rz_rc_t code, rz_str_t text, void *arg);
    void (*on_ended)(const char *child, void *arg); /* a finish was committed */
    void *arg;
} links_parts_t;

links_t *links_create(const links_parts_t *parts);
void links_destroy(links_t **links); /* after the store was closed */

/* For the runners ROUTER: part 0 is the peer, part 1 the header. */
void links_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg);
/* The broker ends: its runners are told to go elsewhere, and nobody is welcomed any more. What they have written already is
 * answered as long as we live. */
void links_stop(links_t *links);
/* Forgets runners that have said nothing here for too long: six pings, and of those that do not ping two leases (after
 * one the reaper condemns who is silent everywhere, so these are well but talk to another broker). Whoever lives says
 * hello again. Called each second: after a longer pause it was us who did not listen, and nobody is judged. */
void links_expire(links_t *links, uint64_t now_ms);
/* Another allow list holds: runners whose key is not on it any more are told and forgotten. */
void links_allow_changed(links_t *links);
/* The incarnation is dead: whoever is linked under it is told and forgotten. */
void links_dead(links_t *links, const char *incarnation);
