/* config.c - one configuration for the whole house: defaults, then the file, the environment, the flags.
 *
 * Every value that is given is checked, also one that a stronger source hides: a broken file must not wait
 * for the day the variable over it goes away. */
#include "base/config.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX   ((size_t)1 << 20) /* bytes of a configuration file */
#define ENV_PREFIX "RHIZOME_"
#define ENV_FILE   "RHIZOME_CONFIG"
#define FLAG_FILE  "--config"

static const char *const table_keys[] = { "externalAgents", "subagentRouting", "subagents" };
#define TABLES (sizeof(table_keys) / sizeof(table_keys[0]))

typedef struct {
    rz_setting_value_t value;
    const char *source; /* static: "default", "file", "env", "flag", "set" */
} slot_t;

struct rz_config {
    slot_t *slots;         /* as rz_settings            */
    cJSON *tables[TABLES]; /* as table_keys; NULL: none */
};

/* Where a value comes from: the short name the dump shows, and what a message says. */
typedef struct {
    const char *source;
    const char *kind, *name; /* "environment variable", "RHIZOME_REDIS_URL" */
} origin_t;

static slot_t *slot_of(const rz_config_t *config, const rz_setting_t *setting)
{
    return &config->slots[setting - rz_settings];
}

/* ---- failures ---- */

static rz_rc_t fail_value(const rz_setting_t *setting, const char *shown, const origin_t *from, rz_err_t *err)
{
    rz_buf_t allowed = { 0 };
    rz_setting_allowed(setting, &allowed);
    rz_rc_t rc = rz_fail_field(err, RZ_BAD_FIELD, setting->key, "found %s in %s %.80s, allowed: %s", shown,
                               from->kind, from->name, allowed.data);
    rz_buf_fini(&allowed);
    return rc;
}

static rz_rc_t fail_unknown(const char *key, const char *as_key, const origin_t *from, rz_err_t *err)
{
    return rz_fail_field(err, RZ_BAD_FIELD, key, "unknown setting in %s %.80s; the nearest is %s", from->kind,
                         from->name, rz_setting_nearest(as_key)->key);
}

/* ---- one value ---- */

static void keep(rz_config_t *config, const rz_setting_t *setting, rz_setting_value_t value,
                 const char *source)
{
    slot_t *slot = slot_of(config, setting);
    rz_setting_value_fini(&slot->value);
    *slot = (slot_t){ value, source };
}

static rz_rc_t put_text(rz_config_t *config, const rz_setting_t *setting, const char *text,
                        const origin_t *from, rz_err_t *err)
{
    rz_setting_value_t value;
    if (strlen(text) != rz_utf8_span(text) || !rz_setting_from_text(setting, text, &value)) {
        rz_buf_t shown = { 0 };
        rz_setting_show(setting, text, &shown);
        rz_rc_t rc = fail_value(setting, shown.data, from, err);
        rz_buf_fini(&shown);
        return rc;
    }
    keep(config, setting, value, from->source);
    return RZ_OK;
}

/* Any other JSON value, cut to what fits in a sentence. */
static void show_value(const cJSON *json, rz_buf_t *out)
{
    char *printed = cJSON_PrintUnformatted(json);
    if (printed != NULL)
        rz_buf_printf(out, "%.48s%s", printed, strlen(printed) > 48 ? "..." : "");
    cJSON_free(printed);
}

static rz_rc_t put_json(rz_config_t *config, const rz_setting_t *setting, const cJSON *json,
                        const origin_t *from, rz_err_t *err)
{
    rz_setting_value_t value;
    if (rz_setting_from_json(setting, json, &value)) {
        keep(config, setting, value, from->source);
        if (setting->kind == RZ_SETTING_SECRET)
            rz_wipe(json->valuestring, strlen(json->valuestring));
        return RZ_OK;
    }
    rz_buf_t shown = { 0 };
    if (setting->kind == RZ_SETTING_SECRET)
        rz_buf_puts(&shown, "***");
    else if (cJSON_IsString(json))
        rz_setting_show(setting, json->valuestring, &shown);
    else
        show_value(json, &shown);
    rz_rc_t rc = fail_value(setting, shown.data, from, err);
    rz_buf_fini(&shown);
    return rc;
}

/* ---- defaults ---- */

static void put_defaults(rz_config_t *config)
{
    static const origin_t from = { "default", "the table of", "defaults" };
    for (size_t i = 0; i < rz_settings_count; i++)
        if (put_text(config, &rz_settings[i], rz_settings[i].dflt, &from, NULL) != RZ_OK)
            abort(); /* the table contradicts itself */
}

/* ---- file ---- */

static rz_rc_t read_file(const char *path, rz_buf_t *out, rz_err_t *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rz_fail_sys(err, errno, "configuration file %.160s", path);
    ssize_t n;
    do {
        rz_buf_reserve(out, 4096);
        n = read(fd, out->data + out->len, 4096);
        out->len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && out->len <= FILE_MAX) || (n < 0 && errno == EINTR));
    rz_rc_t rc = n < 0 ? rz_fail_sys(err, errno, "configuration file %.160s", path) : RZ_OK;
    close(fd);
    return rc;
}

static cJSON *parse_file(const char *path, rz_err_t *err)
{
    rz_buf_t bytes = { 0 };
    rz_err_t inner = { 0 };
    cJSON *tree = NULL;
    if (read_file(path, &bytes, err) == RZ_OK) {
        tree = rz_json_parse_commented(bytes.data, bytes.len, FILE_MAX, &inner);
        if (tree == NULL)
            rz_fail(err, inner.rc, "configuration file %.120s: %s", path, inner.text);
    }
    if (bytes.cap > 0)
        rz_wipe(bytes.data, bytes.len);
    rz_buf_fini(&bytes);
    return tree;
}

/* True if some key lies below `section`. */
static bool is_section(const char *section)
{
    size_t n = strlen(section);
    for (size_t i = 0; i < rz_settings_count; i++)
        if (strncmp(rz_settings[i].key, section, n) == 0 && rz_settings[i].key[n] == '.')
            return true;
    return false;
}

static cJSON **table_slot(rz_config_t *config, const char *key)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(table_keys[i], key) == 0)
            return &config->tables[i];
    return NULL;
}

static rz_rc_t put_table(cJSON **slot, const cJSON *member, const origin_t *from, rz_err_t *err)
{
    if (!cJSON_IsObject(member))
        return rz_fail_field(err, RZ_BAD_FIELD, member->string, "in %s %.80s, allowed: an object", from->kind,
                             from->name);
    *slot = cJSON_Duplicate(member, true);
    return RZ_OK;
}

static rz_rc_t put_member(rz_config_t *config, const char *section, const cJSON *member, const origin_t *from,
                          rz_err_t *err);

static rz_rc_t put_members(rz_config_t *config, const char *section, const cJSON *object,
                           const origin_t *from, rz_err_t *err)
{
    rz_rc_t rc = RZ_OK;
    for (const cJSON *member = object->child; rc == RZ_OK && member != NULL; member = member->next)
        rc = put_member(config, section, member, from, err);
    return rc;
}

/* Depth is bounded by the table: only sections are entered.  A name with a dot of its own is unknown, so that
 * no key can be written in two ways. */
static rz_rc_t put_member(rz_config_t *config, const char *section, const cJSON *member, const origin_t *from,
                          rz_err_t *err)
{
    rz_buf_t key = { 0 };
    rz_buf_printf(&key, "%s%s%s", section, *section != '\0' ? "." : "", member->string);
    const rz_setting_t *setting = strchr(member->string, '.') == NULL ? rz_setting_find(key.data) : NULL;
    cJSON **table = table_slot(config, key.data);
    rz_rc_t rc;
    if (setting != NULL)
        rc = put_json(config, setting, member, from, err);
    else if (table != NULL)
        rc = put_table(table, member, from, err);
    else if (!is_section(key.data))
        rc = fail_unknown(key.data, key.data, from, err);
    else if (cJSON_IsObject(member))
        rc = put_members(config, key.data, member, from, err);
    else
        rc = rz_fail_field(err, RZ_BAD_FIELD, key.data, "in %s %.80s, allowed: an object of settings",
                           from->kind, from->name);
    rz_buf_fini(&key);
    return rc;
}

static rz_rc_t put_file(rz_config_t *config, const char *path, rz_err_t *err)
{
    const origin_t from = { "file", "file", path };
    cJSON *tree = parse_file(path, err);
    if (tree == NULL)
        return RZ_BAD_JSON;
    rz_rc_t rc = cJSON_IsObject(tree)
                     ? put_members(config, "", tree, &from, err)
                     : rz_fail(err, RZ_BAD_JSON, "configuration file %.160s: must be one object", path);
    cJSON_Delete(tree);
    return rc;
}

/* ---- environment ---- */

static const rz_setting_t *setting_by(void (*name_of)(const rz_setting_t *, char *), rz_str_t name)
{
    for (size_t i = 0; i < rz_settings_count; i++) {
        char own[RZ_SETTING_NAME_MAX];
        name_of(&rz_settings[i], own);
        if (rz_str_eq(name, own))
            return &rz_settings[i];
    }
    return NULL;
}

/* RHIZOME_REDIS_ULR as "redis.ulr", so that the nearest key can be told. */
static void env_as_key(const char *name, char out[RZ_SETTING_NAME_MAX])
{
    size_t i = 0;
    for (const char *c = name + strlen(ENV_PREFIX); *c != '\0' && i < RZ_SETTING_NAME_MAX - 1; c++, i++)
        out[i] = *c == '_' && memchr(out, '.', i) == NULL ? '.'
                 : *c >= 'A' && *c <= 'Z'                 ? (char)(*c - 'A' + 'a')
                                                          : *c;
    out[i] = '\0';
}

static rz_rc_t put_variable(rz_config_t *config, const char *variable, rz_err_t *err)
{
    size_t n = strcspn(variable, "=");
    char *name = rz_strndup(variable, n);
    const origin_t from = { "env", "environment variable", name };
    const rz_setting_t *setting = setting_by(rz_setting_env, rz_str(name));
    rz_rc_t rc = RZ_OK;
    if (setting != NULL) {
        rc = put_text(config, setting, variable + n + (variable[n] == '='), &from, err);
    } else if (strcmp(name, ENV_FILE) != 0) {
        char as_key[RZ_SETTING_NAME_MAX];
        env_as_key(name, as_key);
        rc = fail_unknown(name, as_key, &from, err);
    }
    rz_free(name);
    return rc;
}

static rz_rc_t put_environment(rz_config_t *config, rz_err_t *err)
{
    rz_rc_t rc = RZ_OK;
    for (char **variable = environ; rc == RZ_OK && variable != NULL && *variable != NULL; variable++)
        if (strncmp(*variable, ENV_PREFIX, strlen(ENV_PREFIX)) == 0)
            rc = put_variable(config, *variable, err);
    return rc;
}

/* ---- flags ---- */

/* A walk over argv that keeps what is not ours. */
typedef struct {
    int argc;
    char **argv;
    int at, kept; /* next to look at; how many stay */
} args_t;

static args_t args_begin(int argc, char **argv)
{
    return (args_t){ argc, argv, argc > 0 ? 1 : 0, argc > 0 ? 1 : 0 };
}

/* The name in front of '=', or the whole argument. */
static rz_str_t flag_name(const char *arg)
{
    return (rz_str_t){ arg, strcspn(arg, "=") };
}

/* The flag's value: behind '=', or the next argument; NULL if there is none.  Moves behind both. */
static const char *args_take(args_t *args, bool is_bool)
{
    const char *arg = args->argv[args->at++];
    const char *equals = strchr(arg, '=');
    if (equals != NULL)
        return equals + 1;
    if (is_bool)
        return "true";
    return args->at < args->argc ? args->argv[args->at++] : NULL;
}

static void args_keep(args_t *args)
{
    args->argv[args->kept++] = args->argv[args->at++];
}

/* Keeps the rest, "--" with it: the caller needs to see it too. */
static void args_end(args_t *args, int *argc)
{
    while (args->at < args->argc)
        args_keep(args);
    if (args->argc > 0)
        args->argv[args->kept] = NULL;
    *argc = args->kept;
}

static bool args_more(const args_t *args)
{
    return args->at < args->argc && strcmp(args->argv[args->at], "--") != 0;
}

/* Every user of the host sees what a process was started with. */
static rz_rc_t put_flag(rz_config_t *config, const rz_setting_t *setting, const char *text, const char *flag,
                        rz_err_t *err)
{
    const origin_t from = { "flag", "flag", flag };
    if (text == NULL)
        return rz_fail_field(err, RZ_MISSING_FIELD, setting->key, "flag %s needs a value", flag);
    bool secret =
        setting->kind == RZ_SETTING_SECRET || (setting->kind == RZ_SETTING_URL && strchr(text, '@') != NULL);
    if (secret)
        return rz_fail_field(
            err, RZ_NOT_ALLOWED, setting->key,
            "flag %s would show a password to every user of this host; put it into a file or the "
            "environment",
            flag);
    return put_text(config, setting, text, &from, err);
}

static rz_rc_t put_flags(rz_config_t *config, int *argc, char **argv, rz_err_t *err)
{
    rz_rc_t rc = RZ_OK;
    args_t args = args_begin(*argc, argv);
    while (rc == RZ_OK && args_more(&args)) {
        const char *arg = argv[args.at];
        const rz_setting_t *setting = setting_by(rz_setting_flag, flag_name(arg));
        if (setting == NULL) {
            args_keep(&args);
            continue;
        }
        char flag[RZ_SETTING_NAME_MAX];
        rz_setting_flag(setting, flag);
        rc = put_flag(config, setting, args_take(&args, setting->kind == RZ_SETTING_BOOL), flag, err);
    }
    args_end(&args, argc);
    return rc;
}

/* Takes --config FILE out of argv.  Without one *file stays as it is. */
static rz_rc_t take_file_flag(int *argc, char **argv, const char **file, rz_err_t *err)
{
    rz_rc_t rc = RZ_OK;
    args_t args = args_begin(*argc, argv);
    while (rc == RZ_OK && args_more(&args)) {
        if (!rz_str_eq(flag_name(argv[args.at]), FLAG_FILE)) {
            args_keep(&args);
            continue;
        }
        const char *path = args_take(&args, false);
        if (path == NULL || *path == '\0')
            rc = rz_fail(err, RZ_MISSING_FIELD, "flag " FLAG_FILE " needs the path of a file");
        else
            *file = path;
    }
    args_end(&args, argc);
    return rc;
}

/* ---- what must fit together ---- */

/* A runner that syncs less often than the lease runs out would be condemned while it is well. */
static rz_rc_t check_times(const rz_config_t *config, rz_err_t *err)
{
    int64_t sync_ms = rz_config_int(config, "broker.sync_ms");
    if (rz_config_int(config, "broker.lease_ms") >= 2 * sync_ms)
        return RZ_OK;
    return rz_fail_field(err, RZ_BAD_FIELD, "broker.lease_ms",
                         "must be at least twice broker.sync_ms (%" PRId64 ")", sync_ms);
}

/* ---- what is exported ---- */

static rz_rc_t load(rz_config_t *config, const char *file, int *argc, char **argv, rz_err_t *err)
{
    if (file == NULL) {
        const char *variable = getenv(ENV_FILE);
        file = variable != NULL && *variable != '\0' ? variable : NULL;
        rz_rc_t rc = take_file_flag(argc, argv, &file, err);
        if (rc != RZ_OK)
            return rc;
    }
    put_defaults(config);
    rz_rc_t rc = file != NULL ? put_file(config, file, err) : RZ_OK;
    if (rc == RZ_OK)
        rc = put_environment(config, err);
    if (rc == RZ_OK)
        rc = put_flags(config, argc, argv, err);
    return rc == RZ_OK ? check_times(config, err) : rc;
}

rz_config_t *rz_config_load(const char *file, int *argc, char **argv, rz_err_t *err)
{
    rz_config_t *config = rz_alloc(sizeof(*config));
    config->slots = rz_alloc(rz_settings_count * sizeof(*config->slots));
    if (load(config, file, argc, argv, err) != RZ_OK)
        rz_config_destroy(&config);
    return config;
}

void rz_config_destroy(rz_config_t **config)
{
    if (*config == NULL)
        return;
    for (size_t i = 0; i < rz_settings_count; i++)
        rz_setting_value_fini(&(*config)->slots[i].value);
    for (size_t i = 0; i < TABLES; i++)
        cJSON_Delete((*config)->tables[i]);
    rz_free((*config)->slots);
    rz_free(*config);
    *config = NULL;
}

/* Asking for what is not in the table, or as another kind, is our own bug. */
static _Noreturn void no_such_key(const char *key)
{
    rz_log_error("config.bug", "key=%s", key);
    abort();
}

static const rz_setting_t *must_find(const char *key)
{
    const rz_setting_t *setting = rz_setting_find(key);
    if (setting == NULL)
        no_such_key(key);
    return setting;
}

static int64_t number_of(const rz_config_t *config, const char *key, rz_setting_kind_t kind)
{
    const rz_setting_t *setting = must_find(key);
    if (setting->kind != kind)
        no_such_key(key);
    return slot_of(config, setting)->value.number;
}

const char *rz_config_str(const rz_config_t *config, const char *key)
{
    const char *text = slot_of(config, must_find(key))->value.text;
    if (text == NULL)
        no_such_key(key);
    return text;
}

unsigned rz_config_word(const rz_config_t *config, const char *key)
{
    const rz_setting_t *setting = must_find(key);
    unsigned i = 0;
    if (setting->words == NULL)
        no_such_key(key);
    while (strcmp(setting->words[i], slot_of(config, setting)->value.text) != 0) /* it is one of them */
        i++;
    return i;
}

int64_t rz_config_int(const rz_config_t *config, const char *key)
{
    return number_of(config, key, RZ_SETTING_INT);
}

bool rz_config_bool(const rz_config_t *config, const char *key)
{
    return number_of(config, key, RZ_SETTING_BOOL) != 0;
}

const cJSON *rz_config_list(const rz_config_t *config, const char *key)
{
    const cJSON *list = slot_of(config, must_find(key))->value.list;
    if (list == NULL)
        no_such_key(key);
    return list;
}

const cJSON *rz_config_table(const rz_config_t *config, const char *key)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(table_keys[i], key) == 0)
            return config->tables[i];
    no_such_key(key);
}

const char *rz_config_source(const rz_config_t *config, const char *key)
{
    return slot_of(config, must_find(key))->source;
}

rz_rc_t rz_config_set(rz_config_t *config, const char *key, const char *value, rz_err_t *err)
{
    static const origin_t from = { "set", "the", "program" };
    return put_text(config, must_find(key), value, &from, err);
}

void rz_config_dump(const rz_config_t *config, rz_buf_t *out)
{
    rz_json_open(out, '{');
    for (size_t i = 0; i < rz_settings_count; i++) {
        rz_buf_t value = { 0 };
        rz_setting_write(&rz_settings[i], &config->slots[i].value, &value);
        rz_json_open_key(out, rz_settings[i].key, '{');
        rz_json_put_raw(out, "value", rz_buf_str(&value));
        rz_json_put_str(out, "source", config->slots[i].source);
        rz_json_close(out, '}');
        rz_buf_fini(&value);
    }
    for (size_t i = 0; i < TABLES; i++) {
        if (config->tables[i] == NULL)
            continue;
        char *text = cJSON_PrintUnformatted(config->tables[i]);
        rz_json_open_key(out, table_keys[i], '{');
        rz_json_put_raw(out, "value", rz_str(text));
        rz_json_put_str(out, "source", "file");
        rz_json_close(out, '}');
        cJSON_free(text);
    }
    rz_json_close(out, '}');
}

static bool begins_with_one_of(const char *key, const char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++)
        if (strncmp(key, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

void rz_config_help(const char *const *prefixes, rz_buf_t *out)
{
    for (size_t i = 0; i < rz_settings_count; i++) {
        const rz_setting_t *setting = &rz_settings[i];
        if (!begins_with_one_of(setting->key, prefixes))
            continue;
        char flag[RZ_SETTING_NAME_MAX];
        if (setting->kind == RZ_SETTING_SECRET) /* no flag takes it */
            rz_setting_env(setting, flag);
        else
            rz_setting_flag(setting, flag);
        rz_buf_printf(out, "  %-26s %s", flag, setting->sentence);
        if (*setting->dflt != '\0')
            rz_buf_printf(out, " [%s]", setting->dflt);
        rz_buf_putc(out, '\n');
    }
}
