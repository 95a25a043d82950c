/* test_broker_link.c - what goes wrong between broker and runner: lost assigns, wrong tokens, runners that
 * vanish. */
#include "facts.h"

#include "bare.h"

#include <signal.h>

/* ---- facts: the link goes wrong ---- */

static void an_unknown_peer_is_refused_not_found(void **state)
{
    (void)state;
    runner_t stranger = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    credit(&stranger, 1);
    cJSON *refused = hear_only(&stranger, "refused");
    answers(refused, "NOT_FOUND");
    runner_gone(&stranger);
}

static void a_wrong_token_is_fenced(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    assigned_t forged = a;
    memset(forged.token, 'a', sizeof forged.token - 1);
    start(&runner, &forged);
    expect_ack(&runner, "start", "FENCED");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
}

static void a_write_with_a_missing_frame_is_refused_and_hurts_nobody(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    const char *const half[] = { "{\"v\":1,\"seq\":1}" };
    tell_write(&runner, "start", &a, "1", "", half, 1);
    expect_ack(&runner, "start", "BAD_FIELD");
    tell(&runner, "garbage", NULL, 0);
    answers(hear_only(&runner, "refused"), "BAD_JSON");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
}

static void what_a_runner_released_is_given_out_again(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 2);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    tell_f(&runner,
           "{\"kind\":\"release\",\"child\":\"c1\",\"epoch\":%u,\"token\":\"%s\",\"reason\":\"no room\"}",
           a.epoch, a.token);
    expect_ack(&runner, "release", "OK");
    assigned_t again = take_assign(&runner);
    assert_string_equal(again.child, "c1");
    assert_int_equal(again.epoch, 2);
    assert_string_not_equal(again.token, a.token);
    runner_gone(&runner);
}

static void an_assign_that_got_lost_comes_again_after_sync(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&first);
    /* the same incarnation on a new connection, as after a broken one: it never heard of c1 */
    runner_t second = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    memcpy(second.incarnation, first.incarnation, sizeof second.incarnation);
    runner_gone(&first);
    hello(&second, "r1", "");
    cJSON_Delete(hear_only(&second, "welcome"));
    credit(&second, 1);
    cJSON *synced = sync_of(&second, NULL, 0, "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "owned")), 1);
    cJSON_Delete(synced);
    cJSON_Delete(sync_of(&second, NULL, 0, ",\"held\":[]"));
    assigned_t again = take_assign(&second);
    assert_string_equal(again.token, a.token);
    assert_int_equal(again.epoch, a.epoch);
    runner_gone(&second);
}

static void what_a_dead_runner_had_not_started_goes_to_another(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&first);
    runner_gone(&first);
    runner_t second = runner_link("r2", "", 1);
    assigned_t again = sync_until_assigned(&second);
    assert_string_equal(again.child, "c1");
    assert_int_equal(again.epoch, a.epoch + 1);
    start(&second, &a);
    expect_ack(&second, "start", "FENCED");
    runner_gone(&second);
}

static void what_a_dead_runner_was_running_ends_with_runner_lost(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"c1\",\"timeout_ms\":8000}");
    expect(reply, "activation.status", "error");
    expect(reply, "activation.error", "runner lost: r1");
    answers(reply, "OK");
    next_event(sub, "root/c1/sub_agent_completed", "runner lost");
    disconnected(sub);
}

static void a_condemned_incarnation_is_told_that_it_is_dead(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(hear_only(&runner, "refused"), "DEAD");
    hello(&runner, "r1", "");
    answers(hear_only(&runner, "refused"), "DEAD");
    runner_gone(&runner);
}

static void bye_gives_back_what_was_not_started_at_once(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    (void)take_assign(&first);
    tell_f(&first, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", first.incarnation);
    runner_t second = runner_link("r2", "", 1);
    assert_string_equal(take_assign(&second).child, "c1");
    runner_gone(&first);
    runner_gone(&second);
}

static void a_hello_said_twice_still_brings_work(void **state)
{
    (void)state;
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at), .incarnation = "i1" };
    hello(&runner, "r1", "");
    cJSON_Delete(hear_only(&runner, "welcome"));
    hello(&runner, "r1", ""); /* as if it was sent before the welcome came */
    credit(&runner, 1);
    answers(submit("c1", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c1");
    runner_gone(&runner);
}

/* ---- facts: who gets it ---- */

/* One of two profiles is full: `full` is what the credit says, a JSON array. */
static void credit_with(runner_t *runner, unsigned granted, const char *idle, const char *full)
{
    tell_f(runner, "{\"kind\":\"credit\",\"granted\":%u,\"idle\":%s,\"full\":%s}", granted, idle, full);
}

static bool has_credit(const char *name, double free_now, int keys)
{
    cJSON *reply = ask("{\"op\":\"runners\"}");
    const cJSON *each;
    bool has = false;
    cJSON_ArrayForEach(each,
                       cJSON_GetObjectItem(reply, "runners")) if (strcmp(text_at(each, "runner"), name) == 0)
        has = cJSON_GetNumberValue(cJSON_GetObjectItem(each, "free")) == free_now &&
              cJSON_GetArraySize(cJSON_GetObjectItem(each, "idle")) == keys;
    cJSON_Delete(reply);
    return has;
}

/* Until the broker has taken this credit: so much free, idle workers of so many keys. */
static void await_credit(const char *name, double free_now, int keys)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!has_credit(name, free_now, keys))
        if (process_now_ms() > deadline)
            show_and_fail("the credit was never taken");
}

static void a_profile_without_room_is_given_nothing_while_others_go_on(void **state)
{
    (void)state;
    runner_t runner = runner_link_as("r1", "", "\"echo\",\"survey\"", 0);
    credit_with(&runner, 4, "{}", "[\"survey\"]");
    cJSON *full = submit("c1", ",\"require\":{\"profile\":\"survey\"}");
    expect(full, "activation.state", "queued");
    assert_null(cJSON_GetObjectItem(full, "waiting")); /* it is offered, only not now */
    answers(full, "OK");
    answers(submit("c2", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c2");
    credit_with(&runner, 4, "{}", "[]");
    assert_string_equal(take_assign(&runner).child, "c1");
    runner_gone(&runner);
}

static void work_of_a_full_profile_goes_to_another_runner(void **state)
{
    (void)state;
    runner_t first = runner_link_as("r1", "", "\"survey\"", 0);
    credit_with(&first, 8, "{}", "[\"survey\"]");
    answers(submit("c1", ",\"require\":{\"profile\":\"survey\"}"), "OK");
    runner_t second = runner_link_as("r2", "", "\"survey\"", 1);
    assert_string_equal(take_assign(&second).child, "c1");
    runner_gone(&first);
    runner_gone(&second);
}

static void an_idle_worker_of_the_key_is_found_on_the_runner_with_less_room(void **state)
{
    (void)state;
    runner_t warm = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    cJSON *assign = hear_only(&warm, "assign");
    char idle[128];
    snprintf(idle, sizeof idle, "{\"%s\":1}", text_at(assign, "affinity"));
    cJSON_Delete(assign);
    credit_with(&warm, 2, idle, "[]");
    runner_t roomy = runner_link("r2", "", 8);
    await_credit("r1", 1, 1);
    await_credit("r2", 8, 0);
    answers(submit("c2", ""), "OK");
    answers(submit("c3", ""), "OK");
    assert_string_equal(take_assign(&warm).child, "c2");
    assert_string_equal(take_assign(&roomy).child, "c3"); /* the one idle worker was counted off */
    runner_gone(&warm);
    runner_gone(&roomy);
}

/* ---- pings ---- */

#define SLOTS 8 /* of a runner that the test plays */

static int number_of(const cJSON *header, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(header, name);
    return cJSON_IsNumber(number) ? number->valueint : -1;
}

static void pongs(runner_t *runner, unsigned granted, const char *home, int load, int sent, int promised)
{
    tell_f(runner, "{\"kind\":\"ping\",\"granted\":%u%s}", granted, home);
    cJSON *pong = hear_only(runner, "pong");
    assert_int_equal(number_of(pong, "load"), load);
    assert_int_equal(number_of(pong, "sent"), sent);
    assert_int_equal(number_of(pong, "promised"), promised);
    cJSON_Delete(pong);
}

static void a_pong_tells_the_load_and_what_was_given_and_a_ping_is_as_good_as_credit(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 0), elsewhere = runner_link("r2", "", 0);
    pongs(&elsewhere, 0, "", SLOTS, 0, 0); /* r1 gave credit, if only of 0: it is at home here */
    pongs(&runner, 0, ",\"home\":true", SLOTS, 0, 0);
    answers(submit("c1", ""), "OK");
    pongs(&runner, 1, ",\"home\":true", SLOTS, 0, 0); /* and now the job is asked for */
    (void)take_assign(&runner);
    pongs(&runner, 1, ",\"home\":true", SLOTS, 1, 0);
    pongs(&runner, 1, "", 0, 1, 0);
    runner_gone(&runner);
    runner_gone(&elsewhere);
}

static void what_the_store_may_still_bring_is_promised_until_it_came(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    char request[4096];
    snprintf(request, sizeof request, "{\"op\":\"submit\",\"job\":%s}", job("c1", ""));
    kill(stage.redis.process.pid, SIGSTOP);
    say(request);
    tell_f(&runner, "{\"kind\":\"ping\",\"granted\":1,\"home\":true}");
    cJSON *pong = hear_only(&runner, "pong");
    while (number_of(pong, "promised") == 0) { /* the job comes by another socket */
        cJSON_Delete(pong);
        tell_f(&runner, "{\"kind\":\"ping\",\"granted\":1,\"home\":true}");
        pong = hear_only(&runner, "pong");
    }
    assert_int_equal(number_of(pong, "promised"), 1);
    cJSON_Delete(pong);
    pongs(&runner, 0, ",\"home\":true", SLOTS, 0, 1); /* the credit is taken back, too late for this one */
    kill(stage.redis.process.pid, SIGCONT);
    answers(take_reply(), "OK");
    (void)take_assign(&runner);
    pongs(&runner, 1, ",\"home\":true", SLOTS, 1, 0);
    runner_gone(&runner);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_pong_tells_the_load_and_what_was_given_and_a_ping_is_as_good_as_credit, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_the_store_may_still_bring_is_promised_until_it_came, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_unknown_peer_is_refused_not_found, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_wrong_token_is_fenced, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_write_with_a_missing_frame_is_refused_and_hurts_nobody, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_runner_released_is_given_out_again, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_assign_that_got_lost_comes_again_after_sync, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_dead_runner_had_not_started_goes_to_another, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_dead_runner_was_running_ends_with_runner_lost, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_condemned_incarnation_is_told_that_it_is_dead, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(bye_gives_back_what_was_not_started_at_once, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_hello_said_twice_still_brings_work, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_profile_without_room_is_given_nothing_while_others_go_on, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(work_of_a_full_profile_goes_to_another_runner, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_idle_worker_of_the_key_is_found_on_the_runner_with_less_room, stage_up, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
