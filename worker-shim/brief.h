/* brief.h - what a worker keeps of its ProvisionSpec (rule 1): of its secrets no more than its program gets. */
#pragma once

#include "base/id.h"
#include "wire/provision.h"

/* Zero-initialise; end with brief_fini(). */
typedef struct {
    char *child_id, *role, *fabric_dir;
    rz_executor_t executor;
    char *workspace; /* NULL: where we were started */
    char *command;   /* cli_adapter, session; else NULL */
    cJSON *args;     /* the same                    */
    char token[RZ_SECRET_LEN +
               1];    /* what a connection must show, "" nothing; secret, wiped by whoever takes it over */
    char **variables; /* for launch(): of `credential_env`, NULL for none; secret */
    bool reusable;
    uint64_t idle_ms; /* reusable: how long nobody may be connected */
} brief_t;

/* Reads fd to its end and decodes it. The document, its secrets included, is wiped before this returns. */
rz_rc_t brief_read(int fd, brief_t *out, rz_err_t *err);
void brief_fini(brief_t *brief); /* wipes what is secret */
