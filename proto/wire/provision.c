/* provision.c - ProvisionSpec, the one document on a worker's stdin (rule 1). */
#include "wire/provision.h"

#include "base/id.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES_MAX ((size_t)4096)
#define TEXT_BYTES_MAX RZ_CREDENTIAL_TEXT_MAX
#define ARGS_MAX       1024
#define COUNT_MAX      ((uint64_t)1 << 53) /* what a JSON number carries exactly */
#define VARIABLES_MAX  64
#define ESCAPED        6   /* bytes that one byte of text may need in JSON: \u001b */
#define AROUND_SECRETS 256 /* bytes of names and brackets, and of all that follows the last secret */

static const char *const executor_names[] = { "echo",        "bamboo_runtime", "cli_adapter", "session",
                                              "claude_code", "codex",          NULL };

const char *rz_executor_name(rz_executor_t kind)
{
    return (unsigned)kind < RZ_EXECUTORS ? executor_names[kind] : "unknown";
}

bool rz_executor_has_program(rz_executor_t kind)
{
    return kind == RZ_EXECUTOR_CLI_ADAPTER || kind == RZ_EXECUTOR_SESSION;
}

static void read_identity(rz_fields_t *top, rz_provision_t *out)
{
    const cJSON *object = rz_field_object(top, "identity", RZ_REQUIRED);
    if (object == NULL)
        return;
    rz_fields_t f = { .obj = object, .where = "identity.", .err = top->err };
    out->child_id = rz_field_id(&f, "child_id", RZ_REQUIRED);
    out->parent_id = rz_field_str(&f, "parent_id", RZ_OPTIONAL, RZ_ID_MAX);
    out->project_key = rz_field_str(&f, "project_key", RZ_OPTIONAL, RZ_NAME_MAX);
    out->role = rz_field_str(&f, "role", RZ_DEFAULTED, RZ_NAME_MAX);
    if (out->role == NULL)
        out->role = "";
}

static const char *const part_names[] = { "api_key", "base_url", "provider_type", "provider" };

const char *rz_credential_part(const rz_credential_t *credential, const char *part)
{
    const char *const parts[] = { credential->api_key, credential->base_url,
                                  credential->provider_type != NULL ? credential->provider_type
                                                                    : credential->provider,
                                  credential->provider };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strcmp(part_names[i], part) == 0)
            return parts[i];
    return NULL;
}

static bool is_part_name(const cJSON *item)
{
    for (size_t i = 0; cJSON_IsString(item) && i < sizeof(part_names) / sizeof(part_names[0]); i++)
        if (strcmp(item->valuestring, part_names[i]) == 0)
            return true;
    return false;
}

/* A shell can name it, and it is no setting of ours. */
static bool is_variable_name(const char *name)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_",
                      digits[] = "0123456789";
    size_t n = strspn(name, first);
    while (n > 0 && name[n] != '\0' && (strchr(first, name[n]) != NULL || strchr(digits, name[n]) != NULL))
        n++;
    return n > 0 && n <= RZ_NAME_MAX && name[n] == '\0' && strncmp(name, "RHIZOME_", 8) != 0;
}

rz_rc_t rz_credential_env_check(const cJSON *object, const char *field, rz_err_t *err)
{
    if (!cJSON_IsObject(object))
        return rz_fail_field(err, RZ_BAD_FIELD, field, "allowed: an object of variable names");
    if (cJSON_GetArraySize(object) > VARIABLES_MAX)
        return rz_fail_field(err, RZ_TOO_LARGE, field, "allowed: at most %d variables", VARIABLES_MAX);
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        if (!is_variable_name(item->string))
            return rz_fail_field(
                err, RZ_BAD_FIELD, field,
                "\"%.40s\" is no variable; allowed: letters, digits and _, no digit first, not "
                "RHIZOME_*",
                item->string);
        char inner[sizeof err->field];
        snprintf(inner, sizeof inner, "%s.%s", field, item->string);
        if (!is_part_name(item))
            return rz_fail_field(err, RZ_BAD_FIELD, inner,
                                 "one of api_key, base_url, provider_type, provider");
    }
    return RZ_OK;
}

/* Of the argument at i. */
static void refuse_arg(rz_err_t *err, size_t i, rz_rc_t rc, const char *text)
{
    char field[48];
    snprintf(field, sizeof(field), "executor.args[%zu]", i);
    rz_fail_field(err, rc, field, "%s", text);
}

static const cJSON *refuse_args(rz_err_t *err, rz_rc_t rc, const char *text)
{
    rz_fail_field(err, rc, "executor.args", "%s", text);
    return NULL;
}

/* Like rz_field_strings(), but with empty strings allowed: "" is a legal argument of a program. */
static const cJSON *read_args(rz_fields_t *f)
{
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(f->obj, "args");
    if (args == NULL || cJSON_IsNull(args))
        return refuse_args(f->err, RZ_MISSING_FIELD, "required, but missing");
    if (!cJSON_IsArray(args))
        return refuse_args(f->err, RZ_BAD_FIELD, "allowed: an array of strings");
    if (cJSON_GetArraySize(args) > ARGS_MAX)
        return refuse_args(f->err, RZ_TOO_LARGE, "allowed: at most 1024 strings");
    size_t i = 0;
    for (const cJSON *arg = args->child; arg != NULL; arg = arg->next, i++) {
        if (!cJSON_IsString(arg))
            refuse_arg(f->err, i, RZ_BAD_FIELD, "allowed: a string");
        else if (strlen(arg->valuestring) > TEXT_BYTES_MAX)
            refuse_arg(f->err, i, RZ_TOO_LARGE, "allowed: at most 65536 bytes");
    }
    return args;
}

static void read_executor(rz_fields_t *top, rz_provision_t *out)
{
    const cJSON *object = rz_field_object(top, "executor", RZ_REQUIRED);
    if (object == NULL)
        return;
    rz_fields_t f = { .obj = object, .where = "executor.", .err = top->err };
    out->executor = (rz_executor_t)rz_field_enum(&f, "kind", RZ_REQUIRED, executor_names, RZ_EXECUTOR_ECHO);
    if (!rz_executor_has_program(out->executor))
        return;
    out->command = rz_field_str(&f, "command", RZ_REQUIRED, PATH_BYTES_MAX);
    out->args = read_args(&f);
    out->credential_env = cJSON_GetObjectItemCaseSensitive(object, "credential_env");
    if (out->credential_env != NULL)
        rz_credential_env_check(out->credential_env, "executor.credential_env", f.err);
}

static void read_model(rz_fields_t *top, rz_provision_t *out)
{
    const cJSON *object = rz_field_object(top, "model", RZ_OPTIONAL);
    if (object == NULL)
        return;
    rz_fields_t f = { .obj = object, .where = "model.", .err = top->err };
    out->model_provider = rz_field_str(&f, "provider", RZ_REQUIRED, RZ_NAME_MAX);
    out->model_name = rz_field_str(&f, "model", RZ_REQUIRED, RZ_NAME_MAX);
}

static void read_limits(rz_fields_t *top, rz_provision_t *out)
{
    const cJSON *object = rz_field_object(top, "limits", RZ_DEFAULTED);
    if (object == NULL)
        return;
    rz_fields_t f = { .obj = object, .where = "limits.", .err = top->err };
    out->run_timeout_secs = rz_field_u64(&f, "run_timeout_secs", RZ_OPTIONAL, 0, 0, COUNT_MAX);
    out->idle_timeout_secs = rz_field_u64(&f, "idle_timeout_secs", RZ_OPTIONAL, 0, 0, COUNT_MAX);
    out->max_rounds = rz_field_u64(&f, "max_rounds", RZ_OPTIONAL, 0, 0, UINT32_MAX);
}

/* Not rz_field_str(): its messages show what was found, and this is what nobody may see. */
static const char *read_api_key(rz_err_t *err, const cJSON *credential, const char *where)
{
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(credential, "api_key");
    if (cJSON_IsString(key))
        return key->valuestring;
    char name[80];
    snprintf(name, sizeof(name), "%sapi_key", where);
    bool missing = key == NULL || cJSON_IsNull(key);
    rz_fail_field(err, missing ? RZ_MISSING_FIELD : RZ_BAD_FIELD, name, "required: a string");
    return NULL;
}

static void read_credential(rz_err_t *err, const cJSON *item, size_t index, rz_credential_t *out)
{
    char where[64];
    snprintf(where, sizeof(where), "secrets.provider_credentials[%zu].", index);
    rz_fields_t f = { .obj = item, .where = where, .err = err };
    if (!cJSON_IsObject(item)) { /* not shown either: it may be the key itself */
        where[strlen(where) - 1] = '\0';
        rz_fail_field(err, RZ_BAD_FIELD, where, "allowed: an object");
        return;
    }
    out->provider = rz_field_str(&f, "provider", RZ_REQUIRED, RZ_NAME_MAX);
    out->api_key = read_api_key(err, item, where);
    out->base_url = rz_field_str(&f, "base_url", RZ_OPTIONAL, TEXT_BYTES_MAX);
    out->provider_type = rz_field_str(&f, "provider_type", RZ_OPTIONAL, RZ_NAME_MAX);
}

static void read_connection_token(rz_err_t *err, const cJSON *secrets, rz_provision_t *out)
{
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(secrets, "connection_token");
    if (token == NULL || cJSON_IsNull(token))
        return;
    if (cJSON_IsString(token) && strlen(token->valuestring) == RZ_SECRET_LEN &&
        strspn(token->valuestring, "0123456789abcdef") == RZ_SECRET_LEN)
        out->connection_token = token->valuestring;
    else
        rz_fail_field(err, RZ_BAD_FIELD, "secrets.connection_token", "allowed: %d lower-case hex digits",
                      RZ_SECRET_LEN);
}

static void read_secrets(rz_fields_t *top, rz_provision_t *out)
{
    static const char field[] = "secrets.provider_credentials";
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(top->obj, "secrets");
    if (object != NULL && !cJSON_IsObject(object)) { /* here, too, no message may show what was found */
        rz_fail_field(top->err, RZ_BAD_FIELD, "secrets", "allowed: an object");
        return;
    }
    read_connection_token(top->err, object, out);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "provider_credentials");
    if (list == NULL)
        return;
    if (!cJSON_IsArray(list)) {
        rz_fail_field(top->err, RZ_BAD_FIELD, field, "allowed: an array of objects");
        return;
    }
    if (cJSON_GetArraySize(list) > RZ_CREDENTIALS_MAX) {
        rz_fail_field(top->err, RZ_TOO_LARGE, field, "allowed: at most %d", RZ_CREDENTIALS_MAX);
        return;
    }
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        read_credential(top->err, item, out->credential_count, &out->credentials[out->credential_count]);
        out->credential_count++;
    }
}

static void read_folders(rz_fields_t *top, rz_provision_t *out)
{
    out->fabric_dir = rz_field_str(top, "fabric_dir", RZ_REQUIRED, PATH_BYTES_MAX);
    if (out->fabric_dir != NULL && out->fabric_dir[0] == '\0')
        rz_fail_field(top->err, RZ_BAD_FIELD, "fabric_dir", "allowed: a path");
    out->storage_dir = rz_field_str(top, "storage_dir", RZ_OPTIONAL, PATH_BYTES_MAX);
    out->workspace = rz_field_str(top, "workspace", RZ_OPTIONAL, PATH_BYTES_MAX);
}

static void read_capabilities(rz_fields_t *top, rz_provision_t *out)
{
    const cJSON *object = rz_field_object(top, "capabilities", RZ_DEFAULTED);
    if (object == NULL)
        return;
    rz_fields_t f = { .obj = object, .where = "capabilities.", .err = top->err };
    out->enforce_permissions = rz_field_bool(&f, "enforce_permissions", RZ_DEFAULTED, false);
}

rz_rc_t rz_provision_decode(const char *bytes, size_t len, rz_provision_t *out, rz_err_t *err)
{
    rz_err_t local = { 0 };
    if (err == NULL)
        err = &local;
    *out = (rz_provision_t){ .role = "" };
    if (rz_object_decode(bytes, len, RZ_PROVISION_MAX, NULL, &out->object, err) != RZ_OK)
        return err->rc;

    rz_fields_t f = { .obj = out->object.tree, .where = "", .err = err };
    out->version = (uint32_t)rz_field_u64(&f, "version", RZ_REQUIRED, 0, 0, UINT32_MAX);
    read_identity(&f, out);
    read_executor(&f, out);
    read_folders(&f, out);
    read_model(&f, out);
    out->disabled_tools = rz_field_strings(&f, "disabled_tools", RZ_OPTIONAL, RZ_NAME_MAX);
    read_limits(&f, out);
    read_secrets(&f, out);
    out->reusable = rz_field_bool(&f, "reusable", RZ_DEFAULTED, false);
    read_capabilities(&f, out);
    if (err->rc != RZ_OK)
        rz_provision_fini(out);
    return err->rc;
}

void rz_provision_fini(rz_provision_t *provision)
{
    /* also members of it that we do not know */
    rz_json_wipe(cJSON_GetObjectItemCaseSensitive(provision->object.tree, "secrets"));
    rz_object_fini(&provision->object);
    *provision = (rz_provision_t){ .role = "" };
}

const rz_credential_t *rz_provision_credential(const rz_provision_t *provision)
{
    const char *provider = provision->model_provider;
    for (size_t i = 0; provider != NULL && i < provision->credential_count; i++)
        if (strcmp(provision->credentials[i].provider, provider) == 0)
            return &provision->credentials[i];
    return provision->credential_count > 0 ? &provision->credentials[0] : NULL;
}

/* ---- encoding ---- */

static void put_strings(rz_buf_t *out, const char *key, const cJSON *strings)
{
    rz_json_open_key(out, key, '[');
    for (const cJSON *item = strings != NULL ? strings->child : NULL; item != NULL; item = item->next)
        rz_json_put_str(out, NULL, item->valuestring);
    rz_json_close(out, ']');
}

static void put_identity(rz_buf_t *out, const rz_provision_t *p)
{
    rz_json_open_key(out, "identity", '{');
    rz_json_put_str(out, "child_id", p->child_id);
    rz_json_opt_str(out, "parent_id", p->parent_id);
    rz_json_opt_str(out, "project_key", p->project_key);
    rz_json_put_str(out, "role", p->role != NULL ? p->role : "");
    rz_json_close(out, '}');
}

static void put_credential_env(rz_buf_t *out, const cJSON *names)
{
    if (names == NULL)
        return;
    rz_json_open_key(out, "credential_env", '{');
    for (const cJSON *item = names->child; item != NULL; item = item->next)
        rz_json_put_str(out, item->string, item->valuestring);
    rz_json_close(out, '}');
}

static void put_executor(rz_buf_t *out, const rz_provision_t *p)
{
    rz_json_open_key(out, "executor", '{');
    rz_json_put_str(out, "kind", rz_executor_name(p->executor));
    if (rz_executor_has_program(p->executor)) {
        rz_json_put_str(out, "command", p->command);
        put_strings(out, "args", p->args);
        put_credential_env(out, p->credential_env);
    }
    rz_json_close(out, '}');
}

static void put_model(rz_buf_t *out, const rz_provision_t *p)
{
    if (p->model_provider == NULL || p->model_name == NULL)
        return;
    rz_json_open_key(out, "model", '{');
    rz_json_put_str(out, "provider", p->model_provider);
    rz_json_put_str(out, "model", p->model_name);
    rz_json_close(out, '}');
}

static void put_limit(rz_buf_t *out, const char *key, uint64_t value)
{
    if (value != 0)
        rz_json_put_u64(out, key, value);
}

static void put_limits(rz_buf_t *out, const rz_provision_t *p)
{
    rz_json_open_key(out, "limits", '{');
    put_limit(out, "run_timeout_secs", p->run_timeout_secs);
    put_limit(out, "idle_timeout_secs", p->idle_timeout_secs);
    put_limit(out, "max_rounds", p->max_rounds);
    rz_json_close(out, '}');
}

static size_t room_for(const char *text)
{
    return text != NULL ? strlen(text) * ESCAPED : 0;
}

static void reserve_secrets(rz_buf_t *out, const rz_provision_t *p)
{
    size_t room = AROUND_SECRETS + room_for(p->connection_token);
    for (size_t i = 0; i < p->credential_count; i++) {
        const rz_credential_t *c = &p->credentials[i];
        room += AROUND_SECRETS + room_for(c->provider) + room_for(c->api_key) + room_for(c->base_url) +
                room_for(c->provider_type);
    }
    rz_buf_reserve(out, room);
}

static void put_secrets(rz_buf_t *out, const rz_provision_t *p)
{
    reserve_secrets(out, p);
    rz_json_open_key(out, "secrets", '{');
    rz_json_open_key(out, "provider_credentials", '[');
    for (size_t i = 0; i < p->credential_count; i++) {
        const rz_credential_t *c = &p->credentials[i];
        rz_json_open(out, '{');
        rz_json_put_str(out, "provider", c->provider);
        rz_json_put_str(out, "api_key", c->api_key);
        rz_json_opt_str(out, "base_url", c->base_url);
        rz_json_opt_str(out, "provider_type", c->provider_type);
        rz_json_close(out, '}');
    }
    rz_json_close(out, ']');
    rz_json_opt_str(out, "connection_token", p->connection_token);
    rz_json_close(out, '}');
}

/* A spec without it gives a worker that never asks (rule 1.8). */
static void put_capabilities(rz_buf_t *out, const rz_provision_t *p)
{
    if (!p->enforce_permissions)
        return;
    rz_json_open_key(out, "capabilities", '{');
    rz_json_put_bool(out, "enforce_permissions", true);
    rz_json_close(out, '}');
}

void rz_provision_encode(const rz_provision_t *provision, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_u64(out, "version", provision->version);
    put_identity(out, provision);
    put_executor(out, provision);
    rz_json_put_str(out, "fabric_dir", provision->fabric_dir);
    rz_json_opt_str(out, "storage_dir", provision->storage_dir);
    rz_json_opt_str(out, "workspace", provision->workspace);
    put_model(out, provision);
    if (provision->disabled_tools != NULL)
        put_strings(out, "disabled_tools", provision->disabled_tools);
    put_limits(out, provision);
    put_secrets(out, provision);
    rz_json_put_bool(out, "reusable", provision->reusable);
    put_capabilities(out, provision);
    rz_json_close(out, '}');
}
