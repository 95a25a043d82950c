/* agents.h - the agent tables of the configuration (rules 9.1-9.4): which profiles exist and which sub-agent
 * type goes to which.
 *
 *   "externalAgents":  {"survey":{"agent_id":"survey","protocol":"actor","permission_profile":"read",
 *                                 "executor":"command","command":"python3","args":["survey.py"]}}
 *   "subagentRouting": {"explorer":{"runtime":"external","agent_id":"survey"}}
 *   "subagents":       {"max_concurrent":8,"executor":"echo"}
 *
 * Two profiles are built in: `local-actor` (shaped by `subagents`) and `echo` (which a configured profile of
 * that name replaces). Beyond upstream an actor profile may say executor "command" or "session" with `command`, `args`,
 * `env` (names passed on from the runner's environment), `credential_env` (variables that its program gets from
 * the child's credential, see provision.h), `approvals` ("ask" or "deny", the default) and `max_concurrent`. Stricter than upstream: one bad
 * profile is an error of the configuration, not a silent empty table. */
#pragma once

#include "base/config.h"
#include "wire/provision.h"

typedef enum { RZ_AGENT_ACTOR, RZ_AGENT_A2A } rz_agent_protocol_t;

typedef struct {
    const char *id;               /* map key = agent_id                                                     */
    rz_agent_protocol_t protocol; /* "actor" (alias "subprocess"), "a2a_jsonrpc": parsed, not served yet */
    const char *permission_profile; /* required for externalAgents; "" for built-ins */
    const char *worker_bin;      /* NULL: our own rhizome-worker                                            */
    const cJSON *worker_args;    /* NULL: none                                                              */
    const char *fabric_dir;      /* NULL: the runner's own folder                                           */
    rz_executor_t executor;      /* default: bamboo_runtime with a worker_bin, echo with our own worker     */
    const char *command;         /* executor "command" / "cli_adapter" / "session": required                */
    const cJSON *args, *env;     /* NULL: none                                                              */
    const cJSON *credential_env; /* NULL: none; checked object, see provision.h */
    const char *agent_card_url, *rpc_url_override, *auth_ref, *skill, *tenant; /* a2a: kept, not used yet */
    bool asks_approval; /* `approvals` "ask": its workers' questions go to people; "deny": they are told no */
    uint32_t max_concurrent; /* 0: the runner's slots                                                   */
} rz_agent_t;

typedef struct rz_agents rz_agents_t;

#define RZ_AGENT_LOCAL "local-actor"
#define RZ_AGENT_ECHO  "echo"

/* Copies what it needs. Any table may be NULL. NULL and err on failure (err->field:
 * "externalAgents.survey.protocol"). */
rz_agents_t *rz_agents_create(const cJSON *external_agents, const cJSON *subagent_routing,
                              const cJSON *subagents, rz_err_t *err);
/* Of the tables in a configuration. */
rz_agents_t *rz_agents_read(const rz_config_t *config, rz_err_t *err);
void rz_agents_destroy(rz_agents_t **agents);
size_t rz_agents_count(const rz_agents_t *agents);
const rz_agent_t *rz_agents_at(const rz_agents_t *agents, size_t i);
const rz_agent_t *rz_agents_find(const rz_agents_t *agents, const char *id); /* NULL: none */
/* The profile id for a sub-agent type (rule 9.3): the routed agent_id, "" for a route without one, else
 * "local-actor". */
const char *rz_agents_route(const rz_agents_t *agents, const char *subagent_type);
