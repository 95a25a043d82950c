/* session.c - one rule per member; conversations are walked as spans and never turned into trees as a whole.
 */
#include "wire/session.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define WHERE_MAX   96
#define TITLE_MAX   RZ_TEXT_MAX
#define PATH_LENGTH 4096
#define REV_MAX     (((uint64_t)1 << 53) - 1)

static const char *const role_names[] = { "system", "user", "assistant", "tool", NULL };
static const char *const kind_names[] = { "root", "child", NULL };

/* What the store owns of a session's metadata: it never travels in the header. */
static const char *const store_keys[] = { "last_run_status", "last_run_error", "pending_injected_messages",
                                          NULL };

const char *rz_role_name(rz_role_t role)
{
    return role_names[role];
}

static bool is_null(rz_str_t value)
{
    return value.n == 0 || rz_json_kind(value) == 'n';
}

/* Compares a key as the iterators lend it.  An escaped key ("mess\u0061ges") stands between its quotes in the
 * text, so the span one byte wider on each side is a JSON string. */
static bool key_is(rz_str_t key, const char *name)
{
    if (memchr(key.p, '\\', key.n) == NULL)
        return rz_str_eq(key, name) != 0;
    return rz_json_is((rz_str_t){ key.p - 1, key.n + 2 }, name);
}

static bool key_among(rz_str_t key, const char *const *names)
{
    for (; *names != NULL; names++)
        if (key_is(key, *names))
            return true;
    return false;
}

/* "session." names the owner of members; the owner itself is "session". */
static void owner_of(const char *where, const char *fallback, char out[WHERE_MAX])
{
    snprintf(out, WHERE_MAX, "%s", *where != '\0' ? where : fallback);
    size_t n = strlen(out);
    if (out[n - 1] == '.')
        out[n - 1] = '\0';
}

static rz_rc_t fail_member(rz_err_t *err, rz_rc_t rc, const char *where, const char *key, const char *text)
{
    char field[WHERE_MAX + 16];
    snprintf(field, sizeof field, "%s%s", where, key);
    return rz_fail_field(err, rc, field, "%s", text);
}

/* ---- messages ---- */

static bool role_of(rz_str_t value, rz_role_t *role)
{
    for (int i = 0; role_names[i] != NULL; i++) {
        if (rz_json_is(value, role_names[i])) {
            *role = (rz_role_t)i;
            return true;
        }
    }
    return false;
}

/* Upstream omits an empty id, and makes one up when none is there: both mean "no id". */
static bool message_id_valid(rz_str_t value)
{
    rz_buf_t text = { 0 };
    bool valid = rz_json_unescape(value, &text) && (text.len == 0 || rz_id_valid(rz_buf_str(&text)));
    rz_buf_fini(&text);
    return valid;
}

typedef struct {
    rz_str_t id, role, content; /* raw values, empty spans where absent */
} message_parts_t;

static message_parts_t message_parts(rz_str_t message)
{
    message_parts_t parts = { 0 };
    rz_json_iter_t it = rz_json_iter(message);
    for (rz_str_t key, value; rz_json_next_member(&it, &key, &value);) {
        if (key_is(key, "id"))
            parts.id = value;
        else if (key_is(key, "role"))
            parts.role = value;
        else if (key_is(key, "content"))
            parts.content = value;
    }
    return parts;
}

/* Judges a message in one pass, without building anything: a session of 8 MiB may hold 300,000 of them. */
static rz_rc_t message_check(rz_str_t bytes, const char *where, rz_role_t *role, rz_err_t *err)
{
    if (rz_json_kind(bytes) != '{') {
        char owner[WHERE_MAX];
        owner_of(where, "message", owner);
        return rz_fail_field(err, RZ_BAD_FIELD, owner, "must be an object");
    }
    message_parts_t parts = message_parts(bytes);
    if (!is_null(parts.id) && rz_json_kind(parts.id) != '"')
        return fail_member(err, RZ_BAD_FIELD, where, "id", "must be a string");
    if (!is_null(parts.id) && !message_id_valid(parts.id))
        return fail_member(err, RZ_BAD_ID, where, "id", "must be " RZ_ID_RULE);
    if (is_null(parts.role))
        return fail_member(err, RZ_MISSING_FIELD, where, "role", "is required");
    if (!role_of(parts.role, role))
        return fail_member(err, RZ_BAD_FIELD, where, "role", "must be one of system, user, assistant, tool");
    if (is_null(parts.content))
        return fail_member(err, RZ_MISSING_FIELD, where, "content", "is required");
    if (rz_json_kind(parts.content) != '"')
        return fail_member(err, RZ_BAD_FIELD, where, "content", "must be a string");
    return RZ_OK;
}

rz_rc_t rz_message_decode(rz_str_t bytes, const char *where, rz_message_t *out, rz_err_t *err)
{
    static const char *const opaque[] = { "content_parts", "image_ocr", "tool_calls",
                                          "metadata",      "reasoning", NULL };
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_message_t){ 0 };
    if (bytes.n > RZ_SESSION_MAX)
        return rz_fail_field(err, RZ_TOO_LARGE, "message", "at most %zu bytes", RZ_SESSION_MAX);
    rz_rc_t rc = message_check(bytes, where, &out->role, err);
    if (rc != RZ_OK)
        return rc;
    rc = rz_object_decode_checked(bytes, opaque, &out->object, err);
    if (rc != RZ_OK)
        return rc;

    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(out->object.tree, "id"));
    out->id = id != NULL && *id != '\0' ? id : NULL;
    out->content = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(out->object.tree, "content"));
    return RZ_OK;
}

void rz_message_fini(rz_message_t *message)
{
    rz_object_fini(&message->object);
    *message = (rz_message_t){ 0 };
}

void rz_message_encode(rz_role_t role, const char *id, rz_str_t content_json, const char *created_at,
                       rz_buf_t *out)
{
    char fresh[RZ_UUID_LEN + 1], now[RZ_RFC3339_LEN + 1];
    if (id == NULL)
        rz_uuid_new(fresh);
    if (created_at == NULL)
        rz_rfc3339_now(now);

    rz_json_open(out, '{');
    rz_json_put_str(out, "id", id != NULL ? id : fresh);
    rz_json_put_str(out, "role", rz_role_name(role));
    rz_json_put_raw(out, "content", content_json);
    if (role == RZ_ROLE_ASSISTANT)
        rz_json_put_str(out, "phase", "final_answer");
    rz_json_put_str(out, "created_at", created_at != NULL ? created_at : now);
    rz_json_close(out, '}');
}

/* ---- sessions ---- */

static rz_rc_t check_messages(rz_session_t *session, const char *where, rz_err_t *err)
{
    if (rz_json_kind(session->messages) != '[')
        return fail_member(err, RZ_BAD_FIELD, where, "messages", "must be an array of messages");

    rz_json_iter_t it = rz_json_iter(session->messages);
    rz_str_t message;
    while (rz_json_next_element(&it, &message)) {
        rz_role_t role;
        if (message_check(message, "", &role, NULL) != RZ_OK) { /* only a bad one is worth a name */
            char inner[WHERE_MAX];
            snprintf(inner, sizeof inner, "%.60smessages[%zu].", where, session->message_count);
            return message_check(message, inner, &role, err);
        }
        session->message_count++;
    }
    return RZ_OK;
}

static void read_metadata(rz_fields_t *f, rz_session_t *out)
{
    out->metadata = rz_field_object(f, "metadata", RZ_DEFAULTED);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, out->metadata)
    {
        char key[WHERE_MAX];
        if (cJSON_IsString(entry))
            continue;
        snprintf(key, sizeof key, "metadata.%.60s", entry->string);
        fail_member(f->err, RZ_BAD_FIELD, f->where, key, "must be a string");
        return;
    }
}

static void read_model_ref(rz_fields_t *f, rz_session_t *out)
{
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%.60smodel_ref.", f->where);
    rz_fields_t inner = { rz_field_object(f, "model_ref", RZ_OPTIONAL), where, f->err };
    if (inner.obj == NULL)
        return;
    out->ref_provider = rz_field_str(&inner, "provider", RZ_REQUIRED, RZ_NAME_MAX);
    out->ref_model = rz_field_str(&inner, "model", RZ_REQUIRED, RZ_NAME_MAX);
}

static void read_header(rz_fields_t *f, rz_session_t *out)
{
    out->id = rz_field_id(f, "id", RZ_REQUIRED);
    out->parent = rz_field_id(f, "parent_session_id", RZ_OPTIONAL);
    out->kind = (rz_session_kind_t)rz_field_enum(f, "kind", RZ_DEFAULTED, kind_names, RZ_SESSION_ROOT);
    out->title = rz_field_str(f, "title", RZ_DEFAULTED, TITLE_MAX);
    out->model = rz_field_str(f, "model", RZ_DEFAULTED, RZ_NAME_MAX);
    out->workspace = rz_field_str(f, "workspace", RZ_OPTIONAL, PATH_LENGTH);
    read_model_ref(f, out);
    read_metadata(f, out);
    rz_field_u64(f, "rev", RZ_OPTIONAL, 0, 0, REV_MAX); /* the store's own counts; this one is only judged */
    if (out->title == NULL)
        out->title = "";
    if (out->model == NULL)
        out->model = "";
}

static rz_rc_t session_decode(rz_str_t bytes, const char *where, bool with_messages, rz_session_t *out,
                              rz_err_t *err)
{
    /* Opaque to us and possibly large: they stay bytes, so that no tree is built for them. */
    static const char *const raw_keys[] = { "messages",
                                            "task_list",
                                            "agent_runtime_state",
                                            "compression_events",
                                            "prompt_snapshot",
                                            "conversation_summary",
                                            NULL };
    char owner[WHERE_MAX];
    owner_of(where, "session", owner);
    *out = (rz_session_t){ 0 };
    if (bytes.n > RZ_SESSION_MAX)
        return rz_fail_field(err, RZ_TOO_LARGE, owner, "at most %zu bytes, these are %zu", RZ_SESSION_MAX,
                             bytes.n);
    if (rz_json_kind(bytes) != '{')
        return rz_fail_field(err, RZ_BAD_FIELD, owner, "must be an object");
    rz_rc_t rc = rz_object_decode_checked(bytes, raw_keys, &out->object, err);
    if (rc != RZ_OK)
        return rc;

    rz_fields_t f = { out->object.tree, where, err };
    read_header(&f, out);
    out->messages = out->object.raw[0];
    if (err->rc == RZ_OK && !is_null(out->messages))
        check_messages(out, where, err);
    else if (with_messages && err->rc == RZ_OK)
        fail_member(err, RZ_MISSING_FIELD, where, "messages", "is required");
    if (err->rc != RZ_OK)
        rz_session_fini(out);
    return err->rc;
}

rz_rc_t rz_session_decode(rz_str_t bytes, const char *where, rz_session_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    return session_decode(bytes, where, true, out, err != NULL ? err : &own);
}

rz_rc_t rz_session_header_decode(rz_str_t bytes, rz_session_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    return session_decode(bytes, "", false, out, err != NULL ? err : &own);
}

void rz_session_fini(rz_session_t *session)
{
    rz_object_fini(&session->object);
    *session = (rz_session_t){ 0 };
}

const char *rz_session_meta(const rz_session_t *session, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(session->metadata, key));
}

/* ---- split and join ---- */

/* Copies members as they were written, escapes and numbers included, except those named in `without`. */
static void copy_members(rz_str_t object, const char *const *without, rz_buf_t *out)
{
    rz_json_iter_t it = rz_json_iter(object);
    rz_str_t key, value;
    while (rz_json_next_member(&it, &key, &value))
        if (!key_among(key, without))
            rz_json_put_member(out, key, value);
}

/* Upstream requires both moments; a producer may leave them to us. */
static void put_missing_moments(rz_str_t session, rz_buf_t *header)
{
    static const char *const moments[] = { "created_at", "updated_at", NULL };
    char now[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(now);
    for (const char *const *key = moments; *key != NULL; key++)
        if (rz_json_member(session, *key).n == 0)
            rz_json_put_str(header, *key, now);
}

void rz_session_split(rz_str_t bytes, rz_buf_t *header)
{
    static const char *const not_header[] = { "messages", "rev", NULL };
    rz_json_open(header, '{');
    rz_json_iter_t it = rz_json_iter(bytes);
    rz_str_t key, value;
    while (rz_json_next_member(&it, &key, &value)) {
        if (key_among(key, not_header))
            continue;
        if (!key_is(key, "metadata")) {
            rz_json_put_member(header, key, value);
            continue;
        }
        rz_json_open_key(header, "metadata", '{');
        copy_members(value, store_keys, header);
        rz_json_close(header, '}');
    }
    put_missing_moments(bytes, header);
    rz_json_close(header, '}');
}

static void join_metadata(rz_str_t metadata, const rz_session_state_t *state, rz_buf_t *out)
{
    if (metadata.n == 0 && state->last_run_status == NULL && state->last_run_error == NULL)
        return;
    rz_json_open_key(out, "metadata", '{');
    copy_members(metadata, store_keys, out);
    rz_json_opt_str(out, "last_run_status", state->last_run_status);
    rz_json_opt_str(out, "last_run_error", state->last_run_error);
    rz_json_close(out, '}');
}

void rz_session_join(rz_str_t header, rz_str_t messages_array, const rz_session_state_t *state, rz_buf_t *out)
{
    const char *const written_here[] = { "metadata", "messages", "rev", state->model != NULL ? "model" : NULL,
                                         NULL };
    rz_json_open(out, '{');
    copy_members(header, written_here, out);
    rz_json_opt_str(out, "model", state->model);
    join_metadata(rz_json_member(header, "metadata"), state, out);
    rz_json_put_raw(out, "messages", messages_array.n > 0 ? messages_array : RZ_STR("[]"));
    if (state->rev != 0)
        rz_json_put_u64(out, "rev", state->rev);
    rz_json_close(out, '}');
}

/* ---- what a session says about its run ---- */

rz_str_t rz_session_assignment(rz_str_t header, rz_str_t messages_array)
{
    rz_str_t found = { NULL, 0 }, message;
    rz_json_iter_t it = rz_json_iter(messages_array);
    while (rz_json_next_element(&it, &message))
        if (rz_json_is(rz_json_member(message, "role"), "user"))
            found = rz_json_member(message, "content");
    if (rz_json_kind(found) == '"')
        return found;

    rz_str_t title = rz_json_member(rz_json_member(header, "metadata"), "title");
    return rz_json_kind(title) == '"' ? title : RZ_STR("\"Execute task\"");
}

void rz_session_affinity(const rz_session_t *session, char out[RZ_DIGEST_LEN + 1])
{
    const char *role = rz_session_meta(session, "subagent_type");
    const char *provider =
        session->ref_provider != NULL ? session->ref_provider : rz_session_meta(session, "provider_name");

    rz_digest_t *digest = rz_digest_create();
    rz_digest_add_text(digest, role != NULL ? role : "worker");
    rz_digest_add_text(digest, provider);
    rz_digest_add_text(digest, session->ref_model);
    rz_digest_add_text(digest, session->workspace);
    rz_digest_add_text(digest, rz_session_meta(session, "external.permission_profile"));
    rz_digest_hex(&digest, out);
}
