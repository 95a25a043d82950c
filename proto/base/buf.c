/* buf.c - a growing run of bytes, and the small JSON writer on top of it. */
#include "base/buf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAP 64

void rz_buf_fini(rz_buf_t *buf)
{
    rz_free(buf->data);
    *buf = (rz_buf_t){ 0 };
}

void rz_buf_clear(rz_buf_t *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* cap counts the NUL.  Doubling keeps a long run of small puts linear.  An overflowing request becomes one
 * that the heap refuses by name. */
void rz_buf_reserve(rz_buf_t *buf, size_t more)
{
    if (buf->cap > buf->len && more < buf->cap - buf->len)
        return;
    size_t need = more < SIZE_MAX - buf->len ? buf->len + more + 1 : SIZE_MAX;
    size_t cap = buf->cap < FIRST_CAP / 2 ? FIRST_CAP : buf->cap * 2;
    if (cap < need)
        cap = need;
    buf->data = rz_realloc(buf->data, cap);
    buf->data[buf->len] = '\0';
    buf->cap = cap;
}

void rz_buf_put(rz_buf_t *buf, const void *bytes, size_t n)
{
    rz_buf_reserve(buf, n);
    if (n > 0)
        memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = '\0';
}

void rz_buf_puts(rz_buf_t *buf, const char *text)
{
    rz_buf_put(buf, text, strlen(text));
}

void rz_buf_putc(rz_buf_t *buf, char c)
{
    rz_buf_put(buf, &c, 1);
}

void rz_buf_put_str(rz_buf_t *buf, rz_str_t span)
{
    rz_buf_put(buf, span.p, span.n);
}

void rz_buf_printf(rz_buf_t *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    rz_buf_reserve(buf, FIRST_CAP - 1);
    size_t room = buf->cap - buf->len;
    int n = vsnprintf(buf->data + buf->len, room, fmt, args);
    if (n >= 0 && (size_t)n >= room) {
        rz_buf_reserve(buf, (size_t)n);
        n = vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(args);
    if (n > 0)
        buf->len += (size_t)n;
    buf->data[buf->len] = '\0';
}

void rz_buf_drop(rz_buf_t *buf, size_t n)
{
    if (n >= buf->len) {
        rz_buf_clear(buf);
        return;
    }
    memmove(buf->data, buf->data + n, buf->len - n + 1);
    buf->len -= n;
}

rz_str_t rz_buf_str(const rz_buf_t *buf)
{
    return (rz_str_t){ buf->data, buf->len };
}

char *rz_buf_take(rz_buf_t *buf, size_t *len)
{
    rz_buf_reserve(buf, 0); /* a caller gets text also from an empty buffer */
    if (len != NULL)
        *len = buf->len;
    char *data = buf->data;
    *buf = (rz_buf_t){ 0 };
    return data;
}

/* ---- JSON writer ---- */

/* A value needs a comma in front unless it opens the text, a container or follows its own key.  A string
 * cannot be mistaken for one of these: it ends with a quote. */
static void put_comma(rz_buf_t *buf)
{
    size_t at = buf->len;
    while (at > 0 && strchr(" \t\r\n", buf->data[at - 1]) != NULL)
        at--;
    if (at > 0 && strchr("{[:,", buf->data[at - 1]) == NULL)
        rz_buf_putc(buf, ',');
}

static void put_escape(rz_buf_t *buf, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *known = c != '\0' ? strchr(from, c) : NULL;
    if (known != NULL) {
        rz_buf_putc(buf, '\\');
        rz_buf_putc(buf, to[known - from]);
    } else {
        rz_buf_printf(buf, "\\u%04x", c);
    }
}

static void put_quoted(rz_buf_t *buf, const char *text, size_t n)
{
    rz_buf_reserve(buf, n + 2);
    rz_buf_putc(buf, '"');
    size_t clean = 0; /* start of the run not yet copied */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        rz_buf_put(buf, text + clean, i - clean);
        put_escape(buf, c);
        clean = i + 1;
    }
    rz_buf_put(buf, text + clean, n - clean);
    rz_buf_putc(buf, '"');
}

static void put_key(rz_buf_t *buf, const char *key)
{
    put_comma(buf);
    if (key == NULL)
        return;
    put_quoted(buf, key, strlen(key));
    rz_buf_putc(buf, ':');
}

void rz_json_open(rz_buf_t *buf, char bracket)
{
    rz_json_open_key(buf, NULL, bracket);
}

void rz_json_open_key(rz_buf_t *buf, const char *key, char bracket)
{
    put_key(buf, key);
    rz_buf_putc(buf, bracket);
}

void rz_json_close(rz_buf_t *buf, char bracket)
{
    rz_buf_putc(buf, bracket);
}

void rz_json_put_str(rz_buf_t *buf, const char *key, const char *text)
{
    rz_json_put_strn(buf, key, text, text != NULL ? strlen(text) : 0);
}

void rz_json_put_strn(rz_buf_t *buf, const char *key, const char *text, size_t n)
{
    put_key(buf, key);
    if (text == NULL)
        rz_buf_puts(buf, "null");
    else
        put_quoted(buf, text, n);
}

void rz_json_put_u64(rz_buf_t *buf, const char *key, uint64_t number)
{
    put_key(buf, key);
    rz_buf_printf(buf, "%" PRIu64, number);
}

void rz_json_put_i64(rz_buf_t *buf, const char *key, int64_t number)
{
    put_key(buf, key);
    rz_buf_printf(buf, "%" PRId64, number);
}

void rz_json_put_bool(rz_buf_t *buf, const char *key, bool value)
{
    put_key(buf, key);
    rz_buf_puts(buf, value ? "true" : "false");
}

void rz_json_put_raw(rz_buf_t *buf, const char *key, rz_str_t json)
{
    put_key(buf, key);
    rz_buf_put_str(buf, json);
}

void rz_json_put_member(rz_buf_t *buf, rz_str_t key, rz_str_t json)
{
    put_comma(buf);
    rz_buf_putc(buf, '"');
    rz_buf_put_str(buf, key);
    rz_buf_puts(buf, "\":");
    rz_buf_put_str(buf, json);
}

void rz_json_opt_str(rz_buf_t *buf, const char *key, const char *text)
{
    if (text != NULL)
        rz_json_put_str(buf, key, text);
}
