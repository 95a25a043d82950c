/* output.h - the last words of workers: what each wrote to stderr during a child's run, kept for `logs`.
 *
 * At most RZ_STDERR_KEPT bytes a child (the newest) and a fixed number of children (the one that wrote
 * longest ago goes). A child that writes nothing costs nothing. */
#pragma once

#include "base/buf.h"
#include "base/limits.h"

#define OUTPUT_CHILDREN_MAX 256

typedef struct output output_t;

output_t *output_create(void);
void output_destroy(output_t **output);
/* A new epoch of a child starts afresh. */
void output_append(output_t *output, const char *child, uint64_t epoch, const char *bytes, size_t n);
/* Appends what is kept as valid UTF-8 without NUL (anything else becomes '?'); false when there is nothing.
 */
bool output_text(const output_t *output, const char *child, rz_buf_t *out);
