/* log.h - one line per fact on stderr: time, level, event name, keys.
 *
 *     rz_log_warn("worker.lost", "child=%s pid=%d signal=%d", child, pid, sig);
 *     2026-06-16T09:30:00.123456Z warn worker.lost child=ch-41 pid=28117 signal=9
 *
 * Once rz_log_setup() named the program, its name stands between time and level, so that the mixed output of
 * several programs can be told apart.
 *
 * Event names stay put and can be searched for; the same keys everywhere (job, child, parent, epoch, worker,
 * runner, broker, peer, rc).  Control bytes and newlines in the formatted text are escaped, and a line is cut
 * at 4 KiB. Thread-safe: one write(2) per line. */
#pragma once

#include "base/rc.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { RZ_LOG_DEBUG, RZ_LOG_INFO, RZ_LOG_WARN, RZ_LOG_ERROR, RZ_LOG_OFF } rz_log_level_t;

/* Call before threads start; program (copied, at most 63 bytes) may be NULL. The level may change
 * any time. */
void rz_log_setup(const char *program, rz_log_level_t level);
rz_log_level_t rz_log_level(void);
/* debug info warn error off; else RZ_BAD_FIELD. */
rz_rc_t rz_log_level_parse(const char *name, rz_log_level_t *out);
/* For what others can cause without end, and shall not fill the log with: whether a count that was `before` and is `now` is
 * worth a line. The first is, and then whenever their number has doubled. */
bool rz_log_worth(uint64_t before, uint64_t now);
void rz_log(rz_log_level_t level, const char *event, const char *fmt, ...) RZ_PRINTF(3, 4);

#define rz_log_debug(...)                                                                                    \
    do {                                                                                                     \
        if (rz_log_level() <= RZ_LOG_DEBUG)                                                                  \
            rz_log(RZ_LOG_DEBUG, __VA_ARGS__);                                                               \
    } while (0)
#define rz_log_info(...)  rz_log(RZ_LOG_INFO, __VA_ARGS__)
#define rz_log_warn(...)  rz_log(RZ_LOG_WARN, __VA_ARGS__)
#define rz_log_error(...) rz_log(RZ_LOG_ERROR, __VA_ARGS__)
