/* address.c - see address.h. */
#include "state/address.h"

#include "base/host.h"

#include <stdlib.h>
#include <string.h>

static rz_rc_t bad_url(rz_err_t *err, const char *why)
{
    return rz_fail_field(err, RZ_BAD_FIELD, "redis.url",
                         "%s; allowed: unix:/path, redis://host:port, redis://:password@host:port/db", why);
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

/* "host", "host:port", "[::1]:port", each with "/db" or not */
static rz_rc_t take_host(rz_address_t *out, const char *text, rz_err_t *err)
{
    unsigned long n = 0;
    const char *slash = strchr(text, '/');
    if (slash != NULL && slash[1] != '\0') {
        if (!number(slash + 1, 1023, &n))
            return bad_url(err, "the database is no number");
        out->db = (unsigned)n;
    }
    char *host = slash != NULL ? rz_strndup(text, (size_t)(slash - text)) : rz_strdup(text);
    out->host = host;
    out->port = 6379;
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
    static const char unix_scheme[] = "unix:", tcp_scheme[] = "redis://";
    if (url != NULL && strncmp(url, unix_scheme, sizeof(unix_scheme) - 1) == 0) {
        const char *path = url + sizeof(unix_scheme) - 1;
        if (strncmp(path, "//", 2) == 0)
            path += 2; /* unix:///run/redis.sock */
        if (*path != '/')
            return bad_url(err, "the socket's path is not absolute");
        out->path = rz_strdup(path);
        return RZ_OK;
    }
    if (url == NULL || strncmp(url, tcp_scheme, sizeof(tcp_scheme) - 1) != 0)
        return bad_url(err, "unknown scheme");
    const char *rest = url + sizeof(tcp_scheme) - 1;
    const char *at = strrchr(rest, '@');
    if (at != NULL) {
        take_credentials(out, rest, (size_t)(at - rest));
        rest = at + 1;
    }
    return take_host(out, rest, err);
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
    if (rc == RZ_OK && out->host != NULL)
        rc = rz_address_check_host(options, out->host, err);
    if (rc != RZ_OK) {
        rz_address_fini(out);
        return rc;
    }
    override(&out->user, options->user);
    override(&out->password, options->password);
    return RZ_OK;
}

void rz_address_fini(rz_address_t *address)
{
    rz_free(address->path);
    rz_free(address->host);
    rz_free(address->user);
    if (address->password != NULL)
        rz_wipe(address->password, strlen(address->password));
    rz_free(address->password);
    *address = (rz_address_t){ 0 };
}
