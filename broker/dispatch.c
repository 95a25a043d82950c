/* dispatch.c - see dispatch.h. */
#include "dispatch.h"

#include <string.h>

/* A claim throws away the leftovers of cancels that it meets, some hundreds at most, and may then come back
 * empty although somebody waits behind them: it is worth repeating, but not for ever. */
#define EMPTY_CLAIMS_MAX 64

typedef struct {
    char *profile, *labels;
    bool waiting;
    bool claiming;  /* a claim of this class is under way                                */
    unsigned empty; /* claims in a row that brought nothing although something waits        */
    bool held;      /* failed, or too many empty ones: not again before the store is asked  */
} class_t;

struct dispatch {
    class_t *class; /* only those that wait or are being claimed */
    size_t n, cap;
    size_t turn; /* where the next search begins */
};

dispatch_t *dispatch_create(void)
{
    return rz_alloc(sizeof(dispatch_t));
}

static void class_drop(dispatch_t *dispatch, size_t i)
{
    rz_free(dispatch->class[i].profile);
    rz_free(dispatch->class[i].labels);
    dispatch->class[i] = dispatch->class[--dispatch->n];
}

void dispatch_destroy(dispatch_t **dispatch)
{
    if (*dispatch == NULL)
        return;
    while ((*dispatch)->n > 0)
        class_drop(*dispatch, 0);
    rz_free((*dispatch)->class);
    rz_free(*dispatch);
    *dispatch = NULL;
}

static class_t *class_find(const dispatch_t *dispatch, const char *profile, const char *labels)
{
    for (size_t i = 0; i < dispatch->n; i++)
        if (strcmp(dispatch->class[i].profile, profile) == 0 &&
            strcmp(dispatch->class[i].labels, labels) == 0)
            return &dispatch->class[i];
    return NULL;
}

static class_t *class_add(dispatch_t *dispatch, const char *profile, const char *labels)
{
    if (dispatch->n == dispatch->cap) {
        dispatch->cap = dispatch->cap == 0 ? 8 : 2 * dispatch->cap;
        dispatch->class = rz_realloc(dispatch->class, dispatch->cap * sizeof(class_t));
    }
    class_t *class = &dispatch->class[dispatch->n++];
    *class = (class_t){ .profile = rz_strdup(profile), .labels = rz_strdup(labels) };
    return class;
}

void dispatch_waiting(dispatch_t *dispatch, const char *profile, const char *labels)
{
    class_t *class = class_find(dispatch, profile, labels);
    if (class == NULL)
        class = class_add(dispatch, profile, labels);
    class->waiting = true;
}

bool dispatch_waits(const dispatch_t *dispatch, const char *profile, const char *labels)
{
    const class_t *class = class_find(dispatch, profile, labels);
    return class != NULL && class->waiting;
}

size_t dispatch_classes(const dispatch_t *dispatch)
{
    size_t waiting = 0;
    for (size_t i = 0; i < dispatch->n; i++)
        waiting += dispatch->class[i].waiting;
    return waiting;
}

/* ---- planning a claim ---- */

static bool plan_fill(plan_t *plan, const class_t *class, roster_t *roster)
{
    runner_t *runner[PLAN_RUNNERS_MAX];
    *plan =
        (plan_t){ .n = roster_candidates(roster, class->profile, class->labels, runner, PLAN_RUNNERS_MAX) };
    uint64_t room = 0;
    for (size_t i = 0; i < plan->n; i++) {
        uint64_t share = runner_free(runner[i]);
        if (share > RZ_BATCH_ITEMS_MAX)
            share = RZ_BATCH_ITEMS_MAX;
        runner_reserve(runner[i], share);
        plan->seat[i].serial = runner[i]->serial;
        plan->seat[i].reserved = share;
        plan->candidate[i] =
            (rz_candidate_t){ .owner = runner[i]->incarnation,
                              .room = (unsigned)share,
                              .idle = runner[i]->idle_text.data != NULL ? runner[i]->idle_text.data : "" };
        room += share;
    }
    plan->max = (unsigned)(room < RZ_BATCH_ITEMS_MAX ? room : RZ_BATCH_ITEMS_MAX);
    return plan->n > 0;
}

bool dispatch_next(dispatch_t *dispatch, roster_t *roster, plan_t *plan)
{
    if (dispatch->n == 0 || !roster_has_credit(roster))
        return false;
    for (size_t step = 0; step < dispatch->n; step++) {
        class_t *class = &dispatch->class[(dispatch->turn + step) % dispatch->n];
        if (!class->waiting || class->claiming || class->held || !plan_fill(plan, class, roster))
            continue;
        plan->profile = rz_strdup(class->profile);
        plan->labels = rz_strdup(class->labels);
        class->claiming = true;
        dispatch->turn = (dispatch->turn + step + 1) % dispatch->n;
        return true;
    }
    return false;
}

void dispatch_claimed(dispatch_t *dispatch, roster_t *roster, const plan_t *plan, rz_rc_t rc, size_t got,
                      uint64_t left)
{
    for (size_t i = 0; i < plan->n; i++) {
        runner_t *runner = roster_by_serial(roster, plan->seat[i].serial);
        if (runner != NULL)
            runner_unreserve(runner, plan->seat[i].reserved);
    }
    class_t *class = class_find(dispatch, plan->profile, plan->labels);
    if (class == NULL)
        return;
    class->claiming = false;
    class->waiting = rc != RZ_OK || left > 0;
    class->empty = got == 0 ? class->empty + 1 : 0;
    class->held = rc != RZ_OK || class->empty >= EMPTY_CLAIMS_MAX;
    if (!class->waiting)
        class_drop(dispatch, (size_t)(class - dispatch->class));
}

void plan_fini(plan_t *plan)
{
    rz_free(plan->profile);
    rz_free(plan->labels);
    *plan = (plan_t){ 0 };
}

/* ---- the store's word ---- */

void dispatch_seen(dispatch_t *dispatch, const rz_class_t *classes, size_t n)
{
    for (size_t i = 0; i < dispatch->n; i++) {
        class_t *class = &dispatch->class[i];
        class->held = false;
        class->empty = 0;
        class->waiting = class->claiming; /* its own answer is on the way and newer than this */
    }
    for (size_t i = 0; i < n; i++)
        if (classes[i].waiting > 0)
            dispatch_waiting(dispatch, classes[i].profile, classes[i].labels);
    for (size_t i = dispatch->n; i-- > 0;)
        if (!dispatch->class[i].waiting)
            class_drop(dispatch, i);
}
