/* redis.c - see redis.h */
#include "redis.h"

#include "../facts.h"

#include <ftw.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define WORDS_MAX   32

static redisContext *connected(const redis_t *redis)
{
    redisContext *context = redisConnectUnix(redis->socket);
    if (context != NULL && context->err == 0)
        return context;
    redisFree(context);
    return NULL;
}

static bool answers(const redis_t *redis)
{
    redisContext *context = connected(redis);
    redisReply *reply = context != NULL ? redisCommand(context, "PING") : NULL;
    bool pong = reply != NULL && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
    freeReplyObject(reply);
    redisFree(context);
    return pong;
}

/* ---- users ---- */

/* What ops/redis/acl prints, but that everybody may do everything. */
static void write_users(const redis_t *redis, const char *path)
{
    char command[512];
    snprintf(command, sizeof command,
             RZ_SOURCE_DIR
             "/ops/redis/acl %s | sed 's/^user default .*/user default on nopass ~* \\&* +@all/' > %s",
             redis->dir, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

const char *redis_user(const redis_t *redis)
{
    char path[128];
    if (getenv("RZ_ACL") == NULL)
        return NULL;
    snprintf(path, sizeof path, "%s/redis.broker", redis->dir);
    setenv("RHIZOME_REDIS_USER", "broker", 1);
    setenv("RHIZOME_REDIS_PASSWORD_FILE", path, 1);
    return "broker";
}

const char *redis_password(const redis_t *redis)
{
    static char text[128];
    char path[128];
    snprintf(path, sizeof path, "%s/redis.broker", redis->dir);
    FILE *file = getenv("RZ_ACL") != NULL ? fopen(path, "r") : NULL;
    if (file == NULL)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

void redis_again(redis_t *redis)
{
    const char *argv[48] = { "redis-server", "--port", "0", "--unixsocket", redis->socket, "--dir",
                             redis->dir,     "--save", "",  "--loglevel",   "warning" };
    size_t n = 11;
    for (size_t i = 0; redis->settings != NULL && redis->settings[i] != NULL; i++)
        argv[n++] = redis->settings[i];
    char log[128], users[128];
    snprintf(log, sizeof log, "%s/log", redis->dir);
    snprintf(users, sizeof users, "%s/users.acl", redis->dir);
    if (getenv("RZ_ACL") != NULL) {
        write_users(redis, users);
        argv[n++] = "--aclfile";
        argv[n++] = users;
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

void redis_up(redis_t *redis, const char *const *settings)
{
    *redis = (redis_t){ .settings = settings };
    unsetenv("RHIZOME_REDIS_USER"); /* of the one before */
    unsetenv("RHIZOME_REDIS_PASSWORD_FILE");
    snprintf(redis->dir, sizeof redis->dir, "/tmp/rz-redis-XXXXXX");
    assert_non_null(mkdtemp(redis->dir));
    snprintf(redis->socket, sizeof redis->socket, "%s/redis.sock", redis->dir);
    snprintf(redis->url, sizeof redis->url, "unix:%s", redis->socket);
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
    static char text[65536];
    char words[4096];
    const char *argv[WORDS_MAX];
    int n = 0;
    snprintf(words, sizeof words, "%s", command);
    for (char *rest = words, *word; (word = strsep(&rest, " ")) != NULL && n < WORDS_MAX;)
        argv[n++] = word;
    redisContext *context = connected(redis);
    assert_non_null(context);
    redisReply *reply = redisCommandArgv(context, n, argv, NULL);
    assert_non_null(reply);
    text[0] = '\0';
    add_text(text, sizeof text, reply);
    freeReplyObject(reply);
    redisFree(context);
    return text;
}
