/* test_watched.c - what a broker may say of the time that passed. */
#include "facts.h"

#include "watched.h"

static void a_broker_that_has_seen_no_tick_vouches_for_nothing(void **state)
{
    (void)state;
    const watched_t watched = { 0 };
    assert_int_equal(watched_ms(&watched, 5000), 0);
}

static void what_passed_since_the_question_is_said(void **state)
{
    watched_t watched = { 0 };
    (void)state;
    watched_saw(&watched, 700, 5000);
    assert_int_equal(watched.tick, 700);
    assert_int_equal(watched_ms(&watched, 5000), 0);
    assert_int_equal(watched_ms(&watched, 6001), 1001);
}

static void never_more_than_three_seconds_are_said(void **state)
{
    watched_t watched = { 0 };
    (void)state;
    watched_saw(&watched, 700, 5000);
    assert_int_equal(watched_ms(&watched, 7999), 2999);
    assert_int_equal(watched_ms(&watched, 8000), 3000);
    assert_int_equal(watched_ms(&watched, 60000), 3000);
}

static void after_a_gap_nothing_has_passed_until_the_next_answer(void **state)
{
    watched_t watched = { 0 };
    (void)state;
    watched_saw(&watched, 700, 5000);
    watched_gap(&watched);
    assert_int_equal(watched_ms(&watched, 5500), 0);
    assert_int_equal(watched_tick(&watched), 0);
    watched_saw(&watched, 700, 5600);
    assert_int_equal(watched_tick(&watched), 700);
    assert_int_equal(watched_ms(&watched, 6000), 400);
}

static void a_later_answer_of_another_brokers_time_counts_from_there(void **state)
{
    watched_t watched = { 0 };
    (void)state;
    watched_saw(&watched, 700, 5000);
    watched_saw(&watched, 9700, 6000);
    assert_int_equal(watched.tick, 9700);
    assert_int_equal(watched_ms(&watched, 6250), 250);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test(a_broker_that_has_seen_no_tick_vouches_for_nothing),
    cmocka_unit_test(what_passed_since_the_question_is_said),
    cmocka_unit_test(never_more_than_three_seconds_are_said),
    cmocka_unit_test(after_a_gap_nothing_has_passed_until_the_next_answer),
    cmocka_unit_test(a_later_answer_of_another_brokers_time_counts_from_there),
    /* clang-format on */
};

RZ_FACTS(tests)
