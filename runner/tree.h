/* tree.h - all that descends from a runner, and all that descends from one of its workers (a branch): to be killed, to stand
 * still, to go on.
 *
 * There are two ways to reach them. Which one it is, is decided once, before the keeper is forked, and holds for both of them:
 *
 *     by control group   where the runner's own group was delegated to it (cgroup.h). It is divided:
 *                            <own>/daemon         keeper and runner
 *                            <own>/workers/<n>    one worker and whatever it starts
 *                        The kernel reaches all who are in one, at once. What a runner and a keeper that were killed in the
 *                        same moment left behind is found there by the next one, and killed.
 *     by signals         everywhere else. Of a worker it reaches the session that it leads, of the whole what /proc shows below
 *                        us: what leaves its session is killed with the runner, not with its worker.
 *
 * A sweep looks through /proc in any case: a worker of the runner's own user may move itself out of its group, but nobody out
 * of the descent of two subreapers (keeper.h). The thread that forks; nothing here keeps a descriptor open. */
#pragma once

#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Control groups: where they can be had; or it cannot be opened; never. */
typedef enum { TREE_AUTO, TREE_ON, TREE_OFF } tree_wish_t; /* as runner.cgroups has its words */

typedef struct {
    tree_wish_t wish;
    uint64_t memory_bytes, processes; /* of each branch, together; 0: any. Only groups can be bounded so */
} tree_options_t;

typedef struct tree tree_t;
typedef struct branch branch_t;

/* Moves this process to <own>/daemon, if so. NULL and err: they are wanted, by TREE_ON or for a bound, and cannot be had.
 * Logs which way it is, and why. */
tree_t *tree_open(const tree_options_t *options, rz_err_t *err);
void tree_close(tree_t **tree);
bool tree_is_grouped(const tree_t *tree);
/* Stands still, or goes on; returns how many processes there were. Start none while it stands still. */
size_t tree_freeze(const tree_t *tree);
size_t tree_thaw(const tree_t *tree);
/* Kills all below this process and reaps what became its child by that; returns how many there were. Blocks; for one that has
 * no child left of which it wants to hear. */
size_t tree_sweep(const tree_t *tree);
/* Takes away the groups of closed branches in which nobody is left by now. Now and then. */
void tree_tidy(tree_t *tree);

/* NULL and err: its group cannot be made. */
branch_t *branch_open(tree_t *tree, rz_err_t *err);
/* A file to which its first process must write "0" before it does anything else; NULL: none. Lent. */
const char *branch_door(const branch_t *branch);
/* How many of its processes the kernel has killed so far for want of memory; 0 where its memory has no bound. */
uint64_t branch_memory_kills(const branch_t *branch);
/* leader: the first process, whose session has its number; it is not reaped yet, for otherwise the number could be
 * another's. */
void branch_kill(const branch_t *branch, pid_t leader);
/* Takes. Kills what is left of it; leader: as it was, 0: there never was one. */
void branch_close(branch_t **branch, pid_t leader);
