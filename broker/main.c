/* main.c - rhizome-broker: flags, configuration, signals, exit codes. */
#include "broker.h"

#include "base/log.h"
#include "base/privacy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_OUR_BUG = 70, EXIT_CONFIG = 78, EXIT_INTERRUPTED = 130 };

typedef struct {
    bool check;
    int ready_fd; /* -1: none */
} flags_t;

typedef struct {
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    broker_t *broker;
    bool stopping;
    int ready_fd;
} program_t;

/* ---- flags ---- */

static void print_help(void)
{
    static const char *const prefixes[] = { "redis.",    "broker.", "retention.", "limits.",
                                            "security.", "log.",    NULL };
    rz_buf_t settings = { 0 };
    rz_config_help(prefixes, &settings);
    printf(
        "Usage: rhizome-broker [--config FILE] [FLAG...]\n\n"
        "Accepts spawn jobs, keeps them in the store, hands them to runners, publishes events.\n\n"
        "  --help              this text\n"
        "  --version           the version\n"
        "  --check-config      as `rhizome config check`, and what it names on this host: keys, passwords; ends with 0 or 78\n"
        "  --ready-fd N        when ready, writes one JSON line with the endpoints\n"
        "                      {\"jobs\",\"control\",\"events\",\"runners\",\"publish\",\"http\"} to descriptor N and closes it\n\n"
        "%s\n"
        "TERM or INT: takes nothing new, answers what is in hand (2 s at most), ends. INT again: at once.\n"
        "Exit codes: 0 stopped, 2 usage, 69 a port is taken or the host gives no room, 70 our own bug, 78 configuration,\n"
        "130 interrupted twice.\n",
        settings.data != NULL ? settings.data : "");
    rz_buf_fini(&settings);
}

static bool read_fd(const char *text, int *out)
{
    char *end = NULL;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;
    if (end == text || end == NULL || *end != '\0' || fd < 0 || fd > 65535)
        return false;
    *out = (int)fd;
    return true;
}

/* What config.h left over. */
static bool read_flags(int argc, char **argv, flags_t *out)
{
    *out = (flags_t){ .ready_fd = -1 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check-config") == 0)
            out->check = true;
        else if (strcmp(argv[i], "--ready-fd") != 0 || !read_fd(argv[++i], &out->ready_fd)) {
            fprintf(stderr, "rhizome-broker: unexpected argument %s; --help tells what there is\n",
                    argv[i] != NULL ? argv[i] : "after --ready-fd");
            return false;
        }
    }
    return true;
}

/* Before the configuration is read, so that help is to be had whatever is wrong with it. */
static bool wants(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

/* ---- running ---- */

static void on_ready(const endpoints_t *endpoints, void *arg)
{
    program_t *program = arg;
    if (program->ready_fd < 0)
        return;
    rz_buf_t line = { 0 };
    rz_json_open(&line, '{');
    endpoints_encode(endpoints, &line);
    rz_json_close(&line, '}');
    rz_buf_putc(&line, '\n');
    if (write(program->ready_fd, line.data, line.len) != (ssize_t)line.len)
        rz_log_warn("broker.ready_fd", "fd=%d cannot be written", program->ready_fd);
    close(program->ready_fd);
    program->ready_fd = -1;
    rz_buf_fini(&line);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    program_t *program = handle->data;
    if (program->stopping && signum == SIGINT)
        _exit(EXIT_INTERRUPTED);
    program->stopping = true;
    broker_stop(program->broker);
}

/* Not counted as work: the loop ends when the broker has closed. */
static void watch_signal(program_t *program, uv_signal_t *handle, int signum)
{
    uv_signal_init(&program->loop, handle);
    handle->data = program;
    uv_signal_start(handle, on_signal, signum);
    uv_unref((uv_handle_t *)handle);
}

/* From here TERM has nothing left to ask for; a second one must not turn a clean end into a death by signal.
 */
static void hold_term(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(const setup_t *setup, int ready_fd)
{
    program_t program = { .ready_fd = ready_fd };
    rz_err_t err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    if (uv_loop_init(&program.loop) != 0)
        return EXIT_OUR_BUG;
    program.broker = broker_open(&program.loop, setup, on_ready, &program, &err);
    if (program.broker == NULL) {
        rz_log_error("broker.failed", "rc=%s %s", rz_rc_name(err.rc), err.text);
        uv_loop_close(&program.loop);
        return rz_rc_exit_code(err.rc);
    }
    watch_signal(&program, &program.term, SIGTERM);
    watch_signal(&program, &program.interrupt, SIGINT);
    uv_run(&program.loop, UV_RUN_DEFAULT);

    hold_term();
    bool failed = broker_failed(program.broker);
    broker_destroy(&program.broker);
    uv_close((uv_handle_t *)&program.term, NULL);
    uv_close((uv_handle_t *)&program.interrupt, NULL);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&program.loop) == 0 && !failed ? 0 : EXIT_OUR_BUG;
}

static int with_config(rz_config_t *config, const flags_t *flags)
{
    setup_t setup;
    rz_err_t err = { 0 };
    rz_log_level_t level = RZ_LOG_INFO;
    rz_log_level_parse(rz_config_str(config, "log.level"), &level);
    rz_log_setup("rhizome-broker", level);
    if (setup_read(config, &setup, &err) != RZ_OK) {
        fprintf(stderr, "rhizome-broker: %s\n", err.text);
        setup_fini(&setup);
        return EXIT_CONFIG;
    }
    int code = 0;
    if (flags->check)
        puts("configuration is good");
    else
        code = run(&setup, flags->ready_fd);
    setup_fini(&setup);
    return code;
}

int main(int argc, char **argv)
{
    flags_t flags;
    rz_err_t err = { 0 };
    if (wants(argc, argv, "--help")) {
        print_help();
        return 0;
    }
    if (wants(argc, argv, "--version")) {
        puts("rhizome-broker " RZ_VERSION);
        return 0;
    }
    rz_keep_memory_private(); /* the store's password is in it, and every conversation */
    rz_config_t *config = rz_config_load(NULL, &argc, argv, &err);
    if (config == NULL) {
        fprintf(stderr, "rhizome-broker: %s\n", err.text);
        return EXIT_CONFIG;
    }
    int code = read_flags(argc, argv, &flags) ? with_config(config, &flags) : EXIT_USAGE;
    rz_config_destroy(&config);
    return code;
}
