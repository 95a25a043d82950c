/* test_door.c - every knock at a worker's door. */
#include "facts.h"

#include "door.h"

static char token[RZ_SECRET_LEN + 1], other[RZ_SECRET_LEN + 1];

static int two_tokens(void **state)
{
    (void)state;
    rz_secret_new(token);
    rz_secret_new(other);
    assert_string_not_equal(token, other);
    return 0;
}

static door_t door_of(const char *with)
{
    door_t door;
    door_init(&door, with);
    return door;
}

static void without_a_token_everybody_comes_in(void **state)
{
    (void)state;
    door_t door = door_of("");
    assert_false(door_is_guarded(&door));
    for (int occupied = 0; occupied < 2; occupied++) {
        assert_int_equal(door_knock(&door, rz_str(""), occupied), 0);
        assert_int_equal(door_knock(&door, rz_str(token), occupied), 0);
    }
}

static void the_token_opens_once(void **state)
{
    (void)state;
    door_t door = door_of(token);
    assert_true(door_is_guarded(&door));
    assert_int_equal(door_knock(&door, rz_str(token), false), 0);
    assert_int_equal(door_knock(&door, rz_str(token), true), 503);
    assert_int_equal(door_knock(&door, rz_str(other), true), 503);
    assert_int_equal(door_knock(&door, rz_str(token), false), 401);
    assert_int_equal(door_knock(&door, rz_str(""), false), 401);
}

/* Whatever is near it, and what a used door's own memory would match. */
static void nothing_else_opens(void **state)
{
    (void)state;
    char near[RZ_SECRET_LEN + 2];
    door_t door = door_of(token);
    assert_int_equal(door_knock(&door, rz_str(""), false), 401);
    assert_int_equal(door_knock(&door, rz_str(other), false), 401);
    for (size_t i = 0; i < RZ_SECRET_LEN; i++) {
        snprintf(near, sizeof near, "%s", token);
        near[i] = near[i] == '0' ? '1' : '0';
        assert_int_equal(door_knock(&door, rz_str(near), false), 401);
        assert_int_equal(door_knock(&door, (rz_str_t){ token, i }, false), 401);
    }
    snprintf(near, sizeof near, "%s0", token);
    assert_int_equal(door_knock(&door, rz_str(near), false), 401);
    assert_int_equal(door_knock(&door, rz_str(token), false), 0);
    assert_int_equal(door_knock(&door, (rz_str_t){ (char[RZ_SECRET_LEN]){ 0 }, RZ_SECRET_LEN }, false), 401);
}

static void a_used_token_is_wiped(void **state)
{
    (void)state;
    static const char zeros[RZ_SECRET_LEN];
    door_t door = door_of(token);
    assert_int_equal(door_knock(&door, rz_str(token), false), 0);
    assert_memory_equal(door.token, zeros, sizeof zeros);
}

static const struct CMUnitTest tests[] = {
    /* clang-format off */
    cmocka_unit_test_setup(without_a_token_everybody_comes_in, two_tokens),
    cmocka_unit_test_setup(the_token_opens_once, two_tokens),
    cmocka_unit_test_setup(nothing_else_opens, two_tokens),
    cmocka_unit_test_setup(a_used_token_is_wiped, two_tokens),
    /* clang-format on */
};

RZ_FACTS(tests)
