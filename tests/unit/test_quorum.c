/* test_quorum.c - a primary has fewer replicas than before: may those confirm? */
#include "facts.h"

#include "state/quorum.h"

#define AT 1000

static void as_many_as_before_or_more_confirm_at_once(void **state)
{
    (void)state;
    rz_quorum_t quorum = { 0 };
    assert_true(rz_quorum_take(&quorum, 1, 1, AT));
    assert_true(rz_quorum_take(&quorum, 1, 3, AT));
    assert_int_equal(quorum.believed, 3);
}

static void fewer_confirm_when_the_sentinels_had_time(void **state)
{
    (void)state;
    rz_quorum_t quorum = { 0 };
    assert_false(rz_quorum_take(&quorum, 2, 1, AT));
    assert_false(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS - 1));
    assert_true(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS));
    assert_true(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS + 1));
    assert_int_equal(quorum.believed, 1);
}

static void one_that_comes_back_ends_the_wait_and_its_next_leaving_begins_another(void **state)
{
    (void)state;
    rz_quorum_t quorum = { 0 };
    assert_false(rz_quorum_take(&quorum, 2, 1, AT));
    assert_true(rz_quorum_take(&quorum, 2, 2, AT + 1000));
    assert_false(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS));
    assert_true(rz_quorum_take(&quorum, 2, 1, AT + 2 * RZ_QUORUM_MS));
}

static void another_that_leaves_meanwhile_is_waited_for_as_long(void **state)
{
    (void)state;
    rz_quorum_t quorum = { 0 };
    assert_false(rz_quorum_take(&quorum, 3, 2, AT));
    assert_false(rz_quorum_take(&quorum, 3, 1, AT + 2000));
    assert_false(rz_quorum_take(&quorum, 3, 2, AT + RZ_QUORUM_MS));
    assert_true(rz_quorum_take(&quorum, 3, 2, AT + 2000 + RZ_QUORUM_MS));
}

/* One was away for long, the other leaves, the first comes back: the other may be the primary, as if the first had never been
 * away. */
static void who_comes_back_into_a_shortage_is_not_taken_for_who_left(void **state)
{
    (void)state;
    rz_quorum_t quorum = { 0 };
    assert_false(rz_quorum_take(&quorum, 2, 1, AT));
    assert_true(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS));
    rz_quorum_forget(&quorum);
    assert_false(rz_quorum_take(&quorum, 2, 1, AT + RZ_QUORUM_MS + 600));
    assert_false(rz_quorum_take(&quorum, 2, 1, AT + 2 * RZ_QUORUM_MS + 599));
    assert_true(rz_quorum_take(&quorum, 2, 1, AT + 2 * RZ_QUORUM_MS + 600));
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(as_many_as_before_or_more_confirm_at_once),
    cmocka_unit_test(fewer_confirm_when_the_sentinels_had_time),
    cmocka_unit_test(one_that_comes_back_ends_the_wait_and_its_next_leaving_begins_another),
    cmocka_unit_test(another_that_leaves_meanwhile_is_waited_for_as_long),
    cmocka_unit_test(who_comes_back_into_a_shortage_is_not_taken_for_who_left),
};
/* clang-format on */

RZ_FACTS(tests)
