/* private_file.c - see private_file.h. */
#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHERS       0077 /* mode bits that nobody may have */
#define OTHERS_WRITE 0022
#define YOUNG_SECS   1 /* longer than a tick of any file system: writes within one tick leave the same stamps */

/* ---- reading ---- */

typedef rz_rc_t (*check_fn)(const struct stat *info, rz_err_t *err);

static rz_rc_t check_private(const struct stat *info, rz_err_t *err)
{
    if (info->st_uid != geteuid())
        return rz_fail(err, RZ_NOT_ALLOWED, "belongs to user %u, must belong to ours, %u",
                       (unsigned)info->st_uid, (unsigned)geteuid());
    if ((info->st_mode & OTHERS) != 0)
        return rz_fail(err, RZ_NOT_ALLOWED, "has mode %04o, must be closed to group and others (chmod 600)",
                       (unsigned)info->st_mode & 07777);
    return RZ_OK;
}

static rz_rc_t check_trusted(const struct stat *info, rz_err_t *err)
{
    if (info->st_uid != geteuid() && info->st_uid != 0)
        return rz_fail(err, RZ_NOT_ALLOWED, "belongs to user %u, must belong to root or to ours, %u",
                       (unsigned)info->st_uid, (unsigned)geteuid());
    if ((info->st_mode & OTHERS_WRITE) != 0)
        return rz_fail(err, RZ_NOT_ALLOWED,
                       "has mode %04o, must not be writable by group and others (chmod 644)",
                       (unsigned)info->st_mode & 07777);
    return RZ_OK;
}

/* Without waiting: a pipe of that name must not hold us. */
static int open_checked(const char *path, check_fn check, rz_err_t *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 && errno == ELOOP)
        rz_fail(err, RZ_NOT_ALLOWED, "must not be a symbolic link");
    else if (fd < 0 || fstat(fd, &info) != 0)
        rz_fail_sys(err, errno, "cannot be opened");
    else if (!S_ISREG(info.st_mode))
        rz_fail(err, RZ_NOT_ALLOWED, "must be a regular file");
    else if (check(&info, err) == RZ_OK)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* One byte more than is allowed shows that there is more. The memory is taken in one piece, so that growing
 * leaves no copies behind. */
static rz_rc_t read_all(int fd, size_t max, char *bytes, size_t *len, rz_err_t *err)
{
    while (*len <= max) {
        ssize_t n = read(fd, bytes + *len, max + 1 - *len);
        if (n == 0)
            return RZ_OK;
        if (n < 0 && errno != EINTR)
            return rz_fail_sys(err, errno, "cannot be read");
        if (n > 0)
            *len += (size_t)n;
    }
    return rz_fail(err, RZ_TOO_LARGE, "has more than the %zu bytes that are allowed", max);
}

static rz_rc_t read_checked(const char *path, check_fn check, size_t max, char **bytes, size_t *len,
                            rz_err_t *err)
{
    *bytes = NULL;
    *len = 0;
    int fd = open_checked(path, check, err);
    if (fd < 0)
        return err->rc;
    *bytes = rz_alloc(max + 1);
    rz_rc_t rc = read_all(fd, max, *bytes, len, err);
    close(fd);
    if (rc != RZ_OK)
        rz_private_file_free(bytes, *len);
    return rc;
}

rz_rc_t rz_private_file_read(const char *path, size_t max, char **bytes, size_t *len, rz_err_t *err)
{
    return read_checked(path, check_private, max, bytes, len, err);
}

rz_rc_t rz_trusted_file_read(const char *path, size_t max, char **bytes, size_t *len, rz_err_t *err)
{
    return read_checked(path, check_trusted, max, bytes, len, err);
}

void rz_private_file_free(char **bytes, size_t len)
{
    if (*bytes != NULL)
        rz_wipe(*bytes, len);
    rz_free(*bytes);
    *bytes = NULL;
}

/* ---- looking ---- */

static bool is_young(struct timespec changed)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* as the file system stamps; a wrong one costs a second reading */
    return now.tv_sec - changed.tv_sec >= 0 && now.tv_sec - changed.tv_sec <= YOUNG_SECS;
}

rz_private_file_state_t rz_private_file_look(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return (rz_private_file_state_t){ 0 };
    return (rz_private_file_state_t){ .device = info.st_dev,
                                      .inode = info.st_ino,
                                      .size = (uint64_t)info.st_size,
                                      .written = info.st_mtim,
                                      .changed = info.st_ctim,
                                      .young = is_young(info.st_ctim) };
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool rz_private_file_same(const rz_private_file_state_t *a, const rz_private_file_state_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(a->written, b->written) && is_same_time(a->changed, b->changed);
}
