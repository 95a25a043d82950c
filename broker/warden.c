/* warden.c - see warden.h. */
#include "warden.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "conn.h"
#include "hoard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS    100
#define LOOK_SHARE 20 /* of the time of the loop it takes one part in so many */
#define CUTS_MAX   64 /* in one look */

typedef struct {
    warden_t *warden;
    gate_t gate;
} post_t;

struct warden {
    warden_parts_t part;
    rz_timer_t *timer;
    DIR *descriptors; /* kept open: with none left it could not be opened */
    int spare;        /* the same: a number for a duplicate */
    uint64_t told;    /* of those cut, before this look */
    post_t post[GATES];
};

/* ---- finding them ---- */

static bool gate_of(const warden_t *warden, int fd, gate_t *out)
{
    for (*out = 0; *out < GATES; (*out)++)
        if (warden->part.sock[*out] != NULL && conn_came_to(fd, rz_sock_endpoint(warden->part.sock[*out])))
            return true;
    *out = conn_came_to(fd, proxy_publish_endpoint(warden->part.proxy)) ? GATE_PUBLISH : GATE_EVENTS;
    return *out == GATE_PUBLISH || proxy_hears_by(warden->part.proxy, fd);
}

static void see(warden_t *warden, int fd)
{
    hoard_seen_t seen = { .fd = fd };
    conn_bytes_t bytes;
    if (!conn_id(fd, &seen.id) ||
        (!hoard_knows(warden->part.hoard, seen.id, fd, &seen.gate) && !gate_of(warden, fd, &seen.gate)) ||
        !conn_bytes(fd, &bytes))
        return;
    seen.taken = bytes.taken;
    seen.answered = bytes.answered;
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

/* Of many in one look one line is written; the metric has them all. */
static void tell(warden_t *warden, const hoard_seen_t *seen, uint64_t held)
{
    char peer[CONN_PEER_MAX];
    if (warden->part.counters->unfinished_cut++ > warden->told)
        return;
    conn_peer(warden->spare, peer);
    rz_log_warn("peer.cut",
                "socket=%s peer=%s held_bytes=%" PRIu64 " max=%" PRIu64 " cut=%" PRIu64
                " why=\"a message without an end, or too large\"",
                gate_name(seen->gate), peer, held, hoard_one(warden->part.hoard, seen->gate),
                warden->part.counters->unfinished_cut);
}

/* The descriptor is libzmq's, and its number another's as soon as that closes it: a duplicate stays who it is, and its number
 * is ours already, as there may be no other. libzmq reads the end and closes; the kernel then resets the connection instead
 * of waiting for the peer, who may be stuck in sending. */
static void cut(warden_t *warden, const hoard_seen_t *seen, uint64_t held)
{
    uint64_t id = 0;
    const struct linger reset = { .l_onoff = 1 };
    if (dup3(seen->fd, warden->spare, O_CLOEXEC) < 0)
        return;
    if (conn_id(warden->spare, &id) && id == seen->id) {
        tell(warden, seen, held);
        setsockopt(warden->spare, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        shutdown(warden->spare, SHUT_RDWR);
    }
    dup3(dirfd(warden->descriptors), warden->spare, O_CLOEXEC);
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

static void look(warden_t *warden)
{
    hoard_t *hoard = warden->part.hoard;
    bool quiet[GATES];
    hoard_seen_t seen;
    uint64_t held;
    hoard_begin(hoard, rz_now_ms());
    see_all(warden);
    for (gate_t gate = 0; gate < GATES; gate++)
        quiet[gate] = is_quiet(warden, gate);
    hoard_end(hoard, quiet);
    warden->told = warden->part.counters->unfinished_cut;
    for (int i = 0; i < CUTS_MAX && hoard_cut(hoard, &seen, &held); i++)
        cut(warden, &seen, held);
    if (hoard_suspects(hoard, GATE_PUBLISH) || hoard_suspects(hoard, GATE_EVENTS))
        proxy_ask_quiet(warden->part.proxy);
}

/* A look costs some microseconds for each descriptor: with ten thousand of them it comes less often. */
static void on_look(void *arg)
{
    warden_t *warden = arg;
    uint64_t begun = rz_now_ms();
    look(warden);
    uint64_t rest = LOOK_SHARE * (rz_now_ms() - begun);
    rz_timer_start(warden->timer, rest > LOOK_MS ? rest : LOOK_MS, 0);
}

/* ---- life ---- */

warden_t *warden_open(const warden_parts_t *parts, rz_err_t *err)
{
    DIR *descriptors = opendir("/proc/self/fd");
    int spare = descriptors != NULL ? fcntl(dirfd(descriptors), F_DUPFD_CLOEXEC, 0) : -1;
    if (spare < 0) {
        rz_fail_sys(err, errno, "/proc/self/fd, by which connections are watched");
        if (descriptors != NULL)
            closedir(descriptors);
        return NULL;
    }
    warden_t *warden = rz_alloc(sizeof *warden);
    warden->part = *parts;
    warden->descriptors = descriptors;
    warden->spare = spare;
    for (gate_t gate = 0; gate < GATES; gate++) {
        warden->post[gate] = (post_t){ warden, gate };
        if (parts->sock[gate] != NULL)
            rz_sock_tell_sources(parts->sock[gate], on_source, &warden->post[gate]);
    }
    warden->timer = rz_timer_open(parts->loop, on_look, warden);
    rz_timer_start(warden->timer, LOOK_MS, 0);
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
    close(warden->spare);
    rz_free(warden);
}
