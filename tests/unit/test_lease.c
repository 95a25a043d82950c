/* test_lease.c - nobody is condemned but who stood still under our eyes for the whole lease. */
#include "facts.h"

#include "lease.h"

#define LEASE 15000
#define GAP   9000

static lease_table_t *table;
static char verdicts[512];

static int lease_up(void **state)
{
    (void)state;
    table = lease_create(LEASE, GAP);
    return 0;
}

static int lease_down(void **state)
{
    (void)state;
    lease_destroy(&table);
    return 0;
}

static void note(lease_verdict_t verdict, const char *incarnation, uint64_t counter, void *arg)
{
    size_t used = strlen(verdicts);
    (void)arg;
    snprintf(verdicts + used, sizeof verdicts - used, "%s %s %llu;",
             verdict == LEASE_CONDEMN ? "condemn" : "reap", incarnation, (unsigned long long)counter);
}

static const char *look(uint64_t now_ms, const rz_incarnation_t *list, size_t n)
{
    verdicts[0] = '\0';
    lease_observe(table, now_ms, list, n, note, NULL);
    return verdicts;
}

/* One incarnation with this counter, seen every 3 s from `from` to `to`; the last verdict. */
static const char *watch(uint64_t from_ms, uint64_t to_ms, uint64_t counter)
{
    rz_incarnation_t one = { .incarnation = "i1", .counter = counter };
    for (uint64_t now_ms = from_ms; now_ms < to_ms; now_ms += 3000)
        assert_string_equal(look(now_ms, &one, 1), "");
    return look(to_ms, &one, 1);
}

static void who_stands_still_for_the_lease_is_condemned_with_the_counter_seen(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 1000 + LEASE, 7), "condemn i1 7;");
}

static void one_millisecond_less_is_not_enough(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 1000 + LEASE - 1, 7), "");
}

static void whoever_moves_lives(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 13000, 7), "");
    assert_string_equal(watch(14500, 14500 + LEASE - 1, 8), "");
    assert_string_equal(watch(14500 + LEASE, 14500 + LEASE, 8), "condemn i1 8;");
}

static void a_counter_that_went_back_counts_as_moving(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 13000, 7), "");
    assert_string_equal(watch(16000, 16000, 6), "");
}

static void after_a_gap_in_the_store_link_observation_restarts(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 13000, 7), "");
    lease_gap(table);
    assert_string_equal(watch(16000, 16000 + LEASE - 1, 7), "");
    assert_string_equal(watch(16000 + LEASE, 16000 + LEASE, 7), "condemn i1 7;");
}

static void looks_too_far_apart_are_a_gap(void **state)
{
    (void)state;
    assert_string_equal(watch(1000, 1000, 7), "");
    assert_string_equal(watch(1000 + GAP, 1000 + GAP, 7), "");
    assert_string_equal(watch(1000 + 2 * GAP, 1000 + 2 * GAP, 7), "condemn i1 7;");
    lease_gap(table);
    assert_string_equal(watch(40000, 40000, 7), "");
    assert_string_equal(watch(40001 + GAP, 40001 + GAP, 7), "");
    assert_string_equal(watch(60000, 60000, 7), "");
}

static void the_dead_are_reaped_as_long_as_they_own_something(void **state)
{
    rz_incarnation_t list[] = { { .incarnation = "i1", .counter = 3, .owned = 2, .dead = true },
                                { .incarnation = "i2", .counter = 1, .owned = 0, .dead = true } };
    (void)state;
    assert_string_equal(look(1000, list, 2), "reap i1 3;");
    assert_string_equal(look(1000 + LEASE, list, 2), "reap i1 3;");
}

static void each_is_judged_alone(void **state)
{
    rz_incarnation_t list[] = { { .incarnation = "i1", .counter = 1 },
                                { .incarnation = "i2", .counter = 1 } };
    (void)state;
    for (uint64_t now_ms = 1000; now_ms < 1000 + LEASE; now_ms += 3000) {
        assert_string_equal(look(now_ms, list, 2), "");
        list[1].counter++;
    }
    assert_string_equal(look(1000 + LEASE, list, 2), "condemn i1 1;");
}

static void who_is_gone_from_the_store_is_forgotten(void **state)
{
    rz_incarnation_t one = { .incarnation = "i1", .counter = 7 };
    (void)state;
    assert_string_equal(watch(1000, 13000, 7), "");
    assert_string_equal(look(14000, NULL, 0), "");
    assert_string_equal(look(16000, &one, 1), "");
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(who_stands_still_for_the_lease_is_condemned_with_the_counter_seen, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(one_millisecond_less_is_not_enough, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(whoever_moves_lives, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(a_counter_that_went_back_counts_as_moving, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(after_a_gap_in_the_store_link_observation_restarts, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(looks_too_far_apart_are_a_gap, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(the_dead_are_reaped_as_long_as_they_own_something, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(each_is_judged_alone, lease_up, lease_down),
    cmocka_unit_test_setup_teardown(who_is_gone_from_the_store_is_forgotten, lease_up, lease_down),
    /* clang-format on */
};

RZ_FACTS(tests)
