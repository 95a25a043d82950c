/* activation.h - how an activation of a reply is shown. */
#pragma once

#include "outcome.h"

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* Its status when it ended, else its state. Lent. */
const char *activation_word(const cJSON *activation);
/* Of a receipt: EXIT_DONE when the job goes its way. If it had ended before it could, says why, and gives the exit code. */
outcome_t activation_ended_at_once(const cJSON *activation);
/* "2/3": attempts begun of those allowed. */
void activation_attempt(const cJSON *activation, char out[24]);
/* How long ago a time of RFC 3339 was by this host's clock: good enough for eyes. "" when it is none. */
void ago_text(const char *rfc3339, int64_t now_us, char out[16]);
/* What there is to know beyond its state, one line: of a queued one why it waits, of a running one its tool
 * and round, of an ended one its error. Appends. */
void activation_detail(const cJSON *activation, rz_buf_t *out);
/* "tool Bash (begin), round 4": of a running one, as far as its runner has told. Appends. */
void activation_doing(const cJSON *activation, rz_buf_t *out);
