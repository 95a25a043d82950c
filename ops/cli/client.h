/* client.h - a conversation with a broker: requests over a DEALER, events over a SUB, signals beside them.
 *
 * Synchronous: nothing happens between two calls. A reply belongs to its request by id, so that a `wait` can
 * be under way while a `cancel` is sent. Failures to reach the broker are said on stderr where they are met.
 */
#pragma once

#include "outcome.h"

#include "base/buf.h"
#include "wire/control.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct client client_t;

typedef struct {
    uint64_t id; /* of the request, as client_send() gave it */
    rz_rc_t code;
    rz_buf_t bytes;
    cJSON *tree;
} reply_t;
void reply_fini(reply_t *reply);
/* Says what was refused and why. Gives the exit code. */
outcome_t reply_refused(const reply_t *reply);

typedef struct {
    rz_buf_t topic, header_bytes, event_bytes;
    cJSON *header, *event;
} event_t;
void event_fini(event_t *event);

#define ANSWER_MS 5000 /* how long an answer to an ordinary request may take */

/* Connects to the first control endpoint that answers and greets. NULL after saying why not, and *outcome is how the verb
 * ends: EXIT_UNAVAILABLE, EXIT_NOT_ALLOWED (a key is refused or wanted), EXIT_USAGE (what was named is no endpoint). */
client_t *client_open(outcome_t *outcome);
/* The same; gives up without a word, with EXIT_INTERRUPTED, once this signalfd can be read. */
client_t *client_open_unless(int signal_fd, outcome_t *outcome);
/* Its broker is silent: goes on with another one of those it was told of, if one answers; what was asked is then to be asked
 * again, and events come from there. False: there is none, and nothing has changed. */
bool client_move(client_t *client);
unsigned client_moves(const client_t *client); /* how often it did */
void client_close(client_t **client);
const cJSON *client_hello(const client_t *client);  /* the broker's answer to hello; lent */
const char *client_control(const client_t *client); /* the endpoint; lent */

/* Sends; the id of the request is made here. 0 if it cannot be sent now. */
uint64_t client_send(client_t *client, rz_control_request_t *request);
/* Sends and waits for the answer; events that come in meanwhile wait their turn. False, said, when none came.
 */
bool client_ask(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out);
/* The same without a word: whoever asks will ask again. */
bool client_ask_again(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out);
void client_pause(uint64_t ms);
/* The same for a whole verb: refusals are said too. EXIT_DONE: *out holds the reply. */
outcome_t client_demand(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out);

/* client_demand(), then prints the answer (as it came with --json, else by `print`). */
outcome_t client_show(client_t *client, rz_control_request_t *request, uint64_t timeout_ms,
                      void (*print)(const reply_t *reply));
/* A verb that is one request: connects, asks within ANSWER_MS, prints the answer. */
outcome_t client_print(rz_control_request_t *request, void (*print)(const reply_t *reply));

/* Subscribes to each prefix and returns when every emitter is known to have heard of it (proto/README.md, 6).
 * Other than EXIT_DONE if events cannot be had at all; emitters that stay silent are named, and we go on without them. */
outcome_t client_subscribe(client_t *client, const char *const *prefixes, size_t n);

/* Subscribes and returns at once: for who has the log beside it. */
bool client_listen(client_t *client, const char *const *prefixes, size_t n);

typedef enum { CAME_NOTHING, CAME_REPLY, CAME_EVENT, CAME_SIGNAL } came_t;
/* The next thing that happens, at most timeout_ms from now. signal_fd: -1, or a signalfd that the caller
 * reads. */
came_t client_next(client_t *client, int signal_fd, uint64_t timeout_ms, reply_t *reply, event_t *event);
