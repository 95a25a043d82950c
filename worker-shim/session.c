/* session.c - the session executor: one program for all runs of this worker, so that what takes long to start
 * starts once.
 *
 * The program is started before the worker registers: an interpreter comes up while the runner still waits for
 * the record and connects. What may happen to it is duty.h's table; here its actions are carried out.
 *
 * What is told of a run is kept until its program has read that and speaks: until then it may have to be told to another. */
#include "base/log.h"
#include "base/timer.h"
#include "duty.h"
#include "program.h"
#include "talk.h"
#include "tell.h"
#include "terminal.h"

#include <inttypes.h>
#include <string.h>

#define CANCEL_GRACE_MS 2000 /* from the cancel line to TERM                                   */
#define KILL_GRACE_MS   (STOP_GRACE_MS - CANCEL_GRACE_MS) /* in all no longer than `command`   */
#define LEAVE_GRACE_MS  500 /* from TERM to KILL when the worker ends: its runner gives it 1 s */

struct lasting {
    const setting_t *setting;
    duty_t duty;
    talk_t *talk;          /* NULL once the program has ended                             */
    char *why;             /* why it has, then                                            */
    execution_t *active;   /* NULL between runs                                           */
    uint64_t run;          /* the number of the active run, or of the last one            */
    rz_timer_t *grace;     /* runs from a cancel on                                       */
    rz_buf_t told;         /* lines of the active run, as long as they may be told again  */
    const outcome_t *said; /* lent while a terminal is taken                            */
    bool late_told;        /* during this run                                             */
    bool served;           /* its program has ended a run before                          */
    bool left, closing;
};

struct execution {
    lasting_t *session;
    sink_t sink;
};

static void feed(lasting_t *session, duty_event_t event); /* a start that fails is an event as well */

/* ---- telling ---- */

static void log_dropped_steering(rz_rc_t rc, size_t bytes)
{
    rz_log_warn("steering.dropped", "reason=%s bytes=%zu", rz_rc_name(rc), bytes);
}

/* When its stdin is closed its end is near: it was seen to close it, or to exit. */
static void tell_the_run(lasting_t *session)
{
    rz_str_t lines = rz_buf_str(&session->told);
    size_t n = (size_t)((const char *)memchr(lines.p, '\n', lines.n) - lines.p) + 1;
    rz_str_t run = { lines.p, n }, steering = { lines.p + n, lines.n - n };
    talk_begin_run(session->talk);
    if (talk_tell(session->talk, run) == RZ_FULL) {
        rz_buf_fini(&session->told); /* not told again: another would not read it either */
        talk_break(session->talk, "does not read its stdin");
    } else if (steering.n > 0 && talk_tell(session->talk, steering) == RZ_FULL) {
        log_dropped_steering(RZ_FULL, steering.n);
    }
}

/* One that does not read does not hear this either: the grace deals with it. */
static void ask_to_stop(lasting_t *session)
{
    rz_buf_t line = { 0 };
    tell_cancel(&line, session->run);
    talk_tell(session->talk, rz_buf_str(&line));
    rz_buf_fini(&line);
    rz_timer_start(session->grace, CANCEL_GRACE_MS, 0);
}

/* ---- the end of a run, and of all ---- */

/* A run that waited at the desk may begin inside this. */
static void finish(lasting_t *session, const outcome_t *outcome)
{
    execution_t *run = session->active;
    session->active = NULL;
    rz_timer_stop(session->grace);
    rz_buf_fini(&session->told);
    if (session->talk != NULL)
        talk_end_run(session->talk);
    run->sink.finish(run->sink.arg, outcome);
}

static void leave(lasting_t *session)
{
    if (session->left)
        return;
    session->left = true;
    session->setting->on_gone(session->setting->arg, session->why);
}

static void finish_and_leave(lasting_t *session, rz_worker_status_t status, const char *error)
{
    outcome_t outcome = { .status = status, .error = error };
    finish(session, &outcome);
    leave(session);
}

/* ---- what the program says ---- */

static void on_event(void *arg, rz_str_t event)
{
    lasting_t *session = arg;
    if (session->told.len > 0 && talk_took_run(session->talk))
        rz_buf_fini(&session->told);
    session->active->sink.event(session->active->sink.arg, event);
}

/* A run that is being stopped is not slowed down: its last words must be seen within the grace. */
static size_t on_backlog(void *arg)
{
    lasting_t *session = arg;
    const execution_t *run = session->active;
    return run != NULL && duty_serves(&session->duty) ? run->sink.backlog(run->sink.arg) : 0;
}

static void end_run(lasting_t *session, const outcome_t *outcome)
{
    session->said = outcome;
    session->served = true;
    feed(session, DUTY_ON_TERMINAL);
    session->said = NULL;
}

/* It takes the run for ended, and so it has. */
static void end_run_badly(lasting_t *session, const rz_err_t *err)
{
    rz_buf_t text = { 0 };
    rz_buf_printf(&text, "%s ended its run with a bad terminal: %s (%s)", session->setting->program.command,
                  err->text, rz_rc_name(err->rc));
    outcome_t outcome = { .status = RZ_WORKER_ERROR, .error = text.data };
    end_run(session, &outcome);
    rz_buf_fini(&text);
}

static void end_run_as_told(lasting_t *session, const terminal_t *terminal)
{
    rz_buf_t result = { 0 };
    outcome_t outcome = { .status = terminal->frame.status,
                          .result = terminal->frame.result,
                          .error = terminal->frame.error };
    if (outcome.status == RZ_WORKER_COMPLETED && outcome.result.n == 0) {
        talk_result(session->talk, &result);
        outcome.result = rz_buf_str(&result);
    }
    end_run(session, &outcome);
    rz_buf_fini(&result);
}

static void drop_late(lasting_t *session, uint64_t run)
{
    if (!session->late_told)
        rz_log_warn("output.dropped", "reason=\"a terminal of run %" PRIu64 " in run %" PRIu64 "\"", run,
                    session->run);
    session->late_told = true;
}

static void on_terminal(void *arg, rz_str_t line)
{
    lasting_t *session = arg;
    terminal_t terminal;
    rz_err_t err = { 0 };
    if (terminal_decode(line, &terminal, &err) != RZ_OK) {
        end_run_badly(session, &err);
        return;
    }
    if (terminal.run != 0 && terminal.run != session->run)
        drop_late(session, terminal.run);
    else
        end_run_as_told(session, &terminal);
    terminal_fini(&terminal);
}

/* ---- life ---- */

static void free_session(lasting_t *session)
{
    talk_close(&session->talk);
    rz_timer_close(&session->grace);
    rz_buf_fini(&session->told);
    rz_free(session->why);
    rz_free(session);
}

/* What it has not read it cannot have begun. Nor has one that was done with another run, and leaves as if nothing were left to
 * do, begun what it says nothing of: a thread of it may still have read. One that is killed for what it did before it served
 * anybody would be killed again. */
static bool has_lost_run(const lasting_t *session, bool clean)
{
    if (session->told.len == 0)
        return false; /* it spoke */
    if (talk_took_run(session->talk))
        return clean && session->served;
    return session->served || !talk_is_broken(session->talk);
}

static void on_end(void *arg, bool clean, const char *why)
{
    lasting_t *session = arg;
    if (session->closing) {
        free_session(session);
        return;
    }
    bool lost = has_lost_run(session, clean);
    rz_free(session->why);
    session->why = rz_strdup(why);
    talk_close(&session->talk);
    feed(session, lost ? DUTY_ON_LOST : DUTY_ON_END);
}

static void on_grace_over(void *arg)
{
    feed(arg, DUTY_ON_GRACE_OVER);
}

static void start(lasting_t *session)
{
    talk_listener_t listener = { .on_event = on_event,
                                 .on_terminal = on_terminal,
                                 .on_end = on_end,
                                 .backlog = on_backlog,
                                 .arg = session };
    rz_err_t err = { 0 };
    session->served = false;
    session->talk = talk_open(session->setting, &listener, &err);
    if (session->talk != NULL)
        return;
    rz_free(session->why);
    session->why = rz_strdup(err.text);
    feed(session, DUTY_ON_END);
}

/* It has the whole run before it from the beginning. */
static void start_again(lasting_t *session)
{
    rz_log_warn("session.started_again", "run=%" PRIu64 " reason=\"%s\"", session->run, session->why);
    start(session);
    if (session->talk != NULL)
        tell_the_run(session);
}

/* ---- what is to be done ---- */

static void act(lasting_t *session, duty_action_t action)
{
    switch (action) {
    case DUTY_TELL_RUN:
        tell_the_run(session);
        break;
    case DUTY_START:
        start_again(session);
        break;
    case DUTY_TELL_CANCEL:
        ask_to_stop(session);
        break;
    case DUTY_STOP:
        talk_stop(session->talk, KILL_GRACE_MS);
        break;
    case DUTY_FINISH_AS_TOLD:
        finish(session, session->said);
        break;
    case DUTY_FINISH_FAILED:
        finish_and_leave(session, RZ_WORKER_ERROR, session->why);
        break;
    case DUTY_FINISH_STOPPED:
        finish_and_leave(session, RZ_WORKER_CANCELLED, NULL);
        break;
    case DUTY_NOTHING:
    case DUTY_AWAIT_RUN:
        break;
    }
}

static void feed(lasting_t *session, duty_event_t event)
{
    duty_state_t before = session->duty.state;
    duty_action_t action = duty_feed(&session->duty, event);
    rz_log_debug("session.event", "state=%s event=%s next=%s run=%" PRIu64, duty_state_name(before),
                 duty_event_name(event), duty_state_name(session->duty.state), session->run);
    act(session, action);
}

/* ---- from its first start to the end of the worker ---- */

static lasting_t *session_open(const setting_t *setting)
{
    lasting_t *session = rz_alloc(sizeof(*session));
    session->setting = setting;
    session->grace = rz_timer_open(setting->loop, on_grace_over, session);
    start(session);
    return session;
}

/* The memory goes with the program, which gets TERM and a moment. */
static void session_close(lasting_t **session_ref)
{
    lasting_t *session = *session_ref;
    if (session == NULL)
        return;
    *session_ref = NULL;
    session->closing = true;
    if (session->talk != NULL)
        talk_stop(session->talk, LEAVE_GRACE_MS);
    else
        free_session(session);
}

/* ---- one run ---- */

static execution_t *session_create(const setting_t *setting, const sink_t *sink)
{
    execution_t *run = rz_alloc(sizeof(*run));
    run->session = setting->lasting;
    run->sink = *sink;
    return run;
}

static void session_start(execution_t *run, const rz_parent_frame_t *frame, rz_str_t bytes)
{
    (void)frame;
    lasting_t *session = run->session;
    session->active = run;
    session->run++;
    session->late_told = false;
    tell_run(&session->told, bytes, session->run);
    feed(session, DUTY_ON_RUN);
}

static void session_steer(execution_t *run, const char *text)
{
    lasting_t *session = run->session;
    rz_buf_t line = { 0 };
    tell_message(&line, text, session->run);
    rz_rc_t rc = duty_serves(&session->duty) ? talk_tell(session->talk, rz_buf_str(&line)) : RZ_STATE;
    bool again = session->told.len > 0 && (rc == RZ_OK || rc == RZ_CLOSED);
    if (again)
        rz_buf_put(&session->told, line.data, line.len);
    else if (rc != RZ_OK)
        log_dropped_steering(rc, line.len);
    rz_buf_fini(&line);
}

static void session_cancel(execution_t *run)
{
    feed(run->session, DUTY_ON_CANCEL);
}

/* Before the end of its run only when the worker ends: session_close() follows and stops the program. */
static void session_destroy(execution_t **execution)
{
    execution_t *run = *execution;
    if (run == NULL)
        return;
    if (run->session->active == run) {
        run->session->active = NULL;
        talk_end_run(run->session->talk);
    }
    rz_free(run);
    *execution = NULL;
}

const executor_t session_executor = {
    .create = session_create,
    .start = session_start,
    .steer = session_steer,
    .cancel = session_cancel,
    .destroy = session_destroy,
    .open = session_open,
    .close = session_close,
};
