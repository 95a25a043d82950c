/* jobs.h - spawn jobs pushed to the `jobs` socket: nobody waits for an answer, so nothing may be dropped.
 *
 * A job is held until the store has answered for it. While the store cannot answer, or its queue is full, or
 * too much is held, the socket is not read: the producers' own queues fill, which is the only answer a PUSH
 * can be given. What is refused for good is published under $sys/rejected and kept in the store's log. */
#pragma once

#include "guard.h"
#include "placement.h"
#include "proxy.h"

typedef struct jobs jobs_t;

typedef struct {
    uv_loop_t *loop;
    const intake_rules_t *rules;
    rz_store_t *store;
    placement_t *placement;
    proxy_t *proxy;
    counters_t *counters;
    guard_t *guard; /* NULL: keys are not in use */
} jobs_parts_t;

jobs_t *jobs_open(const jobs_parts_t *parts);
void jobs_close(jobs_t **jobs);                  /* after the store was closed */
void jobs_listen(jobs_t *jobs, rz_sock_t *sock); /* lent; reading starts when the store is up */
void jobs_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg);
void jobs_store_changed(jobs_t *jobs); /* up or down: resumes or pauses */
/* Takes nothing new; what had come in is still read, stored and answered. */
void jobs_stop(jobs_t *jobs);
size_t jobs_held(const jobs_t *jobs);
