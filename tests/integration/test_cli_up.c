/* test_cli_up.c - `rhizome up` and the demo. */
#include "cli.h"
#include "outside.h"
#include "secured.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    process_t up;
    char dir[64], log[80];
} house_t;

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

/* flags: NULL-terminated. */
static void start_up(process_t *up, const char *log, const char *const *flags)
{
    const char *argv[32] = { "rhizome", "up" };
    size_t n = 2;
    while (*flags != NULL)
        argv[n++] = *flags++;
    argv[n] = secured() ? "--secure" : NULL;
    process_start(up, argv, log, 0);
}

static int house_up(void **state)
{
    static house_t house;
    house = (house_t){ .dir = "/tmp/rhizome-up-XXXXXX" };
    environment("");
    assert_non_null(mkdtemp(house.dir));
    setenv("RHIZOME_UP_STATE_DIR", house.dir, 1);
    snprintf(house.log, sizeof house.log, "%s/up.log", house.dir);
    start_up(&house.up, house.log, (const char *[]){ "--runners", "2", FREE_PORTS, NULL });
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

static void a_second_interrupt_does_not_wait_for_what_runs(void **state)
{
    house_t *house = *state;
    shell("rhizome submit '%s'", JOB("c-long", "echo", "__sleep_ms:60000 x"));
    ended_with(0);
    await_state("c-long", "running");
    kill(house->up.pid, SIGINT);
    await_call("grep 'stopping (Ctrl-C again: now)' %s", house->log);
    int status = process_end(&house->up, SIGINT, 2 * RIG_PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    shell("grep -c 'does not end' %s", house->log);
    out_is("0\n");
}

static void an_endpoint_that_was_named_is_had_or_nothing_is(void **state)
{
    house_t *house = *state;
    char events[256];
    shell("sed -n 's|.*\"events\":[[:space:]]*\"\\([^\"]*\\)\".*|\\1|p' %s/context.json", house->dir);
    snprintf(events, sizeof events, "%.*s", (int)strcspn(said.out, "\n"), said.out);
    shell("RHIZOME_BROKER_EVENTS=%s rhizome up --up-state-dir %s/other", events, house->dir);
    ended_with(69);
    has(said.err, "broker.events: tcp://127.0.0.1:");
    has(said.err, ": address already in use\n");
}

static void a_default_port_that_is_taken_moves_what_nobody_named_and_says_so(void **state)
{
    house_t *house = *state;
    process_t up = { 0 };
    char log[96], other[96];
    /* free, or somebody else has it already: taken it is */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in taken = { .sin_family = AF_INET,
                                 .sin_port = htons(7415),
                                 .sin_addr = { htonl(INADDR_LOOPBACK) } };
    if (bind(fd, (struct sockaddr *)&taken, sizeof taken) == 0)
        assert_int_equal(listen(fd, 1), 0);
    snprintf(other, sizeof other, "%s/other", house->dir);
    snprintf(log, sizeof log, "%s/other.log", house->dir);
    start_up(&up, log, (const char *[]){ "--up-state-dir", other, NULL });
    await_call("grep 'Ctrl-C stops everything' %s", log);
    shell("grep -E 'port 741[0-5] is taken: other ports are used' %s", log);
    int code = said.code;
    process_end(&up, SIGINT, 2 * RIG_PATIENCE_MS);
    close(fd);
    assert_int_equal(code, 0);
}

static void up_has_no_use_for_a_redis_of_others(void **state)
{
    (void)state;
    shell("rhizome up --redis-url redis://127.0.0.1:6390");
    ended_with(2);
    has(said.err, "`rhizome up` runs a Redis of its own; redis.url is for `rhizome-broker`");
    shell("RHIZOME_REDIS_URL=redis://127.0.0.1:6390 rhizome up");
    ended_with(2);
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
    await_call("grep 'broker ended (signal 9)' %s", house->log);
    do { /* it is back when it answers */
        shell("rhizome run --quiet --executor echo again");
    } while (said.code == 69);
    ended_with(0);
    out_is("again \necho: again\n");
}

static void up_tells_where_health_is_and_it_stays_there(void **state)
{
    house_t *house = *state;
    char url[64];
    shell("sed -n 's|.*\"\\(http://[^\"]*\\)\".*|\\1|p' %s/context.json", house->dir);
    snprintf(url, sizeof url, "%.*s", (int)strcspn(said.out, "\n"), said.out);
    shell("grep -c 'health   %s/readyz' %s", url, house->log);
    out_is("1\n");
    page_await(url, "/readyz", 200, "ok");
    shell("kill -9 $(pgrep -P %d -x rhizome-broker)", (int)house->up.pid);
    await_call("rhizome run --quiet --executor echo again");
    page_await(url, "/readyz", 200, "ok");
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
    start_up(&house->up, house->log, (const char *[]){ FREE_PORTS, NULL });
    await_up(house);
    shell("rhizome session show kept");
    ended_with(0);
    has(said.out, "echo: before");
}

static void a_second_host_joins_with_runners_of_its_own(void **state)
{
    house_t *house = *state;
    process_t joined = { 0 };
    char log[128], other[128], key[128], address[256];
    snprintf(key, sizeof key, "%s/far.key", house->dir);
    if (secured())
        shell("rhizome key new far --role runner --out %s", key);
    shell("sed -n 's|.*\"control\":[[:space:]]*\"tcp://\\([^\"]*\\)\".*|\\1|p' %s/context.json", house->dir);
    snprintf(address, sizeof address, "%.*s", (int)strcspn(said.out, "\n"), said.out);
    snprintf(other, sizeof other, "%s/other", house->dir);
    snprintf(log, sizeof log, "%s/joined.log", house->dir);
    const char *argv[] = { "rhizome", "up",    "--join", address, "--up-state-dir", other, "--runner-labels",
                           "far",     "--key", key,      NULL };
    if (!secured())
        argv[8] = NULL;
    process_start(&joined, argv, log, 0);
    shell("rhizome run --quiet --label far --executor echo there");
    int code = said.code;
    process_end(&joined, SIGINT, 2 * RIG_PATIENCE_MS);
    if (code != 0)
        process_show_log(log);
    ended_with(0);
    has(said.out, "echo: there\n");
}

/* As a broker does whose process stands still: connections are taken, and nothing is said. */
static int mute(char endpoint[32])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    snprintf(endpoint, 32, "127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static void a_broker_that_stands_still_is_not_one_that_refuses_us(void **state)
{
    (void)state;
    char endpoint[32];
    int fd = mute(endpoint);
    shell("rhizome ps --control %s", endpoint);
    close(fd);
    ended_with(69);
    has(said.err, "no answer within 3 s");
    has_not(said.err, "refuses");
}

static void who_joins_a_broker_that_stands_still_can_be_stopped(void **state)
{
    (void)state;
    process_t joining = { 0 };
    char endpoint[32], log[64], dir[] = "/tmp/rhizome-mute-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(log, sizeof log, "%s/up.log", dir);
    int fd = mute(endpoint);
    process_start(&joining,
                  (const char *[]){ "rhizome", "up", "--join", endpoint, "--up-state-dir", dir, NULL }, log,
                  0);
    struct pollfd came = { fd, POLLIN, 0 };
    assert_int_equal(poll(&came, 1, RIG_PATIENCE_MS), 1); /* the hello is under way */
    int status = process_end(&joining, SIGINT, RIG_PATIENCE_MS);
    shell("cat %s; rm -r %s", log, dir);
    close(fd);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    has_not(said.out, "no answer"); /* that was not waited for */
}

static void a_full_state_folder_is_named_with_its_reason(void **state)
{
    (void)state;
    char dir[] = "/tmp/rhizome-full-XXXXXX";
    shell("unshare --user --map-root-user --mount true");
    if (said.code != 0) {
        print_message("SKIPPED: no mount namespaces here\n");
        skip();
    }
    assert_non_null(mkdtemp(dir));
    shell(
        "unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=40k none %s && exec rhizome up "
        "--up-state-dir %s'",
        dir, dir);
    assert_int_equal(rmdir(dir), 0);
    ended_with(69);
    has(said.err, "nothing can be written in /tmp/rhizome-full-");
    has(said.err, ": No space left on device\n");
}

static void a_start_that_fails_quotes_the_log_of_this_start_alone(void **state)
{
    (void)state;
    char dir[] = "/tmp/rhizome-again-XXXXXX";
    assert_non_null(mkdtemp(dir));
    shell("cd %s && mkdir logs bin && echo 'of another day' > logs/redis.log && "
          "printf '#!/bin/sh\necho no luck; exit 1\n' > bin/redis-server && chmod +x bin/redis-server && "
          "PATH=$PWD/bin:$PATH rhizome up --up-state-dir .",
          dir);
    int code = said.code;
    char err[1024];
    snprintf(err, sizeof err, "%.1000s", said.err);
    shell("rm -r %s", dir);
    assert_int_equal(code, 69);
    has(err, "redis did not start: exit code 1");
    has(err, "no luck\n");
    has_not(err, "of another day");
}

static void the_demo_ends_as_it_should_and_leaves_no_process(void **state)
{
    (void)state;
    shell("%s/ops/demo --bin %s %s", RZ_SOURCE_DIR, bin_dir(), secured() ? "--secure" : "");
    ended_with(0);
    has(said.out, "left over: 0");
    has(said.out, "All as it should be.");
    assert_null(strchr(said.out, '\033')); /* plain: its stdout is no terminal */
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(up_is_found_by_the_other_verbs, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_second_up_in_the_same_folder_says_who_runs_it, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_stops_everything_and_leaves_no_process, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_second_interrupt_does_not_wait_for_what_runs, house_up, house_down),
    cmocka_unit_test_setup_teardown(an_endpoint_that_was_named_is_had_or_nothing_is, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_default_port_that_is_taken_moves_what_nobody_named_and_says_so, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_has_no_use_for_a_redis_of_others, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_killed_up_takes_all_its_programs_with_it, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_starts_a_killed_broker_again, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_tells_where_health_is_and_it_stays_there, house_up, house_down),
    cmocka_unit_test_setup_teardown(up_ends_loudly_when_its_redis_dies, house_up, house_down),
    cmocka_unit_test_setup_teardown(data_outlives_an_up, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_second_host_joins_with_runners_of_its_own, house_up, house_down),
    cmocka_unit_test_setup_teardown(a_broker_that_stands_still_is_not_one_that_refuses_us, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(who_joins_a_broker_that_stands_still_can_be_stopped, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_full_state_folder_is_named_with_its_reason, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(a_start_that_fails_quotes_the_log_of_this_start_alone, nothing_up, NULL),
    cmocka_unit_test_setup_teardown(the_demo_ends_as_it_should_and_leaves_no_process, nothing_up, NULL),
};
/* clang-format on */

RZ_FACTS(tests)
