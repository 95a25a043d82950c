/* test_routing.c - which profile runs a child, what its session says about that, and what becomes of a child whom
 * nobody can run (rules 9.1-9.3), with a real broker and store. */
#include "facts.h"

#include "bare.h"

static int tables(void **state)
{
    (void)state;
    return stage_open(
        "\"externalAgents\":{"
        "\"survey\":{\"agent_id\":\"survey\",\"protocol\":\"actor\",\"permission_profile\":\"read\","
        "\"worker_bin\":\"/bin/true\"},"
        "\"far\":{\"agent_id\":\"far\",\"protocol\":\"a2a_jsonrpc\",\"permission_profile\":\"none\"}},"
        "\"subagentRouting\":{"
        "\"explorer\":{\"runtime\":\"external\",\"agent_id\":\"survey\"},"
        "\"old\":{\"runtime\":\"bamboo\"},"
        "\"distant\":{\"runtime\":\"external\",\"agent_id\":\"far\"},"
        "\"lost\":{\"runtime\":\"external\",\"agent_id\":\"nowhere\"},"
        "\"own\":{\"runtime\":\"external\",\"agent_id\":\"mine\"},"
        "\"nobody\":{\"runtime\":\"external\"}}",
        NULL);
}

/* A job whose child session has this metadata; more: further members of the job, each with a leading comma. */
static const char *typed_job(const char *child, const char *metadata, const char *more)
{
    static char text[2048];
    snprintf(
        text, sizeof text,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\",\"session\":{\"id\":\"%s\",\"kind\":\"child\","
        "\"metadata\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}%s}",
        child, child, metadata, more);
    return text;
}

static cJSON *submit_typed(const char *child, const char *metadata, const char *more)
{
    return ask("{\"op\":\"submit\",\"job\":%s}", typed_job(child, metadata, more));
}

/* The text that metadata[key] has in the session that came with the next assign, "" if absent. */
static runner_t everybody(void)
{
    return runner_link_as("r1", "", "\"echo\",\"local-actor\",\"survey\",\"mine\"", 8);
}

static cJSON *take_metadata(runner_t *runner, const char *profile)
{
    frames_t frames;
    cJSON *assign = hear(runner, "assign", &frames);
    expect(assign, "profile", profile);
    assert_int_equal(frames.n, 3);
    cJSON *session = cJSON_Parse(frames.part[1]);
    assert_non_null(session);
    assert_null(cJSON_GetObjectItem(session, "messages"));
    assert_non_null(strstr(frames.part[2], "\"content\":\"hello\""));
    cJSON *metadata = cJSON_DetachItemFromObjectCaseSensitive(session, "metadata");
    assert_non_null(metadata);
    cJSON_Delete(session);
    cJSON_Delete(assign);
    frames_fini(&frames);
    return metadata;
}

static void says(const cJSON *metadata, const char *key, const char *text)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(metadata, key);
    if (text == NULL)
        assert_null(value);
    else
        assert_string_equal(cJSON_GetStringValue(value), text);
}

static void ends_unmatched(const char *child, const char *metadata, const char *agent_id,
                           const char *protocol)
{
    char error[200];
    snprintf(error, sizeof error,
             "No external runner matched child session runtime metadata: agent_id=%s, protocol=%s", agent_id,
             protocol);
    cJSON *receipt = submit_typed(child, metadata, "");
    expect(receipt, "activation.state", "terminal");
    expect(receipt, "activation.status", "error");
    expect(receipt, "activation.error", error);
    assert_null(cJSON_GetObjectItem(receipt, "waiting"));
    answers(receipt, "OK");
}

/* ---- who runs it, and what its session says ---- */

static void by_default_the_local_actor_runs_it(void **state)
{
    (void)state;
    runner_t runner = everybody();
    answers(submit_typed("c1", "{}", ""), "OK");
    cJSON *metadata = take_metadata(&runner, "local-actor");
    says(metadata, "runtime.kind", "external");
    says(metadata, "external.protocol", "actor");
    says(metadata, "external.agent_id", "local-actor");
    says(metadata, "external.permission_profile", NULL);
    cJSON_Delete(metadata);
    answers(submit_typed("c2", "{\"subagent_type\":\"old\"}", ""), "OK");
    cJSON_Delete(take_metadata(&runner, "local-actor"));
    runner_gone(&runner);
}

static void a_routed_child_is_run_by_its_profile_and_its_session_says_so(void **state)
{
    (void)state;
    runner_t runner = everybody();
    answers(submit_typed("c1", "{\"subagent_type\":\"explorer\",\"title\":\"t\"}", ""), "OK");
    cJSON *metadata = take_metadata(&runner, "survey");
    says(metadata, "runtime.kind", "external");
    says(metadata, "external.agent_id", "survey");
    says(metadata, "external.protocol", "actor");
    says(metadata, "external.permission_profile", "read");
    says(metadata, "subagent_type", "explorer");
    says(metadata, "title", "t");
    cJSON_Delete(metadata);
    runner_gone(&runner);
}

static void a_job_that_requires_a_profile_goes_before_pin_and_route(void **state)
{
    (void)state;
    runner_t runner = everybody();
    answers(submit_typed("c1", "{\"subagent_type\":\"explorer\",\"external.agent_id\":\"local-actor\"}",
                         ",\"require\":{\"profile\":\"echo\"}"),
            "OK");
    cJSON *metadata = take_metadata(&runner, "echo");
    says(metadata, "external.agent_id", "echo");
    says(metadata, "external.permission_profile", NULL);
    cJSON_Delete(metadata);
    runner_gone(&runner);
}

static void routing_is_not_stored(void **state)
{
    (void)state;
    runner_t runner = everybody();
    answers(submit_typed("c1", "{\"subagent_type\":\"explorer\"}", ""), "OK");
    cJSON_Delete(take_metadata(&runner, "survey"));
    assert_null(strstr(redis_do(&stage.redis, "HGET rz:{0}:c:c1 h"), "external."));
    runner_gone(&runner);
}

static void what_was_queued_and_what_is_sent_again_says_it_too(void **state)
{
    (void)state;
    answers(submit_typed("c1", "{\"subagent_type\":\"explorer\"}", ""), "OK");
    runner_t first = everybody();
    cJSON *metadata = take_metadata(&first, "survey");
    says(metadata, "external.agent_id", "survey");
    cJSON_Delete(metadata);
    runner_t second = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    memcpy(second.incarnation, first.incarnation, sizeof second.incarnation);
    runner_gone(&first);
    hello_as(&second, "r1", "", "\"survey\"");
    cJSON_Delete(hear_only(&second, "welcome"));
    cJSON_Delete(sync_of(&second, NULL, 0, ",\"held\":[]"));
    metadata = take_metadata(&second, "survey");
    says(metadata, "external.agent_id", "survey");
    cJSON_Delete(metadata);
    runner_gone(&second);
}

/* ---- nobody ---- */

static void a_route_to_a_profile_that_nobody_has_ends_the_child_in_upstreams_words(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    runner_t runner = everybody();
    ends_unmatched("c1", "{\"subagent_type\":\"lost\"}", "Some(\"nowhere\")", "None");
    next_event(sub, "root/c1/sub_agent_completed", "agent_id=Some(\\\"nowhere\\\"), protocol=None");
    cJSON *wait = ask("{\"op\":\"wait\",\"child\":\"c1\"}");
    expect(wait, "activation.status", "error");
    answers(wait, "OK");
    answers(ask("{\"op\":\"session_get\",\"child\":\"c1\"}"), "OK");
    disconnected(sub);
    runner_gone(&runner);
}

static void a_route_without_agent_ends_the_child_whoever_is_linked(void **state)
{
    (void)state;
    runner_t runner = everybody();
    ends_unmatched("c1", "{\"subagent_type\":\"nobody\"}", "None", "None");
    runner_gone(&runner);
}

static void a_session_pinned_to_a_profile_that_nobody_has_ends_likewise(void **state)
{
    (void)state;
    ends_unmatched("c1", "{\"external.agent_id\":\"gone\",\"external.protocol\":\"actor\"}", "Some(\"gone\")",
                   "Some(\"actor\")");
}

static void a_routed_profile_that_only_a_linked_runner_has_is_run_by_it(void **state)
{
    (void)state;
    ends_unmatched("c1", "{\"subagent_type\":\"own\"}", "Some(\"mine\")", "None");
    runner_t runner = everybody();
    answers(submit_typed("c2", "{\"subagent_type\":\"own\"}", ""), "OK");
    cJSON *metadata = take_metadata(&runner, "mine");
    says(metadata, "runtime.kind", "external");
    says(metadata, "external.agent_id", "mine");
    says(metadata, "external.protocol", NULL);
    cJSON_Delete(metadata);
    runner_gone(&runner);
}

static void a_configured_profile_that_nobody_offers_yet_waits(void **state)
{
    (void)state;
    cJSON *receipt = submit_typed("c1", "{\"subagent_type\":\"explorer\"}", "");
    expect(receipt, "activation.state", "queued");
    expect(receipt, "waiting", "no runner is linked");
    answers(receipt, "OK");
    runner_t runner = everybody();
    cJSON_Delete(take_metadata(&runner, "survey"));
    runner_gone(&runner);
}

static void a_required_profile_that_nobody_has_waits_and_the_receipt_says_why(void **state)
{
    (void)state;
    runner_t runner = everybody();
    cJSON *receipt = submit_typed("c1", "{}", ",\"require\":{\"profile\":\"gone\"}");
    expect(receipt, "activation.state", "queued");
    expect(receipt, "waiting", "no runner offers profile gone");
    answers(receipt, "OK");
    runner_gone(&runner);
}

static void the_same_job_routed_to_nobody_is_a_duplicate(void **state)
{
    (void)state;
    answers(submit_typed("c1", "{\"subagent_type\":\"lost\"}", ",\"job_id\":\"j\""), "OK");
    cJSON *again = submit_typed("c1", "{\"subagent_type\":\"lost\"}", ",\"job_id\":\"j\"");
    expect(again, "activation.status", "error");
    answers(again, "DUPLICATE");
}

/* ---- sessions that were stored before their job came, as upstream's always are ---- */

static void put_session(const char *child, const char *kind, const char *metadata)
{
    answers(ask("{\"op\":\"session_put\",\"session\":{\"id\":\"%s\",\"kind\":\"%s\",\"metadata\":%s,"
                "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}}",
                child, kind, metadata),
            "OK");
}

static cJSON *submit_ids(const char *child, const char *more)
{
    return ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\"%s}}",
               child, more);
}

static void ends_at_once(const char *child, const char *error)
{
    cJSON *receipt = submit_ids(child, "");
    expect(receipt, "activation.state", "terminal");
    expect(receipt, "activation.status", "error");
    expect(receipt, "activation.error", error);
    answers(receipt, "OK");
    assert_string_equal(redis_do(&stage.redis, "HLEN rz:{0}:classes"), "0");
    assert_string_equal(redis_do(&stage.redis, "GET rz:{0}:n"), "0");
}

static void a_stored_session_that_nobody_can_run_ends_in_upstreams_words(void **state)
{
    (void)state;
    put_session("c1", "child", "{\"subagent_type\":\"lost\"}");
    ends_at_once(
        "c1",
        "No external runner matched child session runtime metadata: agent_id=Some(\"nowhere\"), protocol=None");
    put_session("c2", "child", "{\"subagent_type\":\"nobody\"}");
    ends_at_once("c2",
                 "No external runner matched child session runtime metadata: agent_id=None, protocol=None");
    put_session("c3", "child", "{\"external.agent_id\":\"gone\",\"external.protocol\":\"actor\"}");
    ends_at_once(
        "c3",
        "No external runner matched child session runtime metadata: agent_id=Some(\"gone\"), protocol=Some(\"actor\")");
}

static void a_stored_session_that_is_no_child_ends_in_upstreams_words(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    put_session("c1", "root", "{}");
    push_job("{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\"}");
    next_event(sub, "root/c1/sub_agent_completed", "\"error\":\"spawn job child session is not kind=child\"");
    disconnected(sub);
}

static void a_stored_session_is_run_by_whom_its_job_requires_or_a_runner_offers(void **state)
{
    (void)state;
    put_session("c1", "child", "{\"subagent_type\":\"lost\"}");
    cJSON *receipt = submit_ids("c1", ",\"require\":{\"profile\":\"gone\"}");
    expect(receipt, "activation.state", "queued");
    answers(receipt, "OK");
    runner_t runner = everybody();
    put_session("c2", "child", "{\"subagent_type\":\"own\"}");
    answers(submit_ids("c2", ""), "OK");
    cJSON_Delete(take_metadata(&runner, "mine"));
    runner_gone(&runner);
}

static void a_profile_of_another_protocol_is_not_served_and_named(void **state)
{
    (void)state;
    cJSON *routed = submit_typed("c1", "{\"subagent_type\":\"distant\"}", "");
    expect(routed, "message",
           "session.metadata: agent profile far speaks a2a_jsonrpc, which is not served yet");
    answers(routed, "NOT_SERVED");
    answers(submit_typed("c1", "{}", ",\"require\":{\"profile\":\"far\"}"), "NOT_SERVED");
    answers(ask("{\"op\":\"get\",\"child\":\"c1\"}"), "NOT_FOUND");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(by_default_the_local_actor_runs_it, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_routed_child_is_run_by_its_profile_and_its_session_says_so, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_job_that_requires_a_profile_goes_before_pin_and_route, tables, stage_down),
    cmocka_unit_test_setup_teardown(routing_is_not_stored, tables, stage_down),
    cmocka_unit_test_setup_teardown(what_was_queued_and_what_is_sent_again_says_it_too, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_route_to_a_profile_that_nobody_has_ends_the_child_in_upstreams_words, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_route_without_agent_ends_the_child_whoever_is_linked, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_session_pinned_to_a_profile_that_nobody_has_ends_likewise, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_routed_profile_that_only_a_linked_runner_has_is_run_by_it, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_configured_profile_that_nobody_offers_yet_waits, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_required_profile_that_nobody_has_waits_and_the_receipt_says_why, tables, stage_down),
    cmocka_unit_test_setup_teardown(the_same_job_routed_to_nobody_is_a_duplicate, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_stored_session_that_nobody_can_run_ends_in_upstreams_words, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_stored_session_that_is_no_child_ends_in_upstreams_words, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_stored_session_is_run_by_whom_its_job_requires_or_a_runner_offers, tables, stage_down),
    cmocka_unit_test_setup_teardown(a_profile_of_another_protocol_is_not_served_and_named, tables, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
