/* test_scope.c - how far a key reaches once it is in: verbs by role, parents, tenants, topics, runner names; and that a
 * routing id is nobody's name. */
#include "facts.h"

#include "keyring.h"
#include "knock.h"

#include "base/id.h"

#include <stdlib.h>

/* ---- verbs ---- */

static void each_role_calls_what_is_its_business(void **state)
{
    (void)state;
    static const struct {
        const char *op, *members, *who; /* who: p c s r a, those that may */
    } row[] = {
        { "hello", "", "pcsra" },
        { "status", "", "ca" },
        { "runners", "", "ca" },
        { "session_list", "", "ca" },
        { "session_put", ",\"session\":{\"id\":\"s1\",\"kind\":\"root\"}", "ca" },
        { "list", "", "pca" },
        { "get", ",\"child\":\"none\"", "pca" },
        { "cancel", ",\"child\":\"none\"", "pca" },
        { "approve", ",\"child\":\"none\",\"request\":\"r\",\"approved\":true", "ca" },
        { "sync", ",\"nonce\":\"n\"", "csa" },
        { "replay", ",\"child\":\"none\"", "pcsa" },
    };
    for (rz_key_role_t role = RZ_KEY_PRODUCER; role < RZ_KEY_BROKER; role++) {
        as(rz_key_role_names[role]);
        for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
            cJSON *reply = ask("{\"op\":\"%s\"%s}", row[i].op, row[i].members);
            bool refused = strcmp(text_at(reply, "code"), "NOT_ALLOWED") == 0;
            if (refused == (strchr(row[i].who, rz_key_role_names[role][0]) != NULL))
                fail_msg("%s %s: %s", rz_key_role_names[role], row[i].op, text_at(reply, "code"));
            cJSON_Delete(reply);
        }
        as_ourselves();
    }
    assert_true(counted("not_allowed") > 10);
}

/* ---- producers ---- */

static void a_producer_of_some_parents_submits_and_sees_only_theirs(void **state)
{
    (void)state;
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\",\"root\"]");
    answers(submit_of("other", "o1", ""), "OK");
    as("ci");
    answers(submit_of("ci-7", "c1", ""), "OK");
    answers(submit_of("root", "c2", ""), "OK");
    is_told_no(submit_of("other", "c3", ""));
    is_told_no(submit_of("roots", "c4", ""));
    answers(ask("{\"op\":\"get\",\"child\":\"c1\"}"), "OK");
    answers(ask("{\"op\":\"get\",\"child\":\"o1\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"get\",\"child\":\"nobody\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"cancel\",\"child\":\"o1\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"send\",\"child\":\"o1\",\"text\":\"x\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"session_get\",\"child\":\"o1\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"wait\",\"child\":\"o1\",\"timeout_ms\":10}"), "NOT_FOUND");
    answers(ask("{\"op\":\"wait\",\"children\":[\"c1\",\"o1\"],\"timeout_ms\":10}"), "NOT_FOUND");
    answers(ask("{\"op\":\"wait\",\"children\":[\"c1\",\"c2\"],\"timeout_ms\":10}"), "EXPIRED");
    is_told_no(ask("{\"op\":\"wait_register\",\"parent\":\"other\",\"children\":[\"c1\"]}"));
    answers(ask("{\"op\":\"wait_register\",\"parent\":\"root\",\"children\":[\"o1\"]}"), "NOT_FOUND");
    is_told_no(ask("{\"op\":\"list\"}"));
    is_told_no(ask("{\"op\":\"list\",\"parent\":\"other\"}"));
    answers(ask("{\"op\":\"list\",\"parent\":\"ci-7\"}"), "OK");
    as_ourselves();
    answers(ask("{\"op\":\"get\",\"child\":\"o1\"}"), "OK"); /* nothing was done to it */
    await("{\"op\":\"get\",\"child\":\"o1\"}", "activation.state", "queued");
}

static void a_producer_of_a_tenant_submits_for_it_alone(void **state)
{
    (void)state;
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    as("acme");
    answers(submit_of("root", "c1", ",\"tenant\":\"acme\""), "OK");
    is_told_no(submit_of("root", "c2", ",\"tenant\":\"other\""));
    is_told_no(submit_of("root", "c3", ""));
    answers(ask("{\"op\":\"get\",\"child\":\"c1\"}"), "OK");
    as_ourselves();
}

static void a_pushed_job_beyond_its_keys_parents_is_rejected_and_kept_with_its_reason(void **state)
{
    (void)state;
    keyring_add("ci", "producer", ",\"parents\":[\"ci-*\"]");
    void *push = connected_as(ZMQ_PUSH, stage.jobs_at, "ci");
    const char *good = job_of("ci-1", "c1", "");
    assert_true(zmq_send(push, good, strlen(good), 0) > 0);
    await_count("jobs_accepted", 1);
    const char *bad = job_of("other", "c2", "");
    assert_true(zmq_send(push, bad, strlen(bad), 0) > 0);
    await_count("jobs_rejected", 1);
    answers(ask("{\"op\":\"get\",\"child\":\"c2\"}"), "NOT_FOUND");
    assert_true(logged("guard.refused socket=jobs peer=ci"));
}

/* ---- runners ---- */

static runner_t hello_with(const char *key, const char *name, const char *incarnation)
{
    runner_t runner = { .sock = connected_as(ZMQ_DEALER, stage.runners_at, key) };
    snprintf(runner.incarnation, sizeof runner.incarnation, "%s", incarnation);
    hello(&runner, name, "");
    return runner;
}

static void a_runner_says_hello_under_its_own_names_only(void **state)
{
    (void)state;
    keyring_add("host2", "runner", "");
    keyring_add("pool", "runner", ",\"runners\":[\"gpu-*\",\"pool1\"]");
    static const struct {
        const char *key, *name;
        bool may;
    } row[] = { { "host2", "host2", true },  { "host2", "host2-7", true }, { "host2", "host21", false },
                { "host2", "gpu-1", false }, { "pool", "gpu-1", true },    { "pool", "pool1", true },
                { "pool", "pool", false },   { "pool", "host2", false } };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char uuid[RZ_UUID_LEN + 1];
        rz_uuid_new(uuid);
        runner_t runner = hello_with(row[i].key, row[i].name, uuid);
        if (row[i].may)
            cJSON_Delete(hear_only(&runner, "welcome"));
        else
            answers(hear_only(&runner, "refused"), "NOT_ALLOWED");
        runner_gone(&runner);
    }
}

static runner_t hello_under(const char *name)
{
    char uuid[RZ_UUID_LEN + 1];
    rz_uuid_new(uuid);
    return hello_with(name, name, uuid);
}

static void a_name_is_its_longest_keys_alone(void **state)
{
    (void)state;
    char uuid[RZ_UUID_LEN + 1];
    keyring_add("gpu", "runner", "");
    keyring_add("gpu-1", "runner", "");
    rz_uuid_new(uuid);
    runner_t thief = hello_with("gpu", "gpu-1", uuid);
    answers(hear_only(&thief, "refused"), "NOT_ALLOWED");
    runner_gone(&thief);
    runner_t honest = hello_under("gpu-1");
    cJSON_Delete(hear_only(&honest, "welcome"));
    credit(&honest, 1);
    thief = hello_with("runner", "gpu-1", uuid); /* which may have any name that nobody has */
    cJSON *refused = hear_only(&thief, "refused");
    assert_non_null(strstr(text_at(refused, "message"), "gpu-1"));
    answers(refused, "NOT_ALLOWED");
    answers(submit_of("root", "c1", ""), "OK");
    assert_string_equal(take_assign(&honest).child, "c1");
    runner_gone(&thief);
    runner_gone(&honest);
}

/* Of a child that another runs: neither whether a message reached it, nor whether a question was answered. */
static void a_runner_answers_for_no_child_of_another(void **state)
{
    (void)state;
    keyring_add("r9", "runner", "");
    runner_t thief = hello_under("r9"), honest = runner_link("r1", "", 1);
    cJSON_Delete(hear_only(&thief, "welcome"));
    answers(submit_of("root", "c1", ""), "OK");
    assert_string_equal(take_assign(&honest).child, "c1");
    void *own_control = stage.control, *client = connected_as(ZMQ_REQ, stage.control_at, "client");
    stage.control = client;
    say("{\"v\":1,\"id\":\"1\",\"op\":\"send\",\"child\":\"c1\",\"message_id\":\"m1\",\"text\":\"x\"}");
    cJSON_Delete(hear_only(&honest, "steer"));
    const char *lie = "{\"v\":1,\"kind\":\"steered\",\"child\":\"c1\",\"id\":\"m1\",\"live\":true}";
    assert_true(zmq_send(thief.sock, lie, strlen(lie), 0) > 0);
    cJSON *reply = take_reply();
    assert_string_equal(text_at(reply, "delivery"), "queued"); /* nobody who may said that it came */
    answers(reply, "OK");
    stage.control = own_control;
    assert_string_equal(redis_do(&stage.redis, "SCARD rz:{0}:u:c1"), "1"); /* so it is told again */
    runner_gone(&thief);
    runner_gone(&honest);
}

static void who_waits_and_is_revoked_is_not_told_the_end(void **state)
{
    (void)state;
    static const char *const waits[] = { "\"child\":\"c1\"", "\"children\":[\"c1\"]" };
    void *own_control = stage.control, *waiting[2];
    char request[128];
    answers(submit_of("root", "c1", ""), "OK");
    for (size_t i = 0; i < 2; i++) {
        waiting[i] = stage.control = connected_as(ZMQ_REQ, stage.control_at, "client");
        snprintf(request, sizeof request, "{\"v\":1,\"id\":\"1\",\"op\":\"wait\",%s}", waits[i]);
        say(request);
    }
    stage.control = own_control;
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (double n = 0; n < 2;) {
        cJSON *reply = ask("{\"op\":\"status\"}");
        n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(reply, "waiters"));
        cJSON_Delete(reply);
        assert_true(process_now_ms() < deadline);
    }
    keyring_remove("client");
    while (knock(ZMQ_DEALER, stage.control_at, "client", NULL) != KNOCK_OUT) /* the new list holds */
        assert_true(process_now_ms() < deadline);
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "OK");
    for (size_t i = 0; i < 2; i++) {
        stage.control = waiting[i];
        cJSON *reply = take_reply();
        assert_null(cJSON_GetObjectItemCaseSensitive(reply, "activation"));
        assert_null(cJSON_GetObjectItemCaseSensitive(reply, "activations"));
        answers(reply, "NOT_ALLOWED");
    }
    stage.control = own_control;
}

static void nobody_takes_over_the_incarnation_of_another_key(void **state)
{
    (void)state;
    keyring_add("host2", "runner", "");
    runner_t honest = runner_link("r1", "", 1);
    runner_t thief = hello_with("host2", "host2", honest.incarnation);
    answers(hear_only(&thief, "refused"), "NOT_ALLOWED");
    answers(submit_of("root", "c1", ""), "OK");
    assert_string_equal(take_assign(&honest).child, "c1"); /* it is still who it was */
    runner_gone(&thief);
    runner_gone(&honest);
}

/* The routing id is free once its peer is gone, and the broker does not know yet that it is. */
static void a_forged_routing_id_makes_nobody_another_runner(void **state)
{
    (void)state;
    keyring_add("host2", "runner", "");
    void *sock = zmq_socket(stage.zctx, ZMQ_DEALER);
    int none = 0;
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(sock, ZMQ_ROUTING_ID, "known", 5);
    keyring_apply(sock, "runner");
    assert_int_equal(zmq_connect(sock, stage.runners_at), 0);
    runner_t honest = { .sock = sock };
    rz_uuid_new(honest.incarnation);
    hello(&honest, "r1", "");
    cJSON_Delete(hear_only(&honest, "welcome"));
    credit(&honest, 1);
    answers(submit_of("root", "c1", ""), "OK");
    assigned_t a = take_assign(&honest);
    zmq_close(sock);

    assigned_t forged = a; /* it even knows the token */
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (bool heard = false;
         !heard;) { /* while the first is there, libzmq drops a second of the same id in silence */
        assert_true(process_now_ms() < deadline);
        runner_t thief = { .sock = zmq_socket(stage.zctx, ZMQ_DEALER) };
        zmq_setsockopt(thief.sock, ZMQ_LINGER, &none, sizeof none);
        zmq_setsockopt(thief.sock, ZMQ_ROUTING_ID, "known", 5);
        keyring_apply(thief.sock, "host2");
        assert_int_equal(zmq_connect(thief.sock, stage.runners_at), 0);
        finish(&thief, &forged);
        frames_t frames;
        heard = frames_recv(thief.sock, &frames, 1000);
        if (heard) {
            cJSON *header = NULL;
            assert_string_equal(kind_of(&frames, &header), "refused");
            cJSON_Delete(header);
        }
        frames_fini(&frames);
        zmq_close(thief.sock);
    }
    cJSON *reply = ask("{\"op\":\"get\",\"child\":\"c1\"}");
    assert_string_not_equal(text_at(reply, "activation.state"), "terminal");
    cJSON_Delete(reply);
}

/* ---- events ---- */

/* Where this key hears events, as hello tells it. */
static void events_of(const char *key, char out[128])
{
    as(key);
    cJSON *reply = ask("{\"op\":\"hello\"}");
    snprintf(out, 128, "%s", text_at(reply, "endpoints.events"));
    cJSON_Delete(reply);
    as_ourselves();
}

static void publish(void *pub, const char *topic)
{
    assert_true(zmq_send(pub, topic, strlen(topic), ZMQ_SNDMORE) > 0);
    assert_true(zmq_send(pub, "{}", 2, ZMQ_SNDMORE) > 0);
    assert_true(zmq_send(pub, topic, strlen(topic), 0) > 0);
}

/* Publishes `probe` until it is heard, then `others`, then `probe` again: what is heard in between goes to seen[]. */
static void hear_between(void *pub, void *sub, const char *probe, const char *const *others, char *seen,
                         size_t size)
{
    frames_t frames;
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (bool heard = false; !heard;) {
        assert_true(process_now_ms() < deadline);
        publish(pub, probe);
        heard = frames_recv(sub, &frames, 50);
        frames_fini(&frames);
    }
    while (frames_recv(sub, &frames, 200)) /* probes that were on their way */
        frames_fini(&frames);
    for (; *others != NULL; others++)
        publish(pub, *others);
    publish(pub, probe);
    seen[0] = '\0';
    for (bool last = false; !last;) {
        assert_true(frames_recv(sub, &frames, PATIENCE_MS));
        last = strcmp(frames.part[0], probe) == 0;
        if (!last)
            snprintf(seen + strlen(seen), size - strlen(seen), "%s ", frames.part[0]);
        frames_fini(&frames);
    }
}

static void a_subscriber_of_some_topics_hears_only_those_whatever_it_asks_for(void **state)
{
    (void)state;
    static const char *const others[] = { "other/c/x", "ci-1/c/x", "$sys/sync/n/runner", "ci-/x", "c", NULL };
    char at[128], seen[256];
    keyring_add("dash", "subscriber", ",\"topics\":[\"ci-\"]");
    await_count("peers_admitted", 1);
    do
        events_of("dash", at);
    while (strcmp(at, stage.events_at) == 0);
    void *sub = connected_as(ZMQ_SUB, at, "dash"), *pub = connected_as(ZMQ_PUB, stage.publish_at, "runner");
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "other/", 6);
    hear_between(pub, sub, "ci-0/c/x", others, seen, sizeof seen);
    assert_string_equal(seen, "ci-1/c/x $sys/sync/n/runner ci-/x ");
    await_count("topics_denied", 1);
    assert_true(logged("events.denied key=dash"));
    assert_int_equal(knock(ZMQ_SUB, stage.events_at, "dash", NULL),
                     KNOCK_OUT); /* nor at the socket for all */
    keyring_add("dash2", "subscriber", ",\"topics\":[\"other/\"]");
    do
        events_of("dash2", seen);
    while (strcmp(seen, stage.events_at) == 0);
    assert_int_equal(knock(ZMQ_SUB, at, "dash2", NULL), KNOCK_OUT); /* nor at another's */
    void *sub2 = connected_as(ZMQ_SUB, seen, "dash2");
    zmq_setsockopt(sub2, ZMQ_SUBSCRIBE, "ci-", 3);
    await_count("topics_denied", 2);
    assert_true(logged("events.denied key=dash2")); /* each key for itself */
}

/* One that says what it likes, which no SUB would. */
static void *talker_at(const char *at, const char *key)
{
    int none = 0;
    void *sock = zmq_socket(stage.zctx, ZMQ_XSUB);
    zmq_setsockopt(sock, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(sock, ZMQ_SNDHWM, &none, sizeof none);
    keyring_apply(sock, key);
    assert_int_equal(zmq_connect(sock, at), 0);
    return sock;
}

/* What libzmq has in its tree it does not show again to whoever asks for it next. */
static void a_subscription_hidden_in_a_longer_message_silences_nobody(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    char seen[256];
    void *evil = talker_at(stage.events_at, "subscriber"),
         *pub = connected_as(ZMQ_PUB, stage.publish_at, "runner");
    assert_int_equal(zmq_send(evil, "x", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(evil, "\1victim", 7, 0), 7);
    assert_int_equal(zmq_send(evil, "\1probe", 6, 0), 6);
    hear_between(pub, evil, "probe", none, seen, sizeof seen); /* so it was read */
    void *sub = connected_as(ZMQ_SUB, stage.events_at, "client");
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "victim", 6);
    hear_between(pub, sub, "victim/c/x", none, seen, sizeof seen);
    zmq_close(evil);
    hear_between(pub, sub, "victim/c/y", none, seen, sizeof seen);
}

#define TOPICS_KEPT 65536 /* as proto/README.md has it */

static void a_subscriber_of_more_topics_than_are_kept_silences_nobody(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    char topic[32], seen[256];
    void *evil = talker_at(stage.events_at, "subscriber"),
         *pub = connected_as(ZMQ_PUB, stage.publish_at, "runner");
    for (int i = 0; i < TOPICS_KEPT + 8; i++) {
        int n = snprintf(topic, sizeof topic, "\1evil-%d/", i);
        assert_int_equal(zmq_send(evil, topic, (size_t)n, 0), n);
    }
    await_count("topics_unkept", 1);
    assert_true(logged("events.too_many_topics"));
    void *sub = connected_as(ZMQ_SUB, stage.events_at, "client");
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "victim", 6);
    hear_between(pub, sub, "victim/c/x", none, seen, sizeof seen);
    zmq_close(evil);
    hear_between(pub, sub, "victim/c/y", none, seen, sizeof seen);
}

/* libzmq tells of a peer that left without saying who it was (the User-Id trap): what it was denied must not be taken from
 * others. */
static void a_subscriber_that_was_denied_a_topic_takes_nothing_away_when_it_leaves(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    char at[128], seen[256];
    keyring_add("dash", "subscriber", ",\"topics\":[\"ci-\"]");
    do
        events_of("dash", at);
    while (strcmp(at, stage.events_at) == 0);
    void *pub = connected_as(ZMQ_PUB, stage.publish_at, "runner");
    void *all = connected_as(ZMQ_SUB, stage.events_at, "subscriber"),
         *dash = connected_as(ZMQ_SUB, at, "dash");
    zmq_setsockopt(all, ZMQ_SUBSCRIBE, "other/", 6);
    hear_between(pub, all, "other/c/x", none, seen, sizeof seen);
    zmq_setsockopt(dash, ZMQ_SUBSCRIBE, "other/", 6);
    await_count("topics_denied", 1);
    disconnected(dash);
    dash = connected_as(ZMQ_SUB, at, "dash");
    zmq_setsockopt(dash, ZMQ_SUBSCRIBE, "", 0); /* its end was seen, for this is heard */
    hear_between(pub, dash, "ci-1/c/x", none, seen, sizeof seen);
    hear_between(pub, all, "other/c/y", none, seen, sizeof seen);
}

static void a_revoked_subscriber_hears_nothing_more_and_the_others_go_on(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    char seen[256];
    frames_t frames;
    keyring_add("spy", "subscriber", "");
    void *pub = connected_as(ZMQ_PUB, stage.publish_at, "runner");
    while (knock(ZMQ_SUB, stage.events_at, "spy", NULL) != KNOCK_IN)
        ;
    void *spy = connected_as(ZMQ_SUB, stage.events_at, "spy");
    void *other = connected_as(ZMQ_SUB, stage.events_at, "subscriber");
    zmq_setsockopt(spy, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt(other, ZMQ_SUBSCRIBE, "", 0);
    hear_between(pub, spy, "a/b/x", none, seen, sizeof seen);
    hear_between(pub, other, "a/b/x", none, seen, sizeof seen);
    keyring_remove("spy");
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!logged("events.renewed"))
        assert_true(process_now_ms() < deadline);
    while (frames_recv(spy, &frames, 300))
        frames_fini(&frames);
    hear_between(pub, other, "a/b/z", none, seen, sizeof seen); /* it is back by itself */
    assert_false(frames_recv(spy, &frames, 300));
}

static void a_runner_publishes_nothing_in_the_brokers_name(void **state)
{
    (void)state;
    static const char *const others[] = { "$sys/rejected", "$sys/sync/n/r2", "$sys/", "a/b/c", NULL };
    char seen[256];
    keyring_add("r1", "runner", "");
    while (knock(ZMQ_PUB, stage.publish_at, "r1", NULL) != KNOCK_IN)
        ;
    void *pub = connected_as(ZMQ_PUB, stage.publish_at, "r1"),
         *sub = connected_as(ZMQ_SUB, stage.events_at, "client");
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "", 0);
    hear_between(pub, sub, "$sys/sync/n/r1", others, seen, sizeof seen);
    assert_string_equal(seen, "a/b/c ");
    await_count("events_refused", 3);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(each_role_calls_what_is_its_business, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_producer_of_some_parents_submits_and_sees_only_theirs, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_producer_of_a_tenant_submits_for_it_alone, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_beyond_its_keys_parents_is_rejected_and_kept_with_its_reason, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_says_hello_under_its_own_names_only, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_name_is_its_longest_keys_alone, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_answers_for_no_child_of_another, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(who_waits_and_is_revoked_is_not_told_the_end, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(nobody_takes_over_the_incarnation_of_another_key, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_forged_routing_id_makes_nobody_another_runner, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_subscriber_of_some_topics_hears_only_those_whatever_it_asks_for, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_subscriber_that_was_denied_a_topic_takes_nothing_away_when_it_leaves, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_subscription_hidden_in_a_longer_message_silences_nobody, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_subscriber_of_more_topics_than_are_kept_silences_nobody, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_revoked_subscriber_hears_nothing_more_and_the_others_go_on, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_runner_publishes_nothing_in_the_brokers_name, secure_stage_up, stage_down),
    /* clang-format on */
};
RZ_FACTS(tests)
