/* profile.h - from an agent profile and an assignment to a worker: its pool key, its command line and
 * environment, and the ProvisionSpec it reads from stdin (spec 1, 3.8).
 *
 * The pool key says which workers are interchangeable: the affinity key of the job (made by the broker), the
 * profile, its arguments, and the worker program's identity on disk, so that a replaced binary is not served
 * by old processes. */
#pragma once

#include "settings.h"
#include "wire/link.h"
#include "wire/session.h"

/* RZ_NOT_FOUND, RZ_NOT_SERVED: err->text is the sentence the child ends with. */
rz_rc_t profile_find(const settings_t *settings, const char *id, const rz_agent_t **out, rz_err_t *err);
void profile_pool_key(const settings_t *settings, const rz_agent_t *agent, const char *affinity,
                      char out[RZ_DIGEST_LEN + 1]);

/* Everything a spawn needs. Keep the struct in place: its parts point at each other. */
typedef struct {
    char **argv, **envp;      /* NULL-terminated, owned */
    rz_provision_t provision; /* fabric_dir is filled in by the spawner */
    rz_session_t session;     /* owns texts of the provision */
    cJSON *no_args;
} profile_plan_t;

/* assign: the link message (child, parent, model, disabled_tools); header: checked JSON. Both are borrowed by
 * the plan. End with profile_plan_fini() after RZ_OK. */
rz_rc_t profile_plan_init(profile_plan_t *plan, const settings_t *settings, const rz_agent_t *agent,
                          const rz_link_t *assign, rz_str_t header, rz_err_t *err);
void profile_plan_fini(profile_plan_t *plan);
