/* rig.c - see rig.h */
#include "rig.h"

#include "../facts.h"
#include "keyring.h"
#include "outside.h"
#include "redis.h"
#include "secured.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#define RUNNERS_MAX 8
#define BROKERS_MAX 3
#define SUBS_MAX    16

static const char *const endpoint_names[] = { "jobs", "control", "events", "runners", "publish", "http" };
enum { RUNNERS = 3, HTTP = 5, ENDPOINTS };

struct rig {
    char dir[128], config[192];
    char bin[256];
    struct {
        process_t process;
        char endpoint[ENDPOINTS][128];
    } broker[BROKERS_MAX];
    unsigned brokers, at; /* at: the one of which the talk is */
    const char *const *broker_flags, *const *runner_flags;
    redis_t redis;
    const rig_t *beside; /* whose Redis it is, when not ours */
    process_t runner[RUNNERS_MAX];
    unsigned runners;
    void *zmq, *control;
    void *sub[SUBS_MAX]; /* sockets: what a failing fact leaves open must not hang its end */
};

/* ---- processes ---- */

static const char *program(const rig_t *rig, const char *name, char *out, size_t max)
{
    snprintf(out, max, "%s/%s", rig->bin, name);
    return out;
}

static const char *log_path(const rig_t *rig, const char *name, char *out, size_t max)
{
    snprintf(out, max, "%s/%s.log", rig->dir, name);
    return out;
}

static size_t add_flags(const char **argv, size_t n, const char *const *flags)
{
    for (; flags != NULL && *flags != NULL; flags++)
        argv[n++] = *flags;
    argv[n] = NULL;
    return n;
}

/* RZ_WRAP="valgrind --quiet ..." runs the broker under that program. (Debian 12's valgrind knows no
 * pidfd_open, which the runner cannot do without.) */
static void start_broker(process_t *process, const char *const *argv, const char *log)
{
    char words[512];
    const char *wrapped[80], *wrap = getenv("RZ_WRAP");
    size_t n = 0;
    snprintf(words, sizeof words, "%s", wrap != NULL ? wrap : "");
    for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest)) != NULL && n < 8;)
        wrapped[n++] = word;
    add_flags(wrapped, n, argv);
    process_start(process, wrapped, log, 1);
}

void rig_redis_up(rig_t *rig)
{
    redis_again(&rig->redis);
}

pid_t rig_redis_pid(const rig_t *rig)
{
    return rig->redis.process.pid;
}

void rig_redis_end(rig_t *rig, int signal)
{
    redis_end(&rig->redis, signal);
}

const redis_t *rig_redis(const rig_t *rig)
{
    return rig->beside != NULL ? rig_redis(rig->beside) : &rig->redis;
}

const char *rig_redis_socket(const rig_t *rig)
{
    return rig_redis(rig)->socket;
}

static void take_endpoints(rig_t *rig, const char *line)
{
    cJSON *ready = cJSON_Parse(line);
    for (int i = 0; i < ENDPOINTS; i++) {
        const cJSON *text = cJSON_GetObjectItemCaseSensitive(ready, endpoint_names[i]);
        assert_true(cJSON_IsString(text));
        snprintf(rig->broker[rig->at].endpoint[i], sizeof rig->broker[0].endpoint[i], "%s",
                 text->valuestring);
    }
    char *http = rig->broker[rig->at].endpoint[HTTP]; /* told as a URL */
    memmove(http, http + 1, strlen(http));
    memcpy(http, "tcp", 3);
    cJSON_Delete(ready);
}

/* "rig", "rig-1", ..., and "beside": also of its log */
static const char *broker_name(const rig_t *rig, char *out, size_t max)
{
    snprintf(out, max, rig->at > 0 ? "%s-%u" : "%s", rig->beside != NULL ? "beside" : "rig", rig->at);
    return out;
}

void rig_broker_up(rig_t *rig)
{
    char path[300], log[256], line[2048], flag[ENDPOINTS][32], name[32];
    process_t *process = &rig->broker[rig->at].process;
    const char *other = getenv("RZ_BROKER"); /* another build of it */
    const char *argv[64] = { other != NULL ? other : program(rig, "rhizome-broker", path, sizeof path),
                             "--config", rig->config, "--broker-name", broker_name(rig, name, sizeof name) };
    size_t n = 5;
    for (int i = 0; i < ENDPOINTS; i++) {
        snprintf(flag[i], sizeof flag[i], "--broker-%s", endpoint_names[i]);
        argv[n++] = flag[i];
        char *at = rig->broker[rig->at].endpoint[i];
        if (*at == '\0')
            snprintf(at, sizeof rig->broker[0].endpoint[0], "tcp://127.0.0.1:%u", process_lasting_port());
        argv[n++] = at;
    }
    n = redis_flags(rig_redis(rig), "broker", argv, n);
    add_flags(argv, keyring_flags(argv, n, "broker"), rig->broker_flags);
    start_broker(process, argv, log_path(rig, name, log, sizeof log));
    process_ready(process, line, sizeof line, RIG_PATIENCE_MS);
    take_endpoints(rig, line);
}

void rig_broker_end(rig_t *rig, int signal)
{
    process_end(&rig->broker[rig->at].process, signal, RIG_PATIENCE_MS);
}

/* Every broker's, comma-separated. */
static const char *link_endpoints(const rig_t *rig, char *out, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < rig->brokers; i++)
        n += (size_t)snprintf(out + n, max - n, "%s%s", i > 0 ? "," : "", rig->broker[i].endpoint[RUNNERS]);
    return out;
}

static void start_runner(rig_t *rig, unsigned i)
{
    char path[300], log[256], name[32], dir[192], line[1024], brokers[512];
    snprintf(name, sizeof name, "%s-%u", rig->beside != NULL ? "beside" : "runner", i);
    snprintf(dir, sizeof dir, "%s/%s", rig->dir, name);
    const char *argv[64] = { program(rig, "rhizome-runner", path, sizeof path),
                             "--config",
                             rig->config,
                             "--runner-name",
                             name,
                             "--runner-state-dir",
                             dir,
                             "--runner-brokers",
                             link_endpoints(rig, brokers, sizeof brokers) };
    add_flags(argv, keyring_flags(argv, 9, "runner"), rig->runner_flags);
    process_start(&rig->runner[i], argv, log_path(rig, name, log, sizeof log), 1);
    process_ready(&rig->runner[i], line, sizeof line, RIG_PATIENCE_MS);
}

void rig_runner_up(rig_t *rig)
{
    assert_true(rig->runners < RUNNERS_MAX);
    start_runner(rig, rig->runners++);
}

void rig_runner_again(rig_t *rig, unsigned i)
{
    assert_int_equal(rig->runner[i].pid, 0);
    start_runner(rig, i);
}

void rig_runner_end(rig_t *rig, unsigned i, int signal)
{
    process_end(&rig->runner[i], signal, RIG_PATIENCE_MS);
}

pid_t rig_runner_pid(const rig_t *rig, unsigned i)
{
    return rig->runner[i].pid;
}

pid_t rig_broker_pid(const rig_t *rig)
{
    return rig->broker[rig->at].process.pid;
}

size_t rig_descendants(const rig_t *rig, unsigned i, pid_t *out, size_t max)
{
    pid_t all[512];
    size_t n = process_descendants(rig->runner[i].pid, all, 512), kept = 0;
    for (size_t k = 1; k < n && kept < max; k++) /* the first child of the keeper is the runner itself */
        out[kept++] = all[k];
    return kept;
}

/* ---- up and down ---- */

static void write_config(rig_t *rig, const char *members)
{
    FILE *file = fopen(rig->config, "w");
    assert_non_null(file);
    fprintf(file, "{\"redis\":{\"url\":\"unix:%s\"}%s%s}\n", rig_redis_socket(rig),
            members != NULL ? "," : "", members != NULL ? members : "");
    fclose(file);
}

static void init_store(rig_t *rig)
{
    char command[1024];
    snprintf(command, sizeof command, "%s/rhizome store init --config %s %s >%s/store.log 2>&1", rig->bin,
             rig->config, redis_store_flags(rig_redis(rig)), rig->dir);
    if (system(command) != 0) { /* NOLINT(cert-env33-c) */
        char log[256];
        process_show_log(log_path(rig, "store", log, sizeof log));
        fail_msg("rhizome store init failed");
    }
}

void *rig_socket(rig_t *rig, int type, const char *endpoint)
{
    int linger = type == ZMQ_PUSH ? RIG_PATIENCE_MS : 0; /* what was pushed leaves when it can */
    void *sock = zmq_socket(rig->zmq, type);
    assert_non_null(sock);
    zmq_setsockopt(sock, ZMQ_LINGER, &linger, sizeof linger);
    keyring_apply(sock, "admin");
    assert_int_equal(zmq_connect(sock, rig_endpoint(rig, endpoint)), 0);
    return sock;
}

void rig_push(rig_t *rig, const char *bytes)
{
    void *push = rig_socket(rig, ZMQ_PUSH, "jobs");
    assert_true(zmq_send(push, bytes, strlen(bytes), 0) >= 0);
    zmq_close(push);
}

static void connect_control(rig_t *rig)
{
    int on = 1;
    rig->control = rig_socket(rig, ZMQ_REQ, "control");
    /* a request may follow one that was never answered, and a late answer is not taken for its own */
    zmq_setsockopt(rig->control, ZMQ_REQ_RELAXED, &on, sizeof on);
    zmq_setsockopt(rig->control, ZMQ_REQ_CORRELATE, &on, sizeof on);
}

void rig_turn_to(rig_t *rig, unsigned i)
{
    assert_true(i < rig->brokers);
    rig->at = i;
    zmq_close(rig->control);
    connect_control(rig);
}

bool rig_is_home(rig_t *rig)
{
    double slots = 0;
    return metric_get(rig_endpoint(rig, "http"), "rhizome_broker_homed_slots", &slots) && slots > 0;
}

unsigned rig_turn_home(rig_t *rig)
{
    uint64_t deadline_ms = process_now_ms() + RIG_PATIENCE_MS;
    for (unsigned i = 0;; i = (i + 1) % rig->brokers) {
        rig_turn_to(rig, i);
        if (rig_is_home(rig))
            return i;
        if (process_now_ms() > deadline_ms)
            fail_msg("no broker is home");
    }
}

static const char *const redis_settings[] = { "--appendonly", "yes", NULL };

rig_t *rig_up(const rig_options_t *options)
{
    rig_t *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    const char *bin = getenv("RZ_BIN_DIR");
    if (bin == NULL)
        fail_msg("RZ_BIN_DIR must name the folder of the programs (ctest sets it)");
    snprintf(rig->bin, sizeof rig->bin, "%s", bin);
    snprintf(rig->dir, sizeof rig->dir, "/tmp/rhizome-rig-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->config, sizeof rig->config, "%s/config.json", rig->dir);
    rig->brokers = options->brokers > 0 ? options->brokers : 1;
    assert_true(rig->brokers <= BROKERS_MAX);
    rig->broker_flags = options->broker;
    rig->runner_flags = options->runner;
    rig->zmq = zmq_ctx_new();
    rig->beside = options->beside;
    if (rig->beside == NULL)
        redis_up(&rig->redis, redis_settings);
    if (secured() && rig->beside == NULL)
        keyring_make(rig->dir);
    write_config(rig, options->config);
    if (rig->beside == NULL)
        init_store(rig);
    for (unsigned i = rig->brokers; i-- > 0;) {
        rig->at = i;
        rig_broker_up(rig);
    }
    connect_control(rig);
    while (rig->runners < options->runners)
        rig_runner_up(rig);
    return rig;
}

static void remove_tree(const char *path)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf -- '%s'", path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

/* A daemon told to stop exits 0; a sanitizer or valgrind that found something makes it another number. */
static void end_cleanly(process_t *process)
{
    int status = process_end(process, SIGTERM, RIG_PATIENCE_MS);
    if (status != -1 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
        process_show_log(process->log);
        fail_msg("wait status %d of %s", status, process->log);
    }
}

void rig_down(rig_t **owner)
{
    rig_t *rig = *owner;
    *owner = NULL;
    pid_t before[512], after[512];
    size_t n = 0, left = 0;
    for (unsigned i = 0; i < rig->runners; i++)
        if (rig->runner[i].pid != 0)
            n += rig_descendants(rig, i, before + n, 512 - n);
    for (unsigned i = 0; i < rig->runners; i++)
        end_cleanly(&rig->runner[i]);
    for (unsigned i = 0; i < rig->brokers; i++)
        end_cleanly(&rig->broker[i].process);
    if (rig->beside == NULL) {
        redis_down(&rig->redis);
        left = process_descendants(getpid(), after, 512);
    }
    for (size_t i = 0; i < n; i++)
        if (kill(before[i], 0) == 0)
            fail_msg("process %d was left over", (int)before[i]);
    assert_int_equal(left, 0);
    zmq_close(rig->control);
    for (size_t i = 0; i < SUBS_MAX; i++)
        if (rig->sub[i] != NULL)
            zmq_close(rig->sub[i]);
    zmq_ctx_term(rig->zmq);
    remove_tree(rig->dir);
    if (rig->beside == NULL)
        keyring_forget();
    free(rig);
}

const char *rig_dir(const rig_t *rig)
{
    return rig->dir;
}

const char *rig_endpoint(const rig_t *rig, const char *name)
{
    for (int i = 0; i < ENDPOINTS; i++)
        if (strcmp(endpoint_names[i], name) == 0)
            return rig->broker[rig->at].endpoint[i];
    fail_msg("no endpoint %s", name);
    return "";
}

/* ---- control ---- */

cJSON *rig_try(rig_t *rig, int timeout_ms, const char *request)
{
    zmq_setsockopt(rig->control, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(rig->control, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_msg_t message;
    if (zmq_send(rig->control, request, strlen(request), 0) < 0)
        return NULL;
    zmq_msg_init(&message);
    cJSON *reply = NULL;
    if (zmq_msg_recv(&message, rig->control, 0) >= 0)
        reply = cJSON_ParseWithLength(zmq_msg_data(&message), zmq_msg_size(&message));
    zmq_msg_close(&message);
    return reply;
}

static cJSON *ask_text(rig_t *rig, const char *request)
{
    cJSON *reply = rig_try(rig, RIG_PATIENCE_MS, request);
    if (reply == NULL) {
        char log[256], name[32];
        process_show_log(log_path(rig, broker_name(rig, name, sizeof name), log, sizeof log));
        fail_msg("no answer to %s", request);
    }
    return reply;
}

cJSON *rig_ask(rig_t *rig, const char *fmt, ...)
{
    char *request = NULL;
    va_list args;
    va_start(args, fmt);
    assert_true(vasprintf(&request, fmt, args) >= 0);
    va_end(args);
    cJSON *reply = ask_text(rig, request);
    free(request);
    return reply;
}

const char *rig_text(const cJSON *reply, const char *path)
{
    char part[64];
    while (reply != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        reply = cJSON_GetObjectItemCaseSensitive(reply, part);
        path += path[n] == '.' ? n + 1 : n;
    }
    return cJSON_IsString(reply) ? reply->valuestring : "";
}

void rig_submit(rig_t *rig, const char *parent, const char *child, const char *profile, const char *text)
{
    cJSON *reply = rig_ask(
        rig,
        "{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"%s\",\"child_session_id\":\"%s\",\"require\":{\"profile\":\"%s\"},\"session\":{\"id\":\"%s\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}}}",
        parent, child, profile, child, text);
    if (strcmp(rig_text(reply, "code"), "OK") != 0)
        fail_msg("receipt: %s", cJSON_PrintUnformatted(reply));
    cJSON_Delete(reply);
}

void rig_wait(rig_t *rig, const char *child, char status[32])
{
    cJSON *reply =
        rig_ask(rig, "{\"op\":\"wait\",\"child\":\"%s\",\"timeout_ms\":%d}", child, RIG_PATIENCE_MS - 2000);
    if (strcmp(rig_text(reply, "activation.state"), "terminal") != 0)
        fail_msg("%s: %s", child, cJSON_PrintUnformatted(reply));
    snprintf(status, 32, "%s", rig_text(reply, "activation.status"));
    cJSON_Delete(reply);
}

void rig_last_message(rig_t *rig, const char *child, char role[16], char *content, size_t max)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"session_get\",\"child\":\"%s\"}", child);
    const cJSON *session = cJSON_GetObjectItemCaseSensitive(reply, "session");
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(session, "messages");
    const cJSON *last = cJSON_GetArrayItem(messages, cJSON_GetArraySize(messages) - 1);
    snprintf(role, 16, "%s", rig_text(last, "role"));
    snprintf(content, max, "%s", rig_text(last, "content"));
    cJSON_Delete(reply);
}

void rig_await(rig_t *rig, const char *request, const char *path, const char *text)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    for (;;) {
        cJSON *reply = ask_text(rig, request);
        int met = strcmp(rig_text(reply, path), text) == 0;
        if (!met && process_now_ms() > deadline)
            fail_msg("%s never became %s: %s", path, text, cJSON_PrintUnformatted(reply));
        cJSON_Delete(reply);
        if (met)
            return;
    }
}

/* ---- events ---- */

struct rig_sub {
    rig_t *rig;
    void *socket;
};

/* Its place in the rig's list; the one of NULL is free. */
static void **sub_place(rig_t *rig, const void *socket)
{
    for (size_t i = 0; i < SUBS_MAX; i++)
        if (rig->sub[i] == socket)
            return &rig->sub[i];
    fail_msg("more than %d subscriptions", SUBS_MAX);
    return NULL;
}

static bool receive_parts(void *socket, zmq_msg_t parts[3], int timeout_ms)
{
    zmq_pollitem_t item = { .socket = socket, .events = ZMQ_POLLIN };
    if (zmq_poll(&item, 1, timeout_ms) <= 0)
        return false;
    for (int i = 0; i < 3; i++) {
        zmq_msg_init(&parts[i]);
        assert_true(zmq_msg_recv(&parts[i], socket, 0) >= 0);
        assert_int_equal(zmq_msg_more(&parts[i]), i < 2);
    }
    return true;
}

bool rig_event_next(rig_sub_t *sub, rig_event_t *out, int timeout_ms)
{
    zmq_msg_t parts[3];
    if (!receive_parts(sub->socket, parts, timeout_ms))
        return false;
    snprintf(out->topic, sizeof out->topic, "%.*s", (int)zmq_msg_size(&parts[0]),
             (char *)zmq_msg_data(&parts[0]));
    out->header = cJSON_ParseWithLength(zmq_msg_data(&parts[1]), zmq_msg_size(&parts[1]));
    out->event = cJSON_ParseWithLength(zmq_msg_data(&parts[2]), zmq_msg_size(&parts[2]));
    for (int i = 0; i < 3; i++)
        zmq_msg_close(&parts[i]);
    return true;
}

void rig_event_fini(rig_event_t *event)
{
    cJSON_Delete(event->header);
    cJSON_Delete(event->event);
}

/* One round of the handshake: asks for a sync and reads until every emitter was seen or 200 ms passed. */
static bool all_emitters_seen(rig_t *rig, rig_sub_t *sub, const char *nonce)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"sync\",\"nonce\":\"%s\"}", nonce);
    int missing = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(reply, "emitters"));
    assert_true(missing > 0);
    cJSON_Delete(reply);
    char prefix[128];
    snprintf(prefix, sizeof prefix, "$sys/sync/%s/", nonce);
    rig_event_t event;
    while (missing > 0 && rig_event_next(sub, &event, 200)) {
        missing -= strncmp(event.topic, prefix, strlen(prefix)) == 0;
        rig_event_fini(&event);
    }
    return missing == 0;
}

rig_sub_t *rig_subscribe(rig_t *rig, const char *prefix)
{
    static unsigned nonces;
    rig_sub_t *sub = calloc(1, sizeof *sub);
    assert_non_null(sub);
    int linger = 0, unlimited = 0;
    sub->rig = rig;
    sub->socket = *sub_place(rig, NULL) = zmq_socket(rig->zmq, ZMQ_SUB);
    zmq_setsockopt(sub->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(sub->socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    keyring_apply(sub->socket, "admin");
    assert_int_equal(zmq_connect(sub->socket, rig_endpoint(rig, "events")), 0);
    zmq_setsockopt(sub->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    for (int round = 0; round < 100; round++) {
        char nonce[32], topic[64];
        snprintf(nonce, sizeof nonce, "rig-%d-%u", (int)getpid(), nonces++);
        snprintf(topic, sizeof topic, "$sys/sync/%s/", nonce);
        zmq_setsockopt(sub->socket, ZMQ_SUBSCRIBE, topic, strlen(topic));
        bool seen = all_emitters_seen(rig, sub, nonce);
        zmq_setsockopt(sub->socket, ZMQ_UNSUBSCRIBE, topic, strlen(topic));
        if (seen)
            return sub;
    }
    fail_msg("the subscription never reached every emitter");
    return NULL;
}

size_t rig_event_until_completed(rig_sub_t *sub, const char *child, char status[32])
{
    rig_event_t event;
    for (size_t n = 0;; n++) {
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("no sub_agent_completed of %s after %zu events", child, n);
        bool end = strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0 &&
                   strcmp(rig_text(event.event, "child_session_id"), child) == 0;
        if (end)
            snprintf(status, 32, "%s", rig_text(event.event, "status"));
        rig_event_fini(&event);
        if (end)
            return n;
    }
}

void rig_sub_also(rig_sub_t *sub, const char *prefix)
{
    zmq_setsockopt(sub->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
}

void rig_sub_close(rig_sub_t **sub)
{
    *sub_place((*sub)->rig, (*sub)->socket) = NULL;
    zmq_close((*sub)->socket);
    free(*sub);
    *sub = NULL;
}
