/* words.c - splits a text at Unicode white space. */
#include "words.h"

#include <string.h>

/* The characters with the property White_Space beyond ASCII, as UTF-8: NEL, no-break space, Ogham space,
 * U+2000 to U+200A, line and paragraph separator, narrow no-break, medium mathematical and ideographic space.
 */
static const char *const wide_spaces[] = {
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
    "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
    "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
    "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80",
};

/* Bytes of the white space character at p, or 0. */
static size_t space_length(const char *p, size_t n)
{
    unsigned char c = (unsigned char)p[0];
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    if (c < 0x80)
        return 0;
    for (size_t i = 0; i < sizeof(wide_spaces) / sizeof(wide_spaces[0]); i++) {
        size_t length = strlen(wide_spaces[i]);
        if (length <= n && memcmp(p, wide_spaces[i], length) == 0)
            return length;
    }
    return 0;
}

static size_t skip_space(rz_str_t text)
{
    size_t at = 0;
    for (size_t step; at < text.n && (step = space_length(text.p + at, text.n - at)) > 0;)
        at += step;
    return at;
}

bool word_next(rz_str_t *rest, rz_str_t *word)
{
    size_t start = skip_space(*rest);
    size_t end = start;
    while (end < rest->n && space_length(rest->p + end, rest->n - end) == 0)
        end++;
    if (end == start) {
        *rest = (rz_str_t){ NULL, 0 };
        return false;
    }
    *word = (rz_str_t){ rest->p + start, end - start };
    *rest = (rz_str_t){ rest->p + end, rest->n - end };
    return true;
}

bool word_is_delay(rz_str_t word, uint64_t *delay_ms)
{
    static const rz_str_t prefix = { "__sleep_ms:", 11 };
    if (word.n <= prefix.n || memcmp(word.p, prefix.p, prefix.n) != 0)
        return false;
    size_t at = prefix.n;
    if (word.p[at] == '+') /* upstream's number parser takes one plus sign */
        at++;
    if (at == word.n)
        return false;
    uint64_t value = 0;
    for (; at < word.n; at++) {
        unsigned digit = (unsigned)(unsigned char)word.p[at] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *delay_ms = value;
    return true;
}
