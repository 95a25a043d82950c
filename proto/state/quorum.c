/* quorum.c - see quorum.h. */
#include "state/quorum.h"

bool rz_quorum_take(rz_quorum_t *quorum, unsigned known, unsigned online, uint64_t now_ms)
{
    if (quorum->believed == 0)
        quorum->believed = known;
    if (online < quorum->believed && (quorum->fell_ms == 0 || online < quorum->lowest)) {
        quorum->lowest = online;
        quorum->fell_ms = now_ms;
    }
    if (online < quorum->believed && now_ms - quorum->fell_ms < RZ_QUORUM_MS)
        return false;
    *quorum = (rz_quorum_t){ .believed = online };
    return true;
}

void rz_quorum_forget(rz_quorum_t *quorum)
{
    *quorum = (rz_quorum_t){ 0 };
}
