/* json_field.c - typed members of an object; a failure names the field, what was found and what is allowed.
 */
#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: from here on a double skips integers */

/* Shows a value in a message: its kind, and for scalars the value itself, shortened. */
static const char *show(const cJSON *value, char out[64])
{
    if (cJSON_IsString(value))
        snprintf(out, 64, "\"%.40s%s\"", value->valuestring, strlen(value->valuestring) > 40 ? "..." : "");
    else if (cJSON_IsNumber(value))
        snprintf(out, 64, "%.17g", value->valuedouble);
    else
        snprintf(out, 64, "%s",
                 cJSON_IsObject(value)  ? "an object"
                 : cJSON_IsArray(value) ? "an array"
                 : cJSON_IsTrue(value)  ? "true"
                 : cJSON_IsFalse(value) ? "false"
                                        : "null");
    return out;
}

static void full_name(const rz_fields_t *f, const char *key, char out[sizeof(((rz_err_t *)0)->field)])
{
    snprintf(out, sizeof(((rz_err_t *)0)->field), "%s%s", f->where != NULL ? f->where : "", key);
}

static void fail(rz_fields_t *f, rz_rc_t rc, const char *key, const cJSON *found, const char *allowed, ...)
    RZ_PRINTF(5, 6);

/* "<field>: found 12, allowed: a string" */
static void fail(rz_fields_t *f, rz_rc_t rc, const char *key, const cJSON *found, const char *allowed, ...)
{
    char name[sizeof(f->err->field)], shown[64], wanted[160];
    va_list args;
    va_start(args, allowed);
    vsnprintf(wanted, sizeof(wanted), allowed, args);
    va_end(args);
    full_name(f, key, name);
    rz_fail_field(f->err, rc, name, "found %s, allowed: %s", show(found, shown), wanted);
}

/* The member if there is a value to look at, else NULL and, where it had to be, a failure. */
static const cJSON *find(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(f->obj, key);
    bool null = cJSON_IsNull(value);
    if (value != NULL && !null)
        return value;
    if (need == RZ_REQUIRED) {
        char name[sizeof(f->err->field)];
        full_name(f, key, name);
        rz_fail_field(f->err, RZ_MISSING_FIELD, name, "required, but %s", null ? "null" : "missing");
    } else if (need == RZ_DEFAULTED && null) {
        fail(f, RZ_BAD_FIELD, key, value, "a value, or leave it out for the default");
    }
    return NULL;
}

const char *rz_field_str(rz_fields_t *f, const char *key, rz_need_t need, size_t max)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL)
        return NULL;
    if (!cJSON_IsString(value)) {
        fail(f, RZ_BAD_FIELD, key, value, "a string");
        return NULL;
    }
    size_t n = strlen(value->valuestring);
    if (max > 0 && n > max) {
        fail(f, RZ_TOO_LARGE, key, value, "at most %zu bytes, not %zu", max, n);
        return NULL;
    }
    return value->valuestring;
}

const char *rz_field_id(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL)
        return NULL;
    if (!cJSON_IsString(value) || !rz_id_valid(rz_str(value->valuestring))) {
        fail(f, cJSON_IsString(value) ? RZ_BAD_ID : RZ_BAD_FIELD, key, value, RZ_ID_RULE);
        return NULL;
    }
    return value->valuestring;
}

uint64_t rz_field_u64(rz_fields_t *f, const char *key, rz_need_t need, uint64_t dflt, uint64_t min,
                      uint64_t max)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL)
        return dflt;
    double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
    bool whole = number >= 0 && number < EXACT_MAX && number == (double)(uint64_t)number;
    if (!whole || (uint64_t)number < min || (uint64_t)number > max) {
        uint64_t ceiling = max < (uint64_t)EXACT_MAX ? max : (uint64_t)EXACT_MAX - 1;
        fail(f, RZ_BAD_FIELD, key, value, "an integer from %" PRIu64 " to %" PRIu64, min, ceiling);
        return dflt;
    }
    return (uint64_t)number;
}

uint64_t rz_json_count(const cJSON *item)
{
    bool exact = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < EXACT_MAX;
    return exact ? (uint64_t)item->valuedouble : 0; /* beyond 64 bits the conversion is undefined */
}

bool rz_field_bool(rz_fields_t *f, const char *key, rz_need_t need, bool dflt)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL)
        return dflt;
    if (!cJSON_IsBool(value)) {
        fail(f, RZ_BAD_FIELD, key, value, "true or false");
        return dflt;
    }
    return cJSON_IsTrue(value);
}

const cJSON *rz_field_object(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL || cJSON_IsObject(value))
        return value;
    fail(f, RZ_BAD_FIELD, key, value, "an object");
    return NULL;
}

/* NULL when absent, no list, or too long a one. */
static const cJSON *find_list(rz_fields_t *f, const char *key, rz_need_t need, const char *of)
{
    const cJSON *list = find(f, key, need);
    if (list == NULL)
        return NULL;
    int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list))
        fail(f, RZ_BAD_FIELD, key, list, "an array of %s", of);
    else if (n > RZ_LIST_MAX)
        fail(f, RZ_TOO_LARGE, key, list, "at most %d %s, not %d", RZ_LIST_MAX, of, n);
    else
        return list;
    return NULL;
}

static void fail_entry(rz_fields_t *f, rz_rc_t rc, const char *key, size_t i, const cJSON *entry,
                       const char *allowed)
{
    char name[sizeof(f->err->field)];
    snprintf(name, sizeof(name), "%s[%zu]", key, i);
    fail(f, rc, name, entry, "%s", allowed);
}

const cJSON *rz_field_strings(rz_fields_t *f, const char *key, rz_need_t need, size_t max)
{
    const cJSON *list = find_list(f, key, need, "strings");
    size_t i = 0;
    for (const cJSON *entry = list != NULL ? list->child : NULL; entry != NULL; entry = entry->next, i++) {
        size_t n = cJSON_IsString(entry) ? strlen(entry->valuestring) : 0;
        if (n >= 1 && n <= max)
            continue;
        char allowed[48];
        snprintf(allowed, sizeof(allowed), "a string of 1 to %zu bytes", max);
        fail_entry(f, n > max ? RZ_TOO_LARGE : RZ_BAD_FIELD, key, i, entry, allowed);
        return NULL;
    }
    return list;
}

const cJSON *rz_field_ids(rz_fields_t *f, const char *key, rz_need_t need)
{
    const cJSON *list = find_list(f, key, need, "ids");
    size_t i = 0;
    for (const cJSON *entry = list != NULL ? list->child : NULL; entry != NULL; entry = entry->next, i++) {
        if (cJSON_IsString(entry) && rz_id_valid(rz_str(entry->valuestring)))
            continue;
        fail_entry(f, cJSON_IsString(entry) ? RZ_BAD_ID : RZ_BAD_FIELD, key, i, entry, RZ_ID_RULE);
        return NULL;
    }
    return list;
}

static void list_names(const char *const *names, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; names[i] != NULL && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? ", " : "", names[i]);
}

int rz_field_enum(rz_fields_t *f, const char *key, rz_need_t need, const char *const *names, int dflt)
{
    const cJSON *value = find(f, key, need);
    if (value == NULL)
        return dflt;
    for (int i = 0; cJSON_IsString(value) && names[i] != NULL; i++)
        if (strcmp(value->valuestring, names[i]) == 0)
            return i;
    char allowed[128] = "";
    list_names(names, allowed, sizeof(allowed));
    fail(f, RZ_BAD_FIELD, key, value, "one of %s", allowed);
    return dflt;
}

static bool listed(const char *key, const char *const *keys)
{
    while (*keys != NULL && strcmp(*keys, key) != 0)
        keys++;
    return *keys != NULL;
}

void rz_fields_only(rz_fields_t *f, const char *const *keys)
{
    for (const cJSON *member = f->obj != NULL ? f->obj->child : NULL; member != NULL; member = member->next) {
        if (listed(member->string, keys))
            continue;
        char name[sizeof(f->err->field)], allowed[160] = "";
        list_names(keys, allowed, sizeof(allowed));
        full_name(f, member->string, name);
        rz_fail_field(f->err, RZ_BAD_FIELD, name, "unknown; allowed are %s", allowed);
    }
}
