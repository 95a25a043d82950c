/* command.c - the command executor: one program per run, spoken to in JSON lines.
 *
 * Its stdin gets the run frame as one line and every steering message as one more; its stdout is read by
 * transcript.h; its stderr goes to ours, and its last lines into the error of a run that fails. */
#include "base/log.h"
#include "base/timer.h"
#include "executor.h"
#include "lasts.h"
#include "program.h"
#include "relay.h"
#include "transcript.h"

#include <string.h>

#define RETRY_MS 5 /* pause while the connection is behind */

struct execution {
    const setting_t *setting;
    sink_t sink;
    program_t *program;
    transcript_t transcript;
    lasts_t lasts;
    rz_timer_t *retry; /* reads on after the connection was behind; opened when first needed */
    bool cancelled;
    bool line_too_long;
};

static void on_event(void *arg, rz_str_t event)
{
    execution_t *run = arg;
    if (!run->cancelled)
        run->sink.event(run->sink.arg, event);
}

static execution_t *command_create(const setting_t *setting, const sink_t *sink)
{
    execution_t *run = rz_alloc(sizeof(*run));
    run->setting = setting;
    run->sink = *sink;
    run->transcript.event = on_event;
    run->transcript.arg = run;
    return run;
}

static void command_destroy(execution_t **execution)
{
    execution_t *run = *execution;
    if (run == NULL)
        return;
    program_destroy(&run->program);
    rz_timer_close(&run->retry);
    transcript_fini(&run->transcript);
    rz_buf_fini(&run->lasts.bytes);
    rz_free(run);
    *execution = NULL;
}

/* ---- how it ended ---- */

static void finish_error(execution_t *run, const char *text)
{
    outcome_t outcome = { .status = RZ_WORKER_ERROR, .error = text };
    run->sink.finish(run->sink.arg, &outcome);
}

static void finish_completed(execution_t *run)
{
    rz_buf_t result = { 0 };
    transcript_result(&run->transcript, &result);
    outcome_t outcome = { .status = RZ_WORKER_COMPLETED, .result = rz_buf_str(&result) };
    run->sink.finish(run->sink.arg, &outcome);
    rz_buf_fini(&result);
}

/* "<command> exited with status 3: <last lines of stderr>" */
static void describe(const execution_t *run, const program_end_t *end, rz_buf_t *out)
{
    const char *command = run->setting->program.command;
    if (end->exec_errno != 0) {
        rz_buf_printf(out, "cannot execute %s: %s", command, strerror(end->exec_errno));
        return;
    }
    if (run->line_too_long) {
        rz_buf_printf(out, "%s wrote a line longer than %zu bytes", command, LINE_MAX_BYTES);
        return;
    }
    if (end->signal != 0)
        rz_buf_printf(out, "%s was killed by signal %d", command, end->signal);
    else
        rz_buf_printf(out, "%s exited with status %d", command, end->status);
    size_t bare = out->len;
    rz_buf_puts(out, ": ");
    size_t start = out->len;
    lasts_text(&run->lasts, out);
    if (out->len == start) {
        out->len = bare;
        out->data[bare] = '\0';
    }
}

static void on_end(void *arg, const program_end_t *end)
{
    execution_t *run = arg;
    if (run->cancelled) {
        outcome_t outcome = { .status = RZ_WORKER_CANCELLED };
        run->sink.finish(run->sink.arg, &outcome);
        return;
    }
    if (!run->line_too_long)
        transcript_end(&run->transcript);
    bool clean = end->exec_errno == 0 && end->signal == 0 && end->status == 0 && !run->line_too_long;
    if (clean) {
        finish_completed(run);
        return;
    }
    rz_buf_t text = { 0 };
    describe(run, end, &text);
    finish_error(run, text.data);
    rz_buf_fini(&text);
}

/* ---- what it says ---- */

static void on_retry(void *arg)
{
    execution_t *run = arg;
    if (run->sink.backlog(run->sink.arg) > BACKLOG_HIGH)
        rz_timer_start(run->retry, RETRY_MS, 0);
    else
        program_pause(run->program, false);
}

static void slow_down(execution_t *run)
{
    if (run->sink.backlog(run->sink.arg) <= BACKLOG_HIGH)
        return;
    if (run->retry == NULL)
        run->retry = rz_timer_open(run->setting->loop, on_retry, run);
    program_pause(run->program, true);
    rz_timer_start(run->retry, RETRY_MS, 0);
}

static void on_output(void *arg, const char *bytes, size_t n)
{
    execution_t *run = arg;
    if (run->cancelled || run->line_too_long)
        return;
    if (transcript_feed(&run->transcript, bytes, n) == RZ_TOO_LARGE) {
        run->line_too_long = true;
        program_kill(run->program);
        return;
    }
    slow_down(run);
}

static void on_diagnostics(void *arg, const char *bytes, size_t n)
{
    execution_t *run = arg;
    relay_stderr(bytes, n);
    lasts_add(&run->lasts, bytes, n);
}

/* ---- what it is told ---- */

/* A frame may have been laid out over several lines. Inside strings JSON has no raw line breaks, so turning
 * all of them into spaces changes layout only. */
static void tell_frame(execution_t *run, rz_str_t frame)
{
    rz_buf_t line = { 0 };
    rz_buf_put_str(&line, frame);
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] == '\n' || line.data[i] == '\r')
            line.data[i] = ' ';
    rz_buf_putc(&line, '\n');
    program_write(run->program, rz_buf_str(&line));
    rz_buf_fini(&line);
}

static void command_start(execution_t *run, const rz_parent_frame_t *frame, rz_str_t bytes)
{
    (void)frame;
    program_listener_t listener = {
        .on_output = on_output, .on_diagnostics = on_diagnostics, .on_end = on_end, .arg = run
    };
    const setting_t *setting = run->setting;
    rz_err_t err = { 0 };
    run->program = program_start(setting->loop, &setting->program, &listener, &err);
    if (run->program == NULL)
        finish_error(run, err.text);
    else
        tell_frame(run, bytes);
}

static void command_steer(execution_t *run, const char *text)
{
    rz_parent_frame_t message = { .kind = RZ_PARENT_MESSAGE, .text = text };
    rz_buf_t line = { 0 };
    rz_parent_frame_encode(&message, &line);
    rz_buf_putc(&line, '\n');
    rz_rc_t rc = run->cancelled ? RZ_CLOSED : program_write(run->program, rz_buf_str(&line));
    if (rc != RZ_OK)
        rz_log_warn("steering.dropped", "reason=%s bytes=%zu", rz_rc_name(rc), line.len);
    rz_buf_fini(&line);
}

static void command_cancel(execution_t *run)
{
    if (run->cancelled)
        return;
    run->cancelled = true;
    program_pause(run->program, false); /* so that the end of its output is seen */
    program_stop(run->program);
}

const executor_t command_executor = {
    .create = command_create,
    .start = command_start,
    .steer = command_steer,
    .cancel = command_cancel,
    .destroy = command_destroy,
};
