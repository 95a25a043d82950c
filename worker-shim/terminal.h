/* terminal.h - the line by which a program that serves many runs ends one of them:
 *
 *     {"kind":"terminal","run":3,"status":"completed","result":"..."}
 *
 * status is completed, error or cancelled; run, result and error may be missing. Pure. */
#pragma once

#include "wire/frame.h"

typedef struct {
    uint64_t run;           /* 0: it does not say; then it is the active one's */
    rz_child_frame_t frame; /* status, result, error; result is lent by the line */
} terminal_t;

/* line: a checked object whose kind is "terminal". The failure names the member and what is allowed. */
rz_rc_t terminal_decode(rz_str_t line, terminal_t *out, rz_err_t *err);
void terminal_fini(terminal_t *terminal);
