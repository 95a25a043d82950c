/* process.h - one child process: started, fed on stdin, listened to on stderr, reaped.
 *
 * The child gets a session, a process group and a branch (tree.h) of its own, default signals, an empty mask, stdout on
 * /dev/null and no descriptor of ours, and is confined (confinement.h). stdin is written without blocking and closed behind the last byte; stderr is
 * read all the time, so a child that talks before it listens cannot jam. Its end arrives through a pidfd,
 * never through waitpid(-1). Loop thread only; callbacks come from the loop. */
#pragma once

#include "base/buf.h"
#include "base/rc.h"
#include "confinement.h"
#include "tree.h"

#include <sys/types.h>
#include <uv.h>

typedef struct process process_t;

#define PROCESS_STATUS_MAX 64

typedef struct {
    char *const *argv; /* argv[0] is looked up in PATH unless it holds a slash */
    char *const *envp;
    rz_str_t input; /* copied, and wiped once written */
    const confinement_t *confinement;
    tree_t *tree;
    void (*on_stderr)(const char *bytes, size_t n, void *arg);
    void (*on_exit)(const char *status, void *arg); /* once; "exit status: 1", "signal: 9 (SIGKILL)" */
    void *arg;
} process_options_t;

/* NULL and err when nothing could be started. */
process_t *process_open(uv_loop_t *loop, const process_options_t *options, rz_err_t *err);
pid_t process_pid(const process_t *process);
/* True when the process has ended, even if the loop has not heard of it yet. */
bool process_ended(const process_t *process);
uint64_t process_memory_kills(const process_t *process);   /* in its branch; see tree.h */
void process_signal(const process_t *process, int signum); /* to its process group; harmless after the end */
void process_kill(
    const process_t *process); /* its branch, as far as that can be reached; harmless after the end */
/* Takes; after on_exit only. Kills what is left of its branch. */
void process_close(process_t **process);
