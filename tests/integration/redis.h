/* redis.h - a private redis-server: Unix socket, own folder below /tmp, gone when its owner says so or dies.
 */
#pragma once

#include "process.h"

#include <stdbool.h>

typedef struct redis {
    process_t process;
    const char *const *settings;
    char dir[64], socket[96], url[112]; /* url: "unix:<socket>" */
    char passwords[64];                 /* folder; its own, or that of several */
} redis_t;

/* settings: NULL-terminated flags ("--appendonly", "yes", ...) or NULL; must outlive the redis. Returns when
 * it answers. */
void redis_up(redis_t *redis, const char *const *settings);
void redis_end(redis_t *redis, int signal); /* SIGKILL, SIGTERM: and reaps it; the folder stays */
void redis_again(redis_t *redis);           /* on the same folder */
void redis_down(redis_t *redis);            /* ends it, removes the folder */
/* One of several, whose passwords are made once, in that folder. */
void redis_up_sharing(redis_t *redis, const char *const *settings, const char *passwords);

/* Where everything is on (secured.h), each redis has the users of ops/redis/users.acl and one more who may do everything:
 * the test. A redis with a password or a file of users among its settings has those alone. Users are "broker",
 * "admin", "replica" and "sentinel"; all of this is NULL where there are none. */
const char *redis_user(const redis_t *redis, const char *user); /* the name again */
const char *redis_password(const redis_t *redis, const char *user);
const char *redis_password_file(const redis_t *redis,
                                const char *user); /* static memory, one for each user */
/* Appends --redis-user and --redis-password-file, if there are users, and the NULL. Gives the new count. */
size_t redis_flags(const redis_t *redis, const char *user, const char **argv, size_t n);
/* The same for `rhizome store` in a shell, as admin; "" where there are no users. Lent until the next call. */
const char *redis_store_flags(const redis_t *redis);
/* Members of rz_store_options_t: who a store of the test is. */
#define AS(who, redis) .user = redis_user(&(redis), who), .password = redis_password(&(redis), who)

#define REDIS_OWNER "owner" /* name and password of the test's user */
/* A blocking connection as the test's user, for redisFree(); NULL: nobody listens. */
struct redisContext *redis_connect(const char *socket);
/* One command over a blocking connection of its own, words separated by single spaces; the answer's text (an
 * array's elements joined by spaces, an integer in decimal, "(nil)"), valid until the next call. */
const char *redis_do(const redis_t *redis, const char *command);
