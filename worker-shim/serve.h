/* serve.h - the worker's WebSocket server: one connection at a time speaks to the desk (rule 3).
 *
 * With a token there is one connection in all (door.h): when it has ended, so has the service. */
#pragma once

#include "base/ws.h"
#include "desk.h"

#define ACCEPT_LIMIT_MS   120000 /* one-shot: nobody connected (rule 3.5)        */
#define IDLE_DEFAULT_SECS 300    /* reusable: nobody connected (rule 1.4)        */

typedef enum {
    SERVED_DONE,   /* one-shot: its connection ended; reusable: idled out */
    SERVED_NOBODY, /* one-shot: nobody connected in time                  */
} served_t;

typedef struct serve serve_t;

typedef struct {
    bool reusable;
    uint64_t idle_ms;  /* reusable: how long nobody may be connected  */
    const char *token; /* door.h; "": none. Copied */
    const executor_t *executor;
    const setting_t *setting; /* outlives the server; its loop is ours */
    /* Called at most once, from the loop, when there is nothing more to serve; it must not stop the server
     * itself. */
    void (*on_done)(void *arg, served_t how);
    void *arg;
} serve_options_t;

/* Listens on 127.0.0.1 at a free port. NULL and err on failure. */
serve_t *serve_open(const serve_options_t *options, rz_err_t *err);
uint16_t serve_port(const serve_t *serve);
/* Nothing more can be served: what has been said is sent, then every connection closed. on_done follows, from the
 * loop, when the last one has ended. */
void serve_leave(serve_t *serve);
/* Stops an active run the hard way and closes all connections; the loop must then be run until it is empty.
 */
void serve_stop(serve_t *serve);
void serve_destroy(serve_t **serve); /* after that */
