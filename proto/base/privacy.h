/* privacy.h - keeping what a process holds from its neighbours. */
#pragma once

/* For a process that holds secrets, as early as it can: no core file, and neither ptrace nor /proc/<pid>/mem,
 * environ, maps or fd for others of the same user. What is forked inherits both; what is executed is as open as
 * any program, but for the core file.
 *
 * Under AddressSanitizer only the core file is given up: its leak check attaches to us like a debugger. */
void rz_keep_memory_private(void);

/* No program that is executed from here on, by us or by what descends from us, gets more rights than we have: setuid bits and
 * file capabilities count for nothing. Cannot be taken back. */
void rz_give_up_privileges(void);
