/* test_reach.c - what a limited key does not reach, whichever way it tries: trees, sessions, refusals, forged jobs, and what
 * lies beyond its topics. */
#include "facts.h"

#include "keyring.h"
#include "knock.h"

#include <string.h>

/* ---- producers ---- */

static void has_no_activation(cJSON *reply, const char *code)
{
    assert_null(cJSON_GetObjectItem(reply, "activation"));
    answers(reply, code);
}

static void reaches(cJSON *reply, int cancelled)
{
    const cJSON *tree = cJSON_GetObjectItem(reply, "tree");
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(tree, "cancelled")), cancelled);
    answers(reply, "OK");
}

static void a_producer_of_some_parents_cancels_no_tree_of_others(void **state)
{
    (void)state;
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    answers(submit_of("victim", "v1", ""), "OK");
    answers(submit_of("v1", "v2", ""), "OK");
    answers(submit_of("ci-1", "c1", ""), "OK");
    answers(submit_of("c1", "others", ""), "OK"); /* c1 is no parent of this key's */
    answers(submit_of("ci-1", "ci-2", ""), "OK");
    answers(submit_of("ci-2", "c3", ""), "OK");
    as("ci");
    has_no_activation(ask("{\"op\":\"cancel\",\"child\":\"victim\",\"tree\":true}"), "NOT_FOUND");
    has_no_activation(ask("{\"op\":\"cancel\",\"child\":\"victim\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"v1\",\"tree\":true}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"v2\",\"tree\":true}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"ci-1\"}"), "NOT_FOUND");
    reaches(ask("{\"op\":\"cancel\",\"child\":\"ci-1\",\"tree\":true}"), 3); /* c1, ci-2 and its c3 */
    as_ourselves();
    answers(submit_of("c1", "others2", ""), "OK"); /* nor is what others submit there cut off */
    static const char *const spared[] = { "v1", "v2", "others", "others2" };
    for (size_t i = 0; i < sizeof spared / sizeof *spared; i++) {
        cJSON *reply = ask("{\"op\":\"get\",\"child\":\"%s\"}", spared[i]);
        expect(reply, "activation.state", "queued");
        cJSON_Delete(reply);
    }
}

static void what_is_not_known_is_not_found_whatever_a_limited_key_asks(void **state)
{
    (void)state;
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    as("ci");
    answers(ask("{\"op\":\"retry\",\"child\":\"none\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"send\",\"child\":\"none\",\"text\":\"x\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"wait\",\"child\":\"none\",\"timeout_ms\":10}"), "NOT_FOUND");
    /* or it would hear how a child ends that somebody makes later */
    cJSON *reply = ask("{\"op\":\"wait_register\",\"parent\":\"ci-1\",\"children\":[\"later\"]}");
    assert_non_null(strstr(text_at(reply, "message"), "later"));
    answers(reply, "NOT_FOUND");
    as_ourselves();
}

static void a_producer_of_some_parents_takes_over_no_session_without_one(void **state)
{
    (void)state;
    const char *theft = "{\"parent_session_id\":\"ci-1\",\"child_session_id\":\"lone\"}";
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    answers(
        ask("{\"op\":\"session_put\",\"session\":{\"id\":\"lone\",\"kind\":\"child\",\"metadata\":"
            "{\"external.agent_id\":\"echo\"},\"messages\":[{\"role\":\"user\",\"content\":\"SECRET\"}]}}"),
        "OK");
    void *push = connected_as(ZMQ_PUSH, stage.jobs_at, "ci");
    assert_true(zmq_send(push, theft, strlen(theft), 0) > 0);
    await_count("jobs_rejected", 1);
    as("ci");
    answers(ask("{\"op\":\"session_get\",\"child\":\"lone\"}"), "NOT_FOUND");
    has_no_activation(ask("{\"op\":\"submit\",\"job\":%s}", theft), "CONFLICT");
    has_no_activation(submit_of("ci-1", "lone", ""), "CONFLICT"); /* nor puts another in its place */
    answers(ask("{\"op\":\"session_get\",\"child\":\"lone\"}"), "NOT_FOUND");
    as_ourselves();
    answers(ask("{\"op\":\"submit\",\"job\":%s}", theft), "OK"); /* who is not limited gives it a parent */
    as("ci");
    answers(ask("{\"op\":\"session_get\",\"child\":\"lone\"}"), "OK");
    as_ourselves();
}

static void a_refusal_shows_nobody_elses_activation(void **state)
{
    (void)state;
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    answers(submit_of("victim", "v1", ""), "OK");
    as("ci");
    has_no_activation(submit_of("ci-1", "v1", ""), "CONFLICT");
    answers(submit_of("ci-1", "c1", ""), "OK");
    cJSON *again = submit_of("ci-1", "c1", "");
    expect(again, "activation.child", "c1");
    answers(again, "ALREADY_RUNNING");
    as_ourselves();
    as("acme");
    has_no_activation(submit_of("victim", "v1", ",\"tenant\":\"acme\""), "CONFLICT");
    as_ourselves();
}

/* Everything that is heard until the topic, one a line. */
static void hear_until(void *sub, const char *topic, char *seen, size_t size)
{
    seen[0] = '\0';
    for (bool last = false; !last;) {
        frames_t frames;
        assert_true(frames_recv(sub, &frames, PATIENCE_MS));
        size_t at = strlen(seen);
        snprintf(seen + at, size - at, "%s %s\n", frames.part[0], frames.part[frames.n - 1]);
        last = strcmp(frames.part[0], topic) == 0;
        frames_fini(&frames);
    }
}

static void *hearing_all(void)
{
    frames_t frames;
    void *sub = connected_as(ZMQ_SUB, stage.events_at, "client");
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "", 0);
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (bool heard = false; !heard;) {
        assert_true(process_now_ms() < deadline);
        answers(ask("{\"op\":\"sync\",\"nonce\":\"n\"}"), "OK");
        heard = frames_recv(sub, &frames, 50);
        frames_fini(&frames);
    }
    return sub;
}

static void a_pushed_job_ends_nobodys_child_beyond_its_keys_scope(void **state)
{
    (void)state;
    static const char *const forged[] = {
        ("{\"parent_session_id\":\"victim\",\"child_session_id\":\"victim-1\",\"session\":{\"id\":\"victim-1\","
         "\"kind\":\"root\",\"messages\":[]}}"),
        "{\"parent_session_id\":\"victim\",\"child_session_id\":\"victim-1\",\"priority\":\"urgent\"}",
        "{\"parent_session_id\":\"victim\",\"child_session_id\":\"victim-1\"}",
        "{\"child_session_id\":\"victim-1\"}",
        "{\"child_session_id\":\"victim-1\",",
    };
    static const char mine[] =
        "{\"parent_session_id\":\"ci-1\",\"child_session_id\":\"c1\",\"session\":{\"id\":\"c1\",\"kind\":\"root\","
        "\"messages\":[]}}";
    char seen[8192];
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    void *ci = connected_as(ZMQ_PUSH, stage.jobs_at, "ci"),
         *acme = connected_as(ZMQ_PUSH, stage.jobs_at, "acme"), *sub = hearing_all();
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++)
        assert_true(zmq_send(ci, forged[i], strlen(forged[i]), 0) > 0);
    assert_true(zmq_send(acme, forged[0], strlen(forged[0]), 0) > 0);
    await_count("jobs_rejected", sizeof forged / sizeof *forged + 1);
    assert_true(zmq_send(ci, mine, strlen(mine), 0) > 0);
    hear_until(sub, "ci-1/c1/sub_agent_completed", seen, sizeof seen);
    assert_non_null(strstr(seen, "$sys/rejected"));
    assert_non_null(strstr(seen, "NOT_ALLOWED"));
    assert_null(strstr(seen, "victim"));
    assert_true(logged("parent=victim child=victim-1 code=NOT_ALLOWED"));
}

/* ---- clients of some topics ---- */

static void a_client_of_some_topics_reads_and_writes_within_them_only(void **state)
{
    (void)state;
    keyring_add("dash", "client", ",\"topics\":[\"ci-\",\"one/c9/\"]");
    answers(submit_of("victim", "v1", ""), "OK");
    answers(submit_of("one", "c8", ""), "OK");
    void *push = connected_as(ZMQ_PUSH, stage.jobs_at, "dash");
    const char *bad = job_of("victim", "v2", "");
    assert_true(zmq_send(push, bad, strlen(bad), 0) > 0);
    await_count("jobs_rejected", 1);
    as("dash");
    answers(submit_of("ci-1", "c1", ""), "OK");
    answers(submit_of("one", "c9", ""), "OK");
    is_told_no(submit_of("victim", "v2", ""));
    has_no_activation(submit_of("ci-1", "v1", ""), "CONFLICT");
    answers(ask("{\"op\":\"get\",\"child\":\"c9\"}"), "OK");
    answers(ask("{\"op\":\"get\",\"child\":\"c8\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"get\",\"child\":\"v1\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"list\",\"parent\":\"ci-1\"}"), "OK");
    is_told_no(ask("{\"op\":\"list\",\"parent\":\"victim\"}"));
    is_told_no(ask("{\"op\":\"list\",\"parent\":\"one\"}")); /* of its children only c9 is heard */
    is_told_no(ask("{\"op\":\"list\"}"));
    is_told_no(ask("{\"op\":\"wait_register\",\"parent\":\"victim\",\"children\":[\"c1\"]}"));
    is_told_no(ask("{\"op\":\"session_list\"}"));
    is_told_no(ask("{\"op\":\"session_put\",\"session\":{\"id\":\"v1\",\"kind\":\"root\"},\"rev\":1}"));
    answers(ask("{\"op\":\"cancel\",\"child\":\"v1\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"victim\",\"tree\":true}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"one\",\"tree\":true}"), "NOT_FOUND");
    reaches(ask("{\"op\":\"cancel\",\"child\":\"ci-1\",\"tree\":true}"), 1);
    as_ourselves();
    await("{\"op\":\"get\",\"child\":\"v1\"}", "activation.state", "queued");
    answers(ask("{\"op\":\"get\",\"child\":\"v2\"}"), "NOT_FOUND");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_producer_of_some_parents_cancels_no_tree_of_others, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_is_not_known_is_not_found_whatever_a_limited_key_asks, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_producer_of_some_parents_takes_over_no_session_without_one, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_refusal_shows_nobody_elses_activation, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_ends_nobodys_child_beyond_its_keys_scope, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_client_of_some_topics_reads_and_writes_within_them_only, secure_stage_up, stage_down),
    /* clang-format on */
};
RZ_FACTS(tests)
