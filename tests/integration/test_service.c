/* test_service.c - the daemons under a service manager: what they tell it, who tells it, and that the watchdog is fed by
 * progress and nothing else. */
#include "bare.h"
#include "outside.h"
#include "rig.h"
#include "stand_in.h"

#include "../facts.h"

#include <signal.h>
#include <stdlib.h>

#define WATCHDOG_MS 400 /* fed twice as often */
#define SILENCE_MS  1500

static manager_t manager;

static int manager_up(void **state)
{
    (void)state;
    manager_open(&manager, WATCHDOG_MS);
    return 0;
}

static int manager_down(void **state)
{
    (void)state;
    manager_close(&manager);
    return 0;
}

static void expect_silence(void)
{
    manager_forget(&manager);
    if (manager_hears(&manager, "WATCHDOG=1", SILENCE_MS))
        fail_msg("the watchdog is fed");
}

/* ---- the broker ---- */

static void a_broker_says_when_it_is_ready_how_it_is_and_that_it_stops(void **state)
{
    (void)state;
    stage_up(NULL);
    manager_await(&manager, "READY=1");
    assert_int_equal(manager.sender, stage.broker.pid);
    for (int i = 0; i < 3; i++)
        manager_await(&manager, "WATCHDOG=1");
    runner_t runner = runner_link("r1", "\"cpu\"", 1);
    manager_await(&manager, "STATUS=ready, runners linked: 1");
    runner_gone(&runner);
    assert_int_equal(stage_down(NULL), 0);
    manager_await(&manager, "STOPPING=1");
}

static void a_broker_whose_store_was_never_there_waits_for_it_and_says_so(void **state)
{
    (void)state;
    char program[300], log[64];
    process_t broker;
    snprintf(program, sizeof program, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(log, sizeof log, "%s/log", manager.dir);
    const char *argv[] = { program, "--redis-url", "unix:/nonexistent/redis", FREE_PORTS, NULL };
    process_start(&broker, argv, log, 0);
    manager_await_start(&manager, "STATUS=not ready: store: ");
    for (int i = 0; i < 3; i++)
        manager_await(&manager, "WATCHDOG=1");
    assert_false(manager_hears(&manager, "READY=1", 0));
    process_end(&broker, SIGTERM, PATIENCE_MS);
    unlink(log);
}

static void a_stopped_broker_feeds_no_watchdog(void **state)
{
    (void)state;
    stage_up(NULL);
    manager_await(&manager, "WATCHDOG=1");
    kill(stage.broker.pid, SIGSTOP);
    expect_silence();
    kill(stage.broker.pid, SIGCONT);
    manager_await(&manager, "WATCHDOG=1");
    assert_int_equal(stage_down(NULL), 0);
}

/* For its broker this store is up, as far as it knows, and never answers. */
static void a_broker_whose_ticks_hang_feeds_no_watchdog(void **state)
{
    (void)state;
    static const char *const patient[] = { "--redis-timeout-ms", "60000", NULL };
    assert_int_equal(stage_open(NULL, patient), 0);
    manager_await(&manager, "READY=1");
    kill(stage.redis.process.pid, SIGSTOP);
    manager_await_start(&manager, "STATUS=not ready: progress: the store has not answered a tick for ");
    expect_silence();
    kill(stage.redis.process.pid, SIGCONT);
    manager_await(&manager, "STATUS=ready, runners linked: 0");
    manager_await(&manager, "WATCHDOG=1");
    assert_int_equal(stage_down(NULL), 0);
}

/* The same store, given up after a second: its absence has a name, and another broker would not find it either. */
static void a_broker_that_knows_that_its_store_is_away_feeds_the_watchdog(void **state)
{
    (void)state;
    stage_up(NULL);
    manager_await(&manager, "READY=1");
    kill(stage.redis.process.pid, SIGSTOP);
    manager_await(&manager, "STATUS=not ready: store: redis did not answer in time");
    manager_forget(&manager);
    for (int i = 0; i < 30; i++) /* longer than a tick is news */
        manager_await(&manager, "WATCHDOG=1");
    kill(stage.redis.process.pid, SIGCONT);
    manager_await(&manager, "STATUS=ready, runners linked: 0");
    assert_int_equal(stage_down(NULL), 0);
}

/* ---- the runner ---- */

/* Only the runner is started below the manager. */
static stand_in_t *runner_up(void)
{
    static stand_in_t stand_in; /* zeroed in place: it is larger than a stack */
    memset(&stand_in, 0, sizeof stand_in);
    manager_open(&manager, WATCHDOG_MS);
    stand_in_up(&stand_in, "", NULL);
    return &stand_in;
}

/* Plays the broker, which answers every sync so. */
static void play_until_by(stand_in_t *s, rz_rc_t sync_code, const char *line)
{
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (!manager_hears(&manager, line, 1)) {
        if (process_now_ms() > deadline_ms)
            fail_msg("the service manager was never told %s", line);
        s->sync_code = sync_code;
        stand_in_pump(s, 5);
    }
}

static void play_until(stand_in_t *s, const char *line)
{
    play_until_by(s, RZ_OK, line);
}

/* It is the keeper that a service manager started, and workers are below it as well. */
static void a_runner_speaks_through_its_keeper(void **state)
{
    (void)state;
    stand_in_t *s = runner_up();
    play_until(s, "READY=1");
    assert_int_equal(manager.sender, s->runner.pid);
    play_until(s, "WATCHDOG=1");
    assert_int_equal(manager.sender, s->runner.pid);
    pid_t keeper = s->runner.pid;
    stand_in_down(s);
    manager_await(&manager, "STOPPING=1");
    assert_int_equal(manager.sender, keeper);
}

static void a_runner_says_what_it_lacks(void **state)
{
    (void)state;
    stand_in_t *s = runner_up();
    play_until(s, "STATUS=ready, linked to stand-in");
    play_until_by(
        s, RZ_UNAVAILABLE,
        "STATUS=not ready: sync: the last one was answered UNAVAILABLE: the store or a peer cannot be reached; nothing was done");
    play_until(s, "STATUS=ready, linked to stand-in");
    stand_in_down(s);
}

static void a_stopped_runner_feeds_no_watchdog(void **state)
{
    (void)state;
    stand_in_t *s = runner_up();
    play_until(s, "WATCHDOG=1");
    pid_t runner = stand_in_runner(s);
    kill(runner, SIGSTOP);
    expect_silence();
    kill(runner, SIGCONT);
    play_until(s, "WATCHDOG=1");
    stand_in_down(s);
}

/* Nobody is there to link to: it looks for one, and what it holds is held. */
static void a_runner_without_a_broker_feeds_the_watchdog(void **state)
{
    (void)state;
    stand_in_t *s = runner_up();
    play_until(s, "READY=1");
    manager_await(&manager, "STATUS=not ready: broker: none is linked"); /* nobody plays the broker */
    manager_forget(&manager);
    for (int i = 0; i < 20; i++) /* longer than twenty syncs */
        manager_await(&manager, "WATCHDOG=1");
    stand_in_down(s);
}

/* A broker that talks and answers no sync: as a link that is broken on one side. */
static void a_runner_whose_syncs_are_not_answered_feeds_no_watchdog(void **state)
{
    (void)state;
    stand_in_t *s = runner_up();
    play_until(s, "READY=1");
    s->sync_code = RZ_AGAIN;
    uint64_t last_ms = process_now_ms(), deadline_ms = last_ms + STAND_IN_PATIENCE_MS;
    while (process_now_ms() < last_ms + SILENCE_MS) {
        if (process_now_ms() > deadline_ms)
            fail_msg("the watchdog is fed");
        stand_in_send(s, &(rz_link_t){ .kind = RZ_LINK_EMIT, .nonce = "n-1" }, NULL);
        stand_in_pump(s, 20);
        if (manager_hears(&manager, "WATCHDOG=1", 1))
            last_ms = process_now_ms();
    }
    s->sync_code = RZ_OK;
    play_until(s, "WATCHDOG=1");
    stand_in_down(s);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_broker_says_when_it_is_ready_how_it_is_and_that_it_stops, manager_up, manager_down),
    cmocka_unit_test_setup_teardown(a_broker_whose_store_was_never_there_waits_for_it_and_says_so, manager_up, manager_down),
    cmocka_unit_test_setup_teardown(a_stopped_broker_feeds_no_watchdog, manager_up, manager_down),
    cmocka_unit_test_setup_teardown(a_broker_whose_ticks_hang_feeds_no_watchdog, manager_up, manager_down),
    cmocka_unit_test_setup_teardown(a_broker_that_knows_that_its_store_is_away_feeds_the_watchdog, manager_up, manager_down),
    cmocka_unit_test_teardown(a_runner_speaks_through_its_keeper, manager_down),
    cmocka_unit_test_teardown(a_runner_says_what_it_lacks, manager_down),
    cmocka_unit_test_teardown(a_stopped_runner_feeds_no_watchdog, manager_down),
    cmocka_unit_test_teardown(a_runner_without_a_broker_feeds_the_watchdog, manager_down),
    cmocka_unit_test_teardown(a_runner_whose_syncs_are_not_answered_feeds_no_watchdog, manager_down),
};
/* clang-format on */

RZ_FACTS(tests)
