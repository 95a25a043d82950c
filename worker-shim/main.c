/* main.c - rhizome-worker: read a ProvisionSpec from stdin, listen, register, serve runs, leave (rules 1
 * to 5). */
#include "base/log.h"
#include "base/privacy.h"
#include "brief.h"
#include "launch.h"
#include "registration.h"
#include "serve.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "rhizome-worker - serves the runs of one agent over WebSocket\n"
    "\n"
    "Usage: rhizome-worker < provision.json\n"
    "\n"
    "A runner starts it with a ProvisionSpec (proto/README.md) on stdin and closes stdin. It then listens on a free\n"
    "port of 127.0.0.1, publishes that in <fabric_dir>/<child_id>.json, and serves one connection after another.\n"
    "\n"
    "Executors: echo; cli_adapter {command, args}: one program per run that reads JSON lines on stdin and writes\n"
    "events or plain text on stdout; session {command, args}: one such program for all runs.\n"
    "\n"
    "  --help      this text\n"
    "  --version   the version\n"
    "\n"
    "Exit codes: 0 served its connection, idled out, or was asked to stop (SIGTERM); 1 failed, and says why.\n"
    "\n"
    "Example:\n"
    "  echo '{\"version\":1,\"identity\":{\"child_id\":\"me\"},\"executor\":{\"kind\":\"echo\"},\"fabric_dir\":\"/tmp/f\"}' \\\n"
    "    | rhizome-worker & until cat /tmp/f/me.json 2>/dev/null; do sleep 0.1; done\n";

typedef struct {
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    brief_t brief;
    const executor_t *executor;
    setting_t setting;
    serve_t *serve;
    registration_t *registration;
    served_t served;
    char *gone; /* why no run can be served any more; NULL as long as they can */
} worker_t;

/* The runner reads one line and knows (rule 1.9). */
static int fail(const char *what, const char *why)
{
    fprintf(stderr, "rhizome-worker failed: %s%s\n", what, why);
    return 1;
}

static int refuse(const rz_err_t *err)
{
    fprintf(stderr, "rhizome-worker failed: read ProvisionSpec from stdin: decode <provision>: %s (%s)\n",
            err->text, rz_rc_name(err->rc));
    return 1;
}

/* Descriptors 0 to 2 exist: whatever is opened later must not become somebody's stdin or stderr. */
static void keep_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* ---- life ---- */

static void on_served(void *arg, served_t how)
{
    worker_t *worker = arg;
    worker->served = how;
    uv_stop(&worker->loop);
}

/* The record goes at once; the connections when what they were told is written. The first line of `why` will do:
 * a program's last words stand on stderr already. */
static void on_gone(void *arg, const char *why)
{
    worker_t *worker = arg;
    worker->gone = rz_strndup(why, strcspn(why, "\n"));
    registration_close(&worker->registration);
    serve_leave(worker->serve);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static void watch_signals(worker_t *worker)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&worker->loop, &worker->term);
    uv_signal_init(&worker->loop, &worker->interrupt);
    uv_signal_start(&worker->term, on_signal, SIGTERM);
    uv_signal_start(&worker->interrupt, on_signal, SIGINT);
}

static void open_executor(worker_t *worker)
{
    const brief_t *brief = &worker->brief;
    worker->setting = (setting_t){ .loop = &worker->loop,
                                   .program = { .command = brief->command,
                                                .args = brief->args,
                                                .workspace = brief->workspace,
                                                .variables = brief->variables },
                                   .on_gone = on_gone,
                                   .arg = worker };
    if (worker->executor->open != NULL)
        worker->setting.lasting = worker->executor->open(&worker->setting);
}

static rz_rc_t open_service(worker_t *worker, rz_err_t *err)
{
    brief_t *brief = &worker->brief;
    serve_options_t options = { .reusable = brief->reusable,
                                .idle_ms = brief->idle_ms,
                                .token = brief->token,
                                .executor = worker->executor,
                                .setting = &worker->setting,
                                .on_done = on_served,
                                .arg = worker };
    worker->serve = serve_open(&options, err);
    rz_wipe(brief->token, sizeof(brief->token));
    return worker->serve != NULL ? RZ_OK : err->rc;
}

static rz_rc_t publish(worker_t *worker, rz_err_t *err)
{
    const brief_t *brief = &worker->brief;
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "ws://127.0.0.1:%u", (unsigned)serve_port(worker->serve));
    worker->registration =
        registration_open(&worker->loop, brief->fabric_dir, brief->child_id, brief->role, endpoint, err);
    return worker->registration != NULL ? RZ_OK : err->rc;
}

/* From here TERM has nothing left to ask for, and must not make a clean end one by signal. */
static void hold_term(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
}

/* The record goes first: whoever still finds it would connect to nobody. */
static void shut_down(worker_t *worker)
{
    hold_term();
    registration_close(&worker->registration);
    uv_close((uv_handle_t *)&worker->term, NULL);
    uv_close((uv_handle_t *)&worker->interrupt, NULL);
    if (worker->serve != NULL)
        serve_stop(worker->serve);
    if (worker->executor->close != NULL)
        worker->executor->close(&worker->setting.lasting);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    serve_destroy(&worker->serve);
    uv_loop_close(&worker->loop);
}

static int work(worker_t *worker)
{
    rz_err_t err = { 0 };
    int code = 0;
    uv_loop_init(&worker->loop);
    watch_signals(worker);
    open_executor(worker);
    if (open_service(worker, &err) != RZ_OK)
        code = fail("listen: ", err.text);
    else if (publish(worker, &err) != RZ_OK)
        code = fail("publish discovery record: ", err.text);
    else
        uv_run(&worker->loop, UV_RUN_DEFAULT); /* until on_served or a signal */
    shut_down(worker);
    if (code == 0 && worker->gone != NULL)
        code = fail("serve: ", worker->gone);
    if (code == 0 && worker->served == SERVED_NOBODY)
        code = fail("serve: protocol: ", "no connection within 120s; exiting");
    rz_free(worker->gone);
    return code;
}

static int usage(const char *argument)
{
    fprintf(stderr, "rhizome-worker: unknown argument %s; see --help\n", argument);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], LAUNCH_FLAG) == 0)
        launch_exec(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return fputs(help, stdout) < 0;
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return puts("rhizome-worker " RZ_VERSION) < 0;
    if (argc > 1)
        return usage(argv[1]);

    keep_standard_files();
    rz_keep_memory_private();
    rz_log_setup("worker", RZ_LOG_WARN);

    worker_t worker = { .served = SERVED_DONE };
    rz_err_t err = { 0 };
    if (brief_read(STDIN_FILENO, &worker.brief, &err) != RZ_OK)
        return refuse(&err);
    worker.executor = executor_find(worker.brief.executor);
    int code = worker.executor != NULL ? work(&worker)
                                       : fail(rz_executor_name(worker.brief.executor),
                                              " executor is not served by rhizome-worker");
    brief_fini(&worker.brief);
    return code;
}
