/* address.c - see address.h. */
#include "state/address.h"

#include "base/host.h"

#include <stdlib.h>
#include <string.h>

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379

static rz_rc_t bad_url(rz_err_t *err, const char *why)
{
    return rz_fail_field(err, RZ_BAD_FIELD, "redis.url",
                         "%s; allowed: unix:/path, redis://host:port, redis://:password@host:port/db, "
                         "redis+sentinel://host:port,host:port/name",
                         why);
}

/* A decimal number of at most `max` that fills the whole text. */
static bool number(const char *text, unsigned long max, unsigned long *out)
{
    char *end = NULL;
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoul(text, &end, 10);
    return *end == '\0' && *out <= max;
}

/* "user:password", ":password" or "password" in front of the '@' */
static void take_credentials(rz_address_t *out, const char *text, size_t n)
{
    const char *colon = memchr(text, ':', n);
    if (colon != NULL && colon > text)
        out->user = rz_strndup(text, (size_t)(colon - text));
    const char *password = colon != NULL ? colon + 1 : text;
    out->password = rz_strndup(password, n - (size_t)(password - text));
}

/* "host", "host:port", "[::1]:port" */
static rz_rc_t take_place(rz_place_t *out, char *host, int port, rz_err_t *err)
{
    unsigned long n = 0;
    *out = (rz_place_t){ host, port };
    char *after = host;
    if (host[0] == '[' && (after = strchr(host, ']')) != NULL) {
        *after++ = '\0';
        memmove(host, host + 1, strlen(host));
    } else if (host[0] == '[') {
        return bad_url(err, "a bracket is open");
    }
    char *colon = strchr(after, ':');
    if (colon != NULL) {
        if (!number(colon + 1, 65535, &n) || n == 0)
            return bad_url(err, "the port is no number from 1 to 65535");
        *colon = '\0';
        out->port = (int)n;
    }
    return *host == '\0' ? bad_url(err, "the host is missing") : RZ_OK;
}

static rz_rc_t take_db(rz_address_t *out, const char *slash, rz_err_t *err)
{
    unsigned long n = 0;
    if (slash == NULL || slash[1] == '\0')
        return RZ_OK;
    if (!number(slash + 1, 1023, &n))
        return bad_url(err, "the database is no number");
    out->db = (unsigned)n;
    return RZ_OK;
}

/* A place, and "/db" or not */
static rz_rc_t take_host(rz_address_t *out, const char *text, rz_err_t *err)
{
    size_t n = strcspn(text, "/");
    rz_rc_t rc = take_db(out, strchr(text, '/'), err);
    return rc == RZ_OK ? take_place(&out->at, rz_strndup(text, n), REDIS_PORT, err) : rc;
}

/* "place,place/name", and "/db" or not */
static rz_rc_t take_sentinels(rz_address_t *out, const char *text, rz_err_t *err)
{
    const char *slash = strchr(text, '/');
    size_t named = slash != NULL ? strcspn(slash + 1, "/") : 0;
    if (named == 0)
        return bad_url(err, "the name that sentinels know the primary by is missing");
    out->primary = rz_strndup(slash + 1, named);
    rz_rc_t rc = take_db(out, strchr(slash + 1, '/'), err);
    while (rc == RZ_OK && text <= slash) {
        size_t n = strcspn(text, ",/");
        if (out->sentinels == RZ_SENTINELS_MAX)
            return bad_url(err, "too many sentinels, 16 are the most");
        rc = take_place(&out->sentinel[out->sentinels++], rz_strndup(text, n), SENTINEL_PORT, err);
        text += n + 1;
    }
    return rc;
}

rz_rc_t rz_address_check_host(const rz_store_options_t *options, const char *host, rz_err_t *err)
{
    if (options->plaintext || rz_host_is_loopback(host))
        return RZ_OK;
    return rz_fail_field(
        err, RZ_NOT_ALLOWED, "redis.url",
        "Redis at %.120s would be spoken to in the clear; reach it through a TLS tunnel to a Unix socket "
        "(ops/redis), or set redis.plaintext to true if nobody else is on that network",
        host);
}

static rz_rc_t take_url(rz_address_t *out, const char *url, rz_err_t *err)
{
    static const char unix_scheme[] = "unix:", tcp_scheme[] = "redis://",
                      sentinel_scheme[] = "redis+sentinel://";
    if (url != NULL && strncmp(url, unix_scheme, sizeof(unix_scheme) - 1) == 0) {
        const char *path = url + sizeof(unix_scheme) - 1;
        if (strncmp(path, "//", 2) == 0)
            path += 2; /* unix:///run/redis.sock */
        if (*path != '/')
            return bad_url(err, "the socket's path is not absolute");
        out->path = rz_strdup(path);
        return RZ_OK;
    }
    bool by_sentinel = url != NULL && strncmp(url, sentinel_scheme, sizeof(sentinel_scheme) - 1) == 0;
    if (url == NULL || (!by_sentinel && strncmp(url, tcp_scheme, sizeof(tcp_scheme) - 1) != 0))
        return bad_url(err, "unknown scheme");
    const char *rest = url + (by_sentinel ? sizeof(sentinel_scheme) : sizeof(tcp_scheme)) - 1;
    const char *at = strrchr(rest, '@');
    if (at != NULL) {
        take_credentials(out, rest, (size_t)(at - rest));
        rest = at + 1;
    }
    return by_sentinel ? take_sentinels(out, rest, err) : take_host(out, rest, err);
}

static rz_rc_t check_hosts(const rz_store_options_t *options, const rz_address_t *address, rz_err_t *err)
{
    rz_rc_t rc = address->at.host != NULL ? rz_address_check_host(options, address->at.host, err) : RZ_OK;
    for (size_t i = 0; rc == RZ_OK && i < address->sentinels; i++)
        rc = rz_address_check_host(options, address->sentinel[i].host, err);
    return rc;
}

static void override(char **text, const char *with)
{
    if (with == NULL || *with == '\0')
        return;
    rz_free(*text);
    *text = rz_strdup(with);
}

rz_rc_t rz_address_parse(const rz_store_options_t *options, rz_address_t *out, rz_err_t *err)
{
    *out = (rz_address_t){ 0 };
    rz_rc_t rc = take_url(out, options->url, err);
    if (rc == RZ_OK)
        rc = check_hosts(options, out, err);
    if (rc != RZ_OK) {
        rz_address_fini(out);
        return rc;
    }
    override(&out->user, options->user);
    override(&out->password, options->password);
    override(&out->sentinel_user, options->sentinel_user);
    override(&out->sentinel_password, options->sentinel_password);
    out->plaintext = options->plaintext;
    return RZ_OK;
}

static void forget(char *secret)
{
    if (secret != NULL)
        rz_wipe(secret, strlen(secret));
    rz_free(secret);
}

void rz_address_fini(rz_address_t *address)
{
    rz_free(address->path);
    rz_free(address->at.host);
    for (size_t i = 0; i < address->sentinels; i++)
        rz_free(address->sentinel[i].host);
    rz_free(address->primary);
    rz_free(address->user);
    rz_free(address->sentinel_user);
    forget(address->password);
    forget(address->sentinel_password);
    *address = (rz_address_t){ 0 };
}
