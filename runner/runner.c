/* runner.c - wiring: how it opens, what a turn of its loop does, how it closes. */
#include "runner_inner.h"

#include "base/clock.h"
#include "base/log.h"
#include "keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS  50  /* heartbeats, grace, retries; only while something is held */
#define SLOW_MS  200 /* links                                                    */
#define HELLO_MS 20  /* to the first of those: a connection on one host is there  */

uint64_t runner_now(runner_t *runner)
{
    return uv_now(&runner->loop);
}

void runner_start_ticking(runner_t *runner)
{
    if (runner->ticking)
        return;
    runner->ticking = true;
    rz_timer_start(runner->tick, TICK_MS, TICK_MS);
}

void runner_write_touched(runner_t *runner)
{
    run_t *run;
    while ((run = run_next_touched(&runner->house)) != NULL) {
        if (run_state(run) == ACT_DONE)
            held_drop(runner->held, &run);
        else
            run_write(run, house_now(&runner->house));
    }
}

void runner_feed_all(runner_t *runner, course_event_t event)
{
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_feed(run, event);
}

/* ---- the end of a turn ---- */

static uint64_t room(const runner_t *runner)
{
    size_t open = held_open(runner->held), slots = runner->settings->slots;
    bool takes = runner->phase == PHASE_UP && !freeze_is_on(runner->freeze.state);
    return takes && open < slots ? slots - open : 0;
}

/* A credit that the link did not take stays due: lost, it could be the last one for long. */
static void tell_credit(runner_t *runner)
{
    links_t *links = runner->house.links;
    if (!runner->credit_due || links_home(links) == NULL)
        return;
    cJSON *idle = crew_idle(runner->house.crew), *full = rooms_full(runner->house.rooms);
    runner->credit_due = links_credit(links, room(runner), idle, full) != RZ_OK;
    cJSON_Delete(idle);
    cJSON_Delete(full);
}

/* Everything that happened since the last turn is answered here, once: free workers are handed on, writes and
 * credit go out. This handle was started last, so it runs before those of the sockets (libuv runs the newest
 * first), which then see what was sent. */
static void on_turn(uv_prepare_t *prepare)
{
    runner_t *runner = prepare->data;
    if (runner->phase < PHASE_LEAVING) {
        run_admit(&runner->house);
        crew_turn(runner->house.crew);
    }
    runner_write_touched(runner);
    tell_credit(runner);
    runner_look_at_phase(runner);
}

static void on_slot_free(void *arg)
{
    ((runner_t *)arg)->credit_due = true;
}

/* ---- what ends it ---- */

static void on_signal(uv_signal_t *signal, int signum)
{
    if (signum != SIGHUP) /* a terminal that goes away is no reason to stop */
        runner_signal(signal->data, signum);
}

static void on_keeper(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    runner_t *runner = poll->data;
    char byte;
    if (read(runner->fds.keeper_fd, &byte, 1) != 0)
        return;
    rz_log_error("runner.keeper_gone", "held=%zu", held_count(runner->held));
    uv_poll_stop(poll);
    runner_stop(runner, 70);
}

static void on_crew_empty(void *arg)
{
    ((runner_t *)arg)->crew_empty = true;
}

/* ---- time ---- */

static void on_tick(void *arg)
{
    runner_t *runner = arg;
    uint64_t now_ms = house_now(&runner->house);
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_tick(run, now_ms);
    if (held_count(runner->held) > 0)
        return;
    rz_timer_stop(runner->tick);
    runner->ticking = false;
}

static bool has_old_credential(const worker_t *worker, void *arg)
{
    const credentials_t *credentials = arg;
    return !credentials_current(credentials, worker_credential(worker));
}

/* The old key may be revoked at any moment, and the next run has another pool key anyway. */
static void refresh_credentials(house_t *house)
{
    if (credentials_refresh(house->credentials))
        crew_retire_idle(house->crew, has_old_credential, house->credentials);
}

static void on_slow(void *arg)
{
    runner_t *runner = arg;
    links_tick(runner->house.links, rz_now_ms());
    runner_freeze_tick(runner);
    refresh_credentials(&runner->house);
    crew_reap_orphans(runner->house.crew);
    tree_tidy(runner->tree);
    if (runner->phase < PHASE_DRAINING)
        crew_expire(runner->house.crew, runner_now(runner));
}

static void on_beat(void *arg)
{
    const runner_t *runner = arg;
    if (!keeper_beat(runner->fds.keeper_fd))
        rz_log_debug("runner.beat", "error=%s", strerror(errno));
}

/* ---- opening and closing ---- */

static void on_crew_idle(void *arg)
{
    ((runner_t *)arg)->credit_due = true;
}

static rz_rc_t open_parts(runner_t *runner, rz_err_t *err)
{
    house_t *house = &runner->house;
    *house = (house_t){
        .settings = runner->settings, .loop = &runner->loop, .on_slot_free = on_slot_free, .arg = runner
    };
    /* the crew's events are a run's, but for two that concern the runner as a whole */
    runner->crew_events = run_crew_events;
    runner->crew_events.on_idle = on_crew_idle;
    runner->crew_events.on_empty = on_crew_empty;
    runner->held = held_create();
    house->rooms = rooms_create(runner->settings->agents, runner->settings->slots);
    house->output = output_create();
    house->credentials = credentials_open(runner->settings->credentials, err);
    if (house->credentials == NULL)
        return err->rc;
    runner->fabric = fabric_open(runner->settings->state_dir, &runner->settings->confinement, err);
    if (runner->fabric == NULL)
        return err->rc;
    runner->ws = rz_ws_context_open(&runner->loop, err);
    if (runner->ws == NULL)
        return err->rc;
    house->publisher = publisher_open(&runner->loop, runner->zctx, &runner->settings->key, err);
    if (house->publisher == NULL)
        return err->rc;
    house->links =
        links_open(&runner->loop, runner->zctx, runner->settings, &runner_links_events, runner, err);
    if (house->links == NULL)
        return err->rc;
    house->crew = crew_open(&runner->loop, runner->ws, runner->fabric, runner->tree, runner->settings,
                            &runner->crew_events, runner);
    runner->health = runner_health_open(runner, err);
    return runner->health != NULL ? RZ_OK : err->rc;
}

static void open_signals(runner_t *runner)
{
    static const int numbers[SIGNALS] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&runner->loop, &runner->signals[i]);
        runner->signals[i].data = runner;
        uv_signal_start(&runner->signals[i], on_signal, numbers[i]);
    }
}

static void open_time(runner_t *runner)
{
    runner->tick = rz_timer_open(&runner->loop, on_tick, runner);
    runner->slow = rz_timer_open(&runner->loop, on_slow, runner);
    runner->beat = rz_timer_open(&runner->loop, on_beat, runner);
    runner->sync = rz_timer_open(&runner->loop, runner_send_sync, runner);
    rz_timer_start(runner->slow, HELLO_MS, SLOW_MS);
    if (runner->fds.keeper_fd >= 0) {
        rz_timer_start(runner->beat, 0, KEEPER_BEAT_MS);
        uv_poll_init(&runner->loop, &runner->keeper, runner->fds.keeper_fd);
        runner->keeper.data = runner;
        uv_poll_start(&runner->keeper, UV_READABLE, on_keeper);
    }
    uv_prepare_init(&runner->loop, &runner->turn); /* last: see on_turn() */
    runner->turn.data = runner;
    uv_prepare_start(&runner->turn, on_turn);
}

void runner_close(runner_t *runner)
{
    house_t *house = &runner->house;
    rz_link_t bye = { .kind = RZ_LINK_BYE, .incarnation = links_incarnation(house->links) };
    links_send(house->links, &bye, NULL, 0);
    links_close(&house->links);
    publisher_close(&house->publisher);
    runner_health_close(&runner->health);
    rz_ws_context_close(&runner->ws);
    rz_timer_close(&runner->tick);
    rz_timer_close(&runner->slow);
    rz_timer_close(&runner->beat);
    rz_timer_close(&runner->sync);
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&runner->signals[i], NULL);
    if (runner->fds.keeper_fd >= 0)
        uv_close((uv_handle_t *)&runner->keeper, NULL);
    uv_close((uv_handle_t *)&runner->turn, NULL);
}

static void log_counters(const runner_t *runner)
{
    const house_t *house = &runner->house;
    crew_stats_t stats;
    crew_stats(house->crew, &stats);
    rz_log_info("runner.end",
                "ended=%" PRIu64 " fenced=%" PRIu64 " bad_events=%" PRIu64 " other_frames=%" PRIu64
                " refused=%" PRIu64 " late_frames=%" PRIu64,
                house->counters.ended, house->counters.fenced, house->counters.bad_events,
                house->counters.other_frames, house->counters.refused, stats.late_frames);
}

/* The table's runs hold workers and journals, so it goes before the crew. */
static void free_parts(runner_t *runner)
{
    if (runner->house.crew != NULL)
        log_counters(runner);
    held_destroy(&runner->held);
    rooms_destroy(&runner->house.rooms);
    crew_close(&runner->house.crew);
    output_destroy(&runner->house.output);
    fabric_close(&runner->fabric);
    credentials_close(&runner->house.credentials);
    zmq_ctx_term(runner->zctx);
}

static int fail_to_open(runner_t *runner, const rz_err_t *err)
{
    rz_log_error("runner.start", "error=%s", err->text);
    links_close(&runner->house.links);
    publisher_close(&runner->house.publisher);
    if (runner->ws != NULL)
        rz_ws_context_close(&runner->ws);
    uv_run(&runner->loop, UV_RUN_DEFAULT);
    free_parts(runner);
    uv_loop_close(&runner->loop);
    return rz_rc_exit_code(err->rc);
}

/* The keeper would do it as well, if it is still there. */
static void sweep(const tree_t *tree)
{
    size_t killed = tree_sweep(tree);
    if (killed > 0)
        rz_log_warn("runner.swept", "processes=%zu", killed);
}

int runner_run(const settings_t *settings, const runner_fds_t *fds, tree_t *tree)
{
    runner_t runner = { .settings = settings, .fds = *fds, .tree = tree };
    rz_err_t err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&runner.loop);
    runner.zctx = zmq_ctx_new();
    if (open_parts(&runner, &err) != RZ_OK)
        return fail_to_open(&runner, &err);
    open_signals(&runner);
    open_time(&runner);
    if (geteuid() == 0 && !settings->confinement.other_user)
        rz_log_warn("runner.workers_are_root",
                    "text=\"workers run code that a model chose, as root; set runner.worker_user\"");
    if (settings->cordoned)
        runner_cordon(&runner);
    rz_log_info("runner.up", "runner=%s slots=%zu state_dir=%s", settings->name, settings->slots,
                settings->state_dir);
    uv_run(&runner.loop, UV_RUN_DEFAULT);
    free_parts(&runner);
    uv_loop_close(&runner.loop);
    sweep(tree);
    return runner.exit_code;
}
