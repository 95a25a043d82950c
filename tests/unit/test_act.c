/* test_act.c - an activation as replies show it. */
#include "facts.h"

#include "act.h"

static roster_t *roster;
static rz_buf_t shown;

static int up(void **state)
{
    (void)state;
    roster = roster_create();
    return 0;
}

static int down(void **state)
{
    (void)state;
    rz_buf_fini(&shown);
    roster_destroy(&roster);
    return 0;
}

static rz_act_t act_in(rz_act_state_t act_state)
{
    return (rz_act_t){ .state = act_state,
                       .child = "c",
                       .parent = "p",
                       .owner = "",
                       .labels = "cpu,gpu",
                       .profile = "echo",
                       .status = "running",
                       .epoch = 2,
                       .activation = 1,
                       .attempt = 1,
                       .max_attempts = 3 };
}

static const char *encode(const rz_act_t *act)
{
    rz_buf_clear(&shown);
    act_encode(roster, NULL, act, &shown);
    return shown.data;
}

#define HEAD                                                                                                 \
    ",\"status\":\"running\",\"epoch\":2,\"activation\":1,\"attempt\":1,\"max_attempts\":3,"                 \
    "\"profile\":\"echo\",\"labels\":[\"cpu\",\"gpu\"],\"cancelled\":"

static void a_running_one_shows_what_its_runner_says_of_the_run(void **state)
{
    (void)state;
    rz_act_t act = act_in(RZ_ACT_RUNNING);
    act.progress = "{\"round_count\":4,\"last_tool_name\":\"Ba\\u0073h\",\"last_tool_phase\":\"begin\","
                   "\"last_event_at\":\"2026-06-16T09:30:04.250000Z\"}";
    assert_string_equal(
        encode(&act),
        "{\"child\":\"c\",\"parent\":\"p\",\"state\":\"running\"" HEAD
        "false,\"last_event_at\":\"2026-06-16T09:30:04.250000Z\",\"last_tool_name\":\"Ba\\u0073h\","
        "\"last_tool_phase\":\"begin\",\"round_count\":4}");
}

static void what_a_runner_says_cannot_write_over_what_the_store_knows(void **state)
{
    (void)state;
    static const char *const said[] = { "{\"state\":\"terminal\",\"child\":\"other\"}",
                                        "{\"round_count\":\"4\",\"last_tool_name\":7}", "not json", "[1]",
                                        "" };
    rz_act_t act = act_in(RZ_ACT_RUNNING);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        act.progress = said[i];
        assert_string_equal(encode(&act),
                            "{\"child\":\"c\",\"parent\":\"p\",\"state\":\"running\"" HEAD "false}");
    }
}

static void one_that_waits_says_why_and_nothing_of_a_lost_attempt(void **state)
{
    (void)state;
    rz_act_t act = act_in(RZ_ACT_QUEUED);
    act.progress = "{\"round_count\":4}";
    assert_string_equal(encode(&act), "{\"child\":\"c\",\"parent\":\"p\",\"state\":\"queued\"" HEAD
                                      "false,\"waiting\":\"no runner is linked\"}");
}

static void one_that_somebody_offers_to_run_gives_no_reason(void **state)
{
    (void)state;
    cJSON *labels = cJSON_Parse("[\"gpu\",\"cpu\"]"), *profiles = cJSON_Parse("[\"echo\"]");
    runner_t *runner = roster_add(roster, &(runner_hello_t){ .peer = RZ_STR("peer"),
                                                             .name = "r1",
                                                             .incarnation = "i1",
                                                             .labels = labels,
                                                             .profiles = profiles });
    runner->joined = true;
    rz_act_t act = act_in(RZ_ACT_QUEUED);
    assert_null(strstr(encode(&act), "waiting"));
    act.labels = "fpga";
    assert_non_null(strstr(encode(&act), ",\"waiting\":\"no runner offers label fpga\"}"));
    cJSON_Delete(labels);
    cJSON_Delete(profiles);
}

static void a_cancel_without_grace_is_told_from_a_gentle_one(void **state)
{
    (void)state;
    rz_act_t act = act_in(RZ_ACT_ASSIGNED);
    act.cancelled = true;
    assert_string_equal(encode(&act),
                        "{\"child\":\"c\",\"parent\":\"p\",\"state\":\"assigned\"" HEAD "true}");
    act.cancel_now = true;
    assert_string_equal(encode(&act), "{\"child\":\"c\",\"parent\":\"p\",\"state\":\"assigned\"" HEAD
                                      "true,\"cancel_now\":true}");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_running_one_shows_what_its_runner_says_of_the_run, up, down),
    cmocka_unit_test_setup_teardown(what_a_runner_says_cannot_write_over_what_the_store_knows, up, down),
    cmocka_unit_test_setup_teardown(one_that_waits_says_why_and_nothing_of_a_lost_attempt, up, down),
    cmocka_unit_test_setup_teardown(one_that_somebody_offers_to_run_gives_no_reason, up, down),
    cmocka_unit_test_setup_teardown(a_cancel_without_grace_is_told_from_a_gentle_one, up, down),
};
/* clang-format on */

RZ_FACTS(tests)
