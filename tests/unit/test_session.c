/* test_session.c - sessions and messages: meaning, split and join, assignment, affinity. */
#include "base/clock.h"
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/session.h"

static rz_rc_t decode_session(const char *bytes, size_t len, rz_err_t *err)
{
    rz_session_t session;
    if (rz_json_check(bytes, len, RZ_SESSION_MAX, err) != RZ_OK)
        return err->rc;
    rz_rc_t rc = rz_session_decode((rz_str_t){ bytes, len }, "", &session, err);
    if (rc == RZ_OK)
        rz_session_fini(&session);
    return rc;
}

static rz_rc_t decode_message(const char *bytes, size_t len, rz_err_t *err)
{
    rz_message_t message;
    if (rz_json_check(bytes, len, RZ_SESSION_MAX, err) != RZ_OK)
        return err->rc;
    rz_rc_t rc = rz_message_decode((rz_str_t){ bytes, len }, "", &message, err);
    if (rc == RZ_OK)
        rz_message_fini(&message);
    return rc;
}

static rz_session_t session_of(const rz_buf_t *document)
{
    rz_session_t session;
    rz_err_t err = { 0 };
    assert_int_equal(rz_session_decode(rz_buf_str(document), "", &session, &err), RZ_OK);
    return session;
}

/* ---- messages ---- */

static void the_smallest_message_has_a_role_and_content(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("message", "smallest");
    rz_message_t message;
    assert_int_equal(rz_message_decode(rz_buf_str(&document), "", &message, NULL), RZ_OK);
    assert_null(message.id);
    assert_int_equal(message.role, RZ_ROLE_USER);
    assert_string_equal(message.content, "hi");
    rz_message_fini(&message);
    rz_buf_fini(&document);
}

static void an_empty_message_id_is_no_id(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("message", "empty-id");
    rz_message_t message;
    assert_int_equal(rz_message_decode(rz_buf_str(&document), "", &message, NULL), RZ_OK);
    assert_null(message.id);
    rz_message_fini(&message);
    rz_buf_fini(&document);
}

static void a_reply_is_written_as_agreed(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("message", "reply"), written = { 0 };
    rz_message_encode(RZ_ROLE_ASSISTANT, "m3", RZ_STR("\"There are 12.\\nAll of them say \\\"später\\\".\""),
                      "2026-06-16T09:30:00.123456Z", &written);
    assert_bytes(&written, &document);

    rz_message_t message;
    assert_int_equal(rz_message_decode(rz_buf_str(&document), "", &message, NULL), RZ_OK);
    assert_string_equal(message.id, "m3");
    assert_int_equal(message.role, RZ_ROLE_ASSISTANT);
    assert_string_equal(message.content, "There are 12.\nAll of them say \"später\".");
    rz_message_fini(&message);
    rz_buf_fini(&document);
}

static void a_message_without_id_and_moment_gets_both(void **state)
{
    (void)state;
    rz_buf_t written = { 0 };
    rz_message_encode(RZ_ROLE_USER, NULL, RZ_STR("\"hi\""), NULL, &written);
    rz_message_t message;
    assert_int_equal(rz_message_decode(rz_buf_str(&written), "", &message, NULL), RZ_OK);
    assert_int_equal(strlen(message.id), RZ_UUID_LEN);
    const char *moment = cJSON_GetObjectItemCaseSensitive(message.object.tree, "created_at")->valuestring;
    int64_t when;
    assert_int_equal(rz_rfc3339_parse(moment, &when), 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(message.object.tree, "phase"));
    rz_message_fini(&message);
    rz_buf_fini(&written);
}

static void cut_message(const char *name, rz_str_t document)
{
    (void)name;
    assert_cuts_refused(decode_message, document);
}

static void a_message_cut_at_any_length_is_refused(void **state)
{
    (void)state;
    vectors_each("message", cut_message);
}

static void hostile_messages_are_refused_by_field(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "[]", RZ_BAD_FIELD, "message" },
        { "{\"content\":\"x\"}", RZ_MISSING_FIELD, "role" },
        { "{\"role\":null,\"content\":\"x\"}", RZ_MISSING_FIELD, "role" },
        { "{\"role\":\"User\",\"content\":\"x\"}", RZ_BAD_FIELD, "role" },
        { "{\"role\":7,\"content\":\"x\"}", RZ_BAD_FIELD, "role" },
        { "{\"role\":\"user\"}", RZ_MISSING_FIELD, "content" },
        { "{\"role\":\"user\",\"content\":null}", RZ_MISSING_FIELD, "content" },
        { "{\"role\":\"user\",\"content\":[]}", RZ_BAD_FIELD, "content" },
        { "{\"role\":\"user\",\"content\":\"\",\"id\":7}", RZ_BAD_FIELD, "id" },
        { "{\"role\":\"user\",\"content\":\"\",\"id\":\"a/b\"}", RZ_BAD_ID, "id" },
        { "{\"role\":\"user\",\"role\":\"user\",\"content\":\"\"}", RZ_BAD_JSON, "" },
        { "{\"role\":\"user\",\"content\":\"\\u0000\"}", RZ_BAD_JSON, "" },
    };
    assert_refused(decode_message, table, COUNT(table));
}

static void a_message_may_be_as_large_as_a_session(void **state)
{
    (void)state;
    rz_buf_t text = { 0 };
    rz_buf_puts(&text, "{\"role\":\"user\",\"content\":\"");
    while (text.len < RZ_SESSION_MAX - 2)
        rz_buf_putc(&text, 'a');
    rz_buf_puts(&text, "\"}");
    rz_err_t err = { 0 };
    assert_int_equal(text.len, RZ_SESSION_MAX);
    assert_int_equal(decode_message(text.data, text.len, &err), RZ_OK);
    rz_buf_putc(&text, ' ');
    assert_int_equal(decode_message(text.data, text.len, &err), RZ_TOO_LARGE);
    rz_buf_fini(&text);
}

/* ---- sessions ---- */

static void a_child_session_says_what_it_is(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("session", "child");
    rz_session_t s = session_of(&document);
    assert_string_equal(s.id, "ch-41");
    assert_string_equal(s.parent, "root-7");
    assert_int_equal(s.kind, RZ_SESSION_CHILD);
    assert_string_equal(s.title, "Count");
    assert_string_equal(s.model, "claude-sonnet-4-6");
    assert_string_equal(s.ref_provider, "anthropic");
    assert_string_equal(s.ref_model, "claude-sonnet-4-6");
    assert_string_equal(s.workspace, "/srv/repo");
    assert_string_equal(rz_session_meta(&s, "subagent_type"), "explorer");
    assert_null(rz_session_meta(&s, "Subagent_Type"));
    assert_int_equal(s.message_count, 2);
    assert_int_equal(s.messages.p[0], '[');
    rz_session_fini(&s);
    rz_buf_fini(&document);
}

static void the_smallest_session_is_an_untitled_root(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("session", "smallest");
    rz_session_t s = session_of(&document);
    assert_int_equal(s.kind, RZ_SESSION_ROOT);
    assert_string_equal(s.title, "");
    assert_string_equal(s.model, "");
    assert_null(s.parent);
    assert_null(s.metadata);
    assert_null(s.ref_provider);
    assert_null(s.workspace);
    assert_null(rz_session_meta(&s, "title"));
    assert_int_equal(s.message_count, 0);
    rz_session_fini(&s);
    rz_buf_fini(&document);
}

static void escaped_keys_mean_what_they_spell(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("session", "escaped-keys"), header = { 0 };
    rz_session_t s = session_of(&document);
    assert_int_equal(s.message_count, 1);
    assert_string_equal(rz_session_meta(&s, "title"), "t");
    rz_session_split(rz_buf_str(&document), &header);
    assert_string_equal(header.data, "{\"id\":\"ch-43\",\"metadata\":{\"tit\\u006ce\":\"t\"},"
                                     "\"created_at\":\"2026-06-16T09:29:57Z\","
                                     "\"updated_at\":\"2026-06-16T09:29:59Z\"}");
    rz_str_t assignment = rz_session_assignment(rz_buf_str(&header), s.messages);
    assert_true(rz_json_is(assignment, "Grüße"));
    rz_session_fini(&s);
    rz_buf_fini(&header);
    rz_buf_fini(&document);
}

static void cut_session(const char *name, rz_str_t document)
{
    (void)name;
    assert_cuts_refused(decode_session, document);
}

static void a_session_cut_at_any_length_is_refused(void **state)
{
    (void)state;
    vectors_each("session", cut_session);
}

static void every_member_of_a_session_is_judged(void **state)
{
    (void)state;
    static const rule_t rules[] = {
        { "id", AN_ID, RZ_REQUIRED, 0, 0 },
        { "parent_session_id", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "kind", A_CHOICE, RZ_DEFAULTED, 0, 0 },
        { "title", A_TEXT, RZ_DEFAULTED, 0, RZ_TEXT_MAX },
        { "model", A_TEXT, RZ_DEFAULTED, 0, RZ_NAME_MAX },
        { "workspace", A_TEXT, RZ_OPTIONAL, 0, 4096 },
        { "metadata", AN_OBJECT, RZ_DEFAULTED, 0, 0 },
        { "model_ref.provider", A_TEXT, RZ_REQUIRED, 0, RZ_NAME_MAX },
        { "model_ref.model", A_TEXT, RZ_REQUIRED, 0, RZ_NAME_MAX },
    };
    assert_rules_hold(decode_session, "session", "child", rules, COUNT(rules));
}

static void hostile_sessions_are_refused_by_field(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "[]", RZ_BAD_FIELD, "session" },
        { "{\"id\":\"c\"}", RZ_MISSING_FIELD, "messages" },
        { "{\"id\":\"c\",\"messages\":null}", RZ_MISSING_FIELD, "messages" },
        { "{\"id\":\"c\",\"messages\":{}}", RZ_BAD_FIELD, "messages" },
        { "{\"id\":\"c\",\"messages\":[7]}", RZ_BAD_FIELD, "messages[0]" },
        { "{\"id\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"content\":\"\"}]}",
          RZ_MISSING_FIELD, "messages[1].role" },
        { "{\"id\":\"c\",\"messages\":[],\"metadata\":{\"a\":\"\",\"b\":7}}", RZ_BAD_FIELD, "metadata.b" },
        { "{\"id\":\"c\",\"messages\":[],\"metadata\":{\"b\":null}}", RZ_BAD_FIELD, "metadata.b" },
        { "{\"id\":\"c\",\"messages\":[],\"model_ref\":7}", RZ_BAD_FIELD, "model_ref" },
        { "{\"id\":\"c\",\"messages\":[],\"rev\":\"7\"}", RZ_BAD_FIELD, "rev" },
        { "{\"id\":\"c\",\"messages\":[],\"mess\\u0061ges\":[]}", RZ_BAD_JSON, "" },
    };
    assert_refused(decode_session, table, COUNT(table));
}

static void a_failure_names_the_whole_path(void **state)
{
    (void)state;
    rz_session_t session;
    rz_err_t err = { 0 };
    rz_str_t bytes = RZ_STR("{\"id\":\"c\",\"messages\":[{\"role\":\"me\",\"content\":\"\"}]}");
    assert_int_equal(rz_session_decode(bytes, "session.", &session, &err), RZ_BAD_FIELD);
    assert_string_equal(err.field, "session.messages[0].role");
    assert_non_null(strstr(err.text, "assistant"));
}

static void a_session_of_eight_mebibytes_is_the_limit(void **state)
{
    (void)state;
    static const char message[] = "{\"role\":\"user\",\"content\":\"\"},";
    rz_buf_t text = { 0 };
    rz_buf_puts(&text, "{\"id\":\"c\",\"messages\":[");
    while (text.len + sizeof message < RZ_SESSION_MAX)
        rz_buf_puts(&text, message);
    text.data[text.len - 1] = ']';
    rz_buf_putc(&text, '}');
    while (text.len < RZ_SESSION_MAX)
        rz_buf_putc(&text, ' ');

    rz_session_t session;
    rz_err_t err = { 0 };
    assert_int_equal(rz_session_decode(rz_buf_str(&text), "", &session, &err), RZ_OK);
    assert_true(session.message_count > 270000);
    rz_session_fini(&session);
    rz_buf_putc(&text, ' ');
    assert_int_equal(rz_session_decode(rz_buf_str(&text), "session.", &session, &err), RZ_TOO_LARGE);
    assert_string_equal(err.field, "session");
    rz_buf_fini(&text);
}

/* ---- split and join ---- */

static void a_split_takes_out_what_the_store_owns(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("session", "child"), header = { 0 };
    rz_session_split(rz_buf_str(&document), &header);
    assert_string_equal(
        header.data, "{\"id\":\"ch-41\",\"title\":\"Count\",\"pinned\":false,\"title_version\":0,"
                     "\"metadata_version\":0,\"kind\":\"child\",\"parent_session_id\":\"root-7\","
                     "\"root_session_id\":\"root-7\",\"spawn_depth\":1,"
                     "\"created_at\":\"2026-06-16T09:29:57Z\",\"updated_at\":\"2026-06-16T09:29:59Z\","
                     "\"model\":\"claude-sonnet-4-6\",\"model_ref\":{\"provider\":\"anthropic\","
                     "\"model\":\"claude-sonnet-4-6\"},\"metadata\":{\"subagent_type\":\"explorer\","
                     "\"title\":\"Count the TODOs\"},\"workspace\":\"/srv/repo\",\"compression_events\":[]}");
    rz_session_t session;
    assert_int_equal(rz_session_header_decode(rz_buf_str(&header), &session, NULL), RZ_OK);
    assert_int_equal(session.message_count, 0);
    assert_int_equal(session.messages.n, 0);
    rz_session_fini(&session);
    rz_buf_fini(&header);
    rz_buf_fini(&document);
}

static void a_split_fills_in_missing_moments(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("session", "without-moments"), header = { 0 };
    rz_session_split(rz_buf_str(&document), &header);
    static const char *const moments[] = { "created_at", "updated_at" };
    for (size_t i = 0; i < COUNT(moments); i++) {
        rz_buf_t text = { 0 };
        int64_t when;
        assert_true(rz_json_unescape(rz_json_member(rz_buf_str(&header), moments[i]), &text));
        assert_int_equal(rz_rfc3339_parse(text.data, &when), 0);
        rz_buf_fini(&text);
    }
    assert_int_equal(rz_json_check(header.data, header.len, 0, NULL), RZ_OK);
    rz_buf_fini(&header);
    rz_buf_fini(&document);
}

static void a_join_puts_state_messages_and_rev_back(void **state)
{
    (void)state;
    rz_buf_t whole = { 0 };
    const rz_session_state_t ended = { .last_run_status = "error",
                                       .last_run_error = "it \"broke\"",
                                       .rev = 9 };
    rz_session_join(
        RZ_STR("{\"id\":\"c\",\"metadata\":{\"title\":\"t\",\"last_run_status\":\"old\"},\"pinned\":true}"),
        RZ_STR("[{\"role\":\"user\",\"content\":\"x\"}]"), &ended, &whole);
    assert_string_equal(whole.data, "{\"id\":\"c\",\"pinned\":true,\"metadata\":{\"title\":\"t\","
                                    "\"last_run_status\":\"error\",\"last_run_error\":\"it \\\"broke\\\"\"},"
                                    "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"rev\":9}");
    rz_buf_fini(&whole);
}

static void a_join_without_state_adds_nothing(void **state)
{
    (void)state;
    rz_buf_t whole = { 0 };
    const rz_session_state_t none = { 0 }, running = { .last_run_status = "running" };
    rz_session_join(RZ_STR("{\"id\":\"c\"}"), (rz_str_t){ NULL, 0 }, &none, &whole);
    assert_string_equal(whole.data, "{\"id\":\"c\",\"messages\":[]}");
    rz_buf_fini(&whole);
    rz_session_join(RZ_STR("{}"), RZ_STR("[]"), &running, &whole);
    assert_string_equal(whole.data, "{\"metadata\":{\"last_run_status\":\"running\"},\"messages\":[]}");
    rz_buf_fini(&whole);
}

static void a_join_shows_the_model_of_the_latest_job(void **state)
{
    (void)state;
    rz_buf_t whole = { 0 };
    const rz_session_state_t job = { .model = "opus" }, none = { 0 };
    rz_session_join(RZ_STR("{\"mod\\u0065l\":\"old\",\"id\":\"c\"}"), RZ_STR("[]"), &job, &whole);
    assert_string_equal(whole.data, "{\"id\":\"c\",\"model\":\"opus\",\"messages\":[]}");
    rz_buf_fini(&whole);
    rz_session_join(RZ_STR("{\"model\":\"old\"}"), RZ_STR("[]"), &none, &whole);
    assert_string_equal(whole.data, "{\"model\":\"old\",\"messages\":[]}");
    rz_buf_fini(&whole);
}

static void rejoin(const char *name, rz_str_t document)
{
    rz_buf_t header = { 0 }, whole = { 0 };
    rz_err_t err = { 0 };
    const rz_session_state_t pending = { .last_run_status = "pending", .rev = 4 };
    rz_session_split(document, &header);
    rz_session_join(rz_buf_str(&header), rz_json_member(document, "messages"), &pending, &whole);
    if (decode_session(whole.data, whole.len, &err) != RZ_OK)
        fail_msg("%s: %s %s: %s", name, err.field, err.text, whole.data);
    rz_buf_fini(&header);
    rz_buf_fini(&whole);
}

static void what_was_split_can_be_joined(void **state)
{
    (void)state;
    vectors_each("session", rejoin);
}

/* ---- what a session says about its run ---- */

static void the_assignment_is_the_last_user_message(void **state)
{
    (void)state;
    rz_str_t text = rz_session_assignment(
        RZ_STR("{\"metadata\":{\"title\":\"t\"}}"),
        RZ_STR("[{\"role\":\"user\",\"content\":\"first\"},{\"content\":\"a \\\"b\\\"\",\"role\":\"user\"},"
               "{\"role\":\"assistant\",\"content\":\"no\"}]"));
    assert_true(rz_str_eq(text, "\"a \\\"b\\\"\""));
}

static void without_a_user_message_the_title_is_the_assignment(void **state)
{
    (void)state;
    rz_str_t messages = RZ_STR("[{\"role\":\"system\",\"content\":\"s\"}]");
    rz_str_t text =
        rz_session_assignment(RZ_STR("{\"title\":\"no\",\"metadata\":{\"title\":\"t\"}}"), messages);
    assert_true(rz_str_eq(text, "\"t\""));
    text = rz_session_assignment(RZ_STR("{\"title\":\"no\"}"), messages);
    assert_true(rz_str_eq(text, "\"Execute task\""));
    text = rz_session_assignment((rz_str_t){ NULL, 0 }, (rz_str_t){ NULL, 0 });
    assert_true(rz_str_eq(text, "\"Execute task\""));
}

static void affinity_of(const char *json, char out[RZ_DIGEST_LEN + 1])
{
    rz_session_t session;
    assert_int_equal(rz_session_header_decode(rz_str(json), &session, NULL), RZ_OK);
    rz_session_affinity(&session, out);
    rz_session_fini(&session);
}

static void affinity_is_what_a_worker_was_made_for(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        { "{\"id\":\"a\",\"title\":\"x\"}", "{\"id\":\"b\",\"model\":\"m\"}", true },
        { "{\"id\":\"a\"}", "{\"id\":\"a\",\"metadata\":{\"subagent_type\":\"worker\"}}", true },
        { "{\"id\":\"a\"}", "{\"id\":\"a\",\"metadata\":{\"subagent_type\":\"explorer\"}}", false },
        { "{\"id\":\"a\"}", "{\"id\":\"a\",\"workspace\":\"\"}", false },
        { "{\"id\":\"a\",\"workspace\":\"/a\"}", "{\"id\":\"a\",\"workspace\":\"/b\"}", false },
        { "{\"id\":\"a\"}", "{\"id\":\"a\",\"metadata\":{\"provider_name\":\"p\"}}", false },
        { "{\"id\":\"a\",\"model_ref\":{\"provider\":\"p\",\"model\":\"m\"}}",
          "{\"id\":\"a\",\"model_ref\":{\"provider\":\"p\",\"model\":\"n\"}}", false },
        { "{\"id\":\"a\",\"model_ref\":{\"provider\":\"p\",\"model\":\"m\"},\"metadata\":{\"provider_name\":\"q\"}}",
          "{\"id\":\"a\",\"model_ref\":{\"provider\":\"p\",\"model\":\"m\"}}", true },
        { "{\"id\":\"a\",\"metadata\":{\"external.permission_profile\":\"read\"}}", "{\"id\":\"a\"}", false },
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char a[RZ_DIGEST_LEN + 1], b[RZ_DIGEST_LEN + 1];
        affinity_of(pairs[i].a, a);
        affinity_of(pairs[i].b, b);
        if ((strcmp(a, b) == 0) != pairs[i].same)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_smallest_message_has_a_role_and_content),
    cmocka_unit_test(an_empty_message_id_is_no_id),
    cmocka_unit_test(a_reply_is_written_as_agreed),
    cmocka_unit_test(a_message_without_id_and_moment_gets_both),
    cmocka_unit_test(a_message_cut_at_any_length_is_refused),
    cmocka_unit_test(hostile_messages_are_refused_by_field),
    cmocka_unit_test(a_message_may_be_as_large_as_a_session),
    cmocka_unit_test(a_child_session_says_what_it_is),
    cmocka_unit_test(the_smallest_session_is_an_untitled_root),
    cmocka_unit_test(escaped_keys_mean_what_they_spell),
    cmocka_unit_test(a_session_cut_at_any_length_is_refused),
    cmocka_unit_test(every_member_of_a_session_is_judged),
    cmocka_unit_test(hostile_sessions_are_refused_by_field),
    cmocka_unit_test(a_failure_names_the_whole_path),
    cmocka_unit_test(a_session_of_eight_mebibytes_is_the_limit),
    cmocka_unit_test(a_split_takes_out_what_the_store_owns),
    cmocka_unit_test(a_split_fills_in_missing_moments),
    cmocka_unit_test(a_join_puts_state_messages_and_rev_back),
    cmocka_unit_test(a_join_without_state_adds_nothing),
    cmocka_unit_test(a_join_shows_the_model_of_the_latest_job),
    cmocka_unit_test(what_was_split_can_be_joined),
    cmocka_unit_test(the_assignment_is_the_last_user_message),
    cmocka_unit_test(without_a_user_message_the_title_is_the_assignment),
    cmocka_unit_test(affinity_is_what_a_worker_was_made_for),
};
RZ_FACTS(tests)
