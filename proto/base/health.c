/* health.c - see health.h. */
#include "base/health.h"

#include "base/http.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SCHEME   "tcp://"
#define HOST_MAX 256

struct rz_health {
    rz_http_server_t *server;
    rz_health_events_t events;
    void *arg;
    char url[HOST_MAX + 16];
};

struct rz_checks {
    rz_buf_t lines, failed; /* every check; the names of those that failed */
    rz_buf_t first;         /* of them, and what is wrong with it           */
};

void rz_check(rz_checks_t *checks, const char *name, bool ok, const char *fmt, ...)
{
    rz_buf_printf(&checks->lines, "[%c] %s", ok ? '+' : '-', name);
    if (!ok) {
        char detail[256];
        va_list args;
        va_start(args, fmt);
        vsnprintf(detail, sizeof detail, fmt, args);
        va_end(args);
        rz_buf_printf(&checks->lines, ": %s", detail);
        if (checks->first.len == 0)
            rz_buf_printf(&checks->first, "%s: %s", name, detail);
        rz_buf_printf(&checks->failed, "%s%s", checks->failed.len > 0 ? ", " : "", name);
    }
    rz_buf_putc(&checks->lines, '\n');
}

static void checks_fini(rz_checks_t *checks)
{
    rz_buf_fini(&checks->lines);
    rz_buf_fini(&checks->failed);
    rz_buf_fini(&checks->first);
}

bool rz_health_ready(const rz_health_events_t *events, void *arg, char *why, size_t size)
{
    rz_checks_t checks = { 0 };
    events->ready(&checks, arg);
    bool ready = checks.failed.len == 0;
    if (why != NULL)
        snprintf(why, size, "%s", ready ? "" : checks.first.data);
    checks_fini(&checks);
    return ready;
}

static void answer_ready(const rz_health_t *health, bool verbose, rz_http_answer_t *out)
{
    rz_checks_t checks = { 0 };
    health->events.ready(&checks, health->arg);
    bool ready = checks.failed.len == 0;
    out->status = ready ? 200 : 503;
    if (verbose)
        rz_buf_put_str(&out->body, rz_buf_str(&checks.lines));
    if (ready)
        rz_buf_puts(&out->body, "ok\n");
    else
        rz_buf_printf(&out->body, "not ready: %s\n", checks.failed.data);
    checks_fini(&checks);
}

static void on_get(const char *path, const char *query, rz_http_answer_t *out, void *arg)
{
    const rz_health_t *health = arg;
    if (strcmp(path, "/livez") == 0) {
        rz_buf_puts(&out->body, "ok\n");
    } else if (strcmp(path, "/readyz") == 0) {
        answer_ready(health, strcmp(query, "verbose") == 0 || strncmp(query, "verbose=", 8) == 0, out);
    } else if (strcmp(path, "/metrics") == 0) {
        out->type = RZ_HTTP_METRICS;
        health->events.metrics(&out->body, health->arg);
    } else {
        out->status = 404;
        rz_buf_puts(&out->body, "there is /livez, /readyz, /readyz?verbose and /metrics\n");
    }
}

/* tcp://HOST:PORT, as the configuration has checked it. */
static rz_rc_t cut_endpoint(const char *endpoint, char host[HOST_MAX], uint16_t *port, rz_err_t *err)
{
    const char *from = strncmp(endpoint, SCHEME, strlen(SCHEME)) == 0 ? endpoint + strlen(SCHEME) : NULL;
    const char *colon = from != NULL ? strrchr(from, ':') : NULL;
    if (colon == NULL || colon - from >= HOST_MAX)
        return rz_fail(err, RZ_BAD_FIELD, "%.200s is no tcp://HOST:PORT to listen on", endpoint);
    memcpy(host, from, (size_t)(colon - from));
    host[colon - from] = '\0';
    if (strcmp(host, "*") == 0) /* as ZeroMQ says it */
        snprintf(host, HOST_MAX, "0.0.0.0");
    *port = (uint16_t)strtoul(colon + 1, NULL, 10); /* "*": 0, any */
    return RZ_OK;
}

rz_health_t *rz_health_open(rz_ws_context_t *context, const char *endpoint, const rz_health_events_t *events,
                            void *arg, rz_err_t *err)
{
    char host[HOST_MAX];
    uint16_t port = 0;
    if (cut_endpoint(endpoint, host, &port, err) != RZ_OK)
        return NULL;
    rz_health_t *health = rz_alloc(sizeof *health);
    health->events = *events;
    health->arg = arg;
    health->server = rz_http_listen(context, host, port, on_get, health, err);
    if (health->server == NULL) {
        rz_free(health);
        return NULL;
    }
    snprintf(health->url, sizeof health->url, "http://%s:%u", host, rz_health_port(health));
    return health;
}

uint16_t rz_health_port(const rz_health_t *health)
{
    return rz_http_port(health->server);
}

const char *rz_health_url(const rz_health_t *health)
{
    return health->url;
}

void rz_health_close(rz_health_t **health)
{
    if (*health == NULL)
        return;
    rz_http_close(&(*health)->server);
    rz_free(*health);
    *health = NULL;
}

/* ---- metrics ---- */

void rz_metric_head(rz_buf_t *out, const char *name, rz_metric_type_t type, const char *help)
{
    rz_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                  type == RZ_GAUGE ? "gauge" : "counter");
}

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

static void put_number(rz_buf_t *out, double number)
{
    if (number > -WHOLE_MAX && number < WHOLE_MAX && number == (double)(int64_t)number)
        rz_buf_printf(out, " %.0f\n", number);
    else
        rz_buf_printf(out, " %.9g\n", number);
}

static void put_label_value(rz_buf_t *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            rz_buf_putc(out, '\\');
        if (*value == '\n')
            rz_buf_puts(out, "\\n");
        else
            rz_buf_putc(out, *value);
    }
}

void rz_metric_sample(rz_buf_t *out, const char *name, const char *label, const char *value, double number)
{
    rz_buf_puts(out, name);
    if (label != NULL) {
        rz_buf_printf(out, "{%s=\"", label);
        put_label_value(out, value);
        rz_buf_puts(out, "\"}");
    }
    put_number(out, number);
}

void rz_metric(rz_buf_t *out, const char *name, rz_metric_type_t type, const char *help, double number)
{
    rz_metric_head(out, name, type, help);
    rz_metric_sample(out, name, NULL, NULL, number);
}

/* ---- the process ---- */

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double resident_bytes(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *pages = strchr(text, ' '); /* behind the size */
    return pages != NULL ? strtod(pages, NULL) * (double)sysconf(_SC_PAGESIZE) : 0;
}

/* Without the one that looks. */
static double open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1;
}

void rz_metrics_process(rz_buf_t *out)
{
    struct rusage usage = { 0 };
    struct rlimit files = { 0 };
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &files);
    rz_metric_head(out, "rhizome_build_info", RZ_GAUGE, "1; the label tells the version.");
    rz_metric_sample(out, "rhizome_build_info", "version", RZ_VERSION, 1);
    rz_metric(out, "process_cpu_seconds_total", RZ_COUNTER, "Processor time, user and system.",
              seconds(usage.ru_utime) + seconds(usage.ru_stime));
    rz_metric(out, "process_resident_memory_bytes", RZ_GAUGE, "Resident memory.", resident_bytes());
    rz_metric(out, "process_open_fds", RZ_GAUGE, "Open descriptors.", open_descriptors());
    rz_metric(out, "process_max_fds", RZ_GAUGE, "Descriptors that may be open.", (double)files.rlim_cur);
}
