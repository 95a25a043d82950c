/* keeper.c - forks, watches, sweeps. */
#include "keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS KEEPER_BEAT_MS
#define BEAT    "."

typedef struct {
    pid_t runner;
    int beats;   /* our end of the pair            */
    int signals; /* signalfd                       */
    uint64_t looked_ms;
    uint64_t silent_ms; /* since the last beat, as far as we saw it pass */
    bool ended;         /* reaped                         */
    int status;         /* as waitpid gave it             */
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

/* A beat, or something for the service manager. */
static void on_message(keeper_t *keeper)
{
    char text[KEEPER_NOTICE_MAX + 1];
    ssize_t n = recv(keeper->beats, text, sizeof text - 1, MSG_DONTWAIT);
    if (n > 0) {
        keeper->silent_ms = 0;
        text[n] = '\0';
        if (strcmp(text, BEAT) != 0)
            rz_notify(text);
    } else if (n == 0) { /* its end: SIGCHLD follows, and an fd that is always readable would make us spin */
        shutdown(keeper->beats, SHUT_RDWR);
    }
}

/* Time that passed unseen, because we were stopped as well (Ctrl-Z stops us both), is not the runner's. */
static void count_silence(keeper_t *keeper)
{
    uint64_t now_ms = rz_now_ms(), passed_ms = now_ms - keeper->looked_ms;
    keeper->looked_ms = now_ms;
    keeper->silent_ms += passed_ms < UINT64_C(2) * LOOK_MS ? passed_ms : LOOK_MS;
}

/* Until the runner ended or was silent for too long. Beats are read before silence is judged. */
static void watch(keeper_t *keeper)
{
    bool deaf = false;
    while (!keeper->ended) {
        struct pollfd fds[] = { { .fd = keeper->signals, .events = POLLIN },
                                { .fd = deaf ? -1 : keeper->beats, .events = POLLIN } };
        int n = poll(fds, 2, LOOK_MS);
        if (n < 0 && errno != EINTR)
            return;
        count_silence(keeper);
        if (n > 0 && fds[1].revents != 0)
            on_message(keeper);
        if (n > 0 && (fds[1].revents & POLLHUP) != 0)
            deaf = true;
        if (n > 0 && fds[0].revents != 0)
            on_signal(keeper);
        if (keeper->silent_ms >= KEEPER_SILENCE_MS) {
            rz_log_error("keeper.runner_silent", "pid=%d silent_ms=%d", (int)keeper->runner,
                         KEEPER_SILENCE_MS);
            return;
        }
    }
}

static void sweep(const tree_t *tree)
{
    size_t killed = tree_sweep(tree);
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

_Noreturn static void keep(pid_t runner, int beats, const sigset_t *watched, const tree_t *tree)
{
    keeper_t keeper = { .runner = runner, .beats = beats, .looked_ms = rz_now_ms() };
    keeper.signals = signalfd(-1, watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper.signals >= 0)
        watch(&keeper);
    sweep(tree);
    _exit(exit_code(&keeper));
}

/* PDEATHSIG is set last and the parent looked at again: it may have died in between. SIGQUIT
 * and not SIGKILL: the runner must still kill its workers. */
static void become_runner(pid_t keeper, const sigset_t *before)
{
    sigprocmask(SIG_SETMASK, before, NULL);
    prctl(PR_SET_CHILD_SUBREAPER,
          1); /* as the keeper: what workers leave behind stays in sight when that is gone */
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != keeper)
        _exit(70);
}

int keeper_fork(int ready_fd, const tree_t *tree, rz_err_t *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
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
        if (ready_fd >= 0)
            close(ready_fd);
        keep(runner, pair[0], &watched, tree);
    }
    close(pair[0]);
    become_runner(keeper, &before);
    return pair[1];
undo_pair:
    close(pair[0]);
    close(pair[1]);
    return -1;
}

/* ---- in the runner ---- */

bool keeper_tell(int keeper_fd, const char *notice)
{
    return send(keeper_fd, notice, strlen(notice), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

bool keeper_beat(int keeper_fd)
{
    return keeper_tell(keeper_fd, BEAT);
}
