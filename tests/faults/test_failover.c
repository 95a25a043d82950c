/* test_failover.c - a primary that dies, or sleeps, under load of receipts that say `replicated`. */
#include "calls.h"
#include "ensemble.h"

#include "../facts.h"

#include <signal.h>
#include <stdlib.h>

#define JOBS       400
#define TIMEOUT_MS 1000
#define HASTE_MS   300 /* a call time-out so short that whoever waits for a replica that left looks anew soon */
#define PACE_MS    10

static ensemble_t ensemble;

typedef struct {
    calls_t calls;
    rz_rc_t answer[JOBS];
    unsigned sent, answered;
} load_t;

typedef struct {
    load_t *load;
    unsigned i;
} job_t;

static void on_submitted(rz_rc_t rc, const rz_submit_result_t *result, void *arg)
{
    job_t *job = arg;
    (void)result;
    job->load->answer[job->i] = rc;
    job->load->answered++;
    free(job);
}

static void submit_more(load_t *load, unsigned n)
{
    for (; n > 0 && load->sent < JOBS; n--) {
        char child[16];
        job_t *job = malloc(sizeof *job);
        assert_non_null(job);
        *job = (job_t){ load, load->sent++ };
        snprintf(child, sizeof child, "c%u", job->i);
        rz_submit_t request = plain_submit(child);
        rz_op_submit(load->calls.store, &request, on_submitted, job);
    }
}

static unsigned count(const load_t *load, rz_rc_t rc)
{
    unsigned n = 0;
    for (unsigned i = 0; i < load->sent; i++)
        n += load->answer[i] == rc;
    return n;
}

/* Of what had a receipt, nothing is missing in the primary that is there now. */
static void nothing_is_lost(const load_t *load)
{
    unsigned now = ensemble_primary(&ensemble);
    for (unsigned i = 0; i < load->sent; i++) {
        char command[48];
        snprintf(command, sizeof command, "EXISTS rz:{0}:c:c%u", i);
        if (load->answer[i] == RZ_OK && redis_do(&ensemble.redis[now], command)[0] != '1')
            fail_msg("c%u had a receipt and is gone", i);
    }
    printf("receipts %u, unknown %u, unavailable %u\n", count(load, RZ_OK), count(load, RZ_UNKNOWN),
           count(load, RZ_UNAVAILABLE));
}

static load_t *begin_with(uint64_t timeout_ms)
{
    load_t *load = calloc(1, sizeof *load);
    assert_non_null(load);
    ensemble_up(&ensemble, 3, 3, 2);
    load->calls.redis = ensemble.redis[0];
    const rz_store_options_t options = { .url = ensemble.url, .call_timeout_ms = timeout_ms, .replicas = 1 };
    calls_meet(&load->calls, &options);
    assert_string_equal(rz_store_durability(load->calls.store), "replicated");
    submit_more(load, JOBS / 4);
    calls_until_count(&load->calls, &load->answered, JOBS / 8);
    return load;
}

static load_t *begin(void)
{
    return begin_with(TIMEOUT_MS);
}

/* Until the store is another Redis', and has taken what comes then. */
static void go_on(load_t *load)
{
    calls_until_up(&load->calls, false);
    while (rz_store_mark(load->calls.store)->term == 0 || !rz_store_up(load->calls.store)) {
        if (load->sent < JOBS / 2)
            submit_more(load, 1);
        uv_run(&load->calls.loop, UV_RUN_ONCE);
    }
    submit_more(load, JOBS);
    calls_until_count(&load->calls, &load->answered, JOBS);
    assert_true(count(load, RZ_OK) >= JOBS / 2);
    assert_string_equal(rz_store_durability(load->calls.store), "replicated");
}

static void finish(load_t *load)
{
    nothing_is_lost(load);
    calls_part(&load->calls);
    ensemble_down(&ensemble);
    free(load);
}

static void a_killed_primary_takes_no_receipt_with_it(void **state)
{
    (void)state;
    load_t *load = begin();
    redis_end(&ensemble.redis[0], SIGKILL);
    go_on(load);
    finish(load);
}

/* When it wakes it still takes itself for the primary; nobody comes back to it. */
static void a_primary_that_slept_through_its_replacement_is_not_used_again(void **state)
{
    (void)state;
    load_t *load = begin();
    kill(ensemble.redis[0].process.pid, SIGSTOP);
    go_on(load);
    kill(ensemble.redis[0].process.pid, SIGCONT);
    unsigned now = ensemble_primary(&ensemble);
    assert_true(now > 0);
    rz_submit_t request = plain_submit("after");
    assert_int_equal(call_submit(&load->calls, &request), RZ_OK);
    assert_string_equal(redis_do(&ensemble.redis[now], "EXISTS rz:{0}:c:after"), "1");
    assert_int_equal(rz_store_mark(load->calls.store)->term, 1);
    finish(load);
}

static void on_pace(uv_timer_t *pace)
{
    load_t *load = pace->data;
    if (load->sent < JOBS * 3 / 4)
        submit_more(load, 1);
}

/* The one that is promoted leaves it first; the other confirms what it takes until it is told to follow that one. */
static void a_primary_that_lives_while_it_is_replaced_gives_no_receipt_that_is_lost(void **state)
{
    (void)state;
    load_t *load = begin_with(HASTE_MS);
    uv_timer_t pace = { .data = load };
    uv_timer_init(&load->calls.loop, &pace);
    uv_timer_start(&pace, on_pace, PACE_MS, PACE_MS);
    assert_string_equal(sentinel_do(&ensemble, 0, "SENTINEL FAILOVER " ENSEMBLE_NAME), "OK");
    while (rz_store_mark(load->calls.store)->term == 0 || !rz_store_up(load->calls.store) ||
           load->answered < load->sent || load->sent < JOBS * 3 / 4)
        uv_run(&load->calls.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&pace, NULL);
    submit_more(load, JOBS);
    calls_until_count(&load->calls, &load->answered, JOBS);
    finish(load);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_killed_primary_takes_no_receipt_with_it),
    cmocka_unit_test(a_primary_that_slept_through_its_replacement_is_not_used_again),
    cmocka_unit_test(a_primary_that_lives_while_it_is_replaced_gives_no_receipt_that_is_lost),
};
/* clang-format on */

RZ_FACTS(tests)
