/* version.c - see version.h. */
#include "wire/version.h"

#include <inttypes.h>
#include <stdio.h>

uint32_t rz_version_common(uint64_t lowest, uint64_t highest)
{
    highest = highest > lowest ? highest : lowest;
    uint64_t common = highest < RZ_PROTOCOL_VERSION ? highest : RZ_PROTOCOL_VERSION;
    return lowest > 0 && common >= lowest && common >= RZ_PROTOCOL_MIN ? (uint32_t)common : 0;
}

/* "2", "1 to 2" */
static void range_text(uint64_t lowest, uint64_t highest, char out[48])
{
    if (highest > lowest)
        snprintf(out, 48, "%" PRIu64 " to %" PRIu64, lowest, highest);
    else
        snprintf(out, 48, "%" PRIu64, lowest);
}

void rz_version_clash(uint64_t lowest, uint64_t highest, const char *them, const char *us,
                      char out[RZ_VERSION_TEXT_MAX])
{
    char theirs[48], ours[48];
    range_text(lowest, highest, theirs);
    range_text(RZ_PROTOCOL_MIN, RZ_PROTOCOL_VERSION, ours);
    snprintf(out, RZ_VERSION_TEXT_MAX, "this %s speaks protocol %s, the %s speaks %s: upgrade the %s", them,
             theirs, us, ours, lowest > RZ_PROTOCOL_VERSION ? us : them);
}

rz_rc_t rz_version_check(uint64_t lowest, uint64_t highest, const char *them, const char *us, rz_err_t *err)
{
    char text[RZ_VERSION_TEXT_MAX];
    if (rz_version_common(lowest, highest) != 0)
        return RZ_OK;
    rz_version_clash(lowest, highest, them, us, text);
    return rz_fail_field(err, RZ_BAD_VERSION, "v", "%s", text);
}
