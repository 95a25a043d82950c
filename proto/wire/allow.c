/* allow.c - see allow.h. */
#include "wire/allow.h"

#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_MAX 32
#define TOPIC_MAX 512 /* bytes of a prefix */

struct rz_allow {
    cJSON *tree; /* owns every text */
    rz_allowed_t *list;
    size_t count;
};

/* ---- scopes ---- */

/* An id, or the beginning of one (which may be empty) with a `*` behind it. */
static bool pattern_valid(const char *pattern)
{
    size_t n = strlen(pattern);
    bool open = n > 0 && pattern[n - 1] == '*';
    return (open && n == 1) || rz_id_valid((rz_str_t){ pattern, open ? n - 1 : n });
}

static bool pattern_fits(const char *pattern, const char *id)
{
    size_t n = strlen(pattern);
    return n > 0 && pattern[n - 1] == '*' ? strncmp(id, pattern, n - 1) == 0 : strcmp(id, pattern) == 0;
}

bool rz_scope_fits(const cJSON *patterns, const char *id)
{
    const cJSON *pattern;
    cJSON_ArrayForEach(pattern, patterns)
    {
        if (pattern_fits(pattern->valuestring, id))
            return true;
    }
    return patterns == NULL;
}

bool rz_scope_covers(const cJSON *prefixes, rz_str_t topic)
{
    const cJSON *prefix;
    cJSON_ArrayForEach(prefix, prefixes)
    {
        size_t n = strlen(prefix->valuestring);
        if (n <= topic.n && memcmp(prefix->valuestring, topic.p, n) == 0)
            return true;
    }
    return prefixes == NULL;
}

/* ---- decoding ---- */

static void refuse(const rz_fields_t *f, rz_rc_t rc, const char *key, const char *text)
{
    char field[WHERE_MAX + RZ_KEY_LEN];
    snprintf(field, sizeof field, "%s%s", f->where, key);
    rz_fail_field(f->err, rc, field, "%s", text);
}

/* A scope that its role does not take would look like a limit and be none. */
static const cJSON *read_scope(rz_fields_t *f, const char *key, size_t max, bool taken)
{
    const cJSON *list = rz_field_strings(f, key, RZ_OPTIONAL, max);
    if (list != NULL && !taken)
        refuse(f, RZ_BAD_FIELD, key, "a key of this role has no such scope");
    if (list != NULL && cJSON_GetArraySize(list) == 0)
        refuse(f, RZ_BAD_FIELD, key, "an empty list allows nothing; leave it out, or name something");
    return list;
}

static const cJSON *read_patterns(rz_fields_t *f, const char *key, bool taken)
{
    const cJSON *list = read_scope(f, key, RZ_ID_MAX + 1, taken), *pattern;
    cJSON_ArrayForEach(pattern, list)
    {
        if (!pattern_valid(pattern->valuestring))
            refuse(f, RZ_BAD_ID, key, "allowed: ids, and the beginning of ids with a * behind it");
    }
    return list;
}

static void read_scopes(rz_fields_t *f, rz_allowed_t *out)
{
    bool produces = out->role == RZ_KEY_PRODUCER;
    bool hears = out->role == RZ_KEY_SUBSCRIBER || out->role == RZ_KEY_CLIENT;
    out->parents = read_patterns(f, "parents", produces);
    out->tenant = rz_field_id(f, "tenant", RZ_OPTIONAL);
    out->topics = read_scope(f, "topics", TOPIC_MAX, hears);
    out->runners = read_patterns(f, "runners", out->role == RZ_KEY_RUNNER);
    if (out->tenant != NULL && !produces)
        refuse(f, RZ_BAD_FIELD, "tenant", "a key of this role has no such scope");
}

static rz_rc_t read_entry(const cJSON *object, size_t i, rz_allowed_t *out, rz_err_t *err)
{
    static const char *const keys[] = { "name",   "role",   "public_key", "parents",
                                        "tenant", "topics", "runners",    NULL };
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "keys[%zu].", i);
    rz_fields_t f = { .obj = object, .where = where, .err = err };
    if (!cJSON_IsObject(object)) {
        refuse(&f, RZ_BAD_FIELD, "", "must be an object");
        return err->rc;
    }
    rz_fields_only(&f, keys);
    out->name = rz_field_id(&f, "name", RZ_REQUIRED);
    out->role = (rz_key_role_t)rz_field_enum(&f, "role", RZ_REQUIRED, rz_key_role_names, 0);
    out->public_key = rz_field_str(&f, "public_key", RZ_REQUIRED, RZ_KEY_LEN);
    read_scopes(&f, out);
    if (out->role == RZ_KEY_BROKER)
        refuse(&f, RZ_BAD_FIELD, "role", "brokers connect to nobody");
    if (!rz_key_text_valid(out->public_key))
        refuse(&f, RZ_BAD_FIELD, "public_key", "must be a key of 40 characters (Z85)");
    return err->rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const rz_allowed_t *)a)->name, ((const rz_allowed_t *)b)->name);
}

/* One name, one key; and one key, one name: else the role would depend on the order. */
static rz_rc_t check_distinct(const rz_allow_t *allow, rz_err_t *err)
{
    for (size_t i = 0; i < allow->count; i++) {
        const rz_allowed_t *one = &allow->list[i];
        if (i > 0 && strcmp(one->name, allow->list[i - 1].name) == 0)
            return rz_fail(err, RZ_CONFLICT, "keys: two are called %s", one->name);
        if (rz_allow_by_key(allow, one->public_key) != one)
            return rz_fail(err, RZ_CONFLICT, "keys: %s has the public key of another", one->name);
    }
    return RZ_OK;
}

static rz_rc_t read_all(rz_allow_t *allow, rz_err_t *err)
{
    static const char *const keys[] = { "keys", NULL };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(allow->tree, "keys"), *object;
    rz_fields_t f = { .obj = allow->tree, .where = "", .err = err };
    if (!cJSON_IsObject(allow->tree) || !cJSON_IsArray(list))
        return rz_fail_field(err, RZ_BAD_FIELD, "keys", "must be a list, in one object");
    rz_fields_only(&f, keys);
    size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > RZ_ALLOW_MAX)
        return rz_fail_field(err, RZ_TOO_LARGE, "keys", "has %zu entries, allowed are %d", count,
                             RZ_ALLOW_MAX);
    allow->list = rz_alloc((count + 1) * sizeof *allow->list);
    cJSON_ArrayForEach(object, list)
    {
        if (read_entry(object, allow->count, &allow->list[allow->count], err) != RZ_OK)
            return err->rc;
        allow->count++;
    }
    qsort(allow->list, allow->count, sizeof *allow->list, by_name);
    return err->rc != RZ_OK ? err->rc : check_distinct(allow, err);
}

rz_allow_t *rz_allow_decode(const char *bytes, size_t len, rz_err_t *err)
{
    rz_allow_t *allow = rz_alloc(sizeof *allow);
    allow->tree = rz_json_parse_commented(bytes, len, RZ_ALLOW_BYTES_MAX, err);
    if (allow->tree == NULL || read_all(allow, err) != RZ_OK)
        rz_allow_destroy(&allow);
    return allow;
}

void rz_allow_destroy(rz_allow_t **allow)
{
    if (*allow == NULL)
        return;
    cJSON_Delete((*allow)->tree);
    rz_free((*allow)->list);
    rz_free(*allow);
    *allow = NULL;
}

/* ---- looking ---- */

size_t rz_allow_count(const rz_allow_t *allow)
{
    return allow->count;
}

const rz_allowed_t *rz_allow_at(const rz_allow_t *allow, size_t i)
{
    return &allow->list[i];
}

const rz_allowed_t *rz_allow_by_key(const rz_allow_t *allow, const char *public_key)
{
    for (size_t i = 0; i < allow->count; i++)
        if (strcmp(allow->list[i].public_key, public_key) == 0)
            return &allow->list[i];
    return NULL;
}

const rz_allowed_t *rz_allow_by_name(const rz_allow_t *allow, const char *name)
{
    const rz_allowed_t wanted = { .name = name };
    return allow->count > 0 ? bsearch(&wanted, allow->list, allow->count, sizeof wanted, by_name) : NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool rz_scope_same(const cJSON *a, const cJSON *b)
{
    if (a == NULL || b == NULL || cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
        return a == b;
    for (a = a->child, b = b->child; a != NULL; a = a->next, b = b->next)
        if (strcmp(a->valuestring, b->valuestring) != 0)
            return false;
    return true;
}

bool rz_allowed_same(const rz_allowed_t *a, const rz_allowed_t *b)
{
    return a->role == b->role && same_text(a->name, b->name) && same_text(a->public_key, b->public_key) &&
           same_text(a->tenant, b->tenant) && rz_scope_same(a->parents, b->parents) &&
           rz_scope_same(a->topics, b->topics) && rz_scope_same(a->runners, b->runners);
}

/* ---- encoding ---- */

static void put_list(const cJSON *list, const char *key, rz_buf_t *out)
{
    const cJSON *item;
    if (list == NULL)
        return;
    rz_json_open_key(out, key, '[');
    cJSON_ArrayForEach(item, list) rz_json_put_str(out, NULL, item->valuestring);
    rz_json_close(out, ']');
}

static void put_entry(const rz_allowed_t *entry, rz_buf_t *out)
{
    rz_buf_puts(out, out->data[out->len - 1] == '[' ? "\n" : ",\n");
    rz_buf_t object = { 0 };
    rz_json_open(&object, '{');
    rz_json_put_str(&object, "name", entry->name);
    rz_json_put_str(&object, "role", rz_key_role_names[entry->role]);
    rz_json_put_str(&object, "public_key", entry->public_key);
    rz_json_opt_str(&object, "tenant", entry->tenant);
    put_list(entry->parents, "parents", &object);
    put_list(entry->topics, "topics", &object);
    put_list(entry->runners, "runners", &object);
    rz_json_close(&object, '}');
    rz_buf_put_str(out, rz_buf_str(&object));
    rz_buf_fini(&object);
}

void rz_allow_encode(const rz_allow_t *allow, const char *without, const rz_allowed_t *more, rz_buf_t *out)
{
    rz_buf_puts(out, "{\"keys\":[");
    for (size_t i = 0; allow != NULL && i < allow->count; i++)
        if (without == NULL || strcmp(allow->list[i].name, without) != 0)
            put_entry(&allow->list[i], out);
    if (more != NULL)
        put_entry(more, out);
    rz_buf_puts(out, "\n]}\n");
}
