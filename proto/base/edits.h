/* edits.h - how far one word is from another, for "did you mean". */
#pragma once

#include <stddef.h>

/* How many characters must be put in, taken out or replaced to make one of the other; only the first 64 bytes count. */
size_t rz_edits(const char *a, const char *b);
