/* worker.h - one worker process and the connection to it.
 *
 * worker_life.h decides what follows on what; this module does it: it starts the process, waits for its record,
 * connects, hands frames over, and makes it go. The connection stays open for the worker's life: it is its
 * liveness, and the next run finds it open. Whoever ends a worker calls worker_retire(); a worker that fails or
 * is lost retires by itself, after telling. Loop thread only. */
#pragma once

#include "base/id.h"
#include "base/ws.h"
#include "binary.h"
#include "fabric.h"
#include "tree.h"
#include "wire/provision.h"
#include "worker_life.h"

typedef struct worker worker_t;

typedef enum { WORKER_NO_START, WORKER_NO_CONNECTION } worker_failure_t;

/* How a worker is made to go. What is left of its branch (tree.h) when it has exited is killed in any case. */
typedef enum {
    WORKER_KILL,      /* its branch, at once                                                         */
    WORKER_TERMINATE, /* Close, and SIGTERM to its process group; after 1 s its branch is killed too */
} worker_ending_t;

typedef struct {
    void (*on_ready)(worker_t *worker, void *arg); /* IDLE for the first time */
    void (*on_failed)(worker_t *worker, worker_failure_t failure, const char *reason, void *arg);
    void (*on_frame)(worker_t *worker, const char *bytes, size_t len, void *arg); /* of its run; lent */
    void (*on_late_frame)(worker_t *worker, size_t len, void *arg);   /* without a run: it retires  */
    void (*on_lost)(worker_t *worker, const char *reason, void *arg); /* upstream's words, rule 4.3 */
    void (*on_stderr)(worker_t *worker, const char *bytes, size_t n, void *arg);
    void (*on_gone)(worker_t *worker, void *arg); /* last; the pointer dies when it returns */
} worker_events_t;

/* What all workers of a runner share. */
typedef struct {
    uv_loop_t *loop;
    rz_ws_context_t *ws;
    fabric_t *fabric;
    const confinement_t *confinement;
    tree_t *tree;
    uint64_t register_ms; /* from spawn to record                                  */
    const worker_events_t *events;
    void *arg;
} worker_env_t;

typedef struct {
    char *const *argv;
    char *const *envp;
    rz_provision_t *provision; /* fabric_dir is filled in here */
    const char *pool_key, *affinity;
    const char *credential; /* names what is in provision's secrets, for worker_credential(); NULL none */
} worker_plan_t;

/* Programs of which one process lives as long as the worker does. */
typedef enum {
    WORKER_PROGRAM, /* argv[0] of the plan */
    WORKER_COMMAND, /* of the executor `session`, which keeps it running from run to run */
    WORKER_PARTS,
} worker_part_t;

/* NULL and err when the process could not be started. env outlives the worker, plan does not have to. */
worker_t *worker_open(const worker_env_t *env, const worker_plan_t *plan, rz_err_t *err);

worker_state_t worker_state(const worker_t *worker);
const char *worker_pool_key(const worker_t *worker);
const char *worker_affinity(const worker_t *worker);
const char *worker_credential(const worker_t *worker); /* as planned; "" none */
int worker_pid(const worker_t *worker);
void *worker_user(const worker_t *worker); /* whom it serves or is spawned for; NULL none */
void worker_set_user(worker_t *worker, void *user);
bool worker_usable(const worker_t *worker);       /* IDLE and its process alive at this very moment    */
bool worker_is_coming(const worker_t *worker);    /* SPAWNING or CONNECTING                            */
uint64_t worker_runs(const worker_t *worker);     /* that it was taken for                             */
uint64_t worker_resident(const worker_t *worker); /* bytes, its descendants included; see procs.h      */
/* What is to stand behind an error of its run, or of its start: ": out of memory (...)" when the kernel killed for that one of
 * its branch since then, be it the worker or a program that it runs; else "". */
const char *worker_shortage(const worker_t *worker);
const char *worker_path(const worker_t *worker, worker_part_t part); /* NULL: it has no such part */
bool worker_is_of(const worker_t *worker, worker_part_t part, const binary_t *binary); /* of this very file */
bool worker_is_stale(const worker_t *worker);
void worker_set_stale(worker_t *worker); /* no new worker would be like it: it serves no further run */

void worker_take(worker_t *worker, void *user); /* IDLE -> BUSY: a run gets it                          */
void worker_give_back(worker_t *worker);        /* BUSY -> IDLE; one that died meanwhile retires        */
rz_rc_t worker_send(worker_t *worker, const char *frame, size_t len);
/* KILL makes short work of one that retires by TERMINATE; otherwise harmless when it retires already. */
void worker_retire(worker_t *worker, worker_ending_t ending);
