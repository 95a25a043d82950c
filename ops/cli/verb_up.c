/* verb_up.c - `rhizome up`: a whole Rhizome in the foreground, for one person or one host.
 *
 * A private redis-server on a Unix socket, a broker, runners; with --join only runners, linked to a broker
 * elsewhere. A broker or runner that dies is started again; the death of Redis ends everything, loudly. */
#include "client.h"
#include "context.h"
#include "out.h"
#include "pick.h"
#include "up.h"
#include "verb.h"

#include "base/clock.h"
#include "base/setting.h"
#include "state/store.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READY_MS 20000 /* for each program to be ready */
#define STOP_MS                                                                                              \
    10000 /* for each to end after TERM, then after a second one: a runner may drain for ever; then KILL */
#define AGAIN_MS    700  /* a runner takes a second TERM that comes sooner for the first */
#define KNOCK_MS    3000 /* how often a joined one looks whether its key is still taken */
#define REFUSALS    4    /* in a row, before it gives up                                */
#define SHORT_LIVES 5    /* deaths within a second of the start, in a row, before we give up */
#define READY_LINE  4096
#define SOCKET_MAX  (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

#define NOT_GIVEN UINT64_MAX

static uint64_t runners_wanted = NOT_GIVEN;
static const char *join_address, *listen_address;
static bool verbose, secure;

static const option_t options[] = {
    { "--runners", "N", "how many runners (default: the setting up.runners, 1)", .number = &runners_wanted },
    { "--join", "HOST:PORT", "only runners, for the brokers that the one whose control socket is there knows",
      .text = &join_address },
    { "--listen", "ADDRESS",
      "bind the broker's sockets there, for other hosts: 0.0.0.0, or an address of this one; with keys",
      .text = &listen_address },
    { "--secure", NULL, "with keys, although only this host reaches it", .on = &secure },
    { "--verbose", NULL, "daemons log to stderr instead of logs/*.log", .on = &verbose },
    { NULL },
};

/* ---- starting, with an eye on signals ---- */

static void take_signal(up_t *up)
{
    struct signalfd_siginfo info;
    while (read(up->signal_fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            up->stopping = true;
}

/* True if the daemon is gone; says so. */
static bool died_early(const up_t *up, daemon_t *daemon)
{
    char why[64];
    if (!daemon_ended(daemon, why))
        return false;
    say("%s did not start: %s", daemon->title, why);
    if (strstr(why, "cannot be run") != NULL)
        note("is it installed? ./ops/setup installs what is needed");
    daemon_show_log(daemon);
    up_folder_check(up);
    return true;
}

/* Waits for the line on the ready pipe. False: it died, was silent for too long, or we are to stop. */
static bool await_ready(up_t *up, daemon_t *daemon, char line[READY_LINE])
{
    size_t n = 0;
    uint64_t deadline = rz_now_ms() + READY_MS;
    for (uint64_t now = rz_now_ms(); now < deadline && !up->stopping; now = rz_now_ms()) {
        struct pollfd fds[] = { { daemon->ready_fd, POLLIN, 0 }, { up->signal_fd, POLLIN, 0 } };
        poll(fds, 2, (int)(deadline - now));
        ssize_t got = fds[0].revents != 0 ? read(daemon->ready_fd, line + n, READY_LINE - 1 - n) : 0;
        n += got > 0 ? (size_t)got : 0;
        line[n] = '\0';
        if (strchr(line, '\n') != NULL)
            return true;
        if (fds[1].revents != 0)
            take_signal(up);
        if (died_early(up, daemon))
            return false;
        if (fds[0].revents != 0 && got <= 0)
            poll(NULL, 0, 10); /* the pipe is closed: its end is a moment away */
    }
    if (!up->stopping) {
        say("%s is not ready after %d s", daemon->title, READY_MS / 1000);
        daemon_show_log(daemon);
    }
    return false;
}

static bool redis_answers(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char answer[8] = "";
    snprintf(address.sun_path, sizeof address.sun_path, "%.*s", (int)SOCKET_MAX, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
              write(fd, "PING\r\n", 6) == 6 && read(fd, answer, sizeof answer - 1) > 0 &&
              strncmp(answer, "+PONG", 5) == 0;
    close(fd);
    return ok;
}

static bool await_redis(up_t *up, daemon_t *redis)
{
    uint64_t deadline = rz_now_ms() + READY_MS;
    while (!redis_answers(up->socket)) {
        struct pollfd fd = { up->signal_fd, POLLIN, 0 };
        if (poll(&fd, 1, 5) > 0)
            take_signal(up);
        if (up->stopping || died_early(up, redis))
            return false;
        if (rz_now_ms() > deadline) {
            say("redis does not answer at %s", up->socket);
            daemon_show_log(redis);
            return false;
        }
    }
    return true;
}

static bool init_store(const up_t *up)
{
    char url[PATH_MAX + 8];
    rz_err_t err = { 0 };
    rz_store_info_t info = { 0 };
    snprintf(url, sizeof url, "unix:%s", up->socket);
    rz_store_options_t store = { .url = url };
    rz_rc_t rc = rz_store_init(&store, 1, &info, &err);
    if (rc != RZ_OK)
        say("the store in %s: %s (%s)", up->dir, err.text[0] != '\0' ? err.text : rz_rc_text(rc),
            rz_rc_name(rc));
    return rc == RZ_OK;
}

static outcome_t start_service(up_t *up)
{
    char line[READY_LINE];
    if (!up_add_redis(up) || !daemon_start(&up->daemon[0]) || !await_redis(up, &up->daemon[0]) ||
        !init_store(up))
        return EXIT_UNAVAILABLE;
    if (!up_add_broker(up))
        return EXIT_UNAVAILABLE;
    daemon_t *broker = &up->daemon[1];
    if (!daemon_start(broker) || !await_ready(up, broker, line) || !up_fix_endpoints(up, broker, line))
        return EXIT_UNAVAILABLE;
    return EXIT_DONE;
}

/* Learns from the broker we join where runners link up. */
static outcome_t find_service(up_t *up)
{
    common.control = join_address;
    common.control_flag = "--join";
    outcome_t outcome;
    client_t *client = client_open_unless(up->signal_fd, &outcome);
    take_signal(up);
    if (client == NULL)
        return outcome;
    for (int i = 0; i < ENDPOINTS; i++) {
        char path[32];
        snprintf(path, sizeof path, "endpoints.%s", endpoint_names[i]);
        endpoint_reachable(pick_text(client_hello(client), path), client_control(client), up->endpoint[i]);
    }
    snprintf(up->endpoint[ENDPOINT_CONTROL], sizeof up->endpoint[ENDPOINT_CONTROL], "%s",
             client_control(client));
    up_learn_brokers(up, client_hello(client), client_control(client));
    client_close(&client);
    return EXIT_DONE;
}

static outcome_t start_runners(up_t *up)
{
    char line[READY_LINE];
    for (size_t i = 0; i < up->runners; i++)
        if (!up_add_runner(up, i) || !daemon_start(&up->daemon[up->count - 1]))
            return EXIT_UNAVAILABLE;
    for (size_t i = up->count - up->runners; i < up->count; i++)
        if (!await_ready(up, &up->daemon[i], line))
            return EXIT_UNAVAILABLE;
    return EXIT_DONE;
}

/* ---- telling ---- */

static cJSON *describe(const up_t *up)
{
    cJSON *context = cJSON_CreateObject();
    cJSON_AddNumberToObject(context, "pid", (double)getpid());
    cJSON_AddStringToObject(context, "dir", up->dir);
    for (int i = 0; i < ENDPOINTS; i++)
        if (up->endpoint[i][0] != '\0')
            cJSON_AddStringToObject(context, endpoint_names[i], up->endpoint[i]);
    if (up->controls != NULL)
        cJSON_AddItemToObject(context, "controls", cJSON_Duplicate(up->controls, true));
    if (!up->joined) {
        char url[PATH_MAX + 8];
        snprintf(url, sizeof url, "unix:%s", up->socket);
        cJSON_AddStringToObject(context, "redis", url);
    }
    if (up->client_key[0] != '\0')
        cJSON_AddStringToObject(context, "key", up->client_key);
    cJSON_AddNumberToObject(context, "runner_count", (double)up->runners);
    return context;
}

static void announce(const up_t *up, const cJSON *context)
{
    char folder[PATH_MAX + 32] = "";
    if (common.json) {
        out_json(context);
        return;
    }
    if (common.state_dir != NULL)
        snprintf(folder, sizeof folder, "--up-state-dir %s ", common.state_dir);
    printf("%srhizome is up%s  %zu runner%s%s\n", look(LOOK_BOLD), unlook(), up->runners,
           up->runners == 1 ? "" : "s", up->joined ? ", joined" : "");
    printf("  control  %s\n", up->endpoint[ENDPOINT_CONTROL]);
    if (!up->joined) {
        printf("  jobs     %s\n  events   %s\n", up->endpoint[ENDPOINT_JOBS], up->endpoint[ENDPOINT_EVENTS]);
        printf("  redis    unix:%s\n", up->socket);
        if (up->endpoint[ENDPOINT_HTTP][0] != '\0')
            printf("  health   %s/readyz\n", up->endpoint[ENDPOINT_HTTP]);
    }
    if (up->broker_key[0] != '\0')
        printf("  keys     %s; another host joins with one: rhizome key new NAME --role runner\n", up->allow);
    printf("  logs     %s/logs\n\n", up->dir);
    if (!up->joined || up->client_key[0] == '\0') /* a runner's key asks for nothing */
        printf("Try, in another terminal:\n  rhizome run %s--executor echo \"hello world\"\n", folder);
    printf("Ctrl-C stops everything.\n");
    fflush(stdout);
}

/* ---- keeping it up ---- */

/* False when it is not worth another try. */
static bool restart(daemon_t *daemon, const char *why)
{
    if (daemon->short_lives >= SHORT_LIVES) {
        say("%s keeps ending at once (%s); giving up", daemon->title, why);
        daemon_show_log(daemon);
        return false;
    }
    say("%s ended (%s); starting it again", daemon->title, why);
    if (daemon->short_lives > 0)
        poll(NULL, 0, 200 * (int)daemon->short_lives);
    return daemon_start(daemon);
}

static size_t first_runner(const up_t *up)
{
    return up->joined ? 0 : 2;
}

/* Looks at every daemon; false when the whole must end. */
static bool look_after(up_t *up)
{
    char why[64];
    for (size_t i = 0; i < up->count; i++) {
        daemon_t *daemon = &up->daemon[i];
        if (!daemon_ended(daemon, why))
            continue;
        bool is_redis = !up->joined && i == 0;
        if (daemon->well && i >= first_runner(up)) {
            say("%s was drained, and stays down", daemon->title);
            continue;
        }
        if (is_redis) {
            say("REDIS ENDED (%s): nothing works without the store; stopping", why);
            daemon_show_log(daemon);
            up_folder_check(up);
        }
        if (is_redis || !restart(daemon, why))
            return false;
    }
    return true;
}

/* Whether the broker that was joined has kept us out for so long that it means it: a list that is being replaced may miss
 * a key for a moment. Runners only wait for a broker that refuses them, and nobody would know why. */
static bool is_turned_away(up_t *up)
{
    outcome_t outcome;
    out_hush(true);
    client_t *client = client_open_unless(up->signal_fd, &outcome);
    out_hush(false);
    client_close(&client);
    if (outcome != EXIT_NOT_ALLOWED && outcome != EXIT_DONE)
        return false; /* it is away, or we are to stop */
    if (outcome == EXIT_DONE) {
        if (up->refusals > 0)
            say("the broker at %s lets us in again", up->endpoint[ENDPOINT_CONTROL]);
        up->refusals = 0;
        return false;
    }
    up->refusals++;
    if (up->refusals == 1)
        say("the broker at %s refuses our key now: was it revoked? Trying on for %d s",
            up->endpoint[ENDPOINT_CONTROL], KNOCK_MS * (REFUSALS - 1) / 1000);
    if (up->refusals == REFUSALS)
        say("the broker at %s still refuses our key: giving up", up->endpoint[ENDPOINT_CONTROL]);
    return up->refusals == REFUSALS;
}

static outcome_t keep_up(up_t *up)
{
    uint64_t knock_at = rz_now_ms() + KNOCK_MS;
    while (!up->stopping) {
        struct pollfd fd = { up->signal_fd, POLLIN, 0 };
        uint64_t now = rz_now_ms();
        poll(&fd, 1, !up->joined ? -1 : now < knock_at ? (int)(knock_at - now) : 0);
        take_signal(up);
        if (!up->stopping && !look_after(up))
            return EXIT_UNAVAILABLE;
        if (up->stopping || !up->joined || rz_now_ms() < knock_at)
            continue;
        if (is_turned_away(up))
            return EXIT_NOT_ALLOWED;
        knock_at = rz_now_ms() + KNOCK_MS;
    }
    return EXIT_DONE;
}

/* ---- stopping ---- */

/* up->stopping, here: asked to a second time, so that nothing is waited for any more. */
static void reap(up_t *up, daemon_t *daemon, uint64_t deadline)
{
    char why[64];
    int next = SIGTERM;
    while (daemon->pid > 0 && !daemon_ended(daemon, why)) {
        take_signal(up);
        bool hurry = up->stopping && next == SIGTERM && rz_now_ms() > deadline - STOP_MS + AGAIN_MS;
        if (hurry || rz_now_ms() > deadline) {
            if (!hurry)
                say("%s does not end; %s", daemon->title,
                    next == SIGTERM ? "telling it again" : "killing it");
            daemon_signal(daemon, next);
            deadline = next == SIGTERM ? rz_now_ms() + STOP_MS : UINT64_MAX;
            next = SIGKILL;
        }
        poll(NULL, 0, 5);
    }
}

/* Ends daemons [from, to) together. */
static void stop_range(up_t *up, size_t from, size_t to)
{
    uint64_t deadline = rz_now_ms() + STOP_MS;
    for (size_t i = from; i < to; i++)
        daemon_signal(&up->daemon[i], SIGTERM);
    for (size_t i = from; i < to; i++)
        reap(up, &up->daemon[i], deadline);
}

static void stop_all(up_t *up)
{
    size_t runners = first_runner(up);
    context_remove();
    up->stopping = false;
    if (!common.json && up->count > 0)
        note("stopping (Ctrl-C again: now)");
    if (up->count > runners)
        stop_range(up, runners, up->count);
    for (size_t i = up->count < runners ? up->count : runners; i > 0; i--)
        stop_range(up, i - 1, i);
    for (size_t i = 0; i < up->count; i++)
        daemon_fini(&up->daemon[i]);
}

/* ---- the whole ---- */

static outcome_t live(up_t *up)
{
    outcome_t outcome = up->joined ? find_service(up) : start_service(up);
    if (outcome == EXIT_DONE)
        outcome = start_runners(up);
    if (outcome != EXIT_DONE)
        return up->stopping ? EXIT_DONE : outcome;
    cJSON *context = describe(up);
    if (context_write(context))
        announce(up, context);
    cJSON_Delete(context);
    return keep_up(up);
}

static int catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool names_a_redis(void)
{
    return strcmp(rz_config_str(common.config, "redis.url"), rz_setting_find("redis.url")->dflt) != 0;
}

static outcome_t up_verb(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    up_t *up = rz_alloc(sizeof *up);
    up->joined = join_address != NULL;
    up->listen = listen_address;
    up->verbose = verbose;
    up->runners =
        runners_wanted != NOT_GIVEN ? runners_wanted : (size_t)rz_config_int(common.config, "up.runners");
    up->lock_fd = -1;
    outcome_t outcome = EXIT_USAGE;
    if (up->runners < 1 || up->runners > RUNNERS_MAX)
        say("--runners takes 1 to %d", RUNNERS_MAX);
    else if (!up->joined && names_a_redis())
        say("`rhizome up` runs a Redis of its own; redis.url is for `rhizome-broker`");
    else
        outcome = up_take_folder(up);
    if (outcome == EXIT_DONE && !up->joined)
        outcome = up_choose_endpoints(up);
    if (outcome == EXIT_DONE)
        outcome = up_take_keys(up, secure);
    if (outcome == EXIT_DONE) {
        up->signal_fd = catch_signals();
        outcome = live(up);
        stop_all(up);
        close(up->signal_fd);
    }
    if (up->lock_fd >= 0)
        close(up->lock_fd);
    cJSON_Delete(up->controls);
    cJSON_Delete(up->links);
    rz_free(up);
    return outcome;
}

static const char *const settings[] = { "broker.", "runner.", "security.", "log.", NULL };

const verb_t verb_up = {
    .name = "up",
    .synopsis = "[--runners N] [--listen ADDRESS] [--join HOST:PORT --key FILE] [settings]",
    .summary = "run everything on this host: store, broker and runners, in the foreground",
    .detail =
        "Data, logs and the context file that the other verbs find lie in the state folder. What dies is\n"
        "started again, except Redis: its end is the end. Ctrl-C stops all of it and leaves no process.",
    .examples =
        "rhizome up\n"
        "rhizome up --runners 2 --config rhizome.json --up-state-dir /tmp/try\n"
        "rhizome up --listen 0.0.0.0                     # keys are made; then: rhizome key new host2 --role runner\n"
        "rhizome up --join 10.0.0.5:7411 --key host2.key --runner-labels gpu",
    .options = options,
    .config_prefixes = settings,
    .min = 0,
    .max = 0,
    .run = up_verb,
};
