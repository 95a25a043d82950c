/* test_cli_wait.c - the command line waits for children, and runs them once more. */
#include "cli.h"

static void wait_exits_with_the_worst_of_its_children(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'", JOB("good", "echo", "x"), JOB("bad", "agent", "fail"));
    ended_with(0);
    shell("rhizome wait good bad");
    ended_with(1);
    has(said.out, "good completed");
    has(said.out, "bad error");
    shell("rhizome wait good nobody");
    ended_with(3);
}

static void wait_gives_up_in_time(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("s", "echo", "__sleep_ms:60000 x"));
    shell("rhizome wait s --timeout 1");
    ended_with(5);
    shell("rhizome cancel s; rhizome wait s");
    ended_with(4);
}

static void wait_any_ends_with_the_first_and_tells_how_it_ended(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'", JOB("slow", "echo", "__sleep_ms:60000 x"),
          JOB("bad", "agent", "fail"));
    shell("rhizome wait --any slow bad");
    ended_with(1);
    out_is("bad error\n");
    has(said.err, "out of ideas");
    conforms("rhizome wait --any slow bad --json");
    shell("rhizome cancel slow --now");
}

static void wait_first_error_lets_what_completes_go_by(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'", JOB("slow", "echo", "__sleep_ms:60000 x"),
          JOB("good", "echo", "x"));
    shell("rhizome wait good && rhizome wait --first-error slow good --timeout 1");
    ended_with(5);
    shell("rhizome submit '%s'; rhizome wait --first-error slow good bad", JOB("bad", "agent", "fail"));
    ended_with(1);
    has(said.out, "bad error\n");
    has_not(said.out, "good");
    shell("rhizome cancel slow --now");
}

static void wait_first_error_without_one_waits_for_all(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'", JOB("a", "echo", "x"), JOB("b", "echo", "y"));
    shell("rhizome wait --first-error a b");
    ended_with(0);
    has(said.out, "a completed\n");
    has(said.out, "b completed\n");
}

static void wait_any_gives_up_in_time(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("s", "echo", "__sleep_ms:60000 x"));
    shell("rhizome wait --any s --timeout 1");
    ended_with(5);
    out_is("");
    has(said.err, "nothing settled it within 1 s");
    shell("rhizome cancel s --now");
}

static void wait_any_takes_no_more_children_than_a_list_holds(void **state)
{
    (void)state;
    shell("rhizome wait --any $(seq 257)");
    ended_with(2);
    has(said.err, "256");
    shell("rhizome wait --any a a");
    ended_with(2);
    has(said.err, "named twice");
}

static void retry_runs_an_ended_child_once_more(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome wait bad", JOB("bad", "agent", "fail"));
    ended_with(1);
    shell("rhizome retry bad --wait");
    ended_with(1);
    has(said.out, "(run 2)\n");
    has(said.out, "bad error\n");
    shell("rhizome explain bad --json | jq '[.transitions[] | select(.what == \"error\")] | length'");
    out_is("2\n");
}

static void retry_goes_on_with_what_was_sent_meanwhile(void **state)
{
    (void)state;
    shell("rhizome submit '%s' && rhizome wait a && rhizome retry a --wait", JOB("a", "echo", "x"));
    ended_with(6); /* its last message is its own answer */
    has(said.out, "a skipped\n");
    shell("rhizome send a again && rhizome retry a --wait && rhizome session show a");
    ended_with(0);
    has(said.out, "a completed\n");
    has(said.out, "echo: again");
}

static void retry_is_refused_for_what_runs_and_for_what_is_not_there(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'; rhizome wait bad",
          JOB("s", "echo", "__sleep_ms:60000 x"), JOB("bad", "agent", "fail"));
    ended_with(1);
    shell("rhizome retry s");
    ended_with(75);
    has(said.err, "ALREADY_RUNNING");
    shell("rhizome retry nobody");
    ended_with(3);
    shell("rhizome retry bad s --wait");
    ended_with(75);
    has(said.out, "bad error\n");
    conforms("rhizome retry bad --json");
    shell("rhizome cancel s --now");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(wait_exits_with_the_worst_of_its_children, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_gives_up_in_time, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_any_ends_with_the_first_and_tells_how_it_ended, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_first_error_lets_what_completes_go_by, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_first_error_without_one_waits_for_all, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_any_gives_up_in_time, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_any_takes_no_more_children_than_a_list_holds, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(retry_runs_an_ended_child_once_more, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(retry_goes_on_with_what_was_sent_meanwhile, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(retry_is_refused_for_what_runs_and_for_what_is_not_there, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
