/* test_ledger.c - what was acknowledged, and whether a store still knows it. */
#include "facts.h"
#include "state/ledger.h"

static rz_ledger_t *ledger;

static int begin(void **state)
{
    (void)state;
    ledger = rz_ledger_create();
    return 0;
}

static int end(void **state)
{
    (void)state;
    rz_ledger_destroy(&ledger);
    return 0;
}

static void submitted(const char *child, const char *packed)
{
    const rz_str_t args[] = { RZ_STR("p"), rz_str(child) }, fields[] = { rz_str(child), rz_str(packed) };
    rz_ledger_note(ledger, RZ_STR("submit"), args, 2, fields, 2);
}

static void finished(const char *child, const char *epoch)
{
    const rz_str_t args[] = { rz_str(child), rz_str(epoch), RZ_STR("token") };
    rz_ledger_note(ledger, RZ_STR("finish"), args, 3, NULL, 0);
}

static bool lost(size_t i, const char *packed)
{
    return rz_acked_is_lost(rz_ledger_at(ledger, i), rz_str(packed));
}

static void a_submit_is_lost_if_the_store_knows_fewer(void **state)
{
    (void)state;
    submitted("c1", "queued 3 7 - -");
    assert_int_equal(rz_ledger_count(ledger), 1);
    assert_true(lost(0, ""));
    assert_true(lost(0, "terminal 2 7 - -"));
    assert_false(lost(0, "queued 3 7 - -"));
    assert_false(lost(0, "terminal 4 9 - -"));
}

static void an_end_is_lost_if_its_epoch_lives_or_is_not_known(void **state)
{
    (void)state;
    finished("c1", "4294967298");
    assert_true(lost(0, ""));
    assert_true(lost(0, "running 1 4294967298 t o"));
    assert_true(lost(0, "assigned 1 4294967297 t o"));
    assert_false(lost(0, "terminal 1 4294967298 - -"));
    assert_false(lost(0, "queued 2 4294967298 - -")); /* its next job waits */
    assert_false(lost(0, "running 2 4294967299 t o"));
}

static void a_submit_of_a_limited_key_is_one_too(void **state)
{
    (void)state;
    const rz_str_t args[] = { RZ_STR("p"), RZ_STR("c1") },
                   fields[] = { RZ_STR("c1"), RZ_STR("queued 3 7 - -") };
    rz_ledger_note(ledger, RZ_STR("submit_own"), args, 2, fields, 2);
    assert_true(lost(0, "terminal 2 7 - -"));
}

static void what_is_neither_is_not_kept(void **state)
{
    (void)state;
    const rz_str_t args[] = { RZ_STR("c1"), RZ_STR("1") };
    rz_ledger_note(ledger, RZ_STR("start"), args, 2, NULL, 0);
    rz_ledger_note(ledger, RZ_STR("submit"), args, 2, NULL, 0);
    assert_int_equal(rz_ledger_count(ledger), 0);
}

static void the_oldest_is_pushed_out(void **state)
{
    (void)state;
    char child[24];
    for (unsigned i = 0; i < RZ_LEDGER_MAX + 2; i++) {
        snprintf(child, sizeof child, "c%u", i);
        finished(child, "1");
    }
    assert_int_equal(rz_ledger_count(ledger), RZ_LEDGER_MAX);
    assert_string_equal(rz_ledger_at(ledger, 0)->child, "c2");
    assert_string_equal(rz_ledger_at(ledger, RZ_LEDGER_MAX - 1)->child, child);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_submit_is_lost_if_the_store_knows_fewer, begin, end),
    cmocka_unit_test_setup_teardown(an_end_is_lost_if_its_epoch_lives_or_is_not_known, begin, end),
    cmocka_unit_test_setup_teardown(a_submit_of_a_limited_key_is_one_too, begin, end),
    cmocka_unit_test_setup_teardown(what_is_neither_is_not_kept, begin, end),
    cmocka_unit_test_setup_teardown(the_oldest_is_pushed_out, begin, end),
};
/* clang-format on */

RZ_FACTS(tests)
