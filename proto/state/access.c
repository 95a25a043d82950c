/* access.c - see access.h. */
#include "state/access.h"

#include "base/private_file.h"
#include "state/address.h"

#include <string.h>

#define PASSWORD_MAX 1024 /* bytes of the file, its line end among them */

static const char file_key[] = "redis.password_file", key[] = "redis.password";

/* One line. What stands behind it would be lost in silence, so there must be nothing. */
static rz_rc_t keep(rz_config_t *config, char *bytes, size_t len, rz_err_t *err)
{
    len = len > 0 && bytes[len - 1] == '\n' ? len - 1 : len;
    len = len > 0 && bytes[len - 1] == '\r' ? len - 1 : len;
    bytes[len] = '\0';
    if (len == 0 || strcspn(bytes, "\r\n") != len) /* nor a NUL */
        return rz_fail_field(err, RZ_BAD_FIELD, file_key, "the file must hold one line, the password");
    return rz_config_set(config, key, bytes, err);
}

static rz_rc_t two_passwords(rz_err_t *err)
{
    return rz_fail_field(err, RZ_BAD_FIELD, file_key, "redis.password is set too; one of them must go");
}

static rz_rc_t take_password(rz_config_t *config, rz_err_t *err)
{
    const char *path = rz_config_str(config, file_key);
    char *bytes;
    size_t len;
    rz_err_t why = { 0 };
    if (*path == '\0')
        return RZ_OK;
    if (*rz_config_str(config, key) != '\0')
        return two_passwords(err);
    if (rz_private_file_read(path, PASSWORD_MAX, &bytes, &len, &why) != RZ_OK)
        return rz_fail_field(err, why.rc, file_key, "%.300s %s", path, why.text);
    rz_rc_t rc = keep(config, bytes, len, err);
    rz_private_file_free(&bytes, len);
    return rc;
}

static rz_rc_t read_options(const rz_config_t *config, rz_store_options_t *out, rz_err_t *err)
{
    rz_address_t address;
    *out = (rz_store_options_t){ .url = rz_config_str(config, "redis.url"),
                                 .user = rz_or_null(rz_config_str(config, "redis.user")),
                                 .password = rz_or_null(rz_config_str(config, key)),
                                 .sentinel_user = rz_or_null(rz_config_str(config, "redis.sentinel_user")),
                                 .sentinel_password =
                                     rz_or_null(rz_config_str(config, "redis.sentinel_password")),
                                 .replicas = (unsigned)rz_config_int(config, "redis.replicas"),
                                 .plaintext = rz_config_bool(config, "redis.plaintext"),
                                 .call_timeout_ms = (uint64_t)rz_config_int(config, "redis.timeout_ms") };
    rz_rc_t rc = rz_address_parse(out, &address, err);
    if (rc == RZ_OK)
        rz_address_fini(&address);
    return rc;
}

rz_rc_t rz_store_access_read(rz_config_t *config, rz_store_options_t *out, rz_err_t *err)
{
    return take_password(config, err) == RZ_OK ? read_options(config, out, err) : err->rc;
}

rz_rc_t rz_store_access_check(const rz_config_t *config, rz_err_t *err)
{
    rz_store_options_t options;
    if (*rz_config_str(config, file_key) != '\0' && *rz_config_str(config, key) != '\0')
        return two_passwords(err);
    return read_options(config, &options, err);
}
