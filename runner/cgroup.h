/* cgroup.h - control groups of Linux (version 2), as folders.
 *
 * A process is in one group, and what it starts is in the same, whatever session or parent that has later. To be killed and to
 * be frozen are properties of a group: the kernel applies them to all who are in it or below it, also to one that is being
 * forked at this moment. A group is some program's alone to divide: it must have been delegated to that, as systemd does with
 * Delegate=yes. Needs Linux 5.14. What is called `group` here is the group's folder. */
#pragma once

#include "base/rc.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The group of a process, of which `membership` is /proc/<pid>/cgroup and `mounts` /proc/<pid>/mountinfo. RZ_NOT_FOUND: it
 * can be seen nowhere. Pure. */
rz_rc_t cgroup_locate(const char *membership, const char *mounts, char out[PATH_MAX], rz_err_t *err);
/* Of this process. */
rz_rc_t cgroup_of_self(char out[PATH_MAX], rz_err_t *err);
/* Whether it is ours to divide: it is delegated, writable, and nobody but this process is in it. insist: for root, who may
 * write everywhere, it takes no mark of delegation. RZ_NOT_ALLOWED and the reason. */
rz_rc_t cgroup_check_ours(const char *group, bool insist, rz_err_t *err);

/* "<group>/<name>"; an empty or a forgotten one of that name is taken as it is. False, and errno: there is none. */
bool cgroup_make(const char *group, const char *name, char out[PATH_MAX]);
/* Nobody is in it or below it, or nobody was within that time; one that is not there is empty. */
bool cgroup_await_empty(const char *group, int patience_ms);
size_t cgroup_count(const char *group); /* processes in it and below it */

/* Lets the groups below it be bounded by this controller ("memory"). 0 or errno; ENOENT: it is not delegated to us. */
int cgroup_enable(const char *group, const char *controller);
/* Writes a bound of a group: "memory.max", "pids.max". 0 or errno. */
int cgroup_bound(const char *group, const char *name, uint64_t number);
/* How many processes in it and below it the kernel has killed for want of memory since the group was made; 0 where the
 * controller is off. One is counted before it is dead. */
uint64_t cgroup_memory_kills(const char *group);

/* Each is 0 or errno. */
int cgroup_enter(const char *group);               /* this process: all its threads      */
int cgroup_kill(const char *group);                /* SIGKILL to all in it and below it  */
int cgroup_freeze(const char *group, bool frozen); /* all in it and below it             */
int cgroup_remove(const char *group); /* it and those below it. EBUSY: somebody is in one of them */
