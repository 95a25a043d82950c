/* states.h - what a runner says of its runs in a sync (rule 6.6), taken apart, checked and written anew, so that
 * the store keeps nothing but the known members.
 *
 *   {"<child>":{"epoch":2,"last_event_at":"…","last_tool_name":"Bash","last_tool_phase":"begin","round_count":3}}
 *
 * Pure. One entry that is wrong is left out; the others, and the sync that brought them, go on. */
#pragma once

#include "base/buf.h"
#include "state/ops.h"

#include <cjson/cJSON.h>

#define STATES_MAX 1024 /* as many as a runner may have slots */

typedef struct {
    rz_progress_t *list; /* children are lent by the tree that was read */
    size_t n;
    size_t left_out; /* entries that were wrong, or beyond STATES_MAX  */
    rz_err_t why;    /* the first of those                             */
    rz_buf_t text;   /* holds what the list points into                */
} states_t;

/* states: an object, or NULL for none. The tree must outlive `out`. End with states_fini(). */
void states_read(const cJSON *states, states_t *out);
void states_fini(states_t *states);
