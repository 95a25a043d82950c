/* Queues, incarnations, sessions and reading, against a real Redis: ops_fleet.c, ops_read.c and the claims of
 * ops_submit.c. */
#include "calls.h"

#include "../facts.h"
#include "base/id.h"
#include "wire/link.h"

#include <inttypes.h>

static void submit_many(calls_t *calls, const char *parent, const char *prefix, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char child[40];
        snprintf(child, sizeof child, "%s%u", prefix, i);
        rz_submit_t request = plain_submit(child);
        request.parent = parent;
        request.job = NULL;
        assert_int_equal(call_submit(calls, &request), RZ_OK);
    }
}

static void run_to_start(calls_t *calls, const char *child, const char *incarnation, unsigned max_attempts)
{
    rz_submit_t request = plain_submit(child);
    request.max_attempts = max_attempts;
    request.owner = incarnation;
    request.token = token(1);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_true(calls->answer.claimed);
    assert_int_equal(call_start(calls, child, 1, token(1)), RZ_OK);
}

/* ---- claim ---- */
static void a_parent_with_a_thousand_children_does_not_starve_one_with_three(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    submit_many(calls, "big", "b", 1000);
    submit_many(calls, "small", "s", 3);
    assert_int_equal(call_claim(calls, "i1", 6), RZ_OK);
    const char *const expected[] = { "b0", "s0", "b1", "s1", "b2", "s2" };
    assert_int_equal(calls->answer.n, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(calls->answer.assigned[i].child, expected[i]);
    assert_int_equal(calls->answer.left, 997);
    assert_int_equal(call_claim(calls, "i1", 2), RZ_OK);
    assert_string_equal(calls->answer.assigned[1].child, "b4");
}

static void a_higher_priority_goes_first(void **state)
{
    calls_t *calls = *state;
    static const char *const children[] = { "low", "normal", "high" };
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    for (unsigned i = 0; i < 3; i++) {
        rz_submit_t request = plain_submit(children[i]);
        request.priority = 2 - i;
        assert_int_equal(call_submit(calls, &request), RZ_OK);
    }
    assert_int_equal(call_claim(calls, "i1", 3), RZ_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(calls->answer.assigned[i].child, children[2 - i]);
}

static void a_claim_takes_only_its_own_class(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    request.labels = "gpu";
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
    assert_int_equal(call_classes(calls), RZ_OK);
    assert_int_equal(calls->answer.n, 1);
    assert_string_equal(calls->answer.text[0], "echo/gpu 1");
}

static void a_runner_with_an_idle_worker_of_the_key_is_preferred(void **state)
{
    calls_t *calls = *state;
    char tokens[3][33];
    for (unsigned i = 0; i < 3; i++)
        memcpy(tokens[i], token(i), sizeof tokens[i]);
    submit_many(calls, "p1", "c", 3);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_join(calls, "i2", "runner-2"), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 0), RZ_OK);
    char idle[80]; /* SHA-1 of session affinity and job affinity */
    const char *facts = redis_do(&calls->redis, "HGET rz:{0}:c:c0 j");
    snprintf(idle, sizeof idle, "other=4 %.40s=1", facts);
    const rz_candidate_t candidates[] = { { "i1", 8, "" }, { "i2", 8, idle } };
    const rz_claim_t claim = { .profile = "echo",
                               .max = 3,
                               .candidates = candidates,
                               .candidate_count = 2,
                               .tokens = (const char(*)[33])tokens };
    assert_int_equal(call_claim_of(calls, &claim), RZ_OK);
    assert_int_equal(calls->answer.n, 3);
    assert_string_equal(calls->answer.assigned[0].owner, "i2");
    assert_string_equal(calls->answer.assigned[1].owner, "i1");
    assert_string_equal(calls->answer.assigned[2].owner, "i1");
}

static void a_claim_gives_no_more_than_there_is_room_and_nothing_to_the_dead(void **state)
{
    calls_t *calls = *state;
    char tokens[4][33];
    for (unsigned i = 0; i < 4; i++)
        memcpy(tokens[i], token(i), sizeof tokens[i]);
    submit_many(calls, "p1", "c", 4);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_join(calls, "i2", "runner-2"), RZ_OK);
    assert_int_equal(call_condemn(calls, "i2", 0, true), RZ_OK);
    const rz_candidate_t candidates[] = { { "i2", 8, "" }, { "i1", 2, "" }, { "unknown", 8, "" } };
    const rz_claim_t claim = { .profile = "echo",
                               .max = 4,
                               .candidates = candidates,
                               .candidate_count = 3,
                               .tokens = (const char(*)[33])tokens };
    assert_int_equal(call_claim_of(calls, &claim), RZ_OK);
    assert_int_equal(calls->answer.n, 2);
    assert_string_equal(calls->answer.assigned[0].owner, "i1");
    assert_string_equal(calls->answer.assigned[1].owner, "i1");
    assert_int_equal(calls->answer.left, 2);
}

static void leftovers_of_a_long_queue_are_skipped_and_counted_out(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    submit_many(calls, "p1", "c", 600);
    for (unsigned i = 0; i < 50; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        assert_int_equal(call_cancel(calls, child, NULL), RZ_OK);
    }
    assert_int_equal(call_classes(calls), RZ_OK);
    assert_string_equal(calls->answer.text[0], "echo/ 550");
    assert_string_equal(redis_do(&calls->redis, "GET rz:{0}:n"), "600");
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_string_equal(calls->answer.assigned[0].child, "c50");
    assert_int_equal(calls->answer.left, 549);
    assert_string_equal(redis_do(&calls->redis, "GET rz:{0}:n"), "549");
}

/* ---- incarnations ---- */
static void a_join_condemns_the_older_incarnation_of_the_same_runner(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_claim(calls, "i1", 1), RZ_OK);
    assert_int_equal(call_join(calls, "i2", "runner-1"), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 1, ""), RZ_DEAD);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_DEAD);
    assert_int_equal(call_start(calls, "c1", 1, token(0)), RZ_FENCED);
    assert_int_equal(call_get(calls, "c1", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
    assert_int_equal(call_join(calls, "i2", "runner-1"), RZ_OK);
}

static void a_sync_that_agrees_lists_nothing(void **state)
{
    calls_t *calls = *state;
    const char *const held[] = { "c-1 1", "c-10 1", "c-2 1" };
    char digest[41], nothing[41];
    rz_held_digest(held, 3, digest);
    rz_held_digest(NULL, 0, nothing);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 1, nothing), RZ_OK);
    assert_false(calls->answer.differs);
    run_to_start(calls, "c-10", "i1", 1);
    run_to_start(calls, "c-2", "i1", 1);
    run_to_start(calls, "c-1", "i1", 1);
    assert_int_equal(call_sync(calls, "i1", 2, digest), RZ_OK);
    assert_false(calls->answer.differs);
    assert_int_equal(calls->answer.n, 0);
    assert_int_equal(call_sync(calls, "i1", 3, nothing), RZ_OK);
    assert_true(calls->answer.differs);
    assert_int_equal(calls->answer.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(calls->answer.text[i], held[i]);
}

static void a_sync_of_an_unknown_incarnation_is_dead(void **state)
{
    assert_int_equal(call_sync(*state, "i1", 1, ""), RZ_DEAD);
}

static void a_condemn_with_a_stale_counter_is_refused(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_condemn(calls, "i1", 0, false), RZ_NOT_FOUND);
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 41, ""), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 40, ""), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 40, false), RZ_STATE);
    assert_int_equal(call_reap(calls, "i1"), RZ_STATE);
    assert_int_equal(call_sync(calls, "i1", 42, ""), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 42, false), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 42, false), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 43, ""), RZ_DEAD);
}

/* How often the end of a child stands in the broadcast stream. */
static int broadcasts_of(calls_t *calls, const char *child)
{
    char topic[64];
    int n = 0;
    snprintf(topic, sizeof topic, "p1/%s/sub_agent_completed", child);
    for (const char *at = redis_do(&calls->redis, "XRANGE rz:{0}:broadcast - +");
         (at = strstr(at, topic)) != NULL; at++)
        n++;
    return n;
}

static void an_end_that_died_with_its_runner_is_broadcast(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    run_to_start(calls, "long-ago", "i1", 1);
    assert_int_equal(call_finish_logged(calls, "long-ago", 1, token(1), 1), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 1, ""), RZ_OK);
    assert_int_equal(call_sync(calls, "i1", 2, ""), RZ_OK);
    run_to_start(calls, "just-now", "i1", 1);
    assert_int_equal(call_finish_logged(calls, "just-now", 1, token(1), 1), RZ_OK);
    assert_int_equal(broadcasts_of(calls, "just-now"), 0);

    assert_int_equal(call_condemn(calls, "i1", 2, false), RZ_OK);
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_int_equal(calls->answer.left, 0);
    assert_int_equal(broadcasts_of(calls, "just-now"), 1);
    assert_int_equal(broadcasts_of(calls, "long-ago"),
                     0); /* its runner lived on for two syncs: it was published */
}

static void a_runner_that_said_bye_has_published_every_end(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    run_to_start(calls, "just-now", "i1", 1);
    assert_int_equal(call_finish_logged(calls, "just-now", 1, token(1), 1), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 0, true), RZ_OK);
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_int_equal(broadcasts_of(calls, "just-now"), 0);
}

/* Between the verdict and its settling it is nobody's to write: what would begin now would count as run. */
static void who_is_condemned_writes_nothing_more(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    run_to_start(calls, "ended", "i1", 1);
    assert_int_equal(call_finish_logged(calls, "ended", 1, token(1), 1), RZ_OK);
    run_to_start(calls, "running", "i1", 1);
    assert_int_equal(call_condemn(calls, "i1", 0, false), RZ_OK);
    assert_int_equal(call_append(calls, "running", 1, token(1), 1, 1), RZ_FENCED);
    assert_int_equal(call_finish_logged(calls, "running", 1, token(1), 1), RZ_FENCED);
    assert_int_equal(call_finish_logged(calls, "ended", 1, token(1), 1), RZ_DUPLICATE);
}

static void reaping_settles_what_was_assigned_and_what_ran(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    run_to_start(calls, "once", "i1", 1);
    run_to_start(calls, "twice", "i1", 2);
    run_to_start(calls, "unwanted", "i1", 2);
    assert_int_equal(call_cancel(calls, "unwanted", NULL), RZ_OK);
    assert_int_equal(call_append(calls, "once", 1, token(1), 1, 3), RZ_OK);
    assert_int_equal(call_steer(calls, "once", "s1", "{\"id\":\"s1\"}"), RZ_OK);
    rz_submit_t request = plain_submit("assigned");
    request.owner = "i1";
    request.token = token(2);
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_int_equal(call_condemn(calls, "i1", 0, false), RZ_OK);
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_int_equal(calls->answer.left, 0);

    assert_int_equal(call_session_get(calls, "once"), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_TERMINAL);
    assert_string_equal(calls->answer.status, "error");
    assert_string_equal(calls->answer.error, "runner lost: runner-1");
    assert_string_equal(calls->answer.messages, "[{\"role\":\"user\",\"content\":\"hi\"},{\"id\":\"s1\"}]");
    assert_int_equal(call_finish(calls, "once", 1, token(1), "completed", "", "x"), RZ_FENCED);
    assert_int_equal(call_replay(calls, "once", 0, 0, 10), RZ_OK);
    assert_string_equal(calls->answer.last,
                        "2-1"); /* an epoch of its own: above every live event of the lost one */
    assert_non_null(strstr(redis_do(&calls->redis, "XRANGE rz:{0}:broadcast - +"),
                           "\"epoch\":2,\"seq\":1,\"prev_durable\":0"));
    assert_int_equal(call_get(calls, "unwanted", NULL), RZ_OK);
    assert_string_equal(calls->answer.status, "cancelled");
    assert_int_equal(call_get(calls, "assigned", NULL), RZ_OK);
    assert_int_equal(calls->answer.state, RZ_ACT_QUEUED);
    assert_int_equal(calls->answer.attempt, 1);

    assert_int_equal(call_join(calls, "i2", "runner-2"), RZ_OK);
    assert_int_equal(call_tick(calls, 1000), RZ_OK);
    assert_int_equal(call_claim(calls, "i2", 4), RZ_OK);
    assert_int_equal(calls->answer.n, 2);
    const assigned_t *rerun = &calls->answer.assigned[strcmp(calls->answer.assigned[0].child, "twice") != 0];
    assert_string_equal(rerun->child, "twice");
    assert_int_equal(rerun->attempt, 2);
    assert_int_equal(rerun->epoch, 2);
    assert_string_equal(rerun->previous_error, "runner lost: runner-1");
}

static void reaping_goes_in_steps_until_nothing_is_left(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    for (unsigned i = 0; i < 70; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        run_to_start(calls, child, "i1", 1);
    }
    assert_int_equal(call_condemn(calls, "i1", 0, true), RZ_OK);
    assert_int_equal(call_incarnations(calls), RZ_OK);
    assert_string_equal(calls->answer.text[0], "i1 runner-1 0 70 dead");
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_int_equal(calls->answer.left, 6);
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_int_equal(calls->answer.left, 0);
    assert_int_equal(call_reap(calls, "i1"), RZ_OK);
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:completions"), "70");
    assert_int_equal(call_incarnations(calls), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
}

/* ---- sessions ---- */
static void a_session_is_put_only_over_the_rev_it_was_read_at(void **state)
{
    calls_t *calls = *state;
    const rz_str_t messages[] = { RZ_STR("{\"a\":1}"), RZ_STR("{\"b\":2}") };
    rz_session_put_t put = { .child = "c1",
                             .parent = "p1",
                             .header = RZ_STR("{\"t\":1}"),
                             .messages = messages,
                             .message_count = 2,
                             .session_profile = "echo",
                             .session_affinity = "sa" };
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    assert_int_equal(calls->answer.rev, 1);
    assert_int_equal(call_session_put(calls, &put), RZ_CONFLICT);
    assert_int_equal(calls->answer.rev, 1);
    put.rev = 1;
    put.message_count = 1;
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    assert_int_equal(calls->answer.rev, 2);
    assert_int_equal(call_session_get(calls, "c1"), RZ_OK);
    assert_string_equal(calls->answer.messages, "[{\"a\":1}]");
    assert_string_equal(calls->answer.header, "{\"t\":1}");
    assert_int_equal(call_session_get(calls, "c2"), RZ_NOT_FOUND);
}

static void a_session_is_not_put_under_a_live_activation(void **state)
{
    calls_t *calls = *state;
    rz_submit_t request = plain_submit("c1");
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    const rz_session_put_t put = { .child = "c1", .parent = "p1", .header = RZ_STR("{}"), .rev = 1 };
    assert_int_equal(call_session_put(calls, &put), RZ_BUSY);
}

static void a_submit_without_profile_takes_the_sessions(void **state)
{
    calls_t *calls = *state;
    const rz_session_put_t put = { .child = "c1", .header = RZ_STR("{}"), .session_profile = "local-actor" };
    assert_int_equal(call_session_put(calls, &put), RZ_OK);
    rz_submit_t request = plain_submit("c1");
    request.header = (rz_str_t){ NULL, 0 };
    request.message_count = 0;
    request.profile = NULL;
    assert_int_equal(call_submit(calls, &request), RZ_OK);
    assert_string_equal(calls->answer.profile, "local-actor");
}

static void a_session_of_nine_thousand_messages_is_stored_whole(void **state)
{
    calls_t *calls = *state;
    rz_str_t *messages = rz_alloc(9000 * sizeof *messages);
    for (size_t i = 0; i < 9000; i++)
        messages[i] = RZ_STR("1");
    rz_submit_t request = plain_submit("c1");
    request.messages = messages;
    request.message_count = 9000;
    rz_rc_t rc = call_submit(calls, &request);
    rz_free(messages);
    assert_int_equal(rc, RZ_OK);
    assert_string_equal(redis_do(&calls->redis, "LLEN rz:{0}:m:c1"), "9000");
}

/* ---- reading ---- */
static void children_are_listed_newest_first_and_by_parent(void **state)
{
    calls_t *calls = *state;
    submit_many(calls, "p1", "a", 3);
    submit_many(calls, "p2", "b", 2);
    assert_int_equal(call_list(calls, NULL, 100), RZ_OK);
    assert_int_equal(calls->answer.n, 5);
    assert_int_equal(call_list(calls, NULL, 2), RZ_OK);
    assert_int_equal(calls->answer.n, 2);
    assert_int_equal(calls->answer.text[0][0], 'b');
    assert_int_equal(call_list(calls, "p1", 100), RZ_OK);
    assert_int_equal(calls->answer.n, 3);
    assert_int_equal(calls->answer.text[0][0], 'a');
    assert_int_equal(call_list(calls, "p3", 100), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
}

static void a_replay_begins_where_it_is_asked_to_and_stops_at_its_limit(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_join(calls, "i1", "runner-1"), RZ_OK);
    run_to_start(calls, "c1", "i1", 1);
    assert_int_equal(call_append(calls, "c1", 1, token(1), 1, 40), RZ_OK);
    assert_int_equal(call_replay(calls, "c1", 1, 3, 20), RZ_OK);
    assert_int_equal(calls->answer.n, 20);
    assert_string_equal(calls->answer.text[0], "3 h e");
    assert_string_equal(calls->answer.text[19], "22 h e");
    assert_string_equal(calls->answer.first, "1-1");
    assert_string_equal(calls->answer.last, "1-40");
    assert_int_equal(call_replay(calls, "c1", 2, 0, 20), RZ_OK);
    assert_int_equal(calls->answer.n, 0);
    assert_int_equal(call_replay(calls, "c2", 0, 0, 20), RZ_NOT_FOUND);
}

static void a_rejection_is_broadcast_and_kept(void **state)
{
    calls_t *calls = *state;
    assert_int_equal(call_broadcast(calls, "$sys/rejected", true), RZ_OK);
    assert_int_equal(call_broadcast(calls, "$sys/else", false), RZ_OK);
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:broadcast"), "2");
    assert_string_equal(redis_do(&calls->redis, "XLEN rz:{0}:rejected"), "1");
}

/* One fact a line, where CMake finds them. */
/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_parent_with_a_thousand_children_does_not_starve_one_with_three, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_higher_priority_goes_first, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_claim_takes_only_its_own_class, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_runner_with_an_idle_worker_of_the_key_is_preferred, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_claim_gives_no_more_than_there_is_room_and_nothing_to_the_dead, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(leftovers_of_a_long_queue_are_skipped_and_counted_out, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_join_condemns_the_older_incarnation_of_the_same_runner, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_sync_that_agrees_lists_nothing, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_sync_of_an_unknown_incarnation_is_dead, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_condemn_with_a_stale_counter_is_refused, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(an_end_that_died_with_its_runner_is_broadcast, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_runner_that_said_bye_has_published_every_end, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(who_is_condemned_writes_nothing_more, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(reaping_settles_what_was_assigned_and_what_ran, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(reaping_goes_in_steps_until_nothing_is_left, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_session_is_put_only_over_the_rev_it_was_read_at, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_session_is_not_put_under_a_live_activation, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_submit_without_profile_takes_the_sessions, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_session_of_nine_thousand_messages_is_stored_whole, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(children_are_listed_newest_first_and_by_parent, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_replay_begins_where_it_is_asked_to_and_stops_at_its_limit, calls_setup, calls_teardown),
    cmocka_unit_test_setup_teardown(a_rejection_is_broadcast_and_kept, calls_setup, calls_teardown),
};
/* clang-format on */

RZ_FACTS(tests)
