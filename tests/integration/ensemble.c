/* ensemble.c - see ensemble.h. */
#include "ensemble.h"

#include "../facts.h"
#include "secured.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 20000
#define LOOK_MS     20

static const char *settings[ENSEMBLE_MAX][32];
static char texts[ENSEMBLE_MAX][2][16];

/* Nobody tells when another process has come so far: one looks. */
static void look_again(uint64_t deadline, const char *what)
{
    if (process_now_ms() > deadline)
        fail_msg("%s: not within %d ms", what, PATIENCE_MS);
    poll(NULL, 0, LOOK_MS);
}

static void await_text(const redis_t *redis, const char *command, const char *text)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (strstr(redis_do(redis, command), text) == NULL)
        look_again(deadline, text);
}

static void await_online(const redis_t *primary, unsigned replicas)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (unsigned n = 0; n < replicas; look_again(deadline, "every replica is in step")) {
        n = 0;
        for (const char *at = redis_do(primary, "INFO replication");
             (at = strstr(at, "state=online")) != NULL; at++)
            n++;
    }
}

/* All of them have the same. Lent until it is asked for again. */
static const char *password_of(const ensemble_t *ensemble, const char *user)
{
    redis_t any = { 0 };
    snprintf(any.passwords, sizeof any.passwords, "%s", ensemble->dir);
    return redis_password(&any, user);
}

static void make_passwords(const ensemble_t *ensemble)
{
    char command[256];
    snprintf(command, sizeof command, RZ_SOURCE_DIR "/ops/redis/acl %s > /dev/null", ensemble->dir);
    assert_int_equal(system(command), 0);
}

static void start_redis(ensemble_t *ensemble, unsigned i)
{
    static const char *const common[] = { "--bind",
                                          "127.0.0.1",
                                          "--appendonly",
                                          "yes",
                                          "--appendfsync",
                                          "always",
                                          "--min-replicas-to-write",
                                          "1",
                                          "--repl-diskless-sync-delay",
                                          "0",
                                          "--repl-ping-replica-period",
                                          "1",
                                          "--maxmemory-policy",
                                          "noeviction" };
    const char **at = settings[i];
    ensemble->port[i] = process_free_port();
    snprintf(texts[i][0], sizeof texts[i][0], "%d", ensemble->port[i]);
    snprintf(texts[i][1], sizeof texts[i][1], "%d", ensemble->port[0]);
    for (size_t k = 0; k < sizeof common / sizeof common[0]; k++)
        *at++ = common[k];
    *at++ = "--port";
    *at++ = texts[i][0];
    if (i > 0) {
        *at++ = "--replicaof";
        *at++ = "127.0.0.1";
        *at++ = texts[i][1];
    }
    if (secured()) {
        *at++ = "--masteruser";
        *at++ = "replica";
        *at++ = "--masterauth";
        *at++ = password_of(ensemble, "replica");
    }
    *at = NULL;
    redis_up_sharing(&ensemble->redis[i], settings[i], ensemble->dir);
}

static void start_sentinel(ensemble_t *ensemble, unsigned i, unsigned quorum)
{
    char path[128], log[128];
    ensemble->sentinel_port[i] = process_free_port();
    snprintf(path, sizeof path, "%s/sentinel-%u.conf", ensemble->dir, i);
    snprintf(log, sizeof log, "%s/sentinel-%u.log", ensemble->dir, i);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "port %d\nbind 127.0.0.1\ndir %s\nunixsocket %s/sentinel-%u.sock\nsentinel monitor " ENSEMBLE_NAME
            " 127.0.0.1 %d %u\nsentinel down-after-milliseconds " ENSEMBLE_NAME
            " 1000\nsentinel failover-timeout " ENSEMBLE_NAME " 4000\n",
            ensemble->sentinel_port[i], ensemble->dir, ensemble->dir, i, ensemble->port[0], quorum);
    if (secured())
        fprintf(file,
                "sentinel auth-user " ENSEMBLE_NAME " sentinel\nsentinel auth-pass " ENSEMBLE_NAME " %s\n",
                password_of(ensemble, "sentinel"));
    fclose(file);
    const char *argv[8] = { "redis-server", path, "--sentinel" };
    process_start(&ensemble->sentinel[i], argv, log, 0);
}

static redis_t sentinel_of(const ensemble_t *ensemble, unsigned which)
{
    redis_t sentinel = { 0 };
    snprintf(sentinel.socket, sizeof sentinel.socket, "%s/sentinel-%u.sock", ensemble->dir, which);
    return sentinel;
}

const char *sentinel_do(const ensemble_t *ensemble, unsigned which, const char *command)
{
    const redis_t sentinel = sentinel_of(ensemble, which);
    return redis_do(&sentinel, command);
}

static bool listens(const redis_t *at)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return answered;
}

static void await_sentinel(const ensemble_t *ensemble, unsigned i)
{
    char sees[64];
    const redis_t sentinel = sentinel_of(ensemble, i);
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    while (!listens(&sentinel))
        look_again(deadline, "a sentinel listens");
    snprintf(sees, sizeof sees, "slaves=%u,sentinels=%u", ensemble->redises - 1, ensemble->sentinels);
    await_text(&sentinel, "INFO sentinel", sees);
}

void ensemble_up(ensemble_t *ensemble, unsigned redises, unsigned sentinels, unsigned quorum)
{
    *ensemble = (ensemble_t){ .redises = redises, .sentinels = sentinels };
    snprintf(ensemble->dir, sizeof ensemble->dir, "/tmp/rz-sentinel-XXXXXX");
    assert_non_null(mkdtemp(ensemble->dir));
    make_passwords(ensemble);
    for (unsigned i = 0; i < redises; i++)
        start_redis(ensemble, i);
    await_online(&ensemble->redis[0], redises - 1);
    for (unsigned i = 0; i < sentinels; i++)
        start_sentinel(ensemble, i, quorum);
    size_t n = (size_t)snprintf(ensemble->url, sizeof ensemble->url, "redis+sentinel://");
    for (unsigned i = 0; i < sentinels; i++) {
        await_sentinel(ensemble, i);
        n += (size_t)snprintf(ensemble->url + n, sizeof ensemble->url - n, "%s127.0.0.1:%d", i > 0 ? "," : "",
                              ensemble->sentinel_port[i]);
    }
    snprintf(ensemble->url + n, sizeof ensemble->url - n, "/" ENSEMBLE_NAME);
}

void ensemble_down(ensemble_t *ensemble)
{
    char command[128];
    for (unsigned i = 0; i < ensemble->sentinels; i++)
        process_end(&ensemble->sentinel[i], SIGKILL, PATIENCE_MS);
    for (unsigned i = 0; i < ensemble->redises; i++) {
        if (ensemble->redis[i].process.pid > 0)
            kill(ensemble->redis[i].process.pid, SIGCONT);
        redis_down(&ensemble->redis[i]);
    }
    snprintf(command, sizeof command, "rm -r %s", ensemble->dir);
    assert_int_equal(system(command), 0);
}

unsigned ensemble_primary(const ensemble_t *ensemble)
{
    uint64_t deadline = process_now_ms() + PATIENCE_MS;
    for (;;) {
        char place[32];
        snprintf(place, sizeof place, "%s",
                 sentinel_do(ensemble, 0, "SENTINEL GET-MASTER-ADDR-BY-NAME " ENSEMBLE_NAME));
        const char *port = strrchr(place, ' ');
        for (unsigned i = 0; i < ensemble->redises; i++)
            if (ensemble->redis[i].process.pid > 0 && atoi(port) == ensemble->port[i] &&
                strncmp(redis_do(&ensemble->redis[i], "ROLE"), "master", 6) == 0)
                return i;
        look_again(deadline, "there is a primary");
    }
}
