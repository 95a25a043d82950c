/* runner_link.c - what brokers say to the runner, and what it answers. */
#include "runner_inner.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- assign and what follows ---- */

/* The same assignment again is a repeat of what we hold; another token means that ours was lost. */
static bool holds_already(runner_t *runner, const rz_link_t *assign)
{
    run_t *run = held_find(runner->held, assign->child);
    if (run != NULL && run_state(run) == ACT_DONE) {
        runner_write_touched(runner); /* settled in this turn */
        run = NULL;
    }
    if (run == NULL)
        return false;
    if (strcmp(run_token(run), assign->token) == 0)
        return true;
    run_feed(run, EV_FENCED);
    runner_write_touched(runner); /* lets go of it: the table has one place for a child */
    return false;
}

static void on_assign(runner_t *runner, link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg)
{
    runner->credit_due = true;
    if (msg->n != 3) {
        rz_log_warn("runner.bad_assign", "child=%s frames=%zu", link->child, msg->n);
        return;
    }
    if (holds_already(runner, link))
        return;
    const outcome_t *outcome = held_outcome(runner->held, link->child, link->token);
    if (outcome != NULL || link->live) {
        house_say_again(&runner->house, peer, link, outcome);
        return;
    }
    run_t *run = run_open(&runner->house, link, msg->part[1], msg->part[2]);
    run_place(run)->since_sync = runner->counter;
    held_add(runner->held, run);
    runner_start_ticking(runner);
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
                          .live = run != NULL && is_text && run_steer(run, link->id, msg->part[1]) };
    link_answer(peer, &steered, NULL, 0);
}

static void on_decide(runner_t *runner, link_peer_t *peer, const rz_link_t *link)
{
    run_t *run = find_epoch(runner, link);
    rz_link_t decided = { .kind = RZ_LINK_DECIDED,
                          .child = link->child,
                          .id = link->id,
                          .live = run != NULL && run_decide(run, link->id, link->approved) };
    link_answer(peer, &decided, NULL, 0);
}

static void on_logs(runner_t *runner, link_peer_t *peer, const rz_link_t *link)
{
    rz_buf_t text = { 0 };
    bool kept = output_text(runner->house.output, link->child, &text);
    rz_link_t output = { .kind = RZ_LINK_OUTPUT, .id = link->id, .code = kept ? RZ_OK : RZ_NOT_FOUND };
    rz_str_t payload = rz_buf_str(&text);
    link_answer(peer, &output, &payload, 1);
    rz_buf_fini(&text);
}

/* ---- links ---- */

static void on_publish(const char *endpoint, void *arg)
{
    runner_t *runner = arg;
    publisher_connect(runner->house.publisher, endpoint);
}

static void on_unpublish(const char *endpoint, void *arg)
{
    publisher_disconnect(((runner_t *)arg)->house.publisher, endpoint);
}

static bool is_heard(const char *mark, void *arg)
{
    return publisher_is_heard(((runner_t *)arg)->house.publisher, mark);
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
    runner_freeze_check(runner);
    runner_freeze_feed(runner, FREEZE_EV_LINK);
    runner_send_sync(runner);
    rz_timer_start(runner->sync, sync_ms, sync_ms);
    say_ready(runner, broker);
}

/* Nobody is told, and nobody would answer. */
static void on_homeless(void *arg)
{
    runner_t *runner = arg;
    rz_timer_stop(runner->sync);
    runner_freeze_feed(runner, FREEZE_EV_LOSE);
}

/* Everything we hold belongs to somebody else now. */
void runner_on_dead(void *arg)
{
    runner_t *runner = arg;
    rz_log_error("runner.dead", "incarnation=%s held=%zu", links_incarnation(runner->house.links),
                 held_count(runner->held));
    runner_feed_all(runner, EV_FENCED);
    runner_freeze_feed(runner, FREEZE_EV_CONDEMN);
    runner->counter = 0;
    links_rejoin(runner->house.links);
}

static void on_message(link_peer_t *peer, rz_link_t *link, const rz_msg_t *msg, void *arg)
{
    runner_t *runner = arg;
    switch (link->kind) {
    case RZ_LINK_ASSIGN:
        on_assign(runner, peer, link, msg);
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
    case RZ_LINK_DECIDE:
        on_decide(runner, peer, link);
        return;
    case RZ_LINK_SYNCED:
        runner_on_synced(runner, link);
        return;
    case RZ_LINK_EMIT:
        publish_sync(runner->house.publisher, link->nonce, runner->settings->name);
        return;
    case RZ_LINK_LOGS:
        on_logs(runner, peer, link);
        return;
    case RZ_LINK_ORDER:
        runner_order(runner, peer, link);
        return;
    default:
        rz_log_warn("runner.odd_message", "kind=%s", rz_link_kind_name(link->kind));
        return;
    }
}

const links_events_t runner_links_events = { .on_publish = on_publish,
                                             .on_unpublish = on_unpublish,
                                             .is_heard = is_heard,
                                             .on_home = on_home,
                                             .on_homeless = on_homeless,
                                             .on_dead = runner_on_dead,
                                             .on_message = on_message };
