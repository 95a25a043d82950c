/* crowd.h - many children at the same time on one runner, and every way to end: a fifth is cancelled, a tenth steered,
 * a twentieth meets its watchdog, the others pass a gate that the test opens. Each must end once and rightly. */
#pragma once

#include "rig.h"

typedef struct {
    char gate[64];    /* a FIFO: who runs waits at it until somebody opens it for writing */
    char config[512]; /* members of a configuration for rig_up()                          */
} crowd_t;

void crowd_init(crowd_t *crowd);
void crowd_fini(crowd_t *crowd);
/* `children` of them (at most 1000) all running before the first one ends, and waits until the last has. A runner
 * with that many slots must be there. Rounds of one rig have numbers of their own. */
void crowd_round(const crowd_t *crowd, rig_t *rig, unsigned round, unsigned children);
/* Waits until no process is left below the runner: its workers were idle for too long and went. */
void crowd_goes_home(rig_t *rig);
