/* runner_inner.h - the runner from the inside; private to runner*.c.
 *
 * runner.c opens, turns and closes it; runner_phase.c cordons, drains and ends it; runner_link.c hears its brokers;
 * runner_sync.c compares what it holds with what it owns; runner_freeze.c makes its workers stand still while no broker is
 * there. */
#pragma once

#include "runner.h"

#include "base/timer.h"
#include "freeze.h"
#include "health.h"
#include "held.h"
#include "phase.h"
#include "run.h"

#define SIGNALS 4

/* What a drain was told, and how far it is. All on the loop's clock. */
typedef struct {
    rz_drain_policy_t policy;
    uint64_t due_ms, said_ms;
} drain_t;

#define SAID_MAX 64 /* syncs; an answer to an earlier one tells nothing of how long we live */

typedef struct runner {
    const settings_t *settings;
    runner_fds_t fds;
    tree_t *tree;
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
    drain_t drain;
    uint64_t phase_ends_ms; /* ENDING, LEAVING */
    uint64_t told_ms;       /* the first signal; 0: none came */
    bool crew_empty, credit_due;
    uint64_t counter; /* of sync */
    struct {
        freeze_state_t state;
        uint64_t due_ms;            /* DEADLINE; 0: none */
        uint64_t answered_ms;       /* when a sync was answered last */
        uint64_t renewed_ms;        /* and when was sent what the store took: we lived */
        uint64_t said_ms[SAID_MAX]; /* when the last ones were sent: that of counter n at n % SAID_MAX */
        uint64_t since_ms;          /* when they were frozen last */
        uint64_t count;             /* how often */
        uint64_t told_ms;           /* what runner_freeze_check() found */
    } freeze;
    int exit_code;
} runner_t;

uint64_t runner_now(runner_t *runner);
void runner_start_ticking(runner_t *runner); /* something is held */
/* Writes what is due of what changed, and lets go of what is done. */
void runner_write_touched(runner_t *runner);
void runner_feed_all(runner_t *runner, course_event_t event);
void runner_close(runner_t *runner); /* says bye and closes every handle */

/* ---- runner_phase.c ---- */
void runner_cordon(runner_t *runner);              /* from the beginning, as configured */
void runner_signal(runner_t *runner, int signum);  /* TERM, INT, QUIT                   */
void runner_stop(runner_t *runner, int exit_code); /* at once, whatever runs            */
/* An order of a broker; answered on the link it came by. */
void runner_order(runner_t *runner, link_peer_t *peer, const rz_link_t *order);
void runner_look_at_phase(runner_t *runner); /* at the end of every turn */
/* "draining, it takes no new work; policy wait, 2 left: ch-1 runs for 12 s; ..." */
void runner_phase_text(const runner_t *runner, rz_buf_t *out);
void runner_put_phase(const runner_t *runner, cJSON *facts); /* "phase", and "drain" while it drains */

void runner_freeze_feed(runner_t *runner, freeze_event_t event);
void runner_freeze_check(runner_t *runner); /* a broker has told its lease: is ours shorter? */
void runner_freeze_tick(runner_t *runner);  /* a few times a second */

void runner_send_sync(void *arg); /* arg: runner_t; for a timer */
void runner_on_synced(runner_t *runner, const rz_link_t *synced);
void runner_on_dead(void *arg); /* arg: runner_t; its incarnation was declared dead */
extern const links_events_t runner_links_events;
