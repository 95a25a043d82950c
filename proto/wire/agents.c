/* agents.c - the agent tables of the configuration, read once and kept. */
#include "wire/agents.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>

#define CONCURRENT_MAX 10000
#define PATH_LENGTH    4096
#define BUILT_IN       2 /* local-actor and echo stand first */
#define WHERE_MAX      192

struct rz_agents {
    cJSON *externals, *routing, *subagents; /* our copies: every text of the profiles is lent by them */
    rz_agent_t *list;
    size_t count;
};

static const char *const protocol_names[] = { "actor", "subprocess", "a2a_jsonrpc", NULL };
static const char *const executor_names[] = { "echo",        "bamboo_runtime", "command",
                                              "cli_adapter", "session",        NULL };
static const char *const approval_names[] = { "deny", "ask", NULL };
static const rz_executor_t executors[] = { RZ_EXECUTOR_ECHO, RZ_EXECUTOR_BAMBOO_RUNTIME,
                                           RZ_EXECUTOR_CLI_ADAPTER, RZ_EXECUTOR_CLI_ADAPTER,
                                           RZ_EXECUTOR_SESSION };

/* ---- one profile ---- */

/* Whoever starts no program would not set them, and nobody would notice. */
static void read_credential_env(rz_fields_t *f, rz_agent_t *agent)
{
    char field[WHERE_MAX + sizeof "credential_env"];
    snprintf(field, sizeof field, "%scredential_env", f->where);
    agent->credential_env = cJSON_GetObjectItemCaseSensitive(f->obj, "credential_env");
    if (agent->credential_env == NULL)
        return;
    rz_credential_env_check(agent->credential_env, field, f->err);
    if (!rz_executor_has_program(agent->executor))
        rz_fail_field(f->err, RZ_BAD_FIELD, field, "executor \"%s\" starts no program that could get it",
                      rz_executor_name(agent->executor));
}

/* How a worker is started: the same members in `subagents` and in an actor profile. */
static void read_worker(rz_fields_t *f, rz_agent_t *agent)
{
    agent->worker_bin = rz_field_str(f, "worker_bin", RZ_OPTIONAL, PATH_LENGTH);
    agent->worker_args = rz_field_strings(f, "worker_args", RZ_OPTIONAL, PATH_LENGTH);
    agent->fabric_dir = rz_field_str(f, "fabric_dir", RZ_OPTIONAL, PATH_LENGTH);
    agent->args = rz_field_strings(f, "args", RZ_OPTIONAL, PATH_LENGTH);
    agent->env = rz_field_strings(f, "env", RZ_OPTIONAL, RZ_NAME_MAX);

    int executor = rz_field_enum(f, "executor", RZ_OPTIONAL, executor_names, -1);
    if (executor >= 0)
        agent->executor = executors[executor];
    else
        agent->executor = agent->worker_bin != NULL ? RZ_EXECUTOR_BAMBOO_RUNTIME : RZ_EXECUTOR_ECHO;
    rz_need_t need = rz_executor_has_program(agent->executor) ? RZ_REQUIRED : RZ_OPTIONAL;
    agent->command = rz_field_str(f, "command", need, PATH_LENGTH);
    read_credential_env(f, agent);
    agent->asks_approval = rz_field_enum(f, "approvals", RZ_OPTIONAL, approval_names, 0) == 1;
}

static void read_a2a(rz_fields_t *f, rz_agent_t *agent)
{
    agent->agent_card_url = rz_field_str(f, "agent_card_url", RZ_OPTIONAL, PATH_LENGTH);
    agent->rpc_url_override = rz_field_str(f, "rpc_url_override", RZ_OPTIONAL, PATH_LENGTH);
    agent->auth_ref = rz_field_str(f, "auth_ref", RZ_OPTIONAL, RZ_NAME_MAX);
    agent->skill = rz_field_str(f, "skill", RZ_OPTIONAL, RZ_NAME_MAX);
    agent->tenant = rz_field_str(f, "tenant", RZ_OPTIONAL, RZ_NAME_MAX);
}

/* Routing looks up by key and upstream's runners match by agent_id (rule 9.1): one name for both. */
static void read_name(rz_fields_t *f, const char *key, rz_agent_t *agent)
{
    char field[WHERE_MAX + sizeof "agent_id"];
    snprintf(field, sizeof field, "%sagent_id", f->where);
    agent->id = rz_field_id(f, "agent_id", RZ_REQUIRED);
    if (agent->id != NULL && strcmp(agent->id, key) != 0)
        rz_fail_field(f->err, RZ_BAD_FIELD, field, "found \"%.40s\", allowed: its key \"%.40s\"", agent->id,
                      key);
    if (strcmp(key, RZ_AGENT_LOCAL) == 0)
        rz_fail_field(f->err, RZ_BAD_FIELD, field, "%s is built in; `subagents` configures it",
                      RZ_AGENT_LOCAL);
}

static void read_profile(const cJSON *table, rz_agent_t *agent, rz_err_t *err)
{
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "externalAgents.%.*s.", RZ_ID_MAX, table->string);
    if (!cJSON_IsObject(table)) {
        where[strlen(where) - 1] = '\0';
        rz_fail_field(err, RZ_BAD_FIELD, where, "must be an object");
        return;
    }
    rz_fields_t f = { table, where, err };
    read_name(&f, table->string, agent);
    int protocol = rz_field_enum(&f, "protocol", RZ_REQUIRED, protocol_names, 0);
    agent->protocol = protocol == 2 ? RZ_AGENT_A2A : RZ_AGENT_ACTOR;
    agent->permission_profile = rz_field_str(&f, "permission_profile", RZ_REQUIRED, RZ_NAME_MAX);
    agent->max_concurrent = (uint32_t)rz_field_u64(&f, "max_concurrent", RZ_OPTIONAL, 0, 1, CONCURRENT_MAX);
    if (agent->protocol == RZ_AGENT_A2A)
        read_a2a(&f, agent);
    else
        read_worker(&f, agent);
}

/* ---- the tables ---- */

static void read_local(rz_agents_t *agents, rz_err_t *err)
{
    rz_agent_t *local = &agents->list[0];
    rz_fields_t f = { agents->subagents, "subagents.", err };
    local->id = RZ_AGENT_LOCAL;
    local->permission_profile = "";
    local->max_concurrent = (uint32_t)rz_field_u64(&f, "max_concurrent", RZ_OPTIONAL, 0, 1, CONCURRENT_MAX);
    read_worker(&f, local);
}

/* A configured profile of that name takes the place of the built-in `echo`. */
static rz_agent_t *slot_for(rz_agents_t *agents, const char *key)
{
    return strcmp(key, RZ_AGENT_ECHO) == 0 ? &agents->list[1] : &agents->list[agents->count++];
}

static void read_externals(rz_agents_t *agents, rz_err_t *err)
{
    const cJSON *table;
    cJSON_ArrayForEach(table, agents->externals)
    {
        rz_agent_t *agent = slot_for(agents, table->string);
        *agent = (rz_agent_t){ 0 };
        read_profile(table, agent, err);
    }
}

/* A route to an unknown agent is allowed: upstream lets that run fail later, by name (rule 9.3). */
static void check_routing(const rz_agents_t *agents, rz_err_t *err)
{
    const cJSON *route;
    cJSON_ArrayForEach(route, agents->routing)
    {
        char where[WHERE_MAX];
        snprintf(where, sizeof where, "subagentRouting.%.*s.", RZ_ID_MAX, route->string);
        rz_fields_t f = { route, where, err };
        if (cJSON_IsObject(route)) {
            rz_field_str(&f, "runtime", RZ_REQUIRED, RZ_NAME_MAX);
            rz_field_str(&f, "agent_id", RZ_OPTIONAL, RZ_ID_MAX);
            continue;
        }
        where[strlen(where) - 1] = '\0';
        rz_fail_field(err, RZ_BAD_FIELD, where, "must be an object");
    }
}

/* Our own copy of a table, an empty one for none. */
static cJSON *keep(const cJSON *table, const char *name, rz_err_t *err)
{
    if (table == NULL || cJSON_IsNull(table))
        return cJSON_CreateObject();
    if (!cJSON_IsObject(table))
        rz_fail_field(err, RZ_BAD_FIELD, name, "must be an object");
    return cJSON_Duplicate(table, true);
}

rz_agents_t *rz_agents_create(const cJSON *external_agents, const cJSON *subagent_routing,
                              const cJSON *subagents, rz_err_t *err)
{
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    rz_agents_t *agents = rz_alloc(sizeof *agents);
    agents->externals = keep(external_agents, "externalAgents", err);
    agents->routing = keep(subagent_routing, "subagentRouting", err);
    agents->subagents = keep(subagents, "subagents", err);
    if (err->rc == RZ_OK) {
        agents->list =
            rz_alloc(((size_t)cJSON_GetArraySize(agents->externals) + BUILT_IN) * sizeof *agents->list);
        agents->count = BUILT_IN;
        agents->list[1] = (rz_agent_t){ .id = RZ_AGENT_ECHO, .permission_profile = "" };
        read_local(agents, err);
        read_externals(agents, err);
        check_routing(agents, err);
    }
    if (err->rc != RZ_OK)
        rz_agents_destroy(&agents);
    return agents;
}

rz_agents_t *rz_agents_read(const rz_config_t *config, rz_err_t *err)
{
    return rz_agents_create(rz_config_table(config, "externalAgents"),
                            rz_config_table(config, "subagentRouting"), rz_config_table(config, "subagents"),
                            err);
}

void rz_agents_destroy(rz_agents_t **agents)
{
    if (*agents == NULL)
        return;
    cJSON_Delete((*agents)->externals);
    cJSON_Delete((*agents)->routing);
    cJSON_Delete((*agents)->subagents);
    rz_free((*agents)->list);
    rz_free(*agents);
    *agents = NULL;
}

size_t rz_agents_count(const rz_agents_t *agents)
{
    return agents->count;
}

const rz_agent_t *rz_agents_at(const rz_agents_t *agents, size_t i)
{
    return i < agents->count ? &agents->list[i] : NULL;
}

const rz_agent_t *rz_agents_find(const rz_agents_t *agents, const char *id)
{
    for (size_t i = 0; id != NULL && i < agents->count; i++)
        if (strcmp(agents->list[i].id, id) == 0)
            return &agents->list[i];
    return NULL;
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

const char *rz_agents_route(const rz_agents_t *agents, const char *subagent_type)
{
    const cJSON *route =
        subagent_type != NULL ? cJSON_GetObjectItemCaseSensitive(agents->routing, subagent_type) : NULL;
    const char *runtime = text_of(route, "runtime");
    if (runtime == NULL || strcmp(runtime, "external") != 0)
        return RZ_AGENT_LOCAL;
    const char *id = text_of(route, "agent_id");
    return id != NULL ? id : "";
}
