/* verb_ps.c - `rhizome ps`: the list of activations, page after page. */
#include "activation.h"
#include "client.h"
#include "out.h"
#include "pick.h"
#include "since.h"
#include "verb.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MAX       1000   /* what a broker gives at once */
#define LIMIT_MAX      100000 /* what we keep                */
#define DETAIL_COLUMNS 60

static const char *parent, *status, *since;
static uint64_t limit = 30;
static const option_t options[] = {
    { "--parent", "ID", "only children of this parent", .text = &parent },
    { "--status", "S",
      "only these: queued assigned running terminal, or completed error cancelled timeout skipped",
      .text = &status },
    { "--since", "WHEN", "only those submitted since: 90s, 10m, 2h, 3d ago, or a time of RFC 3339",
      .text = &since },
    { "--limit", "N", "at most so many, newest first (default: 30, at most 100000)", .number = &limit },
    { NULL },
};

/* ---- one row each ---- */

static void add_row(table_t *table, const cJSON *activation, int64_t now_us)
{
    char attempt[24], age[16], heard[16] = "";
    rz_buf_t detail = { 0 };
    activation_attempt(activation, attempt);
    activation_detail(activation, &detail);
    ago_text(pick_text(activation, "submitted_at"), now_us, age);
    if (strcmp(pick_text(activation, "state"), "running") == 0)
        ago_text(pick_text(activation, "last_event_at"), now_us, heard);
    rz_buf_putc(&detail, '\0');
    detail.data[text_cut(detail.data, detail.len - 1, DETAIL_COLUMNS)] = '\0';
    const char *cells[] = { pick_text(activation, "child"),
                            pick_text(activation, "parent"),
                            activation_word(activation),
                            attempt,
                            pick_text(activation, "profile"),
                            pick_text(activation, "runner"),
                            age,
                            heard,
                            detail.data };
    table_add(table, cells);
    rz_buf_fini(&detail);
}

static void print_table(const cJSON *activations)
{
    static const char *const heads[] = { "CHILD",  "PARENT", "STATUS",     "ATTEMPT", "PROFILE",
                                         "RUNNER", "AGE",    "LAST EVENT", "DETAIL" };
    const cJSON *activation;
    int64_t now_us = rz_wall_us();
    table_t table;
    table_open(&table, heads, sizeof heads / sizeof *heads);
    cJSON_ArrayForEach(activation, activations) add_row(&table, activation, now_us);
    table_close(&table);
}

/* ---- pages ---- */

/* Moves the activations of a page behind those that are there, and leaves the page with all of them. */
static void join_pages(cJSON *page, cJSON *before)
{
    cJSON *added = cJSON_GetObjectItemCaseSensitive(page, "activations");
    while (added != NULL && added->child != NULL)
        cJSON_AddItemToArray(before, cJSON_DetachItemViaPointer(added, added->child));
    cJSON_DeleteItemFromObjectCaseSensitive(page, "activations");
    cJSON_AddItemToObject(page, "activations", before);
}

/* Asks until there are `limit` or no more. A page may be empty and yet not the last: a broker looks through
 * a bounded number at a time. EXIT_DONE: *out is the last reply with the activations of all. */
static outcome_t ask_pages(client_t *client, uint64_t since_ms, reply_t *out)
{
    uint64_t have = 0;
    *out = (reply_t){ 0 };
    do {
        uint64_t left = limit - have;
        rz_control_request_t request = { .op = RZ_OP_LIST,
                                         .parent = parent,
                                         .status = status,
                                         .since_ms = since_ms,
                                         .before = out->tree != NULL ? pick_text(out->tree, "next") : NULL,
                                         .limit = left < PAGE_MAX ? left : PAGE_MAX };
        reply_t page;
        outcome_t outcome = client_demand(client, &request, ANSWER_MS, &page);
        cJSON *before = out->tree != NULL ? cJSON_DetachItemFromObjectCaseSensitive(out->tree, "activations")
                                          : cJSON_CreateArray();
        reply_fini(out);
        if (outcome != EXIT_DONE) {
            cJSON_Delete(before);
            return outcome;
        }
        join_pages(page.tree, before);
        *out = page;
        have = (uint64_t)cJSON_GetArraySize(pick(page.tree, "activations"));
    } while (have < limit && *pick_text(out->tree, "next") != '\0');
    return EXIT_DONE;
}

static bool check_options(uint64_t *since_ms)
{
    *since_ms = 0;
    if (limit < 1 || limit > LIMIT_MAX) {
        say("--limit takes 1 to %d, not %" PRIu64, LIMIT_MAX, limit);
        return false;
    }
    if (since != NULL && !since_parse(since, (uint64_t)rz_wall_us() / 1000, since_ms)) {
        say("--since takes 90s, 10m, 2h, 3d or a time like 2026-06-16T09:30:00Z, not \"%s\"", since);
        return false;
    }
    return true;
}

static outcome_t ps_verb(int argc, char **argv)
{
    uint64_t since_ms;
    reply_t reply;
    (void)argc;
    (void)argv;
    if (!check_options(&since_ms))
        return EXIT_USAGE;
    outcome_t outcome;
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    outcome = ask_pages(client, since_ms, &reply);
    if (outcome == EXIT_DONE && common.json)
        out_json(reply.tree);
    else if (outcome == EXIT_DONE)
        print_table(pick(reply.tree, "activations"));
    if (outcome == EXIT_DONE && !common.json && *pick_text(reply.tree, "next") != '\0')
        note("the list goes on: --limit shows more");
    reply_fini(&reply);
    client_close(&client);
    return outcome;
}

const verb_t verb_ps = {
    .name = "ps",
    .synopsis = "[--status S] [--parent ID] [--since WHEN] [--limit N]",
    .summary = "list activations, newest first",
    .detail =
        "LAST EVENT is how long ago a running one was heard of by its runner. DETAIL is why a queued one waits, the\n"
        "tool and round of a running one, the error of an ended one.",
    .examples = "rhizome ps\n"
                "rhizome ps --status error --since 2h\n"
                "rhizome ps --parent root-7 --limit 100\n"
                "rhizome ps --status running --json | jq -r '.activations[].child'",
    .options = options,
    .min = 0,
    .max = 0,
    .run = ps_verb,
};
