/* porch.c - see porch.h. */
#include "base/porch.h"

#include "base/mem.h"
#include "base/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADS_MAX 64 /* read of one that is refused: as much of the loop's time it gets */

struct porch_guest {
    TAILQ_ENTRY(porch_guest) link;
    porch_t *porch;
    int fd;
    int seen; /* bytes, at the last look */
    uv_poll_t poll;
    rz_timer_t *deadline;
};

static void on_closed(uv_handle_t *handle)
{
    rz_free(handle->data);
}

/* The descriptor stays open: it is the caller's now. libuv has forgotten it. */
static int let_go(porch_guest_t *guest)
{
    int fd = guest->fd;
    TAILQ_REMOVE(&guest->porch->guests, guest, link);
    guest->porch->count--;
    rz_timer_close(&guest->deadline);
    uv_close((uv_handle_t *)&guest->poll, on_closed);
    return fd;
}

static const char *reason_of(unsigned status)
{
    switch (status) {
    case 403:
        return "Forbidden";
    case 426: /* and to what (RFC 9110, 15.5.22) */
        return "Upgrade Required\r\nupgrade: websocket";
    case 431:
        return "Request Header Fields Too Large";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

/* What was sent is read first: a connection that is closed with something unread is reset, and the answer lost. Who sends on
 * without end gets none. */
static void answer(int fd, unsigned status)
{
    char text[256], head[RZ_HEAD_MAX];
    for (int heads = 0; heads < HEADS_MAX && recv(fd, head, sizeof head, MSG_DONTWAIT) > 0;)
        heads++;
    int n = snprintf(text, sizeof text, "HTTP/1.1 %u %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                     status, reason_of(status));
    (void)send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse(porch_guest_t *guest, const char *why, unsigned status)
{
    porch_t *porch = guest->porch;
    int fd = let_go(guest);
    if (status != 0)
        answer(fd, status);
    close(fd);
    porch->rules.refused(why, status, porch->rules.arg);
}

static void on_deadline(void *guest)
{
    refuse(guest, "half_handshake", 0);
}

/* The loop wakes for the next byte only: what is left unread would wake it without end. */
static void wait_for_more(porch_guest_t *guest, int seen)
{
    int least = seen + 1;
    guest->seen = seen;
    setsockopt(guest->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

static void admit(porch_guest_t *guest)
{
    const porch_rules_t *rules = &guest->porch->rules;
    int least = 1, fd = let_go(guest);
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
    rules->admit(fd, rules->arg);
}

static void on_bytes(uv_poll_t *poll, int status, int events)
{
    (void)events;
    porch_guest_t *guest = poll->data;
    char head[RZ_HEAD_MAX];
    ssize_t n = recv(guest->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);
    if (status == 0 && n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (status != 0 || n <= 0) {
        close(let_go(guest));
        return;
    }
    unsigned verdict = rz_head_judge(head, (size_t)n, guest->porch->rules.kind);
    if (verdict == RZ_HEAD_WHOLE)
        admit(guest);
    else if (verdict != RZ_HEAD_PART)
        refuse(guest, "bad_request", verdict);
    else if (n > guest->seen)
        wait_for_more(guest, (int)n);
    else
        close(let_go(guest)); /* woken, and nothing new: the peer has said all it will */
}

void porch_init(porch_t *porch, const porch_rules_t *rules)
{
    porch->rules = *rules;
    porch->count = 0;
    TAILQ_INIT(&porch->guests);
}

void porch_enter(porch_t *porch, int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return; /* none is left, and the connection ends with the caller's */
    fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK);
    if (porch->count == porch->rules.max)
        refuse(TAILQ_FIRST(&porch->guests), "too_many_handshakes", 0);
    porch_guest_t *guest = rz_alloc(sizeof *guest);
    guest->porch = porch;
    guest->fd = own;
    if (uv_poll_init(porch->rules.loop, &guest->poll, own) != 0) {
        close(own);
        rz_free(guest);
        return;
    }
    guest->poll.data = guest;
    guest->deadline = rz_timer_open(porch->rules.loop, on_deadline, guest);
    rz_timer_start(guest->deadline, porch->rules.timeout_ms, 0);
    TAILQ_INSERT_TAIL(&porch->guests, guest, link);
    porch->count++;
    uv_poll_start(&guest->poll, UV_READABLE, on_bytes);
}

void porch_clear(porch_t *porch)
{
    porch_guest_t *guest;
    while ((guest = TAILQ_FIRST(&porch->guests)) != NULL)
        close(let_go(guest));
}
