/* test_event.c - published events: header, class, topic, whole events. */
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/event.h"

static rz_rc_t decode(const char *bytes, size_t len, rz_err_t *err)
{
    rz_event_header_t header;
    rz_rc_t rc = rz_event_header_decode(bytes, len, &header, err);
    if (rc == RZ_OK)
        rz_event_header_fini(&header);
    return rc;
}

/* ---- header ---- */

static void a_header_means_what_it_says(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("event-header", "traced-token");
    rz_event_header_t h;
    assert_int_equal(rz_event_header_decode(document.data, document.len, &h, NULL), RZ_OK);
    assert_string_equal(h.parent, "root-7");
    assert_string_equal(h.child, "ch-41");
    assert_string_equal(h.job, "j-1");
    assert_int_equal(h.epoch, 1);
    assert_true(h.seq == 9007199254740991u);
    assert_int_equal(h.prev_durable, 0);
    assert_string_equal(h.ts, "2026-06-16T09:30:00.123456Z");
    assert_int_equal(h.class_, RZ_CLASS_EPHEMERAL);
    assert_string_equal(h.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    rz_event_header_fini(&h);
    rz_buf_fini(&document);
}

static void a_header_is_written_as_agreed(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("event-header", "durable"), written = { 0 };
    rz_event_header_t h = { .parent = "root-7",
                            .child = "ch-41",
                            .epoch = 3,
                            .seq = 7,
                            .prev_durable = 5,
                            .ts = "2026-06-16T09:30:00.123456Z",
                            .class_ = RZ_CLASS_DURABLE };
    rz_event_header_encode(&h, &written);
    assert_bytes(&written, &document);
    rz_buf_fini(&document);
}

static void reencode(const char *name, rz_str_t document)
{
    rz_event_header_t h;
    rz_buf_t written = { 0 };
    assert_int_equal(rz_event_header_decode(document.p, document.n, &h, NULL), RZ_OK);
    rz_event_header_encode(&h, &written);
    if (!rz_str_eq(document, written.data))
        fail_msg("%s: %s", name, written.data);
    rz_buf_fini(&written);
    rz_event_header_fini(&h);
    assert_cuts_refused(decode, document);
}

static void every_header_survives_a_round_trip_and_no_cut(void **state)
{
    (void)state;
    vectors_each("event-header", reencode);
}

static void every_member_of_a_header_is_judged(void **state)
{
    (void)state;
    static const rule_t rules[] = {
        { "parent", AN_ID, RZ_REQUIRED, 0, 0 },
        { "child", AN_ID, RZ_REQUIRED, 0, 0 },
        { "job", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "epoch", A_NUMBER, RZ_REQUIRED, 0, 9007199254740991u },
        { "seq", A_NUMBER, RZ_REQUIRED, 1, 9007199254740991u },
        { "ts", A_TEXT, RZ_REQUIRED, 0, 64 },
        { "class", A_CHOICE, RZ_REQUIRED, 0, 0 },
        { "traceparent", A_TEXT, RZ_OPTIONAL, 0, RZ_NAME_MAX },
        { "id", AN_ID, RZ_OPTIONAL, 0, 0 },
    };
    assert_rules_hold(decode, "event-header", "traced-token", rules, COUNT(rules));
}

#define TAIL "\"parent\":\"p\",\"child\":\"c\",\"epoch\":1,\"ts\":\"t\",\"class\":\"durable\","

static void a_header_of_another_version_is_refused_by_name(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "{" TAIL "\"seq\":1}", RZ_MISSING_FIELD, "v" },
        { "{\"v\":2," TAIL "\"seq\":1}", RZ_BAD_VERSION, "v" },
        { "{\"v\":0," TAIL "\"seq\":1}", RZ_BAD_VERSION, "v" },
        { "{\"v\":\"1\"," TAIL "\"seq\":1}", RZ_BAD_FIELD, "v" },
        { "{\"v\":1," TAIL "\"seq\":4,\"prev_durable\":4}", RZ_BAD_FIELD, "prev_durable" },
        { "{\"v\":1," TAIL "\"seq\":4,\"prev_durable\":-1}", RZ_BAD_FIELD, "prev_durable" },
    };
    assert_refused(decode, table, COUNT(table));
}

/* ---- type and class ---- */

static void a_type_that_is_no_safe_name_becomes_other(void **state)
{
    (void)state;
    static const struct {
        const char *event, *type;
        rz_rc_t rc;
    } table[] = {
        { "{\"type\":\"token\"}", "token", RZ_OK },
        { "{ \"content\" : [] , \"type\" : \"config.changed\" }", "config.changed", RZ_OK },
        { "{\"t\\u0079pe\":\"t\\u006fken\"}", "token", RZ_OK },
        { "{\"type\":\"Token\"}", "other", RZ_OK },
        { "{\"type\":\"a/b\"}", "other", RZ_OK },
        { "{\"type\":\"a\\nb\"}", "other", RZ_OK },
        { "{\"type\":\"\"}", "other", RZ_OK },
        { "{\"type\":\"a123456789a123456789a123456789a123456789a123456789a123456789abcd\"}",
          "a123456789a123456789a123456789a123456789a123456789a123456789abcd", RZ_OK },
        { "{\"type\":\"a123456789a123456789a123456789a123456789a123456789a123456789abcde\"}", "other",
          RZ_OK },
        { "{\"type\":7}", "other", RZ_BAD_FIELD },
        { "{\"type\":null}", "other", RZ_BAD_FIELD },
        { "{}", "other", RZ_BAD_FIELD },
        { "[]", "other", RZ_BAD_FIELD },
        { "\"type\"", "other", RZ_BAD_FIELD },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char type[65];
        assert_int_equal(rz_json_check(table[i].event, strlen(table[i].event), 0, NULL), RZ_OK);
        assert_int_equal(rz_event_type(rz_str(table[i].event), type), table[i].rc);
        assert_string_equal(type, table[i].type);
    }
}

#define WRAP(inner) "{\"type\":\"sub_agent_event\",\"event\":" inner "}"

static void an_event_has_the_class_of_its_type(void **state)
{
    (void)state;
    static const struct {
        const char *event;
        rz_event_class_t class_;
    } table[] = {
        { "{\"type\":\"token\"}", RZ_CLASS_EPHEMERAL },
        { "{\"type\":\"reasoning_token\"}", RZ_CLASS_EPHEMERAL },
        { "{\"type\":\"tool_token\"}", RZ_CLASS_EPHEMERAL },
        { "{\"type\":\"sub_agent_heartbeat\"}", RZ_CLASS_EPHEMERAL },
        { "{\"type\":\"runner_progress\"}", RZ_CLASS_SNAPSHOT },
        { "{\"type\":\"token_budget_updated\"}", RZ_CLASS_SNAPSHOT },
        { "{\"type\":\"context_pressure_notification\"}", RZ_CLASS_SNAPSHOT },
        { "{\"type\":\"tool_start\"}", RZ_CLASS_DURABLE },
        { "{\"type\":\"complete\"}", RZ_CLASS_DURABLE },
        { "{\"type\":\"sub_agent_completed\"}", RZ_CLASS_DURABLE },
        { "{\"type\":\"never heard of\"}", RZ_CLASS_DURABLE },
        { WRAP("{\"type\":\"token\"}"), RZ_CLASS_EPHEMERAL },
        { WRAP("{\"type\":\"complete\"}"), RZ_CLASS_DURABLE },
        { WRAP(WRAP("{\"type\":\"runner_progress\"}")), RZ_CLASS_SNAPSHOT },
        { "{\"type\":\"sub_agent_event\"}", RZ_CLASS_DURABLE },
        { WRAP("[]"), RZ_CLASS_DURABLE },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char type[65];
        rz_event_type(rz_str(table[i].event), type);
        if (rz_event_classify(type, rz_str(table[i].event)) != table[i].class_)
            fail_msg("%s", table[i].event);
    }
}

/* ---- whole events ---- */

static void the_four_outer_events_are_written_as_agreed(void **state)
{
    (void)state;
    static const char *const names[] = { "started",   "started-untitled", "token",
                                         "heartbeat", "completed",        "failed" };
    rz_buf_t written[COUNT(names)] = { 0 };
    rz_event_started("root-7", "ch-41", "Count \"TODOs\"", &written[0]);
    rz_event_started("root-7", "ch-41", NULL, &written[1]);
    rz_event_wrap("root-7", "ch-41", RZ_STR("{\"type\":\"token\",\"content\":\"There are \"}"), &written[2]);
    rz_event_heartbeat("root-7", "ch-41", "2026-06-16T09:30:00.123456Z", &written[3]);
    rz_json_close(&written[3], '}');
    rz_event_completed("root-7", "ch-41", "completed", NULL, &written[4]);
    rz_event_completed("root-7", "ch-41", "error", "LLM error: 529 overloaded", &written[5]);
    for (size_t i = 0; i < COUNT(names); i++) {
        rz_buf_t agreed = vector_load("event", names[i]);
        assert_bytes(&written[i], &agreed);
        rz_buf_fini(&agreed);
    }
}

static void a_wrapped_event_stays_byte_for_byte(void **state)
{
    (void)state;
    rz_str_t odd = RZ_STR("{ \"type\" : \"t\\u006fken\" , \"n\" : 1.50e+1 }");
    rz_buf_t written = { 0 };
    rz_event_wrap("p", "c", odd, &written);
    assert_true(rz_str_eq(rz_json_member(rz_buf_str(&written), "event"), odd.p));
    rz_buf_fini(&written);
}

/* ---- topics ---- */

static void a_topic_names_parent_child_and_kind(void **state)
{
    (void)state;
    rz_buf_t topic = { 0 };
    rz_topic("root-7", "ch-41", "sub_agent_completed", NULL, &topic);
    assert_string_equal(topic.data, "root-7/ch-41/sub_agent_completed");
    rz_buf_clear(&topic);
    rz_topic("root-7", "ch-41", "sub_agent_event", "token", &topic);
    assert_string_equal(topic.data, "root-7/ch-41/sub_agent_event.token");

    rz_str_t parent, child, type;
    assert_true(rz_topic_parse(rz_buf_str(&topic), &parent, &child, &type));
    assert_true(rz_str_eq(parent, "root-7"));
    assert_true(rz_str_eq(child, "ch-41"));
    assert_true(rz_str_eq(type, "sub_agent_event.token"));
    rz_buf_fini(&topic);
}

static void the_longest_inner_type_still_makes_a_topic(void **state)
{
    (void)state;
    char inner[65];
    memset(inner, 'a', 64);
    inner[64] = '\0';
    rz_buf_t topic = { 0 };
    rz_str_t parent, child, type;
    rz_topic("p", "c", "sub_agent_event", inner, &topic);
    assert_true(rz_topic_parse(rz_buf_str(&topic), &parent, &child, &type));
    rz_buf_fini(&topic);
}

static void what_is_no_such_topic_is_told_apart(void **state)
{
    (void)state;
    static const char *const topics[] = { "",      "p",      "p/c",     "p/c/",        "/c/t",
                                          "p//t",  "p/c/t/", "p/c/a/b", "$sys/a/b",    "$sys/rejected",
                                          "p/c/T", "p /c/t", "p/c/t\n", "p/c d/token", "p/$c/token" };
    for (size_t i = 0; i < COUNT(topics); i++) {
        rz_str_t parent, child, type;
        if (rz_topic_parse(rz_str(topics[i]), &parent, &child, &type))
            fail_msg("%s", topics[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_header_means_what_it_says),
    cmocka_unit_test(a_header_is_written_as_agreed),
    cmocka_unit_test(every_header_survives_a_round_trip_and_no_cut),
    cmocka_unit_test(every_member_of_a_header_is_judged),
    cmocka_unit_test(a_header_of_another_version_is_refused_by_name),
    cmocka_unit_test(a_type_that_is_no_safe_name_becomes_other),
    cmocka_unit_test(an_event_has_the_class_of_its_type),
    cmocka_unit_test(the_four_outer_events_are_written_as_agreed),
    cmocka_unit_test(a_wrapped_event_stays_byte_for_byte),
    cmocka_unit_test(a_topic_names_parent_child_and_kind),
    cmocka_unit_test(the_longest_inner_type_still_makes_a_topic),
    cmocka_unit_test(what_is_no_such_topic_is_told_apart),
};
RZ_FACTS(tests)
