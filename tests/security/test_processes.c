/* test_processes.c - a worker whose program is an enemy (robber.py): what it gets at, and what not, as the runner's own user and
 * as one of its own. Root would get at everything, so as root the facts give the runner to somebody ordinary. */
#include "facts.h"
#include "integration/redis.h"
#include "integration/stand_in.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDINARY 65534 /* nobody */

static stand_in_t s;
static cJSON *found;

static const char *const redis_settings[] = { "--requirepass", "hush", "--unixsocketperm", "700", NULL };

static struct {
    char dir[64];
    redis_t redis;
} house;

/* ---- the house that is to be robbed ---- */

static void write_file(const char *name, const char *text, unsigned owner)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", house.dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(path, owner, owner), 0);
}

/* A program that makes whoever runs it root, if the kernel lets it. */
static void put_suid(void)
{
    char command[256];
    snprintf(command, sizeof command, "cp /usr/bin/id %s/id && chmod 4755 %s/id", house.dir, house.dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

/* owner: of the files, as the runner's user. */
static void furnish(unsigned owner)
{
    char link[128];
    snprintf(house.dir, sizeof house.dir, "/tmp/rz-robbed-XXXXXX");
    assert_non_null(mkdtemp(house.dir));
    assert_int_equal(chmod(house.dir, 0711), 0);
    if (owner != 0)
        assert_int_equal(chown(house.dir, owner, owner), 0);
    redis_up(&house.redis, redis_settings);
    snprintf(link, sizeof link, "%s/redis.sock", house.dir);
    assert_int_equal(symlink(house.redis.socket, link), 0);
    if (owner != 0) {
        assert_int_equal(chown(house.redis.socket, owner, owner), 0);
        assert_int_equal(chown(house.redis.dir, owner, owner), 0);
    }
    write_file("keys.json", "{\"providers\":{\"p\":{\"api_key\":\"sk-canary\"}}}", owner);
    write_file("config.json", "{}", owner);
    put_suid();
}

static int house_away(void **state)
{
    char command[128];
    (void)state;
    stand_in_as(0);
    if (s.runner.pid != 0)
        stand_in_end(&s, SIGKILL);
    cJSON_Delete(found);
    found = NULL;
    redis_down(&house.redis);
    snprintf(command, sizeof command, "rm -rf %s", house.dir);
    return system(command); /* NOLINT(cert-env33-c) */
}

/* ---- the robbery ---- */

/* What robber.py tells of itself; flags: of the runner. */
static void rob(const char *const *flags)
{
    char members[2048], state[96];
    const char *all[24] = { "--runner-state-dir", state };
    size_t n = 2;
    snprintf(state, sizeof state, "%s/state", house.dir); /* which every user can reach */
    while (flags != NULL && *flags != NULL)
        all[n++] = *flags++;
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{\"enemy\":{\"agent_id\":\"enemy\",\"protocol\":\"actor\",\"permission_profile\":\"p\","
        "\"executor\":\"command\",\"command\":\"/usr/bin/python3\",\"args\":[\"" RZ_SOURCE_DIR
        "/tests/security/robber.py\",\"%s\",\"%s/id\"]}}",
        house.dir, house.dir);
    stand_in_up(&s, members, all);
    stand_in_assign(&s, "enemy-1", "enemy", 1, "rob", NULL);
    const seen_t *seen = stand_in_wait(&s, "enemy-1");
    if (strcmp(seen->status, "completed") != 0)
        fail_msg("%s: %s", seen->status, seen->error);
    cJSON *reply = cJSON_Parse(seen->reply);
    found = cJSON_Parse(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(reply, "content")));
    cJSON_Delete(reply);
    if (found == NULL)
        fail_msg("no result in %s", seen->reply);
    assert_int_equal(stand_in_down(&s), 0);
}

static const cJSON *of(const char *part, const char *what)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(found, part);
    const cJSON *item = what != NULL ? cJSON_GetObjectItemCaseSensitive(member, what) : member;
    if (item == NULL)
        fail_msg("nothing of %s %s", part, what != NULL ? what : "");
    return item;
}

static void is(const char *part, const char *what, const char *expected)
{
    const char *got = cJSON_GetStringValue(of(part, what));
    if (got == NULL || strcmp(got, expected) != 0)
        fail_msg("%s %s: %s, not %s", part, what != NULL ? what : "", got != NULL ? got : "no text",
                 expected);
}

static void is_json(const char *part, const char *what, const char *expected)
{
    char *got = cJSON_PrintUnformatted(of(part, what));
    assert_string_equal(got, expected);
    cJSON_free(got);
}

static void nothing_of_memory(const char *process)
{
    static const char *const files[] = { "mem", "environ", "maps", "auxv", "fd" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        is(process, files[i], "EACCES");
    is(process, "trace", "EPERM");
    is(process, "reach", "EPERM");
}

/* ---- facts ---- */

/* As the same user its files are open to it: that takes a user of its own. Their memory is not. */
static void of_the_same_user_memory_is_closed_and_rights_do_not_grow(void **state)
{
    (void)state;
    unsigned user = geteuid() == 0 ? ORDINARY : 0;
    furnish(user);
    stand_in_as(user);
    rob(NULL);
    nothing_of_memory("worker");
    nothing_of_memory("runner");
    nothing_of_memory("keeper");
    is("redis", NULL, "-NOAUTH");
    is("status", "NoNewPrivs", "1");
    is("status", "CapEff", "0000000000000000");
    char id[16];
    snprintf(id, sizeof id, "%u", user != 0 ? user : (unsigned)geteuid());
    is("suid", NULL, id);
}

static int takes_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        exit(77);
    furnish(0);
    return 0;
}

static void with_a_user_of_its_own_nothing_of_the_runner_is_open(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-worker-user", "nobody", NULL };
    rob(flags);
    nothing_of_memory("worker");
    nothing_of_memory("runner");
    nothing_of_memory("keeper");
    is("runner", "kill", "EPERM");
    is("keeper", "kill", "EPERM");
    is("key", NULL, "EACCES");
    is("config", NULL, "EACCES");
    is("redis", NULL, "EACCES");
    is("suid", NULL, "65534");
}

static void that_user_has_no_group_and_no_right_besides(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-worker-user", "nobody", NULL };
    rob(flags);
    is("status", "Uid", "65534\t65534\t65534\t65534");
    is("status", "Gid", "65534\t65534\t65534\t65534");
    is("status", "Groups", "");
    is("status", "CapEff", "0000000000000000");
    is("status", "CapInh", "0000000000000000");
    is("status", "CapAmb", "0000000000000000");
    is("status", "NoNewPrivs", "1");
    is("home", NULL, "/nonexistent");
}

static int furnished(void **state)
{
    (void)state;
    furnish(0);
    return 0;
}

static void a_program_finds_three_descriptors_and_the_variables_that_are_allowed(void **state)
{
    (void)state;
    setenv("RZ_SECRET", "sk-canary", 1);
    setenv("LANG", "C.UTF-8", 1);
    rob((const char *const[]){ "--runner-env-allow", "PATH,LANG", NULL });
    is_json("fds", NULL, "[0,1,2]");
    char *names = cJSON_PrintUnformatted(of("environment", NULL));
    if (strcmp(names, "[\"LANG\",\"PATH\"]") != 0 && strcmp(names, "[\"LANG\",\"LC_CTYPE\",\"PATH\"]") != 0)
        assert_string_equal(names, "[\"LANG\",\"PATH\"]"); /* LC_CTYPE is Python's own */
    cJSON_free(names);
    is_json("group", NULL, "[true,true]"); /* it leads its group, in the session of its worker */
}

static void bounds_are_set_and_cannot_be_raised(void **state)
{
    (void)state;
    static const char *const flags[] = { "--runner-worker-user",
                                         "nobody",
                                         "--runner-limits-open-files",
                                         "100",
                                         "--runner-limits-processes",
                                         "5000",
                                         "--runner-limits-file-mb",
                                         "3",
                                         "--runner-limits-memory-mb",
                                         "2048",
                                         NULL };
    rob(flags);
    is_json("limits", "core", "[0,0]");
    is_json("limits", "open_files", "[100,100]");
    is_json("limits", "processes", "[5000,5000]");
    is_json("limits", "file", "[3145728,3145728]");
    is_json("limits", "memory", "[2147483648,2147483648]");
    is("grow", NULL, "EPERM");
}

static void without_a_word_about_them_there_are_4096_descriptors_and_no_core(void **state)
{
    (void)state;
    rob(NULL);
    is_json("limits", "core", "[0,0]");
    is_json("limits", "open_files", "[4096,4096]");
}

/* The runner does not start so, and says why; as: 0, or the user that starts it. */
static void refused(unsigned as, const char *user, const char *state, const char *text)
{
    char log[128], uid[32], program[400], said[2048] = "";
    process_t runner;
    snprintf(program, sizeof program, "%s/rhizome-runner", getenv("RZ_BIN_DIR"));
    snprintf(log, sizeof log, "%s/check.log", house.dir);
    snprintf(uid, sizeof uid, "--reuid=%u", as);
    const char *const argv[] = { "setpriv", uid, program, "--runner-worker-user", user, "--runner-state-dir",
                                 state,     NULL };
    unlink(log);
    process_start(&runner, as != 0 ? argv : argv + 2, log, 0);
    int status = process_end(&runner, 0, STAND_IN_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 78);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    if (strstr(said, text) == NULL)
        assert_string_equal(said, text);
}

static void a_user_that_cannot_be_is_refused_at_the_start(void **state)
{
    (void)state;
    refused(0, "no-such-user", house.dir, "runner.worker_user: there is no user no-such-user");
    refused(0, "root", house.dir, "runner.worker_user: workers must not be root");
    refused(ORDINARY, "daemon", house.dir,
            "runner.worker_user: the runner must be root to start workers as daemon");
}

static void so_is_a_folder_that_this_user_cannot_reach(void **state)
{
    (void)state;
    char closed[96], below[128];
    snprintf(closed, sizeof closed, "%s/closed", house.dir);
    snprintf(below, sizeof below, "%s/state", closed);
    assert_int_equal(mkdir(closed, 0700), 0);
    refused(0, "nobody", below, "/closed does not let runner.worker_user pass");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_teardown(of_the_same_user_memory_is_closed_and_rights_do_not_grow, house_away),
    cmocka_unit_test_setup_teardown(with_a_user_of_its_own_nothing_of_the_runner_is_open, takes_root, house_away),
    cmocka_unit_test_setup_teardown(that_user_has_no_group_and_no_right_besides, takes_root, house_away),
    cmocka_unit_test_setup_teardown(a_program_finds_three_descriptors_and_the_variables_that_are_allowed, furnished, house_away),
    cmocka_unit_test_setup_teardown(bounds_are_set_and_cannot_be_raised, takes_root, house_away),
    cmocka_unit_test_setup_teardown(without_a_word_about_them_there_are_4096_descriptors_and_no_core, furnished, house_away),
    cmocka_unit_test_setup_teardown(a_user_that_cannot_be_is_refused_at_the_start, takes_root, house_away),
    cmocka_unit_test_setup_teardown(so_is_a_folder_that_this_user_cannot_reach, takes_root, house_away),
    /* clang-format on */
};

RZ_FACTS(tests)
