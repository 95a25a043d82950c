/* utf8.c - what well-formed UTF-8 is. */
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool within(char c, unsigned char low, unsigned char high)
{
    return (unsigned char)c >= low && (unsigned char)c <= high;
}

/* The range of the second byte is what keeps out overlong forms, surrogates and all above U+10FFFF. */
size_t rz_utf8_char(const char *bytes, size_t n)
{
    if (n == 0)
        return 0;
    unsigned char lead = (unsigned char)*bytes;
    if (lead < 0x80)
        return 1;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t len = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (len == 0 || n < len || !within(bytes[1], low, high))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!within(bytes[i], 0x80, 0xbf))
            return 0;
    return len;
}

size_t rz_utf8_span(const char *text)
{
    size_t n = strlen(text), at = 0;
    for (size_t len; (len = rz_utf8_char(text + at, n - at)) > 0;)
        at += len;
    return at;
}

void rz_utf8_scrub(char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        size_t len = rz_utf8_char(text, n);
        if (len == 0) {
            *text = '?';
            len = 1;
        }
        text += len;
        n -= len;
    }
}

size_t rz_utf8_control(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    if (first != '\0' && (first < 0x20 || first == 0x7f))
        return 1;
    return first == 0xc2 && within(text[1], 0x80, 0x9f) ? 2 : 0;
}

void rz_utf8_flatten(char *text)
{
    char *to = text;
    while (*text != '\0') {
        size_t control = rz_utf8_control(text);
        *to++ = control > 0 ? '?' : *text;
        text += control > 0 ? control : 1;
    }
    *to = '\0';
}
