/* The timer: it fires in time, stops, repeats, and may be closed from its own callback. */
#include "base/timer.h"

#include "facts.h"

typedef struct {
    uv_loop_t loop;
    rz_timer_t *timer;
    int fired;
    int close_at; /* the callback closes the timer when fired reaches this */
} fixture_t;

static int setup(void **state)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    return uv_loop_init(&fixture.loop);
}

static int teardown(void **state)
{
    fixture_t *f = *state;
    rz_timer_close(&f->timer);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&f->loop);
}

static void on_fired(void *arg)
{
    fixture_t *f = arg;
    if (++f->fired == f->close_at)
        rz_timer_close(&f->timer);
}

static void a_new_timer_is_stopped(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->fired, 0);
}

static void it_fires_once_after_its_delay(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    uint64_t begin = uv_hrtime();
    rz_timer_start(f->timer, 20, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->fired, 1);
    assert_true(uv_hrtime() - begin >= 19000000u); /* libuv's clock has whole milliseconds */
}

static void the_delay_counts_from_now_although_the_loop_is_late(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    uint64_t begin = uv_hrtime();
    while (uv_hrtime() - begin < 30000000u)
        ; /* a callback that ran long: the loop's cached time is now 30 ms old */
    uint64_t started = uv_hrtime();
    rz_timer_start(f->timer, 20, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(uv_hrtime() - started >= 19000000u);
}

static void a_repeating_timer_ends_when_closed_in_its_callback(void **state)
{
    fixture_t *f = *state;
    f->close_at = 3;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    rz_timer_start(f->timer, 1, 1);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->fired, 3);
    assert_null(f->timer);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    rz_timer_start(f->timer, 1, 1);
    rz_timer_stop(f->timer);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->fired, 0);
}

static void a_due_timer_that_is_closed_never_fires(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    rz_timer_start(f->timer, 0, 0);
    rz_timer_close(&f->timer);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->fired, 0);
}

static void closing_twice_is_harmless(void **state)
{
    fixture_t *f = *state;
    f->timer = rz_timer_open(&f->loop, on_fired, f);
    rz_timer_close(&f->timer);
    rz_timer_close(&f->timer);
    assert_null(f->timer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_new_timer_is_stopped, setup, teardown),
    cmocka_unit_test_setup_teardown(it_fires_once_after_its_delay, setup, teardown),
    cmocka_unit_test_setup_teardown(the_delay_counts_from_now_although_the_loop_is_late, setup, teardown),
    cmocka_unit_test_setup_teardown(a_repeating_timer_ends_when_closed_in_its_callback, setup, teardown),
    cmocka_unit_test_setup_teardown(a_stopped_timer_does_not_fire, setup, teardown),
    cmocka_unit_test_setup_teardown(a_due_timer_that_is_closed_never_fires, setup, teardown),
    cmocka_unit_test_setup_teardown(closing_twice_is_harmless, setup, teardown),
};

RZ_FACTS(tests)
