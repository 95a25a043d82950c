/* test_mark.c - which store may be the one that was known, and when a term begins. */
#include "facts.h"

#include "state/mark.h"
#include "state/probe.h"

static const rz_store_mark_t known = { .id = "s-1", .lineage = "aa", .term = 7, .tick = 100000 };
static const rz_store_mark_t nothing;

static rz_store_facts_t the_same(void)
{
    return (rz_store_facts_t){ .id = "s-1", .lineage = "aa", .replid = "aa", .term = 7, .tick = 100500 };
}

static rz_mark_verdict_t judge(const rz_store_mark_t *mark, const rz_store_facts_t *facts)
{
    char why[RZ_MARK_WHY_MAX];
    return rz_mark_judge(mark, facts, why);
}

static void refused_with(const rz_store_facts_t *facts, const char *part)
{
    char why[RZ_MARK_WHY_MAX];
    assert_int_equal(rz_mark_judge(&known, facts, why), RZ_MARK_REFUSED);
    if (strstr(why, part) == NULL || strstr(why, "rhizome store accept") == NULL)
        fail_msg("\"%s\" does not hold \"%s\" or not what to do", why, part);
}

static void the_store_that_is_known_goes_on(void **state)
{
    (void)state;
    const rz_store_facts_t facts = the_same();
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
}

static void who_knows_nothing_takes_any_store(void **state)
{
    (void)state;
    const rz_store_facts_t facts = the_same(), none = { .replid = "aa", .lineage = "aa" };
    assert_int_equal(judge(&nothing, &facts), RZ_MARK_GOES_ON);
    assert_int_equal(judge(&nothing, &none), RZ_MARK_GOES_ON); /* that there is no store is not its matter */
}

static void a_store_that_is_gone_another_or_went_back_is_refused_with_a_sentence(void **state)
{
    (void)state;
    rz_store_facts_t gone = { .replid = "aa" }, other = the_same(), old = the_same();
    memcpy(other.id, "s-2", 4);
    old.tick = known.tick - 60000;
    refused_with(&gone, "store s-1 is gone");
    refused_with(&gone, "rhizome store init");
    refused_with(&other, "this is store s-2, not s-1");
    refused_with(&old, "went back by 60 s");
}

static void what_another_broker_refused_is_refused_however_far_it_has_come_since(void **state)
{
    (void)state;
    char why[RZ_MARK_WHY_MAX];
    rz_store_facts_t facts = the_same();
    facts.tick = known.tick - 60000;
    assert_true(rz_mark_tells_others(&known, &facts));
    assert_false(rz_mark_tells_others(&nothing, &facts));
    memcpy(facts.refused, "it went back", 13);
    assert_false(rz_mark_tells_others(&known, &facts)); /* said already */
    facts.tick = known.tick + 60000;
    assert_int_equal(rz_mark_judge(&known, &facts, why), RZ_MARK_REFUSED);
    assert_string_equal(why, "it went back");
    assert_int_equal(judge(&nothing, &facts), RZ_MARK_REFUSED);
    memcpy(facts.accepted, facts.replid, sizeof facts.accepted);
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
    assert_false(rz_mark_tells_others(&known, &facts));
}

static void a_step_back_that_a_crash_may_cost_is_none(void **state)
{
    (void)state;
    rz_store_facts_t facts = the_same();
    facts.tick = known.tick - RZ_TICK_BACK_MAX_MS;
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
    facts.tick--;
    assert_int_equal(judge(&known, &facts), RZ_MARK_REFUSED);
}

static void what_was_accepted_goes_on_for_this_life_of_redis_only(void **state)
{
    (void)state;
    rz_store_facts_t facts = the_same();
    memcpy(facts.id, "s-2", 4);
    memcpy(facts.accepted, "aa", 3);
    facts.term = 8;
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
    memcpy(facts.replid, "bb", 3);
    assert_int_equal(judge(&known, &facts), RZ_MARK_REFUSED);
}

static void another_lineage_begins_a_term_above_all_that_are_known(void **state)
{
    (void)state;
    rz_store_facts_t facts = the_same();
    memcpy(facts.replid, "bb", 3);
    assert_int_equal(judge(&known, &facts), RZ_MARK_NEW_TERM);
    assert_int_equal(judge(&nothing, &facts), RZ_MARK_NEW_TERM);
    assert_int_equal(rz_mark_least(&known), 8);
    assert_int_equal(rz_mark_least(&nothing), 0);
}

/* It was raised by a broker that knew less: the failover had lost our term, and so it was given twice. */
static void a_term_that_is_not_above_ours_in_another_lineage_is_raised_again(void **state)
{
    (void)state;
    rz_store_facts_t facts = the_same();
    memcpy(facts.replid, "bb", 3);
    memcpy(facts.lineage, "bb", 3);
    assert_int_equal(judge(&known, &facts), RZ_MARK_NEW_TERM);
    facts.term = 6;
    assert_int_equal(judge(&known, &facts), RZ_MARK_NEW_TERM);
    facts.term = 8;
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
}

static void a_redis_that_does_not_tell_its_lineage_begins_no_term(void **state)
{
    (void)state;
    rz_store_facts_t facts = the_same();
    facts.replid[0] = '\0';
    assert_int_equal(judge(&known, &facts), RZ_MARK_GOES_ON);
}

static void the_mark_keeps_the_latest_tick_but_starts_anew_with_what_was_accepted(void **state)
{
    (void)state;
    rz_store_mark_t mark = known;
    rz_store_facts_t facts = the_same();
    facts.tick = known.tick - 2000;
    rz_mark_take(&mark, &facts);
    assert_int_equal(mark.tick, known.tick);
    facts.tick = known.tick - 60000;
    facts.term = 9;
    rz_mark_take(&mark, &facts);
    assert_int_equal(mark.tick, facts.tick);
    assert_int_equal(mark.term, 9);
    memcpy(facts.id, "s-2", 4);
    facts.tick = 5;
    rz_mark_take(&mark, &facts);
    assert_string_equal(mark.id, "s-2");
    assert_int_equal(mark.tick, 5);
}

static void a_library_serves_its_major_with_the_same_or_a_later_minor(void **state)
{
    (void)state;
    assert_true(rz_library_serves("1.2", "1.2"));
    assert_true(rz_library_serves("1.10", "1.9"));
    assert_false(rz_library_serves("1.1", "1.2"));
    assert_false(rz_library_serves("2.2", "1.2"));
    assert_false(rz_library_serves("", "1.0"));
    assert_true(rz_library_number("1.10") > rz_library_number("1.9"));
    assert_true(rz_library_number("2.0") > rz_library_number("1.999"));
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_store_that_is_known_goes_on),
    cmocka_unit_test(who_knows_nothing_takes_any_store),
    cmocka_unit_test(a_store_that_is_gone_another_or_went_back_is_refused_with_a_sentence),
    cmocka_unit_test(what_another_broker_refused_is_refused_however_far_it_has_come_since),
    cmocka_unit_test(a_step_back_that_a_crash_may_cost_is_none),
    cmocka_unit_test(what_was_accepted_goes_on_for_this_life_of_redis_only),
    cmocka_unit_test(another_lineage_begins_a_term_above_all_that_are_known),
    cmocka_unit_test(a_term_that_is_not_above_ours_in_another_lineage_is_raised_again),
    cmocka_unit_test(a_redis_that_does_not_tell_its_lineage_begins_no_term),
    cmocka_unit_test(the_mark_keeps_the_latest_tick_but_starts_anew_with_what_was_accepted),
    cmocka_unit_test(a_library_serves_its_major_with_the_same_or_a_later_minor),
};
/* clang-format on */

RZ_FACTS(tests)
