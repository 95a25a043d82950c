/* test_heard.c - which steering messages a worker was told. */
#include "facts.h"
#include "heard.h"

static void what_was_added_is_known_and_nothing_else(void **state)
{
    (void)state;
    heard_t heard = { 0 };
    char id[] = "m-1";
    assert_false(heard_has(&heard, id));
    heard_add(&heard, id);
    id[2] = '2'; /* it keeps its own copy */
    assert_true(heard_has(&heard, "m-1"));
    assert_false(heard_has(&heard, id));
    assert_false(heard_has(&heard, "m-"));
    heard_fini(&heard);
    assert_false(heard_has(&heard, "m-1"));
}

static void the_oldest_is_forgotten_when_there_are_too_many(void **state)
{
    (void)state;
    heard_t heard = { 0 };
    char id[32];
    for (int i = 0; i < 2 * HEARD_MAX + 3; i++) {
        snprintf(id, sizeof id, "m-%d", i);
        heard_add(&heard, id);
        snprintf(id, sizeof id, "m-%d", i - HEARD_MAX + 1);
        assert_true(i < HEARD_MAX - 1 || heard_has(&heard, id));
        snprintf(id, sizeof id, "m-%d", i - HEARD_MAX);
        assert_false(heard_has(&heard, id));
    }
    heard_fini(&heard);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_was_added_is_known_and_nothing_else),
    cmocka_unit_test(the_oldest_is_forgotten_when_there_are_too_many),
};
RZ_FACTS(tests)
