/* clock.h - two clocks that are never mixed: monotonic decides, wall time is only shown. */
#pragma once

#include <stdint.h>

uint64_t rz_now_ms(void); /* CLOCK_MONOTONIC */
uint64_t rz_now_us(void);
/* CLOCK_REALTIME as RFC 3339 UTC with microseconds: "2026-06-16T09:30:00.123456Z" (rule 0.3). */
#define RZ_RFC3339_LEN 27
void rz_rfc3339_now(char out[RZ_RFC3339_LEN + 1]);
void rz_rfc3339(int64_t unix_us, char out[RZ_RFC3339_LEN + 1]);
/* Any RFC 3339 offset and 0..9 fraction digits.  Returns 0 and *unix_us, or -1. */
int rz_rfc3339_parse(const char *text, int64_t *unix_us);
int64_t rz_wall_us(void);
