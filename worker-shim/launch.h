/* launch.h - starting a program that dies with us, and the other half of that: `rhizome-worker --exec`.
 *
 * posix_spawn has no place between fork and exec where PR_SET_PDEATHSIG could be set, so we
 * start ourselves again, and that copy sets it, checks that we still live, and becomes the program. The copy gets the
 * variables through a descriptor: no argv and no environment of a process of ours shows them, not even for a moment. */
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

/* What to start; everything is lent for the call. Its environment is ours without RHIZOME_*, and as `variables`
 * say: "NAME=value" is set for it, a bare "NAME" is kept from it. */
typedef struct {
    const char *command;    /* looked up in PATH unless it holds a slash */
    const cJSON *args;      /* array of strings, or NULL                 */
    const char *workspace;  /* NULL: here                                */
    char *const *variables; /* NULL-terminated, or NULL                  */
} launch_t;

rz_rc_t launch(const launch_t *what, launched_t *out, rz_err_t *err);

/* `rhizome-worker --exec <parent pid> <command> [args]`: never returns. */
_Noreturn void launch_exec(int argc, char **argv);
