/* since.c - see since.h. */
#include "since.h"

#include "base/clock.h"

#include <stddef.h>
#include <string.h>

#define DIGITS_MAX 9 /* so that no unit can overflow */

static const struct {
    char letter;
    uint64_t ms;
} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };

/* "10m": digits and one letter. */
static bool parse_ago(const char *text, uint64_t *out_ms)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t count = 0;
    if (digits == 0 || digits > DIGITS_MAX || strlen(text) != digits + 1)
        return false;
    for (size_t i = 0; i < digits; i++)
        count = count * 10 + (uint64_t)(text[i] - '0');
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].letter != text[digits])
            continue;
        *out_ms = count * units[i].ms;
        return true;
    }
    return false;
}

bool since_parse(const char *text, uint64_t now_ms, uint64_t *out_ms)
{
    uint64_t ago_ms;
    int64_t at_us;
    if (parse_ago(text, &ago_ms)) {
        *out_ms = now_ms > ago_ms ? now_ms - ago_ms : 0;
        return true;
    }
    if (rz_rfc3339_parse(text, &at_us) != 0)
        return false;
    *out_ms = at_us > 0 ? (uint64_t)at_us / 1000 : 0;
    return true;
}
