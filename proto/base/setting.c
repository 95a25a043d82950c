/* setting.c - the table of settings, and what one value of each may be. */
#include "base/setting.h"
#include "base/edits.h"
#include "base/id.h"
#include "base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096 /* bytes of one value or list entry */

/* clang-format off */
#define OF(key_, kind_, dflt_, sentence_) \
    { .key = (key_), .kind = (kind_), .dflt = (dflt_), .sentence = (sentence_) }
#define TEXT(key, dflt, sentence)     OF(key, RZ_SETTING_TEXT, dflt, sentence)
#define ID(key, sentence)             OF(key, RZ_SETTING_ID, "", sentence)
#define ENDPOINT(key, dflt, sentence) OF(key, RZ_SETTING_ENDPOINT, dflt, sentence)
#define HTTP(key, dflt, sentence)     OF(key, RZ_SETTING_HTTP, dflt, sentence)
#define BOOL(key, dflt, sentence)     OF(key, RZ_SETTING_BOOL, dflt, sentence)
#define INT(key_, dflt_, min_, max_, sentence_) \
    { .key = (key_), .kind = RZ_SETTING_INT, .dflt = (dflt_), .sentence = (sentence_), .min = (min_), .max = (max_) }
#define WORD(key_, dflt_, sentence_, ...) \
    { .key = (key_), .kind = RZ_SETTING_WORD, .dflt = (dflt_), .sentence = (sentence_), \
      .words = (const char *const[]){ __VA_ARGS__, NULL } }

const rz_setting_t rz_settings[] = {
    WORD("log.level", "info", "least level that is logged: debug, info, warn, error, off", "debug", "info", "warn", "error", "off"),

    OF("redis.url", RZ_SETTING_URL, "redis://127.0.0.1:6379", "where the store listens"),
    TEXT("redis.user", "", "user of the store's access list"),
    OF("redis.password", RZ_SETTING_SECRET, "", "its password"),
    TEXT("redis.password_file", "", "file that holds it, mode 0600"),
    TEXT("redis.sentinel_user", "", "user at the sentinels, if redis.url names such"),
    OF("redis.sentinel_password", RZ_SETTING_SECRET, "", "its password"),
    BOOL("redis.plaintext", "false", "speak to a Redis on another host in the clear"),
    INT("redis.replicas", "0", 0, 16, "replicas of Redis that must confirm each write, at least; 0: none are asked"),
    INT("redis.timeout_ms", "5000", 10, 600000, "how long one call to the store may take, ms"),

    ID("broker.name", "name of this broker; empty: from the host name"),
    ENDPOINT("broker.jobs", "tcp://127.0.0.1:7410", "where producers push spawn jobs"),
    ENDPOINT("broker.control", "tcp://127.0.0.1:7411", "where clients ask"),
    ENDPOINT("broker.events", "tcp://127.0.0.1:7412", "where subscribers listen to events"),
    ENDPOINT("broker.scoped_events", "", "where keys limited to topics listen: a port each from this one up; empty: any free ones beside broker.events"),
    ENDPOINT("broker.runners", "tcp://127.0.0.1:7413", "where runners link up"),
    ENDPOINT("broker.publish", "tcp://127.0.0.1:7415", "where runners publish events to"),
    HTTP("broker.http", "tcp://127.0.0.1:7414", "where health and metrics are served; empty: nowhere"),
    TEXT("broker.advertise", "", "host or address that others reach this broker by, where an endpoint is bound to all; empty: found out"),
    INT("broker.queue_max", "1000000", 1, RZ_QUEUE_MAX, "queued activations above which jobs are refused"),
    INT("broker.max_queue_secs", "86400", 0, 31536000, "how long a job may wait for a runner unless it says otherwise, s; 0: for ever"),
    TEXT("broker.state_dir", "", "folder where it remembers its store over a restart; empty: nowhere"),
    INT("broker.subscriber_events", "32768", 100, 10000000, "events kept for a subscriber that does not read; it misses the others"),
    INT("broker.lease_ms", "15000", 100, 600000, "silence after which a runner is condemned, ms; at least twice broker.sync_ms"),
    INT("broker.poll_ms", "1000", 100, 600000, "how often a broker looks at all queues without being told to, ms"),
    INT("broker.sync_ms", "3000", 20, 60000, "interval of runner heartbeats, ms"),

    INT("retention.session_secs", "604800", 1, 315360000, "how long an ended child keeps its session and events, s"),
    INT("retention.tombstone_secs", "2592000", 1, 315360000, "how long after that its id and outcome are known, s"),
    INT("retention.log_events", "10000", 100, 10000000, "durable events of a child that are kept, about; older ones are trimmed"),
    INT("retention.completions", "100000", 100, 100000000, "entries of the completions stream that are kept; more while a reader group lags"),

    INT("limits.job_bytes", "1048576", 1024, (int64_t)RZ_JOB_MAX, "largest spawn job without its session, bytes"),
    INT("limits.session_bytes", "8388608", 1024, (int64_t)RZ_SESSION_MAX, "largest session, bytes"),
    INT("limits.calls_per_sec", "20000", 0, 1000000, "requests that one peer may make on control; 0: any number"),
    INT("limits.event_bytes", "262144", 1024, (int64_t)RZ_EVENT_MAX, "largest worker event, bytes"),

    ID("runner.name", "name of this runner; empty: from the host name"),
    OF("runner.brokers", RZ_SETTING_ENDPOINTS, "tcp://127.0.0.1:7413", "broker.runners of every broker to link to"),
    HTTP("runner.http", "tcp://127.0.0.1:*", "where health and metrics are served; empty: nowhere"),
    INT("runner.slots", "8", 1, 1024, "activations that run at the same time"),
    OF("runner.labels", RZ_SETTING_IDS, "", "labels that jobs may require"),
    INT("runner.idle_per_key", "4", 0, 1024, "parked workers of one pool key"),
    INT("runner.idle_max_total", "0", 0, 4096, "parked workers in all; 0: as many as slots"),
    INT("runner.idle_secs", "300", 1, 86400, "how long a worker stays parked, s"),
    INT("runner.register_secs", "30", 1, 3600, "how long a new worker may take to register, s"),
    INT("runner.cancel_grace_ms", "3000", 0, 600000, "time a cancelled worker has before it is killed, ms"),
    TEXT("runner.state_dir", "", "private folder; empty: under $XDG_RUNTIME_DIR or /tmp"),
    TEXT("runner.worker_bin", "", "worker program; empty: rhizome-worker beside this program"),
    TEXT("runner.worker_user", "", "user that workers run as, for a runner that is root; empty: the runner's own"),
    INT("runner.limits.open_files", "4096", 0, 1048576, "descriptors of each process of a worker; 0: as many as the runner's"),
    INT("runner.limits.processes", "0", 0, 4194304, "processes and threads of the workers' user; 0: no bound of ours"),
    INT("runner.limits.file_mb", "0", 0, 1073741824, "largest file that a worker's process may write, MiB; 0: any"),
    INT("runner.limits.memory_mb", "0", 0, 1073741824, "address space of each process of a worker, MiB; 0: any"),
    INT("runner.limits.worker_memory_mb", "0", 0, 1073741824, "memory of a worker with all that it starts, MiB; takes its control group; 0: any"),
    INT("runner.limits.worker_processes", "0", 0, 4194304, "processes and threads of a worker with all that it starts; takes its control group; 0: any"),
    WORD("runner.cgroups", "auto", "whether each worker gets a control group of its own: auto (where they are delegated), on (or no start), off (signals)", "auto", "on", "off"),
    BOOL("runner.cordoned", "false", "whether it begins cordoned: linked, and without new work until `rhizome runner uncordon`"),
    INT("runner.drain_secs", "300", 0, 31536000, "how long a drain waits for what runs before runner.drain_policy decides, s"),
    WORD("runner.drain_policy", "wait", "then: wait (on, for ever), requeue (rerun elsewhere what has an attempt left, stop the rest) or cancel", "wait", "requeue", "cancel"),
    INT("runner.recycle_runs", "0", 0, 1000000000, "runs after which a worker is replaced; 0: never"),
    INT("runner.recycle_mb", "0", 0, 1048576, "resident memory above which an idle worker is replaced, MiB; 0: never"),
    INT("runner.freeze_ms", "12000", 500, 600000, "workers stand still when no broker answered for so long, ms; less than broker.lease_ms"),
    INT("runner.hold_max_secs", "120", 1, 86400, "and what they run is ended when that lasts longer, s"),
    INT("runner.approval_secs", "300", 1, 86400, "how long a worker's question waits for a person before it is denied, s"),
    TEXT("runner.credentials", "", "file of provider credentials, mode 0600; empty: none"),
    TEXT("runner.default_provider", "", "provider of children whose model names none"),
    WORD("runner.missing_credential", "error", "a child's provider has no credential: error, or warn and run", "error", "warn"),
    OF("runner.env_allow", RZ_SETTING_TEXTS, "PATH,HOME,LANG,LC_ALL,TZ,TMPDIR", "variables that workers inherit"),

    TEXT("security.key", "", "file of this program's key, mode 0600 (`rhizome key new`); empty: in the clear"),
    TEXT("security.allow", "", "a broker's list of the keys that may connect (`rhizome key list`)"),
    BOOL("security.insecure", "false", "a broker may listen beyond this host without keys: whoever reaches it rules it"),

    ENDPOINT("control", "", "control endpoint to ask; empty: from the context file of `rhizome up`"),
    TEXT("up.state_dir", "", "where `rhizome up` keeps its data; empty: the user's state folder"),
    INT("up.runners", "1", 1, 64, "runners that `rhizome up` starts"),
};
/* clang-format on */
const size_t rz_settings_count = sizeof(rz_settings) / sizeof(rz_settings[0]);

/* ---- names ---- */

const rz_setting_t *rz_setting_find(const char *key)
{
    for (size_t i = 0; i < rz_settings_count; i++)
        if (strcmp(rz_settings[i].key, key) == 0)
            return &rz_settings[i];
    return NULL;
}

const rz_setting_t *rz_setting_nearest(const char *key)
{
    const rz_setting_t *nearest = &rz_settings[0];
    for (size_t i = 1; i < rz_settings_count; i++)
        if (rz_edits(key, rz_settings[i].key) < rz_edits(key, nearest->key))
            nearest = &rz_settings[i];
    return nearest;
}

void rz_setting_env(const rz_setting_t *setting, char out[RZ_SETTING_NAME_MAX])
{
    snprintf(out, RZ_SETTING_NAME_MAX, "RHIZOME_%s", setting->key);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

void rz_setting_flag(const rz_setting_t *setting, char out[RZ_SETTING_NAME_MAX])
{
    snprintf(out, RZ_SETTING_NAME_MAX, "--%s", setting->key);
    for (char *c = out; *c != '\0'; c++)
        if (*c == '.' || *c == '_')
            *c = '-';
}

/* ---- what a text may be ---- */

/* HOST:PORT, where PORT may be "*": any free one. */
static bool is_host_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return false;
    if (strcmp(colon + 1, "*") == 0)
        return true;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits >= 1 && digits <= 5 && colon[1 + digits] == '\0' && strtol(colon + 1, NULL, 10) <= 65535;
}

static bool is_tcp(const char *text)
{
    return strncmp(text, "tcp://", 6) == 0 && is_host_port(text + 6);
}

static bool is_endpoint(const char *text)
{
    return is_tcp(text) || (strncmp(text, "ipc://", 6) == 0 && text[6] != '\0') ||
           (strncmp(text, "inproc://", 9) == 0 && text[9] != '\0');
}

static bool is_word(const char *const *words, const char *text)
{
    while (*words != NULL && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

/* One text of a setting that holds text, or one entry of its list. */
static bool is_sound(const rz_setting_t *setting, const char *text)
{
    if (strlen(text) > TEXT_MAX)
        return false;
    switch (setting->kind) {
    case RZ_SETTING_ID:
    case RZ_SETTING_IDS:
        return rz_id_valid(rz_str(text));
    case RZ_SETTING_ENDPOINT:
    case RZ_SETTING_ENDPOINTS:
        return is_endpoint(text);
    case RZ_SETTING_HTTP:
        return *text == '\0' || is_tcp(text);
    case RZ_SETTING_WORD:
        return is_word(setting->words, text);
    case RZ_SETTING_TEXTS:
        return *text != '\0';
    default:
        return true;
    }
}

static bool is_list(rz_setting_kind_t kind)
{
    return kind == RZ_SETTING_TEXTS || kind == RZ_SETTING_IDS || kind == RZ_SETTING_ENDPOINTS;
}

/* ---- values ---- */

static bool take_int(const rz_setting_t *setting, const char *text, int64_t *out)
{
    char *end;
    if (*text != '-' && !isdigit((unsigned char)*text))
        return false; /* strtoll would skip spaces and take a plus */
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return errno == 0 && *end == '\0' && number >= setting->min && number <= setting->max;
}

static bool take_bool(const char *text, int64_t *out)
{
    *out = strcmp(text, "true") == 0;
    return *out == 1 || strcmp(text, "false") == 0;
}

static bool take_list(const rz_setting_t *setting, const char *text, cJSON **out)
{
    cJSON *list = cJSON_CreateArray();
    bool good = true;
    while (good && *text != '\0') {
        size_t n = strcspn(text, ",");
        char *entry = rz_strndup(text, n);
        good = is_sound(setting, entry) && (text[n] == '\0' || text[n + 1] != '\0');
        cJSON_AddItemToArray(list, cJSON_CreateString(entry));
        rz_free(entry);
        text += text[n] == ',' ? n + 1 : n;
    }
    if (good && cJSON_GetArraySize(list) <= RZ_LIST_MAX) {
        *out = list;
        return true;
    }
    cJSON_Delete(list);
    return false;
}

bool rz_setting_from_text(const rz_setting_t *setting, const char *text, rz_setting_value_t *out)
{
    *out = (rz_setting_value_t){ 0 };
    if (setting->kind == RZ_SETTING_INT)
        return take_int(setting, text, &out->number);
    if (setting->kind == RZ_SETTING_BOOL)
        return take_bool(text, &out->number);
    if (is_list(setting->kind))
        return take_list(setting, text, &out->list);
    bool unset = *text == '\0' && *setting->dflt == '\0';
    if (!unset && !is_sound(setting, text))
        return false;
    out->text = rz_strdup(text);
    return true;
}

static bool copy_list(const rz_setting_t *setting, const cJSON *json, cJSON **out)
{
    for (const cJSON *entry = json->child; entry != NULL; entry = entry->next)
        if (!cJSON_IsString(entry) || !is_sound(setting, entry->valuestring))
            return false;
    if (cJSON_GetArraySize(json) > RZ_LIST_MAX)
        return false;
    *out = cJSON_Duplicate(json, true);
    return true;
}

/* The file says numbers, booleans and lists in JSON's own way: "8" is no number there. */
bool rz_setting_from_json(const rz_setting_t *setting, const cJSON *json, rz_setting_value_t *out)
{
    *out = (rz_setting_value_t){ 0 };
    if (is_list(setting->kind))
        return cJSON_IsArray(json) && copy_list(setting, json, &out->list);
    if (setting->kind == RZ_SETTING_BOOL) {
        out->number = cJSON_IsTrue(json);
        return cJSON_IsBool(json);
    }
    if (setting->kind == RZ_SETTING_INT) {
        char digits[32];
        if (!cJSON_IsNumber(json) || json->valuedouble < -1e15 || json->valuedouble > 1e15)
            return false;
        out->number = (int64_t)json->valuedouble;
        snprintf(digits, sizeof(digits), "%" PRId64, out->number);
        return (double)out->number == json->valuedouble && take_int(setting, digits, &out->number);
    }
    return cJSON_IsString(json) && rz_setting_from_text(setting, json->valuestring, out);
}

void rz_setting_value_fini(rz_setting_value_t *value)
{
    if (value->text != NULL)
        rz_wipe(value->text, strlen(value->text)); /* it may be the password */
    rz_free(value->text);
    cJSON_Delete(value->list);
    *value = (rz_setting_value_t){ 0 };
}

/* ---- showing ---- */

static void put_words(const char *const *words, rz_buf_t *out)
{
    rz_buf_puts(out, "one of");
    for (size_t i = 0; words[i] != NULL; i++)
        rz_buf_printf(out, "%s %s", i > 0 ? "," : "", words[i]);
}

void rz_setting_allowed(const rz_setting_t *setting, rz_buf_t *out)
{
    static const char endpoint[] = "tcp://HOST:PORT, ipc://PATH or inproc://NAME";
    switch (setting->kind) {
    case RZ_SETTING_INT:
        rz_buf_printf(out, "an integer from %" PRId64 " to %" PRId64, setting->min, setting->max);
        break;
    case RZ_SETTING_BOOL:
        rz_buf_puts(out, "true or false");
        break;
    case RZ_SETTING_WORD:
        put_words(setting->words, out);
        break;
    case RZ_SETTING_ID:
        rz_buf_puts(out, "an id of 1 to 128 letters, digits and . _ : -");
        break;
    case RZ_SETTING_IDS:
        rz_buf_printf(out, "a list of at most %d ids of 1 to 128 letters, digits and . _ : -", RZ_LIST_MAX);
        break;
    case RZ_SETTING_ENDPOINT:
        rz_buf_puts(out, endpoint);
        break;
    case RZ_SETTING_HTTP:
        rz_buf_puts(out, "tcp://HOST:PORT, or empty for none");
        break;
    case RZ_SETTING_ENDPOINTS:
        rz_buf_printf(out, "a list of at most %d of %s", RZ_LIST_MAX, endpoint);
        break;
    case RZ_SETTING_TEXTS:
        rz_buf_printf(out, "a list of at most %d texts of 1 to %d bytes", RZ_LIST_MAX, TEXT_MAX);
        break;
    default:
        rz_buf_printf(out, "a text of at most %d bytes", TEXT_MAX);
    }
}

/* Appends a URL with what stands between "//" and its last "@" masked. */
static void put_masked_url(const char *url, rz_buf_t *out)
{
    const char *at = strrchr(url, '@'), *slashes = strstr(url, "//");
    if (at == NULL) {
        rz_buf_puts(out, url);
        return;
    }
    if (slashes != NULL && slashes < at)
        rz_buf_put(out, url, (size_t)(slashes + 2 - url));
    rz_buf_printf(out, "***%s", at);
}

/* Text as it may be seen. */
static void put_visible(const rz_setting_t *setting, const char *text, rz_buf_t *out)
{
    if (setting->kind == RZ_SETTING_SECRET)
        rz_buf_puts(out, *text != '\0' ? "***" : "");
    else if (setting->kind == RZ_SETTING_URL)
        put_masked_url(text, out);
    else
        rz_buf_puts(out, text);
}

void rz_setting_show(const rz_setting_t *setting, const char *text, rz_buf_t *out)
{
    rz_buf_t visible = { 0 };
    put_visible(setting, text, &visible);
    rz_buf_printf(out, "\"%.48s%s\"", visible.len > 0 ? visible.data : "", visible.len > 48 ? "..." : "");
    rz_buf_fini(&visible);
}

void rz_setting_write(const rz_setting_t *setting, const rz_setting_value_t *value, rz_buf_t *out)
{
    if (value->list != NULL) {
        rz_json_open(out, '[');
        for (const cJSON *entry = value->list->child; entry != NULL; entry = entry->next)
            rz_json_put_str(out, NULL, entry->valuestring);
        rz_json_close(out, ']');
    } else if (value->text != NULL) {
        rz_buf_t visible = { 0 };
        put_visible(setting, value->text, &visible);
        rz_json_put_strn(out, NULL, visible.len > 0 ? visible.data : "", visible.len);
        rz_buf_fini(&visible);
    } else if (setting->kind == RZ_SETTING_BOOL) {
        rz_json_put_bool(out, NULL, value->number != 0);
    } else {
        rz_json_put_i64(out, NULL, value->number);
    }
}
