/* test_session_agent.c - the two example agents of the session executor, ops/agents/session.py and session.js, under
 * the whole fleet: which process served whom stands in their answers. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static rig_t *rig_with_both(void)
{
    static char config[1024];
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{"
        "\"python\":{\"agent_id\":\"python\",\"protocol\":\"actor\",\"permission_profile\":\"\",\"executor\":\"session\","
        "\"command\":\"python3\",\"args\":[\"%s/ops/agents/session.py\"]},"
        "\"node\":{\"agent_id\":\"node\",\"protocol\":\"actor\",\"permission_profile\":\"\",\"executor\":\"session\","
        "\"command\":\"node\",\"args\":[\"%s/ops/agents/session.js\"]}}",
        RZ_SOURCE_DIR, RZ_SOURCE_DIR);
    return rig_up(&(rig_options_t){ .runners = 1, .config = config });
}

static int rig_for_python(void **state)
{
    *state = rig_with_both();
    return 0;
}

static int rig_for_node(void **state)
{
    if (system("command -v node >/dev/null") != 0) { /* NOLINT(cert-env33-c) */
        fprintf(stderr, "SKIPPED: node is not installed; ops/setup does that\n");
        exit(77);
    }
    return rig_for_python(state);
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

typedef struct {
    char words[64];
    int pid, run;
} answer_t;

/* What the agent answered last: "echo: <words> (process <pid>, run <run>)". */
static answer_t answer_of(rig_t *rig, const char *child)
{
    answer_t answer = { .words = "" };
    cJSON *reply = rig_ask(rig, "{\"op\":\"session_get\",\"child\":\"%s\"}", child);
    const cJSON *session = cJSON_GetObjectItemCaseSensitive(reply, "session"), *message;
    cJSON_ArrayForEach(message, cJSON_GetObjectItemCaseSensitive(session, "messages"))
    {
        if (strcmp(rig_text(message, "role"), "assistant") == 0 &&
            sscanf(rig_text(message, "content"), "echo: %63[^(](process %d, run %d)", answer.words,
                   &answer.pid, &answer.run) != 3)
            fail_msg("%s", rig_text(message, "content"));
    }
    cJSON_Delete(reply);
    return answer;
}

static answer_t completes(rig_t *rig, const char *child, const char *profile, const char *text)
{
    char status[32];
    rig_submit(rig, "root", child, profile, text);
    rig_wait(rig, child, status);
    if (strcmp(status, "completed") != 0) {
        cJSON *reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"%s\"}", child);
        fail_msg("%s: %s %s", child, status, rig_text(reply, "activation.error"));
    }
    return answer_of(rig, child);
}

static void hears_token(rig_sub_t *sub, const char *content)
{
    for (;;) {
        rig_event_t event;
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("no token %s", content);
        int met = strcmp(rig_text(event.event, "event.content"), content) == 0;
        rig_event_fini(&event);
        if (met)
            return;
    }
}

/* Steers a child that listens, and waits for its end. */
static void is_steered(rig_t *rig, const char *child, const char *text)
{
    char status[32];
    cJSON *receipt = rig_ask(rig, "{\"op\":\"send\",\"child\":\"%s\",\"text\":\"%s\"}", child, text);
    assert_string_equal(rig_text(receipt, "delivery"), "live");
    cJSON_Delete(receipt);
    rig_wait(rig, child, status);
    assert_string_equal(status, "completed");
}

/* ---- one process ---- */

static void one_process_serves_all(rig_t *rig, const char *profile)
{
    answer_t cold = completes(rig, "c1", profile, "hello cold world");
    answer_t warm = completes(rig, "c2", profile, "hello warm world");
    answer_t again = completes(rig, "c1", profile, "once more");
    assert_string_equal(cold.words, "hello cold world ");
    assert_string_equal(warm.words, "hello warm world ");
    assert_string_equal(again.words, "once more ");
    assert_int_equal(cold.pid, warm.pid);
    assert_int_equal(cold.pid, again.pid);
    assert_int_equal(cold.run, 1);
    assert_int_equal(warm.run, 2);
    assert_int_equal(again.run, 3);
}

static void one_python_process_serves_child_after_child(void **state)
{
    one_process_serves_all(*state, "python");
}

static void one_node_process_serves_child_after_child(void **state)
{
    one_process_serves_all(*state, "node");
}

static void two_children_at_a_time_have_a_process_each_and_no_word_of_the_other(void **state)
{
    rig_t *rig = *state;
    rig_sub_t *one = rig_subscribe(rig, "root/c1/"), *two = rig_subscribe(rig, "root/c2/");
    rig_submit(rig, "root", "c1", "python", "one listen");
    rig_submit(rig, "root", "c2", "python", "two listen");
    hears_token(one, "one ");
    hears_token(two, "two ");
    is_steered(rig, "c2", "second");
    is_steered(rig, "c1", "first");
    rig_sub_close(&one);
    rig_sub_close(&two);
    answer_t first = answer_of(rig, "c1"), second = answer_of(rig, "c2");
    assert_string_equal(first.words, "one first ");
    assert_string_equal(second.words, "two second ");
    assert_int_not_equal(first.pid, second.pid);
}

/* ---- steering and cancel ---- */

static void steering_and_cancel_reach_it(rig_t *rig, const char *profile)
{
    char status[32];
    rig_sub_t *sub = rig_subscribe(rig, "root/");
    rig_submit(rig, "root", "c1", profile, "one listen two");
    hears_token(sub, "one ");
    is_steered(rig, "c1", "steered");
    answer_t steered = answer_of(rig, "c1");
    assert_string_equal(steered.words, "one steered two ");

    rig_submit(rig, "root", "c2", profile, "three listen");
    hears_token(sub, "three ");
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c2\"}"));
    rig_wait(rig, "c2", status);
    assert_string_equal(status, "cancelled");
    rig_sub_close(&sub);

    /* the runner keeps only workers whose last end was clean */
    assert_int_not_equal(completes(rig, "c3", profile, "next").pid, steered.pid);
}

static void steering_and_cancel_reach_the_python_process(void **state)
{
    steering_and_cancel_reach_it(*state, "python");
}

static void steering_and_cancel_reach_the_node_process(void **state)
{
    steering_and_cancel_reach_it(*state, "node");
}

/* ---- death ---- */

static void a_process_that_dies_in_a_run_ends_its_child_and_the_next_has_another(void **state)
{
    rig_t *rig = *state;
    char status[32];
    int pid = completes(rig, "c1", "python", "cold").pid;
    rig_sub_t *sub = rig_subscribe(rig, "root/c2/");
    rig_submit(rig, "root", "c2", "python", "listening listen");
    hears_token(sub, "listening ");
    kill(pid, SIGKILL);
    rig_wait(rig, "c2", status);
    assert_string_equal(status, "error");
    cJSON *reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"c2\"}");
    assert_string_equal(rig_text(reply, "activation.error"), "LLM error: python3 was killed by signal 9");
    cJSON_Delete(reply);
    rig_sub_close(&sub);
    assert_int_not_equal(completes(rig, "c3", "python", "next").pid, pid);
}

/* Its worker has seen its end: a thread of a process that is being killed may still read. */
static void is_gone(pid_t pid)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (kill(pid, 0) == 0)
        assert_true(process_now_ms() < deadline);
}

static void a_process_that_dies_idle_costs_the_next_child_nothing(void **state)
{
    rig_t *rig = *state;
    int pid = completes(rig, "c1", "python", "cold").pid;
    for (int i = 2; i < 12; i++) {
        char child[8];
        kill(pid, SIGKILL);
        is_gone(pid);
        snprintf(child, sizeof child, "c%d", i);
        answer_t next = completes(rig, child, "python", "next");
        assert_int_not_equal(next.pid, pid);
        assert_int_equal(next.run, i);
        pid = next.pid;
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(one_python_process_serves_child_after_child, rig_for_python, rig_away),
    cmocka_unit_test_setup_teardown(one_node_process_serves_child_after_child, rig_for_node, rig_away),
    cmocka_unit_test_setup_teardown(two_children_at_a_time_have_a_process_each_and_no_word_of_the_other,
                                    rig_for_python, rig_away),
    cmocka_unit_test_setup_teardown(steering_and_cancel_reach_the_python_process, rig_for_python, rig_away),
    cmocka_unit_test_setup_teardown(steering_and_cancel_reach_the_node_process, rig_for_node, rig_away),
    cmocka_unit_test_setup_teardown(a_process_that_dies_in_a_run_ends_its_child_and_the_next_has_another,
                                    rig_for_python, rig_away),
    cmocka_unit_test_setup_teardown(a_process_that_dies_idle_costs_the_next_child_nothing, rig_for_python,
                                    rig_away),
};

RZ_FACTS(tests)
