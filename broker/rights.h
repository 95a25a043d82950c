/* rights.h - what a key may do: the tables role x socket and operation x role, and how far one key reaches. Pure. */
#pragma once

#include "wire/allow.h"
#include "wire/control.h"

/* The sockets of a broker; their names are the domains of ZAP. */
typedef enum { GATE_JOBS, GATE_CONTROL, GATE_EVENTS, GATE_RUNNERS, GATE_PUBLISH, GATES } gate_t;
const char *gate_name(gate_t gate);
bool gate_parse(rz_str_t name, gate_t *out);

bool role_enters(rz_key_role_t role, gate_t gate);
bool role_calls(rz_key_role_t role, rz_control_op_t op);

/* Each is RZ_OK, or RZ_NOT_ALLOWED with a sentence that says what the key is limited to. `who` NULL is nobody, who
 * may nothing. */
extern const rz_allowed_t everybody; /* who anybody is where keys are not in use: everything is allowed */
rz_rc_t may_call(const rz_allowed_t *who, rz_control_op_t op, rz_err_t *err);
/* Submit or ask about this child of this parent and this tenant (NULL or "": none). Within topics is whose events could be heard. */
rz_rc_t may_reach(const rz_allowed_t *who, const char *parent, const char *child, const char *tenant,
                  rz_err_t *err);
/* This parent, for all its children, whoever they will be; whoever is limited to a tenant for those of it. */
rz_rc_t may_name(const rz_allowed_t *who, const char *parent, rz_err_t *err);
/* Whether it reaches less than everybody's children. */
bool is_limited(const rz_allowed_t *who);
/* Under this runner's name. One that begins as the names of several keys of runners do, "gpu" and "gpu-1", is the longest's,
 * unless `who` has a list of names. */
rz_rc_t may_run(const rz_allow_t *list, const rz_allowed_t *who, const char *runner, rz_err_t *err);
/* An event. `$sys/sync/` is open to all: without it nobody knows that he is heard. */
bool may_hear(const rz_allowed_t *who, rz_str_t topic);
/* Of what a broker says, `$sys/`, a runner says only its own echo: $sys/sync/<nonce>/<its name>. */
bool may_publish(const rz_allow_t *list, const rz_allowed_t *who, rz_str_t topic);
#define SYNC_TOPIC "$sys/sync/"
