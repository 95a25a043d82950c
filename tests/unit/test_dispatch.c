/* test_dispatch.c - which class is claimed next, and when not. */
#include "facts.h"

#include "dispatch.h"

static roster_t *roster;
static dispatch_t *dispatch;

static runner_t *add(const char *name, const char *profile, uint64_t granted)
{
    cJSON *profiles = cJSON_CreateStringArray(&profile, 1);
    runner_t *runner = roster_add(
        roster,
        &(runner_hello_t){ .peer = rz_str(name), .name = name, .incarnation = name, .profiles = profiles });
    cJSON_Delete(profiles);
    runner->joined = true;
    runner_credit(runner, granted, NULL, NULL);
    return runner;
}

static int dispatch_up(void **state)
{
    (void)state;
    roster = roster_create();
    dispatch = dispatch_create();
    return 0;
}

static int dispatch_down(void **state)
{
    (void)state;
    dispatch_destroy(&dispatch);
    roster_destroy(&roster);
    return 0;
}

/* Answers a plan and frees it. */
static void answer(plan_t *plan, rz_rc_t rc, size_t got, uint64_t left)
{
    dispatch_claimed(dispatch, roster, plan, rc, got, left);
    plan_fini(plan);
}

static void nothing_waiting_means_nothing_to_claim(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "echo", 8);
    assert_false(dispatch_next(dispatch, roster, &plan));
    assert_false(dispatch_waits(dispatch, "echo", ""));
}

static void work_without_credit_waits(void **state)
{
    plan_t plan;
    (void)state;
    runner_t *runner = add("r1", "echo", 0);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_waits(dispatch, "echo", ""));
    assert_false(dispatch_next(dispatch, roster, &plan));
    runner_credit(runner, 3, NULL, NULL);
    assert_true(dispatch_next(dispatch, roster, &plan));
    assert_int_equal(plan.max, 3);
    assert_string_equal(plan.candidate[0].owner, "r1");
    answer(&plan, RZ_OK, 1, 0);
}

static void credit_nobody_of_the_class_has_is_not_claimed_with(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "other", 8);
    dispatch_waiting(dispatch, "echo", "");
    assert_false(dispatch_next(dispatch, roster, &plan));
}

static void a_class_whose_profile_is_full_everywhere_waits_and_others_do_not(void **state)
{
    plan_t plan;
    (void)state;
    const char *both[] = { "echo", "survey" };
    cJSON *profiles = cJSON_CreateStringArray(both, 2), *full = cJSON_CreateStringArray(both + 1, 1);
    runner_t *runner = roster_add(
        roster,
        &(runner_hello_t){ .peer = RZ_STR("r1"), .name = "r1", .incarnation = "r1", .profiles = profiles });
    runner->joined = true;
    runner_credit(runner, 2, NULL, full);
    dispatch_waiting(dispatch, "survey", "");
    assert_false(dispatch_next(dispatch, roster, &plan));
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    assert_string_equal(plan.profile, "echo");
    answer(&plan, RZ_OK, 1, 0);
    runner_credit(runner, 2, NULL, NULL);
    assert_true(dispatch_next(dispatch, roster, &plan));
    assert_string_equal(plan.profile, "survey");
    answer(&plan, RZ_OK, 1, 0);
    cJSON_Delete(profiles);
    cJSON_Delete(full);
}

static void a_claim_reserves_all_credit_it_offers_and_gives_it_back(void **state)
{
    plan_t plan;
    (void)state;
    runner_t *one = add("r1", "echo", 3), *two = add("r2", "echo", 5);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    assert_int_equal(plan.n, 2);
    assert_int_equal(plan.max, 8);
    assert_string_equal(plan.candidate[0].owner, "r2");
    assert_int_equal(plan.candidate[0].room, 5);
    assert_int_equal(runner_free(one) + runner_free(two), 0);
    answer(&plan, RZ_OK, 0, 0);
    assert_int_equal(runner_free(one) + runner_free(two), 8);
}

static void a_claim_takes_at_most_a_batch(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "echo", 200);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    assert_int_equal(plan.max, RZ_BATCH_ITEMS_MAX);
    answer(&plan, RZ_OK, 1, 0);
}

static void one_class_is_claimed_by_one_call_at_a_time(void **state)
{
    plan_t plan, second;
    (void)state;
    runner_t *runner = add("r1", "echo", 1);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    runner_credit(runner, 9, NULL, NULL);
    assert_false(dispatch_next(dispatch, roster, &second));
    answer(&plan, RZ_OK, 1, 4);
    assert_true(dispatch_next(dispatch, roster, &second));
    answer(&second, RZ_OK, 4, 0);
    assert_false(dispatch_waits(dispatch, "echo", ""));
}

static void classes_take_turns(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "echo", 1);
    dispatch_waiting(dispatch, "echo", "");
    dispatch_waiting(dispatch, "echo", "");
    runner_t *both = add("r2", "other", 1);
    dispatch_waiting(dispatch, "other", "");
    char first[16], second[16];
    assert_true(dispatch_next(dispatch, roster, &plan));
    snprintf(first, sizeof first, "%s", plan.profile);
    answer(&plan, RZ_OK, 1, 7);
    assert_true(dispatch_next(dispatch, roster, &plan));
    snprintf(second, sizeof second, "%s", plan.profile);
    answer(&plan, RZ_OK, 1, 7);
    assert_string_not_equal(first, second);
    assert_int_equal(dispatch_classes(dispatch), 2);
    assert_int_equal(runner_free(both), 1);
}

static void a_failed_claim_waits_for_the_next_look_at_the_store(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "echo", 1);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    answer(&plan, RZ_UNKNOWN, 0, 0);
    assert_true(dispatch_waits(dispatch, "echo", ""));
    assert_false(dispatch_next(dispatch, roster, &plan));
    rz_class_t seen = { .profile = "echo", .labels = "", .waiting = 1 };
    dispatch_seen(dispatch, &seen, 1);
    assert_true(dispatch_next(dispatch, roster, &plan));
    answer(&plan, RZ_OK, 1, 0);
}

static void empty_claims_are_repeated_but_not_for_ever(void **state)
{
    plan_t plan;
    unsigned claims = 0;
    (void)state;
    add("r1", "echo", 1);
    dispatch_waiting(dispatch, "echo", "");
    while (dispatch_next(dispatch, roster, &plan)) {
        answer(&plan, RZ_OK, 0, 1);
        claims++;
        assert_true(claims < 1000);
    }
    assert_true(claims > 1);
}

static void the_store_has_the_last_word_on_what_waits(void **state)
{
    plan_t plan;
    (void)state;
    dispatch_waiting(dispatch, "echo", "");
    rz_class_t seen[] = { { "echo", "gpu", 2 }, { "other", "", 0 } };
    dispatch_seen(dispatch, seen, 2);
    assert_false(dispatch_waits(dispatch, "echo", ""));
    assert_true(dispatch_waits(dispatch, "echo", "gpu"));
    assert_false(dispatch_waits(dispatch, "other", ""));
    assert_false(dispatch_next(dispatch, roster, &plan));
}

static void a_class_being_claimed_keeps_its_own_answer(void **state)
{
    plan_t plan;
    (void)state;
    add("r1", "echo", 2);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    dispatch_seen(dispatch, NULL, 0);
    assert_true(dispatch_waits(dispatch, "echo", ""));
    answer(&plan, RZ_OK, 2, 0);
    assert_false(dispatch_waits(dispatch, "echo", ""));
}

static void a_runner_that_left_during_its_claim_is_no_matter(void **state)
{
    plan_t plan;
    (void)state;
    runner_t *runner = add("r1", "echo", 2);
    dispatch_waiting(dispatch, "echo", "");
    assert_true(dispatch_next(dispatch, roster, &plan));
    roster_remove(roster, runner);
    answer(&plan, RZ_OK, 2, 1);
    assert_true(dispatch_waits(dispatch, "echo", ""));
    assert_false(dispatch_next(dispatch, roster, &plan));
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(nothing_waiting_means_nothing_to_claim, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(work_without_credit_waits, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(credit_nobody_of_the_class_has_is_not_claimed_with, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_class_whose_profile_is_full_everywhere_waits_and_others_do_not, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_claim_reserves_all_credit_it_offers_and_gives_it_back, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_claim_takes_at_most_a_batch, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(one_class_is_claimed_by_one_call_at_a_time, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(classes_take_turns, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_failed_claim_waits_for_the_next_look_at_the_store, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(empty_claims_are_repeated_but_not_for_ever, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(the_store_has_the_last_word_on_what_waits, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_class_being_claimed_keeps_its_own_answer, dispatch_up, dispatch_down),
    cmocka_unit_test_setup_teardown(a_runner_that_left_during_its_claim_is_no_matter, dispatch_up, dispatch_down),
    /* clang-format on */
};

RZ_FACTS(tests)
