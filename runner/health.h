/* health.h - how the runner is: /readyz and /metrics over HTTP, and what the service manager is told.
 *
 * Ready means consuming: linked to a broker, whose last answer to our sync was OK and is seconds old (so the
 * store is up as well), and not draining. The watchdog is fed by progress only: the loop turns, and either syncs are
 * answered, whatever the answer, or there is no broker, which is looked for. Neither a broker nor a store that is away is
 * our fault, and to end us for it would end our workers. Loop thread only. */
#pragma once

#include "base/rc.h"

struct runner;
typedef struct runner_health runner_health_t;

/* When everything else of the runner is open. NULL and err: settings->http cannot be listened on (RZ_SYS). */
runner_health_t *runner_health_open(struct runner *runner, rz_err_t *err);
const char *runner_health_url(const runner_health_t *health); /* "http://127.0.0.1:40001"; NULL: not served */
void runner_health_synced(runner_health_t *health, rz_rc_t code); /* the answer to a sync */
void runner_health_stopping(runner_health_t *health);             /* tells the manager, once */
void runner_health_close(runner_health_t **health);               /* before the WebSocket context */
