/* settings.h - what the configuration says about a runner, read once. */
#pragma once

#include "base/config.h"
#include "base/key.h"
#include "confinement.h"
#include "tree.h"
#include "wire/agents.h"
#include "wire/drain.h"

typedef struct {
    char name[RZ_ID_MAX + 1];
    char host[RZ_NAME_MAX + 1];
    const cJSON *brokers, *labels, *env_allow; /* arrays of strings, lent by the configuration */
    const char *http;                          /* "tcp://127.0.0.1:*", lent as well; "": none  */
    cJSON *profiles;                           /* ids of what this runner can run              */
    rz_agents_t *agents;
    size_t slots, idle_per_key, idle_max_total, event_max;
    uint64_t idle_secs, register_ms, cancel_grace_ms;
    uint64_t drain_ms;                    /* from the beginning of a drain to its deadline    */
    rz_drain_policy_t drain_policy;       /* what happens then                                */
    bool cordoned;                        /* from the beginning                               */
    uint64_t freeze_ms, hold_max_ms;      /* see freeze.h */
    uint64_t approval_ms;                 /* how long a worker's question waits for an answer */
    uint64_t recycle_runs, recycle_bytes; /* 0: never */
    char state_dir[512], worker_bin[4096];
    char credentials[4096];                 /* path of the file, see credentials.h; "": none           */
    char default_provider[RZ_NAME_MAX + 1]; /* of children whose session names none; "": none          */
    confinement_t confinement;              /* of workers */
    tree_options_t tree;                    /* how all that descends from us is reached                 */
    rz_key_t key;                           /* on the network; zero: none, everything is in the clear   */
    bool needs_credential;                  /* a named provider without one: an error, not a warning   */
} settings_t;

/* The configuration must outlive the settings. End with settings_fini() after RZ_OK. */
rz_rc_t settings_init(settings_t *settings, const rz_config_t *config, rz_err_t *err);
void settings_fini(settings_t *settings);
