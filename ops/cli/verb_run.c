/* verb_run.c - `rhizome run`: one child, its tokens as they come, its result, and an exit code that tells how
 * it ended. */
#include "brief.h"
#include "client.h"
#include "out.h"
#include "pick.h"
#include "show.h"
#include "verb.h"
#include "waiter.h"

#include "base/clock.h"
#include "base/id.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DRAIN_MS 1000 /* after the outcome is known: how long the last events may lag behind it */
#define TURN_MS  100  /* the longest sleep between two looks at the clock */

static brief_t brief;
static uint64_t timeout_secs;
static bool quiet;

static const option_t options[] = {
    { "--profile", "P", "the agent profile that runs it: echo, local-actor, or one of externalAgents",
      .text = &brief.profile },
    { "--executor", "P", "the same", .text = &brief.profile },
    { "--model", "M", "the model, for profiles that have one", .text = &brief.model },
    { "--parent", "ID", "the parent session (default: cli)", .text = &brief.parent },
    { "--child", "ID", "the child session to make (default: a new id)", .text = &brief.child },
    { "--workspace", "DIR", "the folder it works in (default: this one)", .text = &brief.workspace },
    { "--role", "R", "its role, metadata.subagent_type (default: worker)", .text = &brief.role },
    { "--label", "L", "only a runner with this label; may be repeated", .list = &brief.labels },
    { "--timeout", "SECS", "cancel it after this long; the exit code is then 5", .number = &timeout_secs },
    { "--quiet", NULL, "only tokens and the result: nothing on stderr but failures", .on = &quiet },
    { NULL },
};

typedef struct {
    client_t *client;
    int signal_fd;
    waiter_t waiter;
    uint64_t started_at, deadline; /* deadline 0: none */
    unsigned interrupts;
    bool timed_out;
    bool completed_seen; /* sub_agent_completed came by */
    uint64_t epoch;      /* the highest seen: what is older belongs to an attempt that was given up */
    rz_buf_t streamed;   /* tokens on stdout so far */
} run_t;

/* ---- what is shown ---- */

static void finish_line(run_t *run)
{
    if (run->streamed.len > 0 && run->streamed.data[run->streamed.len - 1] != '\n') {
        putchar('\n');
        rz_buf_putc(&run->streamed, '\n');
    }
    fflush(stdout);
}

static void show_token(run_t *run, const char *token)
{
    out_text(stdout, token, strlen(token));
    fflush(stdout);
    rz_buf_puts(&run->streamed, token);
}

static void show_aside(run_t *run, const event_t *event)
{
    static const char *const silent[] = { "heartbeat", "complete", "completed", "reasoning_token" };
    const char *name = event_name(event);
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(name, silent[i]) == 0)
            return;
    if (quiet)
        return;
    rz_buf_t detail = { 0 };
    event_detail(event, &detail);
    if (out_is_terminal())
        finish_line(run);
    note("%s%s%.*s", name, detail.len > 0 ? " " : "", (int)text_cut(detail.data, detail.len, 90),
         detail.len > 0 ? detail.data : "");
    rz_buf_fini(&detail);
}

static void on_event(run_t *run, event_t *event)
{
    uint64_t epoch = pick_count(event->header, "epoch");
    const char *token = event_token(event);
    if (epoch < run->epoch || run->completed_seen)
        return;
    run->epoch = epoch;
    run->completed_seen = strcmp(pick_text(event->event, "type"), "sub_agent_completed") == 0;
    if (common.json) {
        rz_buf_t line = { 0 };
        event_json(event, "event", &line);
        out_json_bytes(rz_buf_str(&line));
        rz_buf_fini(&line);
    } else if (token != NULL) {
        show_token(run, token);
    } else {
        show_aside(run, event);
    }
}

/* ---- what can happen while it runs ---- */

static void send_cancel(run_t *run, bool now)
{
    rz_control_request_t request = { .op = RZ_OP_CANCEL, .child = brief.child, .now = now };
    client_send(run->client, &request); /* its answer tells nothing that `wait` does not tell */
}

static void on_signal(run_t *run)
{
    struct signalfd_siginfo info;
    if (read(run->signal_fd, &info, sizeof info) != sizeof info)
        return;
    if (run->interrupts++ == 0) {
        finish_line(run);
        say("cancelling %s; once more detaches", brief.child);
        send_cancel(run, false);
    }
}

static void on_deadline(run_t *run)
{
    run->timed_out = true;
    run->deadline = 0;
    finish_line(run);
    say("%" PRIu64 " s are over: cancelling %s", timeout_secs, brief.child);
    send_cancel(run, false);
}

static void tell_trouble(run_t *run, uint64_t now)
{
    char trouble[512];
    if (!waiter_trouble(&run->waiter, client_control(run->client), now, trouble))
        return;
    finish_line(run);
    say("%s (Ctrl-C cancels, twice detaches)", trouble);
}

/* One turn of waiting; at most until `until`. */
static void turn(run_t *run, uint64_t until)
{
    uint64_t now = rz_now_ms();
    reply_t reply = { 0 };
    event_t event = { 0 };
    uint64_t pause = until > now && until - now < TURN_MS ? until - now : TURN_MS;
    waiter_tick(&run->waiter, run->client, now);
    tell_trouble(run, now);
    switch (client_next(run->client, run->signal_fd, pause, &reply, &event)) {
    case CAME_EVENT:
        on_event(run, &event);
        event_fini(&event);
        break;
    case CAME_REPLY:
        if (!waiter_feed(&run->waiter, &reply, rz_now_ms()))
            reply_fini(&reply);
        break;
    case CAME_SIGNAL:
        on_signal(run);
        break;
    case CAME_NOTHING:
        break;
    }
    if (run->deadline != 0 && rz_now_ms() >= run->deadline)
        on_deadline(run);
}

static void follow(run_t *run)
{
    while (run->waiter.state == WAITER_WAITING && run->interrupts < 2)
        turn(run, UINT64_MAX);
    run->deadline = 0;
    uint64_t drained = rz_now_ms() + DRAIN_MS;
    while (run->waiter.state == WAITER_ENDED && !run->completed_seen && run->interrupts < 2 &&
           rz_now_ms() < drained)
        turn(run, drained);
}

/* ---- the end ---- */

static bool same_text(rz_str_t a, const char *b)
{
    size_t n = strlen(b);
    while (a.n > 0 && (a.p[a.n - 1] == '\n' || a.p[a.n - 1] == ' '))
        a.n--;
    while (n > 0 && (b[n - 1] == '\n' || b[n - 1] == ' '))
        n--;
    return a.n == n && memcmp(a.p, b, n) == 0;
}

/* The last message if the assistant wrote it, NULL otherwise; the caller rz_free()s it. */
static char *final_text(run_t *run)
{
    rz_control_request_t request = { .op = RZ_OP_SESSION_GET, .child = brief.child };
    reply_t reply;
    char *text = NULL;
    if (client_demand(run->client, &request, ANSWER_MS, &reply) != EXIT_DONE)
        return NULL;
    const cJSON *message;
    cJSON_ArrayForEach(message, pick(reply.tree, "session.messages"))
    {
        if (strcmp(pick_text(message, "role"), "assistant") != 0)
            continue;
        rz_free(text);
        text = rz_strdup(pick_text(message, "content"));
    }
    reply_fini(&reply);
    return text;
}

static void print_result_json(run_t *run, const char *status, const char *text)
{
    rz_buf_t line = { 0 };
    const cJSON *reply = run->waiter.reply.tree;
    rz_json_open(&line, '{');
    rz_json_put_str(&line, "type", "result");
    rz_json_put_str(&line, "parent", brief.parent);
    rz_json_put_str(&line, "child", brief.child);
    rz_json_put_str(&line, "status", status);
    if (*pick_text(reply, "activation.error") != '\0')
        rz_json_put_str(&line, "error", pick_text(reply, "activation.error"));
    rz_json_opt_str(&line, "text", text);
    rz_json_put_u64(&line, "elapsed_ms", rz_now_ms() - run->started_at);
    rz_json_close(&line, '}');
    out_json_bytes(rz_buf_str(&line));
    rz_buf_fini(&line);
}

static void print_result(run_t *run, const char *status, const char *text)
{
    char age[16];
    age_text(rz_now_ms() - run->started_at, age);
    finish_line(run);
    if (text != NULL && !same_text(rz_buf_str(&run->streamed), text)) {
        out_text(stdout, text, strlen(text));
        putchar('\n');
        fflush(stdout);
    }
    const char *error = pick_text(run->waiter.reply.tree, "activation.error");
    if (run->timed_out && strcmp(status, "cancelled") == 0)
        say("%s timed out after %" PRIu64 " s (--timeout): cancelled", brief.child, timeout_secs);
    else if (strcmp(status, "completed") != 0)
        say("%s %s after %s%s%s", brief.child, status, age, *error != '\0' ? ": " : "", error);
    else if (!quiet)
        note("%s %s in %s", brief.child, status, age);
}

static outcome_t conclude(run_t *run)
{
    if (run->waiter.state == WAITER_WAITING) {
        finish_line(run);
        say("detached; %s goes on: `rhizome watch %s/%s`, `rhizome wait %s`, `rhizome cancel %s`",
            brief.child, brief.parent, brief.child, brief.child, brief.child);
        return EXIT_INTERRUPTED;
    }
    outcome_t outcome = waiter_outcome(&run->waiter);
    if (run->waiter.state != WAITER_ENDED)
        return outcome;
    const char *status = waiter_status(&run->waiter);
    char *text = outcome == EXIT_DONE ? final_text(run) : NULL;
    (common.json ? print_result_json : print_result)(run, status, text);
    rz_free(text);
    return outcome == EXIT_CANCELLED && run->timed_out ? EXIT_TIMED_OUT : outcome;
}

/* ---- the beginning ---- */

static outcome_t submit(client_t *client, const char *text)
{
    rz_buf_t job = { 0 };
    brief_job(&brief, text, &job);
    rz_control_request_t request = { .op = RZ_OP_SUBMIT, .job = rz_buf_str(&job) };
    reply_t reply;
    outcome_t outcome = client_demand(client, &request, ANSWER_MS, &reply);
    rz_buf_fini(&job);
    if (outcome != EXIT_DONE)
        return outcome;
    const char *waiting = pick_text(reply.tree, "waiting");
    if (*waiting != '\0' && !quiet)
        note("%s waits: %s; `rhizome runner list` tells what is offered, Ctrl-C ends it", brief.child,
             waiting);
    reply_fini(&reply);
    return EXIT_DONE;
}

static outcome_t run_with(run_t *run, const char *text)
{
    char topic[2 * RZ_ID_MAX + 3];
    snprintf(topic, sizeof topic, "%s/%s/", brief.parent, brief.child);
    outcome_t outcome = client_subscribe(run->client, &(const char *){ topic }, 1);
    if (outcome != EXIT_DONE)
        return outcome;
    run->started_at = rz_now_ms();
    outcome = submit(run->client, text);
    if (outcome != EXIT_DONE)
        return outcome;
    run->deadline = timeout_secs > 0 ? run->started_at + timeout_secs * 1000 : 0;
    waiter_init(&run->waiter, brief.child, brief.job);
    follow(run);
    outcome = conclude(run);
    waiter_fini(&run->waiter);
    return outcome;
}

/* From here on Ctrl-C is something that happens to the child, not to us. */
static int catch_interrupts(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static outcome_t run_verb(int argc, char **argv)
{
    (void)argc;
    char *text = NULL;
    if (!brief_complete(&brief) || !text_argument(argv[0], RZ_JOB_MAX / 2, &text))
        return EXIT_USAGE;
    run_t run = { .signal_fd = -1 };
    outcome_t outcome;
    run.client = client_open(&outcome);
    if (run.client != NULL) {
        run.signal_fd = catch_interrupts();
        outcome = run_with(&run, text);
        client_close(&run.client);
        close(run.signal_fd);
    }
    rz_buf_fini(&run.streamed);
    rz_free(text);
    brief_fini(&brief);
    return outcome;
}

const verb_t verb_run = {
    .name = "run",
    .synopsis = "[options] TEXT|-",
    .summary = "run one child, print its tokens as they come and its result",
    .detail =
        "Tokens and the result go to stdout, everything else to stderr. The exit code tells how it ended:\n"
        "0 completed, 1 error, 4 cancelled, 5 timed out, 6 skipped. Ctrl-C cancels and waits for the end;\n"
        "a second Ctrl-C detaches and leaves the child running.",
    .examples = "rhizome run --executor echo \"hello world\"\n"
                "echo \"Summarise README.md\" | rhizome run --role explorer --workspace . -\n"
                "rhizome run --executor echo --json \"hello\" | tail -n 1",
    .options = options,
    .min = 1,
    .max = 1,
    .run = run_verb,
};
