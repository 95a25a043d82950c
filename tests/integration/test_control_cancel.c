/* test_control_cancel.c - cancel: of a child with all its descendants, without grace, and when it meets the end. */
#include "facts.h"

#include "lives.h"

#include <signal.h>

static void expect_tree(cJSON *reply, const char *code, int cancelled, int ended)
{
    assert_int_equal(number_at(reply, "tree.cancelled"), cancelled);
    assert_int_equal(number_at(reply, "tree.ended"), ended);
    answers(reply, code);
}

static void expect_status(const char *child, const char *status)
{
    cJSON *reply = ask("{\"op\":\"get\",\"child\":\"%s\"}", child);
    expect(reply, "activation.status", status);
    cJSON_Delete(reply);
}

/* ---- trees ---- */

static void a_tree_is_cancelled_down_to_its_leaves_and_counted(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    child_submitted("a", "a1", "");
    child_submitted("a", "a2", "");
    child_submitted("a1", "a1x", "");
    child_submitted("root", "b", "");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}");
    expect(reply, "activation.child", "a");
    expect(reply, "activation.status", "cancelled");
    expect(reply, "delivery", "ended");
    expect_tree(reply, "OK", 4, 0);
    expect_status("a1", "cancelled");
    expect_status("a2", "cancelled");
    expect_status("a1x", "cancelled");
    expect_status("b", "pending");
}

static void without_tree_only_the_child_is_cancelled(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    child_submitted("a", "a1", "");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\"}");
    assert_null(cJSON_GetObjectItem(reply, "tree"));
    answers(reply, "OK");
    expect_status("a1", "pending");
}

static void what_runs_in_a_tree_is_told_and_what_has_ended_is_counted_apart(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 8);
    (void)child_begins(&runner, "a");
    child_submitted("a", "a1", "");
    assigned_t a1 = take_assign(&runner);
    start(&runner, &a1);
    expect_ack(&runner, "start", "OK");
    child_ends(&runner, &a1, "completed", NULL);
    child_submitted("a1", "a1x", "");
    assert_string_equal(take_assign(&runner).child, "a1x");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true,\"now\":true}");
    expect(reply, "delivery", "forwarded");
    expect_tree(reply, "OK", 2, 1);
    static const char *const told[] = { "a", "a1x" };
    for (size_t i = 0; i < 2; i++) {
        cJSON *cancel = hear_only(&runner, "cancel");
        expect(cancel, "child", told[i]);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cancel, "now")));
        cJSON_Delete(cancel);
    }
    runner_gone(&runner);
}

static void an_ended_child_says_so_and_its_descendants_are_cancelled(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    child_submitted("a", "a1", "");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}");
    expect(reply, "activation.status", "cancelled");
    expect_tree(reply, "ENDED", 1, 1);
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "ENDED", 0, 2);
}

static void one_in_the_middle_that_never_ran_is_passed_over(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    answers(
        ask("{\"op\":\"session_put\",\"session\":{\"id\":\"m\",\"kind\":\"child\",\"parent_session_id\":\"a\","
            "\"messages\":[]}}"),
        "OK");
    child_submitted("m", "m1", "");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "OK", 2, 0);
    expect_status("m1", "cancelled");
}

static void the_children_of_a_root_that_nobody_stored_are_cancelled(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    child_submitted("root", "b", "");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"root\",\"tree\":true}");
    assert_null(cJSON_GetObjectItem(reply, "activation"));
    assert_null(cJSON_GetObjectItem(reply, "delivery"));
    expect_tree(reply, "OK", 2, 0);
}

static void a_tree_of_nobody_is_not_found(void **state)
{
    (void)state;
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"nobody\",\"tree\":true}"), "NOT_FOUND", 0, 0);
}

static void children_that_name_each_other_as_parent_are_cancelled_once(void **state)
{
    (void)state;
    child_submitted("b", "a", "");
    child_submitted("a", "b", "");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "OK", 2, 0);
}

static void a_tree_wider_than_a_page_is_cancelled_to_its_last_child(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    for (int i = 0; i < 600; i++) {
        char child[16];
        snprintf(child, sizeof child, "a%d", i);
        child_submitted("a", child, "");
    }
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "OK", 601, 0);
    cJSON *reply = ask("{\"op\":\"list\",\"parent\":\"a\",\"status\":\"queued\"}");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "activations")), 0);
    cJSON_Delete(reply);
}

static void a_tree_with_too_many_says_so_and_what_was_reached_is_counted(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    for (int from = 1; from <= 32768; from += 1024) { /* in steps that do not keep the broker waiting */
        char command[256];
        snprintf(command, sizeof command,
                 "EVAL local\ta=redis.call('HGET','rz:{0}:c:a','a')\tfor\ti=%d,%d\tdo\t"
                 "redis.call('ZADD','rz:{0}:k:a',i,'a'..i)\tredis.call('HSET','rz:{0}:c:a'..i,'a',a)\tend 0",
                 from, from + 1023);
        redis_do(&stage.redis, command);
    }
    say("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}");
    zmq_pollitem_t answer = { stage.control, 0, ZMQ_POLLIN, 0 };
    int answers_now = zmq_poll(&answer, 1, 6 * PATIENCE_MS); /* so many take their time on a busy machine */
    assert_int_equal(answers_now, 1);
    cJSON *reply = take_reply();
    assert_non_null(strstr(text_at(reply, "message"), "32768"));
    expect_tree(reply, "TOO_LARGE", 0, 32768);
}

static void of_the_trees_that_are_cancelled_at_a_time_one_too_many_is_told(void **state)
{
    (void)state;
    static const char *const request = "{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}";
    void *dealer = connected(ZMQ_DEALER, stage.control_at);
    frames_t frames;
    bool full = false;
    child_submitted("root", "a", "");
    for (int i = 0; i < 500; i++) {
        assert_true(zmq_send(dealer, "", 0, ZMQ_SNDMORE) >= 0);
        assert_true(zmq_send(dealer, request, strlen(request), 0) >= 0);
    }
    for (int i = 0; i < 500; i++) {
        assert_true(frames_recv(dealer, &frames, PATIENCE_MS));
        full |= strstr(frames.part[1], "\"code\":\"FULL\"") != NULL;
        frames_fini(&frames);
    }
    assert_true(full);
    expect_tree(ask("%s", request), "ENDED", 0, 1); /* and there is room again */
    disconnected(dealer);
}

static void a_tree_that_the_store_does_not_answer_for_says_how_far_it_came(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    kill(stage.redis.process.pid, SIGSTOP);
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}");
    kill(stage.redis.process.pid, SIGCONT);
    assert_non_null(strstr(text_at(reply, "message"), "not the whole tree was reached"));
    expect_tree(reply, "UNKNOWN", 0, 0);
}

/* ---- what is born while a tree is cancelled ---- */

static void submitted_as(const char *parent, const char *child, const char *state, const char *status)
{
    child_submitted(parent, child, "");
    cJSON *reply = ask("{\"op\":\"get\",\"child\":\"%s\"}", child);
    expect(reply, "activation.state", state);
    expect(reply, "activation.status", status);
    cJSON_Delete(reply);
}

static void what_is_submitted_in_the_grace_of_a_tree_ends_with_it_and_is_heard(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 4);
    assigned_t a = child_begins(&runner, "a");
    void *sub = subscribed("a/");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}");
    expect(reply, "delivery", "forwarded");
    expect_tree(reply, "OK", 1, 0);
    submitted_as("a", "a1", "terminal", "cancelled");
    next_event(sub, "a/a1/sub_agent_completed", "Its parent a was cancelled with its tree; run a anew first");
    submitted_as("a1", "a1x", "terminal", "cancelled"); /* nor what names it in turn */
    child_ends(&runner, &a, "cancelled", NULL);
    submitted_as("a", "a2", "terminal", "cancelled"); /* it was on its way when its parent ended */
    assert_int_equal(times_in_stream("completions", "a1x"), 1);
    child_submitted("root", "b", "");
    assert_string_equal(take_assign(&runner).child, "b"); /* and nothing of the tree before it */
    runner_gone(&runner);
}

static void what_a_descendant_submits_in_its_grace_ends_with_the_tree(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 4);
    (void)child_begins(&runner, "a");
    child_submitted("a", "a1", "");
    assigned_t a1 = take_assign(&runner);
    start(&runner, &a1);
    expect_ack(&runner, "start", "OK");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "OK", 2, 0);
    submitted_as("a1", "a1x", "terminal", "cancelled");
    runner_gone(&runner);
}

static void without_tree_a_cancelled_child_may_still_submit(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 4);
    (void)child_begins(&runner, "a");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    submitted_as("a", "a1", "assigned", "pending");
    runner_gone(&runner);
}

static void a_parent_that_is_run_anew_may_spawn_again(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    child_submitted("a", "a1", "");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"a\",\"tree\":true}"), "OK", 2, 0);
    cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"a1\"}");
    expect(reply, "activation.status", "cancelled");
    answers(reply, "OK");
    answers(ask("{\"op\":\"retry\",\"child\":\"a\"}"), "OK");
    expect_status("a", "pending");
    submitted_as("a", "a2", "queued", "pending");
    answers(ask("{\"op\":\"retry\",\"child\":\"a1\"}"), "OK");
    expect_status("a1", "pending");
}

static void the_children_of_a_root_that_never_ran_here_may_come_again(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"root\",\"tree\":true}"), "OK", 1, 0);
    submitted_as("root", "a", "queued", "pending");
    child_submitted("self", "self", "");
    expect_tree(ask("{\"op\":\"cancel\",\"child\":\"self\",\"tree\":true}"), "OK", 1, 0);
    submitted_as("self", "self", "queued", "pending"); /* nor is who names itself cursed for ever */
}

/* ---- without grace ---- */

static void a_cancel_without_grace_stays_one_and_is_shown(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    (void)child_begins(&runner, "a");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\",\"now\":true}"), "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\"}"); /* a gentle one does not soften it */
    const cJSON *act = cJSON_GetObjectItem(reply, "activation");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(act, "cancelled")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(act, "cancel_now")));
    cJSON_Delete(reply);
    const char *const held[] = { "a 1" };
    cJSON *synced = sync_of(&runner, held, 1, "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "cancels_now")), 1);
    assert_null(cJSON_GetObjectItem(synced, "cancels"));
    cJSON_Delete(synced);
    runner_gone(&runner);
}

static void a_gentle_cancel_becomes_one_without_grace(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    (void)child_begins(&runner, "a");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\"}");
    assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "activation"), "cancel_now"));
    answers(reply, "OK");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\",\"now\":true}"), "OK");
    static const bool now[] = { false, true };
    for (size_t i = 0; i < 2; i++) {
        cJSON *cancel = hear_only(&runner, "cancel");
        assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(cancel, "now")), now[i]);
        cJSON_Delete(cancel);
    }
    runner_gone(&runner);
}

/* ---- cancel and end ---- */

static void a_cancel_after_the_end_changes_nothing(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    child_lives(&runner, "a");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\"}");
    expect(reply, "activation.status", "completed");
    answers(reply, "ENDED");
    expect_status("a", "completed");
    runner_gone(&runner);
}

static void an_end_that_is_committed_after_a_cancel_stands_as_its_runner_says(void **state)
{
    (void)state;
    static const char *const ends[] = { "completed", "cancelled" };
    runner_t runner = runner_link("r1", "", 2);
    for (size_t i = 0; i < 2; i++) {
        assigned_t a = child_begins(&runner, ends[i]);
        cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"%s\"}", ends[i]);
        expect(reply, "delivery", "forwarded");
        answers(reply, "OK");
        child_ends(&runner, &a, ends[i], NULL);
        expect_status(ends[i], ends[i]);
        answers(ask("{\"op\":\"cancel\",\"child\":\"%s\"}", ends[i]), "ENDED");
    }
    runner_gone(&runner);
}

static void what_is_cancelled_between_assign_and_start_may_end_without_one(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    child_submitted("root", "a", "");
    assigned_t a = take_assign(&runner);
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"a\"}");
    expect(reply, "activation.state", "assigned");
    expect(reply, "delivery", "forwarded");
    answers(reply, "OK");
    child_ends(&runner, &a, "cancelled", "Cancelled by parent");
    expect_status("a", "cancelled");
    runner_gone(&runner);
}

static void what_was_cancelled_before_its_runner_was_lost_ends_cancelled(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    (void)child_begins(&runner, "a");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    tell_f(&runner, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", runner.incarnation);
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"a\"}");
    expect(reply, "activation.status", "cancelled");
    answers(reply, "OK");
    runner_gone(&runner);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_tree_is_cancelled_down_to_its_leaves_and_counted, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(without_tree_only_the_child_is_cancelled, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_runs_in_a_tree_is_told_and_what_has_ended_is_counted_apart, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_ended_child_says_so_and_its_descendants_are_cancelled, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(one_in_the_middle_that_never_ran_is_passed_over, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(the_children_of_a_root_that_nobody_stored_are_cancelled, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_tree_of_nobody_is_not_found, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(children_that_name_each_other_as_parent_are_cancelled_once, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_tree_wider_than_a_page_is_cancelled_to_its_last_child, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_tree_with_too_many_says_so_and_what_was_reached_is_counted, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(of_the_trees_that_are_cancelled_at_a_time_one_too_many_is_told, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_tree_that_the_store_does_not_answer_for_says_how_far_it_came, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_is_submitted_in_the_grace_of_a_tree_ends_with_it_and_is_heard, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_descendant_submits_in_its_grace_ends_with_the_tree, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(without_tree_a_cancelled_child_may_still_submit, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_parent_that_is_run_anew_may_spawn_again, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(the_children_of_a_root_that_never_ran_here_may_come_again, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancel_without_grace_stays_one_and_is_shown, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_gentle_cancel_becomes_one_without_grace, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancel_after_the_end_changes_nothing, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_end_that_is_committed_after_a_cancel_stands_as_its_runner_says, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_is_cancelled_between_assign_and_start_may_end_without_one, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_was_cancelled_before_its_runner_was_lost_ends_cancelled, stage_up, stage_down),
};
/* clang-format on */

RZ_FACTS(tests)
