/* run_worker.c - what a run hears of its worker: its frames, and what the crew tells. */
#include "run_inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

#define EVENTS_MAX 64 /* of one batch (rule 4.6) */

bool run_is_worth_a_line(uint64_t count)
{
    return count <= 100 || count % 1000 == 0;
}

/* Its worker can do nothing more for it. While the watchdog's grace runs, the watchdog's reason stays. */
static void lose(run_t *run, const char *why, const char *detail)
{
    if (run->course.state == ACT_RUNNING)
        run_set_reason(run, "LLM error: %s%s", why, detail);
    run_feed(run, EV_LOST);
}

/* ---- what the worker says ---- */

static void drop_event(run_t *run, const char *why, size_t bytes)
{
    uint64_t count = ++run->house->counters.bad_events;
    if (run_is_worth_a_line(count))
        rz_log_warn("run.event_dropped", "child=%s why=%s bytes=%zu count=%" PRIu64, run_child(run), why,
                    bytes, count);
}

static void on_event(run_t *run, rz_str_t event)
{
    char type[65];
    if (event.n > run->house->settings->event_max) {
        drop_event(run, "too large", event.n);
    } else if (rz_event_type(event, type) != RZ_OK) {
        drop_event(run, "no object with a type", event.n);
    } else {
        publish_worker_event(run->house->publisher, &run->stream, &run->journal, type, event);
        progress_hear(&run->progress, type, event, rz_wall_us());
        watchdog_heard(&run->watchdog, run_now(run));
    }
    run_touch(run);
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

/* A worker that waits for an answer would wait for the watchdog. */
static void refuse_nested(run_t *run, const rz_child_frame_t *asked)
{
    rz_parent_frame_t reply = { .kind = RZ_PARENT_SUBAGENT_REPLY,
                                .id = asked->id,
                                .body = RZ_STR("{\"error\":\"not served by this runner\"}") };
    rz_buf_t frame = { 0 };
    rz_parent_frame_encode(&reply, &frame);
    worker_send(run->worker, frame.data, frame.len);
    rz_buf_fini(&frame);
    if (run_is_worth_a_line(++run->house->counters.refused))
        rz_log_info("run.refused_request", "child=%s kind=%s id=%s", run_child(run), asked->kind_name,
                    asked->id);
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
        run_ask(run, frame);
        return;
    case RZ_CHILD_SUBAGENT_REQUEST:
        refuse_nested(run, frame);
        return;
    case RZ_CHILD_OTHER:
        if (run_is_worth_a_line(++run->house->counters.other_frames))
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
        run->house->counters.bad_frames++;
        rz_log_warn("run.bad_frame", "child=%s code=%s %s", run_child(run), rz_rc_name(err.rc), err.text);
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
    run_dispatch(user, worker);
}

static void on_none(void *user, worker_failure_t failure, const char *reason, void *arg)
{
    (void)arg;
    run_t *run = user;
    bool retried = run->course.state == ACT_RETRYING;
    if (failure == WORKER_NO_CONNECTION) {
        run_set_reason(run, retried ? "LLM error: actor connect failed: %s" : "%s", reason);
        run_feed(run, EV_CONNECT_FAILED);
        return;
    }
    if (retried)
        run_set_reason(run, "LLM error: actor respawn after reuse miss (%s): %s", run->first_failure, reason);
    else
        run_set_reason(run, "LLM error: actor spawn/register failed: %s", reason);
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
    profile_case_t of = run_profile_case(run);
    profile_plan_t plan;
    rz_rc_t rc = profile_plan_init(&plan, &of, err);
    if (rc != RZ_OK)
        return rc;
    memcpy(run->pool_key, plan.pool_key, sizeof run->pool_key); /* its credential may be a newer one */
    worker_plan_t worker_plan = { .argv = plan.argv,
                                  .envp = plan.envp,
                                  .provision = &plan.provision,
                                  .pool_key = run->pool_key,
                                  .affinity = run->assign.affinity,
                                  .credential = plan.credential };
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
