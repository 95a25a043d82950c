/* timekeeper.c - see timekeeper.h. */
#include "timekeeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "watched.h"

#include <inttypes.h>

#define TICK_MS 1000

struct timekeeper {
    timekeeper_parts_t part;
    rz_timer_t *timer;
    watched_t watched;
    uint64_t asked_ms, answered_ms; /* answered: 0 before the first */
    bool asking;                    /* rz_op_tick is under way                           */
    bool broken;                    /* and the link broke since it left                  */
};

static void ask(timekeeper_t *timekeeper);

static void count(timekeeper_t *timekeeper, const rz_tick_result_t *result)
{
    counters_t *counters = timekeeper->part.counters;
    counters->ticks++;
    counters->queue_expired += result->queue_expired;
    counters->waits_expired += result->waits_expired;
    counters->sessions_retired += result->retired;
    counters->tombstones_forgotten += result->forgotten;
    if (result->queue_expired > 0)
        rz_log_warn("queue.expired", "activations=%" PRIu64 " nobody took them in time",
                    result->queue_expired);
    if (result->retired > 0)
        rz_log_info("retention.retired", "sessions=%" PRIu64, result->retired);
}

static void on_ticked(rz_rc_t rc, const rz_tick_result_t *result, void *arg)
{
    timekeeper_t *timekeeper = arg;
    timekeeper->asking = false;
    if (rc == RZ_OK)
        watched_saw(&timekeeper->watched, result->tick, timekeeper->asked_ms);
    if (rc != RZ_OK || timekeeper->broken)
        watched_gap(&timekeeper->watched);
    if (rc != RZ_OK)
        return;
    timekeeper->answered_ms = rz_now_ms();
    count(timekeeper, result);
    brokers_seen(timekeeper->part.brokers, result->brokers, result->broker_count);
    if (result->more)
        ask(timekeeper);
}

static void ask(timekeeper_t *timekeeper)
{
    const timekeeper_parts_t *part = &timekeeper->part;
    if (timekeeper->asking || !rz_store_up(part->store))
        return;
    timekeeper->asking = true;
    timekeeper->broken = false;
    timekeeper->asked_ms = rz_now_ms();
    const rz_tick_t tick = { .seen = watched_tick(&timekeeper->watched),
                             .elapsed_ms = watched_ms(&timekeeper->watched, timekeeper->asked_ms),
                             .retention_ms = part->session_ms,
                             .tombstone_ms = part->tombstone_ms,
                             .completions_max = part->completions_max,
                             .places = brokers_places(part->brokers) };
    rz_op_tick(part->store, &tick, on_ticked, timekeeper);
}

static void on_timer(void *arg)
{
    ask(arg);
}

timekeeper_t *timekeeper_open(const timekeeper_parts_t *parts)
{
    timekeeper_t *timekeeper = rz_alloc(sizeof *timekeeper);
    timekeeper->part = *parts;
    timekeeper->timer = rz_timer_open(parts->loop, on_timer, timekeeper);
    rz_timer_start(timekeeper->timer, TICK_MS, TICK_MS);
    return timekeeper;
}

void timekeeper_close(timekeeper_t **timekeeper)
{
    if (*timekeeper == NULL)
        return;
    rz_timer_close(&(*timekeeper)->timer);
    rz_free(*timekeeper);
    *timekeeper = NULL;
}

void timekeeper_gap(timekeeper_t *timekeeper)
{
    timekeeper->broken = true;
    watched_gap(&timekeeper->watched);
}

void timekeeper_resume(timekeeper_t *timekeeper)
{
    ask(timekeeper);
}

uint64_t timekeeper_silent_ms(const timekeeper_t *timekeeper)
{
    return timekeeper->answered_ms != 0 ? rz_now_ms() - timekeeper->answered_ms : UINT64_MAX;
}
