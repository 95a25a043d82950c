/* test_rules_course.c - which end of an activation wins when several come (proto/README.md 10.2, 10.3, 10.8), told of
 * the table of course.h. */
#include "course.h"
#include "facts.h"

static course_t running(void)
{
    course_t course = { 0 };
    assert_int_equal(course_feed(&course, EV_READY), DO_RUN);
    return course;
}

static void a_limit_reached_first_makes_every_end_a_timeout(void **state)
{
    (void)state;
    static const course_event_t later[] = { EV_TERMINAL, EV_LOST, EV_CANCEL_NOW, EV_GRACE_OVER, EV_STOP };
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
        course_t course = running();
        assert_int_equal(course_feed(&course, EV_LIMIT), DO_ASK_TO_STOP);
        assert_int_equal(course_feed(&course, EV_CANCEL), DO_NOTHING);
        assert_int_equal(course_feed(&course, later[i]), DO_END_TIMED_OUT);
    }
}

static void an_end_that_came_first_is_not_rewritten(void **state)
{
    (void)state;
    static const course_event_t later[] = { EV_LIMIT, EV_CANCEL, EV_CANCEL_NOW, EV_TERMINAL,
                                            EV_LOST,  EV_STOP,   EV_GRACE_OVER };
    course_t course = running();
    assert_int_equal(course_feed(&course, EV_TERMINAL), DO_END_AS_TOLD);
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        assert_int_equal(course_feed(&course, later[i]), DO_NOTHING);
    assert_int_equal(course_feed(&course, EV_SETTLED), DO_COMPLETE);
}

static void a_limit_changes_nothing_behind_a_cancel(void **state)
{
    (void)state;
    course_t course = running();
    assert_int_equal(course_feed(&course, EV_CANCEL), DO_ASK_TO_STOP);
    assert_int_equal(course_feed(&course, EV_LIMIT), DO_NOTHING);
    assert_int_equal(course_feed(&course, EV_GRACE_OVER), DO_END_CANCELLED);
}

/* The terminal decides: completed stays, anything else is cancelled (run_act.c, do_end_asked). */
static void who_completes_although_cancelled_has_completed(void **state)
{
    (void)state;
    course_t course = running();
    course_feed(&course, EV_CANCEL);
    assert_int_equal(course_feed(&course, EV_TERMINAL), DO_END_ASKED);
}

static void a_cancel_is_obeyed_before_there_is_a_worker(void **state)
{
    (void)state;
    course_t waiting = { 0 }, retrying = { 0 };
    assert_int_equal(course_feed(&waiting, EV_CANCEL), DO_END_CANCELLED);
    course_feed(&retrying, EV_CONNECT_FAILED);
    assert_int_equal(course_feed(&retrying, EV_CANCEL), DO_END_CANCELLED);
}

static void a_connection_is_tried_twice_and_no_more(void **state)
{
    (void)state;
    course_t course = { 0 };
    assert_int_equal(course_feed(&course, EV_CONNECT_FAILED), DO_RESPAWN);
    assert_int_equal(course_feed(&course, EV_CONNECT_FAILED), DO_END_FAILED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_limit_reached_first_makes_every_end_a_timeout),
    cmocka_unit_test(an_end_that_came_first_is_not_rewritten),
    cmocka_unit_test(a_limit_changes_nothing_behind_a_cancel),
    cmocka_unit_test(who_completes_although_cancelled_has_completed),
    cmocka_unit_test(a_cancel_is_obeyed_before_there_is_a_worker),
    cmocka_unit_test(a_connection_is_tried_twice_and_no_more),
};
RZ_FACTS(tests)
