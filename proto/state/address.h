/* address.h - where a Redis is and who we are there, read from rz_store_options_t. */
#pragma once

#include "state/store.h"

typedef struct {
    char *path; /* Unix socket, or NULL: then host and port */
    char *host;
    int port;
    char *user, *password; /* NULL: none */
    unsigned db;
} rz_address_t;

/* RZ_BAD_FIELD (field "redis.url") for a url that cannot be read, RZ_NOT_ALLOWED for a host that may not be spoken to in
 * the clear. Port 6379 and db 0 when absent. */
rz_rc_t rz_address_parse(const rz_store_options_t *options, rz_address_t *out, rz_err_t *err);
void rz_address_fini(rz_address_t *address);
/* hiredis 0.14 speaks no TLS, so whoever is between us and another host reads the password and every conversation:
 * RZ_NOT_ALLOWED, and how to mend it, for a host that is not this one, unless options->plaintext. */
rz_rc_t rz_address_check_host(const rz_store_options_t *options, const char *host, rz_err_t *err);
