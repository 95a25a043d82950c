/* test_progress.c - what is known of a run from its worker's events (rule 6.6). */
#include "facts.h"
#include "progress.h"
#include "vectors/vectors.h"
#include "wire/event.h"

#define AT   1781602200123456 /* 2026-06-16T09:30:00.123456Z */
#define LATE (AT + 1000000)

static void hear(progress_t *progress, const char *type, const char *event)
{
    progress_hear(progress, type, rz_str(event), AT);
}

static void expect_members(const progress_t *progress, const char *members)
{
    rz_buf_t text = { 0 };
    rz_json_open(&text, '{');
    progress_put(progress, &text);
    rz_json_close(&text, '}');
    assert_string_equal(text.data, members);
    rz_buf_fini(&text);
}

#define SAID "{\"last_event_at\":\"2026-06-16T09:30:00.123456Z\""

static void of_a_run_that_said_nothing_nothing_is_known(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    expect_members(&progress, "{}");
    assert_false(progress.is_news);
}

static void every_event_moves_last_event_at(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    hear(&progress, "token", "{\"type\":\"token\",\"content\":\"x\"}");
    assert_true(progress.is_news);
    expect_members(&progress, SAID "}");
    progress_hear(&progress, "other", RZ_STR("{\"type\":\"X Y\"}"), LATE);
    expect_members(&progress, "{\"last_event_at\":\"2026-06-16T09:30:01.123456Z\"}");
}

static void a_tool_that_starts_is_at_work_in_phase_begin(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    hear(&progress, "tool_start",
         "{\"type\":\"tool_start\",\"tool_call_id\":\"1\",\"tool_name\":\"Bash\",\"arguments\":{}}");
    expect_members(&progress, SAID ",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\"}");
}

static void a_tools_lifecycle_says_its_phase(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    hear(&progress, "tool_start", "{\"tool_name\":\"Bash\"}");
    hear(&progress, "tool_lifecycle", "{\"tool_name\":\"Edit\",\"phase\":\"finished\"}");
    expect_members(&progress, SAID ",\"last_tool_name\":\"Edit\",\"last_tool_phase\":\"finished\"}");
}

static void no_other_event_about_tools_changes_the_last_tool(void **state)
{
    (void)state;
    static const char *const others[] = { "tool_complete", "tool_error", "tool_token", "sub_agent_event" };
    progress_t progress = { 0 };
    hear(&progress, "tool_start", "{\"tool_name\":\"Bash\"}");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        hear(&progress, others[i], "{\"tool_name\":\"Edit\",\"phase\":\"error\",\"round_count\":3}");
    expect_members(&progress, SAID ",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\"}");
}

static void the_round_is_the_runners_last_word(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    hear(&progress, "runner_progress", "{\"session_id\":\"s\",\"round_count\":4}");
    hear(&progress, "runner_progress", "{\"session_id\":\"s\",\"round_count\":0}");
    expect_members(&progress, SAID ",\"round_count\":0}");
    hear(&progress, "runner_progress", "{\"session_id\":\"s\",\"round_count\":4294967295}");
    expect_members(&progress, SAID ",\"round_count\":4294967295}");
}

static void a_heartbeat_says_it_as_agreed(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    hear(&progress, "tool_start", "{\"tool_name\":\"Bash\"}");
    hear(&progress, "runner_progress", "{\"round_count\":4}");
    rz_buf_t written = { 0 }, agreed = vector_load("event", "heartbeat-busy");
    rz_event_heartbeat("root-7", "ch-41", "2026-06-16T09:30:05.123456Z", &written);
    progress_put(&progress, &written);
    rz_json_close(&written, '}');
    assert_string_equal(written.data, agreed.data);
    rz_buf_fini(&written);
    rz_buf_fini(&agreed);
}

static void a_member_that_is_not_as_agreed_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *type, *event;
    } bad[] = { { "tool_start", "{\"tool_name\":7}" },
                { "tool_start", "{}" },
                { "tool_lifecycle", "{\"tool_name\":\"Edit\"}" },
                { "tool_lifecycle", "{\"tool_name\":\"Edit\",\"phase\":null}" },
                { "tool_lifecycle", "{\"phase\":\"finished\"}" },
                { "runner_progress", "{\"round_count\":\"5\"}" },
                { "runner_progress", "{\"round_count\":-5}" },
                { "runner_progress", "{\"round_count\":5.0}" },
                { "runner_progress", "{\"round_count\":4294967296}" },
                { "runner_progress", "{\"round_count\":99999999999999999999}" },
                { "runner_progress", "{}" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        progress_t progress = { 0 };
        hear(&progress, "tool_start", "{\"tool_name\":\"Bash\"}");
        hear(&progress, "runner_progress", "{\"round_count\":2}");
        hear(&progress, bad[i].type, bad[i].event);
        expect_members(&progress,
                       SAID ",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\",\"round_count\":2}");
    }
}

static void a_long_name_is_cut_between_two_characters(void **state)
{
    (void)state;
    progress_t progress = { 0 };
    char event[512] = "{\"tool_name\":\"x";
    for (int i = 0; i < PROGRESS_TOOL_MAX; i++)
        strcat(event, "\xc3\xa9");
    strcat(event, "\"}");
    hear(&progress, "tool_start", event);
    assert_int_equal(strlen(progress.tool_name), PROGRESS_TOOL_MAX - 1);
    assert_memory_equal(progress.tool_name, event + 14, PROGRESS_TOOL_MAX - 1);
    hear(&progress, "tool_start", "{\"tool_name\":\"\"}");
    expect_members(&progress, SAID ",\"last_tool_phase\":\"begin\"}");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(of_a_run_that_said_nothing_nothing_is_known),
    cmocka_unit_test(every_event_moves_last_event_at),
    cmocka_unit_test(a_tool_that_starts_is_at_work_in_phase_begin),
    cmocka_unit_test(a_tools_lifecycle_says_its_phase),
    cmocka_unit_test(no_other_event_about_tools_changes_the_last_tool),
    cmocka_unit_test(the_round_is_the_runners_last_word),
    cmocka_unit_test(a_heartbeat_says_it_as_agreed),
    cmocka_unit_test(a_member_that_is_not_as_agreed_changes_nothing),
    cmocka_unit_test(a_long_name_is_cut_between_two_characters),
};
RZ_FACTS(tests)
