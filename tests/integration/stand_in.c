/* stand_in.c - see stand_in.h. */
#include "stand_in.h"
#include "facts.h"
#include "keyring.h"
#include "secured.h"

#include "wire/event.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

unsigned stand_in_ping_ms = 500;
const char *stand_in_mark;
uint64_t stand_in_lease_ms;

/* ---- sending ---- */

void stand_in_send_parts(stand_in_t *s, const rz_link_t *link, const char *const *payload, size_t n)
{
    rz_buf_t header = { 0 };
    rz_link_encode(link, &header);
    zmq_send(s->router, s->routing, s->routing_len, ZMQ_SNDMORE);
    zmq_send(s->router, header.data, header.len, n > 0 ? ZMQ_SNDMORE : 0);
    for (size_t i = 0; i < n; i++)
        zmq_send(s->router, payload[i], strlen(payload[i]), i + 1 < n ? ZMQ_SNDMORE : 0);
    rz_buf_fini(&header);
}

void stand_in_send(stand_in_t *s, const rz_link_t *link, const char *payload)
{
    stand_in_send_parts(s, link, &payload, payload != NULL);
}

void stand_in_assign_raw(stand_in_t *s, const char *child, const char *profile, uint64_t epoch,
                         const char *header, const char *messages)
{
    char token[RZ_TOKEN_LEN + 1];
    snprintf(token, sizeof token, "%032x", (unsigned)epoch);
    rz_link_t assign = { .kind = RZ_LINK_ASSIGN,
                         .child = child,
                         .parent = "root",
                         .epoch = epoch,
                         .token = token,
                         .attempt = 1,
                         .max_attempts = s->max_attempts,
                         .profile = profile,
                         .affinity = "affinity-of-the-test",
                         .model = "" };
    stand_in_send_parts(s, &assign, (const char *const[]){ header, messages }, 2);
    stand_in_seen(s, child)->assigns++;
    s->sent++;
}

void stand_in_assign(stand_in_t *s, const char *child, const char *profile, uint64_t epoch,
                     const char *assignment, const char *metadata)
{
    char header[1024];
    rz_buf_t messages = { 0 };
    snprintf(header, sizeof header, "{\"id\":\"%s\",\"kind\":\"child\",\"metadata\":%s}", child,
             metadata != NULL ? metadata : "{}");
    rz_json_open(&messages, '[');
    rz_json_open(&messages, '{');
    rz_json_put_str(&messages, "role", "user");
    rz_json_put_str(&messages, "content", assignment);
    rz_json_close(&messages, '}');
    rz_json_close(&messages, ']');
    stand_in_assign_raw(s, child, profile, epoch, header, messages.data);
    rz_buf_fini(&messages);
}

void stand_in_cancel(stand_in_t *s, const char *child, bool now)
{
    rz_link_t cancel = { .kind = RZ_LINK_CANCEL, .child = child, .epoch = 1, .now = now };
    stand_in_send(s, &cancel, NULL);
}

/* ---- what the runner says ---- */

seen_t *stand_in_seen(stand_in_t *s, const char *child)
{
    for (size_t i = 0; i < s->seen_count; i++)
        if (strcmp(s->seen[i].child, child) == 0)
            return &s->seen[i];
    assert_true(s->seen_count < sizeof s->seen / sizeof s->seen[0]);
    seen_t *seen = &s->seen[s->seen_count++];
    snprintf(seen->child, sizeof seen->child, "%s", child);
    return seen;
}

uint64_t stand_in_version = RZ_PROTOCOL_VERSION;

static void ack(stand_in_t *s, const rz_link_t *write)
{
    if (s->write_code == RZ_AGAIN)
        return;
    rz_link_t link = { .kind = RZ_LINK_ACK,
                       .op = rz_link_kind_name(write->kind),
                       .child = write->child,
                       .epoch = write->epoch,
                       .code = s->write_code,
                       .seq = write->seq_count > 0 ? write->seqs[write->seq_count - 1] : 0 };
    stand_in_send(s, &link, NULL);
}

static void on_write(stand_in_t *s, const rz_link_t *link, rz_str_t first)
{
    seen_t *seen = stand_in_seen(s, link->child);
    seen->starts += link->kind == RZ_LINK_START;
    seen->appends += link->kind == RZ_LINK_APPEND;
    seen->releases += link->kind == RZ_LINK_RELEASE;
    seen->reruns += link->kind == RZ_LINK_RELEASE && link->rerun;
    if (link->kind == RZ_LINK_RELEASE)
        snprintf(seen->error, sizeof seen->error, "%s", link->reason);
    for (size_t i = 0; i < link->seq_count; i++) {
        seen->disordered |= link->seqs[i] <= seen->logged_seq && s->write_code == RZ_OK;
        seen->logged_seq = link->seqs[i];
    }
    if (link->kind == RZ_LINK_FINISH) {
        seen->finishes++;
        snprintf(seen->status, sizeof seen->status, "%s", link->status);
        snprintf(seen->error, sizeof seen->error, "%s", link->error != NULL ? link->error : "");
        snprintf(seen->reply, sizeof seen->reply, "%.*s", (int)first.n, first.n > 0 ? first.p : "");
    }
    if (link->kind == RZ_LINK_FINISH || link->kind == RZ_LINK_RELEASE)
        seen->done_ms = process_now_ms();
    ack(s, link);
}

static void welcome(stand_in_t *s, const rz_link_t *hello)
{
    s->hellos++;
    snprintf(s->phase, sizeof s->phase, "%s", hello->phase != NULL ? hello->phase : "");
    s->sent = 0;
    snprintf(s->incarnation, sizeof s->incarnation, "%s", hello->incarnation);
    assert_in_range(stand_in_version, hello->version, hello->version_max);
    rz_link_t link = { .kind = RZ_LINK_WELCOME,
                       .version = stand_in_version,
                       .broker = "stand-in",
                       .publish = s->publish,
                       .mark = stand_in_mark,
                       .sync_ms = 100,
                       .lease_ms = stand_in_lease_ms,
                       .ping_ms = stand_in_ping_ms };
    stand_in_send(s, &link, NULL);
}

static void print_json(const cJSON *json, char *out, size_t size)
{
    char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
    snprintf(out, size, "%s", text != NULL ? text : "");
    cJSON_free(text);
}

static cJSON *flagged(const char **child)
{
    cJSON *list = *child != NULL ? cJSON_CreateStringArray(child, 1) : NULL;
    *child = NULL;
    return list;
}

static void on_sync(stand_in_t *s, const rz_link_t *sync)
{
    const cJSON *state;
    cJSON_ArrayForEach(state, sync->states)
    {
        seen_t *seen = stand_in_seen(s, state->string);
        print_json(state, seen->state, sizeof seen->state);
    }
    print_json(sync->facts, s->facts, sizeof s->facts);
    s->syncs++;
    if (s->sync_code == RZ_AGAIN)
        return;
    cJSON *none = s->disown ? cJSON_CreateArray() : NULL;
    cJSON *cancels = flagged(&s->cancel), *cancels_now = flagged(&s->cancel_now);
    rz_link_t link = { .kind = RZ_LINK_SYNCED,
                       .code = s->sync_code,
                       .counter = sync->counter,
                       .owned = none,
                       .cancels = cancels,
                       .cancels_now = cancels_now };
    stand_in_send(s, &link, NULL);
    cJSON_Delete(none);
    cJSON_Delete(cancels);
    cJSON_Delete(cancels_now);
    s->disown = false;
    s->sync_code = RZ_OK;
}

static void on_ping(stand_in_t *s, const rz_link_t *ping)
{
    rz_link_t pong = { .kind = RZ_LINK_PONG, .load = s->load, .sent = s->sent, .promised = s->promised };
    s->pings++;
    s->ping_granted = ping->granted;
    s->ping_home = ping->home;
    stand_in_send(s, &pong, NULL);
}

static void on_credit(stand_in_t *s, const rz_link_t *credit)
{
    s->granted = credit->granted;
    print_json(credit->full, s->full, sizeof s->full);
    s->idle = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, credit->idle) s->idle += (uint64_t)item->valuedouble;
}

static void on_link(stand_in_t *s, const rz_link_t *link, rz_str_t first)
{
    switch (link->kind) {
    case RZ_LINK_HELLO:
        welcome(s, link);
        return;
    case RZ_LINK_CREDIT:
        on_credit(s, link);
        return;
    case RZ_LINK_SYNC:
        on_sync(s, link);
        return;
    case RZ_LINK_PING:
        on_ping(s, link);
        return;
    case RZ_LINK_BYE:
        s->byes++;
        return;
    case RZ_LINK_PHASE:
        snprintf(s->phase, sizeof s->phase, "%s", link->phase);
        if (link->id != NULL)
            s->ordered = link->code;
        s->orders_answered += link->id != NULL;
        return;
    case RZ_LINK_STEERED:
        stand_in_seen(s, link->child)->steered_live += link->live;
        stand_in_seen(s, link->child)->steered_dead += !link->live;
        return;
    case RZ_LINK_DECIDED:
        stand_in_seen(s, link->child)->decided_live += link->live;
        stand_in_seen(s, link->child)->decided_dead += !link->live;
        return;
    case RZ_LINK_OUTPUT:
        s->has_output = true;
        snprintf(s->output, sizeof s->output, "%.*s", (int)first.n, first.n > 0 ? first.p : "");
        return;
    default:
        on_write(s, link, first);
        return;
    }
}

static size_t recv_part(void *sock, zmq_msg_t *msg)
{
    zmq_msg_init(msg);
    return zmq_msg_recv(msg, sock, 0) < 0 ? 0 : (size_t)zmq_msg_more(msg);
}

/* [routing id][header][first payload]...: no fact looks further than the first payload. */
static void read_link(stand_in_t *s)
{
    zmq_msg_t part[3], surplus;
    size_t n = 0, more = 1;
    for (; n < 3 && more; n++)
        more = recv_part(s->router, &part[n]);
    while (more) {
        more = recv_part(s->router, &surplus);
        zmq_msg_close(&surplus);
    }
    rz_link_t link;
    rz_err_t err = { 0 };
    s->routing_len = zmq_msg_size(&part[0]);
    assert_in_range(s->routing_len, 1, sizeof s->routing);
    memcpy(s->routing, zmq_msg_data(&part[0]), s->routing_len);
    if (rz_link_decode(zmq_msg_data(&part[1]), zmq_msg_size(&part[1]), &link, &err) != RZ_OK)
        fail_msg("the runner sent what nobody understands: %s", err.text);
    on_link(s, &link,
            n == 3 ? (rz_str_t){ zmq_msg_data(&part[2]), zmq_msg_size(&part[2]) } : (rz_str_t){ NULL, 0 });
    rz_link_fini(&link);
    for (size_t i = 0; i < n; i++)
        zmq_msg_close(&part[i]);
}

static bool is_kept(rz_str_t type)
{
    return rz_str_eq(type, "sub_agent_heartbeat") || rz_str_eq(type, "child_approval_requested") ||
           rz_str_eq(type, "child_approval_changed");
}

static void keep_event(seen_t *seen, rz_str_t type, rz_str_t event)
{
    rz_str_t inner = rz_json_member(event, "event");
    size_t len = strlen(seen->told);
    if (inner.n > 0)
        event = inner;
    if (is_kept(type))
        snprintf(seen->told + len, sizeof seen->told - len, "%.*s\n", (int)event.n, event.p);
}

static void on_event(stand_in_t *s, rz_str_t topic, rz_str_t header_bytes, rz_str_t event)
{
    rz_str_t parent, child, type;
    rz_event_header_t header;
    rz_err_t err = { 0 };
    if (!rz_topic_parse(topic, &parent, &child, &type)) {
        snprintf(s->nonce_seen, sizeof s->nonce_seen, "%.*s", (int)topic.n, topic.p);
        return;
    }
    assert_int_equal(rz_event_header_decode(header_bytes.p, header_bytes.n, &header, &err), RZ_OK);
    seen_t *seen = stand_in_seen(s, header.child);
    static const char wrapped[] = "sub_agent_event.";
    size_t skip =
        type.n > sizeof wrapped && memcmp(type.p, wrapped, sizeof wrapped - 1) == 0 ? sizeof wrapped - 1 : 0;
    size_t len = strlen(seen->events);
    snprintf(seen->events + len, sizeof seen->events - len, "%s%.*s", len > 0 ? " " : "",
             (int)(type.n - skip), type.p + skip);
    keep_event(seen, (rz_str_t){ type.p + skip, type.n - skip }, event);
    seen->gap |= header.seq != seen->last_seq + 1;
    seen->last_seq = header.seq;
    seen->completed = type.n == 19 && memcmp(type.p, "sub_agent_completed", 19) == 0;
    rz_event_header_fini(&header);
}

static void read_event(stand_in_t *s)
{
    zmq_msg_t part[3];
    for (int i = 0; i < 3; i++)
        recv_part(s->sub, &part[i]);
    on_event(s, (rz_str_t){ zmq_msg_data(&part[0]), zmq_msg_size(&part[0]) },
             (rz_str_t){ zmq_msg_data(&part[1]), zmq_msg_size(&part[1]) },
             (rz_str_t){ zmq_msg_data(&part[2]), zmq_msg_size(&part[2]) });
    for (int i = 0; i < 3; i++)
        zmq_msg_close(&part[i]);
}

bool stand_in_pump(stand_in_t *s, int timeout_ms)
{
    zmq_pollitem_t items[] = { { s->router, 0, ZMQ_POLLIN, 0 }, { s->sub, 0, ZMQ_POLLIN, 0 } };
    if (zmq_poll(items, 2, timeout_ms) <= 0)
        return false;
    if (items[0].revents != 0)
        read_link(s);
    if (items[1].revents != 0)
        read_event(s);
    return true;
}

/* ---- waiting ---- */

static void give_up(const stand_in_t *s, const char *what)
{
    process_show_log(s->runner.log);
    for (size_t i = 0; i < s->seen_count; i++)
        print_error("%s: starts=%d appends=%d finishes=%d last_seq=%d gap=%d %.300s\n", s->seen[i].child,
                    s->seen[i].starts, s->seen[i].appends, s->seen[i].finishes, (int)s->seen[i].last_seq,
                    s->seen[i].gap, s->seen[i].events);
    fail_msg("waited in vain for %s", what);
}

rz_rc_t stand_in_order(stand_in_t *s, const char *phase, const char *policy, uint64_t deadline_ms)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    int answered = s->orders_answered;
    const rz_link_t order = {
        .kind = RZ_LINK_ORDER, .id = "o-1", .phase = phase, .policy = policy, .deadline_ms = deadline_ms
    };
    stand_in_send(s, &order, NULL);
    while (s->orders_answered == answered) {
        if (process_now_ms() > deadline)
            give_up(s, "the answer to an order");
        stand_in_pump(s, 100);
    }
    return s->ordered;
}

seen_t *stand_in_wait(stand_in_t *s, const char *child)
{
    seen_t *seen = stand_in_seen(s, child);
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (seen->finishes + seen->releases == 0 ||
           (seen->finishes > 0 && s->write_code == RZ_OK && !seen->completed)) {
        if (process_now_ms() > deadline)
            give_up(s, child);
        stand_in_pump(s, 100);
    }
    return seen;
}

void stand_in_wait_event(stand_in_t *s, const char *child, const char *type)
{
    seen_t *seen = stand_in_seen(s, child);
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (strstr(seen->events, type) == NULL) {
        if (process_now_ms() > deadline)
            give_up(s, type);
        stand_in_pump(s, 100);
    }
}

void stand_in_pump_for(stand_in_t *s, int ms)
{
    uint64_t until = process_now_ms() + (uint64_t)ms;
    while (process_now_ms() < until)
        stand_in_pump(s, 10);
}

void stand_in_wait_file(stand_in_t *s, const char *path)
{
    struct stat info;
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (stat(path, &info) != 0 || info.st_size == 0) {
        if (process_now_ms() > deadline)
            give_up(s, path);
        stand_in_pump(s, 20);
    }
}

size_t stand_in_wait_workers(stand_in_t *s, size_t n)
{
    pid_t pids[512];
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (stand_in_workers(s, pids, 512) != n) {
        if (process_now_ms() > deadline)
            give_up(s, "workers to come or go");
        stand_in_pump(s, 20);
    }
    return n;
}

const char *stand_in_events(const seen_t *seen)
{
    static const char beat[] = "sub_agent_heartbeat ";
    const size_t len = sizeof beat - 1;
    const char *events = seen->events;
    while (strncmp(events, beat, len) == 0 && strncmp(events + len, beat, len) == 0)
        events += len;
    return events;
}

bool stand_in_replied(const seen_t *seen, const char *content)
{
    char expected[1024];
    snprintf(expected, sizeof expected, "\"role\":\"assistant\",\"content\":\"%s\"", content);
    return strstr(seen->reply, expected) != NULL;
}

const char *stand_in_actor(const char *how, const char *file, const char *more)
{
    static char members[2048];
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{\"actor\":{\"agent_id\":\"actor\",\"protocol\":\"actor\",\"permission_profile\":\"p\","
        "\"executor\":\"echo\",\"worker_bin\":\"python3\",\"worker_args\":[\"" RZ_SOURCE_DIR
        "/tests/integration/actor.py\",\"%s\",\"%s\"]%s}}",
        how != NULL ? how : "plain", file != NULL ? file : "-", more);
    return members;
}

const char *stand_in_family(const char *file)
{
    static char members[1024];
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{\"family\":{\"agent_id\":\"family\",\"protocol\":\"actor\",\"permission_profile\":"
        "\"p\",\"executor\":\"command\",\"command\":\"" RZ_SOURCE_DIR
        "/tests/integration/family.sh\",\"args\":[\"%s\"]}}",
        file);
    return members;
}

pid_t stand_in_left_behind(stand_in_t *s, const char *file)
{
    char text[32] = "";
    stand_in_wait_file(s, file);
    FILE *told = fopen(file, "r");
    assert_non_null(told);
    assert_non_null(fgets(text, sizeof text, told));
    fclose(told);
    unlink(file);
    return (pid_t)strtol(text, NULL, 10);
}

/* ---- up and down ---- */

static void open_sockets(stand_in_t *s)
{
    size_t n = sizeof s->endpoint, m = sizeof s->publish;
    int linger = 0, unbounded = 0; /* a test that reads slowly must not lose events */
    s->zctx = zmq_ctx_new();
    s->router = zmq_socket(s->zctx, ZMQ_ROUTER);
    s->sub = zmq_socket(s->zctx, ZMQ_SUB);
    zmq_setsockopt(s->router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s->sub, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s->sub, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    zmq_setsockopt(s->sub, ZMQ_SUBSCRIBE, "", 0);
    keyring_apply(s->router, "broker");
    keyring_apply(s->sub, "broker");
    assert_int_equal(zmq_bind(s->router, "tcp://127.0.0.1:*"), 0);
    assert_int_equal(zmq_bind(s->sub, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(s->router, ZMQ_LAST_ENDPOINT, s->endpoint, &n);
    zmq_getsockopt(s->sub, ZMQ_LAST_ENDPOINT, s->publish, &m);
}

static unsigned runs_as;

void stand_in_as(unsigned uid)
{
    runs_as = uid;
}

static const char *runs_within;

void stand_in_within(const char *group)
{
    runs_within = group;
}

static void hand_over(const char *path)
{
    if (runs_as != 0)
        assert_int_equal(chown(path, runs_as, runs_as), 0);
}

static void hand_over_keys(void)
{
    hand_over(keyring.dir);
    hand_over(keyring_path("runner"));
}

static void write_config(stand_in_t *s, const char *members)
{
    snprintf(s->config, sizeof s->config, "%s/config.json", s->dir);
    FILE *file = fopen(s->config, "w");
    assert_non_null(file);
    fprintf(file, "{%s}", members);
    fclose(file);
    hand_over(s->config);
    hand_over(s->dir);
    if (keyring.dir[0] != '\0')
        hand_over_keys();
}

static void start_runner(stand_in_t *s, const char *const *flags)
{
    char program[512], state[160], log[160];
    const char *bin = getenv("RZ_BIN_DIR");
    snprintf(program, sizeof program, "%s/rhizome-runner",
             bin != NULL ? bin : RZ_SOURCE_DIR "/build/asan/bin");
    snprintf(state, sizeof state, "%s/state", s->dir);
    snprintf(log, sizeof log, "%s/runner.log", s->dir);
    char reuid[32], regid[32], door[512];
    snprintf(reuid, sizeof reuid, "--reuid=%u", runs_as);
    snprintf(regid, sizeof regid, "--regid=%u", runs_as);
    snprintf(door, sizeof door, "%s/cgroup.procs", runs_within != NULL ? runs_within : "");
    const char *const enter[] = { "sh", "-c", "echo 0 >\"$0\" && exec \"$@\"", door, NULL };
    const char *const become[] = { "setpriv", reuid, regid, "--clear-groups", NULL };
    const char *const run[] = { program,
                                "--config",
                                s->config,
                                "--runner-name",
                                "r-1",
                                "--log-level",
                                getenv("RZ_DEBUG") != NULL ? "debug" : "info",
                                "--runner-brokers",
                                s->endpoint,
                                "--runner-state-dir",
                                state,
                                NULL };
    const char *keys[8] = { NULL };
    keyring_flags(keys, 0, "runner");
    const char *const *const parts[] = { runs_within != NULL ? enter : NULL, runs_as != 0 ? become : NULL,
                                         run, keys, flags };
    const char *argv[56] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *const *word = parts[i]; word != NULL && *word != NULL; word++)
            argv[n++] = *word;
    process_start(&s->runner, argv, log, 1);
}

/* The runner's PUB learns of our subscription a moment after it connected: asked until its answer arrives. */
static void wait_for_events(stand_in_t *s)
{
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS, ask = 0;
    rz_link_t emit = { .kind = RZ_LINK_EMIT, .nonce = "n-1" };
    while (s->nonce_seen[0] == '\0' || s->granted == 0) {
        if (process_now_ms() > deadline)
            give_up(s, "the runner");
        if (s->hellos > 0 && process_now_ms() >= ask) {
            stand_in_send(s, &emit, NULL);
            ask = process_now_ms() + 20;
        }
        stand_in_pump(s, 20);
    }
    assert_string_equal(s->nonce_seen, "$sys/sync/n-1/r-1");
}

void stand_in_up(stand_in_t *s, const char *members, const char *const *flags)
{
    *s = (stand_in_t){ .runner = { .ready_fd = -1 } };
    snprintf(s->dir, sizeof s->dir, "/tmp/rz-stand-in-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->has_ring = secured() && keyring.dir[0] == '\0'; /* else it is another's */
    if (s->has_ring)
        keyring_make(s->dir);
    open_sockets(s);
    write_config(s, members);
    start_runner(s, flags);
    wait_for_events(s);
    char line[512];
    process_ready(&s->runner, line, sizeof line, STAND_IN_PATIENCE_MS);
    assert_non_null(strstr(line, "\"broker\":\"stand-in\""));
}

pid_t stand_in_runner(const stand_in_t *s)
{
    pid_t pids[512];
    return process_descendants(s->runner.pid, pids, 512) > 0 ? pids[0] : 0;
}

size_t stand_in_workers(const stand_in_t *s, pid_t *out, size_t max)
{
    pid_t pids[512];
    size_t n = process_descendants(s->runner.pid, pids, 512), kept = 0;
    for (size_t i = 1; i < n && kept < max; i++)
        out[kept++] = pids[i];
    return kept;
}

char stand_in_state(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *behind = strrchr(text, ')');
    return behind == NULL || behind[2] == 'Z' ? 0 : behind[2];
}

static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The broker's side must be answered while the runner ends, so waiting and pumping alternate. */
static int await_exit(stand_in_t *s)
{
    uint64_t deadline = process_now_ms() + 30000;
    int status;
    while (waitpid(s->runner.pid, &status, WNOHANG) == 0) {
        if (process_now_ms() > deadline)
            give_up(s, "the runner's end");
        stand_in_pump(s, 20);
    }
    if (code_of(status) != 0 && getenv("RZ_DEBUG") != NULL)
        process_show_log(s->runner.log);
    s->runner.pid = 0;
    return code_of(status);
}

int stand_in_end(stand_in_t *s, int signum)
{
    char command[192];
    kill(s->runner.pid, signum);
    int code = await_exit(s);
    while (zmq_poll((zmq_pollitem_t[]){ { s->router, 0, ZMQ_POLLIN, 0 } }, 1, 0) > 0)
        read_link(s);
    zmq_close(s->router);
    zmq_close(s->sub);
    zmq_ctx_term(s->zctx);
    if (s->has_ring)
        keyring_forget();
    snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
    assert_int_equal(system(command), 0);
    return code;
}

int stand_in_down(stand_in_t *s)
{
    pid_t family[512];
    size_t n = process_descendants(s->runner.pid, family, 512);
    int code = stand_in_end(s, SIGTERM);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(stand_in_state(family[i]), 0);
    return code;
}
