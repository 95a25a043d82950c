/* test_journal.c - the writes of an activation, answered by a broker that the test plays. */
#include "facts.h"
#include "journal.h"

#include <stdbool.h>

typedef struct {
    journal_t journal;
    uint64_t seq, now;
} play_t;

static void add(play_t *p)
{
    char text[32];
    int n = snprintf(text, sizeof text, "e%d", (int)++p->seq);
    assert_true(journal_add(&p->journal, p->seq, RZ_STR("h"), (rz_str_t){ text, (size_t)n }, false));
}

static write_t send(play_t *p)
{
    write_t op = journal_due(&p->journal, p->now);
    if (op != WRITE_NONE)
        journal_sent(&p->journal, p->now, true);
    return op;
}

static ack_t ack(play_t *p, write_t op, rz_rc_t code)
{
    size_t n = journal_carried(&p->journal);
    return journal_ack(&p->journal, op, n > 0 ? journal_seq(&p->journal, n - 1) : 0, code, p->now);
}

static void end(play_t *p)
{
    add(p);
    journal_end(&p->journal);
}

static void the_finish_of_a_short_run_overtakes_its_start_and_carries_it_again(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    journal_start(&p.journal);
    assert_int_equal(send(&p), WRITE_START);
    assert_int_equal(journal_carried(&p.journal), 1);
    add(&p);
    assert_int_equal(send(&p), WRITE_NONE); /* one at a time */
    end(&p);
    assert_int_equal(send(&p), WRITE_FINISH);
    assert_int_equal(journal_carried(&p.journal), 3);
    assert_memory_equal(journal_event(&p.journal, 0).p, "e1", 2);
    assert_memory_equal(journal_event(&p.journal, 2).p, "e3", 2);
    assert_int_equal(ack(&p, WRITE_START, RZ_OK), ACK_STALE);
    assert_int_equal(send(&p), WRITE_NONE); /* finish is sent once */
    assert_int_equal(ack(&p, WRITE_FINISH, RZ_OK), ACK_SETTLED);
    assert_int_equal(send(&p), WRITE_NONE);
    journal_fini(&p.journal);
}

static void nothing_is_written_before_the_start_is_asked_for(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    assert_int_equal(send(&p), WRITE_NONE);
    journal_fini(&p.journal);
}

static void an_activation_that_ends_before_it_began_needs_no_start(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    end(&p);
    journal_start(&p.journal);
    assert_int_equal(send(&p), WRITE_FINISH);
    assert_int_equal(journal_carried(&p.journal), 2);
    journal_fini(&p.journal);
}

static void many_events_are_appended_in_order_before_the_finish(void **state)
{
    (void)state;
    play_t p = { 0 };
    journal_start(&p.journal);
    for (int i = 0; i < 300; i++)
        add(&p);
    end(&p);
    uint64_t expected = 1;
    write_t op, last = WRITE_NONE;
    while ((op = send(&p)) != WRITE_NONE) {
        assert_in_range(journal_carried(&p.journal), 1, RZ_BATCH_ITEMS_MAX);
        for (size_t i = 0; i < journal_carried(&p.journal); i++)
            assert_int_equal(journal_seq(&p.journal, i), expected++);
        last = op;
        ack(&p, op, RZ_OK);
    }
    assert_int_equal(last, WRITE_FINISH);
    assert_int_equal(expected, 302);
    journal_fini(&p.journal);
}

static void an_event_larger_than_a_batch_goes_alone(void **state)
{
    (void)state;
    play_t p = { 0 };
    rz_buf_t large = { 0 };
    rz_buf_reserve(&large, RZ_BATCH_BYTES_MAX + 1);
    memset(large.data, 'x', RZ_BATCH_BYTES_MAX + 1);
    large.len = RZ_BATCH_BYTES_MAX + 1;
    journal_start(&p.journal);
    journal_add(&p.journal, ++p.seq, RZ_STR("h"), rz_buf_str(&large), false);
    add(&p);
    assert_int_equal(send(&p), WRITE_START);
    assert_int_equal(journal_carried(&p.journal), 1);
    ack(&p, WRITE_START, RZ_OK);
    assert_int_equal(send(&p), WRITE_APPEND);
    assert_memory_equal(journal_event(&p.journal, 0).p, "e2", 2);
    rz_buf_fini(&large);
    journal_fini(&p.journal);
}

static void not_now_is_repeated_with_growing_pauses(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    journal_start(&p.journal);
    static const uint64_t pauses[] = { 200, 400, 800, 1600, 2000, 2000 };
    send(&p);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        rz_rc_t code = i % 2 == 0 ? RZ_UNAVAILABLE : RZ_UNKNOWN;
        assert_int_equal(ack(&p, WRITE_START, code), ACK_AGAIN);
        p.now += pauses[i] - 1;
        assert_int_equal(send(&p), WRITE_NONE);
        p.now += 1;
        assert_int_equal(send(&p), WRITE_START);
        assert_int_equal(journal_carried(&p.journal), 1); /* the same write, unchanged */
    }
    journal_fini(&p.journal);
}

static void silence_is_asked_again_after_five_seconds(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    journal_start(&p.journal);
    send(&p);
    p.now += 4999;
    assert_int_equal(send(&p), WRITE_NONE);
    p.now += 1;
    assert_int_equal(send(&p), WRITE_START);
    journal_fini(&p.journal);
}

static void a_new_link_gets_what_was_in_flight_at_once(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    journal_start(&p.journal);
    send(&p);
    journal_relink(&p.journal, p.now);
    assert_int_equal(send(&p), WRITE_START);
    journal_fini(&p.journal);
}

static void the_late_ack_of_a_repeated_append_is_not_taken_for_the_next(void **state)
{
    (void)state;
    play_t p = { 0 };
    journal_start(&p.journal);
    send(&p);
    ack(&p, WRITE_START, RZ_OK);
    add(&p);
    assert_int_equal(send(&p), WRITE_APPEND);
    assert_int_equal(journal_ack(&p.journal, WRITE_APPEND, 1, RZ_OK, 0), ACK_MORE);
    add(&p);
    assert_int_equal(send(&p), WRITE_APPEND);
    assert_int_equal(journal_ack(&p.journal, WRITE_APPEND, 1, RZ_OK, 0), ACK_STALE);
    assert_int_equal(journal_ack(&p.journal, WRITE_APPEND, 2, RZ_OK, 0), ACK_MORE);
    journal_fini(&p.journal);
}

static void a_repeated_finish_that_was_committed_before_is_settled(void **state)
{
    (void)state;
    play_t p = { 0 };
    journal_start(&p.journal);
    send(&p);
    ack(&p, WRITE_START, RZ_OK);
    end(&p);
    send(&p);
    assert_int_equal(ack(&p, WRITE_FINISH, RZ_DUPLICATE), ACK_SETTLED);
    journal_fini(&p.journal);
}

static void whoever_is_fenced_has_lost_it(void **state)
{
    (void)state;
    static const rz_rc_t codes[] = { RZ_FENCED, RZ_ENDED, RZ_DEAD };
    for (size_t i = 0; i < 3; i++) {
        play_t p = { 0 };
        journal_start(&p.journal);
        send(&p);
        assert_int_equal(ack(&p, WRITE_START, codes[i]), ACK_LOST);
        journal_fini(&p.journal);
    }
}

static void a_release_carries_nothing(void **state)
{
    (void)state;
    play_t p = { 0 };
    journal_release(&p.journal);
    assert_int_equal(send(&p), WRITE_RELEASE);
    assert_int_equal(journal_carried(&p.journal), 0);
    assert_int_equal(ack(&p, WRITE_RELEASE, RZ_OK), ACK_SETTLED);
    journal_fini(&p.journal);
}

static void a_release_of_what_has_begun_comes_after_its_events(void **state)
{
    (void)state;
    play_t p = { 0 };
    add(&p);
    journal_start(&p.journal);
    assert_int_equal(send(&p), WRITE_START);
    add(&p);
    journal_release(&p.journal);
    assert_int_equal(send(&p), WRITE_NONE); /* the order of writes is kept */
    assert_int_equal(ack(&p, WRITE_START, RZ_OK), ACK_MORE);
    assert_int_equal(send(&p), WRITE_APPEND);
    assert_int_equal(ack(&p, WRITE_APPEND, RZ_OK), ACK_MORE);
    assert_int_equal(send(&p), WRITE_RELEASE);
    assert_int_equal(ack(&p, WRITE_RELEASE, RZ_OK), ACK_SETTLED);
    journal_fini(&p.journal);
}

static void a_full_journal_takes_only_what_must_be_logged(void **state)
{
    (void)state;
    play_t p = { 0 };
    for (int i = 0; i < JOURNAL_EVENTS_MAX; i++)
        add(&p);
    assert_false(journal_add(&p.journal, ++p.seq, RZ_STR("h"), RZ_STR("e"), false));
    assert_true(journal_add(&p.journal, ++p.seq, RZ_STR("h"), RZ_STR("e"), true));
    journal_fini(&p.journal);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_finish_of_a_short_run_overtakes_its_start_and_carries_it_again),
    cmocka_unit_test(nothing_is_written_before_the_start_is_asked_for),
    cmocka_unit_test(an_activation_that_ends_before_it_began_needs_no_start),
    cmocka_unit_test(many_events_are_appended_in_order_before_the_finish),
    cmocka_unit_test(an_event_larger_than_a_batch_goes_alone),
    cmocka_unit_test(not_now_is_repeated_with_growing_pauses),
    cmocka_unit_test(silence_is_asked_again_after_five_seconds),
    cmocka_unit_test(a_new_link_gets_what_was_in_flight_at_once),
    cmocka_unit_test(the_late_ack_of_a_repeated_append_is_not_taken_for_the_next),
    cmocka_unit_test(a_repeated_finish_that_was_committed_before_is_settled),
    cmocka_unit_test(whoever_is_fenced_has_lost_it),
    cmocka_unit_test(a_release_carries_nothing),
    cmocka_unit_test(a_release_of_what_has_begun_comes_after_its_events),
    cmocka_unit_test(a_full_journal_takes_only_what_must_be_logged),
};
RZ_FACTS(tests)
