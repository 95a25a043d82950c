/* runner.h - the program between its keeper and its workers: one loop, and everything on it.
 *
 * Its life as a whole is phase.h: it takes work, or is cordoned, or drains and ends. A first SIGTERM drains, a second ends it
 * at once. */
#pragma once

#include "base/rc.h"
#include "settings.h"
#include "tree.h"

typedef struct {
    int keeper_fd;    /* beat here; end of file = the keeper is gone. -1: none                          */
    int ready_fd;     /* one JSON line when a broker first welcomed us, then closed. -1: none           */
    uint64_t feed_ms; /* how often the service manager wants to hear of progress at least; 0: it does not */
} runner_fds_t;

/* Runs until it is told to end; returns the exit code of the program. Then nothing is left in the tree. */
int runner_run(const settings_t *settings, const runner_fds_t *fds, tree_t *tree);
