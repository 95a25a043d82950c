/* conn.c - see conn.h. */
#include "conn.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define LISTENING 10 /* TCP_LISTEN of the kernel's tcp_states.h, which it keeps to itself */

typedef struct {
    char host[INET6_ADDRSTRLEN];
    unsigned port;
} place_t;

bool conn_id(int fd, uint64_t *out)
{
    socklen_t size = sizeof *out;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, out, &size) == 0;
}

bool conn_bytes(int fd, conn_bytes_t *out)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int unread = 0;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == LISTENING ||
        ioctl(fd, FIONREAD, &unread) != 0)
        return false;
    out->taken = (uint64_t)info.tcpi_bytes_received - (uint64_t)unread;
    out->answered = info.tcpi_bytes_acked;
    return true;
}

static place_t place_of(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    place_t place = { "-", 0 };
    if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, place.host, sizeof place.host);
        place.port = ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, place.host, sizeof place.host);
        place.port = ntohs(v6->sin6_port);
    }
    return place;
}

/* "[::1]" or "127.0.0.1": is it this host, or any? A broker that listens to both families sees 127.0.0.1 as ::ffff:127.0.0.1. */
static bool is_host(const char *text, size_t n, const char *host)
{
    static const char mapped[] = "::ffff:";
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if ((n == 7 && memcmp(text, "0.0.0.0", 7) == 0) || (n == 2 && memcmp(text, "::", 2) == 0))
        return true;
    if (strncmp(host, mapped, sizeof mapped - 1) == 0)
        host += sizeof mapped - 1;
    return n == strlen(host) && memcmp(text, host, n) == 0;
}

bool conn_came_to(int fd, const char *endpoint)
{
    static const char tcp[] = "tcp://";
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, tcp, sizeof tcp - 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    const char *host = endpoint + sizeof tcp - 1;
    place_t here = place_of(&address);
    return here.port != 0 && strtoul(colon + 1, NULL, 10) == here.port &&
           is_host(host, (size_t)(colon - host), here.host);
}

void conn_peer(int fd, char out[CONN_PEER_MAX])
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    (void)getpeername(fd, (struct sockaddr *)&address, &size);
    place_t there = place_of(&address);
    snprintf(out, CONN_PEER_MAX, "%s:%u", there.host, there.port);
}
