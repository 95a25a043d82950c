/* test_credit.c - a runner's credit is never spent twice and never lost: what pings repeat, what pongs put right, and how a
 * home is left that is well. */
#include "facts.h"
#include "keyring.h"
#include "stand_in.h"

#include <signal.h>
#include <stdlib.h>
#include <zmq.h>

#define SLOTS 8

static stand_in_t s;

static void until(bool (*met)(void))
{
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (!met()) {
        assert_true(process_now_ms() < deadline_ms);
        stand_in_pump(&s, 20);
    }
}

/* ---- one broker ---- */

static bool is_one_more(void)
{
    return s.ping_granted == SLOTS + 1;
}

static void an_assign_that_was_lost_on_the_way_costs_no_credit(void **state)
{
    (void)state;
    stand_in_up(&s, "", NULL);
    assert_int_equal(s.granted, SLOTS);
    s.sent++; /* as if the broker had sent one */
    until(is_one_more);
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static bool says_what_remains(void)
{
    return s.ping_granted == SLOTS && s.pings > 0;
}

static void a_ping_repeats_the_credit_as_it_is(void **state)
{
    (void)state;
    stand_in_up(&s, "", NULL);
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:60000 x", NULL);
    stand_in_wait_event(&s, "ch-1", "sub_agent_started");
    s.pings = 0;
    until(says_what_remains); /* one came, one slot is taken: no more than before */
    assert_true(s.ping_home);
    stand_in_cancel(&s, "ch-1", true);
    stand_in_wait(&s, "ch-1");
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- whether it hears ---- */

#define MARK "~of-this-life"

static bool has_all_credit(void)
{
    return s.granted == SLOTS;
}

static bool was_unheard(void)
{
    char command[600];
    snprintf(command, sizeof command, "grep -q link.unheard %s", s.runner.log);
    return system(command) == 0; /* NOLINT(cert-env33-c) */
}

/* Links up anew with a broker that has a mark; gives the last moment at which it was not welcomed yet. */
static uint64_t linked_with_mark(void)
{
    uint64_t before_ms = 0;
    stand_in_up(&s, "", NULL);
    stand_in_mark = MARK;
    s.granted = 0;
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    while (s.hellos < 2) {
        before_ms = process_now_ms();
        stand_in_pump(&s, 20);
    }
    stand_in_mark = NULL;
    return before_ms;
}

static void a_broker_is_given_credit_once_it_hears(void **state)
{
    (void)state;
    linked_with_mark();
    assert_int_equal(zmq_setsockopt(s.sub, ZMQ_SUBSCRIBE, MARK, sizeof MARK - 1), 0);
    until(has_all_credit);
    assert_false(was_unheard());
    assert_int_equal(stand_in_down(&s), 0);
}

static void one_that_never_hears_is_given_credit_two_seconds_later(void **state)
{
    (void)state;
    uint64_t before_ms = linked_with_mark();
    until(has_all_credit);
    assert_true(process_now_ms() - before_ms >= 2000);
    assert_true(was_unheard());
    stand_in_assign(&s, "ch-1", "echo", 1, "x", NULL);
    assert_string_equal(stand_in_wait(&s, "ch-1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

/* ---- another one, that the stand-in tells of ---- */

static struct {
    void *router;
    char endpoint[128], routing[64];
    size_t routing_len;
    unsigned pings, syncs;
    bool home;
    uint64_t granted; /* by ping or credit, whatever came last */
} other;

static void tell_other(const rz_link_t *link)
{
    rz_buf_t header = { 0 };
    rz_link_encode(link, &header);
    zmq_send(other.router, other.routing, other.routing_len, ZMQ_SNDMORE);
    zmq_send(other.router, header.data, header.len, 0);
    rz_buf_fini(&header);
}

static void on_other(const rz_link_t *link)
{
    rz_link_t welcome = { .kind = RZ_LINK_WELCOME,
                          .version = link->version,
                          .broker = "other",
                          .publish = s.publish,
                          .sync_ms = 100,
                          .ping_ms = 500 };
    rz_link_t pong = { .kind = RZ_LINK_PONG };
    rz_link_t synced = { .kind = RZ_LINK_SYNCED, .code = RZ_OK, .counter = link->counter };
    switch (link->kind) {
    case RZ_LINK_HELLO:
        tell_other(&welcome);
        return;
    case RZ_LINK_PING:
        other.pings++;
        other.home = link->home;
        other.granted = link->granted;
        tell_other(&pong);
        return;
    case RZ_LINK_CREDIT:
        other.granted = link->granted;
        return;
    case RZ_LINK_SYNC:
        other.syncs++;
        tell_other(&synced);
        return;
    default:
        return;
    }
}

static void pump_both(void)
{
    zmq_msg_t id, header;
    stand_in_pump(&s, 10);
    zmq_msg_init(&id);
    zmq_msg_init(&header);
    while (zmq_msg_recv(&id, other.router, ZMQ_DONTWAIT) >= 0 &&
           zmq_msg_recv(&header, other.router, 0) >= 0) {
        rz_link_t link;
        rz_err_t err = { 0 };
        other.routing_len = zmq_msg_size(&id);
        assert_in_range(other.routing_len, 1, sizeof other.routing);
        memcpy(other.routing, zmq_msg_data(&id), other.routing_len);
        assert_int_equal(rz_link_decode(zmq_msg_data(&header), zmq_msg_size(&header), &link, &err), RZ_OK);
        on_other(&link);
        rz_link_fini(&link);
    }
    zmq_msg_close(&id);
    zmq_msg_close(&header);
}

static void until_both(bool (*met)(void))
{
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (!met()) {
        assert_true(process_now_ms() < deadline_ms);
        pump_both();
    }
}

static void open_other(void)
{
    int linger = 0;
    size_t n = sizeof other.endpoint;
    memset(&other, 0, sizeof other);
    other.router = zmq_socket(s.zctx, ZMQ_ROUTER);
    zmq_setsockopt(other.router, ZMQ_LINGER, &linger, sizeof linger);
    keyring_apply(other.router, "broker");
    assert_int_equal(zmq_bind(other.router, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(other.router, ZMQ_LAST_ENDPOINT, other.endpoint, &n);
    cJSON *brokers = cJSON_CreateObject();
    cJSON_AddStringToObject(brokers, "stand-in", s.endpoint);
    cJSON_AddStringToObject(brokers, "other", other.endpoint);
    rz_link_t synced = { .kind = RZ_LINK_SYNCED, .code = RZ_OK, .counter = 1, .brokers = brokers };
    stand_in_send(&s, &synced, NULL);
    cJSON_Delete(brokers);
}

static bool other_is_pinged(void)
{
    return other.pings >= 2;
}

static bool credit_is_taken_back(void)
{
    return s.ping_granted == 0;
}

static bool other_has_it_all(void)
{
    return other.home && other.granted == SLOTS && other.syncs > 0 && !s.ping_home;
}

static void credit_moves_when_nothing_can_come_of_it_any_more(void **state)
{
    (void)state;
    stand_in_up(&s, "", NULL);
    s.load = 800; /* all of which is too much: the next look decides to move */
    s.promised = 1;
    open_other();
    until_both(other_is_pinged);
    assert_false(other.home);
    assert_int_equal(other.granted, 0);
    until_both(credit_is_taken_back);
    uint64_t pings = s.pings, syncs = s.syncs;
    while (s.pings < pings + 3) { /* what is promised may still come, so nobody else is given anything */
        pump_both();
        assert_true(s.ping_home && s.ping_granted == 0);
        assert_false(other.home);
        assert_int_equal(other.granted, 0);
    }
    assert_true(s.syncs > syncs); /* all else goes on there */
    stand_in_assign(&s, "ch-1", "echo", 1, "__sleep_ms:60000 x", NULL);
    s.promised = 0;
    until_both(other_is_pinged);
    uint64_t deadline_ms = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (!other.home || other.granted != SLOTS - 1 || s.ping_home) { /* the one that came takes a slot */
        assert_true(process_now_ms() < deadline_ms);
        pump_both();
    }
    assert_int_equal(s.ping_granted, 1);
    zmq_close(other.router);
    stand_in_end(&s, SIGKILL);
}

static void a_home_that_is_gone_gives_its_credit_to_another_at_once(void **state)
{
    (void)state;
    stand_in_up(&s, "", NULL);
    open_other();
    until_both(other_is_pinged);
    rz_link_t refused = { .kind = RZ_LINK_REFUSED, .code = RZ_NOT_FOUND, .message = "who are you" };
    stand_in_send(&s, &refused, NULL);
    until_both(other_has_it_all);
    zmq_close(other.router);
    stand_in_end(&s, SIGKILL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_assign_that_was_lost_on_the_way_costs_no_credit),
    cmocka_unit_test(a_ping_repeats_the_credit_as_it_is),
    cmocka_unit_test(a_broker_is_given_credit_once_it_hears),
    cmocka_unit_test(one_that_never_hears_is_given_credit_two_seconds_later),
    cmocka_unit_test(credit_moves_when_nothing_can_come_of_it_any_more),
    cmocka_unit_test(a_home_that_is_gone_gives_its_credit_to_another_at_once),
};

RZ_FACTS(tests)
