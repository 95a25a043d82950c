/* warden.h - cuts connections that hold back a message (hoard.h): it looks at all that came in by TCP, ten times a second, or less often when
 * that would take more than a twentieth of the loop.
 *
 * Connections are found among the descriptors of this process, by the port they came to, because libzmq's monitors end with
 * each socket; which is which the kernel tells (SO_COOKIE), as a number is given again. Unix sockets have no such counts: they
 * are not watched. Loop thread. */
#pragma once

#include "counters.h"
#include "hoard.h"
#include "proxy.h"

typedef struct warden warden_t;

typedef struct {
    uv_loop_t *loop;
    counters_t *counters;
    rz_sock_t *sock[GATES]; /* NULL: the proxy's */
    proxy_t *proxy;
    hoard_t *hoard; /* lent, as the proxy's thread tells it too */
} warden_parts_t;

warden_t *warden_open(const warden_parts_t *parts, rz_err_t *err);
void warden_stop(warden_t *warden);     /* before the sockets and the proxy are closed */
void warden_destroy(warden_t **warden); /* after */
