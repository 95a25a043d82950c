/* groups.c - see groups.h. */
#include "groups.h"

#include "pick.h"

#include <inttypes.h>

bool group_warning(const cJSON *group, rz_buf_t *out)
{
    uint64_t lag = pick_count(group, "lag"), pending = pick_count(group, "pending");
    bool unread = pick_count(group, "consumers") == 0 && lag > 0;
    if (!unread && lag + pending < GROUP_BEHIND)
        return false;
    rz_buf_printf(out,
                  "completions: group %s %s: %" PRIu64 " entries not read, %" PRIu64 " not acknowledged; ",
                  pick_text(group, "name"), unread ? "has no reader" : "falls behind", lag, pending);
    rz_buf_puts(out, "all of them are kept until it is done with them or destroyed");
    return true;
}
