/* verb_runner.c - verbs about runners: list, cordon, uncordon, drain. */
#include "client.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/json.h"
#include "wire/drain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- list ---- */

/* As profiles call it; the other word is upstream's, in what a worker is provisioned with. */
static const char *executor_word(const char *name)
{
    return strcmp(name, "cli_adapter") == 0 ? "command" : name;
}

static const char *as_it_is(const char *name)
{
    return name;
}

static void put_list(const cJSON *list, const char *(*word)(const char *name), rz_buf_t *out)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (out->len > 0)
            rz_buf_putc(out, ',');
        rz_buf_puts(out, item->valuestring != NULL ? word(item->valuestring) : "?");
    }
    if (out->len == 0)
        rz_buf_putc(out, '-');
}

static uint64_t idle_total(const cJSON *idle)
{
    uint64_t total = rz_json_count(idle);
    const cJSON *item;
    cJSON_ArrayForEach(item, idle) total += rz_json_count(item);
    return total;
}

/* A broker of before knows no phase, and one that the runner is not linked to has what its last heartbeat said. */
static const char *phase_of(const cJSON *runner)
{
    const char *linked = pick_text(runner, "phase");
    return *linked != '\0' ? linked : pick_text(runner, "facts.phase");
}

static const char *state_word(const cJSON *runner)
{
    const char *phase = phase_of(runner);
    if (strcmp(pick_text(runner, "state"), "alive") == 0 && *phase != '\0' && strcmp(phase, "up") != 0)
        return phase;
    return pick_true(runner, "linked") ? "linked" : pick_text(runner, "state");
}

static void runner_row(table_t *table, const cJSON *runner)
{
    char slots[24], owned[24], idle[24];
    const char *http = pick_text(runner, "facts.http");
    rz_buf_t labels = { 0 }, profiles = { 0 }, executors = { 0 }, credentials = { 0 };
    put_list(pick(runner, "facts.labels"), as_it_is, &labels);
    put_list(pick(runner, "facts.profiles"), as_it_is, &profiles);
    put_list(pick(runner, "facts.executors"), executor_word, &executors);
    put_list(pick(runner, "facts.credentials"), as_it_is, &credentials);
    snprintf(slots, sizeof slots, "%" PRIu64, pick_count(runner, "facts.slots"));
    snprintf(owned, sizeof owned, "%" PRIu64, pick_count(runner, "owned"));
    snprintf(idle, sizeof idle, "%" PRIu64, idle_total(pick(runner, "idle")));
    const char *cells[] = { pick_text(runner, "runner"),
                            pick_text(runner, "facts.host"),
                            state_word(runner),
                            slots,
                            owned,
                            idle,
                            labels.data,
                            profiles.data,
                            executors.data,
                            credentials.data,
                            *http != '\0' ? http : "-" };
    table_add(table, cells);
    rz_buf_fini(&labels);
    rz_buf_fini(&profiles);
    rz_buf_fini(&executors);
    rz_buf_fini(&credentials);
}

/* Who is left on one that drains, and why; as its last heartbeat had it. */
static void print_left(const cJSON *runner)
{
    const cJSON *left, *drain = pick(runner, "facts.drain");
    if (drain == NULL || strcmp(phase_of(runner), "draining") != 0 ||
        strcmp(pick_text(runner, "state"), "alive") != 0)
        return;
    uint64_t secs = pick_count(drain, "deadline_in_ms") / 1000;
    printf("\n%s drains: %" PRIu64 " left, policy %s, deadline ", pick_text(runner, "runner"),
           pick_count(drain, "left"), pick_text(drain, "policy"));
    if (secs > 0)
        printf("in %" PRIu64 " s\n", secs);
    else
        puts("passed");
    cJSON_ArrayForEach(left, pick(drain, "children"))
        printf("  %s  %s\n", pick_text(left, "child"), pick_text(left, "why"));
}

static void runners_print(const reply_t *reply)
{
    static const char *const heads[] = { "RUNNER", "HOST",     "STATE",     "SLOTS",       "OWNED", "WARM",
                                         "LABELS", "PROFILES", "EXECUTORS", "CREDENTIALS", "HEALTH" };
    table_t table;
    const cJSON *runner;
    table_open(&table, heads, sizeof heads / sizeof *heads);
    cJSON_ArrayForEach(runner, pick(reply->tree, "runners")) runner_row(&table, runner);
    table_close(&table);
    cJSON_ArrayForEach(runner, pick(reply->tree, "runners")) print_left(runner);
}

static outcome_t runner_list_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    rz_control_request_t request = { .op = RZ_OP_RUNNERS };
    return client_print(&request, runners_print);
}

const verb_t verb_runner_list = {
    .name = "runner list",
    .synopsis = "",
    .summary = "list runners: slots, what they own, how many warm workers they keep, what they offer",
    .detail =
        "CREDENTIALS are the names of the providers whose keys a runner holds; keys never leave it. HEALTH is where it\n"
        "tells, on its own host, /readyz and /metrics. STATE is `linked`, `cordoned`, `draining`, or `alive` when it is\n"
        "linked to other brokers only; below the table stands who is left on one that drains.",
    .examples = "rhizome runner list\n"
                "rhizome runner list --json | jq '.runners[].facts.labels'",
    .min = 0,
    .max = 0,
    .run = runner_list_verb,
};

/* ---- cordon, uncordon, drain ---- */

static void order_print(const reply_t *reply)
{
    const char *runner = pick_text(reply->tree, "runner"), *phase = pick_text(reply->tree, "phase");
    printf("%s is %s\n", runner, phase);
    if (strcmp(phase, "draining") == 0)
        note("`rhizome runner list` shows who is left; it ends when nobody is");
}

static outcome_t runner_cordon_verb(int argc, char **argv)
{
    (void)argc;
    rz_control_request_t request = { .op = RZ_OP_RUNNER_CORDON, .runner = argv[0] };
    return client_print(&request, order_print);
}

const verb_t verb_runner_cordon = {
    .name = "runner cordon",
    .synopsis = "NAME",
    .summary = "give a runner no new work; it goes on with what it has",
    .detail =
        "What it was given and has not begun runs there too. Its restart takes the cordon away, unless it is configured\n"
        "runner.cordoned. Any broker will do.",
    .examples = "rhizome runner cordon r1\n"
                "rhizome runner uncordon r1",
    .min = 1,
    .max = 1,
    .run = runner_cordon_verb,
};

static outcome_t runner_uncordon_verb(int argc, char **argv)
{
    (void)argc;
    rz_control_request_t request = { .op = RZ_OP_RUNNER_CORDON, .runner = argv[0], .off = true };
    return client_print(&request, order_print);
}

const verb_t verb_runner_uncordon = {
    .name = "runner uncordon",
    .synopsis = "NAME",
    .summary = "give a cordoned runner work again",
    .detail = "One that drains cannot be called back: start it again when it has ended.",
    .examples = "rhizome runner uncordon r1",
    .min = 1,
    .max = 1,
    .run = runner_uncordon_verb,
};

#define DEADLINE_NONE UINT64_MAX
static const char *drain_policy;
static uint64_t drain_secs = DEADLINE_NONE;
static const option_t drain_options[] = {
    { "--policy", "POLICY",
      "what happens at the deadline: wait, requeue or cancel (default: runner.drain_policy)",
      .text = &drain_policy },
    { "--deadline", "SECS",
      "how long what runs may go on before that, 0: not at all (default: runner.drain_secs)",
      .number = &drain_secs },
    { NULL },
};

static bool is_policy(const char *text)
{
    for (const char *const *policy = rz_drain_policies; *policy != NULL; policy++)
        if (strcmp(text, *policy) == 0)
            return true;
    return false;
}

static outcome_t runner_drain_verb(int argc, char **argv)
{
    (void)argc;
    if (drain_policy != NULL && !is_policy(drain_policy)) {
        say("--policy takes wait, requeue or cancel");
        return EXIT_USAGE;
    }
    if (drain_secs != DEADLINE_NONE && drain_secs > RZ_DRAIN_MAX_MS / 1000) {
        say("--deadline takes 0 to %" PRIu64 " seconds", RZ_DRAIN_MAX_MS / 1000);
        return EXIT_USAGE;
    }
    uint64_t deadline_ms = drain_secs == DEADLINE_NONE ? 0 : drain_secs > 0 ? drain_secs * 1000 : 1;
    rz_control_request_t request = {
        .op = RZ_OP_RUNNER_DRAIN, .runner = argv[0], .policy = drain_policy, .deadline_ms = deadline_ms
    };
    return client_print(&request, order_print);
}

const verb_t verb_runner_drain = {
    .name = "runner drain",
    .synopsis = "NAME [--policy POLICY] [--deadline SECS]",
    .summary = "let a runner finish what it runs and end",
    .detail =
        "It takes no new work, gives back what has not begun, and its program ends with exit code 0 when nothing is left.\n"
        "At the deadline `wait` waits on; `requeue` lets what has an attempt left (max_attempts) begin anew elsewhere and ends\n"
        "the rest `error`; `cancel` cancels, with the usual grace. A second order gives new terms. A service manager that\n"
        "starts everything again (Restart=always) would start this one too: use Restart=on-failure.",
    .examples = "rhizome runner drain r1\n"
                "rhizome runner drain r1 --policy requeue --deadline 600",
    .options = drain_options,
    .min = 1,
    .max = 1,
    .run = runner_drain_verb,
};
