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
