/* access.h - how the store is reached, as the configuration says it: redis.*
 *
 * Only brokers and `rhizome store` read this: a runner and its workers have no business with Redis. The password
 * comes from the file that redis.password_file names, or from the environment or the configuration file; never from
 * a flag, which every user of the host can read (config.h). */
#pragma once

#include "base/config.h"
#include "state/store.h"

/* Fills url, user, password, plaintext and call_timeout_ms; all are lent by the configuration, which keeps the content of
 * the password file, and wipes it. A failure names the key: a file that is not ours alone, an address that cannot be
 * read, one to which we do not speak in the clear. */
rz_rc_t rz_store_access_read(rz_config_t *config, rz_store_options_t *out, rz_err_t *err);
/* The same without a look at files: whether the settings make sense on any host. */
rz_rc_t rz_store_access_check(const rz_config_t *config, rz_err_t *err);
