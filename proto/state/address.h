/* address.h - where a Redis is and who we are there, read from rz_store_options_t. */
#pragma once

#include "state/store.h"

#define RZ_SENTINELS_MAX 16

typedef struct {
    char *host;
    int port;
} rz_place_t;

typedef struct {
    char *path;                            /* Unix socket, or NULL                                   */
    rz_place_t at;                         /* else this, if its host is there                        */
    rz_place_t sentinel[RZ_SENTINELS_MAX]; /* else these know where the primary is,   */
    size_t sentinels;
    char *primary;         /* by this name                                           */
    char *user, *password; /* at Redis; NULL: none                                   */
    char *sentinel_user, *sentinel_password;
    unsigned db;
    bool plaintext; /* as in the options */
} rz_address_t;

/* RZ_BAD_FIELD (field "redis.url") for a url that cannot be read, RZ_NOT_ALLOWED for a host that may not be spoken to in
 * the clear. Port 6379 (of a sentinel 26379) and db 0 when absent. */
rz_rc_t rz_address_parse(const rz_store_options_t *options, rz_address_t *out, rz_err_t *err);
void rz_address_fini(rz_address_t *address);
/* hiredis 0.14 speaks no TLS, so whoever is between us and another host reads the password and every conversation:
 * RZ_NOT_ALLOWED, and how to mend it, for a host that is not this one, unless options->plaintext. */
rz_rc_t rz_address_check_host(const rz_store_options_t *options, const char *host, rz_err_t *err);
