/* show.h - one published event as one line for people. */
#pragma once

#include "client.h"

/* "token", "tool_start", "completed", ...: what happened, without the wrapping. Lent by the event. */
const char *event_name(const event_t *event);
/* Its child; "" for messages of the system. Lent. */
const char *event_child(const event_t *event);
/* The text of a token event, else NULL. Lent. */
const char *event_token(const event_t *event);
/* What there is to say beyond the name, newlines flattened. Appends. */
void event_detail(const event_t *event, rz_buf_t *out);
/* {"topic":…,"header":…,"event":…} with header and event as they came, preceded by `type` unless it is NULL.
 */
void event_json(const event_t *event, const char *type, rz_buf_t *out);
