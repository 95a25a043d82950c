/* test_tunnel.c - the TLS tunnel of ops/redis between a broker and a Redis on another host: the shipped configurations, real
 * stunnel at both ends, certificates of an authority made for the fact. Only the addresses and folders are other ones. */
#include "facts.h"
#include "integration/redis.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static struct {
    char dir[64];
    redis_t redis;
    process_t near_end, far_end; /* stunnel on the broker's host and on Redis' */
    uint16_t port;
} line;

__attribute__((format(printf, 1, 2))) static int shell(const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    int status = system(text); /* NOLINT(cert-env33-c) */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

__attribute__((format(printf, 1, 2))) static void must(const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (shell("%s", text) != 0)
        fail_msg("failed: %s", text);
}

/* ---- certificates ---- */

static void make_authority(const char *name)
{
    must(
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out %s.pem "
        "-subj /CN=%s -days 2 2>/dev/null",
        line.dir, name, name, name);
}

static void make_certificate(const char *name, const char *host, const char *authority)
{
    must(
        "cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out %s.csr -subj /CN=%s "
        "2>/dev/null && printf 'subjectAltName=DNS:%s' > %s.ext && openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key "
        "-CAcreateserial -out %s.pem -days 2 -extfile %s.ext 2>/dev/null",
        line.dir, name, name, name, host, name, name, authority, authority, name, name);
}

/* ---- both ends ---- */

/* edit: a further step of sed, or "". */
static void start_end(process_t *end, const char *name, const char *edit)
{
    char conf[128], log[128];
    snprintf(conf, sizeof conf, "%s/%s.conf", line.dir, name);
    snprintf(log, sizeof log, "%s/%s.log", line.dir, name);
    must(
        "sed -e 's#/etc/rhizome/tls#%s#; s#/run/rhizome-redis#%s#; s#/run/redis/redis.sock#%s#; s#redis.example:6380#127.0.0.1:%u#; "
        "s#^accept = 6380#accept = 127.0.0.1:%u#; %s' " RZ_SOURCE_DIR "/ops/redis/%s > %s",
        line.dir, line.dir, line.redis.socket, line.port, line.port, edit, strrchr(conf, '/') + 1, conf);
    process_start(end, (const char *[]){ "stunnel", conf, NULL }, log, 0);
    if (!process_log_has(log, "Configuration successful", 1, PATIENCE_MS)) {
        process_show_log(log);
        fail_msg("stunnel does not start");
    }
}

static void both_ends(const char *near_edit, const char *far_edit)
{
    start_end(&line.far_end, "stunnel-redis", far_edit);
    start_end(&line.near_end, "stunnel-broker", near_edit);
}

static int line_up(void **state)
{
    (void)state;
    if (access("/usr/bin/stunnel", X_OK) != 0)
        exit(77);
    snprintf(line.dir, sizeof line.dir, "/tmp/rz-tunnel-XXXXXX");
    assert_non_null(mkdtemp(line.dir));
    redis_up(&line.redis, NULL);
    line.port = process_free_port();
    make_authority("ca");
    make_certificate("redis", "redis.example", "ca");
    make_certificate("broker", "broker.example", "ca");
    return 0;
}

static int line_down(void **state)
{
    (void)state;
    process_end(&line.near_end, SIGTERM, PATIENCE_MS);
    process_end(&line.far_end, SIGTERM, PATIENCE_MS);
    redis_down(&line.redis);
    return shell("rm -rf %s", line.dir);
}

/* `rhizome store init` through the near end: its exit code. */
static int init_store(void)
{
    return shell(
        "RHIZOME_REDIS_TIMEOUT_MS=3000 %s/rhizome store init --redis-url unix:%s/redis.sock %s > %s/said 2>&1",
        getenv("RZ_BIN_DIR"), line.dir, redis_store_flags(&line.redis), line.dir);
}

static void says(const process_t *end, const char *text)
{
    if (process_log_has(end->log, text, 1, PATIENCE_MS))
        return;
    process_show_log(line.far_end.log);
    process_show_log(line.near_end.log);
    fail_msg("%s does not say %s", end->log, text);
}

/* ---- facts ---- */

static void a_store_is_made_and_a_broker_works_through_it(void **state)
{
    (void)state;
    char program[400], url[128], log[128], ready[2048];
    process_t broker;
    both_ends("", "");
    assert_int_equal(init_store(), 0);
    snprintf(program, sizeof program, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(url, sizeof url, "unix:%s/redis.sock", line.dir);
    snprintf(log, sizeof log, "%s/broker.log", line.dir);
    const char *argv[32] = { program, "--redis-url", url, FREE_PORTS };
    redis_flags(&line.redis, "broker", argv, 15);
    process_start(&broker, argv, log, 1);
    process_ready(&broker, ready, sizeof ready, PATIENCE_MS); /* it met the store */
    int status = process_end(&broker, SIGTERM, PATIENCE_MS);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(redis_do(&line.redis, "EXISTS rz:{0}:store"), "1");
}

static void what_passes_is_no_plain_text(void **state)
{
    (void)state;
    both_ends("", "");
    char answer[64] = "";
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(line.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, "PING\r\n", 6, MSG_NOSIGNAL), 6);
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    assert_true(n <= 0 || strstr(answer, "PONG") == NULL);
    close(fd);
}

static void a_broker_without_a_certificate_is_refused(void **state)
{
    (void)state;
    both_ends("/^cert/d; /^key/d", "");
    assert_int_not_equal(init_store(), 0);
    says(&line.far_end, "peer did not return a certificate");
}

static void one_of_another_authority_is_refused(void **state)
{
    (void)state;
    make_authority("evil");
    make_certificate("stranger", "broker.example", "evil");
    both_ends("s#broker.pem#stranger.pem#; s#broker.key#stranger.key#", "");
    assert_int_not_equal(init_store(), 0);
    says(&line.far_end, "certificate verify failed");
}

static void a_redis_of_another_authority_is_refused(void **state)
{
    (void)state;
    make_authority("evil");
    make_certificate("stranger", "redis.example", "evil");
    both_ends("", "s#redis.pem#stranger.pem#; s#redis.key#stranger.key#");
    assert_int_not_equal(init_store(), 0);
    says(&line.near_end, "certificate verify failed");
}

static void a_redis_of_another_name_is_refused(void **state)
{
    (void)state;
    make_certificate("other", "other.example", "ca");
    both_ends("", "s#redis.pem#other.pem#; s#redis.key#other.key#");
    assert_int_not_equal(init_store(), 0);
    says(&line.near_end, "certificate verify failed");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_store_is_made_and_a_broker_works_through_it, line_up, line_down),
    cmocka_unit_test_setup_teardown(what_passes_is_no_plain_text, line_up, line_down),
    cmocka_unit_test_setup_teardown(a_broker_without_a_certificate_is_refused, line_up, line_down),
    cmocka_unit_test_setup_teardown(one_of_another_authority_is_refused, line_up, line_down),
    cmocka_unit_test_setup_teardown(a_redis_of_another_authority_is_refused, line_up, line_down),
    cmocka_unit_test_setup_teardown(a_redis_of_another_name_is_refused, line_up, line_down),
    /* clang-format on */
};

RZ_FACTS(tests)
