/* registration.c - this worker's entry in the file fabric. */
#include "registration.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/timer.h"
#include "wire/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct registration {
    char *dir;
    char *path; /* <dir>/<child_id>.json */
    char *child_id, *role, *endpoint;
    char started_at[RZ_RFC3339_LEN + 1];
    rz_timer_t *renewal;
};

static char *join(const char *format, const char *a, const char *b, const char *c)
{
    rz_buf_t buf = { 0 };
    rz_buf_printf(&buf, format, a, b, c);
    return rz_buf_take(&buf, NULL);
}

/* Like mkdir -p. What cannot be made is found out by the write that follows. */
static void make_folders(const char *dir)
{
    char *path = rz_strdup(dir);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
    rz_free(path);
}

static rz_rc_t write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, bytes, n);
        if (written < 0 && errno != EINTR)
            return RZ_SYS;
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        }
    }
    return RZ_OK;
}

/* fsync only the first time, before anybody can know of us: after a power cut the worker is gone as well, so
 * all a renewal could lose is a record of the dead, and the loop must not wait for a disk in mid-run. */
static rz_rc_t write_file(const char *path, rz_str_t bytes, bool durable, rz_err_t *err)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return rz_fail_sys(err, errno, "create %s", path);
    rz_rc_t rc = RZ_OK;
    if (write_all(fd, bytes.p, bytes.n) != RZ_OK || (durable && fsync(fd) != 0))
        rc = rz_fail_sys(err, errno, "write %s", path);
    close(fd);
    return rc;
}

/* Hidden name in the same folder, then rename: a reader sees the old record or the new one, never half of
 * one. */
static rz_rc_t publish(registration_t *reg, bool durable, rz_err_t *err)
{
    char lease[RZ_RFC3339_LEN + 1], uuid[RZ_UUID_LEN + 1];
    rz_rfc3339(rz_wall_us() + RZ_RECORD_LEASE_MS * 1000LL, lease);
    rz_uuid_new(uuid);
    rz_record_t record = { .agent_id = reg->child_id,
                           .role = reg->role,
                           .endpoint = reg->endpoint,
                           .pid = (uint32_t)getpid(),
                           .version = RZ_VERSION,
                           .started_at = reg->started_at,
                           .lease_expires_at = lease };
    rz_buf_t bytes = { 0 };
    rz_record_encode(&record, &bytes);
    char *hidden = join("%s/.%s.json.tmp.%s", reg->dir, reg->child_id, uuid);

    rz_rc_t rc = write_file(hidden, rz_buf_str(&bytes), durable, err);
    if (rc == RZ_OK && rename(hidden, reg->path) != 0)
        rc = rz_fail_sys(err, errno, "rename %s to %s", hidden, reg->path);
    if (rc != RZ_OK)
        unlink(hidden);
    rz_free(hidden);
    rz_buf_fini(&bytes);
    return rc;
}

/* A failed renewal is tried again at the next beat: two beats fit into a lease. */
static void on_renewal(void *arg)
{
    rz_err_t err = { 0 };
    if (publish(arg, false, &err) != RZ_OK)
        rz_log_warn("record.renew_failed", "text=\"%s\"", err.text);
}

static void forget(registration_t *reg)
{
    rz_free(reg->dir);
    rz_free(reg->path);
    rz_free(reg->child_id);
    rz_free(reg->role);
    rz_free(reg->endpoint);
    rz_free(reg);
}

registration_t *registration_open(uv_loop_t *loop, const char *fabric_dir, const char *child_id,
                                  const char *role, const char *endpoint, rz_err_t *err)
{
    registration_t *reg = rz_alloc(sizeof(*reg));
    reg->dir = rz_strdup(fabric_dir);
    reg->path = join("%s/%s.json%s", fabric_dir, child_id, "");
    reg->child_id = rz_strdup(child_id);
    reg->role = rz_strdup(role);
    reg->endpoint = rz_strdup(endpoint);
    rz_rfc3339_now(reg->started_at);
    make_folders(fabric_dir);
    if (publish(reg, true, err) != RZ_OK) {
        forget(reg);
        return NULL;
    }
    reg->renewal = rz_timer_open(loop, on_renewal, reg);
    rz_timer_start(reg->renewal, RZ_RECORD_RENEW_MS, RZ_RECORD_RENEW_MS);
    return reg;
}

/* Upstream re-uses ids: a newer worker may have put its own record under our name, and deleting that would
 * make it unreachable (rule 1.7). What cannot be read is left alone as well. */
static bool record_is_ours(const char *path)
{
    char bytes[4096];
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return false;
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    rz_record_t record;
    if (rz_record_decode(bytes, n, &record, NULL) != RZ_OK)
        return false;
    bool ours = record.pid == (uint32_t)getpid();
    rz_record_fini(&record);
    return ours;
}

void registration_close(registration_t **registration)
{
    registration_t *reg = *registration;
    if (reg == NULL)
        return;
    rz_timer_close(&reg->renewal);
    if (record_is_ours(reg->path) && unlink(reg->path) != 0)
        rz_log_warn("record.withdraw_failed", "path=%s", reg->path);
    forget(reg);
    *registration = NULL;
}
