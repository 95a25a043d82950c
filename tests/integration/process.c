/* process.c - see process.h */
#include "process.h"

#include "../facts.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS_MAX 64

uint64_t process_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void become(const char *const *argv, const char *log, int ready_fd, pid_t parent)
{
    char number[16];
    const char *args[ARGS_MAX + 3];
    size_t n = 0;
    for (; argv[n] != NULL && n < ARGS_MAX; n++)
        args[n] = argv[n];
    if (ready_fd >= 0) {
        snprintf(number, sizeof number, "%d", ready_fd);
        args[n++] = "--ready-fd";
        args[n++] = number;
    }
    args[n] = NULL;

    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int in = open("/dev/null", O_RDONLY);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    /* execvp takes char *const[] for history's sake and changes nothing */
    execvp(args[0], (char *const *)(uintptr_t)args);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", args[0], strerror(errno));
    _exit(127);
}

void process_start(process_t *process, const char *const *argv, const char *log, int ready)
{
    int fds[2] = { -1, -1 };
    if (ready)
        assert_int_equal(pipe(fds), 0);
    snprintf(process->log, sizeof process->log, "%s", log);
    pid_t self = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (ready)
            close(fds[0]);
        become(argv, log, fds[1], self);
    }
    if (ready) {
        close(fds[1]);
        fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    }
    process->pid = pid;
    process->ready_fd = fds[0];
}

void process_show_log(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fseek(file, size > 6000 ? size - 6000 : 0, SEEK_SET);
    char text[6001];
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fprintf(stderr, "---- %s\n%s\n", path, text);
    fclose(file);
}

unsigned process_log_count(const char *path, const char *text)
{
    char line[4096];
    unsigned n = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        n += strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return n;
}

bool process_log_has(const char *path, const char *text, unsigned least, int within_ms)
{
    char events[4096], dir[512];
    uint64_t deadline = process_now_ms() + (uint64_t)within_ms;
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE) >= 0); /* before the first look */
    bool found;
    for (uint64_t now;
         !(found = process_log_count(path, text) >= least) && (now = process_now_ms()) < deadline;) {
        struct pollfd written = { .fd = fd, .events = POLLIN };
        poll(&written, 1, (int)(deadline - now));
        while (read(fd, events, sizeof events) > 0)
            continue;
    }
    close(fd);
    return found;
}

/* Below those that Linux gives to whoever connects; so many for each test program. */
#define LASTING_FIRST 10000
#define LASTING_COUNT 22000
#define LASTING_EACH  22

uint16_t process_free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static bool can_be_bound(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool can = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return can;
}

uint16_t process_lasting_port(void)
{
    static unsigned next;
    uint16_t port;
    do
        port = (uint16_t)(LASTING_FIRST + ((unsigned)getpid() * LASTING_EACH + next++) % LASTING_COUNT);
    while (!can_be_bound(port));
    return port;
}

/* One read within the time that is left: 0 at the end of the pipe, -1 when nothing came. */
static ssize_t read_until(int fd, char *bytes, size_t max, uint64_t deadline)
{
    uint64_t now = process_now_ms();
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, now >= deadline ? 0 : (int)(deadline - now)) > 0 ? read(fd, bytes, max) : -1;
}

void process_ready(process_t *process, char *line, size_t max, int patience_ms)
{
    size_t n = 0;
    ssize_t got;
    uint64_t deadline = process_now_ms() + (uint64_t)patience_ms;
    while ((got = read_until(process->ready_fd, line + n, max - 1 - n, deadline)) > 0)
        n += (size_t)got;
    if (got < 0 || n == 0 || line[n - 1] != '\n') {
        process_show_log(process->log);
        fail_msg("not ready, or the pipe was left open: %s", process->log);
    }
    line[n - 1] = '\0';
    close(process->ready_fd);
    process->ready_fd = -1;
}

/* Waits on a pidfd, so that no poll interval is lost and no SIGCHLD handler is needed. */
static int exited_within(pid_t pid, int patience_ms, int *status)
{
    int fd = pidfd_open(pid, 0);
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    int ready = poll(&poll_fd, 1, patience_ms);
    close(fd);
    return ready > 0 && waitpid(pid, status, 0) == pid;
}

int process_end(process_t *process, int signal, int patience_ms)
{
    if (process->ready_fd > 0)
        close(process->ready_fd);
    process->ready_fd = -1;
    if (process->pid == 0)
        return -1;
    int status = -1;
    if (signal != 0)
        kill(process->pid, signal);
    if (!exited_within(process->pid, patience_ms, &status)) {
        fprintf(stderr, "pid %d ignores signal %d\n", (int)process->pid, signal);
        process_show_log(process->log);
        kill(process->pid, SIGKILL);
        waitpid(process->pid, &status, 0);
    }
    process->pid = 0;
    return status;
}

/* ---- /proc ---- */

long process_resident_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = atol(line + 6);
    fclose(file);
    return kib;
}

typedef struct {
    pid_t pid, parent;
} entry_t;

static int read_parent(const char *pid, pid_t *parent)
{
    char path[64], text[512], state = 0;
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *after = strrchr(text, ')');
    if (after == NULL || sscanf(after + 1, " %c %d", &state, &ppid) != 2)
        return 0;
    *parent = ppid;
    return state != 'Z' && state != 'X';
}

size_t process_descendants(pid_t root, pid_t *out, size_t max)
{
    enum { TABLE = 4096 };
    entry_t *table = calloc(TABLE, sizeof *table);
    size_t n = 0, found = 0;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && n < TABLE;) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        if (read_parent(entry->d_name, &table[n].parent))
            table[n++].pid = (pid_t)atoi(entry->d_name);
    }
    closedir(dir);
    for (size_t done = 0; done <= found && found < max; done++) {
        pid_t parent = done == 0 ? root : out[done - 1];
        for (size_t i = 0; i < n && found < max; i++)
            if (table[i].parent == parent)
                out[found++] = table[i].pid;
    }
    free(table);
    return found;
}
