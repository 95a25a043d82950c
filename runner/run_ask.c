/* run_ask.c - what a run's worker asks before it acts, and who answers (rule 4.4): a person, by way of a broker, if the
 * profile says so; else nobody, and then the answer is no. Every question ends in one reply and one event. */
#include "run_inner.h"

#include "base/clock.h"
#include "base/log.h"

#define REQUESTED "child_approval_requested"
#define CHANGED   "child_approval_changed"
#define AROUND    512 /* bytes of an event of ours beside what the worker said */

/* ---- what is told ---- */

static void publish_event(run_t *run, const char *type, rz_buf_t *event)
{
    publish_worker_event(run->house->publisher, &run->stream, &run->journal, type, rz_buf_str(event));
    progress_hear(&run->progress, type, rz_buf_str(event), rz_wall_us());
    rz_buf_fini(event);
}

static void open_event(run_t *run, const char *type, const char *id, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "type", type);
    rz_json_put_str(out, "child_session_id", run_child(run));
    rz_json_put_str(out, "request_id", id);
}

/* What is missing reads as "" (rule 4.4). */
static void put_text(rz_buf_t *out, rz_str_t body, const char *key)
{
    rz_str_t value = rz_json_member(body, key);
    rz_json_put_raw(out, key, rz_json_kind(value) == '"' ? value : RZ_STR("\"\""));
}

static void tell_request(run_t *run, const rz_child_frame_t *asked)
{
    rz_buf_t event = { 0 };
    open_event(run, REQUESTED, asked->id, &event);
    put_text(&event, asked->body, "tool_name");
    put_text(&event, asked->body, "permission");
    put_text(&event, asked->body, "resource");
    rz_json_close(&event, '}');
    publish_event(run, REQUESTED, &event);
}

static void tell_decision(run_t *run, const char *id, bool approved, const char *by)
{
    rz_buf_t event = { 0 };
    open_event(run, CHANGED, id, &event);
    rz_json_put_bool(&event, "approved", approved);
    rz_json_put_str(&event, "by", by);
    rz_json_close(&event, '}');
    publish_event(run, CHANGED, &event);
}

/* ---- answers ---- */

static rz_rc_t reply(const run_t *run, const char *id, bool approved)
{
    rz_parent_frame_t answer = { .kind = RZ_PARENT_APPROVAL_REPLY, .id = id, .approved = approved };
    rz_buf_t frame = { 0 };
    if (run->worker == NULL)
        return RZ_CLOSED;
    rz_parent_frame_encode(&answer, &frame);
    rz_rc_t rc = worker_send(run->worker, frame.data, frame.len);
    rz_buf_fini(&frame);
    return rc;
}

static rz_rc_t decide(run_t *run, const char *id, bool approved, const char *by)
{
    rz_rc_t rc = reply(run, id, approved);
    tell_decision(run, id, approved, by);
    run_touch(run);
    return rc;
}

static void refuse(run_t *run, const char *id, const char *by)
{
    decide(run, id, false, by);
    if (run_is_worth_a_line(++run->house->counters.refused))
        rz_log_info("run.refused_approval", "child=%s id=%s by=%s", run_child(run), id, by);
}

/* ---- questions ---- */

static bool may_be_asked(const run_t *run, const rz_child_frame_t *asked)
{
    return run->agent->asks_approval && asked->body.n + AROUND <= run->house->settings->event_max;
}

void run_ask(run_t *run, const rz_child_frame_t *asked)
{
    watchdog_heard(&run->watchdog, run_now(run));
    if (run->course.state != ACT_RUNNING) {
        refuse(run, asked->id, "end"); /* it was asked to stop */
        return;
    }
    question_asked_t is = QUESTION_REFUSED;
    if (may_be_asked(run, asked))
        is = questions_ask(&run->questions, asked->id, run_now(run) + run->house->settings->approval_ms);
    if (is == QUESTION_REFUSED)
        refuse(run, asked->id, "policy");
    else if (is == QUESTION_OPEN)
        tell_request(run, asked);
    run_touch(run);
}

bool run_decide(run_t *run, const char *id, bool approved)
{
    return questions_close(&run->questions, id) && decide(run, id, approved, "client") == RZ_OK;
}

static void close_question(run_t *run, const question_t *question, const char *by)
{
    questions_close(&run->questions, question->id);
    decide(run, question->id, false, by);
}

void run_look_at_questions(run_t *run, uint64_t now_ms)
{
    question_t question;
    while (questions_overdue(&run->questions, now_ms, &question))
        close_question(run, &question, "timeout");
}

void run_close_questions(run_t *run)
{
    question_t question;
    while (questions_first(&run->questions, &question))
        close_question(run, &question, "end");
}
