/* run.c - see run.h: the life of a run, its time limits, and what is written of it. */
#include "run_inner.h"

#include "base/log.h"
#include "wire/session.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RELEASE_REASON_MAX (RZ_ID_MAX + 32)
#define NOT_KNOWN          "the store lost how it ended" /* and so did we */

/* ---- small things ---- */

void run_touch(run_t *run)
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

uint64_t house_now(const house_t *house)
{
    return (house->still_since_ms != 0 ? house->still_since_ms : uv_now(house->loop)) - house->still_ms;
}

void house_stand_still(house_t *house, bool still)
{
    if (house->still_since_ms != 0)
        house->still_ms += uv_now(house->loop) - house->still_since_ms;
    house->still_since_ms = still ? uv_now(house->loop) : 0;
}

uint64_t run_now(const run_t *run)
{
    return house_now(run->house);
}

void run_set_reason(run_t *run, const char *fmt, ...)
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

/* ---- the beginning ---- */

/* The bytes come from the store, through a broker that checked them when they came in. They are checked
 * again, once, because everything after this walks them without looking. */
static rz_rc_t load(run_t *run, rz_str_t header, rz_str_t messages, rz_err_t *err)
{
    rz_session_t session;
    if (rz_json_check(header.p, header.n, 0, err) != RZ_OK ||
        rz_json_check(messages.p, messages.n, 0, err) != RZ_OK)
        return err->rc;
    if (rz_json_kind(header) != '{' || rz_json_kind(messages) != '[')
        return rz_fail(err, RZ_BAD_FIELD, "the session is no object with an array of messages");
    if (rz_session_header_decode(header, &session, err) != RZ_OK)
        return err->rc;
    watchdog_init(&run->watchdog, rz_session_meta(&session, WATCHDOG_TOTAL_KEY),
                  rz_session_meta(&session, WATCHDOG_IDLE_KEY),
                  rz_session_meta(&session, WATCHDOG_INTERVAL_KEY));
    rz_session_fini(&session);
    rz_buf_put_str(&run->header, header);
    return RZ_OK;
}

/* Whether somebody waits for an answer: the last message is a user's. */
static bool asks_for_something(rz_str_t messages)
{
    rz_json_iter_t it = rz_json_iter(messages);
    rz_str_t message, last = { NULL, 0 };
    while (rz_json_next_element(&it, &message))
        last = message;
    return rz_json_is(rz_json_member(last, "role"), "user");
}

static rz_rc_t encode_frame(run_t *run, rz_str_t messages, rz_err_t *err)
{
    rz_parent_frame_t frame = { .kind = RZ_PARENT_RUN,
                                .assignment = rz_session_assignment(rz_buf_str(&run->header), messages),
                                .messages = messages,
                                .attempt = run->assign.attempt > 1 ? run->assign.attempt : 0,
                                .previous_error = run->assign.previous_error };
    rz_parent_frame_encode(&frame, &run->frame);
    if (run->frame.len <= RZ_FRAME_MAX)
        return RZ_OK;
    return rz_fail(err, RZ_TOO_LARGE, "the conversation is larger than a frame of %zu bytes", RZ_FRAME_MAX);
}

profile_case_t run_profile_case(const run_t *run)
{
    return (profile_case_t){ .settings = run->house->settings,
                             .credentials = run->house->credentials,
                             .agent = run->agent,
                             .assign = &run->assign,
                             .header = rz_buf_str(&run->header) };
}

static rz_rc_t prepare_worker(run_t *run, rz_str_t messages, rz_err_t *err)
{
    if (profile_find(run->house->settings, run->assign.profile, &run->agent, err) != RZ_OK ||
        encode_frame(run, messages, err) != RZ_OK)
        return err->rc;
    profile_case_t of = run_profile_case(run);
    return profile_pool_key(&of, run->pool_key, err);
}

/* What there is to do with it, in upstream's order (rules 8.2, 8.3). */
static course_event_t judge(run_t *run, rz_str_t header, rz_str_t messages)
{
    rz_err_t err = { 0 };
    run->unprepared = true;
    if (load(run, header, messages, &err) != RZ_OK) {
        run_set_reason(run, "failed to load child session: %s", err.text);
        return EV_FAILED;
    }
    if (!asks_for_something(messages))
        return EV_SKIP;
    run->unprepared = false;
    if (prepare_worker(run, messages, &err) == RZ_OK)
        return EV_READY;
    run_set_reason(run, "%s", err.text);
    return EV_FAILED;
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
    run->guest.user = run;
    run->verdict = judge(run, header, messages);
    return run;
}

void run_seek(run_t *run)
{
    worker_t *worker = crew_seek(run->house->crew, &run->seeker);
    if (worker != NULL)
        run_dispatch(run, worker);
}

void run_begin(run_t *run)
{
    if (run->assign.cancelled)
        run_feed(run, EV_CANCEL);
    else if (run->verdict != EV_READY)
        run_feed(run, run->verdict);
    else if (rooms_enter(run->house->rooms, &run->guest, run->agent->id))
        run_seek(run);
    if (run_is_open(run) && run->heartbeat_ms == 0)
        run_beat(run); /* it lives, though it waits */
}

void run_admit(house_t *house)
{
    guest_t *guest;
    while ((guest = rooms_admit(house->rooms)) != NULL)
        run_seek(guest->user);
}

void run_close(run_t **run_ref)
{
    run_t *run = *run_ref;
    if (run == NULL)
        return;
    run_let_go(run, WORKER_KILL);
    rooms_leave(&run->guest);
    questions_fini(&run->questions);
    heard_fini(&run->heard);
    journal_fini(&run->journal);
    run_forget_payload(run);
    rz_buf_fini(&run->error);
    rz_buf_fini(&run->reply);
    rz_buf_fini(&run->last_header);
    rz_buf_fini(&run->last_event);
    rz_link_fini(&run->assign);
    rz_free(run);
    *run_ref = NULL;
}

/* ---- the broker's wishes ---- */

bool run_steer(run_t *run, const char *id, rz_str_t text)
{
    if (heard_has(&run->heard, id))
        return true;
    if (run->course.state != ACT_RUNNING)
        return false;
    rz_buf_t frame = { 0 };
    rz_json_open(&frame, '{');
    rz_json_put_str(&frame, "kind", "message");
    rz_json_put_raw(&frame, "text", text);
    rz_json_close(&frame, '}');
    rz_rc_t rc = worker_send(run->worker, frame.data, frame.len);
    rz_buf_fini(&frame);
    if (rc == RZ_OK)
        heard_add(&run->heard, id);
    return rc == RZ_OK;
}

void run_acked(run_t *run, write_t op, uint64_t seq, rz_rc_t code)
{
    switch (journal_ack(&run->journal, op, seq, code, run_now(run))) {
    case ACK_STALE:
    case ACK_AGAIN:
        return;
    case ACK_MORE:
        run_touch(run);
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
    journal_relink(&run->journal, run_now(run));
    run->progress.is_news = run->progress.last_event_us != 0; /* nobody knows what the old link delivered */
    run_touch(run);
}

void run_fail(run_t *run, const char *reason)
{
    if (run->course.state == ACT_RUNNING)
        run_set_reason(run, "%s", reason);
    run_feed(run, EV_LOST);
}

progress_t *run_progress(run_t *run)
{
    return &run->progress;
}

/* ---- time ---- */

void run_beat(run_t *run)
{
    publish_heartbeat(run->house->publisher, &run->stream, &run->progress);
    run->heartbeat_ms = run_now(run) + RUN_HEARTBEAT_MS;
}

static void look_at_limits(run_t *run, uint64_t now_ms)
{
    if (run->course.state == ACT_RUNNING) {
        char reason[WATCHDOG_REASON_MAX];
        if (run->questions.count > 0)
            watchdog_heard(&run->watchdog,
                           now_ms); /* a person thinks, not the worker: there is a limit of its own */
        if (!watchdog_check(&run->watchdog, now_ms, reason))
            return;
        run_set_reason(run, "%s", reason);
        run_feed(run, EV_LIMIT);
    } else if (now_ms >= run->grace_ms) {
        run_feed(run, EV_GRACE_OVER);
    }
}

void run_tick(run_t *run, uint64_t now_ms)
{
    if (run_is_open(run) && now_ms >= run->heartbeat_ms)
        run_beat(run);
    run_look_at_questions(run, now_ms);
    if (run->worker != NULL)
        look_at_limits(run, now_ms);
    run_touch(run); /* a write may be due again */
}

/* ---- writing ---- */

static const rz_link_kind_t write_kinds[] = { [WRITE_START] = RZ_LINK_START,
                                              [WRITE_APPEND] = RZ_LINK_APPEND,
                                              [WRITE_FINISH] = RZ_LINK_FINISH,
                                              [WRITE_RELEASE] = RZ_LINK_RELEASE };

static void put_reason(const house_t *house, bool gives_up, char out[RELEASE_REASON_MAX])
{
    snprintf(out, RELEASE_REASON_MAX, "%s: %s", gives_up ? "runner drained" : "runner takes no new work",
             house->settings->name);
}

static rz_rc_t send_write(const run_t *run, write_t op)
{
    uint64_t seqs[RZ_BATCH_ITEMS_MAX];
    rz_str_t payload[2 * RZ_BATCH_ITEMS_MAX + 1];
    char reason[RELEASE_REASON_MAX];
    size_t n = 0, carried = journal_carried(&run->journal);
    put_reason(run->house, run->gives_up, reason);
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
                       .reason = reason,
                       .rerun = run->gives_up,
                       .status = run->status,
                       .error = run_error(run) };
    return links_send(run->house->links, &link, payload, n);
}

void run_write(run_t *run, uint64_t now_ms)
{
    write_t op = journal_due(&run->journal, now_ms);
    if (op == WRITE_NONE)
        return;
    journal_sent(&run->journal, now_ms, send_write(run, op) == RZ_OK);
}

/* ---- writing once more what was written ---- */

static words_t *take_words(run_t *run)
{
    words_t *words = rz_alloc(sizeof *words);
    *words = (words_t){ .status = run->status,
                        .error = run->error,
                        .reply = run->reply,
                        .header = run->last_header,
                        .event = run->last_event,
                        .seq = run->stream.prev_durable };
    run->error = run->reply = run->last_header = run->last_event = (rz_buf_t){ 0 };
    return words;
}

/* What had begun and was taken from us has no end that we know; what had not can be given back. */
outcome_t run_outcome(run_t *run)
{
    bool gave_back = journal_is_released(&run->journal) || !run->begun;
    if (run->status != NULL)
        return (outcome_t){ .words = take_words(run) };
    return (outcome_t){ .released = gave_back, .rerun = gave_back && run->gives_up };
}

/* No event goes with an end that nobody knows: its number would be made up. */
static void say_end_again(link_peer_t *peer, rz_link_t *link, const words_t *words)
{
    rz_str_t payload[3] = { { "", 0 } };
    link->kind = RZ_LINK_FINISH;
    link->status = words != NULL ? words->status : "error";
    link->error = words == NULL ? NOT_KNOWN : words->error.len > 0 ? words->error.data : NULL;
    if (words == NULL) {
        link_answer(peer, link, payload, 1);
        return;
    }
    link->seqs = &words->seq;
    link->seq_count = 1;
    payload[0] = rz_buf_str(&words->reply);
    payload[1] = rz_buf_str(&words->header);
    payload[2] = rz_buf_str(&words->event);
    link_answer(peer, link, payload, 3);
}

void house_say_again(house_t *house, link_peer_t *peer, const rz_link_t *assign, const outcome_t *outcome)
{
    char reason[RELEASE_REASON_MAX];
    rz_link_t link = { .kind = RZ_LINK_RELEASE,
                       .child = assign->child,
                       .epoch = assign->epoch,
                       .token = assign->token,
                       .reason = reason,
                       .rerun = outcome != NULL && outcome->rerun };
    put_reason(house, link.rerun, reason);
    house->counters.said_again++;
    rz_log_info("runner.old_assign", "child=%s epoch=%" PRIu64 " how it ended is said again", link.child,
                link.epoch);
    if (outcome != NULL && outcome->released)
        link_answer(peer, &link, NULL, 0);
    else
        say_end_again(peer, &link, outcome != NULL ? outcome->words : NULL);
}
