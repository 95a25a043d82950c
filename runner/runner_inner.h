/* runner_inner.h - the runner from the inside; private to runner*.c.
 *
 * runner.c opens, turns and ends it; runner_link.c hears its brokers; runner_sync.c compares what it holds with what
 * it owns. */
#pragma once

#include "runner.h"

#include "base/timer.h"
#include "health.h"
#include "held.h"
#include "run.h"

#define SIGNALS 4

typedef enum { PHASE_UP, PHASE_DRAINING, PHASE_ENDING, PHASE_LEAVING, PHASE_CLOSED } phase_t;

typedef struct runner {
    const settings_t *settings;
    runner_fds_t fds;
    uv_loop_t loop;
    void *zctx;
    rz_ws_context_t *ws;
    fabric_t *fabric;
    house_t house; /* crew, links, publisher, output */
    crew_events_t crew_events;
    held_t *held;
    runner_health_t *health;

    uv_prepare_t turn;
    uv_signal_t signals[SIGNALS];
    uv_poll_t keeper;
    rz_timer_t *tick, *slow, *beat, *sync;
    bool ticking;

    phase_t phase;
    uint64_t phase_ends_ms, told_ms;
    bool crew_empty, credit_due;
    uint64_t counter; /* of sync */
    int exit_code;
} runner_t;

uint64_t runner_now(runner_t *runner);
void runner_start_ticking(runner_t *runner); /* something is held */
/* Writes what is due of what changed, and lets go of what is done. */
void runner_write_touched(runner_t *runner);
void runner_feed_all(runner_t *runner, course_event_t event);

void runner_send_sync(void *arg); /* arg: runner_t; for a timer */
void runner_on_synced(runner_t *runner, const rz_link_t *synced);
void runner_on_dead(void *arg); /* arg: runner_t; its incarnation was declared dead */
extern const links_events_t runner_links_events;
