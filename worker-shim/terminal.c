/* terminal.c - the line by which a program that serves many runs ends one of them. */
#include "terminal.h"

#define RUN_MAX ((uint64_t)1 << 53) /* what a JSON number carries exactly */

rz_rc_t terminal_decode(rz_str_t line, terminal_t *out, rz_err_t *err)
{
    rz_err_t local = { 0 };
    if (err == NULL)
        err = &local;
    *out = (terminal_t){ 0 };
    rz_rc_t rc = rz_child_frame_decode(line.p, line.n, &out->frame, err);
    if (rc != RZ_OK)
        return rc;
    rz_fields_t f = { .obj = out->frame.object.tree, .where = "", .err = err };
    out->run = rz_field_u64(&f, "run", RZ_OPTIONAL, 0, 1, RUN_MAX);
    if (out->frame.status == RZ_WORKER_SUSPENDED)
        rz_fail_field(err, RZ_BAD_FIELD, "status",
                      "found \"suspended\", allowed: completed, error, cancelled");
    if (err->rc != RZ_OK)
        terminal_fini(out);
    return err->rc;
}

void terminal_fini(terminal_t *terminal)
{
    rz_child_frame_fini(&terminal->frame);
}
