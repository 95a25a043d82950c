/* timer.h - a libuv timer whose memory lives exactly as long as libuv needs it. Loop thread only. */
#pragma once

#include <stdint.h>
#include <uv.h>

typedef struct rz_timer rz_timer_t;
typedef void (*rz_timer_fn)(void *arg);

rz_timer_t *rz_timer_open(uv_loop_t *loop, rz_timer_fn fn, void *arg);         /* stopped */
void rz_timer_start(rz_timer_t *timer, uint64_t delay_ms, uint64_t repeat_ms); /* restarts; repeat 0 = once */
void rz_timer_stop(rz_timer_t *timer);
void rz_timer_close(
    rz_timer_t **timer); /* takes; fn is never called again, memory goes in the close callback */
