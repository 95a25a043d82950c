/* runner_freeze.c - does what freeze.h decides: stops every process below us, and the clock of the runs with them. */
#include "runner_inner.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

static void set_deadline(runner_t *runner, uint64_t from_ms, uint64_t length_ms)
{
    runner->freeze.due_ms = from_ms + length_ms;
}

static void calm(runner_t *runner)
{
    runner->freeze.due_ms = 0;
}

/* Who stands still no earlier than he is condemned does once more what another has begun. */
static uint64_t freeze_after_ms(const runner_t *runner)
{
    uint64_t lease_ms = links_lease_ms(runner->house.links), set_ms = runner->settings->freeze_ms;
    return lease_ms == 0 || set_ms < lease_ms ? set_ms : lease_ms / 5 * 4;
}

void runner_freeze_check(runner_t *runner)
{
    uint64_t after_ms = freeze_after_ms(runner);
    if (after_ms != runner->settings->freeze_ms && after_ms != runner->freeze.told_ms)
        rz_log_warn("runner.freeze_ms",
                    "set=%" PRIu64 " used=%" PRIu64
                    " text=\"runner.freeze_ms must be less than broker.lease_ms, which is %" PRIu64 "\"",
                    runner->settings->freeze_ms, after_ms, links_lease_ms(runner->house.links));
    runner->freeze.told_ms = after_ms;
}

/* Counted from the last renewal: whoever watches our counter saw it move no earlier. That a broker answered since without
 * its store says nothing of what others see, so the deadline may have passed already. */
static void watch(runner_t *runner)
{
    uint64_t renewed_ms = runner->freeze.renewed_ms;
    set_deadline(runner, renewed_ms != 0 ? renewed_ms : runner_now(runner), freeze_after_ms(runner));
}

static void hold(runner_t *runner)
{
    set_deadline(runner, runner_now(runner), runner->settings->hold_max_ms);
}

/* Where signals do it, one that is started now would not be stopped: so first no more are. */
static void freeze(runner_t *runner)
{
    crew_freeze(runner->house.crew, true);
    house_stand_still(&runner->house, true);
    size_t stopped = tree_freeze(runner->tree);
    runner->freeze.since_ms = runner_now(runner);
    runner->freeze.count++;
    rz_log_warn("runner.frozen", "held=%zu processes=%zu hold_max_ms=%" PRIu64, held_count(runner->held),
                stopped, runner->settings->hold_max_ms);
    hold(runner);
}

static void thaw(runner_t *runner)
{
    size_t continued = tree_thaw(runner->tree);
    house_stand_still(&runner->house, false);
    crew_freeze(runner->house.crew, false);
    runner->credit_due = true;
    calm(runner);
    rz_log_info("runner.thawed", "held=%zu processes=%zu frozen_ms=%" PRIu64, held_count(runner->held),
                continued, runner_now(runner) - runner->freeze.since_ms);
}

static void give_up(runner_t *runner)
{
    char reason[128];
    snprintf(reason, sizeof reason,
             "no broker could be reached for %" PRIu64 " s (runner.hold_max_secs=%" PRIu64 ")",
             (runner_now(runner) - runner->freeze.answered_ms) / 1000, runner->settings->hold_max_ms / 1000);
    rz_log_error("runner.gave_up", "held=%zu reason=\"%s\"", held_count(runner->held), reason);
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_fail(run, reason);
    calm(runner);
}

static void do_nothing(runner_t *runner)
{
    (void)runner;
}

static void (*const actions[FREEZE_ACTIONS])(runner_t *runner) = {
    [FREEZE_DO_NOTHING] = do_nothing, [FREEZE_DO_WATCH] = watch, [FREEZE_DO_CALM] = calm,
    [FREEZE_DO_FREEZE] = freeze,      [FREEZE_DO_HOLD] = hold,   [FREEZE_DO_THAW] = thaw,
    [FREEZE_DO_GIVE_UP] = give_up,
};

void runner_freeze_feed(runner_t *runner, freeze_event_t event)
{
    freeze_state_t before = runner->freeze.state;
    freeze_action_t action = freeze_feed(&runner->freeze.state, event);
    if (action != FREEZE_DO_NOTHING)
        rz_log_debug("freeze.event", "state=%s event=%s next=%s", freeze_state_name(before),
                     freeze_event_name(event), freeze_state_name(runner->freeze.state));
    actions[action](runner);
}

void runner_freeze_tick(runner_t *runner)
{
    if (runner->freeze.due_ms != 0 && runner_now(runner) >= runner->freeze.due_ms)
        runner_freeze_feed(runner, FREEZE_EV_DEADLINE);
}
