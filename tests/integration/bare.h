/* bare.h - a real Redis and a real broker for one fact, and peers of it that speak the bare sockets: a REQ
 * client, a SUB, and runners over a DEALER that can do everything wrong. Whatever does not come in time fails
 * the fact. */
#pragma once

#include "process.h"
#include "redis.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#define PATIENCE_MS 30000
#define SOCKETS_MAX 64
#define PARTS_MAX   16

typedef struct {
    redis_t redis;
    process_t broker;
    void *zctx, *control;
    const char *members;
    const char *const *flags;
    void *open[SOCKETS_MAX]; /* whatever a failing fact leaves behind must not hang its end */
    size_t open_count;
    char control_at[128], jobs_at[128], events_at[128], runners_at[128], publish_at[128];
    bool secure; /* with keys, whatever RZ_SECURE says */
} stage_t;
extern stage_t stage;

typedef struct {
    char *part[PARTS_MAX];
    size_t len[PARTS_MAX];
    size_t n;
} frames_t;

typedef struct {
    void *sock;
    char incarnation[64];
    uint64_t counter;
} runner_t;

/* What the broker said in an assign. */
typedef struct {
    char child[130], token[33];
    unsigned epoch, attempt;
} assigned_t;

/* A socket to the endpoint; stage_down closes what is left open. */
void *connected(int type, const char *endpoint);
/* The same with the key of that name (keyring.h); NULL: with none. */
void *connected_as(int type, const char *endpoint, const char *name);
void disconnected(void *sock);
/* Setup and teardown of a fact: Redis, an initialised store, a broker (lease 1500 ms, sync 300 ms). */
int stage_up(void **state);
/* The same with members of a configuration file ("" none) and further flags (NULL-terminated, NULL none); both
 * must outlive the stage. */
int stage_open(const char *members, const char *const *flags);
/* The same with keys. */
int secure_stage_up(void **state);
/* The same with a Redis that forgets nothing when it is killed. */
int strict_stage_up(void **state);
int stage_down(void **state);
/* Kills the broker; starts another in its place, at other endpoints. */
void stage_broker_again(void);
/* The same for one that cannot become ready: flags have told where its control is. */
void stage_broker_unready(void);
/* Sends bytes to `jobs`, as a producer that nobody answers. */
void push_job(const char *bytes);
void frames_fini(frames_t *frames);
/* False: nothing came in time. */
bool frames_recv(void *sock, frames_t *frames, int timeout_ms);
/* Shows the broker's log and fails. */
void show_and_fail(const char *what);

/* ---- a plain REQ client; replies are deleted by the caller ---- */
cJSON *take_reply(void);
void say(const char *request);
cJSON *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The string at "a.b" of a reply, "" if absent. */
const char *text_at(const cJSON *reply, const char *path);
void expect(cJSON *reply, const char *path, const char *text);
/* Expects the code and deletes the reply. */
void answers(cJSON *reply, const char *code);
/* A job with a whole session for `child`; more: further members, each with a leading comma. */
const char *job(const char *child, const char *more);
cJSON *submit(const char *child, const char *more);
/* Asks until `path` of the reply is `text`: for what another process brings about. */
void await(const char *request, const char *path, const char *text);
/* Asks on a connection of its own until the broker has a waiter. */
void await_waiter(void);

/* ---- a runner that speaks the bare link ---- */
void tell(runner_t *runner, const char *header, const char *const *payload, size_t n);
void tell_f(runner_t *runner, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *kind_of(const frames_t *frames, cJSON **header);
/* Reads on to the next message of the kind, throwing others away. The caller deletes the header. */
cJSON *hear(runner_t *runner, const char *kind, frames_t *frames);
cJSON *hear_only(runner_t *runner, const char *kind);
void hello(runner_t *runner, const char *name, const char *labels);
/* profiles: "\"a\",\"b\""; hello offers echo and local-actor */
void hello_as(runner_t *runner, const char *name, const char *labels, const char *profiles);
void credit(runner_t *runner, unsigned granted);
/* hello, welcome, credit. labels: "\"a\",\"b\"" */
runner_t runner_link(const char *name, const char *labels, unsigned granted);
runner_t runner_link_as(const char *name, const char *labels, const char *profiles, unsigned granted);
void runner_gone(runner_t *runner);
assigned_t read_assign(const cJSON *header);
assigned_t take_assign(runner_t *runner);
void tell_write(runner_t *runner, const char *kind, const assigned_t *a, const char *seqs, const char *more,
                const char *const *payload, size_t n);
void start(runner_t *runner, const assigned_t *a);
void finish(runner_t *runner, const assigned_t *a);
void expect_ack(runner_t *runner, const char *op, const char *code);
/* Says that it holds these lines ("child epoch"); held: "" or ",\"held\":[…]". Returns `synced`. */
cJSON *sync_of(runner_t *runner, const char *const *lines, size_t n, const char *held);
/* Keeps its incarnation alive until it is given something. */
assigned_t sync_until_assigned(runner_t *runner);
/* A SUB that has seen the handshake: it misses nothing from here on. */
void *subscribed(const char *prefix);
/* Expects the next event (handshake left out) to have this topic and to hold this text. */
void next_event(void *sub, const char *topic, const char *part);
/* The same, giving header and event; the caller ends frames. */
void take_event(void *sub, const char *topic, frames_t *frames);
