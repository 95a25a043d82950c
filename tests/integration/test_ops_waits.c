/* What a parent, an operator and a runner that lost a message ask of the store: waits (rule 8.8), transitions,
 * retries, lists, and what sync must carry. Against a real Redis. */
#include "calls.h"

#include "../facts.h"

#define COPY(to, from) snprintf(to, sizeof(to), "%s", (from) != NULL ? (from) : "(null)")
#define OWN(calls)     ((asked_t){ .calls = (calls) })

/* One question with an answer that calls.h does not keep. */
typedef struct {
    calls_t *calls;
    bool done;
    rz_rc_t rc;
    char state[16], by[40], text[1024], next[64];
    size_t n, m;
    rz_act_state_t act_state;
} asked_t;

static void wait_answer(asked_t *asked)
{
    calls_until(asked->calls, &asked->done);
}

static void add_text(asked_t *asked, const char *word, const char *more)
{
    size_t at = strlen(asked->text);
    snprintf(asked->text + at, sizeof asked->text - at, "%s%s%s%s", at > 0 ? "; " : "", word,
             *more != '\0' ? " " : "", more);
}

/* ---- the questions ---- */

static void on_wait(rz_rc_t rc, const rz_wait_result_t *result, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    COPY(asked->state, result->state);
    COPY(asked->by, result->by);
    for (size_t i = 0; i < result->child_count; i++)
        add_text(asked, result->children[i].child, result->children[i].status);
    asked->done = true;
}

/* children: up to three, NULL-terminated */
static asked_t wait_register(calls_t *calls, const char *id, const char *wait_for,
                             const char *const *children)
{
    asked_t asked = OWN(calls);
    rz_wait_t request = { .parent = "p1", .id = id, .wait_for = wait_for, .children = children };
    while (children[request.child_count] != NULL)
        request.child_count++;
    rz_op_wait_register(calls->store, &request, on_wait, &asked);
    wait_answer(&asked);
    return asked;
}

static asked_t wait_get(calls_t *calls, const char *id)
{
    asked_t asked = OWN(calls);
    rz_op_wait_get(calls->store, "p1", id, NULL, on_wait, &asked);
    wait_answer(&asked);
    return asked;
}

static void on_explain(rz_rc_t rc, const rz_act_t *act, const rz_transition_t *list, size_t n, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->act_state = act->state;
    asked->n = n;
    for (size_t i = 0; i < n; i++) {
        char more[200];
        snprintf(more, sizeof more, "%s%s%s", list[i].runner, *list[i].detail != '\0' ? ": " : "",
                 list[i].detail);
        add_text(asked, list[i].what, more);
    }
    asked->done = true;
}

static asked_t explain(calls_t *calls, const char *child)
{
    asked_t asked = OWN(calls);
    rz_op_explain(calls->store, child, on_explain, &asked);
    wait_answer(&asked);
    return asked;
}

static void on_act(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->act_state = act->state;
    COPY(asked->state, act->status);
    COPY(asked->text, act->progress);
    asked->n = (size_t)act->activation;
    asked->done = true;
}

static asked_t retry(calls_t *calls, const char *child, uint64_t queue_max)
{
    asked_t asked = OWN(calls);
    rz_op_retry(calls->store, child, queue_max, on_act, &asked);
    wait_answer(&asked);
    return asked;
}

static asked_t get(calls_t *calls, const char *child)
{
    asked_t asked = OWN(calls);
    rz_op_get(calls->store, child, NULL, on_act, &asked);
    wait_answer(&asked);
    return asked;
}

static void on_list(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->n = n;
    COPY(asked->next, next);
    for (size_t i = 0; i < n; i++)
        add_text(asked, acts[i].child, "");
    asked->done = true;
}

static asked_t list(calls_t *calls, rz_list_t request)
{
    asked_t asked = OWN(calls);
    rz_op_list(calls->store, &request, on_list, &asked);
    wait_answer(&asked);
    return asked;
}

static void on_sync(rz_rc_t rc, const rz_sync_result_t *result, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->n = result->unheard_count;
    asked->m = result->cancel_now_count;
    for (size_t i = 0; i < result->unheard_count; i++) {
        char more[200];
        snprintf(more, sizeof more, "%s %.*s", result->unheard[i].id, (int)result->unheard[i].message.n,
                 result->unheard[i].message.p);
        add_text(asked, result->unheard[i].child, more);
    }
    for (size_t i = 0; i < result->cancel_count; i++)
        add_text(asked, "cancel", result->cancels[i]);
    for (size_t i = 0; i < result->cancel_now_count; i++)
        add_text(asked, "now", result->cancels_now[i]);
    asked->done = true;
}

static asked_t sync_with(calls_t *calls, const rz_progress_t *progress, size_t n)
{
    static uint64_t counter = 1;
    asked_t asked = OWN(calls);
    const rz_sync_t request = { .incarnation = "i1",
                                .counter = counter++,
                                .digest = "",
                                .facts = "{}",
                                .progress = progress,
                                .progress_count = n };
    rz_op_sync(calls->store, &request, on_sync, &asked);
    wait_answer(&asked);
    return asked;
}

static void on_done(rz_rc_t rc, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->done = true;
}

static void steered(calls_t *calls, const char *child, const char *id)
{
    asked_t asked = OWN(calls);
    rz_op_steered(calls->store, child, id, "i1", on_done, &asked);
    wait_answer(&asked);
    assert_int_equal(asked.rc, RZ_OK);
}

static void on_groups(rz_rc_t rc, uint64_t entries, const rz_group_t *groups, size_t n, void *arg)
{
    asked_t *asked = arg;
    asked->rc = rc;
    asked->m = (size_t)entries;
    asked->n = n;
    for (size_t i = 0; i < n; i++) {
        char more[64];
        snprintf(more, sizeof more, "pending %u lag %u", (unsigned)groups[i].pending,
                 (unsigned)groups[i].lag);
        add_text(asked, groups[i].name, more);
    }
    asked->done = true;
}

static asked_t groups(calls_t *calls)
{
    asked_t asked = OWN(calls);
    rz_op_groups(calls->store, on_groups, &asked);
    wait_answer(&asked);
    return asked;
}

/* ---- children in known states ---- */

static calls_t *joined(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    return calls;
}

static void run(calls_t *calls, const char *child)
{
    rz_submit_t request = plain_submit(child);
    request.owner = "i1";
    request.token = token(0);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_true(calls->answer.claimed);
    assert_int_equal(call_start(calls, child, 1, token(0)), RZ_OK);
}

static void end_as(calls_t *calls, const char *child, const char *status)
{
    const char *error = strcmp(status, "completed") == 0 ? NULL : "why it ended";
    assert_int_equal(call_finish(calls, child, 1, token(0), status, error, ""), RZ_OK);
}

/* How many entries of `completions` are of this kind. */
static size_t told(calls_t *calls, const char *kind)
{
    char word[64];
    snprintf(word, sizeof word, "kind %s ", kind);
    size_t n = 0;
    for (const char *at = redis_do(&calls->redis, "XRANGE rz:{0}:completions - +");
         (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

#define CHILDREN(...)                                                                                        \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

/* ---- waits ---- */

static void a_wait_for_all_is_satisfied_by_the_last_end(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    assert_string_equal(wait_register(calls, "w", "all", CHILDREN("a", "b")).state, "waiting");
    end_as(calls, "a", "error");
    assert_string_equal(wait_get(calls, "w").text, "a error; b");
    assert_int_equal(told(calls, "wait_satisfied"), 0);
    end_as(calls, "b", "completed");
    asked_t after = wait_get(calls, "w");
    assert_string_equal(after.state, "satisfied");
    assert_string_equal(after.by, "b");
    assert_string_equal(after.text, "a error; b completed");
    assert_int_equal(told(calls, "wait_satisfied"), 1);
}

static void a_wait_for_any_is_satisfied_by_the_first_end_and_only_once(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    wait_register(calls, "w", "any", CHILDREN("a", "b"));
    end_as(calls, "b", "cancelled");
    end_as(calls, "a", "completed");
    asked_t after = wait_get(calls, "w");
    assert_string_equal(after.state, "satisfied");
    assert_string_equal(after.by, "b");
    assert_string_equal(after.text, "a; b cancelled");
    assert_int_equal(told(calls, "wait_satisfied"), 1);
}

static void a_wait_for_the_first_error_passes_over_what_completes(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    run(calls, "c");
    wait_register(calls, "w", "first_error", CHILDREN("a", "b", "c"));
    end_as(calls, "a", "completed");
    assert_string_equal(wait_get(calls, "w").state, "waiting");
    end_as(calls, "b", "timeout");
    asked_t after = wait_get(calls, "w");
    assert_string_equal(after.state, "satisfied");
    assert_string_equal(after.by, "b");
}

static void a_wait_for_the_first_error_ends_when_all_completed(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    wait_register(calls, "w", "first_error", CHILDREN("a", "b"));
    end_as(calls, "a", "completed");
    end_as(calls, "b", "skipped");
    assert_string_equal(wait_get(calls, "w").state, "satisfied");
}

static void an_error_of_a_child_that_is_not_waited_for_satisfies_nothing(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "stranger");
    wait_register(calls, "w", "first_error", CHILDREN("a"));
    end_as(calls, "stranger", "error");
    assert_string_equal(wait_get(calls, "w").state, "waiting");
}

static void registering_rereads_the_children_so_an_earlier_end_is_not_missed(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    end_as(calls, "a", "error");
    asked_t any = wait_register(calls, "w1", "any", CHILDREN("b", "a"));
    assert_string_equal(any.state, "satisfied");
    assert_string_equal(any.by, "a");
    assert_string_equal(wait_register(calls, "w2", "first_error", CHILDREN("a", "b")).state, "satisfied");
    assert_string_equal(wait_register(calls, "w3", "all", CHILDREN("a", "b")).state, "waiting");
    assert_string_equal(wait_register(calls, "w4", "all", CHILDREN("a")).state, "satisfied");
    assert_int_equal(told(calls, "wait_satisfied"), 3);
}

static void a_wait_may_name_a_child_that_comes_later(void **state)
{
    calls_t *calls = joined(state);
    assert_string_equal(wait_register(calls, "w", "all", CHILDREN("late")).state, "waiting");
    run(calls, "late");
    end_as(calls, "late", "completed");
    assert_string_equal(wait_get(calls, "w").state, "satisfied");
}

static void the_same_wait_again_is_a_duplicate_and_another_under_its_id_a_conflict(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    wait_register(calls, "w", "all", CHILDREN("a"));
    assert_int_equal(wait_register(calls, "w", "all", CHILDREN("a")).rc, RZ_DUPLICATE);
    assert_int_equal(wait_register(calls, "w", "any", CHILDREN("a")).rc, RZ_CONFLICT);
    assert_int_equal(wait_register(calls, "w", "all", CHILDREN("a", "b")).rc, RZ_CONFLICT);
    end_as(calls, "a", "completed");
    asked_t again = wait_register(calls, "w", "all", CHILDREN("a"));
    assert_int_equal(again.rc, RZ_DUPLICATE);
    assert_string_equal(again.state, "satisfied");
    assert_int_equal(told(calls, "wait_satisfied"), 1);
    assert_int_equal(wait_get(calls, "unheard-of").rc, RZ_NOT_FOUND);
}

static void a_repeated_completion_satisfies_no_wait_twice(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    wait_register(calls, "w", "any", CHILDREN("a", "b"));
    end_as(calls, "a", "completed");
    assert_int_equal(call_finish(calls, "a", 1, token(0), "completed", NULL, ""), RZ_DUPLICATE);
    assert_int_equal(told(calls, "wait_satisfied"), 1);
}

static void an_end_made_by_the_store_counts_for_a_wait(void **state)
{
    calls_t *calls = joined(state);
    rz_submit_t queued = plain_submit("q");
    assert_int_equal(call_submit(calls, &queued), RZ_OK);
    wait_register(calls, "w", "all", CHILDREN("q"));
    assert_int_equal(call_cancel(calls, "q", NULL), RZ_OK);
    assert_string_equal(wait_get(calls, "w").text, "q cancelled");
    assert_string_equal(wait_get(calls, "w").state, "satisfied");
}

/* ---- explain, retry, doom ---- */

static void every_transition_is_told_with_its_runner(void **state)
{
    calls_t *calls = joined(state);
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(call_release(calls, "c1", 1, token(0)), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(call_start(calls, "c1", 2, token(0)), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{}"), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_int_equal(call_finish(calls, "c1", 2, token(0), "cancelled", "Cancelled", ""), RZ_OK);
    assert_string_equal(
        explain(calls, "c1").text,
        "queued; assigned runner-1; released runner-1: by the test; assigned runner-1; "
        "running runner-1; steer runner-1: s1; cancel runner-1; cancelled runner-1: Cancelled");
    assert_int_equal(explain(calls, "nobody").rc, RZ_NOT_FOUND);
}

static void an_ended_child_is_retried_as_its_latest_job_was(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "c1");
    assert_int_equal(retry(calls, "c1", 10).rc, RZ_ALREADY_RUNNING);
    end_as(calls, "c1", "error");
    asked_t again = retry(calls, "c1", 10);
    assert_int_equal(again.rc, RZ_OK);
    assert_int_equal(again.act_state, RZ_ACT_QUEUED);
    assert_int_equal(again.n, 2);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    assert_string_equal(calls->answer.assigned[0].messages, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_int_equal(retry(calls, "nobody", 10).rc, RZ_NOT_FOUND);
}

static void a_retry_waits_for_room_in_the_queue_as_a_job_does(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "c1");
    end_as(calls, "c1", "error");
    assert_int_equal(retry(calls, "c1", 0).rc, RZ_FULL);
    assert_int_equal(get(calls, "c1").act_state, RZ_ACT_TERMINAL);
}

static void what_can_never_run_is_stored_and_ends_with_its_reason(void **state)
{
    calls_t *calls = joined(state);
    rz_submit_t request = plain_submit("c1");
    request.doom = "nobody speaks this";
    request.owner = "i1";
    request.token = token(0);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_false(calls->answer.claimed);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "error");
    assert_string_equal(calls->answer.error, "nobody speaks this");
    assert_int_equal(told(calls, "completion"), 1);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
}

/* ---- lists ---- */

static void a_list_is_filtered_by_status_and_by_state(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    end_as(calls, "a", "error");
    assert_string_equal(list(calls, (rz_list_t){ .status = "error", .limit = 10 }).text, "a");
    assert_string_equal(list(calls, (rz_list_t){ .status = "running", .limit = 10 }).text, "b");
    assert_string_equal(list(calls, (rz_list_t){ .status = "terminal", .limit = 10 }).text, "a");
    assert_string_equal(list(calls, (rz_list_t){ .parent = "p2", .limit = 10 }).text, "");
    assert_string_equal(list(calls, (rz_list_t){ .since_ms = 4000000000000, .limit = 10 }).text, "");
}

static void pages_of_a_list_show_every_child_once(void **state)
{
    calls_t *calls = joined(state);
    char all[1024] = "", id[16];
    for (int i = 0; i < 25; i++) { /* several within one millisecond */
        snprintf(id, sizeof id, "n%02d", i);
        rz_submit_t request = plain_submit(id);
        assert_int_equal(call_submit(calls, &request), RZ_OK);
    }
    asked_t page = list(calls, (rz_list_t){ .limit = 7 });
    for (int pages = 1;; pages++) {
        assert_in_range(pages, 1, 5);
        strcat(all, page.text);
        strcat(all, ";");
        if (page.next[0] == '\0')
            break;
        char before[64];
        COPY(before, page.next);
        page = list(calls, (rz_list_t){ .limit = 7, .before = before });
    }
    for (int i = 0; i < 25; i++) {
        snprintf(id, sizeof id, "n%02d", i);
        const char *first = strstr(all, id);
        assert_non_null(first);
        assert_null(strstr(first + 1, id));
    }
}

/* ---- what sync carries ---- */

static void steering_that_no_worker_was_told_of_comes_with_sync_until_it_is_confirmed(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    assert_int_equal(call_steer(calls, "a", "s1", "{\"content\":\"one\"}"), RZ_OK);
    assert_int_equal(call_steer(calls, "a", "s2", "{\"content\":\"two\"}"), RZ_OK);
    steered(calls, "a", "s1");
    assert_string_equal(sync_with(calls, NULL, 0).text, "a s2 {\"content\":\"two\"}");
    steered(calls, "a", "s2");
    assert_int_equal(sync_with(calls, NULL, 0).n, 0);
    end_as(calls, "a", "completed");
    assert_int_equal(call_session_get(calls, "a"), RZ_OK);
    assert_string_equal(
        calls->answer.messages,
        "[{\"role\":\"user\",\"content\":\"hi\"},{\"content\":\"one\"},{\"content\":\"two\"}]");
}

static void steering_of_an_ended_run_is_not_carried_any_more(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    assert_int_equal(call_steer(calls, "a", "s1", "{}"), RZ_OK);
    end_as(calls, "a", "completed");
    assert_int_equal(sync_with(calls, NULL, 0).n, 0);
}

static void a_cancel_without_grace_stays_one(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    asked_t asked = OWN(calls);
    assert_int_equal(call_cancel(calls, "b", NULL), RZ_OK);
    rz_op_cancel(calls->store, "a", NULL, (rz_cancel_how_t){ .now = true }, NULL, NULL);
    assert_int_equal(call_cancel(calls, "a", NULL), RZ_OK); /* a later gentle one does not soften it */
    asked = sync_with(calls, NULL, 0);
    assert_string_equal(asked.text, "cancel b; now a");
    end_as(calls, "a", "cancelled");
    end_as(calls, "b", "cancelled");
    assert_string_equal(sync_with(calls, NULL, 0).text, "");
}

static void progress_is_kept_for_what_the_runner_owns_and_for_its_epoch(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    const rz_progress_t said[] = { { "a", 1, RZ_STR("{\"round_count\":3}") },
                                   { "nobody", 1, RZ_STR("{\"round_count\":4}") } };
    assert_int_equal(sync_with(calls, said, 2).rc, RZ_OK);
    assert_string_equal(get(calls, "a").text, "{\"round_count\":3}");
    assert_int_equal(get(calls, "nobody").rc, RZ_NOT_FOUND);
    end_as(calls, "a", "error");
    assert_string_equal(get(calls, "a").text, "{\"round_count\":3}");
    assert_int_equal(retry(calls, "a", 10).rc, RZ_OK);
    assert_string_equal(get(calls, "a").text, "");
}

static void a_reader_group_that_falls_behind_is_seen(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    redis_do(&calls->redis, "XGROUP CREATE rz:{0}:completions billing 0 MKSTREAM");
    end_as(calls, "a", "completed");
    end_as(calls, "b", "completed");
    redis_do(&calls->redis, "XREADGROUP GROUP billing me COUNT 1 STREAMS rz:{0}:completions >");
    asked_t asked = groups(calls);
    assert_int_equal(asked.m, 2);
    assert_string_equal(asked.text, "billing pending 1 lag 1");
}

static void a_group_that_began_in_the_middle_is_seen_to_lag(void **state)
{
    calls_t *calls = joined(state);
    run(calls, "a");
    run(calls, "b");
    run(calls, "c");
    end_as(calls, "a", "completed");
    redis_do(&calls->redis, "XGROUP CREATE rz:{0}:completions late $");
    end_as(calls, "b", "completed");
    end_as(calls, "c", "completed");
    assert_string_equal(groups(calls).text, "late pending 0 lag 2");
}

static void a_place_in_a_list_that_is_no_place_is_refused(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(list(calls, (rz_list_t){ .limit = 1, .before = "5:99999999999999999999" }).rc,
                     RZ_BAD_FIELD);
    assert_int_equal(list(calls, (rz_list_t){ .limit = 1, .before = "yesterday" }).rc, RZ_BAD_FIELD);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_wait_for_all_is_satisfied_by_the_last_end, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_for_any_is_satisfied_by_the_first_end_and_only_once, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_for_the_first_error_passes_over_what_completes, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_for_the_first_error_ends_when_all_completed, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_error_of_a_child_that_is_not_waited_for_satisfies_nothing, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(registering_rereads_the_children_so_an_earlier_end_is_not_missed, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_wait_may_name_a_child_that_comes_later, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_same_wait_again_is_a_duplicate_and_another_under_its_id_a_conflict, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_repeated_completion_satisfies_no_wait_twice, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_end_made_by_the_store_counts_for_a_wait, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(every_transition_is_told_with_its_runner, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_ended_child_is_retried_as_its_latest_job_was, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_retry_waits_for_room_in_the_queue_as_a_job_does, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_can_never_run_is_stored_and_ends_with_its_reason, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_list_is_filtered_by_status_and_by_state, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(pages_of_a_list_show_every_child_once, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_that_no_worker_was_told_of_comes_with_sync_until_it_is_confirmed, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_of_an_ended_run_is_not_carried_any_more, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_cancel_without_grace_stays_one, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(progress_is_kept_for_what_the_runner_owns_and_for_its_epoch, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_reader_group_that_falls_behind_is_seen, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_group_that_began_in_the_middle_is_seen_to_lag, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_place_in_a_list_that_is_no_place_is_refused, calls_setup, calls_teardown),
};
/* clang-format on */

RZ_FACTS(tests)
