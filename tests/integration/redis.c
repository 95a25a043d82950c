/* redis.c - see redis.h */
#include "redis.h"

#include "../facts.h"
#include "secured.h"

#include <ftw.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define WORDS_MAX   32

redisContext *redis_connect(const char *socket)
{
    redisContext *context = redisConnectUnix(socket);
    if (context != NULL && context->err == 0) {
        if (secured()) /* one that knows no such user (a sentinel) asks for none */
            freeReplyObject(redisCommand(context, "AUTH " REDIS_OWNER " " REDIS_OWNER));
        return context;
    }
    redisFree(context);
    return NULL;
}

static bool answers(const redis_t *redis)
{
    redisContext *context = redis_connect(redis->socket);
    redisReply *reply = context != NULL ? redisCommand(context, "PING") : NULL;
    bool pong = reply != NULL && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
    freeReplyObject(reply);
    redisFree(context);
    return pong;
}

/* ---- users ---- */

static const char *const users[] = { "broker", "admin", "replica", "sentinel" };
enum { USERS = sizeof users / sizeof users[0] };

static bool is_set(const redis_t *redis, const char *flag)
{
    for (size_t i = 0; redis->settings != NULL && redis->settings[i] != NULL; i++)
        if (strcmp(redis->settings[i], flag) == 0)
            return true;
    return false;
}

static bool has_users(const redis_t *redis)
{
    return secured() && !is_set(redis, "--requirepass") && !is_set(redis, "--aclfile");
}

static void write_users(const redis_t *redis, const char *path)
{
    char command[512];
    snprintf(command, sizeof command,
             "{ " RZ_SOURCE_DIR "/ops/redis/acl %s && echo 'user " REDIS_OWNER " on >" REDIS_OWNER
             " ~* &* +@all'; } > %s",
             redis->passwords, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

const char *redis_user(const redis_t *redis, const char *user)
{
    return has_users(redis) ? user : NULL;
}

/* So that the texts of two users live side by side. */
static size_t place_of(const char *user)
{
    size_t i = 0;
    while (i + 1 < USERS && strcmp(users[i], user) != 0)
        i++;
    assert_string_equal(users[i], user);
    return i;
}

const char *redis_password_file(const redis_t *redis, const char *user)
{
    static char path[USERS][128];
    char *own = path[place_of(user)];
    snprintf(own, sizeof path[0], "%s/redis.%s", redis->passwords, user);
    return has_users(redis) ? own : NULL;
}

const char *redis_password(const redis_t *redis, const char *user)
{
    static char text[USERS][128];
    char *own = text[place_of(user)];
    if (!has_users(redis))
        return NULL;
    FILE *file = fopen(redis_password_file(redis, user), "r");
    assert_non_null(file);
    own[fread(own, 1, sizeof text[0] - 1, file)] = '\0';
    fclose(file);
    own[strcspn(own, "\n")] = '\0';
    return own;
}

size_t redis_flags(const redis_t *redis, const char *user, const char **argv, size_t n)
{
    if (has_users(redis)) {
        argv[n++] = "--redis-user";
        argv[n++] = user;
        argv[n++] = "--redis-password-file";
        argv[n++] = redis_password_file(redis, user);
    }
    argv[n] = NULL;
    return n;
}

const char *redis_store_flags(const redis_t *redis)
{
    static char flags[256];
    flags[0] = '\0';
    if (has_users(redis))
        snprintf(flags, sizeof flags, "--redis-user admin --redis-password-file %s",
                 redis_password_file(redis, "admin"));
    return flags;
}

/* ---- life ---- */

void redis_again(redis_t *redis)
{
    const char *argv[48] = { "redis-server", "--port", "0", "--unixsocket", redis->socket, "--dir",
                             redis->dir,     "--save", "",  "--loglevel",   "warning" };
    size_t n = 11;
    for (size_t i = 0; redis->settings != NULL && redis->settings[i] != NULL; i++)
        argv[n++] = redis->settings[i];
    char log[128], path[128];
    snprintf(log, sizeof log, "%s/log", redis->dir);
    snprintf(path, sizeof path, "%s/users.acl", redis->dir);
    if (has_users(redis)) {
        write_users(redis, path);
        argv[n++] = "--aclfile";
        argv[n++] = path;
    }
    unlink(redis->socket);
    process_start(&redis->process, argv, log, 0);
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!answers(redis)) {
        if (process_now_ms() > deadline || waitpid(redis->process.pid, NULL, WNOHANG) != 0) {
            process_show_log(log);
            fail_msg("redis-server does not answer");
        }
        poll(NULL, 0, 2); /* it tells nobody when it listens */
    }
}

static void take_folder(redis_t *redis, const char *const *settings)
{
    *redis = (redis_t){ .settings = settings };
    snprintf(redis->dir, sizeof redis->dir, "/tmp/rz-redis-XXXXXX");
    assert_non_null(mkdtemp(redis->dir));
    snprintf(redis->socket, sizeof redis->socket, "%s/redis.sock", redis->dir);
    snprintf(redis->url, sizeof redis->url, "unix:%s", redis->socket);
}

void redis_up(redis_t *redis, const char *const *settings)
{
    take_folder(redis, settings);
    memcpy(redis->passwords, redis->dir, sizeof redis->dir);
    redis_again(redis);
}

void redis_up_sharing(redis_t *redis, const char *const *settings, const char *passwords)
{
    take_folder(redis, settings);
    snprintf(redis->passwords, sizeof redis->passwords, "%s", passwords);
    redis_again(redis);
}

void redis_end(redis_t *redis, int signal)
{
    process_end(&redis->process, signal, PATIENCE_MS);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void redis_down(redis_t *redis)
{
    redis_end(redis, SIGKILL);
    nftw(redis->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- commands ---- */
static void add_text(char *out, size_t max, const redisReply *reply)
{
    size_t used = strlen(out);
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(out + used, max - used, "%lld", reply->integer);
    else if (reply->type == REDIS_REPLY_NIL)
        snprintf(out + used, max - used, "(nil)");
    else if (reply->type != REDIS_REPLY_ARRAY)
        snprintf(out + used, max - used, "%s", reply->str);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        if (i > 0)
            strncat(out, " ", max - strlen(out) - 1);
        add_text(out, max, reply->element[i]);
    }
}

const char *redis_do(const redis_t *redis, const char *command)
{
    static char text[1 << 20];
    char words[4096];
    const char *argv[WORDS_MAX];
    int n = 0;
    snprintf(words, sizeof words, "%s", command);
    for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL && n < WORDS_MAX;)
        argv[n++] = word;
    redisContext *context = redis_connect(redis->socket);
    assert_non_null(context);
    redisReply *reply = redisCommandArgv(context, n, argv, NULL);
    assert_non_null(reply);
    text[0] = '\0';
    add_text(text, sizeof text, reply);
    freeReplyObject(reply);
    redisFree(context);
    return text;
}
