/* test_intake.c - bytes of a spawn job -> a complete submit request. */
#include "facts.h"

#include "intake.h"

static rz_agents_t *agents;
static intake_rules_t rules;
static intake_t intake;
static intake_who_t who;
static rz_err_t err;

static int rules_up(void **state)
{
    cJSON *external =
        cJSON_Parse("{\"survey\":{\"agent_id\":\"survey\",\"protocol\":\"actor\",\"permission_profile\":"
                    "\"read\",\"worker_bin\":\"/bin/true\"},\"far\":{\"agent_id\":\"far\",\"protocol\":"
                    "\"a2a_jsonrpc\",\"permission_profile\":\"read\"}}");
    cJSON *routing = cJSON_Parse("{\"explorer\":{\"runtime\":\"external\",\"agent_id\":\"survey\"},"
                                 "\"lost\":{\"runtime\":\"external\",\"agent_id\":\"nowhere\"},"
                                 "\"odd\":{\"runtime\":\"external\",\"agent_id\":\"a b\"},"
                                 "\"nobody\":{\"runtime\":\"external\"}}");
    (void)state;
    err = (rz_err_t){ 0 };
    agents = rz_agents_create(external, routing, NULL, &err);
    cJSON_Delete(external);
    cJSON_Delete(routing);
    rules = (intake_rules_t){ agents, 4096, 4096, 60000 };
    return agents != NULL ? 0 : -1;
}

static int rules_down(void **state)
{
    (void)state;
    rz_agents_destroy(&agents);
    return 0;
}

static rz_rc_t decode(const char *text)
{
    err = (rz_err_t){ 0 };
    return intake_decode(&rules, rz_str(text), false, &intake, &who, &err);
}

#define IDS "\"parent_session_id\":\"p\",\"child_session_id\":\"c\""
/* A job whose session has these further members. */
#define JOB(more)                                                                                             \
    "{" IDS                                                                                                   \
    ",\"session\":{\"id\":\"c\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]" more \
    "}}"

static void a_job_becomes_a_complete_request(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"created_at\":\"2020-01-01T00:00:00Z\"")), RZ_OK);
    assert_string_equal(intake.submit.parent, "p");
    assert_string_equal(intake.submit.child, "c");
    assert_string_equal(intake.submit.labels, "");
    assert_string_equal(intake.submit.session_profile, "local-actor");
    assert_string_equal(intake.profile, "local-actor");
    assert_null(intake.submit.profile);
    assert_int_equal(intake.submit.message_count, 1);
    assert_true(rz_str_eq(intake.submit.messages[0], "{\"role\":\"user\",\"content\":\"x\"}"));
    assert_int_equal(intake.submit.max_attempts, 1);
    assert_int_equal(strlen(intake.affinity), 40);
    assert_non_null(strstr(intake.submit.header.p, "\"created_at\":\"2020-01-01T00:00:00Z\""));
    assert_non_null(strstr(intake.submit.header.p, "\"updated_at\":\"2"));
    assert_int_equal(rz_json_check(intake.submit.header.p, intake.submit.header.n, 0, &err), RZ_OK);
    intake_fini(&intake);
}

static void a_job_without_session_leaves_profile_and_affinity_to_the_store(void **state)
{
    (void)state;
    assert_int_equal(decode("{" IDS ",\"require\":{\"labels\":[\"b\",\"a\"]},\"disabled_tools\":[\"Bash\"]}"),
                     RZ_OK);
    assert_null(intake.profile);
    assert_string_equal(intake.affinity, "");
    assert_string_equal(intake.submit.labels, "a,b");
    assert_string_equal(intake.submit.disabled_tools, "[\"Bash\"]");
    assert_int_equal(intake.submit.header.n, 0);
    assert_null(intake.submit.session_profile);
    intake_fini(&intake);
}

static void the_profile_follows_requirement_then_pin_then_route(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"metadata\":{\"subagent_type\":\"explorer\"}")), RZ_OK);
    assert_string_equal(intake.profile, "survey");
    intake_fini(&intake);
    assert_int_equal(
        decode(JOB(",\"metadata\":{\"subagent_type\":\"explorer\",\"external.agent_id\":\"echo\"}")), RZ_OK);
    assert_string_equal(intake.profile, "echo");
    intake_fini(&intake);
    assert_int_equal(
        decode("{" IDS ",\"require\":{\"profile\":\"mine\"},\"session\":{\"id\":\"c\",\"kind\":\"child\","
               "\"messages\":[],\"metadata\":{\"external.agent_id\":\"echo\"}}}"),
        RZ_OK);
    assert_string_equal(intake.profile, "mine");
    assert_string_equal(intake.submit.session_profile, "echo");
    intake_fini(&intake);
}

static void a_profile_of_another_protocol_is_refused_by_name(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"metadata\":{\"external.agent_id\":\"far\"}")), RZ_NOT_SERVED);
    assert_non_null(strstr(err.text, "far"));
    assert_int_equal(decode("{" IDS ",\"require\":{\"profile\":\"far\"}}"), RZ_NOT_SERVED);
    assert_string_equal(err.field, "require.profile");
    assert_string_equal(who.child, "c");
}

static void a_root_session_is_not_run(void **state)
{
    (void)state;
    assert_int_equal(decode("{" IDS ",\"job_id\":\"j\",\"session\":{\"id\":\"c\",\"messages\":[]}}"),
                     RZ_BAD_FIELD);
    assert_string_equal(err.field, "session.kind");
    assert_string_equal(intake_verdict(err.rc, &err), "spawn job child session is not kind=child");
    assert_string_equal(who.parent, "p");
    assert_string_equal(who.job, "j");
}

static void an_unknown_child_and_a_session_that_is_no_child_are_upstreams_two_refusals(void **state)
{
    (void)state;
    err = (rz_err_t){ 0 };
    assert_string_equal(intake_verdict(RZ_NOT_FOUND, &err), "child session not found");
    assert_null(intake_verdict(RZ_ALREADY_RUNNING, &err));
    assert_int_equal(decode("{" IDS ",\"session\":{\"id\":\"c\",\"kind\":\"other\",\"messages\":[]}}"),
                     RZ_BAD_FIELD);
    assert_string_equal(err.field, "session.kind");
    assert_null(intake_verdict(err.rc, &err));
}

static void what_no_configuration_has_is_doomed_unless_the_job_requires_it(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"metadata\":{\"subagent_type\":\"lost\"}")), RZ_OK);
    assert_string_equal(intake.profile, "nowhere");
    assert_string_equal(intake.doom, "No external runner matched child session runtime metadata: "
                                     "agent_id=Some(\"nowhere\"), protocol=None");
    intake_fini(&intake);
    assert_int_equal(
        decode(JOB(",\"metadata\":{\"external.agent_id\":\"far-off\",\"external.protocol\":\"actor\"}")),
        RZ_OK);
    assert_string_equal(intake.doom, "No external runner matched child session runtime metadata: "
                                     "agent_id=Some(\"far-off\"), protocol=Some(\"actor\")");
    intake_fini(&intake);
    assert_int_equal(decode(JOB(",\"metadata\":{\"subagent_type\":\"explorer\"}")), RZ_OK);
    assert_null(intake.doom);
    intake_fini(&intake);
    assert_int_equal(
        decode("{" IDS ",\"require\":{\"profile\":\"mine\"},\"session\":{\"id\":\"c\",\"kind\":\"child\","
               "\"messages\":[],\"metadata\":{\"subagent_type\":\"lost\"}}}"),
        RZ_OK);
    assert_null(intake.doom);
    intake_fini(&intake);
}

static void a_route_without_agent_or_to_no_id_is_doomed_whoever_is_linked(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"metadata\":{\"subagent_type\":\"nobody\"}")), RZ_OK);
    assert_string_equal(intake.profile, "");
    assert_non_null(strstr(intake.doom, "agent_id=None, protocol=None"));
    intake_fini(&intake);
    assert_int_equal(decode(JOB(",\"metadata\":{\"subagent_type\":\"odd\"}")), RZ_OK);
    assert_string_equal(intake.submit.session_profile, "");
    assert_non_null(strstr(intake.doom, "agent_id=Some(\"a b\")"));
    intake_fini(&intake);
}

static void a_pin_that_can_be_no_profile_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode(JOB(",\"metadata\":{\"external.agent_id\":\"a b\"}")), RZ_BAD_FIELD);
    assert_string_equal(err.field, "session.metadata");
    assert_int_equal(decode(JOB(",\"metadata\":{\"external.agent_id\":\"\"}")), RZ_BAD_FIELD);
}

static void a_job_waits_as_long_as_it_says_else_as_configured(void **state)
{
    (void)state;
    assert_int_equal(decode("{" IDS "}"), RZ_OK);
    assert_int_equal(intake.submit.max_queue_ms, 60000);
    intake_fini(&intake);
    assert_int_equal(decode("{" IDS ",\"max_queue_secs\":7}"), RZ_OK);
    assert_int_equal(intake.submit.max_queue_ms, 7000);
    intake_fini(&intake);
    assert_int_equal(decode("{" IDS ",\"max_queue_secs\":0}"), RZ_OK);
    assert_int_equal(intake.submit.max_queue_ms, 0);
    intake_fini(&intake);
}

static void a_refusal_by_the_store_says_whose_job_it_was(void **state)
{
    intake_who_t whose;
    (void)state;
    assert_int_equal(decode("{" IDS ",\"job_id\":\"j-1\"}"), RZ_OK);
    intake_whose(&intake, &whose);
    assert_string_equal(whose.parent, "p");
    assert_string_equal(whose.child, "c");
    assert_string_equal(whose.job, "j-1");
    intake_fini(&intake);
}

static void configured_limits_are_kept_and_named(void **state)
{
    (void)state;
    rules.session_max = 40;
    assert_int_equal(decode(JOB("")), RZ_TOO_LARGE);
    assert_string_equal(err.field, "session");
    assert_non_null(strstr(err.text, "40"));
    rules.session_max = 4096;
    rules.job_max = 20;
    assert_int_equal(decode(JOB("")), RZ_TOO_LARGE);
    assert_non_null(strstr(err.text, "20"));
}

static void who_it_was_is_told_of_what_can_be_read(void **state)
{
    (void)state;
    assert_int_equal(decode("{" IDS ",\"max_attempts\":0}"), RZ_BAD_FIELD);
    assert_string_equal(who.parent, "p");
    assert_string_equal(who.child, "c");
    assert_int_equal(decode("{\"parent_session_id\":\"p\",\"child_session_id\":\"a b\"}"), RZ_BAD_ID);
    assert_string_equal(who.parent, "p");
    assert_string_equal(who.child, "");
    assert_int_equal(decode("{\"parent_session_id\":\"p\""), RZ_BAD_JSON);
    assert_string_equal(who.parent, "");
}

static void the_same_job_has_the_same_digest_and_another_has_not(void **state)
{
    char first[RZ_DIGEST_LEN + 1];
    (void)state;
    assert_int_equal(decode(JOB("")), RZ_OK);
    memcpy(first, intake.digest, sizeof first);
    intake_fini(&intake);
    assert_int_equal(decode(JOB("")), RZ_OK);
    assert_string_equal(intake.digest, first);
    intake_fini(&intake);
    assert_int_equal(decode(JOB(",\"title\":\"t\"")), RZ_OK);
    assert_string_not_equal(intake.digest, first);
    intake_fini(&intake);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_job_becomes_a_complete_request, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_job_without_session_leaves_profile_and_affinity_to_the_store, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(the_profile_follows_requirement_then_pin_then_route, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_profile_of_another_protocol_is_refused_by_name, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_root_session_is_not_run, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(an_unknown_child_and_a_session_that_is_no_child_are_upstreams_two_refusals, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(what_no_configuration_has_is_doomed_unless_the_job_requires_it, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_route_without_agent_or_to_no_id_is_doomed_whoever_is_linked, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_pin_that_can_be_no_profile_is_refused, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_job_waits_as_long_as_it_says_else_as_configured, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(a_refusal_by_the_store_says_whose_job_it_was, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(configured_limits_are_kept_and_named, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(who_it_was_is_told_of_what_can_be_read, rules_up, rules_down),
    cmocka_unit_test_setup_teardown(the_same_job_has_the_same_digest_and_another_has_not, rules_up, rules_down),
    /* clang-format on */
};

RZ_FACTS(tests)
