/* verb.h - what a verb of the command line is made of, and the options every verb shares.
 *
 * A verb is one constant: its words, its help, its options and its function. Options point at the variables
 * they fill, which are static in the verb's file: a process runs one verb, once. */
#pragma once

#define EDITS_MAX 2 /* between a word that nobody knows and the one that was meant */

#include "outcome.h"

#include "base/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXTS_MAX 64
typedef struct {
    const char *text[TEXTS_MAX];
    size_t n;
} texts_t;

/* One option; exactly one of the four targets is set. A table of them ends with a NULL name. */
typedef struct {
    const char *name;    /* "--parent"                              */
    const char *metavar; /* what follows it, "ID"; NULL for a switch */
    const char *help;
    const char **text;
    uint64_t *number;
    bool *on;
    texts_t *list; /* may be given more than once */
} option_t;

typedef struct {
    const char *name;        /* "run", "session show" */
    const char *synopsis;    /* what follows the name in the usage line */
    const char *summary;     /* one line, for the list of verbs */
    const char *detail;      /* paragraphs of its own help, may be NULL */
    const char *examples;    /* lines of shell */
    const option_t *options; /* may be NULL */
    const char *const
        *config_prefixes; /* settings it takes as flags, for the help; NULL: it reads no configuration */
    int min, max;         /* positional arguments; max -1: any number */
    outcome_t (*run)(int argc, char **argv); /* positional arguments only */
} verb_t;

/* What the shared options said. */
typedef struct {
    const char *control;
    const char *control_flag; /* the flag that named it, if it was not --control */
    const char *state_dir;
    const char *key; /* path of the key to connect with */
    bool json;
    rz_config_t *config;  /* of verbs with config_prefixes, else NULL                        */
    texts_t config_flags; /* the flags `config` came from, to be handed to other programs   */
} common_t;
extern common_t common;
extern const option_t common_options[];

/* Takes the options out of argv; what is left are the positional arguments. "-" is one of them, "--" ends
 * options. False after saying on stderr what is wrong. */
bool options_take(const option_t *options, int *argc, char **argv);

/* Reads an argument: "-" is all of stdin, else the text itself. False after a message: unreadable, too long.
 */
bool text_argument(const char *argument, size_t max, char **out);
/* Reads a whole file, "-" for stdin. */
bool file_argument(const char *path, size_t max, char **out, size_t *len);

extern const verb_t verb_up, verb_run, verb_submit, verb_ps, verb_watch, verb_send, verb_cancel, verb_approve,
    verb_deny, verb_wait, verb_logs, verb_explain, verb_retry, verb_status, verb_runner_list,
    verb_runner_cordon, verb_runner_uncordon, verb_runner_drain, verb_session_show, verb_session_put,
    verb_session_list, verb_config_check, verb_config_dump, verb_store_init, verb_store_upgrade,
    verb_store_check, verb_store_accept, verb_key_new, verb_key_list, verb_key_allow, verb_key_revoke;
