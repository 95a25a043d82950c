/* test_show.c - published events as one line for people. */
#include "facts.h"
#include "vectors/vectors.h"

#include "show.h"

/* The name and the detail of an event, as `rhizome watch` prints them. */
static void assert_shown(const char *event, const char *name, const char *detail)
{
    event_t shown = { .event = rz_json_parse(event, strlen(event), 0, NULL) };
    rz_buf_t text = { 0 };
    assert_non_null(shown.event);
    event_detail(&shown, &text);
    assert_string_equal(event_name(&shown), name);
    assert_string_equal(text.data, detail);
    rz_buf_fini(&text);
    event_fini(&shown);
}

#define WRAPPED(inner) "{\"type\":\"sub_agent_event\",\"child_session_id\":\"c\",\"event\":" inner "}"

static void a_question_shows_its_id_and_what_is_asked(void **state)
{
    (void)state;
    assert_shown(WRAPPED("{\"type\":\"child_approval_requested\",\"child_session_id\":\"c\",\"request_id\":"
                         "\"sa-0\",\"tool_name\":\"Bash\",\"permission\":\"execute\",\"resource\":\"rm -rf\\n"
                         "build\"}"),
                 "child_approval_requested", "sa-0: Bash, execute: rm -rf build");
    assert_shown(WRAPPED("{\"type\":\"child_approval_requested\",\"request_id\":\"sa-0\",\"tool_name\":"
                         "\"Bash\",\"permission\":\"\",\"resource\":\"\"}"),
                 "child_approval_requested", "sa-0: Bash");
}

static void an_answer_shows_who_gave_it(void **state)
{
    (void)state;
    assert_shown(WRAPPED("{\"type\":\"child_approval_changed\",\"request_id\":\"sa-0\",\"approved\":true,"
                         "\"by\":\"client\"}"),
                 "child_approval_changed", "sa-0: approved by client");
    assert_shown(WRAPPED("{\"type\":\"child_approval_changed\",\"request_id\":\"sa-0\",\"approved\":false,"
                         "\"by\":\"timeout\"}"),
                 "child_approval_changed", "sa-0: denied by timeout");
}

static void the_end_of_a_wait_shows_its_condition_and_who_met_it(void **state)
{
    (void)state;
    assert_shown("{\"type\":\"wait_satisfied\",\"parent_session_id\":\"p\",\"wait_id\":\"w-1\",\"wait_for\":"
                 "\"any\",\"by\":\"ch-2\",\"children\":[]}",
                 "wait_satisfied", "w-1 (any) by ch-2");
    assert_shown("{\"type\":\"wait_expired\",\"parent_session_id\":\"p\",\"wait_id\":\"w-1\",\"wait_for\":"
                 "\"all\",\"children\":[]}",
                 "wait_expired", "w-1 (all)");
}

static void a_completion_shows_its_status_and_error(void **state)
{
    (void)state;
    assert_shown("{\"type\":\"sub_agent_completed\",\"status\":\"error\",\"error\":\"two\\nlines\"}",
                 "completed", "error: two lines");
}

static void a_kind_that_nobody_knows_shows_all_its_members(void **state)
{
    (void)state;
    assert_shown(WRAPPED("{\"type\":\"answered\",\"approved\":true,\"n\":2}"), "answered",
                 "approved=true n=2 ");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_question_shows_its_id_and_what_is_asked),
    cmocka_unit_test(an_answer_shows_who_gave_it),
    cmocka_unit_test(the_end_of_a_wait_shows_its_condition_and_who_met_it),
    cmocka_unit_test(a_completion_shows_its_status_and_error),
    cmocka_unit_test(a_kind_that_nobody_knows_shows_all_its_members),
};
RZ_FACTS(tests)
