/* test_control_runs.c - what is asked of runs: once more, which ones, why; what their runners say of them; and what
 * sessions and status tell. */
#include "facts.h"

#include "lives.h"

#include <signal.h>

static runner_t runner;

static int up(void **state)
{
    if (stage_up(state) != 0)
        return -1;
    runner = runner_link("r1", "", 16);
    return 0;
}

/* ---- retry ---- */

/* At once: nobody has to come upon it by looking at all classes, as a broker does each second. */
static void whatever_ended_is_run_once_more_as_its_latest_job_was(void **state)
{
    (void)state;
    static const char *const ends[] = { "completed", "error", "cancelled", "timeout", "skipped" };
    uint64_t begun_ms = process_now_ms();
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        child_submitted("root", ends[i], ",\"model\":\"opus\",\"job_id\":\"j1\"");
        assigned_t a = take_assign(&runner);
        start(&runner, &a);
        expect_ack(&runner, "start", "OK");
        child_ends(&runner, &a, ends[i], "why");
        cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"%s\"}", ends[i]);
        expect(reply, "activation.state", "queued");
        expect(reply, "activation.job", "");
        expect(reply, "activation.error", "");
        expect(reply, "durability", "relaxed");
        assert_null(cJSON_GetObjectItem(reply, "waiting"));
        assert_int_equal(number_at(reply, "activation.activation"), 2);
        answers(reply, "OK");
        cJSON *header = hear_only(&runner, "assign");
        expect(header, "child", ends[i]);
        expect(header, "model", "opus");
        expect(header, "profile", "echo");
        assert_int_equal(number_at(header, "attempt"), 1);
        assert_int_equal(number_at(header, "epoch"), 2);
        cJSON_Delete(header);
    }
    assert_true(process_now_ms() - begun_ms < 3000);
}

static void a_retry_of_what_lives_tells_its_state(void **state)
{
    (void)state;
    (void)child_begins(&runner, "a");
    cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"a\"}");
    expect(reply, "activation.state", "running");
    answers(reply, "ALREADY_RUNNING");
}

static void a_retry_of_what_never_ran_is_not_found(void **state)
{
    (void)state;
    answers(ask("{\"op\":\"retry\",\"child\":\"a\"}"), "NOT_FOUND");
    answers(ask("{\"op\":\"session_put\",\"session\":{\"id\":\"a\",\"kind\":\"child\",\"messages\":[]}}"),
            "OK");
    cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"a\"}");
    expect(reply, "message", "child a is not known, or was never run");
    answers(reply, "NOT_FOUND");
}

static void a_retry_that_nobody_can_take_says_why(void **state)
{
    (void)state;
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"a\"}");
    expect(reply, "waiting", "no runner offers label gpu");
    answers(reply, "OK");
}

static int narrow_up(void **state)
{
    static const char *const flags[] = { "--broker-queue-max", "1", NULL };
    (void)state;
    return stage_open(NULL, flags);
}

static void a_retry_needs_room_in_the_queue_as_a_job_does(void **state)
{
    (void)state;
    child_submitted("root", "a", "");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\"}"), "OK");
    child_submitted("root", "b", "");
    cJSON *reply = ask("{\"op\":\"retry\",\"child\":\"a\"}");
    assert_true(number_at(reply, "retry_after_ms") > 0);
    answers(reply, "FULL");
    answers(ask("{\"op\":\"cancel\",\"child\":\"b\"}"), "OK");
    answers(ask("{\"op\":\"retry\",\"child\":\"a\"}"), "OK");
}

/* ---- explain ---- */

/* "queued; assigned r1; running r1" */
static void transitions_of(const cJSON *reply, char *out, size_t size)
{
    const cJSON *step;
    out[0] = '\0';
    cJSON_ArrayForEach(step, cJSON_GetObjectItem(reply, "transitions"))
    {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s%s%s", used > 0 ? "; " : "", text_at(step, "what"),
                 *text_at(step, "runner") != '\0' ? " " : "", text_at(step, "runner"));
        assert_int_equal(strlen(text_at(step, "at")), strlen("2026-06-16T09:30:05.000000Z"));
        assert_string_equal(text_at(step, "broker"), "b1");
    }
}

static void every_transition_is_told_with_time_broker_runner_and_why(void **state)
{
    (void)state;
    char shown[512];
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    runner_t other = runner_link("r2", "\"gpu\"", 1);
    assigned_t a = take_assign(&other);
    start(&other, &a);
    expect_ack(&other, "start", "OK");
    answers(ask("{\"op\":\"cancel\",\"child\":\"a\",\"now\":true}"), "OK");
    child_ends(&other, &a, "cancelled", "Cancelled by parent");
    cJSON *reply = ask("{\"op\":\"explain\",\"child\":\"a\"}");
    transitions_of(reply, shown, sizeof shown);
    assert_string_equal(shown, "queued; assigned r2; running r2; cancel r2; cancelled r2");
    const cJSON *list = cJSON_GetObjectItem(reply, "transitions");
    assert_string_equal(text_at(cJSON_GetArrayItem(list, 3), "detail"), "now");
    assert_string_equal(text_at(cJSON_GetArrayItem(list, 4), "detail"), "Cancelled by parent");
    assert_int_equal(number_at(cJSON_GetArrayItem(list, 0), "epoch"), 0);
    assert_int_equal(number_at(cJSON_GetArrayItem(list, 1), "epoch"), 1);
    assert_int_equal(number_at(cJSON_GetArrayItem(list, 1), "activation"), 1);
    assert_null(cJSON_GetObjectItem(reply, "waiting"));
    expect(reply, "activation.status", "cancelled");
    answers(reply, "OK");
    runner_gone(&other);
}

static void a_lost_attempt_and_the_next_are_both_explained(void **state)
{
    (void)state;
    char shown[512];
    child_submitted("root", "a", ",\"max_attempts\":2,\"require\":{\"labels\":[\"gpu\"]}");
    runner_t first = runner_link("r2", "\"gpu\"", 1);
    assigned_t a = take_assign(&first);
    start(&first, &a);
    expect_ack(&first, "start", "OK");
    tell_f(&first, "{\"kind\":\"bye\",\"incarnation\":\"%s\"}", first.incarnation);
    runner_t next = runner_link("r3", "\"gpu\"", 1);
    (void)sync_until_assigned(&next);
    cJSON *reply = ask("{\"op\":\"explain\",\"child\":\"a\"}");
    transitions_of(reply, shown, sizeof shown);
    assert_string_equal(shown, "queued; assigned r2; running r2; backoff r2; requeued r2; assigned r3");
    assert_string_equal(text_at(cJSON_GetArrayItem(cJSON_GetObjectItem(reply, "transitions"), 3), "detail"),
                        "runner lost: r2; rerun in 1 s");
    answers(reply, "OK");
    runner_gone(&first);
    runner_gone(&next);
}

static void what_waits_says_why_wherever_it_is_shown(void **state)
{
    (void)state;
    static const char why[] = "no runner offers label gpu";
    child_submitted("root", "a", ",\"require\":{\"labels\":[\"gpu\"]}");
    cJSON *reply = ask("{\"op\":\"explain\",\"child\":\"a\"}");
    expect(reply, "waiting", why);
    expect(reply, "activation.waiting", why);
    answers(reply, "OK");
    reply = ask("{\"op\":\"get\",\"child\":\"a\"}");
    expect(reply, "activation.waiting", why);
    answers(reply, "OK");
    reply = ask("{\"op\":\"list\"}");
    const cJSON *act = cJSON_GetArrayItem(cJSON_GetObjectItem(reply, "activations"), 0);
    assert_string_equal(text_at(act, "waiting"), why);
    answers(reply, "OK");
    answers(ask("{\"op\":\"explain\",\"child\":\"nobody\"}"), "NOT_FOUND");
}

/* ---- list ---- */

/* "c b a", and `next` in the caller's buffer */
static void expect_list(const char *more, const char *children, char next[80])
{
    char shown[256] = "";
    const cJSON *act;
    cJSON *reply = ask("{\"op\":\"list\"%s}", more);
    cJSON_ArrayForEach(act, cJSON_GetObjectItem(reply, "activations"))
    {
        size_t used = strlen(shown);
        snprintf(shown + used, sizeof shown - used, "%s%s", used > 0 ? " " : "", text_at(act, "child"));
    }
    snprintf(next, 80, "%s", text_at(reply, "next"));
    assert_string_equal(shown, children);
    answers(reply, "OK");
}

static void a_list_is_filtered_by_parent_status_and_time(void **state)
{
    (void)state;
    char next[80], more[128];
    child_lives(&runner, "a");
    child_submitted("other", "b", "");
    (void)take_assign(&runner);
    child_submitted("root", "c", ",\"require\":{\"labels\":[\"gpu\"]}");
    expect_list("", "c b a", next);
    expect_list(",\"parent\":\"root\"", "c a", next);
    expect_list(",\"status\":\"queued\"", "c", next);
    expect_list(",\"status\":\"assigned\"", "b", next);
    expect_list(",\"status\":\"completed\"", "a", next);
    expect_list(",\"status\":\"terminal\",\"parent\":\"other\"", "", next);
    expect_list(",\"since_ms\":1000", "c b a", next);
    snprintf(more, sizeof more, ",\"since_ms\":%llu", 4102444800000ULL); /* the year 2100 */
    expect_list(more, "", next);
    cJSON *reply = ask("{\"op\":\"list\",\"status\":\"lost\"}");
    expect(reply, "field", "status");
    answers(reply, "BAD_FIELD");
}

static void pages_of_a_list_follow_each_other(void **state)
{
    (void)state;
    char next[80], more[160];
    static const char *const children[] = { "a", "b", "c", "d", "e" };
    for (size_t i = 0; i < 5; i++)
        child_submitted("root", children[i], "");
    expect_list(",\"limit\":2", "e d", next);
    snprintf(more, sizeof more, ",\"limit\":2,\"before\":\"%s\"", next);
    expect_list(more, "c b", next);
    snprintf(more, sizeof more, ",\"limit\":2,\"before\":\"%s\"", next);
    expect_list(more, "a", next);
    assert_string_equal(next, "");
    cJSON *reply = ask("{\"op\":\"list\",\"before\":\"yesterday\"}");
    expect(reply, "field", "before");
    answers(reply, "BAD_FIELD");
}

static void what_a_runner_says_of_a_run_is_shown_while_it_runs_and_after(void **state)
{
    (void)state;
    const char *const held[] = { "a 1" };
    assigned_t a = child_begins(&runner, "a");
    cJSON_Delete(
        sync_of(&runner, held, 1,
                ",\"held\":[\"a 1\"],\"states\":{\"a\":{\"epoch\":1,\"last_event_at\":"
                "\"2026-06-16T09:30:04.250000Z\",\"last_tool_name\":\"Bash\",\"last_tool_phase\":\"begin\","
                "\"round_count\":4}}"));
    cJSON *reply = ask("{\"op\":\"get\",\"child\":\"a\"}");
    expect(reply, "activation.last_event_at", "2026-06-16T09:30:04.250000Z");
    expect(reply, "activation.last_tool_name", "Bash");
    expect(reply, "activation.last_tool_phase", "begin");
    assert_int_equal(number_at(reply, "activation.round_count"), 4);
    cJSON_Delete(reply);
    child_ends(&runner, &a, "completed", NULL);
    reply = ask("{\"op\":\"list\"}");
    const cJSON *act = cJSON_GetArrayItem(cJSON_GetObjectItem(reply, "activations"), 0);
    assert_string_equal(text_at(act, "last_tool_name"), "Bash");
    cJSON_Delete(reply);
}

/* ---- sessions ---- */

static void a_session_shows_the_model_and_the_profile_of_its_latest_run(void **state)
{
    (void)state;
    answers(
        ask("{\"op\":\"session_put\",\"session\":{\"id\":\"a\",\"kind\":\"child\",\"parent_session_id\":\"root\","
            "\"model\":\"haiku\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}}"),
        "OK");
    cJSON *reply = ask("{\"op\":\"session_get\",\"child\":\"a\"}"); /* who would run it */
    const cJSON *session = cJSON_GetObjectItem(reply, "session");
    assert_string_equal(text_at(session, "model"), "haiku");
    const cJSON *metadata = cJSON_GetObjectItem(session, "metadata");
    assert_string_equal(cJSON_GetObjectItem(metadata, "external.agent_id")->valuestring, "local-actor");
    assert_string_equal(cJSON_GetObjectItem(metadata, "external.protocol")->valuestring, "actor");
    assert_string_equal(cJSON_GetObjectItem(metadata, "runtime.kind")->valuestring, "external");
    cJSON_Delete(reply);
    answers(
        ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"a\",\"model\":\"opus\","
            "\"require\":{\"profile\":\"echo\"}}}"),
        "OK");
    reply = ask("{\"op\":\"session_get\",\"child\":\"a\"}"); /* who runs it */
    session = cJSON_GetObjectItem(reply, "session");
    assert_string_equal(text_at(session, "model"), "opus");
    metadata = cJSON_GetObjectItem(session, "metadata");
    assert_string_equal(cJSON_GetObjectItem(metadata, "external.agent_id")->valuestring, "echo");
    cJSON_Delete(reply);
}

static void what_a_session_says_of_its_profile_itself_stays(void **state)
{
    (void)state;
    child_lives(&runner, "a"); /* it says echo */
    answers(ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"a\","
                "\"require\":{\"profile\":\"local-actor\"}}}"),
            "OK");
    cJSON *reply = ask("{\"op\":\"session_get\",\"child\":\"a\"}");
    const cJSON *metadata = cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "metadata");
    assert_string_equal(cJSON_GetObjectItem(metadata, "external.agent_id")->valuestring, "echo");
    cJSON_Delete(reply);
}

static void a_root_session_is_run_by_nobody(void **state)
{
    (void)state;
    answers(ask("{\"op\":\"session_put\",\"session\":{\"id\":\"root\",\"kind\":\"root\",\"messages\":[]}}"),
            "OK");
    cJSON *reply = ask("{\"op\":\"session_get\",\"child\":\"root\"}");
    assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "session"), "metadata"));
    answers(reply, "OK");
}

static void a_session_that_is_damaged_in_the_store_is_refused(void **state)
{
    (void)state;
    child_lives(&runner, "a");
    redis_do(&stage.redis, "HSET rz:{0}:c:a h {\"id\":");
    cJSON *reply = ask("{\"op\":\"session_get\",\"child\":\"a\"}");
    assert_non_null(strstr(text_at(reply, "message"), "the stored session is damaged"));
    answers(reply, "INTERNAL");
}

/* ---- status ---- */

static void status_shows_how_far_the_readers_of_completions_are(void **state)
{
    (void)state;
    redis_do(&stage.redis, "XGROUP CREATE rz:{0}:completions billing 0 MKSTREAM");
    child_lives(&runner, "a");
    child_lives(&runner, "b");
    redis_do(&stage.redis, "XREADGROUP GROUP billing me COUNT 1 STREAMS rz:{0}:completions >");
    cJSON *reply = ask("{\"op\":\"status\"}");
    assert_int_equal(number_at(reply, "completions.entries"), 2);
    assert_int_equal(number_at(reply, "waiting"), 0);
    const cJSON *group =
        cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(reply, "completions"), "groups"), 0);
    char *shown = cJSON_PrintUnformatted(group);
    assert_string_equal(shown, "{\"name\":\"billing\",\"consumers\":1,\"pending\":1,\"lag\":1}");
    cJSON_free(shown);
    cJSON_Delete(reply);
}

static void status_without_the_store_says_what_the_broker_knows(void **state)
{
    (void)state;
    redis_end(&stage.redis, SIGKILL);
    await("{\"op\":\"hello\"}", "store", "down");
    cJSON *reply = ask("{\"op\":\"status\"}");
    expect(reply, "store.state", "down");
    assert_int_equal(number_at(reply, "links"), 1);
    assert_null(cJSON_GetObjectItem(reply, "completions"));
    assert_null(cJSON_GetObjectItem(reply, "classes"));
    answers(reply, "OK");
    redis_again(&stage.redis);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(whatever_ended_is_run_once_more_as_its_latest_job_was, up, stage_down),
    cmocka_unit_test_setup_teardown(a_retry_of_what_lives_tells_its_state, up, stage_down),
    cmocka_unit_test_setup_teardown(a_retry_of_what_never_ran_is_not_found, up, stage_down),
    cmocka_unit_test_setup_teardown(a_retry_that_nobody_can_take_says_why, up, stage_down),
    cmocka_unit_test_setup_teardown(a_retry_needs_room_in_the_queue_as_a_job_does, narrow_up, stage_down),
    cmocka_unit_test_setup_teardown(every_transition_is_told_with_time_broker_runner_and_why, up, stage_down),
    cmocka_unit_test_setup_teardown(a_lost_attempt_and_the_next_are_both_explained, up, stage_down),
    cmocka_unit_test_setup_teardown(what_waits_says_why_wherever_it_is_shown, up, stage_down),
    cmocka_unit_test_setup_teardown(a_list_is_filtered_by_parent_status_and_time, up, stage_down),
    cmocka_unit_test_setup_teardown(pages_of_a_list_follow_each_other, up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_runner_says_of_a_run_is_shown_while_it_runs_and_after, up, stage_down),
    cmocka_unit_test_setup_teardown(a_session_shows_the_model_and_the_profile_of_its_latest_run, up, stage_down),
    cmocka_unit_test_setup_teardown(what_a_session_says_of_its_profile_itself_stays, up, stage_down),
    cmocka_unit_test_setup_teardown(a_root_session_is_run_by_nobody, up, stage_down),
    cmocka_unit_test_setup_teardown(a_session_that_is_damaged_in_the_store_is_refused, up, stage_down),
    cmocka_unit_test_setup_teardown(status_shows_how_far_the_readers_of_completions_are, up, stage_down),
    cmocka_unit_test_setup_teardown(status_without_the_store_says_what_the_broker_knows, up, stage_down),
};
/* clang-format on */

RZ_FACTS(tests)
