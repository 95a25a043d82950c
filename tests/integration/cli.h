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

/* "--key FILE" of that name (keyring.h) where there are keys, else "". Lent until the next call. */
const char *key_flag(const char *name);

/* Setups and teardowns: a rig with one runner and three agents of configuration (`agent`, which does as its
 * assignment says, `survey`, and `asker`, whose word "approval?" is a question with id sa-0); nothing at all. */
int rig_with_agents(void **state);
int rig_away(void **state);
int nothing_up(void **state);

/* Repeats a line of shell until it ends with 0, at most RIG_PATIENCE_MS. */
void await_call(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Until `rhizome ps` shows the child in this state. */
void await_state(const char *child, const char *word);
/* What the call prints, one reply of control a line, satisfies the schema of replies. */
void conforms(const char *call);

/* Spawn jobs for single quotes: of any parent; one that no runner of these facts offers to run; of parent "p". */
#define JOB_OF(parent, child, require, text)                                                                 \
    "{\"parent_session_id\":\"" parent "\",\"child_session_id\":\"" child "\",\"require\":{" require         \
    "},\"session\":{\"id\":\"" child                                                                         \
    "\",\"kind\":\"child\",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}}"
#define JOB_FOR_GPU(child)        JOB_OF("p", child, "\"profile\":\"echo\",\"labels\":[\"gpu\"]", "x")
#define JOB(child, profile, text) JOB_OF("p", child, "\"profile\":\"" profile "\"", text)
