/* test_control_waits.c - waiting for several children: for as long as a client stays connected, and as a parent
 * registers it, for every subscriber and reader of `completions`. */
#include "facts.h"

#include "lives.h"

#include <signal.h>

#define WAIT_ID(id) "\"parent\":\"root\",\"wait_id\":\"" id "\""
#define REGISTER(id, children, more)                                                                         \
    "{\"op\":\"wait_register\"," WAIT_ID(id) ",\"children\":[" children "]" more "}"
#define GET(id) "{\"op\":\"wait_get\"," WAIT_ID(id) "}"

static runner_t runner;

static int up(void **state)
{
    if (stage_up(state) != 0)
        return -1;
    runner = runner_link("r1", "", 8);
    return 0;
}

static void expect_wait(const char *request, const char *code, const char *wait_state, const char *by)
{
    cJSON *reply = ask("%s", request);
    expect(reply, "wait.state", wait_state);
    expect(reply, "wait.by", by);
    answers(reply, code);
}

/* ---- waits of a parent ---- */

static void a_wait_for_all_is_told_once_to_subscribers_and_to_readers_of_completions(void **state)
{
    (void)state;
    void *sub = subscribed("root/$wait/");
    assigned_t a = child_begins(&runner, "a"), b = child_begins(&runner, "b");
    expect_wait(REGISTER("w1", "\"a\",\"b\"", ""), "OK", "waiting", "");
    child_ends(&runner, &a, "error", "no");
    expect_wait(GET("w1"), "OK", "waiting", "");
    child_ends(&runner, &b, "completed", NULL);
    next_event(
        sub, "root/$wait/wait_satisfied",
        "{\"type\":\"wait_satisfied\",\"parent_session_id\":\"root\",\"wait_id\":\"w1\",\"wait_for\":\"all\","
        "\"by\":\"b\",\"children\":[{\"child_session_id\":\"a\",\"status\":\"error\"},"
        "{\"child_session_id\":\"b\",\"status\":\"completed\"}]}");
    expect_wait(GET("w1"), "OK", "satisfied", "b");
    assert_int_equal(times_in_stream("completions", "wait_satisfied"), 1);
    /* the next one heard is of another wait */
    expect_wait(REGISTER("w2", "\"a\"", ""), "OK", "satisfied", "a");
    next_event(sub, "root/$wait/wait_satisfied", "\"wait_id\":\"w2\"");
}

static void a_wait_shows_who_has_ended_and_how(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    (void)child_begins(&runner, "b");
    child_ends(&runner, &a, "timeout", "slow");
    cJSON *reply = ask(REGISTER("w1", "\"b\",\"a\"", ""));
    char *shown = cJSON_PrintUnformatted(cJSON_GetObjectItem(reply, "wait"));
    assert_string_equal(shown,
                        "{\"wait_id\":\"w1\",\"parent\":\"root\",\"wait_for\":\"all\",\"state\":\"waiting\","
                        "\"children\":[{\"child\":\"b\"},{\"child\":\"a\",\"status\":\"timeout\"}]}");
    cJSON_free(shown);
    cJSON_Delete(reply);
}

static void a_wait_for_any_names_the_first_that_ended(void **state)
{
    (void)state;
    assigned_t b = child_begins(&runner, "b");
    expect_wait(REGISTER("w1", "\"a\",\"b\"", ",\"wait_for\":\"any\""), "OK", "waiting", "");
    child_ends(&runner, &b, "completed", NULL);
    expect_wait(GET("w1"), "OK", "satisfied", "b");
}

static void a_wait_for_the_first_error_passes_over_those_that_complete(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a"), b = child_begins(&runner, "b"), c = child_begins(&runner, "c");
    expect_wait(REGISTER("w1", "\"a\",\"b\",\"c\"", ",\"wait_for\":\"first_error\""), "OK", "waiting", "");
    child_ends(&runner, &a, "completed", NULL);
    expect_wait(GET("w1"), "OK", "waiting", "");
    child_ends(&runner, &b, "cancelled", "Cancelled by parent");
    expect_wait(GET("w1"), "OK", "satisfied", "b");
    child_ends(&runner, &c, "error", "late");
    expect_wait(GET("w1"), "OK", "satisfied", "b");
    assert_int_equal(times_in_stream("completions", "wait_satisfied"), 1);
}

static void an_end_of_somebody_who_is_not_waited_for_counts_nothing(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    assigned_t other = child_begins(&runner, "other");
    expect_wait(REGISTER("w1", "\"a\"", ",\"wait_for\":\"first_error\""), "OK", "waiting", "");
    child_ends(&runner, &other, "error", "not mine");
    expect_wait(GET("w1"), "OK", "waiting", "");
}

static void a_wait_that_is_registered_after_the_ends_is_satisfied_at_once(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    child_lives(&runner, "b");
    void *sub = subscribed("root/$wait/");
    expect_wait(REGISTER("w1", "\"a\",\"b\"", ""), "OK", "satisfied", "b");
    next_event(sub, "root/$wait/wait_satisfied", "\"wait_id\":\"w1\"");
}

static void the_same_wait_again_tells_its_state_and_another_under_its_id_is_refused(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    expect_wait(REGISTER("w1", "\"a\"", ""), "OK", "waiting", "");
    expect_wait(REGISTER("w1", "\"a\"", ""), "DUPLICATE", "waiting", "");
    expect_wait(REGISTER("w1", "\"a\",\"b\"", ""), "CONFLICT", "waiting", "");
    child_ends(&runner, &a, "completed", NULL);
    expect_wait(REGISTER("w1", "\"a\"", ""), "DUPLICATE", "satisfied", "a");
    assert_int_equal(times_in_stream("completions", "wait_satisfied"), 1);
}

static void a_completion_that_is_committed_twice_satisfies_once(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    expect_wait(REGISTER("w1", "\"a\"", ""), "OK", "waiting", "");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "DUPLICATE");
    assert_int_equal(times_in_stream("completions", "wait_satisfied"), 1);
    assert_int_equal(times_in_stream("broadcast", "wait_satisfied"), 2); /* its topic and its type */
}

static void a_wait_with_a_limit_expires_once_and_stops_no_child(void **state)
{
    (void)state;
    void *sub = subscribed("root/$wait/");
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    expect_wait(REGISTER("w1", "\"a\"", ",\"timeout_ms\":200"), "OK", "waiting", "");
    next_event(sub, "root/$wait/wait_expired", "\"type\":\"wait_expired\"");
    expect_wait(GET("w1"), "OK", "expired", "");
    await("{\"op\":\"get\",\"child\":\"a\"}", "activation.state", "queued");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    expect_wait(GET("w1"), "OK", "expired", "");
    assert_int_equal(times_in_stream("completions", "wait_expired"), 1);
    assert_int_equal(times_in_stream("completions", "wait_satisfied"), 0);
}

static void a_wait_without_an_id_is_given_one(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    cJSON *reply = ask("{\"op\":\"wait_register\",\"parent\":\"root\",\"children\":[\"a\"]}");
    assert_int_equal(strlen(text_at(reply, "wait.wait_id")), 36);
    answers(reply, "OK");
}

static void a_wait_that_nobody_registered_is_not_found(void **state)
{
    (void)state;
    cJSON *reply = ask(GET("w9"));
    expect(reply, "message", "no wait w9 of this parent is known");
    answers(reply, "NOT_FOUND");
}

/* ---- waits of a client ---- */

/* "a completed; b running" */
static void activations_of(const cJSON *reply, char *out, size_t size)
{
    const cJSON *act;
    out[0] = '\0';
    cJSON_ArrayForEach(act, cJSON_GetObjectItem(reply, "activations"))
    {
        size_t used = strlen(out);
        const char *status = text_at(act, "status");
        snprintf(out + used, size - used, "%s%s %s", used > 0 ? "; " : "", text_at(act, "child"),
                 *status != '\0' ? status : text_at(act, "state"));
    }
}

static void expect_gathered(cJSON *reply, const char *code, const char *activations, const char *by)
{
    char shown[512];
    activations_of(reply, shown, sizeof shown);
    assert_string_equal(shown, activations);
    expect(reply, "by", by);
    answers(reply, code);
}

static void who_waits_for_any_hears_of_all_when_the_first_has_ended(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    assigned_t b = child_begins(&runner, "b");
    say("{\"op\":\"wait\",\"children\":[\"a\",\"b\"],\"wait_for\":\"any\"}");
    await_waiter();
    child_ends(&runner, &b, "error", "no");
    expect_gathered(take_reply(), "OK", "a running; b error", "b");
    cJSON *reply = ask("{\"op\":\"status\"}");
    assert_int_equal(number_at(reply, "waiters"), 0);
    cJSON_Delete(reply);
}

static void who_waits_for_all_is_answered_by_the_last(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    assigned_t b = child_begins(&runner, "b");
    say("{\"op\":\"wait\",\"children\":[\"a\",\"b\"]}");
    await_waiter();
    child_ends(&runner, &b, "error", "no");
    expect_gathered(take_reply(), "OK", "a completed; b error", "b");
}

static void who_waits_for_the_first_error_does_not_wait_for_the_others(void **state)
{
    (void)state;
    static const char *const errors[] = { "error", "timeout", "cancelled" };
    child_lives(&runner, "a");
    (void)child_begins(&runner, "c");
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char request[128], expected[64];
        assigned_t b = child_begins(&runner, errors[i]);
        snprintf(request, sizeof request,
                 "{\"op\":\"wait\",\"children\":[\"a\",\"%s\",\"c\"],\"wait_for\":\"first_error\"}",
                 errors[i]);
        snprintf(expected, sizeof expected, "a completed; %s %s; c running", errors[i], errors[i]);
        say(request);
        await_waiter();
        child_ends(&runner, &b, errors[i], "why");
        expect_gathered(take_reply(), "OK", expected, errors[i]);
    }
}

static void who_waits_for_a_first_error_that_never_comes_is_answered_by_the_last(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    child_lives(&runner, "b");
    expect_gathered(ask("{\"op\":\"wait\",\"children\":[\"a\",\"b\"],\"wait_for\":\"first_error\"}"), "OK",
                    "a completed; b completed", "b");
}

static void whose_time_is_over_hears_how_far_all_are(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    (void)child_begins(&runner, "b");
    expect_gathered(ask("{\"op\":\"wait\",\"children\":[\"a\",\"b\"],\"timeout_ms\":100}"), "EXPIRED",
                    "a completed; b running", "");
}

static void a_wait_that_names_an_unknown_child_is_refused_by_its_name(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    static const char *const both[] = { "\"a\",\"nobody\"", "\"nobody\",\"a\"" };
    for (size_t i = 0; i < 2; i++) {
        cJSON *reply = ask("{\"op\":\"wait\",\"children\":[%s],\"wait_for\":\"any\"}", both[i]);
        expect(reply, "message", "no session of child nobody is stored");
        answers(reply, "NOT_FOUND");
    }
}

static void a_broker_that_stops_answers_who_waits_for_several(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    (void)child_begins(&runner, "b");
    say("{\"op\":\"wait\",\"children\":[\"a\",\"b\"],\"timeout_ms\":60000}");
    await_waiter();
    kill(stage.broker.pid, SIGTERM);
    answers(take_reply(), "UNAVAILABLE");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_wait_for_all_is_told_once_to_subscribers_and_to_readers_of_completions, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_shows_who_has_ended_and_how, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_for_any_names_the_first_that_ended, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_for_the_first_error_passes_over_those_that_complete, up, stage_down),
    cmocka_unit_test_setup_teardown(an_end_of_somebody_who_is_not_waited_for_counts_nothing, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_that_is_registered_after_the_ends_is_satisfied_at_once, up, stage_down),
    cmocka_unit_test_setup_teardown(the_same_wait_again_tells_its_state_and_another_under_its_id_is_refused, up, stage_down),
    cmocka_unit_test_setup_teardown(a_completion_that_is_committed_twice_satisfies_once, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_with_a_limit_expires_once_and_stops_no_child, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_without_an_id_is_given_one, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_that_nobody_registered_is_not_found, up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_for_any_hears_of_all_when_the_first_has_ended, up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_for_all_is_answered_by_the_last, up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_for_the_first_error_does_not_wait_for_the_others, up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_for_a_first_error_that_never_comes_is_answered_by_the_last, up, stage_down),
    cmocka_unit_test_setup_teardown(whose_time_is_over_hears_how_far_all_are, up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_that_names_an_unknown_child_is_refused_by_its_name, up, stage_down),
    cmocka_unit_test_setup_teardown(a_broker_that_stops_answers_who_waits_for_several, up, stage_down),
};
/* clang-format on */

RZ_FACTS(tests)
