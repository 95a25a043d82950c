/* bare.c - see bare.h. */
#include "bare.h"

#include "../facts.h"
#include "base/id.h"
#include "keyring.h"
#include "secured.h"
#include "state/store.h"
#include "wire/link.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/* ---- the stage ---- */

stage_t stage;

static void take_endpoint(const cJSON *ready, const char *name, char out[128])
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ready, name));
    assert_non_null(text);
    snprintf(out, 128, "%s", text);
}

static const char *write_config(char *path, size_t size)
{
    snprintf(path, size, "%s/config.json", stage.redis.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "{%s}\n", stage.members != NULL ? stage.members : "");
    fclose(file);
    return path;
}

static void broker_start(void)
{
    char program[400], log[128], config[128];
    const char *bin = getenv("RZ_BIN_DIR");
    snprintf(program, sizeof program, "%s/rhizome-broker", bin != NULL ? bin : "build/asan/bin");
    snprintf(log, sizeof log, "%s/broker.log", stage.redis.dir);
    const char *argv[64] = { program,
                             "--config",
                             write_config(config, sizeof config),
                             "--redis-url",
                             stage.redis.url,
                             "--redis-timeout-ms",
                             "1000",
                             "--broker-name",
                             "b1",
                             "--broker-lease-ms",
                             "1500",
                             "--broker-sync-ms",
                             "300",
                             FREE_PORTS };
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    n = redis_flags(&stage.redis, "broker", argv, n);
    n = keyring_flags(argv, n, "broker");
    for (const char *const *flag = stage.flags; flag != NULL && *flag != NULL; flag++)
        argv[n++] = *flag;
    process_start(&stage.broker, argv, log, 1);
}

static void broker_up(void)
{
    char line[2048];
    broker_start();
    process_ready(&stage.broker, line, sizeof line, PATIENCE_MS);
    cJSON *ready = cJSON_Parse(line);
    take_endpoint(ready, "control", stage.control_at);
    take_endpoint(ready, "jobs", stage.jobs_at);
    take_endpoint(ready, "events", stage.events_at);
    take_endpoint(ready, "runners", stage.runners_at);
    take_endpoint(ready, "publish", stage.publish_at);
    cJSON_Delete(ready);
}

void *connected_as(int type, const char *endpoint, const char *name)
{
    int none = 0;
    void *sock = zmq_socket(stage.zctx, type);
    assert_non_null(sock);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    if (name != NULL)
        keyring_apply(sock, name);
    assert_int_equal(zmq_connect(sock, endpoint), 0);
    assert_true(stage.open_count < SOCKETS_MAX);
    stage.open[stage.open_count++] = sock;
    return sock;
}

void *connected(int type, const char *endpoint)
{
    return connected_as(type, endpoint, strcmp(endpoint, stage.runners_at) == 0 ? "runner" : "admin");
}

void disconnected(void *sock)
{
    for (size_t i = 0; i < stage.open_count; i++)
        if (stage.open[i] == sock) {
            stage.open[i] = stage.open[--stage.open_count];
            zmq_close(sock);
            return;
        }
}

/* settings: of Redis */
static int stage_build(const char *const *settings)
{
    rz_store_info_t info;
    rz_err_t err = { 0 };
    redis_up(&stage.redis, settings);
    if (stage.secure || secured())
        keyring_make(stage.redis.dir);
    rz_store_options_t options = { .url = stage.redis.url, AS("admin", stage.redis) };
    if (rz_store_init(&options, 1, &info, &err) != RZ_OK)
        fail_msg("store init: %s", err.text);
    broker_up();
    stage.zctx = zmq_ctx_new();
    stage.control = connected(ZMQ_REQ, stage.control_at);
    return 0;
}

int stage_open(const char *members, const char *const *flags)
{
    stage.members = members;
    stage.flags = flags;
    return stage_build(NULL);
}

int stage_up(void **state)
{
    (void)state;
    return stage_open(NULL, NULL);
}

int secure_stage_up(void **state)
{
    (void)state;
    stage.secure = true;
    return stage_open(NULL, NULL);
}

/* A Redis that forgets nothing when it is killed. */
int strict_stage_up(void **state)
{
    static const char *const settings[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };
    (void)state;
    return stage_build(settings);
}

int stage_down(void **state)
{
    (void)state;
    while (stage.open_count > 0)
        disconnected(stage.open[0]);
    zmq_ctx_term(stage.zctx);
    int status = process_end(&stage.broker, SIGTERM, PATIENCE_MS);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        process_show_log(stage.broker.log);
    redis_down(&stage.redis);
    keyring_forget();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

void stage_broker_again(void)
{
    process_end(&stage.broker, SIGKILL, PATIENCE_MS);
    disconnected(stage.control);
    broker_up();
    stage.control = connected(ZMQ_REQ, stage.control_at);
}

void stage_broker_unready(void)
{
    process_end(&stage.broker, SIGKILL, PATIENCE_MS);
    disconnected(stage.control);
    broker_start();
    stage.control = connected(ZMQ_REQ, stage.control_at);
}

void push_job(const char *bytes)
{
    int linger = PATIENCE_MS;
    void *producer = connected(ZMQ_PUSH, stage.jobs_at);
    zmq_setsockopt(producer, ZMQ_LINGER, &linger, sizeof linger); /* it leaves when it can */
    assert_true(zmq_send(producer, bytes, strlen(bytes), 0) >= 0);
    disconnected(producer);
}

/* ---- frames ---- */

void frames_fini(frames_t *frames)
{
    for (size_t i = 0; i < frames->n; i++)
        free(frames->part[i]);
    frames->n = 0;
}

bool frames_recv(void *sock, frames_t *frames, int timeout_ms)
{
    zmq_pollitem_t item = { sock, 0, ZMQ_POLLIN, 0 };
    frames->n = 0;
    if (zmq_poll(&item, 1, timeout_ms) <= 0)
        return false;
    int more = 1;
    while (more) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        assert_true(zmq_msg_recv(&msg, sock, 0) >= 0);
        assert_true(frames->n < PARTS_MAX);
        frames->len[frames->n] = zmq_msg_size(&msg);
        frames->part[frames->n++] = strndup(zmq_msg_data(&msg), zmq_msg_size(&msg));
        more = zmq_msg_more(&msg);
        zmq_msg_close(&msg);
    }
    return true;
}

/* ---- a plain client ---- */

void show_and_fail(const char *what)
{
    process_show_log(stage.broker.log);
    fail_msg("%s", what);
}

cJSON *take_reply(void)
{
    frames_t frames;
    if (!frames_recv(stage.control, &frames, PATIENCE_MS))
        show_and_fail("no reply");
    assert_int_equal(frames.n, 1);
    cJSON *reply = cJSON_Parse(frames.part[0]);
    assert_non_null(reply);
    frames_fini(&frames);
    return reply;
}

void say(const char *request)
{
    assert_true(zmq_send(stage.control, request, strlen(request), 0) >= 0);
}

cJSON *ask(const char *fmt, ...)
{
    static char request[65536];
    va_list args;
    va_start(args, fmt);
    vsnprintf(request, sizeof request, fmt, args);
    va_end(args);
    say(request);
    return take_reply();
}

/* The string at "a.b" of a reply, "" if absent. */
const char *text_at(const cJSON *reply, const char *path)
{
    char key[64];
    while (reply != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        reply = cJSON_GetObjectItemCaseSensitive(reply, key);
        path += path[n] == '.' ? n + 1 : n;
    }
    return cJSON_IsString(reply) ? reply->valuestring : "";
}

void expect(cJSON *reply, const char *path, const char *text)
{
    if (strcmp(text_at(reply, path), text) != 0) {
        char *shown = cJSON_Print(reply);
        fprintf(stderr, "%s\n", shown);
        free(shown);
    }
    assert_string_equal(text_at(reply, path), text);
}

void answers(cJSON *reply, const char *code)
{
    expect(reply, "code", code);
    cJSON_Delete(reply);
}

/* A job with a whole session for `child`; more: further members, each with a leading comma. */
const char *job(const char *child, const char *more)
{
    static char text[4096];
    snprintf(
        text, sizeof text,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\",\"session\":{\"id\":\"%s\",\"kind\":\"child\",\"parent_session_id\":\"root\",\"metadata\":{\"external.agent_id\":\"echo\"},\"messages\":[{\"id\":\"m1\",\"role\":\"user\",\"content\":\"hello\"}]}%s}",
        child, child, more);
    return text;
}

cJSON *submit(const char *child, const char *more)
{
    return ask("{\"op\":\"submit\",\"job\":%s}", job(child, more));
}

/* Asks until `path` of the reply is `text`: for what another process brings about. */
void await(const char *request, const char *path, const char *text)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (;;) {
        cJSON *reply = ask("%s", request);
        bool there = strcmp(text_at(reply, path), text) == 0;
        if (!there && process_now_ms() > deadline)
            expect(reply, path, text);
        cJSON_Delete(reply);
        if (there)
            return;
    }
}

/* Asks on a connection of its own until the broker has a waiter. */
void await_waiter(void)
{
    void *other = connected(ZMQ_REQ, stage.control_at), *mine = stage.control;
    stage.control = other;
    for (double waiters = 0; waiters < 1;) {
        cJSON *reply = ask("{\"op\":\"status\"}");
        waiters = cJSON_GetNumberValue(cJSON_GetObjectItem(reply, "waiters"));
        cJSON_Delete(reply);
    }
    stage.control = mine;
    disconnected(other);
}

/* ---- a runner that speaks the bare link ---- */

void tell(runner_t *runner, const char *header, const char *const *payload, size_t n)
{
    assert_true(zmq_send(runner->sock, header, strlen(header), n > 0 ? ZMQ_SNDMORE : 0) >= 0);
    for (size_t i = 0; i < n; i++)
        assert_true(zmq_send(runner->sock, payload[i], strlen(payload[i]), i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
}

void tell_f(runner_t *runner, const char *fmt, ...)
{
    char header[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(header, sizeof header, fmt, args);
    va_end(args);
    tell(runner, header, NULL, 0);
}

const char *kind_of(const frames_t *frames, cJSON **header)
{
    *header = cJSON_Parse(frames->part[0]);
    assert_non_null(*header);
    return text_at(*header, "kind");
}

/* Reads on to the next message of the kind; others are thrown away. The caller deletes the header. */
cJSON *hear(runner_t *runner, const char *kind, frames_t *frames)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (;;) {
        cJSON *header = NULL;
        if (process_now_ms() > deadline || !frames_recv(runner->sock, frames, PATIENCE_MS)) {
            fprintf(stderr, "waiting for %s\n", kind);
            show_and_fail("not heard");
        }
        if (strcmp(kind_of(frames, &header), kind) == 0)
            return header;
        cJSON_Delete(header);
        frames_fini(frames);
    }
}

cJSON *hear_only(runner_t *runner, const char *kind)
{
    frames_t frames;
    cJSON *header = hear(runner, kind, &frames);
    frames_fini(&frames);
    return header;
}

void hello_as(runner_t *runner, const char *name, const char *labels, const char *profiles)
{
    tell_f(
        runner,
        "{\"kind\":\"hello\",\"v\":1,\"runner\":\"%s\",\"incarnation\":\"%s\",\"host\":\"h\",\"pid\":1,\"slots\":8,\"version\":\"0\",\"labels\":[%s],\"profiles\":[%s]}",
        name, runner->incarnation, labels, profiles);
}

void hello(runner_t *runner, const char *name, const char *labels)
{
    hello_as(runner, name, labels, "\"echo\",\"local-actor\"");
}

void credit(runner_t *runner, unsigned granted)
{
    tell_f(runner, "{\"kind\":\"credit\",\"granted\":%u,\"idle\":{}}", granted);
}

runner_t runner_link_as(const char *name, const char *labels, const char *profiles, unsigned granted)
{
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    char uuid[RZ_UUID_LEN + 1];
    rz_uuid_new(uuid);
    snprintf(runner.incarnation, sizeof runner.incarnation, "%s", uuid);
    hello_as(&runner, name, labels, profiles);
    cJSON_Delete(hear_only(&runner, "welcome"));
    credit(&runner, granted);
    return runner;
}

runner_t runner_link(const char *name, const char *labels, unsigned granted)
{
    return runner_link_as(name, labels, "\"echo\",\"local-actor\"", granted);
}

void runner_gone(runner_t *runner)
{
    disconnected(runner->sock);
    runner->sock = NULL;
}

assigned_t read_assign(const cJSON *header)
{
    assigned_t out = { 0 };
    snprintf(out.child, sizeof out.child, "%s", text_at(header, "child"));
    snprintf(out.token, sizeof out.token, "%s", text_at(header, "token"));
    out.epoch = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(header, "epoch"));
    out.attempt = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(header, "attempt"));
    return out;
}

assigned_t take_assign(runner_t *runner)
{
    cJSON *header = hear_only(runner, "assign");
    assigned_t out = read_assign(header);
    cJSON_Delete(header);
    return out;
}

void tell_write(runner_t *runner, const char *kind, const assigned_t *a, const char *seqs, const char *more,
                const char *const *payload, size_t n)
{
    char header[1024];
    snprintf(header, sizeof header,
             "{\"kind\":\"%s\",\"child\":\"%s\",\"epoch\":%u,\"token\":\"%s\",\"seqs\":[%s]%s}", kind,
             a->child, a->epoch, a->token, seqs, more);
    tell(runner, header, payload, n);
}

void start(runner_t *runner, const assigned_t *a)
{
    static const char *const event[] = { "{\"v\":1,\"seq\":1}", "{\"type\":\"sub_agent_started\"}" };
    tell_write(runner, "start", a, "1", "", event, 2);
}

void finish(runner_t *runner, const assigned_t *a)
{
    static const char *const payload[] = {
        "{\"id\":\"r1\",\"role\":\"assistant\",\"content\":\"echo: hello\"}", "{\"v\":1,\"seq\":3}",
        "{\"type\":\"sub_agent_completed\"}"
    };
    tell_write(runner, "finish", a, "3", ",\"status\":\"completed\"", payload, 3);
}

void expect_ack(runner_t *runner, const char *op, const char *code)
{
    cJSON *ack = hear_only(runner, "ack");
    expect(ack, "op", op);
    expect(ack, "code", code);
    cJSON_Delete(ack);
}

cJSON *sync_of(runner_t *runner, const char *const *lines, size_t n, const char *held)
{
    char digest[41];
    rz_held_digest(lines, n, digest);
    tell_f(runner,
           "{\"kind\":\"sync\",\"incarnation\":\"%s\",\"counter\":%llu,\"count\":%zu,\"digest\":\"%s\"%s}",
           runner->incarnation, (unsigned long long)++runner->counter, n, digest, held);
    return hear_only(runner, "synced");
}

/* Keeps its incarnation alive until `runner` was told something. */
assigned_t sync_until_assigned(runner_t *runner)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    frames_t frames;
    while (process_now_ms() < deadline) {
        char digest[41];
        rz_held_digest(NULL, 0, digest);
        tell_f(runner,
               "{\"kind\":\"sync\",\"incarnation\":\"%s\",\"counter\":%llu,\"count\":0,\"digest\":\"%s\"}",
               runner->incarnation, (unsigned long long)++runner->counter, digest);
        while (frames_recv(runner->sock, &frames, 200)) {
            cJSON *header = NULL;
            bool assign = strcmp(kind_of(&frames, &header), "assign") == 0;
            assigned_t out = read_assign(header);
            cJSON_Delete(header);
            frames_fini(&frames);
            if (assign)
                return out;
        }
    }
    show_and_fail("never assigned");
    return (assigned_t){ 0 };
}

/* ---- a subscriber ---- */

void *subscribed(const char *prefix)
{
    void *sub = connected(ZMQ_SUB, stage.events_at);
    frames_t frames;
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "$sys/sync/n1/", strlen("$sys/sync/n1/"));
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (bool seen = false; !seen;) {
        if (process_now_ms() > deadline)
            show_and_fail("no sync event");
        answers(ask("{\"op\":\"sync\",\"nonce\":\"n1\"}"), "OK");
        seen = frames_recv(sub, &frames, 100);
        frames_fini(&frames);
    }
    return sub;
}

/* The next event whose topic is not of the handshake. */
void take_event(void *sub, const char *topic, frames_t *frames)
{
    for (;;) {
        if (!frames_recv(sub, frames, PATIENCE_MS))
            show_and_fail("no event");
        if (strncmp(frames->part[0], "$sys/sync", 9) != 0)
            break;
        frames_fini(frames);
    }
    assert_int_equal(frames->n, 3);
    assert_string_equal(frames->part[0], topic);
}

void next_event(void *sub, const char *topic, const char *part)
{
    frames_t frames;
    take_event(sub, topic, &frames);
    assert_non_null(strstr(frames.part[2], part));
    frames_fini(&frames);
}
