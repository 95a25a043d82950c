/* notify.c - see notify.h. */
#include "base/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A path, or an abstract name that is written with '@' for its NUL. */
static socklen_t read_address(struct sockaddr_un *out)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t n = name != NULL ? strlen(name) : 0;
    if (n < 2 || n >= sizeof out->sun_path || (name[0] != '/' && name[0] != '@'))
        return 0;
    *out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(out->sun_path, name, n);
    if (name[0] == '@')
        out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

bool rz_notify(const char *state)
{
    struct sockaddr_un address;
    socklen_t size = read_address(&address);
    if (size == 0)
        return false;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    size_t n = strlen(state);
    bool sent = sendto(fd, state, n, MSG_NOSIGNAL, (struct sockaddr *)&address, size) == (ssize_t)n;
    close(fd);
    return sent;
}

uint64_t rz_notify_interval_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    uint64_t allowed_ms = strtoull(usec, NULL, 10) / 1000;
    return allowed_ms / 2;
}

/* One line of a datagram of lines. */
static void put_line(char out[RZ_NOTICE_MAX], const char *key, const char *text)
{
    size_t n = strlen(out);
    snprintf(out + n, RZ_NOTICE_MAX - n, "%s%s%s", n > 0 ? "\n" : "", key, text);
}

bool rz_notice(rz_notice_t *told, bool ready, bool progress, const char *status, char out[RZ_NOTICE_MAX])
{
    char line[RZ_STATUS_MAX];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(status, "\n"), status);
    out[0] = '\0';
    if (ready && !told->ready)
        put_line(out, "READY=", "1");
    if (strcmp(line, told->status) != 0)
        put_line(out, "STATUS=", line);
    if (progress)
        put_line(out, "WATCHDOG=", "1");
    told->ready = told->ready || ready;
    memcpy(told->status, line, sizeof line);
    return out[0] != '\0';
}
