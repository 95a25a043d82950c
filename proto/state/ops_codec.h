/* ops_codec.h - how the C side of an operation is written on the wire to rhizome.lua: arguments out, packed
 * activations and assignments in. For the ops_*.c files only. */
#pragma once

#include "state/ops.h"

/* ---- arguments: positional, in the order that the comment above the Lua function gives ---- */
typedef struct {
    rz_str_t *v;
    char (*number)[24]; /* text of numbers, one slot for each possible argument */
    size_t n, max;
} rz_args_t;

void rz_args_init(rz_args_t *args, size_t max);
void rz_args_text(rz_args_t *args, const char *text); /* NULL: "" */
void rz_args_str(rz_args_t *args, rz_str_t bytes);    /* lent until rz_args_call */
void rz_args_u64(rz_args_t *args, uint64_t number);
void rz_args_call(rz_args_t *args, rz_store_t *store, const char *op, rz_store_fn fn, void *arg); /* takes */

/* ---- activations ---- */
#define RZ_ACT_FIELDS        4 /* child, a, error, progress */
#define RZ_ASSIGNMENT_FIELDS 6 /* child, a, j, previous_error, header, messages */

typedef struct {
    rz_act_t act;
    const char *token;
    uint64_t rev;
    char *text; /* what the texts of act point into */
} rz_packed_t;

/* From RZ_ACT_FIELDS fields; with fewer, or for a text that is no packed activation, an empty one and false.
 * End with rz_packed_fini() in any case. */
bool rz_packed_read(rz_packed_t *out, const rz_str_t *fields, size_t n);
void rz_packed_fini(rz_packed_t *packed);

typedef struct {
    rz_packed_t packed;
    rz_assignment_t assignment; /* header and messages point into the reply */
    char *facts;
} rz_assigned_t;
bool rz_assigned_read(rz_assigned_t *out, const rz_str_t *fields, size_t n);
void rz_assigned_fini(rz_assigned_t *assigned);

uint64_t rz_field_number(const rz_reply_t *reply, size_t i); /* 0 when absent */
char *rz_field_text(const rz_reply_t *reply, size_t i);      /* gives; "" when absent */

/* ---- who waits for the answer: one allocation an operation, freed by the answer ---- */
typedef struct {
    union {
        rz_submit_fn submit;
        rz_claim_fn claim;
        rz_done_fn done;
        rz_cancel_fn cancel;
        rz_act_fn act;
        rz_whose_fn whose;
        rz_sync_fn sync;
        void (*reap)(rz_rc_t rc, uint64_t left, void *arg);
        rz_incarnations_fn incarnations;
        rz_session_fn session;
        rz_list_fn list;
        rz_replay_fn replay;
        rz_classes_fn classes;
        rz_wait_fn wait;
        rz_tick_fn tick;
        rz_explain_fn explain;
        rz_groups_fn groups;
        rz_backlog_fn backlog;
    } fn;
    void *arg;
} rz_waiter_t;
rz_waiter_t *rz_waiter(void *arg);
/* rz_store_fn for operations that answer a code only; arg: a waiter with fn.done, which may be NULL. */
void rz_on_done(rz_rc_t rc, const rz_reply_t *reply, void *arg);
/* rz_store_fn for operations that answer an activation; arg: a waiter with fn.act. */
void rz_on_act(rz_rc_t rc, const rz_reply_t *reply, void *arg);
