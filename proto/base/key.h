/* key.h - who a program is on the network: a CURVE key pair with a name and a role, and how a socket takes it.
 *
 * A key lives in one file of mode 0600 (private_file.h), one JSON object:
 *   {"name":"host2","role":"runner","public_key":"...","secret_key":"...","server_key":"..."}
 * Keys are Z85 text, 40 characters for 32 bytes. `server_key` is the public key of the brokers it is for: a peer
 * talks to nobody else. A key of role `broker` has none: its sockets are the servers. */
#pragma once

#include "base/limits.h"
#include "base/rc.h"

#include <stdbool.h>

#define RZ_KEY_LEN       40
#define RZ_KEY_BYTES_MAX 4096 /* of a key file */

typedef enum {
    RZ_KEY_PRODUCER,
    RZ_KEY_CLIENT,
    RZ_KEY_SUBSCRIBER,
    RZ_KEY_RUNNER,
    RZ_KEY_ADMIN,
    RZ_KEY_BROKER,
    RZ_KEY_ROLES
} rz_key_role_t;
extern const char *const rz_key_role_names[RZ_KEY_ROLES + 1]; /* "producer", ...; NULL-terminated */

typedef struct {
    char name[RZ_ID_MAX + 1]; /* an id */
    rz_key_role_t role;
    char public_key[RZ_KEY_LEN + 1], secret_key[RZ_KEY_LEN + 1];
    char server_key[RZ_KEY_LEN + 1]; /* "": none */
} rz_key_t;

/* A fresh pair. name and server_key ("" or NULL: none) are copied; the name must be an id. */
void rz_key_new(rz_key_t *key, const char *name, rz_key_role_t role, const char *server_key);
/* Reads a key file; path "": there is none, and *out is zero. A failure names `field` (the setting or flag that named it) and the path, never the content. After
 * RZ_OK end with rz_key_wipe(). */
rz_rc_t rz_key_load(const char *path, const char *field, rz_key_t *out, rz_err_t *err);
/* Writes a new file of mode 0600. RZ_CONFLICT: it exists. */
rz_rc_t rz_key_save(const rz_key_t *key, const char *path, rz_err_t *err);
void rz_key_wipe(rz_key_t *key);
bool rz_key_is_set(const rz_key_t *key);  /* not NULL, not zero */
bool rz_key_text_valid(const char *text); /* 40 characters of Z85 */

/* Before bind or connect. A broker's key makes the socket a server that asks ZAP about each peer, in this domain; any
 * other a client of server_key. NULL, or one that is zero: in the clear. */
rz_rc_t rz_key_apply(const rz_key_t *key, const char *domain, void *zmq_socket, rz_err_t *err);
