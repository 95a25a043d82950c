/* test_join.c - keys as a person meets them: `rhizome up` for other hosts, `rhizome key`, and a second host that joins. */
#include "cli.h"

#include "outside.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OPEN "tcp://0.0.0.0:*"

typedef struct {
    process_t up, joined;
    char dir[64];
} houses_t;
static houses_t houses;

static void await_line(process_t *process, const char *line)
{
    uint64_t deadline = process_now_ms() + 2 * RIG_PATIENCE_MS;
    do {
        shell("grep -c '%s' %s", line, process->log);
        if (said.code != 0 && (waitpid(process->pid, NULL, WNOHANG) != 0 || process_now_ms() > deadline)) {
            process_show_log(process->log);
            fail_msg("it is not up");
        }
    } while (said.code != 0);
}

static int up_for_others(void **state)
{
    (void)state;
    char log[80];
    houses = (houses_t){ .dir = "/tmp/rhizome-join-XXXXXX" };
    environment("");
    assert_non_null(mkdtemp(houses.dir));
    setenv("RHIZOME_UP_STATE_DIR", houses.dir, 1);
    snprintf(log, sizeof log, "%s/up.log", houses.dir);
    const char *argv[] = { "rhizome",
                           "up",
                           "--broker-jobs",
                           OPEN,
                           "--broker-control",
                           OPEN,
                           "--broker-events",
                           OPEN,
                           "--broker-runners",
                           OPEN,
                           "--broker-publish",
                           OPEN,
                           "--broker-http",
                           "tcp://127.0.0.1:*",
                           NULL };
    process_start(&houses.up, argv, log, 0);
    await_line(&houses.up, "Ctrl-C stops everything");
    return 0;
}

static int all_down(void **state)
{
    (void)state;
    process_end(&houses.joined, SIGINT, 2 * RIG_PATIENCE_MS);
    process_end(&houses.up, SIGINT, 2 * RIG_PATIENCE_MS);
    unsetenv("RHIZOME_UP_STATE_DIR");
    shell("rm -rf %s", houses.dir);
    return 0;
}

static void join_with(const char *key)
{
    char log[80], folder[80], control[128];
    shell("/usr/bin/python3 -c 'import json; print(json.load(open(\"%s/context.json\"))[\"control\"]"
          ".replace(\"0.0.0.0\", \"127.0.0.1\"), end=\"\")'",
          houses.dir);
    ended_with(0);
    snprintf(control, sizeof control, "%.127s", said.out);
    snprintf(log, sizeof log, "%s/joined.log", houses.dir);
    snprintf(folder, sizeof folder, "%s/joined", houses.dir);
    const char *argv[] = { "rhizome",         "up",  "--up-state-dir", folder, "--join", control,
                           "--runner-labels", "far", "--key",          key,    NULL };
    if (key == NULL)
        argv[8] = NULL;
    process_start(&houses.joined, argv, log, 0);
}

static void a_second_host_joins_with_the_key_that_was_made_for_it(void **state)
{
    (void)state;
    char key[100];
    shell("rhizome run --executor echo here");
    ended_with(0);
    snprintf(key, sizeof key, "%s/host2.key", houses.dir);
    shell("rhizome key new host2 --role runner --out %s", key);
    ended_with(0);
    join_with(key);
    await_line(&houses.joined, "rhizome is up");
    shell("rhizome run --label far --executor echo 'far away'");
    ended_with(0);
    has(said.out, "echo: far away");
}

static void who_joined_hears_that_its_key_was_revoked_and_ends(void **state)
{
    (void)state;
    char key[100];
    snprintf(key, sizeof key, "%s/host2.key", houses.dir);
    shell("rhizome key new host2 --role runner --out %s", key);
    join_with(key);
    await_line(&houses.joined, "rhizome is up");
    shell("rhizome key revoke host2");
    ended_with(0);
    await_call("rhizome runner list --json | grep -q host2 && ! rhizome runner list | grep 'host2.*linked'");
    int status = process_end(&houses.joined, 0, 2 * RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
    shell("grep -c 'refuses our key' %s/joined.log", houses.dir);
    out_is("2\n"); /* at first, and at last */
}

static void who_has_no_key_joins_nothing_and_asks_nothing(void **state)
{
    (void)state;
    join_with(NULL);
    int status = process_end(&houses.joined, 0, RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
    shell("grep -c 'it asks for a key' %s/joined.log", houses.dir);
    ended_with(0);
}

static void keys_are_files_of_ones_own_and_the_list_is_told(void **state)
{
    (void)state;
    struct stat info;
    char path[128];
    snprintf(path, sizeof path, "%s/ci.key", houses.dir);
    shell("rhizome key new ci --role producer --parents 'ci-*' --tenant acme --out %s", path);
    ended_with(0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    shell("rhizome key list");
    has(said.out, "parents ci-*, tenant acme");
    shell("rhizome run --key %s --executor echo x", path);
    ended_with(77);
    has(said.err, "a key of role client; `submit` and `wait` work with this one");
    shell("rhizome key new host3 --role runner --out %s.4 && rhizome key list", path);
    has(said.out, "runners host3, host3-*\n");
    shell("rhizome key new ci --role producer --out %s", path);
    ended_with(75); /* the file is there */
    shell("rhizome key new ci --role producer --out %s.2", path);
    ended_with(75); /* the name is there */
    has(said.err, "a key named ci is on the list already: revoke it, or take another name\n");
    shell("rhizome key allow ci 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID' --role runner");
    ended_with(75);
    shell("rhizome key new dash --role subscriber --parents x --out %s.3", path);
    ended_with(2);
    has(said.err, "--parents is for producers; a subscriber takes --topics\n");
    shell("test ! -e %s.2 && test ! -e %s.3", path, path);
    ended_with(0);
    shell("rhizome key revoke ci");
    ended_with(0);
    has(said.err, "revoked ci: ");
    shell("rhizome ps --key %s", path);
    ended_with(77);
    has(said.err, "refuses this key");
    has_not(said.err, "rhizome up");
    shell(
        "rhizome key new ops --role admin --out %s.ops && rhizome key new more --role client --security-key %s.ops "
        "--security-allow %s/keys/allow.json --out %s.more",
        path, path, houses.dir, path);
    ended_with(0);
    shell("sed 's/.*\"server_key\":\"\\([^\"]*\\)\".*/\\1/' %s.ops %s.more | uniq | wc -l", path, path);
    out_is("1\n"); /* it is for the same brokers as the key that was there */
    shell("rhizome key revoke nobody");
    ended_with(3);
    shell("rhizome submit --key %s --help >/dev/null && chmod 644 %s && rhizome status --key %s", path, path,
          path);
    has(said.err, "chmod 600");
}

/* As anybody may who can open the folder. */
static void who_locks_the_folder_keeps_nobody_from_revoking(void **state)
{
    (void)state;
    shell("rhizome key new ci --role producer --out %s/ci.key", houses.dir);
    ended_with(0);
    shell("flock %s/keys timeout 10 rhizome key revoke ci", houses.dir);
    ended_with(0);
    shell("stat -c %%a %s/keys/allow.json.lock", houses.dir);
    out_is("600\n");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_second_host_joins_with_the_key_that_was_made_for_it, up_for_others, all_down),
    cmocka_unit_test_setup_teardown(who_joined_hears_that_its_key_was_revoked_and_ends, up_for_others, all_down),
    cmocka_unit_test_setup_teardown(who_has_no_key_joins_nothing_and_asks_nothing, up_for_others, all_down),
    cmocka_unit_test_setup_teardown(who_locks_the_folder_keeps_nobody_from_revoking, up_for_others, all_down),
    cmocka_unit_test_setup_teardown(keys_are_files_of_ones_own_and_the_list_is_told, up_for_others, all_down),
    /* clang-format on */
};
RZ_FACTS(tests)
