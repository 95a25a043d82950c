/* cli.h - the command line as a person uses it: what stands on stdout, what on stderr, and the exit code.
 *
 * Every call is a line of shell with the real program in it; RHIZOME_CONTROL names the rig's broker. Failures end the
 * running fact. */
#pragma once

#include "facts.h"
#include "process.h"
#include "rig.h"

typedef struct {
    char out[65536], err[65536];
    int code;
} said_t;
extern said_t said; /* of the last shell() */

/* Runs a line of shell. */
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The last call ended so; if not, all of what it said is shown. */
void ended_with(int code);
void out_is(const char *text);
void has(const char *text, const char *part);
void has_not(const char *text, const char *part);

const char *bin_dir(void); /* of the programs */
/* Programs of the build first, no settings of the caller's, RHIZOME_CONTROL as given ("" for none). */
void environment(const char *control);

/* Setups and teardowns: a rig with one runner and two agents of configuration (`agent`, which does as its assignment says,
 * and `survey`); nothing at all. */
int rig_with_agents(void **state);
int rig_away(void **state);
int nothing_up(void **state);

/* Looks until `rhizome ps` shows the child in this state. */
void await_state(const char *child, const char *word);

/* A spawn job of parent "p", as an argument in single quotes. */
#define JOB(child, profile, text)                                                                            \
    "{\"parent_session_id\":\"p\",\"child_session_id\":\"" child "\",\"require\":{\"profile\":\"" profile    \
    "\"},\"session\":{\"id\":\"" child                                                                       \
    "\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}}"
