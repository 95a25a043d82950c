/* test_hoard.c - who holds back a message, by what the kernel counts and what is handed over. */
#include "hoard.h"

#include "facts.h"

#include <string.h>

#define ONE  ((uint64_t)1 << 20)
#define LOOK 100 /* ms */

static const uint64_t one[GATES] = { ONE, ONE, ONE, ONE, ONE };
static const bool quiet[GATES] = { true, true, true, true, true };
static const bool busy[GATES] = { false };

static struct {
    hoard_t *hoard;
    uint64_t now_ms, answered;
    hoard_seen_t cut;
    uint64_t held;
} f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.hoard = hoard_create(one, 1000);
    f.now_ms = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hoard_destroy(&f.hoard);
    return 0;
}

/* One look at n connections 1.. at descriptors 10.., each with so many bytes taken. True: the first to be cut is in f.cut. */
static bool look(const uint64_t *taken, size_t n, const bool *at_rest)
{
    f.now_ms += LOOK;
    hoard_begin(f.hoard, f.now_ms);
    for (size_t i = 0; i < n; i++)
        hoard_see(f.hoard, &(hoard_seen_t){ i + 1, 10 + (int)i, GATE_CONTROL, taken[i], f.answered });
    hoard_end(f.hoard, at_rest);
    return hoard_cut(f.hoard, &f.cut, &f.held);
}

static bool look_at(uint64_t taken)
{
    return look(&taken, 1, quiet);
}

static void a_message_without_an_end_is_cut_when_it_is_larger_than_any(void **state)
{
    (void)state;
    uint64_t taken = 0;
    int looks = 0;
    while (!look_at(taken += ONE / 4)) {
        assert_true(++looks < 20);
        assert_true(hoard_suspects(f.hoard, GATE_CONTROL));
        assert_false(hoard_suspects(f.hoard, GATE_JOBS));
    }
    assert_int_equal(f.cut.id, 1);
    assert_int_equal(f.cut.fd, 10);
    assert_int_equal(f.cut.gate, GATE_CONTROL);
    assert_true(f.held > ONE && taken <= 2 * ONE + ONE / 4);
    assert_false(hoard_cut(f.hoard, &f.cut, &f.held));
    assert_false(look_at(taken += 2 * ONE)); /* once is enough */
}

static void whoever_is_heard_holds_nothing_back(void **state)
{
    (void)state;
    uint64_t taken = 0;
    for (int i = 0; i < 100; i++) {
        hoard_heard(f.hoard, GATE_CONTROL, 10, ONE / 2 - 42, 1);
        assert_false(look_at(taken += ONE / 2));
        assert_false(hoard_suspects(f.hoard, GATE_CONTROL));
    }
}

/* All that came before anybody had looked: in a tenth of a second a connection may bring a hundred megabytes. */
static void a_flood_before_the_first_look_is_held_back_too(void **state)
{
    (void)state;
    assert_false(look_at(ONE + HOARD_PINGS));
    assert_true(hoard_suspects(f.hoard, GATE_CONTROL));
    assert_true(look_at(ONE + HOARD_PINGS));
    assert_true(f.held > ONE);
}

static void a_message_that_is_whole_excuses_itself_and_nothing_behind_it(void **state)
{
    (void)state;
    assert_false(look_at(100));
    hoard_heard(f.hoard, GATE_CONTROL, 10, 1000, 1);
    assert_false(look_at(2 * ONE));
    assert_true(look_at(2 * ONE));
    assert_true(f.held > 2 * ONE - 2000);
}

/* Whatever else its bytes were for, which we may not know of: what is handed over after a quiet look ended after it. */
static void what_came_before_a_message_is_behind_us(void **state)
{
    (void)state;
    uint64_t taken = 0;
    for (int i = 0; i < 100; i++) {
        hoard_heard(f.hoard, GATE_CONTROL, 10, 1, 1);
        assert_false(look_at(taken += ONE / 4));
        assert_false(look_at(taken));
    }
}

static void the_greatest_message_that_is_allowed_may_come_as_slowly_as_it_likes(void **state)
{
    (void)state;
    uint64_t taken = 0;
    for (; taken <= ONE - 4096; taken += 4096)
        assert_false(look_at(taken));
    assert_true(hoard_suspects(f.hoard, GATE_CONTROL));
    hoard_heard(f.hoard, GATE_CONTROL, 10, taken, 1);
    assert_false(look_at(taken));
    assert_false(hoard_suspects(f.hoard, GATE_CONTROL));
}

static void what_waits_to_be_read_is_nobodys_fault(void **state)
{
    (void)state;
    uint64_t taken = 0;
    for (int i = 0; i < 50; i++) {
        taken += ONE;
        assert_false(look(&taken, 1, busy));
    }
    assert_true(look_at(taken));
}

/* Those who keep a socket busy hide nobody: each connection has had its turn. */
static void a_crowd_that_is_heard_all_the_time_hides_nobody(void **state)
{
    (void)state;
    uint64_t taken[2] = { 0, 0 };
    bool cut = false;
    for (int i = 0; i < 20 && !cut; i++) {
        taken[0] += ONE / 2;
        taken[1] += ONE / 2;
        for (size_t k = 0; k < HOARD_TURNS(2); k++)
            hoard_heard(f.hoard, GATE_CONTROL, 11, 100, 1);
        cut = look(taken, 2, busy);
    }
    assert_true(cut);
    assert_int_equal(f.cut.fd, 10);
}

/* A slow broker that is always asked is never quiet, and hears few between two looks. */
static void a_socket_that_is_never_quiet_hides_nobody_for_long(void **state)
{
    (void)state;
    uint64_t taken[2] = { 2 * ONE, 0 };
    size_t looks = 1;
    assert_false(look(taken, 2, busy));
    do {
        hoard_heard(f.hoard, GATE_CONTROL, 11, 100, 1);
        taken[1] += 100;
        assert_true(++looks <= HOARD_TURNS(2) + 2);
    } while (!look(taken, 2, busy));
    assert_int_equal(f.cut.fd, 10);
}

/* One sends faster than anybody reads: all of it is whole, and much of it waits. */
static void who_is_heard_slowly_is_not_cut_for_what_waits(void **state)
{
    (void)state;
    uint64_t taken = 8 * ONE;
    assert_false(look(&taken, 1, busy));
    for (int i = 0; i < 8; i++) {
        for (size_t k = 0; k < HOARD_TURNS(1); k++)
            hoard_heard(f.hoard, GATE_CONTROL, 10, 1000, 1);
        assert_false(look(&taken, 1, busy));
    }
}

static void a_little_that_is_held_back_makes_no_suspect(void **state)
{
    (void)state;
    assert_false(look_at(HOARD_NOTICED));
    assert_false(hoard_suspects(f.hoard, GATE_CONTROL));
    assert_false(look_at(HOARD_NOTICED + 2 * HOARD_PINGS));
    assert_true(hoard_suspects(f.hoard, GATE_CONTROL));
    assert_false(hoard_suspects(f.hoard, GATE_JOBS));
}

static void heartbeats_are_no_message(void **state)
{
    (void)state;
    uint64_t taken = 2 * HOARD_NOTICED;
    for (int i = 0; i < 1000000; i++) {
        f.answered += HOARD_PINGS * LOOK / 1000;
        assert_false(look_at(taken += HOARD_PINGS * LOOK / 1000));
    }
}

/* As slow as heartbeats, but nobody answers it. */
static void a_message_without_an_end_that_drips_is_cut_too(void **state)
{
    (void)state;
    uint64_t taken = 0;
    while (!look_at(taken += HOARD_PINGS * LOOK / 1000))
        assert_true(taken < 2 * ONE);
    assert_true(f.held > ONE);
}

static void rather_strangers_are_cut_than_who_sends_a_large_message(void **state)
{
    (void)state;
    enum { N = 2 * HOARD_MANY };
    uint64_t taken[N] = { 0 };
    hoard_heard(f.hoard, GATE_CONTROL, 10, 100, 1);
    for (size_t k = 0; k < N; k++)
        taken[k] = k == 0 ? ONE : ONE / 4 * 3;
    assert_false(look(taken, N, quiet));
    assert_true(look(taken, N, quiet));
    do
        assert_int_not_equal(f.cut.fd, 10);
    while (hoard_cut(f.hoard, &f.cut, &f.held));
}

static void many_that_hold_back_a_little_lose_the_greatest(void **state)
{
    (void)state;
    enum { N = 2 * HOARD_MANY };
    uint64_t taken[N] = { 0 };
    size_t cuts = 0;
    for (int i = 0; i < 12; i++) {
        for (size_t k = 0; k < N; k++)
            taken[k] += k == 3 ? ONE / 13 : ONE / 14;
        for (bool cut = look(taken, N, quiet); cut; cut = hoard_cut(f.hoard, &f.cut, &f.held)) {
            assert_true(f.held < ONE);
            assert_true(cuts > 0 || f.cut.fd == 13);
            cuts++;
        }
    }
    assert_in_range(cuts, 1, N - 1);
}

static void a_descriptor_given_again_is_another(void **state)
{
    (void)state;
    gate_t gate;
    for (uint64_t taken = ONE / 2; taken < ONE + HOARD_NOTICED; taken += ONE / 4)
        assert_false(look_at(taken));
    assert_true(hoard_knows(f.hoard, 1, 10, &gate));
    f.now_ms += LOOK;
    hoard_begin(f.hoard, f.now_ms);
    hoard_see(f.hoard, &(hoard_seen_t){ 77, 10, GATE_JOBS, 5, 0 });
    hoard_end(f.hoard, quiet);
    assert_false(hoard_cut(f.hoard, &f.cut, &f.held));
    assert_false(hoard_knows(f.hoard, 1, 10, &gate));
    assert_true(hoard_knows(f.hoard, 77, 10, &gate));
    assert_int_equal(gate, GATE_JOBS);
    assert_false(hoard_suspects(f.hoard, GATE_CONTROL));
}

static void who_is_gone_is_forgotten(void **state)
{
    (void)state;
    gate_t gate;
    assert_false(look_at(ONE));
    assert_false(look(NULL, 0, quiet));
    assert_false(hoard_knows(f.hoard, 1, 10, &gate));
    assert_false(hoard_suspects(f.hoard, GATE_CONTROL));
    hoard_heard(f.hoard, GATE_CONTROL, 10, 1, 1); /* what came before it went */
    hoard_heard(f.hoard, GATE_CONTROL, -1, 1, 1);
    hoard_heard(f.hoard, GATE_CONTROL, 100000, 1, 1);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(a_message_without_an_end_is_cut_when_it_is_larger_than_any, setup, teardown),
    cmocka_unit_test_setup_teardown(whoever_is_heard_holds_nothing_back, setup, teardown),
    cmocka_unit_test_setup_teardown(the_greatest_message_that_is_allowed_may_come_as_slowly_as_it_likes, setup, teardown),
    cmocka_unit_test_setup_teardown(what_waits_to_be_read_is_nobodys_fault, setup, teardown),
    cmocka_unit_test_setup_teardown(a_crowd_that_is_heard_all_the_time_hides_nobody, setup, teardown),
    cmocka_unit_test_setup_teardown(a_socket_that_is_never_quiet_hides_nobody_for_long, setup, teardown),
    cmocka_unit_test_setup_teardown(who_is_heard_slowly_is_not_cut_for_what_waits, setup, teardown),
    cmocka_unit_test_setup_teardown(a_little_that_is_held_back_makes_no_suspect, setup, teardown),
    cmocka_unit_test_setup_teardown(a_flood_before_the_first_look_is_held_back_too, setup, teardown),
    cmocka_unit_test_setup_teardown(a_message_that_is_whole_excuses_itself_and_nothing_behind_it, setup, teardown),
    cmocka_unit_test_setup_teardown(what_came_before_a_message_is_behind_us, setup, teardown),
    cmocka_unit_test_setup_teardown(heartbeats_are_no_message, setup, teardown),
    cmocka_unit_test_setup_teardown(a_message_without_an_end_that_drips_is_cut_too, setup, teardown),
    cmocka_unit_test_setup_teardown(rather_strangers_are_cut_than_who_sends_a_large_message, setup, teardown),
    cmocka_unit_test_setup_teardown(many_that_hold_back_a_little_lose_the_greatest, setup, teardown),
    cmocka_unit_test_setup_teardown(a_descriptor_given_again_is_another, setup, teardown),
    cmocka_unit_test_setup_teardown(who_is_gone_is_forgotten, setup, teardown),
    /* clang-format on */
};
RZ_FACTS(tests)
