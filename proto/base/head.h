/* head.h - whether the head of an HTTP request (RFC 9112) may be shown to libwebsockets.
 *
 * libwebsockets 4.1 takes more than this house speaks: it answers `Upgrade: h2c` with HTTP/2, and reads memory that it has
 * given back when it is asked for an upgrade it does not know. So a head is judged before it sees the first byte
 * (porch.h), and by stricter rules than its own: what is let through means the same to both. No I/O. */
#pragma once

#include <stddef.h>

#define RZ_HEAD_MAX 4096 /* bytes, with the empty line at its end */

typedef enum {
    RZ_HEAD_PAGE,     /* the server has pages: no upgrade to anything */
    RZ_HEAD_WEBSOCKET /* the server speaks WebSocket: an upgrade to that, once, and nothing else */
} rz_head_kind_t;

#define RZ_HEAD_WHOLE 0 /* it may pass       */
#define RZ_HEAD_PART  1 /* it has no end yet */

/* RZ_HEAD_WHOLE, RZ_HEAD_PART, or the status with which it is refused: 400 not a request line and fields of visible text,
 * each ended by CR LF; 403 an upgrade that is not served; 426 none where one is needed; 431 too long; 505 not HTTP/1. What
 * stands behind the empty line is not looked at. */
unsigned rz_head_judge(const char *bytes, size_t n, rz_head_kind_t kind);
