/* follow.h - which events of one child a watcher shows: each durable one once and in order, from wherever it joined. What
 * it did not hear is in the log; what the log has no more is a gap with a name (proto/README.md 9.5).
 *
 * Pure. Live events and logged ones are offered as they come; an answer says what to do with each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t epoch, seq;
} place_t;
/* <0, 0, >0: a is before, at, behind b. */
int place_compare(place_t a, place_t b);
/* "7-3"; "7" is the beginning of epoch 7, "0" that of all. False: it is no place. */
bool place_parse(const char *text, place_t *out);

/* What a header says of its event. */
typedef struct {
    place_t at;
    uint64_t prev_durable;
    bool durable;
} passage_t;

/* Events that nobody can have any more: behind `after` and before `before`. count: how many, 0 when not known. */
typedef struct {
    place_t after, before;
    uint64_t count;
} gap_t;

typedef struct {
    place_t shown;   /* the latest event that was shown, of any class                                  */
    place_t durable; /* the latest durable one, or the place right before where to begin               */
    uint64_t passed; /* logged events up to there, shown or lost; FOLLOW_UNCOUNTED: nobody knows       */
    bool begun;      /* the log has been asked                                                         */
} follow_t;
#define FOLLOW_UNCOUNTED UINT64_MAX

typedef enum {
    FOLLOW_SHOW,
    FOLLOW_DROP, /* a repeat, or of an epoch that is over */
    FOLLOW_FETCH /* something before it may be missing: read the log from follow_next(), then offer it again */
} follow_verdict_t;

void follow_init(follow_t *follow, place_t from);
place_t follow_next(const follow_t *follow); /* from where the log is to be read */
/* A live event. fetched: the log has been read to its end since this event came. */
follow_verdict_t follow_live(follow_t *follow, const passage_t *event, bool fetched);
/* What a reply of `replay` says before its events: true if some are lost. */
bool follow_log(follow_t *follow, place_t first_available, uint64_t trimmed, gap_t *gap);
/* One event of the log: SHOW or DROP. *lost: true if events right before it are gone. */
follow_verdict_t follow_logged(follow_t *follow, const passage_t *event, bool *lost, gap_t *gap);
/* What `event` says came before it will not come any more: it was never logged. */
void follow_give_up(follow_t *follow, const passage_t *event, gap_t *gap);
