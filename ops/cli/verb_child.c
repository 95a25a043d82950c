/* verb_child.c - verbs about children: ps, send, cancel, wait, logs. */
#include "activation.h"
#include "client.h"
#include "out.h"
#include "pick.h"
#include "verb.h"
#include "waiter.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- ps ---- */

static const char *ps_parent;
static uint64_t ps_limit = 30;
static const option_t ps_options[] = {
    { "--parent", "ID", "only children of this parent", .text = &ps_parent },
    { "--limit", "N", "at most so many, newest first (default: 30, at most 1000)", .number = &ps_limit },
    { NULL },
};

static void ps_print(const reply_t *reply)
{
    static const char *const heads[] = { "CHILD",   "PARENT", "STATUS", "ATTEMPT",
                                         "PROFILE", "RUNNER", "AGE",    "ERROR" };
    table_t table;
    const cJSON *activation;
    table_open(&table, heads, 8);
    cJSON_ArrayForEach(activation, pick(reply->tree, "activations"))
    {
        char attempt[24], age[16], error[81];
        const char *text = pick_text(activation, "error");
        activation_attempt(activation, attempt);
        activation_age(activation, age);
        snprintf(error, sizeof error, "%.*s", (int)text_cut(text, strlen(text), 40), text);
        const char *cells[] = { pick_text(activation, "child"),
                                pick_text(activation, "parent"),
                                activation_word(activation),
                                attempt,
                                pick_text(activation, "profile"),
                                pick_text(activation, "runner"),
                                age,
                                error };
        table_add(&table, cells);
    }
    table_close(&table);
}

static outcome_t ps_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    rz_control_request_t request = { .op = RZ_OP_LIST, .parent = ps_parent, .limit = ps_limit };
    return client_print(&request, ps_print);
}

const verb_t verb_ps = {
    .name = "ps",
    .synopsis = "[--parent ID] [--limit N]",
    .summary = "list activations, newest first",
    .examples = "rhizome ps\n"
                "rhizome ps --parent root-7 --limit 100\n"
                "rhizome ps --json | jq '.activations[] | select(.state == \"running\") | .child'",
    .options = ps_options,
    .min = 0,
    .max = 0,
    .run = ps_verb,
};

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

static bool cancel_now;
static const option_t cancel_options[] = {
    { "--now", NULL, "no grace: kill what does not stop at once", .on = &cancel_now },
    { NULL },
};

static void cancel_print(const reply_t *reply)
{
    const char *child = pick_text(reply->tree, "activation.child");
    if (reply->code == RZ_ENDED)
        printf("%s had ended: %s\n", child, pick_text(reply->tree, "activation.status"));
    else
        printf("%s %s\n", child, pick_text(reply->tree, "delivery"));
}

static outcome_t cancel_verb(int argc, char **argv)
{
    outcome_t outcome = EXIT_DONE;
    for (int i = 0; i < argc; i++) {
        rz_control_request_t request = { .op = RZ_OP_CANCEL, .child = argv[i], .now = cancel_now };
        outcome = outcome_worse(outcome, client_print(&request, cancel_print));
    }
    return outcome;
}

const verb_t verb_cancel = {
    .name = "cancel",
    .synopsis = "CHILD... [--now]",
    .summary = "end children: queued ones at once, running ones through their worker",
    .detail =
        "Prints what happened: `ended` (it was queued and never ran), `forwarded` (its runner was told),\n"
        "`stored` (its runner will learn it), or that it had ended. `rhizome wait` tells when it is over.",
    .examples = "rhizome cancel ch-41\n"
                "rhizome cancel ch-41 ch-42 --now\n"
                "rhizome cancel ch-41; rhizome wait ch-41",
    .options = cancel_options,
    .min = 1,
    .max = -1,
    .run = cancel_verb,
};

/* ---- wait ---- */

static uint64_t wait_secs;
static const option_t wait_options[] = {
    { "--timeout", "SECS", "give up after this long; the exit code is then 5", .number = &wait_secs },
    { NULL },
};

static outcome_t wait_report(const waiter_t *waiter)
{
    if (waiter->state == WAITER_ENDED && common.json)
        out_json_bytes(rz_buf_str(&waiter->reply.bytes));
    else if (waiter->state == WAITER_ENDED)
        printf("%s %s\n", waiter->child, waiter_status(waiter));
    fflush(stdout);
    const char *error = pick_text(waiter->reply.tree, "activation.error");
    if (waiter->state == WAITER_ENDED && *error != '\0')
        note("%s: %s", waiter->child, error);
    return waiter_outcome(waiter);
}

static void wait_feed(waiter_t *waiters, int count, reply_t *reply)
{
    uint64_t now = rz_now_ms();
    for (int i = 0; i < count; i++)
        if (waiter_feed(&waiters[i], reply, now))
            return;
    reply_fini(reply);
}

/* Waits for all; reports each when it ends. */
static outcome_t wait_all(client_t *client, waiter_t *waiters, int count, uint64_t deadline)
{
    outcome_t outcome = EXIT_DONE;
    bool *reported = rz_alloc((size_t)count);
    int left = count;
    while (left > 0 && rz_now_ms() < deadline) {
        reply_t reply = { 0 };
        event_t event = { 0 };
        for (int i = 0; i < count; i++)
            waiter_tick(&waiters[i], client, rz_now_ms());
        if (client_next(client, -1, 100, &reply, &event) == CAME_REPLY)
            wait_feed(waiters, count, &reply);
        for (int i = 0; i < count; i++) {
            if (waiters[i].state == WAITER_WAITING || reported[i])
                continue;
            outcome = outcome_worse(outcome, wait_report(&waiters[i]));
            reported[i] = true;
            left--;
        }
    }
    if (left > 0)
        say("%d of %d did not end within %" PRIu64 " s", left, count, wait_secs);
    rz_free(reported);
    return left > 0 ? outcome_worse(outcome, EXIT_TIMED_OUT) : outcome;
}

static outcome_t wait_verb(int argc, char **argv)
{
    client_t *client = client_open();
    if (client == NULL)
        return EXIT_UNAVAILABLE;
    waiter_t *waiters = rz_alloc((size_t)argc * sizeof *waiters);
    for (int i = 0; i < argc; i++)
        waiter_init(&waiters[i], argv[i], NULL);
    outcome_t outcome =
        wait_all(client, waiters, argc, wait_secs > 0 ? rz_now_ms() + wait_secs * 1000 : UINT64_MAX);
    for (int i = 0; i < argc; i++)
        waiter_fini(&waiters[i]);
    rz_free(waiters);
    client_close(&client);
    return outcome;
}

const verb_t verb_wait = {
    .name = "wait",
    .synopsis = "CHILD... [--timeout SECS]",
    .summary = "wait until children have ended; the exit code is that of the worst",
    .detail = "0 all completed, 6 skipped, 4 cancelled, 5 timed out, 1 error, 3 no such child.",
    .examples = "rhizome wait ch-41\n"
                "rhizome wait ch-1 ch-2 ch-3 --timeout 60",
    .options = wait_options,
    .min = 1,
    .max = -1,
    .run = wait_verb,
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
