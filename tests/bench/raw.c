/* raw.c - what the same machine gives without us: the limits to hold our figures against. */
#include "bench.h"

#include "base/ws.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>
#include <zmq.h>

#define PAYLOAD 300

/* ---- ZeroMQ ---- */

typedef struct {
    void *context;
    char endpoint[128];
    size_t n;
} pusher_t;

static void *push_all(void *arg)
{
    const pusher_t *pusher = arg;
    char payload[PAYLOAD];
    memset(payload, 'x', sizeof payload);
    void *push = zmq_socket(pusher->context, ZMQ_PUSH);
    zmq_connect(push, pusher->endpoint);
    for (size_t i = 0; i < pusher->n; i++)
        zmq_send(push, payload, sizeof payload, 0);
    zmq_close(push);
    return NULL;
}

void bench_raw_zmq(size_t n)
{
    pusher_t pusher = { .context = zmq_ctx_new(), .n = n };
    size_t length = sizeof pusher.endpoint;
    void *pull = zmq_socket(pusher.context, ZMQ_PULL);
    zmq_bind(pull, "tcp://127.0.0.1:*");
    zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, pusher.endpoint, &length);
    pthread_t thread;
    uint64_t begin = bench_now_us();
    pthread_create(&thread, NULL, push_all, &pusher);
    for (size_t i = 0; i < n; i++) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        zmq_msg_recv(&message, pull, 0);
        zmq_msg_close(&message);
    }
    bench_print("ZeroMQ PUSH to PULL, 300 bytes", (double)n * 1e6 / (double)(bench_now_us() - begin), "1/s",
                n);
    pthread_join(thread, NULL);
    zmq_close(pull);
    zmq_ctx_term(pusher.context);
}

/* ---- Redis ---- */

void bench_raw_redis(const char *socket, size_t n)
{
    enum { DEPTH = 64 };
    char payload[PAYLOAD + 1];
    memset(payload, 'x', PAYLOAD);
    payload[PAYLOAD] = '\0';
    redisContext *redis = redisConnectUnix(socket);
    if (redis == NULL || redis->err != 0)
        bench_die("cannot connect to redis at %s", socket);
    uint64_t begin = bench_now_us();
    for (size_t i = 0; i < n; i += DEPTH) {
        void *reply = NULL;
        for (int k = 0; k < DEPTH; k++)
            redisAppendCommand(redis, "SET rz-bench:%d %s", k, payload);
        for (int k = 0; k < DEPTH; k++) {
            if (redisGetReply(redis, &reply) != REDIS_OK)
                bench_die("redis: %s", redis->errstr);
            freeReplyObject(reply);
        }
    }
    bench_print("Redis SET pipelined by 64, 300 bytes", (double)n * 1e6 / (double)(bench_now_us() - begin),
                "1/s", n);
    freeReplyObject(
        redisCommand(redis, "EVAL %s 0", "for k = 0, 63 do redis.call('DEL', 'rz-bench:' .. k) end"));
    redisFree(redis);
}

/* ---- WebSocket: both ends in this process, on one loop ---- */

typedef struct {
    rz_ws_server_t *server;
    rz_ws_t *client;
    size_t left;
} echo_t;

static void on_server_open(rz_ws_t *ws, void *arg)
{
    (void)ws;
    (void)arg;
}

static void on_server_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    (void)arg;
    rz_ws_send(ws, bytes, len);
}

static void on_end(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg)
{
    (void)ws;
    (void)end;
    (void)detail;
    (void)arg;
}

static void on_client_open(rz_ws_t *ws, void *arg)
{
    (void)arg;
    rz_ws_send(ws, "{\"kind\":\"event\"}", 16);
}

static void on_client_text(rz_ws_t *ws, const char *bytes, size_t len, void *arg)
{
    echo_t *echo = arg;
    if (--echo->left > 0)
        rz_ws_send(ws, bytes, len);
    else
        rz_ws_close(ws, 1000);
}

static void on_client_end(rz_ws_t *ws, rz_ws_end_t end, const char *detail, void *arg)
{
    (void)ws;
    (void)detail;
    echo_t *echo = arg;
    if (end != RZ_WS_CLOSED)
        bench_die("the WebSocket ended: %s", rz_ws_end_name(end));
    echo->client = NULL;
}

void bench_raw_websocket(size_t n)
{
    static const rz_ws_events_t server_events = { on_server_open, on_server_text, on_end };
    static const rz_ws_events_t client_events = { on_client_open, on_client_text, on_client_end };
    rz_err_t err = { 0 };
    echo_t echo = { .left = n };
    uv_loop_t loop;
    uv_loop_init(&loop);
    rz_ws_context_t *context = rz_ws_context_open(&loop, &err);
    echo.server = rz_ws_listen(context, "127.0.0.1", 0, NULL, &server_events, &echo, &err);
    if (echo.server == NULL)
        bench_die("%s", err.text);
    echo.client = rz_ws_connect(
        context, &(rz_ws_peer_t){ .host = "127.0.0.1", .port = rz_ws_server_port(echo.server), .path = "/" },
        NULL, &client_events, &echo);
    uint64_t begin = bench_now_us();
    while (echo.client != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    bench_print("WebSocket echo round trip", (double)(bench_now_us() - begin) / (double)n, "us", n);
    rz_ws_server_close(&echo.server);
    rz_ws_context_close(&context);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

/* ---- processes ---- */

static void spawn_and_wait(char *const argv[], char *const env[])
{
    pid_t pid = 0;
    int status = 0;
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, env) != 0)
        bench_die("cannot spawn %s; ops/setup installs it", argv[0]);
    waitpid(pid, &status, 0);
    if (status != 0)
        bench_die("%s: wait status %d", argv[0], status);
}

void bench_raw_spawn(size_t n)
{
    static char name[] = "/bin/true";
    char *const argv[] = { name, NULL }, *const env[] = { NULL };
    uint64_t begin = bench_now_us();
    for (size_t i = 0; i < n; i++)
        spawn_and_wait(argv, env);
    bench_print("posix_spawn of /bin/true to its exit", (double)(bench_now_us() - begin) / 1000.0 / (double)n,
                "ms", n);
}

void bench_raw_death(size_t n)
{
    uint64_t *samples = calloc(n, sizeof *samples);
    for (size_t i = 0; i < n; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                pause();
        struct pollfd gone = { .fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN };
        if (child < 0 || gone.fd < 0)
            bench_die("cannot watch a child of this process");
        uint64_t begin = bench_now_us();
        kill(child, SIGKILL);
        poll(&gone, 1, -1);
        samples[i] = bench_now_us() - begin;
        close(gone.fd);
        waitpid(child, NULL, 0);
    }
    bench_print_percentiles("process killed, its pidfd readable", samples, n);
    free(samples);
}

static void measure_interpreter(const char *name, char *const argv[], size_t n)
{
    uint64_t *samples = calloc(n, sizeof *samples);
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = bench_now_us();
        spawn_and_wait(argv, environ);
        samples[i] = bench_now_us() - begin;
    }
    bench_print_percentiles(name, samples, n);
    free(samples);
}

void bench_raw_interpreters(size_t n)
{
    static char python[] = "/usr/bin/python3", c[] = "-c", pass[] = "pass", node[] = "/usr/bin/node",
                e[] = "-e", zero[] = "0";
    measure_interpreter("spawn of python3 -c pass", (char *const[]){ python, c, pass, NULL }, n);
    measure_interpreter("spawn of node -e 0", (char *const[]){ node, e, zero, NULL }, n);
}
