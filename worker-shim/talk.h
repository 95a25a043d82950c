/* talk.h - a running program that is spoken with in JSON lines: what it is told, what it says, why it ended.
 *
 * Its stdout is read by transcript.h, more slowly while the connection is behind; its stderr goes to ours, and
 * its last lines into the words for its end. Whoever speaks says when a run begins and ends: what a program
 * of many runs wrote before it could know of this one does not belong to it, and is dropped. */
#pragma once

#include "executor.h"

typedef struct talk talk_t;

/* Called from the loop. on_end comes once and last; it may close the talk, the others may not. */
typedef struct {
    void (*on_event)(void *arg, rz_str_t event);
    /* NULL: a program that lives as long as its run. Else one that serves many: it must keep its stdin and stdout
     * open, and if it closes one and lives on it is killed. */
    void (*on_terminal)(void *arg, rz_str_t line);
    /* clean: it exited with 0. why: "<command> exited with status 3: <last lines of stderr>", and the like. */
    void (*on_end)(void *arg, bool clean, const char *why);
    size_t (*backlog)(void *arg); /* as in sink_t */
    void *arg;
} talk_listener_t;

/* NULL and err if the program cannot be started. That it cannot be executed is found out later, by on_end. */
talk_t *talk_open(const setting_t *setting, const talk_listener_t *listener, rz_err_t *err);
void talk_begin_run(talk_t *talk);
void talk_end_run(talk_t *talk);
/* One whole line; the first one of a run is the run. RZ_CLOSED, RZ_FULL: it was not told. */
rz_rc_t talk_tell(talk_t *talk, rz_str_t line);
/* Whether it has read the line by which the run was told. If not, nothing of the run can have happened. */
bool talk_took_run(const talk_t *talk);
bool talk_is_broken(const talk_t *talk); /* it was killed for what it did, in this run or before it */
/* What the run has come to, as a raw JSON string (transcript.h). Appends. */
void talk_result(const talk_t *talk, rz_buf_t *json);
/* TERM to its group, KILL after the grace; its stdin is closed. on_end follows. */
void talk_stop(talk_t *talk, uint64_t grace_ms);
/* KILL to its group. on_end follows with "<command> <reason>", at most 79 bytes of it; the first reason stays. */
void talk_break(talk_t *talk, const char *reason);
void talk_close(talk_t **talk); /* takes; kills what still runs */
