/* verb_submit.c - `rhizome submit`: spawn jobs as they are, one or many, each answered by its receipt. */
#include "activation.h"
#include "client.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#define INPUT_MAX  ((size_t)1 << 30)
#define FLIGHT_MAX 128   /* jobs sent and not yet answered */
#define SILENCE_MS 10000 /* no answer for this long: what is under way is unknown */

typedef struct {
    client_t *client;
    rz_str_t rest; /* input not yet sent: one JSON text, or one a line */
    uint64_t line; /* of the job sent last */
    size_t in_flight;
    uint64_t accepted, refused;
    outcome_t outcome;
} batch_t;

/* The next job: a line that is not empty. False at the end. */
static bool next_job(batch_t *batch, rz_str_t *job)
{
    while (batch->rest.n > 0) {
        const char *end = memchr(batch->rest.p, '\n', batch->rest.n);
        size_t n = end != NULL ? (size_t)(end - batch->rest.p) : batch->rest.n;
        *job = (rz_str_t){ batch->rest.p, n };
        size_t used = n + (end != NULL);
        batch->rest = (rz_str_t){ batch->rest.p + used, batch->rest.n - used };
        batch->line++;
        while (job->n > 0 && (job->p[job->n - 1] == '\r' || job->p[job->n - 1] == ' '))
            job->n--;
        if (job->n > 0)
            return true;
    }
    return false;
}

static void note_failure(batch_t *batch, outcome_t outcome)
{
    batch->refused++;
    batch->outcome = outcome_worse(batch->outcome, outcome);
}

static void send_job(batch_t *batch, rz_str_t job)
{
    rz_err_t err = { 0 };
    if (rz_json_check(job.p, job.n, RZ_SESSION_MAX + RZ_JOB_MAX, &err) != RZ_OK) {
        say("job %" PRIu64 ": %s (%s)", batch->line, err.text, rz_rc_name(err.rc));
        note_failure(batch, EXIT_USAGE);
        return;
    }
    rz_control_request_t request = { .op = RZ_OP_SUBMIT, .job = job };
    if (client_send(batch->client, &request) != 0)
        batch->in_flight++;
    else
        note_failure(batch, EXIT_UNAVAILABLE);
}

static void print_receipt(const reply_t *reply)
{
    const cJSON *activation = pick(reply->tree, "activation");
    const char *waiting = pick_text(reply->tree, "waiting");
    if (common.json) {
        out_json_bytes(rz_buf_str(&reply->bytes));
        return;
    }
    out_text(stdout, pick_text(activation, "child"), strlen(pick_text(activation, "child")));
    printf(" %s%s%s%s%s\n", activation_word(activation),
           reply->code == RZ_DUPLICATE ? " (known already)" : "", *waiting != '\0' ? " (" : "", waiting,
           *waiting != '\0' ? ")" : "");
}

static void on_reply(batch_t *batch, const reply_t *reply)
{
    batch->in_flight--;
    if (reply->code == RZ_OK || reply->code == RZ_DUPLICATE) {
        batch->accepted++;
        print_receipt(reply);
        if (reply->code == RZ_OK) /* one that is known already had its time */
            batch->outcome =
                outcome_worse(batch->outcome, activation_ended_at_once(pick(reply->tree, "activation")));
        return;
    }
    if (common.json)
        out_json_bytes(rz_buf_str(&reply->bytes));
    const char *child = pick_text(reply->tree, "activation.child");
    if (*child != '\0')
        say("%s:", child);
    note_failure(batch, reply_refused(reply));
}

static void submit_all(batch_t *batch)
{
    uint64_t heard_at = rz_now_ms();
    bool more = true;
    while (more || batch->in_flight > 0) {
        rz_str_t job;
        while (more && batch->in_flight < FLIGHT_MAX && (more = next_job(batch, &job)))
            send_job(batch, job);
        reply_t reply = { 0 };
        event_t event = { 0 };
        if (batch->in_flight > 0 && client_next(batch->client, -1, 100, &reply, &event) == CAME_REPLY) {
            on_reply(batch, &reply);
            reply_fini(&reply);
            heard_at = rz_now_ms();
        } else if (batch->in_flight > 0 && rz_now_ms() - heard_at > SILENCE_MS) {
            say("the broker went silent with %zu jobs under way: repeat those that carry a job_id",
                batch->in_flight);
            batch->outcome = outcome_worse(batch->outcome, EXIT_UNAVAILABLE);
            return;
        }
    }
}

/* A file may be one document over several lines; then its lines are no jobs of their own. */
static bool is_one_document(rz_str_t text)
{
    return rz_json_check(text.p, text.n, 0, NULL) == RZ_OK;
}

static void flatten(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n' || text[i] == '\r')
            text[i] = ' '; /* outside strings: checked JSON has no raw newline in them */
}

static outcome_t submit_verb(int argc, char **argv)
{
    char *text = NULL;
    size_t len = 0;
    (void)argc;
    if (argv[0][0] == '{') {
        len = strlen(argv[0]);
        text = rz_strndup(argv[0], len);
    } else if (!file_argument(argv[0], INPUT_MAX, &text, &len)) {
        return EXIT_USAGE;
    }
    if (is_one_document((rz_str_t){ text, len }))
        flatten(text, len);
    outcome_t outcome;
    batch_t batch = { .rest = { text, len }, .client = client_open(&outcome) };
    if (batch.client != NULL) {
        submit_all(&batch);
        if (batch.accepted + batch.refused > 1)
            note("%" PRIu64 " accepted, %" PRIu64 " refused", batch.accepted, batch.refused);
        client_close(&batch.client);
    } else {
        batch.outcome = outcome;
    }
    rz_free(text);
    return batch.outcome;
}

const verb_t verb_submit = {
    .name = "submit",
    .synopsis = "JSON|FILE|-",
    .summary = "hand over spawn jobs and print a receipt for each",
    .detail =
        "The argument is one job as JSON, a file, or - for standard input; files and input hold one job, or one\n"
        "a line. Each receipt tells the state: `queued`, `assigned`, or how it ended at once, and why. The exit code is\n"
        "that of the worst: 4 for one that was cancelled at once, because its parent was with its tree; 1 for an error.",
    .examples =
        "rhizome submit '{\"parent_session_id\":\"p\",\"child_session_id\":\"c\",\"session\":{\"id\":\"c\",\n"
        "  \"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]},\"require\":{\"profile\":\"echo\"}}'\n"
        "rhizome submit jobs.ndjson\n"
        "generate-jobs | rhizome submit --json -",
    .min = 1,
    .max = 1,
    .run = submit_verb,
};
