/* watchdog.c - the limits of one run. */
#include "watchdog.h"

#include <inttypes.h>
#include <stdio.h>

#define TOTAL_SECS    3600
#define IDLE_SECS     900
#define INTERVAL_SECS 15
#define MS            1000

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A whole positive number between optional white space, as Rust's u64 parser takes it: one leading '+' is
 * fine. */
static bool parse_positive(const char *text, uint64_t *out)
{
    while (is_space(*text))
        text++;
    if (*text == '+')
        text++;
    uint64_t value = 0;
    const char *digits = text;
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (text == digits || value == 0)
        return false;
    while (is_space(*text))
        text++;
    if (*text != '\0')
        return false;
    *out = value;
    return true;
}

static uint64_t limit_or(const char *text, uint64_t dflt)
{
    uint64_t value = dflt;
    if (text != NULL && !parse_positive(text, &value))
        return dflt;
    return value;
}

/* Limits may be anything up to 2^64: moments that cannot be reached stay unreachable instead of wrapping. */
static uint64_t after_secs(uint64_t now_ms, uint64_t secs)
{
    return secs > (UINT64_MAX - now_ms) / MS ? UINT64_MAX : now_ms + secs * MS;
}

void watchdog_init(watchdog_t *watchdog, const char *total, const char *idle, const char *interval)
{
    *watchdog = (watchdog_t){ .total_secs = limit_or(total, TOTAL_SECS),
                              .idle_secs = limit_or(idle, IDLE_SECS),
                              .interval_secs = limit_or(interval, INTERVAL_SECS) };
}

void watchdog_start(watchdog_t *watchdog, uint64_t now_ms)
{
    watchdog->started_ms = now_ms;
    watchdog->heard_ms = now_ms;
    watchdog->look_ms = after_secs(now_ms, watchdog->interval_secs);
}

void watchdog_heard(watchdog_t *watchdog, uint64_t now_ms)
{
    watchdog->heard_ms = now_ms;
}

bool watchdog_check(watchdog_t *watchdog, uint64_t now_ms, char reason[WATCHDOG_REASON_MAX])
{
    if (now_ms < watchdog->look_ms)
        return false;
    watchdog->look_ms = after_secs(now_ms, watchdog->interval_secs);

    uint64_t total = (now_ms - watchdog->started_ms) / MS;
    if (total >= watchdog->total_secs) {
        snprintf(reason, WATCHDOG_REASON_MAX,
                 "Child session timed out after %" PRIu64 " seconds (max_total_secs=%" PRIu64 ")", total,
                 watchdog->total_secs);
        return true;
    }
    uint64_t idle = (now_ms - watchdog->heard_ms) / MS;
    if (idle >= watchdog->idle_secs) {
        snprintf(reason, WATCHDOG_REASON_MAX,
                 "Child session idle timeout after %" PRIu64 " seconds without events (max_idle_secs=%" PRIu64
                 ")",
                 idle, watchdog->idle_secs);
        return true;
    }
    return false;
}
