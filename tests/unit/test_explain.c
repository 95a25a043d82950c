/* test_explain.c - the page of `rhizome explain`, from replies as a broker gives them. */
#include "facts.h"
#include "vectors/vectors.h"

#include "explain.h"

#define HALF_PAST_NINE INT64_C(1781602200000000) /* 2026-06-16T09:30:00Z, us: when most of these begin */
#define AFTER_S(s)     (HALF_PAST_NINE + (s)*INT64_C(1000000))

static cJSON *reply_of(const char *vector)
{
    rz_buf_t document = vector_load("control-reply", vector);
    cJSON *reply = rz_json_parse(document.data, document.len, 0, NULL);
    assert_non_null(reply);
    rz_buf_fini(&document);
    return reply;
}

/* A child ch-41 of root-7 in some state, with transitions given as the inside of an array. */
static cJSON *reply_with(const char *activation, const char *transitions)
{
    rz_buf_t text = { 0 };
    rz_buf_printf(&text,
                  "{\"activation\":{\"child\":\"ch-41\",\"parent\":\"root-7\",%s},\"transitions\":[%s]}",
                  activation, transitions);
    cJSON *reply = rz_json_parse(text.data, text.len, 0, NULL);
    assert_non_null(reply);
    rz_buf_fini(&text);
    return reply;
}

/* Takes the reply. */
static void assert_headline(cJSON *reply, int64_t now_us, const char *expected)
{
    rz_buf_t headline = { 0 };
    explain_headline(reply, now_us, &headline);
    assert_string_equal(headline.data, expected);
    rz_buf_fini(&headline);
    cJSON_Delete(reply);
}

#define AT(second, what)                                                                                     \
    "{\"at\":\"2026-06-16T09:30:" second "Z\",\"activation\":1,\"epoch\":1,\"what\":\"" what "\"}"
#define ON(second, what, runner)                                                                             \
    "{\"at\":\"2026-06-16T09:30:" second "Z\",\"activation\":1,\"epoch\":1,\"what\":\"" what                 \
    "\",\"runner\":\"" runner "\"}"

/* ---- the headline ---- */

static void an_ended_child_says_how_when_and_why(void **state)
{
    (void)state;
    assert_headline(reply_of("explain"), AFTER_S(420) + 1520000,
                    "ch-41 ended error 3 min ago: runner lost: r-1");
    assert_headline(reply_with("\"state\":\"terminal\",\"status\":\"completed\"",
                               AT("05", "running") "," AT("09", "completed")),
                    AFTER_S(10), "ch-41 ended completed 1.0 s ago");
}

static void a_queued_child_says_for_how_long_and_why_it_waits(void **state)
{
    (void)state;
    assert_headline(reply_of("explain-queued"), AFTER_S(9),
                    "ch-42 waits in the queue, for 4.0 s now: no runner offers label gpu");
    assert_headline(reply_with("\"state\":\"queued\"", AT("05", "queued")), AFTER_S(5),
                    "ch-41 waits in the queue, for 0 ms now: its turn has not come, every slot that fits is "
                    "taken");
}

static void a_child_that_was_given_back_waits_again_and_counts_from_then(void **state)
{
    (void)state;
    static const char *const ways[] = { AT("05", "queued") "," AT("06", "assigned") "," AT("08", "requeued"),
                                        AT("05", "queued") "," AT("06", "assigned") "," AT("08",
                                                                                           "released") };
    for (size_t i = 0; i < COUNT(ways); i++)
        assert_headline(reply_with("\"state\":\"queued\"", ways[i]), AFTER_S(9),
                        "ch-41 waits again in the queue, for 1.0 s now: its turn has not come, every slot "
                        "that fits is taken");
}

static void a_child_that_lost_its_runner_says_how_long_its_rerun_waits(void **state)
{
    (void)state;
    assert_headline(
        reply_with("\"state\":\"queued\"",
                   AT("05", "queued") ",{\"at\":\"2026-06-16T09:30:08Z\",\"activation\":1,\"epoch\":1,"
                                      "\"what\":\"backoff\",\"detail\":\"runner lost: r; rerun in 4 s\"}"),
        AFTER_S(9), "ch-41 waits for its next attempt, for 1.0 s now: runner lost: r; rerun in 4 s");
}

static void an_assigned_child_says_to_whom_it_is_given(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"assigned\",\"runner\":\"r-1\"", AT("05", "assigned")), AFTER_S(7),
                    "ch-41 is given to r-1, 2.0 s ago, and has not begun");
}

static void a_running_child_says_where_since_when_and_what_it_does(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"running\",\"runner\":\"r-1\",\"last_event_at\":\"2026-06-16T09:"
                               "30:08Z\",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\","
                               "\"round_count\":4",
                               AT("05", "running")),
                    AFTER_S(10),
                    "ch-41 runs on r-1, for 5.0 s now; last event 2.0 s ago, tool Bash (begin), round 4");
    assert_headline(reply_with("\"state\":\"running\",\"runner\":\"r-1\"", AT("05", "running")), AFTER_S(10),
                    "ch-41 runs on r-1, for 5.0 s now");
}

static void a_runner_that_is_not_linked_is_known_by_the_transitions(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"running\"", ON("05", "running", "r-9")), AFTER_S(10),
                    "ch-41 runs on r-9, for 5.0 s now");
    assert_headline(reply_with("\"state\":\"running\"", AT("05", "running")), AFTER_S(10),
                    "ch-41 runs on a runner, for 5.0 s now");
}

static void a_cancel_that_is_under_way_is_told(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"running\",\"runner\":\"r-1\",\"cancelled\":true",
                               AT("05", "running") "," AT("07", "cancel")),
                    AFTER_S(10), "ch-41 runs on r-1, for 5.0 s now; a cancel was asked for");
    assert_headline(reply_with("\"state\":\"terminal\",\"status\":\"cancelled\",\"cancelled\":true",
                               AT("07", "cancelled")),
                    AFTER_S(10), "ch-41 ended cancelled 3.0 s ago");
}

static void a_session_without_a_job_was_never_run(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"none\"", ""), AFTER_S(0),
                    "ch-41 has a session and was never run");
}

static void a_child_whose_story_was_let_go_still_says_its_state(void **state)
{
    (void)state;
    assert_headline(reply_with("\"state\":\"terminal\",\"status\":\"error\"", ""), AFTER_S(0),
                    "ch-41 ended error");
    assert_headline(reply_with("\"state\":\"queued\"", ""), AFTER_S(0),
                    "ch-41 waits in the queue: its turn has not come, every slot that fits is taken");
}

/* ---- below it ---- */

static void the_facts_of_the_job_stand_on_one_line(void **state)
{
    (void)state;
    cJSON *reply = reply_of("explain");
    rz_buf_t facts = { 0 };
    explain_facts(reply, &facts);
    assert_string_equal(facts.data,
                        "parent root-7, job j-1, profile survey, label gpu, attempt 1/1, epoch 2");
    rz_buf_fini(&facts);
    cJSON_Delete(reply);
}

static void assert_row(const table_t *table, size_t row, const char *const *expected)
{
    assert_true((row + 1) * table->columns <= table->count);
    for (size_t i = 0; i < table->columns; i++)
        assert_string_equal(table->cells[row * table->columns + i], expected[i]);
}

static void every_transition_is_a_row_with_the_gap_to_the_one_before(void **state)
{
    (void)state;
    static const char *const rows[][8] = {
        { "TIME (UTC)", "GAP", "RUN", "EPOCH", "WHAT", "RUNNER", "BROKER", "DETAIL" },
        { "2026-06-16 09:30:00.000", "", "1", "0", "queued", "", "b-1", "" },
        { "2026-06-16 09:30:01.500", "+1.5 s", "1", "1", "assigned", "r-1", "b-1", "" },
        { "2026-06-16 09:30:01.520", "+20 ms", "1", "1", "running", "r-1", "b-1", "" },
        { "2026-06-16 09:34:01.520", "+4 min", "1", "2", "error", "r-1", "b-2", "runner lost: r-1" },
    };
    cJSON *reply = reply_of("explain");
    table_t table;
    explain_table(reply, &table);
    assert_int_equal(table.count, COUNT(rows) * table.columns);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_row(&table, i, rows[i]);
    table_close(&table);
    cJSON_Delete(reply);
}

static void a_clock_that_was_set_back_shows(void **state)
{
    (void)state;
    cJSON *reply = reply_with("\"state\":\"running\"", AT("05", "queued") "," AT("03", "assigned"));
    table_t table;
    explain_table(reply, &table);
    assert_string_equal(table.cells[2 * table.columns + 1], "-2.0 s");
    table_close(&table);
    cJSON_Delete(reply);
}

static void the_remedy_fits_the_state(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        { "\"state\":\"queued\"", "rhizome runner list; rhizome cancel ch-41" },
        { "\"state\":\"running\"", "rhizome watch root-7/ch-41; rhizome logs ch-41; rhizome cancel ch-41" },
        { "\"state\":\"terminal\",\"status\":\"error\"", "rhizome logs ch-41; rhizome retry ch-41" },
        { "\"state\":\"terminal\",\"status\":\"cancelled\",\"error\":\"Cancelled by parent\"",
          "rhizome logs ch-41; rhizome retry ch-41" },
        { "\"state\":\"terminal\",\"status\":\"cancelled\",\"error\":\"Its parent root-7 was cancelled with its tree; "
          "run root-7 anew first\"",
          "rhizome retry root-7; rhizome retry ch-41" },
        { "\"state\":\"terminal\",\"status\":\"completed\"", NULL },
        { "\"state\":\"none\"", NULL },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        cJSON *reply = reply_with(table[i][0], "");
        rz_buf_t remedy = { 0 };
        explain_remedy(reply, &remedy);
        if (table[i][1] == NULL)
            assert_int_equal(remedy.len, 0);
        else
            assert_string_equal(remedy.data, table[i][1]);
        rz_buf_fini(&remedy);
        cJSON_Delete(reply);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_ended_child_says_how_when_and_why),
    cmocka_unit_test(a_queued_child_says_for_how_long_and_why_it_waits),
    cmocka_unit_test(a_child_that_was_given_back_waits_again_and_counts_from_then),
    cmocka_unit_test(a_child_that_lost_its_runner_says_how_long_its_rerun_waits),
    cmocka_unit_test(an_assigned_child_says_to_whom_it_is_given),
    cmocka_unit_test(a_running_child_says_where_since_when_and_what_it_does),
    cmocka_unit_test(a_runner_that_is_not_linked_is_known_by_the_transitions),
    cmocka_unit_test(a_cancel_that_is_under_way_is_told),
    cmocka_unit_test(a_session_without_a_job_was_never_run),
    cmocka_unit_test(a_child_whose_story_was_let_go_still_says_its_state),
    cmocka_unit_test(the_facts_of_the_job_stand_on_one_line),
    cmocka_unit_test(every_transition_is_a_row_with_the_gap_to_the_one_before),
    cmocka_unit_test(a_clock_that_was_set_back_shows),
    cmocka_unit_test(the_remedy_fits_the_state),
};
RZ_FACTS(tests)
