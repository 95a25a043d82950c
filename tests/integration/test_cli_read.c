/* test_cli_read.c - the command line tells how things are: ps, explain, sessions, runners, status. */
#include "cli.h"

static void ps_lists_children_with_their_outcome(void **state)
{
    (void)state;
    shell("rhizome submit '%s' && rhizome wait a && rhizome ps --parent p", JOB("a", "echo", "x"));
    ended_with(0);
    has(said.out, "CHILD");
    has(said.out, "completed");
    shell("rhizome ps --parent nobody --json");
    has(said.out, "\"activations\":[]");
}

static void sessions_are_put_shown_and_guarded_by_their_rev(void **state)
{
    char file[256];
    snprintf(file, sizeof file, "%s/s.json", rig_dir(*state));
    shell("echo "
          "'{\"id\":\"k\",\"kind\":\"child\",\"parent_session_id\":\"p\",\"title\":\"kept\",\"messages\":[],"
          "\"created_at\":\"2026-06-16T09:30:00Z\",\"updated_at\":\"2026-06-16T09:30:00Z\"}' > %s; rhizome "
          "session put %s",
          file, file);
    ended_with(0);
    has(said.out, "rev ");
    shell("rhizome session show k");
    has(said.out, "kept");
    shell("rhizome session put %s", file);
    ended_with(75);
    has(said.err, "CONFLICT");
    shell("rhizome session list");
    has(said.out, "k");
    shell("rhizome session show nobody");
    ended_with(3);
}

static void runners_and_status_are_told(void **state)
{
    (void)state;
    shell("rhizome runner list");
    ended_with(0);
    has(said.out, "runner-0");
    has(said.out, "linked");
    shell("rhizome status");
    ended_with(0);
    has(said.out, "store.");
    shell("rhizome status --json");
    has(said.out, "\"uptime_ms\":");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(ps_lists_children_with_their_outcome, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(sessions_are_put_shown_and_guarded_by_their_rev, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(runners_and_status_are_told, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
