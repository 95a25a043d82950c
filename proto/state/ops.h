/* ops.h - the store operations as C calls: one struct in, one struct out. What each does to the keys is
 * written above its function in rhizome.lua; this header is what a caller needs.
 *
 * All requests are copied before the call returns; all results are lent until the callback returns. A NULL
 * text in a request means "none". In a result, texts are "" when none. `rc` is RZ_OK unless the comment of
 * the op lists others; any op can also end RZ_UNKNOWN, RZ_UNAVAILABLE or RZ_INTERNAL (logged where it
 * happens). */
#pragma once

#include "state/store.h"

/* queued -> assigned -> running -> terminal */
typedef enum { RZ_ACT_NONE, RZ_ACT_QUEUED, RZ_ACT_ASSIGNED, RZ_ACT_RUNNING, RZ_ACT_TERMINAL } rz_act_state_t;
const char *rz_act_state_name(rz_act_state_t state); /* "none" "queued" ... */

/* What the store knows of one child's latest activation. */
typedef struct {
    rz_act_state_t state;
    const char *child, *parent, *job, *owner; /* owner: incarnation */
    const char *labels, *profile; /* capability class                                                  */
    const char *status, *error;   /* last_run_status, last_run_error                                   */
    uint64_t epoch, activation;   /* activation: how many submits this child has seen                  */
    uint64_t attempt, max_attempts;
    uint64_t submitted_ms; /* wall clock, shown only                                            */
    bool cancelled;        /* a cancel is stored                                                */
    bool cancel_now;       /* and it is one without grace                                       */
    const char *progress;  /* get, list: what its runner last said of this epoch, a JSON object (rule 6.6) */
} rz_act_t;

/* An activation that now belongs to `owner`: everything its runner needs. Bytes are lent. */
typedef struct {
    const char *child, *parent, *job, *owner, *token, *profile, *labels, *affinity, *model, *disabled_tools,
        *tenant, *traceparent, *previous_error; /* disabled_tools: JSON array text or "" */
    uint64_t epoch, attempt, max_attempts;
    bool cancelled;
    bool live;       /* its runner said that it began: given again, not to be begun                        */
    rz_str_t header; /* session header JSON                                                               */
    rz_str_t messages; /* one JSON array                                                                    */
} rz_assignment_t;

/* ---- submit: store session and activation, queue it, and claim it in the same step if `owner` is given and
 * nothing of its class waits.
 *   RZ_OK               accepted: act, and the assignment if claimed
 *   RZ_DUPLICATE        same (parent, child, job_id) and digest: act of that job
 *   RZ_CONFLICT         same job_id with another digest, or the child belongs to another parent (act.parent) or tenant:
 *                       what it has of the two it keeps
 *   RZ_ALREADY_RUNNING  act
 *   RZ_FULL             queue_max reached, or Redis is at its maxmemory
 *   RZ_NOT_FOUND        no session given and none stored
 *   RZ_TOO_LARGE        the session would pass RZ_SESSION_MAX
 *   RZ_BAD_FIELD        profile or labels hold a space or '/', or a text holds a newline */
typedef struct {
    const char *parent, *child, *job, *digest, *tenant, *model, *disabled_tools, *traceparent;
    const char *profile; /* NULL: the stored session's, see session_profile                              */
    const char *labels;  /* "" or "a,b" sorted                                                            */
    const char *job_affinity;
    unsigned priority, max_attempts;
    uint64_t queue_max;
    rz_str_t header; /* a whole session: header + messages; empty: use the stored one                */
    const rz_str_t *messages; /* raw message objects */
    size_t message_count;
    const char *session_affinity; /* with header */
    const char *session_profile;  /* with header: resolved by routing ("local-actor")  */
    rz_str_t append;       /* one more message, raw object; empty: none                                    */
    uint64_t max_queue_ms; /* it ends `timeout` when nobody took it for so long; 0: never            */
    const char *doom;      /* it can never run: it is stored and ends `error` with this text at once */
    bool own;              /* a known child must have this parent and tenant: else RZ_CONFLICT, no act */
    const char *owner, *token; /* NULL: queue only */
} rz_submit_t;
typedef struct {
    rz_act_t act;
    bool claimed;
    rz_assignment_t assignment;
} rz_submit_result_t;
typedef void (*rz_submit_fn)(rz_rc_t rc, const rz_submit_result_t *result, void *arg);
void rz_op_submit(rz_store_t *store, const rz_submit_t *request, rz_submit_fn fn, void *arg);

/* ---- claim: take up to `max` queued activations of one class for runners with free slots. Each goes to the
 * first candidate that has an idle worker of its affinity key, else to the first with room; candidates in
 * order of preference. Cancelled leftovers are skipped. left: what still waits in the class. */
typedef struct {
    const char *owner;
    unsigned room;
    const char *idle; /* "key=n key=n", space separated, "" for none */
} rz_candidate_t;
typedef struct {
    const char *profile, *labels;
    unsigned max; /* 1..RZ_BATCH_ITEMS_MAX; as many tokens */
    const rz_candidate_t *candidates;
    size_t candidate_count;
    const char (*tokens)[33];
} rz_claim_t;
typedef void (*rz_claim_fn)(rz_rc_t rc, const rz_assignment_t *assignments, size_t n, uint64_t left,
                            void *arg);
void rz_op_claim(rz_store_t *store, const rz_claim_t *request, rz_claim_fn fn, void *arg);
/* Fetches again what `owner` owns already (a lost assign): RZ_FENCED if it does not. */
void rz_op_reassign(rz_store_t *store, const char *child, const char *owner, rz_claim_fn fn, void *arg);

/* ---- start, append, finish: writes of the owner; `events` are durable ones to log, ascending seq, each an
 * event header and an event. RZ_FENCED: wrong token or epoch (nothing was written). RZ_ENDED: it had ended.
 * An event that is already logged is skipped, so all three can be repeated. */
typedef struct {
    uint64_t seq;
    rz_str_t header, event;
} rz_log_item_t;
typedef struct {
    const char *child, *token;
    uint64_t epoch;
    const rz_log_item_t *events;
    size_t event_count;
} rz_write_t;
typedef void (*rz_done_fn)(rz_rc_t rc, void *arg);
/* last_run_status=running, last_run_error removed. RZ_OK again when it runs already. */
void rz_op_start(rz_store_t *store, const rz_write_t *request, rz_done_fn fn, void *arg);
void rz_op_append(rz_store_t *store, const rz_write_t *request, rz_done_fn fn, void *arg);
/* The end: terminal state, `reply` (assistant message, raw, may be empty) appended, then every pending
 * steering message exactly once, status and error, a `completions` entry, the owner's set shrinks.
 * RZ_DUPLICATE: this very finish was committed before (same token, status and error): treat as OK. Another
 * end under the same token is RZ_FENCED. */
void rz_op_finish(rz_store_t *store, const rz_write_t *request, const char *status, const char *error,
                  rz_str_t reply, rz_done_fn fn, void *arg);
/* Give back what never started (assigned -> queued, at the front of its parent's list). RZ_STATE: it runs
 * already. rerun: it may have started, and begins anew as its next attempt, with `reason` as previous_error; RZ_STATE:
 * it has no attempt left. */
void rz_op_release(rz_store_t *store, const char *child, uint64_t epoch, const char *token,
                   const char *reason, bool rerun, rz_done_fn fn, void *arg);

/* ---- cancel: a queued activation ends `cancelled` at once (ended = true: its completion is written and
 * broadcast); a live one is marked and its owner told. `now` is stored as well and stays: a later gentle
 * cancel does not soften it. RZ_ENDED: it had ended (act.status). RZ_NOT_FOUND. Repeating changes nothing.
 * tree: the caller goes on to its children. Until it is run anew, whatever is submitted or retried as a child of it ends
 * `cancelled` in that step, and so do theirs; then this holds for an ended one too. tenant: of jobs of this one; NULL: of all. */
typedef struct {
    bool now, tree;
    const char *tenant;
} rz_cancel_how_t;
typedef struct {
    rz_act_t act;
    bool ended; /* by this call */
} rz_cancel_result_t;
typedef void (*rz_cancel_fn)(rz_rc_t rc, const rz_cancel_result_t *result, void *arg);
void rz_op_cancel(rz_store_t *store, const char *child, const char *reason, rz_cancel_how_t how,
                  rz_cancel_fn fn, void *arg);

/* ---- steer: store one steering message (raw user message object with its id). It enters the session when
 * the activation is claimed or ends, or at once if none lives (act.state terminal or none). A repeated id changes nothing
 * (RZ_DUPLICATE). */
typedef void (*rz_act_fn)(rz_rc_t rc, const rz_act_t *act, void *arg);
void rz_op_steer(rz_store_t *store, const char *child, const char *id, rz_str_t message, rz_act_fn fn,
                 void *arg);
/* Its runner, the incarnation `owner`, wrote it to the worker: sync does not carry it again. RZ_FENCED: another owns the child. */
void rz_op_steered(rz_store_t *store, const char *child, const char *id, const char *owner, rz_done_fn fn,
                   void *arg);

/* ---- doom: a queued activation that can never run, as only its stored session showed, ends `error` with
 * this text. RZ_STATE: it is not queued any more, or a later one is (act). RZ_NOT_FOUND. */
void rz_op_doom(rz_store_t *store, const char *child, uint64_t activation, const char *text, rz_act_fn fn,
                void *arg);

/* ---- retry: one more activation of an ended child, with the job facts of its latest one and the session as
 * it is now. RZ_NOT_FOUND: no such child, or it was never run; RZ_ALREADY_RUNNING; RZ_FULL. */
void rz_op_retry(rz_store_t *store, const char *child, uint64_t queue_max, rz_act_fn fn, void *arg);

/* ---- waits of a parent on children (rule 8.8) ----
 * wait_register: re-reads the children, so none that ended before is missed; a child that is not known yet
 * counts as not ended. When it is satisfied (at once, or by a later end) exactly one `wait_satisfied` goes to
 * `completions` and is broadcast; when `timeout_ms` pass first, one `wait_expired`. RZ_FULL: 64 waits on one of the
 * children are open.
 *   RZ_OK         result.state "waiting" or "satisfied"
 *   RZ_DUPLICATE  this id was registered with the same content: its state now
 *   RZ_CONFLICT   or with another content
 * wait_get: RZ_NOT_FOUND; tenant: also if it is on children of others; NULL: whosever they are. */
typedef struct {
    const char *parent, *id, *wait_for; /* "all" "any" "first_error" */
    const char *const *children;
    size_t child_count;
    uint64_t timeout_ms; /* 0: six hours */
} rz_wait_t;
typedef struct {
    const char *child, *status; /* status: of its end, "" while it has none */
} rz_waited_t;
typedef struct {
    const char *state; /* "waiting" "satisfied" "expired" */
    const char *wait_for;
    const char *by; /* the child whose end satisfied it, "" */
    const rz_waited_t *children;
    size_t child_count;
} rz_wait_result_t;
typedef void (*rz_wait_fn)(rz_rc_t rc, const rz_wait_result_t *result, void *arg);
void rz_op_wait_register(rz_store_t *store, const rz_wait_t *request, rz_wait_fn fn, void *arg);
void rz_op_wait_get(rz_store_t *store, const char *parent, const char *id, const char *tenant, rz_wait_fn fn,
                    void *arg);

/* ---- tick: the store's own time and what becomes due by it. The store counts milliseconds during which a
 * broker with a healthy link watched (`elapsed_ms` of the caller's monotonic clock since the tick it saw), so
 * no wall clock decides and time stands still while nobody could have acted. One call does a bounded step of
 * everything that is due: queue deadlines, waits, retention, completions. more: call again at once.
 * Whoever ticks is known as a broker that lives, until it has not for ten seconds of that time; places: JSON
 * object that tells others where it is. */
typedef struct {
    uint64_t seen, elapsed_ms, retention_ms, tombstone_ms, completions_max;
    const char *places; /* NULL: tells nobody */
} rz_tick_t;
typedef struct {
    const char *name, *places;
} rz_broker_t;
typedef struct {
    uint64_t tick, queue_expired, waits_expired, retired, forgotten;
    bool more;
    const rz_broker_t *brokers; /* that live */
    size_t broker_count;
} rz_tick_result_t;
typedef void (*rz_tick_fn)(rz_rc_t rc, const rz_tick_result_t *result, void *arg);
void rz_op_tick(rz_store_t *store, const rz_tick_t *request, rz_tick_fn fn, void *arg);

/* ---- incarnations: one life of one runner process ----
 * join: registers; an older live incarnation of the same runner name is condemned and released. RZ_DEAD: this
 * one was declared dead before. facts: JSON object shown by `runner list` and kept with the record. */
void rz_op_join(rz_store_t *store, const char *incarnation, const char *runner, const char *facts,
                rz_done_fn fn, void *arg);
/* sync: raises the counter (RZ_DEAD if condemned), stores facts, answers what the owner must know. */
typedef struct {
    const char *child;
    uint64_t epoch;
    rz_str_t progress; /* JSON object */
} rz_progress_t;
typedef struct {
    const char *incarnation, *digest, *facts;
    uint64_t counter;
    const rz_progress_t *progress; /* what changed; kept only for what the incarnation owns */
    size_t progress_count;
} rz_sync_t;
typedef struct {
    const char *child, *id;
    uint64_t epoch;
    rz_str_t message; /* as it was stored */
} rz_unheard_t;
typedef struct {
    const char *const *cancels; /* children with a stored cancel           */
    size_t cancel_count;
    const char *const *cancels_now; /* and those without grace */
    size_t cancel_now_count;
    const rz_unheard_t *unheard; /* steering that no worker has been told of: at most 64, 256 KiB */
    size_t unheard_count;
    bool differs;             /* digest does not match                   */
    const char *const *owned; /* "child epoch", when differs             */
    size_t owned_count;
} rz_sync_result_t;
typedef void (*rz_sync_fn)(rz_rc_t rc, const rz_sync_result_t *result, void *arg);
void rz_op_sync(rz_store_t *store, const rz_sync_t *request, rz_sync_fn fn, void *arg);
/* condemn: dead if the counter still is `counter_seen` (else RZ_STATE). `leave` = the runner said bye: no
 * compare. */
void rz_op_condemn(rz_store_t *store, const char *incarnation, uint64_t counter_seen, bool leave,
                   rz_done_fn fn, void *arg);
/* reap: settle up to 64 activations of a dead incarnation: assigned -> queued; running -> queued if attempts
 * are left, else terminal `error` with "runner lost" (code runner_lost), completion written and broadcast.
 * left: 0 when done. Ends it had committed within its last two syncs are broadcast
 * again, since it may have died before it published them. */
void rz_op_reap(rz_store_t *store, const char *incarnation, void (*fn)(rz_rc_t rc, uint64_t left, void *arg),
                void *arg);
typedef struct {
    const char *incarnation, *runner, *facts;
    uint64_t counter, owned;
    bool dead;
} rz_incarnation_t;
typedef void (*rz_incarnations_fn)(rz_rc_t rc, const rz_incarnation_t *list, size_t n, void *arg);
void rz_op_incarnations(rz_store_t *store, rz_incarnations_fn fn, void *arg);

/* ---- reading ---- */
/* Whose a child is, which does not change any more once it is somebody's. RZ_NOT_FOUND. */
typedef struct {
    const char *parent, *tenant; /* "": it has none */
} rz_whose_t;
typedef void (*rz_whose_fn)(rz_rc_t rc, const rz_whose_t *whose, void *arg);
void rz_op_whose(rz_store_t *store, const char *child, rz_whose_fn fn, void *arg);
void rz_op_get(rz_store_t *store, const char *child, const char *job, rz_act_fn fn,
               void *arg); /* RZ_NOT_FOUND */
typedef struct {
    rz_act_t act;
    rz_str_t header, messages; /* messages: one JSON array */
    uint64_t rev;
    const char *model; /* get: of the latest job, "" */
} rz_session_result_t;
typedef void (*rz_session_fn)(rz_rc_t rc, const rz_session_result_t *result, void *arg);
void rz_op_session_get(rz_store_t *store, const char *child, rz_session_fn fn, void *arg); /* RZ_NOT_FOUND */
/* RZ_CONFLICT: stored rev differs (result.rev). RZ_BUSY: an activation lives. rev 0 = must not exist yet. */
typedef struct {
    const char *child, *parent, *session_affinity, *session_profile;
    rz_str_t header;
    const rz_str_t *messages;
    size_t message_count;
    uint64_t rev;
} rz_session_put_t;
void rz_op_session_put(rz_store_t *store, const rz_session_put_t *request, rz_session_fn fn, void *arg);
/* Newest first. next: give it as `before` for the page that follows; "" when this was the last. A page may
 * hold fewer than `limit`, even none, while next is not empty: filters are applied to at most 2000 a call. */
typedef struct {
    const char *parent; /* NULL: all */
    const char *tenant; /* NULL: all */
    const char *status; /* a status, or a state; NULL: all */
    uint64_t since_ms;  /* submitted at or after, wall clock; 0: all */
    const char *before; /* NULL: the newest */
    unsigned limit;
} rz_list_t;
typedef void (*rz_list_fn)(rz_rc_t rc, const rz_act_t *acts, size_t n, const char *next, void *arg);
void rz_op_list(rz_store_t *store, const rz_list_t *request, rz_list_fn fn, void *arg);
/* What happened to a child and when, oldest first: at least its latest 100 transitions. RZ_NOT_FOUND. */
typedef struct {
    uint64_t at_ms, activation, epoch; /* at_ms: wall clock */
    const char
        *what; /* queued assigned running released requeued cancel steer completed error cancelled ... */
    const char *broker, *runner, *detail; /* "" when none */
} rz_transition_t;
typedef void (*rz_explain_fn)(rz_rc_t rc, const rz_act_t *act, const rz_transition_t *list, size_t n,
                              void *arg);
void rz_op_explain(rz_store_t *store, const char *child, rz_explain_fn fn, void *arg);
/* Reader groups of `completions`. lag: entries they have not been given yet; pending: given, not acknowledged. */
typedef struct {
    const char *name;
    uint64_t consumers, pending, lag;
} rz_group_t;
typedef void (*rz_groups_fn)(rz_rc_t rc, uint64_t entries, const rz_group_t *groups, size_t n, void *arg);
void rz_op_groups(rz_store_t *store, rz_groups_fn fn, void *arg);
/* How many activations wait, and for how long the oldest of them has since its submit, by the wall clock of the store: to
 * be shown. It may be up to a second too low; lower where some dozens of parents wait and jobs themselves say how long
 * they may. */
typedef void (*rz_backlog_fn)(rz_rc_t rc, uint64_t waiting, uint64_t oldest_ms, void *arg);
void rz_op_backlog(rz_store_t *store, rz_backlog_fn fn, void *arg);
/* Logged events from (epoch, seq) on, oldest first. trimmed: how many were logged before first_available. */
typedef struct {
    rz_act_t act;
    const rz_log_item_t *items;
    size_t count;
    const char *first_available, *logged_to; /* "epoch-seq", "" when nothing is logged */
    uint64_t trimmed;
} rz_replay_t;
typedef void (*rz_replay_fn)(rz_rc_t rc, const rz_replay_t *replay, void *arg);
void rz_op_replay(rz_store_t *store, const char *child, uint64_t epoch, uint64_t seq, unsigned limit,
                  rz_replay_fn fn, void *arg);
/* Waiting activations per class: what a broker that starts or has credit again must look at. */
typedef struct {
    const char *profile, *labels;
    uint64_t waiting;
} rz_class_t;
typedef void (*rz_classes_fn)(rz_rc_t rc, const rz_class_t *classes, size_t n, void *arg);
void rz_op_classes(rz_store_t *store, rz_classes_fn fn, void *arg);
/* A broker-made system event for subscribers of every broker (and, for `rejected`, the bounded log). */
void rz_op_broadcast(rz_store_t *store, const char *topic, rz_str_t header, rz_str_t event, bool rejected,
                     rz_done_fn fn, void *arg);
