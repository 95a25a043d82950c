/* procs.c - walks /proc. */
#include "procs.h"

#include "base/mem.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAMILY_MAX     256 /* processes whose memory is asked for: who has more is counted as far as that */
#define SWEEP_PAUSE_MS 2
#define CHILDREN_BYTES 2048 /* of a list of children: as many                                              */

typedef struct {
    pid_t pid, parent, session;
    bool marked;
} proc_t;

typedef struct {
    proc_t *list;
    size_t count, cap;
} procs_t;

/* The next number of a space-separated line; moves *text behind it. */
static pid_t next_number(const char **text)
{
    char *end;
    long number = strtol(*text, &end, 10);
    *text = end;
    return (pid_t)number;
}

/* "<pid> (<name>) <state> <ppid> <pgrp> <session> ...": the name may hold anything, so look behind its last
 * ')'. */
static bool parse_stat(const char *text, proc_t *out)
{
    const char *behind = strrchr(text, ')');
    if (behind == NULL || strlen(behind) < 4)
        return false;
    const char *numbers = behind + 3;
    out->parent = next_number(&numbers);
    next_number(&numbers); /* the group */
    out->session = next_number(&numbers);
    return behind[2] != 'Z' && behind[2] != 'X'; /* the state */
}

static bool read_stat(const char *pid, proc_t *out)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false; /* it ended meanwhile */
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    *out = (proc_t){ .pid = (pid_t)strtol(pid, NULL, 10) };
    return parse_stat(text, out);
}

static void add(procs_t *procs, const proc_t *proc)
{
    if (procs->count == procs->cap) {
        procs->cap = procs->cap == 0 ? 256 : procs->cap * 2;
        procs->list = rz_realloc(procs->list, procs->cap * sizeof *procs->list);
    }
    procs->list[procs->count++] = *proc;
}

static procs_t snapshot(void)
{
    procs_t procs = { 0 };
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return procs;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        proc_t proc;
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_stat(entry->d_name, &proc))
            add(&procs, &proc);
    }
    closedir(dir);
    return procs;
}

static bool is_marked(const procs_t *procs, pid_t pid)
{
    for (size_t i = 0; i < procs->count; i++)
        if (procs->list[i].pid == pid)
            return procs->list[i].marked;
    return false;
}

/* Marks children of what is marked until nothing new is found: pids are in no useful order. */
static void mark_descendants(procs_t *procs, pid_t root)
{
    bool grew = true;
    while (grew) {
        grew = false;
        for (size_t i = 0; i < procs->count; i++) {
            proc_t *p = &procs->list[i];
            if (p->marked || (p->parent != root && !is_marked(procs, p->parent)))
                continue;
            p->marked = grew = true;
        }
    }
}

static size_t kill_marked(procs_t *procs)
{
    size_t n = 0;
    for (size_t i = 0; i < procs->count; i++)
        if (procs->list[i].marked && kill(procs->list[i].pid, SIGKILL) == 0)
            n++;
    rz_free(procs->list);
    return n;
}

static size_t kill_descendants(pid_t root)
{
    procs_t procs = snapshot();
    mark_descendants(&procs, root);
    return kill_marked(&procs);
}

size_t procs_kill_session(pid_t sid)
{
    procs_t procs = snapshot();
    for (size_t i = 0; i < procs.count; i++)
        procs.list[i].marked = procs.list[i].session == sid;
    return kill_marked(&procs);
}

/* A process that forks while we look is found by the next look. */
size_t procs_sweep(void)
{
    size_t killed = 0, found;
    while ((found = kill_descendants(getpid())) > 0) {
        killed += found;
        usleep(SWEEP_PAUSE_MS * 1000);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return killed;
}

/* ---- standing still ---- */

static bool is_listed(const procs_t *procs, pid_t pid)
{
    for (size_t i = 0; i < procs->count; i++)
        if (procs->list[i].pid == pid)
            return true;
    return false;
}

/* Stops whoever is not among those that were stopped before, and adds him to them. */
static size_t stop_new(pid_t root, procs_t *stopped)
{
    procs_t procs = snapshot();
    size_t found = 0;
    mark_descendants(&procs, root);
    for (size_t i = 0; i < procs.count; i++) {
        const proc_t *proc = &procs.list[i];
        if (!proc->marked || is_listed(stopped, proc->pid) || kill(proc->pid, SIGSTOP) != 0)
            continue;
        add(stopped, proc);
        found++;
    }
    rz_free(procs.list);
    return found;
}

/* Who has been sent the signal forks no more, so what a look does not find new is all. */
size_t procs_stop_descendants(pid_t root)
{
    procs_t stopped = { 0 };
    while (stop_new(root, &stopped) > 0)
        ;
    rz_free(stopped.list);
    return stopped.count;
}

/* Whatever it looks like: one that waits in the kernel, as for a child of vfork(), shows only later that it was stopped. */
size_t procs_continue_descendants(pid_t root)
{
    procs_t procs = snapshot();
    size_t n = 0;
    mark_descendants(&procs, root);
    for (size_t i = 0; i < procs.count; i++)
        n += procs.list[i].marked && kill(procs.list[i].pid, SIGCONT) == 0;
    rz_free(procs.list);
    return n;
}

/* ---- memory ---- */

/* What a file of /proc holds, as far as it fits between two spaces; "" when there is none. */
static void read_text(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(out, 1, size - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    bool cut = n == size - 1;
    while (cut && n > 0 && out[n - 1] != ' ')
        n--;
    out[n] = '\0';
}

/* The second number of statm: pages. */
static uint64_t resident_of(pid_t pid)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    read_text(path, text, sizeof text);
    const char *behind = strchr(text, ' ');
    return behind == NULL ? 0 : strtoull(behind, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t resident_below(pid_t pid, size_t *left);

/* Children belong to the thread that made them. Without CONFIG_PROC_CHILDREN there is no such file, and only the
 * process itself counts. */
static uint64_t resident_of_children(pid_t pid, const char *thread, size_t *left)
{
    char path[96], text[CHILDREN_BYTES];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)pid, thread);
    read_text(path, text, sizeof text);
    const char *rest = text;
    for (pid_t child; *left > 0 && (child = next_number(&rest)) > 0;)
        bytes += resident_below(child, left);
    return bytes;
}

static uint64_t resident_below(pid_t pid, size_t *left)
{
    char path[64];
    uint64_t bytes = resident_of(pid);
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    --*left;
    if (threads == NULL)
        return bytes;
    const struct dirent *entry;
    while ((entry = readdir(threads)) != NULL)
        if (entry->d_name[0] != '.')
            bytes += resident_of_children(pid, entry->d_name, left);
    closedir(threads);
    return bytes;
}

uint64_t procs_resident(pid_t root)
{
    size_t left = FAMILY_MAX;
    return resident_below(root, &left);
}
