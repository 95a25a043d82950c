/* verb_watch.c - `rhizome watch`: events as they happen. */
#include "client.h"
#include "out.h"
#include "pick.h"
#include "show.h"
#include "trail.h"
#include "verb.h"

#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QUIET_MS   150 /* tokens of one child are gathered into a line until nothing came for this long */
#define NAME_LEAST 16  /* columns of a child's or an event's name, filled up  */
#define NAME_MOST  40  /* and cut                                             */

static const char *from;
static const option_t options[] = {
    { "--from", "PLACE", "from there on to the end of PARENT/CHILD: 0, an epoch, or EPOCH-SEQ",
      .text = &from },
    { NULL },
};

typedef struct {
    char child[RZ_ID_MAX + 1];
    char time[16];
    rz_buf_t text; /* tokens gathered, not yet printed */
} gathered_t;

static const char *time_of(const event_t *event)
{
    const char *ts = pick_text(event->header, "ts");
    return strlen(ts) > 23 ? ts + 11 : "";
}

/* One cell: what a worker named is cleaned like all else that it says. */
static void print_name(const char *name, bool is_last)
{
    size_t n = text_cut(name, strlen(name), NAME_MOST);
    size_t columns = text_columns(name, n);
    out_text(stdout, name, n);
    if (!is_last)
        printf("%*s", columns < NAME_LEAST ? (int)(NAME_LEAST - columns) + 1 : 1, "");
}

static void print_line(const char *time, const char *child, const char *name, rz_str_t detail)
{
    size_t columns = out_columns();
    const size_t used = 12 + 2 + 2 * (NAME_LEAST + 1);
    size_t n = columns > used ? text_cut(detail.p, detail.n, columns - used) : detail.n;
    printf("%s%.12s%s  ", look(LOOK_DIM), time, unlook());
    print_name(child, false);
    print_name(name, n == 0);
    out_text(stdout, detail.p, n);
    putchar('\n');
    fflush(stdout);
}

static void flush_tokens(gathered_t *gathered)
{
    if (gathered->text.len > 0)
        print_line(gathered->time, gathered->child, "token", rz_buf_str(&gathered->text));
    rz_buf_clear(&gathered->text);
}

static void gather_token(gathered_t *gathered, const event_t *event, const char *token)
{
    if (strcmp(gathered->child, event_child(event)) != 0 || gathered->text.len > 200)
        flush_tokens(gathered);
    if (gathered->text.len == 0) {
        snprintf(gathered->child, sizeof gathered->child, "%s", event_child(event));
        snprintf(gathered->time, sizeof gathered->time, "%.12s", time_of(event));
    }
    for (; *token != '\0'; token++)
        rz_buf_putc(&gathered->text, *token == '\n' ? ' ' : *token);
}

/* Echoes of somebody's handshake concern nobody else; heartbeats tell a program something, a person nothing.
 */
static bool is_noise(const event_t *event)
{
    return strncmp(event->topic.data, "$sys/sync/", 10) == 0 ||
           (!common.json && strcmp(event_name(event), "heartbeat") == 0);
}

static void print_event(gathered_t *gathered, const event_t *event)
{
    const char *token = event_token(event);
    if (token != NULL) {
        gather_token(gathered, event, token);
        return;
    }
    flush_tokens(gathered);
    rz_buf_t detail = { 0 };
    event_detail(event, &detail);
    print_line(time_of(event), event_child(event), event_name(event), rz_buf_str(&detail));
    rz_buf_fini(&detail);
}

static void print_event_json(const event_t *event)
{
    rz_buf_t line = { 0 };
    event_json(event, NULL, &line);
    out_json_bytes(rz_buf_str(&line));
    rz_buf_fini(&line);
}

static void show_event(gathered_t *gathered, const event_t *event)
{
    if (common.json)
        print_event_json(event);
    else
        print_event(gathered, event);
}

static void watch(client_t *client)
{
    gathered_t gathered = { { 0 }, { 0 }, { 0 } };
    for (;;) {
        event_t event = { 0 };
        reply_t reply = { 0 };
        switch (client_next(client, -1, gathered.text.len > 0 ? QUIET_MS : 60000, &reply, &event)) {
        case CAME_EVENT:
            if (!is_noise(&event))
                show_event(&gathered, &event);
            event_fini(&event);
            break;
        case CAME_REPLY:
            reply_fini(&reply);
            break;
        default:
            flush_tokens(&gathered);
        }
    }
}

/* "" for all, "p" and "p/" for a parent, "p/c" for a child: always with the slash, or p7 also gives p77. */
static bool topic_of(const char *filter, char out[2 * RZ_ID_MAX + 4])
{
    size_t n = strlen(filter);
    if (n > 2 * RZ_ID_MAX + 1)
        return false;
    snprintf(out, 2 * RZ_ID_MAX + 4, "%s%s", filter, n > 0 && filter[n - 1] != '/' ? "/" : "");
    return true;
}

/* ---- from a place on, to the end ---- */

static void on_event(const event_t *event, void *arg)
{
    if (!is_noise(event))
        show_event(arg, event);
}

static void on_quiet(void *arg)
{
    flush_tokens(arg);
}

static void on_gap(const char *child, const gap_t *gap, void *arg)
{
    rz_buf_t text = { 0 };
    flush_tokens(arg);
    if (common.json) {
        rz_buf_printf(&text,
                      "{\"gap\":{\"child\":\"%s\",\"after\":\"%" PRIu64 "-%" PRIu64 "\",\"before\":\"%" PRIu64
                      "-%" PRIu64 "\"",
                      child, gap->after.epoch, gap->after.seq, gap->before.epoch, gap->before.seq);
        if (gap->count > 0)
            rz_buf_printf(&text, ",\"events\":%" PRIu64, gap->count);
        rz_buf_puts(&text, "}}");
        out_json_bytes(rz_buf_str(&text));
    } else {
        rz_buf_printf(&text, "behind %" PRIu64 "-%" PRIu64 " and before %" PRIu64 "-%" PRIu64 ": ",
                      gap->after.epoch, gap->after.seq, gap->before.epoch, gap->before.seq);
        if (gap->count > 0)
            rz_buf_printf(&text, "%" PRIu64 " ", gap->count);
        rz_buf_puts(&text, "durable events that the log has no more");
        print_line("", child, "gap", rz_buf_str(&text));
    }
    rz_buf_fini(&text);
}

/* "PARENT/CHILD": both ids, in place. */
static bool split_child(char *filter, const char **parent, const char **child)
{
    char *slash = strchr(filter, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    *parent = filter;
    *child = slash + 1;
    return rz_id_valid(rz_str(*parent)) && rz_id_valid(rz_str(*child));
}

static outcome_t follow_child(char *filter)
{
    place_t place;
    const char *parent = NULL, *child = NULL;
    if (!place_parse(from, &place)) {
        say("--from takes 0, an epoch, or EPOCH-SEQ as replay names it");
        return EXIT_USAGE;
    }
    if (filter == NULL || !split_child(filter, &parent, &child)) {
        say("--from needs PARENT/CHILD: only the events of a child are logged");
        return EXIT_USAGE;
    }
    outcome_t outcome;
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    note("watching %s/%s from %s", parent, child, from);
    gathered_t gathered = { { 0 }, { 0 }, { 0 } };
    const trail_sink_t sink = { on_event, on_gap, on_quiet, &gathered };
    outcome = trail_follow(client, parent, child, place, &sink);
    rz_buf_fini(&gathered.text);
    client_close(&client);
    return outcome;
}

static outcome_t watch_verb(int argc, char **argv)
{
    char topic[2 * RZ_ID_MAX + 4];
    if (from != NULL)
        return follow_child(argc > 0 ? argv[0] : NULL);
    if (!topic_of(argc > 0 ? argv[0] : "", topic)) {
        say("\"%s\" is longer than two ids", argv[0]);
        return EXIT_USAGE;
    }
    outcome_t outcome;
    client_t *client = client_open(&outcome);
    if (client != NULL)
        outcome = client_subscribe(client, &(const char *){ topic }, 1);
    if (outcome != EXIT_DONE) {
        client_close(&client);
        return outcome;
    }
    note("watching %s", *topic != '\0' ? topic : "everything");
    watch(client); /* until a signal ends us */
    return EXIT_DONE;
}

const verb_t verb_watch = {
    .name = "watch",
    .synopsis = "[PARENT[/CHILD]] [--from PLACE]",
    .summary =
        "print events as they happen, until interrupted; with --from, those of one child from a place to its end",
    .detail =
        "Says `watching` on stderr when nothing can be missed any more. With --json each line is\n"
        "{\"topic\",\"header\",\"event\"} as published (proto/README.md, 6).\n"
        "--from begins in the child's log, 0 at its beginning, and goes on live through all its attempts: each durable\n"
        "event once and in order, whichever broker answers. What the log has no more is a line `gap`. It ends with the\n"
        "child; the exit code is that of `rhizome wait`, 3 when there is no such child, 74 when no broker answered for\n"
        "a minute.",
    .examples = "rhizome watch\n"
                "rhizome watch root-7\n"
                "rhizome watch root-7/ch-41 --json\n"
                "rhizome watch root-7/ch-41 --from 0",
    .options = options,
    .min = 0,
    .max = 1,
    .run = watch_verb,
};
