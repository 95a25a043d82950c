/* test_health.c - /readyz and /metrics of a real broker and real runners: what they say while all is well, and while the
 * store, the broker or the will to work is missing. */
#include "bare.h"
#include "outside.h"
#include "rig.h"

#include "../facts.h"
#include "keyring.h"
#include "process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <zmq.h>

/* Heartbeats and leases in a tenth of the usual time. */
static const char quick[] = "\"broker\":{\"sync_ms\":300,\"lease_ms\":1500}";

static rig_t *rig;
static char broker_at[128], runner_at[128];

/* Where runner 0 tells of itself, as the broker knows it from its facts. */
static void find_runner(void)
{
    uint64_t deadline_ms = process_now_ms() + RIG_PATIENCE_MS;
    runner_at[0] = '\0';
    while (runner_at[0] == '\0' && process_now_ms() < deadline_ms) {
        cJSON *reply = rig_ask(rig, "{\"op\":\"runners\"}");
        const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "runners"), 0);
        snprintf(runner_at, sizeof runner_at, "%s", rig_text(first, "facts.http"));
        cJSON_Delete(reply);
    }
    assert_memory_equal(runner_at, "http://127.0.0.1:", 17);
}

static void rig_of(unsigned runners)
{
    rig = rig_up(&(rig_options_t){ .runners = runners, .config = quick });
    snprintf(broker_at, sizeof broker_at, "%s", rig_endpoint(rig, "http"));
    if (runners > 0)
        find_runner();
}

static int broker_alone(void **state)
{
    (void)state;
    rig_of(0);
    return 0;
}

static int broker_and_runner(void **state)
{
    (void)state;
    rig_of(1);
    return 0;
}

static int away(void **state)
{
    (void)state;
    rig_down(&rig);
    return 0;
}

static void run_one(const char *child, const char *text)
{
    char status[32];
    rig_submit(rig, "parent-of-this-fact", child, "echo", text);
    rig_wait(rig, child, status);
    assert_string_equal(status, "completed");
}

/* ---- ready ---- */

static void a_broker_that_consumes_is_ready(void **state)
{
    (void)state;
    page_await(broker_at, "/readyz", 200, "ok\n");
    page_await(broker_at, "/readyz?verbose", 200, "[+] store\n[+] progress\n[+] sockets\nok\n");
    page_await(broker_at, "/livez", 200, "ok\n");
    assert_true(metric(broker_at, "rhizome_broker_ready") == 1);
}

static void a_broker_is_ready_only_while_its_store_is_there(void **state)
{
    (void)state;
    page_await(broker_at, "/readyz", 200, "ok");
    rig_redis_end(rig, SIGKILL);
    page_await(broker_at, "/readyz", 503, "not ready: store");
    page_await(broker_at, "/readyz?verbose", 503, "[-] store: ");
    assert_int_equal(page_get(broker_at, "/livez")->status, 200);
    assert_true(metric(broker_at, "rhizome_broker_store_up") == 0);
    assert_true(metric(broker_at, "rhizome_broker_ready") == 0);
    rig_redis_up(rig);
    page_await(broker_at, "/readyz", 200, "ok");
    assert_true(metric(broker_at, "rhizome_broker_store_up") == 1);
}

/* Where the broker of the bare stage tells of itself. */
static void find_bare_broker(void)
{
    cJSON *reply = ask("{\"op\":\"hello\"}");
    snprintf(broker_at, sizeof broker_at, "%s", text_at(reply, "endpoints.http"));
    cJSON_Delete(reply);
}

/* A call that is in hand, because the store hangs, keeps it for a moment. */
static void a_broker_that_is_told_to_stop_is_not_ready(void **state)
{
    (void)state;
    static const char *const patient[] = { "--redis-timeout-ms", "60000", NULL };
    assert_int_equal(stage_open(NULL, patient), 0);
    find_bare_broker();
    page_await(broker_at, "/readyz", 200, "ok");
    kill(stage.redis.process.pid, SIGSTOP);
    say("{\"op\":\"get\",\"child\":\"c1\"}");
    metric_await(broker_at, "rhizome_broker_calls_total", 2);
    kill(stage.broker.pid, SIGTERM);
    page_await(broker_at, "/readyz?verbose", 503,
               "[-] sockets: the broker is stopping and takes nothing new\n");
    kill(stage.redis.process.pid, SIGCONT);
    assert_int_equal(stage_down(NULL), 0);
}

static void a_linked_runner_is_ready(void **state)
{
    (void)state;
    page_await(runner_at, "/readyz?verbose", 200, "[+] broker\n[+] sync\n[+] workers\n[+] intake\nok\n");
    assert_true(metric(runner_at, "rhizome_runner_ready") == 1);
    assert_true(metric(runner_at, "rhizome_runner_linked") == 1);
}

static void a_runner_without_a_broker_is_not_ready(void **state)
{
    (void)state;
    page_await(runner_at, "/readyz", 200, "ok");
    rig_broker_end(rig, SIGKILL);
    page_await(runner_at, "/readyz?verbose", 503, "[-] broker: none is linked\n");
    assert_true(metric(runner_at, "rhizome_runner_linked") == 0);
    assert_int_equal(page_get(runner_at, "/livez")->status, 200);
    rig_broker_up(rig);
    page_await(runner_at, "/readyz", 200, "ok");
}

/* Its broker gives up a call to the store sooner than the runner gives up the broker, as with the defaults. */
static void a_runner_is_ready_only_while_the_store_is_there(void **state)
{
    (void)state;
    static const char *const hasty[] = { "--redis-timeout-ms", "200", NULL };
    rig = rig_up(&(rig_options_t){ .runners = 1, .config = quick, .broker = hasty });
    find_runner();
    page_await(runner_at, "/readyz", 200, "ok");
    rig_redis_end(rig, SIGKILL);
    page_await(runner_at, "/readyz", 503, "not ready: sync\n");
    page_await(runner_at, "/readyz?verbose", 503,
               "[+] broker\n[-] sync: the last one was answered UNAVAILABLE");
    rig_redis_up(rig);
    page_await(runner_at, "/readyz", 200, "ok");
    rig_down(&rig);
}

static void a_draining_runner_is_not_ready(void **state)
{
    (void)state;
    page_await(runner_at, "/readyz", 200, "ok");
    rig_submit(rig, "p", "long", "echo", "__sleep_ms:60000");
    rig_await(rig, "{\"op\":\"get\",\"child\":\"long\"}", "activation.state", "running");
    kill(rig_runner_pid(rig, 0), SIGTERM);
    page_await(runner_at, "/readyz?verbose", 503,
               "[-] intake: draining, it takes no new work; policy wait, 1 left: long runs for ");
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"long\",\"now\":true}"));
    rig_runner_end(rig, 0, 0);
}

/* ---- metrics ---- */

static void metrics_of_both_are_sound_and_name_nobody(void **state)
{
    (void)state;
    static const char *const ids[] = { "parent-of-this-fact", "child-of-this-fact", "runner-0",
                                       "incarnation=" };
    run_one("child-of-this-fact", "hello");
    metric_await(broker_at, "rhizome_broker_queue_depth", 0);
    const char *const at[] = { broker_at, runner_at };
    for (size_t i = 0; i < 2; i++) {
        metrics_are_sound(at[i]);
        for (size_t k = 0; k < sizeof ids / sizeof *ids; k++)
            assert_null(strstr(page_get(at[i], "/metrics")->body, ids[k]));
    }
}

static void the_brokers_counters_move_with_the_work(void **state)
{
    (void)state;
    assert_true(metric(broker_at, "rhizome_broker_terminals_total{status=\"completed\"}") == 0);
    assert_true(metric(broker_at, "rhizome_broker_runners_linked") == 1);
    assert_true(metric(broker_at, "rhizome_broker_slots") == 8);
    metric_await(broker_at, "rhizome_broker_free_slots", 8);
    double batches = metric(broker_at, "rhizome_broker_store_batches_total");
    double seconds = metric(broker_at, "rhizome_broker_store_seconds_total");
    run_one("c1", "hello");
    metric_await(broker_at, "rhizome_broker_terminals_total{status=\"completed\"}", 1);
    assert_true(metric(broker_at, "rhizome_broker_terminals_total{status=\"error\"}") == 0);
    assert_true(metric(broker_at, "rhizome_broker_submitted_total") == 1);
    assert_true(metric(broker_at, "rhizome_broker_assigned_total") == 1);
    assert_true(metric(broker_at, "rhizome_broker_finishes_total") == 1);
    assert_true(metric(broker_at, "rhizome_broker_store_batches_total") > batches);
    assert_true(metric(broker_at, "rhizome_broker_store_seconds_total") > seconds);
    double latency = metric(broker_at, "rhizome_broker_store_latency_seconds");
    assert_true(latency > 0 && latency < RIG_PATIENCE_MS / 1e3);
    assert_true(metric(broker_at, "rhizome_broker_uptime_seconds") > 0);
}

static void the_runners_counters_move_with_the_work(void **state)
{
    (void)state;
    assert_true(metric(runner_at, "rhizome_runner_slots") == 8);
    assert_true(metric(runner_at, "rhizome_runner_busy_slots") == 0);
    run_one("c1", "hello");
    metric_await(runner_at, "rhizome_runner_ended_total", 1);
    metric_await(runner_at, "rhizome_runner_idle_workers", 1);
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"cold\"}") == 1);
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"warm\"}") == 0);
    run_one("c2", "hello");
    metric_await(runner_at, "rhizome_runner_starts_total{kind=\"warm\"}", 1);
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"cold\"}") == 1);
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"failed\"}") == 0);
    rig_submit(rig, "p", "long", "echo", "__sleep_ms:60000");
    metric_await(runner_at, "rhizome_runner_busy_slots", 1);
    assert_true(metric(runner_at, "rhizome_runner_held") == 1);
    assert_true(metric(runner_at, "rhizome_runner_workers") == 1);
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"long\",\"now\":true}"));
}

static void rig_with_flags(const char *const *runner_flags)
{
    rig = rig_up(&(rig_options_t){ .runners = 1, .config = quick, .runner = runner_flags });
    find_runner();
}

static void a_worker_that_is_replaced_is_counted(void **state)
{
    (void)state;
    static const char *const once[] = { "--runner-recycle-runs", "1", NULL };
    rig_with_flags(once);
    run_one("c1", "hello");
    metric_await(runner_at, "rhizome_runner_recycled_workers_total", 1);
    metric_await(runner_at, "rhizome_runner_starts_total{kind=\"cold\"}", 1);
    rig_down(&rig);
}

static void a_worker_that_does_not_come_up_is_counted(void **state)
{
    (void)state;
    static const char *const broken[] = { "--runner-worker-bin", "/bin/false", NULL };
    char status[32];
    rig_with_flags(broken);
    rig_submit(rig, "p", "c1", "echo", "x");
    rig_wait(rig, "c1", status);
    assert_string_equal(status, "error");
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"failed\"}") >= 1);
    assert_true(metric(runner_at, "rhizome_runner_starts_total{kind=\"cold\"}") == 0);
    metric_await(rig_endpoint(rig, "http"), "rhizome_broker_terminals_total{status=\"error\"}", 1);
    rig_down(&rig);
}

static void what_waits_is_counted_and_its_age_grows_while_the_store_is_there(void **state)
{
    (void)state;
    double age;
    metric_await(broker_at, "rhizome_broker_queue_depth", 0);
    assert_true(metric(broker_at, "rhizome_broker_oldest_waiting_seconds") == 0);
    rig_submit(rig, "p", "c1", "nobody-offers-it", "x");
    rig_submit(rig, "p", "c2", "nobody-offers-it", "x");
    metric_await(broker_at, "rhizome_broker_queue_depth", 2);
    metric_await(broker_at, "rhizome_broker_oldest_waiting_seconds", 1);
    rig_redis_end(rig, SIGKILL);
    page_await(broker_at, "/readyz", 503, "store");
    assert_false(metric_get(broker_at, "rhizome_broker_oldest_waiting_seconds", &age));
    assert_false(metric_get(broker_at, "rhizome_broker_queue_depth", &age));
    rig_redis_up(rig);
    metric_await(broker_at, "rhizome_broker_queue_depth", 2);
}

/* ---- two brokers ---- */

typedef struct {
    process_t process;
    char control[128], http[128];
} other_t;

static void other_up(other_t *other)
{
    char program[300], config[200], log[200], line[2048];
    snprintf(program, sizeof program, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(config, sizeof config, "%s/config.json", rig_dir(rig));
    snprintf(log, sizeof log, "%s/other.log", rig_dir(rig));
    const char *argv[32] = { program, "--config", config, "--broker-name", "other", FREE_PORTS };
    keyring_flags(argv, redis_flags(rig_redis(rig), "broker", argv, 17), "broker");
    process_start(&other->process, argv, log, 1);
    process_ready(&other->process, line, sizeof line, RIG_PATIENCE_MS);
    cJSON *ready = cJSON_Parse(line);
    snprintf(other->control, sizeof other->control, "%s", rig_text(ready, "control"));
    snprintf(other->http, sizeof other->http, "%s", rig_text(ready, "http"));
    cJSON_Delete(ready);
}

/* Cancels a child through that broker, and waits for the answer. */
static void cancel_through(const other_t *other, const char *child)
{
    char request[200], reply[4096];
    int linger = 0, limit_ms = RIG_PATIENCE_MS;
    void *context = zmq_ctx_new(), *client = zmq_socket(context, ZMQ_REQ);
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(client, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
    keyring_apply(client, "admin");
    assert_int_equal(zmq_connect(client, other->control), 0);
    int n = snprintf(request, sizeof request, "{\"op\":\"cancel\",\"child\":\"%s\"}", child);
    assert_int_equal(zmq_send(client, request, (size_t)n, 0), n);
    assert_true(zmq_recv(client, reply, sizeof reply, 0) > 0);
    zmq_close(client);
    zmq_ctx_term(context);
}

/* Both see every end; each counts its own. */
static void an_end_is_counted_by_the_broker_that_wrote_it(void **state)
{
    (void)state;
    static const char cancelled[] = "rhizome_broker_terminals_total{status=\"cancelled\"}";
    other_t other;
    other_up(&other);
    rig_submit(rig, "p", "c1", "nobody-offers-it", "x");
    rig_submit(rig, "p", "c2", "nobody-offers-it", "x");
    rig_submit(rig, "p", "c3", "nobody-offers-it", "x");
    cJSON_Delete(rig_ask(rig, "{\"op\":\"cancel\",\"child\":\"c1\"}"));
    cancel_through(&other, "c2");
    cancel_through(&other, "c3");
    metric_await(broker_at, cancelled, 1);
    metric_await(other.http, cancelled, 2);
    assert_true(metric(broker_at, cancelled) == 1);
    assert_true(metric(other.http, cancelled) == 2);
    process_end(&other.process, SIGTERM, RIG_PATIENCE_MS);
}

/* ---- where it is served ---- */

static void hello_tells_where_health_is_served(void **state)
{
    (void)state;
    cJSON *reply = rig_ask(rig, "{\"op\":\"hello\"}");
    const char *url = rig_text(reply, "endpoints.http");
    assert_memory_equal(url, "http://127.0.0.1:", 17);
    assert_string_equal(strrchr(url, ':'), strrchr(broker_at, ':'));
    cJSON_Delete(reply);
}

/* Runs a program until it ends by itself; its exit code. The log says `text`. */
static int end_of(const char *const *argv, const char *text)
{
    char log[200], told[4096] = "";
    process_t process;
    snprintf(log, sizeof log, "%s/taken.log", rig_dir(rig));
    process_start(&process, argv, log, 0);
    int status = process_end(&process, 0, RIG_PATIENCE_MS);
    FILE *file = fopen(log, "r");
    assert_non_null(file);
    told[fread(told, 1, sizeof told - 1, file)] = '\0';
    fclose(file);
    if (strstr(told, text) == NULL)
        fail_msg("\"%s\" is not in %s", text, told);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_port_that_is_taken_is_named_and_nothing_starts(void **state)
{
    (void)state;
    static const char any[] = "tcp://127.0.0.1:*";
    char broker[300], runner[300], config[200], dir[200];
    snprintf(broker, sizeof broker, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(runner, sizeof runner, "%s/rhizome-runner", getenv("RZ_BIN_DIR"));
    snprintf(config, sizeof config, "%s/config.json", rig_dir(rig));
    snprintf(dir, sizeof dir, "%s/second", rig_dir(rig));
    const char *broker_argv[] = { broker, "--config",         config,    "--broker-jobs",
                                  any,    "--broker-control", any,       "--broker-events",
                                  any,    "--broker-runners", any,       "--broker-publish",
                                  any,    "--broker-http",    broker_at, NULL };
    assert_int_equal(end_of(broker_argv, "broker.http: cannot listen on 127.0.0.1:"), 69);
    const char *runner_argv[] = { runner,
                                  "--runner-state-dir",
                                  dir,
                                  "--runner-brokers",
                                  rig_endpoint(rig, "runners"),
                                  "--runner-http",
                                  broker_at,
                                  NULL };
    assert_int_equal(end_of(runner_argv, "runner.http: cannot listen on 127.0.0.1:"), 69);
}

static void a_broker_without_an_endpoint_serves_nothing(void **state)
{
    (void)state;
    static const char *const off[] = { "--broker-http", "", NULL };
    assert_int_equal(stage_open(NULL, off), 0);
    find_bare_broker();
    assert_string_equal(broker_at, "");
    assert_int_equal(stage_down(NULL), 0);
}

static void a_runner_without_an_endpoint_serves_nothing(void **state)
{
    (void)state;
    static const char *const off[] = { "--runner-http", "", NULL };
    rig = rig_up(&(rig_options_t){ .runners = 1, .runner = off });
    run_one("c1", "hello");
    cJSON *reply = rig_ask(rig, "{\"op\":\"runners\"}");
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(reply, "runners"), 0);
    assert_string_equal(rig_text(first, "facts.version"), RZ_VERSION);
    assert_string_equal(rig_text(first, "facts.http"), "");
    cJSON_Delete(reply);
    rig_down(&rig);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_broker_that_consumes_is_ready, broker_alone, away),
    cmocka_unit_test_setup_teardown(a_broker_is_ready_only_while_its_store_is_there, broker_alone, away),
    cmocka_unit_test(a_broker_that_is_told_to_stop_is_not_ready),
    cmocka_unit_test_setup_teardown(a_linked_runner_is_ready, broker_and_runner, away),
    cmocka_unit_test_setup_teardown(a_runner_without_a_broker_is_not_ready, broker_and_runner, away),
    cmocka_unit_test(a_runner_is_ready_only_while_the_store_is_there),
    cmocka_unit_test_setup_teardown(a_draining_runner_is_not_ready, broker_and_runner, away),
    cmocka_unit_test_setup_teardown(metrics_of_both_are_sound_and_name_nobody, broker_and_runner, away),
    cmocka_unit_test_setup_teardown(the_brokers_counters_move_with_the_work, broker_and_runner, away),
    cmocka_unit_test_setup_teardown(the_runners_counters_move_with_the_work, broker_and_runner, away),
    cmocka_unit_test(a_worker_that_is_replaced_is_counted),
    cmocka_unit_test(a_worker_that_does_not_come_up_is_counted),
    cmocka_unit_test_setup_teardown(what_waits_is_counted_and_its_age_grows_while_the_store_is_there, broker_alone, away),
    cmocka_unit_test_setup_teardown(an_end_is_counted_by_the_broker_that_wrote_it, broker_alone, away),
    cmocka_unit_test_setup_teardown(hello_tells_where_health_is_served, broker_alone, away),
    cmocka_unit_test_setup_teardown(a_port_that_is_taken_is_named_and_nothing_starts, broker_alone, away),
    cmocka_unit_test(a_broker_without_an_endpoint_serves_nothing),
    cmocka_unit_test(a_runner_without_an_endpoint_serves_nothing),
};
/* clang-format on */

RZ_FACTS(tests)
