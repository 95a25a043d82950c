/* test_control.c - control requests and replies. */
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/control.h"

static rz_rc_t decode(const char *bytes, size_t len, rz_err_t *err)
{
    rz_control_request_t request;
    rz_rc_t rc = rz_control_decode(bytes, len, &request, err);
    if (rc == RZ_OK)
        rz_control_fini(&request);
    return rc;
}

static rz_control_request_t request_of(const rz_buf_t *document)
{
    rz_control_request_t request;
    rz_err_t err = { 0 };
    if (rz_control_decode(document->data, document->len, &request, &err) != RZ_OK)
        fail_msg("%s %s", err.field, err.text);
    return request;
}

static void reencode(const char *name, rz_str_t document)
{
    rz_control_request_t request;
    rz_buf_t written = { 0 };
    rz_err_t err = { 0 };
    assert_cuts_refused(decode, document);
    assert_int_equal(rz_control_decode(document.p, document.n, &request, &err), RZ_OK);
    rz_control_encode(&request, &written);
    if (strcmp(name, "lenient") != 0 && strcmp(name, "unversioned") != 0 &&
        !rz_str_eq(document, written.data))
        fail_msg("%s: %s", name, written.data);
    rz_buf_fini(&written);
    rz_control_fini(&request);
}

static void every_request_survives_a_round_trip_and_no_cut(void **state)
{
    (void)state;
    vectors_each("control-request", reencode);
}

static void every_operation_has_a_vector(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RZ_CONTROL_OP_COUNT; i++) {
        rz_buf_t document = vector_load("control-request", rz_control_op_name((rz_control_op_t)i));
        rz_control_request_t request = request_of(&document);
        assert_int_equal(request.op, i);
        rz_control_fini(&request);
        rz_buf_fini(&document);
    }
}

static void requests_mean_what_they_say(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "send");
    rz_control_request_t r = request_of(&document);
    assert_true(rz_str_eq(r.id, "4"));
    assert_string_equal(r.child, "ch-41");
    assert_string_equal(r.text, "skip the vendored folder");
    assert_string_equal(r.message_id, "msg-1");
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "replay");
    r = request_of(&document);
    assert_int_equal(r.limit, 50);
    assert_int_equal(r.from_epoch, 3);
    assert_int_equal(r.from_seq, 7);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "cancel");
    r = request_of(&document);
    assert_true(r.now);
    assert_true(rz_str_eq(r.id, "null"));
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "wait");
    r = request_of(&document);
    assert_int_equal(r.timeout_ms, 30000);
    assert_null(r.job_id);
    assert_true(rz_str_eq(r.id, "{\"any\":[1,\"value\"]}"));
    rz_control_fini(&r);
    rz_buf_fini(&document);
}

static void a_wait_names_one_child_or_several(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "wait-several");
    rz_control_request_t r = request_of(&document);
    assert_null(r.child);
    assert_int_equal(cJSON_GetArraySize(r.children), 2);
    assert_string_equal(r.children->child->valuestring, "ch-41");
    assert_int_equal(r.wait_for, RZ_WAIT_FIRST_ERROR);
    assert_int_equal(r.timeout_ms, 30000);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "wait-all");
    r = request_of(&document);
    assert_int_equal(r.wait_for, RZ_WAIT_ALL);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    static const hostile_t neither_nor_both[] = {
        { "{\"op\":\"wait\"}", RZ_MISSING_FIELD, "child" },
        { "{\"op\":\"wait\",\"children\":null,\"child\":null}", RZ_MISSING_FIELD, "child" },
        { "{\"op\":\"wait\",\"child\":\"a\",\"children\":[\"b\"]}", RZ_MISSING_FIELD, "child" },
    };
    assert_refused(decode, neither_nor_both, COUNT(neither_nor_both));
}

static void a_wait_of_a_parent_has_an_id_a_condition_and_a_time(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "wait_register");
    rz_control_request_t r = request_of(&document);
    assert_string_equal(r.parent, "root-7");
    assert_string_equal(r.wait_id, "w-1");
    assert_int_equal(cJSON_GetArraySize(r.children), 2);
    assert_int_equal(r.wait_for, RZ_WAIT_ANY);
    assert_int_equal(r.timeout_ms, 60000);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "wait_register-smallest");
    r = request_of(&document);
    assert_null(r.wait_id);
    assert_int_equal(r.wait_for, RZ_WAIT_ALL);
    assert_int_equal(r.timeout_ms, 0);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    static const char *const names[] = { "all", "any", "first_error" };
    for (unsigned i = 0; i < COUNT(names); i++)
        assert_string_equal(rz_wait_for_name((rz_wait_for_t)i), names[i]);
}

static void a_list_may_be_narrowed_and_continued(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "list-filtered");
    rz_control_request_t r = request_of(&document);
    assert_string_equal(r.parent, "root-7");
    assert_string_equal(r.status, "error");
    assert_true(r.since_ms == 1781602200000u);
    assert_string_equal(r.before, "1781602200000:7");
    assert_int_equal(r.limit, 20);
    rz_control_fini(&r);
    rz_buf_fini(&document);
}

static void an_answer_to_a_question_says_yes_or_no(void **state)
{
    (void)state;
    static const char *const vectors[] = { "approve-deny", "approve" };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        rz_buf_t document = vector_load("control-request", vectors[i]);
        rz_control_request_t r = request_of(&document);
        assert_string_equal(r.child, "ch-41");
        assert_string_equal(r.request, "req-1");
        assert_int_equal(r.approved, i);
        rz_control_fini(&r);
        rz_buf_fini(&document);
    }
}

static void a_cancel_may_be_for_the_whole_tree(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "cancel-tree");
    rz_control_request_t r = request_of(&document);
    assert_true(r.tree);
    assert_false(r.now);
    rz_control_fini(&r);
    rz_buf_fini(&document);
}

static void what_is_absent_has_its_default(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "list-all");
    rz_control_request_t r = request_of(&document);
    assert_int_equal(r.id.n, 0);
    assert_null(r.parent);
    assert_int_equal(r.limit, 100);
    assert_null(r.status);
    assert_null(r.before);
    assert_int_equal(r.since_ms, 0);
    rz_control_fini(&r);
    rz_buf_fini(&document);

    document = vector_load("control-request", "cancel-gently");
    r = request_of(&document);
    assert_false(r.now);
    assert_false(r.tree);
    rz_control_fini(&r);
    rz_buf_fini(&document);
}

static void a_put_without_rev_is_a_put_of_something_new(void **state)
{
    (void)state;
    rz_buf_t with = vector_load("control-request", "session_put");
    rz_buf_t without = vector_load("control-request", "session_put-new");
    rz_control_request_t r = request_of(&with);
    assert_true(r.has_rev);
    assert_int_equal(r.rev, 4);
    assert_true(rz_json_is(rz_json_member(r.session, "id"), "ch-41"));
    rz_control_fini(&r);
    r = request_of(&without);
    assert_false(r.has_rev);
    assert_int_equal(r.rev, 0);
    rz_control_fini(&r);
    rz_buf_fini(&with);
    rz_buf_fini(&without);
}

static void a_job_inside_a_request_can_be_decoded_from_there(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("control-request", "submit");
    rz_control_request_t r = request_of(&document);
    rz_job_t job;
    assert_int_equal(rz_job_decode_checked(r.job, &job, NULL), RZ_OK);
    assert_string_equal(job.child, "ch-41");
    rz_job_fini(&job);
    rz_control_fini(&r);
    rz_buf_fini(&document);
}

static void every_member_of_a_request_is_judged(void **state)
{
    (void)state;
    static const rule_t get[] = { { "child", AN_ID, RZ_REQUIRED, 0, 0 },
                                  { "job_id", AN_ID, RZ_OPTIONAL, 0, 0 } };
    static const rule_t list[] = { { "parent", AN_ID, RZ_OPTIONAL, 0, 0 },
                                   { "status", A_CHOICE, RZ_OPTIONAL, 0, 0 },
                                   { "since_ms", A_NUMBER, RZ_OPTIONAL, 0, 9007199254740991u },
                                   { "limit", A_NUMBER, RZ_OPTIONAL, 1, 1000 } };
    static const rule_t wait[] = { { "timeout_ms", A_NUMBER, RZ_OPTIONAL, 1, 86400000 } };
    static const rule_t several[] = { { "wait_for", A_CHOICE, RZ_OPTIONAL, 0, 0 } };
    static const rule_t cancel[] = { { "now", A_FLAG, RZ_OPTIONAL, 0, 0 },
                                     { "tree", A_FLAG, RZ_OPTIONAL, 0, 0 } };
    static const rule_t send[] = { { "text", A_TEXT, RZ_REQUIRED, 0, RZ_TEXT_MAX },
                                   { "message_id", AN_ID, RZ_OPTIONAL, 0, 0 } };
    static const rule_t sync[] = { { "nonce", AN_ID, RZ_REQUIRED, 0, 0 } };
    static const rule_t put[] = { { "rev", A_NUMBER, RZ_OPTIONAL, 0, 9007199254740991u },
                                  { "session", AN_OBJECT, RZ_REQUIRED, 0, 0 } };
    static const rule_t submit[] = { { "job", AN_OBJECT, RZ_REQUIRED, 0, 0 } };
    static const rule_t replay[] = { { "from_epoch", A_NUMBER, RZ_OPTIONAL, 0, 9007199254740991u },
                                     { "from_seq", A_NUMBER, RZ_OPTIONAL, 0, 9007199254740991u } };
    static const rule_t reg[] = { { "parent", AN_ID, RZ_REQUIRED, 0, 0 },
                                  { "wait_id", AN_ID, RZ_OPTIONAL, 0, 0 },
                                  { "wait_for", A_CHOICE, RZ_OPTIONAL, 0, 0 },
                                  { "timeout_ms", A_NUMBER, RZ_OPTIONAL, 1, 86400000 } };
    static const rule_t wait_get[] = { { "parent", AN_ID, RZ_REQUIRED, 0, 0 },
                                       { "wait_id", AN_ID, RZ_REQUIRED, 0, 0 } };
    static const rule_t approve[] = { { "child", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "request", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "approved", A_FLAG, RZ_REQUIRED, 0, 0 } };
    static const rule_t child[] = { { "child", AN_ID, RZ_REQUIRED, 0, 0 } };
    assert_rules_hold(decode, "control-request", "get", get, COUNT(get));
    assert_rules_hold(decode, "control-request", "list", list, COUNT(list));
    assert_rules_hold(decode, "control-request", "wait", wait, COUNT(wait));
    assert_rules_hold(decode, "control-request", "cancel", cancel, COUNT(cancel));
    assert_rules_hold(decode, "control-request", "send", send, COUNT(send));
    assert_rules_hold(decode, "control-request", "sync", sync, COUNT(sync));
    assert_rules_hold(decode, "control-request", "session_put", put, COUNT(put));
    assert_rules_hold(decode, "control-request", "submit", submit, COUNT(submit));
    assert_rules_hold(decode, "control-request", "replay", replay, COUNT(replay));
    assert_rules_hold(decode, "control-request", "wait-several", several, COUNT(several));
    assert_rules_hold(decode, "control-request", "wait_register", reg, COUNT(reg));
    assert_rules_hold(decode, "control-request", "wait_get", wait_get, COUNT(wait_get));
    assert_rules_hold(decode, "control-request", "approve", approve, COUNT(approve));
    assert_rules_hold(decode, "control-request", "retry", child, COUNT(child));
    assert_rules_hold(decode, "control-request", "explain", child, COUNT(child));
}

static void hostile_requests_are_refused_by_field(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "", RZ_BAD_JSON, "" },
        { "7", RZ_BAD_JSON, "" },
        { "{}", RZ_MISSING_FIELD, "op" },
        { "{\"op\":7}", RZ_BAD_FIELD, "op" },
        { "{\"op\":\"explode\"}", RZ_BAD_KIND, "op" },
        { "{\"op\":\"Hello\"}", RZ_BAD_KIND, "op" },
        { "{\"op\":\"hello\",\"v\":3}", RZ_BAD_VERSION, "v" },
        { "{\"op\":\"hello\",\"v\":\"1\"}", RZ_BAD_FIELD, "v" },
        { "{\"op\":\"submit\",\"job\":[]}", RZ_BAD_FIELD, "job" },
        { "{\"op\":\"hello\",\"op\":\"hello\"}", RZ_BAD_JSON, "" },
        { "{\"op\":\"list\",\"before\":7}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\"\"}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\"17\"}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\"17:\"}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\":3\"}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\"17:3:\"}", RZ_BAD_FIELD, "before" },
        { "{\"op\":\"list\",\"before\":\"12345678901234567890123456789012:34567890123456789012345678901234\"}",
          RZ_TOO_LARGE, "before" },
    };
    assert_refused(decode, table, COUNT(table));
}

#define REGISTER "{\"op\":\"wait_register\",\"parent\":\"p\""

static void the_children_of_a_wait_are_distinct_ids(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { REGISTER "}", RZ_MISSING_FIELD, "children" },
        { REGISTER ",\"children\":null}", RZ_MISSING_FIELD, "children" },
        { REGISTER ",\"children\":\"a\"}", RZ_BAD_FIELD, "children" },
        { REGISTER ",\"children\":[]}", RZ_BAD_FIELD, "children" },
        { REGISTER ",\"children\":[7]}", RZ_BAD_FIELD, "children[0]" },
        { REGISTER ",\"children\":[\"a\",\"a b\"]}", RZ_BAD_ID, "children[1]" },
        { REGISTER ",\"children\":[\"a\",\"b\",\"a\"]}", RZ_BAD_FIELD, "children[2]" },
        { "{\"op\":\"wait\",\"children\":[]}", RZ_BAD_FIELD, "children" },
        { "{\"op\":\"wait\",\"children\":[\"a/b\"]}", RZ_BAD_ID, "children[0]" },
    };
    assert_refused(decode, table, COUNT(table));
}

static void a_wait_takes_as_many_children_as_a_list_holds(void **state)
{
    (void)state;
    for (unsigned n = RZ_LIST_MAX; n <= RZ_LIST_MAX + 1; n++) {
        rz_buf_t text = { 0 };
        rz_err_t err = { 0 };
        rz_buf_puts(&text, REGISTER ",\"children\":[");
        for (unsigned i = 0; i < n; i++)
            rz_buf_printf(&text, "%s\"c%u\"", i > 0 ? "," : "", i);
        rz_buf_puts(&text, "]}");
        assert_int_equal(decode(text.data, text.len, &err), n == RZ_LIST_MAX ? RZ_OK : RZ_TOO_LARGE);
        assert_string_equal(err.field, n == RZ_LIST_MAX ? "" : "children");
        rz_buf_fini(&text);
    }
}

static void an_unknown_operation_is_told_the_known_ones(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    static const char text[] = "{\"op\":\"explode\"}";
    assert_int_equal(decode(text, sizeof text - 1, &err), RZ_BAD_KIND);
    assert_non_null(strstr(err.text, "explode"));
    for (unsigned i = 0; i < RZ_CONTROL_OP_COUNT; i++)
        assert_non_null(strstr(err.text, rz_control_op_name((rz_control_op_t)i)));
}

static void a_refused_request_still_gives_its_id(void **state)
{
    (void)state;
    static const char text[] = "{\"id\":[7],\"op\":\"get\"}", broken[] = "{\"id\":[7],\"op\":}";
    rz_control_request_t request;
    assert_int_equal(rz_control_decode(text, sizeof text - 1, &request, NULL), RZ_MISSING_FIELD);
    assert_true(rz_str_eq(request.id, "[7]"));
    assert_int_equal(rz_control_decode(broken, sizeof broken - 1, &request, NULL), RZ_BAD_JSON);
    assert_int_equal(request.id.n, 0);
}

static void an_id_too_large_to_repeat_is_refused(void **state)
{
    (void)state;
    for (size_t n = 1024; n <= 1025; n++) { /* bytes of the id with its quotes */
        rz_buf_t text = { 0 };
        rz_buf_puts(&text, "{\"op\":\"hello\",\"id\":\"");
        for (size_t i = 2; i < n; i++)
            rz_buf_putc(&text, 'a');
        rz_buf_puts(&text, "\"}");
        rz_control_request_t request;
        rz_err_t err = { 0 };
        rz_rc_t rc = rz_control_decode(text.data, text.len, &request, &err);
        assert_int_equal(rc, n == 1024 ? RZ_OK : RZ_TOO_LARGE);
        assert_int_equal(request.id.n, n == 1024 ? n : 0);
        assert_string_equal(err.field, n == 1024 ? "" : "id");
        if (rc == RZ_OK)
            rz_control_fini(&request);
        rz_buf_fini(&text);
    }
}

/* ---- replies ---- */

static void replies_are_written_as_agreed(void **state)
{
    (void)state;
    rz_buf_t written = { 0 }, agreed = vector_load("control-reply", "ok");
    rz_control_reply(&written, 1, "hello", RZ_STR("1"), RZ_OK, NULL);
    rz_json_put_str(&written, "broker", "b-1");
    rz_json_put_u64(&written, "protocol", 1);
    rz_json_close(&written, '}');
    assert_bytes(&written, &agreed);
    rz_buf_fini(&agreed);

    rz_err_t err = { 0 };
    rz_fail_field(&err, RZ_BAD_ID, "child_session_id", "must be an id");
    agreed = vector_load("control-reply", "bad-id");
    rz_control_reply(&written, 1, "submit", RZ_STR("7"), RZ_BAD_ID, &err);
    rz_json_close(&written, '}');
    assert_bytes(&written, &agreed);
    rz_buf_fini(&agreed);

    rz_err_t unreadable = { 0 };
    rz_fail(&unreadable, RZ_BAD_JSON, "byte 3: a value was expected");
    agreed = vector_load("control-reply", "not-json");
    rz_control_reply(&written, 1, NULL, (rz_str_t){ NULL, 0 }, RZ_BAD_JSON, &unreadable);
    rz_json_close(&written, '}');
    assert_bytes(&written, &agreed);
    rz_buf_fini(&agreed);
}

static void a_code_without_an_error_brings_its_sentence(void **state)
{
    (void)state;
    rz_buf_t written = { 0 };
    rz_control_reply(&written, 1, "get", (rz_str_t){ NULL, 0 }, RZ_NOT_FOUND, NULL);
    rz_json_close(&written, '}');
    assert_true(rz_json_is(rz_json_member(rz_buf_str(&written), "message"), rz_rc_text(RZ_NOT_FOUND)));
    rz_buf_fini(&written);
}

static void success_has_no_message(void **state)
{
    (void)state;
    static const rz_rc_t codes[] = { RZ_OK, RZ_DUPLICATE };
    for (size_t i = 0; i < COUNT(codes); i++) {
        rz_buf_t written = { 0 };
        rz_control_reply(&written, 1, "submit", (rz_str_t){ NULL, 0 }, codes[i], NULL);
        rz_json_close(&written, '}');
        assert_int_equal(rz_json_member(rz_buf_str(&written), "message").n, 0);
        rz_buf_fini(&written);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_request_survives_a_round_trip_and_no_cut),
    cmocka_unit_test(every_operation_has_a_vector),
    cmocka_unit_test(requests_mean_what_they_say),
    cmocka_unit_test(a_wait_names_one_child_or_several),
    cmocka_unit_test(a_wait_of_a_parent_has_an_id_a_condition_and_a_time),
    cmocka_unit_test(a_list_may_be_narrowed_and_continued),
    cmocka_unit_test(an_answer_to_a_question_says_yes_or_no),
    cmocka_unit_test(a_cancel_may_be_for_the_whole_tree),
    cmocka_unit_test(what_is_absent_has_its_default),
    cmocka_unit_test(a_put_without_rev_is_a_put_of_something_new),
    cmocka_unit_test(a_job_inside_a_request_can_be_decoded_from_there),
    cmocka_unit_test(every_member_of_a_request_is_judged),
    cmocka_unit_test(hostile_requests_are_refused_by_field),
    cmocka_unit_test(the_children_of_a_wait_are_distinct_ids),
    cmocka_unit_test(a_wait_takes_as_many_children_as_a_list_holds),
    cmocka_unit_test(an_unknown_operation_is_told_the_known_ones),
    cmocka_unit_test(a_refused_request_still_gives_its_id),
    cmocka_unit_test(an_id_too_large_to_repeat_is_refused),
    cmocka_unit_test(replies_are_written_as_agreed),
    cmocka_unit_test(a_code_without_an_error_brings_its_sentence),
    cmocka_unit_test(success_has_no_message),
};
RZ_FACTS(tests)
