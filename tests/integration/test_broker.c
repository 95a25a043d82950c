/* test_broker.c - the broker as its clients see it: receipts, one life of an activation, steering, ending,
 * outage. */
#include "facts.h"

#include "bare.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* ---- facts: receipts ---- */

static void a_plain_req_client_is_told_the_endpoints(void **state)
{
    (void)state;
    cJSON *reply = ask("{\"v\":1,\"op\":\"hello\",\"id\":[7]}");
    expect(reply, "code", "OK");
    expect(reply, "broker", "b1");
    expect(reply, "store", "up");
    expect(reply, "endpoints.control", stage.control_at);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "id")), 1);
    cJSON_Delete(reply);
}

static void send_frames(void *sock, const char *const *frame, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(zmq_send(sock, frame[i], strlen(frame[i]), i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
}

static void a_req_client_that_correlates_its_requests_is_answered(void **state)
{
    (void)state;
    int on = 1;
    void *req = connected(ZMQ_REQ, stage.control_at);
    frames_t frames;
    assert_int_equal(zmq_setsockopt(req, ZMQ_REQ_CORRELATE, &on, sizeof on), 0);
    send_frames(req, (const char *const[]){ "{\"op\":\"hello\"}" }, 1);
    assert_true(frames_recv(req, &frames, PATIENCE_MS));
    assert_int_equal(frames.n, 1);
    assert_non_null(strstr(frames.part[0], "\"broker\":\"b1\""));
    frames_fini(&frames);
    disconnected(req);
}

static void an_envelope_of_at_most_eight_frames_comes_back_before_the_reply(void **state)
{
    (void)state;
    static const char *const longest[] = { "a", "bb", "c", "d", "e", "f", "", "{\"op\":\"hello\"}" };
    static const char *const too_long[] = { "a", "bb", "c", "d", "e", "f", "g", "", "{\"op\":\"hello\"}" };
    char large[258];
    memset(large, 'x', 257);
    large[257] = '\0';
    void *dealer = connected(ZMQ_DEALER, stage.control_at);
    frames_t frames;
    send_frames(dealer, too_long, 9);
    send_frames(dealer, (const char *const[]){ large, "", "{\"op\":\"hello\"}" }, 3);
    send_frames(dealer, (const char *const[]){ "no empty frame", "{\"op\":\"hello\"}" }, 2);
    send_frames(dealer, longest, 8);
    assert_true(frames_recv(dealer, &frames, PATIENCE_MS)); /* the only answer: to the last */
    assert_int_equal(frames.n, 8);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(frames.part[i], longest[i]);
    assert_non_null(strstr(frames.part[7], "\"code\":\"OK\""));
    frames_fini(&frames);
    cJSON *reply = ask("{\"op\":\"status\"}");
    const cJSON *counters = cJSON_GetObjectItem(reply, "counters");
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "calls_malformed")), 3);
    cJSON_Delete(reply);
    disconnected(dealer);
}

static void receipts_tell_good_duplicate_conflicting_and_running_jobs_apart(void **state)
{
    (void)state;
    cJSON *first = submit("c1", ",\"job_id\":\"j1\"");
    expect(first, "code", "OK");
    expect(first, "activation.state", "queued");
    expect(first, "waiting", "no runner is linked");
    expect(first, "durability", "relaxed");
    cJSON_Delete(first);
    cJSON *again = submit("c1", ",\"job_id\":\"j1\"");
    expect(again, "code", "DUPLICATE");
    expect(again, "activation.state", "queued");
    cJSON_Delete(again);
    answers(submit("c1", ",\"job_id\":\"j1\",\"model\":\"other\""), "CONFLICT");
    cJSON *running = submit("c1", ",\"job_id\":\"j2\"");
    expect(running, "code", "ALREADY_RUNNING");
    expect(running, "activation.job", "j1");
    cJSON_Delete(running);
}

static void a_bad_job_is_refused_with_field_and_message(void **state)
{
    (void)state;
    cJSON *reply =
        ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"a b\"}}");
    expect(reply, "field", "child_session_id");
    answers(reply, "BAD_ID");
    reply = ask(
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c\",\"session\":{\"id\":\"c\",\"messages\":[]}}}");
    expect(reply, "field", "session.kind");
    answers(reply, "BAD_FIELD");
    answers(
        ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"nobody\"}}"),
        "NOT_FOUND");
    answers(ask("{\"op\":\"dance\"}"), "BAD_KIND");
    answers(ask("not json"), "BAD_JSON");
}

static void a_job_nobody_can_take_says_which_label_is_missing(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "\"cpu\"", 1);
    cJSON *reply = submit("c1", ",\"require\":{\"labels\":[\"gpu\"]}");
    expect(reply, "code", "OK");
    expect(reply, "waiting", "no runner offers label gpu");
    cJSON_Delete(reply);
    runner_gone(&runner);
}

static void a_rejected_push_is_published_with_its_reason(void **state)
{
    (void)state;
    void *sub = subscribed("$sys/rejected");
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bad = "{\"parent_session_id\":\"root\",\"child_session_id\":\"x\",\"max_attempts\":1000}";
    assert_true(zmq_send(push, bad, strlen(bad), 0) > 0);
    next_event(sub, "$sys/rejected", "\"field\":\"max_attempts\"");
    send_frames(push, (const char *const[]){ "{}", "{}" }, 2);
    next_event(sub, "$sys/rejected", "a spawn job is one frame, this one has 2");
    disconnected(push);
    disconnected(sub);
}

/* ---- facts: one life ---- */

static void a_pushed_job_reaches_a_runner_and_ends_where_a_waiter_sees_it(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bytes = job("c1", "");
    frames_t frames;
    assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    cJSON *header = hear(&runner, "assign", &frames);
    assigned_t a = read_assign(header);
    expect(header, "profile", "echo");
    assert_int_equal(frames.n, 3);
    assert_non_null(strstr(frames.part[1], "\"created_at\":"));
    assert_string_equal(frames.part[2], "[{\"id\":\"m1\",\"role\":\"user\",\"content\":\"hello\"}]");
    cJSON_Delete(header);
    frames_fini(&frames);

    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    static const char *const event[] = { "{\"v\":1,\"seq\":2}", "{\"type\":\"sub_agent_event\"}" };
    tell_write(&runner, "append", &a, "2", "", event, 2);
    expect_ack(&runner, "append", "OK");

    say("{\"op\":\"wait\",\"child\":\"c1\"}");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    cJSON *reply = take_reply();
    expect(reply, "code", "OK");
    expect(reply, "activation.status", "completed");
    cJSON_Delete(reply);
    finish(&runner, &a);
    expect_ack(&runner, "finish", "DUPLICATE");

    reply = ask("{\"op\":\"replay\",\"child\":\"c1\"}");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "events")), 3);
    expect(reply, "logged_to", "1-3");
    cJSON_Delete(reply);
    reply = ask("{\"op\":\"session_get\",\"child\":\"c1\"}");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "messages")), 2);
    cJSON_Delete(reply);
    disconnected(push);
    runner_gone(&runner);
}

static void a_wait_with_a_limit_answers_expired_with_the_state(void **state)
{
    (void)state;
    answers(submit("c1", ""), "OK");
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"c1\",\"timeout_ms\":50}");
    expect(reply, "activation.state", "queued");
    answers(reply, "EXPIRED");
}

static void of_those_who_wait_one_too_many_is_told(void **state)
{
    (void)state;
    static const char *const wait[] = { "", "{\"op\":\"wait\",\"child\":\"c1\"}" };
    void *dealer = connected(ZMQ_DEALER, stage.control_at);
    frames_t frames;
    answers(submit("c1", ""), "OK");
    for (int i = 0; i < 65537; i++)
        send_frames(dealer, wait, 2);
    assert_true(frames_recv(dealer, &frames, PATIENCE_MS));
    assert_non_null(strstr(frames.part[1], "\"code\":\"FULL\""));
    frames_fini(&frames);
    disconnected(dealer);
}

static void a_cancelled_queued_job_is_never_assigned_and_its_end_is_published(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    answers(submit("c1", ""), "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"c1\"}");
    expect(reply, "delivery", "ended");
    answers(reply, "OK");
    next_event(sub, "root/c1/sub_agent_completed", "\"status\":\"cancelled\"");
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "ENDED");

    runner_t runner = runner_link("r1", "", 8);
    answers(submit("c2", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c2");
    runner_gone(&runner);
    disconnected(sub);
}

static void a_cancel_of_running_work_is_forwarded_and_repeated_by_sync(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"c1\",\"now\":true}");
    expect(reply, "delivery", "forwarded");
    answers(reply, "OK");
    cJSON *cancel = hear_only(&runner, "cancel");
    expect(cancel, "child", "c1");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cancel, "now")));
    cJSON_Delete(cancel);
    const char *const held[] = { "c1 1" };
    cJSON *synced = sync_of(&runner, held, 1, "");
    expect(synced, "code", "OK");
    assert_null(cJSON_GetObjectItem(synced, "owned"));
    assert_null(cJSON_GetObjectItem(synced, "cancels"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "cancels_now")), 1);
    cJSON_Delete(synced);
    runner_gone(&runner);
}

static void a_steering_message_is_live_when_the_worker_got_it_and_queued_otherwise(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    say("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"left \\\"now\\\"\",\"message_id\":\"s1\"}");
    frames_t frames;
    cJSON *steer = hear(&runner, "steer", &frames);
    expect(steer, "id", "s1");
    assert_string_equal(frames.part[1], "\"left \\\"now\\\"\"");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"s1\",\"live\":true}");
    cJSON *reply = take_reply();
    expect(reply, "delivery", "live");
    answers(reply, "OK");
    cJSON_Delete(steer);
    frames_fini(&frames);
    reply = ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"right\",\"message_id\":\"s2\"}");
    expect(reply, "delivery", "queued"); /* the worker did not say in time */
    answers(reply, "OK");
    runner_gone(&runner);
}

static void logs_come_from_the_runner_that_has_them(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    say("{\"op\":\"logs\",\"child\":\"c1\"}");
    cJSON *logs = hear_only(&runner, "logs");
    char header[256];
    const char *const text[] = { "a line\n" };
    snprintf(header, sizeof header, "{\"kind\":\"output\",\"id\":\"%s\",\"code\":\"OK\"}",
             text_at(logs, "id"));
    tell(&runner, header, text, 1);
    cJSON *reply = take_reply();
    expect(reply, "text", "a line\n");
    expect(reply, "runner", "r1");
    answers(reply, "OK");
    cJSON_Delete(logs);
    assert_string_equal(a.child, "c1");
    runner_gone(&runner);
}

/* ---- facts: beginning and ending ---- */

/* Runs the broker with these flags to its end; its exit code. */
static int broker_exit(const char *first, const char *second)
{
    char program[400], log[128];
    process_t process = { 0 };
    snprintf(program, sizeof program, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(log, sizeof log, "%s/other.log", stage.redis.dir);
    const char *argv[] = { program, "--redis-url", stage.redis.url, first, second, NULL };
    process_start(&process, argv, log, 0);
    int status = process_end(&process, 0, PATIENCE_MS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void exit_codes_tell_a_taken_port_from_a_bad_configuration(void **state)
{
    (void)state;
    assert_int_equal(broker_exit("--broker-jobs", stage.jobs_at), 69);
    assert_int_equal(broker_exit("--broker-lease-ms", "soon"), 78);
    assert_int_equal(broker_exit("--broker-lease-ms", "150"), 78); /* below two syncs */
    assert_int_equal(broker_exit("--redis-url", "gopher://x"), 78);
    assert_int_equal(broker_exit("--check-config", NULL), 0);
    assert_int_equal(broker_exit("--help", NULL), 0);
    assert_int_equal(broker_exit("--dance", NULL), 2);
}

static void a_broker_that_is_told_to_stop_answers_who_waits(void **state)
{
    (void)state;
    answers(submit("c1", ""), "OK");
    say("{\"op\":\"wait\",\"child\":\"c1\"}");
    await_waiter();
    kill(stage.broker.pid, SIGTERM);
    answers(take_reply(), "UNAVAILABLE");
}

/* ---- facts: the store goes away ---- */

static void without_the_store_control_says_unavailable_and_work_goes_on_when_it_is_back(void **state)
{
    (void)state;
    redis_end(&stage.redis, SIGKILL);
    await("{\"op\":\"hello\"}", "store", "down");
    cJSON *reply = submit("c1", "");
    assert_non_null(strstr(text_at(reply, "message"), "store"));
    answers(reply, "UNAVAILABLE");
    reply = ask("{\"op\":\"status\"}");
    expect(reply, "store.state", "down");
    answers(reply, "OK");

    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bytes = job("c2", "");
    assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    redis_again(&stage.redis);
    await("{\"op\":\"hello\"}", "store", "up");
    runner_t runner = runner_link("r1", "", 4);
    assert_string_equal(sync_until_assigned(&runner).child, "c2");
    answers(submit("c1", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c1");
    disconnected(push);
    runner_gone(&runner);
}

/* ---- facts: many ---- */

#define MANY 1000

/* No heartbeat is played here. */
static int long_lease_up(void **state)
{
    static const char *const flags[] = { "--broker-lease-ms", "120000", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

static void a_thousand_pushed_jobs_are_each_assigned_once(void **state)
{
    (void)state;
    static unsigned char seen[MANY];
    memset(seen, 0, sizeof seen);
    runner_t runner[2] = { runner_link("r1", "", 40), runner_link("r2", "", 40) };
    unsigned granted[2] = { 40, 40 }, taken[2] = { 0, 0 }, total = 0;
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    for (unsigned i = 0; i < MANY; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        const char *bytes = job(child, "");
        assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    }
    while (total < MANY) {
        zmq_pollitem_t items[2] = { { runner[0].sock, 0, ZMQ_POLLIN, 0 },
                                    { runner[1].sock, 0, ZMQ_POLLIN, 0 } };
        if (zmq_poll(items, 2, PATIENCE_MS) <= 0)
            show_and_fail("not all were assigned");
        for (unsigned r = 0; r < 2; r++) {
            frames_t frames;
            if ((items[r].revents & ZMQ_POLLIN) == 0 || !frames_recv(runner[r].sock, &frames, 0))
                continue;
            cJSON *header = NULL;
            if (strcmp(kind_of(&frames, &header), "assign") == 0) {
                assigned_t a = read_assign(header);
                unsigned number = (unsigned)strtoul(a.child + 1, NULL, 10);
                assert_int_equal(seen[number], 0);
                seen[number] = 1;
                total++;
                assert_true(++taken[r] <= granted[r]);
                start(&runner[r], &a);
                finish(&runner[r], &a);
                credit(&runner[r], ++granted[r]);
            }
            cJSON_Delete(header);
            frames_fini(&frames);
        }
    }
    assert_true(taken[0] > 0 && taken[1] > 0);
    await("{\"op\":\"get\",\"child\":\"c999\"}", "activation.state", "terminal");
    cJSON *reply = ask("{\"op\":\"status\"}");
    cJSON *counters = cJSON_GetObjectItem(reply, "counters");
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "assigned")), MANY);
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "fenced")), 0);
    cJSON_Delete(reply);
    disconnected(push);
    runner_gone(&runner[0]);
    runner_gone(&runner[1]);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_plain_req_client_is_told_the_endpoints, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_req_client_that_correlates_its_requests_is_answered, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_envelope_of_at_most_eight_frames_comes_back_before_the_reply, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(receipts_tell_good_duplicate_conflicting_and_running_jobs_apart, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_bad_job_is_refused_with_field_and_message, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_job_nobody_can_take_says_which_label_is_missing, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_rejected_push_is_published_with_its_reason, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_reaches_a_runner_and_ends_where_a_waiter_sees_it, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_with_a_limit_answers_expired_with_the_state, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(of_those_who_wait_one_too_many_is_told, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancelled_queued_job_is_never_assigned_and_its_end_is_published, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancel_of_running_work_is_forwarded_and_repeated_by_sync, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_steering_message_is_live_when_the_worker_got_it_and_queued_otherwise, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(logs_come_from_the_runner_that_has_them, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(exit_codes_tell_a_taken_port_from_a_bad_configuration, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_broker_that_is_told_to_stop_answers_who_waits, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(without_the_store_control_says_unavailable_and_work_goes_on_when_it_is_back, strict_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_thousand_pushed_jobs_are_each_assigned_once, long_lease_up, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
