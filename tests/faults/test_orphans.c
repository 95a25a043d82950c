/* test_orphans.c - nothing outlives a runner, however it ends: its worker's program has left a process behind that was forked
 * twice, has a session of its own and is deaf to TERM (tests/integration/family.sh). */
#include "facts.h"
#include "stand_in.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define FAMILY_MAX 16
#define GONE_MS    5000
#define SILENCE_MS 12000 /* of a stopped runner, after which its keeper acts */
#define LOOK_MS    20

static stand_in_t s;
static pid_t family[FAMILY_MAX];
static size_t members;

/* The runner, its worker, the program, what that left behind. */
static int family_up(void **state)
{
    char file[64];
    (void)state;
    snprintf(file, sizeof file, "/tmp/rz-family-%d", (int)getpid());
    stand_in_up(&s, stand_in_family(file), NULL);
    stand_in_assign(&s, "ch-1", "family", 1, "x", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    pid_t left = stand_in_left_behind(&s, file);
    members = process_descendants(s.runner.pid, family, FAMILY_MAX);
    bool is_below = false;
    for (size_t i = 0; i < members; i++)
        is_below = is_below || family[i] == left;
    return is_below && members >= 4 ? 0 : -1;
}

static void all_are_gone_within(int ms)
{
    uint64_t deadline_ms = process_now_ms() + (uint64_t)ms;
    for (size_t i = 0; i < members;) {
        if (stand_in_state(family[i]) == 0)
            i++;
        else if (process_now_ms() > deadline_ms)
            fail_msg("process %d of %zu is still there", (int)family[i], members);
        else
            poll(NULL, 0, LOOK_MS);
    }
}

static void nothing_is_left_of_a_killed_runner(void **state)
{
    (void)state;
    kill(stand_in_runner(&s), SIGKILL);
    all_are_gone_within(GONE_MS);
    assert_int_equal(stand_in_end(&s, 0), 137);
}

static void nothing_is_left_of_a_runner_whose_keeper_is_killed(void **state)
{
    (void)state;
    kill(s.runner.pid, SIGKILL);
    all_are_gone_within(GONE_MS);
    assert_int_equal(stand_in_end(&s, 0), 137);
}

static void nothing_is_left_of_a_runner_that_is_stopped(void **state)
{
    (void)state;
    kill(stand_in_runner(&s), SIGSTOP);
    all_are_gone_within(SILENCE_MS + GONE_MS);
    assert_int_equal(stand_in_end(&s, 0), 137);
}

static void nothing_is_left_of_a_runner_that_is_told_to_end(void **state)
{
    (void)state;
    kill(s.runner.pid, SIGTERM);
    stand_in_pump_for(&s, 1000); /* more than within which two are taken for one */
    kill(s.runner.pid, SIGTERM);
    assert_int_equal(stand_in_end(&s, 0), 130);
    all_are_gone_within(GONE_MS);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(nothing_is_left_of_a_killed_runner, family_up),
    cmocka_unit_test_setup(nothing_is_left_of_a_runner_whose_keeper_is_killed, family_up),
    cmocka_unit_test_setup(nothing_is_left_of_a_runner_that_is_stopped, family_up),
    cmocka_unit_test_setup(nothing_is_left_of_a_runner_that_is_told_to_end, family_up),
};

RZ_FACTS(tests)
