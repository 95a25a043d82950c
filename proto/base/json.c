/* json.c - the strict scanner that stands in front of cJSON.
 *
 * One pass without recursion; the only memory is the list of keys of the objects that are open, for finding
 * duplicates.  Keys of a small object are compared with each other; those of a large one are sorted when it
 * closes, so that 100,000 hostile keys cost n log n comparisons and not n squared. */
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 63 /* bytes; cJSON 1.7.15 reads a longer number wrong */
#define FEW_KEYS   32 /* kept without asking the heap                    */
#define SMALL_KEYS 12 /* compared pairwise                               */

typedef struct {
    char bracket;     /* '{' or '['                        */
    size_t first_key; /* of this object, in scanner_t.keys */
} level_t;

typedef struct {
    const char *start, *at, *end;
    bool by_line; /* failures name the line instead of the byte */
    rz_err_t *err;
    level_t levels[RZ_JSON_DEPTH_MAX];
    size_t depth;
    rz_str_t *keys, few[FEW_KEYS]; /* keys == few until they are many */
    size_t n_keys, cap_keys;
    rz_buf_t unescaped; /* keys with escapes; reserved once, so that spans into it stay */
} scanner_t;

/* ---- failures ---- */

static void where(const scanner_t *s, const char *at, char out[48])
{
    size_t line = 1;
    for (const char *p = s->start; s->by_line && p < at; p++)
        line += *p == '\n';
    if (s->by_line)
        snprintf(out, 48, "line %zu", line);
    else
        snprintf(out, 48, "byte %zu", (size_t)(at - s->start));
}

/* Names where, what was expected and what was met there. */
static rz_rc_t unexpected(const scanner_t *s, const char *at, const char *expected)
{
    char place[48];
    where(s, at, place);
    if (at >= s->end)
        return rz_fail(s->err, RZ_BAD_JSON, "%s: expected %s, met the end of the text", place, expected);
    unsigned char c = (unsigned char)*at;
    if (c > 0x20 && c < 0x7f)
        return rz_fail(s->err, RZ_BAD_JSON, "%s: expected %s, met '%c'", place, expected, c);
    return rz_fail(s->err, RZ_BAD_JSON, "%s: expected %s, met 0x%02X", place, expected, c);
}

static rz_rc_t refused(const scanner_t *s, const char *at, rz_rc_t rc, const char *what)
{
    char place[48];
    where(s, at, place);
    return rz_fail(s->err, rc, "%s: %s", place, what);
}

static void skip_space(scanner_t *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool met(const scanner_t *s, char c)
{
    return s->at < s->end && *s->at == c;
}

static bool met_digit(const scanner_t *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

/* ---- strings ---- */

static rz_rc_t scan_utf8(scanner_t *s)
{
    size_t len = rz_utf8_char(s->at, (size_t)(s->end - s->at));
    s->at += len;
    return len > 0 ? RZ_OK : refused(s, s->at, RZ_BAD_JSON, "not valid UTF-8");
}

/* Four hex digits at s->at. */
static rz_rc_t scan_hex4(scanner_t *s, unsigned *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        char c = s->at < s->end ? *s->at : '\0';
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return unexpected(s, s->at, "a hexadecimal digit");
        *unit = *unit * 16 + digit;
    }
    return RZ_OK;
}

/* Behind "\u": a character, or the first half of a surrogate pair and then its second. */
static rz_rc_t scan_unicode_escape(scanner_t *s)
{
    const char *escape = s->at - 2;
    unsigned unit, second;
    rz_rc_t rc = scan_hex4(s, &unit);
    if (rc != RZ_OK)
        return rc;
    if (unit == 0)
        return refused(s, escape, RZ_BAD_JSON, "\\u0000 is not allowed");
    if (unit < 0xd800 || unit > 0xdfff)
        return RZ_OK;
    bool pair = unit < 0xdc00 && s->end - s->at >= 2 && s->at[0] == '\\' && s->at[1] == 'u';
    if (pair) {
        s->at += 2;
        rc = scan_hex4(s, &second);
        if (rc != RZ_OK)
            return rc;
        pair = second >= 0xdc00 && second <= 0xdfff;
    }
    return pair ? RZ_OK : refused(s, escape, RZ_BAD_JSON, "lone surrogate");
}

static rz_rc_t scan_escape(scanner_t *s)
{
    s->at++;
    char c = s->at < s->end ? *s->at : '\0';
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
        return unexpected(s, s->at, "one of \"\\/bfnrtu behind a backslash");
    s->at++;
    return c == 'u' ? scan_unicode_escape(s) : RZ_OK;
}

/* From the opening quote to behind the closing one; *escapes says whether it has any. */
static rz_rc_t scan_string(scanner_t *s, bool *escapes)
{
    *escapes = false;
    s->at++;
    rz_rc_t rc = RZ_OK;
    while (rc == RZ_OK && s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            s->at++;
            return RZ_OK;
        } else if (c == '\\') {
            *escapes = true;
            rc = scan_escape(s);
        } else if (c >= 0x80) {
            rc = scan_utf8(s);
        } else if (c >= 0x20) {
            s->at++;
        } else {
            rc = unexpected(s, s->at, "an escape (control characters are not allowed in a string)");
        }
    }
    return rc != RZ_OK ? rc : unexpected(s, s->at, "'\"'");
}

/* ---- numbers and words ---- */

static rz_rc_t scan_digits(scanner_t *s)
{
    if (!met_digit(s))
        return unexpected(s, s->at, "a digit");
    while (met_digit(s))
        s->at++;
    return RZ_OK;
}

static rz_rc_t check_range(const scanner_t *s, const char *number)
{
    size_t n = (size_t)(s->at - number);
    if (n > NUMBER_MAX)
        return refused(s, number, RZ_BAD_JSON, "a number of more than 63 bytes");
    char copy[NUMBER_MAX + 1];
    memcpy(copy, number, n);
    copy[n] = '\0';
    return isinf(strtod(copy, NULL)) ? refused(s, number, RZ_BAD_JSON, "number out of range") : RZ_OK;
}

static rz_rc_t scan_number(scanner_t *s)
{
    const char *number = s->at;
    bool exponent = false;
    if (met(s, '-'))
        s->at++;
    const char *digits = s->at;
    rz_rc_t rc = scan_digits(s);
    if (rc == RZ_OK && *digits == '0' && s->at - digits > 1)
        return refused(s, number, RZ_BAD_JSON, "a number with a leading zero");
    if (rc == RZ_OK && met(s, '.')) {
        s->at++;
        rc = scan_digits(s);
    }
    if (rc == RZ_OK && (met(s, 'e') || met(s, 'E'))) {
        exponent = true;
        s->at++;
        if (met(s, '+') || met(s, '-'))
            s->at++;
        rc = scan_digits(s);
    }
    if (rc != RZ_OK || (!exponent && s->at - number <= NUMBER_MAX))
        return rc; /* 63 digits cannot leave the range of a double */
    return check_range(s, number);
}

static rz_rc_t scan_word(scanner_t *s, const char *word)
{
    for (const char *w = word; *w != '\0'; w++, s->at++)
        if (!met(s, *w))
            return unexpected(s, s->at, word);
    return RZ_OK;
}

/* ---- keys and their duplicates ---- */

static rz_str_t unescaped_key(scanner_t *s, rz_str_t quoted)
{
    if (s->unescaped.data == NULL)
        rz_buf_reserve(&s->unescaped, (size_t)(s->end - s->start));
    size_t from = s->unescaped.len;
    rz_json_unescape(quoted, &s->unescaped);
    return (rz_str_t){ s->unescaped.data + from, s->unescaped.len - from };
}

static void remember_key(scanner_t *s, rz_str_t key)
{
    if (s->n_keys == s->cap_keys) {
        s->cap_keys *= 2;
        rz_str_t *many = rz_realloc(s->keys == s->few ? NULL : s->keys, s->cap_keys * sizeof(*many));
        if (s->keys == s->few)
            memcpy(many, s->few, sizeof(s->few));
        s->keys = many;
    }
    s->keys[s->n_keys++] = key;
}

static int by_key(const void *a, const void *b)
{
    const rz_str_t *x = a, *y = b;
    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return x->n == 0 ? 0 : memcmp(x->p, y->p, x->n);
}

/* The first found key that occurs twice, or NULL. */
static const rz_str_t *find_duplicate(rz_str_t *keys, size_t n)
{
    if (n > SMALL_KEYS) {
        qsort(keys, n, sizeof(*keys), by_key);
        for (size_t i = 1; i < n; i++)
            if (by_key(&keys[i - 1], &keys[i]) == 0)
                return &keys[i];
        return NULL;
    }
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (by_key(&keys[j], &keys[i]) == 0)
                return &keys[i];
    return NULL;
}

/* ---- structure ---- */

static rz_rc_t open_level(scanner_t *s)
{
    if (s->depth == RZ_JSON_DEPTH_MAX) {
        char place[48];
        where(s, s->at, place);
        return rz_fail(s->err, RZ_TOO_DEEP, "%s: nested deeper than %d", place, RZ_JSON_DEPTH_MAX);
    }
    s->levels[s->depth++] = (level_t){ *s->at, s->n_keys };
    s->at++;
    return RZ_OK;
}

/* At the closing bracket. */
static rz_rc_t close_level(scanner_t *s)
{
    level_t *level = &s->levels[s->depth - 1];
    const rz_str_t *twice = find_duplicate(s->keys + level->first_key, s->n_keys - level->first_key);
    if (twice != NULL) {
        char place[48];
        where(s, s->at, place);
        int shown = twice->n < 64 ? (int)twice->n : 64;
        return rz_fail(s->err, RZ_BAD_JSON, "%s: the object that ends here has the key \"%.*s\" twice", place,
                       shown, twice->p);
    }
    s->n_keys = level->first_key;
    s->depth--;
    s->at++;
    return RZ_OK;
}

/* `"key" :`, up to where the value may stand. */
static rz_rc_t scan_key(scanner_t *s, const char *expected)
{
    if (!met(s, '"'))
        return unexpected(s, s->at, expected);
    const char *quote = s->at;
    bool escapes;
    rz_rc_t rc = scan_string(s, &escapes);
    if (rc != RZ_OK)
        return rc;
    rz_str_t quoted = { quote, (size_t)(s->at - quote) };
    remember_key(s, escapes ? unescaped_key(s, quoted) : (rz_str_t){ quote + 1, quoted.n - 2 });
    skip_space(s);
    if (!met(s, ':'))
        return unexpected(s, s->at, "':'");
    s->at++;
    skip_space(s);
    return RZ_OK;
}

static rz_rc_t scan_scalar(scanner_t *s)
{
    bool escapes;
    switch (s->at < s->end ? *s->at : '\0') {
    case '"':
        return scan_string(s, &escapes);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return met(s, '-') || met_digit(s) ? scan_number(s) : unexpected(s, s->at, "a value");
    }
}

/* Opens containers until a scalar has been read or an empty container stands open. */
static rz_rc_t scan_value_start(scanner_t *s)
{
    while (met(s, '{') || met(s, '[')) {
        bool object = met(s, '{');
        rz_rc_t rc = open_level(s);
        if (rc != RZ_OK)
            return rc;
        skip_space(s);
        if (met(s, object ? '}' : ']'))
            return RZ_OK;
        rc = object ? scan_key(s, "'\"' or '}'") : RZ_OK;
        if (rc != RZ_OK)
            return rc;
    }
    return scan_scalar(s);
}

/* Behind a value: closes containers until the next value is due (*more) or the text's one value is whole. */
static rz_rc_t scan_value_end(scanner_t *s, bool *more)
{
    for (*more = false; s->depth > 0 && !*more;) {
        bool object = s->levels[s->depth - 1].bracket == '{';
        rz_rc_t rc = RZ_OK;
        skip_space(s);
        if (met(s, object ? '}' : ']')) {
            rc = close_level(s);
        } else if (met(s, ',')) {
            *more = true;
            s->at++;
            skip_space(s);
            rc = object ? scan_key(s, "'\"'") : RZ_OK;
        } else {
            rc = unexpected(s, s->at, object ? "',' or '}'" : "',' or ']'");
        }
        if (rc != RZ_OK)
            return rc;
    }
    return RZ_OK;
}

static rz_rc_t scan_text(scanner_t *s)
{
    skip_space(s);
    rz_rc_t rc = RZ_OK;
    for (bool more = true; rc == RZ_OK && more;) {
        rc = scan_value_start(s);
        if (rc == RZ_OK)
            rc = scan_value_end(s, &more);
    }
    skip_space(s);
    if (rc == RZ_OK && s->at < s->end)
        rc = unexpected(s, s->at, "the end of the text");
    return rc;
}

static rz_rc_t check(const char *bytes, size_t len, size_t max, bool by_line, rz_err_t *err)
{
    if (max > 0 && len > max)
        return rz_fail(err, RZ_TOO_LARGE, "%zu bytes, allowed are %zu", len, max);
    if (len == 0)
        bytes = "";
    scanner_t s;
    s.start = s.at = bytes;
    s.end = bytes + len;
    s.by_line = by_line;
    s.err = err;
    s.depth = s.n_keys = 0;
    s.keys = s.few;
    s.cap_keys = FEW_KEYS;
    s.unescaped = (rz_buf_t){ 0 };

    rz_rc_t rc = scan_text(&s);
    rz_buf_fini(&s.unescaped);
    if (s.keys != s.few)
        rz_free(s.keys);
    return rc;
}

/* ---- what is exported ---- */

rz_rc_t rz_json_check(const char *bytes, size_t len, size_t max, rz_err_t *err)
{
    return check(bytes, len, max, false, err);
}

static cJSON *parse(const char *bytes, size_t len, size_t max, bool by_line, rz_err_t *err)
{
    if (check(bytes, len, max, by_line, err) != RZ_OK)
        return NULL;
    cJSON *tree = cJSON_ParseWithLengthOpts(bytes, len, NULL, false);
    if (tree == NULL)
        rz_fail(err, RZ_INTERNAL, "cJSON refused a text that is strict JSON");
    return tree;
}

cJSON *rz_json_parse(const char *bytes, size_t len, size_t max, rz_err_t *err)
{
    return parse(bytes, len, max, false, err);
}

/* Overwrites // comments with spaces, so that every other byte stays where it was. */
static void blank_comments(char *text, size_t len)
{
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (text[i] == '\n')
            in_string = false; /* an unclosed string is the scanner's to report, at its own line */
        else if (!in_string && text[i] == '/' && i + 1 < len && text[i + 1] == '/')
            while (i < len && text[i] != '\n')
                text[i++] = ' ';
    }
}

cJSON *rz_json_parse_commented(const char *bytes, size_t len, size_t max, rz_err_t *err)
{
    if (max > 0 && len > max) {
        rz_fail(err, RZ_TOO_LARGE, "%zu bytes, allowed are %zu", len, max);
        return NULL;
    }
    char *text = rz_strndup(bytes, len);
    blank_comments(text, len);
    cJSON *tree = parse(text, len, 0, true, err);
    rz_wipe(text, len); /* a configuration may hold a password */
    rz_free(text);
    return tree;
}

void rz_json_wipe(cJSON *tree)
{
    if (tree == NULL)
        return;
    if (cJSON_IsString(tree) && tree->valuestring != NULL)
        rz_wipe(tree->valuestring, strlen(tree->valuestring));
    for (cJSON *child = tree->child; child != NULL; child = child->next)
        rz_json_wipe(child);
}
