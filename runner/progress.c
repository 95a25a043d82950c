/* progress.c - hears events, writes members. */
#include "progress.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

#include <string.h>

#define ROUNDS_DIGITS 10 /* of UINT32_MAX */

/* As many whole characters as fit. */
static void keep_text(rz_str_t value, char *out, size_t max)
{
    rz_buf_t text = { 0 };
    if (!rz_json_unescape(value, &text))
        return;
    size_t n = 0, more = 0;
    do
        n += more;
    while (n < text.len && (more = rz_utf8_char(text.data + n, text.len - n)) > 0 && n + more <= max);
    if (n > 0)
        memcpy(out, text.data, n);
    out[n] = '\0';
    rz_buf_fini(&text);
}

/* A number as JSON writes a u32: digits and nothing else. */
static bool read_rounds(rz_str_t value, uint32_t *out)
{
    uint64_t rounds = 0;
    if (rz_json_kind(value) != '0' || value.n > ROUNDS_DIGITS)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        rounds = rounds * 10 + (uint64_t)(value.p[i] - '0');
    }
    *out = (uint32_t)rounds;
    return rounds <= UINT32_MAX;
}

static void hear_tool(progress_t *progress, rz_str_t event, rz_str_t phase)
{
    rz_str_t name = rz_json_member(event, "tool_name");
    if (rz_json_kind(name) != '"' || rz_json_kind(phase) != '"')
        return;
    keep_text(name, progress->tool_name, PROGRESS_TOOL_MAX);
    keep_text(phase, progress->tool_phase, PROGRESS_PHASE_MAX);
}

void progress_hear(progress_t *progress, const char *type, rz_str_t event, int64_t wall_us)
{
    uint32_t rounds;
    progress->last_event_us = wall_us;
    progress->is_news = true;
    if (strcmp(type, "tool_start") == 0) {
        hear_tool(progress, event, RZ_STR("\"begin\""));
    } else if (strcmp(type, "tool_lifecycle") == 0) {
        hear_tool(progress, event, rz_json_member(event, "phase"));
    } else if (strcmp(type, "runner_progress") == 0 &&
               read_rounds(rz_json_member(event, "round_count"), &rounds)) {
        progress->round_count = rounds;
        progress->has_rounds = true;
    }
}

void progress_put(const progress_t *progress, rz_buf_t *out)
{
    char at[RZ_RFC3339_LEN + 1];
    if (progress->last_event_us != 0) {
        rz_rfc3339(progress->last_event_us, at);
        rz_json_put_str(out, "last_event_at", at);
    }
    if (progress->tool_name[0] != '\0')
        rz_json_put_str(out, "last_tool_name", progress->tool_name);
    if (progress->tool_phase[0] != '\0')
        rz_json_put_str(out, "last_tool_phase", progress->tool_phase);
    if (progress->has_rounds)
        rz_json_put_u64(out, "round_count", progress->round_count);
}
