/* test_pending.c - what was said to a child while it ran elsewhere enters the session that is handed in. */
#include "facts.h"

#include "intake.h"

static intake_session_t session;
static rz_err_t err;

/* pending: the value of the metadata key as JSON. */
static rz_rc_t decode(const char *pending)
{
    static char text[1024]; /* messages are lent by it */
    static rz_agents_t *agents;
    if (agents == NULL)
        agents = rz_agents_create(NULL, NULL, NULL, &err);
    intake_rules_t rules = { .agents = agents, .job_max = 4096, .session_max = 4096 };
    err = (rz_err_t){ 0 };
    snprintf(
        text, sizeof text,
        "{\"id\":\"c\",\"kind\":\"child\",\"metadata\":{\"title\":\"t\"%s%s},\"messages\":[{\"role\":\"user\","
        "\"content\":\"first\"}]}",
        pending[0] != '\0' ? ",\"pending_injected_messages\":" : "", pending);
    rz_rc_t rc = intake_session_decode(&rules, rz_str(text), "session.", true, &session, &err);
    rz_agents_destroy(&agents);
    return rc;
}

static void message_is(size_t i, const char *content)
{
    rz_message_t message;
    assert_int_equal(rz_message_decode(session.messages[i], "", &message, &err), RZ_OK);
    assert_int_equal(message.role, RZ_ROLE_USER);
    assert_string_equal(message.content, content);
    rz_message_fini(&message);
}

static void pending_messages_are_the_last_of_the_session_in_their_order(void **state)
{
    (void)state;
    assert_int_equal(
        decode(
            "\"[{\\\"content\\\":\\\"second \\\\\\\"x\\\\\\\"\\\",\\\"created_at\\\":\\\"2026-06-16T09:30:00Z\\\"},"
            "{\\\"content\\\":\\\"third\\\"}]\""),
        RZ_OK);
    assert_int_equal(session.message_count, 3);
    message_is(0, "first");
    message_is(1, "second \"x\"");
    message_is(2, "third");
    assert_null(strstr(session.header.data, "pending_injected_messages"));
    assert_non_null(strstr(session.header.data, "\"title\":\"t\""));
    intake_session_fini(&session);
}

static void what_has_no_content_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(decode("\"[7,{},{\\\"content\\\":1},null,{\\\"content\\\":\\\"second\\\"}]\""), RZ_OK);
    assert_int_equal(session.message_count, 2);
    message_is(1, "second");
    intake_session_fini(&session);
}

static void nothing_pending_adds_nothing(void **state)
{
    (void)state;
    static const char *const none[] = { "", "\"[]\"", "\"\"" };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(decode(none[i]), RZ_OK);
        assert_int_equal(session.message_count, 1);
        intake_session_fini(&session);
    }
}

static void what_is_no_array_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = { "\" \"", "\"x\"", "\"{}\"", "\"[\"" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(decode(bad[i]), RZ_BAD_FIELD);
        assert_string_equal(err.field, "session.metadata.pending_injected_messages");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pending_messages_are_the_last_of_the_session_in_their_order),
    cmocka_unit_test(what_has_no_content_is_passed_over),
    cmocka_unit_test(nothing_pending_adds_nothing),
    cmocka_unit_test(what_is_no_array_is_refused_by_name),
};
RZ_FACTS(tests)
