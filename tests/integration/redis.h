/* redis.h - a private redis-server: Unix socket, own folder below /tmp, gone when its owner says so or dies.
 */
#pragma once

#include "process.h"

#include <stdbool.h>

typedef struct {
    process_t process;
    const char *const *settings;
    char dir[64], socket[96], url[112]; /* url: "unix:<socket>" */
} redis_t;

/* settings: NULL-terminated flags ("--appendonly", "yes", ...) or NULL; must outlive the redis. Returns when
 * it answers. */
void redis_up(redis_t *redis, const char *const *settings);
void redis_end(redis_t *redis, int signal); /* SIGKILL, SIGTERM: and reaps it; the folder stays */
void redis_again(redis_t *redis);           /* on the same folder */
void redis_down(redis_t *redis);            /* ends it, removes the folder */
/* Where RZ_ACL is set, each redis has the users of ops/redis/users.acl, but that the test itself, as everybody, may do
 * everything. The programs that are started from here on are the broker; stores of the test are, with these. NULL where it is not. */
const char *redis_user(const redis_t *redis);
const char *redis_password(const redis_t *redis);
/* One command over a blocking connection of its own, words separated by single spaces; the answer's text (an
 * array's elements joined by spaces, an integer in decimal, "(nil)"), valid until the next call. */
const char *redis_do(const redis_t *redis, const char *command);
