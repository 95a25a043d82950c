/* profile.c - what a worker is told at birth. */
#include "profile.h"

#include "base/log.h"
#include "binary.h"

#include <stdio.h>
#include <string.h>

#define IDLE_SURPLUS_SECS 60 /* the worker's own idle limit lies above ours: the runner decides who goes */
#define DEFAULT_ROLE      "worker"

rz_rc_t profile_find(const settings_t *settings, const char *id, const rz_agent_t **out, rz_err_t *err)
{
    *out = rz_agents_find(settings->agents, id);
    if (*out == NULL)
        return rz_fail(
            err, RZ_NOT_FOUND,
            "No external runner matched child session runtime metadata: agent_id=Some(\"%s\"), protocol=None",
            id);
    if ((*out)->protocol != RZ_AGENT_ACTOR)
        return rz_fail(err, RZ_NOT_SERVED, "profile %s speaks a2a_jsonrpc, which is not served yet", id);
    return RZ_OK;
}

static const char *program_of(const settings_t *settings, const rz_agent_t *agent)
{
    return agent->worker_bin != NULL ? agent->worker_bin : settings->worker_bin;
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* ---- the one credential of a child ---- */

/* Of the session's model, else of its metadata, else the runner's own (rules 1.6, 9.4); empty: none is named. */
static void put_provider(const profile_case_t *of, rz_buf_t *out)
{
    const rz_str_t named[] = { rz_json_member(rz_json_member(of->header, "model_ref"), "provider"),
                               rz_json_member(rz_json_member(of->header, "metadata"), "provider_name") };
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        rz_buf_clear(out);
        if (rz_json_unescape(named[i], out) && !is_blank(out->data))
            return;
    }
    rz_buf_clear(out);
    rz_buf_puts(out, of->settings->default_provider);
}

typedef struct {
    rz_buf_t provider;                 /* empty: none is named */
    const rz_credential_t *credential; /* NULL: none           */
    const char *version;
    bool missing; /* one is named, and our file has none for it */
} choice_t;

static choice_t choose(const profile_case_t *of)
{
    choice_t choice = { 0 };
    put_provider(of, &choice.provider);
    choice.credential = credentials_find(of->credentials, choice.provider.data);
    choice.version = credentials_version(of->credentials, choice.provider.data);
    choice.missing =
        choice.credential == NULL && choice.provider.len > 0 && credentials_kept(of->credentials);
    return choice;
}

/* Upstream warns and goes on; a child that fails at its first call to a model then tells nobody why. */
static rz_rc_t judge(const profile_case_t *of, const choice_t *choice, rz_err_t *err)
{
    if (!choice->missing || !of->settings->needs_credential)
        return RZ_OK;
    return rz_fail(err, RZ_NOT_FOUND,
                   "No credential for provider \"%.100s\": the file of runner.credentials has none, and "
                   "runner.missing_credential is \"error\"",
                   choice->provider.data);
}

/* ---- pool key ---- */

static void add_list(rz_digest_t *digest, const cJSON *list)
{
    uint64_t n = list != NULL ? (uint64_t)cJSON_GetArraySize(list) : 0;
    rz_digest_add(digest, &n, sizeof n);
    const cJSON *item;
    cJSON_ArrayForEach(item, list) rz_digest_add_text(digest, item->valuestring);
}

static void make_pool_key(const profile_case_t *of, const choice_t *choice, char out[RZ_DIGEST_LEN + 1])
{
    const rz_agent_t *agent = of->agent;
    rz_digest_t *digest = rz_digest_create();
    rz_digest_add_text(digest, of->assign->affinity);
    rz_digest_add_text(digest, choice->version);
    rz_digest_add_text(digest, agent->id);
    rz_digest_add_text(digest, rz_executor_name(agent->executor));
    rz_digest_add_text(digest, agent->command);
    if (agent->executor == RZ_EXECUTOR_SESSION) /* the others start it anew for every run */
        binary_digest(digest, agent->command);
    binary_digest(digest, program_of(of->settings, agent));
    add_list(digest, agent->worker_args);
    add_list(digest, agent->args);
    rz_digest_hex(&digest, out);
}

rz_rc_t profile_pool_key(const profile_case_t *of, char out[RZ_DIGEST_LEN + 1], rz_err_t *err)
{
    choice_t choice = choose(of);
    rz_rc_t rc = judge(of, &choice, err);
    if (rc == RZ_OK)
        make_pool_key(of, &choice, out);
    if (rc == RZ_OK && choice.missing)
        rz_log_warn("run.no_credential", "child=%s provider=%s", of->assign->child, choice.provider.data);
    rz_buf_fini(&choice.provider);
    return rc;
}

/* ---- command line and environment ---- */

static char **list_argv(const char *program, const cJSON *args)
{
    size_t n = 1 + (args != NULL ? (size_t)cJSON_GetArraySize(args) : 0);
    char **argv = rz_alloc((n + 1) * sizeof *argv);
    argv[0] = rz_strdup(program);
    size_t i = 1;
    const cJSON *arg;
    cJSON_ArrayForEach(arg, args) argv[i++] = rz_strdup(arg->valuestring);
    return argv;
}

static size_t add_env(const settings_t *settings, char **envp, size_t n, const cJSON *names)
{
    const cJSON *name;
    cJSON_ArrayForEach(name, names)
    {
        const char *value = confinement_variable(&settings->confinement, name->valuestring);
        if (value == NULL)
            continue;
        rz_buf_t line = { 0 };
        rz_buf_printf(&line, "%s=%s", name->valuestring, value);
        envp[n++] = rz_buf_take(&line, NULL);
    }
    return n;
}

/* Only what is named is passed on: a worker runs code that a model chose. */
static char **list_envp(const settings_t *settings, const cJSON *more)
{
    const cJSON *allowed = settings->env_allow;
    int n = cJSON_GetArraySize(allowed) + (more != NULL ? cJSON_GetArraySize(more) : 0);
    char **envp = rz_alloc(((size_t)n + 1) * sizeof *envp);
    add_env(settings, envp, add_env(settings, envp, 0, allowed), more);
    return envp;
}

static void free_list(char ***list)
{
    if (*list == NULL)
        return;
    for (char **text = *list; *text != NULL; text++)
        rz_free(*text);
    rz_free(*list);
    *list = NULL;
}

/* ---- ProvisionSpec ---- */

/* The session's pinned model, else the job's bare one on the session's provider or the default one (rules 3.8, 7.4). */
static void set_model(rz_provision_t *p, const rz_session_t *session, const char *job_model,
                      const char *default_provider)
{
    if (session->ref_model != NULL) {
        p->model_provider = session->ref_provider != NULL ? session->ref_provider : "";
        p->model_name = session->ref_model;
    } else if (!is_blank(job_model)) {
        const char *provider = rz_session_meta(session, "provider_name");
        p->model_provider = is_blank(provider) ? default_provider : provider;
        p->model_name = job_model;
    }
}

static void set_provision(profile_plan_t *plan, const profile_case_t *of)
{
    rz_provision_t *p = &plan->provision;
    const rz_agent_t *agent = of->agent;
    const rz_link_t *assign = of->assign;
    const char *role = rz_session_meta(&plan->session, "subagent_type");
    p->version = 1;
    p->child_id = assign->child;
    p->parent_id = assign->parent;
    p->role = role != NULL ? role : DEFAULT_ROLE;
    p->executor = agent->executor;
    p->command = agent->command;
    p->args = agent->args != NULL ? agent->args : plan->no_args;
    p->credential_env = agent->credential_env;
    p->workspace = plan->session.workspace;
    p->disabled_tools = assign->disabled_tools;
    p->idle_timeout_secs = of->settings->idle_secs + IDLE_SURPLUS_SECS;
    p->reusable = true;
    p->enforce_permissions = agent->asks_approval;
    set_model(p, &plan->session, assign->model, of->settings->default_provider);
}

/* By its name, wherever it is installed. */
static bool is_our_worker(const char *program)
{
    const char *slash = strrchr(program, '/');
    return strcmp(slash != NULL ? slash + 1 : program, "rhizome-worker") == 0;
}

static void set_token(profile_plan_t *plan)
{
    if (!is_our_worker(plan->argv[0]))
        return;
    rz_secret_new(plan->token);
    plan->provision.connection_token = plan->token;
}

static void set_credential(profile_plan_t *plan, const choice_t *choice)
{
    plan->credential = choice->version;
    if (choice->credential != NULL)
        plan->provision.credentials[plan->provision.credential_count++] = *choice->credential;
}

rz_rc_t profile_plan_init(profile_plan_t *plan, const profile_case_t *of, rz_err_t *err)
{
    *plan = (profile_plan_t){ 0 };
    choice_t choice = choose(of);
    rz_rc_t rc = judge(of, &choice, err);
    if (rc == RZ_OK)
        rc = rz_session_header_decode(of->header, &plan->session, err);
    if (rc == RZ_OK) {
        plan->no_args = cJSON_CreateArray();
        plan->argv = list_argv(program_of(of->settings, of->agent), of->agent->worker_args);
        plan->envp = list_envp(of->settings, of->agent->env);
        set_provision(plan, of);
        set_token(plan);
        set_credential(plan, &choice);
        make_pool_key(of, &choice, plan->pool_key);
    }
    rz_buf_fini(&choice.provider);
    return rc;
}

void profile_plan_fini(profile_plan_t *plan)
{
    free_list(&plan->argv);
    free_list(&plan->envp);
    cJSON_Delete(plan->no_args);
    rz_session_fini(&plan->session);
    rz_wipe(plan->token, sizeof plan->token);
}
