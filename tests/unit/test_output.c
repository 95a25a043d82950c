/* test_output.c - what is kept of workers' stderr. */
#include "facts.h"
#include "output.h"

static void put(output_t *output, const char *child, uint64_t epoch, const char *text)
{
    output_append(output, child, epoch, text, strlen(text));
}

static void expect(const output_t *output, const char *child, const char *text)
{
    rz_buf_t seen = { 0 };
    assert_true(output_text(output, child, &seen));
    assert_string_equal(seen.data, text);
    rz_buf_fini(&seen);
}

static void the_newest_sixty_four_kibibytes_are_kept(void **state)
{
    (void)state;
    output_t *output = output_create();
    char line[65];
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof line, "%063d\n", i);
        put(output, "c", 1, line);
    }
    rz_buf_t seen = { 0 };
    assert_true(output_text(output, "c", &seen));
    assert_int_equal(seen.len, RZ_STDERR_KEPT);
    assert_memory_equal(seen.data + seen.len - 5, "4999\n", 5);
    rz_buf_fini(&seen);
    output_destroy(&output);
}

static void a_new_epoch_starts_afresh(void **state)
{
    (void)state;
    output_t *output = output_create();
    put(output, "c", 1, "old");
    put(output, "c", 2, "new ");
    put(output, "c", 2, "run");
    expect(output, "c", "new run");
    output_destroy(&output);
}

static void the_child_that_wrote_longest_ago_goes_first(void **state)
{
    (void)state;
    output_t *output = output_create();
    rz_buf_t none = { 0 };
    char child[32];
    put(output, "first", 1, "a");
    put(output, "second", 1, "b");
    for (int i = 0; i < OUTPUT_CHILDREN_MAX - 2; i++) {
        snprintf(child, sizeof child, "c%d", i);
        put(output, child, 1, "x");
    }
    put(output, "first", 1, "a");
    put(output, "one-more", 1, "x");
    assert_false(output_text(output, "second", &none));
    expect(output, "first", "aa");
    output_destroy(&output);
}

static void what_is_no_text_becomes_question_marks(void **state)
{
    (void)state;
    output_t *output = output_create();
    output_append(output, "c", 1, "a\0b\xff\xc3\xa9", 6);
    expect(output, "c", "a?b?\xc3\xa9");
    output_destroy(&output);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_newest_sixty_four_kibibytes_are_kept),
    cmocka_unit_test(a_new_epoch_starts_afresh),
    cmocka_unit_test(the_child_that_wrote_longest_ago_goes_first),
    cmocka_unit_test(what_is_no_text_becomes_question_marks),
};
RZ_FACTS(tests)
