/* test_time.c - what a real broker makes of the store's time: queue deadlines, retention, and that no time passes
 * while nobody watches. */
#include "facts.h"

#include "bare.h"

#include <signal.h>
#include <stdlib.h>

static int a_second_at_most(void **state)
{
    static const char *const flags[] = { "--broker-max-queue-secs", "1", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

/* Sessions are kept for a second; tombstones much longer. */
static int a_second_of_retention(void **state)
{
    static const char *const flags[] = { "--retention-session-secs", "1", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

static int a_second_of_everything(void **state)
{
    static const char *const flags[] = { "--retention-session-secs", "1", "--retention-tombstone-secs", "1",
                                         NULL };
    (void)state;
    return stage_open(NULL, flags);
}

/* A runner of the fact need not sync. */
static int a_long_lease(void **state)
{
    static const char *const flags[] = { "--broker-lease-ms", "60000", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

static double counted(const char *name)
{
    cJSON *status = ask("{\"op\":\"status\"}");
    const cJSON *counters = cJSON_GetObjectItem(status, "counters");
    double value = cJSON_GetNumberValue(cJSON_GetObjectItem(counters, name));
    cJSON_Delete(status);
    return value;
}

/* Asks until the broker has counted so many. */
static void await_count(const char *name, double least)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!(counted(name) >= least))
        if (process_now_ms() > deadline)
            show_and_fail("too few were counted");
}

static uint64_t store_time(void)
{
    return strtoull(redis_do(&stage.redis, "GET rz:{0}:tick"), NULL, 10);
}

static void ends_as(const char *child, const char *status)
{
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"%s\",\"timeout_ms\":8000}", child);
    expect(reply, "activation.status", status);
    answers(reply, "OK");
}

static void end_now(const char *child)
{
    answers(submit(child, ",\"job_id\":\"j\""), "OK");
    answers(ask("{\"op\":\"cancel\",\"child\":\"%s\"}", child), "OK");
}

/* ---- queue deadlines ---- */

static void a_job_that_nobody_takes_ends_timeout_after_its_own_limit(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    uint64_t began_ms = process_now_ms();
    cJSON *receipt = submit("c1", ",\"max_queue_secs\":1");
    expect(receipt, "waiting", "no runner is linked");
    answers(receipt, "OK");
    ends_as("c1", "timeout");
    assert_true(process_now_ms() - began_ms >= 900);
    cJSON *get = ask("{\"op\":\"get\",\"child\":\"c1\"}");
    expect(get, "activation.error", "Child session was not started within 1 seconds (max_queue_secs=1)");
    cJSON_Delete(get);
    next_event(sub, "root/c1/sub_agent_completed", "\"status\":\"timeout\"");
    assert_true(counted("queue_expired") == 1);
    disconnected(sub);
}

static void jobs_that_say_nothing_wait_as_long_as_configured_and_those_that_say_zero_for_ever(void **state)
{
    (void)state;
    answers(submit("c-zero", ",\"max_queue_secs\":0"), "OK");
    answers(submit("c-none", ""), "OK");
    ends_as("c-none", "timeout");
    cJSON *zero = ask("{\"op\":\"get\",\"child\":\"c-zero\"}");
    expect(zero, "activation.state", "queued");
    cJSON_Delete(zero);
}

static void a_pushed_job_has_a_deadline_too(void **state)
{
    (void)state;
    push_job(job("c1", ",\"max_queue_secs\":1"));
    await("{\"op\":\"get\",\"child\":\"c1\"}", "activation.status", "timeout");
}

static void what_a_runner_took_in_time_runs_on_beyond_its_deadline(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ",\"max_queue_secs\":1"), "OK");
    assigned_t a = take_assign(&runner);
    answers(submit("c2", ",\"max_queue_secs\":1"),
            "OK"); /* nobody has room for it: it shows that time passed */
    ends_as("c2", "timeout");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    ends_as("c1", "completed");
    runner_gone(&runner);
}

static void what_a_lost_runner_had_is_queued_with_its_deadline_anew(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ",\"max_queue_secs\":1"), "OK");
    (void)take_assign(&runner);
    assert_string_equal(redis_do(&stage.redis, "ZCARD rz:{0}:t"), "0");
    tell_f(&runner, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", runner.incarnation);
    await("{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "queued");
    assert_string_equal(redis_do(&stage.redis, "ZCARD rz:{0}:t"), "1");
    ends_as("c1", "timeout");
    runner_gone(&runner);
}

static void more_than_one_step_can_settle_is_settled_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        answers(submit(child, ",\"max_queue_secs\":1"), "OK");
    }
    await_count("queue_expired", 1);
    uint64_t first = store_time();
    await_count("queue_expired", 200);
    assert_true(store_time() - first < 2000); /* 64 each second would take three more */
}

/* ---- time that nobody watched ---- */

static void no_time_passes_while_the_store_is_away(void **state)
{
    (void)state;
    await_count("ticks", 2);
    double ticks = counted("ticks");
    uint64_t before = store_time();
    assert_true(before > 0);
    redis_end(&stage.redis, SIGKILL);
    await("{\"op\":\"status\"}", "store.state", "down");
    redis_again(&stage.redis);
    await("{\"op\":\"status\"}", "store.state", "up");
    await_count("ticks", ticks + 1);
    assert_int_equal(store_time(), before);
    await_count("ticks", ticks + 2);
    assert_true(store_time() > before);
}

static void no_time_passes_while_no_broker_runs(void **state)
{
    (void)state;
    await_count("ticks", 2);
    uint64_t before = store_time();
    assert_true(before > 0);
    stage_broker_again();
    await_count("ticks", 1);
    assert_int_equal(store_time(), before);
    await_count("ticks", 2);
    assert_true(store_time() > before);
}

/* ---- retention ---- */

static void a_session_that_ended_long_ago_is_let_go_of_and_its_outcome_stays_known(void **state)
{
    (void)state;
    end_now("c1");
    await("{\"op\":\"session_get\",\"child\":\"c1\"}", "code", "NOT_FOUND");
    cJSON *get = ask("{\"op\":\"get\",\"child\":\"c1\",\"job_id\":\"j\"}");
    expect(get, "activation.status", "cancelled");
    answers(get, "OK");
    cJSON *list = ask("{\"op\":\"list\",\"parent\":\"root\"}");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(list, "activations")), 0);
    cJSON_Delete(list);
    answers(submit("c1", ",\"job_id\":\"j\""), "DUPLICATE");
    answers(ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\"}}"),
            "NOT_FOUND");
    assert_true(counted("sessions_retired") >= 1);
    answers(submit("c1", ",\"job_id\":\"j-2\""), "OK");
    answers(ask("{\"op\":\"session_get\",\"child\":\"c1\"}"), "OK");
}

static void tombstones_go_in_their_time(void **state)
{
    (void)state;
    end_now("c1");
    await("{\"op\":\"get\",\"child\":\"c1\"}", "code", "NOT_FOUND");
    assert_true(counted("tombstones_forgotten") >= 1);
    answers(submit("c1", ",\"job_id\":\"j\""), "OK");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_job_that_nobody_takes_ends_timeout_after_its_own_limit, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(jobs_that_say_nothing_wait_as_long_as_configured_and_those_that_say_zero_for_ever, a_second_at_most, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_has_a_deadline_too, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_runner_took_in_time_runs_on_beyond_its_deadline, a_long_lease, stage_down),
    cmocka_unit_test_setup_teardown(what_a_lost_runner_had_is_queued_with_its_deadline_anew, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(more_than_one_step_can_settle_is_settled_at_once, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(no_time_passes_while_the_store_is_away, strict_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(no_time_passes_while_no_broker_runs, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_session_that_ended_long_ago_is_let_go_of_and_its_outcome_stays_known, a_second_of_retention, stage_down),
    cmocka_unit_test_setup_teardown(tombstones_go_in_their_time, a_second_of_everything, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
