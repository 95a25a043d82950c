/* test_homes.c - several brokers: where runners are at home, and what becomes of their work when that home goes away. */
#include "facts.h"

#include "outside.h"
#include "process.h"
#include "redis.h"
#include "rig.h"

#include <signal.h>
#include <stdlib.h>

#define BROKERS  2
#define SLOTS    4
#define MANY     80
#define RESTS_MS 7000 /* longer than a spare link rests */

static int rig_of(void **state, unsigned runners)
{
    static const char *const flags[] = { "--runner-slots", "4", NULL };
    *state = rig_up(&(rig_options_t){ .brokers = BROKERS, .runners = runners, .runner = flags });
    return 0;
}

static int no_runner(void **state)
{
    return rig_of(state, 0);
}

static int one_runner(void **state)
{
    return rig_of(state, 1);
}

static int long_lease(void **state)
{
    static const char *const slots[] = { "--runner-slots", "4", NULL };
    static const char *const lease[] = { "--broker-lease-ms", "60000", NULL };
    *state = rig_up(&(rig_options_t){ .runners = 1, .runner = slots, .broker = lease });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* ---- who is at home where ---- */

static void await_home(rig_t *rig, unsigned broker, double slots)
{
    rig_turn_to(rig, broker);
    metric_await(rig_endpoint(rig, "http"), "rhizome_broker_homed_slots", slots);
}

static void await_running(rig_t *rig, const char *child)
{
    char request[96];
    snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"%s\"}", child);
    rig_await(rig, request, "activation.state", "running");
}

static void completes(rig_t *rig, const char *child)
{
    char status[32];
    rig_wait(rig, child, status);
    assert_string_equal(status, "completed");
}

/* How often each child "c<i>" ended, in the whole store. */
static void count_ends(const rig_t *rig, int *ends)
{
    char child[16];
    const char *completions = redis_do(rig_redis(rig), "XRANGE rz:{0}:completions - +");
    for (int i = 0; i < MANY; i++) {
        snprintf(child, sizeof child, " c%d ", i);
        ends[i] = 0;
        for (const char *at = completions; (at = strstr(at, child)) != NULL; at++)
            ends[i]++;
    }
}

/* ---- facts ---- */

static void runners_spread_over_their_brokers(void **state)
{
    rig_t *rig = *state;
    for (int i = 0; i < 4; i++)
        rig_runner_up(rig);
    for (unsigned i = 0; i < BROKERS; i++)
        await_home(rig, i, 2 * SLOTS);
}

static void a_broker_that_joins_later_gets_its_share(void **state)
{
    rig_t *rig = *state;
    rig_turn_to(rig, 1);
    rig_broker_end(rig, SIGTERM);
    rig_runner_up(rig);
    rig_runner_up(rig);
    await_home(rig, 0, 2 * SLOTS);
    rig_submit(rig, "root", "long", "echo", "__sleep_ms:6000 x"); /* it runs while its runner may move */
    await_running(rig, "long");
    rig_turn_to(rig, 1);
    rig_broker_up(rig);
    await_home(rig, 1, SLOTS);
    await_home(rig, 0, SLOTS);
    rig_submit(rig, "root", "short", "echo", "x");
    completes(rig, "short");
    completes(rig, "long");
}

static void a_runner_whose_home_is_killed_goes_on_at_another(void **state)
{
    rig_t *rig = *state;
    unsigned home = rig_turn_home(rig);
    rig_submit(rig, "root", "before", "echo", "__sleep_ms:4000 x");
    await_running(rig, "before");
    rig_broker_end(rig, SIGKILL);
    await_home(rig, 1 - home, SLOTS);
    rig_submit(rig, "root", "after", "echo", "x");
    completes(rig, "after");
    completes(rig, "before");
}

static void a_runner_whose_home_is_stopped_goes_on_at_another_and_hears_it_again_later(void **state)
{
    rig_t *rig = *state;
    unsigned home = rig_turn_home(rig);
    pid_t stopped = rig_broker_pid(rig);
    rig_submit(rig, "root", "before", "echo", "__sleep_ms:4000 x");
    await_running(rig, "before");
    kill(stopped, SIGSTOP);
    await_home(rig, 1 - home, SLOTS);
    rig_submit(rig, "root", "after", "echo", "x");
    completes(rig, "after");
    completes(rig, "before");
    kill(stopped, SIGCONT);
    rig_turn_to(rig, home);
    rig_submit(rig, "root", "later", "echo",
               "__sleep_ms:60000 x"); /* given by the other, cancelled by this one */
    await_running(rig, "later");
    metric_await(rig_endpoint(rig, "http"), "rhizome_broker_runners_linked", 1);
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"later\"}"));
    char status[32];
    rig_wait(rig, "later", status);
    assert_string_equal(status, "cancelled");
}

static void a_broker_that_is_started_again_is_found_again(void **state)
{
    rig_t *rig = *state;
    rig_turn_home(rig);
    rig_broker_end(rig, SIGKILL);
    rig_broker_up(rig);
    metric_await(rig_endpoint(rig, "http"), "rhizome_broker_runners_linked", 1);
}

/* Starts, ends and events are under way all the time: what the killed home took and did not answer is written again by
 * way of the other, and what it had written counts once. */
static void what_was_being_written_when_home_was_killed_is_written_once(void **state)
{
    rig_t *rig = *state;
    int ends[MANY];
    char child[16];
    unsigned home = rig_turn_home(rig);
    rig_turn_to(rig, 1 - home);
    for (int i = 0; i < MANY; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(rig, "root", child, "echo", "a b c d e f g h");
        if (i == MANY / 2) {
            rig_turn_to(rig, home);
            rig_broker_end(rig, SIGKILL);
            rig_turn_to(rig, 1 - home);
        }
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(child, sizeof child, "c%d", i);
        completes(rig, child);
    }
    count_ends(rig, ends);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ends[i], 1);
}

/* The lease is a minute: only the new incarnation can have ended the old one. */
static void a_runner_started_again_under_its_name_ends_its_old_incarnation_at_once(void **state)
{
    rig_t *rig = *state;
    pid_t family[16];
    char status[32], child[8];
    for (int i = 0; i <= SLOTS; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_submit(rig, "root", child, "echo", i < SLOTS ? "__sleep_ms:60000 x" : "x");
        if (i < SLOTS)
            await_running(rig, child);
    }
    assert_true(process_descendants(rig_runner_pid(rig, 0), family, 16) > SLOTS);
    kill(family[0], SIGKILL); /* the runner: nobody says bye */
    rig_runner_end(rig, 0, 0);
    rig_runner_again(rig, 0);
    for (int i = 0; i < SLOTS; i++) {
        snprintf(child, sizeof child, "c%d", i);
        rig_wait(rig, child, status);
        assert_string_equal(status, "error");
    }
    completes(rig, "c4"); /* it had not begun */
}

static int one_broker(void **state)
{
    static const char *flags[] = { "--runner-brokers", NULL, NULL };
    static char both[512];
    rig_t *rig = rig_up(&(rig_options_t){ .runner = flags });
    const char *first = rig_endpoint(rig, "runners");
    snprintf(both, sizeof both, "%s,tcp://localhost:%s", first, strrchr(first, ':') + 1);
    flags[1] = both;
    *state = rig;
    return 0;
}

/* A broker hears a runner by the newer of two links only, and refuses the other. */
static void a_broker_that_is_named_twice_is_one_and_the_operator_is_told_once(void **state)
{
    rig_t *rig = *state;
    char log[512];
    rig_runner_up(rig);
    snprintf(log, sizeof log, "%s/runner-0.log", rig_dir(rig));
    assert_true(process_log_has(log, "are one broker: name it once", 1, RIG_PATIENCE_MS));
    rig_submit(rig, "root", "c1", "echo", "x");
    completes(rig, "c1");
    unsigned welcomes = process_log_count(log, "link.welcome"),
             refused = process_log_count(log, "link.refused");
    assert_in_range(welcomes, 1, 4); /* until both are known to be one */
    assert_false(process_log_has(log, "link.welcome", welcomes + 1, RESTS_MS));
    assert_int_equal(process_log_count(log, "link.refused"), refused);
    assert_int_equal(process_log_count(log, "are one broker"), 1);
    rig_broker_end(rig, SIGKILL);
    rig_broker_up(rig);
    assert_true(process_log_has(log, "link.welcome", welcomes + 1, RIG_PATIENCE_MS));
    rig_submit(rig, "root", "c2", "echo", "x");
    completes(rig, "c2");
    assert_int_equal(process_log_count(log, "are one broker"), 1);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(runners_spread_over_their_brokers, no_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_broker_that_joins_later_gets_its_share, no_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_runner_whose_home_is_killed_goes_on_at_another, one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_runner_whose_home_is_stopped_goes_on_at_another_and_hears_it_again_later, one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_broker_that_is_started_again_is_found_again, one_runner, rig_away),
    cmocka_unit_test_setup_teardown(what_was_being_written_when_home_was_killed_is_written_once, one_runner, rig_away),
    cmocka_unit_test_setup_teardown(a_runner_started_again_under_its_name_ends_its_old_incarnation_at_once, long_lease, rig_away),
    cmocka_unit_test_setup_teardown(a_broker_that_is_named_twice_is_one_and_the_operator_is_told_once, one_broker, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
