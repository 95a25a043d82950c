/* procs.h - which processes belong together, as /proc tells it at this moment.
 *
 * A snapshot is old when it is returned; who wants all of a family dead kills, and looks again until none is
 * left. Zombies count as dead. Linux only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* SIGKILL to every member of session `sid`. Returns how many were found. */
size_t procs_kill_session(pid_t sid);
/* SIGKILL to every descendant of this process, again until there is none, and reaps what became its child by that. Blocks;
 * for one that has no child left of which it wants to hear. Returns how many were killed. */
size_t procs_sweep(void);
/* Stops, or lets go on, every living descendant of `root` whatever its session: SIGSTOP until a look finds nobody new, SIGCONT
 * to all. Returns how many there were. */
size_t procs_stop_descendants(pid_t root);
size_t procs_continue_descendants(pid_t root);
/* Resident bytes of a process and all its living descendants, 0 when it has ended. What two of them share is
 * counted twice. A few file reads a process, no walk over all of /proc; at most 256 processes. */
uint64_t procs_resident(pid_t root);
