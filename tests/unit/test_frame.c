/* test_frame.c - frames between parent and worker against their golden bytes. */
#include "facts.h"

#include "vector_file.h"
#include "wire/frame.h"

#define SPAN(text) RZ_STR(text)

typedef struct {
    const char *file;
    bool canonical; /* encode gives the same bytes */
    rz_parent_frame_t frame;
} parent_vector_t;

static const parent_vector_t parents[] = {
    { "run",
      true,
      { .kind = RZ_PARENT_RUN,
        .kind_name = "run",
        .assignment = SPAN("\"Count the TODOs in src/\""),
        .messages =
            SPAN("[{\"id\":\"m1\",\"role\":\"system\",\"content\":\"You are a helper.\",\"created_at\":"
                 "\"2026-06-16T09:29:58Z\"},{\"id\":\"m2\",\"role\":\"user\",\"content\":\"Count the TODOs "
                 "in src/\",\"created_at\":\"2026-06-16T09:29:59Z\"}]") } },
    { "run-bare",
      true,
      { .kind = RZ_PARENT_RUN,
        .kind_name = "run",
        .assignment = SPAN("\"Say \\\"h\xc3\xa9\\\\n\\\" twice\""),
        .reasoning_effort = "high" } },
    { "run-again",
      true,
      { .kind = RZ_PARENT_RUN,
        .kind_name = "run",
        .assignment = SPAN("\"x\""),
        .attempt = 2,
        .previous_error = "runner lost: r1" } },
    { "run-later-stage",
      false,
      { .kind = RZ_PARENT_RUN, .kind_name = "run", .assignment = SPAN("\"x\""), .messages = SPAN("[]") } },
    { "message",
      true,
      { .kind = RZ_PARENT_MESSAGE, .kind_name = "message", .text = "skip the vendored folder" } },
    { "cancel", true, { .kind = RZ_PARENT_CANCEL, .kind_name = "cancel" } },
    { "approval-reply",
      true,
      { .kind = RZ_PARENT_APPROVAL_REPLY, .kind_name = "approval_reply", .id = "sa-0", .approved = true } },
    { "subagent-reply",
      true,
      { .kind = RZ_PARENT_SUBAGENT_REPLY,
        .kind_name = "subagent_reply",
        .id = "sa-1",
        .body = SPAN("{\"child\":\"ch-9\"}") } },
    { "unknown", false, { .kind = RZ_PARENT_OTHER, .kind_name = "owned_tree_reply" } },
};

typedef struct {
    const char *file;
    bool canonical;
    rz_child_frame_t frame;
} child_vector_t;

static const child_vector_t children[] = {
    { "event",
      true,
      { .kind = RZ_CHILD_EVENT,
        .kind_name = "event",
        .event = SPAN("{\"type\":\"token\",\"content\":\"There are \"}") } },
    { "event-odd", true, { .kind = RZ_CHILD_EVENT, .kind_name = "event", .event = SPAN("null") } },
    { "completed",
      true,
      { .kind = RZ_CHILD_TERMINAL,
        .kind_name = "terminal",
        .status = RZ_WORKER_COMPLETED,
        .result = SPAN("\"There are 12 TODOs.\"") } },
    { "completed-bare",
      true,
      { .kind = RZ_CHILD_TERMINAL, .kind_name = "terminal", .status = RZ_WORKER_COMPLETED } },
    { "error",
      true,
      { .kind = RZ_CHILD_TERMINAL,
        .kind_name = "terminal",
        .status = RZ_WORKER_ERROR,
        .error = "LLM error: 529 overloaded" } },
    { "cancelled",
      true,
      { .kind = RZ_CHILD_TERMINAL, .kind_name = "terminal", .status = RZ_WORKER_CANCELLED } },
    { "suspended",
      false,
      { .kind = RZ_CHILD_TERMINAL, .kind_name = "terminal", .status = RZ_WORKER_SUSPENDED } },
    { "approval-request",
      true,
      { .kind = RZ_CHILD_APPROVAL_REQUEST,
        .kind_name = "approval_request",
        .id = "sa-0",
        .body = SPAN("{\"tool_name\":\"Bash\",\"permission\":\"execute\",\"resource\":\"rm -rf build\"}") } },
    { "subagent-request",
      true,
      { .kind = RZ_CHILD_SUBAGENT_REQUEST,
        .kind_name = "subagent_request",
        .id = "sa-2",
        .body = SPAN("[\"any\",1]") } },
    { "event-batch",
      true,
      { .kind = RZ_CHILD_EVENT_BATCH,
        .kind_name = "event_batch",
        .batch =
            SPAN("{\"execution_epoch\":3,\"first_seq\":1,\"last_seq\":2,\"qos\":\"ephemeral\",\"events\":["
                 "{\"type\":\"token\",\"content\":\"a \"},{\"type\":\"token\",\"content\":\"b \"}]}") } },
    { "unknown", false, { .kind = RZ_CHILD_OTHER, .kind_name = "owned_tree_request" } },
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void same_span(rz_str_t got, rz_str_t want)
{
    assert_int_equal(got.n, want.n);
    if (want.n > 0)
        assert_memory_equal(got.p, want.p, want.n);
}

static void same_text(const char *got, const char *want)
{
    assert_int_equal(got != NULL, want != NULL);
    if (want != NULL)
        assert_string_equal(got, want);
}

static void same_bytes(const rz_buf_t *got, const char *want, size_t len)
{
    assert_int_equal(got->len, len);
    assert_memory_equal(got->data, want, len);
}

static void every_parent_frame_decodes_to_its_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parents); i++) {
        const rz_parent_frame_t *want = &parents[i].frame;
        size_t len;
        char *bytes = vector_read("parent-frame", parents[i].file, &len);
        rz_parent_frame_t got;
        rz_err_t err = { 0 };
        assert_int_equal(rz_parent_frame_decode(bytes, len, &got, &err), RZ_OK);
        assert_int_equal(got.kind, want->kind);
        same_text(got.kind_name, want->kind_name);
        same_span(got.assignment, want->assignment);
        same_text(got.reasoning_effort, want->reasoning_effort);
        same_text(got.previous_error, want->previous_error);
        assert_int_equal(got.attempt, want->attempt);
        same_span(got.messages, want->messages);
        same_text(got.text, want->text);
        same_text(got.id, want->id);
        assert_int_equal(got.approved, want->approved);
        same_span(got.body, want->body);
        rz_parent_frame_fini(&got);
        rz_free(bytes);
    }
}

static void every_canonical_parent_frame_encodes_to_its_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parents); i++) {
        if (!parents[i].canonical)
            continue;
        size_t len;
        char *bytes = vector_read("parent-frame", parents[i].file, &len);
        rz_buf_t out = { 0 };
        rz_parent_frame_encode(&parents[i].frame, &out);
        same_bytes(&out, bytes, len);
        rz_buf_fini(&out);
        rz_free(bytes);
    }
}

static void a_parent_frame_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parents); i++) {
        size_t len;
        char *bytes = vector_read("parent-frame", parents[i].file, &len);
        for (size_t n = 0; n < len; n++) {
            char *cut = vector_cut(bytes, n);
            rz_parent_frame_t got;
            rz_err_t err = { 0 };
            assert_int_equal(rz_parent_frame_decode(cut, n, &got, &err), RZ_BAD_JSON);
            rz_free(cut);
        }
        rz_free(bytes);
    }
}

static void every_child_frame_decodes_to_its_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(children); i++) {
        const rz_child_frame_t *want = &children[i].frame;
        size_t len;
        char *bytes = vector_read("child-frame", children[i].file, &len);
        rz_child_frame_t got;
        rz_err_t err = { 0 };
        assert_int_equal(rz_child_frame_decode(bytes, len, &got, &err), RZ_OK);
        assert_int_equal(got.kind, want->kind);
        same_text(got.kind_name, want->kind_name);
        same_span(got.event, want->event);
        assert_int_equal(got.status, want->status);
        same_span(got.result, want->result);
        same_text(got.error, want->error);
        same_text(got.id, want->id);
        same_span(got.body, want->body);
        same_span(got.batch, want->batch);
        rz_child_frame_fini(&got);
        rz_free(bytes);
    }
}

static void every_canonical_child_frame_encodes_to_its_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(children); i++) {
        if (!children[i].canonical)
            continue;
        size_t len;
        char *bytes = vector_read("child-frame", children[i].file, &len);
        rz_buf_t out = { 0 };
        rz_child_frame_encode(&children[i].frame, &out);
        same_bytes(&out, bytes, len);
        rz_buf_fini(&out);
        rz_free(bytes);
    }
}

static void a_child_frame_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(children); i++) {
        size_t len;
        char *bytes = vector_read("child-frame", children[i].file, &len);
        for (size_t n = 0; n < len; n++) {
            char *cut = vector_cut(bytes, n);
            rz_child_frame_t got;
            rz_err_t err = { 0 };
            assert_int_equal(rz_child_frame_decode(cut, n, &got, &err), RZ_BAD_JSON);
            rz_free(cut);
        }
        rz_free(bytes);
    }
}

static void the_quick_event_encoder_gives_the_same_bytes(void **state)
{
    (void)state;
    size_t len;
    char *bytes = vector_read("child-frame", "event", &len);
    rz_buf_t out = { 0 };
    rz_child_event_encode(RZ_STR("{\"type\":\"token\",\"content\":\"There are \"}"), &out);
    same_bytes(&out, bytes, len);
    rz_buf_fini(&out);
    rz_free(bytes);
}

typedef struct {
    const char *bytes;
    rz_rc_t rc;
    const char *field;
} refusal_t;

static void a_bad_parent_frame_is_refused_by_field(void **state)
{
    (void)state;
    static const refusal_t bad[] = {
        { "{}", RZ_MISSING_FIELD, "kind" },
        { "{\"kind\":7}", RZ_BAD_FIELD, "kind" },
        { "{\"kind\":\"run\"}", RZ_MISSING_FIELD, "assignment" },
        { "{\"kind\":\"run\",\"assignment\":null}", RZ_MISSING_FIELD, "assignment" },
        { "{\"kind\":\"run\",\"assignment\":[]}", RZ_BAD_FIELD, "assignment" },
        { "{\"kind\":\"run\",\"assignment\":\"a\",\"messages\":null}", RZ_BAD_FIELD, "messages" },
        { "{\"kind\":\"run\",\"assignment\":\"a\",\"messages\":{}}", RZ_BAD_FIELD, "messages" },
        { "{\"kind\":\"message\"}", RZ_MISSING_FIELD, "text" },
        { "{\"kind\":\"approval_reply\",\"id\":\"x\"}", RZ_MISSING_FIELD, "approved" },
        { "[1]", RZ_BAD_FIELD, NULL },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        rz_parent_frame_t got;
        rz_err_t err = { 0 };
        rz_rc_t rc = rz_parent_frame_decode(bad[i].bytes, strlen(bad[i].bytes), &got, &err);
        assert_int_not_equal(rc, RZ_OK);
        if (bad[i].field == NULL)
            continue;
        assert_int_equal(rc, bad[i].rc);
        assert_string_equal(err.field, bad[i].field);
    }
}

static void a_bad_child_frame_is_refused_by_field(void **state)
{
    (void)state;
    static const refusal_t bad[] = {
        { "{\"kind\":\"event\"}", RZ_MISSING_FIELD, "event" },
        { "{\"kind\":\"terminal\"}", RZ_MISSING_FIELD, "status" },
        { "{\"kind\":\"terminal\",\"status\":\"done\"}", RZ_BAD_FIELD, "status" },
        { "{\"kind\":\"terminal\",\"status\":\"completed\",\"result\":1}", RZ_BAD_FIELD, "result" },
        { "{\"kind\":\"approval_request\",\"body\":1}", RZ_MISSING_FIELD, "id" },
        { "{\"kind\":\"event_batch\",\"batch\":[]}", RZ_BAD_FIELD, "batch" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        rz_child_frame_t got;
        rz_err_t err = { 0 };
        assert_int_equal(rz_child_frame_decode(bad[i].bytes, strlen(bad[i].bytes), &got, &err), bad[i].rc);
        assert_string_equal(err.field, bad[i].field);
    }
}

static void an_empty_conversation_is_left_out_of_a_run(void **state)
{
    (void)state;
    rz_parent_frame_t run = { .kind = RZ_PARENT_RUN,
                              .assignment = RZ_STR("\"a\""),
                              .messages = RZ_STR("[ ]") };
    rz_buf_t out = { 0 };
    rz_parent_frame_encode(&run, &out);
    assert_string_equal(out.data, "{\"kind\":\"run\",\"assignment\":\"a\"}");
    rz_buf_fini(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_parent_frame_decodes_to_its_meaning),
    cmocka_unit_test(every_canonical_parent_frame_encodes_to_its_bytes),
    cmocka_unit_test(a_parent_frame_cut_anywhere_is_refused),
    cmocka_unit_test(every_child_frame_decodes_to_its_meaning),
    cmocka_unit_test(every_canonical_child_frame_encodes_to_its_bytes),
    cmocka_unit_test(a_child_frame_cut_anywhere_is_refused),
    cmocka_unit_test(the_quick_event_encoder_gives_the_same_bytes),
    cmocka_unit_test(a_bad_parent_frame_is_refused_by_field),
    cmocka_unit_test(a_bad_child_frame_is_refused_by_field),
    cmocka_unit_test(an_empty_conversation_is_left_out_of_a_run),
};

RZ_FACTS(tests)
