/* allow.h - the allow list: which keys may come in, in which role, and how far each reaches.
 *
 *   {"keys":[{"name":"host2","role":"runner","public_key":"...","runners":["host2-*"]},
 *            {"name":"ci","role":"producer","public_key":"...","parents":["ci-*"],"tenant":"acme"},
 *            {"name":"dash","role":"subscriber","public_key":"...","topics":["ci-"]}]}
 *
 * parents, runners: ids, or the beginning of ids with a `*` behind it. topics: prefixes. A scope that is missing is
 * none: everything. Only for `runners` it is not: a runner is called as its key, or as that with `-` and more behind
 * it. A list that is not understood in every part is refused as a whole. No I/O. */
#pragma once

#include "base/json.h"
#include "base/key.h"

#define RZ_ALLOW_MAX       4096 /* keys */
#define RZ_ALLOW_BYTES_MAX ((size_t)4 << 20)

typedef struct {
    const char *name, *public_key;
    rz_key_role_t role;                      /* never RZ_KEY_BROKER */
    const cJSON *parents, *topics, *runners; /* arrays of strings; NULL: not limited */
    const char *tenant;                      /* NULL: not limited */
} rz_allowed_t;

typedef struct rz_allow rz_allow_t;

/* NULL and err, which names the entry: "keys[3].role". // comments are allowed. */
rz_allow_t *rz_allow_decode(const char *bytes, size_t len, rz_err_t *err);
void rz_allow_destroy(rz_allow_t **allow);

size_t rz_allow_count(const rz_allow_t *allow);
const rz_allowed_t *rz_allow_at(const rz_allow_t *allow, size_t i); /* in the order of names; lent */
/* NULL: no such key. A span, for it comes from the network. */
const rz_allowed_t *rz_allow_by_key(const rz_allow_t *allow, const char *public_key);
const rz_allowed_t *rz_allow_by_name(const rz_allow_t *allow, const char *name);
/* The same name, key, role and scope. */
bool rz_allowed_same(const rz_allowed_t *a, const rz_allowed_t *b);

/* For who changes the list: appends the text of all entries of `allow` (NULL: none) but the one called `without`
 * (NULL: none), and of `more` (NULL: none). */
void rz_allow_encode(const rz_allow_t *allow, const char *without, const rz_allowed_t *more, rz_buf_t *out);

/* Whether one of the patterns ("ci-*", "root-7") fits; NULL: yes. */
bool rz_scope_fits(const cJSON *patterns, const char *id);
/* Whether all that begins with `topic` begins with one of the prefixes; NULL: yes. */
bool rz_scope_covers(const cJSON *prefixes, rz_str_t topic);
bool rz_scope_same(const cJSON *a, const cJSON *b); /* entry by entry */
