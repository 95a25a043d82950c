/* secured.h - RZ_SECURE=1 in the environment: all that a test starts has on what a host has that others reach.
 *
 *   ZeroMQ    CURVE on every socket, a list of keys, a key for each role (keyring.h)
 *   Redis     the users of ops/redis/users.acl, `default` off; brokers are `broker`, `rhizome store` is `admin` (redis.h)
 *   up        `rhizome up --secure` (cli.h)
 *
 * What is on anyway stays on: the token at a worker's door, no new privileges, bounds, closed descriptors. What a fact
 * says of its own (a password of Redis, no key) it keeps. */
#pragma once

#include <stdbool.h>

bool secured(void);
