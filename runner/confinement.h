/* confinement.h - as whom workers run, and how much one of their processes may take.
 *
 * Workers run code that a model chose. What every worker gets, and all that descends from it: no way to more rights (no
 * setuid program, no file capability: the runner gives that up for itself, and it is inherited), no core file, bounds on
 * descriptors and, if wanted, on processes, files and memory. With a user of their own, which takes a runner that is root,
 * the kernel keeps them from everything that is the runner's: its memory, its keys, its files.
 *
 * posix_spawn has no place for these steps, and fork would copy the runner with its keys into a process that then becomes
 * somebody else. So the bounds of a worker of our own user are set from outside, when it has started and not been told
 * anything yet; one of another user is started by prlimit and setpriv (util-linux), which bound it and become it: from
 * outside only CAP_SYS_RESOURCE could, which containers do not have. Into its control group it is brought by a shell that goes
 * there and becomes it: moved from outside, it could have started something by then that stays here. */
#pragma once

#include "base/config.h"
#include "base/limits.h"

#include <limits.h>
#include <sys/resource.h>
#include <sys/types.h>

typedef enum { BOUND_OPEN_FILES, BOUND_PROCESSES, BOUND_FILE, BOUND_MEMORY, BOUNDS } bound_t;

typedef struct {
    rlim_t bound[BOUNDS]; /* soft and hard, at most the runner's own; 0: as the runner's */
    bool other_user;      /* then: */
    uid_t uid;
    gid_t gid;
    char name[RZ_NAME_MAX + 1], home[PATH_MAX];
} confinement_t;

/* RZ_BAD_FIELD, RZ_NOT_ALLOWED: a user that does not exist, is root, or whom we cannot become. */
rz_rc_t confinement_read(const rz_config_t *config, confinement_t *out, rz_err_t *err);

/* The command line that starts argv as it is confined; the caller frees it with confinement_argv_free(). door: of the control
 * group that it enters before anything else (tree.h), NULL: none. */
char **confinement_argv(const confinement_t *confinement, const char *door, char *const *argv);
void confinement_argv_free(char ***argv);
/* Bounds the process that was just started so. 0 or errno; one that has ended already is no failure. */
int confinement_bound(const confinement_t *confinement, pid_t pid);
/* What a variable is for the worker: HOME, USER and LOGNAME are its user's, the others as ours; NULL: unset. Lent. */
const char *confinement_variable(const confinement_t *confinement, const char *name);
