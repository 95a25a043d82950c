/* health.h - what a daemon says of itself over HTTP: /livez, /readyz, /metrics.
 *
 *   /livez             200 "ok": the loop turns, which the answer proves
 *   /readyz            200 "ok", or 503 "not ready: <check>, <check>"
 *   /readyz?verbose    the same with one line a check: "[+] store", "[-] broker: none is linked"
 *   /metrics           Prometheus text format: base units, no ids as labels
 *
 * Ready means consuming, not merely running: each daemon says by its checks what that is. */
#pragma once

#include "base/ws.h"

typedef struct rz_health rz_health_t;

typedef struct rz_checks rz_checks_t;
/* One check of /readyz; the format says what is wrong and is shown only when `ok` is false. */
void rz_check(rz_checks_t *checks, const char *name, bool ok, const char *fmt, ...) RZ_PRINTF(4, 5);

typedef struct {
    void (*ready)(rz_checks_t *checks, void *arg);
    void (*metrics)(rz_buf_t *out, void *arg);
} rz_health_events_t;

/* How a daemon is by its own checks: true when none of them fails; why (may be NULL): "store: redis is away" of the first that
 * does, else "". */
bool rz_health_ready(const rz_health_events_t *events, void *arg, char *why, size_t size);

/* endpoint: "tcp://127.0.0.1:7414", port "*" for any free one. NULL and err when it cannot be listened on. */
rz_health_t *rz_health_open(rz_ws_context_t *context, const char *endpoint, const rz_health_events_t *events,
                            void *arg, rz_err_t *err);
uint16_t rz_health_port(const rz_health_t *health);
const char *rz_health_url(const rz_health_t *health); /* "http://127.0.0.1:7414"; lent */
void rz_health_close(rz_health_t **health);           /* before its context */

/* ---- writing metrics: one head, then its samples ---- */
typedef enum { RZ_GAUGE, RZ_COUNTER } rz_metric_type_t;
void rz_metric_head(rz_buf_t *out, const char *name, rz_metric_type_t type, const char *help);
/* label NULL: none. `value` of the label is escaped. */
void rz_metric_sample(rz_buf_t *out, const char *name, const char *label, const char *value, double number);
void rz_metric(rz_buf_t *out, const char *name, rz_metric_type_t type, const char *help,
               double number); /* both */
/* What every daemon tells: its build, and memory, processor time and descriptors of its process, by the names that are usual
 * for them. */
void rz_metrics_process(rz_buf_t *out);
