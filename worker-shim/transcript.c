/* transcript.c - what a program says on stdout, line by line. */
#include "transcript.h"

#include "base/json.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

/* ---- text that stands for a result ---- */

/* The largest n <= max at which text can be cut without splitting a character. text: valid UTF-8. */
static size_t cut_at(rz_str_t text, size_t max)
{
    if (text.n <= max)
        return text.n;
    size_t n = max;
    while (n > 0 && ((unsigned char)text.p[n] & 0xC0) == 0x80)
        n--;
    return n;
}

/* Once something was left out, all that follows is: the text has one end, not holes. */
static void keep_text(transcript_t *t, rz_str_t text)
{
    size_t room = t->text_cut > 0 ? 0 : TEXT_KEPT_MAX - t->text.len;
    size_t n = cut_at(text, room);
    rz_buf_put(&t->text, text.p, n);
    t->text_cut += text.n - n;
}

/* ---- a line that is no event ---- */

static void tell_token(transcript_t *t, rz_str_t content)
{
    rz_buf_clear(&t->scratch);
    rz_json_open(&t->scratch, '{');
    rz_json_put_str(&t->scratch, "type", "token");
    rz_json_put_strn(&t->scratch, "content", content.p, content.n);
    rz_json_close(&t->scratch, '}');
    t->event(t->arg, rz_buf_str(&t->scratch));
}

/* JSON carries neither NUL nor what is not UTF-8: such bytes become '?'. */
static void make_text(rz_buf_t *line)
{
    for (size_t i = 0; i < line->len; i++)
        if (line->data[i] == '\0')
            line->data[i] = '?';
    if (line->len > 0)
        rz_utf8_scrub(line->data);
}

static void take_plain(transcript_t *t)
{
    make_text(&t->line);
    rz_str_t rest = rz_buf_str(&t->line);
    keep_text(t, rest);
    while (rest.n > 0) {
        size_t n = cut_at(rest, TOKEN_MAX);
        tell_token(t, (rz_str_t){ rest.p, n });
        rest = (rz_str_t){ rest.p + n, rest.n - n };
    }
}

/* ---- a line that is one ---- */

static void tell_malformed(const transcript_t *t, const rz_err_t *why)
{
    if (t->malformed != NULL)
        t->malformed(t->arg, why);
}

static bool is_object(const transcript_t *t, rz_str_t line)
{
    rz_err_t err = { 0 };
    if (line.n == 0 || line.p[0] != '{') /* cheap: most plain lines end here */
        return false;
    if (rz_json_check(line.p, line.n, LINE_MAX_BYTES, &err) == RZ_OK)
        return true;
    tell_malformed(t, &err);
    return false;
}

static bool is_event(rz_str_t object)
{
    return rz_json_kind(rz_json_member(object, "type")) == '"';
}

static bool is_terminal(rz_str_t object)
{
    return rz_json_is(rz_json_member(object, "kind"), "terminal");
}

/* What its text lacks is said in the words of all codecs. */
static void doubt_result(const transcript_t *t, rz_str_t line)
{
    rz_err_t err = { 0 };
    cJSON *tree = rz_json_parse(line.p, line.n, LINE_MAX_BYTES, &err);
    rz_fields_t f = { .obj = tree, .where = "", .err = &err };
    rz_field_str(&f, "text", RZ_REQUIRED, 0);
    tell_malformed(t, &err);
    cJSON_Delete(tree);
}

static void take_event(transcript_t *t, rz_str_t line)
{
    rz_str_t type = rz_json_member(line, "type");
    if (rz_json_is(type, "result")) {
        rz_str_t text = rz_json_member(line, "text");
        if (rz_json_kind(text) == '"') {
            rz_buf_clear(&t->result);
            rz_buf_put_str(&t->result, text);
            return;
        }
        doubt_result(t, line);
    }
    if (rz_json_is(type, "token")) {
        rz_buf_clear(&t->scratch);
        if (rz_json_unescape(rz_json_member(line, "content"), &t->scratch))
            keep_text(t, rz_buf_str(&t->scratch));
    }
    t->event(t->arg, line);
}

/* White space around the object belongs to the line, not to the event. */
static rz_str_t trimmed(rz_str_t line)
{
    while (line.n > 0 && strchr(" \t\r", line.p[0]) != NULL && line.p[0] != '\0')
        line = (rz_str_t){ line.p + 1, line.n - 1 };
    while (line.n > 0 && strchr(" \t\r", line.p[line.n - 1]) != NULL && line.p[line.n - 1] != '\0')
        line.n--;
    return line;
}

static void take_line(transcript_t *t, bool terminated)
{
    rz_str_t line = trimmed(rz_buf_str(&t->line));
    bool object = is_object(t, line);
    if (object && is_event(line)) {
        take_event(t, line);
    } else if (object && t->terminal != NULL && is_terminal(line)) {
        t->terminal(t->arg, line);
    } else {
        if (terminated)
            rz_buf_putc(&t->line, '\n');
        take_plain(t);
    }
    rz_buf_clear(&t->line);
}

/* ---- */

rz_rc_t transcript_feed(transcript_t *t, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *newline = memchr(bytes, '\n', n);
        size_t part = newline != NULL ? (size_t)(newline - bytes) : n;
        if (t->line.len + part > LINE_MAX_BYTES)
            return RZ_TOO_LARGE;
        rz_buf_put(&t->line, bytes, part);
        if (newline == NULL)
            break;
        take_line(t, true);
        bytes += part + 1;
        n -= part + 1;
    }
    return RZ_OK;
}

void transcript_end(transcript_t *t)
{
    if (t->line.len > 0)
        take_line(t, false);
}

void transcript_begin(transcript_t *t)
{
    rz_buf_fini(&t->text); /* it may be large, and the next run's small */
    rz_buf_clear(&t->result);
    t->text_cut = 0;
}

void transcript_result(const transcript_t *t, rz_buf_t *json)
{
    if (t->result.len > 0) {
        rz_buf_put_str(json, rz_buf_str(&t->result));
        return;
    }
    rz_buf_t text = { 0 };
    rz_buf_put_str(&text, rz_buf_str(&t->text));
    if (t->text_cut > 0)
        rz_buf_printf(&text, "\n[cut here: %" PRIu64 " more bytes were streamed]", t->text_cut);
    rz_json_put_strn(json, NULL, text.data != NULL ? text.data : "", text.len);
    rz_buf_fini(&text);
}

void transcript_fini(transcript_t *t)
{
    rz_buf_fini(&t->line);
    rz_buf_fini(&t->scratch);
    rz_buf_fini(&t->text);
    rz_buf_fini(&t->result);
}
