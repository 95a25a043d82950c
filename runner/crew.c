/* crew.c - see crew.h. */
#include "crew.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#define SURPLUS_MS 1000 /* how long more than idle_per_key workers of one key are kept */
#define BINARY_MS  2000 /* between two looks at the workers' programs on disk          */

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
    workers_t all;                        /* every one until it is gone            */
    size_t enough;                        /* as many as can be busy or idle        */
    seeker_t ends;                        /* ring of seekers, oldest first         */
    uint64_t recycle_runs, recycle_bytes; /* 0: never        */
    uint64_t binaries_ms;                 /* when they are looked at next */
    bool stopping, frozen;
    crew_stats_t stats; /* idle and alive: see crew_stats() */
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

/* NULL: of nobody, and then the next turn finds it one. */
static void await(seeker_t *seeker, worker_t *coming, bool adopted)
{
    if (seeker->coming != NULL)
        worker_set_user(seeker->coming, NULL);
    if (coming != NULL)
        worker_set_user(coming, seeker->user);
    seeker->coming = coming;
    seeker->adopted = adopted;
}

/* Its own worker, if one is on the way, is then nobody's: the next seeker of the key adopts it, or it parks. */
static worker_t *detach(seeker_t *seeker)
{
    worker_t *orphan = seeker->coming;
    dequeue(seeker);
    await(seeker, NULL, false);
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

static void serve(crew_t *crew, seeker_t *seeker, worker_t *worker)
{
    detach(seeker);
    worker_take(worker, seeker->user);
    crew->events->on_worker(seeker->user, worker, crew->arg);
}

/* ---- the pool ---- */

static entry_action_t tell_pool(crew_t *crew, worker_t *worker, entry_event_t event)
{
    size_t before = pool_count(crew->pool);
    entry_action_t action = pool_feed(crew->pool, worker, event, uv_now(crew->env.loop));
    if (action == ENTRY_DO_NOTHING)
        return action;
    crew->stats.recycled += event == ENTRY_EV_WORN || event == ENTRY_EV_STALE;
    rz_log_debug("pool.event", "pid=%d event=%s action=%s", worker_pid(worker), entry_event_name(event),
                 entry_action_name(action));
    if (action == ENTRY_DO_TERMINATE || action == ENTRY_DO_KILL)
        worker_retire(worker, action == ENTRY_DO_KILL ? WORKER_KILL : WORKER_TERMINATE);
    if (pool_count(crew->pool) != before)
        crew->events->on_idle(crew->arg);
    return action;
}

static bool is_worn(const crew_t *crew, const worker_t *worker)
{
    if (crew->recycle_runs > 0 && worker_runs(worker) >= crew->recycle_runs)
        return true;
    return crew->recycle_bytes > 0 && worker_resident(worker) > crew->recycle_bytes;
}

/* Looked at whenever a worker is to be parked or handed out: one whose process died a moment ago, unseen yet, would
 * lose its next run for nothing. */
static entry_event_t examine(const crew_t *crew, const worker_t *worker)
{
    if (!worker_usable(worker))
        return ENTRY_EV_DIED;
    if (worker_is_stale(worker))
        return ENTRY_EV_STALE;
    return is_worn(crew, worker) ? ENTRY_EV_WORN : ENTRY_EV_WANTED;
}

static void place(crew_t *crew, worker_t *worker)
{
    seeker_t *seeker = first_seeker(crew, worker_pool_key(worker));
    entry_event_t event = examine(crew, worker);
    if (event == ENTRY_EV_WANTED && seeker == NULL)
        event = ENTRY_EV_UNWANTED;
    entry_action_t action = tell_pool(crew, worker, event);
    if (seeker != NULL && action == ENTRY_DO_HAND_OUT) {
        crew->stats.warm++;
        serve(crew, seeker, worker);
    }
}

worker_t *crew_seek(crew_t *crew, seeker_t *seeker)
{
    worker_t *worker;
    while (!crew->frozen && (worker = pool_parked(crew->pool, seeker->pool_key)) != NULL) {
        if (tell_pool(crew, worker, examine(crew, worker)) != ENTRY_DO_HAND_OUT)
            continue;
        crew->stats.warm++;
        worker_take(worker, seeker->user);
        return worker;
    }
    enqueue(crew, seeker);
    return NULL;
}

static void admit(crew_t *crew, worker_t *worker)
{
    pool_admit(crew->pool, worker_pool_key(worker), worker_affinity(worker), worker);
}

void crew_give_back(crew_t *crew, worker_t *worker)
{
    worker_give_back(worker);
    if (worker_state(worker) == WORKER_IDLE)
        admit(crew, worker);
}

void crew_discard(worker_t *worker, worker_ending_t ending)
{
    worker_retire(worker, ending);
}

/* ---- what became stale ---- */

/* Whoever waits for it finds another in the next turn: the plan for that one is made of what holds now. */
static void call_off(crew_t *crew, worker_t *coming)
{
    seeker_t *seeker = seeker_of(crew, coming);
    if (seeker != NULL)
        await(seeker, NULL, false);
    rz_log_debug("worker.called_off", "pid=%d", worker_pid(coming));
    worker_retire(coming, WORKER_KILL);
}

void crew_retire_idle(crew_t *crew, bool (*stale)(const worker_t *worker, void *arg), void *arg)
{
    for (size_t i = 0; i < crew->all.count; i++) {
        worker_t *worker = crew->all.list[i];
        if (worker_is_stale(worker) || !stale(worker, arg))
            continue;
        worker_set_stale(worker);
        if (worker_is_coming(worker)) {
            crew->stats.recycled++;
            call_off(crew, worker);
        } else {
            tell_pool(crew, worker, ENTRY_EV_STALE);
        }
    }
}

void crew_freeze(crew_t *crew, bool frozen)
{
    crew->frozen = frozen;
    for (size_t i = 0; i < crew->all.count && frozen; i++)
        if (worker_is_coming(crew->all.list[i]))
            call_off(crew, crew->all.list[i]);
}

/* What stands on disk under the paths that were looked at last: most workers share them. */
typedef struct {
    const char *path;
    binary_t now;
} look_t;

static bool is_part_replaced(const worker_t *worker, worker_part_t part, look_t *look)
{
    const char *path = worker_path(worker, part);
    if (path == NULL)
        return false;
    if (look->path == NULL || strcmp(look->path, path) != 0)
        *look = (look_t){ .path = path, .now = binary_at(path) };
    return !worker_is_of(worker, part, &look->now);
}

static bool is_replaced(const worker_t *worker, void *arg)
{
    look_t *looks = arg;
    bool replaced = false;
    for (worker_part_t part = 0; part < WORKER_PARTS && !replaced; part++)
        replaced = is_part_replaced(worker, part, &looks[part]);
    return replaced;
}

static void look_at_binaries(crew_t *crew, uint64_t now_ms)
{
    look_t looks[WORKER_PARTS] = { 0 };
    if (now_ms < crew->binaries_ms)
        return;
    crew->binaries_ms = now_ms + BINARY_MS;
    crew_retire_idle(crew, is_replaced, looks);
}

void crew_expire(crew_t *crew, uint64_t now_ms)
{
    worker_t *worker;
    entry_event_t why;
    if (crew->frozen)
        return;
    while ((worker = pool_overdue(crew->pool, now_ms, &why)) != NULL)
        tell_pool(crew, worker, why);
    look_at_binaries(crew, now_ms);
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
        if (worker_is_coming(worker) && worker_user(worker) == NULL &&
            strcmp(worker_pool_key(worker), pool_key) == 0)
            return worker;
    }
    return NULL;
}

static void fetch(crew_t *crew, seeker_t *seeker)
{
    rz_err_t err = { 0 };
    worker_t *worker = orphan_of_key(crew, seeker->pool_key);
    bool adopted = worker != NULL;
    if (!adopted && crew->events->on_spawn(seeker->user, &worker, &err, crew->arg) != RZ_OK) {
        crew->stats.failed++;
        detach(seeker);
        crew->events->on_none(seeker->user, WORKER_NO_START, err.text, crew->arg);
        return;
    }
    await(seeker, worker, adopted);
}

static void place_the_free(crew_t *crew)
{
    worker_t *worker;
    entry_event_t why;
    while ((worker = pool_cooling(crew->pool)) != NULL)
        place(crew, worker);
    while ((worker = pool_excess(crew->pool, &why)) != NULL)
        tell_pool(crew, worker, why);
}

void crew_turn(crew_t *crew)
{
    if (crew->frozen)
        return;
    place_the_free(crew);
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
    if (seeker == NULL) {
        admit(crew, worker);
        return;
    }
    crew->stats.cold++;
    serve(crew, seeker, worker);
}

static void on_failed(worker_t *worker, worker_failure_t failure, const char *reason, void *arg)
{
    crew_t *crew = arg;
    seeker_t *seeker = seeker_of(crew, worker);
    crew->stats.failed++;
    if (seeker == NULL || seeker->adopted) {
        rz_log_warn("worker.failed", "pid=%d reason=%s", worker_pid(worker), reason);
        if (seeker != NULL)
            await(seeker, NULL, false); /* its clock ran for another: this one has its own spawn yet */
        return;
    }
    detach(seeker);
    crew->events->on_none(seeker->user, failure, reason, crew->arg);
}

static void on_frame(worker_t *worker, const char *bytes, size_t len, void *arg)
{
    const crew_t *crew = arg;
    crew->events->on_frame(worker_user(worker), bytes, len, crew->arg);
}

static void on_late_frame(worker_t *worker, size_t len, void *arg)
{
    crew_t *crew = arg;
    crew->stats.late_frames++;
    rz_log_warn("worker.late_frame", "pid=%d bytes=%zu count=%" PRIu64, worker_pid(worker), len,
                crew->stats.late_frames);
    tell_pool(crew, worker, ENTRY_EV_SPOKE);
}

static void on_lost(worker_t *worker, const char *reason, void *arg)
{
    crew_t *crew = arg;
    if (worker_user(worker) != NULL) {
        crew->events->on_lost(worker_user(worker), reason, crew->arg);
        return;
    }
    rz_log_info("worker.idle_lost", "pid=%d", worker_pid(worker));
    tell_pool(crew, worker, ENTRY_EV_DIED);
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
                                               .on_late_frame = on_late_frame,
                                               .on_lost = on_lost,
                                               .on_stderr = on_stderr,
                                               .on_gone = on_gone };

/* ---- life ---- */

crew_t *crew_open(uv_loop_t *loop, rz_ws_context_t *ws, fabric_t *fabric, tree_t *tree,
                  const settings_t *settings, const crew_events_t *events, void *arg)
{
    crew_t *crew = rz_alloc(sizeof *crew);
    pool_limits_t limits = { .per_key = settings->idle_per_key,
                             .total = settings->idle_max_total,
                             .linger_ms = SURPLUS_MS,
                             .idle_ms = settings->idle_secs * 1000 };
    crew->env = (worker_env_t){ .loop = loop,
                                .ws = ws,
                                .fabric = fabric,
                                .tree = tree,
                                .confinement = &settings->confinement,
                                .register_ms = settings->register_ms,
                                .events = &worker_events,
                                .arg = crew };
    crew->events = events;
    crew->arg = arg;
    crew->pool = pool_create(&limits);
    crew->enough = settings->slots + settings->idle_max_total;
    crew->recycle_runs = settings->recycle_runs;
    crew->recycle_bytes = settings->recycle_bytes;
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
    rz_free(crew);
    *crew_ref = NULL;
}

static bool is_worker(const crew_t *crew, pid_t pid)
{
    for (size_t i = 0; i < crew->all.count; i++)
        if (worker_pid(crew->all.list[i]) == pid)
            return true;
    return false;
}

/* A worker that has ended and is not reaped yet stands before the others: the next look is behind it. */
void crew_reap_orphans(const crew_t *crew)
{
    siginfo_t info = { 0 };
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
           !is_worker(crew, info.si_pid)) {
        pid_t orphan = info.si_pid;
        info = (siginfo_t){ 0 };
        waitid(P_PID, (id_t)orphan, &info, WEXITED | WNOHANG);
        info = (siginfo_t){ 0 };
    }
}

void crew_stop(crew_t *crew, worker_ending_t ending)
{
    crew->stopping = true;
    worker_t *worker;
    while ((worker = pool_any(crew->pool)) != NULL)
        tell_pool(crew, worker, ENTRY_EV_STOP);
    for (size_t i = 0; i < crew->all.count; i++)
        worker_retire(crew->all.list[i], ending);
    if (crew->all.count == 0)
        crew->events->on_empty(crew->arg);
}

cJSON *crew_idle(const crew_t *crew)
{
    return pool_idle(crew->pool);
}

void crew_stats(const crew_t *crew, crew_stats_t *out)
{
    *out = crew->stats;
    out->idle = pool_count(crew->pool);
    out->alive = crew->all.count;
}
