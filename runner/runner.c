/* runner.c - wiring: who hears of what. */
#include "runner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "held.h"
#include "keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS   50  /* heartbeats, grace, retries; only while something is held */
#define SLOW_MS   200 /* links                                                    */
#define DRAIN_MS  10000
#define ENDING_MS 3000
#define ACKS_MS   500 /* how long LEAVING waits for what it wrote last to be taken, and so published */
#define AGAIN_MS  500 /* two signals within this are one: a service manager tells keeper and runner alike */
#define SIGNALS   4

typedef enum { PHASE_UP, PHASE_DRAINING, PHASE_ENDING, PHASE_LEAVING, PHASE_CLOSED } phase_t;

typedef struct {
    const settings_t *settings;
    runner_fds_t fds;
    uv_loop_t loop;
    void *zctx;
    rz_ws_context_t *ws;
    fabric_t *fabric;
    house_t house; /* crew, links, publisher, output */
    held_t *held;

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

static uint64_t now_of(runner_t *runner)
{
    return uv_now(&runner->loop);
}

/* ---- assign and what follows ---- */

static void start_ticking(runner_t *runner)
{
    if (runner->ticking)
        return;
    runner->ticking = true;
    rz_timer_start(runner->tick, TICK_MS, TICK_MS);
}

/* Writes what is due of what changed, and lets go of what is done. */
static void write_touched(runner_t *runner)
{
    run_t *run;
    while ((run = run_next_touched(&runner->house)) != NULL) {
        if (run_state(run) == ACT_DONE)
            held_drop(runner->held, &run);
        else
            run_write(run, now_of(runner));
    }
}

/* The same assignment again is a repeat of what we hold; another token means that ours was lost. */
static bool holds_already(runner_t *runner, const rz_link_t *assign)
{
    run_t *run = held_find(runner->held, assign->child);
    if (run == NULL)
        return false;
    if (strcmp(run_token(run), assign->token) == 0)
        return true;
    run_feed(run, EV_FENCED);
    write_touched(runner); /* lets go of it: the table has one place for a child */
    return false;
}

static void on_assign(runner_t *runner, rz_link_t *link, const rz_msg_t *msg)
{
    runner->credit_due = true;
    if (msg->n != 3) {
        rz_log_warn("runner.bad_assign", "child=%s frames=%zu", link->child, msg->n);
        return;
    }
    if (holds_already(runner, link))
        return;
    run_t *run = run_open(&runner->house, link, msg->part[1], msg->part[2]);
    run_place(run)->since_sync = runner->counter;
    held_add(runner->held, run);
    start_ticking(runner);
    if (runner->phase == PHASE_UP)
        run_begin(run);
    else
        run_feed(run, EV_DRAIN);
}

static run_t *find_epoch(runner_t *runner, const rz_link_t *link)
{
    run_t *run = held_find(runner->held, link->child);
    return run != NULL && run_epoch(run) == link->epoch ? run : NULL;
}

static void on_ack(runner_t *runner, const rz_link_t *link)
{
    run_t *run = find_epoch(runner, link);
    if (run != NULL)
        run_acked(run, write_parse(link->op), link->seq, link->code);
}

static void on_cancel(runner_t *runner, const rz_link_t *link)
{
    run_t *run = find_epoch(runner, link);
    if (run != NULL)
        run_feed(run, link->now ? EV_CANCEL_NOW : EV_CANCEL);
}

static void on_steer(runner_t *runner, link_peer_t *peer, const rz_link_t *link, const rz_msg_t *msg)
{
    run_t *run = find_epoch(runner, link);
    bool is_text = msg->n == 2 && rz_json_check(msg->part[1].p, msg->part[1].n, 0, NULL) == RZ_OK &&
                   rz_json_kind(msg->part[1]) == '"';
    rz_link_t steered = { .kind = RZ_LINK_STEERED,
                          .child = link->child,
                          .id = link->id,
                          .live = run != NULL && is_text && run_steer(run, msg->part[1]) };
    link_answer(peer, &steered, NULL, 0);
}

static void on_logs(runner_t *runner, link_peer_t *peer, const rz_link_t *link)
{
    rz_buf_t text = { 0 };
    output_text(runner->house.output, link->child, &text);
    rz_link_t output = { .kind = RZ_LINK_OUTPUT, .id = link->id, .code = RZ_OK };
    rz_str_t payload = rz_buf_str(&text);
    link_answer(peer, &output, &payload, 1);
    rz_buf_fini(&text);
}

/* ---- sync: what the store says we own ---- */

static void send_sync(void *arg)
{
    runner_t *runner = arg;
    char digest[41];
    cJSON *held = held_list(runner->held, digest), *facts = cJSON_CreateObject();
    cJSON_AddStringToObject(facts, "host", runner->settings->host);
    cJSON_AddNumberToObject(facts, "pid", getpid());
    cJSON_AddNumberToObject(facts, "slots", (double)runner->settings->slots);
    cJSON_AddItemToObject(facts, "labels", cJSON_Duplicate(runner->settings->labels, true));
    cJSON_AddItemToObject(facts, "profiles", cJSON_Duplicate(runner->settings->profiles, true));
    cJSON_AddStringToObject(facts, "version", RZ_VERSION);
    rz_link_t sync = { .kind = RZ_LINK_SYNC,
                       .incarnation = links_incarnation(runner->house.links),
                       .counter = ++runner->counter,
                       .count = held_count(runner->held),
                       .digest = digest,
                       .held = held,
                       .facts = facts };
    links_send(runner->house.links, &sync, NULL, 0);
    cJSON_Delete(held);
    cJSON_Delete(facts);
}

/* A holding is "child", "child epoch" or [child, epoch]; the epoch is 0 when it is not said. */
static const char *holding(const cJSON *item, char child[RZ_ID_MAX + 1], uint64_t *epoch)
{
    const cJSON *first = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
    const char *text = cJSON_GetStringValue(first);
    size_t n = text != NULL ? strcspn(text, " ") : 0;
    snprintf(child, RZ_ID_MAX + 1, "%.*s", (int)n, text != NULL ? text : "");
    if (cJSON_IsArray(item))
        *epoch = (uint64_t)cJSON_GetNumberValue(cJSON_GetArrayItem(item, 1));
    else
        *epoch = text != NULL && text[n] == ' ' ? strtoull(text + n + 1, NULL, 10) : 0;
    return child;
}

static bool owns(const cJSON *owned, const run_t *run)
{
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    const cJSON *item;
    cJSON_ArrayForEach(item, owned)
    {
        holding(item, child, &epoch);
        if (strcmp(child, run_child(run)) == 0)
            return epoch == 0 || epoch == run_epoch(run);
    }
    return false;
}

/* Judged is only what was held when that sync was sent. What has ended waits for its ack: the store may have
 * committed its finish already and therefore not name it any more. */
static void drop_unowned(runner_t *runner, const rz_link_t *synced)
{
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        if (run_is_open(run) && run_place(run)->since_sync < synced->counter && !owns(synced->owned, run))
            run_feed(run, EV_FENCED);
}

static void cancel_flagged(runner_t *runner, const cJSON *cancels)
{
    char child[RZ_ID_MAX + 1];
    uint64_t epoch;
    const cJSON *item;
    cJSON_ArrayForEach(item, cancels)
    {
        run_t *run = held_find(runner->held, holding(item, child, &epoch));
        if (run != NULL && (epoch == 0 || epoch == run_epoch(run)))
            run_feed(run, EV_CANCEL);
    }
}

static void on_dead(void *arg);

static void on_synced(runner_t *runner, const rz_link_t *synced)
{
    if (synced->code == RZ_DEAD) {
        on_dead(runner);
        return;
    }
    if (synced->code != RZ_OK)
        return; /* a store that is down changes nothing here: workers are held */
    cancel_flagged(runner, synced->cancels);
    if (synced->owned != NULL)
        drop_unowned(runner, synced);
}

/* ---- links ---- */

static void on_publish(const char *endpoint, void *arg)
{
    runner_t *runner = arg;
    publisher_connect(runner->house.publisher, endpoint);
}

static void say_ready(runner_t *runner, const char *broker)
{
    if (runner->fds.ready_fd < 0)
        return;
    rz_buf_t line = { 0 };
    rz_json_open(&line, '{');
    rz_json_put_str(&line, "runner", runner->settings->name);
    rz_json_put_str(&line, "incarnation", links_incarnation(runner->house.links));
    rz_json_put_str(&line, "broker", broker);
    rz_json_put_u64(&line, "pid", (uint64_t)getpid());
    rz_json_close(&line, '}');
    rz_buf_putc(&line, '\n');
    if (write(runner->fds.ready_fd, line.data, line.len) < 0)
        rz_log_warn("runner.ready_fd", "error=%s", strerror(errno));
    close(runner->fds.ready_fd);
    runner->fds.ready_fd = -1;
    rz_buf_fini(&line);
}

static void on_home(const char *broker, uint64_t sync_ms, void *arg)
{
    runner_t *runner = arg;
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_relink(run);
    runner->credit_due = true;
    send_sync(runner);
    rz_timer_start(runner->sync, sync_ms, sync_ms);
    say_ready(runner, broker);
}

/* Everything we hold belongs to somebody else now. */
static void on_dead(void *arg)
{
    runner_t *runner = arg;
    rz_log_error("runner.dead", "incarnation=%s held=%zu", links_incarnation(runner->house.links),
                 held_count(runner->held));
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_feed(run, EV_FENCED);
    runner->counter = 0;
    links_rejoin(runner->house.links);
}

static void on_message(link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg, void *arg)
{
    runner_t *runner = arg;
    switch (link->kind) {
    case RZ_LINK_ASSIGN:
        on_assign(runner, link, msg);
        return;
    case RZ_LINK_ACK:
        on_ack(runner, link);
        return;
    case RZ_LINK_CANCEL:
        on_cancel(runner, link);
        return;
    case RZ_LINK_STEER:
        on_steer(runner, peer, link, msg);
        return;
    case RZ_LINK_SYNCED:
        on_synced(runner, link);
        return;
    case RZ_LINK_EMIT:
        publish_sync(runner->house.publisher, link->nonce, runner->settings->name);
        return;
    case RZ_LINK_LOGS:
        on_logs(runner, peer, link);
        return;
    default:
        rz_log_warn("runner.odd_message", "kind=%s", rz_link_kind_name(link->kind));
        return;
    }
}

static const links_events_t links_events = {
    .on_publish = on_publish, .on_home = on_home, .on_dead = on_dead, .on_message = on_message
};

/* ---- the end of a turn ---- */

static uint64_t room(const runner_t *runner)
{
    size_t open = held_open(runner->held), slots = runner->settings->slots;
    return runner->phase == PHASE_UP && open < slots ? slots - open : 0;
}

/* A credit that the link did not take stays due: lost, it could be the last one for long. */
static void tell_credit(runner_t *runner)
{
    links_t *links = runner->house.links;
    if (!runner->credit_due || links_home(links) == NULL)
        return;
    cJSON *idle = crew_idle(runner->house.crew);
    runner->credit_due = links_credit(links, room(runner), idle) != RZ_OK;
    cJSON_Delete(idle);
}

static void look_at_phase(runner_t *runner);
static void close_all(runner_t *runner);

static bool acks_are_in(runner_t *runner)
{
    return held_count(runner->held) == 0 || links_home(runner->house.links) == NULL ||
           now_of(runner) >= runner->phase_ends_ms;
}

/* Everything that happened since the last turn is answered here, once: free workers are handed on, writes and
 * credit go out. This handle was started last, so it runs before those of the sockets (libuv runs the newest
 * first), which then see what was sent. */
static void on_turn(uv_prepare_t *prepare)
{
    runner_t *runner = prepare->data;
    if (runner->phase < PHASE_LEAVING)
        crew_turn(runner->house.crew, now_of(runner));
    write_touched(runner);
    tell_credit(runner);
    if (runner->phase == PHASE_DRAINING || runner->phase == PHASE_ENDING)
        look_at_phase(runner);
    if (runner->phase == PHASE_LEAVING && runner->crew_empty && acks_are_in(runner))
        close_all(runner);
}

static void on_slot_free(void *arg)
{
    ((runner_t *)arg)->credit_due = true;
}

/* ---- ending ---- */

static void feed_all(runner_t *runner, course_event_t event)
{
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_feed(run, event);
}

static void leave(runner_t *runner, bool gentle)
{
    feed_all(runner, EV_STOP);
    write_touched(runner);
    runner->phase = PHASE_LEAVING;
    runner->phase_ends_ms = now_of(runner) + ACKS_MS;
    crew_stop(runner->house.crew, gentle);
}

static void begin_ending(runner_t *runner)
{
    runner->phase = PHASE_ENDING;
    runner->phase_ends_ms = now_of(runner) + ENDING_MS;
    feed_all(runner, EV_STOP);
}

static void drain(runner_t *runner)
{
    rz_log_info("runner.drain", "held=%zu", held_count(runner->held));
    runner->phase = PHASE_DRAINING;
    runner->phase_ends_ms = now_of(runner) + DRAIN_MS;
    runner->credit_due =
        true; /* that there is none any more: else what comes goes straight back, again and again */
    feed_all(runner, EV_DRAIN);
}

static void look_at_phase(runner_t *runner)
{
    bool over = now_of(runner) >= runner->phase_ends_ms, empty = held_count(runner->held) == 0;
    if (runner->phase == PHASE_DRAINING && over && !empty)
        begin_ending(runner);
    else if ((runner->phase == PHASE_DRAINING && empty) || (runner->phase == PHASE_ENDING && (over || empty)))
        leave(runner, true);
}

static void leave_at_once(runner_t *runner, int exit_code)
{
    if (runner->phase >= PHASE_LEAVING)
        return;
    runner->exit_code = exit_code;
    leave(runner, false);
}

static void on_signal(uv_signal_t *signal, int signum)
{
    runner_t *runner = signal->data;
    uint64_t now_ms = now_of(runner), since_ms = now_ms - runner->told_ms;
    if (signum == SIGHUP)
        return; /* a terminal that goes away is no reason to stop */
    if (signum == SIGQUIT) {
        leave_at_once(runner, 131);
    } else if (runner->phase == PHASE_UP) {
        runner->told_ms = now_ms;
        drain(runner);
    } else if (since_ms > AGAIN_MS) {
        leave_at_once(runner, 130);
    }
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
    leave_at_once(runner, 70);
}

static void on_crew_empty(void *arg)
{
    ((runner_t *)arg)->crew_empty = true;
}

/* ---- time ---- */

static void on_tick(void *arg)
{
    runner_t *runner = arg;
    uint64_t now_ms = now_of(runner);
    for (run_t *run = held_first(runner->held); run != NULL; run = held_next(runner->held, run))
        run_tick(run, now_ms);
    if (held_count(runner->held) > 0)
        return;
    rz_timer_stop(runner->tick);
    runner->ticking = false;
}

static void on_slow(void *arg)
{
    runner_t *runner = arg;
    links_tick(runner->house.links, rz_now_ms());
    if (runner->phase == PHASE_UP)
        crew_expire(runner->house.crew, now_of(runner));
}

static void on_beat(void *arg)
{
    const runner_t *runner = arg;
    if (write(runner->fds.keeper_fd, ".", 1) < 0 && errno != EAGAIN)
        rz_log_debug("runner.beat", "error=%s", strerror(errno));
}

/* ---- opening and closing ---- */

static void on_crew_idle(void *arg)
{
    ((runner_t *)arg)->credit_due = true;
}

/* The crew's events are a run's, but for two: those concern the runner as a whole. Both sides share one arg.
 */
static crew_events_t crew_events;

static rz_rc_t open_parts(runner_t *runner, rz_err_t *err)
{
    house_t *house = &runner->house;
    *house = (house_t){
        .settings = runner->settings, .loop = &runner->loop, .on_slot_free = on_slot_free, .arg = runner
    };
    crew_events = run_crew_events;
    crew_events.on_idle = on_crew_idle;
    crew_events.on_empty = on_crew_empty;
    runner->held = held_create();
    house->output = output_create();
    runner->fabric = fabric_open(runner->settings->state_dir, err);
    if (runner->fabric == NULL)
        return err->rc;
    runner->ws = rz_ws_context_open(&runner->loop, err);
    if (runner->ws == NULL)
        return err->rc;
    house->publisher = publisher_open(&runner->loop, runner->zctx, err);
    if (house->publisher == NULL)
        return err->rc;
    house->links = links_open(&runner->loop, runner->zctx, runner->settings, &links_events, runner, err);
    if (house->links == NULL)
        return err->rc;
    house->crew =
        crew_open(&runner->loop, runner->ws, runner->fabric, runner->settings, &crew_events, runner);
    return RZ_OK;
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
    runner->sync = rz_timer_open(&runner->loop, send_sync, runner);
    rz_timer_start(runner->slow, 0, SLOW_MS);
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

static void close_all(runner_t *runner)
{
    house_t *house = &runner->house;
    rz_link_t bye = { .kind = RZ_LINK_BYE, .incarnation = links_incarnation(house->links) };
    runner->phase = PHASE_CLOSED;
    links_send(house->links, &bye, NULL, 0);
    links_close(&house->links);
    publisher_close(&house->publisher);
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
    rz_log_info("runner.end",
                "ended=%" PRIu64 " fenced=%" PRIu64 " bad_events=%" PRIu64 " other_frames=%" PRIu64,
                house->counters.ended, house->counters.fenced, house->counters.bad_events,
                house->counters.other_frames);
}

/* The table's runs hold workers and journals, so it goes before the crew. */
static void free_parts(runner_t *runner)
{
    if (runner->house.crew != NULL)
        log_counters(runner);
    held_destroy(&runner->held);
    crew_close(&runner->house.crew);
    output_destroy(&runner->house.output);
    fabric_close(&runner->fabric);
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
    return err->rc == RZ_INTERNAL ? 70 : 78;
}

int runner_run(const settings_t *settings, const runner_fds_t *fds)
{
    runner_t runner = { .settings = settings, .fds = *fds };
    rz_err_t err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&runner.loop);
    runner.zctx = zmq_ctx_new();
    if (open_parts(&runner, &err) != RZ_OK)
        return fail_to_open(&runner, &err);
    open_signals(&runner);
    open_time(&runner);
    rz_log_info("runner.up", "runner=%s slots=%zu state_dir=%s", settings->name, settings->slots,
                settings->state_dir);
    uv_run(&runner.loop, UV_RUN_DEFAULT);
    free_parts(&runner);
    uv_loop_close(&runner.loop);
    return runner.exit_code;
}
