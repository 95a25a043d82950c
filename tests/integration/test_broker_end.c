/* test_broker_end.c - a broker that is told to end: what it still does, whom it sends away, and where its runners go. */
#include "bare.h"
#include "stand_in.h"

#include "../facts.h"

#include <signal.h>
#include <stdlib.h>

static const char *const patient[] = { "--redis-timeout-ms", "60000", NULL };

static int up(void **state)
{
    (void)state;
    return stage_open(NULL, patient);
}

static runner_t runner_speaking(const char *name, const char *versions)
{
    runner_t runner = { .sock = connected(ZMQ_DEALER, stage.runners_at) };
    snprintf(runner.incarnation, sizeof runner.incarnation, "i-%s", name);
    tell_f(
        &runner,
        "{\"kind\":\"hello\",%s,\"runner\":\"%s\",\"incarnation\":\"%s\",\"host\":\"h\",\"pid\":1,\"slots\":4,"
        "\"version\":\"x\",\"labels\":[],\"profiles\":[\"echo\"]}",
        versions, name, runner.incarnation);
    cJSON_Delete(hear_only(&runner, "welcome"));
    return runner;
}

static void runners_are_sent_away_in_words_they_know(void **state)
{
    (void)state;
    runner_t newer = runner_speaking("newer", "\"v\":1,\"v_max\":2"),
             older = runner_speaking("older", "\"v\":1");
    kill(stage.broker.pid, SIGTERM);
    cJSON_Delete(hear_only(&newer, "closing"));
    cJSON *refused = hear_only(&older, "refused");
    expect(refused, "code", "UNAVAILABLE");
    cJSON_Delete(refused);
    runner_gone(&newer);
    runner_gone(&older);
}

__attribute__((format(printf, 2, 3))) static void client_says(void *dealer, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    assert_true(zmq_send(dealer, text, strlen(text), 0) >= 0);
}

static void what_was_claimed_is_given_before_its_runner_is_sent_away(void **state)
{
    (void)state;
    runner_t runner = runner_speaking("r", "\"v\":1,\"v_max\":2");
    frames_t frames;
    credit(&runner, 1);
    await("{\"op\":\"status\"}", "store.state", "up");
    kill(stage.redis.process.pid, SIGSTOP);
    void *client = connected(ZMQ_DEALER, stage.control_at);
    client_says(client, "{\"op\":\"submit\",\"job\":%s}", job("c1", ""));
    client_says(client, "{\"op\":\"hello\"}");
    assert_true(frames_recv(client, &frames, PATIENCE_MS)); /* of hello: what stood before it is in hand */
    frames_fini(&frames);
    kill(stage.broker.pid, SIGTERM);
    kill(stage.redis.process.pid, SIGCONT);
    bool assigned = false;
    for (cJSON *header = NULL; frames_recv(runner.sock, &frames, PATIENCE_MS); frames_fini(&frames)) {
        const char *kind = kind_of(&frames, &header);
        bool closing = strcmp(kind, "closing") == 0;
        assigned = assigned || strcmp(kind, "assign") == 0;
        cJSON_Delete(header);
        if (closing)
            break;
    }
    frames_fini(&frames);
    assert_true(assigned);
    disconnected(client);
    runner_gone(&runner);
}

/* One call is in hand, for the store hangs; another client comes too late. */
static void a_call_in_hand_is_answered_and_a_new_one_sent_elsewhere(void **state)
{
    (void)state;
    static const char hello_again[] = "{\"op\":\"hello\",\"id\":2}";
    answers(submit("c1", ""), "OK");
    kill(stage.redis.process.pid, SIGSTOP);
    say("{\"op\":\"get\",\"child\":\"c1\"}");
    void *late = connected(ZMQ_REQ, stage.control_at);
    zmq_send(late, hello_again, strlen(hello_again), 0); /* both are there before it is told */
    frames_t frames;
    assert_true(frames_recv(late, &frames, PATIENCE_MS));
    frames_fini(&frames);
    kill(stage.broker.pid, SIGTERM);
    for (bool refused = false; !refused; frames_fini(&frames)) {
        zmq_send(late, hello_again, strlen(hello_again), 0);
        assert_true(frames_recv(late, &frames, PATIENCE_MS));
        refused = strstr(frames.part[0], "\"code\":\"UNAVAILABLE\"") != NULL;
        assert_true(!refused || strstr(frames.part[0], "ask another one") != NULL);
    }
    kill(stage.redis.process.pid, SIGCONT);
    cJSON *reply = take_reply();
    expect(reply, "activation.state", "queued");
    answers(reply, "OK");
    disconnected(late);
}

static void our_runner_leaves_a_broker_that_closes_and_its_runs_go_on(void **state)
{
    (void)state;
    static stand_in_t s; /* large */
    stand_in_up(&s, "", NULL);
    stand_in_assign(&s, "c1", "echo", 1, "__sleep_ms:1500 x", NULL);
    stand_in_wait_event(&s, "c1", "sub_agent_started");
    int hellos = s.hellos;
    const rz_link_t closing = { .kind = RZ_LINK_CLOSING, .broker = "stand-in" };
    stand_in_send(&s, &closing, NULL);
    uint64_t deadline = process_now_ms() + STAND_IN_PATIENCE_MS;
    while (s.hellos == hellos && process_now_ms() < deadline)
        stand_in_pump(&s, 100);
    assert_int_equal(s.hellos, hellos + 1); /* the next process behind that door is met like a new one */
    assert_string_equal(stand_in_wait(&s, "c1")->status, "completed");
    assert_int_equal(stand_in_down(&s), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(runners_are_sent_away_in_words_they_know, up, stage_down),
    cmocka_unit_test_setup_teardown(what_was_claimed_is_given_before_its_runner_is_sent_away, up, stage_down),
    cmocka_unit_test_setup_teardown(a_call_in_hand_is_answered_and_a_new_one_sent_elsewhere, up, stage_down),
    cmocka_unit_test(our_runner_leaves_a_broker_that_closes_and_its_runs_go_on),
};
RZ_FACTS(tests)
