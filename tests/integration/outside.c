/* outside.c - see outside.h. */
#include "outside.h"

#include "../facts.h"
#include "process.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define LOOK_MS     20
#define FAMILIES    256

/* ---- HTTP ---- */

static int connect_to(const char *at)
{
    struct timeval limit = { PATIENCE_MS / 1000, 0 };
    const char *colon = strrchr(at, ':');
    assert_non_null(colon);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(colon + 1)),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("nobody listens at %s", at);
    return fd;
}

/* Reads to the end of the stream. */
static size_t read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while ((got = recv(fd, out + n, size - 1 - n, 0)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    return n;
}

const page_t *page_get(const char *at, const char *path)
{
    static page_t page;
    static char answer[sizeof page.body];
    char request[256];
    int fd = connect_to(at);
    int n =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
    read_all(fd, answer, sizeof answer);
    close(fd);
    const char *body = strstr(answer, "\r\n\r\n");
    if (body == NULL || sscanf(answer, "HTTP/1.1 %d", &page.status) != 1)
        fail_msg("%s%s: \"%s\" is no answer", at, path, answer);
    snprintf(page.body, sizeof page.body, "%s", body + 4);
    return &page;
}

void page_await(const char *at, const char *path, int status, const char *text)
{
    uint64_t deadline_ms = process_now_ms() + PATIENCE_MS;
    const page_t *page = page_get(at, path);
    while (page->status != status || strstr(page->body, text) == NULL) {
        if (process_now_ms() > deadline_ms)
            fail_msg("%s%s never was %d with \"%s\": %d\n%s", at, path, status, text, page->status,
                     page->body);
        poll(NULL, 0, LOOK_MS);
        page = page_get(at, path);
    }
}

bool metric_get(const char *at, const char *sample, double *out)
{
    char line[160];
    const page_t *page = page_get(at, "/metrics");
    snprintf(line, sizeof line, "\n%s ", sample);
    const char *found = strstr(page->body, line);
    if (found != NULL)
        *out = strtod(found + strlen(line), NULL);
    return found != NULL;
}

double metric(const char *at, const char *sample)
{
    double value = 0;
    if (!metric_get(at, sample, &value))
        fail_msg("no %s at %s", sample, at);
    return value;
}

void metric_await(const char *at, const char *sample, double least)
{
    uint64_t deadline_ms = process_now_ms() + PATIENCE_MS;
    double value = -1;
    while (!metric_get(at, sample, &value) || value < least) {
        if (process_now_ms() > deadline_ms)
            fail_msg("%s at %s is %g and never was %g", sample, at, value, least);
        poll(NULL, 0, LOOK_MS);
    }
}

/* ---- the form of metrics ---- */

typedef struct {
    char seen[FAMILIES][80]; /* names */
    size_t n, samples;       /* samples: of the last */
    bool counts;             /* the last is a counter */
    bool typed;              /* its TYPE came         */
} families_t;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static size_t name_length(const char *line)
{
    size_t n = 0;
    while (isalnum((unsigned char)line[n]) || line[n] == '_' || line[n] == ':')
        n++;
    return isdigit((unsigned char)line[0]) ? 0 : n;
}

static void check_name(const char *name)
{
    static const char *const other_units[] = { "_ms",  "_us", "_ms_total", "_us_total",
                                               "_kib", "_mb", "_percent" };
    for (size_t i = 0; i < sizeof other_units / sizeof *other_units; i++)
        if (ends_with(name, other_units[i]))
            fail_msg("%s is not told in a base unit", name);
}

/* "# HELP name text" */
static void take_help(families_t *families, const char *line)
{
    const char *name = line + strlen("# HELP ");
    size_t n = name_length(name);
    if (n == 0 || n >= sizeof families->seen[0] || name[n] != ' ' || name[n + 1] == '\0')
        fail_msg("no help: %s", line);
    if (families->n > 0 && families->samples == 0)
        fail_msg("%s has no sample", families->seen[families->n - 1]);
    assert_true(families->n < FAMILIES);
    char *kept = families->seen[families->n];
    snprintf(kept, sizeof families->seen[0], "%.*s", (int)n, name);
    for (size_t i = 0; i < families->n; i++)
        if (strcmp(families->seen[i], kept) == 0)
            fail_msg("%s comes twice", kept);
    check_name(kept);
    families->n++;
    families->samples = 0;
    families->typed = false;
}

/* "# TYPE name gauge" */
static void take_type(families_t *families, const char *line)
{
    char name[80], type[16];
    if (sscanf(line, "# TYPE %79s %15s", name, type) != 2 || families->n == 0 || families->typed ||
        strcmp(name, families->seen[families->n - 1]) != 0)
        fail_msg("a type without help before it: %s", line);
    families->counts = strcmp(type, "counter") == 0;
    families->typed = true;
    if (!families->counts && strcmp(type, "gauge") != 0)
        fail_msg("no such type: %s", line);
    if (families->counts != ends_with(name, "_total"))
        fail_msg("a counter ends with _total, and nothing else does: %s", line);
}

/* "{label="value"}", or nothing; returns what follows. Which values there are does not grow with the work. */
static const char *skip_label(const char *line, const char *at)
{
    static const char *const labels[] = { "status", "kind", "version" };
    char label[16], value[32];
    int n = 0;
    if (*at != '{')
        return at;
    if (sscanf(at, "{%15[a-z]=\"%31[a-z0-9.]\"}%n", label, value, &n) != 2 || n == 0)
        fail_msg("no label: %s", line);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcmp(labels[i], label) == 0)
            return at + n;
    fail_msg("a label that is not known: %s", line);
    return at;
}

static void take_sample(families_t *families, const char *line)
{
    size_t n = name_length(line);
    if (!families->typed || strlen(families->seen[families->n - 1]) != n ||
        strncmp(families->seen[families->n - 1], line, n) != 0)
        fail_msg("a sample without help and type before it: %s", line);
    const char *number = skip_label(line, line + n);
    char *end = NULL;
    double value = *number == ' ' ? strtod(number + 1, &end) : 0;
    if (end == NULL || end == number + 1 || *end != '\0')
        fail_msg("no number: %s", line);
    if (families->counts && value < 0)
        fail_msg("a counter below zero: %s", line);
    families->samples++;
}

void metrics_are_sound(const char *at)
{
    static families_t families;
    static char text[sizeof((page_t *)0)->body];
    families = (families_t){ 0 };
    snprintf(text, sizeof text, "%s", page_get(at, "/metrics")->body);
    assert_true(ends_with(text, "\n"));
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;) {
        if (strncmp(line, "# HELP ", 7) == 0)
            take_help(&families, line);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            take_type(&families, line);
        else
            take_sample(&families, line);
    }
    assert_true(families.n > 10);
    assert_true(families.samples > 0);
}

/* ---- the service manager ---- */

void manager_open(manager_t *manager, unsigned watchdog_ms)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char usec[24];
    int on = 1;
    *manager = (manager_t){ .dir = "/tmp/rz-manager-XXXXXX" };
    assert_non_null(mkdtemp(manager->dir));
    snprintf(manager->socket, sizeof manager->socket, "%s/notify", manager->dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", manager->socket);
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(manager->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setsockopt(manager->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    setenv("NOTIFY_SOCKET", manager->socket, 1);
    unsetenv("WATCHDOG_PID");
    snprintf(usec, sizeof usec, "%u000", watchdog_ms);
    if (watchdog_ms > 0)
        setenv("WATCHDOG_USEC", usec, 1);
    else
        unsetenv("WATCHDOG_USEC");
}

void manager_close(manager_t *manager)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(manager->fd);
    unlink(manager->socket);
    rmdir(manager->dir);
}

/* The next notice and who sent it; false: none came in time. */
static bool receive(manager_t *manager, char *text, size_t size, int within_ms)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec part = { text, size - 1 };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct pollfd fd = { manager->fd, POLLIN, 0 };
    if (poll(&fd, 1, within_ms) <= 0)
        return false;
    ssize_t n = recvmsg(manager->fd, &message, 0);
    assert_true(n > 0);
    text[n] = '\0';
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    assert_true(head != NULL && head->cmsg_type == SCM_CREDENTIALS);
    struct ucred who;
    memcpy(&who, CMSG_DATA(head), sizeof who);
    manager->sender = who.pid;
    return true;
}

static bool has_line(char *text, const char *line, bool whole)
{
    for (char *rest = text, *one; (one = strsep(&rest, "\n")) != NULL;)
        if (whole ? strcmp(one, line) == 0 : strncmp(one, line, strlen(line)) == 0)
            return true;
    return false;
}

static bool hears(manager_t *manager, const char *line, bool whole, int within_ms)
{
    char text[512];
    uint64_t deadline_ms = process_now_ms() + (uint64_t)within_ms;
    for (uint64_t now_ms = process_now_ms(); now_ms < deadline_ms; now_ms = process_now_ms())
        if (receive(manager, text, sizeof text, (int)(deadline_ms - now_ms)) && has_line(text, line, whole))
            return true;
    return false;
}

bool manager_hears(manager_t *manager, const char *line, int within_ms)
{
    return hears(manager, line, true, within_ms);
}

void manager_await(manager_t *manager, const char *line)
{
    if (!hears(manager, line, true, PATIENCE_MS))
        fail_msg("the service manager was never told %s", line);
}

void manager_await_start(manager_t *manager, const char *start)
{
    if (!hears(manager, start, false, PATIENCE_MS))
        fail_msg("the service manager was never told %s...", start);
}

void manager_forget(manager_t *manager)
{
    char text[512];
    while (receive(manager, text, sizeof text, 0)) {}
}
