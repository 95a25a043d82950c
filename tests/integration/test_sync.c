/* test_sync.c - what the heartbeat of a runner brings to the store, and what it brings back: cancels, steering. */
#include "facts.h"

#include "bare.h"
#include "wire/link.h"

/* A runner says what the fact needs, not what would keep it alive. */
static int long_lease(void **state)
{
    static const char *const flags[] = { "--broker-lease-ms", "60000", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

static const char *const held_c1[] = { "c1 1" };

static runner_t running_c1(assigned_t *a)
{
    runner_t runner = runner_link("r1", "", 4);
    answers(submit("c1", ""), "OK");
    *a = take_assign(&runner);
    start(&runner, a);
    expect_ack(&runner, "start", "OK");
    return runner;
}

static cJSON *sync_c1(runner_t *runner, const char *more)
{
    cJSON *synced = sync_of(runner, held_c1, 1, more);
    expect(synced, "code", "OK");
    return synced;
}

static void sync_says(runner_t *runner, const char *states)
{
    char more[2048];
    snprintf(more, sizeof more, ",\"states\":%s", states);
    cJSON_Delete(sync_c1(runner, more));
}

static const char *kept(void)
{
    return redis_do(&stage.redis, "HGET rz:{0}:c:c1 l");
}

/* What the sync brought back is the next message of this kind. */
static void hears_steer(runner_t *runner, const char *id, const char *text)
{
    frames_t frames;
    cJSON *steer = hear(runner, "steer", &frames);
    expect(steer, "child", "c1");
    expect(steer, "id", id);
    assert_int_equal(frames.n, 2);
    assert_string_equal(frames.part[1], text);
    cJSON_Delete(steer);
    frames_fini(&frames);
}

/* Nothing but the answer to this sync comes before the answer to the next. */
static void hears_no_steer(runner_t *runner)
{
    frames_t frames;
    cJSON_Delete(sync_c1(runner, ""));
    char digest[41];
    rz_held_digest(held_c1, 1, digest);
    tell_f(runner,
           "{\"kind\":\"sync\",\"incarnation\":\"%s\",\"counter\":%llu,\"count\":1,\"digest\":\"%s\"}",
           runner->incarnation, (unsigned long long)++runner->counter, digest);
    assert_true(frames_recv(runner->sock, &frames, PATIENCE_MS));
    cJSON *header = NULL;
    assert_string_equal(kind_of(&frames, &header), "synced");
    cJSON_Delete(header);
    frames_fini(&frames);
}

static void await_struck_off(const char *key)
{
    char command[128];
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    snprintf(command, sizeof command, "EXISTS %s", key);
    while (strcmp(redis_do(&stage.redis, command), "0") != 0)
        if (process_now_ms() > deadline)
            show_and_fail("still there");
}

/* ---- states ---- */

static void what_a_runner_says_of_its_run_is_kept_with_its_epoch(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    sync_says(&runner,
              "{\"c1\":{\"epoch\":1,\"last_event_at\":\"2026-06-16T09:30:04Z\",\"last_tool_name\":\"Bash\","
              "\"last_tool_phase\":\"begin\",\"round_count\":3,\"secret\":\"x\"}}");
    assert_string_equal(kept(), "1 {\"last_event_at\":\"2026-06-16T09:30:04Z\",\"last_tool_name\":\"Bash\","
                                "\"last_tool_phase\":\"begin\",\"round_count\":3}");
    cJSON *get = ask("{\"op\":\"get\",\"child\":\"c1\"}");
    expect(get, "activation.last_tool_name", "Bash");
    cJSON_Delete(get);
    runner_gone(&runner);
}

static void a_sync_that_says_nothing_of_a_run_changes_nothing(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    sync_says(&runner, "{\"c1\":{\"epoch\":1,\"round_count\":3}}");
    cJSON_Delete(sync_c1(&runner, ""));
    assert_string_equal(kept(), "1 {\"round_count\":3}");
    sync_says(&runner, "{\"c1\":{\"epoch\":1,\"round_count\":4}}");
    assert_string_equal(kept(), "1 {\"round_count\":4}");
    runner_gone(&runner);
}

static void a_wrong_state_is_counted_and_the_sync_still_counts(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    sync_says(&runner, "{\"c1\":{\"epoch\":1,\"round_count\":\"many\"},\"c2\":7}");
    assert_string_equal(kept(), "(nil)");
    cJSON *status = ask("{\"op\":\"status\"}");
    const cJSON *counters = cJSON_GetObjectItem(status, "counters");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "states_left_out")) == 2);
    cJSON_Delete(status);
    char command[128];
    snprintf(command, sizeof command, "HGET rz:{0}:i:%s c", runner.incarnation);
    assert_string_equal(redis_do(&stage.redis, command), "1");
    runner_gone(&runner);
}

static void nobody_speaks_of_what_is_not_his(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a), other = runner_link("r2", "", 0);
    char digest[41];
    rz_held_digest(NULL, 0, digest);
    tell_f(&other,
           "{\"kind\":\"sync\",\"incarnation\":\"%s\",\"counter\":1,\"count\":0,\"digest\":\"%s\","
           "\"states\":{\"c1\":{\"epoch\":1,\"round_count\":9}}}",
           other.incarnation, digest);
    answers(hear_only(&other, "synced"), "OK");
    assert_string_equal(kept(), "(nil)");
    runner_gone(&other);
    runner_gone(&runner);
}

/* ---- cancels ---- */

static void a_cancel_comes_with_every_sync_and_one_without_grace_as_such(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "OK");
    for (int i = 0; i < 2; i++) {
        cJSON *synced = sync_c1(&runner, "");
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "cancels")), 1);
        assert_null(cJSON_GetObjectItem(synced, "cancels_now"));
        cJSON_Delete(synced);
    }
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\",\"now\":true}"), "OK");
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "OK");
    cJSON *synced = sync_c1(&runner, "");
    assert_null(cJSON_GetObjectItem(synced, "cancels"));
    const cJSON *now = cJSON_GetObjectItem(synced, "cancels_now");
    assert_int_equal(cJSON_GetArraySize(now), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(now, 0)), "c1");
    cJSON_Delete(synced);
    runner_gone(&runner);
}

/* ---- steering ---- */

static void steering_that_no_worker_was_told_of_is_sent_again_with_every_sync(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    answers(ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"go \\\"left\\\"\\n\",\"message_id\":\"s1\"}"),
            "OK");
    hears_steer(&runner, "s1", "\"go \\\"left\\\"\\n\""); /* and it got lost: nobody answers */
    for (int i = 0; i < 2; i++) {
        cJSON_Delete(sync_c1(&runner, ""));
        hears_steer(&runner, "s1", "\"go \\\"left\\\"\\n\"");
    }
    runner_gone(&runner);
}

static void what_the_worker_was_told_after_all_is_not_sent_again(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    answers(ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"left\",\"message_id\":\"s1\"}"), "OK");
    answers(ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"right\",\"message_id\":\"s2\"}"), "OK");
    hears_steer(&runner, "s1", "\"left\"");
    hears_steer(&runner, "s2", "\"right\"");
    cJSON_Delete(sync_c1(&runner, ""));
    hears_steer(&runner, "s1", "\"left\""); /* in the order in which they were said */
    hears_steer(&runner, "s2", "\"right\"");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"s1\",\"live\":true}");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"s2\",\"live\":true}");
    await_struck_off("rz:{0}:u:c1");
    hears_no_steer(&runner);
    runner_gone(&runner);
}

static void what_was_not_live_is_sent_again(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    answers(ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"left\",\"message_id\":\"s1\"}"), "OK");
    hears_steer(&runner, "s1", "\"left\"");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"s1\",\"live\":false}");
    cJSON_Delete(sync_c1(&runner, ""));
    hears_steer(&runner, "s1", "\"left\"");
    runner_gone(&runner);
}

static void steering_of_a_run_that_ended_is_not_sent_again(void **state)
{
    assigned_t a;
    (void)state;
    runner_t runner = running_c1(&a);
    answers(ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"left\",\"message_id\":\"s1\"}"), "OK");
    hears_steer(&runner, "s1", "\"left\"");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    hears_no_steer(&runner);
    cJSON *session = ask("{\"op\":\"session_get\",\"child\":\"c1\"}");
    char *text = cJSON_PrintUnformatted(session);
    assert_non_null(strstr(text, "\"content\":\"left\""));
    cJSON_free(text);
    cJSON_Delete(session);
    runner_gone(&runner);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(what_a_runner_says_of_its_run_is_kept_with_its_epoch, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(a_sync_that_says_nothing_of_a_run_changes_nothing, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(a_wrong_state_is_counted_and_the_sync_still_counts, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(nobody_speaks_of_what_is_not_his, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(a_cancel_comes_with_every_sync_and_one_without_grace_as_such, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(steering_that_no_worker_was_told_of_is_sent_again_with_every_sync, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(what_the_worker_was_told_after_all_is_not_sent_again, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(what_was_not_live_is_sent_again, long_lease, stage_down),
    cmocka_unit_test_setup_teardown(steering_of_a_run_that_ended_is_not_sent_again, long_lease, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
