/* test_version.c - which version two sides speak, and what is said when there is none. */
#include "facts.h"
#include "wire/version.h"

/* What follows holds for any pair of numbers in which each release speaks its version and the one before. */
#define N ((uint64_t)RZ_PROTOCOL_VERSION)
_Static_assert(RZ_PROTOCOL_MIN + 1 == RZ_PROTOCOL_VERSION, "N works with N-1, and with nothing older");

static void the_highest_of_both_is_spoken(void **state)
{
    (void)state;
    assert_int_equal(rz_version_common(N - 1, N), N);
    assert_int_equal(rz_version_common(N - 1, 0), N - 1);
    assert_int_equal(rz_version_common(N - 1, N - 1), N - 1);
    assert_int_equal(rz_version_common(N, N + 1), N);
    assert_int_equal(rz_version_common(1, UINT64_C(9007199254740991)), N);
}

static void a_range_that_does_not_meet_ours_has_none(void **state)
{
    (void)state;
    assert_int_equal(rz_version_common(N - 2, 0), 0);
    assert_int_equal(rz_version_common(0, N), 0); /* no version has that number */
    assert_int_equal(rz_version_common(N + 1, 0), 0);
    assert_int_equal(rz_version_common(N + 1, N + 2), 0);
    assert_int_equal(rz_version_common(N + 1, N), 0); /* no range at all: it begins above ours */
}

static void a_refusal_names_both_ranges_and_who_must_be_upgraded(void **state)
{
    (void)state;
    char text[128];
    rz_err_t err = { 0 };
    assert_int_equal(rz_version_check(N + 2, N + 3, "client", "broker", &err), RZ_BAD_VERSION);
    snprintf(text, sizeof text,
             "v: this client speaks protocol %d to %d, the broker speaks %d to %d: upgrade the broker",
             RZ_PROTOCOL_VERSION + 2, RZ_PROTOCOL_VERSION + 3, RZ_PROTOCOL_MIN, RZ_PROTOCOL_VERSION);
    assert_string_equal(err.text, text);
    assert_string_equal(err.field, "v");
    rz_err_t old = { 0 };
    assert_int_equal(rz_version_check(N - 2, 0, "client", "broker", &old), RZ_BAD_VERSION);
    assert_non_null(strstr(old.text, "upgrade the client"));
}

static void a_range_that_meets_ours_is_no_error(void **state)
{
    (void)state;
    rz_err_t err = { 0 };
    assert_int_equal(rz_version_check(N - 1, N, "client", "broker", &err), RZ_OK);
    assert_int_equal(err.rc, RZ_OK);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_highest_of_both_is_spoken),
    cmocka_unit_test(a_range_that_does_not_meet_ours_has_none),
    cmocka_unit_test(a_refusal_names_both_ranges_and_who_must_be_upgraded),
    cmocka_unit_test(a_range_that_meets_ours_is_no_error),
};
RZ_FACTS(tests)
