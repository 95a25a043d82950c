/* keeper.h - the small resident parent of a runner: nobody outlives it.
 *
 *     keeper ── runner ── worker ── whatever a worker started
 *
 * The keeper is child subreaper, and so is the runner: what a dying process leaves behind, double-forked or not, becomes
 * the child of the one that still lives, so all that ever descended from the runner stays below it. The two hold a socket pair of messages: the runner
 * beats over it every second; each sees the other's death as end of file. When the runner ends, or is silent for
 * KEEPER_SILENCE_MS (stopped, spinning), the keeper kills the tree below it until nothing is left of it,
 * and exits as the runner did. When the keeper dies first, the runner gets SIGQUIT and end of file: it kills
 * its workers and whatever else is below it, and exits. When both are killed in the same moment nobody is left to do
 * that: then it is the service manager (ops/systemd), or the next runner of their control group (tree.h). */
#pragma once

#include "base/rc.h"
#include "tree.h"

#define KEEPER_SILENCE_MS 12000
#define KEEPER_BEAT_MS    1000
#define KEEPER_NOTICE_MAX 255

/* Forks; call it before any thread, loop or ZeroMQ context exists. Returns only in the runner's process: the
 * file descriptor to beat on, or -1 and err when there could be no keeper. The other
 * process lives inside this call: it forwards TERM, INT and HUP and exits with the runner's status,
 * 128+signal when it was killed. tree: what it kills. ready_fd: closed there, so that whoever reads it sees the end of it when the
 * runner closes it; -1: none. */
int keeper_fork(int ready_fd, const tree_t *tree, rz_err_t *err);

/* In the runner. False: the keeper is gone, or has not listened for so long that the socket is full. */
bool keeper_beat(int keeper_fd);
/* For the service manager (base/notify.h), to which the keeper is the service: it started it, and it hears nobody
 * else, for else every worker could speak for us. At most KEEPER_NOTICE_MAX bytes. */
bool keeper_tell(int keeper_fd, const char *notice);
