/* program.h - one running program on the loop: its input, its output, its end.
 *
 * It has ended when its process has exited and both outputs have been read to their end - but a grandchild
 * that holds an output open delays that by LINGER_MS at most. Whatever is left of its process group is then
 * killed. */
#pragma once

#include "base/buf.h"
#include "launch.h"

#include <stdbool.h>
#include <uv.h>

#define STOP_GRACE_MS 3000 /* from asking it to stop to KILL                */
#define LINGER_MS     1000 /* from exit to giving up on the ends of outputs */

typedef struct program program_t;

typedef struct {
    int exec_errno; /* not 0: it could not be executed     */
    int status;     /* exit status, when signal is 0       */
    int signal;     /* the signal that killed it, or 0     */
} program_end_t;

/* Called from the loop. on_end comes once and last; it may destroy the program, the others may not. */
typedef struct {
    void (*on_output)(void *arg, const char *bytes, size_t n);
    void (*on_diagnostics)(void *arg, const char *bytes, size_t n);
    /* what: "closed its stdin" or "closed its stdout". Perhaps only because it is about to end. */
    void (*on_hangup)(void *arg, const char *what);
    void (*on_end)(void *arg, const program_end_t *end);
    void *arg;
} program_listener_t;

/* NULL and err if it cannot be started. That the command cannot be executed is found out later, by on_end. */
program_t *program_start(uv_loop_t *loop, const launch_t *what, const program_listener_t *listener,
                         rz_err_t *err);
/* Queues bytes for its stdin, copied. RZ_CLOSED: it was closed. RZ_FULL: it does not read; nothing was
 * queued. */
rz_rc_t program_write(program_t *program, rz_str_t bytes);
/* Bytes of what was told that it has not read; once its stdin is closed, what it had not read then: rather too few than too
 * many. */
size_t program_untaken(const program_t *program);
/* TERM to the group, KILL after the grace; closes its stdin. */
void program_stop(program_t *program, uint64_t grace_ms);
void program_kill(program_t *program);               /* KILL to the group                             */
void program_pause(program_t *program, bool paused); /* stops reading its stdout for a while          */
bool program_exited(const program_t *program);
size_t program_unread(const program_t *program); /* bytes of its stdout that on_output has yet to get */
void program_destroy(program_t **program);       /* takes; kills what still runs                  */
