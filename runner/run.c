/* run.c - see run.h. */
#include "run.h"

#include "base/log.h"
#include "profile.h"
#include "wire/frame.h"
#include "wire/session.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REASON_MAX 1024
#define ERROR_MAX                                                                                            \
    ((size_t)16 << 10) /* bytes of an outcome's error: escaped, it still fits every message    */
#define RESULT_MAX                                                                                           \
    (RZ_SESSION_MAX / 2) /* of a worker's result: the session it joins still fits a frame        */
#define EVENTS_MAX 64    /* of one batch (spec 4.6)                                              */
#define CANCELLED  "Cancelled"

struct run {
    run_place_t place;
    run_t *touched_next;
    bool touched;

    house_t *house;
    rz_link_t assign; /* owns the texts of everything below */
    rz_buf_t header;  /* session header: until `run` is sent */
    rz_buf_t frame;   /* the run frame: until it is sent     */
    const rz_agent_t *agent;
    char pool_key[RZ_DIGEST_LEN + 1];

    course_t course;
    journal_t journal;
    stream_t stream;
    watchdog_t watchdog;
    seeker_t seeker;
    worker_t *worker;                /* NULL unless RUNNING, CANCELLING, EXPIRING */
    uint64_t heartbeat_ms, grace_ms; /* when the next is due */
    bool begun;                      /* sub_agent_started is out */

    const rz_child_frame_t *told; /* the terminal frame, while it is fed */
    char reason[REASON_MAX];      /* of the event that is fed, or the watchdog's */
    char first_failure[REASON_MAX / 4];
    const char *status; /* the outcome, once ENDED */
    rz_buf_t error;     /* empty: none             */
    rz_buf_t reply;     /* assistant message       */
    rz_buf_t last_header, last_event;
};

/* ---- small things ---- */

static void touch(run_t *run)
{
    if (run->touched)
        return;
    run->touched = true;
    run->touched_next = run->house->touched;
    run->house->touched = run;
}

run_t *run_next_touched(house_t *house)
{
    run_t *run = house->touched;
    if (run == NULL)
        return NULL;
    house->touched = run->touched_next;
    run->touched = false;
    return run;
}

static uint64_t now_of(const run_t *run)
{
    return uv_now(run->house->loop);
}

static void set_reason(run_t *run, const char *fmt, ...) RZ_PRINTF(2, 3);
static void set_reason(run_t *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(run->reason, sizeof run->reason, fmt, args);
    va_end(args);
}

const char *run_child(const run_t *run)
{
    return run->assign.child;
}

uint64_t run_epoch(const run_t *run)
{
    return run->assign.epoch;
}

const char *run_token(const run_t *run)
{
    return run->assign.token;
}

course_state_t run_state(const run_t *run)
{
    return run->course.state;
}

bool run_is_open(const run_t *run)
{
    return course_is_open(&run->course);
}

run_place_t *run_place(run_t *run)
{
    return &run->place;
}

/* ---- actions ---- */

static void let_go(run_t *run)
{
    if (run->worker != NULL)
        crew_discard(run->worker);
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

/* Neither is needed behind the beginning, and a conversation is large. */
static void forget_payload(run_t *run)
{
    rz_buf_fini(&run->frame);
    rz_buf_fini(&run->header);
}

static void do_nothing(run_t *run)
{
    (void)run;
}

static void do_run(run_t *run)
{
    rz_rc_t rc = worker_send(run->worker, run->frame.data, run->frame.len);
    if (rc != RZ_OK) {
        set_reason(run, "LLM error: actor run dispatch failed: %s", rz_rc_text(rc));
        run_feed(run, EV_LOST);
        return;
    }
    begin(run);
    forget_payload(run);
    publish_heartbeat(run->house->publisher, &run->stream);
    run->heartbeat_ms = now_of(run) + RUN_HEARTBEAT_MS;
    watchdog_start(&run->watchdog, now_of(run));
}

static void do_respawn(run_t *run)
{
    snprintf(run->first_failure, sizeof run->first_failure, "%.*s", (int)sizeof run->first_failure - 1,
             run->reason);
    run_begin(run);
}

/* It may not listen any more: the grace ends that too. */
static void do_ask_to_stop(run_t *run)
{
    static const char cancel[] = "{\"kind\":\"cancel\"}";
    worker_send(run->worker, cancel, sizeof cancel - 1);
    run->grace_ms = now_of(run) + run->house->settings->cancel_grace_ms;
}

static const char *error_of(const run_t *run)
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

/* Every end comes through here. error NULL: none. */
static void end(run_t *run, const char *status, const char *error)
{
    let_go(run);
    run->status = status;
    if (error != NULL)
        keep_error(run, error);
    begin(run);
    forget_payload(run);
    publish_prepare_completed(&run->stream, &run->journal, status, error_of(run), &run->last_header,
                              &run->last_event);
    journal_end(&run->journal);
    rz_log_debug("run.end", "child=%s epoch=%" PRIu64 " status=%s error=%s", run_child(run), run_epoch(run),
                 status, error != NULL ? error : "");
}

static void end_completed(run_t *run, bool worker_is_clean)
{
    rz_str_t result = run->told->result;
    if (result.n > RESULT_MAX) {
        set_reason(run, "LLM error: the result has %zu bytes, at most %zu are kept", result.n, RESULT_MAX);
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

static void end_error(run_t *run, const char *text)
{
    rz_buf_t error = { 0 };
    rz_buf_printf(&error, "LLM error: %s", text);
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

static void do_release(run_t *run)
{
    let_go(run);
    journal_release(&run->journal);
}

static void do_abandon(run_t *run)
{
    let_go(run);
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
    [DO_RELEASE] = do_release,
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
    if (was_open && !run_is_open(run))
        run->house->on_slot_free(run->house->arg);
    touch(run);
    actions[action](run); /* last: an action may feed again */
}

/* Its worker can do nothing more for it. While the watchdog's grace runs, the watchdog's reason stays. */
static void lose(run_t *run, const char *why, const char *detail)
{
    if (run->course.state == ACT_RUNNING)
        set_reason(run, "LLM error: %s%s", why, detail);
    run_feed(run, EV_LOST);
}

/* ---- what the worker says ---- */

static void drop_event(run_t *run, const char *why, size_t bytes)
{
    uint64_t count = ++run->house->counters.bad_events;
    rz_log_warn("run.event_dropped", "child=%s why=%s bytes=%zu count=%" PRIu64, run_child(run), why, bytes,
                count);
}

static void on_event(run_t *run, rz_str_t event)
{
    if (event.n > run->house->settings->event_max)
        drop_event(run, "too large", event.n);
    else if (publish_worker_event(run->house->publisher, &run->stream, &run->journal, event) != RZ_OK)
        drop_event(run, "no object with a type", event.n);
    else
        watchdog_heard(&run->watchdog, now_of(run));
    touch(run);
}

static void on_batch(run_t *run, rz_str_t batch)
{
    rz_json_iter_t it = rz_json_iter(rz_json_member(batch, "events"));
    rz_str_t event;
    for (size_t n = 0; rz_json_next_element(&it, &event); n++) {
        if (n == EVENTS_MAX) {
            drop_event(run, "the rest of a batch that is too long", batch.n);
            return;
        }
        on_event(run, event);
    }
}

/* Nobody here can say yes, and a worker that waits for an answer would wait for the watchdog. */
static void refuse(run_t *run, const rz_child_frame_t *asked)
{
    rz_parent_frame_t reply = { .kind = RZ_PARENT_APPROVAL_REPLY, .id = asked->id, .approved = false };
    if (asked->kind == RZ_CHILD_SUBAGENT_REQUEST) {
        reply.kind = RZ_PARENT_SUBAGENT_REPLY;
        reply.body = RZ_STR("{\"error\":\"not served by this runner\"}");
    }
    rz_buf_t frame = { 0 };
    rz_parent_frame_encode(&reply, &frame);
    worker_send(run->worker, frame.data, frame.len);
    rz_buf_fini(&frame);
    rz_log_info("run.refused_request", "child=%s kind=%s id=%s", run_child(run), asked->kind_name, asked->id);
}

static void on_terminal(run_t *run, const rz_child_frame_t *frame)
{
    run->told = frame;
    run_feed(run, EV_TERMINAL);
    run->told = NULL;
}

static void on_child_frame(run_t *run, const rz_child_frame_t *frame)
{
    switch (frame->kind) {
    case RZ_CHILD_EVENT:
        on_event(run, frame->event);
        return;
    case RZ_CHILD_EVENT_BATCH:
        on_batch(run, frame->batch);
        return;
    case RZ_CHILD_TERMINAL:
        on_terminal(run, frame);
        return;
    case RZ_CHILD_APPROVAL_REQUEST:
    case RZ_CHILD_SUBAGENT_REQUEST:
        refuse(run, frame);
        return;
    case RZ_CHILD_OTHER:
        run->house->counters.other_frames++;
        rz_log_warn("run.other_frame", "child=%s kind=%s", run_child(run), frame->kind_name);
        return;
    }
}

static void on_frame(void *user, const char *bytes, size_t len, void *arg)
{
    (void)arg;
    run_t *run = user;
    rz_err_t err = { 0 };
    rz_child_frame_t frame;
    if (rz_child_frame_decode(bytes, len, &frame, &err) != RZ_OK) {
        lose(run, "actor transport error: ", err.text);
        return;
    }
    on_child_frame(run, &frame);
    rz_child_frame_fini(&frame);
}

/* ---- what the crew says ---- */

static void on_worker(void *user, worker_t *worker, void *arg)
{
    (void)arg;
    run_t *run = user;
    run->worker = worker;
    run_feed(run, EV_READY);
}

static void on_none(void *user, worker_failure_t failure, const char *reason, void *arg)
{
    (void)arg;
    run_t *run = user;
    bool retried = run->course.state == ACT_RETRYING;
    if (failure == WORKER_NO_CONNECTION) {
        set_reason(run, retried ? "LLM error: actor connect failed: %s" : "%s", reason);
        run_feed(run, EV_CONNECT_FAILED);
        return;
    }
    if (retried)
        set_reason(run, "LLM error: actor respawn after reuse miss (%s): %s", run->first_failure, reason);
    else
        set_reason(run, "LLM error: actor spawn/register failed: %s", reason);
    run_feed(run, EV_FAILED);
}

static void on_lost(void *user, const char *reason, void *arg)
{
    (void)arg;
    run_t *run = user;
    run->worker = NULL; /* it retires by itself */
    lose(run, reason, "");
}

static void on_stderr(void *user, const char *bytes, size_t n, void *arg)
{
    (void)arg;
    run_t *run = user;
    output_append(run->house->output, run_child(run), run_epoch(run), bytes, n);
}

static rz_rc_t on_spawn(void *user, worker_t **out, rz_err_t *err, void *arg)
{
    (void)arg;
    run_t *run = user;
    profile_plan_t plan;
    rz_rc_t rc = profile_plan_init(&plan, run->house->settings, run->agent, &run->assign,
                                   rz_buf_str(&run->header), err);
    if (rc != RZ_OK)
        return rc;
    worker_plan_t worker_plan = { .argv = plan.argv,
                                  .envp = plan.envp,
                                  .provision = &plan.provision,
                                  .pool_key = run->pool_key,
                                  .affinity = run->assign.affinity };
    rc = crew_spawn(run->house->crew, &worker_plan, out, err);
    profile_plan_fini(&plan);
    return rc;
}

const crew_events_t run_crew_events = { .on_spawn = on_spawn,
                                        .on_worker = on_worker,
                                        .on_none = on_none,
                                        .on_frame = on_frame,
                                        .on_lost = on_lost,
                                        .on_stderr = on_stderr };

/* ---- the beginning ---- */

static void meta_text(rz_str_t metadata, const char *key, rz_buf_t *out)
{
    rz_buf_clear(out);
    rz_json_unescape(rz_json_member(metadata, key), out);
}

static void init_watchdog(run_t *run, rz_str_t header)
{
    rz_str_t metadata = rz_json_member(header, "metadata");
    rz_buf_t total = { 0 }, idle = { 0 }, interval = { 0 };
    if (rz_json_kind(metadata) == '{') {
        meta_text(metadata, WATCHDOG_TOTAL_KEY, &total);
        meta_text(metadata, WATCHDOG_IDLE_KEY, &idle);
        meta_text(metadata, WATCHDOG_INTERVAL_KEY, &interval);
    }
    watchdog_init(&run->watchdog, total.data, idle.data, interval.data);
    rz_buf_fini(&total);
    rz_buf_fini(&idle);
    rz_buf_fini(&interval);
}

static void encode_frame(run_t *run, rz_str_t header, rz_str_t messages)
{
    rz_parent_frame_t frame = { .kind = RZ_PARENT_RUN,
                                .assignment = rz_session_assignment(header, messages),
                                .messages = messages };
    rz_parent_frame_encode(&frame, &run->frame);
}

/* The bytes come from the store, through a broker that checked them when they came in. They are checked
 * again, once, because everything after this walks them without looking. */
static rz_rc_t take_payload(run_t *run, rz_str_t header, rz_str_t messages, rz_err_t *err)
{
    if (rz_json_check(header.p, header.n, 0, err) != RZ_OK ||
        rz_json_check(messages.p, messages.n, 0, err) != RZ_OK)
        return err->rc;
    if (rz_json_kind(header) != '{' || rz_json_kind(messages) != '[')
        return rz_fail(err, RZ_BAD_FIELD, "the session is no object with an array of messages");
    init_watchdog(run, header);
    encode_frame(run, header, messages);
    if (run->frame.len > RZ_FRAME_MAX)
        return rz_fail(err, RZ_TOO_LARGE, "the conversation is larger than a frame of %zu bytes",
                       RZ_FRAME_MAX);
    rz_buf_put_str(&run->header, header);
    return RZ_OK;
}

run_t *run_open(house_t *house, rz_link_t *assign, rz_str_t header, rz_str_t messages)
{
    run_t *run = rz_alloc(sizeof *run);
    run->house = house;
    run->assign = *assign;
    *assign = (rz_link_t){ 0 };
    run->stream = (stream_t){ .parent = run->assign.parent,
                              .child = run->assign.child,
                              .job = run->assign.job,
                              .traceparent = run->assign.traceparent,
                              .epoch = run->assign.epoch };
    run->seeker.user = run;
    run->seeker.pool_key = run->pool_key;
    rz_err_t err = { 0 };
    if (profile_find(house->settings, run->assign.profile, &run->agent, &err) == RZ_OK &&
        take_payload(run, header, messages, &err) == RZ_OK)
        profile_pool_key(house->settings, run->agent, run->assign.affinity, run->pool_key);
    else
        set_reason(run, "%s", err.text);
    return run;
}

void run_begin(run_t *run)
{
    if (run->assign.cancelled) {
        run_feed(run, EV_CANCEL);
        return;
    }
    if (run->pool_key[0] == '\0') {
        run_feed(run, EV_FAILED); /* run_open() left the reason */
        return;
    }
    run->worker = crew_seek(run->house->crew, &run->seeker);
    if (run->worker != NULL)
        run_feed(run, EV_READY);
}

void run_close(run_t **run_ref)
{
    run_t *run = *run_ref;
    if (run == NULL)
        return;
    let_go(run);
    journal_fini(&run->journal);
    forget_payload(run);
    rz_buf_fini(&run->error);
    rz_buf_fini(&run->reply);
    rz_buf_fini(&run->last_header);
    rz_buf_fini(&run->last_event);
    rz_link_fini(&run->assign);
    rz_free(run);
    *run_ref = NULL;
}

/* ---- the broker's wishes ---- */

bool run_steer(run_t *run, rz_str_t text)
{
    if (run->course.state != ACT_RUNNING)
        return false;
    rz_buf_t frame = { 0 };
    rz_json_open(&frame, '{');
    rz_json_put_str(&frame, "kind", "message");
    rz_json_put_raw(&frame, "text", text);
    rz_json_close(&frame, '}');
    rz_rc_t rc = worker_send(run->worker, frame.data, frame.len);
    rz_buf_fini(&frame);
    return rc == RZ_OK;
}

void run_acked(run_t *run, write_t op, uint64_t seq, rz_rc_t code)
{
    switch (journal_ack(&run->journal, op, seq, code, now_of(run))) {
    case ACK_STALE:
    case ACK_AGAIN:
        return;
    case ACK_MORE:
        touch(run);
        return;
    case ACK_SETTLED:
        run_feed(run, EV_SETTLED);
        return;
    case ACK_LOST:
        rz_log_warn("run.lost", "child=%s epoch=%" PRIu64 " op=%s code=%s", run_child(run), run_epoch(run),
                    write_name(op), rz_rc_name(code));
        run_feed(run, EV_FENCED);
        return;
    }
}

void run_relink(run_t *run)
{
    journal_relink(&run->journal, now_of(run));
    touch(run);
}

/* ---- time ---- */

static void look_at_limits(run_t *run, uint64_t now_ms)
{
    if (run->course.state == ACT_RUNNING) {
        char reason[WATCHDOG_REASON_MAX];
        if (!watchdog_check(&run->watchdog, now_ms, reason))
            return;
        set_reason(run, "%s", reason);
        run_feed(run, EV_LIMIT);
    } else if (now_ms >= run->grace_ms) {
        run_feed(run, EV_GRACE_OVER);
    }
}

void run_tick(run_t *run, uint64_t now_ms)
{
    if (run->worker != NULL && now_ms >= run->heartbeat_ms) {
        publish_heartbeat(run->house->publisher, &run->stream);
        run->heartbeat_ms = now_ms + RUN_HEARTBEAT_MS;
    }
    if (run->worker != NULL)
        look_at_limits(run, now_ms);
    touch(run); /* a write may be due again */
}

/* ---- writing ---- */

static const rz_link_kind_t write_kinds[] = { [WRITE_START] = RZ_LINK_START,
                                              [WRITE_APPEND] = RZ_LINK_APPEND,
                                              [WRITE_FINISH] = RZ_LINK_FINISH,
                                              [WRITE_RELEASE] = RZ_LINK_RELEASE };

static rz_rc_t send_write(const run_t *run, write_t op)
{
    uint64_t seqs[RZ_BATCH_ITEMS_MAX];
    rz_str_t payload[2 * RZ_BATCH_ITEMS_MAX + 1];
    size_t n = 0, carried = journal_carried(&run->journal);
    if (op == WRITE_FINISH)
        payload[n++] = rz_buf_str(&run->reply);
    for (size_t i = 0; i < carried; i++) {
        seqs[i] = journal_seq(&run->journal, i);
        payload[n++] = journal_header(&run->journal, i);
        payload[n++] = journal_event(&run->journal, i);
    }
    rz_link_t link = { .kind = write_kinds[op],
                       .child = run->assign.child,
                       .epoch = run->assign.epoch,
                       .token = run->assign.token,
                       .seqs = seqs,
                       .seq_count = carried,
                       .reason = "the runner stops",
                       .status = run->status,
                       .error = error_of(run) };
    return links_send(run->house->links, &link, payload, n);
}

void run_write(run_t *run, uint64_t now_ms)
{
    write_t op = journal_due(&run->journal, now_ms);
    if (op == WRITE_NONE)
        return;
    journal_sent(&run->journal, now_ms, send_write(run, op) == RZ_OK);
}
