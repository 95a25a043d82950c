/* keys.c - see keys.h. */
#include "keys.h"

#include "context.h"
#include "out.h"
#include "verb.h"

#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_MODE 0644 /* nothing in it is secret */

static const char *setting(const char *key)
{
    return common.config != NULL ? rz_config_str(common.config, key) : "";
}

static bool take_path(const char *set, const char *name, char out[PATH_MAX])
{
    int n = *set != '\0' ? snprintf(out, PATH_MAX, "%s", set) : 0;
    return n != 0 ? n < PATH_MAX : context_path(name, out);
}

bool keys_find(keys_t *out)
{
    bool ok = take_path(setting("security.key"), "keys/broker.key", out->key) &&
              take_path(setting("security.allow"), "keys/allow.json", out->allow);
    if (!ok)
        say("no folder to keep keys in: neither security.key and security.allow nor --up-state-dir nor HOME is set");
    return ok;
}

/* ---- the list ---- */

/* NULL and *missing: there is no such file. Else NULL after a message. */
static rz_allow_t *read_list(const char *path, bool *missing)
{
    rz_err_t err = { 0 };
    char *bytes;
    size_t len;
    rz_allow_t *allow = NULL;
    *missing = false;
    if (rz_trusted_file_read(path, RZ_ALLOW_BYTES_MAX, &bytes, &len, &err) == RZ_OK)
        allow = rz_allow_decode(bytes, len, &err);
    rz_private_file_free(&bytes, len);
    if (allow == NULL && err.sys == ENOENT)
        *missing = true;
    else if (allow == NULL)
        say("%s: %s", path, err.text);
    return allow;
}

rz_allow_t *keys_read(const char *path)
{
    bool missing;
    rz_allow_t *allow = read_list(path, &missing);
    if (missing)
        say("%s: there is no allow list; `rhizome key new broker --role broker` makes one", path);
    return allow;
}

/* Held against others who change the list. It is replaced, so it cannot be locked itself; and what anybody can open anybody
 * can lock: a file of its own, of mode 0600 and of the list's owner. */
static int lock_beside(const char *path)
{
    char file[PATH_MAX + 8];
    struct stat list;
    snprintf(file, sizeof file, "%s.lock", path);
    int fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool ok =
        fd >= 0 && (stat(path, &list) != 0 || fchown(fd, list.st_uid, list.st_gid) == 0 || errno == EPERM);
    if (ok && flock(fd, LOCK_EX) == 0)
        return fd;
    say("%s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Whole or not at all, with owner and mode as they were: the broker may be another user. */
static bool write_list(const char *path, rz_str_t text)
{
    char draft[PATH_MAX + 8];
    struct stat old;
    bool was = stat(path, &old) == 0;
    snprintf(draft, sizeof draft, "%s.new", path);
    unlink(draft);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LIST_MODE);
    bool ok = fd >= 0 && fchmod(fd, was ? old.st_mode & 0755 : LIST_MODE) == 0 &&
              (!was || fchown(fd, old.st_uid, old.st_gid) == 0 || errno == EPERM) &&
              write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0 && rename(draft, path) == 0;
    if (!ok)
        say("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool is_name_taken(const rz_allow_t *allow, const char *without, const char *name)
{
    bool leaves = without != NULL && strcmp(without, name) == 0;
    return allow != NULL && !leaves && rz_allow_by_name(allow, name) != NULL;
}

static outcome_t write_changed(const char *path, const rz_allow_t *allow, const char *without,
                               const rz_allowed_t *more)
{
    rz_err_t err = { 0 };
    rz_buf_t text = { 0 };
    rz_allow_encode(allow, without, more, &text);
    rz_allow_t *fresh = rz_allow_decode(text.data, text.len, &err);
    if (fresh == NULL)
        say("%s", err.text);
    bool ok = fresh != NULL && write_list(path, rz_buf_str(&text));
    rz_allow_destroy(&fresh);
    rz_buf_fini(&text);
    return ok ? EXIT_DONE : EXIT_CONFIG;
}

outcome_t keys_change(const char *path, const char *without, const rz_allowed_t *more)
{
    bool missing;
    outcome_t outcome = EXIT_CONFIG;
    int lock = lock_beside(path);
    if (lock < 0)
        return outcome;
    rz_allow_t *allow = read_list(path, &missing);
    if (more != NULL && is_name_taken(allow, without, more->name)) {
        say("a key named %s is on the list already: revoke it, or take another name", more->name);
        outcome = EXIT_REFUSED;
    } else if (allow != NULL || missing) {
        outcome = write_changed(path, allow, without, more);
    }
    rz_allow_destroy(&allow);
    close(lock);
    return outcome;
}

bool keys_make_list(const char *path)
{
    return access(path, F_OK) == 0 || keys_change(path, NULL, NULL) == EXIT_DONE;
}

/* ---- making keys ---- */

static bool make_folder_of(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return true;
    *slash = '\0';
    if (folder_make(folder))
        return true;
    say("%s: %s", folder, strerror(errno));
    return false;
}

static bool save(const rz_key_t *key, const char *path)
{
    rz_err_t err = { 0 };
    if (rz_key_save(key, path, &err) == RZ_OK)
        return true;
    say("%s", err.text);
    return false;
}

bool keys_make_broker(const keys_t *keys)
{
    bool ok = make_folder_of(keys->key) && make_folder_of(keys->allow);
    if (ok && access(keys->key, F_OK) != 0) {
        rz_key_t key;
        rz_key_new(&key, "broker", RZ_KEY_BROKER, NULL);
        ok = save(&key, keys->key);
        rz_key_wipe(&key);
    }
    return ok && keys_make_list(keys->allow);
}

bool keys_server_key(const keys_t *keys, char out[RZ_KEY_LEN + 1])
{
    rz_err_t err = { 0 };
    rz_key_t key;
    if (rz_key_load(keys->key, "security.key", &key, &err) != RZ_OK) {
        say("%s", err.text);
        return false;
    }
    memcpy(out, key.role == RZ_KEY_BROKER ? key.public_key : key.server_key, RZ_KEY_LEN + 1);
    rz_key_wipe(&key);
    return true;
}

bool keys_make_peer(const keys_t *keys, const char *name, rz_key_role_t role, const char *path)
{
    char server[RZ_KEY_LEN + 1];
    rz_key_t key;
    if (access(path, F_OK) == 0)
        return true;
    if (!keys_server_key(keys, server))
        return false;
    rz_key_new(&key, name, role, server);
    const rz_allowed_t entry = { .name = name, .public_key = key.public_key, .role = role };
    bool ok = save(&key, path);
    if (ok && keys_change(keys->allow, name, &entry) != EXIT_DONE) {
        unlink(path);
        ok = false;
    }
    rz_key_wipe(&key);
    return ok;
}
