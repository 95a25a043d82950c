/* keepsake.c - see keepsake.h. */
#include "keepsake.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX     1024
#define TICK_STEP_MS 2000
#define NUMBER_MAX   (((uint64_t)1 << 53) - 1)

static rz_rc_t decode(const char *bytes, size_t n, rz_store_mark_t *out)
{
    rz_err_t err = { 0 };
    cJSON *tree = rz_json_parse(bytes, n, FILE_MAX, &err);
    rz_fields_t f = { tree, "", &err };
    const char *id = tree != NULL ? rz_field_str(&f, "id", RZ_REQUIRED, sizeof out->id - 1) : NULL;
    const char *lineage =
        tree != NULL ? rz_field_str(&f, "lineage", RZ_REQUIRED, sizeof out->lineage - 1) : NULL;
    if (id != NULL && lineage != NULL) {
        out->term = rz_field_u64(&f, "term", RZ_REQUIRED, 0, 0, NUMBER_MAX);
        out->tick = rz_field_u64(&f, "tick", RZ_REQUIRED, 0, 0, NUMBER_MAX);
        (void)snprintf(out->id, sizeof out->id, "%s", id);
        (void)snprintf(out->lineage, sizeof out->lineage, "%s", lineage);
    }
    cJSON_Delete(tree);
    return err.rc;
}

static void read_mark(keepsake_t *keepsake, rz_store_mark_t *mark)
{
    char bytes[FILE_MAX];
    FILE *file = fopen(keepsake->path, "re");
    if (file == NULL)
        return;
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (decode(bytes, n, &keepsake->written) != RZ_OK) {
        rz_log_warn("keepsake.damaged", "path=%s what was known of the store is lost", keepsake->path);
        keepsake->written = (rz_store_mark_t){ 0 };
    }
    *mark = keepsake->written;
}

rz_rc_t keepsake_open(keepsake_t *keepsake, const char *dir, const char *broker, rz_store_mark_t *mark,
                      rz_err_t *err)
{
    *keepsake = (keepsake_t){ 0 };
    *mark = (rz_store_mark_t){ 0 };
    if (*dir == '\0')
        return RZ_OK;
    int n = snprintf(keepsake->path, sizeof keepsake->path, "%s/store-%s.json", dir, broker);
    if (n < 0 || (size_t)n + sizeof ".new" > sizeof keepsake->path)
        return rz_fail_field(err, RZ_BAD_FIELD, "broker.state_dir", "longer than a path may be");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return rz_fail_field(err, RZ_BAD_FIELD, "broker.state_dir", "cannot make %s: %s", dir,
                             strerror(errno));
    read_mark(keepsake, mark);
    return RZ_OK;
}

/* Whole or not at all. */
static bool replace(const char *path, rz_str_t text)
{
    char draft[PATH_MAX];
    if ((size_t)snprintf(draft, sizeof draft, "%s.new", path) >= sizeof draft)
        return false;
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write(fd, text.p, text.n) == (ssize_t)text.n;
    return close(fd) == 0 && written && rename(draft, path) == 0;
}

static bool is_news(const keepsake_t *keepsake, const rz_store_mark_t *mark)
{
    const rz_store_mark_t *old = &keepsake->written;
    return strcmp(old->id, mark->id) != 0 || strcmp(old->lineage, mark->lineage) != 0 ||
           old->term != mark->term || mark->tick < old->tick || mark->tick >= old->tick + TICK_STEP_MS;
}

void keepsake_put(keepsake_t *keepsake, const rz_store_mark_t *mark)
{
    if (keepsake->path[0] == '\0' || !is_news(keepsake, mark))
        return;
    rz_buf_t text = { 0 };
    rz_json_open(&text, '{');
    rz_json_put_str(&text, "id", mark->id);
    rz_json_put_str(&text, "lineage", mark->lineage);
    rz_json_put_u64(&text, "term", mark->term);
    rz_json_put_u64(&text, "tick", mark->tick);
    rz_json_close(&text, '}');
    if (!replace(keepsake->path, rz_buf_str(&text)))
        rz_log_warn("keepsake.unwritten", "path=%s error=%s", keepsake->path, strerror(errno));
    rz_buf_fini(&text);
    keepsake->written = *mark; /* tried: the next news tries again */
}
