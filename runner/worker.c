/* worker.c - see worker.h. */
#include "worker.h"

#include "base/host.h"
#include "base/log.h"
#include "base/timer.h"
#include "process.h"
#include "procs.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TERM_MS    1000 /* from SIGTERM to SIGKILL                                                         */
#define DRAIN_MS   300  /* from the process' end to its connection's: what it wrote last is read first     */
#define REASON_MAX 384

/* A file that it is made of, and what stood there when it was started. */
typedef struct {
    char *path; /* NULL: it has no such part */
    binary_t binary;
} part_t;

struct worker {
    const worker_env_t *env;
    worker_state_t state;
    process_t *process; /* until the worker is freed      */
    rz_ws_t *ws;        /* NULL before and after its life */
    folder_t *folder;
    rz_timer_t *timer; /* the deadline of the present state */
    void *user;
    uint64_t runs;
    uint64_t memory_kills; /* when its run began; 0 before the first */
    part_t parts[WORKER_PARTS];
    char *credential;
    bool stale;
    char agent_id[RZ_ID_MAX + 1];
    char pool_key[RZ_DIGEST_LEN + 1];
    char affinity[RZ_ID_MAX + 1];
    char token[RZ_SECRET_LEN + 1];   /* what our connection shows, "" nothing; wiped then */
    char status[PROCESS_STATUS_MAX]; /* empty until the process has ended */
};

/* What an event comes with; which members count depends on the event. */
typedef struct {
    const char *why;
    const char *bytes; /* of a frame */
    size_t len;
    const char *host; /* of an endpoint */
    uint16_t port;
} news_t;

static void feed(worker_t *worker, worker_event_t event, const news_t *news);

static const rz_ws_events_t ws_events;

/* ---- the actions ---- */

static void linger(worker_t *worker, const news_t *news)
{
    (void)news;
    rz_timer_start(worker->timer, 0, 0);
}

/* The state is that after the event, so it says what is left to be killed and awaited. */
static void do_kill(worker_t *worker, const news_t *news)
{
    worker->user = NULL;
    folder_unwatch(worker->folder);
    rz_timer_stop(worker->timer);
    process_kill(worker->process);
    if (worker->ws != NULL)
        rz_ws_abort(worker->ws);
    if (worker->state == WORKER_ENDED)
        linger(worker, news);
}

static void do_ask(worker_t *worker, const news_t *news)
{
    (void)news;
    worker->user = NULL;
    folder_unwatch(worker->folder);
    if (worker->ws != NULL)
        rz_ws_close(worker->ws, 1000);
    process_signal(worker->process, SIGTERM);
    rz_timer_start(worker->timer, TERM_MS, 0);
}

static void do_nothing(worker_t *worker, const news_t *news)
{
    (void)worker;
    (void)news;
}

static void do_connect(worker_t *worker, const news_t *news)
{
    folder_unwatch(worker->folder);
    rz_timer_stop(worker->timer);
    rz_ws_peer_t peer = {
        .host = news->host, .port = news->port, .path = "/", .bearer = rz_or_null(worker->token)
    };
    worker->ws = rz_ws_connect(worker->env->ws, &peer, NULL, &ws_events, worker);
    rz_wipe(worker->token, sizeof worker->token);
}

static void do_tell_ready(worker_t *worker, const news_t *news)
{
    (void)news;
    worker->env->events->on_ready(worker, worker->env->arg);
}

static void do_serve(worker_t *worker, const news_t *news)
{
    (void)news;
    worker->runs++;
    worker->memory_kills = process_memory_kills(worker->process);
}

static void do_rest(worker_t *worker, const news_t *news)
{
    (void)news;
    worker->user = NULL;
}

static void do_deliver(worker_t *worker, const news_t *news)
{
    worker->env->events->on_frame(worker, news->bytes, news->len, worker->env->arg);
}

static void do_refuse(worker_t *worker, const news_t *news)
{
    worker->env->events->on_late_frame(worker, news->len, worker->env->arg);
    do_kill(worker, news);
}

static void do_drain(worker_t *worker, const news_t *news)
{
    (void)news;
    rz_timer_start(worker->timer, DRAIN_MS, 0);
}

/* Why it is lost, and what the kernel knows besides. */
static const char *explain(const worker_t *worker, const char *why, char out[REASON_MAX])
{
    snprintf(out, REASON_MAX, "%s%s", why, worker_shortage(worker));
    return out;
}

static void do_fail_start(worker_t *worker, const news_t *news)
{
    char why[REASON_MAX];
    worker->env->events->on_failed(worker, WORKER_NO_START, explain(worker, news->why, why),
                                   worker->env->arg);
    do_kill(worker, news);
}

static void do_fail_connect(worker_t *worker, const news_t *news)
{
    worker->env->events->on_failed(worker, WORKER_NO_CONNECTION, news->why, worker->env->arg);
    do_kill(worker, news);
}

static void do_lose(worker_t *worker, const news_t *news)
{
    char why[REASON_MAX];
    worker->env->events->on_lost(worker, explain(worker, news->why, why), worker->env->arg);
    do_kill(worker, news);
}

static void free_texts(worker_t *worker)
{
    for (size_t i = 0; i < WORKER_PARTS; i++)
        rz_free(worker->parts[i].path);
    rz_free(worker->credential);
}

static void do_free(worker_t *worker, const news_t *news)
{
    (void)news;
    rz_log_debug("worker.gone", "worker=%s pid=%d runs=%" PRIu64 " status=%s", worker->agent_id,
                 worker_pid(worker), worker->runs, worker->status);
    worker->env->events->on_gone(worker, worker->env->arg);
    process_close(&worker->process);
    folder_close(&worker->folder);
    rz_timer_close(&worker->timer);
    free_texts(worker);
    rz_free(worker);
}

static void (*const actions[WORKER_ACTIONS])(worker_t *worker, const news_t *news) = {
    [WORKER_DO_NOTHING] = do_nothing,
    [WORKER_DO_CONNECT] = do_connect,
    [WORKER_DO_TELL_READY] = do_tell_ready,
    [WORKER_DO_SERVE] = do_serve,
    [WORKER_DO_REST] = do_rest,
    [WORKER_DO_DELIVER] = do_deliver,
    [WORKER_DO_REFUSE] = do_refuse,
    [WORKER_DO_DRAIN] = do_drain,
    [WORKER_DO_FAIL_START] = do_fail_start,
    [WORKER_DO_FAIL_CONNECT] = do_fail_connect,
    [WORKER_DO_LOSE] = do_lose,
    [WORKER_DO_ASK] = do_ask,
    [WORKER_DO_KILL] = do_kill,
    [WORKER_DO_WAIT] = do_nothing,
    [WORKER_DO_LINGER] = linger,
    [WORKER_DO_FREE] = do_free,
};

static void feed(worker_t *worker, worker_event_t event, const news_t *news)
{
    worker_state_t before = worker->state;
    worker_action_t action = worker_life_feed(&worker->state, event);
    if (worker->state != before)
        rz_log_debug("worker.event", "worker=%s pid=%d state=%s event=%s next=%s action=%s", worker->agent_id,
                     worker_pid(worker), worker_state_name(before), worker_event_name(event),
                     worker_state_name(worker->state), worker_action_name(action));
    actions[action](worker, news); /* last: an action may feed again, or free the worker */
}

/* ---- time ---- */

static void on_deadline(void *arg)
{
    worker_t *worker = arg;
    char why[RZ_ID_MAX + 64] = "actor child closed before terminal";
    if (worker->state == WORKER_SPAWNING)
        snprintf(why, sizeof why, "worker '%s' did not register within %" PRIu64 "s", worker->agent_id,
                 (worker->env->register_ms + 999) / 1000);
    feed(worker, WORKER_EV_DEADLINE, &(news_t){ .why = why });
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
    char why[PROCESS_STATUS_MAX + 64] = "actor child closed before terminal";
    snprintf(worker->status, sizeof worker->status, "%s", status);
    if (worker->state == WORKER_SPAWNING)
        snprintf(why, sizeof why, "worker exited before registering: %s", status);
    else if (worker->state == WORKER_CONNECTING)
        snprintf(why, sizeof why, "worker exited before it could be reached: %s", status);
    feed(worker, WORKER_EV_EXIT, &(news_t){ .why = why });
}

/* ---- the connection ---- */

static void on_open(rz_ws_t *ws, void *arg)
{
    (void)ws;
    feed(arg, WORKER_EV_OPEN, NULL);
}

static void on_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    (void)ws;
    feed(arg, WORKER_EV_FRAME, &(news_t){ .bytes = bytes, .len = len });
}

static void on_close(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg)
{
    (void)ws;
    worker_t *worker = arg;
    char why[REASON_MAX] = "actor child closed before terminal";
    bool said = detail != NULL && detail[0] != '\0';
    worker->ws = NULL;
    if (worker->state == WORKER_CONNECTING)
        snprintf(why, sizeof why, "%s: %s", rz_ws_end_name(end), said ? detail : "");
    else if (end != RZ_WS_CLOSED && end != RZ_WS_LOST)
        snprintf(why, sizeof why, "actor transport error: %s%s%s", rz_ws_end_name(end), said ? ": " : "",
                 said ? detail : "");
    feed(worker, WORKER_EV_CLOSE, &(news_t){ .why = why });
}

static const rz_ws_events_t ws_events = { .on_open = on_open, .on_text = on_text, .on_close = on_close };

/* ---- registration ---- */

/* The record must be of the process we started and point to this host; another one is somebody else's. */
static void on_record(const rz_record_t *record, void *arg)
{
    worker_t *worker = arg;
    if ((pid_t)record->pid != process_pid(worker->process)) {
        rz_log_warn("worker.foreign_record", "worker=%s pid=%d record_pid=%" PRIu32, worker->agent_id,
                    worker_pid(worker), record->pid);
        return;
    }
    char host[64], why[REASON_MAX];
    uint16_t port;
    rz_err_t err = { 0 };
    if (rz_endpoint_parse(record->endpoint, host, &port, &err) == RZ_OK && rz_host_is_loopback(host)) {
        feed(worker, WORKER_EV_RECORD, &(news_t){ .host = host, .port = port });
        return;
    }
    snprintf(why, sizeof why, "worker registered an endpoint that is not on this host: %.200s",
             record->endpoint);
    feed(worker, WORKER_EV_BAD_RECORD, &(news_t){ .why = why });
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
                                  .confinement = worker->env->confinement,
                                  .tree = worker->env->tree,
                                  .on_stderr = on_stderr,
                                  .on_exit = on_exit,
                                  .arg = worker };
    process_t *process = process_open(worker->env->loop, &options, err);
    rz_wipe(spec.data, spec.len);
    rz_buf_fini(&spec);
    return process;
}

static void set_part(part_t *part, const char *path)
{
    *part = (part_t){ .path = rz_strdup(path), .binary = binary_at(path) };
}

/* The identity is taken before the program is started: a file that is replaced in between counts as changed. */
worker_t *worker_open(const worker_env_t *env, const worker_plan_t *plan, rz_err_t *err)
{
    worker_t *worker = rz_alloc(sizeof *worker);
    worker->env = env;
    snprintf(worker->agent_id, sizeof worker->agent_id, "%s", plan->provision->child_id);
    if (plan->provision->connection_token != NULL)
        snprintf(worker->token, sizeof worker->token, "%s", plan->provision->connection_token);
    snprintf(worker->pool_key, sizeof worker->pool_key, "%s", plan->pool_key);
    snprintf(worker->affinity, sizeof worker->affinity, "%s", plan->affinity);
    set_part(&worker->parts[WORKER_PROGRAM], plan->argv[0]);
    if (plan->provision->executor == RZ_EXECUTOR_SESSION)
        set_part(&worker->parts[WORKER_COMMAND], plan->provision->command);
    worker->credential = rz_strdup(plan->credential != NULL ? plan->credential : "");
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
    free_texts(worker);
    rz_free(worker);
    return NULL;
}

/* ---- orders ---- */

void worker_take(worker_t *worker, void *user)
{
    worker->user = user;
    feed(worker, WORKER_EV_TAKE, NULL);
}

void worker_give_back(worker_t *worker)
{
    feed(worker, WORKER_EV_GIVE_BACK, NULL);
}

void worker_retire(worker_t *worker, worker_ending_t ending)
{
    feed(worker, ending == WORKER_KILL ? WORKER_EV_KILL : WORKER_EV_TERMINATE, NULL);
}

rz_rc_t worker_send(worker_t *worker, const char *frame, size_t len)
{
    bool open = worker->state == WORKER_IDLE || worker->state == WORKER_BUSY || worker->state == WORKER_DYING;
    return open ? rz_ws_send(worker->ws, frame, len) : RZ_CLOSED;
}

/* ---- small questions ---- */

worker_state_t worker_state(const worker_t *worker)
{
    return worker->state;
}

bool worker_usable(const worker_t *worker)
{
    return worker->state == WORKER_IDLE && !process_ended(worker->process);
}

bool worker_is_coming(const worker_t *worker)
{
    return worker->state == WORKER_SPAWNING || worker->state == WORKER_CONNECTING;
}

const char *worker_pool_key(const worker_t *worker)
{
    return worker->pool_key;
}

const char *worker_affinity(const worker_t *worker)
{
    return worker->affinity;
}

const char *worker_credential(const worker_t *worker)
{
    return worker->credential;
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

uint64_t worker_runs(const worker_t *worker)
{
    return worker->runs;
}

uint64_t worker_resident(const worker_t *worker)
{
    return procs_resident(process_pid(worker->process));
}

const char *worker_shortage(const worker_t *worker)
{
    bool killed = process_memory_kills(worker->process) > worker->memory_kills;
    return killed ? ": out of memory (runner.limits.worker_memory_mb)" : "";
}

const char *worker_path(const worker_t *worker, worker_part_t part)
{
    return worker->parts[part].path;
}

bool worker_is_of(const worker_t *worker, worker_part_t part, const binary_t *binary)
{
    return binary_same(&worker->parts[part].binary, binary);
}

bool worker_is_stale(const worker_t *worker)
{
    return worker->stale;
}

void worker_set_stale(worker_t *worker)
{
    worker->stale = true;
}
