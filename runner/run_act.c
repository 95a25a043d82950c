/* run_act.c - the actions of course.h: from the `run` frame to every way a run can end. */
#include "run_inner.h"

#include "base/log.h"
#include "wire/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ERROR_MAX  ((size_t)16 << 10)   /* of an outcome, in bytes: escaped, it still fits every message */
#define RESULT_MAX (RZ_SESSION_MAX / 2) /* the session it joins still fits a frame */
#define CANCELLED  "Cancelled"
#define SKIPPED    "No pending message to execute" /* rule 8.2 */

void run_let_go(run_t *run, worker_ending_t ending)
{
    if (run->worker != NULL)
        crew_discard(run->worker, ending);
    run->worker = NULL;
    crew_withdraw(run->house->crew, &run->seeker);
}

static void begin(run_t *run)
{
    if (run->begun)
        return;
    rz_buf_t title = { 0 };
    run->begun = true;
    if (run->header.len > 0)
        rz_json_unescape(rz_json_member(rz_buf_str(&run->header), "title"), &title);
    publish_started(run->house->publisher, &run->stream, &run->journal, title.len > 0 ? title.data : NULL);
    journal_start(&run->journal);
    rz_buf_fini(&title);
}

void run_forget_payload(run_t *run)
{
    rz_buf_fini(&run->frame);
    rz_buf_fini(&run->header);
}

static void do_nothing(run_t *run)
{
    (void)run;
}

/* A worker may be leaving in the very moment in which it is given. What it was not told of has not begun, so this is as a
 * connection that failed: once more with another, then it is final (rule 3.8). */
void run_dispatch(run_t *run, worker_t *worker)
{
    bool retried = run->course.state == ACT_RETRYING;
    rz_rc_t rc = worker_send(worker, run->frame.data, run->frame.len);
    if (rc == RZ_OK) {
        run->worker = worker;
        run_feed(run, EV_READY);
        return;
    }
    crew_discard(worker, WORKER_KILL);
    run_set_reason(run, "%sactor run dispatch failed: %s", retried ? "LLM error: " : "", rz_rc_text(rc));
    run_feed(run, EV_CONNECT_FAILED);
}

static void do_run(run_t *run)
{
    begin(run);
    run_forget_payload(run);
    run->since_ms = run_now(run);
    if (run->heartbeat_ms == 0)
        run_beat(run);
    watchdog_start(&run->watchdog, run_now(run));
}

static void do_respawn(run_t *run)
{
    snprintf(run->first_failure, sizeof run->first_failure, "%.*s", (int)sizeof run->first_failure - 1,
             run->reason);
    run_seek(run);
}

/* It may not listen any more: the grace ends that too. A worker that waits for an answer gets one. */
static void do_ask_to_stop(run_t *run)
{
    static const char cancel[] = "{\"kind\":\"cancel\"}";
    worker_send(run->worker, cancel, sizeof cancel - 1);
    run_close_questions(run);
    run->grace_ms = run_now(run) + run->house->settings->cancel_grace_ms;
}

const char *run_error(const run_t *run)
{
    return run->error.len > 0 ? run->error.data : NULL;
}

/* A worker may say as much as a frame holds; what is too long is cut between two characters. */
static void keep_error(run_t *run, const char *error)
{
    size_t n = strlen(error), kept = n;
    if (n > ERROR_MAX)
        for (kept = ERROR_MAX; kept > 0 && ((unsigned char)error[kept] & 0xc0) == 0x80;)
            kept--;
    rz_buf_put(&run->error, error, kept);
    if (kept < n)
        rz_buf_printf(&run->error, " ... (cut, %zu bytes)", n);
}

/* Who did not heed a frame in all its grace may still heed a signal, and clean up. */
static worker_ending_t ending_after(course_event_t event)
{
    return event == EV_GRACE_OVER ? WORKER_TERMINATE : WORKER_KILL;
}

/* Every end comes through here. error NULL: none. */
static void end(run_t *run, const char *status, const char *error)
{
    run_close_questions(run);
    run_let_go(run, ending_after(run->fed));
    run->status = status;
    if (error != NULL)
        keep_error(run, error);
    if (!run->unprepared)
        begin(run);
    journal_start(&run->journal);
    run_forget_payload(run);
    publish_prepare_completed(&run->stream, &run->journal, status, run_error(run), &run->last_header,
                              &run->last_event);
    journal_end(&run->journal);
    rz_log_debug("run.end", "child=%s epoch=%" PRIu64 " status=%s error=%s", run_child(run), run_epoch(run),
                 status, error != NULL ? error : "");
}

static void end_completed(run_t *run, bool worker_is_clean)
{
    rz_str_t result = run->told->result;
    if (result.n > RESULT_MAX) {
        run_set_reason(run, "LLM error: the result has %zu bytes, at most %zu are kept", result.n,
                       RESULT_MAX);
        end(run, "error", run->reason);
        return;
    }
    if (rz_json_kind(result) == '"' && result.n > 2)
        rz_message_encode(RZ_ROLE_ASSISTANT, NULL, result, NULL, &run->reply);
    if (worker_is_clean) {
        crew_give_back(run->house->crew, run->worker);
        run->worker = NULL;
    }
    end(run, "completed", NULL);
}

/* The worker lives and says that it failed: what the kernel did to its program, only the runner knows. */
static void end_error(run_t *run, const char *text)
{
    rz_buf_t error = { 0 };
    rz_buf_printf(&error, "LLM error: %s%s", text, worker_shortage(run->worker));
    end(run, "error", error.data);
    rz_buf_fini(&error);
}

static void do_end_as_told(run_t *run)
{
    switch (run->told->status) {
    case RZ_WORKER_COMPLETED:
        end_completed(run, true);
        return;
    case RZ_WORKER_CANCELLED:
        end(run, "cancelled", CANCELLED);
        return;
    case RZ_WORKER_SUSPENDED:
        end_error(run, "actor child suspended, which is not served");
        return;
    case RZ_WORKER_ERROR:
        end_error(run, run->told->error != NULL ? run->told->error : "actor child errored");
        return;
    }
}

static void do_end_asked(run_t *run)
{
    if (run->told->status == RZ_WORKER_COMPLETED)
        end_completed(run, false);
    else
        end(run, "cancelled", CANCELLED);
}

static void do_end_failed(run_t *run)
{
    end(run, "error", run->reason);
}

static void do_end_cancelled(run_t *run)
{
    end(run, "cancelled", CANCELLED);
}

static void do_end_timed_out(run_t *run)
{
    end(run, "timeout", run->reason);
}

static void do_end_stopped(run_t *run)
{
    end(run, "error", "runner stopped");
}

static void do_end_skipped(run_t *run)
{
    end(run, "skipped", SKIPPED);
}

static void do_release(run_t *run)
{
    run_let_go(run, WORKER_KILL);
    journal_release(&run->journal);
}

/* What it said so far is in the log; a worker that waits for an answer gets one. */
static void do_give_up(run_t *run)
{
    run_close_questions(run);
    run->gives_up = true;
    do_release(run);
}

static void do_abandon(run_t *run)
{
    run_let_go(run, WORKER_KILL);
    run->house->counters.fenced++;
    rz_log_info("run.fenced", "child=%s epoch=%" PRIu64, run_child(run), run_epoch(run));
}

static void do_complete(run_t *run)
{
    run->house->counters.ended++;
    publish_completed(run->house->publisher, &run->stream, rz_buf_str(&run->last_header),
                      rz_buf_str(&run->last_event));
}

static void do_forget(run_t *run)
{
    rz_log_debug("run.released", "child=%s epoch=%" PRIu64, run_child(run), run_epoch(run));
}

static void (*const actions[])(run_t *run) = {
    [DO_NOTHING] = do_nothing,
    [DO_RUN] = do_run,
    [DO_RESPAWN] = do_respawn,
    [DO_ASK_TO_STOP] = do_ask_to_stop,
    [DO_END_AS_TOLD] = do_end_as_told,
    [DO_END_ASKED] = do_end_asked,
    [DO_END_FAILED] = do_end_failed,
    [DO_END_CANCELLED] = do_end_cancelled,
    [DO_END_TIMED_OUT] = do_end_timed_out,
    [DO_END_STOPPED] = do_end_stopped,
    [DO_END_SKIPPED] = do_end_skipped,
    [DO_RELEASE] = do_release,
    [DO_GIVE_UP] = do_give_up,
    [DO_ABANDON] = do_abandon,
    [DO_COMPLETE] = do_complete,
    [DO_FORGET] = do_forget,
};

void run_feed(run_t *run, course_event_t event)
{
    course_state_t before = run->course.state;
    bool was_open = run_is_open(run);
    course_action_t action = course_feed(&run->course, event);
    rz_log_debug("run.event", "child=%s epoch=%" PRIu64 " state=%s event=%s next=%s", run_child(run),
                 run_epoch(run), course_state_name(before), course_event_name(event),
                 course_state_name(run->course.state));
    if (was_open && !run_is_open(run)) {
        rooms_leave(&run->guest);
        run->house->on_slot_free(run->house->arg);
    }
    run_touch(run);
    run->fed = event;
    actions[action](run); /* last: an action may feed again */
}
