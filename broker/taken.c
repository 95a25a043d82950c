/* taken.c - see taken.h. */
#include "taken.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define LISTENING 10 /* TCP_LISTEN of the kernel's tcp_states.h, which it keeps to itself */

bool taken_of(int fd, uint64_t *out)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int unread = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == LISTENING ||
        ioctl(fd, FIONREAD, &unread) != 0)
        return false;
    *out = (uint64_t)info.tcpi_bytes_received - (uint64_t)unread;
    return true;
}
