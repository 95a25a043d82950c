/* relay.h - passes a program's stderr on to ours, where the runner keeps it. */
#pragma once

#include <stddef.h>

/* Writes as much as our stderr takes. A reader that does not read costs us 50 ms once, then its bytes are
 * dropped until it reads again: a run must not stand still for its diagnostics. */
void relay_stderr(const char *bytes, size_t n);
