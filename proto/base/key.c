/* key.c - see key.h. */
#include "base/key.h"

#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define KEY_BYTES 32

const char *const rz_key_role_names[RZ_KEY_ROLES + 1] = { "producer", "client", "subscriber", "runner",
                                                          "admin",    "broker", NULL };

/* zmq_z85_decode() reads beyond its table for bytes that are no ASCII. */
bool rz_key_text_valid(const char *text)
{
    static const char z85[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    uint8_t bytes[KEY_BYTES];
    return text != NULL && strlen(text) == RZ_KEY_LEN && strspn(text, z85) == RZ_KEY_LEN &&
           zmq_z85_decode(bytes, text) != NULL;
}

void rz_key_new(rz_key_t *key, const char *name, rz_key_role_t role, const char *server_key)
{
    *key = (rz_key_t){ .role = role };
    snprintf(key->name, sizeof key->name, "%s", name);
    snprintf(key->server_key, sizeof key->server_key, "%s", server_key != NULL ? server_key : "");
    zmq_curve_keypair(key->public_key, key->secret_key);
}

bool rz_key_is_set(const rz_key_t *key)
{
    return key != NULL && key->public_key[0] != '\0';
}

void rz_key_wipe(rz_key_t *key)
{
    rz_wipe(key, sizeof *key);
}

/* ---- the file ---- */

/* Not rz_field_str() with its messages: what was found may be a secret. */
static rz_rc_t take_key(const cJSON *tree, const char *member, bool required, char out[RZ_KEY_LEN + 1],
                        rz_err_t *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, member);
    if (item == NULL && !required)
        return RZ_OK;
    const char *text = cJSON_GetStringValue(item);
    if (text == NULL || !rz_key_text_valid(text))
        return rz_fail_field(err, item == NULL ? RZ_MISSING_FIELD : RZ_BAD_FIELD, member,
                             "must be a key of %d characters (Z85)", RZ_KEY_LEN);
    memcpy(out, text, RZ_KEY_LEN + 1);
    return RZ_OK;
}

static rz_rc_t check_pair(const rz_key_t *key, rz_err_t *err)
{
    char public_key[RZ_KEY_LEN + 1];
    if (zmq_curve_public(public_key, key->secret_key) == 0 && strcmp(public_key, key->public_key) == 0)
        return RZ_OK;
    return rz_fail_field(err, RZ_BAD_FIELD, "public_key", "is not that of secret_key");
}

static rz_rc_t decode(const cJSON *tree, rz_key_t *out, rz_err_t *err)
{
    if (!cJSON_IsObject(tree))
        return rz_fail(err, RZ_BAD_JSON, "must hold one object");
    rz_fields_t f = { .obj = tree, .where = "", .err = err };
    const char *name = rz_field_id(&f, "name", RZ_REQUIRED);
    out->role = (rz_key_role_t)rz_field_enum(&f, "role", RZ_REQUIRED, rz_key_role_names, 0);
    if (err->rc != RZ_OK)
        return err->rc;
    snprintf(out->name, sizeof out->name, "%s", name);
    if (take_key(tree, "public_key", true, out->public_key, err) != RZ_OK ||
        take_key(tree, "secret_key", true, out->secret_key, err) != RZ_OK ||
        take_key(tree, "server_key", out->role != RZ_KEY_BROKER, out->server_key, err) != RZ_OK)
        return err->rc;
    return check_pair(out, err);
}

rz_rc_t rz_key_load(const char *path, const char *field, rz_key_t *out, rz_err_t *err)
{
    rz_err_t why = { 0 };
    char *bytes;
    size_t len;
    cJSON *tree = NULL;
    *out = (rz_key_t){ 0 };
    if (*path == '\0')
        return RZ_OK;
    if (rz_private_file_read(path, RZ_KEY_BYTES_MAX, &bytes, &len, &why) == RZ_OK)
        tree = rz_json_parse_commented(bytes, len, 0, &why);
    rz_private_file_free(&bytes, len);
    if (tree != NULL)
        decode(tree, out, &why);
    rz_json_wipe(tree);
    cJSON_Delete(tree);
    if (why.rc == RZ_OK)
        return RZ_OK;
    rz_key_wipe(out);
    return rz_fail_field(err, why.rc, field, "%.100s: %.120s", path, why.text);
}

static void encode(const rz_key_t *key, rz_buf_t *out)
{
    rz_json_open(out, '{');
    rz_json_put_str(out, "name", key->name);
    rz_json_put_str(out, "role", rz_key_role_names[key->role]);
    rz_json_put_str(out, "public_key", key->public_key);
    rz_json_put_str(out, "secret_key", key->secret_key);
    rz_json_opt_str(out, "server_key", rz_or_null(key->server_key));
    rz_json_close(out, '}');
    rz_buf_putc(out, '\n');
}

rz_rc_t rz_key_save(const rz_key_t *key, const char *path, rz_err_t *err)
{
    rz_buf_t text = { 0 };
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return rz_fail(err, RZ_CONFLICT, "%.200s exists already", path);
    if (fd < 0)
        return rz_fail_sys(err, errno, "%.200s", path);
    rz_buf_reserve(&text, RZ_KEY_BYTES_MAX); /* in one piece: growing would leave copies behind */
    encode(key, &text);
    rz_rc_t rc = RZ_OK;
    if (write(fd, text.data, text.len) != (ssize_t)text.len || fsync(fd) != 0) {
        rc = rz_fail_sys(err, errno, "%.200s", path);
        unlink(path);
    }
    close(fd);
    rz_wipe(text.data, text.len);
    rz_buf_fini(&text);
    return rc;
}

/* ---- sockets ---- */

static bool set_int(void *raw, int option, int value)
{
    return zmq_setsockopt(raw, option, &value, sizeof value) == 0;
}

static bool set_text(void *raw, int option, const char *text)
{
    return zmq_setsockopt(raw, option, text, strlen(text)) == 0;
}

/* A key as text counts with its NUL. */
static bool set_key(void *raw, int option, const char *text)
{
    return zmq_setsockopt(raw, option, text, RZ_KEY_LEN + 1) == 0;
}

rz_rc_t rz_key_apply(const rz_key_t *key, const char *domain, void *raw, rz_err_t *err)
{
    if (!rz_key_is_set(key))
        return RZ_OK;
    bool ok = key->role == RZ_KEY_BROKER
                  ? set_int(raw, ZMQ_CURVE_SERVER, 1) && set_key(raw, ZMQ_CURVE_SECRETKEY, key->secret_key) &&
                        set_text(raw, ZMQ_ZAP_DOMAIN, domain)
                  : set_key(raw, ZMQ_CURVE_SERVERKEY, key->server_key) &&
                        set_key(raw, ZMQ_CURVE_PUBLICKEY, key->public_key) &&
                        set_key(raw, ZMQ_CURVE_SECRETKEY, key->secret_key);
    return ok ? RZ_OK : rz_fail_sys(err, errno, "key %s on a socket", key->name);
}
