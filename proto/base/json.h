/* json.h - strict JSON in front of cJSON, and members that stay bytes.
 *
 * cJSON forgives what others exploit, so nothing reaches it unchecked: rz_json_check()
 * accepts exactly one RFC 8259 text in valid UTF-8, without byte order mark, duplicate keys, \u0000, lone
 * surrogates or numbers out of the double range or longer than 63 bytes (cJSON misreads those), nested at
 * most RZ_JSON_DEPTH_MAX deep.
 *
 * Conversations and events are forwarded as the bytes they came in.  rz_object_decode() therefore takes the
 * names of members that must stay bytes: they become spans into the input, all others a cJSON tree. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* RZ_BAD_JSON (the text names the byte offset), RZ_TOO_DEEP, RZ_TOO_LARGE (len > max; 0 = no limit). */
rz_rc_t rz_json_check(const char *bytes, size_t len, size_t max, rz_err_t *err);

/* Checks, then parses.  NULL on failure; the caller runs cJSON_Delete(). */
cJSON *rz_json_parse(const char *bytes, size_t len, size_t max, rz_err_t *err);
/* The same for configuration files: // line comments are allowed outside strings; failures name the line. */
cJSON *rz_json_parse_commented(const char *bytes, size_t len, size_t max, rz_err_t *err);
/* Overwrites every string value of a tree that held secrets; NULL is harmless. Before cJSON_Delete(). */
void rz_json_wipe(cJSON *tree);

/* ---- spans: walk text that has already been checked, without building anything ---- */
typedef struct {
    rz_str_t rest; /* private */
    bool first;    /* private */
} rz_json_iter_t;
/* The iterators accept only checked text; on a value of another kind they yield nothing. */
rz_json_iter_t rz_json_iter(rz_str_t container);
bool rz_json_next_member(rz_json_iter_t *it, rz_str_t *key,
                         rz_str_t *value); /* key without quotes, escapes as written */
bool rz_json_next_element(rz_json_iter_t *it, rz_str_t *value);
/* The value of a member, escapes in its key resolved; {NULL,0} if absent. */
rz_str_t rz_json_member(rz_str_t object, const char *key);
char rz_json_kind(rz_str_t value); /* '{' '[' '"' '0' (number) 't' 'f' 'n', or 0 for an empty span */
/* Decodes a string value into out (appends).  False if value is no string. */
bool rz_json_unescape(rz_str_t value, rz_buf_t *out);
/* True if value is the JSON string `text` (compared after unescaping). */
bool rz_json_is(rz_str_t value, const char *text);

/* ---- decoding one object ---- */
#define RZ_RAW_MAX 6
typedef struct {
    cJSON *tree;              /* every member not named in raw_keys */
    rz_str_t raw[RZ_RAW_MAX]; /* as raw_keys; {NULL,0} where absent; borrowed from the input */
} rz_object_t;

/* Checks `bytes`, which must be one object.  raw_keys: NULL-terminated, at most RZ_RAW_MAX, or NULL.
 * On RZ_OK end it with rz_object_fini(); on failure it holds nothing. */
rz_rc_t rz_object_decode(const char *bytes, size_t len, size_t max, const char *const *raw_keys,
                         rz_object_t *out, rz_err_t *err);
/* The same for bytes that were checked as part of a larger text. */
rz_rc_t rz_object_decode_checked(rz_str_t bytes, const char *const *raw_keys, rz_object_t *out,
                                 rz_err_t *err);
void rz_object_fini(rz_object_t *object);

/* ---- typed fields.  The first failure stays in f->err; read everything, then look at err->rc once. ----
 *     rz_fields_t f = { .obj = o.tree, .where = "identity.", .err = err };
 *     out->child = rz_field_id(&f, "child_id", RZ_REQUIRED);
 * Strings are lent by the tree.  `where` prefixes the field name in messages ("" or "a.b."). */
typedef enum {
    RZ_REQUIRED, /* missing or null is RZ_MISSING_FIELD              */
    RZ_OPTIONAL, /* missing or null gives the empty value            */
    RZ_DEFAULTED /* missing gives the default; null is RZ_BAD_FIELD  */
} rz_need_t;

typedef struct {
    const cJSON *obj;
    const char *where;
    rz_err_t *err; /* must not be NULL */
} rz_fields_t;

/* Wrong kind or range is RZ_BAD_FIELD, no id RZ_BAD_ID, more than max bytes RZ_TOO_LARGE (max 0: none). */
const char *rz_field_str(rz_fields_t *f, const char *key, rz_need_t need, size_t max); /* NULL when absent */
const char *rz_field_id(rz_fields_t *f, const char *key, rz_need_t need);              /* + the id rule    */
/* Numbers are doubles, so only integers below 2^53 are taken; what may be larger travels as a string. */
uint64_t rz_field_u64(rz_fields_t *f, const char *key, rz_need_t need, uint64_t dflt, uint64_t min,
                      uint64_t max);
bool rz_field_bool(rz_fields_t *f, const char *key, rz_need_t need, bool dflt);
const cJSON *rz_field_object(rz_fields_t *f, const char *key, rz_need_t need); /* NULL when absent */
/* An array of strings, each 1..max bytes, at most RZ_LIST_MAX; NULL when absent. */
const cJSON *rz_field_strings(rz_fields_t *f, const char *key, rz_need_t need, size_t max);
/* An array of ids, at most RZ_LIST_MAX; NULL when absent. */
const cJSON *rz_field_ids(rz_fields_t *f, const char *key, rz_need_t need);
/* What a peer counted, where nothing is refused: 0 when it is NULL or no number from 0 to below 2^53. */
uint64_t rz_json_count(const cJSON *item);
/* One of the NULL-terminated `names`; its index, or `dflt` when absent. The failure lists what is allowed. */
int rz_field_enum(rz_fields_t *f, const char *key, rz_need_t need, const char *const *names, int dflt);
/* An error if a key outside the NULL-terminated list is present (configuration and control, not upstream's
 * types). */
void rz_fields_only(rz_fields_t *f, const char *const *keys);
