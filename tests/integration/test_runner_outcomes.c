/* test_runner_outcomes.c - what a runner makes of each way a worker can end its run (rule 4.3), rule by rule. actor.py
 * plays the worker; what no worker may do at all is in tests/faults/test_bad_worker.c. */
#include "facts.h"
#include "stand_in.h"

#include <stdlib.h>
#include <unistd.h>

#define TERMINAL(more) "{\"kind\":\"terminal\"," more "}"
#define TOKEN          "{\"kind\":\"event\",\"event\":{\"type\":\"token\",\"content\":\"x\"}}"
#define EVENTS         "sub_agent_heartbeat sub_agent_started "

static stand_in_t s;

static const seen_t *play(const char *steps)
{
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, steps, NULL);
    return stand_in_wait(&s, "ch-1");
}

static void down(const seen_t *seen, const char *events)
{
    assert_string_equal(stand_in_events(seen), events);
    assert_int_equal(seen->finishes, 1);
    assert_int_equal(stand_in_down(&s), 0);
}

static void expect_completed(const char *steps, const char *reply)
{
    const seen_t *seen = play(steps);
    assert_string_equal(seen->status, "completed");
    assert_string_equal(seen->error, "");
    if (reply != NULL)
        assert_true(stand_in_replied(seen, reply));
    else
        assert_string_equal(seen->reply, "");
    down(seen, EVENTS "sub_agent_completed");
}

static void expect_failed(const char *steps, const char *status, const char *error)
{
    const seen_t *seen = play(steps);
    assert_string_equal(seen->status, status);
    assert_string_equal(seen->error, error);
    assert_string_equal(seen->reply, "");
    down(seen, EVENTS "sub_agent_completed");
}

static void completed_with_a_result_appends_it_as_the_assistants_message(void **state)
{
    (void)state;
    expect_completed("[" TERMINAL("\"status\":\"completed\",\"result\":\"done \\\"so\\\"\"") "]",
                     "done \\\"so\\\"");
}

static void completed_with_an_empty_result_appends_nothing(void **state)
{
    (void)state;
    expect_completed("[" TERMINAL("\"status\":\"completed\",\"result\":\"\"") "]", NULL);
}

static void completed_without_a_result_appends_nothing(void **state)
{
    (void)state;
    expect_completed("[" TERMINAL("\"status\":\"completed\"") "]", NULL);
}

static void completed_with_a_null_for_a_result_appends_nothing(void **state)
{
    (void)state;
    expect_completed("[" TERMINAL("\"status\":\"completed\",\"result\":null,\"transcript\":[]") "]", NULL);
}

static void an_error_is_a_failure_with_its_text(void **state)
{
    (void)state;
    expect_failed("[" TERMINAL("\"status\":\"error\",\"error\":\"out of ideas\",\"result\":\"half\"") "]",
                  "error", "LLM error: out of ideas");
}

static void an_error_that_says_llm_error_says_it_twice(void **state)
{
    (void)state;
    expect_failed("[" TERMINAL("\"status\":\"error\",\"error\":\"LLM error: 529 overloaded\"") "]", "error",
                  "LLM error: LLM error: 529 overloaded");
}

static void an_error_without_a_text_says_that_the_child_errored(void **state)
{
    (void)state;
    expect_failed("[" TERMINAL("\"status\":\"error\"") "]", "error", "LLM error: actor child errored");
}

static void cancelled_by_the_worker_is_cancelled(void **state)
{
    (void)state;
    expect_failed("[" TERMINAL("\"status\":\"cancelled\"") "]", "cancelled", "Cancelled");
}

static void suspended_is_a_failure(void **state)
{
    (void)state;
    expect_failed("[" TERMINAL("\"status\":\"suspended\",\"transcript\":[{}]") "]", "error",
                  "LLM error: actor child suspended, which is not served");
}

static void close_before_the_terminal_is_a_failure(void **state)
{
    (void)state;
    expect_failed("[\"close\"]", "error", "LLM error: actor child closed before terminal");
}

static void the_end_of_the_stream_before_the_terminal_is_a_failure(void **state)
{
    (void)state;
    expect_failed("[\"die\"]", "error", "LLM error: actor child closed before terminal");
}

static void a_frame_that_cannot_be_decoded_is_a_failure(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "[\">nonsense\"]",
        "[\">[]\"]",
        "[{\"status\":\"completed\"}]",
        "[" TERMINAL("\"status\":\"finished\"") "]",
        "[{\"kind\":\"event\"}]",
        "[" TERMINAL("\"status\":\"completed\",\"result\":7") "]",
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        const seen_t *seen = play(frames[i]);
        assert_string_equal(seen->status, "error");
        assert_ptr_equal(strstr(seen->error, "LLM error: actor transport error: "), seen->error);
        down(seen, EVENTS "sub_agent_completed");
    }
}

static void what_else_a_terminal_says_is_passed_over(void **state)
{
    (void)state;
    expect_completed(
        "[" TERMINAL("\"status\":\"completed\",\"result\":\"a\",\"final_event_watermark\":{\"x\":1}") "]",
        "a");
}

static void a_frame_of_an_unknown_kind_does_not_end_the_run(void **state)
{
    (void)state;
    const seen_t *seen = play("[{\"kind\":\"session_message_admitted\",\"id\":7}," TOKEN
                              "," TERMINAL("\"status\":\"completed\"") "]");
    assert_string_equal(seen->status, "completed");
    down(seen, EVENTS "token sub_agent_completed");
}

static void an_ill_formed_event_is_dropped_and_the_run_goes_on(void **state)
{
    (void)state;
    const seen_t *seen = play("[{\"kind\":\"event\",\"event\":{\"content\":\"x\"}}," TOKEN
                              "," TERMINAL("\"status\":\"completed\"") "]");
    assert_string_equal(seen->status, "completed");
    down(seen, EVENTS "token sub_agent_completed");
}

static void a_batch_of_events_is_its_events(void **state)
{
    (void)state;
    const seen_t *seen = play(
        "[{\"kind\":\"event_batch\",\"batch\":{\"first_seq\":1,\"last_seq\":3,\"qos\":\"durable\",\"events\":["
        "{\"type\":\"token\",\"content\":\"x\"},{\"type\":\"tool_error\"},{\"type\":\"complete\"}]}}," TERMINAL(
            "\"status\":\"completed\"") "]");
    assert_string_equal(seen->status, "completed");
    down(seen, EVENTS "token tool_error complete sub_agent_completed");
}

static void a_nested_spawn_is_refused_and_the_run_goes_on(void **state)
{
    (void)state;
    expect_completed(
        "[{\"kind\":\"subagent_request\",\"id\":\"n-1\",\"body\":{\"tool\":\"spawn\"}},\"hear\",\"tell\"]",
        "[{\\\"kind\\\": \\\"subagent_reply\\\", \\\"id\\\": \\\"n-1\\\", \\\"body\\\": "
        "{\\\"error\\\": \\\"not served by this runner\\\"}}]");
}

static void a_respawn_that_fails_names_both_failures(void **state)
{
    (void)state;
    char mark[] = "/tmp/rz-actor-XXXXXX";
    close(mkstemp(mark));
    unlink(mark);
    stand_in_up(&s, stand_in_actor("refuses", mark, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"tell\"]", NULL);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "error");
    assert_ptr_equal(strstr(seen->error, "LLM error: actor respawn after reuse miss (refused: "),
                     seen->error);
    assert_non_null(strstr(seen->error, "): worker exited before registering: exit status: 4"));
    assert_int_equal(unlink(mark), 0);
    down(seen, EVENTS "sub_agent_completed");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(completed_with_a_result_appends_it_as_the_assistants_message),
    cmocka_unit_test(completed_with_an_empty_result_appends_nothing),
    cmocka_unit_test(completed_without_a_result_appends_nothing),
    cmocka_unit_test(completed_with_a_null_for_a_result_appends_nothing),
    cmocka_unit_test(an_error_is_a_failure_with_its_text),
    cmocka_unit_test(an_error_that_says_llm_error_says_it_twice),
    cmocka_unit_test(an_error_without_a_text_says_that_the_child_errored),
    cmocka_unit_test(cancelled_by_the_worker_is_cancelled),
    cmocka_unit_test(suspended_is_a_failure),
    cmocka_unit_test(close_before_the_terminal_is_a_failure),
    cmocka_unit_test(the_end_of_the_stream_before_the_terminal_is_a_failure),
    cmocka_unit_test(a_frame_that_cannot_be_decoded_is_a_failure),
    cmocka_unit_test(what_else_a_terminal_says_is_passed_over),
    cmocka_unit_test(a_frame_of_an_unknown_kind_does_not_end_the_run),
    cmocka_unit_test(an_ill_formed_event_is_dropped_and_the_run_goes_on),
    cmocka_unit_test(a_batch_of_events_is_its_events),
    cmocka_unit_test(a_nested_spawn_is_refused_and_the_run_goes_on),
    cmocka_unit_test(a_respawn_that_fails_names_both_failures),
};
RZ_FACTS(tests)
