/* system_event.h - what the broker itself has to say to subscribers: `$sys/...` messages, and ends of
 * children that never began. */
#pragma once

#include "intake.h"

/* Header of a system message: {"v":1,"id"?:…,"ts":now,"class":…}. Appends. kept: it is also in a log of the store, and every
 * broker publishes it: it gets an id by which it is known again. */
void system_header(bool kept, rz_buf_t *out);
/* "$sys/sync/<nonce>/<name>" and its event. Append. */
void system_sync_topic(const char *nonce, const char *name, rz_buf_t *out);
void system_sync_event(const char *nonce, const char *name, rz_buf_t *out);
/* {"type":"job_rejected",…}; parent and child may be "". Appends. */
void system_rejected_event(const rz_err_t *err, rz_rc_t code, const char *parent, const char *child,
                           rz_buf_t *out);
/* What is told of a child that ends before it was taken in: nothing of it is stored, so its header has epoch 0
 * and seq 1, and an id. job "" when none. Appends topic, header and event. */
void system_never_taken(const intake_who_t *who, const char *error, rz_buf_t *topic, rz_buf_t *header,
                        rz_buf_t *event);
