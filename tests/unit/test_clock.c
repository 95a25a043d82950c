/* Two clocks, and RFC 3339 in both directions. */
#include "facts.h"

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

static const struct {
    const char *text;
    int64_t unix_us;
} moments[] = {
    { "1970-01-01T00:00:00.000000Z", 0 },
    { "1969-12-31T23:59:59.999999Z", -1 },
    { "2026-06-16T09:30:00.123456Z", INT64_C(1781602200123456) },
    { "2000-02-29T12:00:00.000001Z", INT64_C(951825600000001) },
    { "1900-03-01T00:00:00.000000Z", INT64_C(-2203891200000000) },
    { "0000-01-01T00:00:00.000000Z", INT64_C(-62167219200000000) },
    { "9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999) },
};

static void moments_are_written_and_read_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        char out[RZ_RFC3339_LEN + 1];
        int64_t us = 42;
        rz_rfc3339(moments[i].unix_us, out);
        assert_string_equal(out, moments[i].text);
        assert_int_equal(rz_rfc3339_parse(out, &us), 0);
        assert_true(us == moments[i].unix_us);
    }
}

/* One moment in every 37 days of 400 years, against the C library's calendar. */
static void the_calendar_agrees_with_gmtime(void **state)
{
    (void)state;
    for (int64_t s = INT64_C(-6000000000); s < INT64_C(7000000000); s += 37 * 86400 + 4242) {
        char ours[RZ_RFC3339_LEN + 1], theirs[80];
        time_t at = (time_t)s;
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        rz_rfc3339(s * 1000000, ours);
        assert_string_equal(ours, theirs);
    }
}

static void years_beyond_four_digits_are_held_at_the_end(void **state)
{
    (void)state;
    char out[RZ_RFC3339_LEN + 1];
    rz_rfc3339(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999999Z");
    rz_rfc3339(INT64_MIN, out);
    assert_string_equal(out, "0000-01-01T00:00:00.000000Z");
}

static void any_offset_and_fraction_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } same[] = {
        { "2026-06-16T09:30:00Z", 0 },
        { "2026-06-16t09:30:00z", 0 },
        { "2026-06-16T11:30:00+02:00", 0 },
        { "2026-06-15T21:45:00-11:45", 0 },
        { "2026-06-16T09:29:60Z", 0 },
        { "2026-06-16T09:30:00.5Z", 500000 },
        { "2026-06-16T09:30:00.123Z", 123000 },
        { "2026-06-16T09:30:00.123456789Z", 123456 },
        { "2026-06-16T15:00:00.000001+05:30", 1 },
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        int64_t us = -1;
        assert_int_equal(rz_rfc3339_parse(same[i].text, &us), 0);
        assert_true(us == INT64_C(1781602200000000) + same[i].us);
    }
}

static void what_is_no_moment_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-06-16",
        "2026-06-16T09:30:00",
        "2026-06-16 09:30:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-04-00T00:00:00Z",
        "2026-06-16T24:00:00Z",
        "2026-06-16T09:60:00Z",
        "2026-06-16T09:30:61Z",
        "2026-06-16T09:30:00.Z",
        "2026-06-16T09:30:00.1234567890Z",
        "2026-06-16T09:30:00+24:00",
        "2026-06-16T09:30:00+0200",
        "2026-06-16T09:30:00Zx",
        "+026-06-16T09:30:00Z",
        "2026-6-16T09:30:00Z",
    };
    int64_t us = 42;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (rz_rfc3339_parse(bad[i], &us) != -1)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_int_equal(rz_rfc3339_parse(NULL, &us), -1);
    assert_true(us == 42);
}

static void every_cut_of_a_moment_is_refused(void **state)
{
    (void)state;
    static const char text[] = "2026-06-16T09:30:00.123456+02:00";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *cut = strndup(text, n);
        int64_t us;
        assert_int_equal(rz_rfc3339_parse(cut, &us), -1);
        free(cut);
    }
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = rz_now_us();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = rz_now_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(rz_now_ms() >= last / 1000);
}

static void wall_time_is_the_systems(void **state)
{
    (void)state;
    time_t before = time(NULL);
    int64_t us = rz_wall_us();
    char text[RZ_RFC3339_LEN + 1];
    rz_rfc3339_now(text);
    int64_t shown;
    assert_int_equal(rz_rfc3339_parse(text, &shown), 0);
    assert_true(us / 1000000 >= (int64_t)before - 1 && shown / 1000000 <= (int64_t)time(NULL) + 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(moments_are_written_and_read_the_same),
    cmocka_unit_test(the_calendar_agrees_with_gmtime),
    cmocka_unit_test(years_beyond_four_digits_are_held_at_the_end),
    cmocka_unit_test(any_offset_and_fraction_is_read),
    cmocka_unit_test(what_is_no_moment_is_refused),
    cmocka_unit_test(every_cut_of_a_moment_is_refused),
    cmocka_unit_test(the_monotonic_clock_never_goes_back),
    cmocka_unit_test(wall_time_is_the_systems),
};

RZ_FACTS(tests)
