/* setup.c - see setup.h. */
#include "setup.h"

#include "base/host.h"
#include "state/access.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The host name as an id: what an id may not hold becomes a dash. */
static void name_from_host(char out[RZ_ID_MAX + 1])
{
    char host[RZ_ID_MAX + 1] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !isalnum((unsigned char)host[0]))
        snprintf(host, sizeof host, "broker");
    for (char *c = host; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("._:-", *c) == NULL)
            *c = '-';
    memcpy(out, host, sizeof host);
}

static uint64_t secs_in_ms(const rz_config_t *config, const char *key)
{
    return (uint64_t)rz_config_int(config, key) * 1000;
}

/* ---- who may reach us ---- */

/* tcp://HOST:PORT; other kinds do not leave the host. */
static bool is_local(const char *endpoint)
{
    char host[256];
    if (strncmp(endpoint, "tcp://", 6) != 0)
        return true;
    const char *begin = endpoint + 6, *colon = strrchr(begin, ':');
    bool bracketed = *begin == '[';
    snprintf(host, sizeof host, "%.*s", colon != NULL ? (int)(colon - begin) - 2 * bracketed : 0,
             begin + bracketed);
    return rz_host_is_loopback(host);
}

static bool store_asks_for_password(const rz_store_options_t *store)
{
    return strncmp(store->url, "unix:", 5) == 0 || store->password != NULL || strchr(store->url, '@') != NULL;
}

/* Whoever can speak to a broker in the clear rules the fleet, and so does whoever can speak to its Redis. */
static rz_rc_t check_exposure(const rz_config_t *config, setup_t *setup, rz_err_t *err)
{
    static const char *const keys[] = { "broker.jobs", "broker.control", "broker.events", "broker.runners",
                                        "broker.publish" };
    bool insecure = rz_config_bool(config, "security.insecure");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *endpoint = rz_config_str(config, keys[i]);
        if (is_local(endpoint))
            continue;
        if (!rz_key_is_set(&setup->key) && !insecure)
            return rz_fail_field(
                err, RZ_NOT_ALLOWED, keys[i],
                "%.64s is open to other hosts, and there are no keys: `rhizome key new broker --role "
                "broker`, then set security.key and security.allow; or listen on 127.0.0.1",
                endpoint);
        if (!store_asks_for_password(&setup->store) && !insecure)
            return rz_fail_field(
                err, RZ_NOT_ALLOWED, keys[i],
                "%.64s is open to other hosts, and Redis asks for no password: set redis.password, or "
                "reach it by a Unix socket",
                endpoint);
        setup->exposed = setup->exposed || !rz_key_is_set(&setup->key);
    }
    return RZ_OK;
}

static rz_rc_t read_security(const rz_config_t *config, setup_t *out, rz_err_t *err)
{
    out->allow = rz_config_str(config, "security.allow");
    if (rz_key_load(rz_config_str(config, "security.key"), "security.key", &out->key, err) != RZ_OK)
        return err->rc;
    if (rz_key_is_set(&out->key) && out->key.role != RZ_KEY_BROKER)
        return rz_fail_field(err, RZ_BAD_FIELD, "security.key",
                             "is a key of role %s, a broker needs one of role broker",
                             rz_key_role_names[out->key.role]);
    if (rz_key_is_set(&out->key) != (*out->allow != '\0'))
        return rz_fail_field(err, RZ_MISSING_FIELD, *out->allow != '\0' ? "security.key" : "security.allow",
                             "security.key and security.allow go together");
    return check_exposure(config, out, err);
}

rz_rc_t setup_read(rz_config_t *config, setup_t *out, rz_err_t *err)
{
    *out = (setup_t){
        .jobs = rz_config_str(config, "broker.jobs"),
        .control = rz_config_str(config, "broker.control"),
        .events = rz_config_str(config, "broker.events"),
        .runners = rz_config_str(config, "broker.runners"),
        .publish = rz_config_str(config, "broker.publish"),
        .http = rz_config_str(config, "broker.http"),
        .advertise = rz_config_str(config, "broker.advertise"),
        .state_dir = rz_config_str(config, "broker.state_dir"),
        .scoped = rz_config_str(config, "broker.scoped_events"),
        .lease_ms = (uint64_t)rz_config_int(config, "broker.lease_ms"),
        .sync_ms = (uint64_t)rz_config_int(config, "broker.sync_ms"),
        .poll_ms = (uint64_t)rz_config_int(config, "broker.poll_ms"),
        .queue_max = (uint64_t)rz_config_int(config, "broker.queue_max"),
        .max_queue_ms = secs_in_ms(config, "broker.max_queue_secs"),
        .retention_ms = secs_in_ms(config, "retention.session_secs"),
        .tombstone_ms = secs_in_ms(config, "retention.tombstone_secs"),
        .completions_max = (uint64_t)rz_config_int(config, "retention.completions"),
        .subscriber_events = (int)rz_config_int(config, "broker.subscriber_events"),
        .calls_per_sec = (uint64_t)rz_config_int(config, "limits.calls_per_sec"),
        .job_max = (size_t)rz_config_int(config, "limits.job_bytes"),
        .session_max = (size_t)rz_config_int(config, "limits.session_bytes"),
    };
    snprintf(out->name, sizeof out->name, "%s", rz_config_str(config, "broker.name"));
    if (out->name[0] == '\0')
        name_from_host(out->name);
    if (rz_store_access_read(config, &out->store, err) != RZ_OK || read_security(config, out, err) != RZ_OK)
        return err->rc;
    out->store.log_max = (uint64_t)rz_config_int(config, "retention.log_events");
    out->agents = rz_agents_read(config, err);
    return out->agents != NULL ? RZ_OK : err->rc;
}

void setup_fini(setup_t *setup)
{
    rz_agents_destroy(&setup->agents);
    rz_key_wipe(&setup->key);
}
