/* crew.h - all workers of a runner: who is idle, who comes, who waits for one.
 *
 * A run that needs a worker is a seeker. It gets, in this order: a parked worker of its pool key at once; a
 * worker of its key that becomes free before its own is up; the one spawned for it. A worker that becomes
 * free is held back until the turn of the loop ends: if its last run was not really over (a second terminal,
 * an event after it), that shows before another child is put on it. Spawns also wait for the end of the turn,
 * so that a free worker is not overlooked. pool_entry.h has the rules by which a free worker is kept or goes.
 * Loop thread only. */
#pragma once

#include "pool.h"
#include "settings.h"
#include "worker.h"

typedef struct crew crew_t;

typedef struct seeker seeker_t;
struct seeker { /* embed; zero-initialise */
    seeker_t *next, *prev;
    const char *pool_key; /* must live as long as it seeks */
    worker_t *coming;     /* spawned for it, adopted, or NULL */
    void *user;
    bool seeking;
    bool adopted; /* `coming` was spawned for another: its failure is not this one's */
};

/* `user` is that of the seeker that was served. */
typedef struct {
    /* Makes a plan and calls crew_spawn(). A failure is answered by on_none. */
    rz_rc_t (*on_spawn)(void *user, worker_t **out, rz_err_t *err, void *arg);
    void (*on_worker)(void *user, worker_t *worker, void *arg); /* BUSY for it now */
    void (*on_none)(void *user, worker_failure_t failure, const char *reason, void *arg);
    void (*on_frame)(void *user, const char *bytes, size_t len, void *arg);
    void (*on_lost)(void *user, const char *reason, void *arg); /* its worker is gone */
    void (*on_stderr)(void *user, const char *bytes, size_t n, void *arg);
    void (*on_idle)(void *arg);  /* the idle counts changed */
    void (*on_empty)(void *arg); /* after crew_stop(): the last worker is reaped */
} crew_events_t;

crew_t *crew_open(uv_loop_t *loop, rz_ws_context_t *ws, fabric_t *fabric, tree_t *tree,
                  const settings_t *settings, const crew_events_t *events, void *arg);
void crew_close(crew_t **crew); /* after on_empty */

/* A parked worker at once, or NULL: then on_worker or on_none follows, or crew_withdraw() ends it. */
worker_t *crew_seek(crew_t *crew, seeker_t *seeker);
void crew_withdraw(crew_t *crew, seeker_t *seeker); /* harmless when it does not seek */
rz_rc_t crew_spawn(crew_t *crew, const worker_plan_t *plan, worker_t **out, rz_err_t *err);

void crew_give_back(crew_t *crew, worker_t *worker);         /* after a clean terminal */
void crew_discard(worker_t *worker, worker_ending_t ending); /* after anything else    */

void crew_turn(crew_t *crew);                    /* at the end of every turn of the loop */
void crew_expire(crew_t *crew, uint64_t now_ms); /* now and then */
/* What workers left behind becomes our child when its parent dies (keeper.h); reaps those that have ended. Workers are reaped
 * by themselves, through their pidfd. */
void crew_reap_orphans(const crew_t *crew);
void crew_stop(crew_t *crew, worker_ending_t ending); /* retires all; nothing may seek any more */
/* Every worker of which stale() is true serves no further run: free ones and those on the way retire now, the others
 * when their run is over. Who waits for one on the way gets another, by on_spawn in the next turn or one that became
 * free before. For what changed outside, such as a credential (worker_credential()). */
void crew_retire_idle(crew_t *crew, bool (*stale)(const worker_t *worker, void *arg), void *arg);
/* While it is frozen no worker is started, none gets a run, and none grows old; those on the way are killed: who waits for
 * one gets another afterwards. The processes themselves are the caller's affair. */
void crew_freeze(crew_t *crew, bool frozen);
cJSON *crew_idle(const crew_t *crew); /* gives: {"<affinity>": n} */

typedef struct {
    uint64_t warm;        /* seekers served by a worker that was there: parked, or just free        */
    uint64_t cold;        /* and by one that was started for them                                   */
    uint64_t failed;      /* workers that could not be started, or did not register in time         */
    uint64_t recycled;    /* retired because worn, or of a program or credential of before          */
    uint64_t late_frames; /* came when no run was on                                                */
    size_t idle, alive;   /* now: parked; all whose process is not reaped yet                       */
} crew_stats_t;
void crew_stats(const crew_t *crew, crew_stats_t *out);
