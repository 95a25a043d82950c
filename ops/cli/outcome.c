/* outcome.c - statuses and codes to exit codes: two tables. */
#include "outcome.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *status;
    outcome_t outcome;
} statuses[] = {
    { "completed", EXIT_DONE },    { "error", EXIT_CHILD_ERROR }, { "cancelled", EXIT_CANCELLED },
    { "timeout", EXIT_TIMED_OUT }, { "skipped", EXIT_SKIPPED },
};

outcome_t outcome_of_status(const char *status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (strcmp(status, statuses[i].status) == 0)
            return statuses[i].outcome;
    return EXIT_BUG;
}

/* Every code of rc.h that a broker may answer; what is missing here can only be wrong input. */
outcome_t outcome_of_code(rz_rc_t code)
{
    switch (code) {
    case RZ_OK:
    case RZ_DUPLICATE:
    case RZ_ENDED:
        return EXIT_DONE;
    case RZ_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case RZ_EXPIRED:
        return EXIT_TIMED_OUT;
    case RZ_UNAVAILABLE:
    case RZ_UNKNOWN:
    case RZ_BAD_STORE:
    case RZ_NOT_SERVED:
    case RZ_BAD_VERSION:
        return EXIT_UNAVAILABLE;
    case RZ_FULL:
    case RZ_BUSY:
    case RZ_CONFLICT:
    case RZ_ALREADY_RUNNING:
        return EXIT_REFUSED;
    case RZ_NOT_ALLOWED:
        return EXIT_NOT_ALLOWED;
    case RZ_INTERNAL:
        return EXIT_BUG;
    default:
        return EXIT_USAGE;
    }
}

static int weight(outcome_t outcome)
{
    static const outcome_t mild_to_grave[] = { EXIT_DONE,      EXIT_SKIPPED,     EXIT_CANCELLED,
                                               EXIT_TIMED_OUT, EXIT_CHILD_ERROR, EXIT_NOT_FOUND,
                                               EXIT_REFUSED,   EXIT_USAGE,       EXIT_NOT_ALLOWED,
                                               EXIT_CONFIG,    EXIT_UNAVAILABLE, EXIT_CUT };
    int count = (int)(sizeof mild_to_grave / sizeof *mild_to_grave);
    for (int i = 0; i < count; i++)
        if (mild_to_grave[i] == outcome)
            return i;
    return count;
}

outcome_t outcome_worse(outcome_t a, outcome_t b)
{
    return weight(a) >= weight(b) ? a : b;
}
