/* test_rooms.c - how many runs of each profile may go at a time. */
#include "facts.h"
#include "rooms.h"

#define SLOTS 3

typedef struct {
    rz_agents_t *agents;
    rooms_t *rooms;
} house_t;

/* Profiles `one` (max_concurrent 1), `two` (2), `many` (8) and the built-in `echo`, which says nothing. */
static house_t house_up(void)
{
    static const char table[] =
        "{\"one\":{\"agent_id\":\"one\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"max_concurrent\":1},"
        "\"two\":{\"agent_id\":\"two\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"max_concurrent\":2},"
        "\"many\":{\"agent_id\":\"many\",\"protocol\":\"actor\",\"permission_profile\":\"p\",\"max_concurrent\":8}}";
    cJSON *externals = cJSON_Parse(table);
    rz_err_t err = { 0 };
    house_t house = { .agents = rz_agents_create(externals, NULL, NULL, &err) };
    assert_non_null(house.agents);
    house.rooms = rooms_create(house.agents, SLOTS);
    cJSON_Delete(externals);
    return house;
}

static void house_down(house_t *house)
{
    rooms_destroy(&house->rooms);
    assert_null(house->rooms);
    rz_agents_destroy(&house->agents);
}

static void expect_full(const house_t *house, const char *list)
{
    cJSON *full = rooms_full(house->rooms);
    char *text = full != NULL ? cJSON_PrintUnformatted(full) : NULL;
    assert_string_equal(text != NULL ? text : "", list);
    cJSON_free(text);
    cJSON_Delete(full);
}

static void a_profile_takes_as_many_as_it_has_room_for(void **state)
{
    (void)state;
    house_t house = house_up();
    guest_t a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    assert_true(rooms_enter(house.rooms, &a, "two"));
    assert_true(rooms_enter(house.rooms, &b, "two"));
    assert_false(rooms_enter(house.rooms, &c, "two"));
    assert_true(rooms_enter(house.rooms, &d, "one")); /* each has its own */
    assert_null(rooms_admit(house.rooms));
    rooms_leave(&a);
    assert_ptr_equal(rooms_admit(house.rooms), &c);
    assert_null(rooms_admit(house.rooms));
    house_down(&house);
}

static void a_profile_without_a_limit_has_the_slots_for_one(void **state)
{
    (void)state;
    house_t house = house_up();
    guest_t guests[SLOTS + 1] = { { 0 } };
    for (size_t i = 0; i < SLOTS; i++)
        assert_true(rooms_enter(house.rooms, &guests[i], "echo"));
    assert_false(rooms_enter(house.rooms, &guests[SLOTS], "echo"));
    house_down(&house);
}

static void who_waits_longest_comes_first(void **state)
{
    (void)state;
    house_t house = house_up();
    guest_t in = { 0 }, waiting[3] = { { 0 } }, late = { 0 };
    rooms_enter(house.rooms, &in, "one");
    for (size_t i = 0; i < 3; i++)
        assert_false(rooms_enter(house.rooms, &waiting[i], "one"));
    rooms_leave(&in);
    assert_false(rooms_enter(house.rooms, &late, "one")); /* nobody overtakes */
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(rooms_admit(house.rooms), &waiting[i]);
        assert_null(rooms_admit(house.rooms));
        rooms_leave(&waiting[i]);
    }
    assert_ptr_equal(rooms_admit(house.rooms), &late);
    house_down(&house);
}

static void who_goes_while_waiting_takes_nobodys_place(void **state)
{
    (void)state;
    house_t house = house_up();
    guest_t in = { 0 }, impatient = { 0 }, next = { 0 };
    rooms_enter(house.rooms, &in, "one");
    rooms_enter(house.rooms, &impatient, "one");
    rooms_enter(house.rooms, &next, "one");
    rooms_leave(&impatient);
    rooms_leave(&impatient);
    assert_null(rooms_admit(house.rooms));
    rooms_leave(&in);
    assert_ptr_equal(rooms_admit(house.rooms), &next);
    assert_null(rooms_admit(house.rooms));
    rooms_leave(&next);
    assert_true(rooms_enter(house.rooms, &impatient, "one")); /* a guest may come again */
    house_down(&house);
}

static void full_are_those_whose_own_limit_is_reached(void **state)
{
    (void)state;
    house_t house = house_up();
    guest_t guests[9] = { { 0 } };
    expect_full(&house, "");
    rooms_enter(house.rooms, &guests[0], "one");
    expect_full(&house, "[\"one\"]");
    rooms_enter(house.rooms, &guests[1], "two");
    rooms_enter(house.rooms, &guests[2], "two");
    expect_full(&house, "[\"one\",\"two\"]");
    for (size_t i = 3; i < 3 + SLOTS; i++) /* what the slots bound needs no telling: credit does it */
        rooms_enter(house.rooms, &guests[i], "echo");
    expect_full(&house, "[\"one\",\"two\"]");
    rooms_leave(&guests[0]);
    expect_full(&house, "[\"two\"]");
    house_down(&house);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_profile_takes_as_many_as_it_has_room_for),
    cmocka_unit_test(a_profile_without_a_limit_has_the_slots_for_one),
    cmocka_unit_test(who_waits_longest_comes_first),
    cmocka_unit_test(who_goes_while_waiting_takes_nobodys_place),
    cmocka_unit_test(full_are_those_whose_own_limit_is_reached),
};
RZ_FACTS(tests)
