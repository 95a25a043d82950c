/* process.c - posix_spawn, pidfd, two pipes. */
#include "process.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK 65536

struct process {
    pid_t pid;
    int pidfd;
    branch_t *branch; /* what it is the first of */
    bool ended;
    void (*on_stderr)(const char *bytes, size_t n, void *arg);
    void (*on_exit)(const char *status, void *arg);
    void *arg;

    uv_poll_t exit_poll;
    uv_pipe_t in, err;
    uv_write_t write;
    char *input; /* until it is written; may hold secrets */
    size_t input_len;
    char chunk[CHUNK];
    int handles; /* not yet closed; the last one frees */
};

/* ---- starting ---- */

typedef struct {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
} setup_t;

static int setup_init(setup_t *setup, int stdin_fd, int stderr_fd)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&setup->attr);
    posix_spawn_file_actions_init(&setup->actions);
    posix_spawnattr_setsigdefault(&setup->attr, &all);
    posix_spawnattr_setsigmask(&setup->attr, &none);
    int sys = posix_spawnattr_setflags(
        &setup->attr, (short)(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    if (sys == 0)
        sys = posix_spawn_file_actions_adddup2(&setup->actions, stdin_fd, STDIN_FILENO);
    if (sys == 0)
        sys = posix_spawn_file_actions_addopen(&setup->actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (sys == 0)
        sys = posix_spawn_file_actions_adddup2(&setup->actions, stderr_fd, STDERR_FILENO);
    if (sys == 0)
        sys = posix_spawn_file_actions_addclosefrom_np(&setup->actions, STDERR_FILENO + 1);
    return sys;
}

static void setup_fini(setup_t *setup)
{
    posix_spawn_file_actions_destroy(&setup->actions);
    posix_spawnattr_destroy(&setup->attr);
}

/* What a shell is to become is not found missing by whoever starts the shell. */
static bool can_run(const char *program)
{
    return strchr(program, '/') == NULL || access(program, X_OK) == 0;
}

static int start(process_t *process, const process_options_t *options, int stdin_fd, int stderr_fd)
{
    setup_t setup;
    const char *door = branch_door(process->branch);
    if (door != NULL && !can_run(options->argv[0]))
        return errno;
    char **argv = confinement_argv(options->confinement, door, options->argv);
    int sys = setup_init(&setup, stdin_fd, stderr_fd);
    if (sys == 0)
        sys = posix_spawnp(&process->pid, argv[0], &setup.actions, &setup.attr, argv, options->envp);
    setup_fini(&setup);
    confinement_argv_free(&argv);
    if (sys != 0)
        return sys;
    sys = confinement_bound(options->confinement, process->pid); /* it waits for its stdin yet */
    process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (sys == 0 && process->pidfd >= 0)
        return 0;
    sys = sys != 0 ? sys : errno;
    if (process->pidfd >= 0)
        close(process->pidfd);
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    return sys;
}

/* ---- the end ---- */

static const char *status_text(const siginfo_t *info, char out[PROCESS_STATUS_MAX])
{
    if (info->si_code == CLD_EXITED) {
        snprintf(out, PROCESS_STATUS_MAX, "exit status: %d", info->si_status);
        return out;
    }
    const char *name = sigabbrev_np(info->si_status);
    snprintf(out, PROCESS_STATUS_MAX, "signal: %d (SIG%s)%s", info->si_status, name != NULL ? name : "?",
             info->si_code == CLD_DUMPED ? " (core dumped)" : "");
    return out;
}

/* What was written before the end is read before the end is told: what the pipe holds now, and no more. A
 * grandchild may hold it open, and write faster than we read. */
static void drain_stderr(process_t *process)
{
    int fd, held = 0;
    if (uv_is_closing((uv_handle_t *)&process->err) || uv_fileno((uv_handle_t *)&process->err, &fd) != 0 ||
        ioctl(fd, FIONREAD, &held) != 0)
        return;
    ssize_t n;
    for (size_t left = (size_t)held; left > 0; left -= (size_t)n) {
        n = read(fd, process->chunk, left < CHUNK ? left : CHUNK);
        if (n <= 0)
            return;
        process->on_stderr(process->chunk, (size_t)n, process->arg);
    }
}

static void on_pidfd(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    process_t *process = poll->data;
    siginfo_t info = { 0 };
    if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    process->ended = true;
    uv_poll_stop(poll);
    drain_stderr(process);
    char text[PROCESS_STATUS_MAX];
    process->on_exit(status_text(&info, text), process->arg); /* last: it may close us */
}

/* ---- stdin ---- */

static void drop_input(process_t *process)
{
    rz_wipe(process->input, process->input_len);
    rz_free(process->input);
    process->input = NULL;
    process->input_len = 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    process_t *process = handle->data;
    if (--process->handles > 0)
        return;
    close(process->pidfd);
    rz_free(process);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void on_written(uv_write_t *write, int status)
{
    process_t *process = write->data;
    if (status != 0 && status != UV_ECANCELED)
        rz_log_debug("process.stdin", "pid=%d error=%s", (int)process->pid, uv_strerror(status));
    drop_input(process);
    close_handle((uv_handle_t *)&process->in);
}

static void feed(process_t *process, rz_str_t input)
{
    process->input = rz_alloc(input.n + 1);
    process->input_len = input.n;
    if (input.n > 0)
        memcpy(process->input, input.p, input.n);
    process->write.data = process;
    uv_buf_t buf = uv_buf_init(process->input, (unsigned)input.n);
    int rc = uv_write(&process->write, (uv_stream_t *)&process->in, &buf, 1, on_written);
    if (rc != 0)
        on_written(&process->write, rc);
}

/* ---- stderr ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    process_t *process = handle->data;
    *buf = uv_buf_init(process->chunk, CHUNK);
}

static void on_err(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    process_t *process = stream->data;
    if (n > 0)
        process->on_stderr(buf->base, (size_t)n, process->arg);
    else if (n < 0)
        close_handle((uv_handle_t *)stream);
}

/* ---- the whole ---- */

static void watch(process_t *process, uv_loop_t *loop, int stdin_fd, int stderr_fd)
{
    uv_poll_init(loop, &process->exit_poll, process->pidfd);
    uv_pipe_init(loop, &process->in, 0);
    uv_pipe_init(loop, &process->err, 0);
    process->handles = 3;
    process->exit_poll.data = process->in.data = process->err.data = process;
    uv_pipe_open(&process->in, stdin_fd);
    uv_pipe_open(&process->err, stderr_fd);
    uv_poll_start(&process->exit_poll, UV_READABLE, on_pidfd);
    uv_read_start((uv_stream_t *)&process->err, on_alloc, on_err);
}

process_t *process_open(uv_loop_t *loop, const process_options_t *options, rz_err_t *err)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0) {
        rz_fail_sys(err, errno, "pipe for stdin");
        return NULL;
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        rz_fail_sys(err, errno, "pipe for stderr");
        goto undo_in;
    }
    process_t *process = rz_alloc(sizeof *process);
    process->on_stderr = options->on_stderr;
    process->on_exit = options->on_exit;
    process->arg = options->arg;
    process->branch = branch_open(options->tree, err);
    if (process->branch == NULL)
        goto undo_process;
    int sys = start(process, options, in[0], out[1]);
    if (sys != 0) {
        rz_fail_sys(err, sys, "%s", options->argv[0]);
        goto undo_branch;
    }
    close(in[0]);
    close(out[1]);
    watch(process, loop, in[1], out[0]);
    feed(process, options->input);
    return process;
undo_branch:
    branch_close(&process->branch, 0);
undo_process:
    rz_free(process);
    close(out[0]);
    close(out[1]);
undo_in:
    close(in[0]);
    close(in[1]);
    return NULL;
}

pid_t process_pid(const process_t *process)
{
    return process->pid;
}

bool process_ended(const process_t *process)
{
    struct pollfd fd = { .fd = process->pidfd, .events = POLLIN };
    return process->ended || poll(&fd, 1, 0) > 0;
}

uint64_t process_memory_kills(const process_t *process)
{
    return branch_memory_kills(process->branch);
}

/* The group's number is the child's pid: it cannot be somebody else's before the child is reaped. */
void process_signal(const process_t *process, int signum)
{
    if (!process->ended)
        kill(-process->pid, signum);
}

void process_kill(const process_t *process)
{
    if (!process->ended)
        branch_kill(process->branch, process->pid);
}

void process_close(process_t **process_ref)
{
    process_t *process = *process_ref;
    if (process == NULL)
        return;
    assert(process->ended);
    *process_ref = NULL;
    branch_close(&process->branch, process->pid);
    close_handle((uv_handle_t *)&process->exit_poll);
    close_handle((uv_handle_t *)&process->in);
    close_handle((uv_handle_t *)&process->err);
}
