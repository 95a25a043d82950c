/* json_span.c - walks text that has been checked (json.c) without building anything, and decodes objects some
 * of whose members stay bytes.
 *
 * Checked text needs no second look at its grammar; the bounds are kept all the same, so that a caller who
 * forgot to check reads nonsense at worst and never beyond the span. */
#include "base/json.h"

#include <string.h>

static rz_str_t from(rz_str_t span, size_t n)
{
    return (rz_str_t){ span.p + n, span.n - n };
}

static rz_str_t skip_space(rz_str_t span)
{
    while (span.n > 0 && (*span.p == ' ' || *span.p == '\n' || *span.p == '\t' || *span.p == '\r'))
        span = from(span, 1);
    return span;
}

/* Length of the string that span begins with, quotes included. */
static size_t string_len(rz_str_t span)
{
    size_t i = 1;
    while (i < span.n && span.p[i] != '"')
        i += span.p[i] == '\\' ? 2 : 1;
    return i < span.n ? i + 1 : span.n;
}

static size_t container_len(rz_str_t span)
{
    size_t depth = 0, i = 0;
    while (i < span.n) {
        char c = span.p[i];
        i += c == '"' ? string_len(from(span, i)) : 1;
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0)
            break;
    }
    return i;
}

static size_t scalar_len(rz_str_t span)
{
    size_t i = 0;
    while (i < span.n && span.p[i] != '\0' && strchr(",]} \t\r\n", span.p[i]) == NULL)
        i++;
    return i;
}

/* Length of the value that span begins with. */
static size_t value_len(rz_str_t span)
{
    switch (span.n > 0 ? *span.p : '\0') {
    case '"':
        return string_len(span);
    case '{':
    case '[':
        return container_len(span);
    default:
        return scalar_len(span);
    }
}

/* ---- iterators: rest stands at the opening bracket first, then behind the last value ---- */

rz_json_iter_t rz_json_iter(rz_str_t container)
{
    return (rz_json_iter_t){ skip_space(container), true };
}

static bool ended(rz_json_iter_t *it)
{
    it->rest = (rz_str_t){ NULL, 0 };
    it->first = false;
    return false;
}

/* Moves to where the next member or element begins. */
static bool advance(rz_json_iter_t *it, char bracket)
{
    char due = it->first ? bracket : ',';
    it->rest = skip_space(it->rest);
    if (it->rest.n == 0 || *it->rest.p != due)
        return ended(it);
    it->rest = skip_space(from(it->rest, 1));
    it->first = false;
    return it->rest.n > 0 && *it->rest.p != ']' && *it->rest.p != '}' ? true : ended(it);
}

static bool take_value(rz_json_iter_t *it, rz_str_t *value)
{
    size_t n = value_len(it->rest);
    if (n == 0)
        return ended(it);
    *value = (rz_str_t){ it->rest.p, n };
    it->rest = from(it->rest, n);
    return true;
}

bool rz_json_next_element(rz_json_iter_t *it, rz_str_t *value)
{
    return advance(it, '[') && take_value(it, value);
}

bool rz_json_next_member(rz_json_iter_t *it, rz_str_t *key, rz_str_t *value)
{
    if (!advance(it, '{'))
        return false;
    size_t n = *it->rest.p == '"' ? string_len(it->rest) : 0;
    if (n < 2)
        return ended(it);
    *key = (rz_str_t){ it->rest.p + 1, n - 2 };
    it->rest = skip_space(from(it->rest, n));
    if (it->rest.n == 0 || *it->rest.p != ':')
        return ended(it);
    it->rest = skip_space(from(it->rest, 1));
    return take_value(it, value);
}

/* ---- escapes ---- */

static unsigned hex4(rz_str_t span)
{
    unsigned unit = 0;
    for (size_t i = 0; i < 4 && i < span.n; i++) {
        unsigned char c = (unsigned char)span.p[i];
        unit = unit * 16 + (c <= '9' ? c - 0x30u : (c | 0x20u) - 0x61u + 10) % 16;
    }
    return unit;
}

static size_t put_utf8(unsigned point, char out[4])
{
    size_t more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = { 0x00, 0xc0, 0xe0, 0xf0 };
    for (size_t i = more; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(lead[more] | point);
    return more + 1;
}

/* Decodes the escape that span begins with; returns its length and sets *n, the bytes put into out. */
static size_t decode_escape(rz_str_t span, char out[4], size_t *n)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    char c = span.n > 1 ? span.p[1] : '\\';
    if (c == 'u' && span.n >= 6) {
        unsigned point = hex4(from(span, 2));
        size_t used = 6;
        if (point >= 0xd800 && point < 0xdc00 && span.n >= 12) {
            point = 0x10000 + ((point - 0xd800) << 10) + ((hex4(from(span, 8)) - 0xdc00) & 0x3ff);
            used = 12;
        }
        *n = put_utf8(point, out);
        return used;
    }
    const char *known = c != '\0' ? strchr(names, c) : NULL;
    out[0] = known != NULL ? values[known - names] : c;
    *n = 1;
    return span.n > 1 ? 2 : 1;
}

/* The inside of a string value; false if it is none. */
static bool inside_string(rz_str_t value, rz_str_t *inside)
{
    value = skip_space(value);
    size_t n = value.n > 0 && *value.p == '"' ? string_len(value) : 0;
    if (n < 2 || value.p[n - 1] != '"')
        return false;
    *inside = (rz_str_t){ value.p + 1, n - 2 };
    return true;
}

bool rz_json_unescape(rz_str_t value, rz_buf_t *out)
{
    rz_str_t rest;
    if (!inside_string(value, &rest))
        return false;
    while (rest.n > 0) {
        const char *escape = memchr(rest.p, '\\', rest.n);
        size_t plain = escape != NULL ? (size_t)(escape - rest.p) : rest.n;
        rz_buf_put(out, rest.p, plain);
        rest = from(rest, plain);
        if (rest.n > 0) {
            char bytes[4];
            size_t n, used = decode_escape(rest, bytes, &n);
            rz_buf_put(out, bytes, n);
            rest = from(rest, used);
        }
    }
    return true;
}

/* Compares the inside of a string, escapes as written, with plain text. */
static bool inside_is(rz_str_t rest, const char *text)
{
    size_t left = strlen(text);
    while (rest.n > 0) {
        char bytes[4] = { *rest.p };
        size_t n = 1, used = *rest.p == '\\' ? decode_escape(rest, bytes, &n) : 1;
        if (n > left || memcmp(text, bytes, n) != 0)
            return false;
        text += n;
        left -= n;
        rest = from(rest, used);
    }
    return left == 0;
}

bool rz_json_is(rz_str_t value, const char *text)
{
    rz_str_t inside;
    return inside_string(value, &inside) && inside_is(inside, text);
}

rz_str_t rz_json_member(rz_str_t object, const char *key)
{
    rz_json_iter_t it = rz_json_iter(object);
    for (rz_str_t name, value; rz_json_next_member(&it, &name, &value);)
        if (inside_is(name, key))
            return value;
    return (rz_str_t){ NULL, 0 };
}

char rz_json_kind(rz_str_t value)
{
    value = skip_space(value);
    if (value.n == 0)
        return 0;
    return *value.p == '-' || (*value.p >= '0' && *value.p <= '9') ? '0' : *value.p;
}

/* ---- decoding one object ---- */

static size_t raw_index(rz_str_t key, const char *const *raw_keys)
{
    size_t i = 0;
    while (raw_keys[i] != NULL && !inside_is(key, raw_keys[i]))
        i++;
    return i;
}

/* Takes the raw members out: their spans go to out->raw, the text of all others to `others`.
 * True if there was any. */
static bool split_raw(rz_str_t bytes, const char *const *raw_keys, rz_object_t *out, rz_buf_t *others)
{
    bool any = false;
    rz_json_iter_t it = rz_json_iter(bytes);
    rz_json_open(others, '{');
    for (rz_str_t key, value; rz_json_next_member(&it, &key, &value);) {
        size_t i = raw_index(key, raw_keys);
        if (raw_keys[i] != NULL) {
            out->raw[i] = value;
            any = true;
            continue;
        }
        if (others->len > 1)
            rz_buf_putc(others, ',');
        rz_buf_put(others, key.p - 1, key.n + 2); /* with its quotes */
        rz_buf_putc(others, ':');
        rz_buf_put_str(others, value);
    }
    rz_json_close(others, '}');
    return any;
}

rz_rc_t rz_object_decode_checked(rz_str_t bytes, const char *const *raw_keys, rz_object_t *out, rz_err_t *err)
{
    *out = (rz_object_t){ 0 };
    if (rz_json_kind(bytes) != '{')
        return rz_fail(err, RZ_BAD_JSON, "the text must be an object");
    rz_buf_t others = { 0 };
    bool split = raw_keys != NULL && raw_keys[0] != NULL && split_raw(bytes, raw_keys, out, &others);
    rz_str_t rest = split ? rz_buf_str(&others) : bytes;
    out->tree = cJSON_ParseWithLengthOpts(rest.p, rest.n, NULL, false);
    rz_buf_fini(&others);
    if (out->tree != NULL)
        return RZ_OK;
    *out = (rz_object_t){ 0 };
    return rz_fail(err, RZ_INTERNAL, "cJSON refused a text that is strict JSON");
}

rz_rc_t rz_object_decode(const char *bytes, size_t len, size_t max, const char *const *raw_keys,
                         rz_object_t *out, rz_err_t *err)
{
    *out = (rz_object_t){ 0 };
    rz_rc_t rc = rz_json_check(bytes, len, max, err);
    return rc == RZ_OK ? rz_object_decode_checked((rz_str_t){ bytes, len }, raw_keys, out, err) : rc;
}

void rz_object_fini(rz_object_t *object)
{
    cJSON_Delete(object->tree);
    *object = (rz_object_t){ 0 };
}
