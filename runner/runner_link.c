/* runner_link.c - what brokers say to the runner, and what it says of itself. */
#include "runner_inner.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- assign and what follows ---- */

/* The same assignment again is a repeat of what we hold; another token means that ours was lost. */
static bool holds_already(runner_t *runner, const rz_link_t *assign)
{
    run_t *run = held_find(runner->held, assign->child);
    if (run == NULL)
        return false;
    if (strcmp(run_token(run), assign->token) == 0)
        return true;
    run_feed(run, EV_FENCED);
    runner_write_touched(runner); /* lets go of it: the table has one place for a child */
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
                          .live = run != NULL && is_text && run_steer(run, msg->part[1]) };
    link_answer(peer, &steered, NULL, 0);
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

/* ---- sync: what the store says we own ---- */

void runner_send_sync(void *arg)
{
    runner_t *runner = arg;
    char digest[41];
    cJSON *held = held_list(runner->held, digest), *facts = cJSON_CreateObject();
    cJSON_AddStringToObject(facts, "host", runner->settings->host);
    cJSON_AddNumberToObject(facts, "pid", getpid());
    cJSON_AddNumberToObject(facts, "slots", (double)runner->settings->slots);
    cJSON_AddItemToObject(facts, "labels", cJSON_Duplicate(runner->settings->labels, true));
    cJSON_AddItemToObject(facts, "profiles", cJSON_Duplicate(runner->settings->profiles, true));
    cJSON_AddItemToObject(facts, "credentials", credentials_names(runner->house.credentials));
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
    runner_send_sync(runner);
    rz_timer_start(runner->sync, sync_ms, sync_ms);
    say_ready(runner, broker);
}

/* Everything we hold belongs to somebody else now. */
static void on_dead(void *arg)
{
    runner_t *runner = arg;
    rz_log_error("runner.dead", "incarnation=%s held=%zu", links_incarnation(runner->house.links),
                 held_count(runner->held));
    runner_feed_all(runner, EV_FENCED);
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

const links_events_t runner_links_events = {
    .on_publish = on_publish, .on_home = on_home, .on_dead = on_dead, .on_message = on_message
};
