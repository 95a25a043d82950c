/* watchdog.h - how long a run may last and how long it may be silent (rule 8.4).
 *
 * A plain value: no clock, no loop. Moments are milliseconds of the caller's monotonic clock; the limits are
 * whole seconds, as the session's metadata says them. Counted from the moment `run` was sent: waiting for a
 * worker is nobody's fault but ours and costs the child nothing (stricter than upstream, rule 8.4 "hazard").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCHDOG_TOTAL_KEY    "child_watchdog.max_total_secs"
#define WATCHDOG_IDLE_KEY     "child_watchdog.max_idle_secs"
#define WATCHDOG_INTERVAL_KEY "child_watchdog.check_interval_secs"

#define WATCHDOG_REASON_MAX 128

typedef struct {
    uint64_t total_secs;    /* since the start         */
    uint64_t idle_secs;     /* since the last event    */
    uint64_t interval_secs; /* between two looks       */
    uint64_t started_ms;    /* when `run` was sent     */
    uint64_t heard_ms;      /* last event, or started  */
    uint64_t look_ms;       /* the next look           */
} watchdog_t;

/* The three metadata values as text, each NULL when absent. What is no positive integer after trimming is
 * ignored and the default stays: 3600, 900 and 15 seconds. */
void watchdog_init(watchdog_t *watchdog, const char *total, const char *idle, const char *interval);
void watchdog_start(watchdog_t *watchdog, uint64_t now_ms);
void watchdog_heard(watchdog_t *watchdog, uint64_t now_ms); /* an event came */
/* True when a limit is reached; reason then holds upstream's exact sentence. Looks only when a look is due.
 */
bool watchdog_check(watchdog_t *watchdog, uint64_t now_ms, char reason[WATCHDOG_REASON_MAX]);
