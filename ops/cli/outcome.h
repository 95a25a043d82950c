/* outcome.h - what the program tells its caller: one exit code for every way a verb can end.
 */
#pragma once

#include "base/rc.h"

typedef enum {
    EXIT_DONE = 0,
    EXIT_CHILD_ERROR = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_CANCELLED = 4,
    EXIT_TIMED_OUT = 5,
    EXIT_SKIPPED = 6,
    EXIT_UNAVAILABLE = 69,
    EXIT_BUG = 70,
    EXIT_CUT = 74,
    EXIT_REFUSED = 75,
    EXIT_NOT_ALLOWED = 77,
    EXIT_CONFIG = 78,
    EXIT_INTERRUPTED = 130,
} outcome_t;

/* By the status of a terminal activation ("completed", ...); a status nobody knows is our own bug. */
outcome_t outcome_of_status(const char *status);
/* By the code of a reply. */
outcome_t outcome_of_code(rz_rc_t code);
/* Of two, the one that a script must rather hear of. */
outcome_t outcome_worse(outcome_t a, outcome_t b);
