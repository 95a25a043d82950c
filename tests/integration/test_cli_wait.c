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

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(wait_exits_with_the_worst_of_its_children, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_gives_up_in_time, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
