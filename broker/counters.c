/* counters.c - see counters.h. */
#include "counters.h"

void counters_encode(const counters_t *counters, rz_buf_t *out)
{
    rz_json_open_key(out, "counters", '{');
#define X(name) rz_json_put_u64(out, #name, counters->name);
    COUNTERS(X)
#undef X
    rz_json_close(out, '}');
}
