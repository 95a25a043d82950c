/* test_spent.c - what was let go of is known again, for some thousands. */
#include "facts.h"

#include "base/id.h"
#include "spent.h"

#include <stdlib.h>

static void a_token_is_known_once_it_was_added(void **state)
{
    (void)state;
    char one[RZ_TOKEN_LEN + 1], other[RZ_TOKEN_LEN + 1];
    spent_t *spent = spent_create();
    rz_token_new(one);
    rz_token_new(other);
    assert_false(spent_has(spent, "c", one));
    spent_add(spent, "c", one);
    spent_add(spent, "c", one);
    assert_true(spent_has(spent, "c", one));
    assert_false(spent_has(spent, "c", other));
    assert_false(spent_has(spent, "d", one));
    spent_add(spent, "c", "00000000000000000000000000000000");
    assert_true(spent_has(spent, "c", "00000000000000000000000000000000"));
    spent_destroy(&spent);
    assert_null(spent);
}

static void the_latest_thousands_are_known_and_older_ones_go(void **state)
{
    (void)state;
    char(*token)[RZ_TOKEN_LEN + 1] = malloc((size_t)4 * SPENT_LEAST * sizeof *token);
    assert_non_null(token);
    spent_t *spent = spent_create();
    for (size_t i = 0; i < 4 * SPENT_LEAST; i++) {
        rz_token_new(token[i]);
        spent_add(spent, "c", token[i]);
        if (i >= SPENT_LEAST)
            assert_true(spent_has(spent, "c", token[i - SPENT_LEAST + 1]));
    }
    assert_false(spent_has(spent, "c", token[0]));
    assert_false(spent_has(spent, "c", token[SPENT_LEAST]));
    spent_destroy(&spent);
    free(token);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_token_is_known_once_it_was_added),
    cmocka_unit_test(the_latest_thousands_are_known_and_older_ones_go),
};
RZ_FACTS(tests)
