/* The life of one activation, against a real Redis: every operation of ops_submit.c and ops_write.c, every
 * code. */
#include "calls.h"

#include "../facts.h"

#include <inttypes.h>

#define C1 "c1", 1, token(0)

/* c1, claimed by i1 as epoch 1 with token(0) */
static calls_t *with_assigned(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    return calls;
}

static calls_t *with_running(void **state)
{
    calls_t *calls = with_assigned(state);
    assert_int_equal(call_start(calls, C1), RZ_OK);
    return calls;
}

/* ---- submit ---- */
static void a_submit_stores_the_session_and_queues_the_activation(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
    assert_int_equal(calls->answer.activation, 1);
    assert_false(calls->answer.claimed);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.header, "{\"kind\":\"child\"}");
    assert_string_equal(calls->answer.messages, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_string_equal(calls->answer.status, "pending");
    assert_int_equal(calls->answer.rev, 1);
}

static void the_same_job_again_is_a_duplicate_and_tells_its_state(void **state)
{
    calls_t *calls = with_running(state);
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_DUPLICATE);
    assert_int_equal(calls->answer.state, RZ_ACT_RUNNING);
    assert_int_equal(calls->answer.activation, 1);
}

static void a_job_id_with_other_content_is_a_conflict(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    request.digest = "digest-2";
    assert_int_equal(call_submit(calls, &request), RZ_CONFLICT);
}

static void a_child_of_another_parent_is_a_conflict_that_names_it(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    request.parent = "p2";
    assert_int_equal(call_submit(calls, &request), RZ_CONFLICT);
    assert_string_equal(calls->answer.parent, "p1");
}

static void a_child_without_a_parent_is_taken_over_by_who_may_speak_for_all_parents_only(void **state)
{
    calls_t *calls = *state;
    const rz_session_put_t lone = { .child = "c1",
                                    .session_affinity = "aff",
                                    .session_profile = "echo",
                                    .header = RZ_STR("{\"kind\":\"child\"}") };
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_session_put(calls, &lone), RZ_OK);
    request.own = true;
    assert_int_equal(call_submit(calls, &request), RZ_CONFLICT);
    request.own = false;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    request.own = true;
    assert_int_equal(call_submit(calls, &request), RZ_DUPLICATE); /* it is its parent's now */
}

static void a_second_job_for_a_live_child_is_already_running(void **state)
{
    calls_t *calls = with_running(state);
    rz_submit_t request = plain_submit("c1");
    request.job = "j-other";
    assert_int_equal(call_submit(calls, &request), RZ_ALREADY_RUNNING);
    assert_int_equal(calls->answer.state, RZ_ACT_RUNNING);
}

static void without_a_job_id_nothing_is_a_duplicate(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.job = NULL;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_ALREADY_RUNNING);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(calls->answer.activation, 2);
}

static void a_child_without_session_is_not_found(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.header = (rz_str_t){ NULL, 0 };
    request.message_count = 0;
    assert_int_equal(call_submit(calls, &request), RZ_NOT_FOUND);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_NOT_FOUND);
}

static void a_full_queue_takes_no_more_but_a_runner_with_room_does(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.queue_max = 1;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    request = plain_submit("c2");
    request.queue_max = 1;
    assert_int_equal(call_submit(calls, &request), RZ_FULL);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    request.profile = "idle-class";
    request.owner = "i1";
    request.token = token(1);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_true(calls->answer.claimed);
}

static void a_session_above_its_limit_is_too_large(void **state)
{
    calls_t *calls = *state;
    char *big = rz_alloc((size_t)9 << 20);
    memset(big, 'x', (size_t)9 << 20);
    rz_submit_t request = plain_submit("c1");
    const rz_str_t message = { big, (size_t)9 << 20 };
    request.messages = &message;
    rz_rc_t rc = call_submit(calls, &request);
    rz_free(big);
    assert_int_equal(rc, RZ_TOO_LARGE);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_NOT_FOUND);
}

static void a_class_that_cannot_be_a_key_is_a_bad_field(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.profile = "a/b";
    assert_int_equal(call_submit(calls, &request), RZ_BAD_FIELD);
    request = plain_submit("c1");
    request.model = "two\nlines";
    assert_int_equal(call_submit(calls, &request), RZ_BAD_FIELD);
    const rz_session_put_t put = { .child = "c1", .session_profile = "a/b", .header = RZ_STR("{}") };
    assert_int_equal(call_session_put(calls, &put), RZ_BAD_FIELD);
}

static void a_submit_with_credit_is_claimed_in_the_same_step(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.owner = "i1";
    request.token = token(7);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_true(calls->answer.claimed);
    assert_int_equal(calls->answer.state, RZ_ACT_ASSIGNED);
    assert_int_equal(calls->answer.assigned[0].epoch, 1);
    assert_string_equal(calls->answer.assigned[0].token, token(7));
    assert_string_equal(calls->answer.assigned[0].messages, "[{\"role\":\"user\",\"content\":\"hi\"}]");
    assert_int_equal(call_start(calls, "c1", 1, token(7)), RZ_OK);
}

static void a_submit_behind_others_of_its_class_waits_its_turn(void **state)
{
    calls_t *calls = *state;
    rz_submit_t first = plain_submit("c1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &first), RZ_OK);
    rz_submit_t second = plain_submit("c2");
    second.owner = "i1";
    second.token = token(1);
    assert_int_equal(call_submit(calls, &second), RZ_OK);
    assert_false(calls->answer.claimed);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
}

static void a_submit_for_a_dead_runner_is_queued(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.owner = "i1";
    request.token = token(1);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 0, false), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_false(calls->answer.claimed);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
}

static void a_later_job_appends_to_the_stored_session(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "error", "broke", ""), RZ_OK);
    rz_submit_t request = plain_submit("c1");
    request.job = "j-2";
    request.header = (rz_str_t){ NULL, 0 };
    request.message_count = 0;
    request.append = RZ_STR("{\"role\":\"user\",\"content\":\"again\"}");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(calls->answer.activation, 2);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"user\",\"content\":\"again\"}]");
    assert_string_equal(calls->answer.error, "");
}

static void an_earlier_job_is_still_known_with_its_outcome(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "error", "it broke badly", ""), RZ_OK);
    rz_submit_t request = plain_submit("c1");
    request.job = "j-2";
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_get(calls, "c1", "j-c1"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "error");
    assert_string_equal(calls->answer.error, "it broke badly");
    assert_int_equal(calls->answer.activation, 1);
    assert_int_equal(call_get(calls, "c1", "j-2"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
    assert_int_equal(call_get(calls, "c1", "j-3"), RZ_NOT_FOUND);
    request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_DUPLICATE);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
}

/* ---- start, append ---- */
static void a_start_makes_it_running_and_may_be_repeated(void **state)
{
    calls_t *calls = with_assigned(state);
    assert_int_equal(call_start(calls, C1), RZ_OK);
    assert_int_equal(call_start(calls, C1), RZ_OK);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_RUNNING);
    assert_string_equal(calls->answer.status, "running");
}

static void a_stranger_with_any_other_token_is_fenced(void **state)
{
    calls_t *calls = with_running(state);
    const char *const wrong[] = { token(1), "", "-", "00000000000000000000000000001000 " };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(call_start(calls, "c1", 1, wrong[i]), RZ_FENCED);
        assert_int_equal(call_append(calls, "c1", 1, wrong[i], 1, 1), RZ_FENCED);
        assert_int_equal(call_finish(calls, "c1", 1, wrong[i], "completed", "", "x"), RZ_FENCED);
        assert_int_equal(call_release(calls, "c1", 1, wrong[i]), RZ_FENCED);
    }
    assert_int_equal(call_finish(calls, "c1", 2, token(0), "completed", "", "x"), RZ_FENCED);
    assert_int_equal(call_finish(calls, "unknown", 1, token(0), "completed", "", "x"), RZ_FENCED);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_RUNNING);
    assert_string_equal(redis_do(&calls->redis, "EXISTS rz:{0}:e:c1"), "0");
}

static void an_event_is_logged_once_however_often_it_is_sent(void **state)
{
    calls_t *calls = with_running(state);
    assert_string_equal(redis_do(&calls->redis, "EXISTS rz:{0}:e:c1"), "0");
    assert_int_equal(call_append(calls, C1, 1, 3), RZ_OK);
    assert_int_equal(call_append(calls, C1, 2, 5), RZ_OK);
    assert_int_equal(call_append(calls, C1, 1, 5), RZ_OK);
    assert_int_equal(call_replay(calls, "c1", 0, 0, 100), RZ_OK);
    assert_int_equal(calls->answer.n, 5);
    assert_string_equal(calls->answer.first, "1-1");
    assert_string_equal(calls->answer.last, "1-5");
    assert_string_equal(calls->answer.text[4], "5 h e");
}

static void an_append_after_the_end_or_of_an_older_epoch_is_refused(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "completed", "", ""), RZ_OK);
    assert_int_equal(call_append(calls, C1, 1, 1), RZ_ENDED);
    assert_int_equal(call_start(calls, C1), RZ_ENDED);
    rz_submit_t request = plain_submit("c1");
    request.job = "j-2";
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_append(calls, C1, 1, 1), RZ_FENCED);
    const rz_candidate_t candidate = { "i1", 1, "" };
    assert_int_equal(call_claim_of(calls, &(rz_claim_t){ .profile = "echo",
                                                         .max = 1,
                                                         .candidates = &candidate,
                                                         .candidate_count = 1,
                                                         .tokens = (const char(*)[33])token(5) }),
                     RZ_OK);
    assert_int_equal(calls->answer.assigned[0].epoch, 2);
    assert_int_equal(call_append(calls, C1, 1, 1), RZ_FENCED);
    assert_int_equal(call_append(calls, "c1", 2, token(5), 1, 1), RZ_OK);
}

static void events_keep_nul_bytes(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_append(calls, C1, 1, 1), RZ_OK);
    const char *length =
        redis_do(&calls->redis, "EVAL return(#redis.call('XRANGE','rz:{0}:e:c1','-','+')[1][2][4]) 0");
    assert_string_equal(length, "3");
}

/* ---- finish ---- */
static void a_finish_writes_the_end_the_reply_and_one_completion(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "error", "no luck", "{\"role\":\"assistant\"}"), RZ_OK);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "error");
    assert_string_equal(calls->answer.error, "no luck");
    assert_string_equal(calls->answer.messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\"}]");
    assert_int_equal(calls->answer.rev, 2);
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:completions"), "1");
    assert_non_null(strstr(redis_do(&calls->redis, "XRANGE rz:{0}:completions - +"),
                           "parent p1 child c1 job j-c1 epoch 1 status error error no luck at "));
    assert_non_null(strstr(redis_do(&calls->redis, "XRANGE rz:{0}:completions - +"), " broker -"));
    assert_string_equal(redis_do(&calls->redis, "EXISTS rz:{0}:o:i1"), "0");
}

static void the_same_finish_again_is_a_duplicate_and_any_other_is_fenced(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "completed", "", "{\"role\":\"assistant\"}"), RZ_OK);
    assert_int_equal(call_finish(calls, C1, "completed", "", "{\"role\":\"assistant\"}"), RZ_DUPLICATE);
    assert_int_equal(call_finish(calls, C1, "error", "late", "{\"role\":\"assistant\"}"), RZ_FENCED);
    assert_int_equal(call_finish(calls, C1, "completed", "late", "{\"role\":\"assistant\"}"), RZ_FENCED);
    assert_int_equal(call_finish(calls, "c1", 1, token(9), "error", "late", ""), RZ_FENCED);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.status, "completed");
    assert_int_equal(calls->answer.rev, 2);
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:completions"), "1");
}

static void a_finish_wins_over_a_later_cancel(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_finish(calls, C1, "completed", "", ""), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", "too late"), RZ_ENDED);
    assert_string_equal(calls->answer.status, "completed");
    assert_false(calls->answer.ended);
}

static void a_finish_merges_every_steering_message_once_and_in_order(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"a b\":1}"), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s2", "{\"id\":\"s2\"}"), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"a b\":1}"), RZ_DUPLICATE);
    assert_int_equal(call_finish(calls, C1, "completed", "", "{\"role\":\"assistant\"}"), RZ_OK);
    assert_int_equal(call_finish(calls, C1, "completed", "", "{\"role\":\"assistant\"}"), RZ_DUPLICATE);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\"},"
                        "{\"a b\":1},{\"id\":\"s2\"}]");
    assert_int_equal(call_steer(calls, "c1", "s2", "{\"id\":\"s2\"}"), RZ_DUPLICATE);
}

static void a_finish_logs_its_last_events_first(void **state)
{
    calls_t *calls = with_running(state);
    const rz_log_item_t items[] = { { 1, RZ_STR("h1"), RZ_STR("e1") }, { 2, RZ_STR("h2"), RZ_STR("done") } };
    const rz_str_t args[] = { RZ_STR("c1"),   RZ_STR("1"), rz_str(token(0)), RZ_STR("completed"),
                              RZ_STR(""),     RZ_STR(""),  RZ_STR("1"),      items[0].header,
                              items[0].event, RZ_STR("2"), items[1].header,  items[1].event };
    rz_store_call(calls->store, "finish", args, 12, NULL, NULL);
    assert_int_equal(call_replay(calls, "c1", 1, 2, 100), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_int_equal(calls->answer.n, 1);
    assert_string_equal(calls->answer.text[0], "2 h2 done");
}

/* ---- release ---- */
static void what_is_released_is_first_in_line_again(void **state)
{
    calls_t *calls = with_assigned(state);
    rz_submit_t request = plain_submit("c2");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_release(calls, C1), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(calls->answer.assigned[0].child, "c1");
    assert_int_equal(calls->answer.assigned[0].epoch, 2);
    assert_int_equal(calls->answer.assigned[0].attempt, 1);
    assert_int_equal(calls->answer.left, 1);
}

static void what_runs_is_not_released(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_release(calls, C1), RZ_STATE);
}

static void what_was_cancelled_ends_when_it_is_released(void **state)
{
    calls_t *calls = with_assigned(state);
    assert_int_equal(call_cancel(calls, "c1", "changed my mind"), RZ_OK);
    assert_int_equal(call_release(calls, C1), RZ_OK);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "cancelled");
    assert_string_equal(calls->answer.error, "changed my mind");
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
}

/* ---- cancel ---- */
static void a_cancelled_queued_activation_ends_at_once_and_is_never_claimed(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_true(calls->answer.ended);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "cancelled");
    assert_string_equal(calls->answer.error, "Cancelled by parent");
    assert_int_equal(call_claim(calls, "i1", 4), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
    assert_int_equal(calls->answer.left, 0);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_ENDED);
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:completions"), "1");
}

/* One that nobody serves: no claim comes to throw away what cancels left in a long queue. */
static void a_long_queue_that_is_cancelled_as_a_whole_counts_for_nothing(void **state)
{
    calls_t *calls = *state;
    char child[16];
    for (int i = 0; i < 600; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rz_submit_t request = plain_submit(child);
        assert_int_equal(call_submit(calls, &request), RZ_OK);
    }
    for (int i = 0; i < 600; i++) {
        snprintf(child, sizeof child, "c%d", i);
        assert_int_equal(call_cancel(calls, child, NULL), RZ_OK);
    }
    assert_string_equal(redis_do(&calls->redis, "GET rz:{0}:n"), "0");
    assert_string_equal(redis_do(&calls->redis, "KEYS rz:{0}:q:*"), "");
}

static void the_end_of_a_queued_cancel_is_broadcast_and_logged(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", "say \"why\""), RZ_OK);
    const char *entry = redis_do(&calls->redis, "XRANGE rz:{0}:broadcast - +");
    assert_non_null(strstr(entry,
                           "topic p1/c1/sub_agent_completed header {\"v\":1,\"parent\":\"p1\",\"child\":"
                           "\"c1\",\"job\":\"j-c1\",\"epoch\":1,\"seq\":1,\"prev_durable\":0,\"ts\":\"20"));
    assert_non_null(strstr(entry,
                           "{\"type\":\"sub_agent_completed\",\"parent_session_id\":\"p1\",\"child_session_"
                           "id\":\"c1\",\"status\":\"cancelled\",\"error\":\"say \\\"why\\\"\"}"));
    assert_int_equal(call_replay(calls, "c1", 0, 0, 10), RZ_OK);
    assert_string_equal(calls->answer.last, "1-1");
}

static void a_cancel_of_a_running_one_is_stored_for_its_owner(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_cancel(calls, "c1", "stop"), RZ_OK);
    assert_false(calls->answer.ended);
    assert_true(calls->answer.cancelled);
    assert_string_equal(calls->answer.owner, "i1");
    assert_int_equal(call_cancel(calls, "c1", "stop"), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 1, "x"), RZ_OK);
    assert_int_equal(calls->answer.cancels, 1);
    assert_string_equal(calls->answer.text[0], "c1");
    assert_int_equal(call_finish(calls, C1, "cancelled", "Cancelled", ""), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 2, "x"), RZ_OK);
    assert_int_equal(calls->answer.cancels, 0);
}

static void a_cancel_of_nothing_is_not_found(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_NOT_FOUND);
    const rz_session_put_t put = { .child = "c2", .parent = "p1", .header = RZ_STR("{}") };
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    assert_int_equal(call_cancel(calls, "c2", NULL), RZ_NOT_FOUND);
}

/* ---- steer ---- */
static void steering_with_no_live_activation_enters_the_session_at_once(void **state)
{
    calls_t *calls = with_running(state);
    assert_int_equal(call_steer(calls, "unknown", "s1", "{}"), RZ_NOT_FOUND);
    assert_int_equal(call_finish(calls, C1, "completed", "", ""), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"id\":\"s1\"}"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages, "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"}]");
}

static void steering_of_a_queued_one_that_is_cancelled_is_kept(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"id\":\"s1\"}"), RZ_OK);
    assert_int_equal(call_cancel(calls, "c1", NULL), RZ_OK);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages, "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"}]");
}

static void steering_of_a_queued_one_is_heard_by_its_run(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"id\":\"s1\"}"), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(calls->answer.assigned[0].messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"}]");
    assert_int_equal(call_finish(calls, C1, "completed", "", "{}"), RZ_OK);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"},{}]");
}

static void steering_of_a_lost_attempt_is_heard_by_the_next(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.max_attempts = 2;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(call_start(calls, C1), RZ_OK);
    assert_int_equal(call_steer(calls, "c1", "s1", "{\"id\":\"s1\"}"), RZ_OK);
    assert_int_equal(call_join(calls, "i2", "runner-1"), RZ_OK);
    assert_int_equal(call_tick(calls, 1000), RZ_OK);
    assert_int_equal(call_claim(calls, "i2", 1), RZ_OK);
    assert_int_equal(calls->answer.assigned[0].attempt, 2);
    assert_string_equal(calls->answer.assigned[0].messages,
                        "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"}]");
}

/* ---- reassign ---- */
static void the_owner_can_fetch_its_assignment_again(void **state)
{
    calls_t *calls = with_assigned(state);
    assert_int_equal(call_reassign(calls, "c1", "i1"), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    assert_string_equal(calls->answer.assigned[0].token, token(0));
    assert_int_equal(calls->answer.assigned[0].epoch, 1);
    assert_int_equal(call_reassign(calls, "c1", "i2"), RZ_FENCED);
    assert_int_equal(call_finish(calls, C1, "completed", "", ""), RZ_OK);
    assert_int_equal(call_reassign(calls, "c1", "i1"), RZ_FENCED);
}

/* One fact a line, where CMake finds them. */
/* clang-format off */
static void an_incarnation_joins_under_one_name_only(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_join(calls, "i1", "runner-2"), RZ_CONFLICT);
    assert_int_equal(call_join(calls, "i2", "runner-2"), RZ_OK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_incarnation_joins_under_one_name_only, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_submit_stores_the_session_and_queues_the_activation, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_same_job_again_is_a_duplicate_and_tells_its_state, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_job_id_with_other_content_is_a_conflict, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_child_of_another_parent_is_a_conflict_that_names_it, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_child_without_a_parent_is_taken_over_by_who_may_speak_for_all_parents_only, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_second_job_for_a_live_child_is_already_running, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(without_a_job_id_nothing_is_a_duplicate, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_child_without_session_is_not_found, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_full_queue_takes_no_more_but_a_runner_with_room_does, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_session_above_its_limit_is_too_large, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_class_that_cannot_be_a_key_is_a_bad_field, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_submit_with_credit_is_claimed_in_the_same_step, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_submit_behind_others_of_its_class_waits_its_turn, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_submit_for_a_dead_runner_is_queued, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_later_job_appends_to_the_stored_session, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_earlier_job_is_still_known_with_its_outcome, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_start_makes_it_running_and_may_be_repeated, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_stranger_with_any_other_token_is_fenced, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_event_is_logged_once_however_often_it_is_sent, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_append_after_the_end_or_of_an_older_epoch_is_refused, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(events_keep_nul_bytes, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_finish_writes_the_end_the_reply_and_one_completion, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_same_finish_again_is_a_duplicate_and_any_other_is_fenced, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_finish_wins_over_a_later_cancel, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_finish_merges_every_steering_message_once_and_in_order, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_finish_logs_its_last_events_first, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_is_released_is_first_in_line_again, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_runs_is_not_released, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(what_was_cancelled_ends_when_it_is_released, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_cancelled_queued_activation_ends_at_once_and_is_never_claimed, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_long_queue_that_is_cancelled_as_a_whole_counts_for_nothing, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_end_of_a_queued_cancel_is_broadcast_and_logged, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_cancel_of_a_running_one_is_stored_for_its_owner, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_cancel_of_nothing_is_not_found, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_with_no_live_activation_enters_the_session_at_once, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_of_a_queued_one_that_is_cancelled_is_kept, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_of_a_queued_one_is_heard_by_its_run, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(steering_of_a_lost_attempt_is_heard_by_the_next, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(the_owner_can_fetch_its_assignment_again, calls_setup, calls_teardown),
};
/* clang-format on */

RZ_FACTS(tests)
