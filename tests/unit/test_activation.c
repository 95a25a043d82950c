/* test_activation.c - activations in words, as `rhizome ps` shows them. */
#include "facts.h"
#include "vectors/vectors.h"

#include "activation.h"
#include "groups.h"

static cJSON *json(const char *text)
{
    cJSON *tree = rz_json_parse(text, strlen(text), 0, NULL);
    assert_non_null(tree);
    return tree;
}

static void the_detail_says_what_matters_in_each_state(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        { "{\"state\":\"queued\",\"waiting\":\"no runner offers label gpu\",\"error\":\"of the last run\"}",
          "queued", "no runner offers label gpu" },
        { "{\"state\":\"running\",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\",\"round_count\":4}",
          "running", "tool Bash (begin), round 4" },
        { "{\"state\":\"running\",\"round_count\":2}", "running", "round 2" },
        { "{\"state\":\"terminal\",\"status\":\"timeout\",\"error\":\"too long\",\"round_count\":2}",
          "timeout", "too long" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        cJSON *activation = json(table[i][0]);
        rz_buf_t detail = { 0 };
        activation_detail(activation, &detail);
        assert_string_equal(activation_word(activation), table[i][1]);
        assert_string_equal(detail.data, table[i][2]);
        rz_buf_fini(&detail);
        cJSON_Delete(activation);
    }
}

static void what_nobody_told_is_left_out(void **state)
{
    (void)state;
    static const char *const states[] = { "queued", "assigned", "running", "terminal" };
    for (size_t i = 0; i < COUNT(states); i++) {
        rz_buf_t text = { 0 }, detail = { 0 };
        rz_buf_printf(&text, "{\"state\":\"%s\"}", states[i]);
        cJSON *activation = json(text.data);
        activation_detail(activation, &detail);
        assert_int_equal(detail.len, 0);
        rz_buf_fini(&detail);
        rz_buf_fini(&text);
        cJSON_Delete(activation);
    }
}

static void a_moment_that_our_clock_has_not_reached_is_now(void **state)
{
    (void)state;
    char age[16];
    ago_text("2026-06-16T09:30:00Z", INT64_C(1781602202500000), age);
    assert_string_equal(age, "2.5 s");
    ago_text("2026-06-16T09:30:00Z", INT64_C(1781602199000000), age);
    assert_string_equal(age, "0 ms");
    ago_text("", INT64_C(1781602199000000), age);
    assert_string_equal(age, "");
}

/* ---- reader groups of completions ---- */

static void assert_warning(const char *group, const char *expected)
{
    cJSON *tree = json(group);
    rz_buf_t warning = { 0 };
    bool warned = group_warning(tree, &warning);
    assert_int_equal(warned, expected != NULL);
    if (expected != NULL)
        assert_string_equal(warning.data, expected);
    rz_buf_fini(&warning);
    cJSON_Delete(tree);
}

static void a_group_that_keeps_up_is_no_matter(void **state)
{
    (void)state;
    assert_warning("{\"name\":\"g\",\"consumers\":1,\"pending\":0,\"lag\":0}", NULL);
    assert_warning("{\"name\":\"g\",\"consumers\":1,\"pending\":99,\"lag\":900}", NULL);
    assert_warning("{\"name\":\"g\",\"consumers\":0,\"pending\":0,\"lag\":0}", NULL);
}

static void a_group_that_falls_behind_is_warned_of(void **state)
{
    (void)state;
    assert_warning(
        "{\"name\":\"g\",\"consumers\":1,\"pending\":100,\"lag\":900}",
        "completions: group g falls behind: 900 entries not read, 100 not acknowledged; all of them "
        "are kept until it is done with them or destroyed");
}

static void a_group_that_nobody_reads_is_warned_of_at_once(void **state)
{
    (void)state;
    assert_warning(
        "{\"name\":\"g\",\"consumers\":0,\"pending\":0,\"lag\":1}",
        "completions: group g has no reader: 1 entries not read, 0 not acknowledged; all of them are "
        "kept until it is done with them or destroyed");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_detail_says_what_matters_in_each_state),
    cmocka_unit_test(what_nobody_told_is_left_out),
    cmocka_unit_test(a_moment_that_our_clock_has_not_reached_is_now),
    cmocka_unit_test(a_group_that_keeps_up_is_no_matter),
    cmocka_unit_test(a_group_that_falls_behind_is_warned_of),
    cmocka_unit_test(a_group_that_nobody_reads_is_warned_of_at_once),
};
RZ_FACTS(tests)
