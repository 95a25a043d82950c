/* test_fairness.c - a parent with ten thousand children does not starve one with three, nor low priority high. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <zmq.h>

#define MANY 10000

static int rig_without_runner(void **state)
{
    static const char *const flags[] = { "--runner-slots", "2", NULL };
    *state = rig_up(&(rig_options_t){ .runner = flags });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

static void push(void *producer, const char *parent, const char *child, int i, const char *priority)
{
    char job[512];
    int n = snprintf(
        job, sizeof job,
        "{\"parent_session_id\":\"%s\",\"child_session_id\":\"%s%d\",\"priority\":\"%s\",\"require\":{\"profile\":"
        "\"echo\"},\"session\":{\"id\":\"%s%d\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}}",
        parent, child, i, priority, child, i);
    assert_int_equal(zmq_send(producer, job, (size_t)n, 0), n);
}

static int waiting(rig_t *rig)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"status\"}");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(reply, "waiting");
    int n = count != NULL ? (int)count->valuedouble : -1;
    cJSON_Delete(reply);
    return n;
}

static void ten_thousand_children_wait_while_three_of_another_parent_and_one_of_high_priority_run(
    void **state)
{
    rig_t *rig = *state;
    void *producer = rig_socket(rig, ZMQ_PUSH, "jobs");
    char status[32];
    for (int i = 0; i < MANY; i++)
        push(producer, "big", "b", i, "normal");
    for (int i = 0; i < 3; i++)
        push(producer, "small", "s", i, "normal");
    push(producer, "big", "urgent", 0, "high");
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    while (waiting(rig) < MANY + 4)
        assert_true(process_now_ms() < deadline);
    rig_runner_up(rig);
    static const char *const first[] = { "urgent0", "s0", "s1", "s2" };
    for (int i = 0; i < 4; i++) {
        rig_wait(rig, first[i], status);
        assert_string_equal(status, "completed");
    }
    int left = waiting(rig);
    print_message("%d still wait\n", left);
    assert_true(left > MANY * 9 / 10);
    zmq_close(producer);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(ten_thousand_children_wait_while_three_of_another_parent_and_one_of_high_priority_run, rig_without_runner, rig_away),
};
/* clang-format on */
RZ_FACTS(tests)
