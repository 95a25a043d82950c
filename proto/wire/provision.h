/* provision.h - ProvisionSpec, the one document on a worker's stdin (rule 1). */
#pragma once

#include "base/json.h"
#include "base/limits.h"

typedef enum {
    RZ_EXECUTOR_ECHO,
    RZ_EXECUTOR_BAMBOO_RUNTIME,
    RZ_EXECUTOR_CLI_ADAPTER, /* {"kind":"cli_adapter","command":"…","args":[…]}: our `command` executor */
    RZ_EXECUTOR_SESSION, /* {"kind":"session","command":"…","args":[…]}: ours alone, one program for all runs */
    RZ_EXECUTOR_CLAUDE_CODE, /* JUL kinds: decoded so that a refusal can name them */
    RZ_EXECUTOR_CODEX,
    RZ_EXECUTORS
} rz_executor_t;
const char *rz_executor_name(rz_executor_t kind);
bool rz_executor_has_program(rz_executor_t kind); /* it comes with a command and arguments */

typedef struct {
    const char *provider, *api_key;       /* required */
    const char *base_url, *provider_type; /* NULL when absent */
} rz_credential_t;

#define RZ_CREDENTIALS_MAX     16
#define RZ_CREDENTIAL_TEXT_MAX ((size_t)64 << 10) /* bytes of a key or a URL, and of one argument */

/* `credential_env`, beyond upstream: which part of its credential a program gets under which variable,
 * {"OPENAI_API_KEY":"api_key"}. The names only: they may stand in a configuration.
 * RZ_BAD_FIELD, RZ_TOO_LARGE; `field` is the dotted name of the object. */
rz_rc_t rz_credential_env_check(const cJSON *object, const char *field, rz_err_t *err);
/* part: "api_key", "base_url", "provider_type" (else the provider, rule 1.6), "provider"; NULL when there is none.
 * Lent. */
const char *rz_credential_part(const rz_credential_t *credential, const char *part);

typedef struct {
    uint32_t version;                                         /* 1; not judged by readers (rule 1.2)        */
    const char *child_id;                                     /* required, id rule                          */
    const char *parent_id, *project_key;                      /* NULL when absent                           */
    const char *role;                                         /* "" default                                 */
    rz_executor_t executor;                                   /* required                                   */
    const char *command;                                      /* cli_adapter, session                       */
    const cJSON *args;                                        /* the same: array of strings                 */
    const cJSON *credential_env;                              /* the same: checked object, NULL when absent */
    const char *fabric_dir;                                   /* required                                   */
    const char *storage_dir, *workspace;                      /* NULL when absent                           */
    const char *model_provider, *model_name;                  /* both or neither                            */
    const cJSON *disabled_tools;                              /* NULL when absent                           */
    uint64_t run_timeout_secs, idle_timeout_secs, max_rounds; /* 0 = unset                            */
    rz_credential_t credentials[RZ_CREDENTIALS_MAX];
    size_t credential_count;
    const char *connection_token; /* what a connection must show; NULL when absent: nothing */
    bool reusable;
    bool
        enforce_permissions; /* capabilities.enforce_permissions: gated tools ask us first (rules 1.8, 4.4) */
    rz_object_t object;      /* owns the strings after a decode            */
} rz_provision_t;

/* At most RZ_PROVISION_MAX bytes. Unknown members (placement, bus, further capabilities, ...) are ignored. */
rz_rc_t rz_provision_decode(const char *bytes, size_t len, rz_provision_t *out, rz_err_t *err);
/* Also wipes the credentials' memory. */
void rz_provision_fini(rz_provision_t *provision);
/* The credential a worker uses (rule 1.6): of the model's provider, else the first; NULL when there is none. */
const rz_credential_t *rz_provision_credential(const rz_provision_t *provision);
/* The bytes upstream writes (rule 1.10): always version, identity.child_id, identity.role, executor,
 * fabric_dir, limits, secrets, reusable; the rest when set. Of capabilities only what is wanted. Appends; the buffer
 * does not move once a key is in it, so that wiping it leaves no copy behind. */
void rz_provision_encode(const rz_provision_t *provision, rz_buf_t *out);
