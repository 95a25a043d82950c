/* session.h - Session and Message (rule 7).
 *
 * A session is split once, where it enters: a header (every member but `messages`, `rev` and the run-state
 * metadata keys that the store owns) and the messages, each kept as the bytes it came in. rz_session_join()
 * puts them together again. */
#pragma once

#include "base/id.h"
#include "base/json.h"
#include "base/limits.h"

typedef enum { RZ_ROLE_SYSTEM, RZ_ROLE_USER, RZ_ROLE_ASSISTANT, RZ_ROLE_TOOL, RZ_ROLES } rz_role_t;
const char *rz_role_name(rz_role_t role);

typedef struct {
    const char *id;      /* NULL when absent                   */
    rz_role_t role;      /* required                           */
    const char *content; /* required, may be ""                */
    rz_object_t object;  /* owns the strings                   */
} rz_message_t;
/* `where` prefixes field names in failures ("message.", "session.messages[3]."). bytes: checked JSON. */
rz_rc_t rz_message_decode(rz_str_t bytes, const char *where, rz_message_t *out, rz_err_t *err);
void rz_message_fini(rz_message_t *message);
/* {"id":...,"role":...,"content":...,"phase":...,"created_at":...}. id NULL: a fresh UUID; created_at NULL:
 * now; phase "final_answer" for the assistant role, else omitted. `content` is one raw JSON string. Appends.
 */
void rz_message_encode(rz_role_t role, const char *id, rz_str_t content_json, const char *created_at,
                       rz_buf_t *out);

typedef enum { RZ_SESSION_ROOT, RZ_SESSION_CHILD } rz_session_kind_t;

typedef struct {
    const char *id;         /* required                                                             */
    const char *parent;     /* parent_session_id; NULL                                              */
    rz_session_kind_t kind; /* default root (rule 7.2)                                              */
    const char *title;      /* "" default                                                           */
    const char *model;      /* "" default                                                           */
    const char *ref_provider, *ref_model; /* model_ref, NULL when absent */
    const char *workspace; /* NULL                                                                 */
    const cJSON *metadata; /* object of strings, NULL when absent                                  */
    rz_str_t messages;     /* raw array                                                            */
    size_t message_count;
    rz_object_t object;
} rz_session_t;

/* bytes: checked JSON, a whole session. Every message is checked (role, content). `where`: "session." or "".
 */
rz_rc_t rz_session_decode(rz_str_t bytes, const char *where, rz_session_t *out, rz_err_t *err);
/* The same for a header as rz_session_split() made it: `messages` may be absent. */
rz_rc_t rz_session_header_decode(rz_str_t bytes, rz_session_t *out, rz_err_t *err);
void rz_session_fini(rz_session_t *session);
/* metadata[key], or NULL. Lent. */
const char *rz_session_meta(const rz_session_t *session, const char *key);

/* Header bytes of a checked session: its members verbatim and in order, without `messages`, `rev`, and
 * without metadata.last_run_status, .last_run_error and .pending_injected_messages. Appends. */
void rz_session_split(rz_str_t bytes, rz_buf_t *header);
/* What the store knows of a session besides its header and messages; NULL and 0: nothing, and omitted. */
typedef struct {
    const char *last_run_status, *last_run_error;
    const char *model; /* of the latest job: it replaces the header's (rule 8.3) */
    uint64_t rev;
} rz_session_state_t;
/* The reverse: header + messages array + state. Appends. */
void rz_session_join(rz_str_t header, rz_str_t messages_array, const rz_session_state_t *state,
                     rz_buf_t *out);

/* Raw JSON string of the assignment (rule 4.1): content of the last user message, else metadata.title, else
 * "Execute task". Lent by the inputs or static. */
rz_str_t rz_session_assignment(rz_str_t header, rz_str_t messages_array);
/* Affinity part that comes from the session: digest over role (metadata.subagent_type, else "worker"),
 * provider (model_ref.provider, else metadata.provider_name), model_ref.model, workspace,
 * metadata["external.permission_profile"]. */
void rz_session_affinity(const rz_session_t *session, char out[RZ_DIGEST_LEN + 1]);
