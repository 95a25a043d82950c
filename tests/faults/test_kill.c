/* test_kill.c - brokers and runners killed under load: whatever had a receipt ends, and ends once. */
#include "facts.h"
#include "process.h"
#include "redis.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>

#define CHILDREN 1000

#define SLOTS     4
#define LONG_ONES 16

static int rig_with_two_runners(void **state)
{
    static const char *const slots[] = { "--runner-slots", "4", NULL };
    static const char *const lease[] = { "--broker-lease-ms", "1500", "--broker-sync-ms", "300", NULL };
    *state = rig_up(&(rig_options_t){ .runners = 2, .runner = slots, .broker = lease });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* Repeats the job with its id until it has a receipt: nobody knows whether an unanswered one was stored. */
static void submit_until_receipted(rig_t *rig, int i, const char *text)
{
    char request[512];
    snprintf(
        request, sizeof request,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root-%d\",\"child_session_id\":\"c%d\",\"job_id\":\"j\","
        "\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c%d\",\"kind\":\"child\",\"messages\":[{\"role\":"
        "\"user\",\"content\":\"%s\"}]}}}",
        i % 20, i, i, text);
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    for (;;) {
        cJSON *reply = rig_try(rig, 1000, request);
        const char *code = rig_text(reply, "code");
        bool receipted = strcmp(code, "OK") == 0 || strcmp(code, "DUPLICATE") == 0;
        if (!receipted && process_now_ms() > deadline)
            fail_msg("c%d never had a receipt: %s", i, code);
        cJSON_Delete(reply);
        if (receipted)
            return;
    }
}

/* How often each child stands in the outbox. */
static void count_completions(const rig_t *rig, unsigned char *ended)
{
    static const char child[] = " child c";
    const char *all = redis_do(rig_redis(rig), "XRANGE rz:{0}:completions - +");
    for (const char *at = all; (at = strstr(at, child)) != NULL; at += sizeof child - 1)
        ended[atoi(at + sizeof child - 1)]++;
}

static void a_broker_killed_three_times_loses_no_receipt_and_ends_nothing_twice(void **state)
{
    rig_t *rig = *state;
    char status[32], child[16];
    for (int i = 0; i < CHILDREN; i++) {
        submit_until_receipted(rig, i, "hello");
        if (i % 300 == 200) {
            rig_broker_end(rig, SIGKILL);
            rig_broker_up(rig);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_wait(rig, child, status);
        assert_string_equal(status, "completed");
    }
    unsigned char *ended = calloc(CHILDREN, 1);
    count_completions(rig, ended);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(ended[i], 1);
    free(ended);
}

static void what_a_killed_runner_had_not_started_runs_elsewhere(void **state)
{
    rig_t *rig = *state;
    char status[32], child[16], request[64];
    pid_t runner[16];
    for (int i = 0; i < LONG_ONES; i++)
        submit_until_receipted(rig, i, "__sleep_ms:2000 hello");
    for (int i = 0; i < 2 * SLOTS; i++) { /* every slot runs one, the rest waits */
        snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"c%d\"}", i);
        rig_await(rig, request, "activation.state", "running");
    }
    assert_true(process_descendants(rig_runner_pid(rig, 0), runner, 16) > 0);
    kill(runner[0], SIGKILL);
    rig_runner_end(rig, 0, 0);
    int lost = 0;
    for (int i = 0; i < LONG_ONES; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_wait(rig, child, status);
        if (strcmp(status, "completed") != 0) {
            assert_string_equal(status, "error"); /* it ran there, and is not run twice: max_attempts is 1 */
            lost++;
        }
    }
    assert_int_equal(lost, SLOTS);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_broker_killed_three_times_loses_no_receipt_and_ends_nothing_twice, rig_with_two_runners, rig_away),
    cmocka_unit_test_setup_teardown(what_a_killed_runner_had_not_started_runs_elsewhere, rig_with_two_runners, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
