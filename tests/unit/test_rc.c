/* Result codes and failures that carry a sentence; also memory and UTF-8, which they stand on. */
#include "facts.h"

#include "base/mem.h"
#include "base/rc.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void every_code_has_a_name_that_leads_back_to_it(void **state)
{
    (void)state;
    for (int rc = 0; rc < RZ_RC_COUNT; rc++) {
        assert_true(strlen(rz_rc_text((rz_rc_t)rc)) > 0);
        assert_int_equal(rz_rc_parse(rz_rc_name((rz_rc_t)rc)), rc);
    }
    assert_string_equal(rz_rc_name(RZ_TOO_LARGE), "TOO_LARGE");
    assert_string_equal(rz_rc_text(RZ_TOO_LARGE), "larger than the limit");
}

static void what_is_no_code_is_our_own_bug(void **state)
{
    (void)state;
    assert_string_equal(rz_rc_name(RZ_RC_COUNT), "INTERNAL");
    assert_string_equal(rz_rc_name((rz_rc_t)-1), "INTERNAL");
    assert_int_equal(rz_rc_parse("too_large"), RZ_INTERNAL);
    assert_int_equal(rz_rc_parse(NULL), RZ_INTERNAL);
}

static void what_a_daemon_ends_with_tells_the_host_us_and_its_configuration_apart(void **state)
{
    (void)state;
    assert_int_equal(rz_rc_exit_code(RZ_SYS), 69);
    assert_int_equal(rz_rc_exit_code(RZ_INTERNAL), 70);
    assert_int_equal(rz_rc_exit_code(RZ_BAD_FIELD), 78);
    assert_int_equal(rz_rc_exit_code(RZ_NOT_ALLOWED), 78);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    assert_int_equal(rz_fail(&err, RZ_FULL, "the queue holds %d", 5), RZ_FULL);
    assert_int_equal(rz_fail(&err, RZ_BUSY, "later"), RZ_FULL);
    assert_int_equal(rz_fail_field(&err, RZ_BAD_FIELD, "x", "later"), RZ_FULL);
    assert_int_equal(rz_fail_sys(&err, EIO, "later"), RZ_FULL);
    assert_string_equal(err.text, "the queue holds 5");
    assert_string_equal(err.field, "");
    assert_int_equal(err.sys, 0);
}

static void a_failure_without_a_place_still_tells_its_code(void **state)
{
    (void)state;
    assert_int_equal(rz_fail(NULL, RZ_BUSY, "x"), RZ_BUSY);
    assert_int_equal(rz_fail_field(NULL, RZ_BAD_ID, "f", "x"), RZ_BAD_ID);
    assert_int_equal(rz_fail_sys(NULL, EIO, "x"), RZ_SYS);
}

static void field_and_reason_are_in_the_text(void **state)
{
    (void)state;
    rz_err_t field = { 0 }, sys = { 0 };
    rz_fail_field(&field, RZ_BAD_FIELD, "identity.child_id", "found %d", 12);
    assert_string_equal(field.field, "identity.child_id");
    assert_string_equal(field.text, "identity.child_id: found 12");
    rz_fail_sys(&sys, ENOENT, "open %s", "/x");
    assert_string_equal(sys.text, "open /x: No such file or directory");
    assert_int_equal(sys.sys, ENOENT);
}

static void texts_are_cut_at_their_bound_and_stay_utf8(void **state)
{
    (void)state;
    char umlauts[1001] = "a"; /* so that the cut falls inside a character */
    for (size_t i = 1; i + 1 < sizeof(umlauts); i += 2)
        memcpy(umlauts + i, "\xc3\xbc", 2);
    umlauts[999] = '\0';
    rz_err_t err = { 0 };
    rz_fail_field(&err, RZ_BAD_FIELD, umlauts, "%s \xff", umlauts);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_int_equal(rz_utf8_span(err.text), strlen(err.text));
    assert_int_equal(rz_utf8_span(err.field), strlen(err.field));
}

static void ill_formed_bytes_become_question_marks(void **state)
{
    (void)state;
    char text[] = "a\xff\xc3\xbc\xe2\x82\xed\xa0\x80\xf0\x9f\x98\x80z";
    rz_utf8_scrub(text);
    assert_string_equal(text, "a?\xc3\xbc?????\xf0\x9f\x98\x80z");
}

static void what_strangers_write_into_a_failure_stays_on_its_line(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    rz_fail_field(&err, RZ_BAD_FIELD, "a\nb", "found \"%s\"", "x\r\n\x1b[2J\x7f\xc2\x9b\xc3\xbc\xc2\xa0");
    assert_string_equal(err.field, "a?b");
    assert_string_equal(err.text, "a?b: found \"x???[2J??\xc3\xbc\xc2\xa0\"");
}

static void spans_compare_by_length_and_bytes(void **state)
{
    (void)state;
    assert_true(rz_str_eq(rz_str("abc"), "abc"));
    assert_false(rz_str_eq(rz_str("abc"), "ab"));
    assert_false(rz_str_eq(rz_str("ab"), "abc"));
    assert_true(rz_str_eq(rz_str(NULL), ""));
    assert_true(rz_str_eq(RZ_STR("x"), "x"));
}

static void memory_comes_zeroed_and_copies_are_terminated(void **state)
{
    (void)state;
    unsigned char *bytes = rz_alloc(64), none[64] = { 0 };
    assert_memory_equal(bytes, none, 64);
    rz_free(bytes);
    rz_free(NULL);
    assert_null(rz_strdup(NULL));
    char *copy = rz_strndup("abcdef", 3), *empty = rz_alloc(0);
    assert_string_equal(copy, "abc");
    rz_wipe(copy, 3);
    assert_memory_equal(copy, none, 3);
    copy = rz_realloc(copy, 100);
    memset(copy, 'x', 100);
    rz_free(copy);
    rz_free(empty);
}

/* Read by AddressSanitizer at start: let a hopeless allocation fail as it does without it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void running_out_of_memory_ends_the_process_with_70_and_a_line(void **state)
{
    (void)state;
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_fds[1], STDERR_FILENO);
        rz_alloc((size_t)1 << 62);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);
    char said[8192];
    close(pipe_fds[1]);
    ssize_t n = read(pipe_fds[0], said, sizeof(said) - 1), more;
    assert_true(n > 0);
    while ((more = read(pipe_fds[0], said + n, sizeof(said) - 1 - (size_t)n)) > 0)
        n += more;
    said[n] = '\0';
    close(pipe_fds[0]);
    assert_non_null(strstr(said, " error memory.out bytes=4611686018427387904\n"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_code_has_a_name_that_leads_back_to_it),
    cmocka_unit_test(what_is_no_code_is_our_own_bug),
    cmocka_unit_test(what_a_daemon_ends_with_tells_the_host_us_and_its_configuration_apart),
    cmocka_unit_test(the_first_failure_stays),
    cmocka_unit_test(a_failure_without_a_place_still_tells_its_code),
    cmocka_unit_test(field_and_reason_are_in_the_text),
    cmocka_unit_test(texts_are_cut_at_their_bound_and_stay_utf8),
    cmocka_unit_test(ill_formed_bytes_become_question_marks),
    cmocka_unit_test(what_strangers_write_into_a_failure_stays_on_its_line),
    cmocka_unit_test(spans_compare_by_length_and_bytes),
    cmocka_unit_test(running_out_of_memory_ends_the_process_with_70_and_a_line),
    cmocka_unit_test(memory_comes_zeroed_and_copies_are_terminated),
};

RZ_FACTS(tests)
