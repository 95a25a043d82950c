/* test_since.c - moments as a person writes them. */
#include "facts.h"

#include "since.h"

#define NOW_MS UINT64_C(1781602200000) /* 2026-06-16T09:30:00Z */

static void assert_since(const char *text, uint64_t expected_ms)
{
    uint64_t ms = 1;
    if (!since_parse(text, NOW_MS, &ms))
        fail_msg("%s is refused", text);
    if (ms != expected_ms)
        fail_msg("%s is %llu, not %llu", text, (unsigned long long)ms, (unsigned long long)expected_ms);
}

static void how_long_ago_counts_from_now(void **state)
{
    (void)state;
    assert_since("0s", NOW_MS);
    assert_since("90s", NOW_MS - 90000);
    assert_since("10m", NOW_MS - 600000);
    assert_since("2h", NOW_MS - 7200000);
    assert_since("3d", NOW_MS - 259200000);
}

static void a_time_stands_for_itself(void **state)
{
    (void)state;
    assert_since("2026-06-16T09:30:00Z", NOW_MS);
    assert_since("2026-06-16T11:30:00.250+02:00", NOW_MS + 250);
    assert_since("2027-01-01T00:00:00Z", 1798761600000);
}

static void nothing_lies_before_1970(void **state)
{
    (void)state;
    assert_since("999999999d", 0);
    assert_since("1969-12-31T23:59:59Z", 0);
}

static void anything_else_is_no_moment(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",     "10",  "m",           "10x",       "10M",        "-5m",
                                         "1.5h", "+1h", "1h ",         " 1h",       "10mm",       "1h30m",
                                         "soon", "1\n", "1234567890s", "09:30:00Z", "2026-06-16", "99:00" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t ms;
        if (since_parse(wrong[i], NOW_MS, &ms))
            fail_msg("\"%s\" is taken", wrong[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(how_long_ago_counts_from_now),
    cmocka_unit_test(a_time_stands_for_itself),
    cmocka_unit_test(nothing_lies_before_1970),
    cmocka_unit_test(anything_else_is_no_moment),
};
RZ_FACTS(tests)
