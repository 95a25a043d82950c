/* test_cli.c - the command line as a person uses it: what stands on stdout, what on stderr, and the exit
 * code.
 *
 * Every call is a line of shell with the real program in it; RHIZOME_CONTROL names the rig's broker. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX 65536

typedef struct {
    char out[TEXT_MAX], err[TEXT_MAX];
    int code;
} said_t;

static said_t said; /* of the last shell() */

static const char *bin_dir(void)
{
    const char *bin = getenv("RZ_BIN_DIR");
    if (bin == NULL)
        fail_msg("RZ_BIN_DIR must name the folder of the programs (ctest sets it)");
    return bin;
}

/* Programs of the build first, no settings of the caller's, RHIZOME_CONTROL as given ("" for none). */
static void environment(const char *control)
{
    char path[4096];
    const char *now = getenv("PATH");
    if (now != NULL && strncmp(now, bin_dir(), strlen(bin_dir())) != 0) {
        snprintf(path, sizeof path, "%s:%s", bin_dir(), now);
        setenv("PATH", path, 1);
    }
    setenv("RHIZOME_CONTROL", control, 1);
    setenv("NO_COLOR", "1", 1);
    unsetenv("RHIZOME_CONFIG");
}

static size_t slurp(FILE *file, char *out, size_t max)
{
    size_t n = fread(out, 1, max - 1, file);
    out[n] = '\0';
    return n;
}

/* Runs a line of shell. */
static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *fmt, ...)
{
    char line[8192], command[9000], errors[] = "/tmp/rhizome-cli-XXXXXX";
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    int fd = mkstemp(errors);
    assert_true(fd >= 0);
    snprintf(command, sizeof command, "{ %s ; } 2>%s", line, errors);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): the lines stand in this file */
    assert_non_null(pipe);
    slurp(pipe, said.out, sizeof said.out);
    int status = pclose(pipe);
    said.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *file = fdopen(fd, "r");
    slurp(file, said.err, sizeof said.err);
    fclose(file);
    unlink(errors);
}

/* The last call ended so; if not, all of what it said is shown. */
static void ended_with(int code)
{
    if (said.code != code)
        fail_msg("exit code %d, not %d\nstdout: %s\nstderr: %s", said.code, code, said.out, said.err);
}

static void out_is(const char *text)
{
    if (strcmp(said.out, text) != 0)
        fail_msg("stdout is\n%s\nnot\n%s\nstderr: %s", said.out, text, said.err);
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static int rig_with_agents(void **state)
{
    static char config[1024];
    snprintf(
        config, sizeof config,
        "\"externalAgents\":{\"agent\":{\"agent_id\":\"agent\",\"protocol\":\"actor\",\"permission_profile\":"
        "\"test\",\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/tests/integration/"
        "agent.py\"]},"
        "\"survey\":{\"agent_id\":\"survey\",\"protocol\":\"actor\",\"permission_profile\":\"read\","
        "\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/ops/agents/survey.py\"]}}",
        RZ_SOURCE_DIR, RZ_SOURCE_DIR);
    rig_t *rig = rig_up(&(rig_options_t){ .runners = 1, .config = config });
    environment(rig_endpoint(rig, "control"));
    *state = rig;
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

static void await_running(const char *child)
{
    do {
        shell("rhizome ps | grep '^%s .* running '", child);
    } while (said.code != 0);
}

/* ---- run ---- */

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
    await_running("c-int");
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
    await_running("c-two");
    kill(rig_broker_pid(*state), SIGSTOP); /* so that the cancel cannot end it before we detach */
    kill(run.pid, SIGINT);
    do { /* blocked signals do not queue: the second counts when the first was taken */
        shell("grep -c cancelling %s", log);
    } while (said.code != 0);
    int status = process_end(&run, SIGINT, RIG_PATIENCE_MS);
    kill(rig_broker_pid(*state), SIGCONT);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    shell("cat %s", log);
    has(said.out, "rhizome wait c-two");
}

static void a_survey_streams_its_tools_and_its_findings(void **state)
{
    (void)state;
    shell("rhizome run --profile survey 'Survey the folder %s/ops/agents.'", RZ_SOURCE_DIR);
    ended_with(0);
    has(said.out, "agents holds 1 files with");
    has(said.err, "tool_start list_files");
    has(said.err, "tool_complete ok: 1 files");
}

/* ---- children ---- */

#define JOB(child, profile, text)                                                                            \
    "{\"parent_session_id\":\"p\",\"child_session_id\":\"" child "\",\"require\":{\"profile\":\"" profile    \
    "\"},\"session\":{\"id\":\"" child                                                                       \
    "\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}}"

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

static void send_steers_a_running_child(void **state)
{
    (void)state;
    shell("rhizome submit '%s'", JOB("s", "agent", "wait for a word"));
    await_running("s");
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
    assert_null(strstr(said.out, "other"));
}

static void logs_are_what_the_worker_wrote_to_stderr(void **state)
{
    (void)state;
    shell("rhizome run --quiet --child f --profile agent fail; rhizome logs f");
    ended_with(0);
    has(said.out, "out of ideas");
}

/* ---- the house ---- */

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

/* ---- without a house ---- */

static int nothing_up(void **state)
{
    (void)state;
    environment("tcp://127.0.0.1:9");
    return 0;
}

static void no_broker_is_exit_code_69_and_names_the_remedy(void **state)
{
    (void)state;
    shell("rhizome ps");
    ended_with(69);
    out_is("");
    has(said.err, "connection refused");
    has(said.err, "rhizome up");
    has(said.err, "RHIZOME_CONTROL");
    shell("rhizome store check --redis-url redis://:hush@127.0.0.1:1");
    ended_with(69);
    assert_null(strstr(said.err, "hush"));
}

static void wrong_use_is_exit_code_two(void **state)
{
    (void)state;
    static const char *const lines[] = { "rhizome",
                                         "rhizome nonsense",
                                         "rhizome run",
                                         "rhizome run a b",
                                         "rhizome run --what x",
                                         "rhizome ps --limit many",
                                         "rhizome run --child ../x text",
                                         "rhizome session",
                                         "rhizome wait" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        shell("%s </dev/null", lines[i]);
        ended_with(2);
    }
}

static void every_verb_has_help_with_examples(void **state)
{
    (void)state;
    shell("rhizome help | sed -n 's/^  \\([a-z]*\\( [a-z]*\\)\\{0,1\\}\\)   *.*/\\1/p' | grep -v '^rhizome' "
          "| sort -u");
    int count = 0;
    char *verbs = strdup(said.out), *rest = verbs;
    for (char *verb; (verb = strtok_r(rest, "\n", &rest)) != NULL; count++) {
        shell("rhizome %s --help", verb);
        ended_with(0);
        has(said.out, "usage: rhizome ");
        has(strstr(said.out, "Examples"), "rhizome ");
    }
    free(verbs);
    assert_int_equal(count, 19);
}

static void a_bad_configuration_is_exit_code_78_and_names_key_and_value(void **state)
{
    (void)state;
    shell("f=$(mktemp); echo '{\"runner\":{\"slots\":0}} // none' > $f; rhizome config check $f; c=$?; rm "
          "$f; exit $c");
    ended_with(78);
    has(said.err, "runner.slots");
    has(said.err, "found 0");
    shell("f=$(mktemp); echo '{\"runner\":{\"slots\":3}} // three' > $f; rhizome config check $f; c=$?; rm "
          "$f; exit $c");
    ended_with(0);
}

static void config_dump_tells_the_source_of_each_value(void **state)
{
    (void)state;
    shell("RHIZOME_RUNNER_SLOTS=3 rhizome config dump --log-level warn --json");
    ended_with(0);
    cJSON *dump = cJSON_Parse(said.out);
    const cJSON *slots = cJSON_GetObjectItemCaseSensitive(dump, "runner.slots");
    assert_string_equal(rig_text(slots, "source"), "env");
    assert_string_equal(rig_text(cJSON_GetObjectItemCaseSensitive(dump, "log.level"), "source"), "flag");
    cJSON_Delete(dump);
}

/* ---- up ---- */

typedef struct {
    process_t up;
    char dir[64], log[80];
} house_t;

/* Free ports: several of these may be up at once, and somebody's own on the default ones. */
#define ANY "tcp://127.0.0.1:*"
#define FREE_PORTS                                                                                           \
    "--broker-jobs", ANY, "--broker-control", ANY, "--broker-events", ANY, "--broker-runners", ANY,          \
        "--broker-publish", ANY

static void await_up(house_t *house)
{
    do {
        shell("grep -c 'Ctrl-C stops everything' %s", house->log);
        if (said.code != 0 && waitpid(house->up.pid, NULL, WNOHANG) != 0) {
            process_show_log(house->log);
            fail_msg("rhizome up ended");
        }
    } while (said.code != 0);
}

static int house_up(void **state)
{
    static house_t house;
    house = (house_t){ .dir = "/tmp/rhizome-up-XXXXXX" };
    environment("");
    assert_non_null(mkdtemp(house.dir));
    setenv("RHIZOME_UP_STATE_DIR", house.dir, 1);
    snprintf(house.log, sizeof house.log, "%s/up.log", house.dir);
    const char *argv[] = { "rhizome", "up", "--runners", "2", FREE_PORTS, NULL };
    process_start(&house.up, argv, house.log, 0);
    await_up(&house);
    *state = &house;
    return 0;
}

static int house_down(void **state)
{
    house_t *house = *state;
    if (house->up.pid != 0)
        process_end(&house->up, SIGINT, 2 * RIG_PATIENCE_MS);
    unsetenv("RHIZOME_UP_STATE_DIR");
    shell("rm -rf %s", house->dir);
    return 0;
}

static void up_is_found_by_the_other_verbs(void **state)
{
    (void)state;
    shell("rhizome run --executor echo 'hello world'");
    ended_with(0);
    out_is("hello world \necho: hello world\n");
    shell("rhizome runner list | grep -c linked");
    out_is("2\n");
}

static void a_second_up_in_the_same_folder_says_who_runs_it(void **state)
{
    house_t *house = *state;
    char pid[32];
    snprintf(pid, sizeof pid, "pid %d", (int)house->up.pid);
    shell("rhizome up");
    ended_with(75);
    has(said.err, pid);
}

static void up_stops_everything_and_leaves_no_process(void **state)
{
    house_t *house = *state;
    pid_t pids[256];
    shell("rhizome run --quiet --executor echo warm");
    size_t n = process_descendants(house->up.pid, pids, 256);
    assert_true(n >= 6); /* redis, broker, two keepers, two runners */
    int status = process_end(&house->up, SIGINT, 2 * RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (size_t i = 0; i < n; i++)
        if (kill(pids[i], 0) == 0 || errno != ESRCH)
            fail_msg("process %d is left over", (int)pids[i]);
    shell("ls %s/context.json", house->dir);
    assert_int_not_equal(said.code, 0);
}

static void a_killed_up_takes_all_its_programs_with_it(void **state)
{
    house_t *house = *state;
    pid_t pids[256];
    size_t n = process_descendants(house->up.pid, pids, 256);
    assert_true(n >= 6);
    process_end(&house->up, SIGKILL, RIG_PATIENCE_MS);
    for (size_t i = 0; i < n; i++)
        do { /* gone, or a zombie that pid 1 has yet to reap */
            shell("grep -E '^State:[[:space:]]+[^ZX]' /proc/%d/status", (int)pids[i]);
        } while (said.code == 0);
}

static void up_starts_a_killed_broker_again(void **state)
{
    house_t *house = *state;
    shell("kill -9 $(pgrep -P %d -x rhizome-broker)", (int)house->up.pid);
    ended_with(0);
    do {
        shell("grep 'broker ended (signal 9)' %s", house->log);
    } while (said.code != 0);
    do { /* it is back when it answers */
        shell("rhizome run --quiet --executor echo again");
    } while (said.code == 69);
    ended_with(0);
    out_is("again \necho: again\n");
}

static void up_ends_loudly_when_its_redis_dies(void **state)
{
    house_t *house = *state;
    shell("kill -9 $(pgrep -P %d -x redis-server)", (int)house->up.pid);
    ended_with(0);
    int status = process_end(&house->up, 0, 2 * RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 69);
    shell("cat %s", house->log);
    has(said.out, "REDIS ENDED (signal 9)");
}

static void data_outlives_an_up(void **state)
{
    house_t *house = *state;
    shell("rhizome run --quiet --child kept --executor echo before");
    ended_with(0);
    process_end(&house->up, SIGTERM, 2 * RIG_PATIENCE_MS);
    shell("rm %s", house->log);
    const char *argv[] = { "rhizome", "up", FREE_PORTS, NULL };
    process_start(&house->up, argv, house->log, 0);
    await_up(house);
    shell("rhizome session show kept");
    ended_with(0);
    has(said.out, "echo: before");
}

static void a_second_host_joins_with_runners_of_its_own(void **state)
{
    house_t *house = *state;
    process_t joined = { 0 };
    char log[128], other[128], address[256];
    shell("sed -n 's|.*\"control\":[[:space:]]*\"tcp://\\([^\"]*\\)\".*|\\1|p' %s/context.json", house->dir);
    snprintf(address, sizeof address, "%.*s", (int)strcspn(said.out, "\n"), said.out);
    snprintf(other, sizeof other, "%s/other", house->dir);
    snprintf(log, sizeof log, "%s/joined.log", house->dir);
    const char *argv[] = { "rhizome",         "up",  "--join", address, "--up-state-dir", other,
                           "--runner-labels", "far", NULL };
    process_start(&joined, argv, log, 0);
    shell("rhizome run --quiet --label far --executor echo there");
    int code = said.code;
    process_end(&joined, SIGINT, 2 * RIG_PATIENCE_MS);
    if (code != 0)
        process_show_log(log);
    ended_with(0);
    has(said.out, "echo: there\n");
}

/* ---- the demo ---- */

static void the_demo_ends_as_it_should_and_leaves_no_process(void **state)
{
    (void)state;
    shell("%s/ops/demo --bin %s", RZ_SOURCE_DIR, bin_dir());
    ended_with(0);
    has(said.out, "left over: 0");
    has(said.out, "All as it should be.");
    assert_null(strchr(said.out, '\033')); /* plain: its stdout is no terminal */
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
    cmocka_unit_test_setup_teardown(a_survey_streams_its_tools_and_its_findings, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(submit_takes_a_job_as_its_argument, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(submit_answers_every_line_and_exits_with_the_worst, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(submit_takes_one_job_written_over_several_lines, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_exits_with_the_worst_of_its_children, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(wait_gives_up_in_time, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(ps_lists_children_with_their_outcome, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(send_steers_a_running_child, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(cancelling_what_has_ended_says_so, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(watch_prints_the_events_of_a_parent_only, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(logs_are_what_the_worker_wrote_to_stderr, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(sessions_are_put_shown_and_guarded_by_their_rev, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(runners_and_status_are_told, rig_with_agents, rig_away),
    cmocka_unit_test_setup_teardown(no_broker_is_exit_code_69_and_names_the_remedy, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(wrong_use_is_exit_code_two, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(every_verb_has_help_with_examples, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_bad_configuration_is_exit_code_78_and_names_key_and_value, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(config_dump_tells_the_source_of_each_value, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(up_is_found_by_the_other_verbs, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_second_up_in_the_same_folder_says_who_runs_it, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_stops_everything_and_leaves_no_process, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_killed_up_takes_all_its_programs_with_it, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_starts_a_killed_broker_again, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_ends_loudly_when_its_redis_dies, house_up, house_down),
    cmocka_unit_test_setup_teardown(data_outlives_an_up, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_second_host_joins_with_runners_of_its_own, house_up, house_down),
    cmocka_unit_test_setup_teardown(the_demo_ends_as_it_should_and_leaves_no_process, nothing_up, NULL),
};
/* clang-format on */

RZ_FACTS(tests)
