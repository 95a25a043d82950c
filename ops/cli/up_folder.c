/* up_folder.c - the state folder, and the lock that makes it ours. */
#include "context.h"
#include "out.h"
#include "pick.h"
#include "up.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/un.h>
#include <unistd.h>

#define ROOM       ((size_t)64 << 10) /* bytes that must be had */
#define SOCKET_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static void say_who_holds(const up_t *up)
{
    cJSON *context = context_read();
    if (context != NULL)
        say("already up in %s: pid %" PRIu64 ", control %s", up->dir, pick_count(context, "pid"),
            pick_text(context, "control"));
    else
        say("another `rhizome up` is starting or stopping in %s", up->dir);
    note("use it, stop it with Ctrl-C or kill, or take another folder with --up-state-dir");
    cJSON_Delete(context);
}

/* One `up` per folder: the lock goes with the process, whatever becomes of it. */
static outcome_t lock_folder(up_t *up)
{
    char path[PATH_MAX];
    if (!context_path("lock", path))
        return EXIT_CONFIG;
    up->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (up->lock_fd < 0) {
        say("%s: %s", path, strerror(errno));
        return EXIT_CONFIG;
    }
    if (flock(up->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return EXIT_DONE;
    say_who_holds(up);
    return EXIT_REFUSED;
}

/* Some bytes, down to the disk: errno of what went wrong, or 0. */
static int try_to_write(int fd)
{
    static const char bytes[ROOM];
    ssize_t n = write(fd, bytes, sizeof bytes);
    if (n < 0 || fsync(fd) != 0)
        return errno;
    return n == (ssize_t)sizeof bytes ? 0 : ENOSPC;
}

bool up_folder_check(const up_t *up)
{
    char path[PATH_MAX];
    if (!context_path("room", path))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : try_to_write(fd);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    if (error != 0)
        say("nothing can be written in %s: %s", up->dir, strerror(error));
    return error == 0;
}

outcome_t up_take_folder(up_t *up)
{
    char given[PATH_MAX], logs[PATH_MAX];
    if (!context_dir(given))
        return EXIT_CONFIG;
    if (!folder_make(given) || realpath(given, up->dir) == NULL) {
        say("%s: %s", given, strerror(errno));
        return EXIT_CONFIG;
    }
    int n = snprintf(up->socket, sizeof up->socket, "%s/redis.sock", up->dir);
    if (n < 0 || (size_t)n > SOCKET_MAX) {
        say("%s/redis.sock is longer than the %zu bytes a socket's path may have: name a shorter "
            "--up-state-dir",
            up->dir, SOCKET_MAX);
        return EXIT_CONFIG;
    }
    if (!context_path("logs", logs) || !folder_make(logs)) {
        say("%s: %s", logs, strerror(errno));
        return EXIT_CONFIG;
    }
    outcome_t outcome = lock_folder(up);
    return outcome != EXIT_DONE || up_folder_check(up) ? outcome : EXIT_UNAVAILABLE;
}
