/* tell.h - what a program is told on its stdin: one JSON object a line.
 *
 * A program that serves one run (run 0) gets frames as they came. One that serves many finds in each line, as
 * `run`, which run it is of: 1, 2, 3 of this worker. All fill an empty buffer with the line and its newline.
 * Pure. */
#pragma once

#include "base/buf.h"

/* frame: a decoded run frame, whatever its layout; its own member `run`, should it have one, gives way to ours. */
void tell_run(rz_buf_t *line, rz_str_t frame, uint64_t run);
void tell_message(rz_buf_t *line, const char *text, uint64_t run);
void tell_cancel(rz_buf_t *line, uint64_t run);
