/* test_runner_approvals.c - what a worker asks before it acts, and who answers (rule 4.4). */
#include "facts.h"
#include "stand_in.h"

#include <stdlib.h>

#define ASKS ",\"approvals\":\"ask\""
#define REQUEST(id)                                                                                          \
    "{\"kind\":\"approval_request\",\"id\":\"" id                                                            \
    "\",\"body\":{\"tool_name\":\"Bash\",\"permission\":\"execute\",\"resource\":\"rm -rf build\"}}"
#define REQUESTED                                                                                            \
    "{\"type\":\"child_approval_requested\",\"child_session_id\":\"ch-1\",\"request_id\":\"sa-0\",\"tool_name\":\"Bash\",\"permission\":\"execute\",\"resource\":\"rm -rf build\"}\n"
#define CHANGED(id, yes, by)                                                                                 \
    "{\"type\":\"child_approval_changed\",\"child_session_id\":\"ch-1\",\"request_id\":\"" id                \
    "\",\"approved\":" yes ",\"by\":\"" by "\"}\n"
#define HEARD(id, yes)                                                                                       \
    "{\\\"kind\\\": \\\"approval_reply\\\", \\\"id\\\": \\\"" id "\\\", \\\"approved\\\": " yes "}"

static stand_in_t s;

/* A runner whose actor's questions go to people (more ASKS) or nowhere; the actor plays `steps` as ch-1. */
static seen_t *up_and_play(const char *more, const char *const *flags, const char *steps)
{
    stand_in_up(&s, stand_in_actor(NULL, NULL, more), flags);
    stand_in_assign(&s, "ch-1", "actor", 1, steps, NULL);
    return stand_in_seen(&s, "ch-1");
}

static void down(void)
{
    assert_int_equal(stand_in_down(&s), 0);
}

static void decide(const char *child, uint64_t epoch, const char *id, bool approved)
{
    rz_link_t link = {
        .kind = RZ_LINK_DECIDE, .child = child, .epoch = epoch, .id = id, .approved = approved
    };
    stand_in_send(&s, &link, NULL);
}

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no %s in %s", part, text);
}

static void a_worker_that_may_not_ask_is_told_no_at_once(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play("", NULL, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, HEARD("sa-0", "false"));
    expect_in(seen->told, CHANGED("sa-0", "false", "policy"));
    assert_null(strstr(seen->told, "child_approval_requested"));
    down();
}

static void only_workers_that_may_ask_are_told_to(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[\"tell\"]");
    expect_in(stand_in_wait(&s, "ch-1")->reply, "[\\\"user\\\", {\\\"enforce_permissions\\\": true}]");
    down();
    seen = up_and_play(",\"approvals\":\"deny\"", NULL, "[\"tell\"]");
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, "[\\\"user\\\", null]");
    down();
}

static void a_question_is_published_and_a_yes_reaches_the_worker(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    expect_in(seen->told, REQUESTED);
    decide("ch-1", 1, "sa-0", true);
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, HEARD("sa-0", "true"));
    expect_in(seen->told, REQUESTED CHANGED("sa-0", "true", "client"));
    while (seen->decided_live == 0)
        stand_in_pump(&s, 100);
    assert_string_equal(stand_in_events(seen),
                        "sub_agent_heartbeat sub_agent_started child_approval_requested "
                        "child_approval_changed sub_agent_completed");
    assert_int_equal(seen->logged_seq, seen->last_seq); /* heartbeats, started, both, completed */
    down();
}

static void a_no_reaches_the_worker_as_well(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    decide("ch-1", 1, "sa-0", false);
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, HEARD("sa-0", "false"));
    expect_in(seen->told, CHANGED("sa-0", "false", "client"));
    down();
}

static void a_question_that_nobody_answers_is_denied_after_its_time(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-approval-secs", "1", NULL };
    const seen_t *seen = up_and_play(ASKS, flags, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    uint64_t asked_ms = process_now_ms();
    stand_in_wait(&s, "ch-1");
    assert_in_range(seen->done_ms - asked_ms, 800, 3000);
    expect_in(seen->reply, HEARD("sa-0", "false"));
    expect_in(seen->told, CHANGED("sa-0", "false", "timeout"));
    down();
}

/* The worker is not idle while a person thinks; the whole run still has its limit. */
static void a_question_that_waits_for_a_person_is_no_idle_time(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-approval-secs", "3", NULL };
    stand_in_up(&s, stand_in_actor(NULL, NULL, ASKS), flags);
    stand_in_assign(&s, "ch-1", "actor", 1, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]",
                    "{\"child_watchdog.max_idle_secs\":\"1\",\"child_watchdog.check_interval_secs\":\"1\"}");
    const seen_t *seen = stand_in_wait(&s, "ch-1");
    assert_string_equal(seen->status, "completed");
    expect_in(seen->told, CHANGED("sa-0", "false", "timeout"));
    down();
}

static void the_first_answer_counts(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    decide("ch-1", 1, "sa-0", true);
    decide("ch-1", 1, "sa-0", false);
    while (seen->decided_live == 0 || seen->decided_dead == 0)
        stand_in_pump(&s, 100);
    rz_link_t steer = { .kind = RZ_LINK_STEER, .child = "ch-1", .epoch = 1, .id = "m-1" };
    stand_in_send(&s, &steer, "\"enough\"");
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, "[" HEARD("sa-0", "true") ", {\\\"kind\\\": \\\"message\\\"");
    assert_null(strstr(seen->told, CHANGED("sa-0", "false", "client")));
    down();
}

static void an_answer_to_what_nobody_asked_is_not_live(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    decide("ch-1", 1, "sa-1", true);
    decide("ch-1", 2, "sa-0", true);
    decide("nobody", 1, "sa-0", true);
    while (seen->decided_dead < 2 || stand_in_seen(&s, "nobody")->decided_dead < 1)
        stand_in_pump(&s, 100);
    assert_int_equal(seen->decided_live, 0);
    assert_int_equal(seen->finishes, 0);
    decide("ch-1", 1, "sa-0", true);
    stand_in_wait(&s, "ch-1");
    down();
}

static void a_question_that_comes_twice_is_one(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(
        ASKS, NULL,
        "[" REQUEST("sa-0") "," REQUEST("sa-0") "," REQUEST("sa-1") ",\"hear\",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested child_approval_requested");
    decide("ch-1", 1, "sa-0", true);
    decide("ch-1", 1, "sa-1", false);
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, "[" HEARD("sa-0", "true") ", " HEARD("sa-1", "false") "]");
    assert_null(strstr(seen->events, "requested child_approval_requested child_approval_requested"));
    down();
}

static void a_request_without_a_valid_id_is_denied_at_once(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa 0") ",\"hear\",\"tell\"]");
    stand_in_wait(&s, "ch-1");
    expect_in(seen->reply, HEARD("sa 0", "false"));
    expect_in(seen->told, CHANGED("sa 0", "false", "policy"));
    assert_null(strstr(seen->told, "child_approval_requested"));
    down();
}

static void a_request_that_no_event_can_hold_is_denied_at_once(void **state)
{
    (void)state;
    static const char *const flags[] = { "--limits-event-bytes", "1024", NULL };
    char steps[2048];
    snprintf(
        steps, sizeof steps,
        "[{\"kind\":\"approval_request\",\"id\":\"sa-0\",\"body\":{\"resource\":\"%01000d\"}},\"hear\",\"tell\"]",
        0);
    const seen_t *seen = up_and_play(ASKS, flags, steps);
    stand_in_wait(&s, "ch-1");
    expect_in(seen->told, CHANGED("sa-0", "false", "policy"));
    down();
}

static void what_a_request_does_not_say_reads_as_nothing(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(
        ASKS, NULL,
        "[{\"kind\":\"approval_request\",\"id\":\"sa-0\",\"body\":{\"tool_name\":7}},{\"kind\":\"approval_request\",\"id\":\"sa-1\"},\"hear\",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested child_approval_requested");
    expect_in(seen->told,
              "\"request_id\":\"sa-0\",\"tool_name\":\"\",\"permission\":\"\",\"resource\":\"\"}\n");
    expect_in(seen->told,
              "\"request_id\":\"sa-1\",\"tool_name\":\"\",\"permission\":\"\",\"resource\":\"\"}\n");
    decide("ch-1", 1, "sa-1", true);
    decide("ch-1", 1, "sa-0", true);
    stand_in_wait(&s, "ch-1");
    down();
}

static void a_cancel_answers_what_is_open_and_what_comes_late(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(
        ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"hear\"," REQUEST("sa-1") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    stand_in_cancel(&s, "ch-1", false);
    stand_in_wait(&s, "ch-1"); /* it completes nevertheless, so what it heard is known */
    expect_in(seen->reply,
              "[{\\\"kind\\\": \\\"cancel\\\"}, " HEARD("sa-0", "false") ", " HEARD("sa-1", "false") "]");
    expect_in(seen->told, CHANGED("sa-0", "false", "end") CHANGED("sa-1", "false", "end"));
    decide("ch-1", 1, "sa-0", true);
    while (seen->decided_dead == 0)
        stand_in_pump(&s, 100);
    down();
}

static void a_question_that_is_open_at_the_end_is_closed_before_it(void **state)
{
    (void)state;
    static const char *const ends[] = { "\"die\"", "{\"kind\":\"terminal\",\"status\":\"completed\"}",
                                        "{\"kind\":\"terminal\",\"status\":\"error\"}" };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char steps[1024];
        snprintf(steps, sizeof steps, "[%s,%s]", REQUEST("sa-0"), ends[i]);
        const seen_t *seen = up_and_play(ASKS, NULL, steps);
        stand_in_wait(&s, "ch-1");
        expect_in(seen->told, REQUESTED CHANGED("sa-0", "false", "end"));
        expect_in(seen->events, "child_approval_changed sub_agent_completed");
        assert_false(seen->gap);
        down();
    }
}

static void a_question_does_not_hold_up_cancel_now(void **state)
{
    (void)state;
    const seen_t *seen = up_and_play(ASKS, NULL, "[" REQUEST("sa-0") ",\"hear\",\"tell\"]");
    stand_in_wait_event(&s, "ch-1", "child_approval_requested");
    stand_in_cancel(&s, "ch-1", true);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "cancelled");
    expect_in(seen->told, CHANGED("sa-0", "false", "end"));
    down();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_worker_that_may_not_ask_is_told_no_at_once),
    cmocka_unit_test(only_workers_that_may_ask_are_told_to),
    cmocka_unit_test(a_question_is_published_and_a_yes_reaches_the_worker),
    cmocka_unit_test(a_no_reaches_the_worker_as_well),
    cmocka_unit_test(a_question_that_nobody_answers_is_denied_after_its_time),
    cmocka_unit_test(a_question_that_waits_for_a_person_is_no_idle_time),
    cmocka_unit_test(the_first_answer_counts),
    cmocka_unit_test(an_answer_to_what_nobody_asked_is_not_live),
    cmocka_unit_test(a_question_that_comes_twice_is_one),
    cmocka_unit_test(a_request_without_a_valid_id_is_denied_at_once),
    cmocka_unit_test(a_request_that_no_event_can_hold_is_denied_at_once),
    cmocka_unit_test(what_a_request_does_not_say_reads_as_nothing),
    cmocka_unit_test(a_cancel_answers_what_is_open_and_what_comes_late),
    cmocka_unit_test(a_question_that_is_open_at_the_end_is_closed_before_it),
    cmocka_unit_test(a_question_does_not_hold_up_cancel_now),
};
RZ_FACTS(tests)
