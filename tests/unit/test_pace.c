/* How fast one peer may ask. */
#include "pace.h"

#include "facts.h"

static void a_peer_asks_so_often_at_once_and_then_waits_its_turn(void **state)
{
    (void)state;
    pace_t *pace = pace_create(10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pace_ask(pace, RZ_STR("a"), 1000), 0);
    uint64_t wait = pace_ask(pace, RZ_STR("a"), 1000);
    assert_in_range(wait, 100, 101);
    assert_int_equal(pace_ask(pace, RZ_STR("a"), 1000 + wait), 0);
    assert_int_not_equal(pace_ask(pace, RZ_STR("a"), 1000 + wait), 0);
    assert_int_equal(pace_ask(pace, RZ_STR("a"), 5000), 0);
    pace_destroy(&pace);
}

static void one_that_asks_too_often_hurts_nobody_else(void **state)
{
    (void)state;
    pace_t *pace = pace_create(5);
    while (pace_ask(pace, RZ_STR("loud"), 0) == 0)
        ;
    assert_int_equal(pace_ask(pace, RZ_STR("calm"), 0), 0);
    assert_int_not_equal(pace_ask(pace, RZ_STR("loud"), 1), 0);
    pace_destroy(&pace);
}

static void more_peers_than_are_remembered_are_still_served_and_the_loud_one_still_is_not(void **state)
{
    (void)state;
    char name[16];
    pace_t *pace = pace_create(100);
    while (pace_ask(pace, RZ_STR("loud"), 0) == 0)
        ;
    for (int i = 0; i < 3 * PACE_PEERS; i++) {
        snprintf(name, sizeof name, "peer%d", i);
        assert_int_equal(pace_ask(pace, rz_str(name), 0), 0);
    }
    assert_int_not_equal(pace_ask(pace, RZ_STR("loud"), 0), 0);
    pace_destroy(&pace);
}

static void no_pace_is_no_limit(void **state)
{
    (void)state;
    pace_t *pace = pace_create(0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(pace_ask(pace, RZ_STR("a"), 0), 0);
    pace_destroy(&pace);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_peer_asks_so_often_at_once_and_then_waits_its_turn),
    cmocka_unit_test(one_that_asks_too_often_hurts_nobody_else),
    cmocka_unit_test(more_peers_than_are_remembered_are_still_served_and_the_loud_one_still_is_not),
    cmocka_unit_test(no_pace_is_no_limit),
};
RZ_FACTS(tests)
