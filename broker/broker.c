/* broker.c - see broker.h. */
#include "broker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "brokers.h"
#include "health.h"
#include "intruder.h"
#include "jobs.h"
#include "keepsake.h"
#include "timekeeper.h"
#include "warden.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define TICK_MS          1000
#define STOP_LOOK_MS     10
#define STOP_PATIENCE_MS 2000
#define LINGER_MS        500
#define ON_THE_WIRE      ((uint64_t)1 << 20) /* what a message may have besides its frames' bytes: ZMTP, CURVE */
#define FDS_MAX          ((size_t)1 << 20) /* descriptors of which is known what they hold back */
#define HWM              100000 /* messages per peer, each way; above it a peer gets nothing more */

struct broker {
    uv_loop_t *loop;
    const setup_t *setup;
    broker_ready_fn ready;
    void *arg;
    bool was_ready;
    uint64_t stop_deadline_ms; /* 0: not stopping */
    uint64_t jobs_seen;        /* while it stops: jobs that had come at the last look */
    bool sent_away;            /* the runners */

    void *zctx;
    guard_t *guard; /* NULL: no keys, everybody may do everything */
    greetings_t *greetings;
    intruder_t *intruder;
    bool tried, failed; /* the first round of tries is over; a stranger got in */
    rz_sock_t *jobs_sock, *control_sock, *runners_sock;
    proxy_t *proxy;
    hoard_t *hoard;
    warden_t *warden;
    endpoints_t endpoints;

    rz_store_t *store;
    rz_tail_t *tail;
    char store_detail[256]; /* why the store is down */
    bool store_was_up;
    keepsake_t keepsake;

    counters_t counters;
    intake_rules_t rules;
    roster_t *roster;
    dispatch_t *dispatch;
    sender_t sender;
    placement_t *placement;
    reaper_t *reaper;
    brokers_t *brokers;
    timekeeper_t *timekeeper;
    broker_health_t *health;
    links_t *links;
    waiters_t *waiters;
    desk_t desk;
    control_t *control;
    jobs_t *jobs;
    rz_timer_t *tick, *poll, *stopping;
};

/* ---- what the parts tell each other ---- */

static void on_dead(const char *incarnation, void *arg)
{
    links_dead(((broker_t *)arg)->links, incarnation);
}

static void on_steered(const runner_t *from, const char *child, const char *id, bool live, void *arg)
{
    control_on_steered(((broker_t *)arg)->control, from, child, id, live);
}

static void on_decided(const runner_t *from, const char *child, const char *id, bool live, void *arg)
{
    control_on_decided(((broker_t *)arg)->control, from, child, id, live);
}

static void on_phase(const runner_t *from, const rz_link_t *phase, void *arg)
{
    control_on_phase(((broker_t *)arg)->control, from, phase);
}

static void on_output(const runner_t *from, const char *id, rz_rc_t code, rz_str_t text, void *arg)
{
    control_on_output(((broker_t *)arg)->control, from, id, code, text);
}

static void on_ended(const char *child, void *arg)
{
    waiters_poke(((broker_t *)arg)->waiters, child);
}

static void on_allow_changed(void *arg)
{
    broker_t *broker = arg;
    proxy_allow_changed(broker->proxy);
    links_allow_changed(broker->links);
}

static void count_what_sockets_drop(broker_t *broker)
{
    proxy_counts_t proxy = proxy_counts(broker->proxy);
    counters_t *counters = &broker->counters;
    counters->topics_denied = proxy.topics_denied;
    counters->topics_unkept = proxy.topics_unkept;
    counters->topics_malformed = proxy.topics_malformed;
    counters->events_refused = proxy.events_refused;
    counters->events_malformed = proxy.events_malformed;
    counters->too_many_parts = rz_sock_discarded(broker->jobs_sock) +
                               rz_sock_discarded(broker->control_sock) +
                               rz_sock_discarded(broker->runners_sock);
    counters->frames_too_large = rz_sock_refused(broker->jobs_sock) + rz_sock_refused(broker->control_sock) +
                                 rz_sock_refused(broker->runners_sock);
}

static void on_tick(void *arg)
{
    broker_t *broker = arg;
    count_what_sockets_drop(broker);
    links_expire(broker->links, rz_now_ms());
}

/* The safety net below wakes: whatever waits is found. */
static void on_poll(void *arg)
{
    placement_recheck(((broker_t *)arg)->placement);
}

/* ---- the store ---- */

/* Not before it is sure that strangers stay outside. */
static void become_ready(broker_t *broker)
{
    const endpoints_t *at = &broker->endpoints;
    if (broker->was_ready || !rz_store_up(broker->store) || (broker->guard != NULL && !broker->tried))
        return;
    broker->was_ready = true;
    rz_log_info("broker.ready",
                "broker=%s jobs=%s control=%s events=%s runners=%s publish=%s http=%s durability=%s",
                broker->setup->name, at->jobs, at->control, at->events, at->runners, at->publish,
                at->http != NULL ? at->http : "-", rz_store_durability(broker->store));
    broker->ready(at, broker->arg);
}

static void on_try(void *arg)
{
    greetings_ignore(((broker_t *)arg)->greetings, true);
}

static void on_round(void *arg)
{
    broker_t *broker = arg;
    greetings_ignore(broker->greetings, false);
    broker->tried = true;
    become_ready(broker);
}

static void on_accepted(const char *gate, bool with_key, void *arg)
{
    broker_t *broker = arg;
    rz_log_error("broker.open_door", "socket=%s let a stranger in %s; stopping", gate,
                 with_key ? "with a key that nobody knows" : "without a key");
    broker->failed = true;
    broker_stop(broker);
}

static void open_intruder(broker_t *broker)
{
    const endpoints_t *at = &broker->endpoints;
    if (broker->guard == NULL)
        return;
    broker->intruder = intruder_open(
        &(intruder_parts_t){ .loop = broker->loop,
                             .zctx = broker->zctx,
                             .guard = broker->guard,
                             .server_key = broker->setup->key.public_key,
                             .endpoint = { at->jobs, at->control, at->events, at->runners, at->publish },
                             .pause_ms = INTRUDER_MS,
                             .on_begin = on_try,
                             .on_round = on_round,
                             .on_accepted = on_accepted,
                             .arg = broker });
}

static void on_store_up(broker_t *broker)
{
    timekeeper_resume(broker->timekeeper);
    placement_recheck(broker->placement);
    waiters_poke_all(broker->waiters);
    become_ready(broker);
}

static void on_store_down(broker_t *broker, const char *detail)
{
    snprintf(broker->store_detail, sizeof broker->store_detail, "%s", detail != NULL ? detail : "");
    rz_tail_needs(broker->tail, UINT_MAX); /* what may not be asked now is not told from either */
    if (!broker->store_was_up)
        return; /* another reason, no other gap */
    rz_tail_again(broker->tail);
    reaper_gap(broker->reaper);
    timekeeper_gap(broker->timekeeper);
}

static void on_store_state(bool up, const char *detail, void *arg)
{
    broker_t *broker = arg;
    if (broker->jobs == NULL)
        return; /* not open yet, or closing */
    if (up)
        on_store_up(broker);
    else
        on_store_down(broker, detail);
    broker->store_was_up = up;
    jobs_store_changed(broker->jobs);
}

static void on_store_mark(const rz_store_mark_t *mark, void *arg)
{
    broker_t *broker = arg;
    keepsake_put(&broker->keepsake, mark);
    if (broker->tail != NULL)
        rz_tail_needs(broker->tail, rz_store_confirms(broker->store));
}

static rz_str_t pair_value(const rz_reply_t *pairs, const char *name)
{
    for (size_t i = 0; i + 1 < pairs->n; i += 2)
        if (rz_str_eq(pairs->field[i], name))
            return pairs->field[i + 1];
    return (rz_str_t){ NULL, 0 };
}

static void publish_broadcast(broker_t *broker, const rz_reply_t *pairs)
{
    broker->counters.events_made++;
    if (proxy_send(broker->proxy, pair_value(pairs, "topic"), pair_value(pairs, "header"),
                   pair_value(pairs, "event")) != RZ_OK)
        broker->counters.events_unsent++;
}

/* An end, or what became of a wait. */
static void take_completion(broker_t *broker, const rz_reply_t *pairs)
{
    if (rz_str_eq(pair_value(pairs, "kind"), "completion"))
        broker_health_ended(broker->health, pair_value(pairs, "broker"), pair_value(pairs, "status"));
    rz_str_t value = pair_value(pairs, "child");
    char *child = rz_strndup(value.p, value.n);
    waiters_poke(broker->waiters, child);
    rz_free(child);
}

/* Somebody waits where nobody did, by another broker or given back: we may have room for it. */
static void take_wake(broker_t *broker, const rz_reply_t *pairs)
{
    if (rz_str_eq(pair_value(pairs, "broker"), broker->setup->name))
        return;
    broker->counters.wakes++;
    placement_recheck(broker->placement);
}

/* What any broker, or nobody's runner, had to say reaches the subscribers and waiters of every broker. */
static void on_entry(const char *stream, const char *id, const rz_reply_t *pairs, void *arg)
{
    broker_t *broker = arg;
    (void)id;
    if (rz_store_state(broker->store) == RZ_BAD_STORE)
        return; /* another's, or of another time */
    if (strcmp(stream, "broadcast") == 0)
        publish_broadcast(broker, pairs);
    else if (strcmp(stream, "wake") == 0)
        take_wake(broker, pairs);
    else
        take_completion(broker, pairs);
}

static bool open_store(broker_t *broker, rz_err_t *err)
{
    static const char *const streams[] = { "broadcast", "completions", "wake" };
    rz_store_options_t options = broker->setup->store;
    rz_store_mark_t mark;
    if (keepsake_open(&broker->keepsake, broker->setup->state_dir, broker->setup->name, &mark, err) != RZ_OK)
        return false;
    options.who = broker->setup->name;
    options.mark = &mark;
    options.on_state = on_store_state;
    options.on_mark = on_store_mark;
    options.arg = broker;
    broker->store = rz_store_open(broker->loop, &options, err);
    if (broker->store == NULL)
        return false;
    options.on_state = NULL;
    broker->tail = rz_tail_open(broker->loop, &options, streams, 3, on_entry, broker, err);
    return broker->tail != NULL;
}

/* ---- parts ---- */

static void open_parts(broker_t *broker)
{
    const setup_t *s = broker->setup;
    broker->roster = roster_create();
    broker->dispatch = dispatch_create();
    broker->sender = (sender_t){ .sock = broker->runners_sock,
                                 .roster = broker->roster,
                                 .agents = s->agents,
                                 .counters = &broker->counters };
    broker->placement =
        placement_create(&(placement_parts_t){ broker->store, broker->roster, broker->dispatch,
                                               &broker->sender, &broker->counters, s->agents, s->queue_max });
    broker->reaper = reaper_open(
        &(reaper_parts_t){ broker->loop, broker->store, &broker->counters, s->lease_ms, on_dead, broker });
    broker->brokers = brokers_create(s->name, &broker->endpoints, s->advertise, broker->store);
    broker->timekeeper = timekeeper_open(&(timekeeper_parts_t){ .loop = broker->loop,
                                                                .store = broker->store,
                                                                .counters = &broker->counters,
                                                                .brokers = broker->brokers,
                                                                .session_ms = s->retention_ms,
                                                                .tombstone_ms = s->tombstone_ms,
                                                                .completions_max = s->completions_max });
    broker->links = links_create(&(links_parts_t){ .store = broker->store,
                                                   .roster = broker->roster,
                                                   .placement = broker->placement,
                                                   .sender = &broker->sender,
                                                   .reaper = broker->reaper,
                                                   .counters = &broker->counters,
                                                   .brokers = broker->brokers,
                                                   .broker = s->name,
                                                   .publish = broker->endpoints.publish,
                                                   .mark = proxy_mark(broker->proxy),
                                                   .guard = broker->guard,
                                                   .sync_ms = s->sync_ms,
                                                   .lease_ms = s->lease_ms,
                                                   .on_steered = on_steered,
                                                   .on_decided = on_decided,
                                                   .on_output = on_output,
                                                   .on_phase = on_phase,
                                                   .on_ended = on_ended,
                                                   .arg = broker });
}

static void open_faces(broker_t *broker)
{
    broker->rules = (intake_rules_t){ broker->setup->agents, broker->setup->job_max,
                                      broker->setup->session_max, broker->setup->max_queue_ms };
    broker->waiters = waiters_create(broker->loop, broker->store);
    broker->desk = (desk_t){ .sock = broker->control_sock, .counters = &broker->counters };
    broker->control = control_open(&(control_parts_t){ .loop = broker->loop,
                                                       .broker = broker->setup->name,
                                                       .rules = &broker->rules,
                                                       .queue_max = broker->setup->queue_max,
                                                       .endpoints = &broker->endpoints,
                                                       .brokers = broker->brokers,
                                                       .guard = broker->guard,
                                                       .calls_per_sec = broker->setup->calls_per_sec,
                                                       .store = broker->store,
                                                       .store_detail = broker->store_detail,
                                                       .roster = broker->roster,
                                                       .dispatch = broker->dispatch,
                                                       .placement = broker->placement,
                                                       .sender = &broker->sender,
                                                       .waiters = broker->waiters,
                                                       .proxy = broker->proxy,
                                                       .counters = &broker->counters,
                                                       .desk = &broker->desk });
    broker->jobs = jobs_open(&(jobs_parts_t){ broker->loop, &broker->rules, broker->store, broker->placement,
                                              broker->proxy, &broker->counters, broker->guard });
    jobs_listen(broker->jobs, broker->jobs_sock);
    broker->tick = rz_timer_open(broker->loop, on_tick, broker);
    rz_timer_start(broker->tick, TICK_MS, TICK_MS);
    broker->poll = rz_timer_open(broker->loop, on_poll, broker);
    rz_timer_start(broker->poll, broker->setup->poll_ms, broker->setup->poll_ms);
}

static bool open_health(broker_t *broker, rz_err_t *err)
{
    broker->health = broker_health_open(&(broker_health_parts_t){ .loop = broker->loop,
                                                                  .endpoint = broker->setup->http,
                                                                  .broker = broker->setup->name,
                                                                  .store = broker->store,
                                                                  .store_detail = broker->store_detail,
                                                                  .timekeeper = broker->timekeeper,
                                                                  .roster = broker->roster,
                                                                  .waiters = broker->waiters,
                                                                  .counters = &broker->counters },
                                        err);
    broker->endpoints.http = broker->health != NULL ? broker_health_url(broker->health) : NULL;
    return broker->health != NULL;
}

/* ---- sockets: each hands its messages to the part that was made for them ---- */

static void on_job(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    jobs_on_message(sock, msg, ((broker_t *)arg)->jobs);
}

static void on_call(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    control_on_message(sock, msg, ((broker_t *)arg)->control);
}

static void on_link(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    links_on_message(sock, msg, ((broker_t *)arg)->links);
}

static void close_sock(rz_sock_t **sock)
{
    if (*sock != NULL)
        zmq_socket_monitor(rz_sock_raw(*sock), NULL, 0); /* if it has one */
    rz_sock_close(sock);
}

/* Of one frame. Up to twice too large it is read, and told what of it is. */
static size_t frame_max(const setup_t *setup, gate_t gate)
{
    size_t job = 2 * (setup->job_max + setup->session_max);
    return gate == GATE_RUNNERS || job > RZ_FRAME_MAX ? RZ_FRAME_MAX : job;
}

/* A runner's last word may carry a batch of events besides its one large frame. */
static uint64_t message_max(const setup_t *setup, gate_t gate)
{
    uint64_t events = gate == GATE_RUNNERS ? (uint64_t)RZ_BATCH_ITEMS_MAX * RZ_EVENT_MAX : 0;
    return frame_max(setup, gate) + events + ON_THE_WIRE;
}

static rz_sock_t *open_sock(broker_t *broker, int type, gate_t gate, const char *endpoint, rz_sock_fn on_msg,
                            rz_err_t *err)
{
    rz_sock_options_t options = { .type = type,
                                  .key = &broker->setup->key,
                                  .domain = gate_name(gate),
                                  .max_bytes = (int64_t)frame_max(broker->setup, gate),
                                  .refuses = true,
                                  .sndhwm = HWM,
                                  .rcvhwm = type == ZMQ_PULL ? 0 : HWM,
                                  .linger_ms = LINGER_MS,
                                  .on_msg = on_msg,
                                  .arg = broker };
    rz_sock_t *sock = rz_sock_open(broker->loop, broker->zctx, &options, err);
    if (sock != NULL && broker->greetings != NULL)
        greetings_watch(broker->greetings, gate, rz_sock_raw(sock), err);
    if (sock != NULL && (err->rc != RZ_OK || rz_sock_bind(sock, endpoint, err) != RZ_OK))
        close_sock(&sock);
    return sock;
}

/* First: from the moment a socket is bound, somebody must answer for who connects. */
static bool open_guard(broker_t *broker, rz_err_t *err)
{
    const setup_t *s = broker->setup;
    if (s->exposed)
        rz_log_warn("broker.insecure", "no keys, and open to other hosts as security.insecure says: "
                                       "whoever reaches these ports rules this fleet");
    if (!rz_key_is_set(&s->key))
        return true;
    broker->guard = guard_open(
        &(guard_parts_t){ broker->loop, broker->zctx, s->allow, &broker->counters, on_allow_changed, broker },
        err);
    if (broker->guard != NULL)
        broker->greetings = greetings_open(broker->loop, broker->zctx, broker->guard, &broker->counters);
    return broker->guard != NULL;
}

static void open_hoard(broker_t *broker)
{
    const setup_t *s = broker->setup;
    const uint64_t event = (uint64_t)3 * 2 * RZ_EVENT_MAX;
    const uint64_t one[GATES] = { [GATE_JOBS] = message_max(s, GATE_JOBS),
                                  [GATE_CONTROL] = message_max(s, GATE_CONTROL),
                                  [GATE_RUNNERS] = message_max(s, GATE_RUNNERS),
                                  [GATE_PUBLISH] = event + ON_THE_WIRE,
                                  [GATE_EVENTS] = ON_THE_WIRE };
    struct rlimit files = { .rlim_cur = FDS_MAX };
    getrlimit(RLIMIT_NOFILE, &files);
    broker->hoard = hoard_create(one, files.rlim_cur < FDS_MAX ? files.rlim_cur : FDS_MAX);
}

static bool open_warden(broker_t *broker, rz_err_t *err)
{
    broker->warden = warden_open(&(warden_parts_t){ .loop = broker->loop,
                                                    .counters = &broker->counters,
                                                    .sock = { [GATE_JOBS] = broker->jobs_sock,
                                                              [GATE_CONTROL] = broker->control_sock,
                                                              [GATE_RUNNERS] = broker->runners_sock },
                                                    .proxy = broker->proxy,
                                                    .hoard = broker->hoard },
                                 err);
    return broker->warden != NULL;
}

static bool open_sockets(broker_t *broker, rz_err_t *err)
{
    const setup_t *s = broker->setup;
    broker->zctx = zmq_ctx_new();
    if (broker->zctx == NULL) {
        rz_fail_sys(err, errno, "zmq_ctx_new");
        return false;
    }
    zmq_ctx_set(broker->zctx, ZMQ_MAX_SOCKETS, 65535);
    if (!open_guard(broker, err))
        return false;
    open_hoard(broker);
    const proxy_parts_t proxy = { .zctx = broker->zctx,
                                  .publish = s->publish,
                                  .events = s->events,
                                  .own = s->scoped,
                                  .kept = s->subscriber_events,
                                  .key = &s->key,
                                  .guard = broker->guard,
                                  .greetings = broker->greetings,
                                  .hoard = broker->hoard };
    if ((broker->jobs_sock = open_sock(broker, ZMQ_PULL, GATE_JOBS, s->jobs, on_job, err)) == NULL ||
        (broker->control_sock = open_sock(broker, ZMQ_ROUTER, GATE_CONTROL, s->control, on_call, err)) ==
            NULL ||
        (broker->runners_sock = open_sock(broker, ZMQ_ROUTER, GATE_RUNNERS, s->runners, on_link, err)) ==
            NULL ||
        (broker->proxy = proxy_open(&proxy, err)) == NULL || !open_warden(broker, err))
        return false;
    broker->endpoints = (endpoints_t){ .jobs = rz_sock_endpoint(broker->jobs_sock),
                                       .control = rz_sock_endpoint(broker->control_sock),
                                       .events = proxy_events_endpoint(broker->proxy),
                                       .runners = rz_sock_endpoint(broker->runners_sock),
                                       .publish = proxy_publish_endpoint(broker->proxy) };
    return true;
}

/* ---- open, stop, destroy ---- */

/* The store first: every operation in hand is answered while those who asked are still there. */
static void close_all(broker_t *broker)
{
    if (broker->control != NULL) {
        waiters_stop(broker->waiters);
        control_stop(broker->control);
        rz_timer_close(&broker->tick);
        rz_timer_close(&broker->poll);
    }
    rz_tail_close(&broker->tail);
    rz_store_close(&broker->store);
    broker_health_close(&broker->health);
    jobs_close(&broker->jobs);
    control_close(&broker->control);
    waiters_destroy(&broker->waiters);
    links_destroy(&broker->links);
    reaper_close(&broker->reaper);
    timekeeper_close(&broker->timekeeper);
    brokers_destroy(&broker->brokers);
    placement_destroy(&broker->placement);
    sender_fini(&broker->sender);
    dispatch_destroy(&broker->dispatch);
    roster_destroy(&broker->roster);
    intruder_close(&broker->intruder);
    warden_stop(broker->warden);
    close_sock(&broker->jobs_sock);
    close_sock(&broker->control_sock);
    close_sock(&broker->runners_sock);
    proxy_close(&broker->proxy);
    warden_destroy(&broker->warden);
    hoard_destroy(&broker->hoard);
    greetings_close(&broker->greetings);
    guard_close(&broker->guard);
}

broker_t *broker_open(uv_loop_t *loop, const setup_t *setup, broker_ready_fn ready, void *arg, rz_err_t *err)
{
    broker_t *broker = rz_alloc(sizeof *broker);
    broker->loop = loop;
    broker->setup = setup;
    broker->ready = ready;
    broker->arg = arg;
    snprintf(broker->store_detail, sizeof broker->store_detail, "not connected yet");
    /* the store first: a bad url is told before a taken port; nothing of it calls back before the loop runs
     */
    bool opened = open_store(broker, err) && open_sockets(broker, err);
    if (opened) {
        open_parts(broker);
        open_faces(broker);
        open_intruder(broker);
        opened = open_health(broker, err);
    }
    if (!opened) {
        close_all(broker);
        uv_run(loop, UV_RUN_DEFAULT);
        broker_destroy(&broker);
        return NULL;
    }
    rz_log_info("broker.bound", "broker=%s control=%s waiting for the store", setup->name,
                broker->endpoints.control);
    return broker;
}

/* What was asked and is not answered, or was pushed and may not be stored: the socket of jobs is read until nothing came for
 * one look. */
static size_t in_hand(broker_t *broker)
{
    bool jobs_came = broker->counters.jobs_received != broker->jobs_seen;
    broker->jobs_seen = broker->counters.jobs_received;
    return broker->desk.in_hand + jobs_held(broker->jobs) + jobs_came + placement_claiming(broker->placement);
}

static size_t store_in_hand(const broker_t *broker)
{
    rz_store_stats_t stats;
    rz_store_stats(broker->store, &stats);
    return rz_store_up(broker->store) ? stats.queued + stats.in_flight : 0;
}

/* First what is in hand, and what was claimed is given; then the runners are sent away, and behind the last assign; then what
 * they wrote meanwhile is answered. */
static void on_stopping(void *arg)
{
    broker_t *broker = arg;
    uint64_t now_ms = rz_now_ms();
    bool late = now_ms >= broker->stop_deadline_ms;
    size_t left = in_hand(broker);
    if (!broker->sent_away && (left == 0 || late)) {
        broker->sent_away = true;
        links_stop(broker->links);
    }
    if (!late && (!broker->sent_away || store_in_hand(broker) > 0))
        return;
    rz_log_info("broker.stopped", "broker=%s unanswered=%zu", broker->setup->name, left);
    rz_timer_close(&broker->stopping);
    close_all(broker);
}

void broker_stop(broker_t *broker)
{
    if (broker->stop_deadline_ms != 0)
        return;
    broker->stop_deadline_ms = rz_now_ms() + STOP_PATIENCE_MS;
    broker->jobs_seen = UINT64_MAX;
    rz_log_info("broker.stopping", "broker=%s in_hand=%zu jobs_held=%zu", broker->setup->name,
                broker->desk.in_hand, jobs_held(broker->jobs));
    broker_health_stopping(broker->health);
    jobs_stop(broker->jobs);
    placement_stop(broker->placement);
    waiters_stop(broker->waiters);
    control_stop(broker->control);
    broker->stopping = rz_timer_open(broker->loop, on_stopping, broker);
    rz_timer_start(broker->stopping, 0, STOP_LOOK_MS);
}

bool broker_failed(const broker_t *broker)
{
    return broker->failed;
}

void broker_destroy(broker_t **broker)
{
    if (*broker == NULL)
        return;
    if ((*broker)->zctx != NULL)
        zmq_ctx_term((*broker)->zctx);
    rz_free(*broker);
    *broker = NULL;
}
