/* keyring.h - keys of one test: a broker's, one for each role, and the list that a broker lets in by.
 *
 * Where everything is on (secured.h) the rigs (rig.h, bare.h, stand_in.h) have keys: the broker its own, runners
 * that called `runner`, clients that called `admin`. Facts about keys make their own ring. */
#pragma once

#include "base/key.h"

#include <stdbool.h>

typedef struct {
    char dir[256]; /* of NAME.key and allow.json */
    char list[256], broker[256];
} keyring_t;
extern keyring_t keyring; /* of the rig that is up; dir "": it has none */

/* A folder `keys` in dir with a broker's key and producer, client, subscriber, runner (any name), admin on the list. */
void keyring_make(const char *dir);
void keyring_forget(void); /* the folder's end is its owner's */

/* One more key, on the list. members: further JSON of its entry with a leading comma (",\"topics\":[\"a\"]"), or "". */
void keyring_add(const char *name, const char *role, const char *members);
void keyring_remove(const char *name);
/* Gives the name to a fresh key, with the same role and members; the old one is lost. In one write of the list. */
void keyring_renew(const char *name);
/* Replaces the list by any text. */
void keyring_write(const char *text);
const char *keyring_path(const char *name); /* of a key's file; lent until the next call */
/* Gives a socket the key of that name. Nothing if there is no ring. */
void keyring_apply(void *sock, const char *name);
/* Appends flags for a broker, or for a program with the key of that name, and the NULL. Gives the new count. */
size_t keyring_flags(const char **argv, size_t n, const char *name);
