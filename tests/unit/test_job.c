/* test_job.c - spawn jobs: meaning, canonical bytes, identity. */
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/job.h"
#include "wire/session.h"

static rz_rc_t decode(const char *bytes, size_t len, rz_err_t *err)
{
    rz_job_t job;
    rz_rc_t rc = rz_job_decode(bytes, len, &job, err);
    if (rc == RZ_OK)
        rz_job_fini(&job);
    return rc;
}

static rz_job_t job_of(const rz_buf_t *document)
{
    rz_job_t job;
    rz_err_t err = { 0 };
    if (rz_job_decode(document->data, document->len, &job, &err) != RZ_OK)
        fail_msg("%s %s", err.field, err.text);
    return job;
}

static void a_full_job_means_what_it_says(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("spawn-job", "full");
    rz_job_t job = job_of(&document);
    assert_string_equal(job.parent, "root-7");
    assert_string_equal(job.child, "ch-41");
    assert_string_equal(job.model, "m-1");
    assert_string_equal(job.job_id, "j-1");
    assert_string_equal(job.tenant, "acme");
    assert_string_equal(job.traceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_string_equal(job.profile, "survey");
    assert_int_equal(cJSON_GetArraySize(job.labels), 2);
    assert_string_equal(cJSON_GetArrayItem(job.disabled_tools, 0)->valuestring, "Edit");
    assert_int_equal(job.max_attempts, 3);
    assert_int_equal(job.priority, RZ_PRIORITY_HIGH);
    assert_true(rz_json_is(rz_json_member(job.message, "content"), "and the FIXMEs"));
    rz_session_t session;
    assert_int_equal(rz_session_decode(job.session, "session.", &session, NULL), RZ_OK);
    assert_int_equal(session.message_count, 2);
    rz_session_fini(&session);
    rz_job_fini(&job);
    rz_buf_fini(&document);
}

static void the_smallest_job_has_defaults(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("spawn-job", "smallest");
    rz_job_t job = job_of(&document);
    assert_string_equal(job.model, "");
    assert_null(job.job_id);
    assert_null(job.tenant);
    assert_null(job.traceparent);
    assert_null(job.profile);
    assert_null(job.labels);
    assert_null(job.disabled_tools);
    assert_int_equal(job.max_attempts, 1);
    assert_int_equal(job.priority, RZ_PRIORITY_NORMAL);
    assert_int_equal(job.session.n, 0);
    assert_false(job.has_queue_limit);
    assert_int_equal(job.message.n, 0);
    rz_job_fini(&job);
    rz_buf_fini(&document);
}

static void a_job_may_say_how_long_it_waits_for_a_runner(void **state)
{
    (void)state;
    static const struct {
        const char *vector;
        uint64_t secs;
    } table[] = { { "queue-limit", 600 }, { "queue-forever", 0 } };
    for (size_t i = 0; i < COUNT(table); i++) {
        rz_buf_t document = vector_load("spawn-job", table[i].vector);
        rz_job_t job = job_of(&document);
        assert_true(job.has_queue_limit);
        assert_int_equal(job.max_queue_secs, table[i].secs);
        rz_job_fini(&job);
        rz_buf_fini(&document);
    }
    static const char null[] =
        "{\"parent_session_id\":\"p\",\"child_session_id\":\"c\",\"max_queue_secs\":null}";
    rz_job_t job;
    assert_int_equal(rz_job_decode(null, sizeof null - 1, &job, NULL), RZ_OK);
    assert_false(job.has_queue_limit);
    rz_job_fini(&job);
}

/* Stricter than with other members: a requirement that nobody looks at would be a promise that nobody keeps. */
static void a_requirement_that_nobody_knows_is_refused_by_name(void **state)
{
    (void)state;
    static const char job_bytes[] = "{\"parent_session_id\":\"p\",\"child_session_id\":\"c\","
                                    "\"require\":{\"labels\":[\"gpu\"],\"credentials\":[\"openai\"]}}";
    rz_job_t job;
    rz_err_t err = { 0 };
    assert_int_equal(rz_job_decode(job_bytes, sizeof job_bytes - 1, &job, &err), RZ_BAD_FIELD);
    assert_string_equal(err.field, "require.credentials");
}

static void an_empty_list_is_not_an_absent_one(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("spawn-job", "empty-lists");
    rz_job_t job = job_of(&document);
    assert_non_null(job.labels);
    assert_non_null(job.disabled_tools);
    assert_int_equal(cJSON_GetArraySize(job.disabled_tools), 0);
    assert_int_equal(job.priority, RZ_PRIORITY_LOW);
    rz_job_fini(&job);
    rz_buf_fini(&document);
}

static void null_optional_members_and_unknown_ones_change_nothing(void **state)
{
    (void)state;
    rz_buf_t lenient = vector_load("spawn-job", "lenient"), smallest = vector_load("spawn-job", "smallest");
    rz_job_t job = job_of(&lenient);
    rz_buf_t written = { 0 };
    rz_job_encode(&job, &written);
    assert_bytes(&written, &smallest);
    rz_job_fini(&job);
    rz_buf_fini(&lenient);
    rz_buf_fini(&smallest);
}

static void reencode(const char *name, rz_str_t document)
{
    if (strcmp(name, "lenient") == 0)
        return;
    rz_job_t job;
    rz_buf_t written = { 0 };
    assert_int_equal(rz_job_decode_checked(document, &job, NULL), RZ_OK);
    rz_job_encode(&job, &written);
    assert_true(rz_str_eq(document, written.data));
    rz_buf_fini(&written);
    rz_job_fini(&job);
}

static void jobs_are_written_as_agreed(void **state)
{
    (void)state;
    vectors_each("spawn-job", reencode);
    rz_job_t job = { .parent = "root-7",
                     .child = "ch-41",
                     .model = "claude-sonnet-4-6",
                     .max_attempts = 1,
                     .priority = RZ_PRIORITY_NORMAL };
    cJSON *tools = cJSON_Parse("[\"Bash\"]");
    job.disabled_tools = tools;
    rz_buf_t document = vector_load("spawn-job", "upstream"), written = { 0 };
    rz_job_encode(&job, &written);
    assert_bytes(&written, &document);
    cJSON_Delete(tools);
    rz_buf_fini(&document);
}

static void cut(const char *name, rz_str_t document)
{
    (void)name;
    assert_cuts_refused(decode, document);
}

static void a_job_cut_at_any_length_is_refused(void **state)
{
    (void)state;
    vectors_each("spawn-job", cut);
}

static void every_member_of_a_job_is_judged(void **state)
{
    (void)state;
    static const rule_t rules[] = {
        { "parent_session_id", AN_ID, RZ_REQUIRED, 0, 0 },
        { "child_session_id", AN_ID, RZ_REQUIRED, 0, 0 },
        { "model", A_TEXT, RZ_DEFAULTED, 0, RZ_NAME_MAX },
        { "job_id", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "tenant", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "traceparent", A_TEXT, RZ_OPTIONAL, 0, RZ_NAME_MAX },
        { "require", AN_OBJECT, RZ_OPTIONAL, 0, 0 },
        { "require.profile", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "disabled_tools", A_LIST, RZ_OPTIONAL, 0, RZ_NAME_MAX },
        { "max_attempts", A_NUMBER, RZ_DEFAULTED, 1, 100 },
        { "max_queue_secs", A_NUMBER, RZ_OPTIONAL, 0, 31536000 },
        { "priority", A_CHOICE, RZ_DEFAULTED, 0, 0 },
    };
    assert_rules_hold(decode, "spawn-job", "smallest", rules, COUNT(rules));
}

#define IDS "{\"parent_session_id\":\"p\",\"child_session_id\":\"c\","

static void hostile_jobs_are_refused_by_field(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "", RZ_BAD_JSON, "" },
        { "[]", RZ_BAD_JSON, "" },
        { "{} {}", RZ_BAD_JSON, "" },
        { IDS "\"require\":{\"labels\":\"gpu\"}}", RZ_BAD_FIELD, "require.labels" },
        { IDS "\"require\":{\"labels\":[\"gpu\",\"a b\"]}}", RZ_BAD_ID, "require.labels[1]" },
        { IDS "\"session\":7}", RZ_BAD_FIELD, "session" },
        { IDS "\"session\":{\"messages\":[]}}", RZ_MISSING_FIELD, "session.id" },
        { IDS "\"session\":{\"id\":\"d\",\"messages\":[]}}", RZ_BAD_FIELD, "session.id" },
        { IDS "\"session\":{\"id\":\"c\",\"parent_session_id\":\"q\",\"messages\":[]}}", RZ_BAD_FIELD,
          "session.parent_session_id" },
        { IDS "\"session\":{\"id\":\"c\",\"messages\":[{\"role\":\"user\"}]}}", RZ_MISSING_FIELD,
          "session.messages[0].content" },
        { IDS "\"session\":{\"id\":\"c\",\"messages\":[],\"metadata\":{\"k\":1}}}", RZ_BAD_FIELD,
          "session.metadata.k" },
        { IDS "\"message\":\"hi\"}", RZ_BAD_FIELD, "message" },
        { IDS "\"message\":{\"role\":\"user\"}}", RZ_MISSING_FIELD, "message.content" },
        { IDS "\"message\":{\"id\":\"a b\",\"role\":\"user\",\"content\":\"\"}}", RZ_BAD_ID, "message.id" },
    };
    assert_refused(decode, table, COUNT(table));
}

static rz_rc_t decode_padded(const char *before, size_t n, const char *after, rz_err_t *err)
{
    rz_buf_t text = { 0 };
    rz_buf_puts(&text, before);
    for (size_t i = 0; i < n; i++)
        rz_buf_putc(&text, 'a');
    rz_buf_puts(&text, after);
    rz_rc_t rc = decode(text.data, text.len, err);
    rz_buf_fini(&text);
    return rc;
}

static void a_job_and_its_session_have_limits_of_their_own(void **state)
{
    (void)state;
    static const char note[] = IDS "\"note\":\"", session[] = IDS "\"session\":", after[] = "\"}]}}";
    static const char inner[] = "{\"id\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":\"";
    char before[256];
    size_t room = RZ_JOB_MAX - (sizeof note - 1) - 2;
    rz_err_t err = { 0 };
    assert_int_equal(decode_padded(note, room, "\"}", &err), RZ_OK);
    assert_int_equal(decode_padded(note, room + 1, "\"}", &err), RZ_TOO_LARGE);

    rz_err_t second = { 0 };
    snprintf(before, sizeof before, "%s%s", session, inner);
    room = RZ_SESSION_MAX - (sizeof inner - 1) - (sizeof after - 1) + 1;
    assert_int_equal(decode_padded(before, room, after, &second), RZ_OK);
    assert_int_equal(decode_padded(before, room + 1, after, &second), RZ_TOO_LARGE);
    assert_string_equal(second.field, "session");
}

/* ---- identity ---- */

static void digest_of(const char *json, char out[RZ_DIGEST_LEN + 1])
{
    rz_job_t job;
    rz_err_t err = { 0 };
    if (rz_job_decode(json, strlen(json), &job, &err) != RZ_OK)
        fail_msg("%s: %s", err.text, json);
    rz_job_digest(&job, out);
    rz_job_fini(&job);
}

typedef struct {
    const char *a, *b;
    bool same;
} pair_t;

static void two_jobs_with_the_same_content_have_one_digest(void **state)
{
    (void)state;
    static const pair_t pairs[] = {
        { IDS "\"job_id\":\"j\"}",
          "{\"job_id\":\"j\",\"child_session_id\":\"c\",\"parent_session_id\":\"p\"}", true },
        { IDS "\"job_id\":\"j\"}", IDS "\"job_id\":\"j\",\"traceparent\":\"t\",\"unknown\":1}", true },
        { IDS "\"max_attempts\":1,\"priority\":\"normal\",\"model\":\"\"}", IDS "\"tenant\":null}", true },
        { IDS "\"job_id\":\"j\"}", IDS "\"job_id\":\"k\"}", false },
        { IDS "\"job_id\":\"j\"}", IDS "\"tenant\":\"j\"}", false },
        { IDS "\"model\":\"m\"}", IDS "\"model\":\"n\"}", false },
        { IDS "\"max_attempts\":1}", IDS "\"max_attempts\":2}", false },
        { IDS "\"max_queue_secs\":null}", IDS "\"max_attempts\":1}", true },
        { IDS "\"max_queue_secs\":0}", IDS "\"max_attempts\":1}", false },
        { IDS "\"max_queue_secs\":60}", IDS "\"max_queue_secs\":61}", false },
        { IDS "\"priority\":\"high\"}", IDS "\"priority\":\"low\"}", false },
        { IDS "\"disabled_tools\":[]}", IDS "\"disabled_tools\":null}", false },
        { IDS "\"disabled_tools\":[\"a\",\"b\"]}", IDS "\"disabled_tools\":[\"b\",\"a\",\"b\"]}", true },
        { IDS "\"disabled_tools\":[\"a,b\"]}", IDS "\"disabled_tools\":[\"a\",\"b\"]}", false },
        { IDS "\"require\":{\"labels\":[\"a\"]}}", IDS "\"require\":{\"profile\":\"a\"}}", false },
        { IDS "\"require\":{\"labels\":[\"a\",\"b\"]}}", IDS "\"require\":{\"labels\":[\"b\",\"a\"]}}",
          true },
        { IDS "\"message\":{\"role\":\"user\",\"content\":\"a\"}}",
          IDS "\"message\":{\"role\":\"user\",\"content\":\"b\"}}", false },
        { IDS "\"session\":{\"id\":\"c\",\"messages\":[]}}", IDS "\"session\":null}", false },
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        char a[RZ_DIGEST_LEN + 1], b[RZ_DIGEST_LEN + 1];
        digest_of(pairs[i].a, a);
        digest_of(pairs[i].b, b);
        if ((strcmp(a, b) == 0) != pairs[i].same)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

static void affinity_is_tenant_model_and_tools(void **state)
{
    (void)state;
    static const pair_t pairs[] = {
        { IDS "\"job_id\":\"j\",\"priority\":\"low\"}", IDS "\"max_attempts\":2}", true },
        { IDS "\"tenant\":\"a\"}", IDS "\"tenant\":\"b\"}", false },
        { IDS "\"model\":\"a\"}", IDS "\"tenant\":\"a\"}", false },
        { IDS "\"disabled_tools\":[\"a\",\"b\"]}", IDS "\"disabled_tools\":[\"b\",\"a\"]}", true },
        { IDS "\"disabled_tools\":[]}", IDS "\"model\":\"\"}", false },
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        rz_job_t a, b;
        char x[RZ_DIGEST_LEN + 1], y[RZ_DIGEST_LEN + 1];
        assert_int_equal(rz_job_decode(pairs[i].a, strlen(pairs[i].a), &a, NULL), RZ_OK);
        assert_int_equal(rz_job_decode(pairs[i].b, strlen(pairs[i].b), &b, NULL), RZ_OK);
        rz_job_affinity(&a, x);
        rz_job_affinity(&b, y);
        rz_job_fini(&a);
        rz_job_fini(&b);
        if ((strcmp(x, y) == 0) != pairs[i].same)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
    }
}

static void labels_are_sorted_and_said_once(void **state)
{
    (void)state;
    static const char text[] = IDS "\"require\":{\"labels\":[\"gpu\",\"arm64\",\"gpu\"]}}";
    rz_job_t job;
    rz_buf_t labels = { 0 };
    assert_int_equal(rz_job_decode(text, sizeof text - 1, &job, NULL), RZ_OK);
    rz_job_labels(&job, &labels);
    assert_true(rz_str_eq(rz_buf_str(&labels), "arm64,gpu"));
    rz_buf_clear(&labels);
    job.labels = NULL;
    rz_job_labels(&job, &labels);
    assert_int_equal(labels.len, 0);
    rz_buf_fini(&labels);
    rz_job_fini(&job);
}

/* Queued work outlives an upgrade: if these change, a resubmitted job becomes a CONFLICT and every idle
 * worker a stranger. */
static void digests_do_not_change_between_versions(void **state)
{
    (void)state;
    rz_buf_t document = vector_load("spawn-job", "full");
    rz_job_t job = job_of(&document);
    char digest[RZ_DIGEST_LEN + 1], affinity[RZ_DIGEST_LEN + 1];
    rz_job_digest(&job, digest);
    rz_job_affinity(&job, affinity);
    assert_string_equal(digest, "2d790adcf4e0a7a4e02865dc73514e2fdc546634bd53db7198bed38f814cb03b");
    assert_string_equal(affinity, "d231b1fc882dec2c4f3ddbb2e09ce9049c4b0c5f78b8fa0478a9bd69a5e8ef22");
    rz_job_fini(&job);
    rz_buf_fini(&document);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_full_job_means_what_it_says),
    cmocka_unit_test(the_smallest_job_has_defaults),
    cmocka_unit_test(a_job_may_say_how_long_it_waits_for_a_runner),
    cmocka_unit_test(an_empty_list_is_not_an_absent_one),
    cmocka_unit_test(null_optional_members_and_unknown_ones_change_nothing),
    cmocka_unit_test(jobs_are_written_as_agreed),
    cmocka_unit_test(a_requirement_that_nobody_knows_is_refused_by_name),
    cmocka_unit_test(a_job_cut_at_any_length_is_refused),
    cmocka_unit_test(every_member_of_a_job_is_judged),
    cmocka_unit_test(hostile_jobs_are_refused_by_field),
    cmocka_unit_test(a_job_and_its_session_have_limits_of_their_own),
    cmocka_unit_test(two_jobs_with_the_same_content_have_one_digest),
    cmocka_unit_test(affinity_is_tenant_model_and_tools),
    cmocka_unit_test(labels_are_sorted_and_said_once),
    cmocka_unit_test(digests_do_not_change_between_versions),
};
RZ_FACTS(tests)
