/* test_spent.c - what was let go of is known again, for some thousands, and what the latest of it said. */
#include "facts.h"

#include "base/id.h"
#include "base/mem.h"
#include "spent.h"

#include <stdlib.h>
#include <string.h>

#define LARGE (SPENT_BYTES_MAX / 4)

static const outcome_t given_back = { .released = true };

static outcome_t completed_with(size_t reply_bytes)
{
    words_t *words = rz_alloc(sizeof *words);
    char *reply = rz_alloc(reply_bytes + 1);
    memset(reply, 'x', reply_bytes);
    words->status = "completed";
    rz_buf_put(&words->reply, reply, reply_bytes);
    rz_buf_puts(&words->error, "e");
    rz_buf_puts(&words->header, "h");
    rz_buf_puts(&words->event, "v");
    rz_free(reply);
    return (outcome_t){ .words = words };
}

static void a_token_is_known_once_it_was_added(void **state)
{
    (void)state;
    char one[RZ_TOKEN_LEN + 1], other[RZ_TOKEN_LEN + 1];
    spent_t *spent = spent_create();
    rz_token_new(one);
    rz_token_new(other);
    assert_null(spent_find(spent, "c", one));
    spent_add(spent, "c", one, given_back);
    assert_true(spent_find(spent, "c", one)->released);
    assert_null(spent_find(spent, "c", other));
    assert_null(spent_find(spent, "d", one));
    spent_add(spent, "c", "00000000000000000000000000000000", (outcome_t){ 0 });
    assert_false(spent_find(spent, "c", "00000000000000000000000000000000")->released);
    spent_destroy(&spent);
    assert_null(spent);
}

static void the_latest_thousands_are_known_and_older_ones_go(void **state)
{
    (void)state;
    char(*token)[RZ_TOKEN_LEN + 1] = malloc((size_t)3 * SPENT_MAX * sizeof *token);
    assert_non_null(token);
    spent_t *spent = spent_create();
    for (size_t i = 0; i < (size_t)3 * SPENT_MAX; i++) {
        rz_token_new(token[i]);
        spent_add(spent, "c", token[i], i % 2 == 0 ? given_back : completed_with(1));
        if (i < SPENT_MAX || i % 64 != 0)
            continue;
        assert_null(spent_find(spent, "c", token[i - SPENT_MAX]));
        assert_non_null(spent_find(spent, "c", token[i - SPENT_MAX + 1]));
        assert_non_null(spent_find(spent, "c", token[i]));
    }
    spent_destroy(&spent);
    free(token);
}

static void what_the_latest_said_is_kept_as_far_as_there_is_room(void **state)
{
    (void)state;
    char token[8][RZ_TOKEN_LEN + 1];
    spent_t *spent = spent_create();
    for (size_t i = 0; i < 8; i++) {
        rz_token_new(token[i]);
        spent_add(spent, "c", token[i], completed_with(LARGE));
        const words_t *words = spent_find(spent, "c", token[i])->words;
        assert_string_equal(words->status, "completed");
        assert_int_equal(words->reply.len, LARGE);
    }
    assert_non_null(spent_find(spent, "c", token[5])->words);
    assert_null(spent_find(spent, "c", token[4])->words); /* four of them are more than there is room for */
    assert_false(spent_find(spent, "c", token[4])->released);
    rz_token_new(token[0]);
    spent_add(spent, "c", token[0], completed_with(2 * SPENT_BYTES_MAX));
    assert_null(spent_find(spent, "c", token[0])->words);
    assert_null(spent_find(spent, "c", token[7])->words);
    spent_add(spent, "d", token[1], completed_with(1));
    assert_non_null(spent_find(spent, "d", token[1])->words);
    spent_destroy(&spent);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_token_is_known_once_it_was_added),
    cmocka_unit_test(the_latest_thousands_are_known_and_older_ones_go),
    cmocka_unit_test(what_the_latest_said_is_kept_as_far_as_there_is_room),
};
RZ_FACTS(tests)
