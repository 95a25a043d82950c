/* waiters.c - see waiters.h. */
#include "waiters.h"

#include "base/timer.h"

#include <czmq.h>

struct waiter {
    waiters_t *waiters;
    struct waiter *next, *prev; /* others of the same child */
    char *child, *job;
    rz_timer_t *timer; /* NULL: no limit */
    waiter_fn fn;
    void *arg;
    unsigned asking; /* questions to the store under way: the memory must stay */
    bool expired;    /* the next answer is the last                            */
    bool done;
};

struct waiters {
    uv_loop_t *loop;
    rz_store_t *store;
    zhashx_t *by_child; /* child -> first waiter of its chain */
    size_t count;
};

waiters_t *waiters_create(uv_loop_t *loop, rz_store_t *store)
{
    waiters_t *waiters = rz_alloc(sizeof *waiters);
    waiters->loop = loop;
    waiters->store = store;
    waiters->by_child = zhashx_new();
    return waiters;
}

void waiters_destroy(waiters_t **waiters)
{
    if (*waiters == NULL)
        return;
    zhashx_destroy(&(*waiters)->by_child);
    rz_free(*waiters);
    *waiters = NULL;
}

/* ---- the chains ---- */

static void chain_add(waiters_t *waiters, waiter_t *waiter)
{
    waiter->next = zhashx_lookup(waiters->by_child, waiter->child);
    if (waiter->next != NULL)
        waiter->next->prev = waiter;
    zhashx_update(waiters->by_child, waiter->child, waiter);
    waiters->count++;
}

static void chain_remove(waiters_t *waiters, waiter_t *waiter)
{
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else if (waiter->next != NULL)
        zhashx_update(waiters->by_child, waiter->child, waiter->next);
    else
        zhashx_delete(waiters->by_child, waiter->child);
    waiters->count--;
}

/* ---- one waiter ---- */

static void waiter_free_if_unused(waiter_t *waiter)
{
    if (!waiter->done || waiter->asking > 0)
        return;
    rz_free(waiter->child);
    rz_free(waiter->job);
    rz_free(waiter);
}

/* From here on it is in no chain; its memory stays while the store is being asked. */
static void leave(waiter_t *waiter)
{
    waiter->done = true;
    chain_remove(waiter->waiters, waiter);
    if (waiter->timer != NULL)
        rz_timer_close(&waiter->timer);
}

static void resolve(waiter_t *waiter, rz_rc_t rc, const rz_act_t *act)
{
    leave(waiter);
    waiter->fn(rc, act, waiter->arg);
}

/* The store being away is no answer: it will be asked again when it is back, or the time is over. */
static bool is_outage(rz_rc_t rc)
{
    return rc == RZ_UNAVAILABLE || rc == RZ_UNKNOWN;
}

static void judge(waiter_t *waiter, rz_rc_t rc, const rz_act_t *act)
{
    bool told = rc == RZ_OK;
    if (told && act->state == RZ_ACT_TERMINAL)
        resolve(waiter, RZ_OK, act);
    else if (!told && !is_outage(rc))
        resolve(waiter, rc, NULL);
    else if (waiter->expired)
        resolve(waiter, RZ_EXPIRED, told ? act : NULL);
}

static void on_answer(rz_rc_t rc, const rz_act_t *act, void *arg)
{
    waiter_t *waiter = arg;
    waiter->asking--;
    if (!waiter->done)
        judge(waiter, rc, act);
    waiter_free_if_unused(waiter);
}

static void ask(waiter_t *waiter)
{
    waiter->asking++;
    rz_op_get(waiter->waiters->store, waiter->child, waiter->job, on_answer, waiter);
}

static void on_timeout(void *arg)
{
    waiter_t *waiter = arg;
    waiter->expired = true;
    ask(waiter);
}

/* ---- all of them ---- */

waiter_t *waiters_add(waiters_t *waiters, const char *child, const char *job, uint64_t timeout_ms,
                      waiter_fn fn, void *arg)
{
    waiter_t *waiter = rz_alloc(sizeof *waiter);
    *waiter = (waiter_t){
        .waiters = waiters, .child = rz_strdup(child), .job = rz_strdup(job), .fn = fn, .arg = arg
    };
    chain_add(waiters, waiter);
    if (timeout_ms > 0) {
        waiter->timer = rz_timer_open(waiters->loop, on_timeout, waiter);
        rz_timer_start(waiter->timer, timeout_ms, 0);
    }
    ask(waiter);
    return waiter;
}

void waiters_leave(waiter_t *waiter)
{
    leave(waiter);
    waiter_free_if_unused(waiter);
}

void waiters_poke(waiters_t *waiters, const char *child)
{
    for (waiter_t *waiter = zhashx_lookup(waiters->by_child, child); waiter != NULL; waiter = waiter->next)
        ask(waiter);
}

void waiters_poke_all(waiters_t *waiters)
{
    for (waiter_t *first = zhashx_first(waiters->by_child); first != NULL;
         first = zhashx_next(waiters->by_child))
        for (waiter_t *waiter = first; waiter != NULL; waiter = waiter->next)
            ask(waiter);
}

void waiters_stop(waiters_t *waiters)
{
    for (waiter_t *waiter; (waiter = zhashx_first(waiters->by_child)) != NULL;) {
        resolve(waiter, RZ_UNAVAILABLE, NULL);
        waiter_free_if_unused(waiter);
    }
}

size_t waiters_count(const waiters_t *waiters)
{
    return waiters->count;
}
