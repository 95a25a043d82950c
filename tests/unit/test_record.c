/* test_record.c - the AgentRecord against its golden bytes, its lease, and the endpoints we are ready to
 * call. */
#include "facts.h"

#include "base/clock.h"
#include "vector_file.h"
#include "wire/record.h"

static const char *const labels_text = "[\"gpu\",\"zone \\\"b\\\"\"]";

static rz_record_t upstream(void)
{
    return (rz_record_t){ .agent_id = "ch-41",
                          .role = "explorer",
                          .endpoint = "ws://127.0.0.1:40213",
                          .pid = 28117,
                          .version = "2026.6.16",
                          .started_at = "2026-06-16T09:30:00.118204551Z",
                          .lease_expires_at = "2026-06-16T09:31:00.118206001Z" };
}

static rz_record_t labelled(const cJSON *labels)
{
    return (rz_record_t){ .agent_id = "resident.1",
                          .role = "",
                          .labels = labels,
                          .endpoint = "ws://[::1]:7",
                          .pid = 1,
                          .version = "",
                          .started_at = "2026-06-16T11:30:00+02:00",
                          .lease_expires_at = "2026-06-16T09:31:00.5Z" };
}

static void decodes_to(const char *file, rz_record_t want)
{
    size_t len;
    char *bytes = vector_read("agent-record", file, &len);
    rz_record_t got;
    rz_err_t err = { 0 };
    assert_int_equal(rz_record_decode(bytes, len, &got, &err), RZ_OK);
    assert_string_equal(got.agent_id, want.agent_id);
    assert_string_equal(got.role, want.role);
    assert_int_equal(cJSON_GetArraySize(got.labels), cJSON_GetArraySize(want.labels));
    assert_true(want.labels == NULL || cJSON_Compare(got.labels, want.labels, true));
    assert_string_equal(got.endpoint, want.endpoint);
    assert_int_equal(got.pid, want.pid);
    assert_string_equal(got.version, want.version);
    assert_string_equal(got.started_at, want.started_at);
    assert_string_equal(got.lease_expires_at, want.lease_expires_at);
    rz_record_fini(&got);
    rz_free(bytes);
}

static void encodes_to(rz_record_t record, const char *file)
{
    size_t len;
    char *bytes = vector_read("agent-record", file, &len);
    rz_buf_t out = { 0 };
    rz_record_encode(&record, &out);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, bytes, len);
    rz_buf_fini(&out);
    rz_free(bytes);
}

static void the_records_decode_to_their_meaning(void **state)
{
    (void)state;
    cJSON *labels = cJSON_Parse(labels_text);
    decodes_to("upstream", upstream());
    decodes_to("labels", labelled(labels));
    decodes_to("smallest", (rz_record_t){ .agent_id = "a",
                                          .role = "r",
                                          .endpoint = "ws://127.0.0.1:1",
                                          .pid = 2,
                                          .version = "",
                                          .started_at = "2026-06-16T09:30:00Z",
                                          .lease_expires_at = "2026-06-16T09:31:00Z" });
    cJSON_Delete(labels);
}

static void the_records_encode_to_their_bytes(void **state)
{
    (void)state;
    cJSON *labels = cJSON_Parse(labels_text);
    encodes_to(upstream(), "upstream");
    encodes_to(labelled(labels), "labels");
    cJSON_Delete(labels);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char *const files[] = { "upstream", "labels", "smallest" };
    for (size_t i = 0; i < 3; i++) {
        size_t len;
        char *bytes = vector_read("agent-record", files[i], &len);
        for (size_t n = 0; n < len; n++) {
            char *cut = vector_cut(bytes, n);
            rz_record_t got;
            rz_err_t err = { 0 };
            assert_int_equal(rz_record_decode(cut, n, &got, &err), RZ_BAD_JSON);
            rz_free(cut);
        }
        rz_free(bytes);
    }
}

static void a_record_with_a_bad_field_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        { "agent_id", "\"../etc\"" },
        { "agent_id", "null" },
        { "role", "1" },
        { "labels", "null" },
        { "pid", "-1" },
        { "pid", "4294967296" },
        { "started_at", "\"yesterday\"" },
        { "endpoint", "7" },
        { "lease_expires_at", "null" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t len;
        char *bytes = vector_read("agent-record", "upstream", &len);
        cJSON *tree = cJSON_ParseWithLength(bytes, len);
        cJSON_ReplaceItemInObjectCaseSensitive(tree, bad[i][0], cJSON_Parse(bad[i][1]));
        char *text = cJSON_PrintUnformatted(tree);
        rz_record_t got;
        rz_err_t err = { 0 };
        assert_int_not_equal(rz_record_decode(text, strlen(text), &got, &err), RZ_OK);
        assert_string_equal(err.field, bad[i][0]);
        cJSON_free(text);
        cJSON_Delete(tree);
        rz_free(bytes);
    }
}

static void a_record_lives_until_strictly_before_its_lease_ends(void **state)
{
    (void)state;
    rz_record_t record = upstream();
    int64_t ends_us;
    assert_int_equal(rz_rfc3339_parse("2026-06-16T09:31:00.118206Z", &ends_us), 0);
    assert_true(rz_record_live(&record, ends_us - 1));
    assert_false(rz_record_live(&record, ends_us));
    assert_false(rz_record_live(&record, ends_us + 1));
    record.lease_expires_at = "soon";
    assert_false(rz_record_live(&record, 0));
}

static void a_literal_endpoint_is_taken_apart(void **state)
{
    (void)state;
    char host[64];
    uint16_t port;
    assert_int_equal(rz_endpoint_parse("ws://127.0.0.1:40213", host, &port, NULL), RZ_OK);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 40213);
    assert_int_equal(rz_endpoint_parse("ws://[::1]:65535", host, &port, NULL), RZ_OK);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
}

static void any_other_endpoint_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "ws://",
        "ws://127.0.0.1",
        "ws://127.0.0.1:",
        "ws://127.0.0.1:0",
        "ws://127.0.0.1:65536",
        "ws://127.0.0.1:080",
        "ws://127.0.0.1:80/path",
        "ws://127.0.0.1:+80",
        "wss://127.0.0.1:80",
        "http://127.0.0.1:80",
        "ws://example.org:80",
        "ws://:80",
        "ws://[::1:80",
        "ws://[127.0.0.1]:80",
        "ws://[::1]80",
        "ws://user@127.0.0.1:80",
        "ws://0000000000000000000000000000000000000000000000000000000000000000000000127.0.0.1:80",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char host[64];
        uint16_t port;
        rz_err_t err = { 0 };
        assert_int_equal(rz_endpoint_parse(bad[i], host, &port, &err), RZ_BAD_FIELD);
        assert_string_equal(err.field, "endpoint");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_records_decode_to_their_meaning),
    cmocka_unit_test(the_records_encode_to_their_bytes),
    cmocka_unit_test(a_record_cut_anywhere_is_refused),
    cmocka_unit_test(a_record_with_a_bad_field_is_refused_by_name),
    cmocka_unit_test(a_record_lives_until_strictly_before_its_lease_ends),
    cmocka_unit_test(a_literal_endpoint_is_taken_apart),
    cmocka_unit_test(any_other_endpoint_is_refused),
};

RZ_FACTS(tests)
