/* What strict JSON lets through, what it refuses, and how spans, objects and fields are read. */
#include "facts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>

/* ---- vectors: text with its length, since some hold NUL ---- */
typedef struct {
    const char *name;
    const char *text;
    size_t len; /* 0: strlen */
    rz_rc_t rc;
} vector_t;

static const vector_t refused[] = {
    { "empty", "", 0, RZ_BAD_JSON },
    { "only space", " \n", 0, RZ_BAD_JSON },
    { "byte order mark", "\xef\xbb\xbf{}", 0, RZ_BAD_JSON },
    { "duplicate key", "{\"a\":1,\"a\":2}", 0, RZ_BAD_JSON },
    { "duplicate key by escape", "{\"a\":1,\"\\u0061\":2}", 0, RZ_BAD_JSON },
    { "duplicate empty key", "{\"\":1,\"\":2}", 0, RZ_BAD_JSON },
    { "duplicate key deep inside", "[{\"x\":{\"k\":1,\"j\":2,\"k\":3}}]", 0, RZ_BAD_JSON },
    { "duplicate key around an inner object", "{\"a\":{\"b\":1},\"c\":2,\"a\":3}", 0, RZ_BAD_JSON },
    { "duplicate by surrogate escape", "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", 0, RZ_BAD_JSON },
    { "escaped NUL", "\"a\\u0000b\"", 0, RZ_BAD_JSON },
    { "raw NUL in string", "\"a\0b\"", 5, RZ_BAD_JSON },
    { "NUL behind the text", "{}\0", 3, RZ_BAD_JSON },
    { "raw tab in string", "\"a\tb\"", 0, RZ_BAD_JSON },
    { "raw newline in string", "\"a\nb\"", 0, RZ_BAD_JSON },
    { "lone high surrogate", "\"\\ud800\"", 0, RZ_BAD_JSON },
    { "lone low surrogate", "\"\\udc00\"", 0, RZ_BAD_JSON },
    { "high surrogate before a character", "\"\\ud800\\u0041\"", 0, RZ_BAD_JSON },
    { "two high surrogates", "\"\\ud800\\ud800\"", 0, RZ_BAD_JSON },
    { "surrogate in UTF-8", "\"\xed\xa0\x80\"", 0, RZ_BAD_JSON },
    { "overlong slash", "\"\xc0\xaf\"", 0, RZ_BAD_JSON },
    { "overlong three bytes", "\"\xe0\x80\xaf\"", 0, RZ_BAD_JSON },
    { "overlong four bytes", "\"\xf0\x80\x80\xaf\"", 0, RZ_BAD_JSON },
    { "beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", 0, RZ_BAD_JSON },
    { "stray continuation", "\"\x80\"", 0, RZ_BAD_JSON },
    { "byte 0xFF", "\"\xff\"", 0, RZ_BAD_JSON },
    { "cut character", "\"\xe2\x82\"", 0, RZ_BAD_JSON },
    { "bad escape", "\"\\x41\"", 0, RZ_BAD_JSON },
    { "bad hex", "\"\\u00g0\"", 0, RZ_BAD_JSON },
    { "short hex", "\"\\u00\"", 0, RZ_BAD_JSON },
    { "leading zero", "[01]", 0, RZ_BAD_JSON },
    { "double zero", "[00]", 0, RZ_BAD_JSON },
    { "negative leading zero", "[-01]", 0, RZ_BAD_JSON },
    { "no digit behind the point", "[1.]", 0, RZ_BAD_JSON },
    { "no digit before the point", "[.5]", 0, RZ_BAD_JSON },
    { "plus sign", "[+1]", 0, RZ_BAD_JSON },
    { "only minus", "[-]", 0, RZ_BAD_JSON },
    { "empty exponent", "[1e]", 0, RZ_BAD_JSON },
    { "signed empty exponent", "[1e+]", 0, RZ_BAD_JSON },
    { "hexadecimal", "[0x10]", 0, RZ_BAD_JSON },
    { "too large a number", "[1e999]", 0, RZ_BAD_JSON },
    { "too small a number", "[-1e999]", 0, RZ_BAD_JSON },
    { "just above the largest double", "[1.7976931348623159e308]", 0, RZ_BAD_JSON },
    { "a number of 64 bytes", "[1234567890123456789012345678901234567890123456789012345678901234]", 0,
      RZ_BAD_JSON },
    { "NaN", "[NaN]", 0, RZ_BAD_JSON },
    { "Infinity", "[-Infinity]", 0, RZ_BAD_JSON },
    { "upper case word", "[True]", 0, RZ_BAD_JSON },
    { "longer word", "[nulls]", 0, RZ_BAD_JSON },
    { "trailing comma in array", "[1,]", 0, RZ_BAD_JSON },
    { "trailing comma in object", "{\"a\":1,}", 0, RZ_BAD_JSON },
    { "missing comma", "[1 2]", 0, RZ_BAD_JSON },
    { "missing colon", "{\"a\" 1}", 0, RZ_BAD_JSON },
    { "missing value", "{\"a\":}", 0, RZ_BAD_JSON },
    { "bare key", "{a:1}", 0, RZ_BAD_JSON },
    { "single quotes", "{'a':1}", 0, RZ_BAD_JSON },
    { "mixed brackets", "[1}", 0, RZ_BAD_JSON },
    { "mixed brackets in object", "{\"a\":1]", 0, RZ_BAD_JSON },
    { "closed twice", "[]]", 0, RZ_BAD_JSON },
    { "two values", "{} {}", 0, RZ_BAD_JSON },
    { "junk behind", "1 x", 0, RZ_BAD_JSON },
    { "comment", "[1] // no", 0, RZ_BAD_JSON },
    { "form feed as space", "[\f1]", 0, RZ_BAD_JSON },
    { "no-break space", "[\xc2\xa0 1]", 0, RZ_BAD_JSON },
};

static const char *const accepted[] = {
    "{}",
    "[]",
    " [ ] ",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0e-0",
    "1E+2",
    "1e-999",
    "1.7976931348623157e308",
    "123456789012345678901234567890123456789012345678901234567890123",
    "\"\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"",
    "\"\x7f \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"",
    "{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}}",
    "{\"\":0,\"a\":1,\"A\":2,\"aa\":3,\"\\u00e9\":4,\"e\":5}",
    "\t\r\n{ \"kind\" : \"run\" , \"n\" : [ 1 , 2.5 , -3e4 ] , \"x\" : { } }\n",
    "[[],{},[[]],[{}],\"]\",\"}\",\"\\\"]\"]",
    "{\"type\":\"token\",\"content\":\"gr\xc3\xbc\xc3\x9f \\\"dich\\\"\",\"more\":[true,false,null]}",
};
#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

static rz_rc_t check(const char *text, size_t len, rz_err_t *err)
{
    char *copy = malloc(len > 0 ? len : 1); /* exact, so that reading beyond it is seen */
    memcpy(copy, text, len);
    rz_rc_t rc = rz_json_check(copy, len, 0, err);
    free(copy);
    return rc;
}

static void hostile_text_is_refused_by_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(refused); i++) {
        rz_err_t err = { 0 };
        const vector_t *v = &refused[i];
        rz_rc_t rc = check(v->text, v->len > 0 ? v->len : strlen(v->text), &err);
        if (rc != v->rc || err.rc != v->rc || err.text[0] == '\0')
            fail_msg("%s: %s \"%s\"", v->name, rz_rc_name(rc), err.text);
    }
}

static void sound_text_is_accepted_and_cjson_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(accepted); i++) {
        rz_err_t err = { 0 };
        cJSON *ours = rz_json_parse(accepted[i], strlen(accepted[i]), 0, &err);
        if (ours == NULL)
            fail_msg("%s: %s", accepted[i], err.text);
        cJSON *theirs = cJSON_Parse(accepted[i]);
        assert_non_null(theirs);
        assert_true(cJSON_Compare(ours, theirs, true));
        cJSON_Delete(ours);
        cJSON_Delete(theirs);
    }
}

/* A prefix is refused, or is a complete shorter text ("12" of "123", "{}" of "{} "); then cJSON takes it too.
 */
static void every_cut_of_a_sound_text_is_refused_or_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(accepted); i++)
        for (size_t len = 0; len < strlen(accepted[i]); len++) {
            rz_err_t err = { 0 };
            rz_rc_t rc = check(accepted[i], len, &err);
            const char *end = NULL;
            cJSON *tree = cJSON_ParseWithLengthOpts(accepted[i], len, &end, false);
            if (rc == RZ_OK)
                assert_non_null(tree);
            else
                assert_int_equal(rc, RZ_BAD_JSON);
            bool container = strchr("{[\"", *accepted[i]) != NULL;
            assert_false(container && rc == RZ_OK); /* not whole before its last byte */
            cJSON_Delete(tree);
        }
}

static void every_cut_of_a_hostile_text_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(refused); i++)
        for (size_t len = 0; len < (refused[i].len > 0 ? refused[i].len : strlen(refused[i].text)); len++) {
            rz_err_t err = { 0 };
            if (check(refused[i].text, len, &err) == RZ_OK) {
                cJSON *tree = cJSON_ParseWithLengthOpts(refused[i].text, len, NULL, false);
                assert_non_null(tree);
                cJSON_Delete(tree);
            }
        }
}

static void flipping_any_byte_never_passes_what_cjson_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(accepted); i++) {
        size_t len = strlen(accepted[i]);
        char *copy = malloc(len);
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                memcpy(copy, accepted[i], len);
                copy[at] = (char)byte;
                if (rz_json_check(copy, len, 0, NULL) != RZ_OK)
                    continue;
                cJSON *tree = cJSON_ParseWithLengthOpts(copy, len, NULL, false);
                assert_non_null(tree);
                cJSON_Delete(tree);
            }
        free(copy);
    }
}

static void a_failure_names_the_byte_and_what_was_met(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    assert_int_equal(rz_json_check("{\"a\":1;}", 8, 0, &err), RZ_BAD_JSON);
    assert_string_equal(err.text, "byte 6: expected ',' or '}', met ';'");
    err = (rz_err_t){ 0 };
    assert_int_equal(rz_json_check("[1,", 3, 0, &err), RZ_BAD_JSON);
    assert_string_equal(err.text, "byte 3: expected a value, met the end of the text");
    err = (rz_err_t){ 0 };
    assert_int_equal(rz_json_check("{\"k\":1,\"k\":2}", 13, 0, &err), RZ_BAD_JSON);
    assert_string_equal(err.text, "byte 12: the object that ends here has the key \"k\" twice");
}

/* ---- bounds ---- */

static char *nested(size_t depth, char open, char close)
{
    char *text = malloc(2 * depth + 1);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    char *fits = nested(RZ_JSON_DEPTH_MAX, '[', ']'), *deeper = nested(RZ_JSON_DEPTH_MAX + 1, '[', ']');
    char *abyss = nested(1000000, '[', ']');
    assert_int_equal(rz_json_check(fits, strlen(fits), 0, NULL), RZ_OK);
    assert_int_equal(rz_json_check(deeper, strlen(deeper), 0, NULL), RZ_TOO_DEEP);
    assert_int_equal(rz_json_check(abyss, strlen(abyss), 0, NULL), RZ_TOO_DEEP);
    free(fits);
    free(deeper);
    free(abyss);
}

static void length_is_bounded_exactly(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    assert_int_equal(rz_json_check("[1]", 3, 3, NULL), RZ_OK);
    assert_int_equal(rz_json_check("[1]", 3, 2, &err), RZ_TOO_LARGE);
    assert_string_equal(err.text, "3 bytes, allowed are 2");
}

static void put_many_keys(rz_buf_t *text, int n, const char *last)
{
    rz_buf_putc(text, '{');
    for (int i = 0; i < n; i++)
        rz_buf_printf(text, "\"%s%06d\":0,", i % 2 ? "\\u006b" : "k", i * 7919 % n);
    rz_buf_printf(text, "\"%s\":0}", last);
}

/* Compared pairwise, 200,000 keys take minutes; the bound is wide enough for a loaded machine. */
static void very_many_keys_are_checked_quickly(void **state)
{
    (void)state;
    rz_buf_t unique = { 0 }, twice = { 0 };
    put_many_keys(&unique, 200000, "last");
    put_many_keys(&twice, 200000, "k100000");
    uint64_t start = rz_now_ms();
    assert_int_equal(rz_json_check(unique.data, unique.len, 0, NULL), RZ_OK);
    assert_int_equal(rz_json_check(twice.data, twice.len, 0, NULL), RZ_BAD_JSON);
    assert_true(rz_now_ms() - start < 20000);
    rz_buf_fini(&unique);
    rz_buf_fini(&twice);
}

static void comments_are_taken_from_configuration_only_outside_strings(void **state)
{
    (void)state;
    static const char text[] = "// head\n{ \"url\": \"http://x//y\", // why\n  \"q\": \"\\\"//\" } // end";
    rz_err_t err = { 0 };
    cJSON *tree = rz_json_parse_commented(text, strlen(text), 0, &err);
    assert_non_null(tree);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "url")->valuestring, "http://x//y");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "q")->valuestring, "\"//");
    cJSON_Delete(tree);

    static const char broken[] = "{\n  // one\n  \"a\" = 1\n}";
    assert_null(rz_json_parse_commented(broken, strlen(broken), 0, &err));
    assert_string_equal(err.text, "line 3: expected ':', met '='");
}

/* ---- spans ---- */

static void spans_walk_members_and_elements_verbatim(void **state)
{
    (void)state;
    rz_str_t key, value;
    rz_json_iter_t it =
        rz_json_iter(rz_str(" { \"a\" : [1, \"]}\", {\"x\":2}] ,\"b\\n\":-1.5e3 , \"c\":null }"));
    assert_true(rz_json_next_member(&it, &key, &value));
    assert_true(rz_str_eq(key, "a") && rz_str_eq(value, "[1, \"]}\", {\"x\":2}]"));
    rz_json_iter_t inner = rz_json_iter(value);
    rz_str_t element;
    assert_true(rz_json_next_element(&inner, &element) && rz_str_eq(element, "1"));
    assert_true(rz_json_next_element(&inner, &element) && rz_str_eq(element, "\"]}\""));
    assert_true(rz_json_next_element(&inner, &element) && rz_str_eq(element, "{\"x\":2}"));
    assert_false(rz_json_next_element(&inner, &element));
    assert_false(rz_json_next_element(&inner, &element));
    assert_true(rz_json_next_member(&it, &key, &value));
    assert_true(rz_str_eq(key, "b\\n") && rz_str_eq(value, "-1.5e3"));
    assert_true(rz_json_next_member(&it, &key, &value) && rz_str_eq(value, "null"));
    assert_false(rz_json_next_member(&it, &key, &value));
}

static void spans_of_another_kind_yield_nothing(void **state)
{
    (void)state;
    static const char *const others[] = { "[1]", "\"x\"", "7", "null", "{}", "", " " };
    for (size_t i = 0; i < N_OF(others); i++) {
        rz_str_t key, value;
        rz_json_iter_t it = rz_json_iter(rz_str(others[i]));
        assert_false(rz_json_next_member(&it, &key, &value));
        it = rz_json_iter(rz_str(*others[i] == '[' ? "[]" : others[i]));
        assert_false(rz_json_next_element(&it, &value));
    }
}

static void members_are_found_through_escapes(void **state)
{
    (void)state;
    rz_str_t object = rz_str("{\"\\u006bind\":\"r\\u0075n\",\"kindly\":1,\"\\ud83d\\ude00\":2,\"kin\":3}");
    assert_true(rz_json_is(rz_json_member(object, "kind"), "run"));
    assert_true(rz_str_eq(rz_json_member(object, "\xf0\x9f\x98\x80"), "2"));
    assert_true(rz_str_eq(rz_json_member(object, "kin"), "3"));
    assert_null(rz_json_member(object, "ki").p);
    assert_false(rz_json_is(rz_str("\"run\""), "ru"));
    assert_false(rz_json_is(rz_str("\"ru\""), "run"));
    assert_false(rz_json_is(rz_str("run"), "run"));
}

static void unescaping_agrees_with_cjson(void **state)
{
    (void)state;
    static const char *const texts[] = { "\"\"", "\"plain\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                         "\"\\u0001\\u007f\\u0080\\u07ff\\u0800\\uFFFF\"",
                                         "\"\\ud800\\udc00x\\uDBFF\\uDFFF\"" };
    for (size_t i = 0; i < N_OF(texts); i++) {
        rz_buf_t out = { 0 };
        cJSON *tree = cJSON_Parse(texts[i]);
        assert_true(rz_json_unescape(rz_str(texts[i]), &out));
        assert_int_equal(out.len, strlen(tree->valuestring));
        assert_true(rz_str_eq(rz_buf_str(&out), tree->valuestring));
        assert_true(rz_json_is(rz_str(texts[i]), tree->valuestring));
        cJSON_Delete(tree);
        rz_buf_fini(&out);
    }
    rz_buf_t none = { 0 };
    assert_false(rz_json_unescape(rz_str("12"), &none));
    rz_buf_fini(&none);
}

static void kinds_are_told_by_the_first_byte(void **state)
{
    (void)state;
    static const char *const values[] = { "{}", " []", "\"\"", "-1", "7", "true", "false", "null" };
    static const char kinds[] = "{[\"00tfn";
    for (size_t i = 0; i < N_OF(values); i++)
        assert_int_equal(rz_json_kind(rz_str(values[i])), kinds[i]);
    assert_int_equal(rz_json_kind((rz_str_t){ NULL, 0 }), 0);
}

/* ---- objects ---- */

static void raw_members_keep_their_bytes_and_leave_the_tree(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kind\":\"run\", \"mess\\u0061ges\" : [ {\"role\":\"user\"} , 1e2 ],\"n\":5}";
    static const char *const raw[] = { "messages", "event", NULL };
    rz_object_t object;
    rz_err_t err = { 0 };
    assert_int_equal(rz_object_decode(text, strlen(text), 0, raw, &object, &err), RZ_OK);
    assert_true(rz_str_eq(object.raw[0], "[ {\"role\":\"user\"} , 1e2 ]"));
    assert_ptr_equal(object.raw[0].p, strchr(text, '['));
    assert_null(object.raw[1].p);
    assert_int_equal(cJSON_GetArraySize(object.tree), 2);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(object.tree, "kind")->valuestring, "run");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(object.tree, "n")->valueint, 5);
    rz_object_fini(&object);
    assert_null(object.tree);
}

static void an_object_of_raw_members_only_leaves_an_empty_tree(void **state)
{
    (void)state;
    static const char *const raw[] = { "a", "b", NULL };
    rz_object_t object;
    assert_int_equal(rz_object_decode("{\"b\":[],\"a\":null}", 17, 0, raw, &object, NULL), RZ_OK);
    assert_true(rz_str_eq(object.raw[0], "null") && rz_str_eq(object.raw[1], "[]"));
    assert_true(cJSON_IsObject(object.tree) && object.tree->child == NULL);
    rz_object_fini(&object);
}

static void what_is_no_object_or_not_strict_is_not_decoded(void **state)
{
    (void)state;
    static const char *const raw[] = { "messages", NULL };
    rz_object_t object;
    rz_err_t err = { 0 };
    assert_int_equal(rz_object_decode("[1]", 3, 0, raw, &object, &err), RZ_BAD_JSON);
    assert_null(object.tree);
    /* strictness reaches into what stays bytes */
    static const char hidden[] = "{\"messages\":[{\"a\":1,\"a\":2}]}";
    assert_int_equal(rz_object_decode(hidden, strlen(hidden), 0, raw, &object, NULL), RZ_BAD_JSON);
    assert_int_equal(rz_object_decode(hidden, strlen(hidden), 10, raw, &object, NULL), RZ_TOO_LARGE);
    assert_null(object.tree);
}

/* ---- fields ---- */

static const char *const modes[] = { "echo", "session", NULL };

/* Reads `text` with one reader and returns the failure. */
typedef void (*reader_fn)(rz_fields_t *f);
static void read_id(rz_fields_t *f)
{
    rz_field_id(f, "x", RZ_REQUIRED);
}
static void read_short(rz_fields_t *f)
{
    rz_field_str(f, "x", RZ_REQUIRED, 3);
}
static void read_u64(rz_fields_t *f)
{
    assert_int_equal(rz_field_u64(f, "x", RZ_DEFAULTED, 7, 1, 100), 7);
}
static void read_big(rz_fields_t *f)
{
    rz_field_u64(f, "x", RZ_REQUIRED, 0, 0, UINT64_MAX);
}
static void read_bool(rz_fields_t *f)
{
    rz_field_bool(f, "x", RZ_OPTIONAL, false);
}
static void read_object(rz_fields_t *f)
{
    assert_null(rz_field_object(f, "x", RZ_REQUIRED));
}
static void read_list(rz_fields_t *f)
{
    assert_null(rz_field_strings(f, "x", RZ_REQUIRED, 3));
}
static void read_ids(rz_fields_t *f)
{
    assert_null(rz_field_ids(f, "x", RZ_REQUIRED));
}
static void read_mode(rz_fields_t *f)
{
    rz_field_enum(f, "x", RZ_REQUIRED, modes, -1);
}
static void read_only(rz_fields_t *f)
{
    static const char *const keys[] = { "a", "b", NULL };
    rz_fields_only(f, keys);
}

static const struct {
    reader_fn read;
    const char *text;
    rz_rc_t rc;
    const char *failure;
} fields[] = {
    { read_id, "{}", RZ_MISSING_FIELD, "a.x: required, but missing" },
    { read_id, "{\"X\":\"1\"}", RZ_MISSING_FIELD, "a.x: required, but missing" },
    { read_id, "{\"x\":null}", RZ_MISSING_FIELD, "a.x: required, but null" },
    { read_id, "{\"x\":12}", RZ_BAD_FIELD, "a.x: found 12, allowed: an id of" },
    { read_id, "{\"x\":\"../etc\"}", RZ_BAD_ID, "a.x: found \"../etc\", allowed: an id of" },
    { read_short, "{\"x\":\"abcd\"}", RZ_TOO_LARGE, "a.x: found \"abcd\", allowed: at most 3 bytes, not 4" },
    { read_short, "{\"x\":{}}", RZ_BAD_FIELD, "a.x: found an object, allowed: a string" },
    { read_u64, "{\"x\":0}", RZ_BAD_FIELD, "a.x: found 0, allowed: an integer from 1 to 100" },
    { read_u64, "{\"x\":101}", RZ_BAD_FIELD, "a.x: found 101, " },
    { read_u64, "{\"x\":1.5}", RZ_BAD_FIELD, "a.x: found 1.5, " },
    { read_u64, "{\"x\":-1}", RZ_BAD_FIELD, "a.x: found -1, " },
    { read_u64, "{\"x\":\"5\"}", RZ_BAD_FIELD, "a.x: found \"5\", " },
    { read_u64, "{\"x\":null}", RZ_BAD_FIELD, "a.x: found null, allowed: a value" },
    { read_big, "{\"x\":9007199254740993}", RZ_BAD_FIELD, "a.x: found 9007199254740992, " },
    { read_big, "{\"x\":1e300}", RZ_BAD_FIELD, "a.x: found 1.0000000000000001e+300, " },
    { read_bool, "{\"x\":1}", RZ_BAD_FIELD, "a.x: found 1, allowed: true or false" },
    { read_object, "{\"x\":[]}", RZ_BAD_FIELD, "a.x: found an array, allowed: an object" },
    { read_list, "{\"x\":\"a\"}", RZ_BAD_FIELD, "a.x: found \"a\", allowed: an array of strings" },
    { read_list, "{\"x\":[\"a\",\"\"]}", RZ_BAD_FIELD,
      "a.x[1]: found \"\", allowed: a string of 1 to 3 bytes" },
    { read_list, "{\"x\":[\"abcd\"]}", RZ_TOO_LARGE, "a.x[0]: found \"abcd\", " },
    { read_ids, "{\"x\":\"a\"}", RZ_BAD_FIELD, "a.x: found \"a\", allowed: an array of ids" },
    { read_ids, "{\"x\":[\"a\",7]}", RZ_BAD_FIELD, "a.x[1]: found 7, allowed: an id of 1 to 128 letters" },
    { read_ids, "{\"x\":[\"\"]}", RZ_BAD_ID, "a.x[0]: found \"\", allowed: an id of 1 to 128 letters" },
    { read_mode, "{\"x\":\"Echo\"}", RZ_BAD_FIELD, "a.x: found \"Echo\", allowed: one of echo, session" },
    { read_only, "{\"a\":1,\"c\":2}", RZ_BAD_FIELD, "a.c: unknown; allowed are a, b" },
};

static void a_bad_field_is_named_with_what_was_found_and_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(fields); i++) {
        rz_err_t err = { 0 };
        cJSON *tree = cJSON_Parse(fields[i].text);
        rz_fields_t f = { .obj = tree, .where = "a.", .err = &err };
        fields[i].read(&f);
        cJSON_Delete(tree);
        if (err.rc != fields[i].rc || strncmp(err.text, fields[i].failure, strlen(fields[i].failure)) != 0)
            fail_msg("%s: %s \"%s\"", fields[i].text, rz_rc_name(err.rc), err.text);
        assert_memory_equal(err.field, "a.", 2);
    }
}

static void absent_fields_give_their_empty_or_default_value(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    cJSON *tree = cJSON_Parse("{\"n\":null,\"u\":9007199254740991,\"l\":[\"a\"]}");
    rz_fields_t f = { .obj = tree, .where = "", .err = &err };
    assert_null(rz_field_str(&f, "n", RZ_OPTIONAL, 5));
    assert_null(rz_field_id(&f, "n", RZ_OPTIONAL));
    assert_int_equal(rz_field_u64(&f, "n", RZ_OPTIONAL, 3, 0, 9), 3);
    assert_true(rz_field_bool(&f, "none", RZ_DEFAULTED, true));
    assert_int_equal(rz_field_enum(&f, "none", RZ_DEFAULTED, modes, 1), 1);
    assert_null(rz_field_object(&f, "n", RZ_OPTIONAL));
    assert_null(rz_field_strings(&f, "n", RZ_OPTIONAL, 5));
    assert_int_equal(cJSON_GetArraySize(rz_field_strings(&f, "l", RZ_REQUIRED, 1)), 1);
    assert_null(rz_field_ids(&f, "n", RZ_OPTIONAL));
    assert_int_equal(cJSON_GetArraySize(rz_field_ids(&f, "l", RZ_REQUIRED)), 1);
    assert_true(rz_field_u64(&f, "u", RZ_REQUIRED, 0, 0, UINT64_MAX) == UINT64_C(9007199254740991));
    assert_int_equal(err.rc, RZ_OK);
    cJSON_Delete(tree);
}

static void a_count_beyond_all_integers_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t count;
    } table[] = { { "0", 0 },
                  { "7.9", 7 },
                  { "9007199254740991", UINT64_C(9007199254740991) },
                  { "9e15", UINT64_C(9000000000000000) },
                  { "9007199254740992", 0 },
                  { "7e44", 0 },
                  { "-1", 0 },
                  { "-1e300", 0 },
                  { "\"7\"", 0 },
                  { "true", 0 },
                  { "null", 0 } };
    for (size_t i = 0; i < N_OF(table); i++) {
        cJSON *item = cJSON_Parse(table[i].json);
        assert_true(rz_json_count(item) == table[i].count);
        cJSON_Delete(item);
    }
    assert_true(rz_json_count(NULL) == 0);
}

static void the_first_bad_field_stays(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    cJSON *tree = cJSON_Parse("{\"a\":1,\"b\":2}");
    rz_fields_t f = { .obj = tree, .where = "", .err = &err };
    rz_field_str(&f, "a", RZ_REQUIRED, 5);
    rz_field_str(&f, "c", RZ_REQUIRED, 5);
    assert_int_equal(err.rc, RZ_BAD_FIELD);
    assert_string_equal(err.field, "a");
    cJSON_Delete(tree);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(hostile_text_is_refused_by_its_code),
    cmocka_unit_test(sound_text_is_accepted_and_cjson_reads_the_same),
    cmocka_unit_test(every_cut_of_a_sound_text_is_refused_or_sound),
    cmocka_unit_test(every_cut_of_a_hostile_text_is_survived),
    cmocka_unit_test(flipping_any_byte_never_passes_what_cjson_refuses),
    cmocka_unit_test(a_failure_names_the_byte_and_what_was_met),
    cmocka_unit_test(depth_is_bounded_exactly),
    cmocka_unit_test(length_is_bounded_exactly),
    cmocka_unit_test(very_many_keys_are_checked_quickly),
    cmocka_unit_test(comments_are_taken_from_configuration_only_outside_strings),
    cmocka_unit_test(spans_walk_members_and_elements_verbatim),
    cmocka_unit_test(spans_of_another_kind_yield_nothing),
    cmocka_unit_test(members_are_found_through_escapes),
    cmocka_unit_test(unescaping_agrees_with_cjson),
    cmocka_unit_test(kinds_are_told_by_the_first_byte),
    cmocka_unit_test(raw_members_keep_their_bytes_and_leave_the_tree),
    cmocka_unit_test(an_object_of_raw_members_only_leaves_an_empty_tree),
    cmocka_unit_test(what_is_no_object_or_not_strict_is_not_decoded),
    cmocka_unit_test(a_bad_field_is_named_with_what_was_found_and_what_is_allowed),
    cmocka_unit_test(absent_fields_give_their_empty_or_default_value),
    cmocka_unit_test(the_first_bad_field_stays),
    cmocka_unit_test(a_count_beyond_all_integers_is_none),
};

RZ_FACTS(tests)
