/* test_runner_state.c - what a runner makes of an assignment before it runs it, and what it tells of a run while it lives:
 * heartbeats, states, steering. And how often it may die. */
#include "facts.h"
#include "stand_in.h"

#include <stdlib.h>

#define USER      "{\"role\":\"user\",\"content\":\"x\"}"
#define ASSISTANT "{\"role\":\"assistant\",\"content\":\"y\"}"
#define CHILD     "{\"id\":\"ch-1\",\"kind\":\"child\"}"
#define SKIPPED   "No pending message to execute"

static stand_in_t s;

static void up(const char *members, const char *const *flags)
{
    stand_in_up(&s, members, flags);
}

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- before it runs ---- */

static void a_conversation_whose_last_message_is_not_a_users_is_skipped(void **state)
{
    (void)state;
    static const char *const conversations[] = { "[]",
                                                 "[" USER "," ASSISTANT "]",
                                                 "[" USER ",{\"role\":\"tool\",\"content\":\"z\"}]",
                                                 "[{\"role\":\"system\",\"content\":\"z\"}]",
                                                 "[" USER ",{\"role\":7}]",
                                                 "[" USER ",\"user\"]" };
    pid_t workers[8];
    char child[16];
    up("", NULL);
    for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
        snprintf(child, sizeof child, "ch-%zu", i);
        stand_in_assign_raw(&s, child, "echo", 1, CHILD, conversations[i]);
        const seen_t *seen = stand_in_wait(&s, child);
        assert_string_equal(seen->status, "skipped");
        assert_string_equal(seen->error, SKIPPED);
        assert_string_equal(seen->reply, "");
        assert_string_equal(seen->events, "sub_agent_completed");
        assert_int_equal(seen->starts, 0);
        assert_int_equal(seen->finishes, 1);
    }
    assert_int_equal(stand_in_workers(&s, workers, 8), 0);
    down();
}

static void an_answered_conversation_that_goes_on_is_run(void **state)
{
    (void)state;
    up("", NULL);
    stand_in_assign_raw(&s, "ch-1", "echo", 1, CHILD, "[" USER "," ASSISTANT "," USER "]");
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static void a_session_that_cannot_be_read_is_an_error_that_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *header, *messages, *why;
    } damaged[] = { { "{\"id\":\"ch-1\"", "[" USER "]", "byte " },
                    { CHILD, "[" USER, "byte " },
                    { "[]", "[" USER "]", "the session is no object with an array of messages" },
                    { CHILD, USER, "the session is no object with an array of messages" },
                    { "{\"id\":\"ch-1\",\"metadata\":{\"title\":7}}", "[" USER "]", "metadata" },
                    { "{\"kind\":\"child\"}", "[]", "id" } };
    char child[16];
    up("", NULL);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        snprintf(child, sizeof child, "ch-%zu", i);
        stand_in_assign_raw(&s, child, "echo", 1, damaged[i].header, damaged[i].messages);
        const seen_t *seen = stand_in_wait(&s, child);
        assert_string_equal(seen->status, "error");
        assert_ptr_equal(strstr(seen->error, "failed to load child session: "), seen->error);
        if (strstr(seen->error, damaged[i].why) == NULL)
            fail_msg("%zu: %s", i, seen->error);
        assert_string_equal(seen->events, "sub_agent_completed");
    }
    down();
}

static void nothing_to_do_is_found_before_an_unknown_profile(void **state)
{
    (void)state;
    up("", NULL);
    stand_in_assign_raw(&s, "ch-1", "nobody", 1, CHILD, "[" USER "," ASSISTANT "]");
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "skipped");
    down();
}

static void a_cancelled_assignment_is_cancelled_and_not_skipped(void **state)
{
    (void)state;
    up("", NULL);
    rz_link_t assign = { .kind = RZ_LINK_ASSIGN,
                         .child = "ch-1",
                         .parent = "root",
                         .epoch = 1,
                         .token = "00000000000000000000000000000001",
                         .attempt = 1,
                         .profile = "echo",
                         .affinity = "a",
                         .model = "",
                         .cancelled = true };
    stand_in_send_parts(&s, &assign, (const char *const[]){ CHILD, "[]" }, 2);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "cancelled");
    down();
}

/* ---- heartbeats ---- */

static int count(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

static void a_warm_run_starts_before_its_first_heartbeat(void **state)
{
    (void)state;
    up("", NULL);
    stand_in_assign(&s, "ch-1", "echo", 1, "cold", NULL);
    stand_in_wait(&s, "ch-1");
    while (s.idle != 1)
        stand_in_pump(&s, 100);
    stand_in_assign(&s, "ch-2", "echo", 1, "warm", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-2")->events,
                        "sub_agent_started sub_agent_heartbeat token complete sub_agent_completed");
    down();
}

static void heartbeats_begin_with_the_assignment_and_come_every_five_seconds_while_it_waits(void **state)
{
    (void)state;
    static const char never[] =
        "\"externalAgents\":{\"never\":{\"agent_id\":\"never\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"executor\":\"echo\",\"worker_bin\":\"sleep\",\"worker_args\":[\"60\"]}}";
    up(never, NULL);
    uint64_t assigned_ms = process_now_ms();
    stand_in_assign(&s, "ch-1", "never", 1, "x", NULL);
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    stand_in_wait_event(&s, "ch-1", "sub_agent_heartbeat");
    assert_in_range(process_now_ms() - assigned_ms, 0, 1000);
    stand_in_wait_event(&s, "ch-1", "sub_agent_heartbeat sub_agent_heartbeat");
    assert_in_range(process_now_ms() - assigned_ms, 4900, 7000);
    stand_in_cancel(&s, "ch-1", false);
    stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->events,
                        "sub_agent_heartbeat sub_agent_heartbeat sub_agent_started sub_agent_completed");
    down();
}

static void heartbeats_end_with_the_outcome_though_nobody_has_taken_it_yet(void **state)
{
    (void)state;
    up("", NULL);
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:5500 x", NULL);
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    s.write_code = RZ_UNAVAILABLE;
    while (seen->finishes == 0)
        stand_in_pump(&s, 100);
    stand_in_pump_for(&s, 5500);
    s.write_code = RZ_OK;
    stand_in_wait(&s, "ch-1");
    assert_int_equal(count(seen->events, "sub_agent_heartbeat"), 2);
    assert_false(seen->gap);
    down();
}

#define TOOL                                                                                                 \
    "{\"kind\":\"event\",\"event\":{\"type\":\"tool_start\",\"tool_call_id\":\"1\",\"tool_name\":\"Bash\",\"arguments\":{}}}"
#define ROUND                                                                                                \
    "{\"kind\":\"event\",\"event\":{\"type\":\"runner_progress\",\"session_id\":\"x\",\"round_count\":3}}"
#define THINGS "\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\",\"round_count\":3}"

static void heartbeats_say_what_is_known_of_the_run(void **state)
{
    (void)state;
    up(stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[" TOOL "," ROUND ",\"hear\",\"tell\"]", NULL);
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    stand_in_wait_event(&s, "ch-1", "runner_progress sub_agent_heartbeat");
    const char *first_end = strchr(seen->told, '\n'), *second = first_end + 1;
    assert_null(memmem(seen->told, (size_t)(first_end - seen->told), "last_", 5));
    assert_non_null(strstr(second, ",\"last_event_at\":\"20"));
    assert_non_null(strstr(second, "Z\"," THINGS));
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait(&s, "ch-1");
    down();
}

/* ---- states ---- */

static void wait_for_syncs(int n)
{
    uint64_t until = s.syncs + (uint64_t)n;
    while (s.syncs < until)
        stand_in_pump(&s, 100);
}

static void sync_tells_what_is_new_of_a_run_and_tells_it_once(void **state)
{
    (void)state;
    up(stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[" TOOL "," ROUND ",\"hear\"," TOOL ",\"hear\"]", NULL);
    seen_t *seen = stand_in_seen(&s, "ch-1");
    stand_in_wait_event(&s, "ch-1", "runner_progress");
    while (strstr(seen->state, "round_count") == NULL)
        stand_in_pump(&s, 100);
    assert_ptr_equal(strstr(seen->state, "{\"epoch\":1,\"last_event_at\":\"20"), seen->state);
    assert_non_null(strstr(seen->state, "Z\"," THINGS));
    seen->state[0] = '\0';
    wait_for_syncs(3);
    assert_string_equal(seen->state, "");
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = "ch-1", .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &steer, "\"go on\"");
    while (seen->state[0] == '\0') /* another event: it is news again */
        stand_in_pump(&s, 100);
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait(&s, "ch-1");
    down();
}

static void a_new_link_is_told_all_states_again(void **state)
{
    (void)state;
    up(stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[" ROUND ",\"hear\"]", NULL);
    seen_t *seen = stand_in_seen(&s, "ch-1");
    while (strstr(seen->state, "round_count") == NULL)
        stand_in_pump(&s, 100);
    seen->state[0] = '\0';
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    while (strstr(seen->state, "round_count") == NULL)
        stand_in_pump(&s, 100);
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait(&s, "ch-1");
    down();
}

static void facts_say_how_a_runners_workers_work(void **state)
{
    (void)state;
    up("\"externalAgents\":{\"b\":{\"agent_id\":\"b\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"worker_bin\":\"/b\"},"
       "\"c\":{\"agent_id\":\"c\",\"protocol\":\"a2a_jsonrpc\",\"permission_profile\":\"p\"}}",
       NULL);
    while (s.syncs == 0)
        stand_in_pump(&s, 100);
    assert_non_null(strstr(s.facts, "\"executors\":[\"echo\",\"bamboo_runtime\"]"));
    down();
}

/* ---- steering ---- */

static void steer(const char *id, const char *text)
{
    rz_link_t link = { .kind = RZ_LINK_STEER, .child = "ch-1", .epoch = 1, .id = id };
    stand_in_send(&s, &link, text);
}

static void a_repeated_steering_message_is_live_and_told_once(void **state)
{
    (void)state;
    up(stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"hear\",\"hear\",\"tell\"]", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    steer("m-1", "\"one\"");
    steer("m-1", "\"one\"");
    steer("m-2", "\"two\"");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_non_null(strstr(seen->reply, "[{\\\"kind\\\": \\\"message\\\", \\\"text\\\": \\\"one\\\"}, "
                                        "{\\\"kind\\\": \\\"message\\\", \\\"text\\\": \\\"two\\\"}]"));
    while (seen->steered_live < 3)
        stand_in_pump(&s, 100);
    assert_int_equal(seen->steered_dead, 0);
    down();
}

static void a_message_that_was_told_is_live_also_after_the_outcome(void **state)
{
    (void)state;
    up(stand_in_actor(NULL, NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"hear\",\"tell\"]", NULL);
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    s.write_code = RZ_UNAVAILABLE;
    steer("m-1", "\"one\"");
    while (seen->finishes == 0)
        stand_in_pump(&s, 100);
    steer("m-1", "\"one\"");
    steer("m-2", "\"two\"");
    while (seen->steered_live < 2 || seen->steered_dead < 1)
        stand_in_pump(&s, 100);
    s.write_code = RZ_OK;
    stand_in_wait(&s, "ch-1");
    down();
}

static void a_run_that_waits_for_its_worker_hears_no_steering(void **state)
{
    (void)state;
    up(stand_in_actor("late", NULL, ""), NULL);
    stand_in_assign(&s, "ch-1", "actor", 1, "[\"tell\"]", NULL);
    const seen_t *seen = stand_in_seen(&s, "ch-1");
    steer("m-1", "\"too early\"");
    while (seen->steered_dead == 0)
        stand_in_pump(&s, 100);
    assert_null(strstr(seen->events, "sub_agent_started"));
    stand_in_wait(&s, "ch-1");
    assert_int_equal(seen->steered_live, 0);
    down();
}

/* ---- reruns ---- */

static void a_rerun_is_told_which_attempt_it_is_and_why_the_last_was_lost(void **state)
{
    (void)state;
    char token[RZ_TOKEN_LEN + 1];
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), NULL);
    snprintf(token, sizeof token, "%032x", 7U);
    const rz_link_t assign = { .kind = RZ_LINK_ASSIGN,
                               .child = "ch-1",
                               .parent = "root",
                               .epoch = 2,
                               .token = token,
                               .attempt = 2,
                               .previous_error = "runner lost: r1",
                               .profile = "actor",
                               .affinity = "a",
                               .model = "" };
    stand_in_send_parts(&s, &assign,
                        (const char *const[]){ "{\"id\":\"ch-1\",\"kind\":\"child\"}",
                                               "[{\"role\":\"user\",\"content\":\"[\\\"tell\\\"]\"}]" },
                        2);
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_true(stand_in_replied(seen, "[2, \\\"runner lost: r1\\\"]"));
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- of itself ---- */

static void die(void)
{
    int hellos = s.hellos;
    rz_link_t dead = { .kind = RZ_LINK_REFUSED, .code = RZ_DEAD, .message = "condemned" };
    stand_in_send(&s, &dead, NULL);
    while (s.hellos == hellos)
        stand_in_pump(&s, 20);
}

/* As two of one name do, which end each other with every new incarnation. */
static void a_runner_that_is_declared_dead_again_and_again_takes_its_time(void **state)
{
    (void)state;
    up("", NULL);
    uint64_t began_ms = process_now_ms();
    die();
    die();
    assert_true(process_now_ms() - began_ms >= 5000);
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    down();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_conversation_whose_last_message_is_not_a_users_is_skipped),
    cmocka_unit_test(an_answered_conversation_that_goes_on_is_run),
    cmocka_unit_test(a_session_that_cannot_be_read_is_an_error_that_says_why),
    cmocka_unit_test(nothing_to_do_is_found_before_an_unknown_profile),
    cmocka_unit_test(a_cancelled_assignment_is_cancelled_and_not_skipped),
    cmocka_unit_test(a_warm_run_starts_before_its_first_heartbeat),
    cmocka_unit_test(heartbeats_begin_with_the_assignment_and_come_every_five_seconds_while_it_waits),
    cmocka_unit_test(heartbeats_end_with_the_outcome_though_nobody_has_taken_it_yet),
    cmocka_unit_test(heartbeats_say_what_is_known_of_the_run),
    cmocka_unit_test(sync_tells_what_is_new_of_a_run_and_tells_it_once),
    cmocka_unit_test(a_new_link_is_told_all_states_again),
    cmocka_unit_test(facts_say_how_a_runners_workers_work),
    cmocka_unit_test(a_rerun_is_told_which_attempt_it_is_and_why_the_last_was_lost),
    cmocka_unit_test(a_repeated_steering_message_is_live_and_told_once),
    cmocka_unit_test(a_message_that_was_told_is_live_also_after_the_outcome),
    cmocka_unit_test(a_run_that_waits_for_its_worker_hears_no_steering),
    cmocka_unit_test(a_runner_that_is_declared_dead_again_and_again_takes_its_time),
};
RZ_FACTS(tests)
