/* test_follow.c - which events a watcher shows, and what it calls a gap. */
#include "facts.h"

#include "follow.h"

#include <stdlib.h>

static passage_t durable(uint64_t epoch, uint64_t seq, uint64_t prev)
{
    return (passage_t){ { epoch, seq }, prev, true };
}

static passage_t passing(uint64_t epoch, uint64_t seq, uint64_t prev)
{
    return (passage_t){ { epoch, seq }, prev, false };
}

static follow_t from_the_start(void)
{
    follow_t follow;
    follow_init(&follow, (place_t){ 0, 0 });
    return follow;
}

static void logged(follow_t *follow, passage_t event, follow_verdict_t verdict, bool gap_before)
{
    gap_t gap;
    bool lost;
    assert_int_equal(follow_logged(follow, &event, &lost, &gap), verdict);
    assert_int_equal(lost, gap_before);
}

static void live(follow_t *follow, passage_t event, bool fetched, follow_verdict_t verdict)
{
    assert_int_equal(follow_live(follow, &event, fetched), verdict);
}

static void next_is(const follow_t *follow, uint64_t epoch, uint64_t seq)
{
    assert_int_equal(place_compare(follow_next(follow), (place_t){ epoch, seq }), 0);
}

/* ---- places ---- */

static void a_place_is_an_epoch_and_perhaps_a_seq(void **state)
{
    (void)state;
    place_t place;
    assert_true(place_parse("0", &place) && place.epoch == 0 && place.seq == 0);
    assert_true(place_parse("7", &place) && place.epoch == 7 && place.seq == 0);
    assert_true(place_parse("7-31", &place) && place.epoch == 7 && place.seq == 31);
    static const char *const none[] = { "", "-1", "7-", "7-3-1", "x", "7 ", "7-x", "+7", "1234567890123456" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (place_parse(none[i], &place))
            fail_msg("\"%s\" is taken", none[i]);
}

static void epochs_count_before_seqs(void **state)
{
    (void)state;
    assert_true(place_compare((place_t){ 1, 900 }, (place_t){ 2, 1 }) < 0);
    assert_true(place_compare((place_t){ 2, 2 }, (place_t){ 2, 1 }) > 0);
    assert_int_equal(place_compare((place_t){ 2, 2 }, (place_t){ 2, 2 }), 0);
}

/* ---- what is shown ---- */

static void what_the_log_gave_is_not_shown_again_live(void **state)
{
    (void)state;
    follow_t follow = from_the_start();
    logged(&follow, durable(1, 1, 0), FOLLOW_SHOW, false);
    logged(&follow, durable(1, 4, 1), FOLLOW_SHOW, false);
    live(&follow, passing(1, 3, 1), false, FOLLOW_DROP);
    live(&follow, durable(1, 4, 1), false, FOLLOW_DROP);
    live(&follow, passing(1, 5, 4), false, FOLLOW_SHOW);
    logged(&follow, durable(1, 4, 1), FOLLOW_DROP, false);
    next_is(&follow, 1, 5);
}

static void behind_what_was_missed_a_live_event_waits_for_the_log(void **state)
{
    (void)state;
    follow_t follow = from_the_start();
    logged(&follow, durable(1, 1, 0), FOLLOW_SHOW, false);
    live(&follow, passing(1, 9, 6), false, FOLLOW_FETCH);
    live(&follow, passing(1, 9, 6), true, FOLLOW_FETCH); /* the log is behind */
    logged(&follow, durable(1, 3, 1), FOLLOW_SHOW, false);
    logged(&follow, durable(1, 6, 3), FOLLOW_SHOW, false);
    live(&follow, passing(1, 9, 6), true, FOLLOW_SHOW);
}

static void a_new_epoch_begins_when_the_log_of_the_old_one_was_read(void **state)
{
    (void)state;
    follow_t follow = from_the_start();
    logged(&follow, durable(1, 1, 0), FOLLOW_SHOW, false);
    live(&follow, passing(2, 1, 0), false, FOLLOW_FETCH);
    logged(&follow, durable(1, 2, 1), FOLLOW_SHOW, false);
    live(&follow, passing(2, 1, 0), true, FOLLOW_SHOW);
    live(&follow, durable(2, 2, 0), true, FOLLOW_SHOW);
}

static void what_an_older_epoch_still_says_is_dropped(void **state)
{
    (void)state;
    follow_t follow = from_the_start();
    logged(&follow, durable(3, 1, 0), FOLLOW_SHOW, false);
    live(&follow, passing(2, 50, 40), true, FOLLOW_DROP);
    logged(&follow, durable(2, 51, 40), FOLLOW_DROP, false);
}

/* ---- gaps ---- */

static void what_was_trimmed_is_one_gap_with_its_size(void **state)
{
    (void)state;
    gap_t gap;
    follow_t follow = from_the_start();
    assert_true(follow_log(&follow, (place_t){ 1, 700 }, 350, &gap));
    assert_int_equal(gap.count, 350);
    assert_int_equal(place_compare(gap.after, (place_t){ 0, 0 }), 0);
    assert_int_equal(place_compare(gap.before, (place_t){ 1, 700 }), 0);
    logged(&follow, durable(1, 700, 698), FOLLOW_SHOW, false);
    assert_false(follow_log(&follow, (place_t){ 1, 702 }, 351, &gap)); /* what was seen may go */
    assert_true(follow_log(&follow, (place_t){ 1, 710 }, 355, &gap));
    assert_int_equal(gap.count, 4);
    assert_int_equal(place_compare(gap.after, (place_t){ 1, 700 }), 0);
}

static void epochs_that_are_gone_whole_are_a_gap_too(void **state)
{
    (void)state;
    gap_t gap;
    follow_t follow = from_the_start();
    logged(&follow, durable(1, 1, 0), FOLLOW_SHOW, false);
    assert_true(follow_log(&follow, (place_t){ 4, 1 }, 9, &gap));
    assert_int_equal(gap.count, 8);
    logged(&follow, durable(4, 1, 0), FOLLOW_SHOW, false);
}

static void who_begins_in_the_middle_misses_only_what_he_asked_for(void **state)
{
    (void)state;
    gap_t gap;
    follow_t follow;
    follow_init(&follow, (place_t){ 1, 500 });
    next_is(&follow, 1, 500);
    assert_false(follow_log(&follow, (place_t){ 1, 400 }, 200, &gap));
    logged(&follow, durable(1, 501, 499), FOLLOW_SHOW, false);
    assert_false(follow_log(&follow, (place_t){ 1, 900 }, 300, &gap)); /* perhaps: its prev_durable tells */
    logged(&follow, durable(1, 900, 899), FOLLOW_SHOW, true);

    follow_init(&follow, (place_t){ 1, 500 });
    assert_true(follow_log(&follow, (place_t){ 1, 600 }, 300, &gap));
    assert_int_equal(gap.count, 0);
    logged(&follow, durable(1, 600, 599), FOLLOW_SHOW, false);
}

static void what_was_never_logged_is_given_up_with_a_gap(void **state)
{
    (void)state;
    gap_t gap;
    passage_t event = passing(1, 9, 6);
    follow_t follow = from_the_start();
    logged(&follow, durable(1, 1, 0), FOLLOW_SHOW, false);
    live(&follow, event, true, FOLLOW_FETCH);
    follow_give_up(&follow, &event, &gap);
    assert_int_equal(place_compare(gap.after, (place_t){ 1, 1 }), 0);
    assert_int_equal(place_compare(gap.before, (place_t){ 1, 9 }), 0);
    live(&follow, event, true, FOLLOW_SHOW);
}

/* ---- by the thousand: streams of some epochs, heard with losses from some moment on, in a log that is behind and short ---- */

#define EVENTS_MAX 400
#define GAPS_MAX   400

typedef struct {
    unsigned seed;
    passage_t event[EVENTS_MAX]; /* the truth */
    size_t n;
    size_t log[EVENTS_MAX], logged, trimmed; /* of those, what the log has: log[trimmed..logged) */
    bool shown[EVENTS_MAX];
    gap_t gap[GAPS_MAX];
    size_t gaps;
    place_t last;
    follow_t follow;
} story_t;

static unsigned dice(story_t *story, unsigned sides)
{
    return (unsigned)rand_r(&story->seed) % sides;
}

static void invent(story_t *story)
{
    for (uint64_t epoch = 1; epoch <= 1 + dice(story, 3); epoch++) {
        uint64_t prev = 0;
        for (uint64_t seq = 1; seq <= 20 + dice(story, 80) && story->n < EVENTS_MAX; seq++) {
            bool keeps = dice(story, 3) > 0;
            story->event[story->n++] = (passage_t){ { epoch, seq }, prev, keeps };
            prev = keeps ? seq : prev;
        }
    }
}

static void mark(story_t *story, const passage_t *event)
{
    size_t i = (size_t)(event - story->event);
    if (place_compare(event->at, story->last) <= 0 || story->shown[i])
        fail_msg("seed: %llu-%llu is shown after %llu-%llu", (unsigned long long)event->at.epoch,
                 (unsigned long long)event->at.seq, (unsigned long long)story->last.epoch,
                 (unsigned long long)story->last.seq);
    story->last = event->at;
    story->shown[i] = true;
}

static void note_gap(story_t *story, const gap_t *gap)
{
    assert_true(story->gaps < GAPS_MAX);
    story->gap[story->gaps++] = *gap;
}

static void read_log(story_t *story)
{
    gap_t gap;
    bool lost;
    if (story->trimmed == story->logged)
        return;
    if (follow_log(&story->follow, story->event[story->log[story->trimmed]].at, story->trimmed, &gap))
        note_gap(story, &gap);
    place_t next = follow_next(&story->follow);
    for (size_t i = story->trimmed; i < story->logged; i++) {
        const passage_t *event = &story->event[story->log[i]];
        if (place_compare(event->at, next) < 0)
            continue;
        bool shows = follow_logged(&story->follow, event, &lost, &gap) == FOLLOW_SHOW;
        if (lost)
            note_gap(story, &gap);
        if (shows)
            mark(story, event);
    }
}

/* The log takes all durable events up to `upto` and keeps the last `most`. */
static void write_log(story_t *story, size_t upto, size_t most)
{
    size_t from = story->logged > 0 ? story->log[story->logged - 1] + 1 : 0;
    for (size_t i = from; i < upto; i++)
        if (story->event[i].durable)
            story->log[story->logged++] = i;
    if (story->logged > most && story->trimmed < story->logged - most)
        story->trimmed = story->logged - most;
}

static void hear(story_t *story, size_t i, size_t most)
{
    const passage_t *event = &story->event[i];
    follow_verdict_t verdict = follow_live(&story->follow, event, false);
    if (verdict == FOLLOW_FETCH) {
        read_log(story);
        write_log(story, i + (event->durable ? 0 : 1), most); /* it catches up with what was before */
        read_log(story);
        verdict = follow_live(&story->follow, event, true);
        assert_int_not_equal(verdict, FOLLOW_FETCH);
    }
    if (verdict == FOLLOW_SHOW)
        mark(story, event);
}

static bool in_a_gap(const story_t *story, place_t at)
{
    for (size_t i = 0; i < story->gaps; i++)
        if (place_compare(at, story->gap[i].after) > 0 && place_compare(at, story->gap[i].before) < 0)
            return true;
    return false;
}

static void every_durable_event_is_shown_or_in_a_gap(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3000; seed++) {
        story_t story = { .seed = seed };
        invent(&story);
        size_t most = 10 + dice(&story, 200), behind = dice(&story, 30),
               joined = dice(&story, (unsigned)story.n);
        unsigned losses = dice(&story, 4);
        follow_init(&story.follow, (place_t){ 0, 0 });
        for (size_t i = 0; i < story.n; i++) {
            write_log(&story, i > behind ? i - behind : 0, most);
            if (i == joined)
                read_log(&story);
            if (i >= joined && dice(&story, 4) >= losses)
                hear(&story, i, most);
        }
        write_log(&story, story.n, most);
        read_log(&story);
        for (size_t i = 0; i < story.n; i++) {
            bool lost = in_a_gap(&story, story.event[i].at);
            if (story.event[i].durable && story.shown[i] == lost)
                fail_msg("seed %u: %llu-%llu is %s", seed, (unsigned long long)story.event[i].at.epoch,
                         (unsigned long long)story.event[i].at.seq,
                         lost ? "shown and in a gap" : "missing without a word");
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_place_is_an_epoch_and_perhaps_a_seq),
    cmocka_unit_test(epochs_count_before_seqs),
    cmocka_unit_test(what_the_log_gave_is_not_shown_again_live),
    cmocka_unit_test(behind_what_was_missed_a_live_event_waits_for_the_log),
    cmocka_unit_test(a_new_epoch_begins_when_the_log_of_the_old_one_was_read),
    cmocka_unit_test(what_an_older_epoch_still_says_is_dropped),
    cmocka_unit_test(what_was_trimmed_is_one_gap_with_its_size),
    cmocka_unit_test(epochs_that_are_gone_whole_are_a_gap_too),
    cmocka_unit_test(who_begins_in_the_middle_misses_only_what_he_asked_for),
    cmocka_unit_test(what_was_never_logged_is_given_up_with_a_gap),
    cmocka_unit_test(every_durable_event_is_shown_or_in_a_gap),
};
RZ_FACTS(tests)
