/* executor.h - what carries out an assignment: echo, a program for each run, a program for all of them.
 *
 * The desk (desk.h) creates one execution per run, starts it once, and destroys it after it finished or when
 * the worker ends. All of it happens on the loop thread. Between start and finish an execution may be steered
 * and cancelled any number of times; after finish it touches nothing but what destroy frees. */
#pragma once

#include "launch.h"
#include "wire/frame.h"
#include "wire/provision.h"

#include <uv.h>

/* How a run ended. Spans and text are lent for the length of the call. */
typedef struct {
    rz_worker_status_t status;
    rz_str_t result;   /* raw JSON string; empty span for none */
    const char *error; /* NULL for none                        */
} outcome_t;

/* Where an execution speaks to. finish is called exactly once, possibly from inside start or cancel, and is
 * the last thing an execution does: the callee may destroy it. */
typedef struct {
    void (*event)(void *arg, rz_str_t event); /* one JSON object                                    */
    void (*finish)(void *arg, const outcome_t *outcome);
    size_t (*backlog)(
        void *arg); /* bytes told and not yet sent; an execution slows down above BACKLOG_HIGH */
    void *arg;
} sink_t;

#define BACKLOG_HIGH ((size_t)1 << 20)

typedef struct execution execution_t; /* one run: each executor's own struct                       */
typedef struct lasting lasting_t;     /* what it keeps for the worker's life, if it keeps anything */

/* What all executions of one worker share; outlives them. */
typedef struct {
    uv_loop_t *loop;
    launch_t program;   /* of the executors that start one; empty for others */
    lasting_t *lasting; /* what open gave; else NULL                         */
    /* What lasts has ended: no run can be served any more. Called once, from the loop, or within a run's start;
     * never from open. The callee lets the worker leave; it must not close. why: one or more lines, lent. */
    void (*on_gone)(void *arg, const char *why);
    void *arg;
} setting_t;

typedef struct {
    execution_t *(*create)(const setting_t *setting, const sink_t *sink);
    /* `frame` is the whole run frame as it came, of which run is the decoded form; both lent for the call. */
    void (*start)(execution_t *execution, const rz_parent_frame_t *run, rz_str_t frame);
    void (*steer)(execution_t *execution, const char *text);
    void (*cancel)(execution_t *execution);
    /* Takes. Before finish: everything is stopped the hard way and finish is never called. */
    void (*destroy)(execution_t **execution);
    /* NULL, both: nothing outlives a run. open comes once, before the worker registers, and cannot fail: what it
     * could not do it tells its first run. close takes, after the last execution was destroyed; the loop must
     * then be run until it is empty. */
    lasting_t *(*open)(const setting_t *setting);
    void (*close)(lasting_t **lasting);
} executor_t;

extern const executor_t echo_executor;
extern const executor_t command_executor;
extern const executor_t session_executor;

/* The executor for a kind, or NULL if this worker does not serve it. */
const executor_t *executor_find(rz_executor_t kind);
