/* intake.h - bytes of a spawn job -> a checked, complete submit request. No socket, no store.
 *
 * Used by the `jobs` socket and by control `submit` alike, so both refuse the same things in the same words.
 */
#pragma once

#include "state/ops.h"
#include "wire/agents.h"
#include "wire/job.h"
#include "wire/session.h"

/* What the configuration says about jobs. */
typedef struct {
    const rz_agents_t *agents;   /* routing */
    size_t job_max, session_max; /* bytes; at most RZ_JOB_MAX and RZ_SESSION_MAX */
    uint64_t max_queue_ms;       /* of jobs that say nothing; 0: for ever        */
} intake_rules_t;

/* A session as the store wants it: split into header and messages, its profile resolved. */
typedef struct {
    rz_buf_t header;    /* created_at and updated_at filled in when missing */
    rz_str_t *messages; /* behind those of the session, what was pending */
    size_t message_count;
    rz_buf_t pending; /* owns the latter */
    size_t pending_count;
    const char *profile; /* "": its route names none, or it is no child */
    char profile_text[RZ_NAME_MAX + 1];
    bool pinned;        /* it names its profile itself                                      */
    rz_buf_t unmatched; /* the configuration has no such profile: upstream's words for that */
    char affinity[RZ_DIGEST_LEN + 1];
    char parent[RZ_ID_MAX + 1]; /* "" when none */
    char id[RZ_ID_MAX + 1];
} intake_session_t;

/* raw: checked JSON. must_be_child: a session that is to be run. `where` prefixes field names ("session.").
 */
rz_rc_t intake_session_decode(const intake_rules_t *rules, rz_str_t raw, const char *where,
                              bool must_be_child, intake_session_t *out, rz_err_t *err);
void intake_session_fini(intake_session_t *session);

typedef struct {
    rz_submit_t submit;  /* all texts lent by the rest of this struct and by the input bytes */
    const char *profile; /* what the activation will need; NULL: only the store knows (stored session) */
    char affinity[41];   /* the key as the store will compute it; "": only the store can               */
    const char
        *doom;    /* if no linked runner offers `profile` either, it ends with this text; NULL: it waits */
    size_t bytes; /* of the whole job */
    rz_job_t job;
    intake_session_t session;
    rz_buf_t labels, tools;
    char digest[RZ_DIGEST_LEN + 1], job_affinity[RZ_DIGEST_LEN + 1];
} intake_t;

/* `bytes` must outlive the intake; checked: they are part of a JSON text that was checked before. The queue
 * bound, owner and token of the request are left to the caller. RZ_NOT_SERVED: the profile is a2a_jsonrpc. On
 * RZ_OK end with intake_fini(); on failure `who` still tells parent, child and job when they could be read. */
typedef struct {
    char parent[RZ_ID_MAX + 1], child[RZ_ID_MAX + 1], job[RZ_ID_MAX + 1];
} intake_who_t;
rz_rc_t intake_decode(const intake_rules_t *rules, rz_str_t bytes, bool checked, intake_t *out,
                      intake_who_t *who, rz_err_t *err);
void intake_fini(intake_t *intake);
/* Whose job it is: what a refusal by the store says. */
void intake_whose(const intake_t *intake, intake_who_t *out);

/* Refusals with which upstream ends the child, in its words (rule 8.2). */
#define CHILD_NOT_FOUND "child session not found"
#define NOT_A_CHILD     "spawn job child session is not kind=child"
/* Why nobody runs the stored session with this header, in upstream's words: it is no child, or nobody has its
 * profile ("": it has none). Appends. */
void intake_unrunnable(rz_str_t header, const char *profile, rz_buf_t *out);
/* The words of such a refusal; NULL: it is none. */
const char *intake_verdict(rz_rc_t rc, const rz_err_t *err);
