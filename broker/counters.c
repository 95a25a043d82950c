/* counters.c - see counters.h. */
#include "counters.h"

#include "base/health.h"

void counters_encode(const counters_t *counters, rz_buf_t *out)
{
    rz_json_open_key(out, "counters", '{');
#define X(name, help) rz_json_put_u64(out, #name, counters->name);
    COUNTERS(X)
#undef X
    rz_json_close(out, '}');
}

void counters_metrics(const counters_t *counters, rz_buf_t *out)
{
#define X(name, help)                                                                                        \
    rz_metric(out, "rhizome_broker_" #name "_total", RZ_COUNTER, help, (double)counters->name);
    COUNTERS(X)
#undef X
}
