/* up_keys.c - the keys of what `rhizome up` runs: made where there are none. */
#include "context.h"
#include "keys.h"
#include "out.h"
#include "up.h"
#include "verb.h"

#include "base/host.h"
#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tcp://HOST:PORT beyond this host. */
static bool is_open(const char *endpoint)
{
    char host[256];
    const char *begin = endpoint + strlen("tcp://"), *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, "tcp://", strlen("tcp://")) != 0)
        return false;
    bool bracketed = *begin == '[';
    snprintf(host, sizeof host, "%.*s", (int)(colon - begin) - 2 * bracketed, begin + bracketed);
    return !rz_host_is_loopback(host);
}

static bool is_any_open(const up_t *up)
{
    bool any = false;
    for (int i = 0; i < ENDPOINTS; i++)
        any = any || (i != ENDPOINT_HTTP && is_open(up->endpoint[i]));
    return any;
}

void up_host_name(char out[RZ_ID_MAX + 1])
{
    char host[RZ_ID_MAX + 1] = "host";
    gethostname(host, 40);
    host[40] = '\0';
    for (char *c = host; *c != '\0'; c++)
        if (!rz_id_valid((rz_str_t){ c, 1 }))
            *c = '-';
    host[0] = host[0] == '-' || host[0] == '\0' ? 'h' : host[0];
    snprintf(out, RZ_ID_MAX + 1, "%s", host);
}

static bool path_of(const keys_t *keys, const char *name, char out[PATH_MAX])
{
    const char *slash = strrchr(keys->key, '/');
    int n = snprintf(out, PATH_MAX, "%.*s%s.key", slash != NULL ? (int)(slash + 1 - keys->key) : 0, keys->key,
                     name);
    return n > 0 && n < PATH_MAX;
}

/* The broker's key and list, a key for the runners here and one for the person here. */
static outcome_t make_keys(up_t *up)
{
    char host[RZ_ID_MAX + 1];
    keys_t keys;
    up_host_name(host);
    if (!keys_find(&keys) || !path_of(&keys, host, up->runner_key) ||
        !path_of(&keys, "admin", up->client_key))
        return EXIT_CONFIG;
    if (!keys_make_broker(&keys) || !keys_make_peer(&keys, host, RZ_KEY_RUNNER, up->runner_key) ||
        !keys_make_peer(&keys, "admin", RZ_KEY_ADMIN, up->client_key))
        return EXIT_CONFIG;
    snprintf(up->broker_key, sizeof up->broker_key, "%s", keys.key);
    snprintf(up->allow, sizeof up->allow, "%s", keys.allow);
    snprintf(up->runner_base, sizeof up->runner_base, "%s", host);
    return EXIT_DONE;
}

/* Who joins was given a key; runners are called as it is. */
static outcome_t take_given(up_t *up)
{
    char path[PATH_MAX];
    rz_err_t err = { 0 };
    rz_key_t key;
    up_host_name(up->runner_base);
    if (!context_key(CONTROL_FLAG, path))
        return EXIT_DONE;
    if (rz_key_load(path, "--key", &key, &err) != RZ_OK || key.role != RZ_KEY_RUNNER) {
        say("%s", err.rc != RZ_OK ? err.text : "--key: to join takes a key of role runner");
        rz_key_wipe(&key);
        return EXIT_CONFIG;
    }
    snprintf(up->runner_base, sizeof up->runner_base, "%s", key.name);
    rz_key_wipe(&key);
    if (realpath(path, up->runner_key) == NULL)
        return EXIT_CONFIG;
    snprintf(up->client_key, sizeof up->client_key, "%s", up->runner_key);
    return EXIT_DONE;
}

outcome_t up_take_keys(up_t *up, bool secure)
{
    up_host_name(up->runner_base);
    if (up->joined)
        return take_given(up);
    if (secure || (is_any_open(up) && !rz_config_bool(common.config, "security.insecure")))
        return make_keys(up);
    return EXIT_DONE;
}
