/* test_versions.c - N works with N-1, and what does not is refused by name: clients and runners of other versions at a real
 * broker, the real runner and the real command line at brokers of other versions. */
#include "bare.h"
#include "cli.h"
#include "stand_in.h"

#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N   RZ_PROTOCOL_VERSION
#define MIN RZ_PROTOCOL_MIN

/* ---- clients ---- */

static uint64_t number_in(const cJSON *reply, const char *name)
{
    return (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, name));
}

static void expect_hello(cJSON *reply, unsigned version)
{
    expect(reply, "code", "OK");
    assert_int_equal(number_in(reply, "v"), version);
    assert_int_equal(number_in(reply, "protocol"), N);
    assert_int_equal(number_in(reply, "protocol_min"), MIN);
    cJSON_Delete(reply);
}

static void expect_bad_version(cJSON *reply, const char *theirs, const char *who)
{
    char text[160];
    expect(reply, "code", "BAD_VERSION");
    expect(reply, "field", "v");
    snprintf(text, sizeof text, "speaks protocol %s, the broker speaks %d to %d: upgrade the %s", theirs, MIN,
             N, who);
    assert_non_null(strstr(text_at(reply, "message"), text));
    cJSON_Delete(reply);
}

static void a_client_of_the_version_before_is_served_in_that(void **state)
{
    (void)state;
    expect_hello(ask("{\"v\":%d,\"op\":\"hello\"}", MIN), MIN);
    cJSON *reply = ask("{\"v\":%d,\"op\":\"get\",\"child\":\"nobody\"}", MIN);
    assert_int_equal(number_in(reply, "v"), MIN);
    answers(reply, "NOT_FOUND");
}

static void a_client_of_the_next_version_that_speaks_ours_is_served_in_ours(void **state)
{
    (void)state;
    expect_hello(ask("{\"v\":%d,\"v_max\":%d,\"op\":\"hello\"}", N, N + 1), N);
}

static void a_client_of_later_versions_only_is_told_both_ranges(void **state)
{
    (void)state;
    char theirs[32];
    snprintf(theirs, sizeof theirs, "%d", N + 2);
    expect_bad_version(ask("{\"v\":%d,\"op\":\"hello\"}", N + 2), theirs, "broker");
    snprintf(theirs, sizeof theirs, "%d to %d", N + 1, N + 2);
    expect_bad_version(ask("{\"v\":%d,\"v_max\":%d,\"op\":\"status\"}", N + 1, N + 2), theirs, "broker");
}

static void a_client_of_a_version_long_gone_is_told_to_be_upgraded(void **state)
{
    (void)state;
    char theirs[32];
    snprintf(theirs, sizeof theirs, "%d", MIN - 1);
    expect_bad_version(ask("{\"v\":%d,\"op\":\"hello\"}", MIN - 1), theirs, "client");
}

/* ---- runners ---- */

static runner_t runner_speaking(const char *name, const char *versions)
{
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    snprintf(runner.incarnation, sizeof runner.incarnation, "i-%s", name);
    tell_f(
        &runner,
        "{\"kind\":\"hello\",%s,\"runner\":\"%s\",\"incarnation\":\"%s\",\"host\":\"h\",\"pid\":1,\"slots\":4,"
        "\"version\":\"x\",\"labels\":[],\"profiles\":[\"echo\"]}",
        versions, name, runner.incarnation);
    return runner;
}

static void expect_welcome(runner_t *runner, unsigned version)
{
    cJSON *welcome = hear_only(runner, "welcome");
    assert_int_equal(number_in(welcome, "v"), version);
    cJSON_Delete(welcome);
}

static void expect_refused(runner_t *runner, const char *theirs, const char *who)
{
    char text[160];
    cJSON *refused = hear_only(runner, "refused");
    expect(refused, "code", "BAD_VERSION");
    snprintf(text, sizeof text,
             "v: this runner speaks protocol %s, the broker speaks %d to %d: upgrade the %s", theirs, MIN, N,
             who);
    expect(refused, "message", text);
    cJSON_Delete(refused);
}

static void a_runner_of_the_version_before_is_given_work(void **state)
{
    (void)state;
    char versions[64];
    snprintf(versions, sizeof versions, "\"v\":%d", MIN);
    runner_t runner = runner_speaking("r1", versions);
    expect_welcome(&runner, MIN);
    credit(&runner, 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    finish(&runner, &a);
    expect_ack(&runner, "start", "OK");
    expect_ack(&runner, "finish", "OK");
    runner_gone(&runner);
}

static void a_runner_of_the_next_version_that_speaks_ours_is_welcomed_in_ours(void **state)
{
    (void)state;
    char versions[64];
    snprintf(versions, sizeof versions, "\"v\":%d,\"v_max\":%d", N, N + 1);
    runner_t runner = runner_speaking("r1", versions);
    expect_welcome(&runner, N);
    runner_gone(&runner);
}

static void a_runner_of_other_versions_only_is_refused_by_name(void **state)
{
    (void)state;
    char versions[64], theirs[32];
    snprintf(versions, sizeof versions, "\"v\":%d", N + 2);
    snprintf(theirs, sizeof theirs, "%d", N + 2);
    runner_t late = runner_speaking("r1", versions);
    expect_refused(&late, theirs, "broker");
    runner_gone(&late);
    snprintf(versions, sizeof versions, "\"v\":%d", MIN - 1);
    snprintf(theirs, sizeof theirs, "%d", MIN - 1);
    runner_t old = runner_speaking("r2", versions);
    expect_refused(&old, theirs, "runner");
    runner_gone(&old);
}

/* ---- our own programs at brokers of other versions ---- */

static void our_runner_works_for_a_broker_of_the_version_before(void **state)
{
    (void)state;
    static stand_in_t s; /* large */
    stand_in_version = MIN;
    stand_in_up(&s, "", NULL);
    stand_in_version = N;
    stand_in_assign(&s, "c1", "echo", 1, "hi", NULL);
    assert_string_equal(stand_in_wait(&s, "c1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

/* Plays a broker's control socket for one hello of `rhizome status`, answered with these members; gives what that said. */
static void status_at_a_broker_that_answers(const char *members, char *out, size_t size)
{
    char endpoint[128], program[512], reply[512], log[] = "/tmp/rz-versions-XXXXXX";
    size_t len = sizeof endpoint;
    void *zctx = zmq_ctx_new(), *rep = zmq_socket(zctx, ZMQ_REP);
    assert_int_equal(zmq_bind(rep, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_getsockopt(rep, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
    frames_t frames;
    process_t status;
    int fd = mkstemp(log);
    assert_true(fd >= 0);
    close(fd);
    snprintf(program, sizeof program, "%s/rhizome", bin_dir());
    const char *argv[] = { program, "status", "--control", endpoint, NULL };
    process_start(&status, argv, log, 0);
    assert_true(frames_recv(rep, &frames, PATIENCE_MS));
    assert_int_equal(frames.n, 1);
    assert_non_null(strstr(frames.part[0], "\"op\":\"hello\""));
    snprintf(reply, sizeof reply, "{\"v\":1,\"op\":\"hello\",\"id\":1,%s}", members);
    zmq_send(rep, reply, strlen(reply), 0);
    frames_fini(&frames);
    int code = process_end(&status, 0, PATIENCE_MS);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), 69);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
    unlink(log);
    zmq_close(rep);
    zmq_ctx_term(zctx);
}

static void the_command_line_says_which_side_must_be_upgraded(void **state)
{
    (void)state;
    char members[256], text[256], said_by_it[4096];
    snprintf(members, sizeof members, "\"code\":\"OK\",\"protocol\":%d,\"protocol_min\":%d", N + 2, N + 1);
    status_at_a_broker_that_answers(members, said_by_it, sizeof said_by_it);
    snprintf(text, sizeof text,
             "this broker speaks protocol %d to %d, the program speaks %d to %d: upgrade the program", N + 1,
             N + 2, MIN, N);
    has(said_by_it, text);
    snprintf(members, sizeof members, "\"code\":\"OK\",\"protocol\":%d", MIN - 1);
    status_at_a_broker_that_answers(members, said_by_it, sizeof said_by_it);
    has(said_by_it, "upgrade the broker");
    status_at_a_broker_that_answers(
        "\"code\":\"BAD_VERSION\",\"field\":\"v\",\"message\":\"upgrade the client\"", said_by_it,
        sizeof said_by_it);
    has(said_by_it, "upgrade the client");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_client_of_the_version_before_is_served_in_that, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_client_of_the_next_version_that_speaks_ours_is_served_in_ours, stage_up,
                                    stage_down),
    cmocka_unit_test_setup_teardown(a_client_of_later_versions_only_is_told_both_ranges, stage_up,
                                    stage_down),
    cmocka_unit_test_setup_teardown(a_client_of_a_version_long_gone_is_told_to_be_upgraded, stage_up,
                                    stage_down),
    cmocka_unit_test_setup_teardown(a_runner_of_the_version_before_is_given_work, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_of_the_next_version_that_speaks_ours_is_welcomed_in_ours,
                                    stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_of_other_versions_only_is_refused_by_name, stage_up, stage_down),
    cmocka_unit_test(our_runner_works_for_a_broker_of_the_version_before),
    cmocka_unit_test(the_command_line_says_which_side_must_be_upgraded),
};
RZ_FACTS(tests)
