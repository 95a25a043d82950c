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

void activation_attempt(const cJSON *activation, char out[24])
{
    snprintf(out, 24, "%" PRIu64 "/%" PRIu64, pick_count(activation, "attempt") % 1000,
             pick_count(activation, "max_attempts") % 1000);
}

/* submitted_at is wall time of the broker's host: good enough for eyes. */
void activation_age(const cJSON *activation, char out[16])
{
    int64_t submitted_us = 0;
    int64_t now_us = rz_wall_us();
    out[0] = '\0';
    if (rz_rfc3339_parse(pick_text(activation, "submitted_at"), &submitted_us) != 0)
        return;
    age_text(now_us > submitted_us ? (uint64_t)(now_us - submitted_us) / 1000 : 0, out);
}
