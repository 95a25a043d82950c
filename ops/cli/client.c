/* client.c - the DEALER and the SUB. */
#include "client.h"

#include "context.h"
#include "out.h"
#include "pick.h"
#include "verb.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/key.h"
#include "wire/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define HELLO_MS 3000
#define HANDSHAKE_MS                                                                                         \
    2000 /* a broker that refuses a key says nothing; it is given up before the hello is          */
#define SYNC_MS      5000 /* how long emitters may take to echo our nonce                                  */
#define ROUND_MS     5    /* then we ask again: the first echoes may have passed us by; each round is twice */
#define ROUND_MAX_MS 200  /* as long, up to this                                                           */

/* An event that came while we waited for something else. */
typedef struct stashed {
    struct stashed *next;
    event_t event;
} stashed_t;

struct client {
    void *zctx;
    void *control, *events;
    char endpoint[256]; /* of the broker we talk to */
    cJSON *controls;    /* all endpoints we know, that one included */
    cJSON *prefixes;    /* what we listen to */
    unsigned moves;
    control_source_t source;
    int signal_fd; /* while it connects; -1: none */
    rz_key_t key;  /* zero: in the clear */
    uint64_t last_id;
    uint32_t version; /* of the protocol, that both speak; 0 before hello was answered */
    reply_t hello;
    stashed_t *stash, **stash_end;
};

/* ---- replies and events: decoded once, owned by who asked ---- */

void reply_fini(reply_t *reply)
{
    rz_buf_fini(&reply->bytes);
    cJSON_Delete(reply->tree);
    *reply = (reply_t){ 0 };
}

outcome_t reply_refused(const reply_t *reply)
{
    const char *field = pick_text(reply->tree, "field");
    const char *message = pick_text(reply->tree, "message");
    bool named = *field == '\0' || strncmp(message, field, strlen(field)) == 0;
    if (*message == '\0')
        message = rz_rc_text(reply->code);
    say("%s%s%s (%s)", named ? "" : field, named ? "" : ": ", message, rz_rc_name(reply->code));
    if (reply->code == RZ_FULL && pick_count(reply->tree, "retry_after_ms") > 0)
        note("come back in %" PRIu64 " ms", pick_count(reply->tree, "retry_after_ms"));
    return outcome_of_code(reply->code);
}

void event_fini(event_t *event)
{
    rz_buf_fini(&event->topic);
    rz_buf_fini(&event->header_bytes);
    rz_buf_fini(&event->event_bytes);
    cJSON_Delete(event->header);
    cJSON_Delete(event->event);
    *event = (event_t){ 0 };
}

/* Takes all parts of one message off a socket; the first `n` are kept. The count of parts, 0 if there is none
 * now. */
static size_t receive(void *socket, rz_buf_t *parts, size_t n)
{
    size_t count = 0;
    int more = 1;
    while (more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return 0;
        }
        if (count < n)
            rz_buf_put(&parts[count], zmq_msg_data(&part), zmq_msg_size(&part));
        count++;
        more = zmq_msg_more(&part);
        zmq_msg_close(&part);
    }
    return count;
}

/* False: nothing usable there (a reply that is no JSON is dropped; its request then times out). */
static bool take_reply(void *control, reply_t *out)
{
    rz_buf_t parts[2] = { { 0 }, { 0 } };
    size_t n = receive(control, parts, 2);
    *out = (reply_t){ .bytes = parts[1] };
    if (n == 2)
        out->tree = rz_json_parse(parts[1].data, parts[1].len, RZ_FRAME_MAX, NULL);
    rz_buf_fini(&parts[0]);
    out->id = pick_count(out->tree, "id");
    out->code = rz_rc_parse(pick_text(out->tree, "code"));
    if (out->tree == NULL)
        reply_fini(out);
    return out->tree != NULL;
}

static bool take_event(client_t *client, event_t *out)
{
    rz_buf_t parts[3] = { { 0 }, { 0 }, { 0 } };
    size_t n = receive(client->events, parts, 3);
    *out = (event_t){ .topic = parts[0], .header_bytes = parts[1], .event_bytes = parts[2] };
    if (n == 3 && parts[0].len > 0) {
        out->header = rz_json_parse(parts[1].data, parts[1].len, RZ_FRAME_MAX, NULL);
        out->event = rz_json_parse(parts[2].data, parts[2].len, RZ_FRAME_MAX, NULL);
    }
    if (out->header == NULL || out->event == NULL) {
        event_fini(out);
        return false;
    }
    return true;
}

/* The id under which it was sent, 0: it cannot be sent now. */
static uint64_t send_to(client_t *client, void *control, rz_control_request_t *request)
{
    char id[24];
    rz_buf_t bytes = { 0 };
    snprintf(id, sizeof id, "%" PRIu64, ++client->last_id);
    request->id = rz_str(id);
    rz_control_encode(request, &bytes);
    request->id = (rz_str_t){ NULL, 0 };
    bool sent = zmq_send(control, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) == 0 &&
                zmq_send(control, bytes.data, bytes.len, ZMQ_DONTWAIT) >= 0;
    rz_buf_fini(&bytes);
    return sent ? client->last_id : 0;
}

/* ---- connecting ---- */

static const char *named_by(const client_t *client)
{
    static const char *const names[] = {
        [CONTROL_FLAG] = "--control",
        [CONTROL_ENV] = "RHIZOME_CONTROL",
        [CONTROL_UP] = "a `rhizome up` that seems to be gone",
        [CONTROL_DEFAULT] = "the default",
    };
    bool other = client->source == CONTROL_FLAG && common.control_flag != NULL;
    return other ? common.control_flag : names[client->source];
}

static void explain_unreachable(const client_t *client, const char *endpoint, const char *what)
{
    bool is_default = client->source == CONTROL_DEFAULT;
    say("no broker at %s (%s%s): %s", endpoint, is_default ? "" : "named by ", named_by(client), what);
}

static void *socket_open(const client_t *client, int type)
{
    void *socket = zmq_socket(client->zctx, type);
    int64_t max_bytes = (int64_t)RZ_FRAME_MAX;
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(socket, ZMQ_TCP_KEEPALIVE, &(int){ 1 }, sizeof(int));
    zmq_setsockopt(socket, ZMQ_RCVHWM, &(int){ 100000 }, sizeof(int));
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof max_bytes);
    zmq_setsockopt(socket, ZMQ_HANDSHAKE_IVL, &(int){ HANDSHAKE_MS }, sizeof(int));
    rz_key_apply(&client->key, NULL, socket, NULL);
    return socket;
}

/* A refused connection shows only here: a DEALER would retry in silence. So does a refused key: the connection ends before
 * the handshake does. */
static void *monitor_open(client_t *client, void *control)
{
    zmq_socket_monitor(control, "inproc://monitor",
                       ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    void *monitor = zmq_socket(client->zctx, ZMQ_PAIR);
    zmq_setsockopt(monitor, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_connect(monitor, "inproc://monitor");
    return monitor;
}

static void monitor_close(void *control, void *monitor)
{
    zmq_socket_monitor(control, NULL, 0);
    zmq_close(monitor);
}

/* What came of the hello. */
typedef enum { GREETED, REFUSED_LINK, HUNG_UP, REFUSED_KEY, SILENT, INTERRUPTED } greeting_t;

static uint16_t take_monitored(void *monitor)
{
    uint8_t frame[6];
    uint16_t event = 0;
    if (zmq_recv(monitor, frame, sizeof frame, ZMQ_DONTWAIT) != (int)sizeof frame)
        return 0; /* the frame that says where: we know */
    memcpy(&event, frame, sizeof event);
    return event;
}

/* The broker's answer to hello, or what there was instead. */
static greeting_t await_hello(const client_t *client, void *control, void *monitor, reply_t *hello)
{
    bool shaken = false;
    uint64_t deadline = rz_now_ms() + HELLO_MS;
    for (uint64_t now = rz_now_ms(); now < deadline; now = rz_now_ms()) {
        zmq_pollitem_t items[] = { { control, 0, ZMQ_POLLIN, 0 },
                                   { monitor, 0, ZMQ_POLLIN, 0 },
                                   { NULL, client->signal_fd, ZMQ_POLLIN, 0 } };
        if (zmq_poll(items, client->signal_fd < 0 ? 2 : 3, (long)(deadline - now)) <= 0)
            continue;
        if (items[2].revents != 0)
            return INTERRUPTED;
        if ((items[0].revents & ZMQ_POLLIN) != 0 && take_reply(control, hello))
            return GREETED;
        uint16_t event = (items[1].revents & ZMQ_POLLIN) != 0 ? take_monitored(monitor) : 0;
        if (event == ZMQ_EVENT_CONNECT_RETRIED)
            return REFUSED_LINK;
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            shaken = true;
        else if (event != 0)
            return shaken ? HUNG_UP : REFUSED_KEY;
    }
    return SILENT;
}

/* One that refuses our key greets whoever comes all the same; one that stands still does not, and may know us. */
static greeting_t greet(client_t *client, const char *endpoint, void *control, reply_t *hello)
{
    rz_control_request_t request = { .op = RZ_OP_HELLO,
                                     .version = RZ_PROTOCOL_MIN,
                                     .version_max = RZ_PROTOCOL_VERSION };
    void *monitor = monitor_open(client, control);
    send_to(client, control, &request);
    greeting_t greeting = await_hello(client, control, monitor, hello);
    monitor_close(control, monitor);
    return greeting == REFUSED_KEY && !endpoint_speaks(client->zctx, endpoint) ? SILENT : greeting;
}

/* Says why there is no greeting. */
static outcome_t explain(const client_t *client, const char *endpoint, greeting_t greeting)
{
    char host[256];
    const char *unknown =
        greeting == REFUSED_LINK || greeting == SILENT ? endpoint_unknown(endpoint, host) : NULL;
    if (greeting == INTERRUPTED)
        return EXIT_INTERRUPTED;
    if (greeting == REFUSED_KEY && rz_key_is_set(&client->key))
        say("the broker at %s refuses this key: not on its list, of another role, or for another broker",
            endpoint);
    else if (greeting == REFUSED_KEY)
        say("the broker at %s refuses us: it asks for a key (--key FILE)", endpoint);
    else if (unknown != NULL)
        say("%s (named by %s): host %s is not known: %s", endpoint, named_by(client), host, unknown);
    else
        explain_unreachable(client, endpoint,
                            greeting == REFUSED_LINK ? "connection refused"
                            : greeting == HUNG_UP    ? "it hung up"
                                                     : "no answer within 3 s");
    return greeting == REFUSED_KEY ? EXIT_NOT_ALLOWED : EXIT_UNAVAILABLE;
}

/* Which version of the protocol both speak; 0, said: none. A broker of before the ranges tells one. */
static uint32_t agree(const char *endpoint, const cJSON *hello)
{
    char clash[RZ_VERSION_TEXT_MAX];
    uint64_t highest = pick_count(hello, "protocol"), lowest = pick_count(hello, "protocol_min");
    lowest = lowest != 0 ? lowest : highest;
    uint32_t version = rz_version_common(lowest, highest);
    if (version == 0) {
        rz_version_clash(lowest, highest, "broker", "program", clash);
        say("%s: %s", endpoint, clash);
    }
    return version;
}

/* EXIT_DONE: we may stay. */
static outcome_t enter(client_t *client, const char *endpoint, const reply_t *hello)
{
    if (hello->code != RZ_OK)
        return reply_refused(hello);
    client->version = agree(endpoint, hello->tree);
    return client->version != 0 ? EXIT_DONE : EXIT_UNAVAILABLE;
}

/* Whoever knows one broker knows all. */
static void learn_controls(client_t *client)
{
    const cJSON *broker;
    cJSON_ArrayForEach(broker, pick(client->hello.tree, "brokers"))
    {
        char endpoint[256];
        endpoint_reachable(pick_text(broker, "endpoints.control"), client->endpoint, endpoint);
        bool is_this = strcmp(pick_text(broker, "broker"), pick_text(client->hello.tree, "broker")) == 0;
        if (endpoint[0] != '\0' && !is_this)
            controls_add(client->controls, endpoint);
    }
}

/* From here on the client's broker is the one at `endpoint`. */
static void settle_at(client_t *client, const char *endpoint, void *control, const reply_t *hello)
{
    if (client->control != NULL)
        zmq_close(client->control);
    reply_fini(&client->hello);
    client->control = control;
    client->hello = *hello;
    snprintf(client->endpoint, sizeof client->endpoint, "%s", endpoint);
    learn_controls(client);
}

/* Other than EXIT_DONE after saying why. */
static outcome_t try_at(client_t *client, const char *endpoint)
{
    reply_t hello = { 0 };
    outcome_t outcome = EXIT_UNAVAILABLE;
    void *control = socket_open(client, ZMQ_DEALER);
    if (zmq_connect(control, endpoint) != 0) {
        explain_unreachable(client, endpoint, zmq_strerror(errno));
    } else {
        greeting_t greeting = greet(client, endpoint, control, &hello);
        outcome = greeting == GREETED ? enter(client, endpoint, &hello) : explain(client, endpoint, greeting);
    }
    if (outcome == EXIT_DONE) {
        settle_at(client, endpoint, control, &hello);
        return EXIT_DONE;
    }
    reply_fini(&hello);
    zmq_close(control);
    return outcome;
}

/* A person's word for where a broker is, as controls_add() completed it. */
static bool check_named(const client_t *client, const char *endpoint)
{
    if (endpoint_is_whole(endpoint))
        return true;
    say("%s takes HOST:PORT, e.g. 10.0.0.5:7411, not \"%s\"", named_by(client),
        endpoint + (strncmp(endpoint, "tcp://", 6) == 0 ? 6 : 0));
    return false;
}

static outcome_t check_all_named(const client_t *client)
{
    const cJSON *endpoint;
    cJSON_ArrayForEach(endpoint, client->controls)
    {
        if (!check_named(client, endpoint->valuestring))
            return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* The first that lets us in. */
static outcome_t try_all(client_t *client)
{
    outcome_t worst = EXIT_DONE;
    const cJSON *endpoint;
    cJSON_ArrayForEach(endpoint, client->controls)
    {
        outcome_t outcome = try_at(client, endpoint->valuestring);
        if (outcome == EXIT_DONE)
            return EXIT_DONE;
        worst = outcome_worse(worst, outcome);
    }
    if (worst == EXIT_UNAVAILABLE && common.control_flag == NULL)
        note("start one here with `rhizome up`, or name another with --control tcp://HOST:7411");
    return worst;
}

static bool take_key(client_t *client)
{
    char path[PATH_MAX];
    rz_err_t err = { 0 };
    if (!context_key(client->source, path) || rz_key_load(path, "--key", &client->key, &err) == RZ_OK)
        return true;
    say("%s", err.text);
    return false;
}

client_t *client_open_unless(int signal_fd, outcome_t *outcome)
{
    client_t *client = rz_alloc(sizeof *client);
    client->signal_fd = signal_fd;
    client->stash_end = &client->stash;
    client->prefixes = cJSON_CreateArray();
    client->source = context_controls(&client->controls);
    client->zctx = zmq_ctx_new();
    *outcome = check_all_named(client);
    if (*outcome == EXIT_DONE && !take_key(client))
        *outcome = EXIT_UNAVAILABLE;
    if (*outcome == EXIT_DONE)
        *outcome = try_all(client);
    client->signal_fd = -1;
    if (*outcome != EXIT_DONE)
        client_close(&client);
    return client;
}

client_t *client_open(outcome_t *outcome)
{
    return client_open_unless(-1, outcome);
}

void client_close(client_t **client_ptr)
{
    client_t *client = *client_ptr;
    *client_ptr = NULL;
    if (client == NULL)
        return;
    while (client->stash != NULL) {
        stashed_t *first = client->stash;
        client->stash = first->next;
        event_fini(&first->event);
        rz_free(first);
    }
    reply_fini(&client->hello);
    cJSON_Delete(client->controls);
    cJSON_Delete(client->prefixes);
    if (client->events != NULL)
        zmq_close(client->events);
    if (client->control != NULL)
        zmq_close(client->control);
    zmq_ctx_term(client->zctx);
    rz_key_wipe(&client->key);
    rz_free(client);
}

const cJSON *client_hello(const client_t *client)
{
    return client->hello.tree;
}

const char *client_control(const client_t *client)
{
    return client->endpoint;
}

/* ---- asking ---- */

uint64_t client_send(client_t *client, rz_control_request_t *request)
{
    request->version = client->version; /* that of the broker it goes to: it may have been another's before */
    return send_to(client, client->control, request);
}

bool client_ask_again(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out)
{
    uint64_t id = client_send(client, request);
    uint64_t deadline = rz_now_ms() + timeout_ms;
    for (uint64_t now = rz_now_ms(); id != 0 && now < deadline; now = rz_now_ms()) {
        zmq_pollitem_t item = { client->control, 0, ZMQ_POLLIN, 0 };
        if (zmq_poll(&item, 1, (long)(deadline - now)) <= 0 || !take_reply(client->control, out))
            continue;
        if (out->id == id)
            return true;
        reply_fini(out); /* the late answer to something we gave up on */
    }
    *out = (reply_t){ 0 };
    return false;
}

bool client_ask(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out)
{
    if (client_ask_again(client, request, timeout_ms, out))
        return true;
    say("no answer from %s to `%s` within %" PRIu64 " ms: it may have been done or not", client->endpoint,
        rz_control_op_name(request->op), timeout_ms);
    return false;
}

void client_pause(uint64_t ms)
{
    zmq_poll(NULL, 0, (long)ms);
}

outcome_t client_demand(client_t *client, rz_control_request_t *request, uint64_t timeout_ms, reply_t *out)
{
    if (!client_ask(client, request, timeout_ms, out))
        return EXIT_UNAVAILABLE;
    if (out->code == RZ_OK || out->code == RZ_DUPLICATE || out->code == RZ_ENDED)
        return EXIT_DONE;
    outcome_t outcome = reply_refused(out);
    reply_fini(out);
    return outcome;
}

outcome_t client_show(client_t *client, rz_control_request_t *request, uint64_t timeout_ms,
                      void (*print)(const reply_t *reply))
{
    reply_t reply;
    outcome_t outcome = client_demand(client, request, timeout_ms, &reply);
    if (outcome != EXIT_DONE)
        return outcome;
    if (common.json)
        out_json_bytes(rz_buf_str(&reply.bytes));
    else
        print(&reply);
    reply_fini(&reply);
    return EXIT_DONE;
}

outcome_t client_print(rz_control_request_t *request, void (*print)(const reply_t *reply))
{
    outcome_t outcome;
    client_t *client = client_open(&outcome);
    if (client == NULL)
        return outcome;
    outcome = client_show(client, request, ANSWER_MS, print);
    client_close(&client);
    return outcome;
}

/* ---- events ---- */

static void stash(client_t *client, event_t *event)
{
    stashed_t *entry = rz_alloc(sizeof *entry);
    entry->event = *event;
    *client->stash_end = entry;
    client->stash_end = &entry->next;
}

static bool unstash(client_t *client, event_t *out)
{
    stashed_t *first = client->stash;
    if (first == NULL)
        return false;
    *out = first->event;
    client->stash = first->next;
    if (client->stash == NULL)
        client->stash_end = &client->stash;
    rz_free(first);
    return true;
}

static bool has_text(const cJSON *list, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (item->valuestring != NULL &&
                                       strcmp(item->valuestring, text) == 0) return true;
    return false;
}

/* Gathers echoes of the nonce for a moment: their emitters' names into `seen`; all other events wait their
 * turn. */
static void gather_echoes(client_t *client, const char *prefix, cJSON *seen, const cJSON *emitters,
                          uint64_t round_ms)
{
    uint64_t deadline = rz_now_ms() + round_ms;
    for (uint64_t now = rz_now_ms(); now < deadline; now = rz_now_ms()) {
        zmq_pollitem_t item = { client->events, 0, ZMQ_POLLIN, 0 };
        event_t event;
        if (zmq_poll(&item, 1, (long)(deadline - now)) <= 0 || !take_event(client, &event))
            continue;
        if (strncmp(event.topic.data, prefix, strlen(prefix)) != 0) {
            stash(client, &event);
            continue;
        }
        const char *name = event.topic.data + strlen(prefix);
        if (!has_text(seen, name))
            cJSON_AddItemToArray(seen, cJSON_CreateString(name));
        event_fini(&event);
        if (cJSON_GetArraySize(seen) >= cJSON_GetArraySize(emitters))
            return;
    }
}

/* The first emitter that was not seen, or NULL. */
static const char *missing_of(const cJSON *emitters, const cJSON *seen)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, emitters) if (item->valuestring != NULL &&
                                           !has_text(seen, item->valuestring)) return item->valuestring;
    return NULL;
}

static outcome_t sync_emitters(client_t *client)
{
    char nonce[RZ_TOKEN_LEN + 1], prefix[64];
    rz_token_new(nonce);
    snprintf(prefix, sizeof prefix, "$sys/sync/%s/", nonce);
    zmq_setsockopt(client->events, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
    cJSON *seen = cJSON_CreateArray();
    uint64_t deadline = rz_now_ms() + SYNC_MS;
    uint64_t round_ms = ROUND_MS;
    outcome_t outcome = EXIT_DONE;
    const char *missing = "";
    while (missing != NULL) {
        rz_control_request_t request = { .op = RZ_OP_SYNC, .nonce = nonce };
        reply_t reply;
        outcome = client_demand(client, &request, ANSWER_MS, &reply);
        if (outcome != EXIT_DONE)
            break;
        const cJSON *emitters = pick(reply.tree, "emitters");
        gather_echoes(client, prefix, seen, emitters, round_ms);
        round_ms = round_ms < ROUND_MAX_MS ? 2 * round_ms : round_ms;
        missing = missing_of(emitters, seen);
        if (missing != NULL && rz_now_ms() > deadline) {
            say("emitter %s stays silent: events it sends may be missed", missing);
            missing = NULL;
        }
        reply_fini(&reply);
    }
    zmq_setsockopt(client->events, ZMQ_UNSUBSCRIBE, prefix, strlen(prefix));
    cJSON_Delete(seen);
    return outcome;
}

static bool listen_again(client_t *client)
{
    char endpoint[256];
    const cJSON *prefix;
    if (client->events != NULL)
        zmq_close(client->events);
    endpoint_reachable(pick_text(client->hello.tree, "endpoints.events"), client->endpoint, endpoint);
    client->events = socket_open(client, ZMQ_SUB);
    cJSON_ArrayForEach(prefix, client->prefixes)
        zmq_setsockopt(client->events, ZMQ_SUBSCRIBE, prefix->valuestring, strlen(prefix->valuestring));
    if (zmq_connect(client->events, endpoint) == 0)
        return true;
    say("events at \"%s\": %s", endpoint, zmq_strerror(errno));
    return false;
}

bool client_listen(client_t *client, const char *const *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(client->prefixes, cJSON_CreateString(prefixes[i]));
    return listen_again(client);
}

outcome_t client_subscribe(client_t *client, const char *const *prefixes, size_t n)
{
    if (!client_listen(client, prefixes, n))
        return EXIT_UNAVAILABLE;
    outcome_t outcome = sync_emitters(client);
    if (outcome == EXIT_NOT_ALLOWED)
        note(
            "`run` and `watch` hear events: that takes a key of role client; `submit` and `wait` work with this one");
    return outcome;
}

bool client_move(client_t *client)
{
    char from[256];
    const cJSON *endpoint;
    snprintf(from, sizeof from, "%s", client->endpoint);
    cJSON_ArrayForEach(endpoint, client->controls)
    {
        if (strcmp(endpoint->valuestring, from) == 0 || try_at(client, endpoint->valuestring) != EXIT_DONE)
            continue;
        note("%s is silent; going on at %s", from, client->endpoint);
        client->moves++;
        return client->events == NULL || listen_again(client);
    }
    return false;
}

unsigned client_moves(const client_t *client)
{
    return client->moves;
}

came_t client_next(client_t *client, int signal_fd, uint64_t timeout_ms, reply_t *reply, event_t *event)
{
    if (unstash(client, event))
        return CAME_EVENT;
    zmq_pollitem_t items[3] = { { client->control, 0, ZMQ_POLLIN, 0 } };
    int n = 1, events = 0, signals = 0;
    if (client->events != NULL)
        items[events = n++] = (zmq_pollitem_t){ client->events, 0, ZMQ_POLLIN, 0 };
    if (signal_fd >= 0)
        items[signals = n++] = (zmq_pollitem_t){ NULL, signal_fd, ZMQ_POLLIN, 0 };
    if (zmq_poll(items, n, (long)timeout_ms) <= 0)
        return CAME_NOTHING;
    if (signals > 0 && (items[signals].revents & ZMQ_POLLIN) != 0)
        return CAME_SIGNAL;
    if (events > 0 && (items[events].revents & ZMQ_POLLIN) != 0 && take_event(client, event))
        return CAME_EVENT;
    return (items[0].revents & ZMQ_POLLIN) != 0 && take_reply(client->control, reply) ? CAME_REPLY
                                                                                      : CAME_NOTHING;
}
