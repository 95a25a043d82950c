/* drain.h - what a runner may be told to do about new work, and about what still runs at the deadline of its drain: the
 * words that control, link and configuration share. */
#pragma once

#include <stdint.h>

/* Whether a runner takes work. A drain is for good: the runner ends when nothing is left. */
typedef enum { RZ_PHASE_UP, RZ_PHASE_CORDONED, RZ_PHASE_DRAINING } rz_phase_t;
extern const char *const rz_phase_names[]; /* "up" "cordoned" "draining" NULL */

typedef enum {
    RZ_DRAIN_WAIT,    /* for ever                                                                */
    RZ_DRAIN_REQUEUE, /* what has an attempt left begins anew elsewhere, the rest ends `error`   */
    RZ_DRAIN_CANCEL,  /* with the usual grace                                                    */
} rz_drain_policy_t;
extern const char *const rz_drain_policies[]; /* "wait" "requeue" "cancel" NULL */

#define RZ_DRAIN_MAX_MS UINT64_C(31536000000) /* a deadline: a year from now at most */
