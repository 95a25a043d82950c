/* command.c - the command executor: one program per run, which ends with it. */
#include "base/log.h"
#include "program.h"
#include "talk.h"
#include "tell.h"

struct execution {
    const setting_t *setting;
    sink_t sink;
    talk_t *talk;
    bool cancelled; /* what it says from then on is not passed on */
};

static execution_t *command_create(const setting_t *setting, const sink_t *sink)
{
    execution_t *run = rz_alloc(sizeof(*run));
    run->setting = setting;
    run->sink = *sink;
    return run;
}

static void command_destroy(execution_t **execution)
{
    execution_t *run = *execution;
    if (run == NULL)
        return;
    talk_close(&run->talk);
    rz_free(run);
    *execution = NULL;
}

/* ---- what it says ---- */

static void on_event(void *arg, rz_str_t event)
{
    execution_t *run = arg;
    if (!run->cancelled)
        run->sink.event(run->sink.arg, event);
}

static size_t on_backlog(void *arg)
{
    execution_t *run = arg;
    return run->cancelled ? 0 : run->sink.backlog(run->sink.arg);
}

static void finish(execution_t *run, rz_worker_status_t status, const char *error)
{
    outcome_t outcome = { .status = status, .error = error };
    run->sink.finish(run->sink.arg, &outcome);
}

static void finish_completed(execution_t *run)
{
    rz_buf_t result = { 0 };
    talk_result(run->talk, &result);
    outcome_t outcome = { .status = RZ_WORKER_COMPLETED, .result = rz_buf_str(&result) };
    run->sink.finish(run->sink.arg, &outcome);
    rz_buf_fini(&result);
}

static void on_end(void *arg, bool clean, const char *why)
{
    execution_t *run = arg;
    if (run->cancelled)
        finish(run, RZ_WORKER_CANCELLED, NULL);
    else if (clean)
        finish_completed(run);
    else
        finish(run, RZ_WORKER_ERROR, why);
}

/* ---- what it is told ---- */

static void command_start(execution_t *run, const rz_parent_frame_t *frame, rz_str_t bytes)
{
    (void)frame;
    talk_listener_t listener = { .on_event = on_event, .on_end = on_end, .backlog = on_backlog, .arg = run };
    rz_err_t err = { 0 };
    run->talk = talk_open(run->setting, &listener, &err);
    if (run->talk == NULL) {
        finish(run, RZ_WORKER_ERROR, err.text);
        return;
    }
    rz_buf_t line = { 0 };
    tell_run(&line, bytes, 0);
    talk_begin_run(run->talk);
    talk_tell(run->talk, rz_buf_str(&line)); /* nothing is queued yet: it has room */
    rz_buf_fini(&line);
}

/* A program that closed its stdin does not want to be steered: no failure. */
static void command_steer(execution_t *run, const char *text)
{
    rz_buf_t line = { 0 };
    tell_message(&line, text, 0);
    rz_rc_t rc = run->cancelled ? RZ_CLOSED : talk_tell(run->talk, rz_buf_str(&line));
    if (rc != RZ_OK)
        rz_log_warn("steering.dropped", "reason=%s bytes=%zu", rz_rc_name(rc), line.len);
    rz_buf_fini(&line);
}

static void command_cancel(execution_t *run)
{
    if (run->cancelled)
        return;
    run->cancelled = true;
    talk_stop(run->talk, STOP_GRACE_MS);
}

const executor_t command_executor = {
    .create = command_create,
    .start = command_start,
    .steer = command_steer,
    .cancel = command_cancel,
    .destroy = command_destroy,
};
