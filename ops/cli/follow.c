/* follow.c - see follow.h. */
#include "follow.h"

#include <stdlib.h>
#include <string.h>

int place_compare(place_t a, place_t b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

static bool read_number(const char **text, uint64_t *out)
{
    char *end = NULL;
    if (**text < '0' || **text > '9' || strspn(*text, "0123456789") > 15)
        return false;
    *out = strtoull(*text, &end, 10);
    *text = end;
    return true;
}

bool place_parse(const char *text, place_t *out)
{
    *out = (place_t){ 0 };
    if (!read_number(&text, &out->epoch))
        return false;
    if (*text == '\0')
        return true;
    text++;
    return text[-1] == '-' && read_number(&text, &out->seq) && *text == '\0';
}

void follow_init(follow_t *follow, place_t from)
{
    place_t before = { from.epoch, from.seq > 0 ? from.seq - 1 : 0 };
    *follow = (follow_t){ .shown = before,
                          .durable = before,
                          .passed = from.epoch == 0 && from.seq == 0 ? 0 : FOLLOW_UNCOUNTED };
}

place_t follow_next(const follow_t *follow)
{
    return (place_t){ follow->durable.epoch, follow->durable.seq + 1 };
}

static void pass(follow_t *follow, const passage_t *event)
{
    if (place_compare(event->at, follow->shown) > 0)
        follow->shown = event->at;
    if (!event->durable)
        return;
    follow->durable = event->at;
    if (follow->passed != FOLLOW_UNCOUNTED)
        follow->passed++;
}

/* The durable event that it names as the one before it has not been passed. */
static bool misses(const follow_t *follow, const passage_t *event)
{
    uint64_t last = event->at.epoch == follow->durable.epoch ? follow->durable.seq : 0;
    return event->prev_durable > last;
}

follow_verdict_t follow_live(follow_t *follow, const passage_t *event, bool fetched)
{
    if (place_compare(event->at, follow->shown) <= 0 || event->at.epoch < follow->durable.epoch)
        return FOLLOW_DROP;
    bool begins =
        event->at.epoch > follow->durable.epoch; /* the end of an epoch before it may be in the log */
    if (misses(follow, event) || (begins && !fetched))
        return FOLLOW_FETCH;
    pass(follow, event);
    return FOLLOW_SHOW;
}

/* Who did not begin at the beginning does not know how many events there were before: only whether some are missing right
 * where it began. */
static bool is_lost(follow_t *follow, place_t first, uint64_t trimmed, uint64_t *count)
{
    bool counted = follow->passed != FOLLOW_UNCOUNTED, begun = follow->begun;
    follow->begun = true;
    *count = counted && trimmed > follow->passed ? trimmed - follow->passed : 0;
    return trimmed > 0 && place_compare(first, follow_next(follow)) > 0 && (counted ? *count > 0 : !begun);
}

bool follow_log(follow_t *follow, place_t first, uint64_t trimmed, gap_t *gap)
{
    *gap = (gap_t){ .after = follow->durable, .before = first };
    if (!is_lost(follow, first, trimmed, &gap->count))
        return false;
    follow->passed = trimmed;
    follow->durable = (place_t){ first.epoch, first.seq - 1 };
    return true;
}

follow_verdict_t follow_logged(follow_t *follow, const passage_t *event, bool *lost, gap_t *gap)
{
    bool known = place_compare(event->at, follow->durable) <= 0;
    *lost = !known && misses(follow, event);
    *gap = (gap_t){ .after = follow->durable, .before = event->at };
    if (!known)
        pass(follow, event);
    return known ? FOLLOW_DROP : FOLLOW_SHOW;
}

void follow_give_up(follow_t *follow, const passage_t *event, gap_t *gap)
{
    *gap = (gap_t){ .after = follow->durable, .before = event->at };
    follow->durable = (place_t){ event->at.epoch, event->prev_durable };
}
