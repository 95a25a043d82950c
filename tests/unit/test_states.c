/* test_states.c - what a runner says of its runs, taken apart and checked. */
#include "facts.h"

#include "states.h"

#include "base/json.h"
#include "base/limits.h"

static states_t states;
static cJSON *tree;

static const states_t *read_text(const char *text)
{
    tree = text != NULL ? rz_json_parse(text, strlen(text), 0, NULL) : NULL;
    states_read(tree, &states);
    return &states;
}

static int forget(void **state)
{
    (void)state;
    states_fini(&states);
    cJSON_Delete(tree);
    tree = NULL;
    return 0;
}

static void is_said(size_t i, const char *child, uint64_t epoch, const char *text)
{
    assert_true(i < states.n);
    assert_string_equal(states.list[i].child, child);
    assert_int_equal(states.list[i].epoch, epoch);
    assert_int_equal(states.list[i].progress.n, strlen(text));
    assert_memory_equal(states.list[i].progress.p, text, strlen(text));
}

static void is_left_out(const char *text, rz_rc_t rc, const char *field)
{
    read_text(text);
    assert_int_equal(states.n, 0);
    assert_int_equal(states.left_out, 1);
    assert_int_equal(states.why.rc, rc);
    assert_string_equal(states.why.field, field);
    forget(NULL);
}

static void nothing_said_is_an_empty_list(void **state)
{
    (void)state;
    assert_int_equal(read_text(NULL)->n, 0);
    states_fini(&states);
    assert_int_equal(read_text("{}")->n, 0);
    assert_int_equal(states.left_out, 0);
}

static void each_child_keeps_its_epoch_and_what_is_known_of_it(void **state)
{
    (void)state;
    read_text(
        "{\"c-1\":{\"epoch\":3,\"last_event_at\":\"2026-06-16T09:30:04.25Z\",\"last_tool_name\":\"Bash\","
        "\"last_tool_phase\":\"begin\",\"round_count\":4},\"c-2\":{\"epoch\":1}}");
    is_said(0, "c-1", 3,
            "{\"last_event_at\":\"2026-06-16T09:30:04.25Z\",\"last_tool_name\":\"Bash\","
            "\"last_tool_phase\":\"begin\",\"round_count\":4}");
    is_said(1, "c-2", 1, "{}");
    assert_int_equal(states.left_out, 0);
}

static void unknown_and_null_members_are_not_kept(void **state)
{
    (void)state;
    read_text("{\"c-1\":{\"epoch\":3,\"secret\":\"x\",\"round_count\":null,\"last_tool_name\":null}}");
    is_said(0, "c-1", 3, "{}");
}

static void a_wrong_entry_is_left_out_and_named(void **state)
{
    (void)state;
    is_left_out("{\"a b\":{\"epoch\":1}}", RZ_BAD_ID, "states");
    is_left_out("{\"c\":[]}", RZ_BAD_FIELD, "states.c");
    is_left_out("{\"c\":{}}", RZ_MISSING_FIELD, "states.c.epoch");
    is_left_out("{\"c\":{\"epoch\":0}}", RZ_BAD_FIELD, "states.c.epoch");
    is_left_out("{\"c\":{\"epoch\":1,\"last_event_at\":\"yesterday\"}}", RZ_BAD_FIELD,
                "states.c.last_event_at");
    is_left_out("{\"c\":{\"epoch\":1,\"last_tool_name\":7}}", RZ_BAD_FIELD, "states.c.last_tool_name");
    is_left_out("{\"c\":{\"epoch\":1,\"round_count\":-1}}", RZ_BAD_FIELD, "states.c.round_count");
}

static void a_name_that_is_too_long_is_left_out(void **state)
{
    char text[600];
    (void)state;
    snprintf(text, sizeof text, "{\"c\":{\"epoch\":1,\"last_tool_name\":\"%0*d\"}}", RZ_NAME_MAX + 1, 7);
    is_left_out(text, RZ_TOO_LARGE, "states.c.last_tool_name");
}

static void the_others_of_a_wrong_entry_are_kept(void **state)
{
    (void)state;
    read_text("{\"a\":{\"epoch\":1,\"round_count\":1},\"b\":{\"epoch\":\"x\",\"round_count\":2},\"c\":7,"
              "\"d\":{\"epoch\":4,\"round_count\":4}}");
    is_said(0, "a", 1, "{\"round_count\":1}");
    is_said(1, "d", 4, "{\"round_count\":4}");
    assert_int_equal(states.n, 2);
    assert_int_equal(states.left_out, 2);
    assert_string_equal(states.why.field, "states.b.epoch");
}

static void no_more_are_taken_than_a_runner_may_run(void **state)
{
    rz_buf_t text = { 0 };
    (void)state;
    rz_json_open(&text, '{');
    for (unsigned i = 0; i < STATES_MAX + 3; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        rz_json_open_key(&text, child, '{');
        rz_json_put_u64(&text, "epoch", 1);
        rz_json_close(&text, '}');
    }
    rz_json_close(&text, '}');
    read_text(text.data);
    rz_buf_fini(&text);
    assert_int_equal(states.n, STATES_MAX);
    assert_int_equal(states.left_out, 3);
    assert_int_equal(states.why.rc, RZ_TOO_LARGE);
    is_said(STATES_MAX - 1, "c1023", 1, "{}");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_teardown(nothing_said_is_an_empty_list, forget),
    cmocka_unit_test_teardown(each_child_keeps_its_epoch_and_what_is_known_of_it, forget),
    cmocka_unit_test_teardown(unknown_and_null_members_are_not_kept, forget),
    cmocka_unit_test_teardown(a_wrong_entry_is_left_out_and_named, forget),
    cmocka_unit_test_teardown(a_name_that_is_too_long_is_left_out, forget),
    cmocka_unit_test_teardown(the_others_of_a_wrong_entry_are_kept, forget),
    cmocka_unit_test_teardown(no_more_are_taken_than_a_runner_may_run, forget),
    /* clang-format on */
};

RZ_FACTS(tests)
