/* job.c - spawn jobs. Lists of names are sets: their order and repetitions carry no meaning. */
#include "wire/job.h"

#include "wire/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX   100
#define QUEUE_SECS_MAX 31536000 /* a year */

static const char *const priority_names[] = { "high", "normal", "low", NULL };
enum { RAW_SESSION, RAW_MESSAGE };
static const char *const raw_keys[] = { "session", "message", NULL };

const char *rz_priority_name(rz_priority_t priority)
{
    return priority_names[priority];
}

/* ---- sets of names ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct texts of a list in byte order; *n of them, lent by the list. The caller frees the array. */
static const char **sorted_names(const cJSON *list, size_t *n)
{
    size_t count = 0;
    const char **names = rz_alloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof *names);
    const cJSON *item;
    cJSON_ArrayForEach(item, list) names[count++] = item->valuestring;
    qsort(names, count, sizeof *names, by_text);

    *n = 0;
    for (size_t i = 0; i < count; i++)
        if (*n == 0 || strcmp(names[*n - 1], names[i]) != 0)
            names[(*n)++] = names[i];
    return names;
}

/* As JSON text, so that ["a,b"] and ["a","b"] differ; no list at all differs from an empty one. */
static void digest_add_set(rz_digest_t *digest, const cJSON *list)
{
    if (list == NULL) {
        rz_digest_add(digest, NULL, 0);
        return;
    }
    size_t n;
    const char **names = sorted_names(list, &n);
    rz_buf_t text = { 0 };
    rz_json_open(&text, '[');
    for (size_t i = 0; i < n; i++)
        rz_json_put_str(&text, NULL, names[i]);
    rz_json_close(&text, ']');
    rz_digest_add(digest, text.data, text.len);
    rz_buf_fini(&text);
    rz_free(names);
}

/* ---- decoding ---- */

/* A requirement that nobody looks at would be a promise that nobody keeps. */
static void refuse_others(const cJSON *require, rz_err_t *err)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, require)
    {
        char field[64];
        snprintf(field, sizeof field, "require.%.40s", member->string);
        if (strcmp(member->string, "profile") != 0 && strcmp(member->string, "labels") != 0)
            rz_fail_field(err, RZ_BAD_FIELD, field, "cannot be required, allowed: profile, labels");
    }
}

static void read_require(rz_fields_t *f, rz_job_t *out)
{
    rz_fields_t inner = { rz_field_object(f, "require", RZ_OPTIONAL), "require.", f->err };
    if (inner.obj == NULL)
        return;
    out->profile = rz_field_id(&inner, "profile", RZ_OPTIONAL);
    out->labels = rz_field_ids(&inner, "labels", RZ_OPTIONAL);
    refuse_others(inner.obj, f->err);
}

static void read_queue_limit(rz_fields_t *f, rz_job_t *out)
{
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(f->obj, "max_queue_secs");
    out->has_queue_limit = limit != NULL && !cJSON_IsNull(limit);
    out->max_queue_secs = rz_field_u64(f, "max_queue_secs", RZ_OPTIONAL, 0, 0, QUEUE_SECS_MAX);
}

static void read_fields(rz_fields_t *f, rz_job_t *out)
{
    out->parent = rz_field_id(f, "parent_session_id", RZ_REQUIRED);
    out->child = rz_field_id(f, "child_session_id", RZ_REQUIRED);
    out->model = rz_field_str(f, "model", RZ_DEFAULTED, RZ_NAME_MAX);
    out->job_id = rz_field_id(f, "job_id", RZ_OPTIONAL);
    out->tenant = rz_field_id(f, "tenant", RZ_OPTIONAL);
    out->traceparent = rz_field_str(f, "traceparent", RZ_OPTIONAL, RZ_NAME_MAX);
    read_require(f, out);
    out->disabled_tools = rz_field_strings(f, "disabled_tools", RZ_OPTIONAL, RZ_NAME_MAX);
    out->max_attempts = (uint32_t)rz_field_u64(f, "max_attempts", RZ_DEFAULTED, 1, 1, ATTEMPTS_MAX);
    read_queue_limit(f, out);
    out->priority =
        (rz_priority_t)rz_field_enum(f, "priority", RZ_DEFAULTED, priority_names, RZ_PRIORITY_NORMAL);
    if (out->model == NULL)
        out->model = "";
}

static rz_rc_t check_session(const rz_job_t *job, rz_err_t *err)
{
    rz_session_t session;
    if (job->session.n == 0)
        return RZ_OK;
    if (rz_session_decode(job->session, "session.", &session, err) != RZ_OK)
        return err->rc;
    if (strcmp(session.id, job->child) != 0)
        rz_fail_field(err, RZ_BAD_FIELD, "session.id", "must equal child_session_id");
    if (session.parent != NULL && strcmp(session.parent, job->parent) != 0)
        rz_fail_field(err, RZ_BAD_FIELD, "session.parent_session_id", "must equal parent_session_id");
    rz_session_fini(&session);
    return err->rc;
}

static rz_rc_t check_message(const rz_job_t *job, rz_err_t *err)
{
    rz_message_t message;
    if (job->message.n == 0)
        return RZ_OK;
    if (rz_message_decode(job->message, "message.", &message, err) != RZ_OK)
        return err->rc;
    rz_message_fini(&message);
    return RZ_OK;
}

/* null means absent, as for every optional member. */
static rz_str_t present(rz_str_t raw)
{
    return rz_json_kind(raw) == 'n' ? (rz_str_t){ NULL, 0 } : raw;
}

static rz_rc_t read_job(size_t len, rz_job_t *out, rz_err_t *err)
{
    out->session = present(out->object.raw[RAW_SESSION]);
    out->message = present(out->object.raw[RAW_MESSAGE]);
    if (len - out->session.n > RZ_JOB_MAX)
        rz_fail(err, RZ_TOO_LARGE, "a spawn job without its session has at most %zu bytes", RZ_JOB_MAX);

    rz_fields_t f = { out->object.tree, "", err };
    if (err->rc == RZ_OK)
        read_fields(&f, out);
    if (err->rc == RZ_OK)
        check_session(out, err);
    if (err->rc == RZ_OK)
        check_message(out, err);
    if (err->rc != RZ_OK)
        rz_job_fini(out);
    return err->rc;
}

rz_rc_t rz_job_decode(const char *bytes, size_t len, rz_job_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_job_t){ 0 };
    if (rz_object_decode(bytes, len, RZ_JOB_MAX + RZ_SESSION_MAX, raw_keys, &out->object, err) != RZ_OK)
        return err->rc;
    return read_job(len, out, err);
}

rz_rc_t rz_job_decode_checked(rz_str_t bytes, rz_job_t *out, rz_err_t *err)
{
    rz_err_t own = { 0 };
    err = err != NULL ? err : &own;
    *out = (rz_job_t){ 0 };
    if (rz_object_decode_checked(bytes, raw_keys, &out->object, err) != RZ_OK)
        return err->rc;
    return read_job(bytes.n, out, err);
}

void rz_job_fini(rz_job_t *job)
{
    rz_object_fini(&job->object);
    *job = (rz_job_t){ 0 };
}

/* ---- encoding ---- */

static void put_names(rz_buf_t *out, const char *key, const cJSON *list)
{
    const cJSON *item;
    if (list == NULL)
        return;
    rz_json_open_key(out, key, '[');
    cJSON_ArrayForEach(item, list) rz_json_put_str(out, NULL, item->valuestring);
    rz_json_close(out, ']');
}

static void put_require(const rz_job_t *job, rz_buf_t *out)
{
    if (job->profile == NULL && job->labels == NULL)
        return;
    rz_json_open_key(out, "require", '{');
    rz_json_opt_str(out, "profile", job->profile);
    put_names(out, "labels", job->labels);
    rz_json_close(out, '}');
}

void rz_job_encode(const rz_job_t *job, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "parent_session_id", job->parent);
    rz_json_put_str(out, "child_session_id", job->child);
    if (job->model != NULL && job->model[0] != '\0')
        rz_json_put_str(out, "model", job->model);
    rz_json_opt_str(out, "job_id", job->job_id);
    rz_json_opt_str(out, "tenant", job->tenant);
    rz_json_opt_str(out, "traceparent", job->traceparent);
    put_require(job, out);
    put_names(out, "disabled_tools", job->disabled_tools);
    if (job->max_attempts > 1)
        rz_json_put_u64(out, "max_attempts", job->max_attempts);
    if (job->has_queue_limit)
        rz_json_put_u64(out, "max_queue_secs", job->max_queue_secs);
    if (job->priority != RZ_PRIORITY_NORMAL)
        rz_json_put_str(out, "priority", rz_priority_name(job->priority));
    if (job->session.n > 0)
        rz_json_put_raw(out, "session", job->session);
    if (job->message.n > 0)
        rz_json_put_raw(out, "message", job->message);
    rz_json_close(out, '}');
}

/* ---- identity ---- */

void rz_job_digest(const rz_job_t *job, char out[RZ_DIGEST_LEN + 1])
{
    char attempts[16], queue_limit[24];
    snprintf(attempts, sizeof attempts, "%u", job->max_attempts);
    snprintf(queue_limit, sizeof queue_limit, "%" PRIu64, job->max_queue_secs);

    rz_digest_t *digest = rz_digest_create();
    rz_digest_add_text(digest, job->parent);
    rz_digest_add_text(digest, job->child);
    rz_digest_add_text(digest, job->job_id);
    rz_digest_add_text(digest, job->tenant);
    rz_digest_add_text(digest, job->model);
    digest_add_set(digest, job->disabled_tools);
    rz_digest_add_text(digest, job->profile);
    digest_add_set(digest, job->labels);
    rz_digest_add_text(digest, attempts);
    rz_digest_add_text(digest, rz_priority_name(job->priority));
    if (job->has_queue_limit)
        rz_digest_add_text(digest, queue_limit);
    rz_digest_add(digest, job->session.p, job->session.n);
    rz_digest_add(digest, job->message.p, job->message.n);
    rz_digest_hex(&digest, out);
}

void rz_job_labels(const rz_job_t *job, rz_buf_t *out)
{
    size_t n;
    const char **names = sorted_names(job->labels, &n);
    for (size_t i = 0; i < n; i++)
        rz_buf_printf(out, "%s%s", i > 0 ? "," : "", names[i]);
    rz_free(names);
}

void rz_job_affinity(const rz_job_t *job, char out[RZ_DIGEST_LEN + 1])
{
    rz_digest_t *digest = rz_digest_create();
    rz_digest_add_text(digest, job->tenant);
    rz_digest_add_text(digest, job->model);
    digest_add_set(digest, job->disabled_tools);
    rz_digest_hex(&digest, out);
}
