/* reaper.c - see reaper.h. */
#include "reaper.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/timer.h"
#include "lease.h"

#include <inttypes.h>
#include <stdio.h>

#define LOOK_EVERY_MAX_MS 3000
#define LOOKS_PER_LEASE   5

struct reaper {
    reaper_parts_t part;
    lease_table_t *leases;
    rz_timer_t *timer;
    bool looking; /* rz_op_incarnations is under way */
};

/* One condemn or reap under way. */
typedef struct {
    reaper_t *reaper;
    char incarnation[RZ_ID_MAX + 1];
    bool leaves;
} case_t;

static case_t *case_open(reaper_t *reaper, const char *incarnation, bool leaves)
{
    case_t *one = rz_alloc(sizeof *one);
    *one = (case_t){ .reaper = reaper, .leaves = leaves };
    snprintf(one->incarnation, sizeof one->incarnation, "%s", incarnation);
    return one;
}

/* Step by step until nothing is left; a step that fails ends it, the next look begins anew. */
static void on_reaped(rz_rc_t rc, uint64_t left, void *arg)
{
    case_t *one = arg;
    reaper_t *reaper = one->reaper;
    if (rc == RZ_OK)
        reaper->part.counters->reaped++;
    if (rc == RZ_OK && left > 0)
        rz_op_reap(reaper->part.store, one->incarnation, on_reaped, one);
    else
        rz_free(one);
}

static void on_condemned(rz_rc_t rc, void *arg)
{
    case_t *one = arg;
    reaper_t *reaper = one->reaper;
    if (rc != RZ_OK) { /* RZ_STATE: it moved after all */
        rz_free(one);
        return;
    }
    if (one->leaves) {
        rz_log_info("incarnation.left", "incarnation=%s", one->incarnation);
    } else {
        reaper->part.counters->condemned++;
        rz_log_warn("incarnation.condemned", "incarnation=%s lease_ms=%" PRIu64, one->incarnation,
                    reaper->part.lease_ms);
    }
    reaper->part.on_dead(one->incarnation, reaper->part.arg);
    rz_op_reap(reaper->part.store, one->incarnation, on_reaped, one);
}

static void on_verdict(lease_verdict_t verdict, const char *incarnation, uint64_t counter, void *arg)
{
    reaper_t *reaper = arg;
    case_t *one = case_open(reaper, incarnation, false);
    if (verdict == LEASE_CONDEMN)
        rz_op_condemn(reaper->part.store, incarnation, counter, false, on_condemned, one);
    else
        rz_op_reap(reaper->part.store, incarnation, on_reaped, one);
}

static void on_incarnations(rz_rc_t rc, const rz_incarnation_t *list, size_t n, void *arg)
{
    reaper_t *reaper = arg;
    reaper->looking = false;
    if (rc == RZ_OK)
        lease_observe(reaper->leases, rz_now_ms(), list, n, on_verdict, reaper);
    else
        reaper_gap(reaper);
}

static void on_timer(void *arg)
{
    reaper_t *reaper = arg;
    if (reaper->looking || !rz_store_up(reaper->part.store))
        return;
    reaper->looking = true;
    rz_op_incarnations(reaper->part.store, on_incarnations, reaper);
}

static uint64_t look_every_ms(uint64_t lease_ms)
{
    uint64_t every = lease_ms / LOOKS_PER_LEASE;
    return every > LOOK_EVERY_MAX_MS ? LOOK_EVERY_MAX_MS : every < 1 ? 1 : every;
}

reaper_t *reaper_open(const reaper_parts_t *parts)
{
    reaper_t *reaper = rz_alloc(sizeof *reaper);
    uint64_t every = look_every_ms(parts->lease_ms);
    reaper->part = *parts;
    /* Two looks in a row that could not be made are a gap: then the runners could not sync either. */
    reaper->leases = lease_create(parts->lease_ms, 3 * every);
    reaper->timer = rz_timer_open(parts->loop, on_timer, reaper);
    rz_timer_start(reaper->timer, every, every);
    return reaper;
}

void reaper_close(reaper_t **reaper)
{
    if (*reaper == NULL)
        return;
    rz_timer_close(&(*reaper)->timer);
    lease_destroy(&(*reaper)->leases);
    rz_free(*reaper);
    *reaper = NULL;
}

void reaper_gap(reaper_t *reaper)
{
    reaper->part.counters->store_gaps++;
    lease_gap(reaper->leases);
}

void reaper_leave(reaper_t *reaper, const char *incarnation)
{
    rz_op_condemn(reaper->part.store, incarnation, 0, true, on_condemned,
                  case_open(reaper, incarnation, true));
}
