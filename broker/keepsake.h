/* keepsake.h - what a broker remembers of its store over its own restart: one small file in broker.state_dir.
 *
 * With it a broker that starts anew still notices that the store went back, or is another. Without a folder it knows of
 * the store only what it saw itself. Written on the loop: a hundred bytes, and not synced, for a mark that is some
 * seconds old does as well. */
#pragma once

#include "state/store.h"

#include <limits.h>

typedef struct {
    char path[PATH_MAX]; /* "": nothing is kept */
    rz_store_mark_t written;
} keepsake_t;

/* dir "": nothing is kept; else it is made if it is not there. mark: what the file says, or nothing, also when it is
 * damaged (logged). RZ_BAD_FIELD: the folder cannot be made. */
rz_rc_t keepsake_open(keepsake_t *keepsake, const char *dir, const char *broker, rz_store_mark_t *mark,
                      rz_err_t *err);
/* Writes when it says something new: another store or term, or a tick that is some seconds on. */
void keepsake_put(keepsake_t *keepsake, const rz_store_mark_t *mark);
