/* up.h - what `rhizome up` has in hand: a folder it holds alone, and the programs it runs from it.
 *
 * The programs stand in one list, in order of dependence: started from first to last, stopped from last to
 * first. */
#pragma once

#include "daemon.h"
#include "outcome.h"

#include "base/limits.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNNERS_MAX 64
#define DAEMONS_MAX (RUNNERS_MAX + 2)

enum {
    ENDPOINT_JOBS,
    ENDPOINT_CONTROL,
    ENDPOINT_EVENTS,
    ENDPOINT_RUNNERS,
    ENDPOINT_PUBLISH,
    ENDPOINT_HTTP, /* once the broker is there, a URL; "": it serves none */
    ENDPOINTS
};
extern const char *const endpoint_names[ENDPOINTS]; /* "jobs", ... */

typedef struct {
    char dir[PATH_MAX];    /* the state folder, absolute            */
    char socket[PATH_MAX]; /* of the private Redis                  */
    int lock_fd;           /* -1: not held                          */
    int signal_fd;
    daemon_t daemon[DAEMONS_MAX]; /* Redis and broker first, unless joined; then runners */
    size_t count;
    size_t runners; /* how many are wanted */
    char endpoint[ENDPOINTS][256];
    cJSON *controls, *links; /* joined: control and runners endpoints of all brokers, arrays of texts */
    const char *listen;      /* address that the broker's sockets are bound to; NULL: as the settings say */
    char broker_key[PATH_MAX], allow[PATH_MAX];      /* files; "": everything is in the clear */
    char runner_key[PATH_MAX], client_key[PATH_MAX]; /* of our runners, and of the verbs used here */
    char runner_base[RZ_ID_MAX + 1];                 /* what the names of our runners begin with */
    bool joined;                                     /* only runners, for a broker elsewhere */
    bool verbose;                                    /* daemons write to our stderr          */
    bool stopping;                                   /* asked to by a signal                 */
    unsigned refusals;                               /* joined: of our key, in a row         */
} up_t;

/* Makes the state folder and holds it, as long as this process lives. EXIT_REFUSED, said who has it: another
 * does. EXIT_UNAVAILABLE, said why: nothing can be written there. */
outcome_t up_take_folder(up_t *up);
/* Says so if nothing can be written there, and why: a disk or a quota that is full, a file system that is read-only. False
 * then; who has failed already asks for the message alone. */
bool up_folder_check(const up_t *up);

/* Notes where the brokers are that a broker's hello names; `control`: where that one was reached. */
void up_learn_brokers(up_t *up, const cJSON *hello, const char *control);

/* Takes or makes the keys that everything here runs with, if it is to have any: because `secure` says so, or because the
 * broker is bound beyond this host, or the key that --key names, to join. Endpoints are chosen before. */
outcome_t up_take_keys(up_t *up, bool secure);
/* The name of this host, as an id. */
void up_host_name(char out[RZ_ID_MAX + 1]);
/* Where the broker's sockets are to be: as flags, file, environment and --listen say; the others at their default ports, or
 * all of them at free ones if one of those is taken, which is said. EXIT_UNAVAILABLE, said: one that was named is taken. */
outcome_t up_choose_endpoints(up_t *up);

/* Each adds one program to the list, with its whole command line; none is started. False after a message. */
bool up_add_redis(up_t *up);
bool up_add_broker(up_t *up);
bool up_add_runner(up_t *up, size_t index);

/* The broker was given free ports and has told in its ready line which: from now on, also in its next life,
 * they are fixed. False after a message. */
bool up_fix_endpoints(up_t *up, daemon_t *broker, const char *ready_line);
