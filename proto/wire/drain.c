/* drain.c - see drain.h. */
#include "wire/drain.h"

#include <stddef.h>

const char *const rz_phase_names[] = { "up", "cordoned", "draining", NULL };
const char *const rz_drain_policies[] = { "wait", "requeue", "cancel", NULL };
