/* warden.c - see warden.h. */
#include "warden.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "hoard.h"
#include "taken.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS     100
#define ADDRESS_MAX (INET6_ADDRSTRLEN + 8)

typedef struct {
    warden_t *warden;
    gate_t gate;
} post_t;

struct warden {
    warden_parts_t part;
    rz_timer_t *timer;
    DIR *descriptors; /* kept open: with none left it could not be opened */
    post_t post[GATES];
};

/* ---- finding them ---- */

static bool cookie_of(int fd, uint64_t *out)
{
    socklen_t size = sizeof *out;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, out, &size) == 0;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    switch (address->ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    default:
        return 0;
    }
}

static bool is_at(const char *endpoint, uint16_t port)
{
    const char *colon = strrchr(endpoint, ':');
    return strncmp(endpoint, "tcp://", 6) == 0 && strtoul(colon + 1, NULL, 10) == port;
}

static bool gate_of(const warden_t *warden, int fd, gate_t *out)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    uint16_t port = getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? port_of(&address) : 0;
    if (port == 0)
        return false;
    for (*out = 0; *out < GATES; (*out)++)
        if (warden->part.sock[*out] != NULL && is_at(rz_sock_endpoint(warden->part.sock[*out]), port))
            return true;
    *out = is_at(proxy_publish_endpoint(warden->part.proxy), port) ? GATE_PUBLISH : GATE_EVENTS;
    return *out == GATE_PUBLISH || proxy_hears_at(warden->part.proxy, port);
}

static void see(warden_t *warden, int fd)
{
    hoard_seen_t seen = { .fd = fd };
    if (cookie_of(fd, &seen.id) &&
        (hoard_knows(warden->part.hoard, seen.id, fd, &seen.gate) || gate_of(warden, fd, &seen.gate)) &&
        taken_of(fd, &seen.taken))
        hoard_see(warden->part.hoard, &seen);
}

static void see_all(warden_t *warden)
{
    const struct dirent *entry;
    rewinddir(warden->descriptors);
    while ((entry = readdir(warden->descriptors)) != NULL)
        if (entry->d_name[0] != '.')
            see(warden, (int)strtol(entry->d_name, NULL, 10));
}

/* ---- sending them away ---- */

static void name_peer(int fd, char out[ADDRESS_MAX])
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "-";
    (void)getpeername(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, sizeof host);
    else if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&address)->sin6_addr, host, sizeof host);
    snprintf(out, ADDRESS_MAX, "%s:%u", host, port_of(&address));
}

/* The descriptor is libzmq's, and its number another's as soon as that closes it: a duplicate stays who it is. libzmq reads
 * the end and closes; the kernel then resets the connection instead of waiting for the peer, who may be stuck in sending. */
static void cut(warden_t *warden, const hoard_seen_t *seen, uint64_t held)
{
    char peer[ADDRESS_MAX];
    uint64_t id = 0;
    const struct linger reset = { .l_onoff = 1 };
    int own = fcntl(seen->fd, F_DUPFD_CLOEXEC, 0), fd = own >= 0 ? own : seen->fd;
    if (cookie_of(fd, &id) && id == seen->id) {
        name_peer(fd, peer);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        shutdown(fd, SHUT_RDWR);
        warden->part.counters->unfinished_cut++;
        rz_log_warn("peer.cut",
                    "socket=%s peer=%s held_bytes=%" PRIu64 " max=%" PRIu64
                    " why=\"a message without an end, or too large\"",
                    gate_name(seen->gate), peer, held, hoard_one(warden->part.hoard, seen->gate));
    }
    if (own >= 0)
        close(own);
}

/* ---- looking ---- */

static void on_source(int fd, size_t bytes, size_t parts, void *arg)
{
    const post_t *post = arg;
    hoard_heard(post->warden->part.hoard, post->gate, fd, bytes, parts);
}

static bool is_quiet(const warden_t *warden, gate_t gate)
{
    rz_sock_t *sock = warden->part.sock[gate];
    return sock != NULL ? rz_sock_is_quiet(sock) : proxy_is_quiet(warden->part.proxy);
}

static void on_look(void *arg)
{
    warden_t *warden = arg;
    bool quiet[GATES];
    hoard_seen_t seen;
    uint64_t held;
    hoard_begin(warden->part.hoard, rz_now_ms());
    see_all(warden);
    for (gate_t gate = 0; gate < GATES; gate++)
        quiet[gate] = is_quiet(warden, gate);
    hoard_end(warden->part.hoard, quiet);
    while (hoard_cut(warden->part.hoard, &seen, &held))
        cut(warden, &seen, held);
    if (hoard_suspects(warden->part.hoard, GATE_PUBLISH) || hoard_suspects(warden->part.hoard, GATE_EVENTS))
        proxy_ask_quiet(warden->part.proxy);
}

/* ---- life ---- */

warden_t *warden_open(const warden_parts_t *parts, rz_err_t *err)
{
    DIR *descriptors = opendir("/proc/self/fd");
    if (descriptors == NULL) {
        rz_fail_sys(err, errno, "/proc/self/fd, by which connections are watched");
        return NULL;
    }
    warden_t *warden = rz_alloc(sizeof *warden);
    warden->part = *parts;
    warden->descriptors = descriptors;
    for (gate_t gate = 0; gate < GATES; gate++) {
        warden->post[gate] = (post_t){ warden, gate };
        if (parts->sock[gate] != NULL)
            rz_sock_tell_sources(parts->sock[gate], on_source, &warden->post[gate]);
    }
    warden->timer = rz_timer_open(parts->loop, on_look, warden);
    rz_timer_start(warden->timer, LOOK_MS, LOOK_MS);
    return warden;
}

void warden_stop(warden_t *warden)
{
    if (warden == NULL)
        return;
    rz_timer_close(&warden->timer);
    for (gate_t gate = 0; gate < GATES; gate++)
        if (warden->part.sock[gate] != NULL)
            rz_sock_tell_sources(warden->part.sock[gate], NULL, NULL);
}

void warden_destroy(warden_t **warden_ref)
{
    warden_t *warden = *warden_ref;
    if (warden == NULL)
        return;
    *warden_ref = NULL;
    closedir(warden->descriptors);
    rz_free(warden);
}
