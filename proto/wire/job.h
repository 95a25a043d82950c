/* job.h - a spawn job: one request to activate a child session (rule 8.1).
 *
 *   {"parent_session_id":"root-7","child_session_id":"ch-41","model":"m","disabled_tools":["Bash"],
 *    "session":{...},"message":{...},"job_id":"j-1","tenant":"acme",
 *    "require":{"profile":"echo","labels":["gpu"]},"max_attempts":1,"max_queue_secs":600,"priority":"normal",
 *    "traceparent":"00-..."}
 *
 * Only the two session ids are required. Unknown members are ignored (rule 0.3). Shapes are stricter than
 * upstream in one way: ids follow the id rule. */
#pragma once

#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

typedef enum { RZ_PRIORITY_HIGH, RZ_PRIORITY_NORMAL, RZ_PRIORITY_LOW, RZ_PRIORITIES } rz_priority_t;
const char *rz_priority_name(rz_priority_t priority); /* "high" "normal" "low" */

typedef struct {
    const char *parent, *child;  /* required                                               */
    const char *model;           /* "" when absent, as upstream always sends it             */
    const char *job_id;          /* NULL: no de-duplication                                */
    const char *tenant;          /* NULL when absent                                       */
    const char *traceparent;     /* W3C trace context, NULL when absent                    */
    const char *profile;         /* require.profile, an id, NULL when absent               */
    const cJSON *labels;         /* require.labels: array of ids, NULL when absent         */
    const cJSON *disabled_tools; /* array of strings; NULL when absent, which differs from []: rule 1.2 */
    bool has_queue_limit;        /* max_queue_secs was said                                */
    uint64_t max_queue_secs;     /* 0..31536000, 0 = may wait for ever                     */
    uint32_t max_attempts;       /* 1..100, default 1                                      */
    rz_priority_t priority;      /* default normal                                         */
    rz_str_t session;            /* raw JSON object, empty span when absent; checked by rz_session_decode */
    rz_str_t message;            /* raw JSON object, empty when absent; checked by rz_message_decode      */
    rz_object_t object;          /* owns the strings                                       */
} rz_job_t;

/* `bytes` must outlive the job: session and message point into it. Checks session and message too (their
 * failures name "session.…", "message.…"); session.id must equal child_session_id and, if given,
 * session.parent_session_id the parent. RZ_TOO_LARGE: the job without its session is above RZ_JOB_MAX, or the
 * session above RZ_SESSION_MAX. End with rz_job_fini() after RZ_OK. */
rz_rc_t rz_job_decode(const char *bytes, size_t len, rz_job_t *out, rz_err_t *err);
rz_rc_t rz_job_decode_checked(rz_str_t bytes, rz_job_t *out,
                              rz_err_t *err); /* bytes: part of a checked text */
void rz_job_fini(rz_job_t *job);
/* Canonical bytes: members in the order of the struct, absent and default ones omitted. Appends. */
void rz_job_encode(const rz_job_t *job, rz_buf_t *out);
/* SHA-256 over the decoded fields in fixed order (parent, child, job_id, tenant, model, tools, profile,
 * labels, attempts, priority, max_queue_secs if said, session bytes, message bytes), without traceparent: two jobs with one digest
 * are the same job. */
void rz_job_digest(const rz_job_t *job, char out[RZ_DIGEST_LEN + 1]);
/* What the queue sorts by: "<labels sorted, comma separated>" ("" for none). Appends. */
void rz_job_labels(const rz_job_t *job, rz_buf_t *out);
/* Affinity part that comes from the job: digest over tenant, model, sorted tools. */
void rz_job_affinity(const rz_job_t *job, char out[RZ_DIGEST_LEN + 1]);
