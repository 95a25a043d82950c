/* config.h - one configuration for the whole house: a JSON file with // comments, environment over it, flags
 * over both.
 *
 * Every setting is one line of the table in setting.c: dotted key, kind, default, bounds, sentence. From the
 * key follow its environment variable (redis.url -> RHIZOME_REDIS_URL) and its flag (--redis-url URL; for
 * booleans --a-b or --a-b=false). A password is taken from no flag, nor a URL with one in it. All programs read
 * the same file; each uses what concerns it. A key that is
 * not in the table, a value of the wrong kind or out of bounds is a failure that names the key, the value,
 * where it came from and what is allowed. The tables `externalAgents`, `subagentRouting` and `subagents`
 * (rule 9) are taken as they are: wire/agents.h reads them. */
#pragma once

#include "base/json.h"
#include "base/rc.h"

typedef struct rz_config rz_config_t;

/* Reads the file (NULL: --config FILE of argv, else RHIZOME_CONFIG, else none), the environment and the flags
 * of argv. Flags it knows are removed from argv and *argc shrinks; what is left (verbs, positional text,
 * flags of the caller) stays in order. "--" ends flags and stays too. A RHIZOME_* variable that is no setting
 * is a failure. NULL and err on failure. */
rz_config_t *rz_config_load(const char *file, int *argc, char **argv, rz_err_t *err);
void rz_config_destroy(rz_config_t **config);

/* The key must be in the table: anything else is our own bug. Text is lent; "" when unset. */
const char *rz_config_str(const rz_config_t *config, const char *key);
int64_t rz_config_int(const rz_config_t *config, const char *key);
unsigned rz_config_word(const rz_config_t *config, const char *key); /* which of its words, from 0 */
bool rz_config_bool(const rz_config_t *config, const char *key);
const cJSON *rz_config_list(const rz_config_t *config,
                            const char *key); /* array of strings; may be empty, never NULL */
const cJSON *rz_config_table(const rz_config_t *config,
                             const char *key); /* externalAgents, ...: NULL when absent */

/* Where its value comes from: "default", "file", "env", "flag" or "set". Static. */
const char *rz_config_source(const rz_config_t *config, const char *key);

/* Overrides one value, for programs that decide late (`rhizome up` choosing a socket path). Same checks; its
 * source is "set". */
rz_rc_t rz_config_set(rz_config_t *config, const char *key, const char *value, rz_err_t *err);
/* Every setting with its value and source ("default", "file", "env", "flag") as one JSON object:
 * {key:{value,source}}; secrets (redis.password, the user:password of redis.url) as "***". Appends. */
void rz_config_dump(const rz_config_t *config, rz_buf_t *out);
/* One line a key for --help: flag, default, sentence. Only keys starting with one of the NULL-terminated
 * prefixes. */
void rz_config_help(const char *const *prefixes, rz_buf_t *out);
