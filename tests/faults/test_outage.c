/* test_outage.c - brokers and the store away for long, under work that goes on: nothing is killed and nothing runs twice. Times
 * are those of the defaults, and of the release build. */
#include "facts.h"
#include "outside.h"
#include "process.h"
#include "redis.h"
#include "rig.h"
#include "stand_in.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#define BROKERS   2
#define HOME_MS   3000 /* a lost home is replaced within    */
#define FOUND_MS  2000 /* a broker is found again within    */
#define FREEZE_MS 12000
#define SYNC_MS   3000
#define ROUNDS    3
#define OUTAGE_MS 60000
#define CHILDREN  50
#define FEW       6
#define PIDS_MAX  256

static int rig_with_two_brokers(void **state)
{
    static const char *const flags[] = { "--runner-slots", "8", NULL };
    *state = rig_up(&(rig_options_t){ .brokers = BROKERS, .runners = 1, .runner = flags });
    return 0;
}

/* Parked workers are kept, so that one that is gone was killed. */
static int rig_with_room_for_all(void **state)
{
    static const char *const flags[] = { "--runner-slots", "25", "--runner-idle-per-key", "64", NULL };
    *state = rig_up(&(rig_options_t){ .runners = 2, .runner = flags });
    return 0;
}

static int rig_with_one_runner(void **state)
{
    *state = rig_up(&(rig_options_t){ .runners = 1 });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* ---- looking ---- */

static double linked(rig_t *rig)
{
    double runners = 0;
    metric_get(rig_endpoint(rig, "http"), "rhizome_broker_runners_linked", &runners);
    return runners;
}

/* How long until the broker of which the talk is becomes home. */
static uint64_t until_home(rig_t *rig)
{
    uint64_t began_ms = process_now_ms();
    while (!rig_is_home(rig))
        assert_true(process_now_ms() - began_ms < RIG_PATIENCE_MS);
    return process_now_ms() - began_ms;
}

static uint64_t until_linked(rig_t *rig)
{
    uint64_t began_ms = process_now_ms();
    while (linked(rig) < 1)
        assert_true(process_now_ms() - began_ms < RIG_PATIENCE_MS);
    return process_now_ms() - began_ms;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static size_t count_in_state(const pid_t *pids, size_t n, char state)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += stand_in_state(pids[i]) == state;
    return count;
}

static size_t count_living(const pid_t *pids, size_t n)
{
    return n - count_in_state(pids, n, 0);
}

/* ---- children ---- */

static void submit(rig_t *rig, int i, int sleep_ms)
{
    char child[16], text[64];
    snprintf(child, sizeof child, "c%d", i);
    snprintf(text, sizeof text, "__sleep_ms:%d x", sleep_ms);
    rig_submit(rig, "root", child, "echo", text);
}

static void await_running(rig_t *rig, int n)
{
    char request[64];
    for (int i = 0; i < n; i++) {
        snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"c%d\"}", i);
        rig_await(rig, request, "activation.state", "running");
    }
}

/* Each completed, in its first epoch, and stands once in the outbox. */
static void each_ran_once(rig_t *rig, int n)
{
    char child[16], status[32];
    for (int i = 0; i < n; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_wait(rig, child, status);
        assert_string_equal(status, "completed");
        cJSON *get = rig_ask(rig, "{\"op\":\"get\",\"child\":\"c%d\"}", i);
        const cJSON *activation = cJSON_GetObjectItemCaseSensitive(get, "activation");
        assert_int_equal(cJSON_GetObjectItemCaseSensitive(activation, "epoch")->valueint, 1);
        cJSON_Delete(get);
    }
    char expected[16];
    snprintf(expected, sizeof expected, "%d", n);
    assert_string_equal(redis_do(rig_redis(rig), "XLEN rz:{0}:completions"), expected);
}

/* ---- facts ---- */

/* Of some rounds the best counts: a machine that others use too may stand still for longer. */
static void a_killed_home_is_replaced_within_three_seconds_and_found_again_within_two(void **state)
{
    rig_t *rig = *state;
    uint64_t home_ms = UINT64_MAX, found_ms = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned home = rig_turn_home(rig);
        rig_broker_end(rig, SIGKILL);
        rig_turn_to(rig, 1 - home);
        home_ms = least(home_ms, until_home(rig));
        rig_turn_to(rig, home);
        rig_broker_up(rig);
        found_ms = least(found_ms, until_linked(rig));
    }
    assert_in_range(home_ms, 0, HOME_MS);
    assert_in_range(found_ms, 0, FOUND_MS);
}

static void a_stopped_home_is_replaced_within_three_seconds(void **state)
{
    rig_t *rig = *state;
    uint64_t home_ms = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned home = rig_turn_home(rig);
        pid_t stopped = rig_broker_pid(rig);
        kill(stopped, SIGSTOP);
        rig_turn_to(rig, 1 - home);
        home_ms = least(home_ms, until_home(rig));
        kill(stopped, SIGCONT);
        rig_turn_to(rig, home);
        until_linked(rig);
        rig_turn_to(rig, 1 - home);
    }
    assert_in_range(home_ms, 0, HOME_MS);
}

static void workers_that_no_broker_can_reach_stand_still_after_twelve_seconds_and_lose_nothing(void **state)
{
    rig_t *rig = *state;
    pid_t workers[PIDS_MAX];
    for (int i = 0; i < FEW; i++)
        submit(rig, i, 15000);
    await_running(rig, FEW);
    size_t n = rig_descendants(rig, 0, workers, PIDS_MAX);
    assert_int_equal(n, FEW);
    for (unsigned i = 0; i < BROKERS; i++) {
        rig_turn_to(rig, i);
        rig_broker_end(rig, SIGKILL);
    }
    uint64_t began_ms = process_now_ms(), passed_ms = 0;
    while (count_in_state(workers, n, 'T') < n) {
        passed_ms = process_now_ms() - began_ms;
        assert_true(passed_ms < FREEZE_MS + RIG_PATIENCE_MS);
        poll(NULL, 0, 20);
    }
    assert_true(passed_ms + SYNC_MS > FREEZE_MS - 500); /* counted from the last answered heartbeat */
    for (unsigned i = 0; i < BROKERS; i++) {
        rig_turn_to(rig, i);
        rig_broker_up(rig);
    }
    each_ran_once(rig, FEW);
    assert_int_equal(count_living(workers, n) > 0, 1);
}

/* Some end before, some while the store is away, some after it. */
static void a_store_that_stops_for_a_minute_costs_no_running_child(void **state)
{
    rig_t *rig = *state;
    pid_t workers[PIDS_MAX];
    for (int i = 0; i < CHILDREN; i++)
        submit(rig, i, 5000 + i % 10 * 6500);
    await_running(rig, CHILDREN);
    size_t n = rig_descendants(rig, 0, workers, PIDS_MAX);
    n += rig_descendants(rig, 1, workers + n, PIDS_MAX - n);
    assert_int_equal(n, CHILDREN);
    kill(rig_redis_pid(rig), SIGSTOP);
    uint64_t until_ms = process_now_ms() + OUTAGE_MS;
    page_await(rig_endpoint(rig, "http"), "/readyz", 503, "");
    while (process_now_ms() < until_ms) {
        assert_int_equal(page_get(rig_endpoint(rig, "http"), "/readyz")->status, 503);
        assert_int_equal(count_living(workers, n), n);
        assert_int_equal(count_in_state(workers, n, 'T'), 0); /* their brokers answer */
        poll(NULL, 0, 500);
    }
    kill(rig_redis_pid(rig), SIGCONT);
    page_await(rig_endpoint(rig, "http"), "/readyz", 200, "");
    each_ran_once(rig, CHILDREN);
    assert_int_equal(count_living(workers, n), n);
}

static void the_store_knows(rig_t *rig, const char *child, const char *state)
{
    char command[64];
    snprintf(command, sizeof command, "HGET rz:{0}:c:%s a", child);
    assert_int_equal(strncmp(redis_do(rig_redis(rig), command), state, strlen(state)), 0);
}

/* What Redis acknowledges from here on is gone when it is killed. */
static void forget_what_comes(rig_t *rig)
{
    assert_string_equal(redis_do(rig_redis(rig), "CONFIG SET appendonly no"), "OK");
}

static void an_end_that_redis_lost_is_said_again_by_the_runner_that_knows_it(void **state)
{
    rig_t *rig = *state;
    char status[32], role[16], content[64];
    rig_submit(rig, "root", "c0", "echo", "__sleep_ms:1000 x");
    await_running(rig, 1);
    forget_what_comes(rig);
    rig_wait(rig, "c0", status);
    assert_string_equal(status, "completed");
    rig_redis_end(rig, SIGKILL);
    page_await(rig_endpoint(rig, "http"), "/readyz", 503, "");
    rig_redis_up(rig);
    the_store_knows(rig, "c0", "running");
    uint64_t began_ms = process_now_ms();
    page_await(rig_endpoint(rig, "http"), "/readyz", 200, "");
    rig_wait(rig, "c0", status);
    assert_string_equal(status, "completed");
    assert_in_range(process_now_ms() - began_ms, 0, 3 * SYNC_MS);
    assert_true(metric(rig_endpoint(rig, "http"), "rhizome_broker_reassigned_total") >= 1);
    rig_last_message(rig, "c0", role, content, sizeof content);
    assert_string_equal(role, "assistant");
    each_ran_once(rig, 1);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_killed_home_is_replaced_within_three_seconds_and_found_again_within_two, rig_with_two_brokers, rig_away),
    cmocka_unit_test_setup_teardown(a_stopped_home_is_replaced_within_three_seconds, rig_with_two_brokers, rig_away),
    cmocka_unit_test_setup_teardown(workers_that_no_broker_can_reach_stand_still_after_twelve_seconds_and_lose_nothing, rig_with_two_brokers, rig_away),
    cmocka_unit_test_setup_teardown(a_store_that_stops_for_a_minute_costs_no_running_child, rig_with_room_for_all, rig_away),
    cmocka_unit_test_setup_teardown(an_end_that_redis_lost_is_said_again_by_the_runner_that_knows_it, rig_with_one_runner, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
