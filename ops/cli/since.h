/* since.h - a moment in the past, as a person writes it: how long ago ("90s", "10m", "2h", "3d"), or when
 * (RFC 3339). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* now_ms and *out_ms: wall clock, ms since 1970. What lies before 1970 is 1970. False: it is neither. */
bool since_parse(const char *text, uint64_t now_ms, uint64_t *out_ms);
