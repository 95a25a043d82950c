/* main.c - rhizome-runner: reads its configuration, gets a keeper, runs. */
#include "base/log.h"
#include "base/notify.h"
#include "base/privacy.h"
#include "credentials.h"
#include "keeper.h"
#include "runner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_USAGE  2
#define EXIT_BUG    70
#define EXIT_CONFIG 78

#define FILES_PER_SLOT 8 /* a busy worker and an idle one */
#define FILES_OF_OURS  256

static const char usage[] =
    "usage: rhizome-runner [options]\n"
    "\n"
    "Runs agents: takes assignments from its brokers, keeps warm workers, pumps their events.\n"
    "\n"
    "  --config FILE     configuration (JSON with // comments); else RHIZOME_CONFIG\n"
    "  --check-config    as `rhizome config check`, and what it names on this host: keys, credentials, users;\n"
    "                    not whether control groups are delegated (that depends on who starts it); ends with 0 or 78\n"
    "  --ready-fd N      write one JSON line to descriptor N when a broker welcomed us, then close it\n"
    "  --version\n"
    "  --help\n"
    "\n"
    "Settings, as flags; RHIZOME_RUNNER_SLOTS=4 in the environment is --runner-slots 4:\n";

typedef struct {
    bool help, version, check;
    int ready_fd;
} options_t;

static void print_help(void)
{
    static const char *const prefixes[] = { "runner.", "limits.event_bytes", "security.key", "log.", NULL };
    rz_buf_t text = { 0 };
    rz_config_help(prefixes, &text);
    fputs(usage, stdout);
    fputs(text.data != NULL ? text.data : "", stdout);
    fputs(
        "\nSIGTERM: takes no new work, waits for what runs (runner.drain_secs, runner.drain_policy), leaves; a second one: at "
        "once.\n"
        "Exit codes: 0 left, 2 usage, 69 a port is taken, the host gives no room or no broker speaks our version, 70 our own bug,\n"
        "78 configuration.\n",
        stdout);
    rz_buf_fini(&text);
}

/* A descriptor that is ours to write to; the keeper and the workers must not hold it open. */
static bool take_fd(const char *text, int *out)
{
    char *end;
    long fd = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || fd < 0 || fd > 65535 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    *out = (int)fd;
    return true;
}

/* What the configuration left of argv. False: it named the mistake. */
static bool parse(int argc, char **argv, options_t *out)
{
    *out = (options_t){ .ready_fd = -1 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            out->help = true;
        else if (strcmp(argv[i], "--version") == 0)
            out->version = true;
        else if (strcmp(argv[i], "--check-config") == 0)
            out->check = true;
        else if (strcmp(argv[i], "--ready-fd") == 0 && i + 1 < argc && take_fd(argv[i + 1], &out->ready_fd))
            i++;
        else {
            fprintf(stderr, "rhizome-runner: cannot use %s; see --help\n", argv[i]);
            return false;
        }
    }
    return true;
}

/* Descriptors 0 to 2 must exist, or a pipe to a worker could become one of them. */
static void open_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* A worker takes a few descriptors: its process, stderr, folder and connection. Only as many as the slots can need, because
 * what a runner may open its workers may too, and not every program is made for large numbers. */
static void raise_file_limit(size_t slots)
{
    struct rlimit limit;
    rlim_t wanted = FILES_PER_SLOT * slots + FILES_OF_OURS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_kept(const settings_t *settings, int ready_fd)
{
    rz_err_t err = { 0 };
    int code = EXIT_BUG;
    tree_t *tree = tree_open(&settings->tree, &err);
    if (tree == NULL) {
        fprintf(stderr, "rhizome-runner: %s\n", err.text);
        return rz_rc_exit_code(err.rc);
    }
    /* asked here, for it is the keeper that the manager knows */
    runner_fds_t fds = { .ready_fd = ready_fd, .feed_ms = rz_notify_interval_ms() };
    fds.keeper_fd = keeper_fork(ready_fd, tree, &err);
    if (fds.keeper_fd < 0)
        rz_log_error("keeper.fork", "error=%s", err.text);
    else
        code = runner_run(settings, &fds, tree);
    tree_close(&tree);
    return code;
}

/* The runner itself reads the file behind the fork, so that its keeper never holds a key. */
static int check_credentials(const settings_t *settings)
{
    rz_err_t err = { 0 };
    credentials_t *credentials = credentials_open(settings->credentials, &err);
    if (credentials == NULL)
        fprintf(stderr, "rhizome-runner: %s\n", err.text);
    else
        puts("configuration is good");
    int code = credentials != NULL ? 0 : EXIT_CONFIG;
    credentials_close(&credentials);
    return code;
}

/* A configuration that brokers share brings the way to the store along. It is not for us, who are next to code that a
 * model chose: forgotten before anything else happens. */
static void forget_store(rz_config_t *config)
{
    if (*rz_config_str(config, "redis.password") != '\0' ||
        strchr(rz_config_str(config, "redis.url"), '@') != NULL)
        rz_log_warn("runner.store_password",
                    "text=\"a runner needs no password of Redis: keep it in the brokers' "
                    "configuration or environment alone\"");
    rz_config_set(config, "redis.password", "", NULL);
    rz_config_set(config, "redis.url", "", NULL);
}

static int run(rz_config_t *config, const options_t *options)
{
    rz_err_t err = { 0 };
    settings_t settings;
    int code = 0;
    rz_log_level_t level = RZ_LOG_INFO;
    rz_log_level_parse(rz_config_str(config, "log.level"), &level);
    rz_log_setup("rhizome-runner", level);
    forget_store(config);
    if (settings_init(&settings, config, &err) != RZ_OK) {
        fprintf(stderr, "rhizome-runner: %s\n", err.text);
        code = EXIT_CONFIG;
    } else {
        raise_file_limit(settings.slots);
        code = options->check ? check_credentials(&settings) : run_kept(&settings, options->ready_fd);
    }
    settings_fini(&settings);
    return code;
}

int main(int argc, char **argv)
{
    rz_err_t err = { 0 };
    options_t options;
    open_standard_fds();
    rz_keep_memory_private(); /* and with it the keeper */
    rz_give_up_privileges();  /* and with it every worker */
    rz_config_t *config = rz_config_load(NULL, &argc, argv, &err);
    int code = 0;
    if (config == NULL) {
        fprintf(stderr, "rhizome-runner: %s\n", err.text);
        return EXIT_CONFIG;
    }
    if (!parse(argc, argv, &options))
        code = EXIT_USAGE;
    else if (options.help)
        print_help();
    else if (options.version)
        puts("rhizome-runner " RZ_VERSION);
    else
        code = run(config, &options);
    rz_config_destroy(&config);
    return code;
}
