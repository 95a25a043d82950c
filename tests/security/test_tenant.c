/* test_tenant.c - a tenant's key reaches the children of its tenant, whichever verb it tries; what is another's is answered like
 * what is not there. */
#include "facts.h"

#include "keyring.h"
#include "knock.h"
#include "lives.h"

#include <string.h>

/* ---- every verb that names a child ---- */

static const struct {
    const char *op, *before, *after; /* of the child's name */
    const char *own;                 /* what it is answered of a queued child within the scope */
    bool client;                     /* not for producers */
} verbs[] = {
    { "get", "\"child\":", "", "OK", false },
    { "explain", "\"child\":", "", "OK", false },
    { "retry", "\"child\":", "", "ALREADY_RUNNING", false },
    { "wait", "\"child\":", ",\"timeout_ms\":10", "EXPIRED", false },
    { "wait", "\"children\":[", "],\"timeout_ms\":10", "EXPIRED", false },
    { "wait_register", "\"parent\":\"ci-1\",\"children\":[", "]", "OK", false },
    { "send", "\"text\":\"x\",\"child\":", "", "OK", false },
    { "approve", "\"request\":\"r\",\"approved\":true,\"child\":", "", "NOT_FOUND",
      true },                                         /* it asks nothing */
    { "logs", "\"child\":", "", "NOT_FOUND", false }, /* no runner keeps any */
    { "session_get", "\"child\":", "", "OK", false },
    { "replay", "\"child\":", "", "OK", false },
    { "cancel", "\"child\":", "", "OK", false },
    { "cancel", "\"tree\":true,\"now\":true,\"child\":", "", "ENDED", false },
};
#define VERBS (sizeof verbs / sizeof *verbs)

static const struct {
    const char *name, *role, *scope;
    const char *parent, *tenant; /* of a child beyond it */
} keys[] = {
    { "acme", "producer", ",\"tenant\":\"acme\"", "ci-1", "other" },
    { "ci", "producer", ",\"parents\":[\"ci-*\"]", "victim", "acme" },
    { "both1", "producer", ",\"parents\":[\"ci-*\"],\"tenant\":\"acme\"", "ci-1", "other" },
    { "both2", "producer", ",\"parents\":[\"ci-*\"],\"tenant\":\"acme\"", "victim", "acme" },
    { "dash", "client", ",\"topics\":[\"ci-\"]", "victim", "acme" },
};

static void submitted_for(const char *parent, const char *child, const char *tenant)
{
    char more[64] = "";
    if (*tenant != '\0')
        snprintf(more, sizeof more, ",\"tenant\":\"%s\"", tenant);
    child_submitted(parent, child, more);
}

static cJSON *ask_of(size_t verb, const char *child)
{
    return ask("{\"op\":\"%s\",%s\"%s\"%s}", verbs[verb].op, verbs[verb].before, child, verbs[verb].after);
}

/* The answer without the child's name in it. */
static void answer_of(size_t verb, const char *child, char *out, size_t size)
{
    cJSON *reply = ask_of(verb, child);
    char *text = cJSON_PrintUnformatted(reply);
    for (char *at = text; (at = strstr(at, child)) != NULL;)
        memset(at, '?', strlen(child));
    snprintf(out, size, "%s", text);
    cJSON_free(text);
    cJSON_Delete(reply);
}

/* Nothing happened to it but its submit. */
static void is_untouched(const char *child)
{
    cJSON *reply = ask("{\"op\":\"explain\",\"child\":\"%s\"}", child);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "transitions")), 1);
    expect(reply, "activation.state", "queued");
    cJSON_Delete(reply);
}

static void ask_everything(const char *role, const char *own, const char *theirs, const char *none)
{
    for (size_t v = 0; v < VERBS; v++) {
        char about_theirs[4096], about_none[4096];
        if (verbs[v].client && strcmp(role, "client") != 0)
            continue;
        answers(ask_of(v, own), verbs[v].own);
        answer_of(v, theirs, about_theirs, sizeof about_theirs);
        answer_of(v, none, about_none, sizeof about_none);
        assert_string_equal(about_theirs, about_none);
        assert_non_null(strstr(about_theirs, "\"code\":\"NOT_FOUND\""));
    }
}

static void whatever_a_limited_key_asks_anothers_child_looks_like_none(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        char own[16], theirs[16], none[16];
        snprintf(own, sizeof own, "own%zu", k);
        snprintf(theirs, sizeof theirs, "the%zu", k);
        snprintf(none, sizeof none, "non%zu", k);
        keyring_add(keys[k].name, keys[k].role, keys[k].scope);
        submitted_for("ci-1", own, "acme");
        submitted_for(keys[k].parent, theirs, keys[k].tenant);
        uint64_t refused = counted("not_allowed");
        as(keys[k].name);
        ask_everything(keys[k].role, own, theirs, none);
        as_ourselves();
        is_untouched(theirs);
        assert_true(counted("not_allowed") >= refused + VERBS - 2);
    }
    assert_true(logged("guard.refused socket=control peer="));
}

/* ---- what it makes of its own ---- */

static void a_tenants_key_takes_no_child_of_another_tenant_or_of_none(void **state)
{
    (void)state;
    static const char *const others[] = { "other", "" };
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char child[16];
        snprintf(child, sizeof child, "c%zu", i);
        submitted_for("root", child, others[i]);
        answers(ask("{\"op\":\"cancel\",\"child\":\"%s\"}", child),
                "OK"); /* it has ended: it could be run anew */
        as("acme");
        cJSON *reply = submit_of("root", child, ",\"tenant\":\"acme\"");
        assert_null(cJSON_GetObjectItem(reply, "activation"));
        answers(reply, "CONFLICT");
        answers(ask("{\"op\":\"submit\",\"job\":{\"parent_session_id\":\"root\",\"child_session_id\":\"%s\","
                    "\"tenant\":\"acme\",\"message\":{\"role\":\"user\",\"content\":\"tell me\"}}}",
                    child),
                "CONFLICT");
        as_ourselves();
    }
}

static void a_child_keeps_its_tenant_whoever_asks(void **state)
{
    (void)state;
    submitted_for("root", "c1", "acme");
    answers(ask("{\"op\":\"cancel\",\"child\":\"c1\"}"), "OK");
    answers(submit_of("root", "c1", ",\"tenant\":\"other\""), "CONFLICT");
    cJSON *reply = submit_of("root", "c1", "");
    expect(reply, "activation.child", "c1"); /* who is not limited sees why */
    answers(reply, "CONFLICT");
    answers(submit_of("root", "c1", ",\"tenant\":\"acme\""), "OK");
    submitted_for("root", "c2", "");
    answers(ask("{\"op\":\"cancel\",\"child\":\"c2\"}"), "OK");
    answers(submit_of("root", "c2", ",\"tenant\":\"acme\""), "OK"); /* of none it becomes somebody's */
    answers(ask("{\"op\":\"cancel\",\"child\":\"c2\"}"), "OK");
    answers(submit_of("root", "c2", ""), "CONFLICT");
}

/* ---- what names a parent, who has no tenant ---- */

static void are_listed(const char *parent, size_t n)
{
    cJSON *reply = ask("{\"op\":\"list\",\"parent\":\"%s\"}", parent);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(reply, "activations")), n);
    answers(reply, "OK");
}

static void of_a_parent_a_tenants_key_sees_its_own_children_and_waits(void **state)
{
    (void)state;
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    submitted_for("root", "a1", "acme");
    submitted_for("root", "o1", "other");
    answers(
        ask("{\"op\":\"wait_register\",\"parent\":\"root\",\"wait_id\":\"w1\",\"children\":[\"a1\",\"o1\"]}"),
        "OK");
    as("acme");
    are_listed("root", 1);
    is_told_no(ask("{\"op\":\"list\"}"));
    answers(ask("{\"op\":\"wait_get\",\"parent\":\"root\",\"wait_id\":\"w1\"}"), "NOT_FOUND");
    cJSON *reply =
        ask("{\"op\":\"wait_register\",\"parent\":\"root\",\"wait_id\":\"w1\",\"children\":[\"a1\"]}");
    assert_null(cJSON_GetObjectItem(reply, "wait"));
    answers(reply, "CONFLICT");
    answers(ask("{\"op\":\"wait_register\",\"parent\":\"root\",\"wait_id\":\"w2\",\"children\":[\"a1\"]}"),
            "OK");
    answers(ask("{\"op\":\"wait_get\",\"parent\":\"root\",\"wait_id\":\"w2\"}"), "OK");
    as_ourselves();
    are_listed("root", 2);
}

static void reaches(const char *child, const char *code, int cancelled)
{
    cJSON *reply = ask("{\"op\":\"cancel\",\"child\":\"%s\",\"tree\":true}", child);
    assert_int_equal(number_at(reply, "tree.cancelled"), cancelled);
    answers(reply, code);
}

static void of_a_tree_a_tenants_key_cancels_its_own(void **state)
{
    (void)state;
    keyring_add("acme", "producer", ",\"tenant\":\"acme\"");
    submitted_for("root", "a1", "acme");
    submitted_for("a1", "a2", "acme");
    submitted_for("a1", "o2", "other");
    submitted_for("root", "o1", "other");
    submitted_for("o1", "a3", "acme");
    as("acme");
    reaches("o1", "OK", 1); /* a3; o1 is another's */
    reaches("o2", "NOT_FOUND", 0);
    reaches("root", "OK", 2);
    as_ourselves();
    is_untouched("o1");
    is_untouched("o2");
    child_submitted("a1", "a4", ",\"tenant\":\"acme\"");
    await("{\"op\":\"get\",\"child\":\"a4\"}", "activation.status", "cancelled");
    submitted_for("a1", "o4", "other"); /* what comes late ends with the tree, if it is the tenant's */
    is_untouched("o4");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(whatever_a_limited_key_asks_anothers_child_looks_like_none, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_tenants_key_takes_no_child_of_another_tenant_or_of_none, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(a_child_keeps_its_tenant_whoever_asks, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(of_a_parent_a_tenants_key_sees_its_own_children_and_waits, secure_stage_up, stage_down),
    cmocka_unit_test_setup_teardown(of_a_tree_a_tenants_key_cancels_its_own, secure_stage_up, stage_down),
    /* clang-format on */
};
RZ_FACTS(tests)
