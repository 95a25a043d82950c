/* conn.h - what the kernel says of a TCP connection: which it is, where it came to and from, how much it brought.
 *
 * A file of its own, because the kernel's header that tells and libc's, which libuv's needs, cannot be read together. Any
 * thread; all take a descriptor that may be anybody's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CONN_PEER_MAX 56 /* of an address and a port as text */

typedef struct {
    uint64_t taken;    /* bytes that came in by it and do not wait in the kernel any more */
    uint64_t answered; /* bytes that went out by it and have reached the other end        */
} conn_bytes_t;

/* Which socket it is, by a number that is never given again. False: it is none. */
bool conn_id(int fd, uint64_t *out);
/* False: it is no connection. */
bool conn_bytes(int fd, conn_bytes_t *out);
/* Whether it came to this endpoint, as bound: tcp://<address>:<port>, 0.0.0.0 and [::] being any. */
bool conn_came_to(int fd, const char *endpoint);
/* "<address>:<port>" of the other end; "-:0": it is gone. */
void conn_peer(int fd, char out[CONN_PEER_MAX]);
