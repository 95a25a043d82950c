/* vectors.h - for unit tests: the agreed bytes of tests/vectors, and hostile neighbours made from them.
 *
 * vector_load()         one document, without its final newline
 * assert_cuts_refused() a document cut at every length, each copy in a block of exactly its size, so that
 *                       AddressSanitizer sees a read of one byte too many
 * assert_rules_hold()   for each rule of a message: missing, null, every wrong type, empty, at the limit,
 * beyond it, NUL, bad UTF-8, duplicated, too deep; asserts the code and the field that is named */
#pragma once

#include "base/json.h"
#include "base/limits.h"
#include "facts.h"

#include <dirent.h>
#include <stdlib.h>

typedef rz_rc_t (*decode_fn)(const char *bytes, size_t len, rz_err_t *err);

static inline rz_buf_t vector_load(const char *message, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/%s/%s.json", RZ_SOURCE_DIR, message, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    rz_buf_t document = { 0 };
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        rz_buf_put(&document, block, n);
    fclose(file);
    if (document.data == NULL || document.data[document.len - 1] != '\n')
        fail_msg("%s does not end with a newline", path);
    else
        document.data[--document.len] = '\0';
    return document;
}

/* Calls fn for every vector of a message; there must be at least one. */
static inline void vectors_each(const char *message, void (*fn)(const char *name, rz_str_t document))
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/%s", RZ_SOURCE_DIR, message);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t seen = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[64];
        size_t n = strlen(entry->d_name);
        if (n < 6 || n >= sizeof name || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(n - 5), entry->d_name);
        rz_buf_t document = vector_load(message, name);
        fn(name, rz_buf_str(&document));
        rz_buf_fini(&document);
        seen++;
    }
    closedir(dir);
    assert_true(seen > 0);
}

static inline void assert_bytes(rz_buf_t *written, const rz_buf_t *agreed)
{
    assert_non_null(written->data);
    assert_string_equal(written->data, agreed->data);
    assert_int_equal(written->len, agreed->len);
    rz_buf_fini(written);
}

/* Decodes a copy that ends where its memory ends. */
static inline rz_rc_t decode_tight(decode_fn decode, const char *bytes, size_t len, rz_err_t *err)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    rz_rc_t rc = decode(copy, len, err);
    free(copy);
    return rc;
}

static inline void assert_cuts_refused(decode_fn decode, rz_str_t document)
{
    rz_err_t whole = { 0 };
    if (decode_tight(decode, document.p, document.n, &whole) != RZ_OK)
        fail_msg("refused: %s %s: %.*s", whole.field, whole.text, (int)document.n, document.p);
    for (size_t len = 0; len < document.n; len++) {
        rz_err_t err = { 0 };
        if (decode_tight(decode, document.p, len, &err) == RZ_OK)
            fail_msg("accepted: %.*s", (int)len, document.p);
    }
}

/* ---- rules ---- */

typedef enum { AN_ID, A_TEXT, A_NUMBER, A_FLAG, A_LIST, IDS, AN_OBJECT, A_CHOICE } rule_kind_t;

typedef struct {
    const char *name; /* "job_id", or "require.profile" for a member of a member */
    rule_kind_t kind;
    rz_need_t need;
    uint64_t min, max; /* A_TEXT, A_LIST: bytes of the text or of one entry, in max; A_NUMBER: the range */
} rule_t;

typedef struct {
    decode_fn decode;
    rz_str_t document; /* valid */
    const rule_t *rule;
} trial_t;

/* The document with the rule's member replaced by `json` (NULL: taken out), or given twice. */
static inline char *document_with(const trial_t *t, const char *json, bool twice)
{
    cJSON *tree = cJSON_ParseWithLength(t->document.p, t->document.n), *owner = tree;
    const char *name = t->rule->name, *dot = strchr(name, '.');
    if (dot != NULL) {
        char outer[64];
        snprintf(outer, sizeof outer, "%.*s", (int)(dot - name), name);
        owner = cJSON_GetObjectItemCaseSensitive(tree, outer);
        if (owner == NULL)
            owner = cJSON_AddObjectToObject(tree, outer);
        name = dot + 1;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(owner, name);
    for (int i = 0; json != NULL && i < (twice ? 2 : 1); i++)
        cJSON_AddItemToObject(owner, name, cJSON_CreateRaw(json));
    char *text = cJSON_PrintUnformatted(tree);
    cJSON_Delete(tree);
    return text;
}

static inline void expect(const trial_t *t, const char *json, bool twice, rz_rc_t rc, const char *field)
{
    char *text = document_with(t, json, twice);
    rz_err_t err = { 0 };
    rz_rc_t seen = decode_tight(t->decode, text, strlen(text), &err);
    if (seen != rc || seen != err.rc || (field != NULL && strcmp(err.field, field) != 0))
        fail_msg("%s = %.60s: %s \"%s\" (%s), not %s \"%s\"", t->rule->name,
                 json != NULL ? json : "(missing)", rz_rc_name(seen), err.field, err.text, rz_rc_name(rc),
                 field != NULL ? field : "");
    if (rc != RZ_OK && err.text[0] == '\0')
        fail_msg("%s: refused without a word", t->rule->name);
    free(text);
}

static inline void expect_absence(const trial_t *t)
{
    const char *name = t->rule->name;
    if (t->rule->need == RZ_REQUIRED) {
        expect(t, NULL, false, RZ_MISSING_FIELD, name);
        expect(t, "null", false, RZ_MISSING_FIELD, name);
        return;
    }
    expect(t, NULL, false, RZ_OK, NULL);
    if (t->rule->need == RZ_OPTIONAL)
        expect(t, "null", false, RZ_OK, NULL);
    else
        expect(t, "null", false, RZ_BAD_FIELD, name);
}

static inline void expect_types(const trial_t *t)
{
    static const struct {
        const char *json;
        unsigned good_for; /* bits of rule_kind_t whose type this is */
    } values[] = {
        { "7", 1u << A_NUMBER },
        { "true", 1u << A_FLAG },
        { "\"text\"", 1u << AN_ID | 1u << A_TEXT | 1u << A_CHOICE },
        { "[]", 1u << A_LIST | 1u << IDS },
        { "{}", 1u << AN_OBJECT },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if ((values[i].good_for >> t->rule->kind & 1) == 0)
            expect(t, values[i].json, false, RZ_BAD_FIELD, t->rule->name);
}

static inline void expect_text(const trial_t *t, const char *before, uint64_t n, const char *after,
                               rz_rc_t rc, const char *field)
{
    rz_buf_t json = { 0 };
    rz_buf_puts(&json, before);
    for (uint64_t i = 0; i < n; i++)
        rz_buf_putc(&json, 'a');
    rz_buf_puts(&json, after);
    expect(t, json.data, false, rc, field);
    rz_buf_fini(&json);
}

static inline void expect_limits(const trial_t *t)
{
    const rule_t *r = t->rule;
    char number[32], entry[96];
    static const char *const bad_ids[] = { "\"\"", "\"-a\"", "\"a/b\"", "\"a b\"", "\"*\"", "\"\xc3\xa4\"" };
    snprintf(entry, sizeof entry, "%s[0]", r->name);
    switch (r->kind) {
    case AN_ID:
        expect_text(t, "\"", RZ_ID_MAX, "\"", RZ_OK, NULL);
        expect_text(t, "\"", RZ_ID_MAX + 1, "\"", RZ_BAD_ID, r->name);
        for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++)
            expect(t, bad_ids[i], false, RZ_BAD_ID, r->name);
        return;
    case A_TEXT:
        expect_text(t, "\"", 0, "\"", RZ_OK, NULL);
        expect_text(t, "\"", r->max, "\"", RZ_OK, NULL);
        expect_text(t, "\"", r->max + 1, "\"", RZ_TOO_LARGE, r->name);
        return;
    case A_LIST:
        expect(t, "[]", false, RZ_OK, NULL);
        expect(t, "[7]", false, RZ_BAD_FIELD, entry);
        expect(t, "[\"\"]", false, RZ_BAD_FIELD, entry);
        expect_text(t, "[\"", r->max, "\"]", RZ_OK, NULL);
        expect_text(t, "[\"", r->max + 1, "\"]", RZ_TOO_LARGE, entry);
        return;
    case IDS:
        expect(t, "[]", false, RZ_OK, NULL);
        expect(t, "[7]", false, RZ_BAD_FIELD, entry);
        expect(t, "[\"\"]", false, RZ_BAD_ID, entry);
        expect(t, "[\"a b\"]", false, RZ_BAD_ID, entry);
        expect_text(t, "[\"", RZ_ID_MAX, "\"]", RZ_OK, NULL);
        expect_text(t, "[\"", RZ_ID_MAX + 1, "\"]", RZ_BAD_ID, entry);
        return;
    case A_NUMBER:
        snprintf(number, sizeof number, "%llu", (unsigned long long)r->max);
        expect(t, number, false, RZ_OK, NULL);
        snprintf(number, sizeof number, "%llu", (unsigned long long)r->max + 1);
        expect(t, number, false, RZ_BAD_FIELD, r->name);
        snprintf(number, sizeof number, "%lld", (long long)r->min - 1);
        expect(t, number, false, RZ_BAD_FIELD, r->name);
        expect(t, "1.5", false, RZ_BAD_FIELD, r->name);
        return;
    case A_CHOICE:
        expect(t, "\"\"", false, RZ_BAD_FIELD, r->name);
        expect(t, "\"NONE of them\"", false, RZ_BAD_FIELD, r->name);
        return;
    case A_FLAG:
    case AN_OBJECT:
        return;
    }
}

static inline void expect_strictness(const trial_t *t)
{
    rz_buf_t deep = { 0 };
    for (int i = 0; i < RZ_JSON_DEPTH_MAX; i++)
        rz_buf_putc(&deep, '[');
    for (int i = 0; i < RZ_JSON_DEPTH_MAX; i++)
        rz_buf_putc(&deep, ']');
    expect(t, deep.data, false, RZ_TOO_DEEP, NULL);
    rz_buf_fini(&deep);
    expect(t, "\"a\\u0000b\"", false, RZ_BAD_JSON, NULL);
    expect(t, "\"a\xff\"", false, RZ_BAD_JSON, NULL);
    expect(t, "\"\xed\xa0\x80\"", false, RZ_BAD_JSON, NULL);
    expect(t, "\"once\"", true, RZ_BAD_JSON, NULL);
}

static inline void assert_rules_hold(decode_fn decode, const char *message, const char *name,
                                     const rule_t *rules, size_t n)
{
    rz_buf_t document = vector_load(message, name);
    for (size_t i = 0; i < n; i++) {
        trial_t t = { decode, rz_buf_str(&document), &rules[i] };
        expect_absence(&t);
        expect_types(&t);
        expect_limits(&t);
        expect_strictness(&t);
    }
    rz_buf_fini(&document);
}

/* ---- single hostile documents ---- */

typedef struct {
    const char *json;
    rz_rc_t rc;
    const char *field;
} hostile_t;

static inline void assert_refused(decode_fn decode, const hostile_t *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rz_err_t err = { 0 };
        rz_rc_t rc = decode_tight(decode, table[i].json, strlen(table[i].json), &err);
        if (rc != table[i].rc || err.rc != rc || strcmp(err.field, table[i].field) != 0)
            fail_msg("%.120s: %s \"%s\" (%s), not %s \"%s\"", table[i].json, rz_rc_name(rc), err.field,
                     err.text, rz_rc_name(table[i].rc), table[i].field);
    }
}

#define COUNT(table) (sizeof(table) / sizeof *(table))
