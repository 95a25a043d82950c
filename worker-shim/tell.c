/* tell.c - what a program is told on its stdin. */
#include "tell.h"

#include "base/json.h"

static void put_run(rz_buf_t *line, uint64_t run)
{
    if (run != 0)
        rz_json_put_u64(line, "run", run);
}

static void put_numbered(rz_buf_t *line, rz_str_t frame, uint64_t run)
{
    rz_json_iter_t members = rz_json_iter(frame);
    rz_str_t key, value;
    rz_json_open(line, '{');
    while (rz_json_next_member(&members, &key, &value))
        if (!rz_json_is((rz_str_t){ key.p - 1, key.n + 2 }, "run"))
            rz_json_put_member(line, key, value);
    put_run(line, run);
    rz_json_close(line, '}');
}

/* A frame may have been laid out over several lines. Inside strings JSON has no raw line breaks, so turning
 * all of them into spaces changes layout only. */
static void flatten(rz_buf_t *line)
{
    for (size_t i = 0; i < line->len; i++)
        if (line->data[i] == '\n' || line->data[i] == '\r')
            line->data[i] = ' ';
}

void tell_run(rz_buf_t *line, rz_str_t frame, uint64_t run)
{
    rz_buf_reserve(line, frame.n + 64);
    if (run == 0)
        rz_buf_put_str(line, frame);
    else
        put_numbered(line, frame, run);
    flatten(line);
    rz_buf_putc(line, '\n');
}

void tell_message(rz_buf_t *line, const char *text, uint64_t run)
{
    rz_json_open(line, '{');
    rz_json_put_str(line, "kind", "message");
    rz_json_put_str(line, "text", text);
    put_run(line, run);
    rz_json_close(line, '}');
    rz_buf_putc(line, '\n');
}

void tell_cancel(rz_buf_t *line, uint64_t run)
{
    rz_json_open(line, '{');
    rz_json_put_str(line, "kind", "cancel");
    put_run(line, run);
    rz_json_close(line, '}');
    rz_buf_putc(line, '\n');
}
