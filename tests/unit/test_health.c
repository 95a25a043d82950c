/* test_health.c - /livez, /readyz and /metrics, over raw TCP. */
#include "ws_stage.h"

#include "base/health.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct {
    bool store, broker;
} facts_t;

static void ready(rz_checks_t *checks, void *arg)
{
    const facts_t *facts = arg;
    rz_check(checks, "store", facts->store, "%s is away", "redis");
    rz_check(checks, "broker", facts->broker, "none is linked");
}

static void metrics(rz_buf_t *out, void *arg)
{
    (void)arg;
    rz_metric(out, "rhizome_jobs_total", RZ_COUNTER, "Spawn jobs.", 12);
    rz_metric_head(out, "rhizome_ends_total", RZ_COUNTER, "Ends by status.");
    rz_metric_sample(out, "rhizome_ends_total", "status", "completed", 5);
    rz_metric_sample(out, "rhizome_ends_total", "status", "say \"\\n\"\n", 0.25);
}

/* Asks once, on a connection of its own, and leaves the status line and the body. */
static int get(fixture_t *f, facts_t *facts, const char *path, char body[1024])
{
    static const rz_health_events_t health_events = { ready, metrics };
    rz_err_t err = { 0 };
    rz_health_t *health = rz_health_open(f->context, "tcp://127.0.0.1:*", &health_events, facts, &err);
    if (health == NULL)
        fail_msg("%s", err.text);
    uint16_t port = rz_health_port(health);
    f->raw = tcp_socket(&port, false);
    char request[256], head[1024];
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    raw_send(f, request, (size_t)n);
    raw_answer(f, head, sizeof head);
    size_t length = strtoul(strstr(head, "content-length: ") + strlen("content-length: "), NULL, 10);
    assert_int_equal(raw_read(f, body, length), length);
    body[length] = '\0';
    rz_health_close(&health);
    return atoi(head + strlen("HTTP/1.1 "));
}

static void a_process_that_answers_lives(void **state)
{
    char body[1024];
    facts_t facts = { 0 };
    assert_int_equal(get(*state, &facts, "/livez", body), 200);
    assert_string_equal(body, "ok\n");
}

static void ready_is_what_passes_every_check(void **state)
{
    char body[1024];
    facts_t facts = { true, true };
    assert_int_equal(get(*state, &facts, "/readyz", body), 200);
    assert_string_equal(body, "ok\n");
}

static void what_is_not_ready_names_the_checks_that_failed(void **state)
{
    char body[1024];
    facts_t facts = { 0 };
    assert_int_equal(get(*state, &facts, "/readyz", body), 503);
    assert_string_equal(body, "not ready: store, broker\n");
}

static void verbose_readiness_has_a_line_for_every_check(void **state)
{
    char body[1024];
    facts_t facts = { .broker = true };
    assert_int_equal(get(*state, &facts, "/readyz?verbose", body), 503);
    assert_string_equal(body, "[-] store: redis is away\n[+] broker\nnot ready: store\n");
}

static void metrics_are_prometheus_text(void **state)
{
    char body[1024];
    facts_t facts = { 0 };
    assert_int_equal(get(*state, &facts, "/metrics", body), 200);
    assert_string_equal(body, "# HELP rhizome_jobs_total Spawn jobs.\n"
                              "# TYPE rhizome_jobs_total counter\n"
                              "rhizome_jobs_total 12\n"
                              "# HELP rhizome_ends_total Ends by status.\n"
                              "# TYPE rhizome_ends_total counter\n"
                              "rhizome_ends_total{status=\"completed\"} 5\n"
                              "rhizome_ends_total{status=\"say \\\"\\\\n\\\"\\n\"} 0.25\n");
}

static void another_path_is_told_what_there_is(void **state)
{
    char body[1024];
    facts_t facts = { 0 };
    assert_int_equal(get(*state, &facts, "/", body), 404);
    assert_non_null(strstr(body, "/readyz"));
}

static void an_endpoint_that_is_no_tcp_address_is_refused(void **state)
{
    fixture_t *f = *state;
    static const rz_health_events_t health_events = { ready, metrics };
    rz_err_t err = { 0 };
    assert_null(rz_health_open(f->context, "ipc:///tmp/x", &health_events, NULL, &err));
    assert_int_equal(err.rc, RZ_BAD_FIELD);
}

static void the_first_check_that_fails_says_why(void **state)
{
    (void)state;
    static const rz_health_events_t health_events = { ready, metrics };
    char why[64];
    facts_t facts = { 0 };
    assert_false(rz_health_ready(&health_events, &facts, why, sizeof why));
    assert_string_equal(why, "store: redis is away");
    facts = (facts_t){ true, true };
    assert_true(rz_health_ready(&health_events, &facts, why, sizeof why));
    assert_string_equal(why, "");
}

static void its_url_is_where_it_listens(void **state)
{
    fixture_t *f = *state;
    static const rz_health_events_t health_events = { ready, metrics };
    rz_err_t err = { 0 };
    char url[64];
    rz_health_t *health = rz_health_open(f->context, "tcp://*:*", &health_events, NULL, &err);
    assert_non_null(health);
    snprintf(url, sizeof url, "http://0.0.0.0:%u", rz_health_port(health));
    assert_string_equal(rz_health_url(health), url);
    rz_health_close(&health);
}

static double value_of(const char *text, const char *name)
{
    char line[64];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    if (at == NULL)
        fail_msg("no %s in %s", name, text);
    return strtod(at + strlen(line), NULL);
}

static void a_process_tells_its_memory_time_and_descriptors(void **state)
{
    (void)state;
    rz_buf_t before = { 0 }, after = { 0 };
    rz_metrics_process(&before);
    int fd = dup(0);
    rz_metrics_process(&after);
    close(fd);
    assert_true(value_of(after.data, "process_open_fds") == value_of(before.data, "process_open_fds") + 1);
    assert_true(value_of(after.data, "process_max_fds") >= value_of(after.data, "process_open_fds"));
    assert_in_range((uintmax_t)value_of(after.data, "process_resident_memory_bytes"), 1 << 20,
                    (uintmax_t)1 << 40);
    assert_true(value_of(after.data, "process_cpu_seconds_total") > 0);
    assert_non_null(strstr(after.data, "rhizome_build_info{version=\"" RZ_VERSION "\"} 1\n"));
    rz_buf_fini(&before);
    rz_buf_fini(&after);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_process_that_answers_lives, setup, teardown),
    cmocka_unit_test_setup_teardown(ready_is_what_passes_every_check, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_not_ready_names_the_checks_that_failed, setup, teardown),
    cmocka_unit_test_setup_teardown(verbose_readiness_has_a_line_for_every_check, setup, teardown),
    cmocka_unit_test_setup_teardown(metrics_are_prometheus_text, setup, teardown),
    cmocka_unit_test_setup_teardown(another_path_is_told_what_there_is, setup, teardown),
    cmocka_unit_test_setup_teardown(an_endpoint_that_is_no_tcp_address_is_refused, setup, teardown),
    cmocka_unit_test(the_first_check_that_fails_says_why),
    cmocka_unit_test_setup_teardown(its_url_is_where_it_listens, setup, teardown),
    cmocka_unit_test(a_process_tells_its_memory_time_and_descriptors),
};
/* clang-format on */

RZ_FACTS(tests)
