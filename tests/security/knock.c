/* knock.c - see knock.h. */
#include "knock.h"

#include "../facts.h"
#include "base/key.h"
#include "keyring.h"

#include <stdlib.h>

#define HANDSHAKE_MS 1000 /* after that our own side gives up; a broker answers within a turn of its loop */

static const int ends = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                        ZMQ_EVENT_DISCONNECTED;

static void *unconnected(int type)
{
    int none = 0, handshake_ms = HANDSHAKE_MS;
    void *sock = zmq_socket(stage.zctx, type);
    assert_non_null(sock);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(sock, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof handshake_ms);
    assert_true(stage.open_count < SOCKETS_MAX);
    stage.open[stage.open_count++] = sock;
    return sock;
}

static knock_t first_end(void *sock, const char *endpoint)
{
    static unsigned serial;
    char at[64];
    uint8_t frame[6];
    uint16_t event;
    int none = 0, patience = PATIENCE_MS;
    snprintf(at, sizeof at, "inproc://knock-%u", serial++);
    assert_int_equal(zmq_socket_monitor(sock, at, ends), 0);
    void *monitor = zmq_socket(stage.zctx, ZMQ_PAIR);
    zmq_setsockopt(monitor, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(zmq_connect(monitor, at), 0);
    assert_int_equal(zmq_connect(sock, endpoint), 0);
    assert_int_equal(zmq_recv(monitor, frame, sizeof frame, 0), sizeof frame);
    memcpy(&event, frame, sizeof event);
    zmq_socket_monitor(sock, NULL, 0);
    zmq_close(monitor);
    return event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? KNOCK_IN : KNOCK_OUT;
}

knock_t knock(int type, const char *endpoint, const char *name, void **out)
{
    void *sock = unconnected(type);
    if (name != NULL)
        keyring_apply(sock, name);
    knock_t end = first_end(sock, endpoint);
    if (out != NULL)
        *out = sock;
    else
        disconnected(sock);
    return end;
}

knock_t knock_with(int type, const char *endpoint, const rz_key_t *key)
{
    void *sock = unconnected(type);
    assert_int_equal(rz_key_apply(key, NULL, sock, NULL), RZ_OK);
    knock_t end = first_end(sock, endpoint);
    disconnected(sock);
    return end;
}

uint64_t counted(const char *counter)
{
    cJSON *reply = ask("{\"op\":\"status\"}");
    const cJSON *number =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(reply, "counters"), counter);
    assert_true(cJSON_IsNumber(number));
    uint64_t n = (uint64_t)number->valuedouble;
    cJSON_Delete(reply);
    return n;
}

void await_count(const char *counter, uint64_t least)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (counted(counter) < least)
        if (process_now_ms() > deadline)
            fail_msg("%s never reached %llu", counter, (unsigned long long)least);
}

bool logged(const char *text)
{
    static char log[1 << 20];
    FILE *file = fopen(stage.broker.log, "r");
    assert_non_null(file);
    size_t n = fread(log, 1, sizeof log - 1, file);
    fclose(file);
    log[n] = '\0';
    return strstr(log, text) != NULL;
}

/* ---- a conversation under another key ---- */

static void *own;

void as(const char *name)
{
    own = stage.control;
    stage.control = connected_as(ZMQ_REQ, stage.control_at, name);
}

void as_ourselves(void)
{
    disconnected(stage.control);
    stage.control = own;
}

const char *job_of(const char *parent, const char *child, const char *more)
{
    static char text[1024];
    snprintf(
        text, sizeof text,
        "{\"parent_session_id\":\"%s\",\"child_session_id\":\"%s\",\"session\":{\"id\":\"%s\",\"kind\":\"child\","
        "\"parent_session_id\":\"%s\",\"metadata\":{\"external.agent_id\":\"echo\"},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}%s}",
        parent, child, child, parent, more);
    return text;
}

cJSON *submit_of(const char *parent, const char *child, const char *more)
{
    return ask("{\"op\":\"submit\",\"job\":%s}", job_of(parent, child, more));
}

void is_told_no(cJSON *reply)
{
    assert_true(strlen(text_at(reply, "message")) > 0);
    answers(reply, "NOT_ALLOWED");
}
