/* test_binary.c - which program stands under a path. */
#include "binary.h"
#include "facts.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[32], path[64], other[64];

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/rz-binary-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/program", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    write_file(path, "one");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static void a_file_that_nobody_touched_is_the_same(void **state)
{
    (void)state;
    binary_t a = binary_at(path), b = binary_at(path);
    assert_true(a.found);
    assert_true(binary_same(&a, &b));
}

static void a_file_that_was_replaced_is_another_though_it_says_the_same(void **state)
{
    (void)state;
    binary_t before = binary_at(path);
    write_file(other, "one");
    assert_int_equal(rename(other, path), 0);
    binary_t after = binary_at(path);
    assert_false(binary_same(&before, &after));
}

static void a_file_that_was_written_over_is_another(void **state)
{
    (void)state;
    binary_t before = binary_at(path);
    write_file(path, "longer");
    binary_t after = binary_at(path);
    assert_int_equal(before.inode, after.inode);
    assert_false(binary_same(&before, &after));
}

static void a_file_that_is_gone_is_another(void **state)
{
    (void)state;
    binary_t before = binary_at(path);
    unlink(path);
    binary_t after = binary_at(path);
    assert_false(after.found);
    assert_false(binary_same(&before, &after));
}

static void a_name_without_a_slash_is_not_looked_for_here(void **state)
{
    (void)state;
    assert_int_equal(chdir(dir), 0);
    assert_false(binary_at("program").found);
    assert_true(binary_at("./program").found);
}

static void digest_of(const char *name, char out[RZ_DIGEST_LEN + 1])
{
    rz_digest_t *digest = rz_digest_create();
    binary_digest(digest, name);
    rz_digest_hex(&digest, out);
}

static void the_digest_knows_path_and_file(void **state)
{
    (void)state;
    char first[RZ_DIGEST_LEN + 1], linked[RZ_DIGEST_LEN + 1], replaced[RZ_DIGEST_LEN + 1];
    digest_of(path, first);
    assert_int_equal(link(path, other), 0);
    digest_of(other, linked);
    assert_string_not_equal(first, linked);
    unlink(other);
    write_file(other, "one");
    assert_int_equal(rename(other, path), 0);
    digest_of(path, replaced);
    assert_string_not_equal(first, replaced);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_file_that_nobody_touched_is_the_same, make_files, remove_files),
    cmocka_unit_test_setup_teardown(a_file_that_was_replaced_is_another_though_it_says_the_same, make_files, remove_files),
    cmocka_unit_test_setup_teardown(a_file_that_was_written_over_is_another, make_files, remove_files),
    cmocka_unit_test_setup_teardown(a_file_that_is_gone_is_another, make_files, remove_files),
    cmocka_unit_test_setup_teardown(a_name_without_a_slash_is_not_looked_for_here, make_files, remove_files),
    cmocka_unit_test_setup_teardown(the_digest_knows_path_and_file, make_files, remove_files),
};
/* clang-format on */
RZ_FACTS(tests)
