/* setting.h - the table of settings, and what one value of each may be.  Used by config.c only: programs read
 * config.h. */
#pragma once

#include "base/json.h"

typedef enum {
    RZ_SETTING_TEXT,
    RZ_SETTING_SECRET,   /* text that is never shown                        */
    RZ_SETTING_URL,      /* text whose user:password@ is never shown        */
    RZ_SETTING_ID,       /* id.h                                            */
    RZ_SETTING_ENDPOINT, /* where a ZeroMQ socket binds or connects         */
    RZ_SETTING_HTTP,     /* where HTTP is served; may be "": nowhere        */
    RZ_SETTING_WORD,     /* one of its words                                */
    RZ_SETTING_INT,      /* min to max                                      */
    RZ_SETTING_BOOL,     /* true or false                                   */
    RZ_SETTING_TEXTS,    /* lists; in environment and flags comma separated */
    RZ_SETTING_IDS,
    RZ_SETTING_ENDPOINTS
} rz_setting_kind_t;

typedef struct {
    const char *key; /* dotted, as nested in the file */
    rz_setting_kind_t kind;
    const char
        *dflt; /* as text; a single value whose default is "" may be "", and so may one of RZ_SETTING_HTTP */
    int64_t min, max; /* of RZ_SETTING_INT */
    const char *sentence;
    const char *const *words; /* of RZ_SETTING_WORD, NULL at their end */
} rz_setting_t;

extern const rz_setting_t rz_settings[];
extern const size_t rz_settings_count;

const rz_setting_t *rz_setting_find(const char *key); /* NULL: none */
/* The setting whose key takes the fewest edits to come from `key`: for "did you mean". */
const rz_setting_t *rz_setting_nearest(const char *key);

#define RZ_SETTING_NAME_MAX 64
void rz_setting_env(const rz_setting_t *setting, char out[RZ_SETTING_NAME_MAX]);  /* RHIZOME_REDIS_URL */
void rz_setting_flag(const rz_setting_t *setting, char out[RZ_SETTING_NAME_MAX]); /* --redis-url       */

/* A value: text, or number (also 0 and 1 for booleans), or list. */
typedef struct {
    char *text;
    int64_t number;
    cJSON *list;
} rz_setting_value_t;

/* Both give a value, which the caller ends with rz_setting_value_fini(), or return false and give nothing. */
bool rz_setting_from_text(const rz_setting_t *setting, const char *text, rz_setting_value_t *out);
bool rz_setting_from_json(const rz_setting_t *setting, const cJSON *json, rz_setting_value_t *out);
void rz_setting_value_fini(rz_setting_value_t *value);
/* Appends what is allowed: "an integer from 1 to 1024". */
void rz_setting_allowed(const rz_setting_t *setting, rz_buf_t *out);
/* Appends `text` as a message may show it: quoted, shortened, and never a secret. */
void rz_setting_show(const rz_setting_t *setting, const char *text, rz_buf_t *out);
/* Appends value as JSON, secrets as "***". */
void rz_setting_write(const rz_setting_t *setting, const rz_setting_value_t *value, rz_buf_t *out);
