/* quorum.h - may a primary go on with fewer replicas than it had?
 *
 * Pure. Of a primary that is being replaced its successor leaves first. For a moment it has the others still, and what these
 * confirm is gone as soon as they are told to follow the successor: it has to reach the successor as well, and cannot. Only
 * sentinels know, and say so within a second or two. So where there are sentinels, a number that fell is believed only some
 * time later; whoever asks meanwhile is turned away, and led to where a majority of them says that the primary is.
 *
 * Replicas are counted, not named: that one leaves while another joins between two looks is not seen. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RZ_QUORUM_MS 3000

typedef struct {
    unsigned believed; /* replicas in step; 0: not known, those that the sentinels know count */
    unsigned lowest;   /* since they are fewer */
    uint64_t fell_ms;  /* when they became so few; 0: they are not fewer */
} rz_quorum_t;

/* So many are in step now, and so many the sentinels know. True: what the former confirm may be answered. now_ms: monotonic. */
bool rz_quorum_take(rz_quorum_t *quorum, unsigned known, unsigned online, uint64_t now_ms);
/* There are too few to confirm anything: who is there next need not be who was there last. */
void rz_quorum_forget(rz_quorum_t *quorum);
