/* test_broker.c - the real broker with a real Redis. The runners here speak the bare link over a DEALER,
 * because these facts are about what goes wrong on that link: a lost assign, a wrong token, a runner that is
 * gone. */
#include "facts.h"

#include "base/clock.h"
#include "base/id.h"
#include "process.h"
#include "redis.h"
#include "state/store.h"
#include "wire/link.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define PATIENCE_MS 10000
#define SOCKETS_MAX 64
#define PARTS_MAX   16

/* ---- the stage ---- */

static struct {
    redis_t redis;
    process_t broker;
    void *zctx, *control;
    void *open[SOCKETS_MAX]; /* whatever a failing fact leaves behind must not hang its end */
    size_t open_count;
    char control_at[128], jobs_at[128], events_at[128], runners_at[128];
} stage;

static void take_endpoint(const cJSON *ready, const char *name, char out[128])
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ready, name));
    assert_non_null(text);
    snprintf(out, 128, "%s", text);
}

static void broker_up(void)
{
    char program[400], log[128], line[2048];
    const char *bin = getenv("RZ_BIN_DIR");
    snprintf(program, sizeof program, "%s/rhizome-broker", bin != NULL ? bin : "build/asan/bin");
    snprintf(log, sizeof log, "%s/broker.log", stage.redis.dir);
    const char *argv[] = { program,
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
                           "--broker-jobs",
                           "tcp://127.0.0.1:*",
                           "--broker-control",
                           "tcp://127.0.0.1:*",
                           "--broker-events",
                           "tcp://127.0.0.1:*",
                           "--broker-runners",
                           "tcp://127.0.0.1:*",
                           "--broker-publish",
                           "tcp://127.0.0.1:*",
                           NULL };
    process_start(&stage.broker, argv, log, 1);
    process_ready(&stage.broker, line, sizeof line, PATIENCE_MS);
    cJSON *ready = cJSON_Parse(line);
    take_endpoint(ready, "control", stage.control_at);
    take_endpoint(ready, "jobs", stage.jobs_at);
    take_endpoint(ready, "events", stage.events_at);
    take_endpoint(ready, "runners", stage.runners_at);
    cJSON_Delete(ready);
}

static void *connected(int type, const char *endpoint)
{
    int none = 0;
    void *sock = zmq_socket(stage.zctx, type);
    assert_non_null(sock);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal(zmq_connect(sock, endpoint), 0);
    assert_true(stage.open_count < SOCKETS_MAX);
    stage.open[stage.open_count++] = sock;
    return sock;
}

static void disconnected(void *sock)
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
    rz_store_options_t options = { .url = stage.redis.url };
    if (rz_store_init(&options, 1, &info, &err) != RZ_OK)
        fail_msg("store init: %s", err.text);
    broker_up();
    stage.zctx = zmq_ctx_new();
    stage.control = connected(ZMQ_REQ, stage.control_at);
    return 0;
}

static int stage_up(void **state)
{
    (void)state;
    return stage_build(NULL);
}

/* A Redis that forgets nothing when it is killed. */
static int strict_stage_up(void **state)
{
    static const char *const settings[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };
    (void)state;
    return stage_build(settings);
}

static int stage_down(void **state)
{
    (void)state;
    while (stage.open_count > 0)
        disconnected(stage.open[0]);
    zmq_ctx_term(stage.zctx);
    int status = process_end(&stage.broker, SIGTERM, PATIENCE_MS);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        process_show_log(stage.broker.log);
    redis_down(&stage.redis);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- frames ---- */

typedef struct {
    char *part[PARTS_MAX];
    size_t len[PARTS_MAX];
    size_t n;
} frames_t;

static void frames_fini(frames_t *frames)
{
    for (size_t i = 0; i < frames->n; i++)
        free(frames->part[i]);
    frames->n = 0;
}

static bool frames_recv(void *sock, frames_t *frames, int timeout_ms)
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

static void show_and_fail(const char *what)
{
    process_show_log(stage.broker.log);
    fail_msg("%s", what);
}

static cJSON *take_reply(void)
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

static void say(const char *request)
{
    assert_true(zmq_send(stage.control, request, strlen(request), 0) >= 0);
}

static cJSON *ask(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static cJSON *ask(const char *fmt, ...)
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
static const char *text_at(const cJSON *reply, const char *path)
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

static void expect(cJSON *reply, const char *path, const char *text)
{
    if (strcmp(text_at(reply, path), text) != 0) {
        char *shown = cJSON_Print(reply);
        fprintf(stderr, "%s\n", shown);
        free(shown);
    }
    assert_string_equal(text_at(reply, path), text);
}

static void answers(cJSON *reply, const char *code)
{
    expect(reply, "code", code);
    cJSON_Delete(reply);
}

/* A job with a whole session for `child`; more: further members, each with a leading comma. */
static const char *job(const char *child, const char *more)
{
    static char text[4096];
    snprintf(
        text, sizeof text,
        "{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\",\"session\":{\"id\":\"%s\",\"kind\":"
        "\"child\",\"parent_session_id\":\"root\",\"metadata\":{\"external.agent_id\":\"echo\"},\"messages\":"
        "[{\"id\":\"m1\",\"role\":\"user\",\"content\":\"hello\"}]}%s}",
        child, child, more);
    return text;
}

static cJSON *submit(const char *child, const char *more)
{
    return ask("{\"op\":\"submit\",\"job\":%s}", job(child, more));
}

/* Asks until `path` of the reply is `text`: for what another process brings about. */
static void await(const char *request, const char *path, const char *text)
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
static void await_waiter(void)
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

typedef struct {
    void *sock;
    char incarnation[64];
    uint64_t counter;
} runner_t;

static void tell(runner_t *runner, const char *header, const char *const *payload, size_t n)
{
    assert_true(zmq_send(runner->sock, header, strlen(header), n > 0 ? ZMQ_SNDMORE : 0) >= 0);
    for (size_t i = 0; i < n; i++)
        assert_true(zmq_send(runner->sock, payload[i], strlen(payload[i]), i + 1 < n ? ZMQ_SNDMORE : 0) >= 0);
}

static void tell_f(runner_t *runner, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell_f(runner_t *runner, const char *fmt, ...)
{
    char header[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(header, sizeof header, fmt, args);
    va_end(args);
    tell(runner, header, NULL, 0);
}

static const char *kind_of(const frames_t *frames, cJSON **header)
{
    *header = cJSON_Parse(frames->part[0]);
    assert_non_null(*header);
    return text_at(*header, "kind");
}

/* Reads on to the next message of the kind; others are thrown away. The caller deletes the header. */
static cJSON *hear(runner_t *runner, const char *kind, frames_t *frames)
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

static cJSON *hear_only(runner_t *runner, const char *kind)
{
    frames_t frames;
    cJSON *header = hear(runner, kind, &frames);
    frames_fini(&frames);
    return header;
}

static void hello(runner_t *runner, const char *name, const char *labels)
{
    tell_f(
        runner,
        "{\"kind\":\"hello\",\"v\":1,\"runner\":\"%s\",\"incarnation\":\"%s\",\"host\":\"h\",\"pid\":1,\"slots\":8,"
        "\"version\":\"0\",\"labels\":[%s],\"profiles\":[\"echo\",\"local-actor\"]}",
        name, runner->incarnation, labels);
}

static void credit(runner_t *runner, unsigned granted)
{
    tell_f(runner, "{\"kind\":\"credit\",\"granted\":%u,\"idle\":{}}", granted);
}

static runner_t runner_link(const char *name, const char *labels, unsigned granted)
{
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    char uuid[RZ_UUID_LEN + 1];
    rz_uuid_new(uuid);
    snprintf(runner.incarnation, sizeof runner.incarnation, "%s", uuid);
    hello(&runner, name, labels);
    cJSON_Delete(hear_only(&runner, "welcome"));
    credit(&runner, granted);
    return runner;
}

static void runner_gone(runner_t *runner)
{
    disconnected(runner->sock);
    runner->sock = NULL;
}

/* What the broker said in an assign. */
typedef struct {
    char child[130], token[33];
    unsigned epoch, attempt;
} assigned_t;

static assigned_t read_assign(const cJSON *header)
{
    assigned_t out = { 0 };
    snprintf(out.child, sizeof out.child, "%s", text_at(header, "child"));
    snprintf(out.token, sizeof out.token, "%s", text_at(header, "token"));
    out.epoch = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(header, "epoch"));
    out.attempt = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(header, "attempt"));
    return out;
}

static assigned_t take_assign(runner_t *runner)
{
    cJSON *header = hear_only(runner, "assign");
    assigned_t out = read_assign(header);
    cJSON_Delete(header);
    return out;
}

static void tell_write(runner_t *runner, const char *kind, const assigned_t *a, const char *seqs,
                       const char *more, const char *const *payload, size_t n)
{
    char header[1024];
    snprintf(header, sizeof header,
             "{\"kind\":\"%s\",\"child\":\"%s\",\"epoch\":%u,\"token\":\"%s\",\"seqs\":[%s]%s}", kind,
             a->child, a->epoch, a->token, seqs, more);
    tell(runner, header, payload, n);
}

static void start(runner_t *runner, const assigned_t *a)
{
    static const char *const event[] = { "{\"v\":1,\"seq\":1}", "{\"type\":\"sub_agent_started\"}" };
    tell_write(runner, "start", a, "1", "", event, 2);
}

static void finish(runner_t *runner, const assigned_t *a)
{
    static const char *const payload[] = {
        "{\"id\":\"r1\",\"role\":\"assistant\",\"content\":\"echo: hello\"}", "{\"v\":1,\"seq\":3}",
        "{\"type\":\"sub_agent_completed\"}"
    };
    tell_write(runner, "finish", a, "3", ",\"status\":\"completed\"", payload, 3);
}

static void expect_ack(runner_t *runner, const char *op, const char *code)
{
    cJSON *ack = hear_only(runner, "ack");
    expect(ack, "op", op);
    expect(ack, "code", code);
    cJSON_Delete(ack);
}

static cJSON *sync_of(runner_t *runner, const char *const *lines, size_t n, const char *held)
{
    char digest[41];
    rz_held_digest(lines, n, digest);
    tell_f(runner,
           "{\"kind\":\"sync\",\"incarnation\":\"%s\",\"counter\":%llu,\"count\":%zu,\"digest\":\"%s\"%s}",
           runner->incarnation, (unsigned long long)++runner->counter, n, digest, held);
    return hear_only(runner, "synced");
}

/* ---- a subscriber ---- */

static void *subscribed(const char *prefix)
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
static void next_event(void *sub, const char *topic, const char *part)
{
    frames_t frames;
    do {
        if (!frames_recv(sub, &frames, PATIENCE_MS))
            show_and_fail("no event");
        if (strncmp(frames.part[0], "$sys/sync", 9) != 0)
            break;
        frames_fini(&frames);
    } while (true);
    assert_int_equal(frames.n, 3);
    assert_string_equal(frames.part[0], topic);
    assert_non_null(strstr(frames.part[2], part));
    frames_fini(&frames);
}

/* ---- facts: receipts ---- */

static void a_plain_req_client_is_told_the_endpoints(void **state)
{
    (void)state;
    cJSON *reply = ask("{\"v\":1,\"op\":\"hello\",\"id\":[7]}");
    expect(reply, "code", "OK");
    expect(reply, "broker", "b1");
    expect(reply, "store", "up");
    expect(reply, "endpoints.control", stage.control_at);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "id")), 1);
    cJSON_Delete(reply);
}

static void receipts_tell_good_duplicate_conflicting_and_running_jobs_apart(void **state)
{
    (void)state;
    cJSON *first = submit("c1", ",\"job_id\":\"j1\"");
    expect(first, "code", "OK");
    expect(first, "activation.state", "queued");
    expect(first, "waiting", "no runner is linked");
    expect(first, "durability", "relaxed");
    cJSON_Delete(first);
    cJSON *again = submit("c1", ",\"job_id\":\"j1\"");
    expect(again, "code", "DUPLICATE");
    expect(again, "activation.state", "queued");
    cJSON_Delete(again);
    answers(submit("c1", ",\"job_id\":\"j1\",\"model\":\"other\""), "CONFLICT");
    cJSON *running = submit("c1", ",\"job_id\":\"j2\"");
    expect(running, "code", "ALREADY_RUNNING");
    expect(running, "activation.job", "j1");
    cJSON_Delete(running);
}

static void a_bad_job_is_refused_with_field_and_message(void **state)
{
    (void)state;
    cJSON *reply =
        ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"a b\"}}");
    expect(reply, "field", "child_session_id");
    answers(reply, "BAD_ID");
    reply = ask(
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"c\",\"session\":"
        "{\"id\":\"c\",\"messages\":[]}}}");
    expect(reply, "field", "session.kind");
    answers(reply, "BAD_FIELD");
    answers(
        ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"nobody\"}}"),
        "NOT_FOUND");
    answers(ask("{\"op\":\"dance\"}"), "BAD_KIND");
    answers(ask("not json"), "BAD_JSON");
}

static void a_job_nobody_can_take_says_which_label_is_missing(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "\"cpu\"", 1);
    cJSON *reply = submit("c1", ",\"require\":{\"labels\":[\"gpu\"]}");
    expect(reply, "code", "OK");
    expect(reply, "waiting", "no runner offers label gpu");
    cJSON_Delete(reply);
    runner_gone(&runner);
}

static void a_rejected_push_is_published_with_its_reason(void **state)
{
    (void)state;
    void *sub = subscribed("$sys/rejected");
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bad = "{\"parent_session_id\":\"root\",\"child_session_id\":\"x\",\"max_attempts\":1000}";
    assert_true(zmq_send(push, bad, strlen(bad), 0) > 0);
    next_event(sub, "$sys/rejected", "\"field\":\"max_attempts\"");
    disconnected(push);
    disconnected(sub);
}

/* ---- facts: one life ---- */

static void a_pushed_job_reaches_a_runner_and_ends_where_a_waiter_sees_it(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bytes = job("c1", "");
    frames_t frames;
    assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    cJSON *header = hear(&runner, "assign", &frames);
    assigned_t a = read_assign(header);
    expect(header, "profile", "echo");
    assert_int_equal(frames.n, 3);
    assert_non_null(strstr(frames.part[1], "\"created_at\":"));
    assert_string_equal(frames.part[2], "[{\"id\":\"m1\",\"role\":\"user\",\"content\":\"hello\"}]");
    cJSON_Delete(header);
    frames_fini(&frames);

    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    static const char *const event[] = { "{\"v\":1,\"seq\":2}", "{\"type\":\"sub_agent_event\"}" };
    tell_write(&runner, "append", &a, "2", "", event, 2);
    expect_ack(&runner, "append", "OK");

    say("{\"op\":\"wait\",\"child\":\"c1\"}");
    finish(&runner, &a);
    expect_ack(&runner, "finish", "OK");
    cJSON *reply = take_reply();
    expect(reply, "code", "OK");
    expect(reply, "activation.status", "completed");
    cJSON_Delete(reply);
    finish(&runner, &a);
    expect_ack(&runner, "finish", "DUPLICATE");

    reply = ask("{\"op\":\"replay\",\"child\":\"c1\"}");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "events")), 3);
    expect(reply, "logged_to", "1-3");
    cJSON_Delete(reply);
    reply = ask("{\"op\":\"session_get\",\"child\":\"c1\"}");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "messages")), 2);
    cJSON_Delete(reply);
    disconnected(push);
    runner_gone(&runner);
}

static void a_wait_with_a_limit_answers_expired_with_the_state(void **state)
{
    (void)state;
    answers(submit("c1", ""), "OK");
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"c1\",\"timeout_ms\":50}");
    expect(reply, "activation.state", "queued");
    answers(reply, "EXPIRED");
}

static void a_cancelled_queued_job_is_never_assigned_and_its_end_is_published(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    answers(submit("c1", ""), "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"c1\"}");
    expect(reply, "delivery", "ended");
    answers(reply, "OK");
    next_event(sub, "root/c1/sub_agent_completed", "\"status\":\"cancelled\"");
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "ENDED");

    runner_t runner = runner_link("r1", "", 8);
    answers(submit("c2", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c2");
    runner_gone(&runner);
    disconnected(sub);
}

static void a_cancel_of_running_work_is_forwarded_and_repeated_by_sync(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"c1\",\"now\":true}");
    expect(reply, "delivery", "forwarded");
    answers(reply, "OK");
    cJSON *cancel = hear_only(&runner, "cancel");
    expect(cancel, "child", "c1");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(cancel, "now")));
    cJSON_Delete(cancel);
    const char *const held[] = { "c1 1" };
    cJSON *synced = sync_of(&runner, held, 1, "");
    expect(synced, "code", "OK");
    assert_null(cJSON_GetObjectItem(synced, "owned"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "cancels")), 1);
    cJSON_Delete(synced);
    runner_gone(&runner);
}

static void a_steering_message_is_live_when_the_worker_got_it_and_queued_otherwise(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    say("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"left \\\"now\\\"\",\"message_id\":\"s1\"}");
    frames_t frames;
    cJSON *steer = hear(&runner, "steer", &frames);
    expect(steer, "id", "s1");
    assert_string_equal(frames.part[1], "\"left \\\"now\\\"\"");
    tell_f(&runner, "{\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"s1\",\"live\":true}");
    cJSON *reply = take_reply();
    expect(reply, "delivery", "live");
    answers(reply, "OK");
    cJSON_Delete(steer);
    frames_fini(&frames);
    reply = ask("{\"op\":\"send\",\"child\":\"c1\",\"text\":\"right\",\"message_id\":\"s2\"}");
    expect(reply, "delivery", "queued"); /* the worker did not say in time */
    answers(reply, "OK");
    runner_gone(&runner);
}

static void logs_come_from_the_runner_that_has_them(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    say("{\"op\":\"logs\",\"child\":\"c1\"}");
    cJSON *logs = hear_only(&runner, "logs");
    char header[256];
    const char *const text[] = { "a line\n" };
    snprintf(header, sizeof header, "{\"kind\":\"output\",\"id\":\"%s\",\"code\":\"OK\"}",
             text_at(logs, "id"));
    tell(&runner, header, text, 1);
    cJSON *reply = take_reply();
    expect(reply, "text", "a line\n");
    expect(reply, "runner", "r1");
    answers(reply, "OK");
    cJSON_Delete(logs);
    assert_string_equal(a.child, "c1");
    runner_gone(&runner);
}

/* ---- facts: the link goes wrong ---- */

static void an_unknown_peer_is_refused_not_found(void **state)
{
    (void)state;
    runner_t stranger = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    credit(&stranger, 1);
    cJSON *refused = hear_only(&stranger, "refused");
    answers(refused, "NOT_FOUND");
    runner_gone(&stranger);
}

static void a_wrong_token_is_fenced(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    assigned_t forged = a;
    memset(forged.token, 'a', sizeof forged.token - 1);
    start(&runner, &forged);
    expect_ack(&runner, "start", "FENCED");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
}

static void a_write_with_a_missing_frame_is_refused_and_hurts_nobody(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    const char *const half[] = { "{\"v\":1,\"seq\":1}" };
    tell_write(&runner, "start", &a, "1", "", half, 1);
    expect_ack(&runner, "start", "BAD_FIELD");
    tell(&runner, "garbage", NULL, 0);
    answers(hear_only(&runner, "refused"), "BAD_JSON");
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
}

static void what_a_runner_released_is_given_out_again(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 2);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    tell_f(&runner,
           "{\"kind\":\"release\",\"child\":\"c1\",\"epoch\":%u,\"token\":\"%s\",\"reason\":\"no room\"}",
           a.epoch, a.token);
    expect_ack(&runner, "release", "OK");
    assigned_t again = take_assign(&runner);
    assert_string_equal(again.child, "c1");
    assert_int_equal(again.epoch, 2);
    assert_string_not_equal(again.token, a.token);
    runner_gone(&runner);
}

static void an_assign_that_got_lost_comes_again_after_sync(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&first);
    /* the same incarnation on a new connection, as after a broken one: it never heard of c1 */
    runner_t second = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    memcpy(second.incarnation, first.incarnation, sizeof second.incarnation);
    runner_gone(&first);
    hello(&second, "r1", "");
    cJSON_Delete(hear_only(&second, "welcome"));
    credit(&second, 1);
    cJSON *synced = sync_of(&second, NULL, 0, "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(synced, "owned")), 1);
    cJSON_Delete(synced);
    cJSON_Delete(sync_of(&second, NULL, 0, ",\"held\":[]"));
    assigned_t again = take_assign(&second);
    assert_string_equal(again.token, a.token);
    assert_int_equal(again.epoch, a.epoch);
    runner_gone(&second);
}

/* Keeps its incarnation alive until `runner` was told something. */
static assigned_t sync_until_assigned(runner_t *runner)
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

static void what_a_dead_runner_had_not_started_goes_to_another(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&first);
    runner_gone(&first);
    runner_t second = runner_link("r2", "", 1);
    assigned_t again = sync_until_assigned(&second);
    assert_string_equal(again.child, "c1");
    assert_int_equal(again.epoch, a.epoch + 1);
    start(&second, &a);
    expect_ack(&second, "start", "FENCED");
    runner_gone(&second);
}

static void what_a_dead_runner_was_running_ends_with_runner_lost(void **state)
{
    (void)state;
    void *sub = subscribed("root/c1/");
    runner_t runner = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    assigned_t a = take_assign(&runner);
    start(&runner, &a);
    expect_ack(&runner, "start", "OK");
    runner_gone(&runner);
    cJSON *reply = ask("{\"op\":\"wait\",\"child\":\"c1\",\"timeout_ms\":8000}");
    expect(reply, "activation.status", "error");
    expect(reply, "activation.error", "runner lost: r1");
    answers(reply, "OK");
    next_event(sub, "root/c1/sub_agent_completed", "runner lost");
    disconnected(sub);
}

static void a_condemned_incarnation_is_told_that_it_is_dead(void **state)
{
    (void)state;
    runner_t runner = runner_link("r1", "", 1);
    answers(hear_only(&runner, "refused"), "DEAD");
    hello(&runner, "r1", "");
    answers(hear_only(&runner, "refused"), "DEAD");
    runner_gone(&runner);
}

static void bye_gives_back_what_was_not_started_at_once(void **state)
{
    (void)state;
    runner_t first = runner_link("r1", "", 1);
    answers(submit("c1", ""), "OK");
    (void)take_assign(&first);
    tell_f(&first, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", first.incarnation);
    runner_t second = runner_link("r2", "", 1);
    assert_string_equal(take_assign(&second).child, "c1");
    runner_gone(&first);
    runner_gone(&second);
}

static void a_hello_said_twice_still_brings_work(void **state)
{
    (void)state;
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at), .incarnation = "i1" };
    hello(&runner, "r1", "");
    cJSON_Delete(hear_only(&runner, "welcome"));
    hello(&runner, "r1", ""); /* as if it was sent before the welcome came */
    credit(&runner, 1);
    answers(submit("c1", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c1");
    runner_gone(&runner);
}

/* ---- facts: beginning and ending ---- */

/* Runs the broker with these flags to its end; its exit code. */
static int broker_exit(const char *first, const char *second)
{
    char program[400], log[128];
    process_t process = { 0 };
    snprintf(program, sizeof program, "%s/rhizome-broker", getenv("RZ_BIN_DIR"));
    snprintf(log, sizeof log, "%s/other.log", stage.redis.dir);
    const char *argv[] = { program, "--redis-url", stage.redis.url, first, second, NULL };
    process_start(&process, argv, log, 0);
    int status = process_end(&process, 0, PATIENCE_MS);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void exit_codes_tell_a_taken_port_from_a_bad_configuration(void **state)
{
    (void)state;
    assert_int_equal(broker_exit("--broker-jobs", stage.jobs_at), 69);
    assert_int_equal(broker_exit("--broker-lease-ms", "soon"), 78);
    assert_int_equal(broker_exit("--broker-lease-ms", "150"), 78); /* below two syncs */
    assert_int_equal(broker_exit("--redis-url", "gopher://x"), 78);
    assert_int_equal(broker_exit("--check-config", NULL), 0);
    assert_int_equal(broker_exit("--help", NULL), 0);
    assert_int_equal(broker_exit("--dance", NULL), 78);
}

static void a_broker_that_is_told_to_stop_answers_who_waits(void **state)
{
    (void)state;
    answers(submit("c1", ""), "OK");
    say("{\"op\":\"wait\",\"child\":\"c1\"}");
    await_waiter();
    kill(stage.broker.pid, SIGTERM);
    answers(take_reply(), "UNAVAILABLE");
}

/* ---- facts: the store goes away ---- */

static void without_the_store_control_says_unavailable_and_work_goes_on_when_it_is_back(void **state)
{
    (void)state;
    redis_end(&stage.redis, SIGKILL);
    await("{\"op\":\"hello\"}", "store", "down");
    cJSON *reply = submit("c1", "");
    assert_non_null(strstr(text_at(reply, "message"), "store"));
    answers(reply, "UNAVAILABLE");
    reply = ask("{\"op\":\"status\"}");
    expect(reply, "store.state", "down");
    answers(reply, "OK");

    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    const char *bytes = job("c2", "");
    assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    redis_again(&stage.redis);
    await("{\"op\":\"hello\"}", "store", "up");
    runner_t runner = runner_link("r1", "", 4);
    assert_string_equal(sync_until_assigned(&runner).child, "c2");
    answers(submit("c1", ""), "OK");
    assert_string_equal(take_assign(&runner).child, "c1");
    disconnected(push);
    runner_gone(&runner);
}

/* ---- facts: many ---- */

#define MANY 1000

static void a_thousand_pushed_jobs_are_each_assigned_once(void **state)
{
    (void)state;
    static unsigned char seen[MANY];
    memset(seen, 0, sizeof seen);
    runner_t runner[2] = { runner_link("r1", "", 40), runner_link("r2", "", 40) };
    unsigned granted[2] = { 40, 40 }, taken[2] = { 0, 0 }, total = 0;
    void *push = connected(ZMQ_PUSH, stage.jobs_at);
    for (unsigned i = 0; i < MANY; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%u", i);
        const char *bytes = job(child, "");
        assert_true(zmq_send(push, bytes, strlen(bytes), 0) > 0);
    }
    while (total < MANY) {
        zmq_pollitem_t items[2] = { { runner[0].sock, 0, ZMQ_POLLIN, 0 },
                                    { runner[1].sock, 0, ZMQ_POLLIN, 0 } };
        if (zmq_poll(items, 2, PATIENCE_MS) <= 0)
            show_and_fail("not all were assigned");
        for (unsigned r = 0; r < 2; r++) {
            frames_t frames;
            if ((items[r].revents & ZMQ_POLLIN) == 0 || !frames_recv(runner[r].sock, &frames, 0))
                continue;
            cJSON *header = NULL;
            if (strcmp(kind_of(&frames, &header), "assign") == 0) {
                assigned_t a = read_assign(header);
                unsigned number = (unsigned)strtoul(a.child + 1, NULL, 10);
                assert_int_equal(seen[number], 0);
                seen[number] = 1;
                total++;
                assert_true(++taken[r] <= granted[r]);
                start(&runner[r], &a);
                finish(&runner[r], &a);
                credit(&runner[r], ++granted[r]);
            }
            cJSON_Delete(header);
            frames_fini(&frames);
        }
    }
    assert_true(taken[0] > 0 && taken[1] > 0);
    await("{\"op\":\"get\",\"child\":\"c999\"}", "activation.state", "terminal");
    cJSON *reply = ask("{\"op\":\"status\"}");
    cJSON *counters = cJSON_GetObjectItem(reply, "counters");
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "assigned")), MANY);
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItem(counters, "fenced")), 0);
    cJSON_Delete(reply);
    disconnected(push);
    runner_gone(&runner[0]);
    runner_gone(&runner[1]);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_plain_req_client_is_told_the_endpoints, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(receipts_tell_good_duplicate_conflicting_and_running_jobs_apart, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_bad_job_is_refused_with_field_and_message, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_job_nobody_can_take_says_which_label_is_missing, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_rejected_push_is_published_with_its_reason, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_reaches_a_runner_and_ends_where_a_waiter_sees_it, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_wait_with_a_limit_answers_expired_with_the_state, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancelled_queued_job_is_never_assigned_and_its_end_is_published, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_cancel_of_running_work_is_forwarded_and_repeated_by_sync, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_steering_message_is_live_when_the_worker_got_it_and_queued_otherwise, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(logs_come_from_the_runner_that_has_them, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_unknown_peer_is_refused_not_found, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_wrong_token_is_fenced, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_write_with_a_missing_frame_is_refused_and_hurts_nobody, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_runner_released_is_given_out_again, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(an_assign_that_got_lost_comes_again_after_sync, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_dead_runner_had_not_started_goes_to_another, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_dead_runner_was_running_ends_with_runner_lost, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_condemned_incarnation_is_told_that_it_is_dead, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(bye_gives_back_what_was_not_started_at_once, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_hello_said_twice_still_brings_work, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(exit_codes_tell_a_taken_port_from_a_bad_configuration, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_broker_that_is_told_to_stop_answers_who_waits, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(without_the_store_control_says_unavailable_and_work_goes_on_when_it_is_back, strict_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_thousand_pushed_jobs_are_each_assigned_once, stage_up, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
