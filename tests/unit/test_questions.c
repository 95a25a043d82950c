/* test_questions.c - what a worker asked and nobody has answered yet. */
#include "facts.h"
#include "questions.h"

static void a_question_is_open_until_it_is_closed_once(void **state)
{
    (void)state;
    questions_t questions = { 0 };
    assert_false(questions_close(&questions, "sa-0"));
    assert_int_equal(questions_ask(&questions, "sa-0", 100), QUESTION_OPEN);
    assert_int_equal(questions_ask(&questions, "sa-1", 100), QUESTION_OPEN);
    assert_int_equal(questions_ask(&questions, "sa-0", 900), QUESTION_KNOWN);
    assert_true(questions_close(&questions, "sa-0"));
    assert_false(questions_close(&questions, "sa-0"));
    assert_int_equal(questions_ask(&questions, "sa-0", 200), QUESTION_OPEN);
    questions_fini(&questions);
}

static void the_oldest_question_comes_first_and_is_the_first_that_is_due(void **state)
{
    (void)state;
    questions_t questions = { 0 };
    question_t question;
    assert_false(questions_first(&questions, &question));
    questions_ask(&questions, "a", 100);
    questions_ask(&questions, "b", 200);
    questions_ask(&questions, "c", 200);
    assert_false(questions_overdue(&questions, 99, &question));
    assert_true(questions_overdue(&questions, 100, &question));
    assert_string_equal(question.id, "a");
    questions_close(&questions, "a");
    assert_false(questions_overdue(&questions, 199, &question));
    assert_true(questions_first(&questions, &question));
    assert_string_equal(question.id, "b");
    questions_close(&questions, "b");
    assert_true(questions_overdue(&questions, 5000, &question));
    assert_string_equal(question.id, "c");
    questions_fini(&questions);
}

static void what_is_no_id_cannot_be_asked(void **state)
{
    (void)state;
    questions_t questions = { 0 };
    char long_id[RZ_ID_MAX + 2];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    assert_int_equal(questions_ask(&questions, "", 1), QUESTION_REFUSED);
    assert_int_equal(questions_ask(&questions, "sa 0", 1), QUESTION_REFUSED);
    assert_int_equal(questions_ask(&questions, "../sa", 1), QUESTION_REFUSED);
    assert_int_equal(questions_ask(&questions, long_id, 1), QUESTION_REFUSED);
    long_id[RZ_ID_MAX] = '\0';
    assert_int_equal(questions_ask(&questions, long_id, 1), QUESTION_OPEN);
    assert_true(questions_close(&questions, long_id));
    questions_fini(&questions);
}

static void there_is_a_most_that_may_be_open(void **state)
{
    (void)state;
    questions_t questions = { 0 };
    char id[16];
    for (int i = 0; i < QUESTIONS_MAX; i++) {
        snprintf(id, sizeof id, "sa-%d", i);
        assert_int_equal(questions_ask(&questions, id, 1), QUESTION_OPEN);
    }
    assert_int_equal(questions_ask(&questions, "one-more", 1), QUESTION_REFUSED);
    assert_int_equal(questions_ask(&questions, id, 1), QUESTION_KNOWN);
    questions_close(&questions, id);
    assert_int_equal(questions_ask(&questions, "one-more", 1), QUESTION_OPEN);
    questions_fini(&questions);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_question_is_open_until_it_is_closed_once),
    cmocka_unit_test(the_oldest_question_comes_first_and_is_the_first_that_is_due),
    cmocka_unit_test(what_is_no_id_cannot_be_asked),
    cmocka_unit_test(there_is_a_most_that_may_be_open),
};
RZ_FACTS(tests)
