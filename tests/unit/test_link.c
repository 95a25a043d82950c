/* test_link.c - headers between broker and runner. */
#include "facts.h"
#include "vectors/vectors.h"
#include "wire/link.h"

#define TOKEN     "0123456789abcdef0123456789abcdef"
#define TOKEN32   "\"token\":\"" TOKEN "\""
#define WRITTEN   "\"child\":\"c\",\"epoch\":1," TOKEN32
#define SHA1_40   "8f6d9d1fca0bd8a36d24e8e7bfcd7b6cb1d1bd3c"
#define EXACT_MAX 9007199254740991u

static rz_rc_t decode(const char *bytes, size_t len, rz_err_t *err)
{
    rz_link_t link;
    rz_rc_t rc = rz_link_decode(bytes, len, &link, err);
    if (rc == RZ_OK)
        rz_link_fini(&link);
    return rc;
}

static rz_link_t link_of(const char *name)
{
    rz_buf_t document = vector_load("link", name);
    rz_link_t link;
    rz_err_t err = { 0 };
    if (rz_link_decode(document.data, document.len, &link, &err) != RZ_OK)
        fail_msg("%s: %s %s", name, err.field, err.text);
    rz_buf_fini(&document); /* a decoded header borrows nothing from the bytes */
    return link;
}

static void reencode(const char *name, rz_str_t document)
{
    rz_link_t link;
    rz_buf_t written = { 0 };
    assert_cuts_refused(decode, document);
    assert_int_equal(rz_link_decode(document.p, document.n, &link, NULL), RZ_OK);
    rz_link_encode(&link, &written);
    if (!rz_str_eq(document, written.data))
        fail_msg("%s: %s", name, written.data);
    rz_buf_fini(&written);
    rz_link_fini(&link);
}

static void every_header_survives_a_round_trip_and_no_cut(void **state)
{
    (void)state;
    vectors_each("link", reencode);
}

static void every_kind_has_a_vector(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RZ_LINK_KIND_COUNT; i++) {
        rz_link_t link = link_of(rz_link_kind_name((rz_link_kind_t)i));
        assert_int_equal(link.kind, i);
        rz_link_fini(&link);
    }
}

static void a_hello_introduces_a_runner(void **state)
{
    (void)state;
    rz_link_t link = link_of("hello");
    assert_int_equal(link.version, 1);
    assert_string_equal(link.runner, "r-1");
    assert_string_equal(link.incarnation, TOKEN);
    assert_string_equal(link.host, "node-3");
    assert_int_equal(link.pid, 4711);
    assert_int_equal(link.slots, 8);
    assert_string_equal(link.program_version, "0.1.0");
    assert_string_equal(cJSON_GetArrayItem(link.labels, 0)->valuestring, "gpu");
    assert_int_equal(cJSON_GetArraySize(link.profiles), 2);
    rz_link_fini(&link);
}

static void an_assignment_says_all_a_runner_needs(void **state)
{
    (void)state;
    rz_link_t link = link_of("assign");
    assert_string_equal(link.child, "ch-41");
    assert_string_equal(link.parent, "root-7");
    assert_string_equal(link.job, "j-1");
    assert_int_equal(link.epoch, 3);
    assert_string_equal(link.token, TOKEN);
    assert_int_equal(link.attempt, 2);
    assert_string_equal(link.previous_error, "runner lost");
    assert_string_equal(link.profile, "survey");
    assert_int_equal(strlen(link.affinity), 64);
    assert_string_equal(link.model, "m-1");
    assert_int_equal(cJSON_GetArraySize(link.disabled_tools), 1);
    assert_string_equal(link.tenant, "acme");
    assert_true(link.cancelled);
    rz_link_fini(&link);

    link = link_of("assign-smallest");
    assert_null(link.job);
    assert_null(link.previous_error);
    assert_null(link.disabled_tools);
    assert_string_equal(link.model, "");
    assert_false(link.cancelled);
    rz_link_fini(&link);
}

static void a_welcome_and_a_sync_tell_where_all_brokers_are(void **state)
{
    (void)state;
    rz_link_t link = link_of("welcome-brokers");
    assert_int_equal(cJSON_GetArraySize(link.brokers), 2);
    assert_string_equal(cJSON_GetObjectItem(link.brokers, "b-2")->valuestring, "tcp://10.0.0.2:7413");
    rz_link_fini(&link);
    link = link_of("synced-brokers");
    assert_string_equal(cJSON_GetObjectItem(link.brokers, "b-2")->valuestring, "tcp://10.0.0.2:7413");
    rz_link_fini(&link);
    link = link_of("welcome");
    assert_null(link.brokers);
    rz_link_fini(&link);
}

static void a_write_lists_its_sequence_numbers(void **state)
{
    (void)state;
    rz_link_t link = link_of("append");
    assert_int_equal(link.seq_count, 3);
    assert_int_equal(link.seqs[0], 2);
    assert_int_equal(link.seqs[1], 5);
    assert_true(link.seqs[2] == EXACT_MAX);
    rz_link_fini(&link);

    link = link_of("finish-error");
    assert_string_equal(link.status, "error");
    assert_string_equal(link.error, "worker lost");
    assert_int_equal(link.code, RZ_CLOSED);
    rz_link_fini(&link);

    link = link_of("finish");
    assert_null(link.error);
    assert_int_equal(link.code, RZ_OK);
    rz_link_fini(&link);
}

static void a_write_made_by_hand_is_written_as_agreed(void **state)
{
    (void)state;
    static const uint64_t seqs[] = { 2, 5, EXACT_MAX };
    rz_link_t link = { .kind = RZ_LINK_APPEND,
                       .child = "ch-41",
                       .epoch = 3,
                       .token = TOKEN,
                       .seqs = seqs,
                       .seq_count = COUNT(seqs) };
    rz_buf_t written = { 0 }, agreed = vector_load("link", "append");
    rz_link_encode(&link, &written);
    assert_bytes(&written, &agreed);
    rz_buf_fini(&agreed);
    rz_link_fini(&link); /* what the caller lent stays the caller's */
}

static void an_answer_names_a_code(void **state)
{
    (void)state;
    rz_link_t link = link_of("ack-fenced");
    assert_string_equal(link.op, "finish");
    assert_int_equal(link.code, RZ_FENCED);
    assert_int_equal(link.seq, 0);
    rz_link_fini(&link);

    link = link_of("synced-differs");
    assert_int_equal(link.counter, 12);
    assert_string_equal(cJSON_GetArrayItem(link.owned, 0)->valuestring, "ch-41 3");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetArrayItem(link.cancels, 0)), 2);
    rz_link_fini(&link);

    link = link_of("synced");
    assert_null(link.owned);
    assert_null(link.cancels);
    assert_null(link.cancels_now);
    rz_link_fini(&link);
}

static void a_cancel_without_grace_is_listed_apart(void **state)
{
    (void)state;
    rz_link_t link = link_of("synced-now");
    assert_string_equal(link.cancels->child->valuestring, "ch-42");
    assert_int_equal(cJSON_GetArraySize(link.cancels), 1);
    assert_string_equal(link.cancels_now->child->valuestring, "ch-43");
    rz_link_fini(&link);
}

static void credit_names_the_profiles_that_are_full(void **state)
{
    (void)state;
    rz_link_t link = link_of("credit-full");
    assert_int_equal(link.granted, 9);
    assert_null(link.idle);
    assert_string_equal(link.full->child->valuestring, "survey");
    rz_link_fini(&link);

    link = link_of("credit");
    assert_null(link.full);
    rz_link_fini(&link);
}

static void a_sync_tells_what_its_runs_do(void **state)
{
    (void)state;
    rz_link_t link = link_of("sync-states");
    const cJSON *of = cJSON_GetObjectItemCaseSensitive(link.states, "ch-41");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(of, "epoch")->valueint, 3);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(of, "last_tool_name")->valuestring, "Bash");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(of, "round_count")->valueint, 4);
    assert_null(link.held);
    rz_link_fini(&link);

    link = link_of("sync");
    assert_null(link.states);
    rz_link_fini(&link);
}

static void a_decision_travels_to_the_worker_and_its_fate_back(void **state)
{
    (void)state;
    static const char *const vectors[] = { "decide-deny", "decide" };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        rz_link_t link = link_of(vectors[i]);
        assert_string_equal(link.child, "ch-41");
        assert_int_equal(link.epoch, 3);
        assert_string_equal(link.id, "req-1");
        assert_int_equal(link.approved, i);
        rz_link_fini(&link);
    }
    rz_link_t link = link_of("decided");
    assert_string_equal(link.id, "req-1");
    assert_false(link.live);
    rz_link_fini(&link);
}

static void a_ping_says_what_credit_said_and_a_pong_what_came_of_it(void **state)
{
    (void)state;
    rz_link_t link = link_of("ping");
    assert_int_equal(link.granted, 12);
    assert_true(link.home);
    rz_link_fini(&link);

    link = link_of("ping-elsewhere");
    assert_false(link.home);
    rz_link_fini(&link);

    link = link_of("pong");
    assert_int_equal(link.load, 24);
    assert_int_equal(link.sent, 9);
    assert_int_equal(link.promised, 2);
    assert_false(link.down);
    rz_link_fini(&link);

    link = link_of("pong-down");
    assert_true(link.down);
    rz_link_fini(&link);

    link = link_of("welcome-pings");
    assert_int_equal(link.ping_ms, 500);
    assert_int_equal(link.load, 16);
    rz_link_fini(&link);

    link = link_of("welcome");
    assert_int_equal(link.ping_ms, 0);
    assert_int_equal(link.lease_ms, 0);
    assert_null(link.mark);
    rz_link_fini(&link);

    link = link_of("welcome-marks");
    assert_string_equal(link.mark, "~5c1ffe0b-7d9a-4c1e-9a56-3b1f2f0c9d11");
    assert_int_equal(link.lease_ms, 15000);
    rz_link_fini(&link);
}

static void a_code_from_a_later_version_is_not_ours(void **state)
{
    (void)state;
    static const char text[] = "{\"kind\":\"refused\",\"code\":\"A_LATER_CODE\",\"message\":\"m\"}";
    rz_link_t link;
    assert_int_equal(rz_link_decode(text, sizeof text - 1, &link, NULL), RZ_OK);
    assert_int_equal(link.code, RZ_INTERNAL);
    rz_link_fini(&link);
}

static void every_member_of_a_header_is_judged(void **state)
{
    (void)state;
    static const rule_t hello[] = {
        { "runner", AN_ID, RZ_REQUIRED, 0, 0 },
        { "incarnation", AN_ID, RZ_REQUIRED, 0, 0 },
        { "host", A_TEXT, RZ_REQUIRED, 0, 256 },
        { "pid", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
        { "slots", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
        { "version", A_TEXT, RZ_REQUIRED, 0, 256 },
        { "labels", IDS, RZ_REQUIRED, 0, 0 },
        { "profiles", IDS, RZ_REQUIRED, 0, 0 },
    };
    static const rule_t assign[] = {
        { "child", AN_ID, RZ_REQUIRED, 0, 0 },
        { "parent", AN_ID, RZ_REQUIRED, 0, 0 },
        { "job", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "epoch", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
        { "attempt", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
        { "previous_error", A_TEXT, RZ_OPTIONAL, 0, RZ_TEXT_MAX },
        { "profile", AN_ID, RZ_REQUIRED, 0, 0 },
        { "affinity", AN_ID, RZ_REQUIRED, 0, 0 },
        { "model", A_TEXT, RZ_REQUIRED, 0, RZ_NAME_MAX },
        { "disabled_tools", A_LIST, RZ_OPTIONAL, 0, RZ_NAME_MAX },
        { "tenant", AN_ID, RZ_OPTIONAL, 0, 0 },
        { "traceparent", A_TEXT, RZ_OPTIONAL, 0, RZ_NAME_MAX },
        { "cancelled", A_FLAG, RZ_OPTIONAL, 0, 0 },
    };
    static const rule_t finish[] = { { "status", A_CHOICE, RZ_REQUIRED, 0, 0 },
                                     { "error", A_TEXT, RZ_OPTIONAL, 0, RZ_TEXT_MAX } };
    static const rule_t ack[] = { { "op", A_CHOICE, RZ_REQUIRED, 0, 0 },
                                  { "seq", A_NUMBER, RZ_OPTIONAL, 0, EXACT_MAX } };
    static const rule_t sync[] = { { "counter", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "count", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "facts", AN_OBJECT, RZ_OPTIONAL, 0, 0 },
                                   { "states", AN_OBJECT, RZ_OPTIONAL, 0, 0 } };
    static const rule_t credit[] = { { "granted", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                     { "idle", AN_OBJECT, RZ_OPTIONAL, 0, 0 },
                                     { "full", IDS, RZ_OPTIONAL, 0, 0 } };
    static const rule_t welcome[] = { { "broker", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "publish", A_TEXT, RZ_REQUIRED, 0, 512 },
                                      { "mark", A_TEXT, RZ_OPTIONAL, 0, RZ_NAME_MAX },
                                      { "sync_ms", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                      { "lease_ms", A_NUMBER, RZ_OPTIONAL, 0, EXACT_MAX },
                                      { "ping_ms", A_NUMBER, RZ_OPTIONAL, 0, EXACT_MAX },
                                      { "load", A_NUMBER, RZ_OPTIONAL, 0, EXACT_MAX } };
    static const rule_t ping[] = { { "granted", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "home", A_FLAG, RZ_OPTIONAL, 0, 0 } };
    static const rule_t pong[] = { { "load", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "sent", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "promised", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                   { "down", A_FLAG, RZ_OPTIONAL, 0, 0 } };
    static const rule_t refused[] = { { "message", A_TEXT, RZ_REQUIRED, 0, 1024 } };
    static const rule_t release[] = { { "reason", A_TEXT, RZ_REQUIRED, 0, 1024 } };
    static const rule_t steered[] = { { "id", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "live", A_FLAG, RZ_REQUIRED, 0, 0 } };
    static const rule_t cancel[] = { { "now", A_FLAG, RZ_OPTIONAL, 0, 0 } };
    static const rule_t decide[] = { { "child", AN_ID, RZ_REQUIRED, 0, 0 },
                                     { "epoch", A_NUMBER, RZ_REQUIRED, 0, EXACT_MAX },
                                     { "id", AN_ID, RZ_REQUIRED, 0, 0 },
                                     { "approved", A_FLAG, RZ_REQUIRED, 0, 0 } };
    static const rule_t decided[] = { { "child", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "id", AN_ID, RZ_REQUIRED, 0, 0 },
                                      { "live", A_FLAG, RZ_REQUIRED, 0, 0 } };
    static const rule_t emit[] = { { "nonce", AN_ID, RZ_REQUIRED, 0, 0 } };
    assert_rules_hold(decode, "link", "hello", hello, COUNT(hello));
    assert_rules_hold(decode, "link", "assign", assign, COUNT(assign));
    assert_rules_hold(decode, "link", "finish", finish, COUNT(finish));
    assert_rules_hold(decode, "link", "ack", ack, COUNT(ack));
    assert_rules_hold(decode, "link", "sync", sync, COUNT(sync));
    assert_rules_hold(decode, "link", "credit", credit, COUNT(credit));
    assert_rules_hold(decode, "link", "welcome", welcome, COUNT(welcome));
    assert_rules_hold(decode, "link", "ping", ping, COUNT(ping));
    assert_rules_hold(decode, "link", "pong", pong, COUNT(pong));
    assert_rules_hold(decode, "link", "refused", refused, COUNT(refused));
    assert_rules_hold(decode, "link", "release", release, COUNT(release));
    assert_rules_hold(decode, "link", "steered", steered, COUNT(steered));
    assert_rules_hold(decode, "link", "cancel", cancel, COUNT(cancel));
    assert_rules_hold(decode, "link", "decide", decide, COUNT(decide));
    assert_rules_hold(decode, "link", "decided", decided, COUNT(decided));
    assert_rules_hold(decode, "link", "emit", emit, COUNT(emit));
}

static void hostile_headers_are_refused_by_field(void **state)
{
    (void)state;
    static const hostile_t table[] = {
        { "{}", RZ_MISSING_FIELD, "kind" },
        { "{\"kind\":7}", RZ_BAD_FIELD, "kind" },
        { "{\"kind\":\"explode\"}", RZ_BAD_KIND, "kind" },
        { "{\"kind\":\"welcome\",\"broker\":\"b\",\"publish\":\"\",\"sync_ms\":1}", RZ_MISSING_FIELD, "v" },
        { "{\"kind\":\"welcome\",\"v\":3,\"broker\":\"b\",\"publish\":\"\",\"sync_ms\":1}", RZ_BAD_VERSION,
          "v" },
        { "{\"kind\":\"start\",\"child\":\"c\",\"epoch\":1,\"seqs\":[]}", RZ_MISSING_FIELD, "token" },
        { "{\"kind\":\"start\",\"child\":\"c\",\"epoch\":1,\"token\":7,\"seqs\":[]}", RZ_BAD_FIELD, "token" },
        { "{\"kind\":\"start\",\"child\":\"c\",\"epoch\":1,\"token\":\"\",\"seqs\":[]}", RZ_BAD_FIELD,
          "token" },
        { "{\"kind\":\"start\",\"child\":\"c\",\"epoch\":1,\"token\":\"0123456789ABCDEF0123456789ABCDEF\",\"seqs\":[]}",
          RZ_BAD_FIELD, "token" },
        { "{\"kind\":\"start\",\"child\":\"c\",\"epoch\":1,\"token\":\"" TOKEN "0\",\"seqs\":[]}",
          RZ_BAD_FIELD, "token" },
        { "{\"kind\":\"start\"," WRITTEN "}", RZ_MISSING_FIELD, "seqs" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":7}", RZ_BAD_FIELD, "seqs" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[\"1\"]}", RZ_BAD_FIELD, "seqs[0]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[0]}", RZ_BAD_FIELD, "seqs[0]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[1,1.5]}", RZ_BAD_FIELD, "seqs[1]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[2,2]}", RZ_BAD_FIELD, "seqs[1]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[2,1]}", RZ_BAD_FIELD, "seqs[1]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[9007199254740992]}", RZ_BAD_FIELD, "seqs[0]" },
        { "{\"kind\":\"start\"," WRITTEN ",\"seqs\":[-1]}", RZ_BAD_FIELD, "seqs[0]" },
        { "{\"kind\":\"sync\",\"incarnation\":\"i\",\"counter\":1,\"count\":0,\"digest\":\"xyz\"}",
          RZ_BAD_FIELD, "digest" },
        { "{\"kind\":\"sync\",\"incarnation\":\"i\",\"counter\":1,\"count\":0,\"digest\":\"" SHA1_40
          "\",\"held\":[\"a b\"]}",
          RZ_BAD_FIELD, "held[0]" },
        { "{\"kind\":\"sync\",\"incarnation\":\"i\",\"counter\":1,\"count\":0,\"digest\":\"" SHA1_40
          "\",\"held\":[\"a\",\"a \"]}",
          RZ_BAD_FIELD, "held[1]" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"cancels\":[[\"c\"]]}", RZ_BAD_FIELD,
          "cancels[0]" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"cancels\":[[1,\"c\"]]}", RZ_BAD_FIELD,
          "cancels[0]" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"owned\":{}}", RZ_BAD_FIELD, "owned" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"cancels_now\":[\"a b\"]}", RZ_BAD_FIELD,
          "cancels_now[0]" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"brokers\":{\"b\":1}}", RZ_BAD_FIELD,
          "brokers.b" },
        { "{\"kind\":\"synced\",\"code\":\"OK\",\"counter\":1,\"brokers\":{\"b 1\":\"x\"}}", RZ_BAD_ID,
          "brokers" },
        { "{\"kind\":\"synced\",\"code\":7,\"counter\":1}", RZ_BAD_FIELD, "code" },
        { "{\"kind\":\"synced\",\"counter\":1}", RZ_MISSING_FIELD, "code" },
        { "{\"kind\":\"synced\",\"code\":\"\",\"counter\":1}", RZ_BAD_FIELD, "code" },
        { "{\"kind\":\"synced\",\"code\":\"Ok\",\"counter\":1}", RZ_BAD_FIELD, "code" },
        { "{\"kind\":\"synced\",\"code\":\"_OK\",\"counter\":1}", RZ_BAD_FIELD, "code" },
        { "{\"kind\":\"credit\",\"granted\":1,\"idle\":{\"a b\":1}}", RZ_BAD_ID, "idle" },
        { "{\"kind\":\"credit\",\"granted\":1,\"idle\":{\"k\":-1}}", RZ_BAD_FIELD, "idle.k" },
        { "{\"kind\":\"credit\",\"granted\":1,\"full\":[\"a b\"]}", RZ_BAD_ID, "full[0]" },
    };
    assert_refused(decode, table, COUNT(table));
}

static void a_write_has_no_more_events_than_fit_one_message(void **state)
{
    (void)state;
    for (unsigned n = 64; n <= 65; n++) {
        rz_buf_t text = { 0 };
        rz_err_t err = { 0 };
        rz_json_open(&text, '{');
        rz_json_put_str(&text, "kind", "append");
        rz_json_put_str(&text, "child", "c");
        rz_json_put_u64(&text, "epoch", 1);
        rz_json_put_str(&text, "token", TOKEN);
        rz_json_open_key(&text, "seqs", '[');
        for (unsigned i = 1; i <= n; i++)
            rz_json_put_u64(&text, NULL, i);
        rz_json_close(&text, ']');
        rz_json_close(&text, '}');
        assert_int_equal(decode(text.data, text.len, &err), n == 64 ? RZ_OK : RZ_TOO_LARGE);
        assert_string_equal(err.field, n == 64 ? "" : "seqs");
        rz_buf_fini(&text);
    }
}

/* Expected values: printf 'ch-1 3\nch-2 1\n' | sha1sum, and sha1sum of nothing. */
static void what_is_held_has_the_digest_that_redis_computes(void **state)
{
    (void)state;
    static const char *const lines[] = { "ch-1 3", "ch-2 1" };
    char digest[41];
    rz_held_digest(lines, 2, digest);
    assert_string_equal(digest, "22ab99e721297828ff78d8348efea84f2bd196a7");
    rz_held_digest(NULL, 0, digest);
    assert_string_equal(digest, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_header_survives_a_round_trip_and_no_cut),
    cmocka_unit_test(every_kind_has_a_vector),
    cmocka_unit_test(a_hello_introduces_a_runner),
    cmocka_unit_test(an_assignment_says_all_a_runner_needs),
    cmocka_unit_test(a_welcome_and_a_sync_tell_where_all_brokers_are),
    cmocka_unit_test(a_write_lists_its_sequence_numbers),
    cmocka_unit_test(a_write_made_by_hand_is_written_as_agreed),
    cmocka_unit_test(an_answer_names_a_code),
    cmocka_unit_test(a_cancel_without_grace_is_listed_apart),
    cmocka_unit_test(credit_names_the_profiles_that_are_full),
    cmocka_unit_test(a_sync_tells_what_its_runs_do),
    cmocka_unit_test(a_decision_travels_to_the_worker_and_its_fate_back),
    cmocka_unit_test(a_ping_says_what_credit_said_and_a_pong_what_came_of_it),
    cmocka_unit_test(a_code_from_a_later_version_is_not_ours),
    cmocka_unit_test(every_member_of_a_header_is_judged),
    cmocka_unit_test(hostile_headers_are_refused_by_field),
    cmocka_unit_test(a_write_has_no_more_events_than_fit_one_message),
    cmocka_unit_test(what_is_held_has_the_digest_that_redis_computes),
};
RZ_FACTS(tests)
