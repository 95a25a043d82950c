/* mark.c - see mark.h. */
#include "state/mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ACCEPT "or take this one with `rhizome store accept`"

static bool went_back(const rz_store_mark_t *mark, const rz_store_facts_t *facts)
{
    return mark->id[0] != '\0' && strcmp(facts->id, mark->id) == 0 &&
           facts->tick + RZ_TICK_BACK_MAX_MS < mark->tick;
}

static bool is_accepted(const rz_store_facts_t *facts)
{
    return facts->accepted[0] != '\0' && strcmp(facts->accepted, facts->replid) == 0;
}

/* Why it cannot be the same; false if it can. */
static bool differs(const rz_store_mark_t *mark, const rz_store_facts_t *facts, char why[RZ_MARK_WHY_MAX])
{
    if (mark->id[0] == '\0')
        return false;
    if (facts->id[0] == '\0')
        (void)snprintf(
            why, RZ_MARK_WHY_MAX,
            "store %s is gone, Redis holds none: bring its data back, or make a new one with `rhizome "
            "store init` and `rhizome store accept`",
            mark->id);
    else if (strcmp(facts->id, mark->id) != 0)
        (void)snprintf(why, RZ_MARK_WHY_MAX, "this is store %s, not %s: bring that one back, " ACCEPT,
                       facts->id, mark->id);
    else if (went_back(mark, facts))
        (void)snprintf(why, RZ_MARK_WHY_MAX,
                       "the store went back by %" PRIu64
                       " s, as an old snapshot does: bring the newer data back, " ACCEPT,
                       (mark->tick - facts->tick) / 1000);
    else
        return false;
    return true;
}

/* A lineage that we have not seen begins a term above all that we have. */
static bool needs_term(const rz_store_mark_t *mark, const rz_store_facts_t *facts)
{
    if (facts->replid[0] == '\0')
        return false; /* Redis does not tell */
    if (strcmp(facts->lineage, facts->replid) != 0)
        return true;
    bool other = strcmp(facts->lineage, mark->lineage) != 0;
    return mark->id[0] != '\0' && (facts->term < mark->term || (other && facts->term == mark->term));
}

rz_mark_verdict_t rz_mark_judge(const rz_store_mark_t *mark, const rz_store_facts_t *facts,
                                char why[RZ_MARK_WHY_MAX])
{
    bool other = differs(mark, facts, why), refused = facts->refused[0] != '\0';
    if (!other && refused)
        (void)snprintf(why, RZ_MARK_WHY_MAX, "%s", facts->refused);
    if ((other || refused) && !is_accepted(facts))
        return RZ_MARK_REFUSED;
    why[0] = '\0';
    return needs_term(mark, facts) ? RZ_MARK_NEW_TERM : RZ_MARK_GOES_ON;
}

bool rz_mark_tells_others(const rz_store_mark_t *mark, const rz_store_facts_t *facts)
{
    return went_back(mark, facts) && facts->refused[0] == '\0' && !is_accepted(facts);
}

uint64_t rz_mark_least(const rz_store_mark_t *mark)
{
    return mark->id[0] != '\0' ? mark->term + 1 : 0;
}

void rz_mark_take(rz_store_mark_t *mark, const rz_store_facts_t *facts)
{
    char why[RZ_MARK_WHY_MAX];
    uint64_t tick = differs(mark, facts, why) || facts->tick > mark->tick ? facts->tick : mark->tick;
    *mark = (rz_store_mark_t){ .term = facts->term, .tick = tick };
    memcpy(mark->id, facts->id, sizeof mark->id);
    memcpy(mark->lineage, facts->lineage, sizeof mark->lineage);
}
