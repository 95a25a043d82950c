/* launch.h - starting a program that dies with us, and the other half of that: `rhizome-worker --exec`.
 *
 * posix_spawn has no place between fork and exec where PR_SET_PDEATHSIG could be set (PITFALLS 21, 22), so we
 * start ourselves again, and that copy sets it, checks that we still live, and becomes the program. */
#pragma once

#include "base/rc.h"

#include <cjson/cJSON.h>
#include <sys/types.h>

#define LAUNCH_FLAG "--exec"

/* A process in its own group, and our ends of its pipes (close-on-exec). */
typedef struct {
    pid_t pid;
    int pidfd;
    int input, output, diagnostics; /* its stdin, stdout, stderr                            */
    int verdict;                    /* an int errno if the program could not be executed    */
} launched_t;

/* Runs command with args in workspace (NULL: here), with our environment except RHIZOME_*. */
rz_rc_t launch(const char *command, const cJSON *args, const char *workspace, launched_t *out, rz_err_t *err);

/* `rhizome-worker --exec <parent pid> <command> [args]`: never returns. */
_Noreturn void launch_exec(int argc, char **argv);
