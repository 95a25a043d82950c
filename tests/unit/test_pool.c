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

static void the_last_one_parked_is_taken_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    for (int i = 0; i < 3; i++)
        assert_null(pool_park(pool, "k", "a", W(i), 0));
    assert_ptr_equal(pool_take(pool, "k"), W(2));
    assert_ptr_equal(pool_take(pool, "k"), W(1));
    assert_ptr_equal(pool_take(pool, "k"), W(0));
    assert_null(pool_take(pool, "k"));
    pool_destroy(&pool);
}

static void keys_do_not_share_workers(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_park(pool, "k1", "a", W(1), 0);
    assert_null(pool_take(pool, "k2"));
    assert_null(pool_take(pool, "k"));
    assert_ptr_equal(pool_take(pool, "k1"), W(1));
    pool_destroy(&pool);
}

static void the_surplus_of_a_key_goes_after_a_moment_oldest_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(2, 8);
    for (int i = 0; i < 4; i++)
        assert_null(pool_park(pool, "k", "a", W(i), (uint64_t)i));
    assert_null(pool_park(pool, "other", "a", W(4), 4));
    assert_null(pool_expire(pool, 99));
    assert_ptr_equal(pool_expire(pool, 110), W(0));
    assert_ptr_equal(pool_expire(pool, 110), W(1));
    assert_null(pool_expire(pool, 110));
    assert_int_equal(pool_count(pool), 3);
    pool_destroy(&pool);
}

static void a_worker_that_is_taken_again_at_once_was_never_surplus(void **state)
{
    (void)state;
    pool_t *pool = pool_of(1, 8);
    pool_park(pool, "k", "a", W(0), 0);
    pool_park(pool, "k", "a", W(1), 0);
    assert_ptr_equal(pool_take(pool, "k"), W(1));
    assert_null(pool_expire(pool, 500));
    pool_destroy(&pool);
}

static void when_there_are_too_many_the_least_recently_used_goes(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 2);
    pool_park(pool, "k1", "a", W(0), 0);
    pool_park(pool, "k2", "a", W(1), 0);
    pool_take(pool, "k1");
    pool_park(pool, "k1", "a", W(0), 5); /* used again: W(1) is now the oldest */
    assert_ptr_equal(pool_park(pool, "k3", "a", W(2), 6), W(1));
    pool_destroy(&pool);
}

static void a_pool_of_none_keeps_none(void **state)
{
    (void)state;
    pool_t *pool = pool_of(0, 8); /* per key; none in all is the same */
    assert_ptr_equal(pool_park(pool, "k", "a", W(0), 0), W(0));
    pool_destroy(&pool);
}

static void who_waits_too_long_expires_oldest_first(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_park(pool, "k", "a", W(0), 0);
    pool_park(pool, "k", "a", W(1), 400);
    assert_null(pool_expire(pool, 999));
    assert_ptr_equal(pool_expire(pool, 1000), W(0));
    assert_null(pool_expire(pool, 1000));
    assert_ptr_equal(pool_expire(pool, 1400), W(1));
    pool_destroy(&pool);
}

static void a_dead_worker_is_taken_out_once(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_park(pool, "k", "a", W(0), 0);
    pool_park(pool, "k", "a", W(1), 0);
    assert_true(pool_remove(pool, W(1)));
    assert_false(pool_remove(pool, W(1)));
    assert_ptr_equal(pool_take(pool, "k"), W(0));
    pool_destroy(&pool);
}

static void idle_workers_are_counted_by_affinity_not_by_pool_key(void **state)
{
    (void)state;
    pool_t *pool = pool_of(4, 8);
    pool_park(pool, "k1", "red", W(0), 0);
    pool_park(pool, "k2", "red", W(1), 0);
    pool_park(pool, "k3", "blue", W(2), 0);
    cJSON *idle = pool_idle(pool);
    assert_int_equal(cJSON_GetArraySize(idle), 2);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(idle, "red")), 2);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(idle, "blue")), 1);
    cJSON_Delete(idle);
    pool_destroy(&pool);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_one_parked_is_taken_first),
    cmocka_unit_test(keys_do_not_share_workers),
    cmocka_unit_test(the_surplus_of_a_key_goes_after_a_moment_oldest_first),
    cmocka_unit_test(a_worker_that_is_taken_again_at_once_was_never_surplus),
    cmocka_unit_test(when_there_are_too_many_the_least_recently_used_goes),
    cmocka_unit_test(a_pool_of_none_keeps_none),
    cmocka_unit_test(who_waits_too_long_expires_oldest_first),
    cmocka_unit_test(a_dead_worker_is_taken_out_once),
    cmocka_unit_test(idle_workers_are_counted_by_affinity_not_by_pool_key),
};
RZ_FACTS(tests)
