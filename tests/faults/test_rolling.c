/* test_rolling.c - a fleet that is restarted one program at a time, by SIGTERM, while it is given work: nothing that has a
 * receipt is lost, and no child fails. */
#include "facts.h"
#include "keyring.h"
#include "process.h"
#include "rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zmq.h>

#define BROKERS    2
#define RUNNERS    3
#define CHILDREN   300
#define ASK_MS     1000 /* then the other broker is asked */
#define BETWEEN_MS 20   /* two submits                    */

/* ---- a producer that asks whichever broker answers, until it has a receipt; a thread of its own ---- */

typedef struct {
    char control[BROKERS][128];
    atomic_int receipts, stop;
    int repeated; /* submits that went unanswered or were UNAVAILABLE at first */
    char refused[256];
} producer_t;

static void *ask_socket(void *zctx, const char *endpoint)
{
    void *sock = zmq_socket(zctx, ZMQ_REQ);
    zmq_setsockopt(sock, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(sock, ZMQ_RCVTIMEO, &(int){ ASK_MS }, sizeof(int));
    zmq_setsockopt(sock, ZMQ_SNDTIMEO, &(int){ ASK_MS }, sizeof(int));
    keyring_apply(sock, "admin");
    zmq_connect(sock, endpoint);
    return sock;
}

/* "OK", "DUPLICATE", "UNAVAILABLE"...; "" no answer came. */
static void submit_once(void *zctx, const char *endpoint, const char *request, char code[32])
{
    char reply[4096];
    void *sock = ask_socket(zctx, endpoint);
    code[0] = '\0';
    if (zmq_send(sock, request, strlen(request), 0) > 0) {
        int n = zmq_recv(sock, reply, sizeof reply - 1, 0);
        if (n > 0 && (size_t)n < sizeof reply) {
            cJSON *tree = cJSON_ParseWithLength(reply, (size_t)n);
            snprintf(code, 32, "%s", rig_text(tree, "code"));
            cJSON_Delete(tree);
        }
    }
    zmq_close(sock);
}

static bool is_receipt(const char *code)
{
    return strcmp(code, "OK") == 0 || strcmp(code, "DUPLICATE") == 0;
}

static void submit_until_received(producer_t *producer, void *zctx, int child)
{
    char request[512], code[32] = "";
    snprintf(
        request, sizeof request,
        "{\"op\":\"submit\",\"id\":1,\"job\":{\"parent_session_id\":\"root-%d\",\"child_session_id\":\"c%d\",\"job_id\":\"j\","
        "\"require\":{\"profile\":\"echo\"},\"session\":{\"id\":\"c%d\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\","
        "\"content\":\"__sleep_ms:%d hello\"}]}}}",
        child % 7, child, child, 50 + child % 10 * 50);
    for (int broker = child; !atomic_load(&producer->stop); broker++) {
        submit_once(zctx, producer->control[broker % BROKERS], request, code);
        if (is_receipt(code))
            return;
        producer->repeated++;
        if (code[0] != '\0' && strcmp(code, "UNAVAILABLE") != 0 && strcmp(code, "UNKNOWN") != 0) {
            snprintf(producer->refused, sizeof producer->refused, "c%d: %s", child, code);
            return;
        }
    }
}

static void *produce(void *arg)
{
    producer_t *producer = arg;
    void *zctx = zmq_ctx_new();
    for (int child = 0; child < CHILDREN && !atomic_load(&producer->stop); child++) {
        submit_until_received(producer, zctx, child);
        atomic_fetch_add(&producer->receipts, 1);
        zmq_poll(NULL, 0, BETWEEN_MS);
    }
    zmq_ctx_term(zctx);
    return NULL;
}

/* ---- the fleet ---- */

static producer_t producer;
static pthread_t thread;

static int fleet_up(void **state)
{
    static const char *const flags[] = { "--runner-slots", "4", NULL };
    *state = rig_up(&(rig_options_t){ .brokers = BROKERS, .runners = RUNNERS, .runner = flags });
    return 0;
}

static int fleet_down(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

static unsigned runners_of(rig_t *rig)
{
    cJSON *reply = rig_ask(rig, "{\"op\":\"hello\"}");
    unsigned n = (unsigned)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "runners"));
    cJSON_Delete(reply);
    return n;
}

/* As an operator does it: the next one goes when this one is back. */
static void await_fleet(rig_t *rig)
{
    uint64_t deadline = process_now_ms() + RIG_PATIENCE_MS;
    for (unsigned i = 0; i < BROKERS; i++) {
        rig_turn_to(rig, i);
        while (runners_of(rig) != RUNNERS) {
            if (process_now_ms() > deadline)
                fail_msg("broker %u has %u runners", i, runners_of(rig));
            zmq_poll(NULL, 0, 20);
        }
    }
}

/* The load must reach into what comes now. */
static void await_receipts(int least)
{
    uint64_t deadline = process_now_ms() + 3 * RIG_PATIENCE_MS;
    while (atomic_load(&producer.receipts) < least) {
        if (process_now_ms() > deadline)
            fail_msg("%d receipts", atomic_load(&producer.receipts));
        zmq_poll(NULL, 0, 10);
    }
}

static void restart_brokers(rig_t *rig)
{
    for (unsigned i = 0; i < BROKERS; i++) {
        await_receipts(20 + 50 * (int)i);
        rig_turn_to(rig, i);
        rig_broker_end(rig, SIGTERM);
        rig_broker_up(rig);
        await_fleet(rig);
    }
}

static void restart_runners(rig_t *rig)
{
    for (unsigned i = 0; i < RUNNERS; i++) {
        await_receipts(120 + 50 * (int)i);
        rig_runner_end(rig, i, SIGTERM);
        rig_runner_again(rig, i);
        await_fleet(rig);
    }
}

static void expect_completed_once(rig_t *rig, int child)
{
    char name[16], status[32];
    snprintf(name, sizeof name, "c%d", child);
    rig_wait(rig, name, status);
    assert_string_equal(status, "completed");
    cJSON *reply = rig_ask(rig, "{\"op\":\"get\",\"child\":\"%s\"}", name);
    const cJSON *activation = cJSON_GetObjectItemCaseSensitive(reply, "activation");
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(activation, "attempt")), 1);
    assert_int_equal((int)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(activation, "activation")),
                     1);
    cJSON_Delete(reply);
}

static void a_rolling_restart_under_load_loses_nothing_and_fails_nobody(void **state)
{
    rig_t *rig = *state;
    await_fleet(rig);
    for (unsigned i = 0; i < BROKERS; i++) {
        rig_turn_to(rig, i);
        snprintf(producer.control[i], sizeof producer.control[i], "%s", rig_endpoint(rig, "control"));
    }
    assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
    restart_brokers(rig);
    restart_runners(rig);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(producer.refused, "");
    for (int child = 0; child < CHILDREN; child++)
        expect_completed_once(rig, child);
    print_message("%d children, %d submits were repeated\n", CHILDREN, producer.repeated);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_rolling_restart_under_load_loses_nothing_and_fails_nobody, fleet_up,
                                    fleet_down),
};
RZ_FACTS(tests)
