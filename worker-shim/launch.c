/* launch.c - starting a program that dies with us. */
#include "launch.h"

#include "base/mem.h"
#include "base/privacy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the copy finds open beside 0 to 2. */
#define VERDICT_FD   3
#define VARIABLES_FD 4 /* a file in memory: "NAME=value", each with its NUL */

#define EXIT_NO_EXEC 127

static size_t count(char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

/* ---- the copy that becomes the program ---- */

/* Mapped, not copied: exec and _exit both take it away, so nothing is left to be wiped. */
static int take_variables(const char **text, size_t *len)
{
    struct stat info;
    if (fstat(VARIABLES_FD, &info) != 0)
        return errno;
    *text = NULL;
    *len = (size_t)info.st_size;
    if (*len > 0)
        *text = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, VARIABLES_FD, 0);
    int sys = *text == MAP_FAILED ? errno : 0;
    close(VARIABLES_FD);
    return sys;
}

/* Changes what getenv and exec see; /proc/self/environ goes on to show what we were started with. */
static void add_to_environment(const char *text, size_t len)
{
    size_t n = count(environ), more = 0;
    for (size_t at = 0; at < len; at++)
        more += text[at] == '\0';
    const char **made = rz_alloc((n + more + 1) * sizeof(*made));
    memcpy(made, environ, n * sizeof(*made));
    for (size_t at = 0; at < len; at += strlen(text + at) + 1)
        made[n++] = text + at;
    environ = (char **)(void *)made;
}

static int become(char **argv)
{
    const char *text = NULL;
    size_t len = 0;
    int sys = take_variables(&text, &len);
    if (sys != 0)
        return sys;
    add_to_environment(text, len);
    execvp(argv[0], argv);
    return errno;
}

_Noreturn void launch_exec(int argc, char **argv)
{
    rz_keep_memory_private();
    if (argc < 4) {
        fputs("rhizome-worker: " LAUNCH_FLAG " is for rhizome-worker's own use\n", stderr);
        _exit(2);
    }
    long parent = strtol(argv[2], NULL, 10);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)parent) /* it died before the line above took effect */
        _exit(EXIT_NO_EXEC);
    fcntl(VERDICT_FD, F_SETFD, FD_CLOEXEC);
    int verdict = become(argv + 3);
    ssize_t written = write(VERDICT_FD, &verdict, sizeof(verdict));
    _exit(written == (ssize_t)sizeof(verdict) ? EXIT_NO_EXEC : EXIT_NO_EXEC + 1);
}

/* ---- our side ---- */

typedef struct {
    int in[2], out[2], diag[2], verdict[2];
    int variables; /* VARIABLES_FD of the copy */
} pipes_t;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void pipes_close(pipes_t *pipes)
{
    int *pair[] = { pipes->in, pipes->out, pipes->diag, pipes->verdict };
    for (size_t i = 0; i < 4; i++) {
        close_fd(&pair[i][0]);
        close_fd(&pair[i][1]);
    }
    close_fd(&pipes->variables);
}

static rz_rc_t pipes_open(pipes_t *pipes, rz_err_t *err)
{
    *pipes = (pipes_t){ { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 };
    if (pipe2(pipes->in, O_CLOEXEC) == 0 && pipe2(pipes->out, O_CLOEXEC) == 0 &&
        pipe2(pipes->diag, O_CLOEXEC) == 0 && pipe2(pipes->verdict, O_CLOEXEC) == 0)
        return RZ_OK;
    int sys = errno;
    pipes_close(pipes);
    return rz_fail_sys(err, sys, "cannot make a pipe");
}

/* rhizome-worker --exec <our pid> <command> <args...>; the pointers are lent, the array is the caller's. */
static char **make_argv(const char *command, const cJSON *args, const char *our_pid)
{
    size_t n = args != NULL ? (size_t)cJSON_GetArraySize(args) : 0;
    const char **argv = rz_alloc((n + 5) * sizeof(*argv));
    size_t at = 0;
    argv[at++] = "rhizome-worker";
    argv[at++] = LAUNCH_FLAG;
    argv[at++] = our_pid;
    argv[at++] = command;
    for (const cJSON *arg = args != NULL ? args->child : NULL; arg != NULL; arg = arg->next)
        argv[at++] = arg->valuestring;
    return (char **)(void *)argv;
}

static bool is_of_same_name(const char *variable, const char *other)
{
    size_t n = strcspn(variable, "=");
    return n == strcspn(other, "=") && memcmp(variable, other, n) == 0;
}

/* Our own settings are not the program's, and what its profile names comes from there and nowhere else. */
static bool is_passed_on(const char *variable, char *const *named)
{
    bool passed = strncmp(variable, "RHIZOME_", 8) != 0;
    for (size_t i = 0; passed && named != NULL && named[i] != NULL; i++)
        passed = !is_of_same_name(variable, named[i]);
    return passed;
}

/* Our environment is what the runner allowed. The strings are lent. */
static char **make_environment(char *const *named)
{
    char **made = rz_alloc((count(environ) + 1) * sizeof(*made));
    size_t n = 0;
    for (size_t i = 0; environ[i] != NULL; i++)
        if (is_passed_on(environ[i], named))
            made[n++] = environ[i];
    return made;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno != EINTR)
            return errno;
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        }
    }
    return 0;
}

/* What is named may be secret: our copy's environment would show it to everybody who may read /proc, until the
 * copy has become the program. A file in memory takes any size before there is a reader, which a pipe does not. */
static rz_rc_t hand_over(char *const *named, int *fd, rz_err_t *err)
{
    *fd = memfd_create("variables", MFD_CLOEXEC);
    int sys = *fd < 0 ? errno : 0;
    for (size_t i = 0; sys == 0 && named != NULL && named[i] != NULL; i++)
        if (strchr(named[i], '=') != NULL)
            sys = write_all(*fd, named[i], strlen(named[i]) + 1);
    return sys == 0 ? RZ_OK : rz_fail_sys(err, sys, "cannot hand variables over");
}

/* The pipe ends are all above 2 (main.c keeps 0 to 2 open), and those that go to 3 and 4 were opened after six others:
 * none is overwritten before it was copied. */
static void plan_files(posix_spawn_file_actions_t *plan, const pipes_t *pipes, const char *workspace)
{
    posix_spawn_file_actions_init(plan);
    posix_spawn_file_actions_adddup2(plan, pipes->in[0], 0);
    posix_spawn_file_actions_adddup2(plan, pipes->out[1], 1);
    posix_spawn_file_actions_adddup2(plan, pipes->diag[1], 2);
    posix_spawn_file_actions_adddup2(plan, pipes->verdict[1], VERDICT_FD);
    posix_spawn_file_actions_adddup2(plan, pipes->variables, VARIABLES_FD);
    posix_spawn_file_actions_addclosefrom_np(plan, VARIABLES_FD + 1);
    if (workspace != NULL)
        posix_spawn_file_actions_addchdir_np(plan, workspace);
}

static void plan_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setflags(attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(const launch_t *what, const pipes_t *pipes, pid_t *pid)
{
    char our_pid[24];
    snprintf(our_pid, sizeof(our_pid), "%ld", (long)getpid());
    char **argv = make_argv(what->command, what->args, our_pid);
    char **environment = make_environment(what->variables);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    plan_files(&files, pipes, what->workspace);
    plan_attributes(&attributes);

    int sys = posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environment);

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    rz_free(environment);
    rz_free(argv);
    return sys;
}

static rz_rc_t check_workspace(const char *workspace, rz_err_t *err)
{
    struct stat info;
    int sys = 0;
    if (stat(workspace, &info) != 0)
        sys = errno;
    else if (!S_ISDIR(info.st_mode))
        sys = ENOTDIR;
    else if (access(workspace, X_OK) != 0)
        sys = errno;
    return sys == 0 ? RZ_OK : rz_fail_sys(err, sys, "workspace %s cannot be used", workspace);
}

rz_rc_t launch(const launch_t *what, launched_t *out, rz_err_t *err)
{
    pipes_t pipes;
    if (what->workspace != NULL && check_workspace(what->workspace, err) != RZ_OK)
        return RZ_SYS;
    if (pipes_open(&pipes, err) != RZ_OK)
        return RZ_SYS;
    if (hand_over(what->variables, &pipes.variables, err) != RZ_OK) {
        pipes_close(&pipes);
        return RZ_SYS;
    }

    pid_t pid;
    int sys = spawn(what, &pipes, &pid);
    int pidfd = sys == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (sys == 0 && pidfd < 0) {
        sys = errno;
        kill(-pid, SIGKILL);
    }
    if (sys != 0) {
        pipes_close(&pipes);
        return rz_fail_sys(err, sys, "cannot start %s", what->command);
    }
    *out = (launched_t){ .pid = pid,
                         .pidfd = pidfd,
                         .input = pipes.in[1],
                         .output = pipes.out[0],
                         .diagnostics = pipes.diag[0],
                         .verdict = pipes.verdict[0] };
    pipes.in[1] = pipes.out[0] = pipes.diag[0] = pipes.verdict[0] = -1;
    pipes_close(&pipes);
    return RZ_OK;
}
