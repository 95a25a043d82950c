/* test_cli_run.c - the command line runs one child: tokens, result, interrupts. */
#include "cli.h"

#include <signal.h>
#include <sys/wait.h>

static void run_prints_the_tokens_and_then_the_result(void **state)
{
    (void)state;
    shell("rhizome run --executor echo 'hello world'");
    ended_with(0);
    out_is("hello world \necho: hello world\n");
}

static void run_reads_its_text_from_standard_input(void **state)
{
    (void)state;
    shell("printf 'from\\nafar\\n' | rhizome run --executor echo -");
    ended_with(0);
    out_is("from afar \necho: from afar\n");
}

static void run_as_json_is_one_line_an_event_and_ends_with_the_result(void **state)
{
    (void)state;
    shell("rhizome run --executor echo --child c-json --json 'hello world'");
    ended_with(0);
    has(said.out, "\"type\":\"sub_agent_started\"");
    has(said.out, "{\"type\":\"token\",\"content\":\"hello \"}");
    char *last = strstr(said.out, "{\"type\":\"result\"");
    assert_non_null(last);
    cJSON *result = cJSON_Parse(last);
    assert_string_equal(rig_text(result, "child"), "c-json");
    assert_string_equal(rig_text(result, "status"), "completed");
    assert_string_equal(rig_text(result, "text"), "echo: hello world");
    cJSON_Delete(result);
}

static void a_hundred_runs_lose_no_first_token(void **state)
{
    (void)state;
    shell("for i in $(seq 100); do rhizome run --quiet --executor echo \"one two $i\" || exit 9; done");
    ended_with(0);
    const char *at = said.out;
    for (int i = 1; i <= 100; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "one two %d \necho: one two %d\n", i, i);
        if (strncmp(at, expected, strlen(expected)) != 0)
            fail_msg("run %d printed: %.60s", i, at);
        at += strlen(expected);
    }
    assert_string_equal(said.err, "");
}

static void a_failing_child_makes_exit_code_one_and_its_error_is_told(void **state)
{
    (void)state;
    shell("rhizome run --profile agent fail");
    ended_with(1);
    has(said.err, "out of ideas");
}

static void a_run_that_takes_too_long_is_cancelled_and_exits_five(void **state)
{
    (void)state;
    shell("rhizome run --executor echo --child slow --timeout 1 '__sleep_ms:60000 x'");
    ended_with(5);
    has(said.err, "slow timed out after 1 s (--timeout): cancelled\n");
    has_not(said.err, "by parent");
    shell("rhizome wait slow");
    ended_with(4);
}

static void the_first_interrupt_cancels_and_waits_for_the_end(void **state)
{
    process_t run = { 0 };
    char log[256];
    snprintf(log, sizeof log, "%s/run.log", rig_dir(*state));
    const char *argv[] = { "rhizome", "run",   "--executor",         "echo",
                           "--child", "c-int", "__sleep_ms:60000 x", NULL };
    process_start(&run, argv, log, 0);
    await_state("c-int", "running");
    int status = process_end(&run, SIGINT, RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 4);
}

static void the_second_interrupt_detaches_and_the_child_goes_on(void **state)
{
    process_t run = { 0 };
    char log[256];
    snprintf(log, sizeof log, "%s/run.log", rig_dir(*state));
    const char *argv[] = { "rhizome", "run",   "--executor",         "echo",
                           "--child", "c-two", "__sleep_ms:60000 x", NULL };
    process_start(&run, argv, log, 0);
    await_state("c-two", "running");
    kill(rig_broker_pid(*state), SIGSTOP); /* so that the cancel cannot end it before we detach */
    kill(run.pid, SIGINT);
    /* blocked signals do not queue: the second counts when the first was taken */
    await_call("grep -c cancelling %s", log);
    int status = process_end(&run, SIGINT, RIG_PATIENCE_MS);
    kill(rig_broker_pid(*state), SIGCONT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    shell("cat %s", log);
    has(said.out, "rhizome wait c-two");
}

static void a_run_tells_what_it_waits_for_and_goes_on(void **state)
{
    process_t run = { 0 };
    char log[256];
    snprintf(log, sizeof log, "%s/run.log", rig_dir(*state));
    const char *argv[] = { "rhizome", "run",    "--executor",         "echo",
                           "--child", "c-mute", "__sleep_ms:60000 x", NULL };
    process_start(&run, argv, log, 0);
    await_state("c-mute", "running");
    kill(rig_broker_pid(*state), SIGSTOP);
    await_call("grep 'no broker answers at tcp://.*: waiting (Ctrl-C cancels, twice detaches)' %s", log);
    kill(rig_broker_pid(*state), SIGCONT);
    await_state("c-mute", "running");
    rig_redis_end(*state, SIGKILL);
    await_call("grep 'the store is away: .*; waiting' %s", log);
    rig_redis_up(*state);
    await_state("c-mute", "running");
    shell("rhizome cancel c-mute --now");
    int status = process_end(&run, 0, RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 4);
}

static void a_survey_streams_its_tools_and_its_findings(void **state)
{
    shell("mkdir %s/ground && printf 'a\\nb\\n' >%s/ground/one.c && echo c >%s/ground/two.py",
          rig_dir(*state), rig_dir(*state), rig_dir(*state));
    ended_with(0);
    shell("rhizome run --profile survey 'Survey the folder %s/ground.'", rig_dir(*state));
    ended_with(0);
    has(said.out, "ground holds 2 files with 3 lines");
    has(said.err, "tool_start list_files");
    has(said.err, "tool_complete ok: 2 files");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(run_prints_the_tokens_and_then_the_result, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(run_reads_its_text_from_standard_input, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(run_as_json_is_one_line_an_event_and_ends_with_the_result, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_hundred_runs_lose_no_first_token, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_failing_child_makes_exit_code_one_and_its_error_is_told, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_run_that_takes_too_long_is_cancelled_and_exits_five, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(the_first_interrupt_cancels_and_waits_for_the_end, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(the_second_interrupt_detaches_and_the_child_goes_on, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_run_tells_what_it_waits_for_and_goes_on, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(a_survey_streams_its_tools_and_its_findings, rig_with_agents, rig_away),
};
/* clang-format on */

RZ_FACTS(tests)
