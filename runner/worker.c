/* worker.c - see worker.h. */
#include "worker.h"

#include "base/log.h"
#include "base/timer.h"
#include "process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TERM_MS  1000 /* from SIGTERM to SIGKILL                                            */
#define DRAIN_MS 300  /* from the process' end to its connection's: what it wrote last is read first */

struct worker {
    const worker_env_t *env;
    worker_state_t state;
    process_t *process; /* until it is reaped and let go */
    bool exited;
    rz_ws_t *ws; /* NULL before and after its life */
    folder_t *folder;
    rz_timer_t *timer; /* the deadline of the present state */
    void *user;
    char agent_id[RZ_ID_MAX + 1];
    char pool_key[RZ_DIGEST_LEN + 1];
    char affinity[RZ_ID_MAX + 1];
    char status[PROCESS_STATUS_MAX];
};

const char *worker_state_name(worker_state_t state)
{
    static const char *const names[] = { "spawning", "connecting", "idle", "busy", "retiring" };
    return names[state];
}

/* ---- the end ---- */

static void free_if_gone(worker_t *worker)
{
    if (worker->state != WORKER_RETIRING || !worker->exited || worker->ws != NULL)
        return;
    rz_log_debug("worker.gone", "worker=%s pid=%d status=%s", worker->agent_id, worker_pid(worker),
                 worker->status);
    worker->env->events->on_gone(worker, worker->env->arg);
    process_close(&worker->process);
    folder_close(&worker->folder);
    rz_timer_close(&worker->timer);
    rz_free(worker);
}

/* Also when everything has ended the worker lives on to the next turn: callers up the stack still hold it. */
void worker_retire(worker_t *worker, worker_ending_t ending)
{
    if (worker->state == WORKER_RETIRING) {
        if (ending == WORKER_KILL && !worker->exited)
            process_signal(worker->process, SIGKILL);
        return;
    }
    bool gentle = ending == WORKER_TERMINATE;
    worker->state = WORKER_RETIRING;
    worker->user = NULL;
    folder_unwatch(worker->folder);
    if (worker->ws != NULL && gentle)
        rz_ws_close(worker->ws, 1000);
    else if (worker->ws != NULL)
        rz_ws_abort(worker->ws);
    if (!worker->exited)
        process_signal(worker->process, gentle ? SIGTERM : SIGKILL);
    rz_timer_start(worker->timer, gentle && !worker->exited ? TERM_MS : 0, 0);
}

static void on_retire_deadline(worker_t *worker)
{
    if (!worker->exited)
        process_signal(worker->process, SIGKILL);
    free_if_gone(worker);
}

/* ---- failing and being lost: tell, then go ---- */

static void fail(worker_t *worker, worker_failure_t failure, const char *reason)
{
    rz_log_debug("worker.failed", "worker=%s state=%s reason=%s", worker->agent_id,
                 worker_state_name(worker->state), reason);
    worker->env->events->on_failed(worker, failure, reason, worker->env->arg);
    worker_retire(worker, WORKER_KILL);
}

static void lose(worker_t *worker, const char *reason)
{
    worker->env->events->on_lost(worker, reason, worker->env->arg);
    worker_retire(worker, WORKER_KILL);
}

static void fail_unregistered(worker_t *worker)
{
    char reason[RZ_ID_MAX + 64];
    snprintf(reason, sizeof reason, "worker '%s' did not register within %" PRIu64 "s", worker->agent_id,
             (worker->env->register_ms + 999) / 1000);
    fail(worker, WORKER_NO_START, reason);
}

static void on_deadline(void *arg)
{
    worker_t *worker = arg;
    switch (worker->state) {
    case WORKER_SPAWNING:
        fail_unregistered(worker);
        return;
    case WORKER_IDLE:
    case WORKER_BUSY: /* the process ended, its connection did not: a grandchild holds it */
        lose(worker, "actor child closed before terminal");
        return;
    case WORKER_RETIRING:
        on_retire_deadline(worker);
        return;
    case WORKER_CONNECTING: /* ws.h has its own time limit */
        return;
    }
}

/* ---- the process ---- */

static void on_stderr(const char *bytes, size_t n, void *arg)
{
    worker_t *worker = arg;
    worker->env->events->on_stderr(worker, bytes, n, worker->env->arg);
}

static void on_exit(const char *status, void *arg)
{
    worker_t *worker = arg;
    char reason[PROCESS_STATUS_MAX + 64];
    worker->exited = true;
    snprintf(worker->status, sizeof worker->status, "%s", status);
    switch (worker->state) {
    case WORKER_SPAWNING:
        snprintf(reason, sizeof reason, "worker exited before registering: %s", status);
        fail(worker, WORKER_NO_START, reason);
        return;
    case WORKER_CONNECTING:
        snprintf(reason, sizeof reason, "worker exited before it could be reached: %s", status);
        fail(worker, WORKER_NO_CONNECTION, reason);
        return;
    case WORKER_IDLE:
    case WORKER_BUSY: /* the connection's end follows; its last frames come first */
        rz_timer_start(worker->timer, DRAIN_MS, 0);
        return;
    case WORKER_RETIRING:
        free_if_gone(worker);
        return;
    }
}

/* ---- the connection ---- */

static void on_open(rz_ws_t *ws, void *arg)
{
    (void)ws;
    worker_t *worker = arg;
    if (worker->state != WORKER_CONNECTING)
        return;
    worker->state = WORKER_IDLE;
    worker->env->events->on_ready(worker, worker->env->arg);
}

static void on_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    (void)ws;
    worker_t *worker = arg;
    if (worker->state != WORKER_RETIRING)
        worker->env->events->on_frame(worker, bytes, len, worker->env->arg);
}

static const char *loss_text(rz_ws_end_t end, const char *detail, char out[256])
{
    if (end == RZ_WS_CLOSED || end == RZ_WS_LOST)
        return "actor child closed before terminal";
    bool said = detail != NULL && detail[0] != '\0';
    snprintf(out, 256, "actor transport error: %s%s%s", rz_ws_end_name(end), said ? ": " : "",
             said ? detail : "");
    return out;
}

static void on_close(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg)
{
    (void)ws;
    worker_t *worker = arg;
    char text[256];
    worker->ws = NULL;
    switch (worker->state) {
    case WORKER_CONNECTING:
        snprintf(text, sizeof text, "%s: %s", rz_ws_end_name(end), detail != NULL ? detail : "");
        fail(worker, WORKER_NO_CONNECTION, text);
        return;
    case WORKER_RETIRING:
        free_if_gone(worker);
        return;
    default:
        lose(worker, loss_text(end, detail, text));
        return;
    }
}

static const rz_ws_events_t ws_events = { .on_open = on_open, .on_text = on_text, .on_close = on_close };

/* ---- registration ---- */

/* The record must be of the process we started and point to this host; another one is somebody else's. */
static void on_record(const rz_record_t *record, void *arg)
{
    worker_t *worker = arg;
    if (worker->state != WORKER_SPAWNING)
        return;
    if ((pid_t)record->pid != process_pid(worker->process)) {
        rz_log_warn("worker.foreign_record", "worker=%s pid=%d record_pid=%" PRIu32, worker->agent_id,
                    worker_pid(worker), record->pid);
        return;
    }
    char host[64], reason[384];
    uint16_t port;
    rz_err_t err = { 0 };
    if (rz_endpoint_parse(record->endpoint, host, &port, &err) != RZ_OK ||
        (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0 && strcmp(host, "localhost") != 0)) {
        snprintf(reason, sizeof reason, "worker registered an endpoint that is not on this host: %.200s",
                 record->endpoint);
        fail(worker, WORKER_NO_START, reason);
        return;
    }
    folder_unwatch(worker->folder);
    rz_timer_stop(worker->timer);
    worker->state = WORKER_CONNECTING;
    worker->ws = rz_ws_connect(worker->env->ws, host, port, "/", NULL, &ws_events, worker);
}

/* ---- opening ---- */

static process_t *spawn_worker(worker_t *worker, const worker_plan_t *plan, rz_err_t *err)
{
    rz_buf_t spec = { 0 };
    plan->provision->fabric_dir = folder_path(worker->folder);
    rz_provision_encode(plan->provision, &spec);
    process_options_t options = { .argv = plan->argv,
                                  .envp = plan->envp,
                                  .input = rz_buf_str(&spec),
                                  .on_stderr = on_stderr,
                                  .on_exit = on_exit,
                                  .arg = worker };
    process_t *process = process_open(worker->env->loop, &options, err);
    rz_wipe(spec.data, spec.len);
    rz_buf_fini(&spec);
    return process;
}

worker_t *worker_open(const worker_env_t *env, const worker_plan_t *plan, rz_err_t *err)
{
    worker_t *worker = rz_alloc(sizeof *worker);
    worker->env = env;
    snprintf(worker->agent_id, sizeof worker->agent_id, "%s", plan->provision->child_id);
    snprintf(worker->pool_key, sizeof worker->pool_key, "%s", plan->pool_key);
    snprintf(worker->affinity, sizeof worker->affinity, "%s", plan->affinity);
    worker->folder = folder_open(env->fabric, env->loop, worker->agent_id, on_record, worker, err);
    if (worker->folder == NULL)
        goto undo_worker;
    worker->process = spawn_worker(worker, plan, err);
    if (worker->process == NULL)
        goto undo_folder;
    worker->timer = rz_timer_open(env->loop, on_deadline, worker);
    rz_timer_start(worker->timer, env->register_ms, 0);
    return worker;
undo_folder:
    folder_close(&worker->folder);
undo_worker:
    rz_free(worker);
    return NULL;
}

/* ---- small questions and orders ---- */

worker_state_t worker_state(const worker_t *worker)
{
    return worker->state;
}

const char *worker_pool_key(const worker_t *worker)
{
    return worker->pool_key;
}

const char *worker_affinity(const worker_t *worker)
{
    return worker->affinity;
}

int worker_pid(const worker_t *worker)
{
    return (int)process_pid(worker->process);
}

void *worker_user(const worker_t *worker)
{
    return worker->user;
}

void worker_set_user(worker_t *worker, void *user)
{
    worker->user = user;
}

bool worker_usable(const worker_t *worker)
{
    return worker->state == WORKER_IDLE && !process_ended(worker->process);
}

void worker_occupy(worker_t *worker, bool busy)
{
    if (worker->state == WORKER_IDLE || worker->state == WORKER_BUSY)
        worker->state = busy ? WORKER_BUSY : WORKER_IDLE;
}

rz_rc_t worker_send(worker_t *worker, const char *frame, size_t len)
{
    return worker->ws == NULL || worker->state == WORKER_RETIRING ? RZ_CLOSED
                                                                  : rz_ws_send(worker->ws, frame, len);
}
