/* runner_phase.c - what phase.h decides, done: cordon, drain, the end. */
#include "runner_inner.h"

#include "base/log.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ENDING_MS 3000 /* beyond the grace of a cancel: for the acks of what ends  */
#define ACKS_MS   500  /* how long LEAVING waits for what it wrote last to be taken, and so published */
#define AGAIN_MS  500  /* two signals within this are one: a service manager tells keeper and runner alike */
#define SAY_MS    60000
#define NAMED_MAX 32 /* of those who are left; all are counted */
#define WHY_MAX   (RZ_ID_MAX + 64)

/* ---- who is left ---- */

static cJSON *left_list(const runner_t *runner)
{
    cJSON *list = cJSON_CreateArray();
    size_t n = 0;
    for (run_t *run = held_first(runner->held); run != NULL && n < NAMED_MAX;
         run = held_next(runner->held, run), n++) {
        char why[WHY_MAX];
        cJSON *left = cJSON_CreateObject();
        run_why(run, why, sizeof why);
        cJSON_AddStringToObject(left, "child", run_child(run));
        cJSON_AddStringToObject(left, "why", why);
        cJSON_AddItemToArray(list, left);
    }
    return list;
}

static uint64_t deadline_in_ms(const runner_t *runner)
{
    uint64_t now_ms = uv_now(&runner->loop);
    return runner->drain.due_ms > now_ms ? runner->drain.due_ms - now_ms : 0;
}

void runner_put_phase(const runner_t *runner, cJSON *facts)
{
    rz_phase_t phase = phase_shown(runner->phase);
    cJSON_AddStringToObject(facts, "phase", rz_phase_names[phase]);
    if (phase != RZ_PHASE_DRAINING)
        return;
    cJSON *drain = cJSON_AddObjectToObject(facts, "drain");
    cJSON_AddStringToObject(drain, "policy", rz_drain_policies[runner->drain.policy]);
    cJSON_AddNumberToObject(drain, "deadline_in_ms", (double)deadline_in_ms(runner));
    cJSON_AddNumberToObject(drain, "left", (double)held_count(runner->held));
    cJSON_AddItemToObject(drain, "children", left_list(runner));
}

void runner_phase_text(const runner_t *runner, rz_buf_t *out)
{
    size_t n = 0;
    rz_buf_printf(out, "%s, it takes no new work", rz_phase_names[phase_shown(runner->phase)]);
    if (phase_shown(runner->phase) != RZ_PHASE_DRAINING)
        return;
    rz_buf_printf(out, "; policy %s, %zu left", rz_drain_policies[runner->drain.policy],
                  held_count(runner->held));
    for (run_t *run = held_first(runner->held); run != NULL && n < NAMED_MAX;
         run = held_next(runner->held, run)) {
        char why[WHY_MAX];
        run_why(run, why, sizeof why);
        rz_buf_printf(out, "%s %s %s", n++ == 0 ? ":" : ";", run_child(run), why);
    }
}

/* ---- actions ---- */

static void tell_phase(runner_t *runner)
{
    runner->credit_due = true; /* whether there is any */
    links_set_phase(runner->house.links, rz_phase_names[phase_shown(runner->phase)]);
    runner_send_sync(runner); /* so that every broker shows it at once */
}

static void do_nothing(runner_t *runner)
{
    (void)runner;
}

static void do_door(runner_t *runner)
{
    rz_log_info("runner.phase", "phase=%s held=%zu", phase_name(runner->phase), held_count(runner->held));
    tell_phase(runner);
}

static void say_terms(const runner_t *runner)
{
    rz_log_info("runner.drain", "held=%zu policy=%s deadline_in_ms=%" PRIu64, held_count(runner->held),
                rz_drain_policies[runner->drain.policy], deadline_in_ms(runner));
}

static void do_drain(runner_t *runner)
{
    say_terms(runner);
    runner_feed_all(runner, EV_DRAIN);
    tell_phase(runner);
}

static void do_drain_anew(runner_t *runner)
{
    say_terms(runner);
    runner_send_sync(runner);
}

static void begin_ending(runner_t *runner)
{
    runner->phase_ends_ms = runner_now(runner) + runner->settings->cancel_grace_ms + ENDING_MS;
    rz_log_warn("runner.drain_deadline", "policy=%s left=%zu", rz_drain_policies[runner->drain.policy],
                held_count(runner->held));
}

static void do_requeue(runner_t *runner)
{
    begin_ending(runner);
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_yield(run);
}

static void do_cancel(runner_t *runner)
{
    begin_ending(runner);
    runner_feed_all(runner, EV_CANCEL);
}

/* Only here the service manager is told: from then on it counts the time that a stop may take. */
static void leave(runner_t *runner, worker_ending_t ending)
{
    runner_health_stopping(runner->health);
    runner_feed_all(runner, EV_STOP);
    runner_write_touched(runner);
    runner->phase_ends_ms = runner_now(runner) + ACKS_MS;
    crew_stop(runner->house.crew, ending);
}

static void do_leave(runner_t *runner)
{
    leave(runner, WORKER_TERMINATE);
}

static void do_kill(runner_t *runner)
{
    leave(runner, WORKER_KILL);
}

static void (*const actions[PHASE_ACTIONS])(runner_t *runner) = {
    [PHASE_DO_NOTHING] = do_nothing, [PHASE_DO_CLOSE_DOOR] = do_door,       [PHASE_DO_OPEN_DOOR] = do_door,
    [PHASE_DO_DRAIN] = do_drain,     [PHASE_DO_DRAIN_ANEW] = do_drain_anew, [PHASE_DO_REQUEUE] = do_requeue,
    [PHASE_DO_CANCEL] = do_cancel,   [PHASE_DO_LEAVE] = do_leave,           [PHASE_DO_KILL] = do_kill,
    [PHASE_DO_CLOSE] = runner_close,
};

static void feed(runner_t *runner, phase_event_t event)
{
    phase_t before = runner->phase;
    phase_action_t action = phase_feed(&runner->phase, event);
    rz_log_debug("runner.event", "phase=%s event=%s next=%s", phase_name(before), phase_event_name(event),
                 phase_name(runner->phase));
    actions[action](runner); /* last: it may feed again, or close everything */
}

/* ---- events ---- */

void runner_cordon(runner_t *runner)
{
    feed(runner, PHASE_EV_CORDON);
}

static void drain(runner_t *runner, rz_drain_policy_t policy, uint64_t deadline_ms)
{
    uint64_t now_ms = runner_now(runner);
    if (runner->phase < PHASE_ENDING)
        runner->drain = (drain_t){ .policy = policy, .due_ms = now_ms + deadline_ms, .said_ms = now_ms };
    feed(runner, PHASE_EV_DRAIN);
}

void runner_stop(runner_t *runner, int exit_code)
{
    if (runner->phase < PHASE_LEAVING)
        runner->exit_code = exit_code;
    feed(runner, PHASE_EV_STOP);
}

/* The first TERM or INT drains, unless an order did so already; the next ends it. */
void runner_signal(runner_t *runner, int signum)
{
    uint64_t now_ms = runner_now(runner);
    if (signum == SIGQUIT) {
        runner_stop(runner, 131);
    } else if (runner->told_ms == 0) {
        runner->told_ms = now_ms;
        if (runner->phase < PHASE_DRAINING)
            drain(runner, runner->settings->drain_policy, runner->settings->drain_ms);
    } else if (now_ms - runner->told_ms > AGAIN_MS) {
        runner_stop(runner, 130);
    }
}

static rz_drain_policy_t policy_of(const runner_t *runner, const rz_link_t *order)
{
    for (unsigned i = 0; order->policy != NULL && rz_drain_policies[i] != NULL; i++)
        if (strcmp(order->policy, rz_drain_policies[i]) == 0)
            return (rz_drain_policy_t)i;
    return runner->settings->drain_policy;
}

static rz_phase_t wanted_by(const rz_link_t *order)
{
    rz_phase_t phase = RZ_PHASE_UP;
    while (strcmp(order->phase, rz_phase_names[phase]) != 0)
        phase++; /* the codec knows no other */
    return phase;
}

void runner_order(runner_t *runner, link_peer_t *peer, const rz_link_t *order)
{
    rz_phase_t wanted = wanted_by(order);
    if (wanted == RZ_PHASE_DRAINING)
        drain(runner, policy_of(runner, order),
              order->deadline_ms != 0 ? order->deadline_ms : runner->settings->drain_ms);
    else
        feed(runner, wanted == RZ_PHASE_UP ? PHASE_EV_UNCORDON : PHASE_EV_CORDON);
    bool obeyed = phase_obeys(runner->phase, wanted);
    rz_link_t answer = {
        .kind = RZ_LINK_PHASE,
        .id = order->id,
        .phase = rz_phase_names[phase_shown(runner->phase)],
        .code = obeyed ? RZ_OK : RZ_STATE,
        .message = obeyed ? NULL : "it drains, and ends when nothing is left: start it again instead"
    };
    link_answer(peer, &answer, NULL, 0);
}

/* ---- time ---- */

/* Who waits for ever says so each minute. */
static void say_who_is_left(runner_t *runner, uint64_t now_ms)
{
    rz_buf_t text = { 0 };
    if (now_ms < runner->drain.said_ms + SAY_MS)
        return;
    runner->drain.said_ms = now_ms;
    runner_phase_text(runner, &text);
    rz_log_warn("runner.draining", "%s", text.data);
    rz_buf_fini(&text);
}

static void look_at_drain(runner_t *runner, uint64_t now_ms)
{
    bool due = now_ms >= runner->drain.due_ms;
    if (due && runner->drain.policy == RZ_DRAIN_REQUEUE)
        feed(runner, PHASE_EV_REQUEUE);
    else if (due && runner->drain.policy == RZ_DRAIN_CANCEL)
        feed(runner, PHASE_EV_CANCEL);
    else
        say_who_is_left(runner, now_ms);
}

static bool acks_are_in(const runner_t *runner, uint64_t now_ms)
{
    return held_count(runner->held) == 0 || links_home(runner->house.links) == NULL ||
           now_ms >= runner->phase_ends_ms;
}

void runner_look_at_phase(runner_t *runner)
{
    uint64_t now_ms = runner_now(runner);
    if ((runner->phase == PHASE_DRAINING || runner->phase == PHASE_ENDING) && held_count(runner->held) == 0)
        feed(runner, PHASE_EV_EMPTY);
    else if (runner->phase == PHASE_DRAINING)
        look_at_drain(runner, now_ms);
    else if (runner->phase == PHASE_ENDING && now_ms >= runner->phase_ends_ms)
        feed(runner, PHASE_EV_OVER);
    if (runner->phase == PHASE_LEAVING && runner->crew_empty && acks_are_in(runner, now_ms))
        feed(runner, PHASE_EV_REAPED);
}
