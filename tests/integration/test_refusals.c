/* test_refusals.c - jobs pushed to `jobs` that are not taken: who and why is published, and for upstream's two
 * refusals the parent also hears of the child's end (rule 8.2). */
#include "facts.h"

#include "bare.h"

#define IDS(child) "\"parent_session_id\":\"root\",\"child_session_id\":\"" child "\""

static void subscribe(void *sub, const char *prefix)
{
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, prefix, strlen(prefix));
}

/* Subscriptions take effect in their order: who hears the last one hears all. */
static void *hearing_all(void)
{
    void *sub = subscribed("root/");
    frames_t frames;
    subscribe(sub, "$sys/rejected");
    subscribe(sub, "$sys/sync/n2/");
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (bool seen = false; !seen;) {
        if (process_now_ms() > deadline)
            show_and_fail("no sync event");
        answers(ask("{\"op\":\"sync\",\"nonce\":\"n2\"}"), "OK");
        if (frames_recv(sub, &frames, 100)) {
            seen = strncmp(frames.part[0], "$sys/sync/n2/", 13) == 0;
            frames_fini(&frames);
        }
    }
    return sub;
}

/* The next message is of this topic; texts (NULL-terminated) are in its event. */
static void told(void *sub, const char *topic, const char *const *texts)
{
    frames_t frames;
    take_event(sub, topic, &frames);
    for (; *texts != NULL; texts++)
        if (strstr(frames.part[2], *texts) == NULL)
            fail_msg("no %s in %s", *texts, frames.part[2]);
    frames_fini(&frames);
}

#define SAYING(...)                                                                                          \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

/* A sub_agent_completed of a child of which nothing is stored. */
static void told_of_the_end(void *sub, const char *child, const char *error, const char *job)
{
    char topic[64];
    frames_t frames;
    snprintf(topic, sizeof topic, "root/%s/sub_agent_completed", child);
    take_event(sub, topic, &frames);
    cJSON *header = cJSON_Parse(frames.part[1]), *event = cJSON_Parse(frames.part[2]);
    expect(header, "parent", "root");
    expect(header, "child", child);
    expect(header, "job", job);
    expect(header, "class", "durable");
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(header, "epoch")) == 0);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(header, "seq")) == 1);
    expect(event, "type", "sub_agent_completed");
    expect(event, "parent_session_id", "root");
    expect(event, "child_session_id", child);
    expect(event, "status", "error");
    expect(event, "error", error);
    cJSON_Delete(header);
    cJSON_Delete(event);
    frames_fini(&frames);
}

/* What is refused now is told behind whatever was told before. */
static void nothing_more_was_told(void *sub)
{
    push_job("no job");
    told(sub, "$sys/rejected", SAYING("\"code\":\"BAD_JSON\""));
}

static void a_pushed_job_of_an_unknown_child_ends_it_in_upstreams_words(void **state)
{
    (void)state;
    void *sub = hearing_all();
    push_job("{" IDS("c9") ",\"job_id\":\"j-9\"}");
    told(sub, "$sys/rejected",
         SAYING("\"code\":\"NOT_FOUND\"", "\"message\":\"child session not found\"",
                "\"child_session_id\":\"c9\""));
    told_of_the_end(sub, "c9", "child session not found", "j-9");
    nothing_more_was_told(sub);
    answers(ask("{\"op\":\"get\",\"child\":\"c9\"}"), "NOT_FOUND");
    disconnected(sub);
}

static void a_pushed_job_of_a_session_that_is_no_child_ends_it_in_upstreams_words(void **state)
{
    (void)state;
    void *sub = hearing_all();
    push_job("{" IDS("c1") ",\"session\":{\"id\":\"c1\",\"kind\":\"root\",\"messages\":[]}}");
    told(sub, "$sys/rejected",
         SAYING("\"code\":\"BAD_FIELD\"", "\"field\":\"session.kind\"",
                "spawn job child session is not kind=child"));
    told_of_the_end(sub, "c1", "spawn job child session is not kind=child", "");
    disconnected(sub);
}

/* A refusal may quote what it refuses: only the refusal itself counts. */
static void a_job_that_quotes_upstreams_words_ends_no_child(void **state)
{
    (void)state;
    void *sub = hearing_all();
    push_job("{" IDS("c1") ",\"session\":{\"id\":\"c1\",\"kind\":\"child\",\"messages\":[],\"metadata\":"
                           "{\"external.agent_id\":\"spawn job child session is not kind=child\"}}}");
    told(sub, "$sys/rejected", SAYING("\"code\":\"BAD_FIELD\"", "kind=child"));
    nothing_more_was_told(sub);
    disconnected(sub);
}

static void a_receipt_says_the_same_and_nothing_is_published(void **state)
{
    (void)state;
    void *sub = hearing_all();
    cJSON *unknown = ask("{\"op\":\"submit\",\"job\":{" IDS("c9") "}}");
    expect(unknown, "message", "child session not found");
    answers(unknown, "NOT_FOUND");
    cJSON *root =
        ask("{\"op\":\"submit\",\"job\":{" IDS("c1") ",\"session\":{\"id\":\"c1\",\"messages\":[]}}}");
    expect(root, "field", "session.kind");
    expect(root, "message", "session.kind: spawn job child session is not kind=child");
    answers(root, "BAD_FIELD");
    nothing_more_was_told(sub);
    disconnected(sub);
}

static void a_second_job_of_a_running_child_is_rejected_with_who_and_why(void **state)
{
    (void)state;
    void *sub = hearing_all();
    answers(submit("c1", ""), "OK");
    push_job(job("c1", ""));
    told(sub, "$sys/rejected",
         SAYING("\"type\":\"job_rejected\"", "\"code\":\"ALREADY_RUNNING\"",
                "\"message\":\"the child has a live activation\"", "\"parent_session_id\":\"root\"",
                "\"child_session_id\":\"c1\""));
    nothing_more_was_told(sub); /* the child is not said to have ended */
    assert_non_null(strstr(redis_do(&stage.redis, "XRANGE rz:{0}:rejected - +"), "ALREADY_RUNNING"));
    disconnected(sub);
}

static void a_job_whose_ids_are_wrong_ends_no_child(void **state)
{
    (void)state;
    void *sub = hearing_all();
    push_job(
        "{\"parent_session_id\":\"a/b\",\"child_session_id\":\"c1\",\"session\":{\"id\":\"c1\",\"messages\":[]}}");
    told(sub, "$sys/rejected", SAYING("\"code\":\"BAD_ID\"", "\"child_session_id\":\"c1\""));
    nothing_more_was_told(sub);
    disconnected(sub);
}

/* ---- jobs that do not fit into the queue yet ---- */

static int one_place(void **state)
{
    (void)state;
    static const char *const flags[] = { "--broker-queue-max=1", NULL };
    return stage_open("", flags);
}

/* Asks until so many jobs have been refused for now. */
static void await_retries(double least)
{
    for (double retried = 0; retried < least;) {
        cJSON *status = ask("{\"op\":\"status\"}");
        const cJSON *counters = cJSON_GetObjectItemCaseSensitive(status, "counters");
        retried = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(counters, "jobs_retried"));
        cJSON_Delete(status);
    }
}

static void pushed_jobs_that_wait_for_room_keep_their_order(void **state)
{
    (void)state;
    static const char *const children[] = { "c1", "c2", "c3", "c4" };
    void *push = connected(ZMQ_PUSH, stage.jobs_at); /* one socket: what several push has no order */
    for (size_t i = 0; i < 4; i++) {
        const char *bytes = job(children[i], "");
        assert_int_equal(zmq_send(push, bytes, strlen(bytes), 0), strlen(bytes));
    }
    await_retries(2);
    runner_t runner = runner_link("r1", "", 1);
    for (size_t i = 0; i < 4; i++) {
        assigned_t assigned = take_assign(&runner);
        assert_string_equal(assigned.child, children[i]);
        credit(&runner, (unsigned)i + 2);
    }
    runner_gone(&runner);
    disconnected(push);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_pushed_job_of_an_unknown_child_ends_it_in_upstreams_words, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_pushed_job_of_a_session_that_is_no_child_ends_it_in_upstreams_words, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_job_that_quotes_upstreams_words_ends_no_child, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_receipt_says_the_same_and_nothing_is_published, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_second_job_of_a_running_child_is_rejected_with_who_and_why, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_job_whose_ids_are_wrong_ends_no_child, stage_up, stage_down),
    cmocka_unit_test_setup_teardown(pushed_jobs_that_wait_for_room_keep_their_order, one_place, stage_down),
    /* clang-format on */
};

RZ_FACTS(tests)
