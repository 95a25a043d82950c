/* test_routing.c - who runs a child, and what its session says about it (rules 9.1-9.3). */
#include "facts.h"

#include "wire/routing.h"

static rz_agents_t *agents;
static rz_buf_t out;

static int tables_up(void **state)
{
    rz_err_t err = { 0 };
    cJSON *external = cJSON_Parse("{\"survey\":{\"agent_id\":\"survey\",\"protocol\":\"subprocess\","
                                  "\"permission_profile\":\"read\",\"worker_bin\":\"/bin/true\"},"
                                  "\"far\":{\"agent_id\":\"far\",\"protocol\":\"a2a_jsonrpc\","
                                  "\"permission_profile\":\"none\",\"agent_card_url\":\"http://far/card\"}}");
    cJSON *routing = cJSON_Parse("{\"explorer\":{\"runtime\":\"external\",\"agent_id\":\"survey\"},"
                                 "\"old\":{\"runtime\":\"bamboo\",\"agent_id\":\"survey\"},"
                                 "\"nobody\":{\"runtime\":\"external\"}}");
    (void)state;
    agents = rz_agents_create(external, routing, NULL, &err);
    cJSON_Delete(external);
    cJSON_Delete(routing);
    return agents != NULL ? 0 : -1;
}

static int tables_down(void **state)
{
    (void)state;
    rz_buf_fini(&out);
    rz_agents_destroy(&agents);
    return 0;
}

/* metadata: the JSON object of a session */
static void is_run_by(const char *metadata, const char *profile)
{
    rz_buf_t header = { 0 };
    rz_session_t session;
    rz_buf_printf(&header, "{\"id\":\"c\",\"kind\":\"child\",\"metadata\":%s}", metadata);
    assert_int_equal(rz_session_header_decode(rz_buf_str(&header), &session, NULL), RZ_OK);
    assert_string_equal(rz_routing_profile(agents, &session), profile);
    rz_session_fini(&session);
    rz_buf_fini(&header);
}

static const char *joined(const char *profile, const char *header)
{
    rz_buf_clear(&out);
    rz_routing_join(agents, profile, rz_str(header), &out);
    return out.data;
}

static const char *unmatched(const char *agent_id, const char *protocol)
{
    rz_buf_clear(&out);
    rz_routing_unmatched(agent_id, protocol, &out);
    return out.data;
}

/* ---- facts ---- */

static void a_child_without_type_or_route_is_run_by_the_local_actor(void **state)
{
    (void)state;
    is_run_by("{}", "local-actor");
    is_run_by("{\"subagent_type\":\"unheard\"}", "local-actor");
}

static void a_route_to_external_pins_its_agent(void **state)
{
    (void)state;
    is_run_by("{\"subagent_type\":\"explorer\"}", "survey");
}

static void a_route_to_any_other_runtime_is_the_local_actor(void **state)
{
    (void)state;
    is_run_by("{\"subagent_type\":\"old\"}", "local-actor");
}

static void a_route_without_agent_names_nobody(void **state)
{
    (void)state;
    is_run_by("{\"subagent_type\":\"nobody\"}", "");
}

static void what_the_session_says_itself_goes_before_its_route(void **state)
{
    (void)state;
    is_run_by("{\"subagent_type\":\"explorer\",\"external.agent_id\":\"echo\"}", "echo");
}

static void by_default_a_header_says_local_actor(void **state)
{
    (void)state;
    assert_string_equal(joined(NULL, "{\"id\":\"c\"}"),
                        "{\"id\":\"c\",\"metadata\":{\"runtime.kind\":\"external\","
                        "\"external.agent_id\":\"local-actor\",\"external.protocol\":\"actor\"}}");
}

static void a_routed_header_says_what_the_profile_is(void **state)
{
    (void)state;
    assert_string_equal(
        joined(NULL, "{\"id\":\"c\",\"metadata\":{\"subagent_type\":\"explorer\"},\"x\":1.50}"),
        "{\"id\":\"c\",\"x\":1.50,\"metadata\":{\"subagent_type\":\"explorer\",\"runtime.kind\":\"external\","
        "\"external.agent_id\":\"survey\",\"external.protocol\":\"actor\",\"external.permission_profile\":\"read\"}}");
    assert_non_null(strstr(joined("far", "{\"id\":\"c\"}"),
                           "\"external.protocol\":\"a2a_jsonrpc\","
                           "\"external.permission_profile\":\"none\","
                           "\"external.agent_card_url\":\"http://far/card\""));
}

static void a_profile_of_no_configuration_is_only_named(void **state)
{
    (void)state;
    assert_string_equal(
        joined("mine", "{\"id\":\"c\"}"),
        "{\"id\":\"c\",\"metadata\":{\"runtime.kind\":\"external\",\"external.agent_id\":\"mine\"}}");
    assert_string_equal(joined("", "{\"id\":\"c\"}"),
                        "{\"id\":\"c\",\"metadata\":{\"runtime.kind\":\"external\"}}");
}

static void what_the_header_says_of_another_profile_goes(void **state)
{
    (void)state;
    assert_string_equal(
        joined("echo",
               "{\"id\":\"c\",\"metadata\":{\"external.agent_id\":\"far\",\"external.agent_card_url\":"
               "\"http://far\",\"runtime.kind\":\"bamboo\",\"external.permission_profile\":\"p\"}}"),
        "{\"id\":\"c\",\"metadata\":{\"runtime.kind\":\"external\",\"external.agent_id\":\"echo\","
        "\"external.protocol\":\"actor\"}}");
}

static void what_the_header_says_of_its_own_profile_stays_where_the_configuration_is_silent(void **state)
{
    (void)state;
    assert_string_equal(
        joined(NULL, "{\"metadata\":{\"external.agent_id\":\"mine\",\"external.protocol\":\"own\"},"
                     "\"id\":\"c\"}"),
        "{\"id\":\"c\",\"metadata\":{\"external.protocol\":\"own\",\"runtime.kind\":\"external\","
        "\"external.agent_id\":\"mine\"}}");
}

static void a_key_written_with_escapes_is_not_said_twice(void **state)
{
    (void)state;
    assert_string_equal(
        joined("echo", "{\"id\":\"c\",\"m\\u0065tadata\":{\"runtime\\u002ekind\":\"x\",\"a\":\"\\u0062\"}}"),
        "{\"id\":\"c\",\"metadata\":{\"a\":\"\\u0062\",\"runtime.kind\":\"external\","
        "\"external.agent_id\":\"echo\",\"external.protocol\":\"actor\"}}");
}

static void a_damaged_header_is_left_as_it_is(void **state)
{
    static const char *const damaged[] = { "{\"id\":", "[]", "{\"id\":\"c\",\"metadata\":7}", "nonsense" };
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        assert_string_equal(joined("echo", damaged[i]), damaged[i]);
        assert_string_equal(joined(NULL, damaged[i]), damaged[i]);
    }
}

static void nobody_is_told_in_upstreams_words(void **state)
{
    (void)state;
    assert_string_equal(unmatched("x", NULL), "No external runner matched child session runtime metadata: "
                                              "agent_id=Some(\"x\"), protocol=None");
    assert_string_equal(unmatched(NULL, "actor"),
                        "No external runner matched child session runtime metadata: "
                        "agent_id=None, protocol=Some(\"actor\")");
    assert_non_null(strstr(unmatched("a\"b\\c\n\x01", NULL), "agent_id=Some(\"a\\\"b\\\\c\\n\\u{1}\"),"));
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_child_without_type_or_route_is_run_by_the_local_actor, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_route_to_external_pins_its_agent, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_route_to_any_other_runtime_is_the_local_actor, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_route_without_agent_names_nobody, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(what_the_session_says_itself_goes_before_its_route, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(by_default_a_header_says_local_actor, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_routed_header_says_what_the_profile_is, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_profile_of_no_configuration_is_only_named, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(what_the_header_says_of_another_profile_goes, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(what_the_header_says_of_its_own_profile_stays_where_the_configuration_is_silent, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_key_written_with_escapes_is_not_said_twice, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(a_damaged_header_is_left_as_it_is, tables_up, tables_down),
    cmocka_unit_test_setup_teardown(nobody_is_told_in_upstreams_words, tables_up, tables_down),
    /* clang-format on */
};

RZ_FACTS(tests)
