/* dispatch.h - which class of work may be waiting, and what to claim next.
 *
 * Pure. The store holds the queues; this table only remembers which classes (profile + labels) are believed
 * to have something in them, so that credit and work find each other without asking the store again and
 * again. A class is claimed by one call at a time: `left` in its answer is then exact, because the store
 * answers in the order it was asked, and whatever else becomes free meanwhile goes into the next, larger
 * batch.
 *
 * A belief can be wrong (another broker queued or claimed): dispatch_seen() replaces all beliefs with what
 * the store says, at start and each second. */
#pragma once

#include "roster.h"

#define PLAN_RUNNERS_MAX 32 /* candidates of one claim */

typedef struct dispatch dispatch_t;

/* One claim to make. Its runners' credit is reserved; the texts are lent until the next call on dispatch or
 * roster. */
typedef struct {
    char *profile, *labels; /* owned */
    unsigned max;           /* 1..RZ_BATCH_ITEMS_MAX */
    size_t n;
    struct {
        uint64_t serial;
        uint64_t reserved;
    } seat[PLAN_RUNNERS_MAX];
    rz_candidate_t candidate[PLAN_RUNNERS_MAX];
} plan_t;

dispatch_t *dispatch_create(void);
void dispatch_destroy(dispatch_t **dispatch);

/* Something was queued in the class, or given back to it. */
void dispatch_waiting(dispatch_t *dispatch, const char *profile, const char *labels);
/* True while the class is believed to have waiting work: new work must queue behind it. */
bool dispatch_waits(const dispatch_t *dispatch, const char *profile, const char *labels);
size_t dispatch_classes(const dispatch_t *dispatch); /* believed to wait */

/* Chooses the next claim, classes taking turns, and reserves its credit. False: nothing waits that somebody
 * has credit for. plan_fini() frees the plan after dispatch_claimed(). */
bool dispatch_next(dispatch_t *dispatch, roster_t *roster, plan_t *plan);
/* The claim was answered: gives the reserved credit back (what was assigned is counted by runner_assigned()).
 * `got`: how many activations came; left: what still waits. A claim that failed, or brought nothing too
 * often although something waits, is not repeated before the next dispatch_seen(). */
void dispatch_claimed(dispatch_t *dispatch, roster_t *roster, const plan_t *plan, rz_rc_t rc, size_t got,
                      uint64_t left);
void plan_fini(plan_t *plan);

/* The truth as the store told it. */
void dispatch_seen(dispatch_t *dispatch, const rz_class_t *classes, size_t n);
