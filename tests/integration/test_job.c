/* test_job.c - one job's whole way: PUSH or receipt, Redis, runner, worker, events, outcome. Every part is
 * the real one. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

static int rig_with_one_runner(void **state)
{
    *state = rig_up(&(rig_options_t){ .runners = 1 });
    return 0;
}

/* `agent` runs tests/integration/agent.py: what it does is its assignment. */
static int agent_rig(void **state, const char *const *broker)
{
    static char config[512];
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"agent\":{\"agent_id\":\"agent\",\"protocol\":\"actor\",\"permission_profile\":\"test\",\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/tests/integration/agent.py\"]}}",
        RZ_SOURCE_DIR);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = config, .broker = broker });
    return 0;
}

static int rig_with_agents(void **state)
{
    return agent_rig(state, NULL);
}

/* A runner that is lost is settled before anybody's patience ends. */
static int rig_with_an_agent_and_a_short_lease(void **state)
{
    static const char *const flags[] = { "--broker-lease-ms", "6000", "--broker-sync-ms", "1000", NULL };
    return agent_rig(state, flags);
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

static void next_event_is(rig_sub_t *sub, const char *topic, const char *path, const char *text)
{
    rig_event_t event;
    do {
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("no event %s", topic);
        if (strcmp(rig_text(event.event, "type"), "sub_agent_heartbeat") != 0)
            break;
        rig_event_fini(&event);
    } while (1);
    assert_string_equal(event.topic, topic);
    assert_string_equal(rig_text(event.event, path), text);
    rig_event_fini(&event);
}

/* ---- the main job ---- */

static void a_pushed_echo_job_sends_its_events_in_order_and_completes(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *sub = rig_subscribe(rig, "root/");
    rig_push(
        rig,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\",\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}]}}");
    next_event_is(sub, "root/c1/sub_agent_started", "child_session_id", "c1");
    next_event_is(sub, "root/c1/sub_agent_event.token", "event.content", "hello ");
    next_event_is(sub, "root/c1/sub_agent_event.token", "event.content", "world ");
    next_event_is(sub, "root/c1/sub_agent_event.complete", "event.type", "complete");
    next_event_is(sub, "root/c1/sub_agent_completed", "status", "completed");
    rig_sub_close(&sub);
}

static void the_started_event_names_the_title_of_the_session_if_it_has_one(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *sub = rig_subscribe(rig, "root/c1/sub_agent_started");
    char status[32];
    rig_push(
        rig,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\",\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"title\":\"Count the \\\"fixed\\\"\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}");
    next_event_is(sub, "root/c1/sub_agent_started", "title", "Count the \"fixed\"");
    rig_wait(rig, "c1", status);
    rig_submit(rig, "root", "c1", "echo", "untitled");
    next_event_is(sub, "root/c1/sub_agent_started", "title", "");
    rig_sub_close(&sub);
}

static void the_result_is_the_last_message_of_the_session(void **state)
{
    rig_t *rig = *state;
    char status[32], role[16], content[64];
    rig_submit(rig, "root", "c1", "echo", "hello world");
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "completed");
    rig_last_message(rig, "c1", role, content, sizeof content);
    assert_string_equal(role, "assistant");
    assert_string_equal(content, "echo: hello world");
}

static void a_second_run_continues_the_stored_session(void **state)
{
    rig_t *rig = *state;
    char status[32], role[16], content[64];
    rig_submit(rig, "root", "c1", "echo", "first");
    rig_wait(rig, "c1", status);
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\",\"require\":{\"profile\":\"echo\"},\"message\":{\"role\":\"user\",\"content\":\"second\"}}}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
    rig_wait(rig, "c1", status);
    rig_last_message(rig, "c1", role, content, sizeof content);
    assert_string_equal(content, "echo: second");
    reply = rig_ask(rig, "{\"op\":\"session_get\",\"child\":\"c1\"}");
    const cJSON *session = cJSON_GetObjectItemCaseSensitive(reply, "session");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(session, "messages")), 4);
    cJSON_Delete(reply);
}

static void event_numbers_have_no_gap_and_name_the_durable_one_before(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *sub = rig_subscribe(rig, "root/c1/");
    rig_submit(rig, "root", "c1", "echo", "a b c d");
    double seq = 0, durable = 0;
    for (int end = 0; !end;) {
        rig_event_t event;
        assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(event.header, "seq");
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(event.header, "prev_durable");
        assert_true(number->valuedouble == seq + 1);
        assert_true(before->valuedouble == durable);
        seq = number->valuedouble;
        if (strcmp(rig_text(event.header, "class"), "durable") == 0)
            durable = seq;
        end = strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0;
        rig_event_fini(&event);
    }
    rig_sub_close(&sub);
}

static void the_log_replays_every_durable_event(void **state)
{
    rig_t *rig = *state;
    char status[32];
    rig_submit(rig, "root", "c1", "echo", "a b");
    rig_wait(rig, "c1", status);
    cJSON *reply = rig_ask(rig, "{\"op\":\"replay\",\"child\":\"c1\"}");
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(reply, "events");
    static const char *const types[] = { "sub_agent_started", "sub_agent_event", "sub_agent_completed" };
    assert_int_equal(cJSON_GetArraySize(events), 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(rig_text(cJSON_GetArrayItem(events, i), "event.type"), types[i]);
    cJSON_Delete(reply);
}

/* ---- receipts ---- */

static void the_same_job_twice_is_a_duplicate_and_runs_once(void **state)
{
    rig_t *rig = *state;
    static const char job[] =
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\",\"job_id\":\"j1\",\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}}}";
    char status[32];
    cJSON *first = rig_ask(rig, job, "once");
    assert_string_equal(rig_text(first, "code"), "OK");
    cJSON_Delete(first);
    rig_wait(rig, "c1", status);
    cJSON *second = rig_ask(rig, job, "once");
    assert_string_equal(rig_text(second, "code"), "DUPLICATE");
    assert_string_equal(rig_text(second, "activation.status"), "completed");
    cJSON_Delete(second);
    cJSON *other = rig_ask(rig, job, "something else");
    assert_string_equal(rig_text(other, "code"), "CONFLICT");
    cJSON_Delete(other);
}

static void a_second_job_for_a_running_child_is_refused_by_name(void **state)
{
    rig_t *rig = *state;
    rig_submit(rig, "root", "c1", "echo", "__sleep_ms:60000 long");
    cJSON *reply = rig_ask(
        rig, "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\"}}");
    assert_string_equal(rig_text(reply, "code"), "ALREADY_RUNNING");
    cJSON_Delete(reply);
}

static void a_bad_job_on_the_push_socket_is_published_with_its_reason(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *sub = rig_subscribe(rig, "$sys/rejected");
    rig_push(rig, "{\"parent_session_id\":\"root\",\"child_session_id\":\"../etc\"}");
    rig_event_t event;
    assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
    assert_string_equal(rig_text(event.event, "code"), "BAD_ID");
    assert_string_equal(rig_text(event.event, "field"), "child_session_id");
    rig_event_fini(&event);
    rig_sub_close(&sub);
}

static void a_job_that_nobody_can_take_says_so_in_its_receipt_and_waits(void **state)
{
    rig_t *rig = *state;
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c1\",\"require\":{\"profile\":\"echo\",\"labels\":[\"gpu\"]},\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    assert_string_equal(rig_text(reply, "waiting"), "no runner offers label gpu");
    assert_string_equal(rig_text(reply, "activation.state"), "queued");
    cJSON_Delete(reply);
}

static void who_is_not_found_is_named(void **state)
{
    rig_t *rig = *state;
    cJSON *reply = rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"nobody\"}");
    assert_string_equal(rig_text(reply, "code"), "NOT_FOUND");
    assert_string_equal(rig_text(reply, "message"), "child nobody is not known, or was never run");
    cJSON_Delete(reply);
    reply = rig_ask(
        rig, "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c9\"}}");
    assert_string_equal(rig_text(reply, "message"), "child session not found");
    cJSON_Delete(reply);
    reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"c9\"}");
    assert_string_equal(rig_text(reply, "message"), "no session of child c9 is stored");
    cJSON_Delete(reply);
}

/* ---- warm workers ---- */

static void children_of_one_kind_share_one_warm_worker(void **state)
{
    rig_t *rig = *state;
    pid_t workers[16], again[16];
    char status[32], child[16];
    for (int i = 0; i < 6; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(rig, "root", child, "echo", "hi");
        rig_wait(rig, child, status);
        assert_string_equal(status, "completed");
        size_t n = rig_descendants(rig, 0, i == 0 ? workers : again, 16);
        assert_int_equal(n, 1);
        if (i > 0)
            assert_int_equal(again[0], workers[0]);
    }
}

/* ---- cancel and steering ---- */

static void cancelling_a_running_child_ends_it_cancelled(void **state)
{
    rig_t *rig = *state;
    char status[32];
    rig_submit(rig, "root", "c1", "echo", "__sleep_ms:60000 never");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "running");
    cJSON *reply = rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c1\"}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "cancelled");
}

static void a_cancelled_queued_child_never_runs_and_its_end_is_published(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *sub = rig_subscribe(rig, "root/waiting/");
    char status[32];
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"waiting\",\"require\":{\"profile\":\"nobody\"},\"session\":{\"id\":\"waiting\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}");
    cJSON_Delete(reply);
    reply = rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"waiting\"}");
    assert_string_equal(rig_text(reply, "delivery"), "ended");
    cJSON_Delete(reply);
    assert_int_equal(rig_event_until_completed(sub, "waiting", status), 0);
    assert_string_equal(status, "cancelled");
    rig_sub_close(&sub);
}

static void a_steering_message_reaches_the_running_agent(void **state)
{
    rig_t *rig = *state;
    char status[32], role[16], content[128];
    rig_submit(rig, "root", "c1", "agent", "wait for a word");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "running");
    rig_await(rig, "{\"op\":\"send\",\"child\":\"c1\",\"text\":\"blue\",\"message_id\":\"s1\"}", "code",
              "OK");
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "completed");
    cJSON *reply = rig_ask(rig, "{\"op\":\"session_get\",\"child\":\"c1\"}");
    const cJSON *messages =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(reply, "session"), "messages");
    assert_int_equal(cJSON_GetArraySize(messages), 3); /* assignment, answer, and the steering once */
    assert_string_equal(rig_text(cJSON_GetArrayItem(messages, 1), "content"), "the word is blue");
    cJSON_Delete(reply);
    rig_last_message(rig, "c1", role, content, sizeof content);
    assert_string_equal(content, "blue");
}

/* ---- failures ---- */

static void a_failing_agent_ends_its_child_with_the_last_words_on_stderr(void **state)
{
    rig_t *rig = *state;
    char status[32];
    rig_submit(rig, "root", "c1", "agent", "fail");
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "error");
    cJSON *reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"c1\"}");
    assert_non_null(strstr(rig_text(reply, "activation.error"), "out of ideas"));
    cJSON_Delete(reply);
    reply = rig_ask(rig, "{\"op\":\"logs\",\"child\":\"c1\"}");
    assert_non_null(strstr(rig_text(reply, "text"), "out of ideas"));
    cJSON_Delete(reply);
}

static void a_killed_worker_ends_its_child_within_a_second_and_the_next_job_runs(void **state)
{
    rig_t *rig = *state;
    char status[32];
    pid_t worker[8];
    rig_sub_t *sub = rig_subscribe(rig, "root/");
    rig_submit(rig, "root", "c1", "echo", "__sleep_ms:60000 never");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "running");
    assert_int_equal(rig_descendants(rig, 0, worker, 8), 1);
    uint64_t killed = process_now_ms();
    kill(worker[0], SIGKILL);
    rig_event_until_completed(sub, "c1", status);
    assert_string_equal(status, "error");
    assert_true(process_now_ms() - killed < 1000);
    rig_submit(rig, "root", "c2", "echo", "next");
    rig_event_until_completed(sub, "c2", status);
    assert_string_equal(status, "completed");
    rig_sub_close(&sub);
}

static void a_killed_runner_leaves_no_process_and_its_child_ends_in_error(void **state)
{
    rig_t *rig = *state;
    char status[32];
    pid_t tree[16];
    rig_submit(rig, "root", "c1", "agent", "wait for a word");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "running");
    size_t n = rig_descendants(rig, 0, tree, 16);
    assert_true(n >= 2);
    pid_t all[16];
    assert_true(process_descendants(rig_runner_pid(rig, 0), all, 16) > 0);
    kill(all[0], SIGKILL); /* the runner itself, not its keeper */
    rig_runner_end(rig, 0, 0);
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(kill(tree[i], 0), 0);
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "error");
}

static void a_broker_that_comes_back_serves_the_same_runners(void **state)
{
    rig_t *rig = *state;
    char status[32];
    rig_submit(rig, "root", "c1", "echo", "before");
    rig_wait(rig, "c1", status);
    rig_broker_end(rig, SIGKILL);
    rig_broker_up(rig);
    rig_submit(rig, "root", "c2", "echo", "after");
    rig_wait(rig, "c2", status);
    assert_string_equal(status, "completed");
}

static void a_redis_that_comes_back_still_has_every_receipt(void **state)
{
    rig_t *rig = *state;
    char status[32];
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"kept\",\"require\":{\"profile\":\"echo\",\"labels\":[\"later\"]},\"session\":{\"id\":\"kept\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}");
    assert_string_equal(rig_text(reply, "code"), "OK");
    cJSON_Delete(reply);
    rig_redis_end(rig, SIGTERM);
    rig_redis_up(rig);
    rig_await(rig, "{\"op\":\"get\",\"child\":\"kept\"}", "activation.state", "queued");
    rig_submit(rig, "root", "c2", "echo", "after");
    rig_wait(rig, "c2", status);
    assert_string_equal(status, "completed");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_pushed_echo_job_sends_its_events_in_order_and_completes, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(the_started_event_names_the_title_of_the_session_if_it_has_one, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(the_result_is_the_last_message_of_the_session, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_second_run_continues_the_stored_session, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(event_numbers_have_no_gap_and_name_the_durable_one_before, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(the_log_replays_every_durable_event, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(the_same_job_twice_is_a_duplicate_and_runs_once, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_second_job_for_a_running_child_is_refused_by_name, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_bad_job_on_the_push_socket_is_published_with_its_reason, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_job_that_nobody_can_take_says_so_in_its_receipt_and_waits, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(who_is_not_found_is_named, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(children_of_one_kind_share_one_warm_worker, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(cancelling_a_running_child_ends_it_cancelled, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_cancelled_queued_child_never_runs_and_its_end_is_published, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_steering_message_reaches_the_running_agent, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_failing_agent_ends_its_child_with_the_last_words_on_stderr, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_killed_worker_ends_its_child_within_a_second_and_the_next_job_runs, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_killed_runner_leaves_no_process_and_its_child_ends_in_error, rig_with_an_agent_and_a_short_lease, rig_away),
    cmocka_unit_test_setup_teardown(a_broker_that_comes_back_serves_the_same_runners, rig_with_one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_redis_that_comes_back_still_has_every_receipt, rig_with_one_runner, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
