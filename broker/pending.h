/* pending.h - messages that a session brings along in metadata["pending_injected_messages"] (rules 7.4, 8.5): upstream
 * keeps there what was said to a child while it ran, as the text of an array of {"content":...,"created_at":...}. Here
 * they enter the session as what they are, user messages at its end, and the key is gone. */
#pragma once

#include "wire/session.h"

/* Appends an array of whole messages and counts them in *count; "[]" if none are pending. What has no string `content` is passed over, as
 * upstream does. RZ_BAD_FIELD: the value is not the text of an array; `where` prefixes the field's name. */
rz_rc_t pending_messages(const rz_session_t *session, const char *where, rz_buf_t *out, size_t *count,
                         rz_err_t *err);
