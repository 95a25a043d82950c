/* test_cli_child.c - the command line speaks to children: submit, send, cancel, watch, logs. */
#include "cli.h"

#include <signal.h>

static void submit_takes_a_job_as_its_argument(void **state)
{
    (void)state;
    shell("rhizome submit '%s' && rhizome wait a", JOB("a", "echo", "x"));
    ended_with(0);
    has(said.out, "a completed");
}

static void submit_answers_every_line_and_exits_with_the_worst(void **state)
{
    (void)state;
    shell("printf '%%s\\n' '%s' '{\"child_session_id\":\"b\"}' '%s' | rhizome submit -",
          JOB("a", "echo", "x"), JOB("c", "echo", "y"));
    ended_with(2);
    has(said.out, "a ");
    has(said.out, "c ");
    has(said.err, "parent_session_id");
    has(said.err, "2 accepted, 1 refused");
}

static void submit_takes_one_job_written_over_several_lines(void **state)
{
    rig_t *rig = *state;
    shell("printf '%%s' '%s' | sed 's/,/,\\n/g' > %s/job.json; rhizome submit --json %s/job.json",
          JOB("a", "echo", "x"), rig_dir(rig), rig_dir(rig));
    ended_with(0);
    has(said.out, "\"code\":\"OK\"");
}

static void send_steers_a_running_child(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("s", "agent", "wait for a word"));
    await_state("s", "running");
    shell("rhizome send s tulip");
    ended_with(0);
    shell("rhizome wait s && rhizome session show s");
    ended_with(0);
    has(said.out, "the word is tulip");
}

static void cancelling_what_has_ended_says_so(void **state)
{
    (void)state;
    shell("rhizome submit '%s' && rhizome wait a && rhizome cancel a", JOB("a", "echo", "x"));
    ended_with(0);
    has(said.out, "a had ended: completed");
    shell("rhizome cancel nobody");
    ended_with(3);
}

static void watch_prints_the_events_of_a_parent_only(void **state)
{
    process_t watch = { 0 };
    char log[256];
    snprintf(log, sizeof log, "%s/watch.log", rig_dir(*state));
    const char *argv[] = { "rhizome", "watch", "p", NULL };
    process_start(&watch, argv, log, 0);
    do {
        shell("grep -c watching %s", log);
    } while (said.code != 0);
    shell("rhizome run --parent pp --quiet --executor echo other && rhizome submit '%s'",
          JOB("a", "echo", "x"));
    do {
        shell("grep completed %s", log);
    } while (said.code != 0);
    process_end(&watch, SIGTERM, RIG_PATIENCE_MS);
    shell("cat %s", log);
    has(said.out, "started");
    has(said.out, "token");
    has_not(said.out, "other");
}

static void logs_are_what_the_worker_wrote_to_stderr(void **state)
{
    (void)state;
    shell("rhizome run --quiet --child f --profile agent fail; rhizome logs f");
    ended_with(0);
    has(said.out, "out of ideas");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(submit_takes_a_job_as_its_argument, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(submit_answers_every_line_and_exits_with_the_worst, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(submit_takes_one_job_written_over_several_lines, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(send_steers_a_running_child, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(cancelling_what_has_ended_says_so, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(watch_prints_the_events_of_a_parent_only, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(logs_are_what_the_worker_wrote_to_stderr, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
