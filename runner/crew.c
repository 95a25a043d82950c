/* crew.c - see crew.h. */
#include "crew.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>

#define SURPLUS_MS 1000 /* how long more than idle_per_key workers of one key are kept */

/* Pointers to workers; order does not matter. */
typedef struct {
    worker_t **list;
    size_t count, cap;
} workers_t;

struct crew {
    worker_env_t env;
    const crew_events_t *events;
    void *arg;
    pool_t *pool;
    workers_t all;     /* every one until it is gone            */
    workers_t cooling; /* free since this turn of the loop      */
    size_t enough;     /* as many as can be busy or idle        */
    seeker_t ends;     /* ring of seekers, oldest first         */
    bool stopping;
    uint64_t late_frames; /* came when no run was on */
};

/* ---- lists ---- */

static void workers_add(workers_t *workers, worker_t *worker)
{
    if (workers->count == workers->cap) {
        workers->cap = workers->cap == 0 ? 16 : workers->cap * 2;
        workers->list = rz_realloc(workers->list, workers->cap * sizeof(worker_t *));
    }
    workers->list[workers->count++] = worker;
}

static void workers_remove(workers_t *workers, const worker_t *worker)
{
    for (size_t i = 0; i < workers->count; i++) {
        if (workers->list[i] != worker)
            continue;
        workers->list[i] = workers->list[--workers->count];
        return;
    }
}

static void enqueue(crew_t *crew, seeker_t *seeker)
{
    seeker->next = &crew->ends;
    seeker->prev = crew->ends.prev;
    seeker->next->prev = seeker->prev->next = seeker;
    seeker->seeking = true;
}

static void dequeue(seeker_t *seeker)
{
    seeker->prev->next = seeker->next;
    seeker->next->prev = seeker->prev;
    seeker->seeking = false;
}

static seeker_t *first_seeker(crew_t *crew, const char *pool_key)
{
    for (seeker_t *s = crew->ends.next; s != &crew->ends; s = s->next)
        if (strcmp(s->pool_key, pool_key) == 0)
            return s;
    return NULL;
}

static seeker_t *seeker_of(crew_t *crew, const worker_t *coming)
{
    for (seeker_t *s = crew->ends.next; s != &crew->ends; s = s->next)
        if (s->coming == coming)
            return s;
    return NULL;
}

/* ---- bringing the two together ---- */

/* Its own worker, if one is on the way, is then nobody's: the next seeker of the key adopts it, or it parks. */
static worker_t *detach(seeker_t *seeker)
{
    worker_t *orphan = seeker->coming;
    dequeue(seeker);
    if (orphan != NULL)
        worker_set_user(orphan, NULL);
    seeker->coming = NULL;
    return orphan;
}

/* An orphan goes if there are enough without it: whoever asks for one key after the other and cancels at once
 * would start processes without end. */
void crew_withdraw(crew_t *crew, seeker_t *seeker)
{
    worker_t *orphan = seeker->seeking ? detach(seeker) : NULL;
    if (orphan != NULL && crew->all.count > crew->enough)
        worker_retire(orphan, WORKER_KILL);
}

static void occupy(worker_t *worker, void *user)
{
    worker_set_user(worker, user);
    worker_occupy(worker, true);
}

static void serve(crew_t *crew, seeker_t *seeker, worker_t *worker)
{
    detach(seeker);
    occupy(worker, seeker->user);
    crew->events->on_worker(seeker->user, worker, crew->arg);
}

static void park(crew_t *crew, worker_t *worker, uint64_t now_ms)
{
    worker_set_user(worker, NULL);
    worker_t *surplus =
        pool_park(crew->pool, worker_pool_key(worker), worker_affinity(worker), worker, now_ms);
    if (surplus != NULL)
        worker_retire(surplus, WORKER_TERMINATE);
    crew->events->on_idle(crew->arg);
}

static void place(crew_t *crew, worker_t *worker, uint64_t now_ms)
{
    seeker_t *seeker = first_seeker(crew, worker_pool_key(worker));
    if (seeker != NULL)
        serve(crew, seeker, worker);
    else
        park(crew, worker, now_ms);
}

/* A parked worker whose process died a moment ago, unseen yet, is skipped: its run would be lost for nothing.
 */
worker_t *crew_seek(crew_t *crew, seeker_t *seeker)
{
    worker_t *worker;
    while ((worker = pool_take(crew->pool, seeker->pool_key)) != NULL) {
        crew->events->on_idle(crew->arg);
        if (worker_usable(worker)) {
            occupy(worker, seeker->user);
            return worker;
        }
        worker_retire(worker, WORKER_KILL);
    }
    enqueue(crew, seeker);
    return NULL;
}

void crew_give_back(crew_t *crew, worker_t *worker)
{
    worker_set_user(worker, NULL);
    worker_occupy(worker, false);
    workers_add(&crew->cooling, worker);
}

void crew_discard(worker_t *worker, worker_ending_t ending)
{
    worker_retire(worker, ending);
}

/* ---- spawning ---- */

rz_rc_t crew_spawn(crew_t *crew, const worker_plan_t *plan, worker_t **out, rz_err_t *err)
{
    *out = worker_open(&crew->env, plan, err);
    if (*out == NULL)
        return err->rc;
    workers_add(&crew->all, *out);
    return RZ_OK;
}

/* One that was spawned for a seeker which needs it no more. */
static worker_t *orphan_of_key(const crew_t *crew, const char *pool_key)
{
    for (size_t i = 0; i < crew->all.count; i++) {
        worker_t *worker = crew->all.list[i];
        worker_state_t state = worker_state(worker);
        if ((state == WORKER_SPAWNING || state == WORKER_CONNECTING) && worker_user(worker) == NULL &&
            strcmp(worker_pool_key(worker), pool_key) == 0)
            return worker;
    }
    return NULL;
}

static void fetch(crew_t *crew, seeker_t *seeker)
{
    rz_err_t err = { 0 };
    worker_t *worker = orphan_of_key(crew, seeker->pool_key);
    if (worker == NULL && crew->events->on_spawn(seeker->user, &worker, &err, crew->arg) != RZ_OK) {
        detach(seeker);
        crew->events->on_none(seeker->user, WORKER_NO_START, err.text, crew->arg);
        return;
    }
    seeker->coming = worker;
    worker_set_user(worker, seeker->user);
}

void crew_turn(crew_t *crew, uint64_t now_ms)
{
    while (crew->cooling.count > 0)
        place(crew, crew->cooling.list[--crew->cooling.count], now_ms);
    for (seeker_t *s = crew->ends.next, *next; s != &crew->ends; s = next) {
        next = s->next;
        if (s->coming == NULL)
            fetch(crew, s);
    }
}

/* ---- what workers tell ---- */

static void on_ready(worker_t *worker, void *arg)
{
    crew_t *crew = arg;
    seeker_t *seeker = seeker_of(crew, worker);
    if (seeker != NULL)
        serve(crew, seeker, worker);
    else
        place(crew, worker, uv_now(crew->env.loop));
}

static void on_failed(worker_t *worker, worker_failure_t failure, const char *reason, void *arg)
{
    crew_t *crew = arg;
    seeker_t *seeker = seeker_of(crew, worker);
    if (seeker == NULL) {
        rz_log_warn("worker.failed", "pid=%d reason=%s", worker_pid(worker), reason);
        return;
    }
    detach(seeker);
    crew->events->on_none(seeker->user, failure, reason, crew->arg);
}

/* Nothing may come from a worker without a run: what it says now could be taken for the next child's. */
static void on_late_frame(crew_t *crew, worker_t *worker, size_t len)
{
    crew->late_frames++;
    rz_log_warn("worker.late_frame", "pid=%d bytes=%zu count=%" PRIu64, worker_pid(worker), len,
                crew->late_frames);
    workers_remove(&crew->cooling, worker);
    if (pool_remove(crew->pool, worker))
        crew->events->on_idle(crew->arg);
    worker_retire(worker, WORKER_KILL);
}

static void on_frame(worker_t *worker, const char *bytes, size_t len, void *arg)
{
    crew_t *crew = arg;
    if (worker_state(worker) == WORKER_BUSY)
        crew->events->on_frame(worker_user(worker), bytes, len, crew->arg);
    else
        on_late_frame(crew, worker, len);
}

static void on_lost(worker_t *worker, const char *reason, void *arg)
{
    crew_t *crew = arg;
    if (worker_state(worker) == WORKER_BUSY) {
        crew->events->on_lost(worker_user(worker), reason, crew->arg);
        return;
    }
    workers_remove(&crew->cooling, worker);
    rz_log_info("worker.idle_lost", "pid=%d", worker_pid(worker));
    if (pool_remove(crew->pool, worker))
        crew->events->on_idle(crew->arg);
}

static void on_stderr(worker_t *worker, const char *bytes, size_t n, void *arg)
{
    crew_t *crew = arg;
    if (worker_user(worker) != NULL)
        crew->events->on_stderr(worker_user(worker), bytes, n, crew->arg);
}

static void on_gone(worker_t *worker, void *arg)
{
    crew_t *crew = arg;
    workers_remove(&crew->all, worker);
    if (crew->stopping && crew->all.count == 0)
        crew->events->on_empty(crew->arg);
}

static const worker_events_t worker_events = { .on_ready = on_ready,
                                               .on_failed = on_failed,
                                               .on_frame = on_frame,
                                               .on_lost = on_lost,
                                               .on_stderr = on_stderr,
                                               .on_gone = on_gone };

/* ---- life ---- */

crew_t *crew_open(uv_loop_t *loop, rz_ws_context_t *ws, fabric_t *fabric, const settings_t *settings,
                  const crew_events_t *events, void *arg)
{
    crew_t *crew = rz_alloc(sizeof *crew);
    pool_limits_t limits = { .per_key = settings->idle_per_key,
                             .total = settings->idle_max_total,
                             .linger_ms = SURPLUS_MS,
                             .idle_ms = settings->idle_secs * 1000 };
    crew->env = (worker_env_t){ .loop = loop,
                                .ws = ws,
                                .fabric = fabric,
                                .register_ms = settings->register_ms,
                                .events = &worker_events,
                                .arg = crew };
    crew->events = events;
    crew->arg = arg;
    crew->pool = pool_create(&limits);
    crew->enough = settings->slots + settings->idle_max_total;
    crew->ends.next = crew->ends.prev = &crew->ends;
    return crew;
}

void crew_close(crew_t **crew_ref)
{
    crew_t *crew = *crew_ref;
    if (crew == NULL)
        return;
    pool_destroy(&crew->pool);
    rz_free(crew->all.list);
    rz_free(crew->cooling.list);
    rz_free(crew);
    *crew_ref = NULL;
}

void crew_expire(crew_t *crew, uint64_t now_ms)
{
    worker_t *worker;
    while ((worker = pool_expire(crew->pool, now_ms)) != NULL) {
        worker_retire(worker, WORKER_TERMINATE);
        crew->events->on_idle(crew->arg);
    }
}

void crew_stop(crew_t *crew, worker_ending_t ending)
{
    crew->stopping = true;
    crew->cooling.count = 0;
    while (pool_pop(crew->pool) != NULL) {}
    for (size_t i = 0; i < crew->all.count; i++)
        worker_retire(crew->all.list[i], ending);
    if (crew->all.count == 0)
        crew->events->on_empty(crew->arg);
}

cJSON *crew_idle(const crew_t *crew)
{
    return pool_idle(crew->pool);
}

uint64_t crew_late_frames(const crew_t *crew)
{
    return crew->late_frames;
}
