/* process.h - a real program as a child of the test: started with a ready pipe, ended and reaped by its
 * owner. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;     /* 0: not running            */
    int ready_fd;  /* -1: none                  */
    char log[512]; /* its stdout and stderr     */
} process_t;

/* Flags of a broker: several may be up at once, and somebody's own at the default ports. */
#define FREE_PORT "tcp://127.0.0.1:*"
#define FREE_PORTS                                                                                           \
    "--broker-jobs", FREE_PORT, "--broker-control", FREE_PORT, "--broker-events", FREE_PORT,                 \
        "--broker-runners", FREE_PORT, "--broker-publish", FREE_PORT, "--broker-http", FREE_PORT

/* Starts argv[0] with output appended to log. If ready: "--ready-fd N" is appended to argv (which must have
 * room for two more and the NULL). It is killed if this test dies. */
void process_start(process_t *process, const char *const *argv, const char *log, int ready);
/* The one line written to the ready pipe, NUL-terminated without newline; fails the test (with the log's
 * tail) if the program exits, is silent for patience_ms or leaves the pipe open behind the line. */
void process_ready(process_t *process, char *line, size_t max, int patience_ms);
/* Sends the signal (0: none) and waits for the exit, KILL after patience_ms. Returns the wait status, -1 if
 * not running. */
int process_end(process_t *process, int signal, int patience_ms);
/* Pids of all living descendants of `root` (zombies do not count). */
size_t process_descendants(pid_t root, pid_t *out, size_t max);
long process_resident_kib(pid_t pid);
/* How many lines of a log hold the text; it may not be there yet. */
unsigned process_log_count(const char *path, const char *text);
/* Waits until at least so many do. False: they did not in time. */
bool process_log_has(const char *path, const char *text, unsigned least, int within_ms);
uint16_t process_free_port(void); /* of TCP on loopback: nobody had it a moment ago */
/* One that is there again when a daemon comes back to it: nobody's connection gets it meanwhile. */
uint16_t process_lasting_port(void);
/* Prints the end of a log to stderr. */
void process_show_log(const char *path);
uint64_t process_now_ms(void);
