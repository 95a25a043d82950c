/* trail.c - see trail.h. */
#include "trail.h"

#include "out.h"
#include "pick.h"

#include "base/clock.h"
#include "base/json.h"
#include "wire/event.h"

#include <stdio.h>
#include <string.h>

#define PAGE     500 /* events that one replay may bring                                                    */
#define QUIET_MS 150 /* nothing came for so long: a moment to show what was gathered                        */
#define LOOK_MS  1000 /* and for so long: the log is looked at, for what may have been missed                */
#define AGAIN_MS 100 /* the log is behind what was heard live: pause before it is read again                */
#define LATE_MS  5000 /* and after so long what is missing is taken for never logged                         */
#define CUT_MS   60000 /* without an answer we give up                                                        */

typedef struct {
    client_t *client;
    const char *parent, *child;
    const trail_sink_t *sink;
    follow_t follow;
    uint64_t heard_at; /* when a broker last told of the log */
    uint64_t pages;    /* how often                           */
    bool over;
    outcome_t outcome; /* once it is over */
} trail_t;

static void end_with(trail_t *trail, outcome_t outcome)
{
    trail->over = true;
    trail->outcome = outcome;
}

static void tell_gap(trail_t *trail, const gap_t *gap)
{
    trail->sink->on_gap(trail->child, gap, trail->sink->arg);
}

static passage_t passage_of(const cJSON *header)
{
    return (passage_t){ .at = { pick_count(header, "epoch"), pick_count(header, "seq") },
                        .prev_durable = pick_count(header, "prev_durable"),
                        .durable = strcmp(pick_text(header, "class"), "durable") == 0 };
}

/* ---- the log ---- */

/* As it would have come live. False: it cannot be read. */
static bool event_of_item(const trail_t *trail, rz_str_t item, event_t *out)
{
    rz_str_t header = rz_json_member(item, "header"), event = rz_json_member(item, "event");
    rz_str_t wrapped = rz_json_member(event, "event");
    char inner[65];
    *out = (event_t){ .header = rz_json_parse(header.p, header.n, RZ_FRAME_MAX, NULL),
                      .event = rz_json_parse(event.p, event.n, RZ_FRAME_MAX, NULL) };
    if (out->header == NULL || out->event == NULL) {
        event_fini(out);
        return false;
    }
    bool wraps = rz_json_kind(wrapped) == '{' && rz_event_type(wrapped, inner) == RZ_OK;
    rz_topic(trail->parent, trail->child, pick_text(out->event, "type"), wraps ? inner : NULL, &out->topic);
    rz_buf_put(&out->header_bytes, header.p, header.n);
    rz_buf_put(&out->event_bytes, event.p, event.n);
    return true;
}

static void show_item(trail_t *trail, rz_str_t item)
{
    event_t event;
    gap_t gap;
    bool lost = false;
    if (!event_of_item(trail, item, &event))
        return;
    passage_t passage = passage_of(event.header);
    bool shown = follow_logged(&trail->follow, &passage, &lost, &gap) == FOLLOW_SHOW;
    if (lost)
        tell_gap(trail, &gap);
    if (shown)
        trail->sink->on_event(&event, trail->sink->arg);
    event_fini(&event);
}

/* True when there is more to fetch. */
static bool take_page(trail_t *trail, const reply_t *reply)
{
    place_t first = { 0 }, to = { 0 };
    gap_t gap;
    rz_str_t item;
    bool logged = place_parse(pick_text(reply->tree, "first_available"), &first) &&
                  place_parse(pick_text(reply->tree, "logged_to"), &to);
    if (logged && follow_log(&trail->follow, first, pick_count(reply->tree, "trimmed"), &gap))
        tell_gap(trail, &gap);
    place_t before = trail->follow.durable;
    rz_json_iter_t items = rz_json_iter(rz_json_member(rz_buf_str(&reply->bytes), "events"));
    while (rz_json_next_element(&items, &item))
        show_item(trail, item);
    if (logged && place_compare(trail->follow.durable, to) < 0)
        return place_compare(trail->follow.durable, before) > 0;
    const char *state = pick_text(reply->tree, "activation.state");
    if (strcmp(state, "terminal") == 0)
        end_with(trail, outcome_of_status(pick_text(reply->tree, "activation.status")));
    return false;
}

static bool is_of_parent(const trail_t *trail, const reply_t *reply)
{
    const char *parent = pick_text(reply->tree, "activation.parent");
    if (strcmp(parent, trail->parent) == 0)
        return true;
    say("%s is a child of %s, not of %s", trail->child, parent, trail->parent);
    return false;
}

static void on_silence(trail_t *trail, uint64_t now_ms)
{
    if (now_ms - trail->heard_at > CUT_MS) {
        say("no broker could tell of %s for a minute; it may still be running", trail->child);
        end_with(trail, EXIT_CUT);
    }
}

/* The store is not to be had for a while, perhaps until an operator has mended it. */
static bool is_away(rz_rc_t code)
{
    return code == RZ_UNAVAILABLE || code == RZ_UNKNOWN || code == RZ_BAD_STORE;
}

/* One answer about the log. True when there is more to fetch at once. */
static bool ask_page(trail_t *trail)
{
    place_t next = follow_next(&trail->follow);
    rz_control_request_t request = { .op = RZ_OP_REPLAY,
                                     .child = trail->child,
                                     .from_epoch = next.epoch,
                                     .from_seq = next.seq,
                                     .limit = PAGE };
    reply_t reply;
    bool more = false;
    if (!client_ask_again(trail->client, &request, ANSWER_MS, &reply)) {
        client_move(trail->client); /* if there is no other, this one may come back */
        on_silence(trail, rz_now_ms());
        return false;
    }
    if (reply.code == RZ_OK) {
        trail->heard_at = rz_now_ms();
        trail->pages++;
        if (is_of_parent(trail, &reply))
            more = take_page(trail, &reply);
        else
            end_with(trail, EXIT_NOT_FOUND);
    } else if (is_away(reply.code)) {
        on_silence(trail, rz_now_ms());
    } else {
        end_with(trail, reply_refused(&reply));
    }
    reply_fini(&reply);
    return more && !trail->over;
}

/* Everything that is logged now. */
static void fetch(trail_t *trail)
{
    while (ask_page(trail))
        ;
}

/* ---- the live stream ---- */

static bool is_of_child(const trail_t *trail, const event_t *event)
{
    return strcmp(pick_text(event->header, "child"), trail->child) == 0 &&
           pick(event->header, "epoch") != NULL && pick_count(event->header, "epoch") > 0;
}

/* What is missing before it comes from the log, which may be a moment behind. Only a log that was read long after it came,
 * and has it not, is taken for complete: while the store is away nothing is known. */
static void show_live(trail_t *trail, const event_t *event)
{
    passage_t passage = passage_of(event->header);
    uint64_t came_at = rz_now_ms(), pages = trail->pages;
    follow_verdict_t verdict = follow_live(&trail->follow, &passage, false);
    while (verdict == FOLLOW_FETCH && !trail->over) {
        fetch(trail);
        verdict = follow_live(&trail->follow, &passage, trail->pages > pages);
        if (verdict == FOLLOW_FETCH && trail->heard_at > came_at + LATE_MS) {
            gap_t gap;
            follow_give_up(&trail->follow, &passage, &gap);
            tell_gap(trail, &gap);
        } else if (verdict == FOLLOW_FETCH) {
            client_pause(AGAIN_MS);
        }
    }
    if (verdict == FOLLOW_SHOW && !trail->over)
        trail->sink->on_event(event, trail->sink->arg);
}

static bool is_end(const event_t *event)
{
    return strcmp(pick_text(event->event, "type"), "sub_agent_completed") == 0;
}

/* Until an end was heard, or nothing for a while. */
static void listen(trail_t *trail)
{
    uint64_t until = rz_now_ms() + LOOK_MS;
    bool ended = false;
    while (!trail->over && !ended && rz_now_ms() < until) {
        event_t event = { 0 };
        reply_t reply = { 0 };
        switch (client_next(trail->client, -1, QUIET_MS, &reply, &event)) {
        case CAME_EVENT:
            if (is_of_child(trail, &event)) {
                show_live(trail, &event);
                until = rz_now_ms() + LOOK_MS;
                ended = is_end(&event);
            }
            event_fini(&event);
            break;
        case CAME_REPLY:
            reply_fini(&reply);
            break;
        default:
            trail->sink->on_quiet(trail->sink->arg);
        }
    }
}

outcome_t trail_follow(client_t *client, const char *parent, const char *child, place_t from,
                       const trail_sink_t *sink)
{
    char topic[2 * RZ_ID_MAX + 3];
    trail_t trail = {
        .client = client, .parent = parent, .child = child, .sink = sink, .heard_at = rz_now_ms()
    };
    follow_init(&trail.follow, from);
    snprintf(topic, sizeof topic, "%s/%s/", parent, child);
    if (!client_listen(client, &(const char *){ topic }, 1))
        return EXIT_UNAVAILABLE;
    for (fetch(&trail); !trail.over; fetch(&trail))
        listen(&trail);
    sink->on_quiet(sink->arg);
    return trail.outcome;
}
