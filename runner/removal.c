/* removal.c - see removal.h. */
#include "removal.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    unsigned long left; /* entries that could not be removed */
    int error;          /* of the first */
} outcome_t;

static void remove_entry(outcome_t *outcome, int folder, const char *name, int depth);

/* Takes fd. */
static void empty(outcome_t *outcome, int fd, int depth)
{
    const struct dirent *entry;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_entry(outcome, fd, entry->d_name, depth);
    closedir(dir);
}

/* What it is, is not asked but found out: a file or a link goes by unlink, and a folder says that it is one. False, and errno:
 * it is still there. */
static bool remove_one(outcome_t *outcome, int folder, const char *name, int depth)
{
    if (unlinkat(folder, name, 0) == 0)
        return true;
    if (errno != EISDIR)
        return errno == ENOENT;
    int fd = depth < REMOVAL_DEPTH_MAX ? openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                       : (errno = ELOOP, -1);
    if (fd < 0)
        return errno == ENOENT;
    empty(outcome, fd, depth + 1);
    return unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static void remove_entry(outcome_t *outcome, int folder, const char *name, int depth)
{
    if (!remove_one(outcome, folder, name, depth) && outcome->left++ == 0)
        outcome->error = errno;
}

void remove_tree(const char *path)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    outcome_t outcome = { 0 };
    if (slash == NULL || snprintf(parent, sizeof parent, "%.*s/", (int)(slash - path), path) >= PATH_MAX)
        return;
    int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    remove_entry(&outcome, fd, slash + 1, 0);
    close(fd);
    if (outcome.left > 0)
        rz_log_warn("fabric.remove", "path=%s left=%lu error=%s", path, outcome.left,
                    strerror(outcome.error));
}
