/* taken.h - how much of a TCP connection's bytes somebody has read. A file of its own, because the kernel's header that tells
 * and libc's, which libuv's needs, cannot be read together. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What came in by it and does not wait in the kernel any more. False: it is no connection. */
bool taken_of(int fd, uint64_t *out);
