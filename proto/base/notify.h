/* notify.h - telling the service manager how we are: systemd's notification protocol (sd_notify(3)), which is one
 * datagram of KEY=VALUE lines to the socket that $NOTIFY_SOCKET names. Without that variable all of it does nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1\nSTATUS=3 runners linked". False: nobody listens, or it could not be sent. Never
 * blocks. */
bool rz_notify(const char *state);
/* How often WATCHDOG=1 is due at most, or 0 when nobody waits for it: half of what the manager allows. */
uint64_t rz_notify_interval_ms(void);

/* ---- what is still to be told ----
 * Pure: asked again and again, it says what is new since the last time. */
#define RZ_STATUS_MAX 160 /* bytes of the line about us; what is more is cut */
#define RZ_NOTICE_MAX (RZ_STATUS_MAX + 64)

typedef struct {
    bool ready;
    char status[RZ_STATUS_MAX];
} rz_notice_t; /* zero-initialise: nothing was told yet */

/* The datagram that is due: READY=1, the first time that we are; STATUS, when it is another one; WATCHDOG=1, each time that
 * there is `progress`: give false where nobody waits for it. False: nothing is due. */
bool rz_notice(rz_notice_t *told, bool ready, bool progress, const char *status, char out[RZ_NOTICE_MAX]);
