/* test_curve.c - who gets in: keys, the list, and what becomes of those who are not on it (any more). */
#include "facts.h"

#include "keyring.h"
#include "knock.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- strangers ---- */

typedef struct {
    int type;
    const char *endpoint;
} door_t;

/* Filled when the stage is up. */
static size_t doors(door_t out[5])
{
    out[0] = (door_t){ ZMQ_PUSH, stage.jobs_at };
    out[1] = (door_t){ ZMQ_DEALER, stage.control_at };
    out[2] = (door_t){ ZMQ_SUB, stage.events_at };
    out[3] = (door_t){ ZMQ_DEALER, stage.runners_at };
    out[4] = (door_t){ ZMQ_PUB, stage.publish_at };
    return 5;
}

static void a_stranger_without_a_key_gets_in_nowhere(void **state)
{
    (void)state;
    door_t door[5];
    for (size_t i = 0; i < doors(door); i++)
        assert_int_equal(knock(door[i].type, door[i].endpoint, NULL, NULL), KNOCK_OUT);
    answers(ask("{\"op\":\"hello\"}"), "OK");
}

static void a_key_that_nobody_knows_gets_in_nowhere_and_is_counted_and_logged_without_its_secret(void **state)
{
    (void)state;
    door_t door[5];
    rz_key_t admin, stranger;
    assert_int_equal(rz_key_load(keyring_path("admin"), "key", &admin, NULL), RZ_OK);
    rz_key_new(&stranger, "stranger", RZ_KEY_ADMIN, admin.server_key);
    uint64_t before = counted("peers_denied");
    for (size_t i = 0; i < doors(door); i++)
        assert_int_equal(knock_with(door[i].type, door[i].endpoint, &stranger), KNOCK_OUT);
    await_count("peers_denied", before + 5);
    assert_true(logged("guard.denied socket=jobs"));
    assert_true(logged(stranger.public_key));
    assert_false(logged(stranger.secret_key));
}

static void a_key_made_for_another_broker_gets_in_nowhere(void **state)
{
    (void)state;
    rz_key_t admin, other;
    assert_int_equal(rz_key_load(keyring_path("admin"), "key", &admin, NULL), RZ_OK);
    rz_key_new(&other, "other", RZ_KEY_BROKER, NULL);
    memcpy(admin.server_key, other.public_key, sizeof admin.server_key);
    assert_int_equal(knock_with(ZMQ_DEALER, stage.control_at, &admin), KNOCK_OUT);
}

static void a_name_and_a_password_are_no_key(void **state)
{
    (void)state;
    void *sock = zmq_socket(stage.zctx, ZMQ_REQ);
    int none = 0, wait_ms = 1000;
    zmq_setsockopt(sock, ZMQ_PLAIN_USERNAME, "admin", 5);
    zmq_setsockopt(sock, ZMQ_PLAIN_PASSWORD, "admin", 5);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(sock, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    assert_int_equal(zmq_connect(sock, stage.control_at), 0);
    zmq_send(sock, "{\"op\":\"hello\"}", 14, ZMQ_DONTWAIT);
    char reply[64];
    assert_int_equal(zmq_recv(sock, reply, sizeof reply, 0), -1);
    zmq_close(sock);
    answers(ask("{\"op\":\"hello\"}"), "OK");
}

static void each_role_gets_in_where_its_business_is_and_nowhere_else(void **state)
{
    (void)state;
    static const struct {
        const char *role;
        bool in[5]; /* jobs, control, events, runners, publish */
    } rows[] = { { "producer", { true, true, false, false, false } },
                 { "client", { true, true, true, false, false } },
                 { "subscriber", { false, true, true, false, false } },
                 { "runner", { false, true, false, true, true } },
                 { "admin", { true, true, true, false, false } } };
    door_t door[5];
    doors(door);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(knock(door[i].type, door[i].endpoint, rows[r].role, NULL),
                             rows[r].in[i] ? KNOCK_IN : KNOCK_OUT);
}

static void a_broker_is_ready_when_it_was_refused_at_its_own_sockets(void **state)
{
    (void)state;
    assert_true(counted("tries_refused") >= 5); /* one for each */
    assert_true(logged("broker.ready"));
}

/* ---- the list, while it is in use ---- */

static void a_revoked_key_is_refused_where_it_is_connected_and_gets_in_no_more(void **state)
{
    (void)state;
    void *own = stage.control, *client = connected_as(ZMQ_REQ, stage.control_at, "client");
    stage.control = client;
    answers(ask("{\"op\":\"status\"}"), "OK");
    keyring_remove("client");
    await("{\"op\":\"status\"}", "code", "NOT_ALLOWED");
    stage.control = own;
    assert_true(counted("not_allowed") > 0);
    assert_true(logged("guard.refused socket=control peer=client"));
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "client", NULL), KNOCK_OUT);
}

static void a_revoked_runner_is_sent_away_and_given_nothing(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    keyring_remove("runner");
    answers(hear_only(&runner, "refused"), "NOT_ALLOWED");
    answers(submit("c1", ""), "OK");
    await("{\"op\":\"get\",\"child\":\"c1\"}", "activation.state", "queued");
    credit(&runner, 5);
    answers(hear_only(&runner, "refused"), "NOT_ALLOWED");
    runner_gone(&runner);
}

static void a_new_key_of_the_same_name_does_not_bring_the_old_one_back(void **state)
{
    (void)state;
    keyring_add("op", "admin", "");
    void *own = stage.control, *thief = connected_as(ZMQ_REQ, stage.control_at, "op");
    runner_t runner = runner_link("r1", "", 1);
    stage.control = thief;
    answers(ask("{\"op\":\"status\"}"), "OK");
    stage.control = own;
    keyring_renew("runner");
    answers(hear_only(&runner, "refused"), "NOT_ALLOWED");
    keyring_renew("op");
    while (knock(ZMQ_DEALER, stage.control_at, "op", NULL) != KNOCK_IN) /* the new one is in */
        ;
    stage.control = thief;
    answers(ask("{\"op\":\"status\"}"), "NOT_ALLOWED");
    stage.control = own;
    assert_true(logged("guard.refused socket=control peer=op"));
    disconnected(thief);
    runner_gone(&runner);
}

/* The lowest number that the broker has no descriptor of: with that as its limit it gets no other. */
static rlim_t free_descriptor(void)
{
    char path[64];
    struct stat info;
    for (rlim_t fd = 0;; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%lu", (int)stage.broker.pid, (unsigned long)fd);
        if (lstat(path, &info) != 0)
            return fd;
    }
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(prlimit(stage.broker.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = n;
    assert_int_equal(prlimit(stage.broker.pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

static void a_key_is_revoked_where_no_descriptor_is_left(void **state)
{
    (void)state;
    void *own = stage.control, *client = connected_as(ZMQ_REQ, stage.control_at, "client");
    stage.control = client;
    answers(ask("{\"op\":\"status\"}"), "OK");
    limit_descriptors(free_descriptor());
    keyring_remove("client");
    await("{\"op\":\"status\"}", "code", "NOT_ALLOWED");
    stage.control = own;
}

/* Not even the descriptor that is kept for it, and for so long that the file is no news any more. */
static void a_revocation_that_could_not_be_read_holds_as_soon_as_it_can(void **state)
{
    (void)state;
    struct stat list;
    struct rlimit before;
    void *own = stage.control, *client = connected_as(ZMQ_REQ, stage.control_at, "client");
    stage.control = client;
    answers(ask("{\"op\":\"status\"}"), "OK");
    assert_int_equal(prlimit(stage.broker.pid, RLIMIT_NOFILE, NULL, &before), 0);
    limit_descriptors(3);
    keyring_remove("client");
    assert_int_equal(stat(keyring.list, &list), 0);
    while (time(NULL) - list.st_ctim.tv_sec < 4)
        answers(ask("{\"op\":\"status\"}"), "OK");
    limit_descriptors(before.rlim_cur);
    await("{\"op\":\"status\"}", "code", "NOT_ALLOWED");
    stage.control = own;
    assert_true(logged("nobody new gets in"));
}

static void a_pushed_job_of_a_revoked_key_is_rejected(void **state)
{
    (void)state;
    void *push = connected_as(ZMQ_PUSH, stage.jobs_at, "producer");
    uint64_t before = counted("jobs_accepted");
    assert_true(zmq_send(push, job("c1", ""), strlen(job("c1", "")), 0) > 0);
    await_count("jobs_accepted", before + 1);
    keyring_remove("producer");
    while (knock(ZMQ_DEALER, stage.control_at, "producer", NULL) != KNOCK_OUT) /* the new list holds */
        ;
    uint64_t rejected = counted("jobs_rejected");
    assert_true(zmq_send(push, job("c2", ""), strlen(job("c2", "")), 0) > 0);
    await_count("jobs_rejected", rejected + 1);
    answers(ask("{\"op\":\"get\",\"child\":\"c2\"}"), "NOT_FOUND");
}

static int full_stage_up(void **state)
{
    static const char *const flags[] = { "--broker-queue-max", "1", NULL };
    (void)state;
    stage.secure = true;
    return stage_open(NULL, flags);
}

static void a_job_that_waits_for_room_is_rejected_when_its_key_is_revoked_meanwhile(void **state)
{
    (void)state;
    answers(submit("c1", ""), "OK");
    void *push = connected_as(ZMQ_PUSH, stage.jobs_at, "producer");
    assert_true(zmq_send(push, job("c2", ""), strlen(job("c2", "")), 0) > 0);
    await_count("jobs_retried", 1);
    keyring_remove("producer");
    await_count("jobs_rejected", 1);
    assert_true(logged("guard.refused socket=jobs peer=producer"));
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "OK");
    push_job(job("c3", "")); /* whoever comes behind it is served */
    await("{\"op\":\"get\",\"child\":\"c3\"}", "code", "OK");
    answers(ask("{\"op\":\"get\",\"child\":\"c2\"}"), "NOT_FOUND");
}

static void a_key_that_is_allowed_later_gets_in_by_itself(void **state)
{
    (void)state;
    int patience = 2 * PATIENCE_MS;
    char reply[4096];
    keyring_add("late", "client", "");
    keyring_remove("late");
    void *late;
    assert_int_equal(knock(ZMQ_REQ, stage.control_at, "late", &late), KNOCK_OUT);
    zmq_send(late, "{\"op\":\"hello\"}", 14, ZMQ_DONTWAIT);
    assert_true(access(keyring_path("late"), F_OK) == 0);
    rz_key_t key;
    char list[512];
    assert_int_equal(rz_key_load(keyring_path("late"), "key", &key, NULL), RZ_OK);
    snprintf(list, sizeof list, "{\"keys\":[{\"name\":\"late\",\"role\":\"client\",\"public_key\":\"%s\"}]}",
             key.public_key);
    keyring_write(list);
    zmq_setsockopt(late, ZMQ_RCVTIMEO, &patience, sizeof patience);
    assert_true(zmq_recv(late, reply, sizeof reply, 0) > 0);
}

static void while_the_list_is_broken_nobody_new_gets_in_and_nobody_is_thrown_out(void **state)
{
    (void)state;
    answers(ask("{\"op\":\"hello\"}"), "OK"); /* it is in */
    keyring_write("{\"keys\":[{\"name\":\"admin\",\"role\":\"admin\"}]}");
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "admin", NULL), KNOCK_OUT);
    answers(ask("{\"op\":\"status\"}"), "OK");
    assert_true(logged("guard.list"));
    keyring_add("another", "client", "");
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "admin", NULL), KNOCK_IN);
}

static void a_list_that_others_may_write_counts_as_broken(void **state)
{
    (void)state;
    assert_int_equal(chmod(keyring.list, 0666), 0);
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "admin", NULL), KNOCK_OUT);
    assert_int_equal(chmod(keyring.list, 0644), 0);
    assert_int_equal(knock(ZMQ_DEALER, stage.control_at, "admin", NULL), KNOCK_IN);
}

/* ---- starting ---- */

/* Runs a broker with these flags; gives its exit code, and what it said. */
static int start_broker(const char *flags, char *said, size_t size)
{
    char command[2048];
    snprintf(command, sizeof command, "timeout 10 %s/rhizome-broker --check-config %s 2>&1",
             getenv("RZ_BIN_DIR"), flags);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c) */
    assert_non_null(pipe);
    size_t n = fread(said, 1, size - 1, pipe);
    said[n] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_broker_open_to_other_hosts_without_keys_does_not_start_and_says_how_to_mend_it(void **state)
{
    (void)state;
    static const char *const open[] = { "--broker-jobs tcp://0.0.0.0:*", "--broker-control 'tcp://*:7411'",
                                        "--broker-events tcp://10.1.2.3:7412",
                                        "--broker-runners 'tcp://[::]:7413'",
                                        "--broker-publish tcp://host.example:7415" };
    char said[2048], flags[256];
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        assert_int_equal(start_broker(open[i], said, sizeof said), 78);
        assert_non_null(strstr(said, "security.key"));
        assert_non_null(strstr(said, "rhizome key new"));
        snprintf(flags, sizeof flags, "%s --security-insecure", open[i]);
        assert_int_equal(start_broker(flags, said, sizeof said), 0);
    }
}

static void a_broker_that_only_this_host_reaches_needs_no_keys(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(start_broker("--broker-jobs tcp://127.0.0.5:* --broker-control 'tcp://[::1]:7411' "
                                  "--broker-events ipc:///tmp/e --broker-runners tcp://localhost:7413",
                                  said, sizeof said),
                     0);
}

static void a_broker_open_to_other_hosts_wants_a_store_with_a_password_too(void **state)
{
    (void)state;
    char said[2048], flags[1024];
    snprintf(
        flags, sizeof flags,
        "--broker-jobs tcp://0.0.0.0:* --security-key %s --security-allow %s --redis-url redis://127.0.0.1:6379",
        keyring.broker, keyring.list);
    assert_int_equal(start_broker(flags, said, sizeof said), 78);
    assert_non_null(strstr(said, "redis.password"));
    snprintf(
        flags, sizeof flags,
        "--broker-jobs tcp://0.0.0.0:* --security-key %s --security-allow %s --redis-url unix:/tmp/r.sock",
        keyring.broker, keyring.list);
    assert_int_equal(start_broker(flags, said, sizeof said), 0);
}

static void a_secret_key_that_others_can_read_is_not_taken(void **state)
{
    (void)state;
    char said[2048], flags[1024];
    snprintf(flags, sizeof flags, "--security-key %s --security-allow %s", keyring.broker, keyring.list);
    assert_int_equal(start_broker(flags, said, sizeof said), 0);
    assert_int_equal(chmod(keyring.broker, 0644), 0);
    assert_int_equal(start_broker(flags, said, sizeof said), 78);
    assert_non_null(strstr(said, "chmod 600"));
    snprintf(flags, sizeof flags, "--security-key %s --security-allow %s", keyring_path("client"),
             keyring.list);
    assert_int_equal(start_broker(flags, said, sizeof said), 78);
    snprintf(flags, sizeof flags, "--security-allow %s", keyring.list);
    assert_int_equal(start_broker(flags, said, sizeof said), 78);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_stranger_without_a_key_gets_in_nowhere, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_key_that_nobody_knows_gets_in_nowhere_and_is_counted_and_logged_without_its_secret, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_key_made_for_another_broker_gets_in_nowhere, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_name_and_a_password_are_no_key, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(each_role_gets_in_where_its_business_is_and_nowhere_else, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_broker_is_ready_when_it_was_refused_at_its_own_sockets, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_revoked_key_is_refused_where_it_is_connected_and_gets_in_no_more, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_revoked_runner_is_sent_away_and_given_nothing, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_new_key_of_the_same_name_does_not_bring_the_old_one_back, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_key_is_revoked_where_no_descriptor_is_left, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_revocation_that_could_not_be_read_holds_as_soon_as_it_can, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_of_a_revoked_key_is_rejected, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_job_that_waits_for_room_is_rejected_when_its_key_is_revoked_meanwhile, full_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_key_that_is_allowed_later_gets_in_by_itself, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(while_the_list_is_broken_nobody_new_gets_in_and_nobody_is_thrown_out, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_list_that_others_may_write_counts_as_broken, secure_stage_up, stage_down),
    cmocka_unit_test(a_broker_open_to_other_hosts_without_keys_does_not_start_and_says_how_to_mend_it),
    cmocka_unit_test(a_broker_that_only_this_host_reaches_needs_no_keys),
    cmocka_unit_test_setup_teardown(a_broker_open_to_other_hosts_wants_a_store_with_a_password_too, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_secret_key_that_others_can_read_is_not_taken, secure_stage_up, stage_down),
    /* clang-format on */
};
RZ_FACTS(tests)
