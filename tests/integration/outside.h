/* outside.h - what stands around the daemons in production: a prober and scraper over HTTP, and a service manager that is
 * notified. Whatever does not come in time fails the fact. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- HTTP ---- */
typedef struct {
    int status;
    char body[65536];
} page_t;
/* One GET on a connection of its own; at: "tcp://127.0.0.1:7414", or http. The page is valid until the next call. */
const page_t *page_get(const char *at, const char *path);
/* Asks until the answer has this status and holds this text. */
void page_await(const char *at, const char *path, int status, const char *text);
/* Of /metrics: the value of a sample as it is written, name and label; false: there is none such. */
bool metric_get(const char *at, const char *sample, double *out);
double metric(const char *at, const char *sample); /* fails if there is none such */
void metric_await(const char *at, const char *sample, double least);
/* Every line of /metrics is Prometheus text (format 0.0.4): a family is a HELP, a TYPE and at least one sample, and comes
 * once; counters end with _total; units are base units; labels are from a small set. */
void metrics_are_sound(const char *at);

/* ---- the service manager ---- */
typedef struct {
    int fd;
    char dir[32], socket[48];
    pid_t sender; /* of what was heard last */
} manager_t;
/* What is started from here on notifies it, and is told to show progress within watchdog_ms (0: not asked for). */
void manager_open(manager_t *manager, unsigned watchdog_ms);
void manager_close(manager_t *manager);
/* Waits for a notice with this line: "READY=1". */
void manager_await(manager_t *manager, const char *line);
/* The same for a line that begins so. */
void manager_await_start(manager_t *manager, const char *start);
/* Whether a notice with this line comes within so long. */
bool manager_hears(manager_t *manager, const char *line, int within_ms);
void manager_forget(manager_t *manager); /* what came so far */
