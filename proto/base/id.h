/* id.h - ids, tokens and digests. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

#define RZ_TOKEN_LEN  32 /* hex digits: 128 random bits  */
#define RZ_SECRET_LEN 64 /* hex digits: 256 random bits  */
#define RZ_UUID_LEN   36
#define RZ_DIGEST_LEN 64 /* hex digits of SHA-256        */

/* [A-Za-z0-9][A-Za-z0-9._:-]{0,127}: what may touch a key, a topic or a path. */
bool rz_id_valid(rz_str_t id);
/* The same for whoever gave another one. */
#define RZ_ID_RULE "an id of 1 to 128 letters, digits and . _ : -, beginning with a letter or digit"

/* From getrandom(2); out is NUL-terminated. */
void rz_token_new(char out[RZ_TOKEN_LEN + 1]);
void rz_secret_new(char out[RZ_SECRET_LEN + 1]);
void rz_uuid_new(char out[RZ_UUID_LEN + 1]); /* version 4 */

/* Takes as long whichever byte differs: how far a guess was right does not show. */
bool rz_secret_same(const char secret[RZ_SECRET_LEN + 1], rz_str_t shown);

/* SHA-256 over a list of byte strings, each preceded by its length as 8 bytes big-endian, so that ("a","bc")
 * and ("ab","c") differ.  A NULL pointer counts as absent (its length is eight bytes 0xFF and n is not looked
 * at), which differs from empty. */
typedef struct rz_digest rz_digest_t;
rz_digest_t *rz_digest_create(void);
void rz_digest_add(rz_digest_t *digest, const void *bytes, size_t n);
void rz_digest_add_text(rz_digest_t *digest, const char *text);        /* NULL: absent */
void rz_digest_hex(rz_digest_t **digest, char out[RZ_DIGEST_LEN + 1]); /* takes: *digest is NULL after */
