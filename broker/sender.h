/* sender.h - messages from the broker to its runners.
 *
 * A runner that cannot be reached (its connection is gone, or it does not read) is struck off the roster at
 * once: nothing more is planned for it. If it lives it will be told NOT_FOUND and say hello again. */
#pragma once

#include "base/sock.h"
#include "counters.h"
#include "roster.h"
#include "wire/agents.h"
#include "wire/link.h"

typedef struct {
    rz_sock_t *sock; /* runners ROUTER */
    roster_t *roster;
    const rz_agents_t *agents; /* what assigns say of a session's routing */
    counters_t *counters;
    rz_buf_t header, session; /* scratch */
} sender_t;

void sender_fini(sender_t *sender);

/* Each is false if the runner was struck off; its runner_t is then gone. The session header of an assign says
 * who runs it (wire/routing.h). */
bool sender_assign(sender_t *sender, runner_t *runner, const rz_assignment_t *assignment);
bool sender_cancel(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, bool now);
bool sender_steer(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, const char *id,
                  rz_str_t text_json);
/* The answer to the worker's approval_request `id`. */
bool sender_decide(sender_t *sender, runner_t *runner, const char *child, uint64_t epoch, const char *id,
                   bool approved);
bool sender_logs(sender_t *sender, runner_t *runner, const char *id, const char *child);
/* policy NULL, deadline_ms 0: as the runner is configured. */
bool sender_order(sender_t *sender, runner_t *runner, const char *id, rz_phase_t phase, const char *policy,
                  uint64_t deadline_ms);
bool sender_emit(sender_t *sender, runner_t *runner, const char *nonce);
/* Any header without payload. */
bool sender_tell(sender_t *sender, runner_t *runner, const rz_link_t *link);
/* To a peer that is not on the roster; message NULL: the sentence of the code. */
void sender_refuse(sender_t *sender, rz_str_t peer, rz_rc_t code, const char *message);
