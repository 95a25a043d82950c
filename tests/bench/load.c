/* load.c - measurements of the whole system, from outside, with the plain sockets any client has. */
#include "bench.h"

#include "base/key.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define PARENTS     50
#define PATIENCE_MS 30000

typedef struct {
    const bench_t *bench;
    void *context, *jobs, *control, *events;
    char run[32]; /* unique per run: session ids are never reused */
} load_t;

static void *open_socket(load_t *load, int type, const char *endpoint)
{
    int zero = 0;
    void *socket = zmq_socket(load->context, type);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
    rz_key_t key;
    rz_err_t err = { 0 };
    if (rz_key_load(load->bench->key != NULL ? load->bench->key : "", "--key", &key, &err) != RZ_OK ||
        rz_key_apply(&key, NULL, socket, &err) != RZ_OK)
        bench_die("%s", err.text);
    rz_key_wipe(&key);
    if (endpoint == NULL || zmq_connect(socket, endpoint) != 0)
        bench_die("cannot connect to %s", endpoint != NULL ? endpoint : "(no endpoint given)");
    return socket;
}

static cJSON *ask(load_t *load, const char *request)
{
    char *text = NULL;
    zmq_msg_t reply;
    zmq_msg_init(&reply);
    zmq_pollitem_t item = { .socket = load->control, .events = ZMQ_POLLIN };
    zmq_send(load->control, request, strlen(request), 0);
    if (zmq_poll(&item, 1, PATIENCE_MS) <= 0 || zmq_msg_recv(&reply, load->control, 0) < 0)
        bench_die("no answer to %s", request);
    text = zmq_msg_data(&reply);
    cJSON *tree = cJSON_ParseWithLength(text, zmq_msg_size(&reply));
    zmq_msg_close(&reply);
    if (tree == NULL)
        bench_die("an answer is no JSON");
    return tree;
}

/* One part of a message as text; what does not fit is cut. False: it was the last. */
static bool take_part(void *socket, char *text, size_t max)
{
    zmq_msg_t part;
    zmq_msg_init(&part);
    zmq_msg_recv(&part, socket, 0);
    if (max > 0)
        snprintf(text, max, "%.*s", (int)zmq_msg_size(&part), (char *)zmq_msg_data(&part));
    bool more = zmq_msg_more(&part) != 0;
    zmq_msg_close(&part);
    return more;
}

/* True if one event arrives in time: its topic and its last part, of which no more is kept than max_body. */
static bool hear_whole(void *socket, char *topic, size_t max, char *body, size_t max_body, int timeout_ms)
{
    zmq_pollitem_t item = { .socket = socket, .events = ZMQ_POLLIN };
    if (zmq_poll(&item, 1, timeout_ms) <= 0)
        return false;
    for (bool more = take_part(socket, topic, max); more;)
        more = take_part(socket, body, max_body);
    return true;
}

static bool hear(void *socket, char *topic, size_t max, int timeout_ms)
{
    return hear_whole(socket, topic, max, NULL, 0, timeout_ms);
}

static bool synced(load_t *load, void *socket, unsigned round)
{
    char nonce[64], prefix[96], request[160], topic[600];
    snprintf(nonce, sizeof nonce, "%s-%u", load->run, round);
    snprintf(prefix, sizeof prefix, "$sys/sync/%s/", nonce);
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    snprintf(request, sizeof request, "{\"op\":\"sync\",\"nonce\":\"%s\"}", nonce);
    cJSON *reply = ask(load, request);
    int missing = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(reply, "emitters"));
    cJSON_Delete(reply);
    while (missing > 0 && hear(socket, topic, sizeof topic, 200))
        missing -= strncmp(topic, prefix, strlen(prefix)) == 0;
    zmq_setsockopt(socket, ZMQ_UNSUBSCRIBE, prefix, strlen(prefix));
    return missing == 0;
}

static void *subscribe(load_t *load, const char *prefix)
{
    static unsigned round;
    void *socket = open_socket(load, ZMQ_SUB, load->bench->events);
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    for (int tries = 0; tries < 50; tries++)
        if (synced(load, socket, round++))
            return socket;
    bench_die("the subscription never reached every runner");
}

static void open_load(load_t *load, const bench_t *bench)
{
    memset(load, 0, sizeof *load);
    load->bench = bench;
    load->context = zmq_ctx_new();
    snprintf(load->run, sizeof load->run, "bench-%d", (int)getpid());
    load->jobs = open_socket(load, ZMQ_PUSH, bench->jobs);
    load->control = open_socket(load, ZMQ_REQ, bench->control);
}

static void close_load(load_t *load)
{
    int zero = 0;
    void *const sockets[] = { load->jobs, load->control, load->events };
    for (size_t i = 0; i < 3; i++)
        if (sockets[i] != NULL) {
            zmq_setsockopt(sockets[i], ZMQ_LINGER, &zero, sizeof zero);
            zmq_close(sockets[i]);
        }
    zmq_ctx_term(load->context);
}

static void push(load_t *load, size_t i, const char *profile, const char *role, const char *text)
{
    char *job = NULL;
    int n = asprintf(
        &job,
        "{\"parent_session_id\":\"%s-p%zu\",\"child_session_id\":\"%s-c%zu\",\"model\":\"\",\"require\":{"
        "\"profile\":\"%s\"},\"session\":{\"id\":\"%s-c%zu\",\"kind\":\"child\",\"metadata\":{\"subagent_"
        "type\":"
        "\"%s\"},\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}}",
        load->run, i % PARENTS, load->run, i, profile, load->run, i, role, text);
    if (n < 0 || zmq_send(load->jobs, job, (size_t)n, 0) < 0)
        bench_die("cannot push job %zu", i);
    free(job);
}

/* Reads topics until the completed event of a child arrives; its number. */
static size_t next_completed(load_t *load)
{
    char topic[600];
    for (;;) {
        if (!hear(load->events, topic, sizeof topic, PATIENCE_MS))
            bench_die("no terminal for %d s", PATIENCE_MS / 1000);
        char *type = strrchr(topic, '/');
        if (type == NULL || strcmp(type, "/sub_agent_completed") != 0)
            continue;
        *type = '\0';
        const char *number = strrchr(topic, 'c');
        return number != NULL ? (size_t)strtoull(number + 1, NULL, 10) : 0;
    }
}

static void expect_completed(load_t *load, size_t i)
{
    char request[160];
    snprintf(request, sizeof request, "{\"op\":\"get\",\"child\":\"%s-c%zu\"}", load->run, i);
    cJSON *reply = ask(load, request);
    const cJSON *activation = cJSON_GetObjectItemCaseSensitive(reply, "activation");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(activation, "status");
    if (!cJSON_IsString(status) || strcmp(status->valuestring, "completed") != 0)
        bench_die("child %zu: %s", i, cJSON_PrintUnformatted(reply));
    cJSON_Delete(reply);
}

void bench_activations(const bench_t *bench)
{
    load_t load;
    open_load(&load, bench);
    load.events = subscribe(&load, load.run);
    push(&load, bench->n, "echo", "worker", "warm up");
    next_completed(&load);
    unsigned char *seen = calloc(bench->n, 1);
    uint64_t begin = bench_now_us();
    for (size_t i = 0; i < bench->n; i++)
        push(&load, i, "echo", "worker", "hello world");
    for (size_t done = 0; done < bench->n; done++) {
        size_t i = next_completed(&load);
        if (i >= bench->n || seen[i]++ != 0)
            bench_die("a second terminal for child %zu", i);
    }
    uint64_t took = bench_now_us() - begin;
    for (size_t i = 0; i < bench->n; i += bench->n / 100 + 1)
        expect_completed(&load, i);
    bench_print("activations", (double)bench->n * 1e6 / (double)took, "1/s", bench->n);
    free(seen);
    close_load(&load);
}

static uint64_t one_job(load_t *load, size_t i, const char *role)
{
    uint64_t begin = bench_now_us();
    push(load, i, load->bench->profile, role, "hello world");
    if (next_completed(load) != i)
        bench_die("a terminal that was not asked for");
    return bench_now_us() - begin;
}

static void measure_one_at_a_time(load_t *load, const char *name, size_t first, size_t n, bool cold)
{
    uint64_t *samples = calloc(n, sizeof *samples);
    char role[64] = "worker";
    one_job(load, first, role);
    for (size_t i = 0; i < n; i++) {
        if (cold)
            snprintf(role, sizeof role, "%.16s-%zu", load->run, i);
        samples[i] = one_job(load, first + 1 + i, role);
    }
    bench_print_percentiles(name, samples, n);
    free(samples);
}

void bench_latency(const bench_t *bench)
{
    load_t load;
    open_load(&load, bench);
    load.events = subscribe(&load, load.run);
    measure_one_at_a_time(&load, "warm job", 0, bench->n, false);
    close_load(&load);
}

void bench_cold(const bench_t *bench)
{
    load_t load;
    open_load(&load, bench);
    load.events = subscribe(&load, load.run);
    measure_one_at_a_time(&load, "cold job", 0, bench->n, true);
    close_load(&load);
}

/* The program of the profile says who its worker is, and goes on; the worker's process id. */
static pid_t hear_worker(load_t *load)
{
    char topic[600], body[1024];
    for (;;) {
        if (!hear_whole(load->events, topic, sizeof topic, body, sizeof body, PATIENCE_MS))
            bench_die("no worker said its process id");
        const char *said = strstr(body, "worker=");
        if (said != NULL)
            return (pid_t)strtol(said + strlen("worker="), NULL, 10);
    }
}

void bench_death(const bench_t *bench)
{
    load_t load;
    open_load(&load, bench);
    load.events = subscribe(&load, load.run);
    uint64_t *samples = calloc(bench->n, sizeof *samples);
    for (size_t i = 0; i < bench->n; i++) {
        push(&load, i, bench->profile, "worker", "hello world");
        pid_t worker = hear_worker(&load);
        uint64_t begin = bench_now_us();
        if (worker <= 1 || kill(worker, SIGKILL) != 0)
            bench_die("no worker has process id %d", (int)worker);
        if (next_completed(&load) != i)
            bench_die("a terminal that was not asked for");
        samples[i] = bench_now_us() - begin;
    }
    bench_print_percentiles("worker killed, its terminal heard", samples, bench->n);
    free(samples);
    close_load(&load);
}

void bench_backlog(const bench_t *bench)
{
    load_t load;
    char name[64];
    open_load(&load, bench);
    load.events = subscribe(&load, load.run);
    size_t n = bench->n;
    uint64_t begin = bench_now_us();
    for (size_t i = 0; i < n; i++)
        push(&load, i, "nobody", "worker", "hello world");
    for (double waiting = 0; waiting < (double)n;) {
        cJSON *reply = ask(&load, "{\"op\":\"status\"}");
        waiting = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "waiting"));
        cJSON_Delete(reply);
        if (bench_now_us() - begin > 120 * (uint64_t)1000000)
            bench_die("only %.0f of %zu jobs were queued in 120 s", waiting, n);
    }
    snprintf(name, sizeof name, "queueing %zu jobs", n);
    bench_print(name, (double)n * 1e6 / (double)(bench_now_us() - begin), "1/s", n);
    snprintf(name, sizeof name, "warm job behind %zu queued", n);
    measure_one_at_a_time(&load, name, n, 300, false);
    close_load(&load);
}

/* ---- events ---- */

#define BURST 4000 /* tokens of one child: below every queue on the way, so that PUB has no reason to drop */

static char *many_words(size_t n)
{
    char *text = malloc(n * 2 + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * 2, "w ", 2);
    text[n * 2] = '\0';
    return text;
}

/* Reads one event of each subscriber in turn until all have seen the end; how many tokens they saw together. */
static size_t hear_one_child(void *const *subs, unsigned n)
{
    char topic[600];
    size_t tokens = 0, ends = 0;
    uint64_t begin = bench_now_us();
    for (unsigned i = 0; ends < n; i = (i + 1) % n) {
        while (ends < n && hear(subs[i], topic, sizeof topic, n == 1 ? PATIENCE_MS : 0)) {
            ends += strstr(topic, "/sub_agent_completed") != NULL;
            tokens += strstr(topic, "/sub_agent_event.token") != NULL;
        }
        if (bench_now_us() - begin > 120 * (uint64_t)1000000)
            bench_die("only %zu tokens arrived in 120 s", tokens);
    }
    return tokens;
}

void bench_events(const bench_t *bench)
{
    load_t load;
    void *subs[16];
    char name[64];
    unsigned n = bench->subscribers < 16 ? bench->subscribers : 16;
    size_t children = bench->n / BURST + (bench->n < BURST), tokens = 0;
    open_load(&load, bench);
    for (unsigned i = 0; i < n; i++)
        subs[i] = subscribe(&load, load.run);
    load.events = subs[0];
    push(&load, 0, "echo", "worker", "warm up");
    hear_one_child(subs, n);
    char *text = many_words(BURST);
    uint64_t begin = bench_now_us();
    for (size_t child = 1; child <= children; child++) {
        push(&load, child, "echo", "worker", text);
        tokens += hear_one_child(subs, n);
    }
    uint64_t took = bench_now_us() - begin;
    if (tokens != children * BURST * n)
        bench_die("%zu of %zu tokens arrived", tokens, children * BURST * n);
    snprintf(name, sizeof name, "events to %u subscriber%s", n, n > 1 ? "s" : "");
    bench_print(name, (double)(children * BURST) * 1e6 / (double)took, "1/s", children * BURST);
    free(text);
    for (unsigned i = 1; i < n; i++) {
        int zero = 0;
        zmq_setsockopt(subs[i], ZMQ_LINGER, &zero, sizeof zero);
        zmq_close(subs[i]);
    }
    close_load(&load);
}
