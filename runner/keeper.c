/* keeper.c - forks, watches, sweeps. */
#include "keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "procs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEP_PAUSE_MS 2

typedef struct {
    pid_t runner;
    int beats;         /* our end of the pair            */
    int signals;       /* signalfd                       */
    uint64_t heard_ms; /* last beat                      */
    bool ended;        /* reaped                         */
    int status;        /* as waitpid gave it             */
} keeper_t;

/* Reaps whatever has ended: we are the parent of every orphan below us. */
static void reap(keeper_t *keeper)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != keeper->runner)
            continue;
        keeper->ended = true;
        keeper->status = status;
    }
}

static void on_signal(keeper_t *keeper)
{
    struct signalfd_siginfo info;
    while (read(keeper->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            kill(keeper->runner, (int)info.ssi_signo);
    reap(keeper);
}

static void on_beat(keeper_t *keeper)
{
    char bytes[64];
    ssize_t n = recv(keeper->beats, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        keeper->heard_ms = rz_now_ms();
    else if (n == 0) /* its end: SIGCHLD follows, and an fd that is always readable would make us spin */
        shutdown(keeper->beats, SHUT_RDWR);
}

static int remaining_ms(const keeper_t *keeper)
{
    uint64_t silent = rz_now_ms() - keeper->heard_ms;
    return silent >= KEEPER_SILENCE_MS ? 0 : (int)(KEEPER_SILENCE_MS - silent);
}

/* Until the runner ended or was silent for too long. Beats are read before silence is judged: we may have
 * been the one that was stopped. */
static void watch(keeper_t *keeper)
{
    bool deaf = false;
    while (!keeper->ended) {
        struct pollfd fds[] = { { .fd = keeper->signals, .events = POLLIN },
                                { .fd = deaf ? -1 : keeper->beats, .events = POLLIN } };
        int n = poll(fds, 2, remaining_ms(keeper));
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0 && fds[1].revents != 0)
            on_beat(keeper);
        if (n > 0 && (fds[1].revents & POLLHUP) != 0)
            deaf = true;
        if (n > 0 && fds[0].revents != 0)
            on_signal(keeper);
        if (n == 0 && remaining_ms(keeper) == 0) {
            rz_log_error("keeper.runner_silent", "pid=%d silent_ms=%d", (int)keeper->runner,
                         KEEPER_SILENCE_MS);
            return;
        }
    }
}

/* A process that forks while we look is found by the next look; one that we killed is reaped here. */
static void sweep(keeper_t *keeper)
{
    size_t killed = 0, found;
    while ((found = procs_kill_descendants(getpid())) > 0) {
        killed += found;
        usleep(SWEEP_PAUSE_MS * 1000);
        reap(keeper);
    }
    reap(keeper);
    if (killed > 0)
        rz_log_warn("keeper.swept", "processes=%zu", killed);
}

static int exit_code(const keeper_t *keeper)
{
    if (!keeper->ended)
        return 128 + SIGKILL;
    if (WIFSIGNALED(keeper->status))
        return 128 + WTERMSIG(keeper->status);
    return WEXITSTATUS(keeper->status);
}

_Noreturn static void keep(pid_t runner, int beats, const sigset_t *watched)
{
    keeper_t keeper = { .runner = runner, .beats = beats, .heard_ms = rz_now_ms() };
    keeper.signals = signalfd(-1, watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper.signals >= 0)
        watch(&keeper);
    sweep(&keeper);
    _exit(exit_code(&keeper));
}

/* PDEATHSIG is set last and the parent looked at again: it may have died in between (PITFALLS 22). SIGQUIT
 * and not SIGKILL: the runner must still kill its workers. */
static void become_runner(pid_t keeper, const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != keeper)
        _exit(70);
}

int keeper_fork(rz_err_t *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        rz_fail_sys(err, errno, "socketpair for the keeper");
        return -1;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        rz_fail_sys(err, errno, "becoming child subreaper");
        goto undo_pair;
    }
    sigset_t watched, before;
    sigemptyset(&watched);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, &before);
    pid_t keeper = getpid(), runner = fork();
    if (runner < 0) {
        rz_fail_sys(err, errno, "fork of the runner");
        sigprocmask(SIG_SETMASK, &before, NULL);
        goto undo_pair;
    }
    if (runner > 0) {
        close(pair[1]);
        keep(runner, pair[0], &watched);
    }
    close(pair[0]);
    become_runner(keeper, &before);
    return pair[1];
undo_pair:
    close(pair[0]);
    close(pair[1]);
    return -1;
}
