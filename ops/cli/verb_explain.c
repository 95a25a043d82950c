/* verb_explain.c - `rhizome explain`: one child's whole story on a page. */
#include "client.h"
#include "explain.h"
#include "out.h"
#include "verb.h"

#include "base/clock.h"

#include <stdio.h>

static void print_line(const rz_buf_t *text, look_t kind)
{
    fputs(look(kind), stdout);
    out_text(stdout, text->data, text->len);
    fputs(kind != LOOK_PLAIN ? unlook() : "", stdout);
    putchar('\n');
}

static void explain_print(const reply_t *reply)
{
    rz_buf_t headline = { 0 }, facts = { 0 }, remedy = { 0 };
    table_t table;
    explain_headline(reply->tree, rz_wall_us(), &headline);
    explain_facts(reply->tree, &facts);
    explain_remedy(reply->tree, &remedy);
    print_line(&headline, LOOK_BOLD);
    print_line(&facts, LOOK_DIM);
    putchar('\n');
    explain_table(reply->tree, &table);
    table_close(&table);
    if (remedy.len > 0)
        note("next: %s", remedy.data);
    rz_buf_fini(&headline);
    rz_buf_fini(&facts);
    rz_buf_fini(&remedy);
}

static outcome_t explain_verb(int argc, char **argv)
{
    (void)argc;
    rz_control_request_t request = { .op = RZ_OP_EXPLAIN, .child = argv[0] };
    return client_print(&request, explain_print);
}

const verb_t verb_explain = {
    .name = "explain",
    .synopsis = "CHILD",
    .summary = "tell what state a child is in and why, and how it got there",
    .detail =
        "First a sentence: its state, since when, and why it waits or ended so. Then every transition, oldest first,\n"
        "with the gap to the one before, the run (which of the child's jobs), the epoch (which assignment), the\n"
        "runner and the broker. At least the latest 100 are kept. Times are the store's, for reading only.",
    .examples = "rhizome explain ch-41\n"
                "rhizome explain ch-41 --json | jq -r '.transitions[] | [.at, .what, .detail] | @tsv'",
    .min = 1,
    .max = 1,
    .run = explain_verb,
};
