/* activation.h - how an activation of a reply is shown. */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

/* Its status when it ended, else its state. Lent. */
const char *activation_word(const cJSON *activation);
/* "2/3": attempts begun of those allowed. */
void activation_attempt(const cJSON *activation, char out[24]);
/* How long ago it was submitted, "" when that is not told. */
void activation_age(const cJSON *activation, char out[16]);
