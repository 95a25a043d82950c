/* brief.c - what a worker keeps of its ProvisionSpec. */
#include "brief.h"

#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One byte more than is allowed shows that there is more. The memory is taken in one piece, so that growing
 * leaves no copies of a secret behind. */
static rz_rc_t read_all(int fd, char *bytes, size_t *len, rz_err_t *err)
{
    size_t n = 0;
    while (n <= RZ_PROVISION_MAX) {
        ssize_t got = read(fd, bytes + n, RZ_PROVISION_MAX + 1 - n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return rz_fail_sys(err, errno, "read stdin");
        if (got > 0)
            n += (size_t)got;
    }
    *len = n;
    return RZ_OK;
}

static uint64_t idle_ms(uint64_t idle_secs)
{
    uint64_t secs = idle_secs > 0 ? idle_secs : IDLE_DEFAULT_SECS;
    return secs < UINT64_MAX / 1000 ? secs * 1000 : UINT64_MAX;
}

/* "NAME=value"; a bare "NAME" when the credential has no such part: then nothing else may stand for it. */
static char *variable(const char *name, const char *value)
{
    size_t size = strlen(name) + (value != NULL ? 1 + strlen(value) : 0) + 1;
    char *text = rz_alloc(size);
    snprintf(text, size, "%s%s%s", name, value != NULL ? "=" : "", value != NULL ? value : "");
    return text;
}

static char **variables(const rz_provision_t *spec)
{
    if (spec->credential_env == NULL)
        return NULL;
    const rz_credential_t *credential = rz_provision_credential(spec);
    char **list = rz_alloc(((size_t)cJSON_GetArraySize(spec->credential_env) + 1) * sizeof(*list));
    size_t n = 0;
    for (const cJSON *item = spec->credential_env->child; item != NULL; item = item->next)
        list[n++] = variable(item->string,
                             credential != NULL ? rz_credential_part(credential, item->valuestring) : NULL);
    return list;
}

static void drop_variables(char **list)
{
    for (char **text = list; text != NULL && *text != NULL; text++) {
        rz_wipe(*text, strlen(*text));
        rz_free(*text);
    }
    rz_free(list);
}

static void keep(const rz_provision_t *spec, brief_t *out)
{
    out->child_id = rz_strdup(spec->child_id);
    out->role = rz_strdup(spec->role);
    out->fabric_dir = rz_strdup(spec->fabric_dir);
    out->executor = spec->executor;
    out->workspace = rz_strdup(spec->workspace);
    out->command = rz_strdup(spec->command);
    out->args = spec->args != NULL ? cJSON_Duplicate(spec->args, true) : NULL;
    snprintf(out->token, sizeof(out->token), "%s",
             spec->connection_token != NULL ? spec->connection_token : "");
    out->variables = variables(spec);
    out->reusable = spec->reusable;
    out->idle_ms = idle_ms(spec->idle_timeout_secs);
}

rz_rc_t brief_read(int fd, brief_t *out, rz_err_t *err)
{
    char *bytes = rz_alloc(RZ_PROVISION_MAX + 1);
    size_t len = 0;
    rz_provision_t spec;
    rz_rc_t rc = read_all(fd, bytes, &len, err);
    if (rc == RZ_OK)
        rc = rz_provision_decode(bytes, len, &spec, err);
    if (rc == RZ_OK) {
        keep(&spec, out);
        rz_provision_fini(&spec);
    }
    rz_wipe(bytes, len);
    rz_free(bytes);
    return rc;
}

void brief_fini(brief_t *brief)
{
    rz_free(brief->child_id);
    rz_free(brief->role);
    rz_free(brief->fabric_dir);
    rz_free(brief->workspace);
    rz_free(brief->command);
    cJSON_Delete(brief->args);
    drop_variables(brief->variables);
    rz_wipe(brief->token, sizeof(brief->token));
    *brief = (brief_t){ 0 };
}
