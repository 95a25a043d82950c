/* timer.c - see timer.h.  The handle is the object: libuv's close callback is the one place that may free it.
 */
#include "base/timer.h"

#include "base/mem.h"

#include <assert.h>

struct rz_timer {
    uv_timer_t handle;
    rz_timer_fn fn;
    void *arg;
};

/* fn is the last thing that happens here, because it may close the timer. */
static void on_expired(uv_timer_t *handle)
{
    rz_timer_t *timer = handle->data;
    timer->fn(timer->arg);
}

static void on_closed(uv_handle_t *handle)
{
    rz_free(handle->data);
}

rz_timer_t *rz_timer_open(uv_loop_t *loop, rz_timer_fn fn, void *arg)
{
    assert(fn != NULL);
    rz_timer_t *timer = rz_alloc(sizeof(*timer));
    timer->fn = fn;
    timer->arg = arg;
    uv_timer_init(loop, &timer->handle); /* cannot fail: it only fills in the struct */
    timer->handle.data = timer;
    return timer;
}

/* libuv counts from its cached time, which is old when a callback before us ran long. */
void rz_timer_start(rz_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, on_expired, delay_ms, repeat_ms);
}

void rz_timer_stop(rz_timer_t *timer)
{
    uv_timer_stop(&timer->handle);
}

void rz_timer_close(rz_timer_t **timer)
{
    if (*timer == NULL)
        return;
    uv_close((uv_handle_t *)&(*timer)->handle, on_closed);
    *timer = NULL;
}
