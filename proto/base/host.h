/* host.h - whether a host is this one. */
#pragma once

#include <stdbool.h>

/* "localhost", an address of 127.0.0.0/8, or ::1. No name is looked up: another one that leads here today may lead
 * elsewhere tomorrow. */
bool rz_host_is_loopback(const char *host);
