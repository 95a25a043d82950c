/* test_agents.c - the agent tables of the configuration. */
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/agents.h"

/* Profiles from JSON texts, NULL for a table that is absent. */
static rz_agents_t *agents_from(const char *externals, const char *routing, const char *subagents,
                                rz_err_t *err)
{
    cJSON *tables[3];
    const char *const texts[3] = { externals, routing, subagents };
    for (int i = 0; i < 3; i++) {
        tables[i] = texts[i] != NULL ? cJSON_Parse(texts[i]) : NULL;
        if (texts[i] != NULL && tables[i] == NULL)
            fail_msg("no JSON: %s", texts[i]);
    }
    rz_agents_t *agents = rz_agents_create(tables[0], tables[1], tables[2], err);
    for (int i = 0; i < 3; i++)
        cJSON_Delete(tables[i]);
    return agents;
}

static rz_agents_t *good_agents(const char *externals, const char *routing, const char *subagents)
{
    rz_err_t err = { 0 };
    rz_agents_t *agents = agents_from(externals, routing, subagents, &err);
    if (agents == NULL)
        fail_msg("%s", err.text);
    return agents;
}

static void two_profiles_are_built_in(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(NULL, NULL, NULL);
    assert_int_equal(rz_agents_count(agents), 2);
    const rz_agent_t *local = rz_agents_find(agents, RZ_AGENT_LOCAL),
                     *echo = rz_agents_find(agents, RZ_AGENT_ECHO);
    assert_ptr_equal(local, rz_agents_at(agents, 0));
    assert_ptr_equal(echo, rz_agents_at(agents, 1));
    assert_null(rz_agents_at(agents, 2));
    assert_int_equal(local->executor, RZ_EXECUTOR_ECHO);
    assert_int_equal(local->max_concurrent, 0);
    assert_false(local->asks_approval);
    assert_string_equal(local->permission_profile, "");
    assert_int_equal(echo->executor, RZ_EXECUTOR_ECHO);
    assert_null(echo->worker_bin);
    assert_null(rz_agents_find(agents, "nobody"));
    assert_null(rz_agents_find(agents, NULL));
    rz_agents_destroy(&agents);
    assert_null(agents);
    rz_agents_destroy(&agents);
}

static void subagents_shapes_the_local_actor(void **state)
{
    (void)state;
    rz_agents_t *agents =
        good_agents(NULL, NULL,
                    "{\"max_concurrent\":3,\"worker_bin\":\"/opt/bamboo\","
                    "\"worker_args\":[\"subagent-worker\"],\"fabric_dir\":\"/f\",\"approvals\":\"ask\"}");
    const rz_agent_t *local = rz_agents_find(agents, RZ_AGENT_LOCAL);
    assert_int_equal(local->max_concurrent, 3);
    assert_true(local->asks_approval);
    assert_string_equal(local->worker_bin, "/opt/bamboo");
    assert_string_equal(cJSON_GetArrayItem(local->worker_args, 0)->valuestring, "subagent-worker");
    assert_string_equal(local->fabric_dir, "/f");
    assert_int_equal(local->executor, RZ_EXECUTOR_BAMBOO_RUNTIME);
    rz_agents_destroy(&agents);
}

#define PROFILE(id, more) "{\"" id "\":{\"agent_id\":\"" id "\",\"permission_profile\":\"read\"," more "}}"

static void an_actor_profile_runs_a_command(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(PROFILE("survey", "\"protocol\":\"actor\",\"executor\":\"command\","
                                                        "\"command\":\"python3\",\"args\":[\"survey.py\"],"
                                                        "\"env\":[\"HOME\"],\"max_concurrent\":2,"
                                                        "\"credential_env\":{\"KEY\":\"api_key\"}"),
                                      NULL, NULL);
    const rz_agent_t *survey = rz_agents_find(agents, "survey");
    assert_int_equal(rz_agents_count(agents), 3);
    assert_int_equal(survey->protocol, RZ_AGENT_ACTOR);
    assert_string_equal(survey->permission_profile, "read");
    assert_int_equal(survey->executor, RZ_EXECUTOR_CLI_ADAPTER);
    assert_string_equal(survey->command, "python3");
    assert_string_equal(cJSON_GetArrayItem(survey->args, 0)->valuestring, "survey.py");
    assert_string_equal(cJSON_GetArrayItem(survey->env, 0)->valuestring, "HOME");
    assert_int_equal(survey->max_concurrent, 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(survey->credential_env, "KEY")), "api_key");
    rz_agents_destroy(&agents);
}

static void a_session_profile_names_the_program_that_serves_all_runs(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(PROFILE("chat", "\"protocol\":\"actor\",\"executor\":\"session\","
                                                      "\"command\":\"node\",\"args\":[\"chat.js\"]"),
                                      NULL, NULL);
    const rz_agent_t *chat = rz_agents_find(agents, "chat");
    assert_int_equal(chat->executor, RZ_EXECUTOR_SESSION);
    assert_string_equal(chat->command, "node");
    assert_string_equal(cJSON_GetArrayItem(chat->args, 0)->valuestring, "chat.js");
    rz_agents_destroy(&agents);
}

static void an_upstream_actor_defaults_to_its_runtime(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(
        PROFILE("a", "\"protocol\":\"subprocess\",\"worker_bin\":\"/w\",\"unknown\":1"), NULL, NULL);
    const rz_agent_t *actor = rz_agents_find(agents, "a");
    assert_int_equal(actor->protocol, RZ_AGENT_ACTOR);
    assert_int_equal(actor->executor, RZ_EXECUTOR_BAMBOO_RUNTIME);
    assert_int_equal(actor->max_concurrent, 0);
    rz_agents_destroy(&agents);

    agents = good_agents(PROFILE("a", "\"protocol\":\"actor\",\"worker_bin\":\"/w\",\"executor\":\"echo\""),
                         NULL, NULL);
    assert_int_equal(rz_agents_find(agents, "a")->executor, RZ_EXECUTOR_ECHO);
    rz_agents_destroy(&agents);
}

static void an_a2a_profile_is_kept_as_it_is(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(
        PROFILE("review",
                "\"protocol\":\"a2a_jsonrpc\",\"agent_card_url\":\"https://x/card\",\"auth_ref\":\"TOKEN\","
                "\"rpc_url_override\":\"https://x/rpc\",\"skill\":\"diff\",\"tenant\":\"acme\","
                "\"allow_non_streaming_fallback\":true"),
        NULL, NULL);
    const rz_agent_t *review = rz_agents_find(agents, "review");
    assert_int_equal(review->protocol, RZ_AGENT_A2A);
    assert_string_equal(review->agent_card_url, "https://x/card");
    assert_string_equal(review->rpc_url_override, "https://x/rpc");
    assert_string_equal(review->auth_ref, "TOKEN");
    assert_string_equal(review->skill, "diff");
    assert_string_equal(review->tenant, "acme");
    rz_agents_destroy(&agents);
}

static void a_configured_echo_replaces_the_built_in_one(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(PROFILE("echo", "\"protocol\":\"actor\",\"worker_bin\":\"/demo\","
                                                      "\"executor\":\"echo\""),
                                      NULL, NULL);
    assert_int_equal(rz_agents_count(agents), 2);
    assert_string_equal(rz_agents_find(agents, "echo")->worker_bin, "/demo");
    rz_agents_destroy(&agents);
}

static void a_route_leads_from_type_to_profile(void **state)
{
    (void)state;
    rz_agents_t *agents = good_agents(NULL,
                                      "{\"explorer\":{\"runtime\":\"external\",\"agent_id\":\"survey\"},"
                                      "\"lost\":{\"runtime\":\"external\"},"
                                      "\"nobody\":{\"runtime\":\"external\",\"agent_id\":null},"
                                      "\"old\":{\"runtime\":\"bamboo\",\"agent_id\":\"survey\"}}",
                                      NULL);
    assert_string_equal(rz_agents_route(agents, "explorer"), "survey");
    assert_string_equal(rz_agents_route(agents, "lost"), "");
    assert_string_equal(rz_agents_route(agents, "nobody"), "");
    assert_string_equal(rz_agents_route(agents, "old"), RZ_AGENT_LOCAL);
    assert_string_equal(rz_agents_route(agents, "Explorer"), RZ_AGENT_LOCAL);
    assert_string_equal(rz_agents_route(agents, NULL), RZ_AGENT_LOCAL);
    rz_agents_destroy(&agents);
}

static void a_bad_table_is_an_error_that_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *externals, *routing, *subagents;
        rz_rc_t rc;
        const char *field;
    } table[] = {
        { "[]", NULL, NULL, RZ_BAD_FIELD, "externalAgents" },
        { NULL, "7", NULL, RZ_BAD_FIELD, "subagentRouting" },
        { NULL, NULL, "\"x\"", RZ_BAD_FIELD, "subagents" },
        { "{\"a\":7}", NULL, NULL, RZ_BAD_FIELD, "externalAgents.a" },
        { "{\"a\":{}}", NULL, NULL, RZ_MISSING_FIELD, "externalAgents.a.agent_id" },
        { "{\"a\":{\"agent_id\":\"b\"}}", NULL, NULL, RZ_BAD_FIELD, "externalAgents.a.agent_id" },
        { "{\"a b\":{\"agent_id\":\"a b\"}}", NULL, NULL, RZ_BAD_ID, "externalAgents.a b.agent_id" },
        { PROFILE("local-actor", "\"protocol\":\"actor\""), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.local-actor.agent_id" },
        { PROFILE("a", "\"x\":1"), NULL, NULL, RZ_MISSING_FIELD, "externalAgents.a.protocol" },
        { PROFILE("a", "\"protocol\":\"smoke\""), NULL, NULL, RZ_BAD_FIELD, "externalAgents.a.protocol" },
        { "{\"a\":{\"agent_id\":\"a\",\"protocol\":\"actor\"}}", NULL, NULL, RZ_MISSING_FIELD,
          "externalAgents.a.permission_profile" },
        { PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"codex\""), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.a.executor" },
        { PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"command\""), NULL, NULL, RZ_MISSING_FIELD,
          "externalAgents.a.command" },
        { PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"cli_adapter\""), NULL, NULL, RZ_MISSING_FIELD,
          "externalAgents.a.command" },
        { PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"session\""), NULL, NULL, RZ_MISSING_FIELD,
          "externalAgents.a.command" },
        { PROFILE("a", "\"protocol\":\"actor\",\"worker_args\":\"x\""), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.a.worker_args" },
        { PROFILE("a", "\"protocol\":\"actor\",\"max_concurrent\":0"), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.a.max_concurrent" },
        { PROFILE("a",
                  "\"protocol\":\"actor\",\"executor\":\"command\",\"command\":\"x\",\"credential_env\":7"),
          NULL, NULL, RZ_BAD_FIELD, "externalAgents.a.credential_env" },
        { PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"echo\",\"credential_env\":{}"), NULL, NULL,
          RZ_BAD_FIELD, "externalAgents.a.credential_env" },
        { NULL, NULL, "{\"executor\":\"command\",\"command\":\"x\",\"credential_env\":{\"1\":\"api_key\"}}",
          RZ_BAD_FIELD, "subagents.credential_env" },
        { PROFILE("a", "\"protocol\":\"actor\",\"approvals\":\"allow\""), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.a.approvals" },
        { PROFILE("a", "\"protocol\":\"a2a_jsonrpc\",\"skill\":7"), NULL, NULL, RZ_BAD_FIELD,
          "externalAgents.a.skill" },
        { NULL, "{\"x\":7}", NULL, RZ_BAD_FIELD, "subagentRouting.x" },
        { NULL, "{\"x\":{}}", NULL, RZ_MISSING_FIELD, "subagentRouting.x.runtime" },
        { NULL, "{\"x\":{\"runtime\":\"external\",\"agent_id\":7}}", NULL, RZ_BAD_FIELD,
          "subagentRouting.x.agent_id" },
        { NULL, NULL, "{\"executor\":\"smoke\"}", RZ_BAD_FIELD, "subagents.executor" },
        { NULL, NULL, "{\"max_concurrent\":\"8\"}", RZ_BAD_FIELD, "subagents.max_concurrent" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        rz_err_t err = { 0 };
        rz_agents_t *agents = agents_from(table[i].externals, table[i].routing, table[i].subagents, &err);
        if (agents != NULL || err.rc != table[i].rc || strcmp(err.field, table[i].field) != 0)
            fail_msg("row %zu: %s \"%s\" (%s)", i, rz_rc_name(err.rc), err.field, err.text);
    }
}

static void an_unknown_executor_is_told_the_known_ones(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    assert_null(agents_from(PROFILE("a", "\"protocol\":\"actor\",\"executor\":\"smoke\""), NULL, NULL, &err));
    assert_non_null(strstr(err.text, "smoke"));
    assert_non_null(strstr(err.text, "command"));
    assert_non_null(strstr(err.text, "bamboo_runtime"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(two_profiles_are_built_in),
    cmocka_unit_test(subagents_shapes_the_local_actor),
    cmocka_unit_test(an_actor_profile_runs_a_command),
    cmocka_unit_test(a_session_profile_names_the_program_that_serves_all_runs),
    cmocka_unit_test(an_upstream_actor_defaults_to_its_runtime),
    cmocka_unit_test(an_a2a_profile_is_kept_as_it_is),
    cmocka_unit_test(a_configured_echo_replaces_the_built_in_one),
    cmocka_unit_test(a_route_leads_from_type_to_profile),
    cmocka_unit_test(a_bad_table_is_an_error_that_names_its_place),
    cmocka_unit_test(an_unknown_executor_is_told_the_known_ones),
};
RZ_FACTS(tests)
