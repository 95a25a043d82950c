/* profile.h - from an agent profile and an assignment to a worker: its pool key, its command line and
 * environment, and the ProvisionSpec it reads from stdin (rules 1, 3.8).
 *
 * The pool key says which workers are interchangeable: the affinity key of the job (made by the broker), the
 * profile, its arguments, the worker program's identity on disk, so that a replaced binary is not served by
 * old processes, and the version of the one credential it was given. The executor `session` keeps its command running
 * from run to run, so the identity of that one counts as well. Only of the command itself, and only by its absolute path:
 * a name without a slash (binary.h), one below the session's workspace, and a script that stands among the arguments,
 * as in `python3 agent.py`, can be replaced unseen. To be seen, the script must be the command.
 *
 * Each spawn of our own worker, known by the name of its program, gets a token that only its runner can connect with; other
 * workers would not ask for one. */
#pragma once

#include "credentials.h"
#include "settings.h"
#include "wire/link.h"
#include "wire/session.h"

/* RZ_NOT_FOUND, RZ_NOT_SERVED: err->text is the sentence the child ends with. */
rz_rc_t profile_find(const settings_t *settings, const char *id, const rz_agent_t **out, rz_err_t *err);
/* What a profile is made into a worker from; all lent. */
typedef struct {
    const settings_t *settings;
    const credentials_t *credentials;
    const rz_agent_t *agent;
    const rz_link_t *assign; /* child, parent, model, disabled_tools, affinity */
    rz_str_t header;         /* of the session; checked JSON                   */
} profile_case_t;

/* Fills `out`. RZ_NOT_FOUND: the child's provider has no credential, and runner.missing_credential says that this is
 * an error; err->text is the sentence the child ends with. */
rz_rc_t profile_pool_key(const profile_case_t *of, char out[RZ_DIGEST_LEN + 1], rz_err_t *err);

/* Everything a spawn needs. Keep the struct in place: its parts point at each other. */
typedef struct {
    char **argv, **envp;           /* NULL-terminated, owned */
    rz_provision_t provision;      /* fabric_dir is filled in by the spawner */
    char token[RZ_SECRET_LEN + 1]; /* of the provision, "" none; secret */
    rz_session_t session;          /* owns texts of the provision */
    cJSON *no_args;
    const char *credential; /* version of the one in the provision, "" for none; lent by the credentials */
    char pool_key[RZ_DIGEST_LEN + 1]; /* with this very credential */
} profile_plan_t;

/* The plan borrows from everything that `of` names, and is to be used before credentials_refresh() is called again.
 * The same failures as profile_pool_key(), and those of a session that cannot be read. End with
 * profile_plan_fini() after RZ_OK. */
rz_rc_t profile_plan_init(profile_plan_t *plan, const profile_case_t *of, rz_err_t *err);
void profile_plan_fini(profile_plan_t *plan);
