/* progress.h - what is known of a run from what its worker says (rule 6.6).
 *
 * Every event moves `last_event_at`; `tool_start` and `tool_lifecycle` say which tool is at work, in which phase;
 * `runner_progress` says the round. Nothing else changes them, heartbeats least of all. Heartbeats carry it, and
 * `sync` tells a broker what changed. Plain data: no clock, no loop; a zeroed one knows nothing. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* A worker may name a tool as it likes; what is longer is cut between two characters. Bytes. */
#define PROGRESS_TOOL_MAX  128
#define PROGRESS_PHASE_MAX 32

typedef struct {
    int64_t last_event_us;                                                     /* wall clock; 0: none came */
    char tool_name[PROGRESS_TOOL_MAX + 1], tool_phase[PROGRESS_PHASE_MAX + 1]; /* "" unknown */
    uint32_t round_count;
    bool has_rounds;
    bool is_news; /* since it was last told */
} progress_t;

/* type: as rz_event_type() gives it; event: checked JSON. A member that is not what upstream says is passed over. */
void progress_hear(progress_t *progress, const char *type, rz_str_t event, int64_t wall_us);
/* Appends what is known as members of the JSON object that stands open in out. */
void progress_put(const progress_t *progress, rz_buf_t *out);
