/* test_roster.c - who could run what. */
#include "facts.h"

#include "roster.h"

static roster_t *roster;

static int roster_up(void **state)
{
    (void)state;
    roster = roster_create();
    return 0;
}

static int roster_down(void **state)
{
    (void)state;
    roster_destroy(&roster);
    return 0;
}

/* labels, profiles: JSON arrays */
static runner_t *add(const char *name, const char *labels, const char *profiles, uint64_t granted)
{
    char incarnation[40];
    cJSON *label_list = cJSON_Parse(labels), *profile_list = cJSON_Parse(profiles);
    snprintf(incarnation, sizeof incarnation, "%s-1", name);
    runner_t *runner = roster_add(roster, &(runner_hello_t){ .peer = rz_str(name),
                                                             .name = name,
                                                             .incarnation = incarnation,
                                                             .slots = 8,
                                                             .labels = label_list,
                                                             .profiles = profile_list });
    cJSON_Delete(label_list);
    cJSON_Delete(profile_list);
    runner->joined = true;
    runner_credit(runner, granted, NULL, NULL);
    return runner;
}

static void give_idle(runner_t *runner, const char *json)
{
    cJSON *idle = cJSON_Parse(json);
    runner_credit(runner, runner->granted, idle, NULL);
    cJSON_Delete(idle);
}

static void fill(runner_t *runner, const char *json)
{
    cJSON *full = json != NULL ? cJSON_Parse(json) : NULL;
    runner_credit(runner, runner->granted, NULL, full);
    cJSON_Delete(full);
}

static void nobody_linked_is_said_as_such(void **state)
{
    char why[128];
    (void)state;
    assert_false(roster_offers(roster, "echo", "", why, sizeof why));
    assert_string_equal(why, "no runner is linked");
}

static void a_runner_that_has_not_joined_offers_nothing(void **state)
{
    char why[128];
    (void)state;
    add("r1", "[]", "[\"echo\"]", 8)->joined = false;
    assert_false(roster_offers(roster, "echo", "", why, sizeof why));
    assert_string_equal(why, "no runner is linked");
    assert_null(roster_pick(roster, "echo", "", NULL));
}

static void a_missing_profile_is_named(void **state)
{
    char why[128];
    (void)state;
    add("r1", "[]", "[\"echo\"]", 8);
    assert_false(roster_offers(roster, "survey", "", why, sizeof why));
    assert_string_equal(why, "no runner offers profile survey");
}

static void a_missing_label_is_named(void **state)
{
    char why[128];
    (void)state;
    add("r1", "[\"cpu\"]", "[\"echo\"]", 8);
    assert_true(roster_offers(roster, "echo", "cpu", why, sizeof why));
    assert_false(roster_offers(roster, "echo", "cpu,gpu", why, sizeof why));
    assert_string_equal(why, "no runner offers label gpu");
    assert_false(roster_offers(roster, "echo", "cp", why, sizeof why));
    assert_string_equal(why, "no runner offers label cp");
}

static void labels_that_only_stand_apart_are_named_together(void **state)
{
    char why[128];
    (void)state;
    add("r1", "[\"cpu\"]", "[\"echo\"]", 8);
    add("r2", "[\"gpu\"]", "[\"echo\"]", 8);
    assert_false(roster_offers(roster, "echo", "cpu,gpu", why, sizeof why));
    assert_string_equal(why, "no runner offers all labels of cpu,gpu");
}

static void a_busy_runner_still_offers(void **state)
{
    char why[128];
    (void)state;
    add("r1", "[]", "[\"echo\"]", 0);
    assert_true(roster_offers(roster, "echo", "", why, sizeof why));
    assert_null(roster_pick(roster, "echo", "", NULL));
}

static void a_profile_without_room_is_given_nothing_until_the_next_credit(void **state)
{
    runner_t *out[2];
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\",\"survey\"]", 8);
    fill(runner, "[\"survey\"]");
    assert_false(runner_takes(runner, "survey", ""));
    assert_null(roster_pick(roster, "survey", "", NULL));
    assert_int_equal(roster_candidates(roster, "survey", "", out, 2), 0);
    assert_ptr_equal(roster_pick(roster, "echo", "", NULL), runner);
    assert_int_equal(roster_candidates(roster, "echo", "", out, 2), 1);
    fill(runner, NULL);
    assert_ptr_equal(roster_pick(roster, "survey", "", NULL), runner);
}

static void a_profile_without_room_is_still_offered(void **state)
{
    char why[128];
    (void)state;
    fill(add("r1", "[]", "[\"survey\"]", 8), "[\"survey\"]");
    assert_true(roster_offers(roster, "survey", "", why, sizeof why));
    assert_true(roster_offers(roster, "survey", "", NULL, 0));
    assert_false(roster_offers(roster, "other", "", NULL, 0));
}

static void where_a_profile_is_full_another_runner_is_picked_though_it_is_cold(void **state)
{
    (void)state;
    runner_t *full = add("r1", "[]", "[\"survey\"]", 8), *other = add("r2", "[]", "[\"survey\"]", 1);
    cJSON *idle = cJSON_Parse("{\"k1\":2}"), *names = cJSON_Parse("[\"survey\"]");
    runner_credit(full, 8, idle, names);
    cJSON_Delete(idle);
    cJSON_Delete(names);
    assert_ptr_equal(roster_pick(roster, "survey", "", "k1"), other);
}

static void the_runner_with_most_free_credit_is_picked(void **state)
{
    (void)state;
    add("r1", "[]", "[\"echo\"]", 3);
    runner_t *most = add("r2", "[]", "[\"echo\"]", 5);
    add("r3", "[]", "[\"echo\"]", 4);
    assert_ptr_equal(roster_pick(roster, "echo", "", "k1"), most);
}

static void an_idle_worker_of_the_key_goes_before_free_credit(void **state)
{
    (void)state;
    runner_t *warm = add("r1", "[]", "[\"echo\"]", 1);
    add("r2", "[]", "[\"echo\"]", 8);
    give_idle(warm, "{\"k1\":1}");
    assert_ptr_equal(roster_pick(roster, "echo", "", "k1"), warm);
    assert_ptr_not_equal(roster_pick(roster, "echo", "", "k2"), warm);
    assert_ptr_not_equal(roster_pick(roster, "echo", "", NULL), warm);
}

static void an_assignment_takes_credit_and_the_idle_worker_of_its_key(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 2);
    give_idle(runner, "{\"k1\":1,\"k2\":3}");
    assert_string_equal(runner->idle_text.data, "k1=1 k2=3");
    runner_assigned(runner, "c1", 1, "k1", 0);
    assert_int_equal(runner_free(runner), 1);
    assert_string_equal(runner->idle_text.data, "k2=3");
    runner_assigned(runner, "c2", 1, "k9", 0);
    assert_int_equal(runner_free(runner), 0);
    assert_false(roster_has_credit(roster));
}

static void reserved_credit_is_not_free_until_it_is_given_back(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 2);
    runner_reserve(runner, 2);
    assert_int_equal(runner_free(runner), 0);
    runner_unreserve(runner, 2);
    assert_int_equal(runner_free(runner), 2);
    runner_unreserve(runner, 5); /* of a link that was renewed meanwhile */
    assert_int_equal(runner_free(runner), 2);
}

static void less_credit_than_was_sent_is_none(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 2);
    runner_assigned(runner, "c1", 1, "", 0);
    runner_assigned(runner, "c2", 1, "", 0);
    runner_credit(runner, 1, NULL, NULL);
    assert_int_equal(runner_free(runner), 0);
}

static void candidates_come_most_free_first_and_the_least_free_fall_off(void **state)
{
    runner_t *out[3];
    (void)state;
    add("r1", "[]", "[\"echo\"]", 1);
    add("r2", "[]", "[\"echo\"]", 4);
    add("r3", "[]", "[\"other\"]", 9);
    add("r4", "[]", "[\"echo\"]", 0);
    add("r5", "[]", "[\"echo\"]", 3);
    add("r6", "[]", "[\"echo\"]", 2);
    assert_int_equal(roster_candidates(roster, "echo", "", out, 3), 3);
    assert_string_equal(out[0]->name, "r2");
    assert_string_equal(out[1]->name, "r5");
    assert_string_equal(out[2]->name, "r6");
}

static void what_was_handed_over_is_remembered_until_it_is_answered(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 8);
    runner_assigned(runner, "c1", 3, "", 1000);
    assert_true(runner_was_handed(runner, "c1", 3, 1500, 600));
    assert_false(runner_was_handed(runner, "c1", 3, 1600, 600));
    assert_false(runner_was_handed(runner, "c1", 2, 1500, 600));
    runner_answered(runner, "c1", 2);
    assert_true(runner_was_handed(runner, "c1", 3, 1500, 600));
    runner_answered(runner, "c1", 3);
    assert_false(runner_was_handed(runner, "c1", 3, 1500, 600));
}

static void only_runners_at_home_here_are_a_load(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 8);
    add("r2", "[]", "[\"echo\"]", 0)->slots = 3;
    assert_int_equal(roster_load(roster), 11);
    runner_pinged(runner, 0, false); /* it went elsewhere */
    assert_int_equal(roster_load(roster), 3);
    assert_int_equal(runner_free(runner), 0);
    runner_pinged(runner, 0, true);
    runner->joined = false;
    assert_int_equal(roster_load(roster), 3);
}

static void a_ping_makes_good_for_a_credit_that_was_lost(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 2);
    give_idle(runner, "{\"k1\":1}");
    assert_false(runner_pinged(runner, 2, true)); /* a repeat says nothing new */
    assert_int_equal(runner_free(runner), 2);
    assert_true(runner_pinged(runner, 5, true));
    assert_int_equal(runner_free(runner), 5);
    assert_false(runner_pinged(runner, 1, true));
    assert_int_equal(runner_free(runner), 1);
    assert_int_equal(runner->idle_count, 1); /* of that it says nothing */
}

static void a_runner_that_links_again_has_another_serial(void **state)
{
    (void)state;
    runner_t *runner = add("r1", "[]", "[\"echo\"]", 8);
    uint64_t serial = runner->serial;
    roster_remove(roster, runner);
    assert_null(roster_by_serial(roster, serial));
    assert_null(roster_by_peer(roster, RZ_STR("r1")));
    runner = add("r1", "[]", "[\"echo\"]", 8);
    assert_int_not_equal(runner->serial, serial);
    assert_ptr_equal(roster_by_incarnation(roster, "r1-1"), runner);
    assert_ptr_equal(roster_by_peer(roster, RZ_STR("r1")), runner);
    assert_null(roster_by_incarnation(roster, ""));
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup_teardown(nobody_linked_is_said_as_such, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_runner_that_has_not_joined_offers_nothing, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_missing_profile_is_named, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_missing_label_is_named, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(labels_that_only_stand_apart_are_named_together, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_busy_runner_still_offers, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_profile_without_room_is_given_nothing_until_the_next_credit, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_profile_without_room_is_still_offered, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(where_a_profile_is_full_another_runner_is_picked_though_it_is_cold, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(the_runner_with_most_free_credit_is_picked, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(an_idle_worker_of_the_key_goes_before_free_credit, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(an_assignment_takes_credit_and_the_idle_worker_of_its_key, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(reserved_credit_is_not_free_until_it_is_given_back, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(less_credit_than_was_sent_is_none, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(candidates_come_most_free_first_and_the_least_free_fall_off, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(what_was_handed_over_is_remembered_until_it_is_answered, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(only_runners_at_home_here_are_a_load, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_ping_makes_good_for_a_credit_that_was_lost, roster_up, roster_down),
    cmocka_unit_test_setup_teardown(a_runner_that_links_again_has_another_serial, roster_up, roster_down),
    /* clang-format on */
};

RZ_FACTS(tests)
