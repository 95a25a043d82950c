/* verb_wait.c - verbs that end with their children: wait, retry. */
#include "activation.h"
#include "client.h"
#include "gather.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- wait ---- */

static bool wait_all, wait_any, wait_first_error;
static uint64_t wait_secs;
static const option_t wait_options[] = {
    { "--all", NULL, "until all have ended (the default)", .on = &wait_all },
    { "--any", NULL, "until one has ended", .on = &wait_any },
    { "--first-error", NULL, "until one has ended in error, or all have ended", .on = &wait_first_error },
    { "--timeout", "SECS", "give up after this long; the exit code is then 5", .number = &wait_secs },
    { NULL },
};

static outcome_t wait_verb(int argc, char **argv)
{
    outcome_t outcome;
    if (wait_all + wait_any + wait_first_error > 1) {
        say("--all, --any and --first-error exclude each other");
        return EXIT_USAGE;
    }
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    if (wait_any || wait_first_error)
        outcome = gather_until(client, argv, argc, wait_any ? RZ_WAIT_ANY : RZ_WAIT_FIRST_ERROR, wait_secs);
    else
        outcome = gather_all(client, argv, argc, wait_secs);
    client_close(&client);
    return outcome;
}

const verb_t verb_wait = {
    .name = "wait",
    .synopsis = "CHILD... [--all|--any|--first-error] [--timeout SECS]",
    .summary = "wait until children have ended; the exit code tells how",
    .detail =
        "A line `CHILD STATUS` for each: with --all when it ends; with --any and --first-error only the one that\n"
        "settled it. An error is error, timeout or cancelled; without one, --first-error ends as --all does.\n"
        "Exit codes: 0 completed, 6 skipped, 4 cancelled, 5 timed out, 1 error, 3 no such child. Of --all it is that\n"
        "of the worst, in this order; of --any and --first-error that of the child that settled it. --any and\n"
        "--first-error take at most 256 children.",
    .examples = "rhizome wait ch-41\n"
                "rhizome wait ch-1 ch-2 ch-3 --timeout 60\n"
                "rhizome wait --any ch-1 ch-2 ch-3 | cut -d' ' -f1\n"
                "rhizome wait --first-error ch-1 ch-2 || rhizome cancel ch-1 ch-2",
    .options = wait_options,
    .min = 1,
    .max = -1,
    .run = wait_verb,
};

/* ---- retry ---- */

static bool retry_wait;
static const option_t retry_options[] = {
    { "--wait", NULL, "then wait for them as `rhizome wait` does", .on = &retry_wait },
    { NULL },
};

static void retry_print(const reply_t *reply)
{
    const cJSON *activation = pick(reply->tree, "activation");
    printf("%s %s (run %" PRIu64 ")\n", pick_text(activation, "child"), activation_word(activation),
           pick_count(activation, "activation"));
}

/* False: it was refused, and *outcome says how. Else it was taken, and *outcome tells whether it goes its way. */
static bool retry_one(client_t *client, const char *child, outcome_t *outcome)
{
    reply_t reply;
    rz_control_request_t request = { .op = RZ_OP_RETRY, .child = child };
    *outcome = client_demand(client, &request, ANSWER_MS, &reply);
    if (*outcome != EXIT_DONE)
        return false;
    if (common.json)
        out_json_bytes(rz_buf_str(&reply.bytes));
    else
        retry_print(&reply);
    *outcome = activation_ended_at_once(pick(reply.tree, "activation"));
    reply_fini(&reply);
    return true;
}

static outcome_t retry_verb(int argc, char **argv)
{
    outcome_t outcome = EXIT_DONE;
    int taken = 0;
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    for (int i = 0; i < argc; i++) {
        outcome_t one;
        if (retry_one(client, argv[i], &one))
            argv[taken++] = argv[i];
        outcome = outcome_worse(outcome, one);
    }
    fflush(stdout);
    if (retry_wait && taken > 0)
        outcome = outcome_worse(outcome, gather_all(client, argv, taken, 0));
    client_close(&client);
    return outcome;
}

const verb_t verb_retry = {
    .name = "retry",
    .synopsis = "CHILD... [--wait]",
    .summary = "run ended children once more, with the session as it is now",
    .detail =
        "Profile, model, tools, labels and attempts are those of the child's latest job. A session whose last message is\n"
        "not the user's has nothing to do: it ends skipped, unless something was sent to it. One whose parent was\n"
        "cancelled with its tree ends cancelled again until that parent is retried. Exit codes: 75 when it runs already\n"
        "or the queue is full, 4 when it ended cancelled at once, 3 when there is no such child or it was never run;\n"
        "with --wait also those of `rhizome wait`.",
    .examples =
        "rhizome retry ch-41\n"
        "rhizome send ch-41 \"once more, with tests\" && rhizome retry ch-41 --wait\n"
        "rhizome ps --status error --since 1h --json | jq -r '.activations[].child' | xargs rhizome retry --wait",
    .options = retry_options,
    .min = 1,
    .max = -1,
    .run = retry_verb,
};
