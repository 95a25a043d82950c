/* test_control_live.c - what reaches into running work: steering that meets begin and end in either order, and
 * answers to a worker's questions. */
#include "facts.h"

#include "lives.h"

static runner_t runner;

static int up(void **state)
{
    if (stage_up(state) != 0)
        return -1;
    runner = runner_link("r1", "", 8);
    return 0;
}

/* ---- steering ---- */

#define SEND(child, id)                                                                                      \
    "{\"op\":\"send\",\"child\":\"" child "\",\"text\":\"text of " id "\",\"message_id\":\"" id "\"}"

static void expect_delivery(cJSON *reply, const char *delivery)
{
    expect(reply, "delivery", delivery);
    answers(reply, "OK");
}

/* The runner is given the message, and says whether it was written. */
static void runner_is_steered(const char *child, const char *id, bool live)
{
    cJSON *steer = hear_only(&runner, "steer");
    expect(steer, "child", child);
    expect(steer, "id", id);
    cJSON_Delete(steer);
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"%s\",\"id\":\"%s\",\"live\":%s}", child, id,
           live ? "true" : "false");
}

/* The contents of the stored conversation, "hello; text of s1". */
static void expect_conversation(const char *child, const char *contents)
{
    char shown[1024] = "";
    cJSON *reply = ask("{\"op\":\"session_get\",\"child\":\"%s\"}", child);
    const cJSON *message;
    cJSON_ArrayForEach(message, cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "messages"))
    {
        size_t used = strlen(shown);
        snprintf(shown + used, sizeof shown - used, "%s%s", used > 0 ? "; " : "",
                 text_at(message, "content"));
    }
    cJSON_Delete(reply);
    assert_string_equal(shown, contents);
}

static int steers_after_sync(const char *holding)
{
    frames_t frames;
    int steers = 0;
    cJSON_Delete(sync_of(&runner, &holding, 1, ""));
    while (frames_recv(runner.sock, &frames, 100)) {
        cJSON *header = NULL;
        steers += strcmp(kind_of(&frames, &header), "steer") == 0;
        cJSON_Delete(header);
        frames_fini(&frames);
    }
    return steers;
}

static void steering_of_a_queued_child_is_heard_as_part_of_its_session(void **state)
{
    (void)state;
    frames_t frames;
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    expect_delivery(ask(SEND("a", "s1")), "queued");
    runner_t other = runner_link("r2", "\"gpu\"", 1);
    cJSON *header = hear(&other, "assign", &frames);
    assigned_t a = read_assign(header);
    assert_non_null(strstr(frames.part[2], "\"content\":\"hello\""));
    assert_non_null(strstr(frames.part[2], "\"content\":\"text of s1\""));
    cJSON_Delete(header);
    frames_fini(&frames);
    start(&other, &a);
    expect_ack(&other, "start", "OK");
    finish(&other, &a);
    expect_ack(&other, "finish", "OK");
    expect_conversation("a", "hello; text of s1; echo: hello");
    runner_gone(&other);
}

static void steering_that_comes_before_the_run_frame_is_told_later_and_stored_once(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    assigned_t a = take_assign(&runner); /* its worker is being started */
    say(SEND("a", "s1"));
    runner_is_steered("a", "s1", false);
    expect_delivery(take_reply(), "queued");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    assert_int_equal(steers_after_sync("a 1"), 1); /* it comes again, now that it runs */
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"a\",\"id\":\"s1\",\"live\":true}");
    assert_int_equal(steers_after_sync("a 1"), 0);
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    expect_conversation("a", "hello; echo: hello; text of s1");
}

static void steering_of_a_running_child_is_live_and_stored_once(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    say(SEND("a", "s1"));
    runner_is_steered("a", "s1", true);
    expect_delivery(take_reply(), "live");
    assert_int_equal(steers_after_sync("a 1"), 0);
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    expect_conversation("a", "hello; echo: hello; text of s1");
}

static void steering_that_meets_the_terminal_on_its_way_is_stored_once(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    say(SEND("a", "s1"));
    cJSON_Delete(hear_only(&runner, "steer"));
    finish(&runner, &a); /* the worker had ended when it came */
    expect_ack(&runner, "finish", "OK");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"a\",\"id\":\"s1\",\"live\":false}");
    expect_delivery(take_reply(), "queued");
    expect_conversation("a", "hello; echo: hello; text of s1");
    assert_int_equal(steers_after_sync("a 1"), 0);
}

static void steering_after_the_terminal_is_in_the_session_at_once(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    expect_delivery(ask(SEND("a", "s1")), "queued");
    expect_conversation("a", "hello; echo: hello; text of s1");
    answers(ask(SEND("a", "s1")), "DUPLICATE");
    expect_conversation("a", "hello; echo: hello; text of s1");
}

static void steering_of_a_cancelled_run_is_stored_all_the_same(void **state)
{
    (void)state;
    assigned_t a = child_begins(&runner, "a");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    say(SEND("a", "s1"));
    runner_is_steered("a", "s1", false);
    expect_delivery(take_reply(), "queued");
    child_ends(&runner, &a, "cancelled", "Cancelled by parent");
    expect_conversation("a", "hello; text of s1");
}

static void steering_of_an_attempt_that_was_lost_is_heard_by_the_next(void **state)
{
    (void)state;
    child_submitted("root", "a", ",\"max_attempts\":2");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    say(SEND("a", "s1"));
    runner_is_steered("a", "s1", true);
    expect_delivery(take_reply(), "live");
    tell_f(&runner, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", runner.incarnation);
    runner_t next = runner_link("r2", "", 1);
    assert_int_equal(sync_until_assigned(&next).attempt, 2);
    expect_conversation("a", "hello; text of s1");
    runner_gone(&next);
}

/* ---- answers to questions ---- */

#define DECIDE(child, yes)                                                                                   \
    "{\"op\":\"approve\",\"child\":\"" child "\",\"request\":\"sa-1\",\"approved\":" yes "}"

static void runner_is_decided(bool approved, bool live)
{
    cJSON *decide = hear_only(&runner, "decide");
    expect(decide, "child", "a");
    expect(decide, "id", "sa-1");
    assert_int_equal(number_at(decide, "epoch"), 1);
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(decide, "approved")), approved);
    cJSON_Delete(decide);
    tell_f(&runner, "{\"kind\":\"decided\",\"child\":\"a\",\"id\":\"sa-1\",\"live\":%s}",
           live ? "true" : "false");
}

/* The first answer counts, whichever it is. */
static void decide_twice(const char *first, const char *second, bool approved)
{
    (void)child_begins(&runner, "a");
    say(first);
    runner_is_decided(approved, true);
    expect_delivery(take_reply(), "live");
    say(second);
    runner_is_decided(!approved, false);
    cJSON *reply = take_reply();
    expect(reply, "message", "the child has no such open question");
    answers(reply, "NOT_FOUND");
}

static void a_question_that_was_approved_cannot_be_denied(void **state)
{
    (void)state;
    decide_twice(DECIDE("a", "true"), DECIDE("a", "false"), true);
}

static void a_question_that_was_denied_cannot_be_approved(void **state)
{
    (void)state;
    decide_twice(DECIDE("a", "false"), DECIDE("a", "true"), false);
}

static void who_does_not_run_asks_nothing(void **state)
{
    (void)state;
    cJSON *reply = ask(DECIDE("a", "true"));
    expect(reply, "message", "no session of child a is stored");
    answers(reply, "NOT_FOUND");
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    reply = ask(DECIDE("a", "true"));
    expect(reply, "message", "the child does not run, so it asks nothing");
    answers(reply, "NOT_FOUND");
    child_lives(&runner, "b");
    answers(ask(DECIDE("b", "true")), "NOT_FOUND");
}

static void a_runner_that_is_not_linked_here_cannot_be_told(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    stage_broker_again();
    cJSON *reply = ask(DECIDE("a", "true"));
    expect(reply, "message", "its runner is not linked to this broker");
    answers(reply, "UNAVAILABLE");
}

static void what_a_silent_runner_made_of_an_answer_is_unknown(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    answers(ask(DECIDE("a", "true")), "UNKNOWN");
}

static void of_two_answers_at_a_time_one_is_turned_away(void **state)
{
    (void)state;
    void *dealer = connected(ZMQ_DEALER, stage.control_at);
    frames_t frames;
    (void)child_begins(&runner, "a");
    say(DECIDE("a", "true"));
    cJSON_Delete(hear_only(&runner, "decide"));
    assert_true(zmq_send(dealer, "", 0, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(dealer, DECIDE("a", "false"), strlen(DECIDE("a", "false")), 0) >= 0);
    assert_true(frames_recv(dealer, &frames, PATIENCE_MS));
    assert_non_null(strstr(frames.part[1], "\"code\":\"UNAVAILABLE\""));
    frames_fini(&frames);
    tell_f(&runner, "{\"kind\":\"decided\",\"child\":\"a\",\"id\":\"sa-1\",\"live\":true}");
    expect_delivery(take_reply(), "live");
    disconnected(dealer);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(steering_of_a_queued_child_is_heard_as_part_of_its_session, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_that_comes_before_the_run_frame_is_told_later_and_stored_once, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_of_a_running_child_is_live_and_stored_once, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_that_meets_the_terminal_on_its_way_is_stored_once, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_after_the_terminal_is_in_the_session_at_once, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_of_a_cancelled_run_is_stored_all_the_same, up, stage_down),
    cmocka_unit_test_setup_teardown(steering_of_an_attempt_that_was_lost_is_heard_by_the_next, up, stage_down),
    cmocka_unit_test_setup_teardown(a_question_that_was_approved_cannot_be_denied, up, stage_down),
    cmocka_unit_test_setup_teardown(a_question_that_was_denied_cannot_be_approved, up, stage_down),
    cmocka_unit_test_setup_teardown(who_does_not_run_asks_nothing, up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_that_is_not_linked_here_cannot_be_told, up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_silent_runner_made_of_an_answer_is_unknown, up, stage_down),
    cmocka_unit_test_setup_teardown(of_two_answers_at_a_time_one_is_turned_away, up, stage_down),
};
/* clang-format on */

RZ_FACTS(tests)
