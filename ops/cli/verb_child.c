/* verb_child.c - verbs that talk to children: send, cancel, approve, deny, logs. */
#include "client.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- send ---- */

static const char *send_id;
static const option_t send_options[] = {
    { "--message-id", "ID", "an id of your own: the same id twice is one message", .text = &send_id },
    { NULL },
};

static void send_print(const reply_t *reply)
{
    printf("%s %s\n", pick_text(reply->tree, "message_id"), pick_text(reply->tree, "delivery"));
}

static outcome_t send_verb(int argc, char **argv)
{
    char *text = NULL;
    (void)argc;
    if (!text_argument(argv[1], RZ_TEXT_MAX, &text))
        return EXIT_USAGE;
    rz_control_request_t request = {
        .op = RZ_OP_SEND, .child = argv[0], .text = text, .message_id = send_id
    };
    outcome_t outcome = client_print(&request, send_print);
    rz_free(text);
    return outcome;
}

const verb_t verb_send = {
    .name = "send",
    .synopsis = "CHILD TEXT|-",
    .summary = "steer a child: a message for its running worker, or for its next run",
    .detail =
        "Prints the message's id and how it was delivered: `live` (written to the worker's socket) or `queued`\n"
        "(in the session: before a run that has not begun, after one that has). Either way it is stored,\n"
        "exactly once.",
    .examples = "rhizome send ch-41 \"look at the tests too\"\n"
                "cat notes.txt | rhizome send ch-41 -",
    .options = send_options,
    .min = 2,
    .max = 2,
    .run = send_verb,
};

/* ---- cancel ---- */

#define TREE_MS 60000 /* how long a broker may walk through descendants */

static bool cancel_now, cancel_tree;
static const option_t cancel_options[] = {
    { "--now", NULL, "no grace: its worker is killed at once", .on = &cancel_now },
    { "--tree", NULL, "with every descendant", .on = &cancel_tree },
    { NULL },
};

static const char *cancelled; /* whom the reply is about: a root that never ran has no activation in it */

static void cancel_print(const reply_t *reply)
{
    const char *delivery = pick_text(reply->tree, "delivery");
    if (reply->code == RZ_ENDED)
        printf("%s had ended: %s", cancelled, pick_text(reply->tree, "activation.status"));
    else
        printf("%s %s", cancelled, *delivery != '\0' ? delivery : "never ran");
    if (pick(reply->tree, "tree") != NULL)
        printf(" (tree: %" PRIu64 " cancelled, %" PRIu64 " had ended)",
               pick_count(reply->tree, "tree.cancelled"), pick_count(reply->tree, "tree.ended"));
    putchar('\n');
}

static outcome_t cancel_verb(int argc, char **argv)
{
    outcome_t outcome = EXIT_DONE;
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    for (int i = 0; i < argc; i++) {
        rz_control_request_t request = {
            .op = RZ_OP_CANCEL, .child = argv[i], .now = cancel_now, .tree = cancel_tree
        };
        cancelled = argv[i];
        outcome = outcome_worse(
            outcome, client_show(client, &request, cancel_tree ? TREE_MS : ANSWER_MS, cancel_print));
    }
    client_close(&client);
    return outcome;
}

const verb_t verb_cancel = {
    .name = "cancel",
    .synopsis = "CHILD... [--now] [--tree]",
    .summary = "end children: queued ones at once, running ones through their worker",
    .detail =
        "Prints what happened: `ended` (it was queued and never ran), `forwarded` (its runner was told),\n"
        "`stored` (its runner will learn it), or that it had ended; with --tree also how many of the child and its\n"
        "descendants were cancelled and how many had ended; what these still submit is cancelled too, until they are run\n"
        "anew. CHILD may then be a root that never ran itself. A worker that does not stop within its grace is killed.\n"
        "`rhizome wait` tells when it is over.",
    .examples = "rhizome cancel ch-41\n"
                "rhizome cancel ch-41 ch-42 --now\n"
                "rhizome cancel root-7 --tree",
    .options = cancel_options,
    .min = 1,
    .max = -1,
    .run = cancel_verb,
};

/* ---- approve, deny ---- */

static const char *asked_child, *asked_request; /* what is answered */

static void approved_print(const reply_t *reply)
{
    (void)reply;
    printf("%s %s approved\n", asked_child, asked_request);
}

static void denied_print(const reply_t *reply)
{
    (void)reply;
    printf("%s %s denied\n", asked_child, asked_request);
}

static outcome_t decide(char **argv, bool approved)
{
    asked_child = argv[0];
    asked_request = argv[1];
    rz_control_request_t request = {
        .op = RZ_OP_APPROVE, .child = asked_child, .request = asked_request, .approved = approved
    };
    return client_print(&request, approved ? approved_print : denied_print);
}

static outcome_t approve_verb(int argc, char **argv)
{
    (void)argc;
    return decide(argv, true);
}

static outcome_t deny_verb(int argc, char **argv)
{
    (void)argc;
    return decide(argv, false);
}

const verb_t verb_approve = {
    .name = "approve",
    .synopsis = "CHILD REQUEST",
    .summary = "allow a child the tool that it asks for",
    .detail =
        "A child whose profile says `approvals: ask` publishes child_approval_requested with the request's id and\n"
        "waits; `rhizome watch` shows it. What nobody answers in time (runner.approval_secs) is denied. Exit code 3:\n"
        "no such question is open.",
    .examples =
        "rhizome watch root-7            # ... child_approval_requested  sa-0: Bash, execute: rm -rf build\n"
        "rhizome approve ch-41 sa-0",
    .min = 2,
    .max = 2,
    .run = approve_verb,
};

const verb_t verb_deny = {
    .name = "deny",
    .synopsis = "CHILD REQUEST",
    .summary = "refuse a child the tool that it asks for",
    .detail = "The worker is told at once and goes on without. See `rhizome approve --help`.",
    .examples = "rhizome deny ch-41 sa-0",
    .min = 2,
    .max = 2,
    .run = deny_verb,
};

/* ---- logs ---- */

static void logs_print(const reply_t *reply)
{
    const char *text = pick_text(reply->tree, "text");
    size_t n = strlen(text);
    out_text(stdout, text, n);
    if (n > 0 && text[n - 1] != '\n')
        putchar('\n');
}

static outcome_t logs_verb(int argc, char **argv)
{
    (void)argc;
    rz_control_request_t request = { .op = RZ_OP_LOGS, .child = argv[0] };
    return client_print(&request, logs_print);
}

const verb_t verb_logs = {
    .name = "logs",
    .synopsis = "CHILD",
    .summary = "print what the child's worker wrote to stderr (the last 64 KiB)",
    .examples = "rhizome logs ch-41\n"
                "rhizome logs ch-41 --json | jq -r .runner",
    .min = 1,
    .max = 1,
    .run = logs_verb,
};
