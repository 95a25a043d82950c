/* calls.c - see calls.h */
#include "calls.h"

#include "../facts.h"

#include <inttypes.h>
#include <stdlib.h>

#define PATIENCE_MS 30000

#define COPY(to, from) snprintf(to, sizeof(to), "%s", (from) != NULL ? (from) : "(null)")

/* ---- life ---- */
static void on_state(bool up, const char *detail, void *arg)
{
    calls_t *calls = arg;
    calls->up = up;
    calls->ups += up;
    calls->downs += !up;
    COPY(calls->detail, detail);
}

static void on_patience(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

static void run_until(calls_t *calls, bool (*reached)(const void *what), const void *what)
{
    bool late = false;
    uv_timer_t patience;
    uv_timer_init(&calls->loop, &patience);
    patience.data = &late;
    uv_timer_start(&patience, on_patience, PATIENCE_MS, 0);
    while (!late && !reached(what))
        uv_run(&calls->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&patience, on_closed);
    while (patience.data != NULL)
        uv_run(&calls->loop, UV_RUN_NOWAIT);
    if (late)
        fail_msg("nothing happened for %d ms; the store is %s: %s", PATIENCE_MS, calls->up ? "up" : "down",
                 calls->detail);
}

static bool is_set(const void *what)
{
    return *(const bool *)what;
}

void calls_until(calls_t *calls, const bool *flag)
{
    run_until(calls, is_set, flag);
}

typedef struct {
    const unsigned *count;
    unsigned least;
} at_least_t;

static bool is_at_least(const void *what)
{
    const at_least_t *at_least = what;
    return *at_least->count >= at_least->least;
}

void calls_until_count(calls_t *calls, const unsigned *count, unsigned least)
{
    run_until(calls, is_at_least, &(at_least_t){ count, least });
}

void calls_until_up(calls_t *calls, bool up)
{
    if (calls->up == up)
        return;
    calls_until_count(calls, up ? &calls->ups : &calls->downs, (up ? calls->ups : calls->downs) + 1);
}

void calls_meet(calls_t *calls, const rz_store_options_t *with)
{
    rz_err_t err = { 0 };
    rz_store_options_t options = *with;
    options.on_state = on_state;
    options.arg = calls;
    options.user = redis_user(&calls->redis, "admin");
    options.password = redis_password(&calls->redis, "admin");
    if (rz_store_init(&options, 1, &calls->info, &err) != RZ_OK)
        fail_msg("store init: %s", err.text);
    options.user = redis_user(&calls->redis, "broker");
    options.password = redis_password(&calls->redis, "broker");
    assert_int_equal(uv_loop_init(&calls->loop), 0);
    calls->store = rz_store_open(&calls->loop, &options, &err);
    assert_non_null(calls->store);
    calls_until_up(calls, true);
}

void calls_part(calls_t *calls)
{
    rz_store_close(&calls->store);
    uv_run(&calls->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&calls->loop), 0);
}

void calls_up(calls_t *calls, const char *const *settings, uint64_t call_timeout_ms)
{
    *calls = (calls_t){ 0 };
    redis_up(&calls->redis, settings);
    calls_meet(calls, &(rz_store_options_t){ .url = calls->redis.url, .call_timeout_ms = call_timeout_ms });
}

void calls_down(calls_t *calls)
{
    calls_part(calls);
    redis_down(&calls->redis);
}

int calls_setup(void **state)
{
    calls_t *calls = calloc(1, sizeof *calls);
    assert_non_null(calls);
    calls_up(calls, NULL, 0);
    *state = calls;
    return 0;
}

int calls_teardown(void **state)
{
    calls_down(*state);
    free(*state);
    return 0;
}

const char *token(unsigned i)
{
    static char tokens[100][33];
    assert_true(i < 100);
    snprintf(tokens[i], sizeof tokens[i], "%032x", i + 0x1000);
    return tokens[i];
}

/* ---- answers ---- */
static calls_t *begin(calls_t *calls)
{
    memset(&calls->answer, 0, sizeof calls->answer);
    return calls;
}

static rz_rc_t end(calls_t *calls)
{
    calls_until_count(calls, &calls->answer.times, 1);
    assert_int_equal(calls->answer.times, 1);
    return calls->answer.rc;
}

static answer_t *answered(void *arg, rz_rc_t rc)
{
    answer_t *answer = &((calls_t *)arg)->answer;
    answer->times++;
    answer->rc = rc;
    return answer;
}

static void take_act(answer_t *answer, const rz_act_t *act)
{
    answer->state = act->state;
    COPY(answer->parent, act->parent);
    COPY(answer->job, act->job);
    COPY(answer->owner, act->owner);
    COPY(answer->status, act->status);
    COPY(answer->error, act->error);
    COPY(answer->profile, act->profile);
    COPY(answer->labels, act->labels);
    answer->epoch = act->epoch;
    answer->activation = act->activation;
    answer->attempt = act->attempt;
    answer->max_attempts = act->max_attempts;
    answer->cancelled = act->cancelled;
}

static void take_assignment(answer_t *answer, const rz_assignment_t *from)
{
    if (answer->n == ANSWERS_MAX)
        return;
    assigned_t *to = &answer->assigned[answer->n++];
    COPY(to->child, from->child);
    COPY(to->parent, from->parent);
    COPY(to->job, from->job);
    COPY(to->owner, from->owner);
    COPY(to->token, from->token);
    COPY(to->previous_error, from->previous_error);
    snprintf(to->messages, sizeof to->messages, "%.*s", (int)from->messages.n, from->messages.p);
    to->epoch = from->epoch;
    to->attempt = from->attempt;
    to->cancelled = from->cancelled;
}

static void on_submit(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    answer_t *answer = answered(arg, rc);
    take_act(answer, &result->act);
    answer->claimed = result->claimed;
    if (result->claimed)
        take_assignment(answer, &result->assignment);
}

static void on_claim(rz_rc_t rc, const rz_assignment_t *assignments, size_t n, uint64_t left, void *arg)
{
    answer_t *answer = answered(arg, rc);
    answer->left = left;
    for (size_t i = 0; i < n; i++)
        take_assignment(answer, &assignments[i]);
}

static void on_done(rz_rc_t rc, void *arg)
{
    answered(arg, rc);
}

static void on_cancel(rz_rc_t rc, const rz_cancel_result_t *result, void *arg)
{
    answer_t *answer = answered(arg, rc);
    take_act(answer, &result->act);
    answer->ended = result->ended;
}

static void on_act(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    take_act(answered(arg, rc), act);
}

static void on_sync(rz_rc_t rc, const rz_sync_result_t *result, void *arg)
{
    answer_t *answer = answered(arg, rc);
    answer->differs = result->differs;
    answer->cancels = result->cancel_count;
    for (size_t i = 0; i < result->cancel_count; i++)
        COPY(answer->text[answer->n++], result->cancels[i]);
    for (size_t i = 0; i < result->owned_count; i++)
        COPY(answer->text[answer->n++], result->owned[i]);
}

static void on_reap(rz_rc_t rc, uint64_t left, void *arg)
{
    answered(arg, rc)->left = left;
}

static void on_incarnations(rz_rc_t rc, const rz_incarnation_t *list, size_t n, void *arg)
{
    answer_t *answer = answered(arg, rc);
    for (size_t i = 0; i < n && i < ANSWERS_MAX; i++)
        snprintf(answer->text[answer->n++], sizeof answer->text[0], "%s %s %" PRIu64 " %" PRIu64 " %s",
                 list[i].incarnation, list[i].runner, list[i].counter, list[i].owned,
                 list[i].dead ? "dead" : "alive");
}

static void on_session(rz_rc_t rc, const rz_session_result_t *result, void *arg)
{
    answer_t *answer = answered(arg, rc);
    take_act(answer, &result->act);
    answer->rev = result->rev;
    snprintf(answer->header, sizeof answer->header, "%.*s", (int)result->header.n, result->header.p);
    snprintf(answer->messages, sizeof answer->messages, "%.*s", (int)result->messages.n, result->messages.p);
}

static void on_list(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    (void)next;
    answer_t *answer = answered(arg, rc);
    for (size_t i = 0; i < n && i < ANSWERS_MAX; i++)
        COPY(answer->text[answer->n++], acts[i].child);
}

static void on_replay(rz_rc_t rc, const rz_replay_t *replay, void *arg)
{
    answer_t *answer = answered(arg, rc);
    take_act(answer, &replay->act);
    COPY(answer->first, replay->first_available);
    COPY(answer->last, replay->logged_to);
    answer->left = replay->trimmed;
    for (size_t i = 0; i < replay->count && i < ANSWERS_MAX; i++) {
        const rz_log_item_t *item = &replay->items[i];
        snprintf(answer->text[answer->n++], sizeof answer->text[0], "%" PRIu64 " %.*s %.*s", item->seq,
                 (int)item->header.n, item->header.p, (int)item->event.n, item->event.p);
    }
}

static void on_whose(rz_rc_t rc, const rz_whose_t *whose, void *arg)
{
    answer_t *answer = answered(arg, rc);
    snprintf(answer->text[answer->n++], sizeof answer->text[0], "%s", whose->parent);
    snprintf(answer->text[answer->n++], sizeof answer->text[0], "%s", whose->tenant);
}

static void on_classes(rz_rc_t rc, const rz_class_t *classes, size_t n, void *arg)
{
    answer_t *answer = answered(arg, rc);
    for (size_t i = 0; i < n && i < ANSWERS_MAX; i++)
        snprintf(answer->text[answer->n++], sizeof answer->text[0], "%s/%s %" PRIu64, classes[i].profile,
                 classes[i].labels, classes[i].waiting);
}

static void on_explain(rz_rc_t rc, const rz_act_t *act, const rz_transition_t *list, size_t n, void *arg)
{
    answer_t *answer = answered(arg, rc);
    take_act(answer, act);
    answer->left = n;
    for (size_t i = n > ANSWERS_MAX ? n - ANSWERS_MAX : 0; i < n; i++)
        snprintf(answer->text[answer->n++], sizeof answer->text[0], "%s %s", list[i].what, list[i].detail);
}

static void on_wait(rz_rc_t rc, const rz_wait_result_t *result, void *arg)
{
    COPY(answered(arg, rc)->wait_state, result->state);
}

static void on_tick(rz_rc_t rc, const rz_tick_result_t *result, void *arg)
{
    answer_t *answer = answered(arg, rc);
    answer->tick = *result;
    answer->tick.brokers = NULL; /* lent */
}

/* ---- calls ---- */
rz_submit_t plain_submit(const char *child)
{
    static const rz_str_t message = RZ_STR("{\"role\":\"user\",\"content\":\"hi\"}");
    static char job[48];
    snprintf(job, sizeof job, "j-%s", child);
    return (rz_submit_t){ .parent = "p1",
                          .child = child,
                          .job = job,
                          .digest = "digest-1",
                          .model = "m",
                          .profile = "echo",
                          .labels = "",
                          .job_affinity = "ja",
                          .priority = 1,
                          .max_attempts = 1,
                          .queue_max = 1000000,
                          .header = RZ_STR("{\"kind\":\"child\"}"),
                          .messages = &message,
                          .message_count = 1,
                          .session_affinity = "sa" };
}

rz_rc_t call_submit(calls_t *calls, const rz_submit_t *request)
{
    rz_op_submit(begin(calls)->store, request, on_submit, calls);
    return end(calls);
}

rz_rc_t call_claim_of(calls_t *calls, const rz_claim_t *request)
{
    rz_op_claim(begin(calls)->store, request, on_claim, calls);
    return end(calls);
}

rz_rc_t call_claim(calls_t *calls, const char *owner, unsigned max)
{
    char tokens[ANSWERS_MAX][33];
    for (unsigned i = 0; i < max; i++)
        memcpy(tokens[i], token(i), sizeof tokens[i]);
    const rz_candidate_t candidate = { owner, max, "" };
    return call_claim_of(calls, &(rz_claim_t){ .profile = "echo",
                                               .labels = "",
                                               .max = max,
                                               .candidates = &candidate,
                                               .candidate_count = 1,
                                               .tokens = (const char(*)[33])tokens });
}

rz_rc_t call_reassign(calls_t *calls, const char *child, const char *owner)
{
    rz_op_reassign(begin(calls)->store, child, owner, on_claim, calls);
    return end(calls);
}

rz_rc_t call_start(calls_t *calls, const char *child, uint64_t epoch, const char *with)
{
    rz_op_start(begin(calls)->store, &(rz_write_t){ .child = child, .epoch = epoch, .token = with }, on_done,
                calls);
    return end(calls);
}

rz_rc_t call_append(calls_t *calls, const char *child, uint64_t epoch, const char *with, uint64_t from,
                    uint64_t to)
{
    rz_log_item_t items[ANSWERS_MAX];
    size_t n = 0;
    for (uint64_t seq = from; seq <= to; seq++)
        items[n++] = (rz_log_item_t){ seq, RZ_STR("h"), RZ_STR("e\0e") };
    rz_op_append(
        begin(calls)->store,
        &(rz_write_t){ .child = child, .epoch = epoch, .token = with, .events = items, .event_count = n },
        on_done, calls);
    return end(calls);
}

rz_rc_t call_finish(calls_t *calls, const char *child, uint64_t epoch, const char *with, const char *status,
                    const char *error, const char *reply)
{
    rz_op_finish(begin(calls)->store, &(rz_write_t){ .child = child, .epoch = epoch, .token = with }, status,
                 error, rz_str(reply), on_done, calls);
    return end(calls);
}

rz_rc_t call_finish_logged(calls_t *calls, const char *child, uint64_t epoch, const char *with, uint64_t seq)
{
    const rz_log_item_t last = { .seq = seq,
                                 .header = RZ_STR("{\"the\":\"header\"}"),
                                 .event = RZ_STR("{\"type\":\"sub_agent_completed\"}") };
    const rz_write_t write = {
        .child = child, .epoch = epoch, .token = with, .events = &last, .event_count = 1
    };
    rz_op_finish(begin(calls)->store, &write, "completed", NULL, (rz_str_t){ NULL, 0 }, on_done, calls);
    return end(calls);
}

rz_rc_t call_release(calls_t *calls, const char *child, uint64_t epoch, const char *with)
{
    rz_op_release(begin(calls)->store, child, epoch, with, "by the test", false, on_done, calls);
    return end(calls);
}

rz_rc_t call_release_for_rerun(calls_t *calls, const char *child, uint64_t epoch, const char *with)
{
    rz_op_release(begin(calls)->store, child, epoch, with, "by the test", true, on_done, calls);
    return end(calls);
}

rz_rc_t call_cancel(calls_t *calls, const char *child, const char *reason)
{
    rz_op_cancel(begin(calls)->store, child, reason, (rz_cancel_how_t){ 0 }, on_cancel, calls);
    return end(calls);
}

rz_rc_t call_steer(calls_t *calls, const char *child, const char *id, const char *message)
{
    rz_op_steer(begin(calls)->store, child, id, rz_str(message), on_act, calls);
    return end(calls);
}

rz_rc_t call_join(calls_t *calls, const char *incarnation, const char *runner)
{
    rz_op_join(begin(calls)->store, incarnation, runner, "{}", on_done, calls);
    return end(calls);
}

rz_rc_t call_sync(calls_t *calls, const char *incarnation, uint64_t counter, const char *digest)
{
    const rz_sync_t sync = {
        .incarnation = incarnation, .counter = counter, .digest = digest, .facts = "{\"slots\":8}"
    };
    rz_op_sync(begin(calls)->store, &sync, on_sync, calls);
    return end(calls);
}

rz_rc_t call_retry(calls_t *calls, const char *child)
{
    rz_op_retry(begin(calls)->store, child, 1000000, on_act, calls);
    return end(calls);
}

rz_rc_t call_explain(calls_t *calls, const char *child)
{
    rz_op_explain(begin(calls)->store, child, on_explain, calls);
    return end(calls);
}

rz_rc_t call_wait_register(calls_t *calls, const char *id, const char *child, uint64_t timeout_ms)
{
    const rz_wait_t wait = { .parent = "p1",
                             .id = id,
                             .wait_for = "all",
                             .children = &child,
                             .child_count = 1,
                             .timeout_ms = timeout_ms };
    rz_op_wait_register(begin(calls)->store, &wait, on_wait, calls);
    return end(calls);
}

rz_rc_t call_wait_get(calls_t *calls, const char *id)
{
    rz_op_wait_get(begin(calls)->store, "p1", id, NULL, on_wait, calls);
    return end(calls);
}

rz_rc_t call_tick_of(calls_t *calls, const rz_tick_t *request)
{
    rz_op_tick(begin(calls)->store, request, on_tick, calls);
    return end(calls);
}

rz_rc_t call_tick(calls_t *calls, uint64_t elapsed_ms)
{
    const uint64_t ever = 1000000000000;
    rz_tick_t tick = { .retention_ms = ever, .tombstone_ms = ever, .completions_max = 1000000 };
    call_tick_of(calls, &tick);
    tick.seen = calls->answer.tick.tick;
    tick.elapsed_ms = elapsed_ms;
    return call_tick_of(calls, &tick);
}

rz_rc_t call_condemn(calls_t *calls, const char *incarnation, uint64_t seen, bool leave)
{
    rz_op_condemn(begin(calls)->store, incarnation, seen, leave, on_done, calls);
    return end(calls);
}

rz_rc_t call_reap(calls_t *calls, const char *incarnation)
{
    rz_op_reap(begin(calls)->store, incarnation, on_reap, calls);
    return end(calls);
}

rz_rc_t call_incarnations(calls_t *calls)
{
    rz_op_incarnations(begin(calls)->store, on_incarnations, calls);
    return end(calls);
}

rz_rc_t call_get(calls_t *calls, const char *child, const char *job)
{
    rz_op_get(begin(calls)->store, child, job, on_act, calls);
    return end(calls);
}

rz_rc_t call_whose(calls_t *calls, const char *child)
{
    rz_op_whose(begin(calls)->store, child, on_whose, calls);
    return end(calls);
}

rz_rc_t call_session_get(calls_t *calls, const char *child)
{
    rz_op_session_get(begin(calls)->store, child, on_session, calls);
    return end(calls);
}

rz_rc_t call_session_put(calls_t *calls, const rz_session_put_t *request)
{
    rz_op_session_put(begin(calls)->store, request, on_session, calls);
    return end(calls);
}

rz_rc_t call_list(calls_t *calls, const char *parent, unsigned limit)
{
    const rz_list_t list = { .parent = parent, .limit = limit };
    rz_op_list(begin(calls)->store, &list, on_list, calls);
    return end(calls);
}

rz_rc_t call_replay(calls_t *calls, const char *child, uint64_t epoch, uint64_t seq, unsigned limit)
{
    rz_op_replay(begin(calls)->store, child, epoch, seq, limit, on_replay, calls);
    return end(calls);
}

rz_rc_t call_classes(calls_t *calls)
{
    rz_op_classes(begin(calls)->store, on_classes, calls);
    return end(calls);
}

rz_rc_t call_broadcast(calls_t *calls, const char *topic, bool rejected)
{
    rz_op_broadcast(begin(calls)->store, topic, RZ_STR("{}"), RZ_STR("{}"), rejected, on_done, calls);
    return end(calls);
}
