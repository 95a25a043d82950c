/* settings.c - from the configuration's keys to one struct. */
#include "settings.h"

#include "base/id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void default_name(settings_t *settings)
{
    snprintf(settings->name, sizeof settings->name, "%.*s", RZ_ID_MAX, settings->host);
    if (!rz_id_valid(rz_str(settings->name)))
        snprintf(settings->name, sizeof settings->name, "runner");
}

static void default_state_dir(settings_t *settings)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/')
        snprintf(settings->state_dir, sizeof settings->state_dir, "%s/rhizome", runtime);
    else
        snprintf(settings->state_dir, sizeof settings->state_dir, "/tmp/rhizome-%u", (unsigned)getuid());
}

/* rhizome-worker stands beside this very program. */
static rz_rc_t default_worker_bin(settings_t *settings, rz_err_t *err)
{
    char self[3072];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return rz_fail_sys(err, errno, "readlink /proc/self/exe");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(settings->worker_bin, sizeof settings->worker_bin, "%s/rhizome-worker", self);
    return RZ_OK;
}

static rz_rc_t set_text(char *out, size_t size, const rz_config_t *config, const char *key, rz_err_t *err)
{
    const char *text = rz_config_str(config, key);
    if (strlen(text) >= size)
        return rz_fail_field(err, RZ_TOO_LARGE, key, "at most %zu bytes", size - 1);
    memcpy(out, text, strlen(text) + 1);
    return RZ_OK;
}

static rz_rc_t set_texts(settings_t *s, const rz_config_t *config, rz_err_t *err)
{
    if (gethostname(s->host, sizeof s->host - 1) != 0 || s->host[0] == '\0')
        snprintf(s->host, sizeof s->host, "localhost");
    rz_rc_t rc = set_text(s->name, sizeof s->name, config, "runner.name", err);
    if (rc == RZ_OK)
        rc = set_text(s->state_dir, sizeof s->state_dir, config, "runner.state_dir", err);
    if (rc == RZ_OK)
        rc = set_text(s->worker_bin, sizeof s->worker_bin, config, "runner.worker_bin", err);
    if (rc == RZ_OK)
        rc = set_text(s->credentials, sizeof s->credentials, config, "runner.credentials", err);
    if (rc == RZ_OK)
        rc =
            set_text(s->default_provider, sizeof s->default_provider, config, "runner.default_provider", err);
    if (rc != RZ_OK)
        return rc;
    if (s->name[0] == '\0')
        default_name(s);
    if (s->state_dir[0] == '\0')
        default_state_dir(s);
    return s->worker_bin[0] == '\0' ? default_worker_bin(s, err) : RZ_OK;
}

static void set_numbers_and_words(settings_t *s, const rz_config_t *config)
{
    s->slots = (size_t)rz_config_int(config, "runner.slots");
    s->idle_per_key = (size_t)rz_config_int(config, "runner.idle_per_key");
    s->idle_max_total = (size_t)rz_config_int(config, "runner.idle_max_total");
    if (s->idle_max_total == 0)
        s->idle_max_total = s->slots;
    s->idle_secs = (uint64_t)rz_config_int(config, "runner.idle_secs");
    s->register_ms = (uint64_t)rz_config_int(config, "runner.register_secs") * 1000;
    s->cancel_grace_ms = (uint64_t)rz_config_int(config, "runner.cancel_grace_ms");
    s->needs_credential = strcmp(rz_config_str(config, "runner.missing_credential"), "error") == 0;
    s->drain_policy = (rz_drain_policy_t)rz_config_word(config, "runner.drain_policy");
    s->tree.wish = (tree_wish_t)rz_config_word(config, "runner.cgroups");
    s->drain_ms = (uint64_t)rz_config_int(config, "runner.drain_secs") * 1000;
    s->cordoned = rz_config_bool(config, "runner.cordoned");
    s->approval_ms = (uint64_t)rz_config_int(config, "runner.approval_secs") * 1000;
    s->freeze_ms = (uint64_t)rz_config_int(config, "runner.freeze_ms");
    s->hold_max_ms = (uint64_t)rz_config_int(config, "runner.hold_max_secs") * 1000;
    s->recycle_runs = (uint64_t)rz_config_int(config, "runner.recycle_runs");
    s->recycle_bytes = (uint64_t)rz_config_int(config, "runner.recycle_mb") << 20;
    s->tree.memory_bytes = (uint64_t)rz_config_int(config, "runner.limits.worker_memory_mb") << 20;
    s->tree.processes = (uint64_t)rz_config_int(config, "runner.limits.worker_processes");
    s->event_max = (size_t)rz_config_int(config, "limits.event_bytes");
}

static rz_rc_t set_key(settings_t *s, const rz_config_t *config, rz_err_t *err)
{
    if (rz_key_load(rz_config_str(config, "security.key"), "security.key", &s->key, err) != RZ_OK)
        return err->rc;
    if (rz_key_is_set(&s->key) && s->key.role != RZ_KEY_RUNNER)
        return rz_fail_field(err, RZ_BAD_FIELD, "security.key",
                             "is a key of role %s, a runner needs one of role runner",
                             rz_key_role_names[s->key.role]);
    return RZ_OK;
}

/* Profiles of a protocol that is not served yet are offered too: a job for one then ends with a sentence that
 * says so, instead of waiting for a runner that will never come. */
static void set_profiles(settings_t *s)
{
    s->profiles = cJSON_CreateArray();
    for (size_t i = 0; i < rz_agents_count(s->agents); i++)
        cJSON_AddItemToArray(s->profiles, cJSON_CreateString(rz_agents_at(s->agents, i)->id));
}

rz_rc_t settings_init(settings_t *settings, const rz_config_t *config, rz_err_t *err)
{
    *settings = (settings_t){ .brokers = rz_config_list(config, "runner.brokers"),
                              .http = rz_config_str(config, "runner.http"),
                              .labels = rz_config_list(config, "runner.labels"),
                              .env_allow = rz_config_list(config, "runner.env_allow") };
    if (cJSON_GetArraySize(settings->brokers) == 0)
        return rz_fail_field(err, RZ_BAD_FIELD, "runner.brokers", "at least one broker must be named");
    set_numbers_and_words(settings, config);
    rz_rc_t rc = set_texts(settings, config, err);
    if (rc == RZ_OK)
        rc = confinement_read(config, &settings->confinement, err);
    if (rc != RZ_OK)
        return rc;
    settings->agents = rz_agents_read(config, err);
    if (settings->agents == NULL)
        return err->rc;
    set_profiles(settings);
    return set_key(settings, config, err);
}

void settings_fini(settings_t *settings)
{
    rz_key_wipe(&settings->key);
    cJSON_Delete(settings->profiles);
    rz_agents_destroy(&settings->agents);
}
