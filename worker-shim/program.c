/* program.c - one running program on the loop. */
#include "program.h"

#include "base/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_QUEUE_MAX ((size_t)32 << 20) /* a run frame of 16 MiB and steering behind it */
#define READ_SIZE       ((size_t)64 << 10)

struct program {
    program_listener_t listener;
    pid_t pid; /* also its group; not reaped before the end, so that neither number can be re-used */
    int pidfd, verdict;
    uv_poll_t exit_watch;
    uv_pipe_t input, output, diagnostics;
    uv_poll_t input_watch; /* on a duplicate: is there still somebody who could read? */
    int input_twin;
    rz_timer_t *timer; /* the grace after TERM, then the linger after the exit */
    bool input_open, output_open, diagnostics_open;
    bool paused, exited, ended;
    bool destroyed; /* waiting for the last close callback only */
    unsigned handles;
    size_t untaken; /* see program_untaken(); counted when the input is closed */
    program_end_t end;
    char buffer[READ_SIZE];
};

/* ---- handles ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    program_t *program = handle->data;
    if (--program->handles == 0 && program->destroyed)
        rz_free(program);
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

/* What lies in a pipe stays there when its reader is gone. */
static size_t bytes_in(const uv_pipe_t *pipe)
{
    int fd, n = 0;
    return uv_fileno((const uv_handle_t *)pipe, &fd) == 0 && ioctl(fd, FIONREAD, &n) == 0 ? (size_t)n : 0;
}

size_t program_untaken(const program_t *program)
{
    if (!program->input_open)
        return program->untaken;
    return bytes_in(&program->input) + uv_stream_get_write_queue_size((const uv_stream_t *)&program->input);
}

static void close_input(program_t *program)
{
    if (!program->input_open)
        return;
    program->untaken += program_untaken(program);
    program->input_open = false;
    close_handle(&program->input);
    if (program->input_twin < 0)
        return;
    close_handle(&program->input_watch);
    close(program->input_twin);
}

/* ---- the end ---- */

/* The group is killed while the exited leader is still unreaped: its number cannot belong to strangers yet.
 */
static void end(program_t *program)
{
    if (program->ended)
        return;
    program->ended = true;
    rz_timer_stop(program->timer);
    kill(-program->pid, SIGKILL);
    siginfo_t info;
    waitid(P_PIDFD, (id_t)program->pidfd, &info, WEXITED | WNOHANG);
    int verdict = 0;
    if (read(program->verdict, &verdict, sizeof(verdict)) == (ssize_t)sizeof(verdict))
        program->end.exec_errno = verdict;
    program->listener.on_end(program->listener.arg, &program->end);
}

static void end_if_done(program_t *program)
{
    if (program->exited && !program->output_open && !program->diagnostics_open)
        end(program);
}

/* A paused output is our doing, not a grandchild's: it gets its time after we read on. */
static void on_timer(void *arg)
{
    program_t *program = arg;
    if (!program->exited)
        kill(-program->pid, SIGKILL);
    else if (program->paused)
        rz_timer_start(program->timer, LINGER_MS, 0);
    else
        end(program);
}

static void on_exit_watch(uv_poll_t *watch, int status, int events)
{
    (void)status;
    (void)events;
    program_t *program = watch->data;
    siginfo_t info = { 0 };
    if (waitid(P_PIDFD, (id_t)program->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return;
    uv_poll_stop(watch);
    program->exited = true;
    if (info.si_code == CLD_EXITED)
        program->end.status = info.si_status;
    else
        program->end.signal = info.si_status;
    close_input(program);
    rz_timer_start(program->timer, LINGER_MS, 0);
    end_if_done(program);
}

/* ---- outputs ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    program_t *program = handle->data;
    *buffer = uv_buf_init(program->buffer, READ_SIZE);
}

static void on_output_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    program_t *program = stream->data;
    if (n > 0) {
        program->listener.on_output(program->listener.arg, buffer->base, (size_t)n);
    } else if (n < 0) {
        program->output_open = false;
        close_handle(stream);
        program->listener.on_hangup(program->listener.arg, "closed its stdout");
        end_if_done(program);
    }
}

static void on_diagnostics_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    program_t *program = stream->data;
    if (n > 0) {
        program->listener.on_diagnostics(program->listener.arg, buffer->base, (size_t)n);
    } else if (n < 0) {
        program->diagnostics_open = false;
        close_handle(stream);
        end_if_done(program);
    }
}

void program_pause(program_t *program, bool paused)
{
    if (program->paused == paused || !program->output_open)
        return;
    program->paused = paused;
    if (paused)
        uv_read_stop((uv_stream_t *)&program->output);
    else
        uv_read_start((uv_stream_t *)&program->output, on_alloc, on_output_read);
}

bool program_exited(const program_t *program)
{
    return program->exited;
}

size_t program_unread(const program_t *program)
{
    return program->output_open ? bytes_in(&program->output) : 0;
}

/* ---- input ---- */

typedef struct {
    uv_write_t request;
    char bytes[];
} chunk_t;

static void lose_input(program_t *program)
{
    close_input(program);
    program->listener.on_hangup(program->listener.arg, "closed its stdin");
}

static void on_written(uv_write_t *request, int status)
{
    program_t *program = request->handle->data;
    rz_free(request->data);
    if (status == 0 || status == UV_ECANCELED || !program->input_open)
        return;
    program->untaken++; /* of this one at least; libuv does not say how much */
    lose_input(program);
}

/* A pipe without a reader is in error, which is told whatever was asked for. What had been written is lost in it. */
static void on_input_watch(uv_poll_t *watch, int status, int events)
{
    program_t *program = watch->data;
    if (status < 0 || (events & UV_DISCONNECT) != 0)
        lose_input(program);
}

rz_rc_t program_write(program_t *program, rz_str_t bytes)
{
    if (!program->input_open)
        return RZ_CLOSED;
    uv_stream_t *stream = (uv_stream_t *)&program->input;
    if (uv_stream_get_write_queue_size(stream) + bytes.n > INPUT_QUEUE_MAX)
        return RZ_FULL;
    chunk_t *chunk = rz_alloc(sizeof(*chunk) + bytes.n);
    memcpy(chunk->bytes, bytes.p, bytes.n);
    chunk->request.data = chunk;
    uv_buf_t buffer = uv_buf_init(chunk->bytes, (unsigned)bytes.n);
    if (uv_write(&chunk->request, stream, &buffer, 1, on_written) == 0)
        return RZ_OK;
    rz_free(chunk);
    return RZ_CLOSED;
}

/* ---- life ---- */

static void open_pipe(program_t *program, uv_loop_t *loop, uv_pipe_t *pipe, int fd)
{
    uv_pipe_init(loop, pipe, 0);
    pipe->data = program;
    program->handles++;
    uv_pipe_open(pipe, fd); /* of a fresh pipe's end: only EMFILE-like conditions that pipe2 met before */
}

static void watch_input(program_t *program, uv_loop_t *loop, int fd)
{
    program->input_twin = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (program->input_twin < 0)
        return; /* no descriptor left: a write will fail in the end */
    uv_poll_init(loop, &program->input_watch, program->input_twin);
    program->input_watch.data = program;
    program->handles++;
    uv_poll_start(&program->input_watch, UV_DISCONNECT, on_input_watch);
}

program_t *program_start(uv_loop_t *loop, const launch_t *what, const program_listener_t *listener,
                         rz_err_t *err)
{
    launched_t launched;
    if (launch(what, &launched, err) != RZ_OK)
        return NULL;
    program_t *program = rz_alloc(sizeof(*program));
    program->listener = *listener;
    program->pid = launched.pid;
    program->pidfd = launched.pidfd;
    program->verdict = launched.verdict;
    program->timer = rz_timer_open(loop, on_timer, program);
    open_pipe(program, loop, &program->input, launched.input);
    open_pipe(program, loop, &program->output, launched.output);
    open_pipe(program, loop, &program->diagnostics, launched.diagnostics);
    watch_input(program, loop, launched.input);
    program->input_open = program->output_open = program->diagnostics_open = true;
    uv_read_start((uv_stream_t *)&program->output, on_alloc, on_output_read);
    uv_read_start((uv_stream_t *)&program->diagnostics, on_alloc, on_diagnostics_read);
    uv_poll_init(loop, &program->exit_watch, program->pidfd);
    program->exit_watch.data = program;
    program->handles++;
    uv_poll_start(&program->exit_watch, UV_READABLE, on_exit_watch);
    return program;
}

void program_stop(program_t *program, uint64_t grace_ms)
{
    if (program->exited)
        return;
    kill(-program->pid, SIGTERM);
    close_input(program);
    rz_timer_start(program->timer, grace_ms, 0);
}

void program_kill(program_t *program)
{
    if (!program->ended)
        kill(-program->pid, SIGKILL);
}

void program_destroy(program_t **program_ref)
{
    program_t *program = *program_ref;
    if (program == NULL)
        return;
    *program_ref = NULL;
    if (!program->ended) {
        kill(-program->pid, SIGKILL);
        siginfo_t info;
        waitid(P_PIDFD, (id_t)program->pidfd, &info, WEXITED | WNOHANG);
    }
    rz_timer_close(&program->timer);
    close_input(program);
    close_handle(&program->output);
    close_handle(&program->diagnostics);
    uv_poll_stop(&program->exit_watch);
    close_handle(&program->exit_watch);
    close(program->pidfd);
    close(program->verdict);
    program->destroyed = true;
    if (program->handles == 0)
        rz_free(program);
}
