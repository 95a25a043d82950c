/* groups.h - reader groups of the completions stream, as `status` tells them. What a group has not
 * acknowledged is kept for it without bound, so a reader that stays away must be seen. */
#pragma once

#include "base/buf.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define GROUP_BEHIND 1000 /* entries unread or unacknowledged from which a group with readers is behind */

/* Is it worth a warning? Then one sentence that says which group, how far behind and what that means is
 * appended. */
bool group_warning(const cJSON *group, rz_buf_t *out);
