/* fabric.h - the private folders in which workers register (rule 2).
 *
 *     <state_dir>/run.<pid>.<random>/     of one runner process, 0700, held by a lock
 *         lock
 *         <n>/                            of one spawn, 0700
 *             <child_id>.json             the AgentRecord, renamed into place
 *
 * Every spawn has a folder of its own: upstream re-uses a child's id, and two workers would share one record.
 * For the same reason a profile's `fabric_dir` is not used. Folders whose lock nobody holds belong to dead
 * runners and are removed at the start. Registration is an event (inotify), not a poll. Loop thread only. */
#pragma once

#include "base/rc.h"
#include "confinement.h"
#include "wire/record.h"

#include <uv.h>

typedef struct fabric fabric_t;
typedef struct folder folder_t;

/* state_dir is created (0700) when missing; one that others may write to is refused. Workers with a user of their own must be let
 * pass: then the two upper folders are 0711, and each spawn's is that user's. NULL and err on failure. */
fabric_t *fabric_open(const char *state_dir, const confinement_t *confinement, rz_err_t *err);
void fabric_close(fabric_t **fabric); /* removes everything in it */

/* A live, readable record appeared under `agent_id`; lent until it returns. Comes from the loop, and again
 * for every renewal until folder_unwatch(). */
typedef void (*folder_found_fn)(const rz_record_t *record, void *arg);

folder_t *folder_open(fabric_t *fabric, uv_loop_t *loop, const char *agent_id, folder_found_fn fn, void *arg,
                      rz_err_t *err);
const char *folder_path(const folder_t *folder);
void folder_unwatch(folder_t *folder);
void folder_close(folder_t **folder); /* takes; removes the folder */
