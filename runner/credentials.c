/* credentials.c - one private file of keys: read, checked, kept, replaced. */
#include "credentials.h"

#include "base/log.h"
#include "base/private_file.h"

#include <stdio.h>
#include <string.h>

#define FIELD_MAX 96
#define BLANKS    " \t\r\n"

typedef struct {
    rz_credential_t credential; /* texts of the tree */
    char version[RZ_DIGEST_LEN + 1];
} entry_t;

typedef struct {
    cJSON *tree;
    entry_t *list;
    size_t count;
} set_t;

struct credentials {
    char *path; /* NULL: none is kept */
    char key[RZ_TOKEN_LEN + 1];
    set_t set;
    rz_private_file_state_t seen; /* when it was last read, successfully or not */
    bool complained;              /* of what was read then */
};

/* ---- from JSON to credentials.  Not rz_field_str(): its messages show what was found. ---- */

static rz_rc_t refuse(rz_err_t *err, rz_rc_t rc, const char *provider, const char *key, const char *text)
{
    char field[FIELD_MAX];
    snprintf(field, sizeof field, "%.64s.%s", provider, key);
    return rz_fail_field(err, rc, field, "%s", text);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, BLANKS)] == '\0';
}

/* NULL when absent; a blank text says as little as none (rule 1.6). */
static const char *read_text(const cJSON *object, const char *key, rz_err_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (item == NULL || cJSON_IsNull(item))
        return NULL;
    if (!cJSON_IsString(item))
        refuse(err, RZ_BAD_FIELD, object->string, key, "must be a text");
    else if (strlen(item->valuestring) > RZ_CREDENTIAL_TEXT_MAX)
        refuse(err, RZ_TOO_LARGE, object->string, key, "allowed: at most 65536 bytes");
    else if (!is_blank(item->valuestring))
        return item->valuestring;
    return NULL;
}

/* It is shown to others: the facts of a runner name its providers. */
static bool is_provider_name(const char *name)
{
    bool clean = !is_blank(name) && strlen(name) <= RZ_NAME_MAX;
    for (const char *c = name; clean && *c != '\0'; c++)
        clean = (unsigned char)*c >= ' ' && *c != 0x7f;
    return clean;
}

static rz_rc_t read_credential(const cJSON *object, rz_credential_t *out, rz_err_t *err)
{
    if (!is_provider_name(object->string))
        return rz_fail(err, RZ_BAD_FIELD,
                       "a provider's name must have 1 to %d bytes, not all blank and none of them control "
                       "characters",
                       RZ_NAME_MAX);
    if (!cJSON_IsObject(object))
        return rz_fail(err, RZ_BAD_FIELD, "%.64s: must be an object with an api_key", object->string);
    *out = (rz_credential_t){ .provider = object->string,
                              .api_key = read_text(object, "api_key", err),
                              .base_url = read_text(object, "base_url", err),
                              .provider_type = read_text(object, "provider_type", err) };
    if (out->api_key == NULL)
        refuse(err, RZ_MISSING_FIELD, object->string, "api_key", "required: a text that is not blank");
    return err->rc;
}

static void make_version(const char *key, entry_t *entry)
{
    const rz_credential_t *credential = &entry->credential;
    rz_digest_t *digest = rz_digest_create();
    rz_digest_add_text(digest, key);
    rz_digest_add_text(digest, credential->provider);
    rz_digest_add_text(digest, credential->api_key);
    rz_digest_add_text(digest, credential->base_url);
    rz_digest_add_text(digest, credential->provider_type);
    rz_digest_hex(&digest, entry->version);
}

static rz_rc_t read_set(const cJSON *tree, const char *key, set_t *out, rz_err_t *err)
{
    if (!cJSON_IsObject(tree))
        return rz_fail(err, RZ_BAD_FIELD, "must hold one object with a member for each provider");
    size_t count = (size_t)cJSON_GetArraySize(tree);
    if (count > RZ_LIST_MAX)
        return rz_fail(err, RZ_TOO_LARGE, "has %zu providers, allowed are %d", count, RZ_LIST_MAX);
    out->list = rz_alloc(count * sizeof *out->list);
    for (const cJSON *object = tree->child; object != NULL; object = object->next) {
        entry_t *entry = &out->list[out->count++];
        if (read_credential(object, &entry->credential, err) != RZ_OK)
            return err->rc;
        make_version(key, entry);
    }
    return RZ_OK;
}

static void set_fini(set_t *set)
{
    rz_json_wipe(set->tree);
    cJSON_Delete(set->tree);
    rz_free(set->list);
    *set = (set_t){ 0 };
}

/* On failure *out is empty. */
static rz_rc_t load(const credentials_t *credentials, set_t *out, rz_err_t *err)
{
    rz_err_t why = { 0 };
    char *bytes;
    size_t len;
    *out = (set_t){ 0 };
    if (rz_private_file_read(credentials->path, CREDENTIALS_BYTES_MAX, &bytes, &len, &why) == RZ_OK)
        out->tree = rz_json_parse_commented(bytes, len, 0, &why);
    rz_private_file_free(&bytes, len);
    if (out->tree != NULL)
        read_set(out->tree, credentials->key, out, &why);
    if (why.rc == RZ_OK)
        return RZ_OK;
    set_fini(out);
    return rz_fail_field(err, why.rc, "runner.credentials", "%.80s: %.150s", credentials->path, why.text);
}

/* ---- has it changed? ---- */

static bool set_has(const set_t *set, const char *version)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->list[i].version, version) == 0)
            return true;
    return false;
}

static bool set_is_same(const set_t *a, const set_t *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = set_has(b, a->list[i].version);
    return same;
}

bool credentials_refresh(credentials_t *credentials)
{
    if (credentials->path == NULL)
        return false;
    rz_private_file_state_t now = rz_private_file_look(credentials->path);
    bool same_file = rz_private_file_same(&now, &credentials->seen);
    if (same_file && !credentials->seen.young)
        return false;
    credentials->seen = now;
    set_t set;
    rz_err_t err = { 0 };
    if (load(credentials, &set, &err) != RZ_OK) {
        if (!same_file || !credentials->complained)
            rz_log_error("credentials.kept_old", "error=%s", err.text);
        credentials->complained = true;
        return false;
    }
    credentials->complained = false;
    bool changed = !set_is_same(&set, &credentials->set);
    if (changed) {
        set_t old = credentials->set;
        credentials->set = set;
        set = old;
        rz_log_info("credentials.changed", "providers=%zu", credentials->set.count);
    }
    set_fini(&set);
    return changed;
}

/* ---- life ---- */

credentials_t *credentials_open(const char *path, rz_err_t *err)
{
    credentials_t *credentials = rz_alloc(sizeof *credentials);
    if (path[0] == '\0')
        return credentials;
    credentials->path = rz_strdup(path);
    rz_token_new(credentials->key);
    credentials->seen = rz_private_file_look(path);
    if (load(credentials, &credentials->set, err) != RZ_OK)
        credentials_close(&credentials);
    return credentials;
}

void credentials_close(credentials_t **credentials_ref)
{
    credentials_t *credentials = *credentials_ref;
    if (credentials == NULL)
        return;
    *credentials_ref = NULL;
    set_fini(&credentials->set);
    rz_free(credentials->path);
    rz_wipe(credentials, sizeof *credentials);
    rz_free(credentials);
}

/* ---- asking ---- */

bool credentials_kept(const credentials_t *credentials)
{
    return credentials->path != NULL;
}

static const entry_t *find(const set_t *set, const char *provider)
{
    for (size_t i = 0; provider != NULL && i < set->count; i++)
        if (strcmp(set->list[i].credential.provider, provider) == 0)
            return &set->list[i];
    return NULL;
}

const rz_credential_t *credentials_find(const credentials_t *credentials, const char *provider)
{
    const entry_t *entry = find(&credentials->set, provider);
    return entry != NULL ? &entry->credential : NULL;
}

const char *credentials_version(const credentials_t *credentials, const char *provider)
{
    const entry_t *entry = find(&credentials->set, provider);
    return entry != NULL ? entry->version : "";
}

bool credentials_current(const credentials_t *credentials, const char *version)
{
    return version[0] == '\0' || set_has(&credentials->set, version);
}

cJSON *credentials_names(const credentials_t *credentials)
{
    cJSON *names = cJSON_CreateArray();
    for (size_t i = 0; i < credentials->set.count; i++)
        cJSON_AddItemToArray(names, cJSON_CreateString(credentials->set.list[i].credential.provider));
    return names;
}
