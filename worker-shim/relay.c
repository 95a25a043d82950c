/* relay.c - passes a program's stderr on to ours. */
#include "relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#define PATIENCE_MS 50

static bool writable(int patience_ms)
{
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    return poll(&fd, 1, patience_ms) == 1 && (fd.revents & POLLOUT) != 0;
}

/* A pipe that polls writable has room for PIPE_BUF bytes, so writes of that size never block; our stderr may
 * be shared, so it cannot be made non-blocking. */
void relay_stderr(const char *bytes, size_t n)
{
    static bool stuck;
    while (n > 0) {
        if (!writable(stuck ? 0 : PATIENCE_MS)) {
            stuck = true;
            return;
        }
        stuck = false;
        ssize_t written = write(STDERR_FILENO, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (written < 0 && errno != EINTR)
            return;
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        }
    }
}
