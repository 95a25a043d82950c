/* test_pool.c - parked workers: pointers to numbers will do. */
#include "facts.h"
#include "pool.h"

static int workers[8];
#define W(i) ((void *)&workers[i])

static pool_t *pool_of(size_t per_key, size_t total)
{
    pool_limits_t limits = { .per_key = per_key, .total = total, .idle_ms = 1000, .linger_ms = 100 };
    return pool_create(&limits);
}

/* Its run is over, and nobody wants it. */
static void park(pool_t *pool, const char *key, const char *affinity, void *worker, uint64_t now_ms)
{
    pool_admit(pool, key, affinity, worker);
    assert_int_equal(pool_feed(pool, worker, ENTRY_EV_UNWANTED, now_ms), ENTRY_DO_PARK);
}

/* As a run that looks for one; NULL when there is none. */
static void *take(pool_t *pool, const char *key)
{
    void *worker = pool_parked(pool, key);
    if (worker != NULL)
        assert_int_equal(pool_feed(pool, worker, ENTRY_EV_WANTED, 0), ENTRY_DO_HAND_OUT);
    return worker;
}

/* Whoever a limit sends away by its age goes; NULL when none must. */
static void *expire(pool_t *pool, uint64_t now_ms, entry_event_t expected)
{
    entry_event_t why;
    void *worker = pool_overdue(pool, now_ms, &why);
    if (worker == NULL)
        return NULL;
    assert_int_equal(why, expected);
    assert_int_equal(pool_feed(pool, worker, why, now_ms), ENTRY_DO_TERMINATE);
    return worker;
}

static void the_last_one_parked_is_taken_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    for (int i = 0; i < 3; i++)
        park(pool, "k", "a", W(i), 0);
    assert_ptr_equal(take(pool, "k"), W(2));
    assert_ptr_equal(take(pool, "k"), W(1));
    assert_ptr_equal(take(pool, "k"), W(0));
    assert_null(take(pool, "k"));
    pool_destroy(&pool);
}

static void keys_do_not_share_workers(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    park(pool, "k1", "a", W(1), 0);
    assert_null(take(pool, "k2"));
    assert_null(take(pool, "k"));
    assert_ptr_equal(take(pool, "k1"), W(1));
    pool_destroy(&pool);
}

static void a_cooling_worker_is_neither_parked_nor_counted(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_admit(pool, "k", "a", W(0));
    assert_null(pool_parked(pool, "k"));
    assert_int_equal(pool_count(pool), 0);
    assert_ptr_equal(pool_cooling(pool), W(0));
    assert_int_equal(pool_feed(pool, W(0), ENTRY_EV_UNWANTED, 0), ENTRY_DO_PARK);
    assert_null(pool_cooling(pool));
    assert_int_equal(pool_count(pool), 1);
    pool_destroy(&pool);
}

static void a_cooling_worker_goes_straight_to_who_wants_it(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_admit(pool, "k", "a", W(0));
    assert_int_equal(pool_feed(pool, W(0), ENTRY_EV_WANTED, 0), ENTRY_DO_HAND_OUT);
    assert_null(pool_any(pool));
    pool_destroy(&pool);
}

static void the_surplus_of_a_key_goes_after_a_moment_oldest_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(2, 8);
    for (int i = 0; i < 4; i++)
        park(pool, "k", "a", W(i), (uint64_t)i);
    park(pool, "other", "a", W(4), 4);
    assert_null(expire(pool, 99, ENTRY_EV_SURPLUS));
    assert_ptr_equal(expire(pool, 110, ENTRY_EV_SURPLUS), W(0));
    assert_ptr_equal(expire(pool, 110, ENTRY_EV_SURPLUS), W(1));
    assert_null(expire(pool, 110, ENTRY_EV_SURPLUS));
    assert_int_equal(pool_count(pool), 3);
    pool_destroy(&pool);
}

static void a_worker_that_is_taken_again_at_once_was_never_surplus(void **state)
{
    (void)state;
    pool_t *pool = pool_of(1, 8);
    park(pool, "k", "a", W(0), 0);
    park(pool, "k", "a", W(1), 0);
    assert_ptr_equal(take(pool, "k"), W(1));
    assert_null(expire(pool, 500, ENTRY_EV_SURPLUS));
    pool_destroy(&pool);
}

static void when_there_are_too_many_the_least_recently_used_goes(void **state)
{
    (void)state;
    entry_event_t why;
    pool_t *pool = pool_of(4, 2);
    park(pool, "k1", "a", W(0), 0);
    park(pool, "k2", "a", W(1), 0);
    take(pool, "k1");
    park(pool, "k1", "a", W(0), 5); /* used again: W(1) is now the oldest */
    assert_null(pool_excess(pool, &why));
    park(pool, "k3", "a", W(2), 6);
    assert_ptr_equal(pool_excess(pool, &why), W(1));
    assert_int_equal(why, ENTRY_EV_CROWDED);
    assert_int_equal(pool_feed(pool, W(1), why, 6), ENTRY_DO_TERMINATE);
    assert_null(pool_excess(pool, &why));
    pool_destroy(&pool);
}

static void a_pool_of_none_keeps_none(void **state)
{
    (void)state;
    static const size_t limits[][2] = { { 0, 8 }, { 4, 0 } }; /* per key, in all */
    for (size_t i = 0; i < 2; i++) {
        entry_event_t why;
        pool_t *pool = pool_of(limits[i][0], limits[i][1]);
        park(pool, "k", "a", W(0), 0);
        assert_ptr_equal(pool_excess(pool, &why), W(0));
        assert_int_equal(pool_feed(pool, W(0), why, 0), ENTRY_DO_TERMINATE);
        assert_null(pool_excess(pool, &why));
        pool_destroy(&pool);
    }
}

static void who_waits_too_long_expires_oldest_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    park(pool, "k", "a", W(0), 0);
    park(pool, "k", "a", W(1), 400);
    assert_null(expire(pool, 999, ENTRY_EV_OLD));
    assert_ptr_equal(expire(pool, 1000, ENTRY_EV_OLD), W(0));
    assert_null(expire(pool, 1000, ENTRY_EV_OLD));
    assert_ptr_equal(expire(pool, 1400, ENTRY_EV_OLD), W(1));
    pool_destroy(&pool);
}

static void who_died_spoke_or_is_not_like_a_new_one_leaves_once(void **state)
{
    (void)state;
    static const struct {
        entry_event_t event;
        entry_action_t action;
    } ways[] = { { ENTRY_EV_DIED, ENTRY_DO_KILL },
                 { ENTRY_EV_SPOKE, ENTRY_DO_KILL },
                 { ENTRY_EV_WORN, ENTRY_DO_TERMINATE },
                 { ENTRY_EV_STALE, ENTRY_DO_TERMINATE } };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        pool_t *pool = pool_of(4, 8);
        park(pool, "k", "a", W(0), 0);
        park(pool, "k", "a", W(1), 0);
        pool_admit(pool, "k", "a", W(2));
        for (int w = 1; w <= 2; w++) { /* parked, cooling */
            assert_int_equal(pool_feed(pool, W(w), ways[i].event, 0), ways[i].action);
            assert_int_equal(pool_feed(pool, W(w), ways[i].event, 0), ENTRY_DO_NOTHING);
        }
        assert_int_equal(pool_count(pool), 1);
        assert_ptr_equal(take(pool, "k"), W(0));
        pool_destroy(&pool);
    }
}

static void a_pool_that_stops_forgets_all_and_ends_none(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    park(pool, "k", "a", W(0), 0);
    pool_admit(pool, "k", "a", W(1));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pool_feed(pool, pool_any(pool), ENTRY_EV_STOP, 0), ENTRY_DO_FORGET);
    assert_null(pool_any(pool));
    assert_int_equal(pool_count(pool), 0);
    pool_destroy(&pool);
}

static void idle_workers_are_counted_by_affinity_not_by_pool_key(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    park(pool, "k1", "red", W(0), 0);
    park(pool, "k2", "red", W(1), 0);
    park(pool, "k3", "blue", W(2), 0);
    pool_admit(pool, "k3", "blue", W(3));
    cJSON *idle = pool_idle(pool);
    assert_int_equal(cJSON_GetArraySize(idle), 2);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(idle, "red")), 2);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(idle, "blue")), 1);
    cJSON_Delete(idle);
    pool_destroy(&pool);
}

/* Whatever comes in whatever order, a worker leaves once, and is handed out at most once. */
static void whatever_happens_an_entry_leaves_once(void **state)
{
    (void)state;
    unsigned seed = 11;
    for (int life = 0; life < 20000; life++) {
        entry_state_t entry = ENTRY_COOLING;
        int left = 0;
        for (int i = 0; i < 20; i++) {
            seed = seed * 1664525u + 1013904223u;
            entry_action_t action = pool_entry_feed(&entry, (entry_event_t)((seed >> 16) % ENTRY_EVENTS));
            left += action != ENTRY_DO_NOTHING && action != ENTRY_DO_PARK;
        }
        assert_in_range(left, 0, 1);
        assert_int_equal(left, entry == ENTRY_TAKEN || entry == ENTRY_RETIRED);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_one_parked_is_taken_first),
    cmocka_unit_test(keys_do_not_share_workers),
    cmocka_unit_test(a_cooling_worker_is_neither_parked_nor_counted),
    cmocka_unit_test(a_cooling_worker_goes_straight_to_who_wants_it),
    cmocka_unit_test(the_surplus_of_a_key_goes_after_a_moment_oldest_first),
    cmocka_unit_test(a_worker_that_is_taken_again_at_once_was_never_surplus),
    cmocka_unit_test(when_there_are_too_many_the_least_recently_used_goes),
    cmocka_unit_test(a_pool_of_none_keeps_none),
    cmocka_unit_test(who_waits_too_long_expires_oldest_first),
    cmocka_unit_test(who_died_spoke_or_is_not_like_a_new_one_leaves_once),
    cmocka_unit_test(a_pool_that_stops_forgets_all_and_ends_none),
    cmocka_unit_test(idle_workers_are_counted_by_affinity_not_by_pool_key),
    cmocka_unit_test(whatever_happens_an_entry_leaves_once),
};
RZ_FACTS(tests)
