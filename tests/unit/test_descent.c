/* test_descent.c - a walk over descendants: each once, nearest first, and not for ever. */
#include "facts.h"

#include "descent.h"

#include <stdio.h>

static void who_was_met_first_comes_first(void **state)
{
    (void)state;
    descent_t *descent = descent_create("a", 8);
    assert_string_equal(descent_next(descent), "a");
    assert_null(descent_next(descent));
    assert_int_equal(descent_meet(descent, "b"), RZ_OK);
    assert_int_equal(descent_meet(descent, "c"), RZ_OK);
    assert_string_equal(descent_next(descent), "b");
    assert_int_equal(descent_meet(descent, "d"), RZ_OK);
    assert_string_equal(descent_next(descent), "c");
    assert_string_equal(descent_next(descent), "d");
    assert_true(descent_is_done(descent));
    descent_destroy(&descent);
}

static void who_is_met_again_does_not_come_again(void **state)
{
    (void)state;
    descent_t *descent = descent_create("a", 8);
    (void)descent_next(descent);
    assert_int_equal(descent_meet(descent, "b"), RZ_OK);
    assert_int_equal(descent_meet(descent, "a"), RZ_DUPLICATE);
    assert_int_equal(descent_meet(descent, "b"), RZ_DUPLICATE);
    assert_string_equal(descent_next(descent), "b");
    assert_int_equal(descent_meet(descent, "b"), RZ_DUPLICATE);
    assert_null(descent_next(descent));
    descent_destroy(&descent);
}

static void no_more_are_met_than_may_be_and_those_still_come(void **state)
{
    (void)state;
    char child[16];
    descent_t *descent = descent_create("c0", 1000);
    for (int i = 1; i < 1000; i++) {
        snprintf(child, sizeof child, "c%d", i);
        assert_int_equal(descent_meet(descent, child), RZ_OK);
    }
    assert_int_equal(descent_meet(descent, "one-too-many"), RZ_FULL);
    assert_int_equal(descent_meet(descent, "c5"), RZ_DUPLICATE); /* that is not one more */
    for (int i = 0; i < 1000; i++) {
        snprintf(child, sizeof child, "c%d", i);
        assert_string_equal(descent_next(descent), child);
    }
    assert_null(descent_next(descent));
    descent_destroy(&descent);
    descent_destroy(&descent);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_was_met_first_comes_first),
    cmocka_unit_test(who_is_met_again_does_not_come_again),
    cmocka_unit_test(no_more_are_met_than_may_be_and_those_still_come),
};

RZ_FACTS(tests)
