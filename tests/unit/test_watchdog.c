/* test_watchdog.c - the limits of a run, on a clock that the test owns. */
#include "facts.h"
#include "watchdog.h"

#define S 1000u

static void without_metadata_the_limits_are_upstreams(void **state)
{
    (void)state;
    watchdog_t w;
    watchdog_init(&w, NULL, NULL, NULL);
    assert_int_equal(w.total_secs, 3600);
    assert_int_equal(w.idle_secs, 900);
    assert_int_equal(w.interval_secs, 15);
}

static void what_is_no_positive_integer_is_ignored(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     " ",   "0", "-5", "1.5", "1e3",
                                       "0x10", "5 s", "+", "١",  "1 2", "18446744073709551616" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        watchdog_t w;
        watchdog_init(&w, bad[i], bad[i], bad[i]);
        assert_int_equal(w.total_secs, 3600);
        assert_int_equal(w.idle_secs, 900);
        assert_int_equal(w.interval_secs, 15);
    }
}

static void numbers_are_taken_after_trimming(void **state)
{
    (void)state;
    watchdog_t w;
    watchdog_init(&w, " 7\n", "+8", "\t009 ");
    assert_int_equal(w.total_secs, 7);
    assert_int_equal(w.idle_secs, 8);
    assert_int_equal(w.interval_secs, 9);
}

static void it_looks_once_an_interval_and_first_one_interval_after_the_start(void **state)
{
    (void)state;
    watchdog_t w;
    char reason[WATCHDOG_REASON_MAX];
    watchdog_init(&w, "1", "1", "10");
    watchdog_start(&w, 5 * S);
    assert_false(watchdog_check(&w, 14999, reason));
    assert_true(watchdog_check(&w, 15 * S, reason));
}

static void total_comes_before_idle_and_says_upstreams_sentence(void **state)
{
    (void)state;
    watchdog_t w;
    char reason[WATCHDOG_REASON_MAX];
    watchdog_init(&w, "4", "2", "1");
    watchdog_start(&w, 100);
    assert_true(watchdog_check(&w, 100 + 4 * S, reason));
    assert_string_equal(reason, "Child session timed out after 4 seconds (max_total_secs=4)");
}

static void silence_is_counted_from_the_last_event(void **state)
{
    (void)state;
    watchdog_t w;
    char reason[WATCHDOG_REASON_MAX];
    watchdog_init(&w, NULL, "2", "1");
    watchdog_start(&w, 0);
    watchdog_heard(&w, 1500);
    assert_false(watchdog_check(&w, 3 * S, reason));
    assert_true(watchdog_check(&w, 4 * S, reason));
    assert_string_equal(reason,
                        "Child session idle timeout after 2 seconds without events (max_idle_secs=2)");
}

static void the_largest_limits_do_not_wrap(void **state)
{
    (void)state;
    watchdog_t w;
    char reason[WATCHDOG_REASON_MAX];
    const char *huge = "18446744073709551615";
    watchdog_init(&w, huge, huge, huge);
    watchdog_start(&w, 1000);
    assert_false(watchdog_check(&w, 1000 + 86400u * S, reason));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_metadata_the_limits_are_upstreams),
    cmocka_unit_test(what_is_no_positive_integer_is_ignored),
    cmocka_unit_test(numbers_are_taken_after_trimming),
    cmocka_unit_test(it_looks_once_an_interval_and_first_one_interval_after_the_start),
    cmocka_unit_test(total_comes_before_idle_and_says_upstreams_sentence),
    cmocka_unit_test(silence_is_counted_from_the_last_event),
    cmocka_unit_test(the_largest_limits_do_not_wrap),
};
RZ_FACTS(tests)
