/* daemon.h - one program that `rhizome up` keeps running: its command line, its log, its life.
 *
 * Each is a process group of its own, so that Ctrl-C reaches us alone and we can stop them in order, and is
 * told to terminate by the kernel if we die ourselves. */
#pragma once

#include "base/buf.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DAEMON_ARGS 128

typedef struct {
    char title[160]; /* "broker", "runner box-1" */
    char *argv[DAEMON_ARGS];
    int argc;
    char log[PATH_MAX]; /* "": it writes to our stderr */
    bool says_ready;    /* takes --ready-fd */
    pid_t pid;          /* 0: not running */
    int ready_fd;       /* -1: none */
    uint64_t started_at;
    long log_from;        /* how long its log was then */
    bool well;            /* its last end: exit code 0 */
    unsigned short_lives; /* in a row: ended within a second of its start */
} daemon_t;

void daemon_init(daemon_t *daemon, const char *title, const char *program);
void daemon_arg(daemon_t *daemon, const char *arg);
void daemon_flag(daemon_t *daemon, const char *flag, const char *value);
void daemon_fini(daemon_t *daemon);

/* The path of one of our programs: beside this one, else by PATH. */
void daemon_program(const char *name, char out[PATH_MAX]);

bool daemon_start(daemon_t *daemon);
/* Looks whether it has ended; true once per end, with the reason in words ("exit code 70", "signal 9"). */
bool daemon_ended(daemon_t *daemon, char why[64]);
/* The last lines that it logged since its start, to stderr. */
void daemon_show_log(const daemon_t *daemon);
void daemon_signal(const daemon_t *daemon, int signal);
