/* fabric.c - folders, a lock, and inotify through libuv. */
#include "fabric.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX     "run."
#define RECORD_MAX 65536 /* bytes; upstream's records are a few hundred */
#define COMPLAINTS 100   /* about the records of one worker             */

struct fabric {
    char path[PATH_MAX];
    const confinement_t *confinement;
    int lock; /* held for our life */
    unsigned long next;
};

struct folder {
    char path[PATH_MAX];
    char name[RZ_ID_MAX + 8]; /* of the record */
    folder_found_fn fn;
    void *arg;
    uv_fs_event_t watch;
    uv_timer_t first_look; /* once, for a record that came before the watch stood */
    bool watching;
    unsigned long bad_records; /* a worker may write as many as it likes */
    int handles;
};

/* ---- files ---- */

static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return n > 0 && n < PATH_MAX;
}

static int make_folders(const char *path)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return ENAMETOOLONG;
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return errno;
        *slash = '/';
    }
    return mkdir(part, 0700) != 0 && errno != EEXIST ? errno : 0;
}

/* ---- the runner's folder ---- */

static int lock_folder(const char *path)
{
    char file[PATH_MAX];
    if (!join(file, path, "lock"))
        return -1;
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int sys = errno;
    if (fd >= 0)
        close(fd);
    errno = sys;
    return -1;
}

/* One that was made a moment ago and is not locked yet belongs to a runner that starts beside us: it has no
 * lock file, and creating one for it would take its lock away. */
static void remove_if_stale(const char *path)
{
    char file[PATH_MAX];
    if (!join(file, path, "lock") || access(file, F_OK) != 0)
        return;
    int fd = lock_folder(path);
    if (fd < 0)
        return;
    rz_log_info("fabric.stale", "path=%s", path);
    remove_tree(path);
    close(fd);
}

static void remove_stale(const char *state_dir)
{
    DIR *dir = opendir(state_dir);
    if (dir == NULL)
        return;
    const struct dirent *entry;
    char path[PATH_MAX];
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && join(path, state_dir, entry->d_name))
            remove_if_stale(path);
    closedir(dir);
}

/* Whoever else can write there could move our folders away and register in our workers' names. */
static bool is_ours(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A worker of another user must come through to its own folder; what else is there it cannot list. */
static int let_pass(const confinement_t *confinement, const char *path)
{
    return !confinement->other_user || chmod(path, 0711) == 0 ? 0 : errno;
}

/* Found out now, by name, and not by every worker anew. */
static bool is_reached_by_all(const char *path, rz_err_t *err)
{
    char part[PATH_MAX];
    struct stat info;
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool passable = stat(part, &info) == 0 && (info.st_mode & S_IXOTH) != 0;
        if (!passable)
            rz_fail_field(
                err, RZ_BAD_FIELD, "runner.state_dir",
                "%.300s does not let runner.worker_user pass; allowed: a folder that it can reach (chmod o+x)",
                part);
        if (!passable)
            return false;
        *slash = '/';
    }
    return true;
}

static int make_runners_folder(const confinement_t *confinement, const char *path)
{
    return mkdir(path, 0700) == 0 ? let_pass(confinement, path) : errno;
}

static int make_workers_folder(const confinement_t *confinement, const char *path)
{
    if (mkdir(path, 0700) != 0)
        return errno;
    return !confinement->other_user || chown(path, confinement->uid, confinement->gid) == 0 ? 0 : errno;
}

fabric_t *fabric_open(const char *state_dir, const confinement_t *confinement, rz_err_t *err)
{
    int sys = make_folders(state_dir);
    if (sys != 0) {
        rz_fail_sys(err, sys, "mkdir %s", state_dir);
        return NULL;
    }
    if (!is_ours(state_dir)) {
        rz_fail_field(err, RZ_BAD_FIELD, "runner.state_dir",
                      "%s must be ours, and nobody else may write to it", state_dir);
        return NULL;
    }
    sys = let_pass(confinement, state_dir);
    if (sys != 0) {
        rz_fail_sys(err, sys, "chmod 0711 %s", state_dir);
        return NULL;
    }
    if (confinement->other_user && !is_reached_by_all(state_dir, err))
        return NULL;
    remove_stale(state_dir);
    char token[RZ_TOKEN_LEN + 1], name[64];
    rz_token_new(token);
    snprintf(name, sizeof name, PREFIX "%d.%.8s", (int)getpid(), token);

    fabric_t *fabric = rz_alloc(sizeof *fabric);
    fabric->confinement = confinement;
    sys = join(fabric->path, state_dir, name) ? make_runners_folder(confinement, fabric->path) : ENAMETOOLONG;
    if (sys != 0) {
        rz_fail_sys(err, sys, "mkdir %s/%s", state_dir, name);
        goto undo_fabric;
    }
    fabric->lock = lock_folder(fabric->path);
    if (fabric->lock < 0) {
        rz_fail_sys(err, errno, "lock in %s", fabric->path);
        goto undo_folder;
    }
    return fabric;
undo_folder:
    remove_tree(fabric->path);
undo_fabric:
    rz_free(fabric);
    return NULL;
}

void fabric_close(fabric_t **fabric_ref)
{
    fabric_t *fabric = *fabric_ref;
    if (fabric == NULL)
        return;
    remove_tree(fabric->path);
    close(fabric->lock);
    rz_free(fabric);
    *fabric_ref = NULL;
}

/* ---- one spawn's folder ---- */

static void complain(folder_t *folder, rz_rc_t rc, const char *why)
{
    if (++folder->bad_records <= COMPLAINTS)
        rz_log_warn("fabric.bad_record", "path=%s/%s code=%s %s", folder->path, folder->name, rz_rc_name(rc),
                    why);
}

/* The worker may have put anything there: a link elsewhere, or a FIFO on which we would wait for ever. */
static size_t read_record(folder_t *folder, char *bytes)
{
    char path[PATH_MAX];
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = join(path, folder->path, folder->name) ? open(path, flags) : -1;
    if (fd < 0)
        return 0;
    struct stat info;
    bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    bool small = regular && info.st_size <= RECORD_MAX;
    ssize_t n = small ? read(fd, bytes, RECORD_MAX) : 0;
    close(fd);
    if (regular && !small)
        complain(folder, RZ_TOO_LARGE, "at most 65536 bytes are read");
    return n > 0 ? (size_t)n : 0;
}

static void look(folder_t *folder)
{
    char bytes[RECORD_MAX];
    size_t n = read_record(folder, bytes);
    if (n == 0 || !folder->watching)
        return;
    rz_err_t err = { 0 };
    rz_record_t record;
    if (rz_record_decode(bytes, n, &record, &err) != RZ_OK) {
        complain(folder, err.rc, err.text);
        return;
    }
    if (rz_record_live(&record, rz_wall_us()))
        folder->fn(&record, folder->arg);
    rz_record_fini(&record);
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
    (void)events;
    (void)status;
    folder_t *folder = watch->data;
    if (name == NULL || strcmp(name, folder->name) == 0)
        look(folder);
}

static void on_first_look(uv_timer_t *timer)
{
    look(timer->data);
}

folder_t *folder_open(fabric_t *fabric, uv_loop_t *loop, const char *agent_id, folder_found_fn fn, void *arg,
                      rz_err_t *err)
{
    folder_t *folder = rz_alloc(sizeof *folder);
    char number[32];
    snprintf(number, sizeof number, "%lu", ++fabric->next);
    snprintf(folder->name, sizeof folder->name, "%.*s.json", RZ_ID_MAX, agent_id);
    folder->fn = fn;
    folder->arg = arg;
    int sys = join(folder->path, fabric->path, number)
                  ? make_workers_folder(fabric->confinement, folder->path)
                  : ENAMETOOLONG;
    if (sys != 0) {
        rz_fail_sys(err, sys, "mkdir %s/%s", fabric->path, number);
        rz_free(folder);
        return NULL;
    }
    uv_fs_event_init(loop, &folder->watch);
    uv_timer_init(loop, &folder->first_look);
    folder->watch.data = folder->first_look.data = folder;
    folder->handles = 2;
    folder->watching = true;
    int rc = uv_fs_event_start(&folder->watch, on_change, folder->path, 0);
    if (rc != 0) {
        rz_fail_sys(err, -rc, "watching %s", folder->path);
        folder_close(&folder);
        return NULL;
    }
    uv_timer_start(&folder->first_look, on_first_look, 0, 0);
    return folder;
}

const char *folder_path(const folder_t *folder)
{
    return folder->path;
}

void folder_unwatch(folder_t *folder)
{
    folder->watching = false;
    uv_fs_event_stop(&folder->watch);
    uv_timer_stop(&folder->first_look);
}

static void on_folder_closed(uv_handle_t *handle)
{
    folder_t *folder = handle->data;
    if (--folder->handles == 0)
        rz_free(folder);
}

void folder_close(folder_t **folder_ref)
{
    folder_t *folder = *folder_ref;
    if (folder == NULL)
        return;
    *folder_ref = NULL;
    folder_unwatch(folder);
    remove_tree(folder->path);
    uv_close((uv_handle_t *)&folder->watch, on_folder_closed);
    uv_close((uv_handle_t *)&folder->first_look, on_folder_closed);
}
