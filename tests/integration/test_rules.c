/* test_rules.c - rules of upstream's spawn scheduler that producers and parents rely on (proto/README.md 10.1 to
 * 10.4), with every part the real one. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <stdlib.h>
#include <zmq.h>

#define IDS   "\"parent_session_id\":\"root\",\"child_session_id\":\"c1\""
#define AGENT "\"require\":{\"profile\":\"agent\"}"

/* `agent` runs tests/integration/agent.py: what it does is its assignment. */
static int rig_with_agents(void **state)
{
    static char config[512];
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"agent\":{\"agent_id\":\"agent\",\"protocol\":\"actor\",\"permission_profile\":\"test\",\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/tests/integration/agent.py\"]}}",
        RZ_SOURCE_DIR);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = config });
    return 0;
}

static int rig_with_a_small_queue(void **state)
{
    static const char *const flags[] = { "--broker-queue-max", "2", NULL };
    *state = rig_up(&(rig_options_t){ .broker = flags });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

static void submit(rig_t *rig, const char *members)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"submit\",\"job\":{" IDS ",%s}}", members);
    if (strcmp(rig_text(reply, "code"), "OK") != 0)
        fail_msg("receipt: %s", cJSON_PrintUnformatted(reply));
    cJSON_Delete(reply);
}

#define SESSION(more, content)                                                                               \
    "\"session\":{\"id\":\"c1\",\"kind\":\"child\"," more                                                    \
    "\"messages\":[{\"role\":\"user\",\"content\":\"" content "\"}]}"
#define MESSAGE(content) "\"message\":{\"role\":\"user\",\"content\":\"" content "\"}"

static const char get_c1[] = "{\"op\":\"get\",\"child\":\"c1\"}";
static const char session_c1[] = "{\"op\":\"session_get\",\"child\":\"c1\"}";

static void session_says(rig_t *rig, const char *key, const char *text)
{
    cJSON *reply = rig_ask(rig, "%s", session_c1);
    const cJSON *metadata =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(reply, "session"), "metadata");
    assert_string_equal(rig_text(metadata, key), text);
    cJSON_Delete(reply);
}

static void cancel(rig_t *rig)
{
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c1\",\"now\":true}"));
}

static void ends(rig_t *rig, const char *status)
{
    char found[32];
    rig_wait(rig, "c1", found);
    assert_string_equal(found, status);
}

/* ---- what the session says of its run ---- */

static void a_queued_session_says_pending(void **state)
{
    rig_t *rig = *state;
    submit(rig, "\"require\":{\"labels\":[\"nobody-has-it\"]}," SESSION("", "x"));
    session_says(rig, "last_run_status", "pending");
}

static void an_ended_session_says_how_and_why(void **state)
{
    rig_t *rig = *state;
    submit(rig, AGENT "," SESSION("", "fail"));
    ends(rig, "error");
    session_says(rig, "last_run_status", "error");
    session_says(rig, "last_run_error", "LLM error: python3 exited with status 3: out of ideas");
}

static void a_running_session_says_so_and_no_old_error(void **state)
{
    rig_t *rig = *state;
    submit(rig, AGENT "," SESSION("", "fail"));
    ends(rig, "error");
    submit(rig, AGENT "," MESSAGE("wait for a word"));
    rig_await(rig, get_c1, "activation.state", "running");
    session_says(rig, "last_run_status", "running");
    session_says(rig, "last_run_error", "");
    cancel(rig);
}

static void a_completed_session_says_no_error(void **state)
{
    rig_t *rig = *state;
    submit(rig, AGENT "," SESSION("", "fail"));
    ends(rig, "error");
    submit(rig, "\"require\":{\"profile\":\"echo\"}," MESSAGE("again"));
    ends(rig, "completed");
    session_says(rig, "last_run_status", "completed");
    session_says(rig, "last_run_error", "");
}

static void a_skipped_session_says_so_and_no_worker_was_asked(void **state)
{
    rig_t *rig = *state;
    char status[32];
    pid_t worker;
    rig_sub_t *sub = rig_subscribe(rig, "root/c1/");
    submit(
        rig,
        "\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},"
        "{\"role\":\"assistant\",\"content\":\"y\"}]}");
    ends(rig, "skipped");
    session_says(rig, "last_run_status", "skipped");
    session_says(rig, "last_run_error", "No pending message to execute");
    assert_int_equal(rig_event_until_completed(sub, "c1", status), 0); /* not even that it started */
    assert_string_equal(status, "skipped");
    assert_int_equal(rig_descendants(rig, 0, &worker, 1), 0);
    rig_sub_close(&sub);
}

static void the_session_shows_the_model_of_its_latest_job(void **state)
{
    rig_t *rig = *state;
    submit(rig, "\"model\":\"first\"," SESSION("\"model\":\"its-own\",", "x"));
    ends(rig, "completed");
    rig_await(rig, session_c1, "session.model", "first");
    submit(rig, "\"model\":\"second\"," MESSAGE("y"));
    ends(rig, "completed");
    rig_await(rig, session_c1, "session.model", "second");
}

static void a_job_without_a_model_leaves_the_sessions_own(void **state)
{
    rig_t *rig = *state;
    submit(rig, SESSION("\"model\":\"its-own\",", "x"));
    ends(rig, "completed");
    cJSON *reply = rig_ask(rig, "%s", session_c1);
    assert_string_equal(rig_text(reply, "session.model"), "its-own");
    cJSON_Delete(reply);
}

static void members_that_nobody_here_knows_stay_in_the_session(void **state)
{
    rig_t *rig = *state;
    submit(rig, SESSION("\"task_list\":{\"items\":[1.50]},\"pinned\":true,", "x"));
    ends(rig, "completed");
    cJSON *reply = rig_ask(rig, "%s", session_c1);
    const cJSON *session = cJSON_GetObjectItem(reply, "session");
    cJSON *expected = cJSON_Parse("{\"items\":[1.50]}");
    assert_true(cJSON_Compare(cJSON_GetObjectItem(session, "task_list"), expected, true));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(session, "pinned")));
    cJSON_Delete(expected);
    cJSON_Delete(reply);
}

static void what_is_pending_in_a_session_is_heard_by_its_run(void **state)
{
    rig_t *rig = *state;
    char role[16], content[64];
    submit(rig,
           SESSION("\"metadata\":{\"pending_injected_messages\":\"[{\\\"content\\\":\\\"and this\\\"}]\"},",
                   "x"));
    ends(rig, "completed");
    rig_last_message(rig, "c1", role, content, sizeof content);
    assert_string_equal(content, "echo: and this");
    session_says(rig, "pending_injected_messages", "");
}

/* ---- reservation ---- */

static void a_cancel_of_one_run_does_not_reach_the_next(void **state)
{
    rig_t *rig = *state;
    submit(rig, AGENT "," SESSION("", "wait for a word"));
    rig_await(rig, get_c1, "activation.state", "running");
    cancel(rig);
    ends(rig, "cancelled");
    submit(rig, "\"require\":{\"profile\":\"echo\"}," MESSAGE("__sleep_ms:200 again"));
    ends(rig, "completed");
}

/* ---- the queue ---- */

static void push_child(void *push, int i)
{
    char job[256];
    int n = snprintf(
        job, sizeof job,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"c%d\",\"session\":{\"id\":\"c%d\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}",
        i, i);
    assert_int_equal(zmq_send(push, job, (size_t)n, 0), n);
}

static void a_full_queue_makes_pushed_jobs_wait_and_loses_none(void **state)
{
    enum { JOBS = 30 };
    rig_t *rig = *state;
    char child[16], status[32];
    void *push = rig_socket(rig, ZMQ_PUSH, "jobs");
    rig_sub_t *sub = rig_subscribe(rig, "$sys/rejected");
    rig_event_t event;
    for (int i = 0; i < JOBS; i++)
        push_child(push, i);
    rig_await(rig, "{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "queued");
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"late\",\"session\":{\"id\":\"late\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}}");
    assert_string_equal(rig_text(reply, "code"), "FULL");
    cJSON_Delete(reply);
    rig_runner_up(rig);
    for (int i = 0; i < JOBS; i++) {
        snprintf(child, sizeof child, "c%d", i);
        char request[64];
        snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"%s\"}", child);
        rig_await(rig, request, "code", "OK");
        rig_wait(rig, child, status);
        assert_string_equal(status, "completed");
    }
    assert_false(rig_event_next(sub, &event, 0));
    rig_sub_close(&sub);
    zmq_close(push);
}

/* ---- watchdog ---- */

/* Heartbeats come at 0 and 5 s. If they were signs of life, the total of 9 s would be reached first. */
static void a_heartbeat_is_no_sign_of_life(void **state)
{
    rig_t *rig = *state;
    submit(rig,
           SESSION(
               "\"metadata\":{\"child_watchdog.max_idle_secs\":\"6\",\"child_watchdog.max_total_secs\":\"9\","
               "\"child_watchdog.check_interval_secs\":\"1\"},",
               "__sleep_ms:60000 x"));
    ends(rig, "timeout");
    cJSON *reply = rig_ask(rig, "%s", get_c1);
    assert_string_equal(rig_text(reply, "activation.error"),
                        "Child session idle timeout after 6 seconds without events (max_idle_secs=6)");
    cJSON_Delete(reply);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_queued_session_says_pending, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(an_ended_session_says_how_and_why, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_running_session_says_so_and_no_old_error, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_completed_session_says_no_error, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_skipped_session_says_so_and_no_worker_was_asked, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(the_session_shows_the_model_of_its_latest_job, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_job_without_a_model_leaves_the_sessions_own, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(members_that_nobody_here_knows_stay_in_the_session, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(what_is_pending_in_a_session_is_heard_by_its_run, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_cancel_of_one_run_does_not_reach_the_next, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_full_queue_makes_pushed_jobs_wait_and_loses_none, rig_with_a_small_queue, rig_away),
    cmocka_unit_test_setup_teardown(a_heartbeat_is_no_sign_of_life, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
