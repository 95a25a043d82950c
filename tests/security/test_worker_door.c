/* test_worker_door.c - strangers before a real rhizome-worker: without its token, with a stolen one, from a browser, in
 * great numbers, too large. Each is refused, told and counted, and the one who was meant is served. */
#include "facts.h"
#include "process.h"

#include "base/id.h"
#include "base/limits.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define CROWD       10000 /* of half handshakes */
#define AT_A_TIME   600   /* of those, open here: more than the worker takes */

static struct {
    char dir[64], log[96], token[RZ_SECRET_LEN + 1];
    process_t worker;
    uint16_t port;
} place;

/* ---- the worker ---- */

static void write_spec(const char *token)
{
    char path[128], secrets[160] = "";
    snprintf(path, sizeof path, "%s/spec", place.dir);
    if (token != NULL)
        snprintf(secrets, sizeof secrets, ",\"secrets\":{\"connection_token\":\"%s\"}", token);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"version\":1,\"identity\":{\"child_id\":\"w\"},\"executor\":{\"kind\":\"echo\"},"
            "\"fabric_dir\":\"%s/fabric\",\"reusable\":true%s}",
            place.dir, secrets);
    fclose(file);
}

/* Its record, once it is there. */
static void await_record(char *out, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/fabric/w.json", place.dir);
    for (uint64_t deadline = process_now_ms() + PATIENCE_MS; process_now_ms() < deadline; poll(NULL, 0, 2)) {
        FILE *file = fopen(path, "r");
        size_t n = file != NULL ? fread(out, 1, size - 1, file) : 0;
        if (file != NULL)
            fclose(file);
        out[n] = '\0';
        if (n > 0)
            return;
    }
    process_show_log(place.log);
    fail_msg("the worker did not register");
}

static void start_worker(const char *token)
{
    char command[512], record[2048];
    const char *bin = getenv("RZ_BIN_DIR");
    if (bin == NULL)
        fail_msg("RZ_BIN_DIR must name the folder of the programs (ctest sets it)");
    snprintf(place.dir, sizeof place.dir, "/tmp/rz-door-XXXXXX");
    assert_non_null(mkdtemp(place.dir));
    snprintf(place.log, sizeof place.log, "%s/log", place.dir);
    write_spec(token);
    snprintf(command, sizeof command, "exec %s/rhizome-worker < %s/spec", bin, place.dir);
    process_start(&place.worker, (const char *[]){ "/bin/sh", "-c", command, NULL }, place.log, 0);
    await_record(record, sizeof record);
    const char *endpoint = strstr(record, "ws://127.0.0.1:");
    assert_non_null(endpoint);
    place.port = (uint16_t)strtoul(endpoint + strlen("ws://127.0.0.1:"), NULL, 10);
}

static int guarded(void **state)
{
    (void)state;
    rz_secret_new(place.token);
    start_worker(place.token);
    return 0;
}

static int open_to_all(void **state)
{
    (void)state;
    start_worker(NULL);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int gone(void **state)
{
    (void)state;
    int status = process_end(&place.worker, SIGTERM, PATIENCE_MS);
    bool clean = status == -1 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (!clean)
        process_show_log(place.log);
    nftw(place.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return clean ? 0 : -1;
}

static void log_says(const char *text)
{
    static char log[65536];
    for (uint64_t deadline = process_now_ms() + PATIENCE_MS; process_now_ms() < deadline; poll(NULL, 0, 2)) {
        FILE *file = fopen(place.log, "r");
        size_t n = file != NULL ? fread(log, 1, sizeof log - 1, file) : 0;
        if (file != NULL)
            fclose(file);
        log[n] = '\0';
        if (place.token[0] != '\0' && strstr(log, place.token) != NULL)
            fail_msg("the log shows the token");
        if (strstr(log, text) != NULL)
            return;
    }
    fail_msg("the log never said %s; it says: %s", text, log);
}

/* ---- whoever knocks ---- */

/* -1: nobody listens any more. */
static int try_to_connect(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(place.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_to_worker(void)
{
    int fd = try_to_connect();
    if (fd < 0) {
        process_show_log(place.log);
        fail_msg("nobody listens at port %u", place.port);
    }
    return fd;
}

static void say(int fd, const char *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Asks for the upgrade with this header line (NULL: none); the status of the answer. */
static int knock(int fd, const char *header)
{
    char text[1024], answer[2048];
    size_t n = 0;
    int status = 0;
    snprintf(
        text, sizeof text,
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s\r\n",
        header != NULL ? header : "", header != NULL ? "\r\n" : "");
    say(fd, text, strlen(text));
    while (n < sizeof answer - 1 && recv(fd, answer + n, 1, 0) == 1)
        if (answer[n++] == '\n' && n >= 4 && memcmp(answer + n - 4, "\r\n\r\n", 4) == 0)
            break;
    answer[n] = '\0';
    (void)sscanf(answer, "HTTP/1.%*d %d", &status); /* NOLINT(cert-err34-c) */
    return status;
}

static int status_of(const char *header)
{
    int fd = connect_to_worker();
    int status = knock(fd, header);
    close(fd);
    return status;
}

static const char *bearer(const char *token)
{
    static char header[128];
    snprintf(header, sizeof header, "Authorization: Bearer %s", token);
    return header;
}

/* The connection that was meant; the caller closes it. */
static int come_in(void)
{
    int fd = connect_to_worker();
    assert_int_equal(knock(fd, bearer(place.token)), 101);
    return fd;
}

/* A run, from its frame to its terminal. */
static void is_served(int fd)
{
    static const char run[] = "{\"kind\":\"run\",\"assignment\":\"hello\"}";
    char frame[6 + sizeof run], said[4096];
    size_t n = 0;
    frame[0] = (char)0x81;
    frame[1] = (char)(0x80 | (sizeof run - 1));
    memset(frame + 2, 0, 4);
    memcpy(frame + 6, run, sizeof run - 1);
    say(fd, frame, 6 + sizeof run - 1);
    do {
        ssize_t got = recv(fd, said + n, sizeof said - 1 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
        said[n] = '\0';
        for (size_t i = 0; i < n; i++)
            said[i] = said[i] == '\0' ? ' ' : said[i];
    } while (strstr(said, "\"terminal\"") == NULL);
    assert_non_null(strstr(said, "echo: hello"));
}

static size_t descriptors_of(pid_t pid)
{
    char path[64], command[128];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    snprintf(command, sizeof command, "ls %s | wc -l", path);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c) */
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%zu", &n), 1); /* NOLINT(cert-err34-c) */
    pclose(pipe);
    return n;
}

/* ---- facts ---- */

static void the_token_opens_and_the_run_is_served(void **state)
{
    (void)state;
    int fd = come_in();
    is_served(fd);
    close(fd);
}

static void without_the_token_it_is_401_and_does_no_harm(void **state)
{
    (void)state;
    char other[RZ_SECRET_LEN + 1];
    rz_secret_new(other);
    assert_int_equal(status_of(NULL), 401);
    assert_int_equal(status_of(bearer(other)), 401);
    assert_int_equal(status_of(bearer("")), 401);
    other[0] = '\0';
    strncat(other, place.token, RZ_SECRET_LEN - 1);
    assert_int_equal(status_of(bearer(other)), 401);
    log_says("status=401 count=4");
    int fd = come_in();
    is_served(fd);
    close(fd);
}

static void a_stolen_token_is_503_while_its_owner_is_served(void **state)
{
    (void)state;
    int owner = come_in();
    assert_int_equal(status_of(bearer(place.token)), 503);
    assert_int_equal(status_of(NULL), 503);
    log_says("status=503");
    is_served(owner);
    close(owner);
}

static void a_replayed_token_finds_nobody(void **state)
{
    (void)state;
    int status, owner = come_in();
    is_served(owner);
    close(owner);
    assert_int_equal(waitpid(place.worker.pid, &status, 0), place.worker.pid);
    place.worker.pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(try_to_connect(), -1);
}

static void a_browser_is_403_whatever_it_knows(void **state)
{
    (void)state;
    char header[256];
    snprintf(header, sizeof header, "Origin: http://127.0.0.1\r\n%s", bearer(place.token));
    assert_int_equal(status_of("Origin: http://evil.example"), 403);
    assert_int_equal(status_of(header), 403);
    int fd = come_in(); /* the token is not spent */
    is_served(fd);
    close(fd);
}

static void a_browser_is_403_at_a_worker_without_a_token_too(void **state)
{
    (void)state;
    assert_int_equal(status_of("Origin: http://evil.example"), 403);
    int fd = connect_to_worker();
    assert_int_equal(knock(fd, NULL), 101);
    is_served(fd);
    close(fd);
}

/* As an upstream runner does it: who comes early is let in, and waits its turn. */
static void without_a_token_the_next_one_waits_its_turn(void **state)
{
    (void)state;
    int first = connect_to_worker(), second = connect_to_worker();
    assert_int_equal(knock(first, NULL), 101);
    assert_int_equal(knock(second, NULL), 101);
    is_served(first);
    close(first);
    is_served(second);
    close(second);
}

static void ten_thousand_half_handshakes_shut_nobody_out(void **state)
{
    (void)state;
    static int crowd[AT_A_TIME];
    memset(crowd, -1, sizeof crowd);
    for (size_t i = 0; i < CROWD; i++) {
        int *place_of = &crowd[i % AT_A_TIME];
        if (*place_of >= 0)
            close(*place_of);
        *place_of = connect_to_worker();
        say(*place_of, "GET / HTTP/1.1\r\n", 16);
    }
    int owner = come_in();
    is_served(owner);
    assert_in_range(descriptors_of(place.worker.pid), 1, 400);
    close(owner);
    for (size_t i = 0; i < AT_A_TIME; i++)
        close(crowd[i]);
    log_says("why=too_many_handshakes");
}

static void who_says_nothing_is_let_go_after_five_seconds(void **state)
{
    (void)state;
    char byte;
    int silent = connect_to_worker();
    uint64_t before = process_now_ms();
    assert_int_equal(recv(silent, &byte, 1, 0), 0);
    assert_in_range(process_now_ms() - before, 4000, 15000);
    close(silent);
}

static void an_oversized_request_ends_and_harms_nobody(void **state)
{
    (void)state;
    static char much[65536];
    char byte;
    memset(much, 'x', sizeof much);
    int fd = connect_to_worker();
    say(fd, "GET / HTTP/1.1\r\nX: ", 19);
    while (send(fd, much, sizeof much, MSG_NOSIGNAL) > 0)
        ;
    assert_true(recv(fd, &byte, 1, 0) <= 0 || byte == 'H');
    close(fd);
    int owner = come_in();
    is_served(owner);
    close(owner);
}

/* Who got in may not say as much as he likes either. */
static void an_oversized_frame_is_1009(void **state)
{
    (void)state;
    unsigned char head[14] = { 0x81, 0xff }, closing[4];
    uint64_t n = RZ_FRAME_MAX + 1;
    for (int i = 0; i < 8; i++)
        head[2 + i] = (unsigned char)(n >> (56 - 8 * i));
    int owner = come_in();
    say(owner, (const char *)head, sizeof head);
    say(owner, "x", 1);
    assert_int_equal(recv(owner, closing, sizeof closing, MSG_WAITALL), 4);
    assert_int_equal(closing[0], 0x88);
    assert_int_equal(closing[2] << 8 | closing[3], 1009);
    close(owner);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(the_token_opens_and_the_run_is_served, guarded, gone),
    cmocka_unit_test_setup_teardown(without_the_token_it_is_401_and_does_no_harm, guarded, gone),
    cmocka_unit_test_setup_teardown(a_stolen_token_is_503_while_its_owner_is_served, guarded, gone),
    cmocka_unit_test_setup_teardown(a_replayed_token_finds_nobody, guarded, gone),
    cmocka_unit_test_setup_teardown(a_browser_is_403_whatever_it_knows, guarded, gone),
    cmocka_unit_test_setup_teardown(a_browser_is_403_at_a_worker_without_a_token_too, open_to_all, gone),
    cmocka_unit_test_setup_teardown(without_a_token_the_next_one_waits_its_turn, open_to_all, gone),
    cmocka_unit_test_setup_teardown(ten_thousand_half_handshakes_shut_nobody_out, guarded, gone),
    cmocka_unit_test_setup_teardown(who_says_nothing_is_let_go_after_five_seconds, guarded, gone),
    cmocka_unit_test_setup_teardown(an_oversized_request_ends_and_harms_nobody, guarded, gone),
    cmocka_unit_test_setup_teardown(an_oversized_frame_is_1009, guarded, gone),
    /* clang-format on */
};

RZ_FACTS(tests)
