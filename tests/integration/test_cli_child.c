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
    await_call("grep -c watching %s", log);
    shell("rhizome run --parent pp --quiet --executor echo other && rhizome submit '%s'",
          JOB("a", "echo", "x"));
    await_call("grep completed %s", log);
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

static void cancelling_a_tree_ends_every_descendant(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'; rhizome submit '%s'; rhizome submit '%s'",
          JOB("a", "echo", "__sleep_ms:60000 x"),
          JOB_OF("a", "b", "\"profile\":\"echo\"", "__sleep_ms:60000 x"),
          JOB_OF("b", "c", "\"profile\":\"echo\",\"labels\":[\"gpu\"]", "x"), JOB("apart", "echo", "x"));
    shell("rhizome cancel a --tree");
    ended_with(0);
    has(said.out, "a forwarded (tree: 3 cancelled, 0 had ended)\n");
    shell("rhizome wait a b c");
    ended_with(4);
    has(said.out, "a cancelled\n");
    has(said.out, "b cancelled\n");
    has(said.out, "c cancelled\n");
    shell("rhizome wait apart");
    ended_with(0);
    shell("rhizome cancel a --tree");
    ended_with(0);
    has(said.out, "a had ended: cancelled (tree: 0 cancelled, 3 had ended)\n");
    conforms("rhizome cancel a --tree --json");
}

static void what_comes_after_its_parents_tree_was_cancelled_says_what_to_do_and_that_works(void **state)
{
    (void)state;
    static const char why[] =
        "rhizome: c ended at once: Its parent a was cancelled with its tree; run a anew first\n";
    shell("rhizome submit '%s'; rhizome cancel a --tree", JOB_FOR_GPU("a"));
    shell("rhizome submit '%s'", JOB_OF("a", "c", "\"profile\":\"echo\",\"labels\":[\"gpu\"]", "x"));
    ended_with(4);
    out_is("c cancelled\n");
    has(said.err, why);
    shell("printf '%%s\\n' '%s' '%s' | rhizome submit -", JOB("well", "echo", "x"),
          JOB_OF("a", "c", "", "x"));
    ended_with(4);
    has(said.err, why);
    has(said.err, "2 accepted, 0 refused");
    shell("rhizome retry c");
    ended_with(4);
    out_is("c cancelled (run 3)\n");
    has(said.err, why);
    shell("rhizome explain c");
    ended_with(0);
    has(said.err, "next: rhizome retry a; rhizome retry c\n");
    shell("rhizome retry a; rhizome retry c");
    ended_with(0);
    out_is("a queued (run 2)\nc queued (run 4)\n");
}

static void a_root_that_never_ran_is_cancelled_with_its_tree(void **state)
{
    (void)state;
    shell("rhizome submit '%s'; rhizome submit '%s'", JOB_FOR_GPU("a"), JOB_FOR_GPU("b"));
    shell("rhizome cancel p");
    ended_with(3);
    shell("rhizome cancel p --tree");
    ended_with(0);
    out_is("p never ran (tree: 2 cancelled, 0 had ended)\n");
    conforms("rhizome cancel p --tree --json");
    shell("rhizome cancel nobody --tree");
    ended_with(3);
}

static void cancelling_now_ends_a_child_that_does_not_listen(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("s", "agent", "deaf"));
    await_call("rhizome logs s | grep 'deaf now'");
    shell("rhizome cancel s --now; rhizome wait s --timeout 2"); /* gently it would have 3 s */
    ended_with(4);
}

/* Watches p, and lets `ask` come to its question. */
static void ask(rig_t *rig, process_t *watch, char log[256])
{
    snprintf(log, 256, "%s/watch.log", rig_dir(rig));
    const char *argv[] = { "rhizome", "watch", "p", NULL };
    process_start(watch, argv, log, 0);
    await_call("grep -c watching %s", log);
    shell("rhizome submit '%s'", JOB("ask", "asker", "approval?"));
    await_call("grep 'child_approval_requested.* sa-0: Bash' %s", log);
}

static void a_question_is_watched_and_approved(void **state)
{
    process_t watch = { 0 };
    char log[256];
    ask(*state, &watch, log);
    shell("rhizome approve ask sa-0");
    ended_with(0);
    out_is("ask sa-0 approved\n");
    shell("rhizome wait ask");
    ended_with(0);
    await_call("grep 'answered .*approved=true' %s", log);
    await_call("grep 'child_approval_changed .*sa-0: approved by client' %s", log);
    process_end(&watch, SIGTERM, RIG_PATIENCE_MS);
}

static void a_question_is_watched_and_denied(void **state)
{
    process_t watch = { 0 };
    char log[256];
    ask(*state, &watch, log);
    shell("rhizome deny ask sa-0");
    ended_with(0);
    out_is("ask sa-0 denied\n");
    shell("rhizome wait ask");
    ended_with(0);
    await_call("grep 'answered .*approved=false' %s", log);
    await_call("grep 'child_approval_changed .*sa-0: denied by client' %s", log);
    process_end(&watch, SIGTERM, RIG_PATIENCE_MS);
}

static void an_answer_to_no_open_question_is_exit_code_three(void **state)
{
    process_t watch = { 0 };
    char log[256];
    ask(*state, &watch, log);
    shell("rhizome approve ask sa-9");
    ended_with(3);
    shell("rhizome deny nobody sa-0");
    ended_with(3);
    shell(
        "rhizome approve ask sa-0 --json | /usr/bin/python3 %s/tests/interop/check_schemas.py control-reply",
        RZ_SOURCE_DIR);
    ended_with(0);
    shell("rhizome wait ask; rhizome approve ask sa-0");
    ended_with(3);
    out_is("ask completed\n");
    process_end(&watch, SIGTERM, RIG_PATIENCE_MS);
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
    cmocka_unit_test_setup_teardown(cancelling_a_tree_ends_every_descendant, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(what_comes_after_its_parents_tree_was_cancelled_says_what_to_do_and_that_works, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_root_that_never_ran_is_cancelled_with_its_tree, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(cancelling_now_ends_a_child_that_does_not_listen, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_question_is_watched_and_approved, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_question_is_watched_and_denied, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(an_answer_to_no_open_question_is_exit_code_three, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
