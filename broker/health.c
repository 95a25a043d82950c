/* health.c - see health.h. */
#include "health.h"

#include "base/clock.h"
#include "base/health.h"
#include "base/notify.h"
#include "base/timer.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_MS     1000 /* at most; the watchdog may want to be fed more often */
#define PROGRESS_MS 5000 /* an answered tick is news for so long                */

static const char *const statuses[] = { "completed", "error", "cancelled", "timeout", "skipped" };
enum { STATUSES = sizeof statuses / sizeof *statuses };

struct broker_health {
    broker_health_parts_t part;
    rz_ws_context_t *ws; /* NULL: HTTP is not served */
    rz_health_t *http;
    rz_timer_t *timer;
    rz_notice_t told;
    bool watched; /* the service manager waits for progress */
    bool stopping;
    uint64_t started_ms;
    uint64_t ended[STATUSES];
    struct {
        bool asking;
        uint64_t waiting, oldest_ms;
        uint64_t answered_ms; /* when; 0: not yet */
    } backlog;
};

/* ---- ready ---- */

static bool makes_progress(const broker_health_t *health)
{
    return timekeeper_silent_ms(health->part.timekeeper) <= PROGRESS_MS;
}

static void check_progress(const broker_health_t *health, rz_checks_t *checks)
{
    uint64_t silent_ms = timekeeper_silent_ms(health->part.timekeeper);
    if (silent_ms == UINT64_MAX)
        rz_check(checks, "progress", false, "the store has not answered a tick yet");
    else
        rz_check(checks, "progress", silent_ms <= PROGRESS_MS,
                 "the store has not answered a tick for %" PRIu64 " s", silent_ms / 1000);
}

static void on_ready(rz_checks_t *checks, void *arg)
{
    const broker_health_t *health = arg;
    const char *weakness = rz_store_weakness(health->part.store);
    bool up = rz_store_up(health->part.store);
    rz_check(checks, "store", up && *weakness == '\0', "%s", up ? weakness : health->part.store_detail);
    check_progress(health, checks);
    rz_check(checks, "sockets", !health->stopping, "the broker is stopping and takes nothing new");
}

/* ---- metrics ---- */

static void put_ends(const broker_health_t *health, rz_buf_t *out)
{
    static const char name[] = "rhizome_broker_terminals_total";
    rz_metric_head(out, name, RZ_COUNTER,
                   "Ends of activations by status, written by this broker: sum over brokers.");
    for (size_t i = 0; i < STATUSES; i++)
        rz_metric_sample(out, name, "status", statuses[i], (double)health->ended[i]);
}

/* What only the store knows is not told while it is away: an old number would be taken for a true one. */
static void put_backlog(const broker_health_t *health, rz_buf_t *out)
{
    uint64_t answered_ms = health->backlog.answered_ms;
    if (!rz_store_up(health->part.store) || answered_ms == 0 || rz_now_ms() - answered_ms > PROGRESS_MS)
        return;
    rz_metric(out, "rhizome_broker_queue_depth", RZ_GAUGE,
              "Activations that wait for a runner, in the whole store: the same at every broker.",
              (double)health->backlog.waiting);
    rz_metric(
        out, "rhizome_broker_oldest_waiting_seconds", RZ_GAUGE,
        "Time since the submit of the oldest of them; up to a second too low, and lower when some dozens of "
        "parents wait and jobs themselves say how long they may.",
        (double)health->backlog.oldest_ms / 1e3);
}

static void put_runners(const broker_health_t *health, rz_buf_t *out)
{
    const roster_t *roster = health->part.roster;
    uint64_t slots = 0, free_slots = 0;
    for (size_t i = 0; i < roster_count(roster); i++) {
        const runner_t *runner = roster_at(roster, i);
        slots += runner->joined ? runner->slots : 0;
        free_slots += runner_free(runner);
    }
    rz_metric(out, "rhizome_broker_runners_linked", RZ_GAUGE, "Runners linked to this broker.",
              (double)roster_joined(roster));
    rz_metric(out, "rhizome_broker_slots", RZ_GAUGE, "Slots of those runners.", (double)slots);
    rz_metric(out, "rhizome_broker_free_slots", RZ_GAUGE,
              "Activations that this broker may assign now: sum over brokers.", (double)free_slots);
    rz_metric(out, "rhizome_broker_homed_slots", RZ_GAUGE,
              "Slots of runners whose home is this broker, which runners keep even: sum over brokers.",
              (double)roster_load(roster));
}

static void put_store(const broker_health_t *health, rz_buf_t *out)
{
    rz_store_stats_t stats;
    rz_store_stats(health->part.store, &stats);
    rz_metric(out, "rhizome_broker_store_up", RZ_GAUGE, "1 while the store is linked and usable.",
              rz_store_up(health->part.store));
    rz_metric(out, "rhizome_broker_store_latency_seconds", RZ_GAUGE,
              "The last batch of operations, from sent to answered.", (double)stats.last_latency_us / 1e6);
    rz_metric(out, "rhizome_broker_store_seconds_total", RZ_COUNTER,
              "The same, of all batches; by their number, the mean.", (double)stats.total_latency_us / 1e6);
    rz_metric(out, "rhizome_broker_store_batches_total", RZ_COUNTER, "Batches sent to the store.",
              (double)stats.batches);
    rz_metric(out, "rhizome_broker_store_operations_total", RZ_COUNTER, "Operations in them.",
              (double)stats.operations);
    rz_metric(out, "rhizome_broker_store_sent_bytes_total", RZ_COUNTER, "Bytes in them.",
              (double)stats.bytes_sent);
    rz_metric(out, "rhizome_broker_store_lost_total", RZ_COUNTER, "Operations of which the answer was lost.",
              (double)stats.lost);
    rz_metric(
        out, "rhizome_broker_store_vanished_total", RZ_COUNTER,
        "Acknowledged submits and ends that the store did not know any more after a failover or restart of Redis.",
        (double)stats.vanished);
    rz_metric(out, "rhizome_broker_store_unconfirmed_total", RZ_COUNTER,
              "Operations that too few replicas confirmed in time: nobody was told that they are done.",
              (double)stats.unconfirmed);
    rz_metric(out, "rhizome_broker_store_reconnects_total", RZ_COUNTER,
              "Times that the link to the store broke.", (double)stats.reconnects);
    rz_metric(out, "rhizome_broker_store_queued", RZ_GAUGE, "Operations that are not sent yet.",
              (double)stats.queued);
    rz_metric(out, "rhizome_broker_store_in_flight", RZ_GAUGE, "Operations sent and not answered yet.",
              (double)stats.in_flight);
}

static const rz_health_events_t health_events;

static void on_metrics(rz_buf_t *out, void *arg)
{
    broker_health_t *health = arg;
    rz_metrics_process(out);
    rz_metric(out, "rhizome_broker_uptime_seconds", RZ_GAUGE, "Time since the start.",
              (double)(rz_now_ms() - health->started_ms) / 1e3);
    rz_metric(out, "rhizome_broker_ready", RZ_GAUGE, "1 when /readyz says ok.",
              rz_health_ready(&health_events, health, NULL, 0));
    put_backlog(health, out);
    put_runners(health, out);
    rz_metric(out, "rhizome_broker_waiters", RZ_GAUGE, "Calls that wait for an end.",
              (double)waiters_count(health->part.waiters));
    put_ends(health, out);
    put_store(health, out);
    counters_metrics(health->part.counters, out);
}

static const rz_health_events_t health_events = { on_ready, on_metrics };

/* ---- each second ---- */

static void on_backlog(rz_rc_t rc, uint64_t waiting, uint64_t oldest_ms, void *arg)
{
    broker_health_t *health = arg;
    health->backlog.asking = false;
    if (rc != RZ_OK)
        return;
    health->backlog.waiting = waiting;
    health->backlog.oldest_ms = oldest_ms;
    health->backlog.answered_ms = rz_now_ms();
}

static void ask_backlog(broker_health_t *health)
{
    if (health->http == NULL || health->backlog.asking || !rz_store_up(health->part.store))
        return;
    health->backlog.asking = true;
    rz_op_backlog(health->part.store, on_backlog, health);
}

static void tell_manager(broker_health_t *health)
{
    char why[RZ_STATUS_MAX - 16], status[RZ_STATUS_MAX], notice[RZ_NOTICE_MAX];
    bool ready = rz_health_ready(&health_events, health, why, sizeof why);
    if (ready)
        snprintf(status, sizeof status, "ready, runners linked: %zu", roster_joined(health->part.roster));
    else
        snprintf(status, sizeof status, "not ready: %s", why);
    bool progress = makes_progress(health) || !rz_store_up(health->part.store);
    if (rz_notice(&health->told, ready, health->watched && progress, status, notice))
        rz_notify(notice);
}

static void on_look(void *arg)
{
    broker_health_t *health = arg;
    ask_backlog(health);
    tell_manager(health);
}

/* ---- life ---- */

void broker_health_ended(broker_health_t *health, rz_str_t broker, rz_str_t status)
{
    for (size_t i = 0; rz_str_eq(broker, health->part.broker) && i < STATUSES; i++)
        if (rz_str_eq(status, statuses[i]))
            health->ended[i]++;
}

const char *broker_health_url(const broker_health_t *health)
{
    return health->http != NULL ? rz_health_url(health->http) : NULL;
}

static bool serve(broker_health_t *health, rz_err_t *err)
{
    if (*health->part.endpoint == '\0')
        return true;
    health->ws = rz_ws_context_open(health->part.loop, err);
    if (health->ws == NULL)
        return false;
    rz_err_t why = { 0 };
    health->http = rz_health_open(health->ws, health->part.endpoint, &health_events, health, &why);
    if (health->http == NULL)
        rz_fail_field(err, why.rc, "broker.http", "%s", why.text);
    return health->http != NULL;
}

broker_health_t *broker_health_open(const broker_health_parts_t *parts, rz_err_t *err)
{
    broker_health_t *health = rz_alloc(sizeof *health);
    health->part = *parts;
    health->started_ms = rz_now_ms();
    if (!serve(health, err)) {
        broker_health_close(&health);
        return NULL;
    }
    uint64_t feed_ms = rz_notify_interval_ms();
    health->watched = feed_ms > 0;
    health->timer = rz_timer_open(parts->loop, on_look, health);
    rz_timer_start(health->timer, 0, health->watched && feed_ms < LOOK_MS ? feed_ms : LOOK_MS);
    return health;
}

void broker_health_stopping(broker_health_t *health)
{
    health->stopping = true;
    rz_notify("STOPPING=1\nSTATUS=stopping");
}

void broker_health_close(broker_health_t **health_ref)
{
    broker_health_t *health = *health_ref;
    if (health == NULL)
        return;
    rz_timer_close(&health->timer);
    rz_health_close(&health->http);
    if (health->ws != NULL)
        rz_ws_context_close(&health->ws);
    rz_free(health);
    *health_ref = NULL;
}
