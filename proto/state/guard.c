/* guard.c - see guard.h. */
#include "state/guard.h"

#include "base/clock.h"
#include "base/log.h"
#include "state/quorum.h"

#include <inttypes.h>
#include <stdio.h>

struct rz_guard {
    rz_channel_t *channel;
    rz_guard_fn fn;
    void *arg;
    rz_store_mark_t mark;
    unsigned replicas;
    rz_quorum_t quorum;
    rz_probe_t round, seen;
    size_t next;        /* the reply that is expected next */
    uint64_t asking_ms; /* 0: no round is under way */
    unsigned in_flight; /* commands: the memory stays until the last came back */
    unsigned number;    /* of the round: answers to an earlier one are not taken */
    bool destroyed;
};

typedef struct {
    rz_guard_t *guard;
    unsigned number;
} question_t;

static void ask(rz_guard_t *guard, int argc, const char *const *argv, rz_channel_fn fn)
{
    question_t *question = rz_alloc(sizeof *question);
    *question = (question_t){ guard, guard->number };
    if (rz_channel_send(guard->channel, argc, (const char **)argv, NULL, fn, question))
        guard->in_flight++;
    else
        rz_free(question);
}

/* The guard a reply is for; NULL if nobody waits for it any more. Ends the question. */
static rz_guard_t *answered(void *arg, const redisReply *reply)
{
    question_t question = *(question_t *)arg;
    rz_guard_t *guard = question.guard;
    rz_free(arg);
    guard->in_flight--;
    if (guard->destroyed) {
        if (guard->in_flight == 0)
            rz_free(guard);
        return NULL;
    }
    return reply != NULL && guard->asking_ms != 0 && question.number == guard->number ? guard : NULL;
}

static void end_round(rz_guard_t *guard, rz_rc_t rc, const char *why)
{
    guard->asking_ms = 0;
    guard->seen = guard->round;
    if (rc == RZ_OK)
        rz_mark_take(&guard->mark, &guard->seen.facts);
    guard->fn(rc, why, guard->arg); /* last: it may destroy the guard */
}

/* Raised, by us or by another broker at the same time: what it is now, the next round sees. */
static void on_term(const redisReply *reply, void *arg)
{
    rz_guard_t *guard = answered(arg, reply);
    if (guard == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        end_round(guard, RZ_UNAVAILABLE, reply->str);
        return;
    }
    rz_log_info("store.term", "id=%s term=%lld lineage=%s", guard->round.facts.id,
                reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1, guard->round.facts.replid);
    rz_guard_ask(guard);
}

static void raise_term(rz_guard_t *guard)
{
    rz_term_command_t command;
    rz_term_command(&guard->mark, &guard->round.facts, &command);
    ask(guard, RZ_TERM_ARGC, command.argv, on_term);
}

static void on_told(const redisReply *reply, void *arg)
{
    rz_guard_t *guard = answered(arg, reply);
    if (guard == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        rz_log_warn("store.refusal_unwritten", "error=%s", reply->str);
    end_round(guard, RZ_BAD_STORE, guard->round.problem);
}

/* An older library knows no refusal: then each broker goes by what it remembers itself. */
static void tell_others(rz_guard_t *guard)
{
    const rz_probe_t *round = &guard->round;
    const char *const refuse[] = { "FCALL",         "rz1_refuse",    "1",
                                   RZ_STORE_PREFIX, round->facts.id, round->problem };
    ask(guard, 6, refuse, on_told);
}

/* Of replicas that must confirm, one that has left may be the primary by now. */
static rz_rc_t check_quorum(rz_guard_t *guard)
{
    rz_probe_t *round = &guard->round;
    unsigned known = 0;
    if (guard->replicas == 0 || !rz_channel_replicas(guard->channel, &known))
        return RZ_OK;
    if (rz_quorum_take(&guard->quorum, known, round->online, rz_now_ms()))
        return RZ_OK;
    (void)snprintf(round->problem, sizeof round->problem,
                   "%u of %u replicas are in step, and one that left may be the primary by now: nothing is "
                   "confirmed before the sentinels had time to say so",
                   round->online, guard->quorum.believed);
    return RZ_UNAVAILABLE;
}

static void on_answer(const redisReply *reply, void *arg)
{
    rz_guard_t *guard = answered(arg, reply);
    if (guard == NULL)
        return;
    rz_probe_take(&guard->round, guard->next++, reply);
    if (guard->next < RZ_PROBES)
        return;
    rz_rc_t rc = rz_probe_verdict(&guard->round, &guard->mark);
    if (rc == RZ_UNAVAILABLE && guard->round.online < guard->replicas)
        rz_quorum_forget(&guard->quorum);
    if ((rc == RZ_OK || rc == RZ_STATE) && check_quorum(guard) != RZ_OK)
        rc = RZ_UNAVAILABLE;
    if (rc == RZ_STATE)
        raise_term(guard);
    else if (rc == RZ_BAD_STORE && rz_mark_tells_others(&guard->mark, &guard->round.facts))
        tell_others(guard);
    else
        end_round(guard, rc, guard->round.problem);
}

rz_guard_t *rz_guard_create(rz_channel_t *channel, const rz_store_options_t *options, rz_guard_fn fn,
                            void *arg)
{
    rz_guard_t *guard = rz_alloc(sizeof *guard);
    guard->channel = channel;
    guard->fn = fn;
    guard->arg = arg;
    guard->replicas = options->replicas;
    if (options->mark != NULL)
        guard->mark = *options->mark;
    return guard;
}

void rz_guard_destroy(rz_guard_t **guard_ref)
{
    rz_guard_t *guard = *guard_ref;
    if (guard == NULL)
        return;
    *guard_ref = NULL;
    guard->destroyed = true;
    if (guard->in_flight == 0)
        rz_free(guard);
}

void rz_guard_ask(rz_guard_t *guard)
{
    rz_probe_init(&guard->round, guard->replicas);
    guard->next = 0;
    guard->number++;
    guard->asking_ms = rz_now_ms();
    for (size_t i = 0; i < RZ_PROBES; i++)
        ask(guard, rz_probe_command[i].argc, rz_probe_command[i].argv, on_answer);
}

void rz_guard_lost(rz_guard_t *guard)
{
    guard->asking_ms = 0;
}

uint64_t rz_guard_asking_ms(const rz_guard_t *guard)
{
    return guard->asking_ms;
}

const rz_probe_t *rz_guard_seen(const rz_guard_t *guard)
{
    return &guard->seen;
}

const rz_store_mark_t *rz_guard_mark(const rz_guard_t *guard)
{
    return &guard->mark;
}
