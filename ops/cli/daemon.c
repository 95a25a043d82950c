/* daemon.c - starting a program and knowing how it ended. */
#include "daemon.h"

#include "out.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_LINES   15
#define LOG_TAIL    4096
#define SHORT_LIFE  1000 /* ms */
#define CANNOT_EXEC 127

void daemon_init(daemon_t *daemon, const char *title, const char *program)
{
    *daemon = (daemon_t){ .ready_fd = -1 };
    snprintf(daemon->title, sizeof daemon->title, "%s", title);
    daemon_arg(daemon, program);
}

void daemon_arg(daemon_t *daemon, const char *arg)
{
    if (daemon->argc < DAEMON_ARGS - 3) /* room for --ready-fd N and the end */
        daemon->argv[daemon->argc++] = rz_strdup(arg);
}

void daemon_flag(daemon_t *daemon, const char *flag, const char *value)
{
    daemon_arg(daemon, flag);
    daemon_arg(daemon, value);
}

void daemon_fini(daemon_t *daemon)
{
    for (int i = 0; i < daemon->argc; i++)
        rz_free(daemon->argv[i]);
    if (daemon->ready_fd >= 0)
        close(daemon->ready_fd);
    daemon->argc = 0;
    daemon->ready_fd = -1;
}

void daemon_program(const char *name, char out[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        slash[1] = '\0';
    int length = snprintf(out, PATH_MAX, "%s%s", self, name);
    if (slash == NULL || length >= PATH_MAX || access(out, X_OK) != 0)
        snprintf(out, PATH_MAX, "%s", name);
}

/* In the child: everything the program must not inherit is undone here. */
static void become(daemon_t *daemon, int ready_fd, pid_t parent)
{
    static char flag[] = "--ready-fd";
    char number[16];
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    int in = open("/dev/null", O_RDONLY);
    int out =
        daemon->log[0] != '\0' ? open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0600) : dup(STDERR_FILENO);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (in > STDERR_FILENO)
        close(in);
    if (out > STDERR_FILENO)
        close(out);
    if (ready_fd >= 0) {
        snprintf(number, sizeof number, "%d", ready_fd);
        daemon->argv[daemon->argc] = flag;
        daemon->argv[daemon->argc + 1] = number;
        daemon->argv[daemon->argc + 2] = NULL;
        fcntl(ready_fd, F_SETFD, 0);
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent)
        execvp(daemon->argv[0], daemon->argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", daemon->argv[0], strerror(errno));
    _exit(CANNOT_EXEC);
}

static long size_of(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 ? (long)found.st_size : 0;
}

bool daemon_start(daemon_t *daemon)
{
    int pipe_fd[2] = { -1, -1 };
    if (daemon->says_ready && pipe2(pipe_fd, O_CLOEXEC) != 0) {
        say("%s: %s", daemon->title, strerror(errno));
        return false;
    }
    if (daemon->ready_fd >= 0)
        close(daemon->ready_fd);
    pid_t parent = getpid();
    daemon->log_from = size_of(daemon->log);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(daemon, pipe_fd[1], parent);
    if (pipe_fd[1] >= 0)
        close(pipe_fd[1]);
    daemon->ready_fd = pipe_fd[0];
    daemon->started_at = rz_now_ms();
    daemon->pid = pid > 0 ? pid : 0;
    if (pid < 0)
        say("%s: %s", daemon->title, strerror(errno));
    return pid > 0;
}

bool daemon_ended(daemon_t *daemon, char why[64])
{
    int status = 0;
    if (daemon->pid == 0 || waitpid(daemon->pid, &status, WNOHANG) != daemon->pid)
        return false;
    daemon->pid = 0;
    daemon->well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    daemon->short_lives = rz_now_ms() - daemon->started_at < SHORT_LIFE ? daemon->short_lives + 1 : 0;
    if (WIFSIGNALED(status))
        snprintf(why, 64, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == CANNOT_EXEC)
        snprintf(why, 64, "%s cannot be run",
                 strrchr(daemon->argv[0], '/') != NULL ? strrchr(daemon->argv[0], '/') + 1 : daemon->argv[0]);
    else
        snprintf(why, 64, "exit code %d", WEXITSTATUS(status));
    return true;
}

void daemon_show_log(const daemon_t *daemon)
{
    char text[LOG_TAIL + 1];
    FILE *file = daemon->log[0] != '\0' ? fopen(daemon->log, "re") : NULL;
    if (file == NULL)
        return;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, size > daemon->log_from + LOG_TAIL ? size - LOG_TAIL : daemon->log_from, SEEK_SET);
    size_t n = fread(text, 1, LOG_TAIL, file);
    fclose(file);
    size_t start = n;
    for (int lines = 0; start > 0; start--)
        if (text[start - 1] == '\n' && start != n && ++lines == LOG_LINES)
            break;
    text[n] = '\0';
    if (n == 0)
        note("%s says nothing of it", daemon->log);
    else
        note("%s ends with:\n%s", daemon->log, text + start);
}

void daemon_signal(const daemon_t *daemon, int signal)
{
    if (daemon->pid > 0)
        kill(daemon->pid, signal);
}
