/* activation.c - words for activations. */
#include "activation.h"

#include "out.h"
#include "pick.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

const char *activation_word(const cJSON *activation)
{
    const char *state = pick_text(activation, "state");
    return strcmp(state, "terminal") == 0 ? pick_text(activation, "status") : state;
}

outcome_t activation_ended_at_once(const cJSON *activation)
{
    if (strcmp(pick_text(activation, "state"), "terminal") != 0)
        return EXIT_DONE;
    say("%s ended at once: %s", pick_text(activation, "child"), pick_text(activation, "error"));
    return outcome_of_status(pick_text(activation, "status"));
}

void activation_attempt(const cJSON *activation, char out[24])
{
    snprintf(out, 24, "%" PRIu64 "/%" PRIu64, pick_count(activation, "attempt") % 1000,
             pick_count(activation, "max_attempts") % 1000);
}

void ago_text(const char *rfc3339, int64_t now_us, char out[16])
{
    int64_t at_us = 0;
    out[0] = '\0';
    if (rz_rfc3339_parse(rfc3339, &at_us) == 0)
        age_text(now_us > at_us ? (uint64_t)(now_us - at_us) / 1000 : 0, out);
}

void activation_doing(const cJSON *activation, rz_buf_t *out)
{
    const char *tool = pick_text(activation, "last_tool_name");
    uint64_t round = pick_count(activation, "round_count");
    if (*tool != '\0')
        rz_buf_printf(out, "tool %s (%s)", tool, pick_text(activation, "last_tool_phase"));
    if (round > 0)
        rz_buf_printf(out, "%sround %" PRIu64, *tool != '\0' ? ", " : "", round);
}

void activation_detail(const cJSON *activation, rz_buf_t *out)
{
    const char *state = pick_text(activation, "state");
    if (strcmp(state, "queued") == 0)
        rz_buf_puts(out, pick_text(activation, "waiting"));
    else if (strcmp(state, "running") == 0)
        activation_doing(activation, out);
    else
        rz_buf_puts(out, pick_text(activation, "error"));
}
