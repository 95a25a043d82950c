/* test_drain.c - a runner that is cordoned or drains: what it takes, what it gives back, what it says of those who are left,
 * and what its deadline does to them. First at a broker that the test plays, then in a whole Rhizome. */
#include "cli.h"
#include "stand_in.h"

#include <signal.h>
#include <stdlib.h>

static stand_in_t s; /* large */

/* A run of actor.py that says one word and then nothing, for ever. */
#define HANGS "[{\"kind\":\"event\",\"event\":{\"type\":\"token\",\"content\":\"x\"}},\"hang\"]"

static void up(const char *const *flags)
{
    stand_in_up(&s, stand_in_actor(NULL, NULL, ""), flags);
}

static void begins(const char *child)
{
    stand_in_assign(&s, child, "actor", 1, HANGS, NULL);
    stand_in_wait_event(&s, child, "token");
}

static void says_of_itself(const char *part)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (strstr(s.facts, part) == NULL) {
        if (process_now_ms() > deadline)
            fail_msg("no %s in %s", part, s.facts);
        stand_in_pump(&s, 100);
    }
}

static void is_given_back(const char *child)
{
    const seen_t *seen = stand_in_wait(&s, child);
    assert_int_equal(seen->releases, 1);
    assert_int_equal(seen->reruns, 0);
    assert_int_equal(seen->starts + seen->finishes, 0);
    assert_string_equal(seen->error, "runner takes no new work: r-1");
}

/* ---- cordon ---- */

static void a_cordoned_runner_goes_on_with_what_it_has_and_takes_nothing_new(void **state)
{
    (void)state;
    up(NULL);
    stand_in_assign(&s, "c1", "echo", 1, "__sleep_ms:800 x", NULL);
    stand_in_wait_event(&s, "c1", "sub_agent_started");
    assert_int_equal(stand_in_order(&s, "cordoned", NULL, 0), RZ_OK);
    assert_string_equal(s.phase, "cordoned");
    says_of_itself("\"phase\":\"cordoned\"");
    stand_in_assign(&s, "c2", "echo", 1, "too late", NULL);
    is_given_back("c2");
    assert_string_equal(stand_in_wait(&s, "c1")->status, "completed");
    assert_int_equal(stand_in_order(&s, "cordoned", NULL, 0), RZ_OK); /* again: it is */
    assert_int_equal(stand_in_order(&s, "up", NULL, 0), RZ_OK);
    says_of_itself("\"phase\":\"up\"");
    stand_in_assign(&s, "c3", "echo", 1, "welcome", NULL);
    assert_string_equal(stand_in_wait(&s, "c3")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_cordon_survives_its_broker_and_says_so_to_the_next(void **state)
{
    (void)state;
    up(NULL);
    assert_int_equal(stand_in_order(&s, "cordoned", NULL, 0), RZ_OK);
    s.phase[0] = '\0';
    int hellos = s.hellos;
    const rz_link_t forgotten = { .kind = RZ_LINK_REFUSED,
                                  .code = RZ_NOT_FOUND,
                                  .message = "say hello first" };
    stand_in_send(&s, &forgotten, NULL);
    while (s.hellos == hellos)
        stand_in_pump(&s, 100);
    assert_string_equal(s.phase, "cordoned");
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- drain ---- */

static void an_ordered_drain_ends_the_program_when_nothing_is_left(void **state)
{
    (void)state;
    up(NULL);
    stand_in_assign(&s, "c1", "echo", 1, "__sleep_ms:800 x", NULL);
    stand_in_wait_event(&s, "c1", "sub_agent_started");
    assert_int_equal(stand_in_order(&s, "draining", NULL, 0), RZ_OK);
    assert_string_equal(s.phase, "draining");
    assert_int_equal(stand_in_order(&s, "up", NULL, 0), RZ_STATE); /* it is for good */
    assert_int_equal(stand_in_order(&s, "cordoned", NULL, 0), RZ_OK);
    stand_in_assign(&s, "c2", "echo", 1, "too late", NULL);
    is_given_back("c2");
    assert_string_equal(stand_in_wait(&s, "c1")->status, "completed");
    assert_int_equal(stand_in_end(&s, 0), 0);
    assert_int_equal(s.byes, 1);
}

static void who_is_left_and_why_is_told_while_it_drains(void **state)
{
    (void)state;
    up(NULL);
    begins("c1");
    assert_int_equal(stand_in_order(&s, "draining", "wait", 600000), RZ_OK);
    says_of_itself("\"phase\":\"draining\"");
    says_of_itself("\"policy\":\"wait\"");
    says_of_itself("\"left\":1,\"children\":[{\"child\":\"c1\",\"why\":\"runs for ");
    stand_in_cancel(&s, "c1", true); /* it hears what it is told as before */
    assert_string_equal(stand_in_wait(&s, "c1")->status, "cancelled");
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void by_default_the_deadline_changes_nothing(void **state)
{
    (void)state;
    up((const char *[]){ "--runner-drain-secs", "0", NULL });
    begins("c1");
    kill(s.runner.pid, SIGTERM);
    says_of_itself("\"policy\":\"wait\",\"deadline_in_ms\":0,\"left\":1");
    uint64_t syncs = s.syncs;
    while (s.syncs < syncs + 3)
        stand_in_pump(&s, 100);
    assert_int_equal(stand_in_seen(&s, "c1")->finishes, 0);
    stand_in_cancel(&s, "c1", true);
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_deadline_may_cancel_what_still_runs(void **state)
{
    (void)state;
    up((const char *[]){ "--runner-drain-secs", "1", "--runner-drain-policy", "cancel",
                         "--runner-cancel-grace-ms", "100", NULL });
    begins("c1");
    uint64_t told_ms = process_now_ms();
    kill(s.runner.pid, SIGTERM);
    const seen_t *seen = stand_in_wait(&s, "c1");
    assert_true(seen->done_ms - told_ms >= 1000);
    assert_string_equal(seen->status, "cancelled");
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_second_order_gives_new_terms(void **state)
{
    (void)state;
    up((const char *[]){ "--runner-cancel-grace-ms", "100", NULL });
    begins("c1");
    assert_int_equal(stand_in_order(&s, "draining", "wait", 600000), RZ_OK);
    assert_int_equal(stand_in_order(&s, "draining", "cancel", 1), RZ_OK);
    assert_string_equal(stand_in_wait(&s, "c1")->status, "cancelled");
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_deadline_may_give_back_what_has_an_attempt_left_and_end_the_rest(void **state)
{
    (void)state;
    up(NULL);
    s.max_attempts = 2;
    begins("c1");
    s.max_attempts = 1;
    begins("c2");
    assert_int_equal(stand_in_order(&s, "draining", "requeue", 1), RZ_OK);
    const seen_t *again = stand_in_wait(&s, "c1"), *over = stand_in_wait(&s, "c2");
    assert_int_equal(again->reruns, 1);
    assert_int_equal(again->starts, 1); /* what it said so far is in the log */
    assert_string_equal(again->error, "runner drained: r-1");
    assert_int_equal(again->finishes, 0);
    assert_string_equal(over->status, "error");
    assert_string_equal(over->error, "runner stopped");
    assert_int_equal(stand_in_end(&s, 0), 0);
}

static void a_second_signal_ends_a_drain_at_once(void **state)
{
    (void)state;
    up(NULL);
    begins("c1");
    kill(stand_in_runner(&s), SIGTERM);
    says_of_itself("\"phase\":\"draining\"");
    uint64_t told_ms = process_now_ms();
    while (process_now_ms() < told_ms + 600) /* two within half a second are one */
        stand_in_pump(&s, 100);
    assert_int_equal(stand_in_end(&s, SIGTERM), 130);
    assert_string_equal(stand_in_seen(&s, "c1")->error, "runner stopped");
}

/* ---- a whole Rhizome, and the command line ---- */

static void a_runner_that_begins_cordoned_waits_for_an_uncordon(void **state)
{
    rig_t *rig =
        rig_up(&(rig_options_t){ .runners = 1, .runner = (const char *[]){ "--runner-cordoned", NULL } });
    *state = rig;
    environment(rig_endpoint(rig, "control"));
    await_call("rhizome runner list | grep '^runner-0 .* cordoned '");
    shell("rhizome submit '%s'", JOB("c1", "echo", "hello"));
    ended_with(0);
    has(said.out, "every runner that offers it is cordoned or drains");
    shell("rhizome explain c1");
    has(said.out, "every runner that offers it is cordoned or drains");
    shell("rhizome runner uncordon runner-0");
    ended_with(0);
    out_is("runner-0 is up\n");
    shell("rhizome wait c1");
    ended_with(0);
    shell("rhizome runner list");
    has(said.out, " linked ");
}

static void a_drained_runner_is_shown_with_who_is_left_and_goes(void **state)
{
    rig_t *rig = *state;
    shell("rhizome submit '%s'", JOB("c1", "echo", "__sleep_ms:60000"));
    ended_with(0);
    await_state("c1", "running");
    shell("rhizome runner drain runner-0 --policy wait --deadline 600");
    ended_with(0);
    out_is("runner-0 is draining\n");
    await_call("rhizome runner list | grep 'runner-0 drains: 1 left, policy wait, deadline in '");
    has(said.out, "runner-0 drains: 1 left, policy wait, deadline in ");
    shell("rhizome runner list");
    has(said.out, "\n  c1  runs for ");
    conforms("rhizome runner list --json");
    shell("rhizome runner uncordon runner-0");
    ended_with(2);
    has(said.err, "start it again instead");
    shell("rhizome send c1 hello; rhizome logs c1; rhizome cancel c1 --now");
    ended_with(0);
    rig_runner_end(rig, 0, 0);
    await_call("! rhizome runner list | grep -q draining");
}

static void an_order_for_nobody_says_so(void **state)
{
    (void)state;
    shell("rhizome runner cordon nobody");
    ended_with(3);
    has(said.err, "no runner nobody is known");
    shell("rhizome runner drain runner-0 --policy hope");
    ended_with(2);
}

/* One fact a line, where CMake finds them. */
/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_cordoned_runner_goes_on_with_what_it_has_and_takes_nothing_new),
    cmocka_unit_test(a_cordon_survives_its_broker_and_says_so_to_the_next),
    cmocka_unit_test(an_ordered_drain_ends_the_program_when_nothing_is_left),
    cmocka_unit_test(who_is_left_and_why_is_told_while_it_drains),
    cmocka_unit_test(by_default_the_deadline_changes_nothing),
    cmocka_unit_test(a_deadline_may_cancel_what_still_runs),
    cmocka_unit_test(a_second_order_gives_new_terms),
    cmocka_unit_test(a_deadline_may_give_back_what_has_an_attempt_left_and_end_the_rest),
    cmocka_unit_test(a_second_signal_ends_a_drain_at_once),
    cmocka_unit_test_teardown(a_runner_that_begins_cordoned_waits_for_an_uncordon, rig_away),
    cmocka_unit_test_setup_teardown(a_drained_runner_is_shown_with_who_is_left_and_goes, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(an_order_for_nobody_says_so, rig_with_agents, rig_away),
};
/* clang-format on */
RZ_FACTS(tests)
