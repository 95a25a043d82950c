/* runner.h - the program between its keeper and its workers: one loop, and everything on it.
 *
 *     UP ──TERM──► DRAINING ──nothing held, or 10 s──► ENDING ──acks, or 3 s──► LEAVING ──last worker
 * reaped──► end └────────────── second TERM or INT, QUIT, keeper gone ───────────────────►
 *
 * Draining gives back what has not started and lets the rest run; ENDING kills what still runs (`error`,
 * "runner stopped") and waits for the acks; LEAVING retires the workers, gives the last acks half a second and
 * says bye. */
#pragma once

#include "base/rc.h"
#include "settings.h"

typedef struct {
    int keeper_fd;    /* beat here; end of file = the keeper is gone. -1: none                          */
    int ready_fd;     /* one JSON line when a broker first welcomed us, then closed. -1: none           */
    uint64_t feed_ms; /* how often the service manager wants to hear of progress at least; 0: it does not */
} runner_fds_t;

/* Runs until it is told to end; returns the exit code of the program. */
int runner_run(const settings_t *settings, const runner_fds_t *fds);
