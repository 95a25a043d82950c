/* intake.c - see intake.h. */
#include "intake.h"

#include "base/clock.h"
#include "pending.h"
#include "wire/routing.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* ---- session ---- */

static rz_rc_t check_profile(const rz_agents_t *agents, const char *profile, const char *field, rz_err_t *err)
{
    if (!rz_id_valid(rz_str(profile)))
        return rz_fail_field(err, RZ_BAD_FIELD, field,
                             "names no agent profile that can be served: \"%.128s\"", profile);
    const rz_agent_t *agent = rz_agents_find(agents, profile);
    if (agent != NULL && agent->protocol == RZ_AGENT_A2A)
        return rz_fail_field(err, RZ_NOT_SERVED, field,
                             "agent profile %s speaks a2a_jsonrpc, which is not served yet", profile);
    return RZ_OK;
}

/* Adds `key` to the object in header unless it is there. */
static void fill_in(rz_buf_t *header, const char *key, const char *text)
{
    if (rz_json_member(rz_buf_str(header), key).n > 0)
        return;
    header->len--; /* the closing brace: the writer below places the comma and closes again */
    rz_json_put_str(header, key, text);
    rz_json_close(header, '}');
}

/* array: `n` of them, and it stays. */
static void add_messages(rz_str_t array, size_t n, intake_session_t *out)
{
    out->messages = rz_realloc(out->messages, (out->message_count + n + 1) * sizeof *out->messages);
    rz_json_iter_t it = rz_json_iter(array);
    while (n-- > 0 && rz_json_next_element(&it, &out->messages[out->message_count]))
        out->message_count++;
}

static void split(rz_str_t raw, const rz_session_t *session, intake_session_t *out)
{
    char now[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(now);
    rz_session_split(raw, &out->header);
    fill_in(&out->header, "created_at", now);
    fill_in(&out->header, "updated_at", now);

    add_messages(session->messages, session->message_count, out);
    add_messages(rz_buf_str(&out->pending), out->pending_count, out);
}

/* A route may name nobody, or what can be no profile: then nobody is asked. */
static void take_profile(const rz_agents_t *agents, const rz_session_t *session, intake_session_t *out)
{
    out->profile = out->profile_text;
    if (session->kind != RZ_SESSION_CHILD)
        return; /* nobody runs it */
    const char *profile = rz_routing_profile(agents, session);
    if (rz_agents_find(agents, profile) == NULL)
        rz_routing_unmatched(*profile != '\0' ? profile : NULL, rz_session_meta(session, "external.protocol"),
                             &out->unmatched);
    out->pinned = rz_session_meta(session, "external.agent_id") != NULL;
    bool usable = out->pinned || rz_id_valid(rz_str(profile));
    snprintf(out->profile_text, sizeof out->profile_text, "%s", usable ? profile : "");
}

static rz_rc_t take_session(const rz_agents_t *agents, rz_str_t raw, const char *where, bool must_be_child,
                            const rz_session_t *session, intake_session_t *out, rz_err_t *err)
{
    char field[64];
    if (must_be_child && session->kind != RZ_SESSION_CHILD) {
        snprintf(field, sizeof field, "%skind", where);
        return rz_fail_field(err, RZ_BAD_FIELD, field, NOT_A_CHILD);
    }
    rz_rc_t rc = pending_messages(session, where, &out->pending, &out->pending_count, err);
    if (rc != RZ_OK)
        return rc;
    take_profile(agents, session, out);
    snprintf(out->id, sizeof out->id, "%s", session->id);
    snprintf(out->parent, sizeof out->parent, "%s", session->parent == NULL ? "" : session->parent);
    rz_session_affinity(session, out->affinity);
    split(raw, session, out);
    return RZ_OK;
}

rz_rc_t intake_session_decode(const intake_rules_t *rules, rz_str_t raw, const char *where,
                              bool must_be_child, intake_session_t *out, rz_err_t *err)
{
    rz_session_t session;
    *out = (intake_session_t){ .profile = "" };
    if (raw.n > rules->session_max)
        return rz_fail_field(err, RZ_TOO_LARGE, "session", "at most %zu bytes, this one has %zu",
                             rules->session_max, raw.n);
    rz_rc_t rc = rz_session_decode(raw, where, &session, err);
    if (rc != RZ_OK)
        return rc;
    rc = take_session(rules->agents, raw, where, must_be_child, &session, out, err);
    rz_session_fini(&session);
    if (rc != RZ_OK)
        intake_session_fini(out);
    return rc;
}

void intake_session_fini(intake_session_t *session)
{
    rz_buf_fini(&session->header);
    rz_buf_fini(&session->unmatched);
    rz_buf_fini(&session->pending);
    rz_free(session->messages);
    *session = (intake_session_t){ 0 };
}

/* ---- job ---- */

static void put_tools(const cJSON *tools, rz_buf_t *out)
{
    if (tools == NULL)
        return;
    const cJSON *item;
    rz_json_open(out, '[');
    cJSON_ArrayForEach(item, tools) rz_json_put_str(out, NULL, item->valuestring);
    rz_json_close(out, ']');
}

/* As `submit` of the store does: SHA-1 over profile, session part and job part. */
static void combine_affinity(intake_t *intake)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char parts[RZ_ID_MAX + 2 * RZ_DIGEST_LEN + 2];
    unsigned length = 0;
    int n = snprintf(parts, sizeof parts, "%s %s%s", intake->profile, intake->session.affinity,
                     intake->job_affinity);
    EVP_Digest(parts, (size_t)n, sum, &length, EVP_sha1(), NULL);
    for (unsigned i = 0; i < length && i < 20; i++)
        snprintf(intake->affinity + (size_t)i * 2, 3, "%02x", sum[i]);
}

static rz_rc_t resolve_profile(const rz_agents_t *agents, intake_t *intake, rz_err_t *err)
{
    if (intake->job.profile != NULL) {
        intake->profile = intake->job.profile;
        return check_profile(agents, intake->profile, "require.profile", err);
    }
    if (intake->job.session.n == 0)
        return RZ_OK;
    intake->profile = intake->session.profile;
    intake->doom = intake->session.unmatched.data;
    if (*intake->profile == '\0' && !intake->session.pinned)
        return RZ_OK;
    return check_profile(agents, intake->profile, "session.metadata", err);
}

static rz_rc_t fill(const intake_rules_t *rules, intake_t *intake, rz_err_t *err)
{
    const rz_job_t *job = &intake->job;
    if (intake->bytes - job->session.n > rules->job_max)
        return rz_fail(err, RZ_TOO_LARGE, "a spawn job without its session has at most %zu bytes",
                       rules->job_max);
    if (job->session.n > 0 &&
        intake_session_decode(rules, job->session, "session.", true, &intake->session, err) != RZ_OK)
        return err->rc;
    if (resolve_profile(rules->agents, intake, err) != RZ_OK)
        return err->rc;
    rz_job_digest(job, intake->digest);
    rz_job_affinity(job, intake->job_affinity);
    rz_job_labels(job, &intake->labels);
    put_tools(job->disabled_tools, &intake->tools);
    if (job->session.n > 0)
        combine_affinity(intake);
    return RZ_OK;
}

static const char *text_of(const rz_buf_t *buf)
{
    return buf->data == NULL ? "" : buf->data;
}

static uint64_t queue_limit_ms(const intake_rules_t *rules, const rz_job_t *job)
{
    return job->has_queue_limit ? job->max_queue_secs * 1000 : rules->max_queue_ms;
}

static void build_submit(const intake_rules_t *rules, intake_t *intake)
{
    const rz_job_t *job = &intake->job;
    const intake_session_t *session = &intake->session;
    intake->submit = (rz_submit_t){
        .parent = job->parent,
        .child = job->child,
        .job = job->job_id,
        .digest = intake->digest,
        .tenant = job->tenant,
        .model = job->model,
        .disabled_tools = intake->tools.len > 0 ? intake->tools.data : NULL,
        .traceparent = job->traceparent,
        .profile = job->profile,
        .labels = text_of(&intake->labels),
        .job_affinity = intake->job_affinity,
        .priority = (unsigned)job->priority,
        .max_attempts = job->max_attempts,
        .header = rz_buf_str(&session->header),
        .messages = session->messages,
        .message_count = session->message_count,
        .session_affinity = session->header.len > 0 ? session->affinity : NULL,
        .session_profile = session->header.len > 0 ? session->profile : NULL,
        .append = job->message,
        .max_queue_ms = queue_limit_ms(rules, job),
    };
}

/* So that a refusal can say whose job it was, although it could not be decoded. */
static void read_who(rz_str_t bytes, bool checked, intake_who_t *who)
{
    if (!checked && rz_json_check(bytes.p, bytes.n, RZ_JOB_MAX + RZ_SESSION_MAX, NULL) != RZ_OK)
        return;
    rz_str_t value[] = { rz_json_member(bytes, "parent_session_id"),
                         rz_json_member(bytes, "child_session_id"), rz_json_member(bytes, "job_id") };
    char *out[] = { who->parent, who->child, who->job };
    for (size_t i = 0; i < 3; i++) {
        rz_buf_t text = { 0 };
        if (rz_json_unescape(value[i], &text) && rz_id_valid(rz_buf_str(&text)))
            memcpy(out[i], text.data, text.len + 1);
        rz_buf_fini(&text);
    }
}

rz_rc_t intake_decode(const intake_rules_t *rules, rz_str_t bytes, bool checked, intake_t *out,
                      intake_who_t *who, rz_err_t *err)
{
    *out = (intake_t){ .bytes = bytes.n };
    *who = (intake_who_t){ 0 };
    rz_rc_t rc = checked ? rz_job_decode_checked(bytes, &out->job, err)
                         : rz_job_decode(bytes.p, bytes.n, &out->job, err);
    if (rc == RZ_OK) {
        rc = fill(rules, out, err);
        if (rc == RZ_OK) {
            build_submit(rules, out);
            return RZ_OK;
        }
        intake_fini(out);
    }
    read_who(bytes, checked, who);
    return rc;
}

void intake_fini(intake_t *intake)
{
    intake_session_fini(&intake->session);
    rz_buf_fini(&intake->labels);
    rz_buf_fini(&intake->tools);
    rz_job_fini(&intake->job);
    *intake = (intake_t){ 0 };
}

void intake_whose(const intake_t *intake, intake_who_t *out)
{
    snprintf(out->parent, sizeof out->parent, "%s", intake->job.parent);
    snprintf(out->child, sizeof out->child, "%s", intake->job.child);
    snprintf(out->job, sizeof out->job, "%s", intake->job.job_id != NULL ? intake->job.job_id : "");
}

void intake_unrunnable(rz_str_t header, const char *profile, rz_buf_t *out)
{
    rz_session_t session;
    if (rz_session_header_decode(header, &session, NULL) != RZ_OK) {
        rz_routing_unmatched(*profile != '\0' ? profile : NULL, NULL, out);
        return;
    }
    if (session.kind != RZ_SESSION_CHILD)
        rz_buf_puts(out, NOT_A_CHILD);
    else
        rz_routing_unmatched(*profile != '\0' ? profile : NULL,
                             rz_session_meta(&session, "external.protocol"), out);
    rz_session_fini(&session);
}

const char *intake_verdict(rz_rc_t rc, const rz_err_t *err)
{
    if (rc == RZ_NOT_FOUND)
        return CHILD_NOT_FOUND;
    bool of_kind =
        rc == RZ_BAD_FIELD && strcmp(err->field, "session.kind") == 0; /* a text may quote anything */
    return of_kind && strstr(err->text, NOT_A_CHILD) != NULL ? NOT_A_CHILD : NULL;
}
