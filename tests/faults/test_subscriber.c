/* test_subscriber.c - a subscriber that does not read costs its broker what the setting says and no more, and nobody else
 * anything; it sees what it missed. */
#include "facts.h"
#include "keyring.h"
#include "process.h"
#include "rig.h"

#include <stdlib.h>
#include <zmq.h>

#define TOKENS    20000
#define SIZE      16384
#define KEPT      3000
#define SLACK_MIB 48 /* sockets, allocator, what everybody's events pass through */
#define MIB       1024

static char members[512];

static int rig_with_a_loud_agent(void **state)
{
    static const char *const flags[] = { "--broker-subscriber-events", "3000", NULL };
    snprintf(
        members, sizeof members,
        "\"externalAgents\":{\"loud\":{\"agent_id\":\"loud\",\"protocol\":\"actor\",\"permission_profile\":\"x\","
        "\"executor\":\"command\",\"command\":\"python3\",\"args\":[\"%s/tests/faults/loud.py\"]}}",
        RZ_SOURCE_DIR);
    *state = rig_up(&(rig_options_t){ .runners = 1, .config = members, .broker = flags });
    return 0;
}

static int rig_away(void **state)
{
    rig_t *rig = *state;
    rig_down(&rig);
    return 0;
}

/* It takes next to nothing, and nobody reads from it. */
static void *deaf_subscriber(rig_t *rig, void *zctx)
{
    void *sub = zmq_socket(zctx, ZMQ_SUB);
    zmq_setsockopt(sub, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(sub, ZMQ_RCVHWM, &(int){ 1 }, sizeof(int));
    zmq_setsockopt(sub, ZMQ_RCVBUF, &(int){ 4096 }, sizeof(int));
    keyring_apply(sub, "admin");
    assert_int_equal(zmq_connect(sub, rig_endpoint(rig, "events")), 0);
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "", 0);
    return sub;
}

static unsigned long seq_of(const cJSON *header)
{
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(header, "seq");
    return seq != NULL ? (unsigned long)seq->valuedouble : 0;
}

/* Everything, to the end, without a hole. */
static void hears_all(rig_sub_t *sub, pid_t broker, long *most_kib)
{
    unsigned long last = 0;
    for (bool ended = false; !ended;) {
        rig_event_t event;
        if (!rig_event_next(sub, &event, RIG_PATIENCE_MS))
            fail_msg("silence after %lu", last);
        assert_int_equal(seq_of(event.header), last + 1);
        last++;
        ended = strcmp(rig_text(event.event, "type"), "sub_agent_completed") == 0;
        rig_event_fini(&event);
        if (last % 500 == 0 && process_resident_kib(broker) > *most_kib)
            *most_kib = process_resident_kib(broker);
    }
    assert_true(last > TOKENS);
}

/* What it still gets, to the hole. */
static bool finds_a_hole(void *sub)
{
    unsigned long last = 0;
    for (;;) {
        zmq_pollitem_t item = { sub, 0, ZMQ_POLLIN, 0 };
        zmq_msg_t part[3];
        if (zmq_poll(&item, 1, 2000) <= 0)
            return last < TOKENS; /* all that came later was dropped */
        for (int i = 0; i < 3; i++) {
            zmq_msg_init(&part[i]);
            assert_true(zmq_msg_recv(&part[i], sub, 0) >= 0);
        }
        cJSON *header = cJSON_ParseWithLength(zmq_msg_data(&part[1]), zmq_msg_size(&part[1]));
        unsigned long seq = seq_of(header);
        cJSON_Delete(header);
        for (int i = 0; i < 3; i++)
            zmq_msg_close(&part[i]);
        if (seq != 0 && last != 0 && seq != last + 1)
            return true;
        last = seq != 0 ? seq : last;
    }
}

static void one_that_does_not_read_costs_what_the_setting_says_and_hurts_nobody(void **state)
{
    rig_t *rig = *state;
    char text[64];
    void *zctx = zmq_ctx_new();
    void *deaf = deaf_subscriber(rig, zctx);
    rig_sub_t *sub = rig_subscribe(rig, "p/c/");
    long before = process_resident_kib(rig_broker_pid(rig)), most = before;
    snprintf(text, sizeof text, "%d %d", TOKENS, SIZE);
    rig_submit(rig, "p", "c", "loud", text);
    hears_all(sub, rig_broker_pid(rig), &most);
    long grown = (most - before) / MIB, allowed = KEPT * (SIZE / 1024 + 1) / MIB + SLACK_MIB;
    print_message("grew by %ld MiB, allowed %ld, the whole stream is %d\n", grown, allowed,
                  TOKENS / MIB * (SIZE / 1024));
    assert_true(grown <= allowed);
    assert_true(finds_a_hole(deaf));
    rig_sub_close(&sub);
    zmq_close(deaf);
    zmq_ctx_term(zctx);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(one_that_does_not_read_costs_what_the_setting_says_and_hurts_nobody, rig_with_a_loud_agent, rig_away),
};
/* clang-format on */
RZ_FACTS(tests)
