/* keys.h - where keys lie, and the allow list as a person changes it.
 *
 * On a broker's host: the broker's key and its allow list, as security.key and security.allow name them, else those that
 * `rhizome up` keeps in the folder `keys` of its state. */
#pragma once

#include "outcome.h"

#include "wire/allow.h"

#include <limits.h>
#include <stdbool.h>

typedef struct {
    char key[PATH_MAX], allow[PATH_MAX];
} keys_t;

/* Where they should lie, whether they do or not. False after a message. */
bool keys_find(keys_t *out);

/* Locks the list, reads it, and writes it anew without the entry called `without` (NULL: none) and with `more` (NULL: none);
 * brokers take it up by themselves. A list that does not exist counts as empty. Other than EXIT_DONE after a message, and
 * nothing has changed. EXIT_REFUSED: there is one of that name; EXIT_CONFIG: the list cannot be read or written, or the new
 * one would not be good. */
outcome_t keys_change(const char *path, const char *without, const rz_allowed_t *more);
/* NULL after a message. */
rz_allow_t *keys_read(const char *path);
/* A list with nobody in it, unless there is one. False after a message. */
bool keys_make_list(const char *path);
/* A broker's key and its empty list, in a folder that is made, unless they are there. False after a message. */
bool keys_make_broker(const keys_t *keys);
/* The brokers' public key: that of the broker's key, or the one that another's key is made for. False after a message. */
bool keys_server_key(const keys_t *keys, char out[RZ_KEY_LEN + 1]);
/* A key for this broker, written to `path` and put on its list, unless the file is there. False after a message. */
bool keys_make_peer(const keys_t *keys, const char *name, rz_key_role_t role, const char *path);
