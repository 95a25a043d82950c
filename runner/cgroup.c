/* cgroup.c - reads and writes the files of cgroup2. */
#include "cgroup.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FOLDERS_OPEN 16 /* while a tree of groups is removed */

/* ---- files ---- */

static bool join(char out[PATH_MAX], const char *group, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", group, name);
    if (n > 0 && n < PATH_MAX)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

/* False, and errno: it cannot be read. */
static bool read_file(const char *path, rz_buf_t *out)
{
    char chunk[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        rz_buf_put(out, chunk, n);
    fclose(file);
    rz_buf_put(out, "", 0);
    return true;
}

static bool read_of(const char *group, const char *name, rz_buf_t *out)
{
    char path[PATH_MAX];
    return join(path, group, name) && read_file(path, out);
}

/* 0 or errno. */
static int write_to(const char *group, const char *name, const char *text)
{
    char path[PATH_MAX];
    int fd = join(path, group, name) ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return errno;
    int sys = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return sys;
}

static bool has(const char *group, const char *name)
{
    char path[PATH_MAX];
    return join(path, group, name) && access(path, F_OK) == 0;
}

static bool may_write(const char *group, const char *name)
{
    char path[PATH_MAX];
    return join(path, group, name) && access(path, W_OK) == 0;
}

/* ---- where we are ---- */

/* The line of version 2 has the number 0 and no controllers: "0::<path>". */
static bool read_membership(const char *membership, char out[PATH_MAX])
{
    const char *line = membership;
    while (line != NULL && strncmp(line, "0::", 3) != 0) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL)
        return false;
    int n = snprintf(out, PATH_MAX, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    return n > 0 && n < PATH_MAX && out[0] == '/' && strncmp(out, "/..", 3) != 0;
}

/* Spaces and the like stand there as three octal digits. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* "<id> <parent> <major:minor> <root> <mount point> <options> [...] - cgroup2 ...": what of the hierarchy is seen there
 * begins at <root>. */
static bool find_in_mount(const char *line, size_t len, const char *path, char out[PATH_MAX])
{
    char text[2 * PATH_MAX + 512], root[PATH_MAX], point[PATH_MAX];
    if (snprintf(text, sizeof text, "%.*s", (int)len, line) >= (int)sizeof text ||
        strstr(text, " - cgroup2 ") == NULL)
        return false;
    if (sscanf(text, "%*s %*s %*s %4095s %4095s", root, point) != 2)
        return false;
    unescape(root);
    unescape(point);
    size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, skip) != 0 || (path[skip] != '/' && path[skip] != '\0'))
        return false;
    const char *rest = strcmp(path + skip, "/") == 0 ? "" : path + skip;
    int n = snprintf(out, PATH_MAX, "%s%s", point, rest);
    return n > 0 && n < PATH_MAX;
}

rz_rc_t cgroup_locate(const char *membership, const char *mounts, char out[PATH_MAX], rz_err_t *err)
{
    char path[PATH_MAX];
    if (!read_membership(membership, path))
        return rz_fail(err, RZ_NOT_FOUND,
                       "this process is in no control group of version 2 that can be seen here");
    for (const char *line = mounts; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (find_in_mount(line, len, path, out))
            return RZ_OK;
        line += len + (line[len] == '\n');
    }
    return rz_fail(err, RZ_NOT_FOUND, "control group %.100s is mounted nowhere (cgroup2)", path);
}

rz_rc_t cgroup_of_self(char out[PATH_MAX], rz_err_t *err)
{
    rz_buf_t membership = { 0 }, mounts = { 0 };
    rz_rc_t rc = RZ_OK;
    if (!read_file("/proc/self/cgroup", &membership) || !read_file("/proc/self/mountinfo", &mounts))
        rc = rz_fail_sys(err, errno, "/proc/self");
    else
        rc = cgroup_locate(membership.data, mounts.data, out, err);
    rz_buf_fini(&membership);
    rz_buf_fini(&mounts);
    return rc;
}

/* ---- whether it is ours ---- */

/* systemd marks what it delegates. The first takes CAP_SYS_ADMIN to be read. */
static bool is_marked(const char *group)
{
    static const char *const marks[] = { "trusted.delegate", "user.delegate" };
    char value[8];
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (getxattr(group, marks[i], value, sizeof value) == 1 && value[0] == '1')
            return true;
    return false;
}

/* One of another pid namespace is shown as 0, and is somebody. */
static bool is_other_there(const char *group, rz_buf_t *procs)
{
    if (!read_of(group, "cgroup.procs", procs))
        return true;
    for (char *at = procs->data; *at != '\0';) {
        if (strtol(at, &at, 10) != getpid())
            return true;
        at += strspn(at, "\n");
    }
    return false;
}

rz_rc_t cgroup_check_ours(const char *group, bool insist, rz_err_t *err)
{
    if (!has(group, "cgroup.kill") || !has(group, "cgroup.freeze"))
        return rz_fail(err, RZ_NOT_ALLOWED, "%.150s is the root of all groups, or Linux is older than 5.14",
                       group);
    if (access(group, W_OK) != 0 || !may_write(group, "cgroup.procs"))
        return rz_fail(err, RZ_NOT_ALLOWED, "%.150s is not delegated: %s", group, strerror(errno));
    if (geteuid() == 0 && !insist && !is_marked(group))
        return rz_fail(err, RZ_NOT_ALLOWED, "%.150s is not marked as delegated", group);
    rz_buf_t procs = { 0 };
    bool other = is_other_there(group, &procs);
    rz_buf_fini(&procs);
    return other ? rz_fail(err, RZ_NOT_ALLOWED, "%.150s has other processes in it", group) : RZ_OK;
}

/* ---- who is in it ---- */

static bool is_populated(int events_fd)
{
    char text[256] = "";
    ssize_t n = pread(events_fd, text, sizeof text - 1, 0);
    return n > 0 && strstr(text, "populated 0") == NULL;
}

/* For whoever has read the file the kernel marks it when it changes (POLLPRI). */
bool cgroup_await_empty(const char *group, int patience_ms)
{
    char path[PATH_MAX];
    uint64_t deadline_ms = rz_now_ms() + (uint64_t)patience_ms, now_ms;
    int fd = join(path, group, "cgroup.events") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return errno == ENOENT;
    bool populated;
    while ((populated = is_populated(fd)) && (now_ms = rz_now_ms()) < deadline_ms) {
        struct pollfd change = { .fd = fd, .events = POLLPRI };
        poll(&change, 1, (int)(deadline_ms - now_ms));
    }
    close(fd);
    return !populated;
}

static size_t count_in(const char *group)
{
    rz_buf_t procs = { 0 };
    size_t n = 0;
    if (read_of(group, "cgroup.procs", &procs))
        for (const char *at = procs.data; (at = strchr(at, '\n')) != NULL; at++)
            n++;
    rz_buf_fini(&procs);
    return n;
}

size_t cgroup_count(const char *group)
{
    size_t n = 0;
    char *path = rz_strdup(group), *const roots[] = { path, NULL };
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry;
    while (walk != NULL && (entry = fts_read(walk)) != NULL)
        if (entry->fts_info == FTS_D)
            n += count_in(entry->fts_path);
    if (walk != NULL)
        fts_close(walk);
    rz_free(path);
    return n;
}

/* ---- bounds ---- */

/* What a group may give on to those below it stands there: "cpu memory pids". */
static bool offers(const char *group, const char *controller)
{
    rz_buf_t list = { 0 };
    bool found = false;
    if (read_of(group, "cgroup.controllers", &list))
        for (char *rest = list.data, *word; !found && (word = strtok_r(rest, " \n", &rest)) != NULL;)
            found = strcmp(word, controller) == 0;
    rz_buf_fini(&list);
    return found;
}

int cgroup_enable(const char *group, const char *controller)
{
    char text[64];
    snprintf(text, sizeof text, "+%s", controller);
    return offers(group, controller) ? write_to(group, "cgroup.subtree_control", text) : ENOENT;
}

int cgroup_bound(const char *group, const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return write_to(group, name, text);
}

/* "oom_kill <n>" on a line of its own. */
uint64_t cgroup_memory_kills(const char *group)
{
    rz_buf_t events = { 0 };
    const char *line = read_of(group, "memory.events", &events) ? strstr(events.data, "\noom_kill ") : NULL;
    uint64_t kills = line != NULL ? strtoull(line + strlen("\noom_kill "), NULL, 10) : 0;
    rz_buf_fini(&events);
    return kills;
}

/* ---- what is done to it ---- */

bool cgroup_make(const char *group, const char *name, char out[PATH_MAX])
{
    return join(out, group, name) && (mkdir(out, 0755) == 0 || errno == EEXIST);
}

int cgroup_enter(const char *group)
{
    return write_to(group, "cgroup.procs", "0");
}

int cgroup_kill(const char *group)
{
    return write_to(group, "cgroup.kill", "1");
}

int cgroup_freeze(const char *group, bool frozen)
{
    return write_to(group, "cgroup.freeze", frozen ? "1" : "0");
}

/* A group's files go with its folder. */
static int remove_folder(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)at;
    return kind == FTW_DP && rmdir(path) != 0 && errno != ENOENT ? errno : 0;
}

int cgroup_remove(const char *group)
{
    if (rmdir(group) == 0)
        return 0;
    int sys = nftw(group, remove_folder, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
    if (sys < 0)
        sys = errno;
    return sys == ENOENT ? 0 : sys;
}
