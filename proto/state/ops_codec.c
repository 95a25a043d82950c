/* ops_codec.c - see ops_codec.h. */
#include "state/ops_codec.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = { "none", "queued", "assigned", "running", "terminal" };

const char *rz_act_state_name(rz_act_state_t state)
{
    return (unsigned)state <= RZ_ACT_TERMINAL ? state_names[state] : "none";
}

static rz_act_state_t state_parse(const char *name)
{
    for (int i = 0; i <= RZ_ACT_TERMINAL; i++)
        if (strcmp(state_names[i], name) == 0)
            return (rz_act_state_t)i;
    return RZ_ACT_NONE;
}

/* ---- arguments ---- */
void rz_args_init(rz_args_t *args, size_t max)
{
    *args = (rz_args_t){ .max = max };
    args->v = rz_alloc(max * sizeof(*args->v));
    args->number = rz_alloc(max * sizeof(*args->number));
}

void rz_args_str(rz_args_t *args, rz_str_t bytes)
{
    assert(args->n < args->max);
    args->v[args->n++] = bytes;
}

void rz_args_text(rz_args_t *args, const char *text)
{
    rz_args_str(args, rz_str(text));
}

void rz_args_u64(rz_args_t *args, uint64_t number)
{
    assert(args->n < args->max);
    char *slot = args->number[args->n];
    (void)snprintf(slot, sizeof(args->number[0]), "%" PRIu64, number);
    rz_args_text(args, slot);
}

void rz_args_call(rz_args_t *args, rz_store_t *store, const char *op, rz_store_fn fn, void *arg)
{
    rz_store_call(store, op, args->v, args->n, fn, arg);
    rz_free(args->v);
    rz_free(args->number);
    *args = (rz_args_t){ 0 };
}

/* ---- packed activations ---- */
enum { /* as in rhizome.lua */
       STATE,
       ACTIVATION,
       EPOCH,
       TOKEN,
       OWNER,
       PROFILE,
       LABELS,
       PRIORITY,
       PARENT,
       ATTEMPT,
       ATTEMPTS,
       JOB,
       CANCELLED,
       SUBMITTED,
       LOGGED,
       STATUS,
       REV,
       SIZE,
       STEERS,
       QUEUE,
       WORDS
};

/* Cuts `text` at its spaces; "-" becomes "". True if there are exactly WORDS words, or one less: library 1.0 wrote no
 * QUEUE. */
static bool cut(char *text, const char *word[WORDS])
{
    char *at = text;
    size_t n = 0;
    while (at != NULL && n < WORDS) {
        char *space = strchr(at, ' ');
        if (space != NULL)
            *space++ = '\0';
        word[n++] = strcmp(at, "-") == 0 ? "" : at;
        at = space;
    }
    if (n == WORDS - 1)
        word[n++] = "0";
    return n == WORDS && at == NULL;
}

static uint64_t word_number(const char *word)
{
    return strtoull(word, NULL, 10);
}

static void packed_fill(rz_packed_t *out, const char *child, const char *const word[WORDS], const char *error,
                        const char *progress)
{
    out->token = word[TOKEN];
    out->rev = word_number(word[REV]);
    out->act = (rz_act_t){
        .state = state_parse(word[STATE]),
        .child = child,
        .parent = word[PARENT],
        .job = word[JOB],
        .owner = word[OWNER],
        .labels = word[LABELS],
        .profile = word[PROFILE],
        .status = word[STATUS],
        .error = error,
        .epoch = word_number(word[EPOCH]),
        .activation = word_number(word[ACTIVATION]),
        .attempt = word_number(word[ATTEMPT]),
        .max_attempts = word_number(word[ATTEMPTS]),
        .submitted_ms = word_number(word[SUBMITTED]),
        .cancelled = strcmp(word[CANCELLED], "0") != 0,
        .cancel_now = strcmp(word[CANCELLED], "2") == 0,
        .progress = progress,
    };
}

static void packed_empty(rz_packed_t *out)
{
    *out = (rz_packed_t){ .token = "",
                          .act = { .child = "",
                                   .parent = "",
                                   .job = "",
                                   .owner = "",
                                   .labels = "",
                                   .profile = "",
                                   .status = "",
                                   .error = "",
                                   .progress = "" } };
}

bool rz_packed_read(rz_packed_t *out, const rz_str_t *fields, size_t n)
{
    packed_empty(out);
    if (n < RZ_ACT_FIELDS)
        return false;
    size_t size = 0, at[RZ_ACT_FIELDS];
    for (size_t i = 0; i < RZ_ACT_FIELDS; i++) {
        at[i] = size;
        size += fields[i].n + 1;
    }
    char *text = rz_alloc(size);
    for (size_t i = 0; i < RZ_ACT_FIELDS; i++)
        if (fields[i].n != 0)
            memcpy(text + at[i], fields[i].p, fields[i].n);
    const char *word[WORDS];
    if (!cut(text + at[1], word)) {
        rz_free(text);
        return false;
    }
    packed_fill(out, text + at[0], word, text + at[2], text + at[3]);
    out->text = text;
    return true;
}

void rz_packed_fini(rz_packed_t *packed)
{
    rz_free(packed->text);
    packed_empty(packed);
    packed->text = NULL;
}

/* ---- assignments ---- */
enum { AFFINITY, MODEL, TOOLS, TENANT, TRACEPARENT, FACTS };

static bool cut_facts(char *text, const char *fact[FACTS])
{
    for (size_t i = 0; i < FACTS; i++) {
        if (text == NULL)
            return false;
        fact[i] = text;
        text = strchr(text, '\n');
        if (text != NULL)
            *text++ = '\0';
    }
    return true;
}

bool rz_assigned_read(rz_assigned_t *out, const rz_str_t *fields, size_t n)
{
    *out = (rz_assigned_t){ 0 };
    if (n < RZ_ASSIGNMENT_FIELDS) {
        packed_empty(&out->packed);
        return false;
    }
    /* previous_error takes the place that the error has in an activation */
    const rz_str_t act_fields[RZ_ACT_FIELDS] = { fields[0], fields[1], fields[3], { "", 0 } };
    const char *fact[FACTS];
    out->facts = rz_strndup(fields[2].p, fields[2].n);
    if (!rz_packed_read(&out->packed, act_fields, RZ_ACT_FIELDS) || !cut_facts(out->facts, fact))
        return false;
    const rz_act_t *act = &out->packed.act;
    out->assignment = (rz_assignment_t){
        .child = act->child,
        .parent = act->parent,
        .job = act->job,
        .owner = act->owner,
        .token = out->packed.token,
        .profile = act->profile,
        .labels = act->labels,
        .affinity = fact[AFFINITY],
        .model = fact[MODEL],
        .disabled_tools = fact[TOOLS],
        .tenant = fact[TENANT],
        .traceparent = fact[TRACEPARENT],
        .previous_error = act->error,
        .epoch = act->epoch,
        .attempt = act->attempt,
        .max_attempts = act->max_attempts,
        .cancelled = act->cancelled,
        .live = act->state == RZ_ACT_RUNNING,
        .header = fields[4],
        .messages = fields[5],
    };
    out->packed.act.error = "";
    return true;
}

void rz_assigned_fini(rz_assigned_t *assigned)
{
    rz_packed_fini(&assigned->packed);
    rz_free(assigned->facts);
    assigned->facts = NULL;
}

/* ---- fields ---- */
char *rz_field_text(const rz_reply_t *reply, size_t i)
{
    return i < reply->n ? rz_strndup(reply->field[i].p, reply->field[i].n) : rz_strdup("");
}

uint64_t rz_field_number(const rz_reply_t *reply, size_t i)
{
    char text[24] = "";
    if (i < reply->n && reply->field[i].n < sizeof(text))
        memcpy(text, reply->field[i].p, reply->field[i].n);
    return strtoull(text, NULL, 10);
}

/* ---- waiters ---- */
rz_waiter_t *rz_waiter(void *arg)
{
    rz_waiter_t *waiter = rz_alloc(sizeof(*waiter));
    waiter->arg = arg;
    return waiter;
}

void rz_on_done(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    (void)reply;
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    if (waiter.fn.done != NULL)
        waiter.fn.done(rc, waiter.arg);
}

void rz_on_act(rz_rc_t rc, const rz_reply_t *reply, void *arg)
{
    rz_waiter_t waiter = *(rz_waiter_t *)arg;
    rz_free(arg);
    rz_packed_t packed;
    (void)rz_packed_read(&packed, reply->field, reply->n);
    if (waiter.fn.act != NULL)
        waiter.fn.act(rc, &packed.act, waiter.arg);
    rz_packed_fini(&packed);
}
