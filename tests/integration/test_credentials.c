/* test_credentials.c - providers' keys under the whole fleet: who gets which, what happens without one, and what
 * happens when the file changes. */
#include "facts.h"
#include "process.h"
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* `keyed` answers with its key, `waits` once it is steered. */
#define PROFILE(id, script)                                                                                  \
    "\"" id "\":{\"agent_id\":\"" id "\",\"protocol\":\"actor\",\"permission_profile\":\"\","                \
    "\"executor\":\"command\",\"command\":\"/bin/sh\",\"args\":[\"-c\",\"" script "\"],"                     \
    "\"credential_env\":{\"KEY\":\"api_key\"}}"
static const char agents[] =
    "\"externalAgents\":{" PROFILE("keyed", "read run; printf %s ${KEY-none}") "," PROFILE(
        "waits", "read run; echo ready; read go; printf %s ${KEY-none}") "}";

typedef struct {
    char dir[64], keys[96];
    rig_t *rig;
} desk_t;

static void put_keys(const desk_t *desk, const char *text, mode_t mode)
{
    char fresh[128];
    snprintf(fresh, sizeof fresh, "%s/fresh", desk->dir);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    assert_int_equal(rename(fresh, desk->keys), 0);
}

static desk_t *open_desk(void)
{
    desk_t *desk = calloc(1, sizeof *desk);
    assert_non_null(desk);
    snprintf(desk->dir, sizeof desk->dir, "/tmp/rz-keys-XXXXXX");
    assert_non_null(mkdtemp(desk->dir));
    snprintf(desk->keys, sizeof desk->keys, "%s/keys.json", desk->dir);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-1\"},\"b\":{\"api_key\":\"b-1\"}}", 0600);
    return desk;
}

static int desk_with(void **state, const char *const *flags)
{
    desk_t *desk = open_desk();
    char config[2048];
    snprintf(config, sizeof config, "\"runner\":{\"credentials\":\"%s\"},%s", desk->keys, agents);
    desk->rig = rig_up(&(rig_options_t){ .runners = 1, .config = config, .runner = flags });
    *state = desk;
    return 0;
}

static int desk_up(void **state)
{
    return desk_with(state, NULL);
}

static int desk_that_warns(void **state)
{
    static const char *const flags[] = { "--runner-missing-credential=warn", NULL };
    return desk_with(state, flags);
}

static int desk_with_default(void **state)
{
    static const char *const flags[] = { "--runner-default-provider=b", NULL };
    return desk_with(state, flags);
}

/* The first worker of this runner never registers; the mark says that it was started. */
static int desk_with_a_mute_worker(void **state)
{
    desk_t *desk = open_desk();
    char config[2048], program[128];
    snprintf(program, sizeof program, "%s/worker", desk->dir);
    FILE *file = fopen(program, "w");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\n[ -e %s/mark ] || { touch %s/mark; exec sleep 1000; }\nexec %s/rhizome-worker\n",
            desk->dir, desk->dir, getenv("RZ_BIN_DIR"));
    fclose(file);
    assert_int_equal(chmod(program, 0700), 0);
    snprintf(config, sizeof config, "\"runner\":{\"credentials\":\"%s\",\"worker_bin\":\"%s\"},%s",
             desk->keys, program, agents);
    desk->rig = rig_up(&(rig_options_t){ .runners = 1, .config = config });
    *state = desk;
    return 0;
}

static int desk_alone(void **state)
{
    *state = open_desk();
    return 0;
}

static int desk_down(void **state)
{
    desk_t *desk = *state;
    if (desk->rig != NULL)
        rig_down(&desk->rig);
    const char *const files[] = { "keys.json", "worker", "mark" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", desk->dir, files[i]);
        unlink(path); /* not every desk has all */
    }
    rmdir(desk->dir);
    free(desk);
    return 0;
}

/* ---- children ---- */

/* provider "": none is named. */
static void submit(const desk_t *desk, const char *child, const char *profile, const char *provider)
{
    cJSON *reply =
        rig_ask(desk->rig,
                "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\","
                "\"require\":{\"profile\":\"%s\"},\"session\":{\"id\":\"%s\",\"kind\":\"child\","
                "\"metadata\":{\"provider_name\":\"%s\"},"
                "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}}}",
                child, profile, child, provider);
    if (strcmp(rig_text(reply, "code"), "OK") != 0)
        fail_msg("receipt: %s", cJSON_PrintUnformatted(reply));
    cJSON_Delete(reply);
}

static void answers(const desk_t *desk, const char *child, const char *key)
{
    char status[32], role[16], content[256];
    rig_wait(desk->rig, child, status);
    rig_last_message(desk->rig, child, role, content, sizeof content);
    assert_string_equal(status, "completed");
    assert_string_equal(content, key);
}

static void child_gets(const desk_t *desk, const char *child, const char *provider, const char *key)
{
    submit(desk, child, "keyed", provider);
    answers(desk, child, key);
}

/* The one worker of the runner. */
static pid_t worker(const desk_t *desk)
{
    pid_t pids[8];
    assert_int_equal(rig_descendants(desk->rig, 0, pids, 8), 1);
    return pids[0];
}

static void await_no_worker(const desk_t *desk)
{
    pid_t pids[8];
    for (uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
         rig_descendants(desk->rig, 0, pids, 8) > 0;) {
        if (process_now_ms() > deadline)
            fail_msg("worker %d stays", (int)pids[0]);
        poll(NULL, 0, 5); /* processes tell nobody but their parent that they end */
    }
}

static size_t count_in_log(const desk_t *desk, const char *word)
{
    char path[200], line[4096];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/runner-0.log", rig_dir(desk->rig));
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log) != NULL)
        n += strstr(line, word) != NULL;
    fclose(log);
    return n;
}

static void await_in_log(const desk_t *desk, const char *word)
{
    for (uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS; count_in_log(desk, word) == 0;) {
        if (process_now_ms() > deadline)
            fail_msg("no %s in the log", word);
        poll(NULL, 0, 5);
    }
}

/* ---- who gets which ---- */

static void each_child_gets_the_key_of_its_provider(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "a", "a-1");
    child_gets(desk, "c2", "b", "b-1");
    child_gets(desk, "c3", "a", "a-1");
    child_gets(desk, "c4", "", "none");
}

static void a_child_that_names_no_provider_gets_the_key_of_the_default_one(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "", "b-1");
    child_gets(desk, "c2", "a", "a-1");
}

/* ---- without one ---- */

static void a_child_without_a_credential_ends_with_a_sentence_that_names_it(void **state)
{
    const desk_t *desk = *state;
    char status[32];
    submit(desk, "c1", "keyed", "nobody");
    rig_wait(desk->rig, "c1", status);
    assert_string_equal(status, "error");
    cJSON *reply = rig_ask(desk->rig, "{\"op\":\"get\",\"child\":\"c1\"}");
    const char *error = rig_text(reply, "activation.error");
    if (strstr(error, "No credential for provider \"nobody\"") != error ||
        strstr(error, "runner.credentials") == NULL)
        fail_msg("%s", error);
    cJSON_Delete(reply);
    assert_int_equal(rig_descendants(desk->rig, 0, (pid_t[8]){ 0 }, 8),
                     0); /* no worker was started for that */
}

static void when_told_to_warn_it_runs_without_one(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "nobody", "none");
    assert_int_equal(count_in_log(desk, "run.no_credential child=c1 provider=nobody"), 1);
    child_gets(desk, "c2", "a", "a-1");
}

/* ---- the file changes ---- */

static void a_replaced_key_reaches_the_next_child_and_the_old_worker_leaves(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "a", "a-1");
    worker(desk);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-2\"},\"b\":{\"api_key\":\"b-1\"}}", 0600);
    await_no_worker(desk);
    child_gets(desk, "c2", "a", "a-2");
}

static void await_mark(const desk_t *desk)
{
    char path[128];
    snprintf(path, sizeof path, "%s/mark", desk->dir);
    for (uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS; access(path, F_OK) != 0;) {
        if (process_now_ms() > deadline)
            fail_msg("no worker was started");
        poll(NULL, 0, 5);
    }
}

static void a_run_whose_worker_is_still_coming_gets_the_replaced_key(void **state)
{
    const desk_t *desk = *state;
    submit(desk, "c1", "keyed", "a");
    await_mark(desk);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-2\"}}", 0600);
    answers(desk, "c1", "a-2");
}

static void a_worker_whose_key_stays_stays(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "b", "b-1");
    pid_t warm = worker(desk);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-2\"},\"b\":{\"api_key\":\"b-1\"}}", 0600);
    await_in_log(desk, "credentials.changed");
    child_gets(desk, "c2", "b", "b-1");
    assert_int_equal(worker(desk), warm);
}

static void a_run_that_is_on_ends_with_the_key_it_began_with_and_its_worker_leaves(void **state)
{
    const desk_t *desk = *state;
    rig_sub_t *sub = rig_subscribe(desk->rig, "root/c1/");
    submit(desk, "c1", "waits", "a");
    rig_event_t event;
    for (bool ready = false; !ready; rig_event_fini(&event)) {
        assert_true(rig_event_next(sub, &event, RIG_PATIENCE_MS));
        ready = strcmp(rig_text(event.event, "event.content"), "ready\n") == 0;
    }
    rig_sub_close(&sub);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-2\"}}", 0600);
    await_in_log(desk, "credentials.changed");
    cJSON_Delete(rig_ask(desk->rig, "{\"op\":\"send\",\"child\":\"c1\",\"text\":\"go\"}"));
    char status[32];
    rig_wait(desk->rig, "c1", status);
    assert_string_equal(status, "completed");
    cJSON *reply = rig_ask(desk->rig, "{\"op\":\"session_get\",\"child\":\"c1\"}");
    char *text = cJSON_PrintUnformatted(reply);
    assert_non_null(strstr(text, "\"ready\\na-1\"")); /* the message it was steered with stands behind */
    cJSON_free(text);
    cJSON_Delete(reply);
    await_no_worker(desk);
    child_gets(desk, "c2", "a", "a-2");
}

static void a_bad_new_file_is_logged_and_changes_nothing(void **state)
{
    const desk_t *desk = *state;
    child_gets(desk, "c1", "a", "a-1");
    pid_t warm = worker(desk);
    put_keys(desk, "{\"a\":{\"api_key\":\"a-2\"}}", 0644);
    await_in_log(desk, "credentials.kept_old");
    assert_int_equal(count_in_log(desk, "0644"), 1);
    child_gets(desk, "c2", "a", "a-1");
    assert_int_equal(worker(desk), warm);
}

/* Asks until the runner's facts say so: they travel with its next heartbeat. */
static void await_facts(const desk_t *desk, const char *credentials)
{
    for (uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;;) {
        cJSON *reply = rig_ask(desk->rig, "{\"op\":\"runners\"}");
        char *text = cJSON_PrintUnformatted(reply);
        bool told = strstr(text, credentials) != NULL;
        if (!told && process_now_ms() > deadline)
            fail_msg("%s", text);
        cJSON_free(text);
        cJSON_Delete(reply);
        if (told)
            return;
        poll(NULL, 0, 20);
    }
}

static void a_runner_tells_whose_keys_it_has(void **state)
{
    const desk_t *desk = *state;
    await_facts(desk, "\"credentials\":[\"a\",\"b\"]");
    put_keys(desk, "{\"z\":{\"api_key\":\"z-1\"}}", 0600);
    await_facts(desk, "\"credentials\":[\"z\"]");
}

/* ---- starting ---- */

static int exit_code_of(const desk_t *desk, const char *check, char log[128])
{
    char path[300], keys[128], state[128];
    const char *bin = getenv("RZ_BIN_DIR");
    assert_non_null(bin);
    snprintf(path, sizeof path, "%s/rhizome-runner", bin);
    snprintf(keys, sizeof keys, "--runner-credentials=%s", desk->keys);
    snprintf(state, sizeof state, "--runner-state-dir=%s/state", desk->dir);
    snprintf(log, 128, "%s/log", desk->dir);
    const char *argv[] = { path, keys, state, check, NULL };
    process_t process;
    process_start(&process, argv, log, 0);
    int status = process_end(&process, 0, RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void log_says(char path[128], const char *word)
{
    char text[4096];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    if (strstr(text, word) == NULL)
        fail_msg("%s", text);
}

static void a_runner_refuses_to_start_with_a_file_that_others_may_read(void **state)
{
    const desk_t *desk = *state;
    char log[128];
    put_keys(desk, "{\"a\":{\"api_key\":\"a-1\"}}", 0644);
    assert_int_equal(exit_code_of(desk, NULL, log), 78);
    log_says(log, "has mode 0644, must be closed to group and others (chmod 600)");
    assert_int_equal(exit_code_of(desk, "--check-config", log), 78);
    log_says(log, "rhizome-runner: runner.credentials: ");
    assert_int_equal(chmod(desk->keys, 0600), 0);
    assert_int_equal(exit_code_of(desk, "--check-config", log), 0);
    log_says(log, "");
}

static void a_runner_refuses_to_start_with_another_word_for_missing_credentials(void **state)
{
    const desk_t *desk = *state;
    char log[128];
    assert_int_equal(exit_code_of(desk, "--runner-missing-credential=ignore", log), 78);
    log_says(log, "runner.missing_credential: found \"ignore\" in flag --runner-missing-credential, "
                  "allowed: one of error, warn");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(each_child_gets_the_key_of_its_provider, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_child_that_names_no_provider_gets_the_key_of_the_default_one, desk_with_default, desk_down),
    cmocka_unit_test_setup_teardown(a_child_without_a_credential_ends_with_a_sentence_that_names_it, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(when_told_to_warn_it_runs_without_one, desk_that_warns, desk_down),
    cmocka_unit_test_setup_teardown(a_replaced_key_reaches_the_next_child_and_the_old_worker_leaves, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_run_whose_worker_is_still_coming_gets_the_replaced_key, desk_with_a_mute_worker, desk_down),
    cmocka_unit_test_setup_teardown(a_worker_whose_key_stays_stays, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_run_that_is_on_ends_with_the_key_it_began_with_and_its_worker_leaves, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_bad_new_file_is_logged_and_changes_nothing, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_runner_tells_whose_keys_it_has, desk_up, desk_down),
    cmocka_unit_test_setup_teardown(a_runner_refuses_to_start_with_a_file_that_others_may_read, desk_alone, desk_down),
    cmocka_unit_test_setup_teardown(a_runner_refuses_to_start_with_another_word_for_missing_credentials, desk_alone, desk_down),
};
/* clang-format on */

RZ_FACTS(tests)
