/* test_home.c - to which broker a runner gives its credit. */
#include "facts.h"
#include "home.h"

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define SLOTS       8

static void the_least_loaded_broker_that_is_up_is_home(void **state)
{
    (void)state;
    const home_broker_t brokers[] = { { true, true, 24 }, { false, true, 0 }, { true, true, 16 } };
    for (uint64_t chance = 0; chance < COUNT(brokers); chance++)
        assert_int_equal(home_pick(brokers, COUNT(brokers), chance), 2);
}

static void between_equal_brokers_chance_decides(void **state)
{
    (void)state;
    const home_broker_t brokers[] = { { true, true, 8 }, { true, true, 8 }, { true, true, 8 } };
    bool picked[COUNT(brokers)] = { false };
    for (uint64_t chance = UINT64_MAX - 5; chance != 5; chance++)
        picked[home_pick(brokers, COUNT(brokers), chance)] = true;
    for (size_t i = 0; i < COUNT(brokers); i++)
        assert_true(picked[i]);
}

static void a_broker_whose_store_is_away_is_home_only_where_no_other_is(void **state)
{
    (void)state;
    home_broker_t brokers[] = { { true, false, 0 }, { true, true, 800 } };
    assert_int_equal(home_pick(brokers, COUNT(brokers), 0), 1);
    brokers[1].up = false;
    assert_int_equal(home_pick(brokers, COUNT(brokers), 0), 0);
    brokers[0].up = false;
    assert_int_equal(home_pick(brokers, COUNT(brokers), 0), HOME_NONE);
}

/* Of all chances, so many of `of` that it moves. */
static uint64_t moves(const home_broker_t *brokers, size_t n, uint64_t of)
{
    uint64_t count = 0;
    for (uint64_t chance = 0; chance < of * n; chance++)
        count += home_better(brokers, n, 0, SLOTS, chance) == 1;
    return count / n;
}

static void a_runner_moves_only_where_its_slots_leave_less_than_home_carries_now(void **state)
{
    (void)state;
    home_broker_t brokers[] = { { true, true, 16 }, { true, true, 0 } };
    assert_int_equal(moves(brokers, COUNT(brokers), 16), 16);
    brokers[1].load = 7;
    assert_int_equal(moves(brokers, COUNT(brokers), 16), 9); /* as large a part as is too much */
    brokers[1].load = 8;                                     /* there it would be what it is here */
    assert_int_equal(moves(brokers, COUNT(brokers), 16), 0);
    brokers[1] = (home_broker_t){ false, true, 0 };
    assert_int_equal(moves(brokers, COUNT(brokers), 16), 0);
}

static void a_home_whose_store_is_away_is_left_whatever_the_load_elsewhere(void **state)
{
    (void)state;
    home_broker_t brokers[] = { { true, false, 8 }, { true, true, 800 } };
    assert_int_equal(home_better(brokers, COUNT(brokers), 0, SLOTS, 0), 1);
    brokers[1].able = false;
    brokers[1].load = 0;
    assert_int_equal(home_better(brokers, COUNT(brokers), 0, SLOTS, 0), HOME_NONE);
}

/* ---- a whole fleet ---- */

enum { RUNNERS = 120, BROKERS = 3 };
typedef struct {
    home_broker_t brokers[BROKERS];
    size_t home[RUNNERS];
    uint64_t slots[RUNNERS], largest, random;
} fleet_t;

/* Numerical Recipes' generator: the same numbers in every run. */
static uint64_t next_chance(fleet_t *fleet)
{
    fleet->random = fleet->random * 6364136223846793005u + 1442695040888963407u;
    return fleet->random >> 16;
}

/* All at the first broker; the others have just joined. */
static fleet_t fleet_at_one(void)
{
    fleet_t fleet = { .random = 1 };
    for (size_t i = 0; i < RUNNERS; i++) {
        fleet.slots[i] = 1 + i * 7 % 16;
        fleet.largest = fleet.slots[i] > fleet.largest ? fleet.slots[i] : fleet.largest;
        fleet.brokers[0].load += fleet.slots[i];
    }
    for (size_t b = 0; b < BROKERS; b++)
        fleet.brokers[b].up = fleet.brokers[b].able = true;
    return fleet;
}

/* One look of runner i at what `seen` says; true if it moves. */
static bool look(fleet_t *fleet, const home_broker_t *seen, size_t i)
{
    size_t to = home_better(seen, BROKERS, fleet->home[i], fleet->slots[i], next_chance(fleet));
    if (to == HOME_NONE)
        return false;
    fleet->brokers[fleet->home[i]].load -= fleet->slots[i];
    fleet->brokers[to].load += fleet->slots[i];
    fleet->home[i] = to;
    return true;
}

static void a_fleet_comes_to_rest_and_is_even_then(void **state)
{
    (void)state;
    fleet_t fleet = fleet_at_one();
    size_t quiet = 0;
    for (size_t round = 0; round < 1000 && quiet < 100; round++) {
        bool moved = false;
        for (size_t i = 0; i < RUNNERS; i++)
            moved |= look(&fleet, fleet.brokers, i);
        quiet = moved ? 0 : quiet + 1;
    }
    assert_int_equal(quiet, 100);
    for (size_t a = 0; a < BROKERS; a++)
        for (size_t b = 0; b < BROKERS; b++)
            assert_true(fleet.brokers[a].load <= fleet.brokers[b].load + fleet.largest);
}

/* One in nine looks at a time, at numbers from before the others of that moment moved. */
static void looks_at_old_numbers_make_nothing_swing(void **state)
{
    (void)state;
    enum { PARTS = 9, STEPS = 30 * PARTS, LATE = 20 * PARTS };
    fleet_t fleet = fleet_at_one();
    const uint64_t mean = fleet.brokers[0].load / BROKERS;
    size_t late_moves = 0;
    for (size_t step = 0; step < STEPS; step++) {
        home_broker_t seen[BROKERS];
        memcpy(seen, fleet.brokers, sizeof seen);
        for (size_t i = step % PARTS; i < RUNNERS; i += PARTS)
            late_moves += look(&fleet, seen, i) && step >= LATE;
        for (size_t b = 0; b < BROKERS && step >= LATE; b++)
            assert_in_range(fleet.brokers[b].load, mean * 9 / 10, mean * 11 / 10);
    }
    assert_in_range(late_moves, 0, RUNNERS / 10); /* of ten looks of each */
}

static void looks_are_seconds_apart(void **state)
{
    (void)state;
    for (uint64_t chance = 0; chance < 10000; chance += 7)
        assert_in_range(home_look_ms(chance), HOME_LOOK_MIN_MS, HOME_LOOK_MAX_MS);
    assert_int_not_equal(home_look_ms(1), home_look_ms(2));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_least_loaded_broker_that_is_up_is_home),
    cmocka_unit_test(between_equal_brokers_chance_decides),
    cmocka_unit_test(a_broker_whose_store_is_away_is_home_only_where_no_other_is),
    cmocka_unit_test(a_runner_moves_only_where_its_slots_leave_less_than_home_carries_now),
    cmocka_unit_test(a_home_whose_store_is_away_is_left_whatever_the_load_elsewhere),
    cmocka_unit_test(a_fleet_comes_to_rest_and_is_even_then),
    cmocka_unit_test(looks_at_old_numbers_make_nothing_swing),
    cmocka_unit_test(looks_are_seconds_apart),
};
RZ_FACTS(tests)
