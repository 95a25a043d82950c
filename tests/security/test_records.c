/* test_records.c - forged agent records before a real runner: of another process, of another host, through a link, too large,
 * planted. The runner connects to none of them: the one that listens where they point hears nothing. */
#include "facts.h"
#include "integration/stand_in.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static stand_in_t s;
static int trap = -1; /* listens where forged records point */
static uint16_t trap_port;

static const char *const fast[] = { "--runner-register-secs", "3", NULL };

static int trap_set(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    trap = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(trap, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(trap, 8), 0);
    assert_int_equal(getsockname(trap, (struct sockaddr *)&at, &size), 0);
    trap_port = ntohs(at.sin_port);
    return 0;
}

static int trap_away(void **state)
{
    (void)state;
    close(trap);
    return 0;
}

static void nobody_walked_into_the_trap(void)
{
    struct pollfd fd = { .fd = trap, .events = POLLIN };
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void up(const char *mode, const char *const *flags)
{
    char members[4096];
    const char *bin = getenv("RZ_BIN_DIR");
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{\"forger\":{\"agent_id\":\"forger\",\"protocol\":\"actor\",\"permission_profile\":\"p\","
        "\"executor\":\"echo\",\"worker_bin\":\"/usr/bin/python3\",\"worker_args\":[\"" RZ_SOURCE_DIR
        "/tests/security/forger.py\",\"%s\",\"%u\",\"%s/rhizome-worker\"]}}",
        mode, trap_port, bin);
    stand_in_up(&s, members, flags);
}

static bool log_has(const char *text)
{
    char command[800];
    snprintf(command, sizeof command, "grep -q '%s' %s", text, s.runner.log);
    return system(command) == 0; /* NOLINT(cert-env33-c) */
}

/* The child ends in that error, for that reason, and another is served as ever. */
static void refused(const char *mode, const char *error, const char *logged)
{
    up(mode, strstr(error, "register within") != NULL ? fast : NULL);
    stand_in_assign(&s, "victim", "forger", 1, "secret", NULL);
    const seen_t *seen = stand_in_wait(&s, "victim");
    assert_string_equal(seen->status, "error");
    if (strstr(seen->error, error) == NULL)
        assert_string_equal(seen->error, error);
    nobody_walked_into_the_trap();
    if (logged != NULL)
        assert_true(log_has(logged));
    stand_in_assign(&s, "other", "echo", 1, "hello", NULL);
    assert_string_equal(stand_in_wait(&s, "other")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_record_of_another_process_is_passed_over_for_the_true_one(void **state)
{
    (void)state;
    up("stranger", NULL);
    stand_in_assign(&s, "victim", "forger", 1, "hello", NULL);
    assert_string_equal(stand_in_wait(&s, "victim")->status, "completed");
    assert_true(stand_in_replied(stand_in_seen(&s, "victim"), "echo: hello"));
    nobody_walked_into_the_trap();
    assert_true(log_has("worker.foreign_record"));
    assert_int_equal(stand_in_down(&s), 0);
}

static void a_record_that_points_to_another_host_ends_the_worker(void **state)
{
    (void)state;
    refused("elsewhere", "an endpoint that is not on this host: ws://192.0.2.9:", NULL);
}

static void a_name_that_looks_like_this_host_is_not_looked_up(void **state)
{
    (void)state;
    refused("name", "an endpoint that is not on this host: ws://127.example.org:", NULL);
}

static void a_record_behind_a_link_is_not_read(void **state)
{
    (void)state;
    refused("link", "did not register within 3s", NULL);
}

static void a_record_that_is_too_large_is_not_read(void **state)
{
    (void)state;
    refused("huge", "did not register within 3s", "fabric.bad_record.*at most 65536 bytes");
}

static void nor_one_whose_first_part_alone_is_good(void **state)
{
    (void)state;
    refused("tail", "did not register within 3s", "fabric.bad_record.*at most 65536 bytes");
}

/* Before the runner starts somebody has put folders and records of the usual names where it will work: it makes its own, whose
 * name cannot be guessed, and looks into no other. */
static void what_was_planted_before_the_start_is_not_looked_at(void **state)
{
    (void)state;
    char dir[64] = "/tmp/rz-planted-XXXXXX", path[160];
    assert_non_null(mkdtemp(dir));
    for (int i = 1; i <= 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, i == 1 ? "run.1.00000000" : "1");
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "%s/%s/victim.json", dir, i == 1 ? "run.1.00000000" : "1");
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file, "{\"agent_id\":\"victim\",\"role\":\"\",\"endpoint\":\"ws://127.0.0.1:%u\",\"pid\":1}",
                trap_port);
        fclose(file);
    }
    up("stranger", (const char *const[]){ "--runner-state-dir", dir, NULL });
    stand_in_assign(&s, "victim", "echo", 1, "hello", NULL);
    assert_string_equal(stand_in_wait(&s, "victim")->status, "completed");
    nobody_walked_into_the_trap();
    assert_int_equal(stand_in_down(&s), 0);
    snprintf(path, sizeof path, "rm -rf %s", dir);
    assert_int_equal(system(path), 0); /* NOLINT(cert-env33-c) */
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_record_of_another_process_is_passed_over_for_the_true_one, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(a_record_that_points_to_another_host_ends_the_worker, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(a_name_that_looks_like_this_host_is_not_looked_up, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(a_record_behind_a_link_is_not_read, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(a_record_that_is_too_large_is_not_read, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(nor_one_whose_first_part_alone_is_good, trap_set, trap_away),
    cmocka_unit_test_setup_teardown(what_was_planted_before_the_start_is_not_looked_at, trap_set, trap_away),
    /* clang-format on */
};

RZ_FACTS(tests)
