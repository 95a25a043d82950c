/* health.c - see health.h. */
#include "health.h"

#include "base/clock.h"
#include "base/health.h"
#include "base/notify.h"
#include "keeper.h"
#include "runner_inner.h"

#include <inttypes.h>
#include <stdio.h>

#define LOOK_MS        1000  /* at most; the watchdog may want to be fed more often        */
#define FRESH_MS       10000 /* an answered sync is news for so long, or for three of them */
#define FRESH_SYNCS    3
#define PROGRESS_SYNCS 20 /* a broker that is there answers one of so many, whatever its store does */

struct runner_health {
    runner_t *runner;
    rz_health_t *http; /* NULL: not served */
    rz_timer_t *timer;
    rz_notice_t told;
    bool stopping;
    uint64_t started_ms;
    uint64_t homeless_ms; /* when we were last seen without a broker                */
    uint64_t answered_ms; /* when a sync was last answered; 0: none was             */
    uint64_t fine_ms;     /* and when it was OK                                     */
    rz_rc_t answer;
};

static uint64_t since(uint64_t ms)
{
    return rz_now_ms() - ms;
}

/* ---- ready ---- */

static void check_sync(const runner_health_t *health, rz_checks_t *checks)
{
    uint64_t syncs_ms = FRESH_SYNCS * links_sync_ms(health->runner->house.links);
    uint64_t fresh_ms = syncs_ms > FRESH_MS ? syncs_ms : FRESH_MS;
    if (health->answered_ms == 0)
        rz_check(checks, "sync", false, "no broker has answered one yet");
    else if (health->answer != RZ_OK)
        rz_check(checks, "sync", false, "the last one was answered %s: %s", rz_rc_name(health->answer),
                 rz_rc_text(health->answer));
    else
        rz_check(checks, "sync", since(health->fine_ms) <= fresh_ms, "none was answered for %" PRIu64 " s",
                 since(health->fine_ms) / 1000);
}

static void on_ready(rz_checks_t *checks, void *arg)
{
    const runner_health_t *health = arg;
    rz_check(checks, "broker", links_home(health->runner->house.links) != NULL, "none is linked");
    check_sync(health, checks);
    rz_check(checks, "workers", !freeze_is_on(health->runner->freeze.state),
             "they stand still until a broker confirms that we live");
    rz_buf_t phase = { 0 };
    runner_phase_text(health->runner, &phase);
    rz_check(checks, "intake", health->runner->phase == PHASE_UP, "%s", phase.data);
    rz_buf_fini(&phase);
}

/* ---- metrics ---- */

static void gauge(rz_buf_t *out, const char *name, const char *help, double number)
{
    rz_metric(out, name, RZ_GAUGE, help, number);
}

static void counter(rz_buf_t *out, const char *name, const char *help, uint64_t number)
{
    rz_metric(out, name, RZ_COUNTER, help, (double)number);
}

static void put_runs(const runner_t *runner, rz_buf_t *out)
{
    const house_t *house = &runner->house;
    gauge(out, "rhizome_runner_slots", "Activations that may run at the same time.",
          (double)runner->settings->slots);
    gauge(out, "rhizome_runner_busy_slots", "Of those, taken.", (double)held_open(runner->held));
    gauge(out, "rhizome_runner_held", "Activations it has, also those whose end is not acknowledged yet.",
          (double)held_count(runner->held));
    counter(out, "rhizome_runner_ended_total", "Activations whose end is written.", house->counters.ended);
    counter(out, "rhizome_runner_fenced_total", "Activations that were taken from it.",
            house->counters.fenced);
    counter(out, "rhizome_runner_said_again_total",
            "Assignments of what it had let go of, whose end it said once more.", house->counters.said_again);
    counter(out, "rhizome_runner_bad_events_total",
            "Events of workers that are no object, have no type, or are too large.",
            house->counters.bad_events);
    counter(out, "rhizome_runner_bad_frames_total",
            "Frames of workers that could not be decoded; each ended its run.", house->counters.bad_frames);
    counter(out, "rhizome_runner_other_frames_total", "Frames of workers of an unknown kind.",
            house->counters.other_frames);
    counter(out, "rhizome_runner_refused_requests_total", "Requests of workers that were refused unasked.",
            house->counters.refused);
    counter(out, "rhizome_runner_unlogged_events_total",
            "Durable events that were published and not logged: the journal was full.",
            publisher_unlogged(house->publisher));
}

static void put_workers(const runner_t *runner, rz_buf_t *out)
{
    static const char starts[] = "rhizome_runner_starts_total";
    crew_stats_t stats;
    crew_stats(runner->house.crew, &stats);
    gauge(out, "rhizome_runner_workers", "Worker processes.", (double)stats.alive);
    gauge(out, "rhizome_runner_idle_workers", "Of those, parked.", (double)stats.idle);
    rz_metric_head(
        out, starts, RZ_COUNTER,
        "Runs that got a worker that was there (warm) or one started for them (cold), and workers that "
        "did not come up (failed).");
    rz_metric_sample(out, starts, "kind", "warm", (double)stats.warm);
    rz_metric_sample(out, starts, "kind", "cold", (double)stats.cold);
    rz_metric_sample(out, starts, "kind", "failed", (double)stats.failed);
    gauge(out, "rhizome_runner_cgroups",
          "1 when each worker has a control group of its own, 0 when signals reach it.",
          tree_is_grouped(runner->tree));
    counter(out, "rhizome_runner_recycled_workers_total",
            "Workers retired because worn, or of a program or credential of before.", stats.recycled);
    counter(out, "rhizome_runner_late_frames_total", "Frames of workers without a run.", stats.late_frames);
}

static const rz_health_events_t health_events;

static void on_metrics(rz_buf_t *out, void *arg)
{
    runner_health_t *health = arg;
    rz_metrics_process(out);
    gauge(out, "rhizome_runner_uptime_seconds", "Time since the start.",
          (double)since(health->started_ms) / 1e3);
    gauge(out, "rhizome_runner_ready", "1 when /readyz says ok.",
          rz_health_ready(&health_events, health, NULL, 0));
    gauge(out, "rhizome_runner_linked", "1 while a broker is linked.",
          links_home(health->runner->house.links) != NULL);
    gauge(out, "rhizome_runner_links", "Brokers that welcomed it.",
          (double)links_welcomed(health->runner->house.links));
    counter(out, "rhizome_runner_homes_total", "Times that a broker became its home.",
            links_moves(health->runner->house.links));
    counter(out, "rhizome_runner_unheard_total",
            "Times that a broker did not hear what it publishes within 2 s, and work was taken all the same.",
            links_unheard(health->runner->house.links));
    counter(out, "rhizome_runner_link_malformed_total", "Messages of brokers that could not be decoded.",
            links_malformed(health->runner->house.links));
    gauge(out, "rhizome_runner_frozen", "1 while workers stand still because no broker answers.",
          freeze_is_on(health->runner->freeze.state));
    counter(out, "rhizome_runner_freezes_total", "Times that they were made to.",
            health->runner->freeze.count);
    put_runs(health->runner, out);
    put_workers(health->runner, out);
}

static const rz_health_events_t health_events = { on_ready, on_metrics };

/* ---- the service manager ---- */

static bool makes_progress(const runner_health_t *health)
{
    uint64_t last_ms = health->answered_ms > health->homeless_ms ? health->answered_ms : health->homeless_ms;
    uint64_t sync_ms = links_sync_ms(health->runner->house.links);
    return sync_ms == 0 || since(last_ms) <= PROGRESS_SYNCS * sync_ms;
}

static void tell(const runner_health_t *health, const char *notice)
{
    int keeper_fd = health->runner->fds.keeper_fd;
    if (keeper_fd >= 0)
        keeper_tell(keeper_fd, notice);
}

static void on_look(void *arg)
{
    runner_health_t *health = arg;
    const runner_t *runner = health->runner;
    char why[RZ_STATUS_MAX - 16], status[RZ_STATUS_MAX], notice[RZ_NOTICE_MAX];
    if (links_home(runner->house.links) == NULL)
        health->homeless_ms = rz_now_ms();
    bool ready = rz_health_ready(&health_events, health, why, sizeof why);
    if (ready)
        snprintf(status, sizeof status, "ready, linked to %s", links_home(runner->house.links));
    else
        snprintf(status, sizeof status, "not ready: %s", why);
    if (rz_notice(&health->told, ready, runner->fds.feed_ms > 0 && makes_progress(health), status, notice))
        tell(health, notice);
}

void runner_health_stopping(runner_health_t *health)
{
    if (!health->stopping)
        tell(health, "STOPPING=1\nSTATUS=stopping");
    health->stopping = true;
}

/* ---- life ---- */

void runner_health_synced(runner_health_t *health, rz_rc_t code)
{
    health->answer = code;
    health->answered_ms = rz_now_ms();
    if (code == RZ_OK)
        health->fine_ms = health->answered_ms;
}

const char *runner_health_url(const runner_health_t *health)
{
    return health->http != NULL ? rz_health_url(health->http) : NULL;
}

static bool serve(runner_health_t *health, rz_err_t *err)
{
    rz_err_t why = { 0 };
    health->http =
        rz_health_open(health->runner->ws, health->runner->settings->http, &health_events, health, &why);
    if (health->http == NULL)
        rz_fail_field(err, why.rc, "runner.http", "%s", why.text);
    return health->http != NULL;
}

runner_health_t *runner_health_open(runner_t *runner, rz_err_t *err)
{
    runner_health_t *health = rz_alloc(sizeof *health);
    health->runner = runner;
    health->started_ms = health->homeless_ms = rz_now_ms();
    if (*runner->settings->http != '\0' && !serve(health, err)) {
        rz_free(health);
        return NULL;
    }
    uint64_t feed_ms = runner->fds.feed_ms;
    health->timer = rz_timer_open(&runner->loop, on_look, health);
    rz_timer_start(health->timer, 0, feed_ms > 0 && feed_ms < LOOK_MS ? feed_ms : LOOK_MS);
    return health;
}

void runner_health_close(runner_health_t **health_ref)
{
    runner_health_t *health = *health_ref;
    if (health == NULL)
        return;
    rz_timer_close(&health->timer);
    rz_health_close(&health->http);
    rz_free(health);
    *health_ref = NULL;
}
