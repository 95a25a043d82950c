/* test_keepsake.c - what a broker remembers of its store over its own restart. */
#include "facts.h"

#include "keepsake.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], file[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rz-keepsake-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/store-b1.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static rz_store_mark_t opened(keepsake_t *keepsake)
{
    rz_store_mark_t mark;
    assert_int_equal(keepsake_open(keepsake, folder, "b1", &mark, NULL), RZ_OK);
    return mark;
}

static void what_was_kept_is_known_again(void **state)
{
    (void)state;
    keepsake_t keepsake;
    const rz_store_mark_t mark = { .id = "s-1", .lineage = "aa", .term = 7, .tick = 100000 };
    assert_string_equal(opened(&keepsake).id, "");
    keepsake_put(&keepsake, &mark);
    rz_store_mark_t again = opened(&keepsake);
    assert_string_equal(again.id, "s-1");
    assert_string_equal(again.lineage, "aa");
    assert_int_equal(again.term, 7);
    assert_int_equal(again.tick, 100000);
}

static void only_news_are_written(void **state)
{
    (void)state;
    keepsake_t keepsake;
    rz_store_mark_t mark = { .id = "s-1", .lineage = "aa", .term = 7, .tick = 100000 };
    opened(&keepsake);
    keepsake_put(&keepsake, &mark);
    mark.tick += 1000;
    keepsake_put(&keepsake, &mark);
    assert_int_equal(opened(&keepsake).tick, 100000);
    mark.term = 8;
    keepsake_put(&keepsake, &mark);
    assert_int_equal(opened(&keepsake).tick, 101000);
}

static void a_damaged_file_is_nothing_known(void **state)
{
    (void)state;
    keepsake_t keepsake;
    FILE *out = fopen(file, "we");
    fputs("{\"id\":\"s-1\",\"lineage\":\"aa\",\"term\":\"x\"", out);
    fclose(out);
    assert_string_equal(opened(&keepsake).id, "");
}

static void without_a_folder_nothing_is_kept(void **state)
{
    (void)state;
    keepsake_t keepsake;
    rz_store_mark_t mark;
    assert_int_equal(keepsake_open(&keepsake, "", "b1", &mark, NULL), RZ_OK);
    keepsake_put(&keepsake, &(rz_store_mark_t){ .id = "s-1" });
    assert_string_equal(mark.id, "");
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    keepsake_t keepsake;
    rz_store_mark_t mark;
    rz_err_t err = { 0 };
    assert_int_equal(keepsake_open(&keepsake, "/proc/none/of/this", "b1", &mark, &err), RZ_BAD_FIELD);
    assert_string_equal(err.field, "broker.state_dir");
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_was_kept_is_known_again, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(only_news_are_written, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(a_damaged_file_is_nothing_known, make_folder, remove_folder),
    cmocka_unit_test(without_a_folder_nothing_is_kept),
    cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
};
/* clang-format on */

RZ_FACTS(tests)
