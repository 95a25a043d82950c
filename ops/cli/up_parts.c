/* up_parts.c - the command lines of what `rhizome up` runs. */
#include "context.h"
#include "out.h"
#include "pick.h"
#include "up.h"
#include "verb.h"

#include "base/id.h"
#include "base/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* In the order of the enumeration; the port is that of the default endpoint. */
const char *const endpoint_names[ENDPOINTS] = { "jobs", "control", "events", "runners", "publish", "http" };
static const uint16_t default_ports[ENDPOINTS] = { 7410, 7411, 7412, 7413, 7415, 7414 };

/* A folder of ours below the state folder. */
static bool folder_of(const up_t *up, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s%s%s", up->dir, *name != '\0' ? "/" : "", name);
    if (n > 0 && n < PATH_MAX && folder_make(out))
        return true;
    say("%s: %s", out, strerror(errno));
    return false;
}

static daemon_t *add_daemon(up_t *up, const char *title, const char *program, const char *log)
{
    daemon_t *daemon = &up->daemon[up->count++];
    daemon_init(daemon, title, program);
    if (!up->verbose)
        snprintf(daemon->log, sizeof daemon->log, "%.4000s/logs/%.80s.log", up->dir, log);
    return daemon;
}

static void add_config(daemon_t *daemon)
{
    for (size_t i = 0; i < common.config_flags.n; i++)
        daemon_arg(daemon, common.config_flags.text[i]);
}

bool up_add_redis(up_t *up)
{
    char data[PATH_MAX];
    if (!folder_of(up, "data", data))
        return false;
    daemon_t *redis = add_daemon(up, "redis", "redis-server", "redis");
    daemon_flag(redis, "--port", "0");
    daemon_flag(redis, "--unixsocket", up->socket);
    daemon_flag(redis, "--unixsocketperm", "700");
    daemon_flag(redis, "--dir", data);
    daemon_flag(redis, "--appendonly", "yes");
    daemon_flag(redis, "--appendfsync", "everysec");
    daemon_flag(redis, "--save", "");
    daemon_flag(redis, "--maxmemory-policy", "noeviction");
    /* a child's log holds a few short events: the default reserves 4 KiB for the first of them */
    daemon_flag(redis, "--stream-node-max-bytes", "1024");
    /* rewriting a small log again and again costs more than reading a larger one at the next start */
    daemon_flag(redis, "--auto-aof-rewrite-min-size", "256mb");
    daemon_flag(redis, "--daemonize", "no");
    return true;
}

/* Somebody listens there. Of names, and of what is no IPv4, the broker says it itself. */
static bool is_taken(const char *endpoint)
{
    char host[256];
    struct sockaddr_in address = { .sin_family = AF_INET };
    rz_str_t name = endpoint_host(endpoint);
    unsigned long port =
        name.n > 0 ? strtoul(name.p + name.n + 1, NULL, 10) : 0; /* 0: "*", any that is free */
    if (port == 0 || port > UINT16_MAX)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)name.n, name.p);
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return false;
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    bool taken = bind(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == EADDRINUSE;
    close(fd);
    return taken;
}

/* True if others shall find it there: by a setting that somebody made, or by --listen. */
static bool choose_endpoint(up_t *up, int which)
{
    char key[32];
    snprintf(key, sizeof key, "broker.%s", endpoint_names[which]);
    bool named = strcmp(rz_config_source(common.config, key), "default") != 0;
    bool listens = !named && up->listen != NULL && which != ENDPOINT_HTTP;
    if (listens)
        snprintf(up->endpoint[which], sizeof up->endpoint[which], "tcp://%.200s:%u", up->listen,
                 default_ports[which]);
    else
        snprintf(up->endpoint[which], sizeof up->endpoint[which], "%s", rz_config_str(common.config, key));
    return named || listens;
}

outcome_t up_choose_endpoints(up_t *up)
{
    bool fixed[ENDPOINTS];
    unsigned taken_port = 0;
    for (int i = 0; i < ENDPOINTS; i++) {
        fixed[i] = choose_endpoint(up, i);
        if (!is_taken(up->endpoint[i]))
            continue;
        if (fixed[i]) {
            say("broker.%s: %s: address already in use", endpoint_names[i], up->endpoint[i]);
            return EXIT_UNAVAILABLE;
        }
        taken_port = taken_port == 0 ? default_ports[i] : taken_port;
    }
    if (taken_port != 0)
        say("port %u is taken: other ports are used", taken_port);
    for (int i = 0; taken_port != 0 && i < ENDPOINTS; i++)
        if (!fixed[i])
            snprintf(up->endpoint[i], sizeof up->endpoint[i], "tcp://127.0.0.1:*");
    return EXIT_DONE;
}

/* As the name of its file: what stands in a command line everybody on this host can read. */
static void add_key(daemon_t *daemon, const char *key, const char *allow)
{
    if (*key == '\0')
        return;
    daemon_flag(daemon, "--security-key", key);
    daemon_flag(daemon, "--security-allow", allow);
}

bool up_add_broker(up_t *up)
{
    char program[PATH_MAX], url[PATH_MAX + 8], dir[PATH_MAX];
    if (!folder_of(up, "broker", dir))
        return false;
    daemon_program("rhizome-broker", program);
    daemon_t *broker = add_daemon(up, "broker", program, "broker");
    broker->says_ready = true;
    add_config(broker);
    snprintf(url, sizeof url, "unix:%s", up->socket);
    daemon_flag(broker, "--redis-url", url);
    daemon_flag(broker, "--broker-state-dir", dir);
    add_key(broker, up->broker_key, up->allow);
    for (int i = 0; i < ENDPOINTS; i++) {
        char flag[32];
        snprintf(flag, sizeof flag, "--broker-%s", endpoint_names[i]);
        daemon_flag(broker, flag, up->endpoint[i]);
    }
    return true;
}

/* Names must differ between all runners of a broker. Ours are those of the host; joined ones also carry a
 * mark of their folder, since several may join from one host. */
static void runner_name(const up_t *up, size_t i, char out[RZ_ID_MAX + 1])
{
    char mark[RZ_DIGEST_LEN + 1] = "";
    if (up->joined) {
        rz_digest_t *digest = rz_digest_create();
        rz_digest_add_text(digest, up->dir);
        rz_digest_hex(&digest, mark);
    }
    snprintf(out, RZ_ID_MAX + 1, "%.100s-%.4s%s%zu", up->runner_base, mark, up->joined ? "-" : "", i + 1);
}

/* The broker that was asked is known by where it was reached, the others by where they say they are. */
void up_learn_brokers(up_t *up, const cJSON *hello, const char *control)
{
    char endpoint[256];
    const cJSON *broker;
    up->controls = cJSON_CreateArray();
    up->links = cJSON_CreateArray();
    controls_add(up->controls, up->endpoint[ENDPOINT_CONTROL]);
    controls_add(up->links, up->endpoint[ENDPOINT_RUNNERS]);
    cJSON_ArrayForEach(broker, pick(hello, "brokers"))
    {
        if (strcmp(pick_text(broker, "broker"), pick_text(hello, "broker")) == 0)
            continue;
        endpoint_reachable(pick_text(broker, "endpoints.control"), control, endpoint);
        controls_add(up->controls, endpoint);
        endpoint_reachable(pick_text(broker, "endpoints.runners"), control, endpoint);
        controls_add(up->links, endpoint);
    }
}

/* All of them, so that a runner that starts again does not depend on the one that was asked; separated by commas. */
static char *runner_brokers(const up_t *up)
{
    rz_buf_t list = { 0 };
    const cJSON *link;
    cJSON_ArrayForEach(link, up->links)
        rz_buf_printf(&list, "%s%s", list.len > 0 ? "," : "", link->valuestring);
    if (list.len == 0)
        rz_buf_printf(&list, "%s", up->endpoint[ENDPOINT_RUNNERS]);
    return list.data;
}

bool up_add_runner(up_t *up, size_t i)
{
    char name[RZ_ID_MAX + 1], title[RZ_ID_MAX + 16], program[PATH_MAX], dir[PATH_MAX], relative[80];
    runner_name(up, i, name);
    snprintf(relative, sizeof relative, "runner-%zu", i + 1);
    if (!folder_of(up, relative, dir))
        return false;
    daemon_program("rhizome-runner", program);
    snprintf(title, sizeof title, "runner %s", name);
    daemon_t *runner = add_daemon(up, title, program, relative);
    runner->says_ready = true;
    add_config(runner);
    add_key(runner, up->runner_key, "");
    daemon_flag(runner, "--runner-name", name);
    daemon_flag(runner, "--runner-state-dir", dir);
    char *brokers = runner_brokers(up);
    daemon_flag(runner, "--runner-brokers", brokers);
    rz_free(brokers);
    return true;
}

/* What the broker tells, as its flag takes it: HTTP is told as a URL, or not at all. */
static char *as_flag(int which, const char *told)
{
    char flag[256];
    bool is_url = which == ENDPOINT_HTTP && strncmp(told, "http://", 7) == 0;
    snprintf(flag, sizeof flag, "%s%s", is_url ? "tcp://" : "", is_url ? told + 7 : told);
    return rz_strdup(flag);
}

bool up_fix_endpoints(up_t *up, daemon_t *broker, const char *line)
{
    rz_err_t err = { 0 };
    cJSON *ready = rz_json_parse(line, strlen(line), strlen(line), &err);
    bool ok = ready != NULL;
    for (int i = 0; ok && i < ENDPOINTS; i++) {
        const char *endpoint = pick_text(ready, endpoint_names[i]);
        ok = *endpoint != '\0' || i == ENDPOINT_HTTP;
        snprintf(up->endpoint[i], sizeof up->endpoint[i], "%s", endpoint);
        char **flag = &broker->argv[broker->argc - 2 * ENDPOINTS + 2 * i + 1];
        rz_free(*flag);
        *flag = as_flag(i, endpoint);
    }
    if (!ok)
        say("the broker's ready line is none: %s", line);
    cJSON_Delete(ready);
    return ok;
}
