/* links.c - see links.h. */
#include "links.h"

#include "base/clock.h"
#include "base/log.h"
#include "syncs.h"
#include "wire/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PEER_PART     0
#define HEADER_PART   1
#define BODY_PART     2
#define CLOSING_SINCE 2 /* version of the protocol that knows `closing` */
#define MARK_SINCE    2 /* and `mark` and `lease_ms`                     */

#define PING_MS      500
#define PINGS_MISSED 6
#define LOOK_LATE_MS 2000 /* links_expire() is called each second */

struct links {
    links_parts_t part;
    syncs_t *syncs;
    bool stopped;
    uint64_t looked_ms; /* for silent ones */
};

links_t *links_create(const links_parts_t *parts)
{
    links_t *links = rz_alloc(sizeof *links);
    links->part = *parts;
    links->syncs = syncs_create(&(syncs_parts_t){ .store = parts->store,
                                                  .roster = parts->roster,
                                                  .placement = parts->placement,
                                                  .sender = parts->sender,
                                                  .counters = parts->counters,
                                                  .brokers = parts->brokers,
                                                  .broker = parts->broker,
                                                  .sync_ms = parts->sync_ms });
    return links;
}

void links_destroy(links_t **links)
{
    if (*links == NULL)
        return;
    syncs_destroy(&(*links)->syncs);
    rz_free(*links);
    *links = NULL;
}

/* ---- hello, bye ---- */

typedef struct {
    links_t *links;
    uint64_t serial;
} joining_t;

static void welcome(links_t *links, runner_t *runner)
{
    bool knows_mark = runner->version >= MARK_SINCE;
    rz_link_t link = { .kind = RZ_LINK_WELCOME,
                       .version = runner->version,
                       .broker = links->part.broker,
                       .publish = links->part.publish,
                       .mark = knows_mark ? links->part.mark : NULL,
                       .sync_ms = links->part.sync_ms,
                       .lease_ms = knows_mark ? links->part.lease_ms : 0,
                       .ping_ms = PING_MS,
                       .load = roster_load(links->part.roster),
                       .brokers = brokers_links(links->part.brokers) };
    runner->joined = true;
    links->part.counters->joins++;
    rz_log_info("runner.joined", "runner=%s incarnation=%s slots=%" PRIu64 " protocol=%" PRIu32, runner->name,
                runner->incarnation, runner->slots, runner->version);
    sender_tell(links->part.sender, runner, &link);
    placement_pump(links->part.placement); /* it may have said its credit, after a hello it sent twice */
}

static void refuse_and_forget(links_t *links, runner_t *runner, rz_rc_t rc)
{
    rz_log_warn("runner.refused", "runner=%s incarnation=%s rc=%s", runner->name, runner->incarnation,
                rz_rc_name(rc));
    sender_refuse(links->part.sender, (rz_str_t){ runner->peer, runner->peer_len }, rc, NULL);
    roster_remove(links->part.roster, runner);
}

static void on_joined(rz_rc_t rc, void *arg)
{
    joining_t *joining = arg;
    runner_t *runner = roster_by_serial(joining->links->part.roster, joining->serial);
    if (runner != NULL && rc == RZ_OK)
        welcome(joining->links, runner);
    else if (runner != NULL)
        refuse_and_forget(joining->links, runner, rc);
    rz_free(joining);
}

static void put_list(const cJSON *list, const char *key, rz_buf_t *out)
{
    const cJSON *item;
    rz_json_open_key(out, key, '[');
    cJSON_ArrayForEach(item, list) rz_json_put_str(out, NULL, item->valuestring);
    rz_json_close(out, ']');
}

static void write_facts(const rz_link_t *hello, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "host", hello->host);
    rz_json_put_u64(out, "pid", hello->pid);
    rz_json_put_u64(out, "slots", hello->slots);
    put_list(hello->labels, "labels", out);
    put_list(hello->profiles, "profiles", out);
    rz_json_put_str(out, "version", hello->program_version);
    rz_json_opt_str(out, "phase", hello->phase);
    rz_json_close(out, '}');
}

/* A new hello ends whatever we knew under the same peer, name or incarnation. */
static void forget_older(roster_t *roster, rz_str_t peer, const rz_link_t *hello)
{
    runner_t *older;
    while ((older = roster_by_peer(roster, peer)) != NULL ||
           (older = roster_by_name(roster, hello->runner)) != NULL ||
           (older = roster_by_incarnation(roster, hello->incarnation)) != NULL)
        roster_remove(roster, older);
}

/* One of an older release goes elsewhere when it is refused. */
static void send_away(links_t *links, runner_t *runner)
{
    const rz_link_t closing = { .kind = RZ_LINK_CLOSING, .broker = links->part.broker };
    if (runner->version >= CLOSING_SINCE)
        sender_tell(links->part.sender, runner, &closing);
    else
        sender_refuse(links->part.sender, (rz_str_t){ runner->peer, runner->peer_len }, RZ_UNAVAILABLE,
                      "this broker is ending: go to another one");
}

void links_stop(links_t *links)
{
    roster_t *roster = links->part.roster;
    links->stopped = true;
    for (size_t i = roster_count(roster); i-- > 0;) /* from the end: who cannot be reached is struck off */
        send_away(links, roster_at(roster, i));
}

static rz_phase_t phase_of(const rz_link_t *link)
{
    rz_phase_t phase = RZ_PHASE_UP;
    while (link->phase != NULL && rz_phase_names[phase] != NULL &&
           strcmp(rz_phase_names[phase], link->phase) != 0)
        phase++;
    return phase;
}

static void on_hello(links_t *links, rz_str_t peer, const rz_link_t *hello, const char *user)
{
    const runner_t *known = roster_by_peer(links->part.roster, peer);
    if (links->stopped)
        return; /* it asks again, and by then another process may stand here */
    if (known != NULL && !known->joined && strcmp(known->incarnation, hello->incarnation) == 0)
        return; /* impatient: the store has been asked */
    forget_older(links->part.roster, peer, hello);

    rz_buf_t facts = { 0 };
    write_facts(hello, &facts);
    runner_t *runner = roster_add(links->part.roster, &(runner_hello_t){ .peer = peer,
                                                                         .name = hello->runner,
                                                                         .incarnation = hello->incarnation,
                                                                         .slots = hello->slots,
                                                                         .labels = hello->labels,
                                                                         .profiles = hello->profiles,
                                                                         .facts = facts.data,
                                                                         .user = user });
    runner->heard_ms = rz_now_ms();
    runner->version = rz_version_common(hello->version, hello->version_max);
    runner->phase = phase_of(hello);
    joining_t *joining = rz_alloc(sizeof *joining);
    *joining = (joining_t){ .links = links, .serial = runner->serial };
    rz_op_join(links->part.store, hello->incarnation, hello->runner, facts.data, on_joined, joining);
    rz_buf_fini(&facts);
}

static void on_bye(links_t *links, runner_t *runner, const rz_link_t *bye, const rz_msg_t *msg)
{
    (void)bye;
    (void)msg;
    links->part.counters->byes++;
    reaper_leave(links->part.reaper, runner->incarnation);
    roster_remove(links->part.roster, runner);
}

static void on_credit(links_t *links, runner_t *runner, const rz_link_t *credit, const rz_msg_t *msg)
{
    (void)msg;
    runner_credit(runner, credit->granted, credit->idle, credit->full);
    placement_pump(links->part.placement);
}

/* The link keeps order: when the pong arrives, every assign that `sent` counts has arrived as well or never will. */
static void on_ping(links_t *links, runner_t *runner, const rz_link_t *ping, const rz_msg_t *msg)
{
    (void)msg;
    bool more = runner_pinged(runner, ping->granted, ping->home);
    rz_link_t pong = { .kind = RZ_LINK_PONG,
                       .load = roster_load(links->part.roster),
                       .sent = runner->sent,
                       .promised = runner->reserved,
                       .down = !rz_store_up(links->part.store) };
    if (sender_tell(links->part.sender, runner, &pong) && more)
        placement_pump(links->part.placement);
}

/* ---- writes of a running activation: start, append, finish, release ---- */

typedef struct {
    links_t *links;
    uint64_t serial;
    rz_link_kind_t kind;
    uint64_t epoch, seq;
    char child[RZ_ID_MAX + 1];
} writing_t;

static writing_t *writing_open(links_t *links, const runner_t *runner, const rz_link_t *link)
{
    writing_t *writing = rz_alloc(sizeof *writing);
    *writing = (writing_t){ .links = links,
                            .serial = runner->serial,
                            .kind = link->kind,
                            .epoch = link->epoch,
                            .seq = link->seq_count > 0 ? link->seqs[link->seq_count - 1] : 0 };
    snprintf(writing->child, sizeof writing->child, "%s", link->child);
    return writing;
}

static void send_ack(links_t *links, runner_t *runner, const writing_t *writing, rz_rc_t rc)
{
    rz_link_t ack = { .kind = RZ_LINK_ACK,
                      .op = rz_link_kind_name(writing->kind),
                      .child = writing->child,
                      .epoch = writing->epoch,
                      .code = rc,
                      .seq = writing->seq };
    sender_tell(links->part.sender, runner, &ack);
}

static void on_written(rz_rc_t rc, void *arg)
{
    writing_t *writing = arg;
    links_t *links = writing->links;
    runner_t *runner = roster_by_serial(links->part.roster, writing->serial);
    if (runner != NULL)
        send_ack(links, runner, writing, rc);
    if (rc == RZ_FENCED) {
        links->part.counters->fenced++;
        rz_log_info("link.fenced", "op=%s child=%s epoch=%" PRIu64, rz_link_kind_name(writing->kind),
                    writing->child, writing->epoch);
    }
    if (writing->kind == RZ_LINK_FINISH && (rc == RZ_OK || rc == RZ_DUPLICATE))
        links->part.on_ended(writing->child, links->part.arg);
    rz_free(writing);
}

/* The payload from `first` on must be one header and one event per seq. */
static bool take_events(const rz_link_t *link, const rz_msg_t *msg, size_t first, rz_log_item_t *items)
{
    if (msg->n != first + 2 * link->seq_count)
        return false;
    for (size_t i = 0; i < link->seq_count; i++)
        items[i] = (rz_log_item_t){ .seq = link->seqs[i],
                                    .header = msg->part[first + 2 * i],
                                    .event = msg->part[first + 2 * i + 1] };
    return true;
}

static void refuse_write(links_t *links, runner_t *runner, writing_t *writing, size_t parts)
{
    links->part.counters->link_malformed++;
    rz_log_warn("link.malformed", "runner=%s op=%s child=%s parts=%zu", runner->name,
                rz_link_kind_name(writing->kind), writing->child, parts);
    send_ack(links, runner, writing, RZ_BAD_FIELD);
    rz_free(writing);
}

static void on_start(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    rz_log_item_t items[RZ_PARTS_MAX];
    writing_t *writing = writing_open(links, runner, link);
    runner_answered(runner, link->child, link->epoch);
    if (!take_events(link, msg, BODY_PART, items)) {
        refuse_write(links, runner, writing, msg->n);
        return;
    }
    links->part.counters->starts++;
    rz_write_t write = { link->child, link->token, link->epoch, items, link->seq_count };
    rz_op_start(links->part.store, &write, on_written, writing);
}

static void on_append(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    rz_log_item_t items[RZ_PARTS_MAX];
    writing_t *writing = writing_open(links, runner, link);
    if (!take_events(link, msg, BODY_PART, items)) {
        refuse_write(links, runner, writing, msg->n);
        return;
    }
    links->part.counters->appends++;
    rz_write_t write = { link->child, link->token, link->epoch, items, link->seq_count };
    rz_op_append(links->part.store, &write, on_written, writing);
}

/* The first payload frame is the assistant message, empty when there is none. */
static void on_finish(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    rz_log_item_t items[RZ_PARTS_MAX];
    writing_t *writing = writing_open(links, runner, link);
    runner_answered(runner, link->child, link->epoch);
    if (!take_events(link, msg, BODY_PART + 1, items)) {
        refuse_write(links, runner, writing, msg->n);
        return;
    }
    links->part.counters->finishes++;
    rz_write_t write = { link->child, link->token, link->epoch, items, link->seq_count };
    rz_op_finish(links->part.store, &write, link->status, link->error, msg->part[BODY_PART], on_written,
                 writing);
}

/* It wakes whoever has room, at once; it does not go round, for who gives back has no credit left for it. */
static void on_release(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    (void)msg;
    links->part.counters->releases++;
    rz_log_info("link.released", "runner=%s child=%s epoch=%" PRIu64 " reason=%s", runner->name, link->child,
                link->epoch, link->reason);
    runner_answered(runner, link->child, link->epoch);
    rz_op_release(links->part.store, link->child, link->epoch, link->token, link->reason, link->rerun,
                  on_written, writing_open(links, runner, link));
}

/* ---- answers to what control asked ---- */

static void on_steered(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    (void)msg;
    links->part.on_steered(runner, link->child, link->id, link->live, links->part.arg);
}

static void on_decided(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    (void)msg;
    links->part.on_decided(runner, link->child, link->id, link->live, links->part.arg);
}

static void on_phase(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    (void)msg;
    runner->phase = phase_of(link);
    if (link->id != NULL)
        links->part.on_phase(runner, link, links->part.arg);
}

static void on_output(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    rz_str_t text = msg->n > BODY_PART ? msg->part[BODY_PART] : (rz_str_t){ NULL, 0 };
    links->part.on_output(runner, link->id, link->code, text, links->part.arg);
}

/* ---- sync ---- */

static void on_sync(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg)
{
    if (strcmp(link->incarnation, runner->incarnation) == 0)
        syncs_take(links->syncs, runner, link);
    else
        sender_refuse(links->part.sender, msg->part[PEER_PART], RZ_NOT_FOUND, NULL);
}

/* ---- every message ---- */

typedef void (*handler_t)(links_t *links, runner_t *runner, const rz_link_t *link, const rz_msg_t *msg);
static const handler_t handlers[RZ_LINK_KIND_COUNT] = {
    [RZ_LINK_CREDIT] = on_credit,   [RZ_LINK_START] = on_start,     [RZ_LINK_APPEND] = on_append,
    [RZ_LINK_FINISH] = on_finish,   [RZ_LINK_RELEASE] = on_release, [RZ_LINK_STEERED] = on_steered,
    [RZ_LINK_DECIDED] = on_decided, [RZ_LINK_OUTPUT] = on_output,   [RZ_LINK_SYNC] = on_sync,
    [RZ_LINK_PING] = on_ping,       [RZ_LINK_BYE] = on_bye,         [RZ_LINK_PHASE] = on_phase,
};

static void malformed(links_t *links, rz_str_t peer, const rz_err_t *err)
{
    links->part.counters->link_malformed++;
    rz_log_warn("link.malformed", "code=%s %s", rz_rc_name(err->rc), err->text);
    sender_refuse(links->part.sender, peer, err->rc, err->text);
}

static void unknown_peer(links_t *links, rz_str_t peer, rz_link_kind_t kind)
{
    links->part.counters->link_unknown_peer++;
    rz_log_debug("link.unknown_peer", "kind=%s", rz_link_kind_name(kind));
    sender_refuse(links->part.sender, peer, RZ_NOT_FOUND, "say hello first");
}

static void own_kind(links_t *links, rz_str_t peer, rz_link_kind_t kind)
{
    rz_err_t err = { 0 };
    rz_fail_field(&err, RZ_BAD_KIND, "kind", "%s is what a broker says to a runner", rz_link_kind_name(kind));
    malformed(links, peer, &err);
}

static bool is_same_user(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* By key, never by routing id: a routing id is what a peer says of itself, and free again once its peer is gone. */
static rz_rc_t authorise(const links_t *links, const rz_link_t *link, const char *user, rz_err_t *err)
{
    if (links->part.guard == NULL)
        return RZ_OK;
    const rz_allowed_t *who = guard_who(links->part.guard, user, GATE_RUNNERS);
    if (who == NULL)
        return rz_fail(err, RZ_NOT_ALLOWED, "this key may not link up (any more)");
    if (link->kind != RZ_LINK_HELLO)
        return RZ_OK;
    const runner_t *known = roster_by_incarnation(links->part.roster, link->incarnation);
    if (known != NULL && !is_same_user(known->user, user))
        return rz_fail(err, RZ_NOT_ALLOWED, "this incarnation is another key's");
    known = roster_by_name(links->part.roster, link->runner);
    if (known != NULL && !is_same_user(known->user, user))
        return rz_fail(err, RZ_NOT_ALLOWED, "runner %s is linked with another key", link->runner);
    return guard_runs(links->part.guard, who, link->runner, err);
}

static void forbid(links_t *links, rz_str_t peer, const char *user, const rz_err_t *err)
{
    guard_refused(links->part.guard, GATE_RUNNERS, user, err->text);
    sender_refuse(links->part.sender, peer, err->rc, err->text);
}

static void handle(links_t *links, const rz_link_t *link, const rz_msg_t *msg)
{
    rz_str_t peer = msg->part[PEER_PART];
    rz_err_t err = { 0 };
    if (authorise(links, link, msg->user, &err) != RZ_OK) {
        forbid(links, peer, msg->user, &err);
        return;
    }
    runner_t *runner = roster_by_peer(links->part.roster, peer);
    if (link->kind == RZ_LINK_HELLO) {
        on_hello(links, peer, link, msg->user);
        return;
    }
    if (runner == NULL || !is_same_user(runner->user, msg->user)) {
        unknown_peer(links, peer, link->kind);
        return;
    }
    runner->heard_ms = rz_now_ms();
    if (handlers[link->kind] != NULL)
        handlers[link->kind](links, runner, link, msg);
    else
        own_kind(links, peer, link->kind);
}

void links_on_message(rz_sock_t *sock, const rz_msg_t *msg, void *arg)
{
    links_t *links = arg;
    rz_link_t link;
    rz_err_t err = { 0 };
    (void)sock;
    links->part.counters->link_messages++;
    if (msg->refused != NULL) {
        malformed(links, msg->part[PEER_PART], msg->refused);
        return;
    }
    if (msg->n < BODY_PART) {
        rz_fail(&err, RZ_BAD_KIND, "a link message has a header");
        malformed(links, msg->part[PEER_PART], &err);
        return;
    }
    rz_str_t header = msg->part[HEADER_PART];
    if (rz_link_decode(header.p, header.n, &link, &err) != RZ_OK) {
        malformed(links, msg->part[PEER_PART], &err);
        return;
    }
    handle(links, &link, msg);
    rz_link_fini(&link);
}

static uint64_t patience_ms(const links_t *links, const runner_t *runner)
{
    return runner->pings ? (uint64_t)PINGS_MISSED * PING_MS : 2 * links->part.lease_ms;
}

void links_expire(links_t *links, uint64_t now_ms)
{
    roster_t *roster = links->part.roster;
    bool late = now_ms - links->looked_ms > LOOK_LATE_MS;
    links->looked_ms = now_ms;
    for (size_t i = roster_count(roster); !late && i-- > 0;) {
        runner_t *runner = roster_at(roster, i);
        if (now_ms - runner->heard_ms < patience_ms(links, runner))
            continue;
        rz_log_warn("link.silent", "runner=%s incarnation=%s ms=%" PRIu64, runner->name, runner->incarnation,
                    now_ms - runner->heard_ms);
        roster_remove(roster, runner);
    }
}

void links_allow_changed(links_t *links)
{
    roster_t *roster = links->part.roster;
    for (size_t i = roster_count(roster); i-- > 0;) {
        runner_t *runner = roster_at(roster, i);
        const rz_allowed_t *who = guard_who(links->part.guard, runner->user, GATE_RUNNERS);
        if (who == NULL || guard_runs(links->part.guard, who, runner->name, NULL) != RZ_OK)
            refuse_and_forget(links, runner, RZ_NOT_ALLOWED);
    }
}

void links_dead(links_t *links, const char *incarnation)
{
    runner_t *runner = roster_by_incarnation(links->part.roster, incarnation);
    if (runner != NULL)
        refuse_and_forget(links, runner, RZ_DEAD);
}
