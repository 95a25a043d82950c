/* routing.h - which agent profile runs a child session, and what a session says about it (rules 9.1-9.3).
 *
 * Upstream writes the outcome of routing into a child's metadata when it creates the child. Here the profile is
 * worked out when a session comes in, and what the metadata says of it is joined when the session is read, never
 * stored, so that it shows the profile as it is configured now. A session that says `external.agent_id` itself
 * is pinned to that. */
#pragma once

#include "wire/agents.h"
#include "wire/session.h"

/* The profile of a child session: metadata["external.agent_id"], else what subagentRouting says for
 * metadata["subagent_type"], else "local-actor". "" for a route without agent_id. Lent by session or agents. */
const char *rz_routing_profile(const rz_agents_t *agents, const rz_session_t *session);

/* Appends `header` (as rz_session_split() made it, or any object without `messages`) with the metadata of the
 * profile that runs it: runtime.kind, external.agent_id, and where the configuration has the profile
 * external.protocol, .permission_profile, .agent_card_url (rule 9.3). They replace what the header says; what
 * it says of another profile goes. profile NULL: the one of rz_routing_profile(). The rest stays as it was
 * written, byte for byte; a header that is no session is copied. */
void rz_routing_join(const rz_agents_t *agents, const char *profile, rz_str_t header, rz_buf_t *out);

/* Why a child ends whom no runner takes, in upstream's words: agent_id and protocol as Rust shows optional
 * strings, NULL: None. Appends. */
void rz_routing_unmatched(const char *agent_id, const char *protocol, rz_buf_t *out);
