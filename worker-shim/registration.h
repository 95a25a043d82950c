/* registration.h - this worker's entry in the file fabric, from listening to leaving (rule 2). */
#pragma once

#include "base/rc.h"

#include <uv.h>

typedef struct registration registration_t;

/* Publishes <fabric_dir>/<child_id>.json (the folder is made if missing) and renews it every 20 s. All texts
 * are copied. NULL and err on failure. */
registration_t *registration_open(uv_loop_t *loop, const char *fabric_dir, const char *child_id,
                                  const char *role, const char *endpoint, rz_err_t *err);
/* Takes the record away again, unless the file now carries somebody else's pid, and stops renewing. */
void registration_close(registration_t **registration);
