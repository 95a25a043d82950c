/* head.c - see head.h. */
#include "base/head.h"

#include "base/mem.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define BAD_REQUEST      400
#define FORBIDDEN        403
#define UPGRADE_REQUIRED 426
#define TOO_LARGE        431
#define NOT_HTTP_1       505

/* RFC 9110, 5.6.2 */
static bool is_token(rz_str_t text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '!' || text.p[i] > '~' || strchr("()<>@,;:\\\"/[]?={}", text.p[i]) != NULL)
            return false;
    return text.n > 0;
}

/* Tabs and whatever is no ASCII may stand in a value; no other control character. */
static bool is_visible(rz_str_t text)
{
    for (size_t i = 0; i < text.n; i++)
        if (((unsigned char)text.p[i] < ' ' && text.p[i] != '\t') || text.p[i] == 127)
            return false;
    return true;
}

/* As libwebsockets does: neither a tab, nor what stands behind. */
static rz_str_t without_spaces_before(rz_str_t text)
{
    for (; text.n > 0 && text.p[0] == ' '; text.p++)
        text.n--;
    return text;
}

static bool is_word(rz_str_t text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

/* What stands before the mark, and `text` without either; false if it has no such mark. */
static bool cut(rz_str_t *text, char mark, rz_str_t *before)
{
    const char *at = memchr(text->p, mark, text->n);
    if (at == NULL)
        return false;
    *before = (rz_str_t){ text->p, (size_t)(at - text->p) };
    *text = (rz_str_t){ at + 1, text->n - before->n - 1 };
    return true;
}

static unsigned judge_request_line(rz_str_t line)
{
    rz_str_t method, target;
    if (!is_visible(line) || !cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method) ||
        target.n == 0 || memchr(target.p, '\t', target.n) != NULL)
        return BAD_REQUEST;
    if (line.n == 0 || !is_word((rz_str_t){ line.p, line.n - 1 }, "HTTP/1.") ||
        (line.p[line.n - 1] != '0' && line.p[line.n - 1] != '1'))
        return NOT_HTTP_1;
    return RZ_HEAD_WHOLE;
}

/* libwebsockets 4.1 looks for names in a tree, and takes the colon behind half a name that it knows ("Up:") for one more letter: to it
 * the name goes on, over ends of line and the end of the head, to the next colon. */
static bool is_half_known(rz_str_t name)
{
    bool half = false;
    for (int i = 0; i < WSI_TOKEN_COUNT; i++) {
        const char *known = (const char *)lws_token_to_string((enum lws_token_indexes)i);
        if (known == NULL || strncasecmp(known, name.p, name.n) != 0)
            continue;
        if (known[name.n] == ':')
            return false;
        half = true;
    }
    return half;
}

/* A line that goes on in the next begins that with a space, which is no name. */
static unsigned judge_field(rz_str_t value, rz_head_kind_t kind, size_t *upgrades)
{
    rz_str_t name;
    if (!cut(&value, ':', &name) || !is_token(name) || is_half_known(name) || !is_visible(value))
        return BAD_REQUEST;
    if (is_word(name, "HTTP2-Settings"))
        return FORBIDDEN;
    if (!is_word(name, "Upgrade"))
        return RZ_HEAD_WHOLE;
    bool served = kind == RZ_HEAD_WEBSOCKET && is_word(without_spaces_before(value), "websocket");
    return served && ++*upgrades == 1 ? RZ_HEAD_WHOLE : FORBIDDEN;
}

static unsigned judge_lines(rz_str_t head, rz_head_kind_t kind)
{
    rz_str_t line;
    size_t upgrades = 0;
    unsigned status = RZ_HEAD_WHOLE;
    for (size_t lines = 0; status == RZ_HEAD_WHOLE && cut(&head, '\n', &line); lines++) {
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            return BAD_REQUEST;
        line.n--;
        status = lines == 0 ? judge_request_line(line) : judge_field(line, kind, &upgrades);
    }
    return status == RZ_HEAD_WHOLE && kind == RZ_HEAD_WEBSOCKET && upgrades == 0 ? UPGRADE_REQUIRED : status;
}

/* Its end are two ends of line in a row: a line feed alone is one to libwebsockets, and here a mistake. */
static size_t length_of(const char *bytes, size_t n)
{
    for (const char *at = bytes; (at = memchr(at, '\n', n - (size_t)(at - bytes))) != NULL; at++) {
        size_t len = (size_t)(at - bytes) + 1;
        if ((len >= 2 && bytes[len - 2] == '\n') || (len >= 3 && memcmp(at - 2, "\n\r", 2) == 0))
            return len;
    }
    return 0;
}

unsigned rz_head_judge(const char *bytes, size_t n, rz_head_kind_t kind)
{
    size_t len = length_of(bytes, n);
    if (len == 0 ? n >= RZ_HEAD_MAX : len > RZ_HEAD_MAX)
        return TOO_LARGE;
    if (len == 0)
        return RZ_HEAD_PART;
    if (len < 4 || memcmp(bytes + len - 4, "\r\n\r\n", 4) != 0)
        return BAD_REQUEST;
    return judge_lines((rz_str_t){ bytes, len - 2 }, kind);
}
